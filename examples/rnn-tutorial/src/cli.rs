//! The program's options and what it prints.

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::PathBuf;

use crate::compare::{CompareArgs, CompareError, PeakArgs};
use crate::data::{LAGS, SizeError, ideal};
use crate::report::{self, ReportError};
use crate::run::{Model, Options, Run, mean};

/// Where no number of epochs is given there are as many as make this many training steps.
const DEFAULT_STEPS: usize = 3000;

/// A line is printed every so many steps, as the tutorial does.
const PRINT_EVERY: usize = 100;

/// The RNN tutorial: train a network to find two hidden dependencies in a binary sequence.
///
/// Without options it retells the tutorial in two runs: windows of 5 steps show the first dependency, windows of 10 steps
/// show both.
#[derive(Debug, Clone, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of training
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The network: the cell written by hand, or BasicRNNCell with static_rnn or dynamic_rnn
    #[arg(long, default_value = "manual")]
    pub model: Model,
    /// Steps the network is unrolled for (with or without --state-size: one run, not two) [default: 5]
    #[arg(long, value_name = "N")]
    pub num_steps: Option<usize>,
    /// Width of the network's state (with or without --num-steps: one run, not two) [default: 4]
    #[arg(long, value_name = "N")]
    pub state_size: Option<usize>,
    /// Rows of a batch
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub batch_size: usize,
    /// Epochs, each over fresh data [default: as many as make 3000 training steps]
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Steps of data an epoch draws
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub data_size: usize,
    /// Adagrad's learning rate
    #[arg(long, value_name = "RATE", default_value_t = 0.1)]
    pub learning_rate: f32,
    /// Seed of the data and of the initial weights
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for loss.csv, loss.svg, loss.png and summary.json
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
}

/// What there is to do beside training.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Compare the unrolled networks with the loop: sizes, times, memory, and a page that shows the graphs
    Compare(CompareArgs),
    /// Print the peak memory of training a network in this process, in KiB
    #[command(hide = true)]
    Peak(PeakArgs),
}

impl Cli {
    /// The runs that were asked for. Sizes that do not fit are an error here, before anything is trained.
    pub fn runs(&self) -> Result<Vec<Options>, CliError> {
        let sizes = match (self.num_steps, self.state_size) {
            (None, None) => vec![(5, 4), (10, 16)],
            (num_steps, state_size) => vec![(num_steps.unwrap_or(5), state_size.unwrap_or(4))],
        };
        sizes.into_iter().map(|(num_steps, state_size)| self.options(num_steps, state_size)).collect()
    }

    fn options(&self, num_steps: usize, state_size: usize) -> Result<Options, CliError> {
        let mut options = Options {
            model: self.model,
            num_steps,
            state_size,
            batch_size: self.batch_size,
            epochs: 1,
            data_size: self.data_size,
            learning_rate: self.learning_rate,
            seed: self.seed,
        };
        if self.data_size < LAGS[1] {
            return Err(SizeError::TooShort { size: self.data_size }.into());
        }
        let steps = options.steps_per_epoch()?;
        options.epochs = self.epochs.unwrap_or_else(|| DEFAULT_STEPS.div_ceil(steps));
        for (size, name) in [(state_size, "the state size"), (options.epochs, "the number of epochs")] {
            if size == 0 {
                return Err(SizeError::Zero(name).into());
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(CliError::LearningRate(self.learning_rate));
        }
        Ok(options)
    }
}

/// Why the program stopped.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Sizes that do not fit each other.
    #[error(transparent)]
    Sizes(#[from] SizeError),
    /// A learning rate nothing can be learned with.
    #[error("the learning rate must be a positive number: {0} is not")]
    LearningRate(f32),
    /// Training failed.
    #[error("{0}")]
    Training(Box<dyn std::error::Error>),
    /// The report could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The networks could not be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// Standard output could not be written to.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// Makes the runs, prints the tutorial's lines and the closing table to `to`, and writes the report.
///
/// `train` trains one network: it is given the options and a function to call after every training step with the number of
/// steps done before it and its loss.
pub fn tell<E: std::error::Error + 'static>(
    cli: &Cli,
    mut train: impl FnMut(&Options, &mut dyn FnMut(usize, f32)) -> Result<Run, E>,
    to: &mut impl Write,
) -> Result<Vec<Run>, CliError> {
    let mut runs = vec![];
    for options in cli.runs()? {
        let Options { model, num_steps, state_size, epochs, .. } = &options;
        let steps = options.steps_per_epoch()?;
        if !runs.is_empty() {
            writeln!(to)?;
        }
        writeln!(
            to,
            "{model}: num_steps {num_steps}, state_size {state_size}, {epochs} epochs of {steps} steps"
        )?;
        let bar = progress_bar(epochs * steps);
        let mut printed = Ok(());
        let mut recent = vec![];
        let run = train(&options, &mut |step, loss| {
            recent.push(loss);
            bar.inc(1);
            if step % PRINT_EVERY == 0 && step > 0 {
                let last = &recent[recent.len().saturating_sub(PRINT_EVERY)..];
                let line = bar.suspend(|| {
                    writeln!(
                        to,
                        "Average loss at step {step} for last {PRINT_EVERY} steps: {:.4}",
                        mean(last)
                    )
                });
                if printed.is_ok() {
                    printed = line;
                }
                recent.clear();
            }
        });
        bar.finish_and_clear();
        printed?;
        runs.push(run.map_err(|error| CliError::Training(Box::new(error)))?);
    }
    report::write(&runs, &cli.out)?;
    writeln!(to, "\n{}", Table(&runs))?;
    writeln!(to, "Wrote loss.svg, loss.png, loss.csv and summary.json to {}", cli.out.display())?;
    Ok(runs)
}

/// A bar on standard error, hidden where that is not a terminal.
fn progress_bar(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {per_sec}, {eta} left")
        .expect("the template is well formed")
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr()).with_style(style)
}

/// What the runs reached, beside what can be reached.
struct Table<'a>(&'a [Run]);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let row = |f: &mut fmt::Formatter, cells: [&dyn Display; 8]| {
            let [model, num_steps, state_size, reached, nothing, first, both, us] = cells;
            writeln!(
                f,
                "{model:<8}{num_steps:>9}{state_size:>12}{reached:>10}{nothing:>10}{first:>9}{both:>9}{us:>10}"
            )
        };
        let four = |value: f64| format!("{value:.4}");
        let [nothing, first, both] = [ideal::nothing(), ideal::first_dependency(), ideal::both()].map(four);
        row(f, [&"", &"", &"", &"cross-", &"ideal:", &"ideal:", &"ideal:", &"us per"])?;
        row(f, [&"model", &"num_steps", &"state_size", &"entropy", &"nothing", &"X[t-3]", &"both", &"step"])?;
        for run in self.0 {
            let (reached, us) = (four(run.cross_entropy()), format!("{:.1}", run.us_per_step));
            row(f, [&run.model, &run.num_steps, &run.state_size, &reached, &nothing, &first, &both, &us])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn cli(arguments: &str) -> Cli {
        Cli::try_parse_from(["rnn-tutorial"].into_iter().chain(arguments.split_whitespace())).unwrap()
    }

    #[test]
    fn without_options_the_tutorial_is_retold_in_two_runs() {
        let runs = cli("").runs().unwrap();
        let sizes: Vec<_> = runs.iter().map(|run| (run.num_steps, run.state_size, run.epochs)).collect();
        assert_eq!(sizes, [(5, 4, 3), (10, 16, 6)]);
        let tutorial = Options {
            model: Model::Manual,
            num_steps: 5,
            state_size: 4,
            batch_size: 200,
            epochs: 3,
            data_size: 1_000_000,
            learning_rate: 0.1,
            seed: 1,
        };
        assert_eq!(runs[0], tutorial);
    }

    #[test]
    fn naming_a_size_asks_for_one_run() {
        let runs =
            cli("--model static --num-steps 7 --batch-size 10 --data-size 700 --epochs 2").runs().unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!(
            (runs[0].model, runs[0].num_steps, runs[0].state_size, runs[0].epochs),
            (Model::Static, 7, 4, 2)
        );
        assert_eq!(runs[0].steps_per_epoch(), Ok(10));
        assert_eq!(cli("--model static").runs().unwrap().len(), 2);
        assert_eq!(cli("--state-size 8").runs().unwrap()[0].num_steps, 5);
    }

    #[test]
    fn what_cannot_be_trained_is_refused_beforehand() {
        #[track_caller]
        fn check(arguments: &str, message: &str) {
            assert_eq!(cli(arguments).runs().unwrap_err().to_string(), message);
        }
        check("--num-steps 0", "the number of steps must be at least 1");
        check("--state-size 0", "the state size must be at least 1");
        check("--epochs 0", "the number of epochs must be at least 1");
        check("--batch-size 0", "the batch size must be at least 1");
        check("--data-size 100", "a batch of 200 rows needs at least as many steps of data: there are 100");
        check("--learning-rate nan", "the learning rate must be a positive number: NaN is not");
        check(
            "--data-size 5 --batch-size 1",
            "a sequence of 5 steps is too short: its labels look 8 steps back",
        );
    }

    #[test]
    fn the_tutorials_lines_and_the_table_are_printed() {
        let out = std::env::temp_dir().join(format!("rnn-tutorial-cli-{}", std::process::id()));
        let options =
            format!("--num-steps 5 --data-size 250 --batch-size 10 --epochs 50 --out {}", out.display());
        let mut printed = vec![];
        // Stands in for a training: losses fall in a straight line.
        let fall = |options: &Options, progress: &mut dyn FnMut(usize, f32)| {
            let losses: Vec<f32> = (0..250).map(|step| 0.75 - step as f32 / 1000.0).collect();
            losses.iter().enumerate().for_each(|(step, &loss)| progress(step, loss));
            Ok::<_, Infallible>(Run {
                model: options.model.to_string(),
                num_steps: options.num_steps,
                state_size: options.state_size,
                seed: options.seed,
                losses,
                us_per_step: 12.34,
            })
        };
        tell(&cli(&options), fall, &mut printed).unwrap();
        let expected = "\
manual: num_steps 5, state_size 4, 50 epochs of 5 steps
Average loss at step 100 for last 100 steps: 0.6995
Average loss at step 200 for last 100 steps: 0.5995

                                 cross-    ideal:   ideal:   ideal:    us per
model   num_steps  state_size   entropy   nothing   X[t-3]     both      step
manual          5           4    0.5130    0.6616   0.5192   0.4545      12.3

Wrote loss.svg, loss.png, loss.csv and summary.json to ";
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(printed, format!("{expected}{}\n", out.display()));
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 4);
        std::fs::remove_dir_all(&out).unwrap();
    }
}
