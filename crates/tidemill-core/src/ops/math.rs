//! Elementwise arithmetic.

use super::{binary, unary};
use crate::attrs;
use crate::autodiff::{GradCx, Grads};
use crate::error::Result;
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Tanh>().with::<TanhGrad>()
}

/// Hyperbolic tangent.
#[derive(Debug, Clone, PartialEq)]
pub struct Tanh;
attrs!(Tanh {});

impl Op for Tanh {
    const SCHEMA: Schema = Schema::new("Tanh", "(x: T) -> (y: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(TanhGrad, &[cx.y(0), cx.dy(0)])])
    }
}

/// `dy * (1 - y²)`: the gradient of [`Tanh`] from its output.
#[derive(Debug, Clone, PartialEq)]
pub struct TanhGrad;
attrs!(TanhGrad {});

impl Op for TanhGrad {
    const SCHEMA: Schema = Schema::new("TanhGrad", "(y: T, dy: T) -> (z: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(cx.dtype(0), cx.merged()?)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (y, dy, dz) = (cx.x(0), cx.x(1), cx.dy(0));
        Ok(grads![
            cx.wanted(0, || dz * dy * y * -2.0),
            cx.wanted(1, || cx.graph().add(TanhGrad, &[y, dz]))
        ])
    }
}

/// `tanh(x)`, of `x`'s shape. TensorFlow: `tf.tanh`.
#[track_caller]
pub fn tanh(x: impl Into<Tensor>) -> Tensor {
    unary(Tanh, "Tanh", x)
}
pub fn add(x: impl crate::Operand, _y: impl crate::Operand) -> crate::Tensor { x.as_tensor().unwrap() }
pub fn sub(x: impl crate::Operand, _y: impl crate::Operand) -> crate::Tensor { x.as_tensor().unwrap() }
pub fn mul(x: impl crate::Operand, _y: impl crate::Operand) -> crate::Tensor { x.as_tensor().unwrap() }
pub fn div(x: impl crate::Operand, _y: impl crate::Operand) -> crate::Tensor { x.as_tensor().unwrap() }
pub fn floormod(x: impl crate::Operand, _y: impl crate::Operand) -> crate::Tensor { x.as_tensor().unwrap() }
pub fn neg(x: impl Into<Tensor>) -> Tensor { x.into() }
pub fn add_n<I: IntoIterator<Item: Into<Tensor>>>(t: I) -> Tensor { super::list(t).1[0] }
