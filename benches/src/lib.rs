//! The workloads that benchmarks run, built by the public API as a user would build them.
#![forbid(unsafe_code)]

use rand::SeedableRng;
use rand::rngs::StdRng;
use rnn_tutorial::data::gen_epochs;
use rnn_tutorial::model::{Config, Network};
use tidemill as tf;
use tidemill::feed;

/// The tutorial's network in training: each [`step`](Tutorial::step) takes the next batch of an endless round of them.
pub struct Tutorial {
    session: tf::Session,
    network: Network,
    batches: Vec<(tf::Value, tf::Value)>,
    state: tf::Value,
    at: usize,
}

impl Tutorial {
    /// A network with fresh variables, of the tutorial's batch size 200.
    ///
    /// # Errors
    /// When the session refuses a run, or there are too few data for a batch.
    pub fn new(
        num_steps: usize,
        state_size: usize,
        build: fn(&tf::Graph, Config) -> Network,
    ) -> Result<Tutorial, String> {
        Tutorial::with_options(num_steps, state_size, build, true)
    }

    /// [`new`](Tutorial::new), with or without optimisation.
    ///
    /// # Errors
    /// As [`new`](Tutorial::new).
    pub fn with_options(
        num_steps: usize,
        state_size: usize,
        build: fn(&tf::Graph, Config) -> Network,
        optimise: bool,
    ) -> Result<Tutorial, String> {
        let batch_size = 200;
        let g = tf::Graph::new();
        g.set_random_seed(1);
        let network = build(&g, Config { batch_size, num_steps, state_size, learning_rate: 0.1 });
        let init = g.global_variables_initializer();
        let session = tf::Session::builder(&g).optimise(optimise).build();
        session.run(init, feed! {}).map_err(|e| e.to_string())?;
        let mut rng = StdRng::seed_from_u64(1);
        let epochs = gen_epochs(1, 400_000, batch_size, num_steps, &mut rng).map_err(|e| e.to_string())?;
        let batches = epochs.flatten().map(|(x, y)| (x.into(), y.into())).collect();
        let state = tf::Value::zeros(tf::f32, [batch_size, state_size]).map_err(|e| e.to_string())?;
        Ok(Tutorial { session, network, batches, state, at: 0 })
    }

    /// One training step; its loss.
    ///
    /// # Errors
    /// When the session refuses the run.
    pub fn step(&mut self) -> tf::Result<f32> {
        let (x, y) = &self.batches[self.at % self.batches.len()];
        self.at += 1;
        let net = &self.network;
        let (loss, state, ()) = self.session.run(
            (net.total_loss, net.final_state, net.train_step),
            feed! { net.x => x, net.y => y, net.init_state => &self.state },
        )?;
        self.state = state;
        Ok(loss.to_scalar()?)
    }
}
