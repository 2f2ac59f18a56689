//! Instruction sets, chosen at run time.
//!
//! A loop is written once, as a [`Body`] generic over [`Isa`]. [`run`] calls the copy that was compiled for the chosen
//! instruction set, so no build flags are needed. The portable copy computes the same to within the rounding of fused
//! multiply-adds.
//!
//! Only what is inlined into a body is compiled for its instruction set. So a body calls functions that are
//! `#[inline(always)]`, and loops with `for`: a closure is a function of its own, which the compiler may leave outside.

use std::sync::OnceLock;

use tidemill_core::DType;

use super::vector::Vector;

/// An instruction set that this process may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// What every machine of the target has.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, VL, DQ and BW.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The best that this machine has.
    pub fn detect() -> Level {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| {
            #[cfg(target_arch = "x86_64")]
            {
                let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                let avx512 = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw");
                if avx2 && avx512 {
                    return Level::Avx512;
                }
                if avx2 {
                    return Level::Avx2;
                }
            }
            Level::Portable
        })
    }
}

/// What a loop body may use of an instruction set beyond plain arithmetic.
pub trait Isa: Copy + 'static {
    /// Whether there are 32 vector registers of 512 bits.
    const WIDE: bool;
    /// A vector of `f32`.
    type F32: Vector<f32>;
    /// A vector of `f64`.
    type F64: Vector<f64>;
    /// `a * b + c`, fused where that is one instruction.
    fn fma32(a: f32, b: f32, c: f32) -> f32;
    /// `a * b + c`, fused where that is one instruction.
    fn fma64(a: f64, b: f64, c: f64) -> f64;
}

/// No fused multiply-add.
#[derive(Clone, Copy)]
pub struct Portable;

/// Fused multiply-add in one instruction, and vectors of so many bits: a copy of its own for each level.
#[derive(Clone, Copy)]
pub struct Fused<const BITS: u32>;

impl Isa for Portable {
    const WIDE: bool = false;
    type F32 = [f32; 4];
    type F64 = [f64; 2];
    #[inline(always)]
    fn fma32(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
    #[inline(always)]
    fn fma64(a: f64, b: f64, c: f64) -> f64 {
        a * b + c
    }
}

macro_rules! fused {
    ($bits:literal, $f32:ty, $f64:ty) => {
        #[cfg(target_arch = "x86_64")]
        impl Isa for Fused<$bits> {
            const WIDE: bool = $bits == 512;
            type F32 = $f32;
            type F64 = $f64;
            #[inline(always)]
            fn fma32(a: f32, b: f32, c: f32) -> f32 {
                a.mul_add(b, c)
            }
            #[inline(always)]
            fn fma64(a: f64, b: f64, c: f64) -> f64 {
                a.mul_add(b, c)
            }
        }
    };
}
fused!(256, std::arch::x86_64::__m256, std::arch::x86_64::__m256d);
fused!(512, std::arch::x86_64::__m512, std::arch::x86_64::__m512d);

/// A loop that is compiled for each instruction set. Implementations mark `run` `#[inline(always)]`.
pub trait Body {
    /// What it returns.
    type Out;
    /// Whether it is worth a copy for AVX-512 beside that for AVX2. Each copy costs machine code and compile time.
    const WIDE: bool = true;
    /// Runs it.
    fn run<I: Isa>(self) -> Self::Out;
}

/// Whether loops over this dtype are compiled for AVX-512 too: those that training is made of are.
pub const fn wide(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64)
}

/// Runs `body` as compiled for `level`, which must come from [`Level::detect`].
#[inline]
pub fn run<B: Body>(level: Level, body: B) -> B::Out {
    match level {
        Level::Portable => body.run::<Portable>(),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the level comes from `detect`, which found these features on this machine.
        Level::Avx2 => unsafe { avx2(body) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above; AVX-512 is only detected where AVX2 is.
        Level::Avx512 => unsafe { if const { B::WIDE } { avx512(body) } else { avx2(body) } },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<B: Body>(body: B) -> B::Out {
    body.run::<Fused<256>>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn avx512<B: Body>(body: B) -> B::Out {
    body.run::<Fused<512>>()
}
