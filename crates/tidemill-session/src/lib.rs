//! Sessions: a graph is compiled for what a run fetches and feeds, and run.
//!
//! Three forms, no more: the user's [`Graph`](tidemill_core::Graph), which only grows; the [`Program`](program::Program), closed and
//! specialised to one kind of run, which [passes] rewrite; and the [`Plan`](plan::Plan), flat steps over one arena. Each has ids, a text form
//! and a verifier that is its specification. [`Session::explain`] shows all of them.

mod cache;
mod exec;
mod feed;
mod fetch;
pub mod kernels;
pub mod passes;
pub mod plan;
pub mod program;
mod session;
mod variables;

pub use exec::Trace;
pub use feed::{FeedDict, FeedKey};
pub use fetch::{Fetch, Requests, Results};
pub use kernels::{CpuKernel, KernelCx};
pub use plan::MemoryReport;
pub use session::{Callable, RunOptions, Session, SessionBuilder};
