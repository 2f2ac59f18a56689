//! Activation functions, and the ops that are their gradients.

use super::elementwise::{gradient_ops, unary_ops};
use super::{exp, zeros_like};
use crate::autodiff::{GradCx, Grads};
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    register_gradients(register_features(register_functions(set)))
}

unary_ops! { register_functions, x -> y:
    /// The hyperbolic tangent.
    Tanh: "Float", tanh "tf.tanh", grad |g| g.by_result(TanhGrad);

    /// The logistic function `1 / (1 + e⁻ˣ)`.
    Sigmoid: "Float", sigmoid "tf.sigmoid", grad |g| g.by_result(SigmoidGrad);
}

unary_ops! { register_features, features -> activations:
    /// `max(features, 0)`.
    Relu: "Num", relu "tf.nn.relu", grad |g| g.y.graph().add(ReluGrad, &[g.dy, g.y]);

    /// `log(1 + eˣ)` for `x = features`.
    Softplus: "Float", softplus "tf.nn.softplus", grad |g| g.dy * sigmoid(g.x);
}

gradient_ops! { register_gradients:
    /// `dy (1 - y²)`: the gradient of [`Tanh`] from its result.
    TanhGrad "(y: T, dy: T) -> (z: T) where T: Float",
    da |g| g.dz * -2.0 * g.b * g.a,
    db |g| g.op(TanhGrad, g.a, g.dz);

    /// `dy y (1 - y)`: the gradient of [`Sigmoid`] from its result.
    SigmoidGrad "(y: T, dy: T) -> (z: T) where T: Float",
    da |g| {
        let gb = g.dz * g.b;
        gb - 2.0 * gb * g.a
    },
    db |g| g.op(SigmoidGrad, g.a, g.dz);

    /// `gradients` where `features > 0`, 0 elsewhere: the gradient of [`Relu`] from its operand or its result.
    ReluGrad "(gradients: T, features: T) -> (backprops: T) where T: Num",
    da |g| g.op(ReluGrad, g.dz, g.b),
    db |g| zeros_like(g.b);

    /// `gradients · sigmoid(features)`: the gradient of [`Softplus`] from its operand.
    SoftplusGrad "(gradients: T, features: T) -> (backprops: T) where T: Float",
    da |g| g.op(SoftplusGrad, g.dz, g.b),
    db |g| g.dz * g.a / (exp(-g.b) + 2.0 + exp(g.b));
}
