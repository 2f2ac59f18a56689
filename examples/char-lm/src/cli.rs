//! The program's options and what it prints.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::checkpoint::Checkpoint;
use crate::sampling::Sampler;
use crate::training::Trainer;
use crate::{Result, Settings, data};

/// A language model of characters: an LSTM learns a text, the project's own Markdown by default, and writes more of it.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Train a model, and keep it in a checkpoint
    Train(TrainArgs),
    /// Let a trained model write
    Sample(SampleArgs),
}

/// Options of `train`.
#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    /// A text to learn; several are read one after the other [default: the project's Markdown]
    #[arg(long, value_name = "FILE")]
    pub text: Vec<PathBuf>,
    /// Training steps to take; with --resume, further ones
    #[arg(long, value_name = "N", default_value_t = 1500)]
    pub steps: u64,
    /// The checkpoint to write, and with --resume to go on from
    #[arg(long, value_name = "FILE", default_value = "out/char-lm.npz")]
    pub checkpoint: PathBuf,
    /// Go on from the checkpoint, with its settings, exactly as if training had not stopped
    #[arg(long, conflicts_with_all = ["units", "layers", "batch_size", "num_steps", "learning_rate", "seed"])]
    pub resume: bool,
    /// After so many steps print how far it has come, and write the checkpoint
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub report_every: u64,
    /// Units of each layer
    #[arg(long, value_name = "N", default_value_t = Settings::default().units)]
    pub units: usize,
    /// Layers of LSTM cells
    #[arg(long, value_name = "N", default_value_t = Settings::default().layers)]
    pub layers: usize,
    /// Rows of a batch
    #[arg(long, value_name = "N", default_value_t = Settings::default().batch_size)]
    pub batch_size: usize,
    /// Steps of a window: how far gradients flow back
    #[arg(long, value_name = "N", default_value_t = Settings::default().num_steps)]
    pub num_steps: usize,
    /// Adam's learning rate
    #[arg(long, value_name = "RATE", default_value_t = Settings::default().learning_rate)]
    pub learning_rate: f64,
    /// Seed of the initial weights
    #[arg(long, default_value_t = Settings::default().seed)]
    pub seed: u64,
}

/// Options of `sample`.
#[derive(Debug, Clone, Args)]
pub struct SampleArgs {
    /// The checkpoint that `train` wrote
    #[arg(long, value_name = "FILE", default_value = "out/char-lm.npz")]
    pub checkpoint: PathBuf,
    /// Characters to write
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub length: usize,
    /// Below 1 the likely gets likelier still; at 0 nothing else is written
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    pub temperature: f64,
    /// The text to go on from
    #[arg(long, value_name = "TEXT", default_value = "The ")]
    pub prime: String,
    /// The same seed writes the same
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Does what was asked for, and prints to `to`.
///
/// # Errors
/// When that cannot be done.
pub fn run(cli: &Cli, to: &mut impl Write) -> Result<()> {
    match &cli.command {
        Command::Train(args) => train(args, to),
        Command::Sample(args) => sample(args, to),
    }
}

impl TrainArgs {
    fn trainer(&self) -> Result<Trainer> {
        let text = data::text(&self.text)?;
        if self.resume {
            return Trainer::resume(Checkpoint::load(&self.checkpoint)?, &text);
        }
        let TrainArgs { units, layers, batch_size, num_steps, learning_rate, seed, .. } = *self;
        Trainer::new(Settings { units, layers, batch_size, num_steps, learning_rate, seed }, &text)
    }
}

fn train(args: &TrainArgs, to: &mut impl Write) -> Result<()> {
    let mut trainer = args.trainer()?;
    let Settings { units, layers, batch_size, num_steps, .. } = trainer.settings();
    writeln!(
        to,
        "{} different characters; {layers} x {units} LSTM units, {} parameters; batches of {batch_size} x {num_steps}, {} steps an epoch",
        trainer.vocabulary().len(),
        trainer.parameters(),
        trainer.steps_per_epoch(),
    )?;
    if args.resume {
        writeln!(to, "Going on after step {}", trainer.steps())?;
    }
    let bar = progress_bar(args.steps);
    let mut left = args.steps;
    while left > 0 {
        let some = left.min(args.report_every);
        let (mut losses, mut time) = (0.0, Duration::ZERO);
        for _ in 0..some {
            let start = Instant::now();
            losses += f64::from(trainer.step()?);
            time += start.elapsed();
            bar.inc(1);
        }
        left -= some;
        let line = format!(
            "step {:>6}  perplexity: training {:8.3}  held out {:8.3}  {:6.2} ms a step",
            trainer.steps(),
            (losses / some as f64).exp(),
            trainer.held_out_perplexity()?,
            time.as_secs_f64() * 1e3 / some as f64,
        );
        bar.suspend(|| writeln!(to, "{line}"))?;
        trainer.checkpoint()?.save(&args.checkpoint)?;
    }
    bar.finish_and_clear();
    writeln!(to, "Wrote {}", args.checkpoint.display())?;
    Ok(())
}

fn sample(args: &SampleArgs, to: &mut impl Write) -> Result<()> {
    let checkpoint = Checkpoint::load(&args.checkpoint)?;
    let sampler = Sampler::new(&checkpoint, &args.prime, args.temperature, args.seed)?;
    write!(to, "{}", args.prime)?;
    for character in sampler.take(args.length) {
        write!(to, "{}", character?)?;
        to.flush()?;
    }
    Ok(writeln!(to)?)
}

/// A bar on standard error, hidden where that is not a terminal.
fn progress_bar(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr()).with_style(style)
}
