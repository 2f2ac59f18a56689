//! What a training run is asked to do, and what came of it.

use clap::ValueEnum;
use std::fmt;
use tidemill as tf;

use crate::data::{SizeError, batches_per_epoch, ideal};
use crate::model::{self, Config, Network};

/// The network to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// The tutorial's first network: the cell written out by hand, its variables shared by `reuse`.
    Manual,
    /// The tutorial's second network: `BasicRNNCell`, unrolled by `static_rnn`.
    Static,
    /// The tutorial's third network: `dynamic_rnn`, one loop for any number of steps.
    Dynamic,
}

impl Model {
    /// All three, in the tutorial's order.
    pub const ALL: [Model; 3] = [Model::Manual, Model::Static, Model::Dynamic];

    /// Adds the network to a graph.
    pub fn build(self, g: &tf::Graph, config: Config) -> Network {
        match self {
            Model::Manual => model::manual(g, config),
            Model::Static => model::with_static_rnn(g, config),
            Model::Dynamic => model::with_dynamic_rnn(g, config),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Model::Manual => "manual",
            Model::Static => "static",
            Model::Dynamic => "dynamic",
        })
    }
}

/// What one training run is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The network to train.
    pub model: Model,
    /// Steps the network is unrolled for: the length of a window.
    pub num_steps: usize,
    /// Width of the network's state.
    pub state_size: usize,
    /// Rows of a batch.
    pub batch_size: usize,
    /// Epochs, each over fresh data.
    pub epochs: usize,
    /// Steps of data an epoch draws.
    pub data_size: usize,
    /// Adagrad's learning rate.
    pub learning_rate: f32,
    /// Seed of the data and of the initial weights.
    pub seed: u64,
}

impl Options {
    /// Training steps, which is batches, in an epoch.
    pub fn steps_per_epoch(&self) -> Result<usize, SizeError> {
        batches_per_epoch(self.data_size, self.batch_size, self.num_steps)
    }
}

/// What came of one training run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The network that was trained, by the name the command line gives it.
    pub model: String,
    /// Steps the network was unrolled for.
    pub num_steps: usize,
    /// Width of the network's state.
    pub state_size: usize,
    /// Seed of the data and of the initial weights.
    pub seed: u64,
    /// The loss of every training step, in nats per label.
    pub losses: Vec<f32>,
    /// Mean time of a training step, in microseconds.
    pub us_per_step: f64,
}

impl Run {
    /// The cross-entropy the run reached, in nats per label: the mean loss over the last tenth of its training steps (and
    /// over one step at least). NaN for a run without steps.
    pub fn cross_entropy(&self) -> f64 {
        mean(&self.losses[self.losses.len() - self.losses.len().div_ceil(10)..])
    }

    /// The cross-entropy that a network trained on windows of this length can reach: see [`ideal::of_window`].
    pub fn ideal(&self) -> f64 {
        ideal::of_window(self.num_steps)
    }
}

/// The mean of `losses`, summed in f64; NaN of none.
pub(crate) fn mean(losses: &[f32]) -> f64 {
    losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(num_steps: usize, losses: Vec<f32>) -> Run {
        Run { model: "manual".into(), num_steps, state_size: 4, seed: 1, losses, us_per_step: 100.0 }
    }

    #[test]
    fn cross_entropy_is_the_mean_over_the_last_tenth() {
        let losses =
            (0..100).map(|step| if step < 90 { 0.7 } else { 0.5 + 0.01 * (step - 90) as f32 }).collect();
        assert!((run(5, losses).cross_entropy() - 0.545).abs() < 1e-6);
        assert_eq!(run(5, vec![0.75, 0.5]).cross_entropy(), 0.5);
        assert_eq!(run(5, vec![1.0; 11]).cross_entropy(), 1.0);
        assert!(run(5, vec![]).cross_entropy().is_nan());
    }

    #[test]
    fn the_ideal_depends_on_what_a_window_shows() {
        assert_eq!(run(5, vec![]).ideal(), ideal::first_dependency());
        assert_eq!(run(10, vec![]).ideal(), ideal::both());
    }
}
