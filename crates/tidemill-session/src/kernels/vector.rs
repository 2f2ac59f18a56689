//! Vector registers, for loops whose sums must stay in them: what the compiler does not do by itself.
//!
//! A loop names `I::F32` or `I::F64`, the widest vectors of its instruction set, through [`Lanes`].

use super::simd::Isa;

/// One vector register of `T`.
pub trait Vector<T>: Copy {
    /// How many elements it holds.
    const LANES: usize;
    /// `x` in every lane.
    fn splat(x: T) -> Self;
    /// # Safety
    /// `from` is valid for the first `n` elements, `n` at most `LANES`; other lanes are zero.
    unsafe fn load(from: *const T, n: usize) -> Self;
    /// # Safety
    /// `to` is valid for `n` elements, `n` at most `LANES`: only those are written.
    unsafe fn store(self, to: *mut T, n: usize);
    /// `self * y + z`
    fn fma(self, y: Self, z: Self) -> Self;
    /// The sum of two.
    fn plus(self, y: Self) -> Self;
}

/// The vectors of an instruction set that hold a type.
pub trait Lanes: tidemill_tensor::Element {
    /// See [`Vector`].
    type Vector<I: Isa>: Vector<Self>;
}

impl Lanes for f32 {
    type Vector<I: Isa> = I::F32;
}

impl Lanes for f64 {
    type Vector<I: Isa> = I::F64;
}

macro_rules! portable {
    ($ty:ty, $lanes:literal) => {
        impl Vector<$ty> for [$ty; $lanes] {
            const LANES: usize = $lanes;
            #[inline(always)]
            fn splat(x: $ty) -> Self {
                [x; $lanes]
            }
            #[inline(always)]
            unsafe fn load(from: *const $ty, n: usize) -> Self {
                // SAFETY: as promised by the caller.
                std::array::from_fn(|i| if i < n { unsafe { *from.add(i) } } else { 0.0 })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $ty, n: usize) {
                for i in 0..n.min($lanes) {
                    // SAFETY: as promised by the caller.
                    unsafe { *to.add(i) = self[i] };
                }
            }
            #[inline(always)]
            fn fma(self, y: Self, z: Self) -> Self {
                std::array::from_fn(|i| self[i] * y[i] + z[i])
            }
            #[inline(always)]
            fn plus(self, y: Self) -> Self {
                std::array::from_fn(|i| self[i] + y[i])
            }
        }
    };
}
portable!(f32, 4);
portable!(f64, 2);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    /// For the first `n` lanes all bits, for the rest none.
    const MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    const MASKS_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

    // SAFETY of the instructions: values of these types are only made in code that `simd::run` compiled for a machine that has them.
    macro_rules! x86 {
        (
            $vector:ty, $ty:ty, $lanes:literal,
            $splat:ident, $full_load:ident, $full_store:ident, $fma:ident, $add:ident,
            |$from:ident, $n:ident| $load:expr, |$v:ident, $to:ident, $m:ident| $store:expr
        ) => {
            impl Vector<$ty> for $vector {
                const LANES: usize = $lanes;
                #[inline(always)]
                fn splat(x: $ty) -> Self {
                    // SAFETY: see above.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load($from: *const $ty, $n: usize) -> Self {
                    // SAFETY: see above, and as promised by the caller; masked lanes are not touched.
                    unsafe { if $n == $lanes { $full_load($from) } else { $load } }
                }
                #[inline(always)]
                unsafe fn store(self, $to: *mut $ty, $m: usize) {
                    let $v = self;
                    // SAFETY: see above, and as promised by the caller; masked lanes are not touched.
                    unsafe { if $m == $lanes { $full_store($to, $v) } else { $store } }
                }
                #[inline(always)]
                fn fma(self, y: Self, z: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { $fma(self, y, z) }
                }
                #[inline(always)]
                fn plus(self, y: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { $add(self, y) }
                }
            }
        };
    }

    x86!(
        __m512,
        f32,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        |from, n| _mm512_maskz_loadu_ps(((1u32 << n) - 1) as u16, from),
        |v, to, n| _mm512_mask_storeu_ps(to, ((1u32 << n) - 1) as u16, v)
    );
    x86!(
        __m512d,
        f64,
        8,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_fmadd_pd,
        _mm512_add_pd,
        |from, n| _mm512_maskz_loadu_pd(((1u32 << n) - 1) as u8, from),
        |v, to, n| _mm512_mask_storeu_pd(to, ((1u32 << n) - 1) as u8, v)
    );
    x86!(
        __m256,
        f32,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        |from, n| _mm256_maskload_ps(from, _mm256_loadu_si256(MASKS.as_ptr().add(8 - n.min(8)).cast())),
        |v, to, n| _mm256_maskstore_ps(to, _mm256_loadu_si256(MASKS.as_ptr().add(8 - n.min(8)).cast()), v)
    );
    x86!(
        __m256d,
        f64,
        4,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_fmadd_pd,
        _mm256_add_pd,
        |from, n| _mm256_maskload_pd(from, _mm256_loadu_si256(MASKS_64.as_ptr().add(4 - n.min(4)).cast())),
        |v, to, n| _mm256_maskstore_pd(to, _mm256_loadu_si256(MASKS_64.as_ptr().add(4 - n.min(4)).cast()), v)
    );
}
