//! Floats of every width in one piece of code: halves compute as `f32` and round once.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use tidemill_tensor::Element;
use tidemill_tensor::half::{bf16, f16};

use super::simd::Isa;

/// A float, and the type it computes in.
pub(super) trait Real: Element {
    /// `f64` for `f64`, `f32` for all others.
    type Wide: Wide;
    /// The number to compute with.
    fn widen(self) -> Self::Wide;
    /// The nearest float of this type.
    fn narrow(wide: Self::Wide) -> Self;
}

/// `f32` or `f64`.
pub(super) trait Wide:
    Element
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// -∞
    const LOWEST: Self;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// `eˣ`
    fn exp<I: Isa>(self) -> Self;
    /// The natural logarithm.
    fn ln<I: Isa>(self) -> Self;
    /// The larger; `other` when `self` is NaN.
    fn max(self, other: Self) -> Self;
}

macro_rules! wide {
    ($($ty:ident)*) => {$(
        impl Wide for $ty {
            const ZERO: $ty = 0.0;
            const ONE: $ty = 1.0;
            const LOWEST: $ty = $ty::NEG_INFINITY;
            #[inline(always)]
            fn sqrt(self) -> Self { $ty::sqrt(self) }
            #[inline(always)]
            fn exp<I: Isa>(self) -> Self { $ty::exp(self) }
            #[inline(always)]
            fn ln<I: Isa>(self) -> Self { $ty::ln(self) }
            #[inline(always)]
            fn max(self, other: Self) -> Self { if self > other { self } else { other } }
        }
        impl Real for $ty {
            type Wide = $ty;
            #[inline(always)]
            fn widen(self) -> $ty { self }
            #[inline(always)]
            fn narrow(wide: $ty) -> Self { wide }
        }
    )*};
}
wide!(f32 f64);

macro_rules! half {
    ($($ty:ident)*) => {$(
        impl Real for $ty {
            type Wide = f32;
            #[inline(always)]
            fn widen(self) -> f32 { self.to_f32() }
            #[inline(always)]
            fn narrow(wide: f32) -> Self { $ty::from_f32(wide) }
        }
    )*};
}
half!(f16 bf16);
