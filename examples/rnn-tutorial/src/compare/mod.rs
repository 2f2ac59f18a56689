//! `rnn-tutorial compare`: the three networks beside each other, as a table and as a page that shows their graphs.

mod chart;
pub mod measure;
mod page;
pub mod picture;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::data::SizeError;
use crate::report::ReportError;
use crate::run::{Model, Options, Run};
use crate::training::{TrainError, train_network};
use measure::{Row, Sizes};

/// The curves are of networks that can learn both dependencies.
const CURVE_SIZES: (usize, usize) = (10, 16);

/// Compares the networks: how large their graphs are, how long they take, how much memory; and draws their graphs and losses.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Numbers of steps to compare the networks at
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "5,10,100,1000")]
    pub num_steps: Vec<usize>,
    /// Width of the networks' state
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub state_size: usize,
    /// Rows of a batch
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub batch_size: usize,
    /// How long to time training steps at each number of steps, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub seconds: f64,
    /// Training steps of the loss curves
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub training_steps: usize,
    /// Seed of the data and of the initial weights
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The page to write
    #[arg(long, value_name = "FILE", default_value = "out/compare.html")]
    pub out: PathBuf,
}

/// What a process of its own is asked to measure.
#[derive(Debug, Clone, Args)]
pub struct PeakArgs {
    /// The network
    pub model: Model,
    /// Steps of a window
    pub num_steps: usize,
    /// Width of the state
    pub state_size: usize,
    /// Rows of a batch
    pub batch_size: usize,
}

/// Why the comparison stopped.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Sizes that do not fit each other.
    #[error(transparent)]
    Sizes(#[from] SizeError),
    /// A time that nothing can be timed for.
    #[error("the time for timing must be a number of seconds: {0} is not")]
    Seconds(f64),
    /// A network could not be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The session refused a run.
    #[error(transparent)]
    Session(#[from] tidemill::Error),
    /// The process that measures peak memory failed.
    #[error("cannot measure the peak memory of {model}: {message}")]
    Peak {
        /// The network.
        model: Model,
        /// What went wrong.
        message: String,
    },
    /// The page could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Standard output could not be written to.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// What the comparison found.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// What was asked for.
    pub args: CompareArgs,
    /// The table, by number of steps and then by network.
    pub rows: Vec<Row>,
    /// The three networks trained from the same initial values on the same data.
    pub runs: Vec<Run>,
}

impl Comparison {
    /// How far the losses of two networks are apart where they are farthest apart.
    pub fn difference(&self) -> f64 {
        let apart = |run: &Run| {
            let pairs = run.losses.iter().zip(&self.runs[0].losses);
            pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
        };
        self.runs.iter().map(apart).fold(0.0, f64::max)
    }
}

/// Makes the comparison, prints its table to `to` and writes the page.
pub fn compare(args: &CompareArgs, to: &mut impl Write) -> Result<(), CompareError> {
    let sizes = [
        (args.state_size, "the state size"),
        (args.batch_size, "the batch size"),
        (args.training_steps, "the number of training steps"),
    ];
    let lengths = args.num_steps.iter().map(|steps| (*steps, "the number of steps"));
    if let Some((_, name)) = sizes.into_iter().chain(lengths).find(|(size, _)| *size == 0) {
        return Err(SizeError::Zero(name).into());
    }
    if !(args.seconds >= 0.0 && args.seconds < 1e6) {
        return Err(CompareError::Seconds(args.seconds));
    }
    let bar = progress_bar(args.num_steps.len() + Model::ALL.len());
    let mut rows = vec![];
    for &num_steps in &args.num_steps {
        bar.set_message(format!("timing {num_steps} steps"));
        let sizes = Sizes { num_steps, state_size: args.state_size, batch_size: args.batch_size };
        rows.extend(measure::measure(sizes, args.seconds, args.seed, |model| peak(model, sizes))?);
        bar.inc(1);
    }
    let mut runs = vec![];
    for model in Model::ALL {
        bar.set_message(format!("training {model}"));
        runs.push(train_network(&curve_options(args, model), |_, _| ())?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let comparison = Comparison { args: args.clone(), rows, runs };
    write_page(&comparison, &args.out)?;
    writeln!(to, "{}\n{}", measure::table(&comparison.rows), measure::ratios(&comparison.rows))?;
    writeln!(
        to,
        "Trained alike for {} steps, the losses differ by at most {:.1e}.",
        args.training_steps,
        comparison.difference()
    )?;
    writeln!(to, "Wrote {}", args.out.display())?;
    Ok(())
}

/// Trained so, the networks see the same data, and start from the same values: a seed gives every network the same ones.
fn curve_options(args: &CompareArgs, model: Model) -> Options {
    let (num_steps, state_size) = CURVE_SIZES;
    Options {
        model,
        num_steps,
        state_size,
        batch_size: args.batch_size,
        epochs: 1,
        data_size: args.batch_size.saturating_mul(num_steps).saturating_mul(args.training_steps),
        learning_rate: 0.1,
        seed: args.seed,
    }
}

fn write_page(comparison: &Comparison, path: &Path) -> Result<(), ReportError> {
    let io = |source| ReportError::Io { path: path.into(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|source| ReportError::Io { path: folder.into(), source })?;
    }
    fs::write(path, page::html(comparison)).map_err(io)
}

/// The peak memory, in KiB, of a process of its own that builds and trains the network; `None` where the system does not tell.
fn peak(model: Model, sizes: Sizes) -> Result<Option<u64>, CompareError> {
    let failed = |message: String| CompareError::Peak { model, message };
    let Sizes { num_steps, state_size, batch_size } = sizes;
    let output = process::Command::new(env::current_exe()?)
        .arg("peak")
        .args([model.to_string(), num_steps.to_string(), state_size.to_string(), batch_size.to_string()])
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim() {
        "" => Ok(None),
        kib => kib.parse().map(Some).map_err(|_| failed(format!("it printed {text:?}"))),
    }
}

/// What that process does: trains for a few steps, then prints the peak of its memory, or nothing where the system does not tell.
pub fn print_peak(args: &PeakArgs, to: &mut impl Write) -> Result<(), CompareError> {
    let PeakArgs { model, num_steps, state_size, batch_size } = *args;
    measure::train_a_little(model, Sizes { num_steps, state_size, batch_size })?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    writeln!(to, "{}", peak.unwrap_or_default())?;
    Ok(())
}

/// A bar on standard error, hidden where that is not a terminal.
fn progress_bar(stages: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")
        .expect("the template is well formed")
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(stages as u64), ProgressDrawTarget::stderr()).with_style(style)
}
