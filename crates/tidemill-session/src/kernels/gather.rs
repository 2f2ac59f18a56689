//! Kernels of `ops::gather`: rows by index.

use tidemill_core::ops::{GatherNd, GatherV2, OneHot, ScatterNd};
use tidemill_core::{DType, Error, Result, normalise_axis};
use tidemill_tensor::{Element, dispatch_any, dispatch_arith, dispatch_int};

use super::arith::Arith;
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<GatherV2>(gather);
    table.compiled::<GatherNd>(|_, cx| gather_nd(cx));
    table.compiled::<ScatterNd>(|_, cx| scatter_nd(cx));
    table.compiled::<OneHot>(one_hot);
}

fn unsupported(dtype: DType) -> Result<Compiled> {
    Err(Error::unimplemented(format!("indices of {dtype}")))
}

/// An index as a place below `limit`.
fn place<T: Element>(index: T, limit: usize) -> Result<usize> {
    usize::try_from(index.to_i64())
        .ok()
        .filter(|i| *i < limit)
        .ok_or_else(|| Error::invalid(format!("index {index:?} is not in [0, {limit})")))
}

fn gather(op: &GatherV2, cx: &CompileCx) -> Result<Compiled> {
    let Some(axis) = cx.ints(2) else { return Ok(Compiled::Deferred) };
    let (params, indices) = (cx.shape(0), cx.shape(1));
    let axis = normalise_axis(axis[0], params.rank())?;
    // Up to the rank itself, from which negative values count.
    let batch = normalise_axis(op.batch_dims - i64::from(op.batch_dims < 0), indices.rank() + 1)?;
    if batch > axis {
        return Err(Error::invalid(format!("batch_dims {batch} is past the axis {axis}")));
    }
    // [batch][outer][limit][row] of params; [batch][picks] of indices.
    let batches: usize = params.iter().take(batch).product();
    let outer: usize = params.iter().take(axis).skip(batch).product();
    let limit = params[axis];
    let row = params.iter().skip(axis + 1).product::<usize>() * cx.dtype(0).size();
    let picks: usize = indices.iter().skip(batch).product();
    dispatch_int!(cx.dtype(1), I => Compiled::step(move |args: &mut Args| {
        let (from, indices) = (args.input_bytes(0), args.input::<I>(1));
        let (to, bytes) = args.output_raw(0);
        // SAFETY: the output is `bytes` long and nobody else's during the step.
        let to = unsafe { std::slice::from_raw_parts_mut(to, bytes) };
        if row == 0 {
            return indices.iter().try_for_each(|i| place(*i, limit).map(drop));
        }
        let mut rows = to.chunks_exact_mut(row);
        for b in 0..batches {
            let indices = &indices[b * picks..(b + 1) * picks];
            for o in 0..outer {
                let block = (b * outer + o) * limit;
                for (index, to) in indices.iter().zip(&mut rows) {
                    let at = (block + place(*index, limit)?) * row;
                    to.copy_from_slice(&from[at..at + row]);
                }
            }
        }
        Ok(())
    }), else => unsupported(cx.dtype(1)))
}

/// The offset of the row that an index vector names, in rows.
fn row_of<I: Element>(index: &[I], dims: &[usize]) -> Result<usize> {
    index.iter().zip(dims).try_fold(0, |at, (i, n)| Ok(at * n + place(*i, *n)?))
}

fn gather_nd(cx: &CompileCx) -> Result<Compiled> {
    let (params, indices) = (cx.shape(0), cx.shape(1));
    let depth = indices.last().copied().unwrap_or(0);
    let dims: Vec<usize> = params.iter().take(depth).copied().collect();
    let row = params.iter().skip(depth).product::<usize>() * cx.dtype(0).size();
    let count: usize = indices.iter().take(indices.rank().saturating_sub(1)).product();
    dispatch_int!(cx.dtype(1), I => Compiled::step(move |args: &mut Args| {
        let (from, indices) = (args.input_bytes(0), args.input::<I>(1));
        let (to, bytes) = args.output_raw(0);
        // SAFETY: the output is `bytes` long and nobody else's during the step.
        let to = unsafe { std::slice::from_raw_parts_mut(to, bytes) };
        for i in 0..count {
            let at = row_of(&indices[i * depth..(i + 1) * depth], &dims)? * row;
            to[i * row..(i + 1) * row].copy_from_slice(&from[at..at + row]);
        }
        Ok(())
    }), else => unsupported(cx.dtype(1)))
}

fn scatter_nd(cx: &CompileCx) -> Result<Compiled> {
    let (indices, out) = (cx.shape(0), cx.output_shape(0));
    let depth = indices.last().copied().unwrap_or(0);
    let dims: Vec<usize> = out.iter().take(depth).copied().collect();
    let row: usize = out.iter().skip(depth).product();
    let count: usize = indices.iter().take(indices.rank().saturating_sub(1)).product();
    if cx.shape(1).num_elements() != count * row {
        return Err(Error::invalid(format!(
            "updates of shape {} do not fit indices of shape {indices} into {out}",
            cx.shape(1)
        )));
    }
    dispatch_int!(cx.dtype(0), I => dispatch_arith!(cx.dtype(1), T => Compiled::step(move |args: &mut Args| {
        let (indices, updates, out) = (args.input::<I>(0), args.input::<T>(1), args.output::<T>(0));
        out.fill(T::from_i64(0));
        for i in 0..count {
            let at = row_of(&indices[i * depth..(i + 1) * depth], &dims)? * row;
            add_to(&mut out[at..at + row], &updates[i * row..(i + 1) * row]);
        }
        Ok(())
    }), else => Err(Error::unimplemented("ScatterNd of this dtype"))), else => unsupported(cx.dtype(0)))
}

fn add_to<T: Arith>(sum: &mut [T], more: &[T]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.add(*more));
}

fn one_hot(op: &OneHot, cx: &CompileCx) -> Result<Compiled> {
    let (indices, out) = (cx.shape(0), cx.output_shape(0));
    let axis = if op.axis < 0 { indices.rank() } else { op.axis as usize };
    let depth = out[axis];
    let inner: usize = indices.iter().skip(axis).product();
    dispatch_any!(cx.dtype(2), T => dispatch_int!(cx.dtype(0), I => Compiled::step(move |args: &mut Args| {
        let indices = args.input::<I>(0);
        let (on, off) = (args.input::<T>(2)[0], args.input::<T>(3)[0]);
        let out = args.output::<T>(0);
        // An index outside of the depth is nowhere hot.
        if inner == 1 && depth == 2 {
            for (pair, index) in out.chunks_exact_mut(2).zip(indices) {
                let i = index.to_i64();
                pair[0] = if i == 0 { on } else { off };
                pair[1] = if i == 1 { on } else { off };
            }
            return Ok(());
        }
        out.fill(off);
        for (at, index) in indices.iter().enumerate() {
            if let Some(hot) = usize::try_from(index.to_i64()).ok().filter(|i| *i < depth) {
                let (o, i) = (at / inner, at % inner);
                out[(o * depth + hot) * inner + i] = on;
            }
        }
        Ok(())
    }), else => unsupported(cx.dtype(0))), else => unsupported(cx.dtype(2)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;
    use tidemill_core::{Op, Value};

    #[track_caller]
    fn check(op: impl Op, inputs: &[Value], want: impl Into<Value>) {
        assert_eq!(eval(op, inputs), [want.into()]);
    }

    #[test]
    fn gathers_rows_and_columns() {
        let x = Value::from([[1, 2, 3], [4, 5, 6]]);
        check(
            GatherV2 { batch_dims: 0 },
            &[x.clone(), [1, 1, 0].into(), 0.into()],
            [[4, 5, 6], [4, 5, 6], [1, 2, 3]],
        );
        check(GatherV2 { batch_dims: 0 }, &[x.clone(), [2, 0].into(), 1.into()], [[3, 1], [6, 4]]);
        check(GatherV2 { batch_dims: 1 }, &[x.clone(), [[2], [0]].into(), 1.into()], [[3], [4]]);
        assert!(try_eval(GatherV2 { batch_dims: 0 }, &[x, [2].into(), 0.into()]).is_err());
    }

    #[test]
    fn gathers_and_scatters_by_vectors() {
        let x = Value::from([[1, 2], [3, 4]]);
        check(GatherNd, &[x.clone(), [[1, 0], [0, 1]].into()], [3, 2]);
        check(GatherNd, &[x, [[1]].into()], [[3, 4]]);
        check(ScatterNd, &[[[1], [3], [1]].into(), [5, 6, 7].into(), [4].into()], [0, 12, 0, 6]);
    }

    #[test]
    fn one_hots() {
        let (on, off) = (Value::from(1f32), Value::from(0f32));
        check(
            OneHot { axis: -1 },
            &[[0, 1, 5].into(), 2.into(), on.clone(), off.clone()],
            [[1f32, 0.0], [0.0, 1.0], [0.0, 0.0]],
        );
        check(
            OneHot { axis: 0 },
            &[[0i64, 2].into(), 3.into(), on, off],
            [[1f32, 0.0], [0.0, 0.0], [0.0, 1.0]],
        );
    }
}
