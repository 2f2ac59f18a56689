//! `tidemill`: looks into graph files, runs and converts them.
//!
//! Exit codes: 0 done; 1 the graph or a file is at fault; 2 the command line is; 130 cancelled by Ctrl-C.
#![forbid(unsafe_code)]

mod convert;
mod inspect;
mod model;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tidemill_core::{Error, ErrorKind};

/// Looks into graphs, runs and converts them.
///
/// GRAPH is a TensorFlow GraphDef (a frozen graph, say), the directory of a SavedModel, or Tidemill's text form (a file `*.txt`).
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows what a graph is made of.
    Inspect(inspect::Args),
    /// Runs a graph.
    Run(run::Args),
    /// Writes a graph in another form, by the name of the file: `*.txt` is Tidemill's text form, `*.dot` a picture for Graphviz, anything else a
    /// GraphDef.
    Convert(convert::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Run(args) => run::run(&args),
        Command::Convert(args) => convert::convert(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", error.kind());
            ExitCode::from(if error.kind() == ErrorKind::Cancelled { 130 } else { 1 })
        }
    }
}

/// An error about a file.
fn of_file(path: &std::path::Path, error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("{}: {error}", path.display()))
}
