//! The RNN tutorial, told with Tidemill.
//!
//! A binary sequence hides two dependencies: its labels depend on the input three and eight steps ago. A recurrent network
//! trained on windows of five steps finds the first, one trained on windows of ten steps finds both, and how well each
//! can do is known beforehand ([`data::ideal`]).
//!
//! The library holds what the `rnn-tutorial` program is made of, so that tests can drive it.
#![forbid(unsafe_code)]

pub mod cli;
pub mod compare;
pub mod data;
pub mod model;
mod plot;
pub mod report;
pub mod run;
pub mod training;
