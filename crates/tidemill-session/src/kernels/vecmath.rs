//! Functions beyond arithmetic: of `f32` here, of `f64` in [`double`].
//!
//! Those of `f32` have no branches, so that loops over them vectorise: what special numbers need is selected in the end. They
//! are within 3 units in the last place of the exact value for every operand, whatever the instruction set, and give what the
//! C standard does for zeros, infinities and NaN.

use super::simd::Isa;

/// Added to a number below 2²², it leaves the nearest integer, in two's complement, in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;
/// The upper bits of ln 2: few enough that products with exponents are exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
/// ln 2 less [`LN_2_HIGH`].
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Below this, functions with the slope 1 at 0 are their operand.
const TINY: f32 = 1.0 / 33_554_432.0;

/// `c[0] + c[1] x + c[2] x² + ...`
#[inline(always)]
fn polynomial<I: Isa, const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut y = c[N - 1];
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        y = I::fma32(y, x, c[i]);
    }
    y
}

#[inline(always)]
fn nearest_integer(x: f32) -> f32 {
    (x + ROUNDER) - ROUNDER
}

/// `2ⁿ` for an integer from -126 to 127.
#[inline(always)]
fn power_of_two(n: f32) -> f32 {
    f32::from_bits(((n + ROUNDER).to_bits() << 23).wrapping_add(1f32.to_bits()))
}

/// An integer `n` and `eʳ - 1`, where `x` is `n ln 2 + r`.
#[inline(always)]
fn reduced_exp<I: Isa>(x: f32) -> (f32, f32) {
    let n = nearest_integer(x * std::f32::consts::LOG2_E);
    let r = I::fma32(n, -LN_2_LOW, I::fma32(n, -LN_2_HIGH, x));
    let p = polynomial::<I, _>(
        r,
        [0.5, 1.666_666_5e-1, 4.166_579_6e-2, 8.333_452e-3, 1.398_2e-3, 1.987_569_1e-4],
    );
    (n, I::fma32(r * r, p, r))
}

/// `eˣ`
#[inline(always)]
pub(super) fn exp<I: Isa>(x: f32) -> f32 {
    // Beyond, the result is 0 or ∞.
    let (n, p) = reduced_exp::<I>(x.clamp(-104.0, 89.0));
    // In two steps, as 2ⁿ may be neither a normal number nor finite where the result is.
    let half = nearest_integer(n * 0.5);
    (p + 1.0) * power_of_two(half) * power_of_two(n - half)
}

/// `eˣ - 1`
#[inline(always)]
pub(super) fn exp_m1<I: Isa>(x: f32) -> f32 {
    let (n, p) = reduced_exp::<I>(x.clamp(-30.0, 89.0));
    // Half of it, as 2ⁿ may not be finite where the result is.
    let half = power_of_two(n - 1.0);
    let y = 2.0 * I::fma32(half, p, half - 0.5);
    if x.abs() < TINY { x } else { y }
}

/// `log(2ᵏ (1 + f))`, for `1 + f` from √½ to √2.
#[inline(always)]
fn reduced_log<I: Isa>(k: f32, f: f32) -> f32 {
    let p = polynomial::<I, _>(
        f,
        [
            3.333_333e-1,
            -2.499_999_4e-1,
            2.000_071_5e-1,
            -1.666_805_8e-1,
            1.424_932_3e-1,
            -1.242_014_1e-1,
            1.167_699_9e-1,
            -1.151_461e-1,
            7.037_683_6e-2,
        ],
    );
    let square = f * f;
    let y = I::fma32(-0.5, square, I::fma32(k, LN_2_LOW, p * f * square));
    I::fma32(k, LN_2_HIGH, f + y)
}

/// `k` and `m` from √½ to √2, where `x` is `2ᵏ m`, a positive normal number.
#[inline(always)]
fn split(x: f32) -> (i32, f32) {
    let sqrt_half = std::f32::consts::FRAC_1_SQRT_2.to_bits() as i32;
    let above = (x.to_bits() as i32).wrapping_sub(sqrt_half);
    (above >> 23, f32::from_bits(((above & 0x7f_ffff) + sqrt_half) as u32))
}

/// The natural logarithm.
#[inline(always)]
pub(super) fn ln<I: Isa>(x: f32) -> f32 {
    let subnormal = x < f32::MIN_POSITIVE;
    let (k, m) = split(if subnormal { x * 8_388_608.0 } else { x });
    let y = reduced_log::<I>((if subnormal { k - 23 } else { k }) as f32, m - 1.0);
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 { f32::NAN } else { y }
}

/// `log(1 + x)`
#[inline(always)]
pub(super) fn ln_1p<I: Isa>(x: f32) -> f32 {
    let (k, _) = split(1.0 + x);
    // 2ᵏ (1 + f) is 1 + x exactly, but for the rounding of f. Four times 2⁻ᵏ, which itself may be subnormal.
    let scale = f32::from_bits(((129 - k) << 23) as u32);
    let f = I::fma32(0.25 * x, scale, 0.25 * scale - 1.0);
    let y = reduced_log::<I>(k as f32, f);
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == -1.0 { f32::NEG_INFINITY } else { y };
    let y = if x.abs() < TINY { x } else { y };
    if x < -1.0 { f32::NAN } else { y }
}

/// The hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh<I: Isa>(x: f32) -> f32 {
    // From 9.02 on it rounds to 1.
    let size = if x.abs() > 10.0 { 10.0 } else { x.abs() };
    let e = exp_m1::<I>(2.0 * size);
    (e / (e + 2.0)).copysign(x)
}

/// `1 / (1 + e⁻ˣ)`
#[inline(always)]
pub(super) fn sigmoid<I: Isa>(x: f32) -> f32 {
    // Of -|x|, so that nothing overflows.
    let e = exp::<I>(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// `log(1 + eˣ)`
#[inline(always)]
pub(super) fn softplus<I: Isa>(x: f32) -> f32 {
    (if x > 0.0 { x } else { 0.0 }) + ln_1p::<I>(exp::<I>(-x.abs()))
}

/// The sine.
#[inline(always)]
pub(super) fn sin<I: Isa>(x: f32) -> f32 {
    let (quadrant, r) = reduced_angle(x);
    let y = sin_of_quadrant::<I>(quadrant, r);
    let y = f32::from_bits(y.to_bits() ^ (x.to_bits() & (1 << 31)));
    if x.abs() < f32::INFINITY { y } else { f32::NAN }
}

/// The cosine.
#[inline(always)]
pub(super) fn cos<I: Isa>(x: f32) -> f32 {
    let (quadrant, r) = reduced_angle(x);
    let y = sin_of_quadrant::<I>(quadrant + 1, r);
    if x.abs() < f32::INFINITY { y } else { f32::NAN }
}

/// `sin(quadrant π/2 + r)` for `|r|` up to π/4.
#[inline(always)]
fn sin_of_quadrant<I: Isa>(quadrant: u32, r: f32) -> f32 {
    let square = r * r;
    let sin = polynomial::<I, _>(square, [-1.666_665_5e-1, 8.332_161e-3, -1.951_529_6e-4]);
    let sin = I::fma32(sin * square, r, r);
    let cos = polynomial::<I, _>(square, [4.166_664_6e-2, -1.388_731_6e-3, 2.443_315_7e-5]);
    let cos = I::fma32(cos, square * square, I::fma32(-0.5, square, 1.0));
    let y = if quadrant & 1 == 0 { sin } else { cos };
    f32::from_bits(y.to_bits() ^ ((quadrant & 2) << 30))
}

/// A quadrant, counted modulo 4, and `r` from -π/4 to π/4, where `|x|` is `quadrant π/2 + r`.
#[inline(always)]
fn reduced_angle(x: f32) -> (u32, f32) {
    let bits = x.abs().to_bits();
    let mantissa = u64::from((bits & 0x7f_ffff) | 0x80_0000);
    // The fraction of a turn, in units of 2⁻⁶⁴: whole turns overflow. The closest that a float comes to a multiple of a
    // quarter is 2⁻³² turns, so this is exact enough everywhere.
    let [high, low] = TURNS[usize::from((bits >> 23) as u8)];
    let turn = mantissa.wrapping_mul(high).wrapping_add(mantissa.wrapping_mul(low) >> 32);
    let quadrant = turn.wrapping_add(1 << 61) >> 62;
    let rest = turn.wrapping_sub(quadrant << 62) as i64;
    let r = (rest as f64 * (std::f64::consts::TAU / 18_446_744_073_709_551_616.0)) as f32;
    // The table starts at 1/2.
    if x.abs() < 0.5 { (0, x.abs()) } else { (quadrant as u32, r) }
}

/// For the exponent of a float from 1/2 on: how many turns the lowest bit of its mantissa is. Bits -1 to -64, then -65 to -96.
static TURNS: [[u64; 2]; 256] = {
    // 2⁻²⁴ / 2π
    let digits: [u64; 4] =
        [0x0000_0028_be60_db93, 0x9105_4a7f_09d5_f47d, 0x4d37_7036_d8a5_664f, 0x10e4_107f_9458_eaf7];
    let mut table = [[0; 2]; 256];
    let mut shift = 0;
    while shift < 129 {
        let (word, bit) = (shift / 64, shift % 64);
        let mut i = 0;
        while i < 2 && word + i < 4 {
            let carry = if bit > 0 && word + i < 3 { digits[word + i + 1] >> (64 - bit) } else { 0 };
            table[126 + shift][i] = (digits[word + i] << bit) | carry;
            i += 1;
        }
        table[126 + shift][1] >>= 32;
        shift += 1;
    }
    table
};

/// Functions of `f64`, by the standard library.
#[allow(clippy::extra_unused_type_parameters, reason = "the same signatures as those of f32")]
pub(super) mod double {
    use super::Isa;

    macro_rules! std_functions {
        ($($function:ident)*) => {$(
            #[inline(always)]
            pub(in crate::kernels) fn $function<I: Isa>(x: f64) -> f64 {
                x.$function()
            }
        )*};
    }
    std_functions!(exp exp_m1 ln ln_1p tanh sin cos);

    #[inline(always)]
    pub(in crate::kernels) fn sigmoid<I: Isa>(x: f64) -> f64 {
        // Of -|x|, so that nothing overflows.
        let e = (-x.abs()).exp();
        (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
    }

    #[inline(always)]
    pub(in crate::kernels) fn softplus<I: Isa>(x: f64) -> f64 {
        (if x > 0.0 { x } else { 0.0 }) + (-x.abs()).exp().ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::{Body, Level, run};

    /// Units in the last place between `got` and the exact value, or more than allowed if the sign or NaN is wrong.
    fn error(got: f32, exact: f64) -> f64 {
        if got.is_nan() || exact.is_nan() {
            return if got.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY };
        }
        if got.is_sign_negative() != exact.is_sign_negative() {
            return f64::INFINITY;
        }
        // The float after the largest would be 2¹²⁸.
        let bounded = |x: f64| x.abs().min(2f64.powi(128));
        let binade = bounded(exact).max(f64::from(f32::MIN_POSITIVE)).log2().floor().min(127.0);
        (bounded(f64::from(got)) - bounded(exact)).abs() / 2f64.powf(binade - 23.0)
    }

    #[track_caller]
    fn check(apply: fn(Level, &mut [f32]), exact: fn(f64) -> f64) {
        let special = [0.0, 1.0, f32::from_bits(1), f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NAN];
        let mut x: Vec<f32> = special.into_iter().chain(special.map(|x| -x)).collect();
        x.extend((0..=u32::MAX).step_by(1999).map(f32::from_bits));
        for level in [Level::Portable, Level::detect()] {
            let mut y = x.clone();
            apply(level, &mut y);
            for (x, y) in x.iter().zip(y) {
                let (exact, bound) = (exact(f64::from(*x)), 2.5);
                assert!(error(y, exact) <= bound, "{level:?}: {y:e} of {x:e} instead of {exact:e}");
            }
        }
        let bits = |y: f32| if y.is_nan() { f32::NAN.to_bits() } else { y.to_bits() };
        // The same bits wherever an element stands: in a vector, behind the last whole one, or alone.
        let x: Vec<f32> = x.iter().step_by(x.len() / 150).copied().collect();
        for level in [Level::Portable, Level::detect()] {
            let alone: Vec<u32> = x
                .iter()
                .map(|x| {
                    let mut y = [*x];
                    apply(level, &mut y);
                    bits(y[0])
                })
                .collect();
            for start in 0..20 {
                for length in (0..70).chain([x.len() - start]) {
                    let mut y = x.clone();
                    apply(level, &mut y[start..start + length]);
                    let stretch = y[start..start + length].iter().map(|y| bits(*y));
                    assert!(stretch.eq(alone[start..start + length].iter().copied()), "{start} {length}");
                }
            }
        }
    }

    macro_rules! accurate {
        ($($function:ident $exact:expr;)*) => {$(
            #[test]
            fn $function() {
                struct Each<'a>(&'a mut [f32]);
                impl Body for Each<'_> {
                    type Out = ();
                    #[inline(always)]
                    fn run<I: Isa>(self) {
                        for x in self.0 {
                            *x = super::$function::<I>(*x);
                        }
                    }
                }
                check(|level, x| run(level, Each(x)), $exact);
            }
        )*};
    }

    accurate! {
        exp f64::exp;
        exp_m1 f64::exp_m1;
        ln f64::ln;
        ln_1p f64::ln_1p;
        tanh f64::tanh;
        sigmoid double::sigmoid::<crate::kernels::simd::Portable>;
        softplus double::softplus::<crate::kernels::simd::Portable>;
        sin f64::sin;
        cos f64::cos;
    }
}
