//! The Rust types that a tensor's elements may be.

use std::fmt;

use half::{bf16, f16};
use num_complex::Complex;

use crate::DType;

mod sealed {
    /// Keeps [`Element`](super::Element) to the types that have a dtype, and carries what only this crate calls.
    pub trait Sealed: Sized {
        /// The bytes of `elements` for writing, where every bit pattern is an element.
        fn bytes_mut_of(elements: &mut [Self]) -> Option<&mut [u8]>;
        /// What [`from_f64`](super::Element::from_f64) gives for the same number, and faster for halves.
        fn from_f32(value: f32) -> Self;
    }
}
pub(crate) use sealed::Sealed;

/// A Rust type that is the element type of some [`DType`].
///
/// Sealed: the implementors are `f16`, `bf16`, `f32`, `f64`, the integers of 8 to 64 bits, `bool`, and complex numbers of
/// `f32` and `f64`. All but the last are `PartialOrd`.
///
/// ```
/// use tidemill_tensor::{DType, Element};
///
/// fn mean<T: Element>(values: &[T]) -> f64 {
///     values.iter().map(|v| v.to_f64()).sum::<f64>() / values.len() as f64
/// }
/// assert_eq!(mean(&[1_i32, 2]), 1.5);
/// assert_eq!(<f32 as Element>::DTYPE, DType::F32);
/// ```
pub trait Element:
    Sealed
    + Copy
    + PartialEq
    + Default
    + fmt::Debug
    + fmt::Display
    + Send
    + Sync
    + 'static
    + bytemuck::Zeroable
    + bytemuck::NoUninit
    + bytemuck::CheckedBitPattern
{
    /// The dtype whose elements are `Self`.
    const DTYPE: DType;

    /// The element as an `f64`: exact but for integers of 64 bits beyond 2⁵³, which round to nearest.
    /// `true` is 1, and of a complex number it is the real part.
    fn to_f64(self) -> f64;

    /// The nearest element: floats round to nearest even, integers truncate toward zero, saturate at their
    /// bounds and take NaN as 0, and `bool` is `value != 0` (so NaN is `true`).
    fn from_f64(value: f64) -> Self;

    /// The element as an `i64`: floats as in [`from_f64`](Self::from_f64), `u64` wraps modulo 2⁶⁴.
    fn to_i64(self) -> i64;

    /// The element for an integer: floats round to nearest even, integers wrap as `as` does, and `bool` is
    /// `value != 0`.
    fn from_i64(value: i64) -> Self;

    /// The element as a complex number.
    #[inline]
    fn to_c128(self) -> Complex<f64> {
        Complex::new(self.to_f64(), 0.0)
    }

    /// The nearest element, as in [`from_f64`](Self::from_f64); all but complex dtypes drop the imaginary part.
    #[inline]
    fn from_c128(value: Complex<f64>) -> Self {
        Self::from_f64(value.re)
    }
}

macro_rules! primitive {
    ($($t:ident $dtype:ident),*) => {$(
        impl Sealed for $t {
            fn bytes_mut_of(elements: &mut [Self]) -> Option<&mut [u8]> {
                Some(bytemuck::cast_slice_mut(elements))
            }

            #[inline]
            fn from_f32(value: f32) -> Self {
                value as $t
            }
        }

        impl Element for $t {
            const DTYPE: DType = DType::$dtype;

            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline]
            fn from_f64(value: f64) -> Self {
                value as $t
            }
            #[inline]
            fn to_i64(self) -> i64 {
                self as i64
            }
            #[inline]
            fn from_i64(value: i64) -> Self {
                value as $t
            }
        }
    )*};
}
primitive!(f32 F32, f64 F64, i8 I8, i16 I16, i32 I32, i64 I64, u8 U8, u16 U16, u32 U32, u64 U64);

macro_rules! half_float {
    ($($t:ident $dtype:ident),*) => {$(
        impl Sealed for $t {
            fn bytes_mut_of(elements: &mut [Self]) -> Option<&mut [u8]> {
                Some(bytemuck::cast_slice_mut(elements))
            }

            #[inline]
            fn from_f32(value: f32) -> Self {
                $t::from_f32(value)
            }
        }

        impl Element for $t {
            const DTYPE: DType = DType::$dtype;

            #[inline]
            fn to_f64(self) -> f64 {
                self.to_f32() as f64
            }
            #[inline]
            fn from_f64(value: f64) -> Self {
                $t::from_f32(to_f32_round_to_odd(value))
            }
            #[inline]
            fn to_i64(self) -> i64 {
                self.to_f32() as i64
            }
            #[inline]
            fn from_i64(value: i64) -> Self {
                if value.unsigned_abs() < 1 << 53 {
                    return <Self as Element>::from_f64(value as f64);
                }
                // More bits than an f64 holds: fold the lowest into one that only keeps ties apart.
                let sticky = i64::from(value & 0x7ff != 0);
                <Self as Element>::from_f64((value >> 11 | sticky) as f64 * 2048.0)
            }
        }
    )*};
}
half_float!(f16 F16, bf16 BF16);

/// Rounds to the `f32` next to `value` whose last bit is odd, unless `value` is an `f32`. A second rounding,
/// to a format at least two bits narrower, then gives what rounding once would have given. (`half`'s own
/// `from_f64` drops the low 32 bits of its argument first, and so takes near-ties for ties.)
#[inline]
fn to_f32_round_to_odd(value: f64) -> f32 {
    let nearest = value as f32;
    let back = nearest as f64;
    if back == value || value.is_nan() || nearest.to_bits() & 1 == 1 {
        return nearest;
    }
    let bits = nearest.to_bits();
    let bits = if back.abs() > value.abs() { bits - 1 } else { bits + 1 };
    // `value` may have rounded to a zero of its own sign, so the sign bit is right already.
    f32::from_bits(bits)
}

macro_rules! complex {
    ($($part:ident $dtype:ident),*) => {$(
        impl Sealed for Complex<$part> {
            fn bytes_mut_of(elements: &mut [Self]) -> Option<&mut [u8]> {
                Some(bytemuck::cast_slice_mut(elements))
            }

            #[inline]
            fn from_f32(value: f32) -> Self {
                Complex::new(value as $part, 0.0)
            }
        }

        impl Element for Complex<$part> {
            const DTYPE: DType = DType::$dtype;

            #[inline]
            fn to_f64(self) -> f64 {
                self.re as f64
            }
            #[inline]
            fn from_f64(value: f64) -> Self {
                Complex::new(value as $part, 0.0)
            }
            #[inline]
            fn to_i64(self) -> i64 {
                self.re as i64
            }
            #[inline]
            fn from_i64(value: i64) -> Self {
                Complex::new(value as $part, 0.0)
            }
            #[inline]
            fn to_c128(self) -> Complex<f64> {
                Complex::new(self.re as f64, self.im as f64)
            }
            #[inline]
            fn from_c128(value: Complex<f64>) -> Self {
                Complex::new(value.re as $part, value.im as $part)
            }
        }
    )*};
}
complex!(f32 C64, f64 C128);

impl Sealed for bool {
    fn bytes_mut_of(_elements: &mut [Self]) -> Option<&mut [u8]> {
        None
    }

    #[inline]
    fn from_f32(value: f32) -> Self {
        value != 0.0
    }
}

impl Element for bool {
    const DTYPE: DType = DType::Bool;

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    #[inline]
    fn from_f64(value: f64) -> Self {
        value != 0.0
    }
    #[inline]
    fn to_i64(self) -> i64 {
        i64::from(self)
    }
    #[inline]
    fn from_i64(value: i64) -> Self {
        value != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch;

    #[test]
    fn the_constants_agree_with_the_dtypes() {
        for &dtype in DType::ALL {
            dispatch!(dtype, T => {
                assert_eq!(T::DTYPE, dtype);
                assert_eq!(size_of::<T>(), dtype.size());
                assert_eq!(T::from_f64(1.0).to_i64(), 1);
                assert_eq!(T::from_i64(1).to_f64(), 1.0);
            }, else => panic!("{dtype} is not dispatched"));
        }
    }

    #[test]
    fn floats_saturate_into_integers() {
        assert_eq!(i8::from_f64(1e9), 127);
        assert_eq!(u8::from_f64(-3.0), 0);
        assert_eq!(i32::from_f64(f64::NAN), 0);
        assert_eq!(i32::from_f64(-2.9), -2);
        assert!(bool::from_f64(-0.5) && !bool::from_f64(-0.0));
    }

    // `f16` and `bf16` have a `from_f64` of their own, which a direct call would take.
    #[track_caller]
    fn check_rounds<T: Element>(value: f64, want: f64) {
        assert_eq!(T::from_f64(value).to_f64(), want);
        assert_eq!(T::from_f64(-value).to_f64(), -want);
    }

    #[test]
    fn halves_round_once() {
        // One ulp of f16 at 1 is 2^-10; a hair above the tie rounds up, the tie itself to even.
        let (tie, next) = (1.0 + f64::exp2(-11.0), 1.0 + f64::exp2(-10.0));
        check_rounds::<f16>(tie, 1.0);
        for hair in [-23.0, -24.0, -25.0, -40.0, -50.0] {
            check_rounds::<f16>(tie + f64::exp2(hair), next);
            check_rounds::<f16>(tie - f64::exp2(hair), 1.0);
        }
        check_rounds::<f16>(65519.9999, 65504.0);
        check_rounds::<f16>(65520.0, f64::INFINITY);
        check_rounds::<f16>(1e300, f64::INFINITY);
        check_rounds::<f16>(f64::exp2(-25.0), 0.0);
        check_rounds::<f16>(f64::exp2(-25.0) + f64::exp2(-70.0), f64::exp2(-24.0));
        check_rounds::<bf16>(1e300, f64::INFINITY);
        check_rounds::<bf16>(f64::exp2(-134.0) + f64::exp2(-180.0), f64::exp2(-133.0));
        assert!(<bf16 as Element>::from_f64(f64::NAN).is_nan());
        assert!(<f16 as Element>::from_f64(-1e-300).is_sign_negative());
    }

    #[test]
    fn integers_round_once_to_halves() {
        for (integer, want) in [
            ((1 << 62) + (1 << 54), f64::exp2(62.0)),
            ((1 << 62) + (1 << 54) + 1, f64::exp2(62.0) + f64::exp2(55.0)),
            (i64::MIN, -f64::exp2(63.0)),
        ] {
            assert_eq!(bf16::from_i64(integer).to_f64(), want, "{integer}");
        }
    }
}
