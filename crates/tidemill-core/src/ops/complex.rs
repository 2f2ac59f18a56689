//! Complex numbers: their parts, and what puts them together.
//!
//! The gradient of a real loss with respect to a complex `z = x + iy` is `∂L/∂x + i ∂L/∂y`, as in TensorFlow; so the rules of
//! holomorphic ops multiply by the conjugate of the derivative ([`conj`], which leaves real numbers alone).

use tidemill_tensor::Value;

use super::broadcast::unbroadcast;
use super::{Const, Select, equal, ones_like, reciprocal, unary, zeros_like};
use crate::autodiff::{GradCx, Grads};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Angle>().with::<Complex>().with::<ComplexAbs>().with::<Conj>().with::<Imag>().with::<Real>()
}

/// `real + i imag`; operands broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct Complex;
attrs!(Complex {});

impl Op for Complex {
    const SCHEMA: Schema =
        Schema::new("Complex", "(real: T, imag: T) -> (out: Tout) where T: f32|f64, Tout: Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let dtype =
            cx.dtype(0).complex().ok_or_else(|| Error::internal("the signature admits f32 and f64"))?;
        cx.output(dtype, cx.broadcast()?)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let dz = cx.dy(0);
        Ok(unbroadcast(cx, cx.needs(0).then(|| real(dz)), cx.needs(1).then(|| imag(dz))))
    }
}

/// `x - iy` for `x + iy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Conj;
attrs!(Conj {});

impl Op for Conj {
    const SCHEMA: Schema = Schema::new("Conj", "(input: T) -> (output: T) where T: Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![conj(cx.dy(0))])
    }
}

/// What the gradient rule of a part of a complex number sees.
struct Part {
    z: Tensor,
    part: Tensor,
    dy: Tensor,
}

/// A row: documentation, op and names of operand and result, function and its name in TensorFlow, gradient.
macro_rules! parts {
    ($($(#[$doc:meta])* $op:ident $signature:literal, $function:ident $tf:literal, real $of_real:expr, grad $grad:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op;
        attrs!($op {});

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                cx.output(cx.dtype(0).real(), cx.shape(0).clone())
            }
            fn grad(&self, cx: &GradCx) -> Result<Grads> {
                let rule: fn(&Part) -> Tensor = $grad;
                Ok(grads![rule(&Part { z: cx.x(0), part: cx.y(0), dy: cx.dy(0) })])
            }
        }

        $(#[$doc])*
        ///
        #[doc = concat!(
            "Of the shape of `input`, as `f32` or `f64`; of a real number accordingly. TensorFlow: `", $tf, "`."
        )]
        #[track_caller]
        pub fn $function(input: impl Into<Tensor>) -> Tensor {
            let input = input.into();
            let of_real: fn(Tensor) -> Tensor = $of_real;
            if input.dtype().is_complex() { unary($op, stringify!($op), input) } else { of_real(input) }
        }
    )*};
}

parts! {
    /// The real part of a complex number.
    Real "(input: T) -> (output: Tout) where T: Complex, Tout: f32|f64",
    real "tf.real",
    real |x| x,
    grad |p| complex(p.dy, zeros_like(p.dy));

    /// The imaginary part of a complex number.
    Imag "(input: T) -> (output: Tout) where T: Complex, Tout: f32|f64",
    imag "tf.imag",
    real zeros_like,
    grad |p| complex(zeros_like(p.dy), p.dy);

    /// The modulus `√(x² + y²)` of a complex number `x + iy`. Its gradient at 0 is taken to be 0.
    ComplexAbs "(x: T) -> (y: Tout) where T: Complex, Tout: f32|f64",
    complex_abs "tf.abs",
    real super::abs,
    grad |p| {
        let modulus = p.z.graph().add(Select, &[equal(p.part, 0), ones_like(p.part), p.part]);
        let (dy, modulus) = (complex(p.dy, zeros_like(p.dy)), complex(modulus, zeros_like(modulus)));
        dy * p.z / modulus
    };

    /// The argument of a complex number in radians, from -π to π.
    Angle "(input: T) -> (output: Tout) where T: Complex, Tout: f32|f64",
    angle "tf.angle",
    real |x| {
        let pi = x.graph().op(Const { value: Value::scalar(std::f64::consts::PI).cast(x.dtype()) }).tensor();
        super::select(super::less(x, 0), pi, zeros_like(x))
    },
    grad |p| {
        let z = reciprocal(complex(imag(p.z), real(p.z)));
        -complex(p.dy, zeros_like(p.dy)) * z
    };
}

/// `real + i imag`, as `c64` of `f32` and `c128` of `f64`; shapes broadcast. TensorFlow: `tf.complex`.
///
/// # Panics
/// When the parts are not both `f32` or both `f64`, or their shapes do not broadcast.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let (x, y) = (g.placeholder(DType::F32, [3]), g.placeholder(DType::F32, [3]));
/// let z = ops::complex(x, y);
/// assert_eq!(z.ty().to_string(), "c64[3]");
/// assert_eq!(ops::imag(z).dtype(), DType::F32);
/// ```
#[track_caller]
pub fn complex(real: impl Into<Tensor>, imag: impl Into<Tensor>) -> Tensor {
    let real = real.into();
    real.graph().op(Complex).input(real).input(imag.into()).tensor()
}

/// The conjugate of each complex number; what is real is returned as it is. TensorFlow: `tf.conj`.
#[track_caller]
pub fn conj(input: impl Into<Tensor>) -> Tensor {
    let input = input.into();
    if input.dtype().is_complex() { unary(Conj, "Conj", input) } else { input }
}
