//! TensorFlow's protobuf messages, as `cargo run -p xtask -- protos` writes them.

#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
mod tensorflow;

pub use tensorflow::*;
