//! The bits of integers.

use super::elementwise::unary_ops;
use super::math::{binary_functions, binary_ops};
use crate::attrs;
use crate::autodiff::{GradCx, Grads};
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    register_pairs(register_single(set))
}

unary_ops! { register_single, x -> y:
    /// Every bit the other way round.
    Invert: "Int", invert "tf.bitwise.invert";
}

binary_ops! { register_pairs:
    /// The bits that both `x` and `y` have.
    BitwiseAnd: "Int", known |x, y| Some(x & y);

    /// The bits that `x` or `y` has.
    BitwiseOr: "Int", known |x, y| Some(x | y);

    /// The bits that one of `x` and `y` has.
    BitwiseXor: "Int", known |x, y| Some(x ^ y);

    /// `x · 2ʸ`, less the bits that fall out. `y` counts as 0 if negative, and as all bits but one if it is larger than that.
    LeftShift: "Int";

    /// `floor(x / 2ʸ)`: the sign of `x` moves in. `y` counts as 0 if negative, and as all bits but one if it is larger than that.
    RightShift: "Int";
}

binary_functions! {
    /// The bits that both `x` and `y` have, of integers; shapes broadcast. TensorFlow: `tf.bitwise.bitwise_and`.
    bitwise_and BitwiseAnd "BitwiseAnd";
    /// The bits that `x` or `y` has, of integers; shapes broadcast. TensorFlow: `tf.bitwise.bitwise_or`.
    bitwise_or BitwiseOr "BitwiseOr";
    /// The bits that one of `x` and `y` has, of integers; shapes broadcast. TensorFlow: `tf.bitwise.bitwise_xor`.
    bitwise_xor BitwiseXor "BitwiseXor";
    /// `x · 2ʸ` of integers, less the bits that fall out; shapes broadcast. `y` is limited to `0..=bits - 1`. TensorFlow:
    /// `tf.bitwise.left_shift`.
    left_shift LeftShift "LeftShift";
    /// `floor(x / 2ʸ)` of integers; shapes broadcast. `y` is limited to `0..=bits - 1`. TensorFlow: `tf.bitwise.right_shift`.
    right_shift RightShift "RightShift";
}
