//! The workloads that benchmarks run, built by the public API as a user would build them, and how they are timed.
#![forbid(unsafe_code)]

pub mod measure;
pub mod workloads;

/// What goes wrong in a benchmark.
pub type Error = Box<dyn std::error::Error>;
