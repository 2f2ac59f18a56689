//! Kernels of `ops::pad`: repeating and padding.

use tidemill_core::ops::{MirrorPad, MirrorPadGrad, Pad, PadV2, Tile};
use tidemill_core::{Error, Result, Shape};
use tidemill_tensor::{dispatch_any, dispatch_arith};

use super::arith::Arith;
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Tile>(|_, cx| {
        let Some(_) = cx.ints(1) else { return Ok(Compiled::Deferred) };
        let shape = cx.shape(0);
        from_places(cx, |at| at.iter().zip(shape.iter()).map(|(i, n)| i % n).collect())
    });
    table.compiled::<Pad>(|_, cx| pad(cx));
    table.compiled::<PadV2>(|_, cx| pad(cx));
    table.compiled::<MirrorPad>(|op, cx| {
        let Some(paddings) = cx.ints(1) else { return Ok(Compiled::Deferred) };
        let (shape, offset) = (cx.shape(0), mirror_offset(&op.mode)?);
        from_places(cx, |at| {
            at.iter()
                .enumerate()
                .map(|(d, i)| mirrored(*i, paddings[2 * d] as usize, shape[d], offset))
                .collect()
        })
    });
    table.compiled::<MirrorPadGrad>(mirror_pad_grad);
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

/// Calls `f` with each index of a shape, in order.
fn each_index(shape: &Shape, mut f: impl FnMut(&[usize])) {
    let mut index = vec![0; shape.rank()];
    for _ in 0..shape.num_elements() {
        f(&index);
        for d in (0..shape.rank()).rev() {
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
}

fn flat(index: &[usize], shape: &Shape) -> usize {
    index.iter().zip(shape.iter()).fold(0, |at, (i, n)| at * n + i)
}

/// A step that takes each element of the output from the place in the input that `place` maps its index to.
fn from_places(cx: &CompileCx, place: impl Fn(&[usize]) -> Vec<usize>) -> Result<Compiled> {
    let (from, to) = (cx.shape(0), cx.output_shape(0));
    let mut places = Vec::with_capacity(to.num_elements());
    each_index(&to, |index| places.push(flat(&place(index), &from)));
    if let Some(bad) = places.iter().find(|p| **p >= from.num_elements()) {
        return Err(Error::invalid(format!(
            "the paddings reach past the operand of shape {from} (element {bad})"
        )));
    }
    dispatch_any!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, out) = (args.input::<T>(0), args.output::<T>(0));
        out.iter_mut().zip(&places).for_each(|(out, at)| *out = x[*at]);
        Ok(())
    }), else => Err(Error::unimplemented("Tile of this dtype")))
}

fn pad(cx: &CompileCx) -> Result<Compiled> {
    let Some(paddings) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let (from, to) = (cx.shape(0), cx.output_shape(0));
    let has_value = cx.num_inputs() > 2;
    // Where each innermost row of the input begins in the output.
    let row = from.last().copied().unwrap_or(1);
    let mut starts = vec![];
    each_index(&from.iter().take(from.rank().saturating_sub(1)).copied().collect(), |index| {
        let mut at: Vec<usize> =
            index.iter().enumerate().map(|(d, i)| i + paddings[2 * d] as usize).collect();
        if from.rank() > 0 {
            at.push(paddings[2 * from.rank() - 2] as usize);
        }
        starts.push(flat(&at, &to));
    });
    dispatch_any!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, out) = (args.input::<T>(0), args.output::<T>(0));
        out.fill(if has_value { args.input::<T>(2)[0] } else { T::default() });
        if row > 0 {
            for (start, row_of_x) in starts.iter().zip(x.chunks_exact(row)) {
                out[*start..start + row].copy_from_slice(row_of_x);
            }
        }
        Ok(())
    }), else => Err(Error::unimplemented("Pad of this dtype")))
}

fn mirror_pad_grad(op: &MirrorPadGrad, cx: &CompileCx) -> Result<Compiled> {
    let Some(paddings) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let (padded, shape, offset) = (cx.shape(0), cx.output_shape(0), mirror_offset(&op.mode)?);
    let mut places = vec![];
    each_index(&padded, |index| {
        let at: Vec<usize> = index
            .iter()
            .enumerate()
            .map(|(d, i)| mirrored(*i, paddings[2 * d] as usize, shape[d], offset))
            .collect();
        places.push(flat(&at, &shape));
    });
    dispatch_arith!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (dy, out) = (args.input::<T>(0), args.output::<T>(0));
        out.fill(T::default());
        for (dy, at) in dy.iter().zip(&places) {
            out[*at] = Arith::add(out[*at], *dy);
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
