//! The tutorial's `train_network`.

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use thiserror::Error;
use tidemill as tf;

use crate::data::{SizeError, gen_epochs};
use crate::model::Config;
use crate::run::{Options, Run};
use tf::feed;

/// Why a training run stopped.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The sizes do not fit each other.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// The session refused a run.
    #[error(transparent)]
    Session(#[from] tf::Error),
}

impl From<tf::tensor::TensorError> for TrainError {
    fn from(e: tf::tensor::TensorError) -> Self {
        TrainError::Session(e.into())
    }
}

/// Trains a network on fresh data, carrying the state from batch to batch, and calls `progress` with each training step (counted over all
/// epochs from 0) and its loss.
///
/// # Errors
/// When the sizes do not fit each other.
pub fn train_network(options: &Options, mut progress: impl FnMut(usize, f32)) -> Result<Run, TrainError> {
    let Options { batch_size, num_steps, state_size, learning_rate, seed, .. } = *options;
    let g = tf::Graph::new();
    g.set_random_seed(seed as i64);
    let config = Config { batch_size, num_steps, state_size, learning_rate };
    let net = options.model.build(&g, config);
    let init = g.global_variables_initializer();
    g.finalize();

    let sess = tf::Session::new(&g);
    sess.run(init, feed! {})?;
    let mut training_losses = vec![];
    let mut time = Duration::ZERO;
    let mut rng = StdRng::seed_from_u64(seed);
    for epoch in gen_epochs(options.epochs, options.data_size, batch_size, num_steps, &mut rng)? {
        let mut training_state = tf::Value::zeros(tf::f32, [batch_size, state_size])?;
        for (x, y) in epoch {
            let start = Instant::now();
            let (training_loss, state, ()) = sess.run(
                (net.total_loss, net.final_state, net.train_step),
                feed! { net.x => x, net.y => y, net.init_state => training_state },
            )?;
            time += start.elapsed();
            training_state = state;
            let loss = training_loss.to_scalar::<f32>()?;
            progress(training_losses.len(), loss);
            training_losses.push(loss);
        }
    }
    let us_per_step = time.as_secs_f64() * 1e6 / training_losses.len().max(1) as f64;
    Ok(Run {
        model: options.model.to_string(),
        num_steps,
        state_size,
        seed,
        losses: training_losses,
        us_per_step,
    })
}
