//! Kernels of `ops::pad`: repeating and padding.

use tidemill_core::ops::{MirrorPad, MirrorPadGrad, Pad, PadV2, Tile};
use tidemill_core::{Error, Result};
use tidemill_tensor::dispatch_arith;

use super::arith::Arith;
use super::copy::{StridedCopy, each_place, rows_from};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Tile>(|_, cx| tile(cx));
    table.compiled::<Pad>(|_, cx| pad(cx));
    table.compiled::<PadV2>(|_, cx| pad(cx));
    table.compiled::<MirrorPad>(|op, cx| {
        let (Some(paddings), shape, offset) = (cx.ints(1), cx.shape(0), mirror_offset(&op.mode)?) else {
            return Ok(Compiled::Deferred);
        };
        rows_from(cx, shape.rank(), move |index, at| {
            for (d, (i, at)) in index.iter().zip(at).enumerate() {
                *at = mirrored(*i, paddings[2 * d] as usize, shape[d], offset);
            }
            true
        })
    });
    table.compiled::<MirrorPadGrad>(mirror_pad_grad);
}

/// One walk over the result with copies and elements of each axis as axes of their own.
fn tile(cx: &CompileCx) -> Result<Compiled> {
    let (shape, out) = (cx.shape(0), cx.output_shape(0));
    if cx.value(1).is_none() {
        return Ok(Compiled::Deferred);
    }
    if shape == out {
        return Ok(Compiled::Alias(0));
    }
    let (mut sizes, mut strides) = (vec![], vec![]);
    for ((n, all), stride) in shape.iter().zip(out.iter()).zip(shape.strides()) {
        sizes.extend([all.checked_div(*n).unwrap_or(0), *n]);
        strides.extend([0, stride as isize]);
    }
    let walk = StridedCopy::new(&sizes.into_iter().collect(), &strides, 0, cx.dtype(0).size());
    Compiled::step(move |args: &mut Args| {
        let (from, (to, bytes)) = (args.input_bytes(0), args.output_raw(0));
        if bytes > 0 {
            // SAFETY: the strides are those of the input's shape, and the output has as many elements as the walk.
            unsafe { walk.run(from.as_ptr(), to) };
        }
        Ok(())
    })
}

/// What the edge itself counts for: `REFLECT` leaves it out, `SYMMETRIC` repeats it.
fn mirror_offset(mode: &str) -> Result<usize> {
    match mode {
        "REFLECT" => Ok(1),
        "SYMMETRIC" => Ok(0),
        other => Err(Error::invalid(format!("mode must be REFLECT or SYMMETRIC, not {other:?}"))),
    }
}

/// The element of an axis of size `n` that stands at `i` once `before` mirrored ones are put before it.
fn mirrored(i: usize, before: usize, n: usize, offset: usize) -> usize {
    match i.checked_sub(before) {
        None => before - i - 1 + offset,
        Some(i) if i < n => i,
        Some(i) => (2 * n).saturating_sub(i + 1 + offset),
    }
}

fn pad(cx: &CompileCx) -> Result<Compiled> {
    let Some(paddings) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let (from, to) = (cx.shape(0), cx.output_shape(0));
    let has_value = cx.num_inputs() > 2;
    let strides: Vec<isize> = to.strides().iter().map(|s| *s as isize).collect();
    let start =
        paddings.iter().step_by(2).zip(&strides).map(|(n, stride)| *n as usize * *stride as usize).sum();
    // The innermost rows of the input, and where each begins in the output.
    let outer: Vec<usize> = from.iter().take(from.rank().saturating_sub(1)).copied().collect();
    let row = from.last().copied().unwrap_or(1) * cx.dtype(0).size();
    let size = cx.dtype(0).size();
    Compiled::step(move |args: &mut Args| {
        let (x, out) = (args.input_bytes(0), args.output_bytes(0));
        match has_value {
            true => out.chunks_exact_mut(size).for_each(|out| out.copy_from_slice(args.input_bytes(2))),
            false => out.fill(0),
        }
        if row > 0 {
            let mut rows = x.chunks_exact(row);
            each_place(&outer, [&strides[..outer.len()]], [start], |[at]| {
                if let Some(x) = rows.next() {
                    out[at * size..at * size + row].copy_from_slice(x);
                }
            });
        }
        Ok(())
    })
}

fn mirror_pad_grad(op: &MirrorPadGrad, cx: &CompileCx) -> Result<Compiled> {
    let Some(paddings) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let (padded, shape, offset) = (cx.shape(0), cx.output_shape(0), mirror_offset(&op.mode)?);
    dispatch_arith!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (dy, out) = (args.input::<T>(0), args.output::<T>(0));
        out.fill(T::default());
        let strides = padded.strides();
        for (i, dy) in dy.iter().enumerate() {
            let at = (0..padded.rank()).fold(0, |at, d| {
                let i = i / strides[d] % padded[d];
                at * shape[d] + mirrored(i, paddings[2 * d] as usize, shape[d], offset)
            });
            out[at] = Arith::add(out[at], *dy);
        }
        Ok(())
    }), else => Err(Error::unimplemented("MirrorPadGrad of this dtype")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::eval;
    use super::*;
    use tidemill_core::Value;

    #[test]
    fn tiles() {
        let x = Value::from([[1, 2]]);
        assert_eq!(eval(Tile, &[x, [2, 2].into()]), [Value::from([[1, 2, 1, 2], [1, 2, 1, 2]])]);
    }

    #[test]
    fn pads() {
        let x = Value::from([[1, 2], [3, 4]]);
        let paddings = Value::from([[1, 0], [0, 2]]);
        let zeros = eval(Pad, &[x.clone(), paddings.clone()]);
        assert_eq!(zeros, [Value::from([[0, 0, 0, 0], [1, 2, 0, 0], [3, 4, 0, 0]])]);
        let nines = eval(PadV2, &[x, paddings, 9.into()]);
        assert_eq!(nines, [Value::from([[9, 9, 9, 9], [1, 2, 9, 9], [3, 4, 9, 9]])]);
    }

    #[test]
    fn mirrors() {
        let x = Value::from([1, 2, 3]);
        let op = |mode: &str| MirrorPad { mode: mode.to_owned() };
        assert_eq!(eval(op("REFLECT"), &[x.clone(), [[2, 1]].into()]), [Value::from([3, 2, 1, 2, 3, 2])]);
        assert_eq!(eval(op("SYMMETRIC"), &[x, [[2, 1]].into()]), [Value::from([2, 1, 1, 2, 3, 3])]);
    }
}
