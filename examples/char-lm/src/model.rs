//! The network.

use tf::Tensor;
use tf::nn::rnn_cell::{BasicLSTMCell, MultiRNNCell, RnnCell};
use tf::ops::Nest;
use tidemill as tf;

use crate::Settings;

/// Gradients are scaled down to this norm: what flows back through many steps can be huge.
const CLIP_NORM: f64 = 5.0;

/// A network that tells the next character. Characters are numbers below the size of the vocabulary.
#[derive(Debug)]
pub struct Network {
    /// The characters read, `[batch, time]`, `i32`: any number of rows, of any length.
    pub inputs: Tensor,
    /// The characters that follow them, of the same shape.
    pub targets: Tensor,
    /// The state that the network starts with, one tensor `[batch, units]` after the other: zeros unless fed.
    pub initial_state: Vec<Tensor>,
    /// The state after the last step, likewise.
    pub final_state: Vec<Tensor>,
    /// How likely each character is to follow, as logits `[batch * time, vocabulary]`.
    pub logits: Tensor,
    /// The mean cross-entropy of the targets, in nats per character.
    pub loss: Tensor,
}

impl Network {
    /// Adds the network to a graph: an embedding, layers of LSTM cells in a loop over time, and a softmax layer.
    pub fn new(g: &tf::Graph, settings: Settings, vocabulary: usize) -> Network {
        let Settings { units, layers, .. } = settings;
        let inputs = g.placeholder(tf::i32, [None, None]).named("inputs");
        let targets = g.placeholder(tf::i32, [None, None]).named("targets");

        let embedding = g.get_variable("embedding", [vocabulary, units]);
        let embedded = tf::nn::embedding_lookup(embedding, inputs);

        let cell = MultiRNNCell::new(vec![BasicLSTMCell::new(units); layers]);
        let batch_size = tf::index(tf::shape(inputs), 0);
        let initial_state = cell.zero_state(g, batch_size, tf::f32);
        let (outputs, final_state) = tf::nn::dynamic_rnn(&cell, embedded, initial_state.clone());

        let (w, b) = g.variable_scope("softmax").enter(|vs| {
            let w = vs.get_variable("W", [units, vocabulary]);
            let b = vs.get_variable_with("b", [vocabulary], tf::init::constant(0.0));
            (w, b)
        });
        let logits = tf::matmul(tf::reshape(outputs, [-1, units as i64]), w) + b;
        let flat_targets = tf::reshape(targets, [-1i64]);
        let losses = tf::nn::sparse_softmax_cross_entropy_with_logits(flat_targets, logits);
        let loss = tf::reduce_mean(losses);

        let (initial_state, final_state) = (initial_state.flatten(), final_state.flatten());
        Network { inputs, targets, initial_state, final_state, logits, loss }
    }

    /// Adds one step of training: Adam, along clipped gradients.
    pub fn train_step(&self, settings: Settings) -> tf::Operation {
        let optimizer = tf::train::AdamOptimizer::new(settings.learning_rate);
        let (gradients, variables): (Vec<_>, Vec<_>) =
            optimizer.compute_gradients(self.loss).into_iter().unzip();
        let (clipped, _) = tf::clip_by_global_norm(gradients, CLIP_NORM);
        let pairs: Vec<_> = clipped.into_iter().zip(variables).collect();
        optimizer.apply_gradients(&pairs)
    }

    /// Feeds that start from this state.
    pub fn starting_from(&self, state: &[tf::Value]) -> tf::FeedDict {
        let pairs = self.initial_state.iter().zip(state);
        pairs.fold(tf::FeedDict::new(), |feeds, (tensor, value)| feeds.with(tensor, value))
    }

    /// A state of zeros for so many rows.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn zero_state(&self, settings: Settings, rows: usize) -> tf::Result<Vec<tf::Value>> {
        let zeros = |_: &Tensor| Ok(tf::Value::zeros(tf::f32, [rows, settings.units])?);
        self.initial_state.iter().map(zeros).collect()
    }
}
