//! Kernels of `ops::special`, computed in `f64` for every dtype.
//!
//! Most functions are those of the crates `libm` and `spec_math` (a translation of Cephes); what they lack or define otherwise than
//! TensorFlow stands here.

use libm::{erf, erfc, j0, j1, lgamma, y0, y1};
use spec_math::cephes64::{
    dawsn, fresnl, i0, i0e, i1, i1e, igam, igamc, incbet, k0, k0e, k1, k1e, ndtri, psi, spence, zeta,
};
use tidemill_core::ops::{
    BesselI0, BesselI0e, BesselI1, BesselI1e, BesselJ0, BesselJ1, BesselK0, BesselK0e, BesselK1, BesselK1e,
    BesselY0, BesselY1, Betainc, Dawsn, Digamma, Erf, Erfc, Erfinv, Expint, FresnelCos, FresnelSin, Igamma,
    IgammaGradA, Igammac, Lgamma, Ndtri, Polygamma, RandomGammaGrad, Spence, Zeta,
};
use tidemill_core::{Error, Result};
use tidemill_tensor::{Element, dispatch_float};

use super::elementwise::{map1, map2};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    macro_rules! rows {
        ($kernel:ident: $($op:ident => $f:expr;)*) => {$(
            table.compiled::<$op>(|_, cx| $kernel(cx, $f));
        )*};
    }
    rows! { function:
        Erf => erf;
        Erfc => erfc;
        Erfinv => erfinv;
        Ndtri => quantile;
        Lgamma => log_gamma;
        Digamma => digamma;
        Dawsn => |x| if x.is_finite() { dawsn(x) } else { 1.0 / x };
        Expint => expint;
        FresnelCos => |x| fresnel(x).1;
        FresnelSin => |x| fresnel(x).0;
        Spence => |x| if x.is_nan() || x == f64::INFINITY { -x } else { spence(x) };
        BesselI0 => i0;
        BesselI0e => i0e;
        BesselI1 => i1;
        BesselI1e => i1e;
        // TensorFlow continues the pole at 0 to the left.
        BesselK0 => |x| if x <= 0.0 { f64::INFINITY } else { k0(x) };
        BesselK0e => |x| if x <= 0.0 { f64::INFINITY } else { k0e(x) };
        BesselK1 => |x| if x <= 0.0 { f64::INFINITY } else { k1(x) };
        BesselK1e => |x| if x <= 0.0 { f64::INFINITY } else { k1e(x) };
        BesselJ0 => j0;
        BesselJ1 => j1;
        BesselY0 => |x| if x <= 0.0 { f64::NEG_INFINITY } else { y0(x) };
        BesselY1 => |x| if x <= 0.0 { f64::NEG_INFINITY } else { y1(x) };
    }
    rows! { function_of_two:
        Igamma => lower_gamma;
        Igammac => upper_gamma;
        IgammaGradA => |a, x| gamma_derivative(a, x, Derivative::Distribution);
        RandomGammaGrad => |a, x| gamma_derivative(a, x, Derivative::Sample);
        Zeta => hurwitz;
        Polygamma => polygamma;
    }
    table.compiled::<Betainc>(|_, cx| function_of_three(cx, beta));
}

/// One function for each element, whatever the float.
pub(super) fn function(cx: &CompileCx, f: fn(f64) -> f64) -> Result<Compiled> {
    dispatch_float!(cx.dtype(0), T => {
        map1::<T, T>(cx, move |x: T| T::from_f64(f(x.to_f64())))
    }, else => unsupported())
}

/// One function of two elements, whatever the float.
pub(super) fn function_of_two(cx: &CompileCx, f: fn(f64, f64) -> f64) -> Result<Compiled> {
    dispatch_float!(cx.dtype(0), T => {
        map2::<T, T>(cx, move |x: T, y: T| T::from_f64(f(x.to_f64(), y.to_f64())))
    }, else => unsupported())
}

/// Operands of one shape, or scalars.
fn function_of_three(cx: &CompileCx, f: fn(f64, f64, f64) -> f64) -> Result<Compiled> {
    let out = cx.output_shape(0);
    let scalar = [0, 1, 2].map(|i| cx.shape(i) != out);
    if (0..3).any(|i| scalar[i] && cx.shape(i).rank() != 0) {
        return Err(Error::invalid("operands that are not scalars must have one shape"));
    }
    dispatch_float!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let inputs = [0, 1, 2].map(|i| args.input::<T>(i));
        for (at, out) in args.output::<T>(0).iter_mut().enumerate() {
            let [a, b, x] = [0, 1, 2].map(|i| inputs[i][if scalar[i] { 0 } else { at }].to_f64());
            *out = T::from_f64(f(a, b, x));
        }
        Ok(())
    }), else => unsupported())
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("this function for this dtype"))
}

fn quantile(p: f64) -> f64 {
    match p {
        0.0 => f64::NEG_INFINITY,
        1.0 => f64::INFINITY,
        p if p > 0.0 && p < 1.0 => ndtri(p),
        _ => f64::NAN,
    }
}

/// From the normal quantile, and by Newton's method where that loses digits.
fn erfinv(x: f64) -> f64 {
    let magnitude = x.abs();
    if magnitude == 0.0 {
        return x;
    }
    let mut y = -quantile((1.0 - magnitude) / 2.0) * std::f64::consts::FRAC_1_SQRT_2;
    if magnitude < 0.5 {
        for _ in 0..2 {
            y -= (erf(y) - magnitude) * (y * y).exp() / std::f64::consts::FRAC_2_SQRT_PI;
        }
    }
    y.copysign(x)
}

fn log_gamma(x: f64) -> f64 {
    if x.is_infinite() { f64::INFINITY } else { lgamma(x) }
}

fn digamma(x: f64) -> f64 {
    if x == f64::INFINITY {
        return x;
    }
    let pole = x <= 0.0 && x == x.floor();
    if pole || !x.is_finite() { f64::NAN } else { psi(x) }
}

/// Sine and cosine integral.
fn fresnel(x: f64) -> (f64, f64) {
    // Further out the waves are too small to tell, and their phase cannot be told.
    if x.abs() > 1e16 {
        return (0.5f64.copysign(x), 0.5f64.copysign(x));
    }
    if x.is_nan() { (x, x) } else { fresnl(x) }
}

/// By the series `γ + log x + Σ xᵏ/(k·k!)`, and by the asymptotic series
/// `eˣ/x Σ k!/xᵏ` where that is precise (Abramowitz and Stegun, 5.1.10 and 5.1.51); NaN for negative `x`, as in TensorFlow.
fn expint(x: f64) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    const ASYMPTOTIC: f64 = 50.0;
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mut sum, mut term) = (0.0, 1.0);
    if x < ASYMPTOTIC {
        for k in 1..400 {
            let k = f64::from(k);
            term *= x / k;
            sum += term / k;
            if term / k <= f64::EPSILON * sum * 0.1 {
                break;
            }
        }
        return EULER + x.ln() + sum;
    }
    for k in 1..400 {
        sum += term;
        let next = term * f64::from(k) / x;
        if next >= term || next <= f64::EPSILON * 0.1 {
            break;
        }
        term = next;
    }
    x.exp() / x * sum
}

/// As Cephes defines it, poles and domain included.
fn hurwitz(x: f64, q: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    if x.is_nan() || q.is_nan() || x < 1.0 {
        return f64::NAN;
    }
    if x.is_infinite() {
        return if q > 1.0 { 0.0 } else { if q == 1.0 { 1.0 } else { f64::INFINITY } };
    }
    if q <= 0.0 {
        // A pole, whose sign tells only for even powers.
        if q == q.floor() {
            let even = x == x.floor() && x % 2.0 == 0.0;
            return if even { f64::INFINITY } else { f64::NAN };
        }
        if x != x.floor() {
            return f64::NAN;
        }
        // Far left of 0 the sum would have as many terms as `q` is large.
        if q < -1e6 {
            return f64::NAN;
        }
    }
    if q.is_infinite() {
        return 0.0;
    }
    zeta(x, q)
}

fn polygamma(n: f64, x: f64) -> f64 {
    if n == 0.0 {
        return digamma(x);
    }
    if !(n > 0.0 && n == n.floor()) {
        return f64::NAN;
    }
    let sign = if n % 2.0 == 0.0 { -1.0 } else { 1.0 };
    let zeta = hurwitz(n + 1.0, x);
    // `n!` alone overflows long before the product does.
    if n < 170.0 { sign * lgamma(n + 1.0).exp() * zeta } else { sign * (lgamma(n + 1.0) + zeta.ln()).exp() }
}

/// Whether the incomplete gamma functions have a value of their own there, and which.
fn gamma_domain(a: f64, x: f64) -> Option<f64> {
    if x == 0.0 {
        return Some(0.0);
    }
    if a.is_nan() || x.is_nan() || a <= 0.0 || x < 0.0 || a.is_infinite() && x.is_infinite() {
        return Some(f64::NAN);
    }
    match (a, x) {
        (f64::INFINITY, _) => Some(0.0),
        (_, f64::INFINITY) => Some(1.0),
        _ => None,
    }
}

fn lower_gamma(a: f64, x: f64) -> f64 {
    gamma_domain(a, x).unwrap_or_else(|| igam(a, x))
}

fn upper_gamma(a: f64, x: f64) -> f64 {
    gamma_domain(a, x).map_or_else(|| igamc(a, x), |lower| 1.0 - lower)
}

#[derive(Clone, Copy, PartialEq)]
enum Derivative {
    /// Of the distribution function by its shape.
    Distribution,
    /// Of a sample by the shape, the distribution function staying as it is.
    Sample,
}

/// Cephes' series and continued fraction for the incomplete gamma function, differentiated term by term (as in Eigen's
/// `SpecialFunctionsImpl.h`).
fn gamma_derivative(a: f64, x: f64, of: Derivative) -> f64 {
    match gamma_domain(a, x) {
        Some(value) if value.is_nan() => return value,
        Some(_) => return 0.0,
        None => {}
    }
    let upper = x > 1.0 && x > a;
    // The function is `exp(log_factor) · value`, or one minus that.
    let (value, slope, log_factor, log_slope) = if upper {
        let (value, slope) = upper_fraction(a, x);
        (value, slope, a * x.ln() - x - lgamma(a), x.ln() - digamma(a))
    } else {
        let (value, slope) = lower_series(a, x);
        (value, slope, a * x.ln() - x - lgamma(a + 1.0), x.ln() - digamma(a + 1.0))
    };
    let relative = slope + value * log_slope;
    let sign = if upper { -1.0 } else { 1.0 };
    match of {
        Derivative::Distribution => sign * log_factor.exp() * relative,
        // By the density `exp(a log x - x - lgamma(a)) / x`, with the factors cancelled.
        Derivative::Sample if upper => relative * x,
        Derivative::Sample => -relative * x / a,
    }
}

/// `Σ xⁿ / ((a+1)…(a+n))` and its derivative with respect to `a`.
fn lower_series(a: f64, x: f64) -> (f64, f64) {
    let (mut sum, mut slope, mut term, mut term_slope) = (1.0, 0.0, 1.0, 0.0);
    for n in 1..2000 {
        let r = a + f64::from(n);
        term_slope = term_slope * x / r - term * x / (r * r);
        term *= x / r;
        sum += term;
        slope += term_slope;
        if f64::abs(term_slope) <= f64::EPSILON * f64::abs(slope) {
            break;
        }
    }
    (sum, slope)
}

/// The continued fraction of the upper function, and its derivative with respect to `a`.
fn upper_fraction(a: f64, x: f64) -> (f64, f64) {
    const BIG: f64 = 4_503_599_627_370_496.0;
    let (mut y, mut z) = (1.0 - a, x + 2.0 - a);
    // Numerators, denominators and their derivatives: those of the step before last, and of the last.
    let (mut p, mut q) = ([1.0, x + 1.0], [x, z * x]);
    let (mut dp, mut dq) = ([0.0, 0.0], [0.0, -x]);
    let mut value = p[1] / q[1];
    let mut slope = (dp[1] - value * dq[1]) / q[1];
    for c in 1..2000 {
        let c = f64::from(c);
        y += 1.0;
        z += 2.0;
        let yc = y * c;
        let pk = p[1] * z - p[0] * yc;
        let qk = q[1] * z - q[0] * yc;
        let dpk = dp[1] * z - p[1] - dp[0] * yc + p[0] * c;
        let dqk = dq[1] * z - q[1] - dq[0] * yc + q[0] * c;
        (p, q, dp, dq) = ([p[1], pk], [q[1], qk], [dp[1], dpk], [dq[1], dqk]);
        if qk != 0.0 {
            let before = slope;
            value = pk / qk;
            slope = (dpk - value * dqk) / qk;
            if f64::abs(slope - before) <= f64::EPSILON * f64::abs(slope) {
                break;
            }
        }
        if f64::abs(pk) > BIG {
            for pair in [&mut p, &mut q, &mut dp, &mut dq] {
                pair.iter_mut().for_each(|v| *v /= BIG);
            }
        }
    }
    (value, slope)
}

fn beta(a: f64, b: f64, x: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && (0.0..=1.0).contains(&x)) {
        return f64::NAN;
    }
    match x {
        0.0 => 0.0,
        1.0 => 1.0,
        _ => incbet(a, b, x),
    }
}

#[cfg(test)]
mod tests {
    use tidemill_core::{Op, Value};

    use super::super::testing::eval;
    use super::*;

    /// Against values of TensorFlow 2.21, in `f64`.
    #[track_caller]
    fn check(op: impl Op, operands: &[&[f64]], want: &[f64]) {
        let inputs: Vec<Value> = operands.iter().map(|x| Value::from(x.to_vec())).collect();
        let got = &eval(op.clone(), &inputs)[0];
        for (got, want) in got.iter_f64().zip(want) {
            let close = (got - want).abs() <= 1e-11 * want.abs();
            assert!(
                close || got == *want || got.is_nan() && want.is_nan(),
                "{op:?}: {got} instead of {want}"
            );
        }
    }

    #[test]
    fn error_functions() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        check(
            Erf,
            &[&[-0.5, 1e-09, 2.0]],
            &[-0.5204998778130466, 1.1283791670955127e-09, 0.9953222650189527],
        );
        check(Erfc, &[&[-0.5, 1.0, 9.0]], &[1.5204998778130467, 0.15729920705028522, 4.137031746513811e-37]);
        check(
            Erfinv,
            &[&[-1.0, -0.3, 1e-09, 0.999, 1.0, 1.5]],
            &[-inf, -0.27246271472675443, 8.862269254527581e-10, 2.3267537655135464, inf, nan],
        );
        check(
            Ndtri,
            &[&[0.0, 1e-09, 0.3, 1.0, 2.0]],
            &[-inf, -5.9978070150076865, -0.5244005127080409, inf, nan],
        );
        check(
            Dawsn,
            &[&[-0.5, 3.0, 50.0]],
            &[-0.4244363835020223, 0.17827103061055835, 0.010002001201201684],
        );
    }

    #[test]
    fn the_gamma_family() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        check(
            Lgamma,
            &[&[-1.0, -0.5, 0.3, 20.0]],
            &[inf, 1.2655121234846454, 1.0957979948180756, 39.339884187199495],
        );
        check(
            Digamma,
            &[&[-1.0, -0.5, 0.3, 20.0]],
            &[nan, 0.03648997397857645, -3.502524222200133, 2.970523992242149],
        );
        check(
            Polygamma,
            &[&[0.0, 1.0, 3.0, 0.5], &[0.3, 0.3, 7.0, 1.0]],
            &[-3.502524222200133, 12.245364546107734, 0.007198198563125444, nan],
        );
        check(
            Zeta,
            &[&[1.0, 2.0, 3.5, 0.5, 2.0], &[2.0, 1.0, 0.1, 1.0, -3.0]],
            &[inf, 1.6449340668482266, 3163.1034212176387, nan, inf],
        );
        check(
            Igamma,
            &[&[0.5, 2.0, 50.0, -1.0], &[0.1, 7.0, 60.0, 1.0]],
            &[0.345279153981423, 0.9927049442755639, 0.9155933189063081, nan],
        );
        check(
            Igammac,
            &[&[0.5, 2.0, 50.0, -1.0], &[0.1, 7.0, 60.0, 1.0]],
            &[0.6547208460185769, 0.007295055724436127, 0.0844066810936919, nan],
        );
        check(
            IgammaGradA,
            &[&[0.5, 2.0, 50.0, -1.0], &[0.1, 7.0, 60.0, 1.0]],
            &[-0.8229360969795988, -0.012138651385307177, -0.021284992786349464, nan],
        );
        check(
            RandomGammaGrad,
            &[&[0.5, 2.0, 50.0, -1.0], &[0.1, 7.0, 60.0, 1.0]],
            &[0.5097655670826974, 1.901663943961628, 1.0975795857767248, nan],
        );
        check(
            Betainc,
            &[&[0.5, 2.0, 50.0, -1.0], &[0.5, 3.0, 20.0, 1.0], &[0.1, 0.7, 0.6, 0.5]],
            &[0.2048327646991335, 0.9163, 0.021479401354676533, nan],
        );
    }

    #[test]
    fn integrals() {
        let inf = f64::INFINITY;
        check(
            Expint,
            &[&[0.0, 0.001, 0.37, 3.0, 45.0, 55.0]],
            &[
                -inf,
                -6.329539364025038,
                -0.009790148500068097,
                9.933832570625416,
                7.943916035704453e+17,
                1.4254686649887505e+22,
            ],
        );
        check(
            FresnelCos,
            &[&[-0.5, 3.0, 100.0]],
            &[-0.4923442258714464, 0.6057207892976857, 0.4999998986788171],
        );
        check(
            FresnelSin,
            &[&[-0.5, 3.0, 100.0]],
            &[-0.06473243285999929, 0.49631299896737496, 0.49681690114783755],
        );
        check(
            Spence,
            &[&[0.0, 0.5, 1.0, 7.0]],
            &[1.6449340668482264, 0.5822405264650135, 0.0, -3.089942051088032],
        );
    }

    #[test]
    fn bessel_functions() {
        let inf = f64::INFINITY;
        check(BesselI0, &[&[-1.0, 0.5, 12.0]], &[1.2660658777520082, 1.0634833707413238, 18948.925349296307]);
        check(
            BesselI0e,
            &[&[-1.0, 0.5, 12.0]],
            &[0.46575960759364043, 0.6450352704491502, 0.11642622121344044],
        );
        check(BesselI1, &[&[-1.0, 0.5, 12.0]], &[-0.565159103992485, 0.2578943053908962, 18141.348781638837]);
        check(
            BesselI1e,
            &[&[-1.0, 0.5, 12.0]],
            &[-0.20791041534970844, 0.15642080318487162, 0.11146429929018101],
        );
        check(BesselK0, &[&[-1.0, 0.5, 12.0]], &[inf, 0.9244190712276663, 2.200825397311491e-06]);
        check(BesselK0e, &[&[-1.0, 0.5, 12.0]], &[inf, 1.5241093857739103, 0.3581948784890782]);
        check(BesselK1, &[&[-1.0, 0.5, 12.0]], &[inf, 1.6564411200033013, 2.2907574647671883e-06]);
        check(BesselK1e, &[&[-1.0, 0.5, 12.0]], &[inf, 2.7310097082117863, 0.3728317533697099]);
        check(
            BesselJ0,
            &[&[-1.0, 0.5, 12.0]],
            &[0.7651976865579665, 0.938469807240813, 0.047689310796833355],
        );
        check(
            BesselJ1,
            &[&[-1.0, 0.5, 12.0]],
            &[-0.44005058574493355, 0.24226845767487387, -0.22344710449062757],
        );
        check(BesselY0, &[&[-1.0, 0.5, 12.0]], &[-inf, -0.4445187335067066, -0.2252373126343615]);
        check(BesselY1, &[&[-1.0, 0.5, 12.0]], &[-inf, -1.4714723926702433, -0.05709921826089675]);
    }
}
