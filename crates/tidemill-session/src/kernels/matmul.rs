//! Kernels of `ops::matmul`: [`skinny`] products, the `gemm` crate for other floats, plain loops for integers.

use std::ops::Range;

use tidemill_core::ops::MatMul;
use tidemill_core::{DType, Error, Result};
use tidemill_tensor::half::bf16;
use tidemill_tensor::{Complex, Element, dispatch_int};

use super::parallel::{Common, Parts};
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
    let Sizes { m, n, a, .. } = sizes;
    // Rows of the result are each on their own, where products are done by rows.
    let grain = match way {
        Way::Rows => (BLOCK / (sizes.k * n).max(1)).next_multiple_of(ALIGNED),
        Way::OuterProducts => usize::MAX / 2,
    };
    Compiled::step(move |args: &mut Args| {
        let (x, y, out) = (args.input::<T>(0), args.input::<T>(1), Parts::new(args.output::<T>(0)));
        args.each_stretch(m, grain, &|rows| {
            let sizes = Sizes { m: rows.len(), ..sizes };
            // SAFETY: stretches of rows do not overlap.
            let out = unsafe { out.part(rows.start * n..rows.end * n) };
            run(level, Product { sizes, way, x: &x[rows.start * a[0]..], y, out });
            Ok(())
        })
    })
}

/// Multiplications in a block that is worth a task of its own: some ten microseconds.
const BLOCK: usize = 1 << 20;
/// Multiplications in a block, at most: some ten milliseconds, so that a run need not wait long to stop.
const LARGEST_BLOCK: usize = 1 << 29;
/// Blocks of a product that is not larger than so many of the largest. Each packs an operand again, so there are few.
const BLOCKS: usize = 8;
/// Rows or columns of a block are a multiple of this.
const ALIGNED: usize = 16;
/// Rows of a block, at least, and columns: what is written to one row should be some cache lines long, or threads get into each other's way.
const LEAST: [usize; 2] = [32, 128];

/// Blocks of rows, or of columns if rows are few, that one product is done by. The sum over `k` is never cut, so each element is what it would be without
/// blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Blocks {
    by_columns: bool,
    /// Rows or columns of a block.
    size: usize,
    count: usize,
}

impl Blocks {
    fn new(sizes: &Sizes) -> Blocks {
        let Sizes { m, k, n, .. } = *sizes;
        let work = m.saturating_mul(k).saturating_mul(n);
        let count = (work / BLOCK).clamp(1, BLOCKS).max(work.div_ceil(LARGEST_BLOCK));
        let by_columns = n > m && m < BLOCKS * LEAST[0];
        let length = if by_columns { n } else { m };
        let least = LEAST[usize::from(by_columns)];
        let size = length.div_ceil(count).max(least).next_multiple_of(ALIGNED).min(length).max(1);
        Blocks { by_columns, size, count: length.div_ceil(size) }
    }

    /// The rows and columns of block `i`.
    fn block(&self, i: usize, sizes: &Sizes) -> [Range<usize>; 2] {
        let part = |length: usize| i * self.size..((i + 1) * self.size).min(length);
        if self.by_columns { [0..sizes.m, part(sizes.n)] } else { [part(sizes.m), 0..sizes.n] }
    }
}

fn gemm_step<T: Element>(sizes: Sizes, zero: T, one: T) -> Result<Compiled> {
    let Sizes { k, n, a, b, .. } = sizes;
    let blocks = Blocks::new(&sizes);
    Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input::<T>(0), args.input::<T>(1));
        let out = args.output::<T>(0);
        if k == 0 {
            out.fill(zero);
            return Ok(());
        }
        let (x, y, out) = (Common(x.as_ptr()), Common(y.as_ptr()), Common(out.as_mut_ptr()));
        args.each_task(blocks.count, &|i| {
            let [rows, columns] = blocks.block(i, &sizes);
            // SAFETY: the slices hold m·k, k·n and m·n elements (the shape rule checked), which is what sizes and strides span, and the
            // block lies inside; `out` overlaps neither operand, and blocks do not overlap each other.
            unsafe {
                gemm::gemm(
                    rows.len(),
                    columns.len(),
                    k,
                    out.get().add(rows.start * n + columns.start),
                    1,
                    n as isize,
                    false,
                    x.get().add(rows.start * a[0]),
                    a[1] as isize,
                    a[0] as isize,
                    y.get().add(columns.start * b[1]),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_the_result() {
        for (m, k, n) in [
            (1, 1, 1),
            (20, 400, 800),
            (400, 20, 800),
            (640, 640, 640),
            (700, 650, 10_000),
            (1, 1 << 20, 1 << 12),
        ] {
            let sizes = Sizes { m, k, n, a: [k, 1], b: [n, 1] };
            let blocks = Blocks::new(&sizes);
            let mut covered = 0;
            for i in 0..blocks.count {
                let [rows, columns] = blocks.block(i, &sizes);
                assert!(rows.len() * columns.len() > 0 && rows.end <= m && columns.end <= n);
                covered += rows.len() * columns.len();
            }
            assert_eq!(covered, m * n, "{blocks:?}");
        }
    }
}
