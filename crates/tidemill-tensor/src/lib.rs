//! Dtypes, shapes and host values of Tidemill.
//!
//! This crate knows nothing of graphs. It holds what every other crate speaks in:
//!
//! | Item | Is |
//! |---|---|
//! | [`DType`], [`dtypes`] | the element types a tensor may have |
//! | [`Element`], [`dispatch!`] | the way from a runtime [`DType`] to a Rust type and back |
//! | [`Shape`], [`PartialShape`] | sizes known fully, and sizes known in part |
//! | [`Value`], [`IntoValue`] | a dense row-major array in host memory, its dtype known at run time |
//! | [`Object`] | what the elements of some values are instead of bytes: lists, handles |
//! | [`npz`], [`Value::load_npy`] | NumPy's file formats |
//!
//! Three invariants hold throughout:
//!
//! - A [`Value`] is contiguous and row-major, and its buffer holds exactly
//!   `shape.num_elements() * dtype.size()` bytes. There are no strides and no offsets.
//! - Nothing panics on data: every fallible operation returns [`Result`].
//! - There is no `unsafe` code here; bytes become elements through [`bytemuck`]'s checked casts.
//!
//! ```
//! use tidemill_tensor::{DType, Value, dtypes as tf};
//!
//! let value = Value::from([[1.0_f32, 2.0], [3.0, 4.0]]);
//! assert_eq!(value.dtype(), tf::f32);
//! assert_eq!(value.shape().dims(), [2, 2]);
//! assert_eq!(value.cast(DType::I32).to_string(), "i32[2,2] [[1, 2], [3, 4]]");
//! ```
#![forbid(unsafe_code)]

mod cast;
mod convert;
mod dispatch;
mod dtype;
mod element;
mod error;
mod npy;
pub mod npz;
mod partial_shape;
mod print;
mod shape;
mod storage;
mod value;

pub use convert::IntoValue;
pub use dtype::{DType, dtypes};
pub use element::Element;
pub use error::{Result, TensorError};
pub use half;
pub use ndarray;
pub use num_complex::Complex;
pub use partial_shape::{Dim, PartialShape};
pub use shape::Shape;
pub use value::Value;

/// An element of a tensor whose dtype [is of objects](DType::is_object): anything, which only the ops for it understand; or nothing yet.
pub type Object = Option<std::sync::Arc<dyn std::any::Any + Send + Sync>>;
