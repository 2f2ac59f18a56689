//! One file for each model, and the table of those that have a name.

mod chain;
mod mlp;
mod ptb;
mod tutorial;

use std::num::NonZero;
use std::time::{Duration, Instant};

pub use chain::Chain;
use clap::Args;
pub use mlp::Mlp;
pub use ptb::{Ptb, PtbSizes};
use rnn_tutorial::model::Config;
use rnn_tutorial::run::Model;
use tidemill as tf;
use tidemill::feed;
pub use tutorial::Tutorial;

use crate::Error;

/// A model in training.
pub trait Workload {
    /// One step on the next batch of an endless round of them; its loss.
    ///
    /// # Errors
    /// When the session refuses the run.
    fn step_with(&mut self, options: tf::RunOptions) -> tf::Result<f32>;

    /// [`step_with`](Workload::step_with) nothing special.
    ///
    /// # Errors
    /// As there.
    fn step(&mut self) -> tf::Result<f32> {
        self.step_with(tf::RunOptions::new())
    }
}

/// What can be chosen of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Args)]
pub struct Options {
    /// How recurrent networks are built: by hand, by static_rnn, or by dynamic_rnn (of W4 and W5 the first two are the same)
    #[arg(long, default_value = "manual")]
    pub model: Model,
    /// Without the passes that make it fast
    #[arg(long)]
    pub unoptimised: bool,
    /// How many threads work on a step [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZero<usize>>,
}

/// A workload that is ready to step, and how long that took.
pub struct Ready {
    /// The workload.
    pub workload: Box<dyn Workload>,
    /// The time to build the graph.
    pub build: Duration,
    /// The time to initialise the variables, which compiles their initialisers.
    pub init: Duration,
    /// How many nodes the graph has.
    pub nodes: usize,
}

/// The names of all workloads that [`ready`] knows; `T` is any number.
pub const NAMES: &str = "W1, W2, W4, W5, W6, W7-T, W8";

/// Builds the graph of the workload called `name` and initialises its variables.
///
/// # Errors
/// When there is no such workload, or the session refuses to initialise it.
pub fn ready(name: &str, options: &Options) -> Result<Ready, Error> {
    let model = options.model;
    let config =
        |batch_size, num_steps, state_size| Config { batch_size, num_steps, state_size, learning_rate: 0.1 };
    match name {
        "W1" => tutorial(options, config(200, 5, 4), 400_000),
        "W2" => tutorial(options, config(200, 10, 16), 400_000),
        "W4" => set_up(options, |g| Ptb::build(g, model, PtbSizes::SMALL)),
        "W5" => set_up(options, |g| Ptb::build(g, model, PtbSizes::MEDIUM)),
        "W6" => set_up(options, |g| Ok(Mlp::build(g))),
        "W8" => set_up(options, |g| Ok(Chain::build(g))),
        _ => match name.strip_prefix("W7-").and_then(|steps| steps.parse().ok()) {
            Some(num_steps) if num_steps > 0 => {
                tutorial(options, config(32, num_steps, 16), 32 * 32 * num_steps)
            }
            _ => Err(format!("there is no workload {name}: there are {NAMES}").into()),
        },
    }
}

/// The tutorial's network, for a sequence of `data` steps.
///
/// # Errors
/// When there are too few data for a batch, or the session refuses to initialise it.
pub fn tutorial(options: &Options, config: Config, data: usize) -> Result<Ready, Error> {
    set_up(options, |g| Ok(Tutorial::build(g, options.model, config, data)))
}

/// A model that has been built into a graph, and becomes a workload with a session and data.
trait Built {
    /// Makes what it is fed.
    fn start(self, session: tf::Session) -> Result<Box<dyn Workload>, Error>;
}

fn set_up<B: Built>(
    options: &Options,
    build: impl FnOnce(&tf::Graph) -> Result<B, Error>,
) -> Result<Ready, Error> {
    let start = Instant::now();
    let g = tf::Graph::new();
    g.set_random_seed(1);
    let built = build(&g)?;
    let initializer = g.global_variables_initializer();
    let build = start.elapsed();
    let session = tf::Session::builder(&g).optimise(!options.unoptimised);
    let session = match options.threads {
        Some(threads) => session.threads(threads).build(),
        None => session.build(),
    };
    let start = Instant::now();
    session.run(initializer, feed! {})?;
    let init = start.elapsed();
    Ok(Ready { workload: built.start(session)?, build, init, nodes: g.len() })
}
