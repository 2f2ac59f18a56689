//! `rnn-tutorial`: trains the tutorial's networks, prints what the tutorial prints and plots the losses.

use clap::Parser;
use rnn_tutorial::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::parse().runs() {
        Ok(_) => eprintln!("rnn-tutorial: there is no network to train yet"),
        Err(error) => eprintln!("rnn-tutorial: {error}"),
    }
    ExitCode::FAILURE
}
