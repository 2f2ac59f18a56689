//! W4 and W5: the language models "small" and "medium" of Zaremba et al. (2014), on random words: an embedding, two layers of LSTM, a softmax over the
//! vocabulary; gradient descent on gradients clipped by their global norm.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rnn_tutorial::run::Model;
use tf::train::GradientDescentOptimizer;
use tf::{Tensor, feed};
use tidemill as tf;

use super::{Built, Workload};
use crate::Error;

/// Layers of LSTM.
const LAYERS: usize = 2;
/// Batches of random words; they are fed in turn.
const BATCHES: usize = 32;

/// The sizes of a language model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PtbSizes {
    vocabulary: usize,
    hidden: usize,
    batch: usize,
    steps: usize,
}

impl PtbSizes {
    /// W4.
    pub const SMALL: PtbSizes = PtbSizes { vocabulary: 10_000, hidden: 200, batch: 20, steps: 20 };
    /// W5.
    pub const MEDIUM: PtbSizes = PtbSizes { vocabulary: 10_000, hidden: 650, batch: 20, steps: 35 };
}

/// What training feeds and fetches.
struct Network {
    words: Tensor,
    targets: Tensor,
    /// `[LAYERS, 2, batch, hidden]`
    state: Tensor,
    cost: Tensor,
    final_state: Tensor,
    train_step: tf::Operation,
}

fn network(g: &tf::Graph, model: Model, sizes: PtbSizes) -> tf::Result<Network> {
    use tf::nn::rnn_cell::{BasicLSTMCell, LSTMStateTuple, MultiRNNCell};
    let PtbSizes { vocabulary, hidden, batch, steps } = sizes;

    let words = g.placeholder(tf::i32, [batch, steps]).named("words");
    let targets = g.placeholder(tf::i32, [batch, steps]).named("targets");
    let state = g.placeholder(tf::f32, [LAYERS, 2, batch, hidden]).named("state");
    let initial_state: Vec<_> = tf::unstack(state, 0)
        .into_iter()
        .map(|layer| {
            let [c, h] = tf::unstack(layer, 0)[..] else { unreachable!("its first dimension is 2") };
            LSTMStateTuple { c, h }
        })
        .collect();

    let small = tf::init::random_uniform(-0.1, 0.1);
    let (cost, final_state) = g.variable_scope("model").initializer(small).enter(|vs| {
        let embedding = vs.get_variable("embedding", [vocabulary, hidden]);
        let inputs = tf::nn::embedding_lookup(embedding, words);
        let layer = || BasicLSTMCell::new(hidden).forget_bias(0.0);
        let cell = MultiRNNCell::new((0..LAYERS).map(|_| layer()).collect::<Vec<_>>());
        let (outputs, final_state) = match model {
            Model::Dynamic => tf::nn::dynamic_rnn(&cell, inputs, initial_state),
            Model::Manual | Model::Static => {
                let (outputs, state) = tf::nn::static_rnn(&cell, tf::unstack(inputs, 1), initial_state);
                (tf::concat(outputs, 1), state)
            }
        };
        let outputs = tf::reshape(outputs, [-1, hidden as i64]);
        let w = vs.get_variable("softmax_w", [hidden, vocabulary]);
        let b = vs.get_variable("softmax_b", [vocabulary]);
        let logits = tf::matmul(outputs, w) + b;
        let labels = tf::reshape(targets, [-1]);
        let losses = tf::nn::sparse_softmax_cross_entropy_with_logits(labels, logits);
        (tf::reduce_sum(losses) / batch as f32, final_state)
    });
    let layers = final_state.iter().map(|layer| tf::stack([layer.c, layer.h], 0));
    let final_state = tf::stack(layers.collect::<Vec<_>>(), 0);

    let variables = g.trainable_variables();
    let gradients = tf::Gradients::of([cost]).with_respect_to(variables.iter().copied())?;
    let (clipped, _norm) = tf::clip_by_global_norm(gradients, 5.0);
    let pairs: Vec<_> = clipped.into_iter().zip(variables).collect();
    let train_step = GradientDescentOptimizer::new(1.0).apply_gradients(&pairs);
    Ok(Network { words, targets, state, cost, final_state, train_step })
}

/// A language model in training. The state is carried from batch to batch.
pub struct Ptb {
    session: tf::Session,
    parts: Parts,
    batches: Vec<(tf::Value, tf::Value)>,
    state: tf::Value,
    at: usize,
}

/// The network.
pub(super) struct Parts {
    network: Network,
    sizes: PtbSizes,
}

impl Ptb {
    /// The network.
    pub(super) fn build(g: &tf::Graph, model: Model, sizes: PtbSizes) -> Result<Parts, Error> {
        Ok(Parts { network: network(g, model, sizes)?, sizes })
    }
}

impl Built for Parts {
    fn start(self, session: tf::Session) -> Result<Box<dyn Workload>, Error> {
        let PtbSizes { vocabulary, hidden, batch, steps } = self.sizes;
        let mut rng = StdRng::seed_from_u64(1);
        let mut words = || -> tf::Result<tf::Value> {
            let words = (0..batch * steps).map(|_| rng.random_range(0..vocabulary as i32)).collect();
            Ok(tf::Value::from_vec([batch, steps], words)?)
        };
        let batches = (0..BATCHES).map(|_| Ok((words()?, words()?))).collect::<tf::Result<_>>()?;
        let state = tf::Value::zeros(tf::f32, [LAYERS, 2, batch, hidden])?;
        Ok(Box::new(Ptb { session, parts: self, batches, state, at: 0 }))
    }
}

impl Workload for Ptb {
    fn step_with(&mut self, options: tf::RunOptions) -> tf::Result<f32> {
        let Parts { network: net, sizes } = &self.parts;
        let (words, targets) = &self.batches[self.at % self.batches.len()];
        self.at += 1;
        let (cost, last, ()) = self.session.run_with(
            (net.cost, net.final_state, net.train_step),
            feed! { net.words => words, net.targets => targets, net.state => &self.state },
            options,
        )?;
        self.state = last;
        // For each word.
        Ok(cost.to_scalar::<f32>()? / sizes.steps as f32)
    }
}
