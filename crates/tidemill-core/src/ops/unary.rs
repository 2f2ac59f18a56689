//! Elementwise functions of one operand, and casts.

use tidemill_tensor::DType;

use super::elementwise::{gradient_ops, unary_ops};
use super::math::{holds, scalar_like};
use super::{add, conj, multiply, unary, zeros_like};
use crate::autodiff::{GradCx, Gradient, Grads, NoGrad};
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    let set = register_gradients(register_functions(set));
    set.with::<Neg>()
        .with::<Round>()
        .with::<Inv>()
        .with::<Cast>()
        .with::<IsNan>()
        .with::<IsInf>()
        .with::<IsFinite>()
}

unary_ops! { register_functions, x -> y:
    /// `|x|`. The most negative integer stays as it is.
    Abs: "Signed", abs "tf.abs", grad |g| g.dy * sign(g.x);

    /// -1, 0 or 1 as `x` is negative, zero or positive; NaN stays NaN.
    Sign: "Signed|Complex", sign "tf.sign", grad |g| zeros_like(g.x);

    /// `x²`.
    Square: "Num|Complex", square "tf.square", grad |g| multiply(g.dy, multiply(conj(g.x), scalar_like(g.x, "Const", 2.0)));

    /// `√x`; NaN for negative `x`.
    Sqrt: "Float|Complex", sqrt "tf.sqrt", grad |g| g.by_result(SqrtGrad);

    /// `1 / √x`; NaN for negative `x`.
    Rsqrt: "Float|Complex", rsqrt "tf.rsqrt", grad |g| g.by_result(RsqrtGrad);

    /// `1 / x`; of integers rounded towards zero, and zero fails the run.
    Reciprocal: "Signed|Complex", reciprocal "tf.reciprocal", grad |g| g.by_result(ReciprocalGrad);

    /// `eˣ`.
    Exp: "Float|Complex", exp "tf.exp", grad |g| g.dy * conj(g.y);

    /// `eˣ - 1`, accurate near 0.
    Expm1: "Float|Complex", expm1 "tf.expm1", grad |g| g.dy * exp(conj(g.x));

    /// The natural logarithm; -∞ at 0, NaN for negative `x`.
    Log: "Float|Complex", log "tf.log", grad |g| g.dy * reciprocal(conj(g.x));

    /// `log(1 + x)`, accurate near 0.
    Log1p: "Float|Complex", log1p "tf.log1p", grad |g| g.dy * reciprocal(add(1.0, conj(g.x)));

    /// The sine of an angle in radians.
    Sin: "Float|Complex", sin "tf.sin", grad |g| g.dy * cos(conj(g.x));

    /// The cosine of an angle in radians.
    Cos: "Float|Complex", cos "tf.cos", grad |g| -g.dy * sin(conj(g.x));

    /// The largest integer that is not above `x`.
    Floor: "Float", floor "tf.floor";

    /// The smallest integer that is not below `x`.
    Ceil: "Float", ceil "tf.ceil";

    /// The nearest integer, the even one of two that are equally near.
    Rint: "Float", rint "tf.rint";
}

gradient_ops! { register_gradients:
    /// `dy / (2 y)`: the gradient of [`Sqrt`] from its result.
    SqrtGrad "(y: T, dy: T) -> (z: T) where T: Float|Complex",
    da |g| -conj(g.dz / g.a) * g.z,
    db |g| 0.5 * (g.dz / g.a);

    /// `-dy y³ / 2`: the gradient of [`Rsqrt`] from its result.
    RsqrtGrad "(y: T, dy: T) -> (z: T) where T: Float|Complex",
    da |g| -1.5 * conj(g.dz) * g.b * square(conj(g.a)),
    db |g| g.op(RsqrtGrad, conj(g.a), g.dz);

    /// `-dy y²`: the gradient of [`Reciprocal`] from its result.
    ReciprocalGrad "(y: T, dy: T) -> (z: T) where T: Float|Complex",
    da |g| conj(g.dz) * -2.0 * g.b * conj(g.a),
    db |g| g.op(ReciprocalGrad, conj(g.a), g.dz);

    /// `-dy y²`: the older name of [`ReciprocalGrad`] in graph files.
    InvGrad "(y: T, dy: T) -> (z: T) where T: Float|Complex",
    da |g| conj(g.dz) * -2.0 * g.b * conj(g.a),
    db |g| g.op(ReciprocalGrad, conj(g.a), g.dz);
}

/// `-x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Neg;
attrs!(Neg {});

impl Op for Neg {
    const SCHEMA: Schema = Schema::new("Neg", "(x: T) -> (y: T) where T: Signed|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.dy_as_is(0).map(|dy: Gradient| dy.map(neg))])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let dtype = cx.dtype(0);
        let negated = |v: Option<i64>| v?.checked_neg().filter(|v| holds(dtype, *v));
        if dtype.is_integer() { Some(cx.known(0)?.into_iter().map(negated).collect()) } else { None }
    }
}

/// The nearest integer, the even one of two that are equally near.
#[derive(Debug, Clone, PartialEq)]
pub struct Round;
attrs!(Round {});

impl Op for Round {
    const SCHEMA: Schema = Schema::new("Round", "(x: T) -> (y: T) where T: Signed");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
}

/// `1 / x`: the older name of [`Reciprocal`] in graph files.
#[derive(Debug, Clone, PartialEq)]
pub struct Inv;
attrs!(Inv {});

impl Op for Inv {
    const SCHEMA: Schema = Schema::new("Inv", "(x: T) -> (y: T) where T: Signed|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(ReciprocalGrad, &[cx.y(0), cx.dy(0)])])
    }
}

/// Its operand, converted to another dtype.
///
/// Floats become integers by dropping the fraction, numbers become bools by comparing with zero, bools become 0 or 1, and
/// integers keep their low bits. A complex number becomes another dtype by its real part.
#[derive(Debug, Clone, PartialEq)]
pub struct Cast {
    /// The dtype of the result.
    pub dst: DType,
}
attrs!(Cast { dst: "DstT" });

impl Op for Cast {
    const SCHEMA: Schema = Schema::new("Cast", "(x: SrcT) -> (y: DstT)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(self.dst, cx.shape(0).clone())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let source = cx.x_type(0).dtype;
        let differentiable = source.is_inexact() && self.dst.is_inexact();
        Ok(grads![differentiable.then(|| cast(cx.dy(0), source))])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let converted = |v: Option<i64>| match self.dst {
            DType::Bool => v.map(|v| i64::from(v != 0)),
            dst => v.filter(|v| holds(dst, *v)),
        };
        let discrete = |dtype: DType| dtype.is_integer() || dtype == DType::Bool;
        let applies = discrete(cx.dtype(0)) && discrete(self.dst);
        if applies { Some(cx.known(0)?.into_iter().map(converted).collect()) } else { None }
    }
}

macro_rules! tests_of_floats {
    ($($(#[$doc:meta])* $op:ident $function:ident $tf:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op;
        attrs!($op {});

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), "(x: T) -> (y: bool) where T: Float");
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                cx.output(DType::Bool, cx.shape(0).clone())
            }
            fn grad(&self, _: &GradCx) -> Result<Grads> {
                Ok(grads![NoGrad])
            }
        }

        $(#[$doc])*
        ///
        #[doc = concat!("A `bool` for each element of `x`. TensorFlow: `", $tf, "`.")]
        #[track_caller]
        pub fn $function(x: impl Into<Tensor>) -> Tensor {
            unary($op, stringify!($op), x)
        }
    )*};
}

tests_of_floats! {
    /// Whether `x` is NaN.
    IsNan is_nan "tf.is_nan";
    /// Whether `x` is +∞ or -∞.
    IsInf is_inf "tf.is_inf";
    /// Whether `x` is neither infinite nor NaN.
    IsFinite is_finite "tf.is_finite";
}

/// `-x`, also written so, of the shape and dtype of `x` (floats, complex numbers and signed integers). TensorFlow: `tf.negative`.
#[track_caller]
pub fn neg(x: impl Into<Tensor>) -> Tensor {
    unary(Neg, "Neg", x)
}

/// The nearest integer to each element, the even one of two that are equally near, in the dtype of `x`; integers are
/// returned as they are. TensorFlow: `tf.round`.
#[track_caller]
pub fn round(x: impl Into<Tensor>) -> Tensor {
    let x = x.into();
    if x.dtype().is_integer() { x } else { unary(Round, "Round", x) }
}

/// `x` converted to `dtype`; `x` itself if it is of that dtype. Floats lose their fraction when they become integers,
/// numbers become bools by comparing with zero. Gradients flow between floats and complex numbers only. TensorFlow: `tf.cast`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let labels = g.placeholder(DType::I32, [200]);
/// let weights = ops::cast(labels, DType::F32);
/// assert_eq!(weights.ty().to_string(), "f32[200]");
/// assert_eq!(ops::cast(weights, DType::F32), weights);
/// ```
#[track_caller]
pub fn cast(x: impl Into<Tensor>, dtype: DType) -> Tensor {
    let x = x.into();
    if x.dtype() == dtype { x } else { unary(Cast { dst: dtype }, "Cast", x) }
}
