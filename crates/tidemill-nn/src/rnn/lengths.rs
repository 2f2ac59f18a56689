//! Sequences that end before the longest one: outputs past the end are zero, and the state stays.

use tidemill_core::ops::{self, Nest};
use tidemill_core::{DType, Error, Operand, Result, Tensor};

/// The lengths of the sequences of a batch, as `i32[batch]`.
///
/// # Errors
/// `InvalidArgument` when `lengths` is no vector of integers with one element for each row of the batch.
pub(super) fn lengths(lengths: Tensor, batch: Option<usize>) -> Result<Tensor> {
    let ty = lengths.ty();
    let fits = ty.shape.rank().is_none_or(|rank| rank == 1)
        && match (ty.shape.dims().and_then(|dims| dims.first().copied().flatten()), batch) {
            (Some(have), Some(batch)) => have == batch,
            _ => true,
        };
    if !ty.dtype.is_integer() || !fits {
        let batch = batch.map_or("?".to_owned(), |n| n.to_string());
        return Err(Error::invalid(format!(
            "sequence_length must hold one integer for each sequence, [{batch}], but is {ty}"
        )));
    }
    Ok(ops::cast(lengths, DType::I32))
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
        rank => {
            let mut condition = goes_on;
            for _ in 1..rank.unwrap_or(2) {
                condition = ops::expand_dims(condition, -1);
            }
            ops::select(condition, next, last)
        }
    });
    next.rebuild(&mut chosen)
}
