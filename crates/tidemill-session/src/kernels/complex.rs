//! Kernels for complex numbers: of `ops::complex`, and of elementwise ops whose formula differs from that for real numbers.

use tidemill_core::ops::{
    Add, AddN, AddV2, Angle, Complex as Join, ComplexAbs, Conj, Cos, Div, Exp, Expm1, Imag, Inv, InvGrad,
    Log, Log1p, Mul, Neg, Pow, Real as RealPart, RealDiv, Reciprocal, ReciprocalGrad, Rsqrt, RsqrtGrad,
    Sigmoid, SigmoidGrad, Sign, Sin, Sqrt, SqrtGrad, Square, SquaredDifference, Sub, Tanh, TanhGrad,
};
use tidemill_core::{Error, Result};
use tidemill_tensor::{Complex, Element, dispatch_complex};

use super::elementwise::{map1, map2};
use super::{CompileCx, Compiled, KernelTable};

/// `f32` or `f64`, as a part of complex numbers.
pub(super) trait Part: Element + num_traits::Float + num_traits::FloatConst {}
impl Part for f32 {}
impl Part for f64 {}

fn unsupported(cx: &CompileCx) -> Result<Compiled> {
    Err(Error::unimplemented(format!("this op for {}", cx.dtype(0))))
}

/// Functions of one complex number, or of two of one shape. A row: the op, its operands, its value.
macro_rules! complex_functions {
    ($register:ident: $($op:ident($($z:ident),+) => $value:expr;)*) => {
        fn $register(table: &mut KernelTable) {
            $(table.complex::<$op>(|_, cx| complex_functions!(@map cx ($($z)+) $value));)*
        }
    };
    (@map $cx:ident ($z:ident) $value:expr) => {
        dispatch_complex!(
            $cx.dtype(0),
            R => map1::<Complex<R>, Complex<R>>($cx, |$z: Complex<R>| $value),
            else => unsupported($cx),
        )
    };
    (@map $cx:ident ($z:ident $w:ident) $value:expr) => {
        dispatch_complex!(
            $cx.dtype(0),
            R => map2::<Complex<R>, Complex<R>>($cx, |$z: Complex<R>, $w: Complex<R>| $value),
            else => unsupported($cx),
        )
    };
}

complex_functions! { register_functions:
    Add(z, w) => z + w;
    AddV2(z, w) => z + w;
    Sub(z, w) => z - w;
    Mul(z, w) => z * w;
    Div(z, w) => z / w;
    RealDiv(z, w) => z / w;
    Pow(z, w) => power(z, w);
    SquaredDifference(z, w) => Complex::new((z - w).norm_sqr(), 0.0);
    Conj(z) => z.conj();
    Neg(z) => -z;
    Square(z) => z * z;
    Sign(z) => if z == Complex::ZERO { z } else { z / z.norm() };
    Reciprocal(z) => reciprocal(z);
    Inv(z) => reciprocal(z);
    Sqrt(z) => z.sqrt();
    Rsqrt(z) => reciprocal(z.sqrt());
    Exp(z) => exponential(z);
    Expm1(z) => expm1(z);
    Log(z) => z.ln();
    Log1p(z) => log1p(z);
    Sin(z) => z.sin();
    Cos(z) => z.cos();
    Tanh(z) => tanh(z);
    Sigmoid(z) => sigmoid(z);
    SqrtGrad(y, dy) => dy * 0.5 / y.conj();
    RsqrtGrad(y, dy) => dy * -0.5 * (y * y * y).conj();
    ReciprocalGrad(y, dy) => -dy * (y * y).conj();
    InvGrad(y, dy) => -dy * (y * y).conj();
    TanhGrad(y, dy) => dy - dy * (y * y).conj();
    SigmoidGrad(y, dy) => dy * (y - y * y).conj();
}

pub(super) fn register(table: &mut KernelTable) {
    register_functions(table);
    table.complex::<AddN>(|_, cx| super::math::add_n(cx));
    table.compiled::<Join>(|_, cx| {
        dispatch_complex!(
            cx.output_dtype(0),
            R => map2::<R, Complex<R>>(cx, |x: R, y: R| Complex::new(x, y)),
            else => unsupported(cx),
        )
    });
    table.compiled::<RealPart>(|_, cx| part(cx, Which::Real));
    table.compiled::<Imag>(|_, cx| part(cx, Which::Imaginary));
    table.compiled::<ComplexAbs>(|_, cx| part(cx, Which::Modulus));
    table.compiled::<Angle>(|_, cx| part(cx, Which::Argument));
}

enum Which {
    Real,
    Imaginary,
    Modulus,
    Argument,
}

fn part(cx: &CompileCx, which: Which) -> Result<Compiled> {
    dispatch_complex!(cx.dtype(0), R => match which {
        Which::Real => map1::<Complex<R>, R>(cx, |z: Complex<R>| z.re),
        Which::Imaginary => map1::<Complex<R>, R>(cx, |z: Complex<R>| z.im),
        Which::Modulus => map1::<Complex<R>, R>(cx, |z: Complex<R>| z.norm()),
        Which::Argument => map1::<Complex<R>, R>(cx, |z: Complex<R>| z.arg()),
    }, else => unsupported(cx))
}

fn reciprocal<R: Part>(z: Complex<R>) -> Complex<R> {
    Complex::new(R::one(), R::zero()) / z
}

/// `eᶻ`; a real number stays real where the exponential overflows.
fn exponential<R: Part>(z: Complex<R>) -> Complex<R> {
    if z.im == R::zero() { Complex::new(z.re.exp(), z.im) } else { z.exp() }
}

/// `1 / (1 + e⁻ᶻ)`, by whichever exponential does not overflow.
fn sigmoid<R: Part>(z: Complex<R>) -> Complex<R> {
    if z.re >= R::zero() {
        reciprocal(exponential(-z) + R::one())
    } else {
        let e = exponential(z);
        e / (e + R::one())
    }
}

/// The hyperbolic tangent: `±1` where the sines and cosines that it is made of would overflow.
fn tanh<R: Part>(z: Complex<R>) -> Complex<R> {
    if z.re.abs() > R::from(40.0).unwrap_or_else(R::max_value) {
        return Complex::new(z.re.signum(), R::zero());
    }
    z.tanh()
}

/// `eᶻ - 1` without losing the digits of a small `z`.
fn expm1<R: Part>(z: Complex<R>) -> Complex<R> {
    let (half_sin, two) = ((z.im / (R::one() + R::one())).sin(), R::one() + R::one());
    // eˣ cos y - 1 = expm1(x) cos y - 2 sin²(y/2)
    Complex::new(z.re.exp_m1() * z.im.cos() - two * half_sin * half_sin, z.re.exp() * z.im.sin())
}

/// `log(1 + z)` without losing the digits of a small `z`.
fn log1p<R: Part>(z: Complex<R>) -> Complex<R> {
    let half = R::one() / (R::one() + R::one());
    let small = z.re.abs() < half && z.im.abs() < half;
    let shifted = Complex::new(R::one() + z.re, z.im);
    let re = match small {
        // |1 + z|² = 1 + (2x + x² + y²)
        true => half * (z.re + z.re + z.re * z.re + z.im * z.im).ln_1p(),
        false => shifted.norm().ln(),
    };
    Complex::new(re, shifted.arg())
}

/// `zʷ`, with `z⁰ = 1` and `0ʷ = 0`.
fn power<R: Part>(z: Complex<R>, w: Complex<R>) -> Complex<R> {
    let zero = Complex::new(R::zero(), R::zero());
    if w == zero {
        return Complex::new(R::one(), R::zero());
    }
    if z == zero {
        return zero;
    }
    let log = Complex::new(z.norm().ln(), z.arg());
    exponential(log * w)
}

#[cfg(test)]
mod tests {
    use tidemill_core::Value;

    use super::super::testing::eval;
    use super::*;

    #[track_caller]
    fn check(op: impl tidemill_core::Op, inputs: &[Value], want: impl Into<Value>) {
        let (got, want) = (&eval(op, inputs)[0], want.into());
        assert!(got.allclose(&want, 1e-12, 1e-12), "{got} is not {want}");
    }

    fn c(re: f64, im: f64) -> Complex<f64> {
        Complex::new(re, im)
    }

    #[test]
    fn parts() {
        let z = || Value::from([c(3.0, -4.0), c(-1.0, 0.0)]);
        check(RealPart, &[z()], [3.0, -1.0]);
        check(Imag, &[z()], [-4.0, 0.0]);
        check(ComplexAbs, &[z()], [5.0, 1.0]);
        check(Angle, &[z()], [-0.927_295_218_001_612_2, std::f64::consts::PI]);
        check(Conj, &[z()], [c(3.0, 4.0), c(-1.0, 0.0)]);
        check(Join, &[[1.0, 2.0].into(), 3.0.into()], [c(1.0, 3.0), c(2.0, 3.0)]);
    }

    #[test]
    fn functions() {
        let (z, w) = ([c(1.0, 2.0)], [c(3.0, -1.0)]);
        check(Mul, &[z.into(), w.into()], [c(5.0, 5.0)]);
        check(RealDiv, &[z.into(), w.into()], [c(0.1, 0.7)]);
        check(SquaredDifference, &[z.into(), w.into()], [c(13.0, 0.0)]);
        check(Exp, &[z.into()], [c(-1.131_204_383_756_813_7, 2.471_726_672_004_819)]);
        check(Log, &[z.into()], [c(0.804_718_956_217_050_3, 1.107_148_717_794_090_4)]);
        check(Sqrt, &[z.into()], [c(1.272_019_649_514_069, 0.786_151_377_757_423_3)]);
        check(Pow, &[z.into(), [c(2.0, 0.0)].into()], [c(-3.0, 4.0)]);
        check(Expm1, &[[c(1e-10, 0.0)].into()], [c(1.000_000_000_05e-10, 0.0)]);
        check(Log1p, &[[c(1e-10, 0.0)].into()], [c(9.999_999_999_5e-11, 0.0)]);
        check(Sign, &[[c(3.0, -4.0), c(0.0, 0.0)].into()], [c(0.6, -0.8), c(0.0, 0.0)]);
        check(AddN, &[z.into(), w.into(), w.into()], [c(7.0, 0.0)]);
    }
}
