//! Shapes as tensors.

use tidemill_tensor::{DType, Value};

use super::Const;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Shape>()
}

/// The sizes of the operand, as a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// `i32` or `i64`.
    pub out_type: DType,
}
attrs!(Shape { out_type });

impl Op for Shape {
    const SCHEMA: Schema = Schema::new("Shape", "(input: T) -> (output: out_type) where out_type: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        if !matches!(self.out_type, DType::I32 | DType::I64) {
            return Err(Error::invalid(format!("out_type must be i32 or i64, not {}", self.out_type)));
        }
        cx.output(self.out_type, [cx.shape(0).rank()])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        Some(cx.shape(0).dims()?.iter().map(|d| d.map(|d| d as i64)).collect())
    }
}

/// The sizes of `x` as an `i32` vector; a constant when all of them are known. TensorFlow: `tf.shape`.
#[track_caller]
pub fn shape(x: impl Into<Tensor>) -> Tensor {
    let x = x.into();
    let known = x.shape().as_known();
    let dims: Option<Vec<i32>> = known.and_then(|s| s.dims().iter().map(|d| i32::try_from(*d).ok()).collect());
    match dims {
        Some(dims) => x.graph().op(Const { value: Value::from(dims) }).name("Shape").tensor(),
        None => x.graph().op(Shape { out_type: DType::I32 }).input(x).tensor(),
    }
}
