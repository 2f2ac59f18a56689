//! Sparse gradients.

use std::fmt;

use crate::handle::Tensor;
use crate::ops;

/// Rows of a larger tensor: row `indices[i]` gets `values[i]`, rows named twice add up, all others are zero.
///
/// The gradient of [`gather`](crate::ops::gather), so that training an embedding touches only the rows in use.
#[derive(Clone, Copy, PartialEq)]
pub struct IndexedSlices {
    /// `[n, ...]`
    pub values: Tensor,
    /// `[n]`, `i32` or `i64`
    pub indices: Tensor,
    /// The shape of the whole, as an integer vector.
    pub dense_shape: Tensor,
}

impl IndexedSlices {
    /// The whole tensor (TensorFlow: `UnsortedSegmentSum`).
    #[track_caller]
    pub fn to_tensor(self) -> Tensor {
        let rows = ops::strided_index(self.dense_shape, 0);
        ops::unsorted_segment_sum(self.values, self.indices, rows)
    }

    /// The same slices of a tensor to which all of `parts` are added.
    #[track_caller]
    pub(super) fn sum(parts: &[IndexedSlices]) -> IndexedSlices {
        match parts {
            [one] => *one,
            [first, ..] => {
                let values: Vec<Tensor> = parts.iter().map(|s| s.values).collect();
                let indices: Vec<Tensor> = parts.iter().map(|s| s.indices).collect();
                IndexedSlices {
                    values: ops::concat(values, 0),
                    indices: ops::concat(indices, 0),
                    dense_shape: first.dense_shape,
                }
            }
            [] => unreachable!("a sum has at least one part"),
        }
    }
}

impl fmt::Debug for IndexedSlices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexedSlices({:?} at {:?})", self.values, self.indices)
    }
}
