//! Kernels of `ops::fft`, by the `rustfft` crate: one block of the last axes at a time, along one axis after the other.

use std::sync::{Arc, Mutex, PoisonError};

use rustfft::{Fft, FftNum, FftPlanner};
use tidemill_core::ops::{
    FFT, FFT2D, FFT3D, IFFT, IFFT2D, IFFT3D, IRFFT, IRFFT2D, IRFFT3D, RFFT, RFFT2D, RFFT3D,
};
use tidemill_core::{Error, Result, Shape};
use tidemill_tensor::{Complex, dispatch_complex};

use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<FFT>(|_, cx| complex(cx, 1, true));
    table.compiled::<IFFT>(|_, cx| complex(cx, 1, false));
    table.compiled::<FFT2D>(|_, cx| complex(cx, 2, true));
    table.compiled::<IFFT2D>(|_, cx| complex(cx, 2, false));
    table.compiled::<FFT3D>(|_, cx| complex(cx, 3, true));
    table.compiled::<IFFT3D>(|_, cx| complex(cx, 3, false));
    table.compiled::<RFFT>(|_, cx| of_real(cx, 1));
    table.compiled::<IRFFT>(|_, cx| to_real(cx, 1));
    table.compiled::<RFFT2D>(|_, cx| of_real(cx, 2));
    table.compiled::<IRFFT2D>(|_, cx| to_real(cx, 2));
    table.compiled::<RFFT3D>(|_, cx| of_real(cx, 3));
    table.compiled::<IRFFT3D>(|_, cx| to_real(cx, 3));
}

fn unsupported(cx: &CompileCx) -> Result<Compiled> {
    Err(Error::unimplemented(format!("a transform of {}", cx.dtype(0))))
}

/// Transforms of blocks of these sizes along their axes.
struct Transform<R: FftNum> {
    sizes: Vec<usize>,
    along: Vec<Arc<dyn Fft<R>>>,
    memory: Mutex<Memory<R>>,
}

/// What a transform works in: a block, a line of it along one axis, and what the algorithm needs.
struct Memory<R> {
    block: Vec<Complex<R>>,
    line: Vec<Complex<R>>,
    scratch: Vec<Complex<R>>,
}

impl<R: FftNum + Default> Transform<R> {
    fn new(sizes: Vec<usize>, forward: bool) -> Transform<R> {
        let mut planner = FftPlanner::new();
        let along: Vec<Arc<dyn Fft<R>>> = sizes
            .iter()
            .map(|n| if forward { planner.plan_fft_forward(*n) } else { planner.plan_fft_inverse(*n) })
            .collect();
        let zeros = |n: usize| vec![Complex::default(); n];
        let scratch = along.iter().map(|fft| fft.get_inplace_scratch_len()).max().unwrap_or(0);
        let memory = Memory {
            block: zeros(sizes.iter().product()),
            line: zeros(sizes.iter().copied().max().unwrap_or(0)),
            scratch: zeros(scratch),
        };
        Transform { sizes, along, memory: Mutex::new(memory) }
    }

    /// Transforms the block in memory along the axis.
    fn axis(&self, memory: &mut Memory<R>, axis: usize) {
        let n = self.sizes[axis];
        let stride: usize = self.sizes[axis + 1..].iter().product();
        let Memory { block, line, scratch } = memory;
        if stride == 1 {
            return self.along[axis].process_with_scratch(block, scratch);
        }
        let line = &mut line[..n];
        for outer in block.chunks_exact_mut(n * stride) {
            for i in 0..stride {
                for (k, z) in line.iter_mut().enumerate() {
                    *z = outer[i + k * stride];
                }
                self.along[axis].process_with_scratch(line, scratch);
                for (k, z) in line.iter().enumerate() {
                    outer[i + k * stride] = *z;
                }
            }
        }
    }
}

/// The sizes of the last axes.
fn last(shape: &Shape, axes: usize) -> Result<Vec<usize>> {
    match shape.rank().checked_sub(axes) {
        Some(batch) => Ok(shape[batch..].to_vec()),
        None => Err(Error::invalid(format!("needs at least rank {axes}, but the shape is {shape}"))),
    }
}

/// Calls `f` with the offset of each row of the first `part` rows and columns of a block.
fn rows(sizes: &[usize], part: &[usize], mut f: impl FnMut(usize)) {
    let (Some((_, outer)), Some((_, outer_part))) = (sizes.split_last(), part.split_last()) else { return };
    let row = sizes[sizes.len() - 1];
    let count: usize = outer_part.iter().product();
    for turn in 0..count {
        let (mut rest, mut at, mut stride) = (turn, 0, row);
        for d in (0..outer.len()).rev() {
            at += rest % outer_part[d] * stride;
            rest /= outer_part[d];
            stride *= outer[d];
        }
        f(at);
    }
}

fn complex(cx: &CompileCx, axes: usize, forward: bool) -> Result<Compiled> {
    let sizes = last(&cx.shape(0), axes)?;
    let len: usize = sizes.iter().product();
    dispatch_complex!(cx.dtype(0), R => {
        let transform = Transform::<R>::new(if len == 0 { vec![] } else { sizes }, forward);
        let scale = if forward { 1.0 } else { 1.0 / len.max(1) as R };
        Compiled::step(move |args: &mut Args| {
            let (x, out) = (args.input::<Complex<R>>(0), args.output::<Complex<R>>(0));
            let mut memory = transform.memory.lock().unwrap_or_else(PoisonError::into_inner);
            for (x, out) in x.chunks_exact(len.max(1)).zip(out.chunks_exact_mut(len.max(1))) {
                memory.block.copy_from_slice(x);
                (0..transform.sizes.len()).for_each(|axis| transform.axis(&mut memory, axis));
                out.iter_mut().zip(&memory.block).for_each(|(out, z)| *out = z * scale);
            }
            Ok(())
        })
    }, else => unsupported(cx))
}

/// The sizes that a transform is to have, each checked against what there is.
fn lengths(
    cx: &CompileCx,
    have: &[usize],
    least: impl Fn(usize, usize) -> usize,
) -> Result<Option<Vec<usize>>> {
    let Some(lengths) = cx.ints(1) else { return Ok(None) };
    if lengths.len() != have.len() {
        return Err(Error::invalid(format!(
            "`fft_length` must have {} elements, not {}",
            have.len(),
            lengths.len()
        )));
    }
    let mut sizes = vec![];
    for (i, (n, have)) in lengths.iter().zip(have).enumerate() {
        let n = usize::try_from(*n).map_err(|_| Error::invalid(format!("fft_length[{i}] is {n}")))?;
        let least = least(i, n);
        if *have != 0 && *have < least {
            return Err(Error::invalid(format!(
                "axis {i} of the transform must have at least {least} elements, not {have}"
            )));
        }
        sizes.push(n);
    }
    Ok(Some(sizes))
}

fn of_real(cx: &CompileCx, axes: usize) -> Result<Compiled> {
    let have = last(&cx.shape(0), axes)?;
    let Some(sizes) = lengths(cx, &have, |_, n| n)? else { return Ok(Compiled::Deferred) };
    let mut half = sizes.clone();
    half[axes - 1] = if sizes[axes - 1] == 0 { 0 } else { sizes[axes - 1] / 2 + 1 };
    let empty = cx.shape(0).num_elements() == 0 || sizes.contains(&0);
    dispatch_complex!(cx.output_dtype(0), R => {
        let transform = Transform::<R>::new(if empty { vec![] } else { sizes.clone() }, true);
        let (row, kept) = (sizes[axes - 1], half[axes - 1]);
        let (have_len, half_len) = (have.iter().product::<usize>(), half.iter().product::<usize>());
        Compiled::step(move |args: &mut Args| {
            let (x, out) = (args.input::<R>(0), args.output::<Complex<R>>(0));
            if empty {
                out.fill(Complex::default());
                return Ok(());
            }
            let mut memory = transform.memory.lock().unwrap_or_else(PoisonError::into_inner);
            for (x, out) in x.chunks_exact(have_len).zip(out.chunks_exact_mut(half_len)) {
                let block = &mut memory.block;
                let mut to = block.chunks_exact_mut(row);
                rows(&have, &sizes, |at| {
                    if let Some(to) = to.next() {
                        to.iter_mut().zip(&x[at..at + row]).for_each(|(z, x)| *z = Complex::new(*x, 0.0));
                    }
                });
                (0..axes).for_each(|axis| transform.axis(&mut memory, axis));
                for (out, from) in out.chunks_exact_mut(kept).zip(memory.block.chunks_exact(row)) {
                    out.copy_from_slice(&from[..kept]);
                }
            }
            Ok(())
        })
    }, else => unsupported(cx))
}

fn to_real(cx: &CompileCx, axes: usize) -> Result<Compiled> {
    let have = last(&cx.shape(0), axes)?;
    let least = |i: usize, n: usize| if i + 1 == axes && n > 0 { n / 2 + 1 } else { n };
    let Some(sizes) = lengths(cx, &have, least)? else { return Ok(Compiled::Deferred) };
    let mut half = sizes.clone();
    half[axes - 1] = least(axes - 1, sizes[axes - 1]);
    let empty = cx.shape(0).num_elements() == 0 || sizes.contains(&0);
    dispatch_complex!(cx.dtype(0), R => {
        let transform = Transform::<R>::new(if empty { vec![] } else { sizes.clone() }, false);
        let (row, kept, len) = (sizes[axes - 1], half[axes - 1], sizes.iter().product::<usize>());
        let have_len: usize = have.iter().product();
        let scale = 1.0 / len.max(1) as R;
        Compiled::step(move |args: &mut Args| {
            let (x, out) = (args.input::<Complex<R>>(0), args.output::<R>(0));
            if empty {
                out.fill(R::default());
                return Ok(());
            }
            let mut memory = transform.memory.lock().unwrap_or_else(PoisonError::into_inner);
            for (x, out) in x.chunks_exact(have_len).zip(out.chunks_exact_mut(len)) {
                let mut to = memory.block.chunks_exact_mut(row);
                rows(&have, &half, |at| {
                    if let Some(to) = to.next() {
                        to[..kept].copy_from_slice(&x[at..at + kept]);
                        to[kept..].fill(Complex::default());
                    }
                });
                (0..axes - 1).for_each(|axis| transform.axis(&mut memory, axis));
                for line in memory.block.chunks_exact_mut(row) {
                    // What the result is real for: the frequencies that are not given are conjugates, and those without one are real.
                    line[0].im = 0.0;
                    if row % 2 == 0 {
                        line[row / 2].im = 0.0;
                    }
                    for k in kept..row {
                        line[k] = line[row - k].conj();
                    }
                }
                transform.axis(&mut memory, axes - 1);
                out.iter_mut().zip(&memory.block).for_each(|(out, z)| *out = z.re * scale);
            }
            Ok(())
        })
    }, else => unsupported(cx))
}

#[cfg(test)]
mod tests {
    use tidemill_core::Value;

    use super::super::testing::{eval, try_eval};
    use super::*;

    #[track_caller]
    fn check(got: &Value, want: impl Into<Value>) {
        let want = want.into();
        assert!(got.allclose(&want, 1e-12, 1e-12), "{got} is not {want}");
    }

    fn c(re: f64, im: f64) -> Complex<f64> {
        Complex::new(re, im)
    }

    #[test]
    fn transforms() {
        let x = Value::from([c(1.0, 0.0), c(2.0, 0.0), c(4.0, 0.0), c(0.0, 1.0)]);
        let y = &eval(FFT, std::slice::from_ref(&x))[0];
        check(y, [c(7.0, 1.0), c(-4.0, -2.0), c(3.0, -1.0), c(-2.0, 2.0)]);
        check(&eval(IFFT, std::slice::from_ref(y))[0], x.clone());
        let square = x.reshape([2, 2]).unwrap();
        check(&eval(IFFT2D, &eval(FFT2D, std::slice::from_ref(&square)))[0], square.clone());
        check(&eval(FFT2D, &[square])[0], [[c(7.0, 1.0), c(3.0, -1.0)], [c(-1.0, -1.0), c(-5.0, 1.0)]]);
    }

    #[test]
    fn real_numbers() {
        let x = Value::from([1.0, 2.0, 4.0, 3.0, 9.0]);
        check(&eval(RFFT, &[x.clone(), [4].into()])[0], [c(10.0, 0.0), c(-3.0, 1.0), c(0.0, 0.0)]);
        let y = eval(RFFT, &[x.clone(), [5].into()]);
        check(&eval(IRFFT, &[y[0].clone(), [5].into()])[0], x.clone());
        assert!(try_eval(RFFT, &[x, [6].into()]).is_err());
        let x = Value::from([[1.0, 2.0, 4.0], [3.0, 9.0, 0.5]]);
        let lengths = Value::from([2, 3]);
        let y = eval(RFFT2D, &[x.clone(), lengths.clone()]);
        check(&eval(IRFFT2D, &[y[0].clone(), lengths])[0], x);
    }
}
