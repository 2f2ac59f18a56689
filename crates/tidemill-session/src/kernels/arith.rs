//! Arithmetic with TensorFlow's rules for every numeric dtype: integers wrap, floats follow IEEE 754, complex numbers multiply naively.

use tidemill_tensor::half::{bf16, f16};
use tidemill_tensor::{Complex, Element};

/// Numbers that kernels add, subtract and multiply.
pub trait Arith: Element {
    /// The sum; integers wrap.
    fn add(self, other: Self) -> Self;
    /// The difference; integers wrap.
    fn sub(self, other: Self) -> Self;
    /// The product; integers wrap.
    fn mul(self, other: Self) -> Self;
    /// The negation; integers wrap.
    fn neg(self) -> Self;
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl Arith for $ty {
            #[inline(always)]
            fn add(self, other: Self) -> Self { self.wrapping_add(other) }
            #[inline(always)]
            fn sub(self, other: Self) -> Self { self.wrapping_sub(other) }
            #[inline(always)]
            fn mul(self, other: Self) -> Self { self.wrapping_mul(other) }
            #[inline(always)]
            fn neg(self) -> Self { self.wrapping_neg() }
        }
    )*};
}
integers!(i8 i16 i32 i64 u8 u16 u32 u64);

macro_rules! floats {
    ($($ty:ty)*) => {$(
        impl Arith for $ty {
            #[inline(always)]
            fn add(self, other: Self) -> Self { self + other }
            #[inline(always)]
            fn sub(self, other: Self) -> Self { self - other }
            #[inline(always)]
            fn mul(self, other: Self) -> Self { self * other }
            #[inline(always)]
            fn neg(self) -> Self { -self }
        }
    )*};
}
floats!(f16 bf16 f32 f64 Complex<f32> Complex<f64>);

/// Numbers that kernels compare, too: all but complex ones.
pub trait Ordered: Arith + PartialOrd {}
impl<T: Arith + PartialOrd> Ordered for T {}
