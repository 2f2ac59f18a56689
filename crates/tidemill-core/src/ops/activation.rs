//! Activation functions, and the ops that are their gradients.

use super::elementwise::{gradient_ops, unary_ops};
use super::{abs, conj, exp, less, select, sign, unary, zeros_like};
use crate::autodiff::{GradCx, Grads};
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    let set = register_gradients(register_features(register_functions(set)));
    set.with::<LeakyRelu>().with::<LeakyReluGrad>()
}

unary_ops! { register_functions, x -> y:
    /// The hyperbolic tangent.
    Tanh: "Float|Complex", tanh "tf.tanh", grad |g| g.by_result(TanhGrad);

    /// The logistic function `1 / (1 + e⁻ˣ)`.
    Sigmoid: "Float|Complex", sigmoid "tf.sigmoid", grad |g| g.by_result(SigmoidGrad);
}

unary_ops! { register_features, features -> activations:
    /// `max(features, 0)`.
    Relu: "Num", relu "tf.nn.relu", grad |g| g.y.graph().add(ReluGrad, &[g.dy, g.y]);

    /// `log(1 + eˣ)` for `x = features`.
    Softplus: "Float", softplus "tf.nn.softplus", grad |g| g.dy * sigmoid(g.x);

    /// `min(max(features, 0), 6)`.
    Relu6: "Num", relu6 "tf.nn.relu6", grad |g| g.y.graph().add(Relu6Grad, &[g.dy, g.y]);

    /// `x` where it is positive, `eˣ - 1` elsewhere, for `x = features` (Clevert et al., 2015).
    Elu: "Float", elu "tf.nn.elu", grad |g| g.y.graph().add(EluGrad, &[g.dy, g.y]);

    /// `1.0507 · x` where `x` is positive, `1.7581 · (eˣ - 1)` elsewhere, for `x = features` (Klambauer et al., 2017).
    Selu: "Float", selu "tf.nn.selu", grad |g| g.y.graph().add(SeluGrad, &[g.dy, g.y]);

    /// `x / (1 + |x|)` for `x = features`.
    Softsign: "Float", softsign "tf.nn.softsign", grad |g| g.y.graph().add(SoftsignGrad, &[g.dy, g.x]);
}

gradient_ops! { register_gradients:
    /// `dy (1 - y²)`: the gradient of [`Tanh`] from its result.
    TanhGrad "(y: T, dy: T) -> (z: T) where T: Float|Complex",
    da |g| conj(g.dz) * -2.0 * g.b * conj(g.a),
    db |g| g.op(TanhGrad, conj(g.a), g.dz);

    /// `dy y (1 - y)`: the gradient of [`Sigmoid`] from its result.
    SigmoidGrad "(y: T, dy: T) -> (z: T) where T: Float|Complex",
    da |g| {
        let gb = conj(g.dz) * g.b;
        gb - 2.0 * gb * conj(g.a)
    },
    db |g| g.op(SigmoidGrad, conj(g.a), g.dz);

    /// `gradients` where `features > 0`, 0 elsewhere: the gradient of [`Relu`] from its operand or its result.
    ReluGrad "(gradients: T, features: T) -> (backprops: T) where T: Num",
    da |g| g.op(ReluGrad, g.dz, g.b),
    db |g| zeros_like(g.b);

    /// `gradients · sigmoid(features)`: the gradient of [`Softplus`] from its operand.
    SoftplusGrad "(gradients: T, features: T) -> (backprops: T) where T: Float",
    da |g| g.op(SoftplusGrad, g.dz, g.b),
    db |g| g.dz * g.a / (exp(-g.b) + 2.0 + exp(g.b));

    /// `gradients` where `0 < features < 6`, 0 elsewhere: the gradient of [`Relu6`] from its operand or its result.
    Relu6Grad "(gradients: T, features: T) -> (backprops: T) where T: Num",
    da |g| g.op(Relu6Grad, g.dz, g.b),
    db |g| zeros_like(g.b);

    /// `gradients` where `outputs >= 0`, `gradients · (outputs + 1)` elsewhere: the gradient of [`Elu`] from its result.
    EluGrad "(gradients: T, outputs: T) -> (backprops: T) where T: Float",
    da |g| g.op(EluGrad, g.dz, g.b),
    db |g| where_negative(g.b, g.dz * g.a);

    /// `1.0507 · gradients` where `outputs >= 0`, `gradients · (outputs + 1.7581)` elsewhere: the gradient of [`Selu`] from its result.
    SeluGrad "(gradients: T, outputs: T) -> (backprops: T) where T: Float",
    da |g| g.op(SeluGrad, g.dz, g.b),
    db |g| where_negative(g.b, g.dz * g.a);

    /// `gradients / (1 + |features|)²`: the gradient of [`Softsign`] from its operand.
    SoftsignGrad "(gradients: T, features: T) -> (backprops: T) where T: Float",
    da |g| g.op(SoftsignGrad, g.dz, g.b),
    db |g| {
        let scale = 1.0 + abs(g.b);
        g.dz * g.a * (-2.0 * sign(g.b)) / (scale * scale * scale)
    };
}

/// `x` where `at` is negative, 0 elsewhere.
fn where_negative(at: Tensor, x: Tensor) -> Tensor {
    select(less(at, 0.0), x, zeros_like(at))
}

/// `x` where it is positive, `alpha · x` elsewhere, for `x = features`.
#[derive(Debug, Clone, PartialEq)]
pub struct LeakyRelu {
    /// The slope for negative `x`.
    pub alpha: f32,
}
attrs!(LeakyRelu { alpha });

impl Op for LeakyRelu {
    const SCHEMA: Schema = Schema::new("LeakyRelu", "(features: T) -> (activations: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let op = LeakyReluGrad { alpha: self.alpha };
        Ok(grads![cx.graph().add(op, &[cx.dy(0), cx.x(0)])])
    }
}

/// `gradients` where `features > 0`, `alpha · gradients` elsewhere: the gradient of [`LeakyRelu`].
#[derive(Debug, Clone, PartialEq)]
pub struct LeakyReluGrad {
    /// The slope for negative features.
    pub alpha: f32,
}
attrs!(LeakyReluGrad { alpha });

impl Op for LeakyReluGrad {
    const SCHEMA: Schema =
        Schema::new("LeakyReluGrad", "(gradients: T, features: T) -> (backprops: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(cx.dtype(0), cx.merged()?)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let first = cx.wanted(0, || cx.graph().add(self.clone(), &[cx.dy(0), cx.x(1)]));
        Ok(grads![first, cx.wanted(1, || zeros_like(cx.x(1)))])
    }
}

/// `x` where it is positive, `alpha · x` elsewhere, element by element, for `x = features` (floats). TensorFlow's default for
/// `alpha` is 0.2. TensorFlow: `tf.nn.leaky_relu`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [3]);
/// assert_eq!(ops::leaky_relu(x, 0.2).ty().to_string(), "f32[3]");
/// ```
#[track_caller]
pub fn leaky_relu(features: impl Into<Tensor>, alpha: f32) -> Tensor {
    unary(LeakyRelu { alpha }, "LeakyRelu", features)
}
