//! Reductions.

use tidemill_tensor::PartialShape;

use crate::attrs;
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType, normalise_axis};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Sum>()
}

/// Adds up over some axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// Keep the axes with size 1.
    pub keep_dims: bool,
}
attrs!(Sum { keep_dims });

impl Op for Sum {
    const SCHEMA: Schema =
        Schema::new("Sum", "(input: T, reduction_indices: Tidx) -> (output: T) where T: Num, Tidx: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let (Some(dims), Some(axes)) = (cx.shape(0).dims(), cx.known_all(1)) else {
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        let mut reduced = vec![false; dims.len()];
        for axis in axes {
            reduced[normalise_axis(axis, dims.len())?] = true;
        }
        let dims = dims.iter().zip(&reduced).filter_map(|(dim, reduced)| match (reduced, self.keep_dims) {
            (false, _) => Some(*dim),
            (true, true) => Some(Some(1)),
            (true, false) => None,
        });
        cx.output(cx.dtype(0), dims.collect::<PartialShape>())
    }
}

/// The sum over all axes of a tensor of known rank.
#[track_caller]
pub fn reduce_sum(x: impl Into<Tensor>) -> Tensor {
    let x = x.into();
    let rank = x.shape().rank().unwrap_or(0) as i32;
    reduce_sum_axes(x, (0..rank).collect(), false)
}

#[track_caller]
pub(super) fn reduce_sum_axes(x: Tensor, axes: Vec<i32>, keep_dims: bool) -> Tensor {
    x.graph().op(Sum { keep_dims }).input(x).constant("reduction_indices", axes).tensor()
}
