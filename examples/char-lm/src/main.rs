//! `char-lm`: trains a language model of characters, and lets it write.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use char_lm::cli::{Cli, run};
use clap::Parser;

fn main() -> ExitCode {
    match run(&Cli::parse(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("char-lm: {error}");
            ExitCode::FAILURE
        }
    }
}
