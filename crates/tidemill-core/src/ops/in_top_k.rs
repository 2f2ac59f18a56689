//! Whether a class is among the most probable ones.

use tidemill_tensor::{DType, PartialShape};

use crate::attrs;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<InTopK>().with::<InTopKV2>()
}

/// For each row of `predictions`, whether fewer than `k` elements are larger than the one that `targets` names. False where that is outside of the row, or
/// where NaN or infinities leave it open.
#[derive(Debug, Clone, PartialEq)]
pub struct InTopK {
    /// How many of the largest count.
    pub k: i64,
}
attrs!(InTopK { k });

impl Op for InTopK {
    const SCHEMA: Schema =
        Schema::new("InTopK", "(predictions: f32, targets: T) -> (precision: bool) where T: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        one_for_each_row(cx)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad])
    }
}

/// [`InTopK`] with `k` for an operand, a scalar.
#[derive(Debug, Clone, PartialEq)]
pub struct InTopKV2;
attrs!(InTopKV2 {});

impl Op for InTopKV2 {
    const SCHEMA: Schema =
        Schema::new("InTopKV2", "(predictions: f32, targets: T, k: T) -> (precision: bool) where T: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(2, 0)?;
        one_for_each_row(cx)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad])
    }
}

fn one_for_each_row(cx: &InferCx) -> Result<Vec<TensorType>> {
    cx.expect_rank(0, 2)?;
    cx.expect_rank(1, 1)?;
    let (predictions, targets) = (cx.shape(0), cx.shape(1));
    match PartialShape::from([predictions.dim(0)]).merge(&PartialShape::from([targets.dim(0)])) {
        Some(rows) => cx.output(DType::Bool, rows),
        None => Err(Error::invalid(format!(
            "there must be a target for each row, but predictions are {predictions}, targets {targets}"
        ))),
    }
}

/// For each row of the matrix `predictions` (`f32`) whether the class that `targets` (`i32` or `i64`) names is among its `k` largest; equals of the last of
/// them count. TensorFlow: `tf.nn.in_top_k`.
///
/// # Panics
/// When there is not a target for each row.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let predictions = g.placeholder(DType::F32, [None, Some(10)]);
/// let labels = g.placeholder(DType::I32, [None]);
/// assert_eq!(ops::in_top_k(predictions, labels, 3).ty().to_string(), "bool[?]");
/// ```
#[track_caller]
pub fn in_top_k(predictions: impl Into<Tensor>, targets: impl Into<Tensor>, k: i32) -> Tensor {
    let (predictions, targets) = (predictions.into(), targets.into());
    let k = tidemill_tensor::Value::scalar(k).cast(targets.dtype());
    let node = predictions.graph().op(InTopKV2).name("in_top_k/InTopKV2").input(predictions).input(targets);
    node.constant("k", k).tensor()
}
