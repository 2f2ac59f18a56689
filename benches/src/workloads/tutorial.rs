//! W1, W2 and W7: the tutorial's network, with Adagrad.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rnn_tutorial::data::gen_epochs;
use rnn_tutorial::model::{Config, Network};
use rnn_tutorial::run::Model;
use tidemill as tf;
use tidemill::feed;

use super::{Built, Workload};
use crate::Error;

/// The tutorial's network in training. The state is carried from batch to batch.
pub struct Tutorial {
    session: tf::Session,
    network: Network,
    batches: Vec<(tf::Value, tf::Value)>,
    state: tf::Value,
    at: usize,
}

/// The network, and what it is to be fed.
pub(super) struct Parts {
    network: Network,
    config: Config,
    data: usize,
}

impl Tutorial {
    /// The network, for batches of a sequence of `data` steps.
    pub(super) fn build(g: &tf::Graph, model: Model, config: Config, data: usize) -> Parts {
        Parts { network: model.build(g, config), config, data }
    }
}

impl Built for Parts {
    fn start(self, session: tf::Session) -> Result<Box<dyn Workload>, Error> {
        let Parts { network, config: Config { batch_size, num_steps, state_size, .. }, data } = self;
        let mut rng = StdRng::seed_from_u64(1);
        let epochs = gen_epochs(1, data, batch_size, num_steps, &mut rng)?;
        let batches = epochs.flatten().map(|(x, y)| (x.into(), y.into())).collect();
        let state = tf::Value::zeros(tf::f32, [batch_size, state_size])?;
        Ok(Box::new(Tutorial { session, network, batches, state, at: 0 }))
    }
}

impl Workload for Tutorial {
    fn step_with(&mut self, options: tf::RunOptions) -> tf::Result<f32> {
        let (x, y) = &self.batches[self.at % self.batches.len()];
        self.at += 1;
        let net = &self.network;
        let (_losses, loss, state, ()) = self.session.run_with(
            (&net.losses, net.total_loss, net.final_state, net.train_step),
            feed! { net.x => x, net.y => y, net.init_state => &self.state },
            options,
        )?;
        self.state = state;
        Ok(loss.to_scalar()?)
    }
}
