//! The tutorial's networks at the sizes of the recorded runs in `golden/tutorial`.

use rnn_tutorial::model::{self, Config, Network};
use tidemill as tf;

/// A network, and the recorded run of it.
pub struct Model {
    /// What exported files are called.
    pub name: &'static str,
    /// The recorded run, for [`Case::golden`](crate::golden::Case::golden).
    pub case: &'static str,
    build: fn(&tf::Graph, Config) -> Network,
    num_steps: usize,
    state_size: usize,
}

/// All of them.
pub const MODELS: [Model; 3] = [
    Model {
        name: "manual",
        case: "tutorial/manual_T5_N4_batch8",
        build: model::manual,
        num_steps: 5,
        state_size: 4,
    },
    Model {
        name: "static",
        case: "tutorial/static_rnn_T5_N4_batch8",
        build: model::with_static_rnn,
        num_steps: 5,
        state_size: 4,
    },
    Model {
        name: "dynamic",
        case: "tutorial/dynamic_rnn_T10_N16_batch8",
        build: model::with_dynamic_rnn,
        num_steps: 10,
        state_size: 16,
    },
];

impl Model {
    /// The graph of the network.
    pub fn build(&self) -> (tf::Graph, Network) {
        let graph = tf::Graph::new();
        let Model { num_steps, state_size, .. } = *self;
        let net = (self.build)(&graph, Config { batch_size: 8, num_steps, state_size, learning_rate: 0.1 });
        (graph, net)
    }
}
