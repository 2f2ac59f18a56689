//! Sequences that end before the longest one: outputs past the end are zero, and the state stays.

use tidemill_core::ops::{self, Nest, Select};
use tidemill_core::{DType, Error, Operand, PartialShape, Result, Tensor};

/// The lengths of the sequences of a batch, as `i32[batch]`; what their shape does not tell yet is checked when they are fed.
///
/// # Errors
/// `InvalidArgument` when `lengths` is no vector of integers with one element for each row of the batch.
#[track_caller]
pub(super) fn lengths(lengths: Tensor, batch: Option<usize>) -> Result<Tensor> {
    let ty = lengths.ty();
    let wanted = PartialShape::from([batch]);
    match ty.shape.merge(&wanted).filter(|_| ty.dtype.is_integer()) {
        Some(shape) if shape == ty.shape => Ok(ops::cast(lengths, DType::I32)),
        Some(shape) => Ok(ops::cast(ops::ensure_shape(lengths, shape), DType::I32)),
        None => Err(Error::invalid(format!(
            "sequence_length must be a vector of integers of length batch_size, {wanted}, but is {ty}"
        ))),
    }
}

/// Whether each sequence goes on at step `time`: a `bool[batch]`.
#[track_caller]
pub(super) fn goes_on(time: impl Operand, lengths: Tensor) -> Tensor {
    ops::greater(lengths, time)
}

/// `next` where a sequence goes on and `last` where it is over, for each tensor of a nest with `batch` as its first dimension; scalars are
/// always the next.
#[track_caller]
pub(super) fn copy_through<N: Nest>(goes_on: Tensor, next: &N, last: &N) -> N {
    let pairs = next.flatten().into_iter().zip(last.flatten());
    let mut chosen = pairs.map(|(next, last)| match next.shape().rank() {
        Some(0) => next,
        _ => next.graph().add(Select, &[goes_on, next, last]),
    });
    next.rebuild(&mut chosen)
}
