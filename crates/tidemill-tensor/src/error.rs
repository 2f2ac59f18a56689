//! What can go wrong with dtypes, shapes, values and files.

use std::path::{Path, PathBuf};

use crate::{DType, Shape};

/// `std::result::Result` with [`TensorError`].
pub type Result<T, E = TensorError> = std::result::Result<T, E>;

/// An error of this crate. Messages name what was wanted and what was got.
///
/// ```
/// use tidemill_tensor::Value;
/// let error = Value::from(1.5_f32).as_slice::<i32>().unwrap_err();
/// assert_eq!(error.to_string(), "want dtype i32, got f32");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// A value has another dtype than the one asked for.
    #[error("want dtype {want}, got {got}")]
    DTypeMismatch {
        /// The dtype asked for.
        want: DType,
        /// The dtype of the value.
        got: DType,
    },
    /// A value cannot take another shape, since the numbers of elements differ.
    #[error(
        "want shape {want} ({} elements), got shape {got} ({} elements)",
        want.num_elements(), got.num_elements()
    )]
    ShapeMismatch {
        /// The shape asked for.
        want: Shape,
        /// The shape of the value.
        got: Shape,
    },
    /// A list of elements, or of bytes, is not as long as its shape says.
    #[error("shape {shape} wants {want} {unit}, got {got}")]
    LengthMismatch {
        /// The shape asked for.
        shape: Shape,
        /// How many the shape wants.
        want: usize,
        /// How many were given.
        got: usize,
        /// What is counted: `"elements"` or `"bytes"`.
        unit: &'static str,
    },
    /// A value of one element was asked for, and there are none or several.
    #[error("want a value of exactly one element, got {dtype}{shape} with {}", shape.num_elements())]
    NotScalar {
        /// The dtype of the value.
        dtype: DType,
        /// The shape of the value.
        shape: Shape,
    },
    /// Nested lists are not all of the same length.
    #[error(
        "ragged nested list: at depth {depth}, item {index} has shape {got}, but item 0 has shape {want}"
    )]
    Ragged {
        /// The depth of the list whose items differ; 0 is the outermost.
        depth: usize,
        /// The position of the first item that differs.
        index: usize,
        /// The shape of item 0.
        want: Shape,
        /// The shape of the item at `index`.
        got: Shape,
    },
    /// Elements of this dtype are objects where bytes are wanted, or the other way round.
    #[error("elements of dtype {dtype} cannot be made of this")]
    NotBytes {
        /// The dtype.
        dtype: DType,
    },
    /// The bytes of an array of this shape cannot be addressed or allocated.
    #[error("an array {dtype}{shape} is too large for this machine's memory")]
    TooLarge {
        /// The dtype of the array.
        dtype: DType,
        /// The shape of the array.
        shape: Shape,
    },
    /// A byte of a `bool` array is neither 0 nor 1.
    #[error("byte {byte} at position {index} is not a bool; want 0 or 1")]
    InvalidBool {
        /// Where the byte stands.
        index: usize,
        /// The byte.
        byte: u8,
    },
    /// A text names no dtype.
    #[error(
        "unknown dtype `{name}`; the dtypes are f16, bf16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, bool (or TensorFlow's names, such as float32)"
    )]
    UnknownDType {
        /// The text.
        name: String,
    },
    /// A text is not a shape.
    #[error("cannot read `{text}` as a shape: {reason}")]
    InvalidShape {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Bytes are not a `.npy` array that this crate can hold, or a value cannot be written as one.
    #[error("npy: {reason}")]
    Npy {
        /// What is wrong.
        reason: String,
    },
    /// An archive is not an `.npz` file, or one entry of it cannot be read or written.
    #[error("npz: {reason}")]
    Npz {
        /// What is wrong, and in which entry.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("{}{source}", path.as_ref().map(|p| format!("{}: ", p.display())).unwrap_or_default())]
    Io {
        /// The file, where there is one.
        path: Option<PathBuf>,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// An error in the file at `path`.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<TensorError>,
    },
}

impl TensorError {
    /// Says in which file the error arose.
    pub(crate) fn in_file(self, path: &Path) -> TensorError {
        match self {
            TensorError::Io { path: None, source } => TensorError::Io { path: Some(path.to_owned()), source },
            source => TensorError::InFile { path: path.to_owned(), source: Box::new(source) },
        }
    }
}

/// An error of a reader or writer, of which only the caller may know the file.
impl From<std::io::Error> for TensorError {
    fn from(source: std::io::Error) -> Self {
        TensorError::Io { path: None, source }
    }
}
