//! An op of one's own, in a crate of its own. `docs/adding_an_op.md` walks through it.
#![forbid(unsafe_code)]
#![cfg_attr(doctest, doc = include_str!("../../../docs/adding_an_op.md"))]

use tidemill::{
    self as tf, CpuKernel, GradCx, Grads, InferCx, KernelCx, Op, Result, Schema, Tensor, TensorType,
};

/// Exponential linear unit: `x` where `x > 0`, `alpha * (exp(x) - 1)` elsewhere; `alpha` is not negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Elu {
    /// What `-y` tends to for small `x`.
    pub alpha: f32,
}
tf::attrs!(Elu { alpha });

impl Op for Elu {
    const SCHEMA: Schema = Schema::new("Elu", "(features: T) -> (activations: T) where T: Float");

    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }

    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (y, dy) = (cx.y(0), cx.dy(0));
        let slope = tf::select(y.gt(0.0), tf::ones_like(y), y + self.alpha);
        Ok(tf::grads![dy * slope])
    }
}

impl CpuKernel for Elu {
    fn run(&self, cx: &mut KernelCx) -> Result<()> {
        let alpha = f64::from(self.alpha);
        cx.map(|x| if x > 0.0 { x } else { alpha * x.exp_m1() })
    }
}

/// [`Elu`] of a tensor of floats.
#[track_caller]
pub fn elu(features: Tensor, alpha: f32) -> Tensor {
    features.graph().add(Elu { alpha }, &[features])
}
