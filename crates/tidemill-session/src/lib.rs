//! Sessions: a graph is compiled for what a run fetches and feeds, and run.
pub mod kernels;
