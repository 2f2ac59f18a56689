//! Checks of ops and gradients, for the ops of Tidemill and for your own.
//!
//! A [`Battery`] holds ops and rows of examples. For each row it runs the op in every way there is (fed or constant, shapes known or
//! not, optimised or not, every dtype) and compares kernel, shape rule, gradient and attributes with each other. A new op is tested by
//! a line or two. [`check_gradients`] does the gradient's part for whole models.
//!
//! ```
//! use tidemill_conformance::{Battery, row, value, x};
//! use tidemill_core::{ErrorKind, ops};
//! let rows = [
//!     row(ops::MatMul { transpose_a: false, transpose_b: true }, [x([2, 3]), x([4, 3])]),
//!     row(ops::MatMul::default(), [value([[1f32, 2.0]]), value([[3f32], [4.0]])]).expect([[11f32]]),
//!     row(ops::MatMul::default(), [x([2, 3]), x([2, 3])]).fails(ErrorKind::InvalidArgument),
//! ];
//! Battery::new().rows(rows).check();
//! ```
#![forbid(unsafe_code)]

mod battery;
mod checks;
mod gradients;
mod ops_doc;
pub mod replay;
mod row;
mod rows;
mod setup;

pub use battery::{Battery, Failure};
pub use gradients::check_gradients;
pub use ops_doc::ops_document;
pub use row::{Input, Row, row, row_of, value, x};
