//! Trigonometric and hyperbolic functions and their inverses. Angles are in radians.

use super::elementwise::unary_ops;
use super::math::scalar_like;
use super::{cos, reciprocal, rsqrt, square};
use crate::autodiff::{GradCx, Grads};
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

unary_ops! { register, x -> y:
    /// The tangent.
    Tan: "Float", tan "tf.tan", grad |g| g.dy * square(reciprocal(cos(g.x)));

    /// The arc sine, from -π/2 to π/2; NaN where `|x| > 1`.
    Asin: "Float", asin "tf.asin", grad |g| g.dy * rsqrt(one(g.x) - square(g.x));

    /// The arc cosine, from 0 to π; NaN where `|x| > 1`.
    Acos: "Float", acos "tf.acos", grad |g| -g.dy * rsqrt(one(g.x) - square(g.x));

    /// The arc tangent, from -π/2 to π/2.
    Atan: "Float", atan "tf.atan", grad |g| g.dy * reciprocal(one(g.x) + square(g.x));

    /// The hyperbolic sine.
    Sinh: "Float", sinh "tf.sinh", grad |g| g.dy * cosh(g.x);

    /// The hyperbolic cosine.
    Cosh: "Float", cosh "tf.cosh", grad |g| g.dy * sinh(g.x);

    /// The inverse of the hyperbolic sine.
    Asinh: "Float", asinh "tf.asinh", grad |g| g.dy / cosh(g.y);

    /// The inverse of the hyperbolic cosine; NaN where `x < 1`.
    Acosh: "Float", acosh "tf.acosh", grad |g| g.dy / sinh(g.y);

    /// The inverse of the hyperbolic tangent; NaN where `|x| > 1`.
    Atanh: "Float", atanh "tf.atanh", grad |g| g.dy * reciprocal(one(g.x) - square(g.x));
}

fn one(like: Tensor) -> Tensor {
    scalar_like(like, "Const", 1.0)
}
