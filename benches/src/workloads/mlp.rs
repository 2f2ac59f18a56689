//! W6: a perceptron of three layers on random digits, with Adam.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tf::train::AdamOptimizer;
use tf::{Tensor, feed};
use tidemill as tf;

use super::{Built, Workload};
use crate::Error;

const BATCH: usize = 128;
const SIZES: [usize; 4] = [784, 512, 512, 10];
/// Batches of random digits; they are fed in turn.
const BATCHES: usize = 32;

/// The perceptron in training.
pub struct Mlp {
    session: tf::Session,
    parts: Parts,
    batches: Vec<(tf::Value, tf::Value)>,
    at: usize,
}

/// The network.
pub(super) struct Parts {
    images: Tensor,
    digits: Tensor,
    loss: Tensor,
    train_step: tf::Operation,
}

impl Mlp {
    /// The network.
    pub(super) fn build(g: &tf::Graph) -> Parts {
        let images = g.placeholder(tf::f32, [BATCH, SIZES[0]]).named("images");
        let digits = g.placeholder(tf::i32, [BATCH]).named("digits");
        let mut hidden = images;
        for (i, sizes) in SIZES.windows(2).enumerate() {
            let w = g.get_variable(&format!("w{i}"), [sizes[0], sizes[1]]);
            let b = g.get_variable_with(&format!("b{i}"), [sizes[1]], tf::init::zeros());
            hidden = tf::matmul(hidden, w) + b;
            if i + 2 < SIZES.len() {
                hidden = tf::nn::relu(hidden);
            }
        }
        let loss = tf::reduce_mean(tf::nn::sparse_softmax_cross_entropy_with_logits(digits, hidden));
        let train_step = AdamOptimizer::new(1e-3).minimize(loss);

        Parts { images, digits, loss, train_step }
    }
}

impl Built for Parts {
    fn start(self, session: tf::Session) -> Result<Box<dyn Workload>, Error> {
        let mut rng = StdRng::seed_from_u64(1);
        let batches = (0..BATCHES)
            .map(|_| {
                let images = (0..BATCH * SIZES[0]).map(|_| rng.random::<f32>()).collect();
                let digits: [i32; BATCH] = std::array::from_fn(|_| rng.random_range(0..10));
                Ok((tf::Value::from_vec([BATCH, SIZES[0]], images)?, digits.into()))
            })
            .collect::<tf::Result<_>>()?;
        Ok(Box::new(Mlp { session, parts: self, batches, at: 0 }))
    }
}

impl Workload for Mlp {
    fn step_with(&mut self, options: tf::RunOptions) -> tf::Result<f32> {
        let Parts { images, digits, loss, train_step } = &self.parts;
        let (x, y) = &self.batches[self.at % self.batches.len()];
        self.at += 1;
        let (loss, ()) =
            self.session.run_with((*loss, *train_step), feed! { *images => x, *digits => y }, options)?;
        Ok(loss.to_scalar()?)
    }
}
