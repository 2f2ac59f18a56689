//! Special functions: error functions, the gamma family, Bessel functions and integrals without closed form.
//!
//! Definitions are those of TensorFlow's `tf.math` and `tf.special`, which follow Cephes.

use std::f64::consts::PI;

use tidemill_tensor::PartialShape;

use super::broadcast::unbroadcast_from;
use super::elementwise::unary_ops;
use super::math::{binary_functions, binary_ops};
use super::{cos, equal, exp, log, neg, ones_like, reciprocal, select, sign, sin, square, xlog1py, xlogy};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    let set = register_pairs(register_bessel(register_functions(set)));
    set.with::<IgammaGradA>().with::<RandomGammaGrad>().with::<Betainc>()
}

unary_ops! { register_functions, x -> y:
    /// The error function `2/√π ∫₀ˣ exp(-t²) dt`.
    Erf: "Float", erf "tf.math.erf", grad |g| g.dy * (exp(neg(square(g.x))) * (2.0 / PI.sqrt()));

    /// `1 - erf(x)`, accurate where it is small.
    Erfc: "Float", erfc "tf.math.erfc", grad |g| g.dy * (exp(neg(square(g.x))) * (-2.0 / PI.sqrt()));

    /// The inverse of [`Erf`]; ±∞ at ±1, NaN beyond.
    Erfinv: "Float", erfinv "tf.math.erfinv", grad |g| g.dy * (exp(square(g.y)) * (PI.sqrt() / 2.0));

    /// The quantile of the standard normal distribution below which `x` of its mass lies; NaN outside of `[0, 1]`.
    Ndtri: "Float", ndtri "tf.math.ndtri", grad |g| g.dy * (exp(square(g.y) * 0.5) * (2.0 * PI).sqrt());

    /// `log |Γ(x)|`; ∞ at 0 and the negative integers.
    Lgamma: "Float", lgamma "tf.math.lgamma", grad |g| g.dy * digamma(g.x);

    /// The derivative of `log Γ(x)`; NaN at 0 and the negative integers.
    Digamma: "Float", digamma "tf.math.digamma", grad |g| g.dy * polygamma(ones_like(g.x), g.x);

    /// Dawson's integral `exp(-x²) ∫₀ˣ exp(t²) dt`.
    Dawsn: "Float", dawsn "tf.math.special.dawsn", grad |g| g.dy * (1.0 - 2.0 * g.x * g.y);

    /// The exponential integral `Ei(x)`, the principal value of `∫ exp(t)/t dt` from -∞ to `x`; NaN where `x < 0`, as in TensorFlow.
    Expint: "Float", expint "tf.math.special.expint", grad |g| g.dy * exp(g.x) / g.x;

    /// Fresnel's cosine integral `∫₀ˣ cos(πt²/2) dt`.
    FresnelCos: "Float", fresnel_cos "tf.math.special.fresnel_cos", grad |g| g.dy * cos(square(g.x) * (PI / 2.0));

    /// Fresnel's sine integral `∫₀ˣ sin(πt²/2) dt`.
    FresnelSin: "Float", fresnel_sin "tf.math.special.fresnel_sin", grad |g| g.dy * sin(square(g.x) * (PI / 2.0));

    /// Spence's integral, the dilogarithm `-∫₁ˣ log(t)/(t - 1) dt`; NaN where `x < 0`.
    Spence: "Float", spence "tf.math.special.spence", grad |g| {
        let slope = log(g.x) / (1.0 - g.x);
        g.dy * select(equal(g.x, 1.0), neg(ones_like(g.x)), slope)
    };
}

unary_ops! { register_bessel, x -> y:
    /// The modified Bessel function of the first kind of order 0.
    BesselI0: "Float", bessel_i0 "tf.math.bessel_i0", grad |g| g.dy * bessel_i1(g.x);

    /// `exp(-|x|) I₀(x)`.
    BesselI0e: "Float", bessel_i0e "tf.math.bessel_i0e", grad |g| g.dy * (bessel_i1e(g.x) - sign(g.x) * g.y);

    /// The modified Bessel function of the first kind of order 1.
    BesselI1: "Float", bessel_i1 "tf.math.bessel_i1", grad |g| g.dy * at_zero(g.x, 0.5, bessel_i0(g.x) - g.y / g.x);

    /// `exp(-|x|) I₁(x)`.
    BesselI1e: "Float", bessel_i1e "tf.math.bessel_i1e", grad |g| {
        let slope = bessel_i0e(g.x) - g.y * (sign(g.x) + reciprocal(g.x));
        g.dy * at_zero(g.x, 0.5, slope)
    };

    /// The modified Bessel function of the second kind of order 0; ∞ where `x <= 0`.
    BesselK0: "Float", bessel_k0 "tf.math.special.bessel_k0", grad |g| g.dy * neg(bessel_k1(g.x));

    /// `exp(x) K₀(x)`.
    BesselK0e: "Float", bessel_k0e "tf.math.special.bessel_k0e", grad |g| g.dy * (g.y - bessel_k1e(g.x));

    /// The modified Bessel function of the second kind of order 1; ∞ where `x <= 0`.
    BesselK1: "Float", bessel_k1 "tf.math.special.bessel_k1", grad |g| g.dy * (neg(bessel_k0(g.x)) - g.y / g.x);

    /// `exp(x) K₁(x)`.
    BesselK1e: "Float", bessel_k1e "tf.math.special.bessel_k1e",
        grad |g| g.dy * (g.y * (1.0 - reciprocal(g.x)) - bessel_k0e(g.x));

    /// The Bessel function of the first kind of order 0.
    BesselJ0: "Float", bessel_j0 "tf.math.special.bessel_j0", grad |g| g.dy * neg(bessel_j1(g.x));

    /// The Bessel function of the first kind of order 1.
    BesselJ1: "Float", bessel_j1 "tf.math.special.bessel_j1", grad |g| g.dy * at_zero(g.x, 0.5, bessel_j0(g.x) - g.y / g.x);

    /// The Bessel function of the second kind of order 0; -∞ where `x <= 0`.
    BesselY0: "Float", bessel_y0 "tf.math.special.bessel_y0", grad |g| g.dy * neg(bessel_y1(g.x));

    /// The Bessel function of the second kind of order 1; -∞ where `x <= 0`.
    BesselY1: "Float", bessel_y1 "tf.math.special.bessel_y1", grad |g| g.dy * (bessel_y0(g.x) - g.y / g.x);
}

/// `slope`, but `value` where `x` is 0, at which the formula for it has no value.
fn at_zero(x: Tensor, value: f64, slope: Tensor) -> Tensor {
    select(equal(x, 0.0), ones_like(x) * value, slope)
}

binary_ops! { register_pairs:
    /// The regularised lower incomplete gamma function `1/Γ(a) ∫₀ˣ t^(a-1) exp(-t) dt`; NaN where `a <= 0` or `x < 0`.
    Igamma(a, x): "Float",
    grad |g| g.both(|| g.node(IgammaGradA, g.x, g.y) * g.dz, || gamma_density(g.x, g.y) * g.dz);

    /// The regularised upper incomplete gamma function, `1 - igamma(a, x)`, accurate where it is small.
    Igammac(a, x): "Float",
    grad |g| g.both(|| neg(g.node(IgammaGradA, g.x, g.y) * g.dz), || neg(gamma_density(g.x, g.y) * g.dz));

    /// Hurwitz's zeta function `Σ (q + n)^-x` for `n` from 0. The gradient flows into `q`.
    Zeta(x, q): "Float",
    grad |g| g.second(|| neg(g.x) * zeta(g.x + 1.0, g.y) * g.dz);

    /// The derivative of order `a` of [`Digamma`] at `x`; NaN unless `a` is a natural number. The gradient flows into `x`.
    Polygamma(a, x): "Float",
    grad |g| g.second(|| polygamma(g.x + 1.0, g.y) * g.dz);
}

/// The density of the gamma distribution of shape `a` at `x`.
fn gamma_density(a: Tensor, x: Tensor) -> Tensor {
    exp(neg(x) + (a - 1.0) * log(x) - lgamma(a))
}

/// Two operands that broadcast, and no gradient.
macro_rules! without_gradient {
    ($($(#[$doc:meta])* $op:ident $signature:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op;
        attrs!($op {});

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                cx.output(cx.dtype(0), cx.broadcast()?)
            }
        }
    )*};
}

without_gradient! {
    /// The derivative of [`Igamma`] with respect to `a`.
    IgammaGradA "(a: T, x: T) -> (z: T) where T: Float";

    /// The derivative of a sample of the gamma distribution of shape `alpha` with respect to `alpha`, through the distribution function
    /// (Figurnov, Mohamed and Mnih, 2018).
    RandomGammaGrad "(alpha: T, sample: T) -> (output: T) where T: Float";
}

/// The regularised incomplete beta function `Γ(a+b)/(Γ(a)Γ(b)) ∫₀ˣ t^(a-1) (1-t)^(b-1) dt`; NaN where `a <= 0`, `b <= 0`, or `x` is
/// outside of `[0, 1]`. Operands that are not scalars have one shape. The gradient flows into `x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Betainc;
attrs!(Betainc {});

impl Op for Betainc {
    const SCHEMA: Schema = Schema::new("Betainc", "(a: T, b: T, x: T) -> (z: T) where T: f32|f64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let mut result = PartialShape::from(());
        for input in cx.inputs() {
            let shape = &input.shape;
            result = match (result.rank(), shape.rank()) {
                (_, Some(0)) => result,
                (Some(0), _) => shape.clone(),
                _ => result.merge(shape).ok_or_else(|| {
                    Error::invalid(format!(
                        "the shapes {result} and {shape} differ, and neither is a scalar's"
                    ))
                })?,
            };
        }
        // An operand of unknown rank may be a scalar, and then says nothing.
        let certain = cx.inputs().iter().all(|t| t.shape.rank().is_some());
        cx.output(cx.dtype(0), if certain { result } else { PartialShape::unknown() })
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let [a, b, x] = [0, 1, 2].map(|i| cx.x(i));
        let dx = cx.wanted(2, || {
            let log_beta = lgamma(a) + lgamma(b) - lgamma(a + b);
            let density = exp(xlog1py(b - 1.0, neg(x)) + xlogy(a - 1.0, x) - log_beta);
            unbroadcast_from(density * cx.dy(0), x, cx.y(0))
        });
        Ok(grads![NoGrad, NoGrad, dx])
    }
}

binary_functions! {
    /// `1/Γ(a) ∫₀ˣ t^(a-1) exp(-t) dt`, of floats; shapes broadcast. NaN where `a <= 0` or `x < 0`. TensorFlow: `tf.math.igamma`.
    igamma Igamma "Igamma";
    /// `1 - igamma(a, x)`, accurate where it is small; shapes broadcast. TensorFlow: `tf.math.igammac`.
    igammac Igammac "Igammac";
    /// `Σ (q + n)^-x` for `n` from 0, of floats; shapes broadcast. The gradient flows into `q`. TensorFlow: `tf.math.zeta`.
    zeta Zeta "Zeta";
    /// The derivative of order `a` of [`digamma`] at `x`, of floats; shapes broadcast. The gradient flows into `x`. TensorFlow:
    /// `tf.math.polygamma`.
    polygamma Polygamma "Polygamma";
}

/// The regularised incomplete beta function `Γ(a+b)/(Γ(a)Γ(b)) ∫₀ˣ t^(a-1) (1-t)^(b-1) dt`, of `f32` or `f64`. The gradient flows into `x`.
/// TensorFlow: `tf.math.betainc`.
///
/// # Panics
/// When operands that are not scalars differ in shape.
#[track_caller]
pub fn betainc(a: impl Into<Tensor>, b: impl Into<Tensor>, x: impl Into<Tensor>) -> Tensor {
    let a = a.into();
    a.graph().op(Betainc).input(a).input(b).input(x).tensor()
}
