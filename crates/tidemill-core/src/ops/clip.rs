//! Values kept within bounds, compared within a tolerance, and checked.

use tidemill_tensor::DType;

use super::broadcast::unbroadcast_from;
use super::{greater, less, logical_or, select, zeros_like};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<ClipByValue>().with::<ApproximateEqual>().with::<CheckNumerics>()
}

/// `min(max(t, clip_value_min), clip_value_max)`. Each bound is a scalar or has the shape of `t`. Where a bound is taken, the
/// gradient goes to it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipByValue;
attrs!(ClipByValue {});

impl Op for ClipByValue {
    const SCHEMA: Schema = Schema::new(
        "ClipByValue",
        "(t: T, clip_value_min: T, clip_value_max: T) -> (output: T) where T: Num",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        for (i, name) in [(1, "clip_value_min"), (2, "clip_value_max")] {
            let (bound, t) = (cx.shape(i), cx.shape(0));
            if bound.rank() != Some(0) && bound.merge(t).is_none() {
                return Err(Error::invalid(format!(
                    "`{name}` has shape {bound}, which is neither a scalar's nor that of `t`, {t}"
                )));
            }
        }
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let ([t, low, high], dy) = ([0, 1, 2].map(|i| cx.x(i)), cx.dy(0));
        let zeros = zeros_like(dy);
        let (below, above) = (less(t, low), greater(t, high));
        let to_bound = |i: usize, taken: Tensor| {
            cx.wanted(i, || unbroadcast_from(select(taken, dy, zeros), cx.x(i), cx.y(0)))
        };
        let dt = cx.wanted(0, || select(logical_or(below, above), zeros, dy));
        Ok(grads![dt, to_bound(1, below), to_bound(2, above)])
    }
}

/// Whether `|x - y| < tolerance`. Both operands have one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct ApproximateEqual {
    /// What the distance stays below.
    pub tolerance: f32,
}
attrs!(ApproximateEqual { tolerance });

impl Op for ApproximateEqual {
    const SCHEMA: Schema = Schema::new("ApproximateEqual", "(x: T, y: T) -> (z: bool) where T: Num");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(DType::Bool, cx.merged()?)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad])
    }
}

/// `tensor` as it is; the run fails, with `message`, if an element is infinite or NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckNumerics {
    /// What the error says.
    pub message: String,
}
attrs!(CheckNumerics { message });

impl Op for CheckNumerics {
    const SCHEMA: Schema = Schema::new("CheckNumerics", "(tensor: T) -> (output: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let message = "Not a number (NaN) or infinity (Inf) values detected in gradient.".to_owned();
        Ok(grads![cx.graph().add(CheckNumerics { message }, &[cx.dy(0)])])
    }
}

/// Whether `|x - y| < tolerance`, element by element, of numbers of one shape. TensorFlow: `tf.math.approximate_equal`, whose
/// default tolerance is `1e-5`.
///
/// # Panics
/// When shapes or dtypes differ, or neither operand is a tensor.
#[track_caller]
pub fn approximate_equal(x: impl Operand, y: impl Operand, tolerance: f32) -> Tensor {
    super::binary(ApproximateEqual { tolerance }, "ApproximateEqual", x, y)
}

/// `tensor` as it is; a run in which an element is infinite or NaN fails with `message`. TensorFlow: `tf.check_numerics`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let loss = g.placeholder(DType::F32, ());
/// assert_eq!(ops::check_numerics(loss, "the loss").ty().to_string(), "f32[]");
/// ```
#[track_caller]
pub fn check_numerics(tensor: impl Into<Tensor>, message: &str) -> Tensor {
    super::unary(CheckNumerics { message: message.to_owned() }, "CheckNumerics", tensor)
}
