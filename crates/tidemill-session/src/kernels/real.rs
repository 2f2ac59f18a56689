//! Floats of every width in one piece of code: halves compute as `f32` and round once.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use tidemill_tensor::Element;
use tidemill_tensor::half::{bf16, f16};

use super::simd::Isa;
use super::vecmath;

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
    + PartialOrd
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
    /// 1/2
    const HALF: Self;
    /// -∞
    const LOWEST: Self;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// The largest integer that is not above it.
    fn floor(self) -> Self;
    /// The smallest integer that is not below it.
    fn ceil(self) -> Self;
    /// `eˣ`
    fn exp<I: Isa>(self) -> Self;
    /// `eˣ - 1`, accurate near 0.
    fn exp_m1<I: Isa>(self) -> Self;
    /// The natural logarithm.
    fn ln<I: Isa>(self) -> Self;
    /// `log(1 + x)`, accurate near 0.
    fn ln_1p<I: Isa>(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh<I: Isa>(self) -> Self;
    /// `1 / (1 + e⁻ˣ)`
    fn sigmoid<I: Isa>(self) -> Self;
    /// `log(1 + eˣ)`
    fn softplus<I: Isa>(self) -> Self;
    /// The sine.
    fn sin<I: Isa>(self) -> Self;
    /// The cosine.
    fn cos<I: Isa>(self) -> Self;
    /// The larger; `other` when `self` is NaN.
    fn max(self, other: Self) -> Self;
}

macro_rules! wide {
    ($($ty:ident by $($module:ident)::+;)*) => {$(
        impl Wide for $ty {
            const ZERO: $ty = 0.0;
            const ONE: $ty = 1.0;
            const HALF: $ty = 0.5;
            const LOWEST: $ty = $ty::NEG_INFINITY;
            #[inline(always)]
            fn sqrt(self) -> Self { $ty::sqrt(self) }
            #[inline(always)]
            fn floor(self) -> Self { $ty::floor(self) }
            #[inline(always)]
            fn ceil(self) -> Self { $ty::ceil(self) }
            #[inline(always)]
            fn exp<I: Isa>(self) -> Self { $($module)::+::exp::<I>(self) }
            #[inline(always)]
            fn exp_m1<I: Isa>(self) -> Self { $($module)::+::exp_m1::<I>(self) }
            #[inline(always)]
            fn ln<I: Isa>(self) -> Self { $($module)::+::ln::<I>(self) }
            #[inline(always)]
            fn ln_1p<I: Isa>(self) -> Self { $($module)::+::ln_1p::<I>(self) }
            #[inline(always)]
            fn tanh<I: Isa>(self) -> Self { $($module)::+::tanh::<I>(self) }
            #[inline(always)]
            fn sigmoid<I: Isa>(self) -> Self { $($module)::+::sigmoid::<I>(self) }
            #[inline(always)]
            fn softplus<I: Isa>(self) -> Self { $($module)::+::softplus::<I>(self) }
            #[inline(always)]
            fn sin<I: Isa>(self) -> Self { $($module)::+::sin::<I>(self) }
            #[inline(always)]
            fn cos<I: Isa>(self) -> Self { $($module)::+::cos::<I>(self) }
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
wide! { f32 by vecmath; f64 by vecmath::double; }

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

/// Kernels of functions of floats, registered by the function named first. A row: the op, its operands (one, or two of one
/// shape), and its value, of numbers of a type `W: Wide`, by an instruction set `I: Isa`.
macro_rules! real_functions {
    ($register:ident: $($op:ident($($x:ident),+) => $value:expr;)*) => {
        fn $register(table: &mut $crate::kernels::KernelTable) {
            $({
                #[inline(always)]
                #[allow(clippy::extra_unused_type_parameters, reason = "few functions care for the instruction set")]
                fn value<I: $crate::kernels::simd::Isa, W: $crate::kernels::real::Wide>($($x: W),+) -> W {
                    $value
                }
                #[derive(Clone, Copy)]
                struct Function;
                $crate::kernels::real::real_functions!(@map table $op ($($x)+));
            })*
        }
    };
    (@map $table:ident $op:ident ($x:ident)) => {
        real_functions!(@map $table $op ($x) Map1 map1);
    };
    (@map $table:ident $op:ident ($x:ident $y:ident)) => {
        real_functions!(@map $table $op ($x $y) Map2 map2);
    };
    (@map $table:ident $op:ident ($($x:ident)+) $trait:ident $map:ident) => {
        impl<T: $crate::kernels::real::Real> $crate::kernels::elementwise::$trait<T, T> for Function {
            #[inline(always)]
            fn eval<I: $crate::kernels::simd::Isa>(self, $($x: T),+) -> T {
                T::narrow(value::<I, T::Wide>($($x.widen()),+))
            }
        }
        $table.compiled::<$op>(|_, cx| {
            tidemill_tensor::dispatch_float!(
                cx.dtype(0),
                T => $crate::kernels::elementwise::$map::<T, T>(cx, Function),
                else => unsupported(),
            )
        });
    };
}
pub(super) use real_functions;
