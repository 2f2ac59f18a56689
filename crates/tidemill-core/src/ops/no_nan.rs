//! Products and quotients in which a zero wins over infinities and NaN.

use super::math::{binary_functions, binary_ops};
use super::{cast, neg, not_equal, square};
use crate::attrs;
use crate::autodiff::{GradCx, Grads};
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;

binary_ops! { register:
    /// `x / y`, and 0 where `y` is 0.
    DivNoNan: "Float",
    grad |g| g.both(
        || div_no_nan(g.dz, g.y),
        || g.dz * div_no_nan(div_no_nan(neg(g.x), g.y), g.y),
    );

    /// `x · y`, and 0 where `y` is 0, even if `x` is infinite or NaN.
    MulNoNan: "Float",
    grad |g| g.both(|| multiply_no_nan(g.dz, g.y), || multiply_no_nan(g.x, g.dz));

    /// `x / y`, and 0 where `x` is 0.
    Xdivy: "Float",
    grad |g| g.both(
        || xdivy(not_zero(g.x), g.y) * g.dz,
        || xdivy(neg(g.x), square(g.y)) * g.dz,
    );

    /// `x · log y`, and 0 where `x` is 0.
    Xlogy: "Float",
    grad |g| g.both(|| xlogy(not_zero(g.x), g.y) * g.dz, || xdivy(g.x, g.y) * g.dz);

    /// `x · log(1 + y)`, and 0 where `x` is 0.
    Xlog1py: "Float",
    grad |g| g.both(|| xlog1py(not_zero(g.x), g.y) * g.dz, || xdivy(g.x, g.y + 1.0) * g.dz);
}

/// 1 where `x` is not 0, else 0.
fn not_zero(x: Tensor) -> Tensor {
    cast(not_equal(x, 0.0), x.dtype())
}

binary_functions! {
    /// `x / y`, and 0 where `y` is 0, of floats; shapes broadcast. TensorFlow: `tf.math.divide_no_nan`.
    div_no_nan DivNoNan "div_no_nan";
    /// `x · y`, and 0 where `y` is 0, of floats; shapes broadcast. TensorFlow: `tf.math.multiply_no_nan`.
    multiply_no_nan MulNoNan "multiply_no_nan";
    /// `x / y`, and 0 where `x` is 0, of floats; shapes broadcast. TensorFlow: `tf.math.xdivy`.
    xdivy Xdivy "Xdivy";
    /// `x · log y`, and 0 where `x` is 0, of floats; shapes broadcast. TensorFlow: `tf.math.xlogy`.
    xlogy Xlogy "Xlogy";
    /// `x · log(1 + y)`, and 0 where `x` is 0, of floats; shapes broadcast. TensorFlow: `tf.math.xlog1py`.
    xlog1py Xlog1py "Xlog1py";
}
