//! A language model of characters: an LSTM reads a text and learns to tell the next character; asked to go on, it writes.
//!
//! [`model`] is the network, of library cells and `dynamic_rnn`; [`data`] cuts a text into batches; [`training`] trains, and measures how
//! well what was held out is told; [`checkpoint`] keeps everything that going on takes in an `.npz` file; [`sampling`] writes.
//!
//! The library holds what the `char-lm` program is made of, so that tests can drive it.
#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod cli;
pub mod data;
mod error;
pub mod model;
pub mod sampling;
mod settings;
pub mod training;

pub use error::Error;
pub use settings::Settings;

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;
