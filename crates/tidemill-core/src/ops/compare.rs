//! Comparisons.

use super::binary;
use crate::attrs;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::Result;
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;
use tidemill_tensor::DType;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Less>().with::<LessEqual>().with::<Greater>().with::<GreaterEqual>()
}

macro_rules! comparison {
    ($($(#[$doc:meta])* $op:ident $function:ident $python:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op;
        attrs!($op {});

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), "(x: T, y: T) -> (z: bool) where T: Num");
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                cx.output(DType::Bool, cx.broadcast()?)
            }
            fn grad(&self, _: &GradCx) -> Result<Grads> {
                Ok(grads![NoGrad, NoGrad])
            }
        }

        $(#[$doc])*
        #[track_caller]
        pub fn $function(x: impl Operand, y: impl Operand) -> Tensor {
            binary($op, stringify!($op), x, y)
        }
    )*};
}
comparison! {
    /// `x > y`.
    Greater greater "greater";
    /// `x >= y`.
    GreaterEqual greater_equal "greater_equal";
    /// `x < y`.
    Less less "less";
    /// `x <= y`.
    LessEqual less_equal "less_equal";
}
