//! Distinct elements.

use tidemill_tensor::{DType, PartialShape};

use crate::attrs;
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Unique>()
}

/// The distinct elements `y` of the vector `x` in the order of their first occurrence, and for each element of `x` its place
/// `idx` in `y`, so that `x[i] == y[idx[i]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Unique {
    /// The dtype of `idx`.
    pub out_idx: DType,
}
attrs!(Unique { out_idx });

impl Op for Unique {
    const SCHEMA: Schema = Schema::new("Unique", "(x: T) -> (y: T, idx: out_idx) where out_idx: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 1)?;
        let distinct = TensorType::new(cx.dtype(0), PartialShape::from([None]));
        Ok(vec![distinct, TensorType::new(self.out_idx, [cx.shape(0).dim(0)])])
    }
}

/// The distinct elements of the vector `x` in the order of their first occurrence, and for each element of `x` its place among
/// them (`i32`). TensorFlow: `tf.unique`.
///
/// # Panics
/// When `x` is no vector.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::I64, [7]);
/// let (distinct, places) = ops::unique(x);
/// assert_eq!((distinct.ty().to_string(), places.ty().to_string()), ("i64[?]".into(), "i32[7]".into()));
/// ```
#[track_caller]
pub fn unique(x: impl Into<Tensor>) -> (Tensor, Tensor) {
    let x = x.into();
    let op = x.graph().op(Unique { out_idx: DType::I32 }).input(x).build();
    (op.output(0), op.output(1))
}
