//! Kernels of `ops::matmul`: [`skinny`] products, the `gemm` crate for other floats, plain loops for integers.

use tidemill_core::ops::MatMul;
use tidemill_core::{DType, Error, Result};
use tidemill_tensor::half::bf16;
use tidemill_tensor::{Complex, Element, dispatch_int};

use super::simd::run;
use super::skinny::{self, Product, Way};
use super::vector::Lanes;
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<MatMul>(matmul);
}

/// The sizes of a product `[m, k] · [k, n]`, and how far apart rows and columns of the operands stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) a: [usize; 2],
    pub(super) b: [usize; 2],
}

fn matmul(op: &MatMul, cx: &CompileCx) -> Result<Compiled> {
    let (a, b) = (cx.shape(0), cx.shape(1));
    let strides = |columns: usize, transposed: bool| if transposed { [1, columns] } else { [columns, 1] };
    let (m, k) = if op.transpose_a { (a[1], a[0]) } else { (a[0], a[1]) };
    let n = if op.transpose_b { b[0] } else { b[1] };
    let sizes = Sizes { m, k, n, a: strides(a[1], op.transpose_a), b: strides(b[1], op.transpose_b) };
    match cx.dtype(0) {
        DType::F32 => match skinny::way(&sizes) {
            Some(way) => skinny_step::<f32>(cx, sizes, way),
            None => gemm_step::<f32>(sizes, 0.0, 1.0),
        },
        DType::F64 => match skinny::way(&sizes) {
            Some(way) => skinny_step::<f64>(cx, sizes, way),
            None => gemm_step::<f64>(sizes, 0.0, 1.0),
        },
        DType::C64 => gemm_step::<Complex<f32>>(sizes, Complex::ZERO, Complex::ONE),
        DType::C128 => gemm_step::<Complex<f64>>(sizes, Complex::ZERO, Complex::ONE),
        DType::F16 => gemm_step::<gemm::f16>(sizes, gemm::f16::ZERO, gemm::f16::ONE),
        DType::BF16 => bf16_step(sizes),
        dtype => dispatch_int!(dtype, T => integer_step::<T>(sizes), else => {
            Err(Error::unimplemented(format!("MatMul of {dtype}")))
        }),
    }
}

fn skinny_step<T: Lanes>(cx: &CompileCx, sizes: Sizes, way: Way) -> Result<Compiled> {
    let level = cx.level();
    Compiled::step(move |args: &mut Args| {
        let (x, y, out) = (args.input::<T>(0), args.input::<T>(1), args.output::<T>(0));
        run(level, Product { sizes, way, x, y, out });
        Ok(())
    })
}

fn gemm_step<T: Element>(sizes: Sizes, zero: T, one: T) -> Result<Compiled> {
    let Sizes { m, k, n, a, b } = sizes;
    Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input::<T>(0), args.input::<T>(1));
        let out = args.output::<T>(0);
        if k == 0 {
            out.fill(zero);
            return Ok(());
        }
        // SAFETY: the slices hold m·k, k·n and m·n elements (the shape rule checked), which is what sizes and strides span;
        // `out` overlaps neither operand.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr(),
                1,
                n as isize,
                false,
                x.as_ptr(),
                a[1] as isize,
                a[0] as isize,
                y.as_ptr(),
                b[1] as isize,
                b[0] as isize,
                zero,
                one,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
        Ok(())
    })
}

fn bf16_step(sizes: Sizes) -> Result<Compiled> {
    let Sizes { m, k, n, a, b } = sizes;
    Compiled::step(move |args: &mut Args| {
        let (x, y, out) = (args.input::<bf16>(0), args.input::<bf16>(1), args.output::<bf16>(0));
        for i in 0..m {
            for j in 0..n {
                let sum: f32 =
                    (0..k).map(|l| x[i * a[0] + l * a[1]].to_f32() * y[l * b[0] + j * b[1]].to_f32()).sum();
                out[i * n + j] = bf16::from_f32(sum);
            }
        }
        Ok(())
    })
}

fn integer_step<T: Element>(sizes: Sizes) -> Result<Compiled> {
    let Sizes { m, k, n, a, b } = sizes;
    Compiled::step(move |args: &mut Args| {
        let (x, y, out) = (args.input::<T>(0), args.input::<T>(1), args.output::<T>(0));
        for i in 0..m {
            for j in 0..n {
                let sum = (0..k).fold(0i64, |sum, l| {
                    sum.wrapping_add(
                        x[i * a[0] + l * a[1]].to_i64().wrapping_mul(y[l * b[0] + j * b[1]].to_i64()),
                    )
                });
                // The low bits of a wrapped 64-bit sum are those of a sum wrapped at any smaller width.
                out[i * n + j] = T::from_i64(sum);
            }
        }
        Ok(())
    })
}
