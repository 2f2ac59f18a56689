//! Plays recorded graphs again and compares: `replay conformance DIR`, `replay badinputs DIR`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tidemill_conformance::replay::{self, Corpus, Options};

/// Plays recorded graphs again, each in a process of its own, and compares with what was recorded.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What TensorFlow computed while its own tests ran.
    Conformance(What),
    /// Graphs made to do harm.
    Badinputs(What),
    /// Plays one case; started by the other commands.
    #[command(hide = true)]
    Worker { corpus: String, dir: PathBuf, case: String },
}

#[derive(Args)]
struct What {
    /// The folder with the cases, or the one around their folder `cases`.
    dir: PathBuf,
    /// Play only the cases that this file lists, one a line; a line may be the beginning of several names.
    #[arg(long)]
    list: Option<PathBuf>,
    /// How many processes.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Where to write one line of JSON a case.
    #[arg(long)]
    json: Option<PathBuf>,
    /// The longest time for a case that sets no limit of its own, in seconds.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
}

fn main() -> ExitCode {
    let (corpus, what) = match Cli::parse().command {
        Command::Conformance(what) => (Corpus::Conformance, what),
        Command::Badinputs(what) => (Corpus::BadInputs, what),
        Command::Worker { corpus, dir, case } => {
            return replay::worker(Corpus::named(&corpus), &dir, &case);
        }
    };
    let options = Options { list: what.list, jobs: what.jobs, json: what.json, timeout: what.timeout };
    match replay::all(corpus, &what.dir, &options) {
        Ok(failed) => ExitCode::from(u8::from(failed > 0)),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
