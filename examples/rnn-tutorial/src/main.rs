//! `rnn-tutorial`: trains the tutorial's networks, prints what the tutorial prints and plots the losses.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::Parser;
use rnn_tutorial::cli::{self, Cli};
use rnn_tutorial::training::train_network;

fn main() -> ExitCode {
    match cli::tell(&Cli::parse(), |options, progress| train_network(options, progress), &mut io::stdout()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rnn-tutorial: {error}");
            ExitCode::FAILURE
        }
    }
}
