//! `rnn-tutorial`: trains the tutorial's networks, prints what the tutorial prints and plots the losses; or compares them.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::Parser;
use rnn_tutorial::cli::{self, Cli, CliError, Command};
use rnn_tutorial::compare::{compare, print_peak};
use rnn_tutorial::training::train_network;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rnn-tutorial: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), CliError> {
    let mut to = io::stdout();
    match &cli.command {
        Some(Command::Compare(args)) => Ok(compare(args, &mut to)?),
        Some(Command::Peak(args)) => Ok(print_peak(args, &mut to)?),
        None => cli::tell(cli, |options, progress| train_network(options, progress), &mut to).map(|_| ()),
    }
}
