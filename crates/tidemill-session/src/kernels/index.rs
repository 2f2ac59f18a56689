//! Kernels of `ops::index`: slices.

use tidemill_core::ops::{Slice, StridedSlice, StridedSliceGrad};
use tidemill_core::{Error, Result, Shape};

use super::copy::{StridedCopy, each_place};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Slice>(|_, cx| slice(cx));
    table.compiled::<StridedSlice>(strided_slice);
    table.compiled::<StridedSliceGrad>(strided_slice_grad);
}

fn slice(cx: &CompileCx) -> Result<Compiled> {
    let Some(begin) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let (from, to) = (cx.shape(0), cx.output_shape(0));
    if from == to {
        return Ok(Compiled::Alias(0));
    }
    let strides = from.strides();
    let mut start = 0;
    for ((begin, stride), (have, take)) in begin.iter().zip(&strides).zip(from.iter().zip(to.iter())) {
        let at = usize::try_from(*begin).ok().filter(|at| at + take <= *have);
        start += stride
            * at.ok_or_else(|| Error::invalid(format!("{take} elements from {begin} on are not in {from}")))?;
    }
    let strides: Vec<isize> = strides.iter().map(|s| *s as isize).collect();
    copy(cx, StridedCopy::new(&to, &strides, start, cx.dtype(0).size()))
}

fn copy(cx: &CompileCx, walk: StridedCopy) -> Result<Compiled> {
    let empty = cx.output_shape(0).num_elements() == 0;
    Compiled::step(move |args: &mut Args| {
        if !empty {
            // SAFETY: the slices were checked to lie inside the input; the output has their shape.
            unsafe { walk.run(args.input_bytes(0).as_ptr(), args.output_raw(0).0) };
        }
        Ok(())
    })
}

/// For each axis of a slice of `shape`, how far apart its elements stand, and where the first one is.
pub(super) fn resolved(
    op: &StridedSlice,
    shape: &Shape,
    entries: [Vec<i64>; 3],
) -> Result<(Vec<isize>, usize, Shape)> {
    let dims: Vec<_> = shape.iter().map(|d| Some(*d)).collect();
    let [begin, end, strides] = entries.map(|v| v.into_iter().map(Some).collect::<Vec<_>>());
    let slices = op.resolve(&dims, &begin, &end, &strides)?;
    let unknown = || Error::internal("a slice of known operands is not known");
    let own = shape.strides();
    let mut start = 0i64;
    for (axis, stride) in slices.axes.iter().zip(&own) {
        if axis.size != Some(0) {
            start += axis.begin.ok_or_else(unknown)? * *stride as i64;
        }
    }
    let strides = slices
        .output
        .iter()
        .map(|axis| match axis {
            Some(axis) => Ok(slices.axes[*axis].stride.ok_or_else(unknown)? as isize * own[*axis] as isize),
            None => Ok(0),
        })
        .collect::<Result<_>>()?;
    let taken = slices.shape().as_known().ok_or_else(unknown)?;
    Ok((strides, usize::try_from(start).unwrap_or(0), taken))
}

fn strided_slice(op: &StridedSlice, cx: &CompileCx) -> Result<Compiled> {
    let (Some(begin), Some(end), Some(strides)) = (cx.ints(1), cx.ints(2), cx.ints(3)) else {
        return Ok(Compiled::Deferred);
    };
    let (strides, start, taken) = resolved(op, &cx.shape(0), [begin, end, strides])?;
    if taken.num_elements() == cx.shape(0).num_elements() && strides.iter().all(|s| *s >= 0) {
        return Ok(Compiled::Alias(0));
    }
    copy(cx, StridedCopy::new(&taken, &strides, start, cx.dtype(0).size()))
}

fn strided_slice_grad(op: &StridedSliceGrad, cx: &CompileCx) -> Result<Compiled> {
    let (Some(begin), Some(end), Some(strides)) = (cx.ints(1), cx.ints(2), cx.ints(3)) else {
        return Ok(Compiled::Deferred);
    };
    let shape = cx.output_shape(0);
    let (strides, start, taken) = resolved(&op.forward(), &shape, [begin, end, strides])?;
    let dy = cx.shape(4);
    if taken != dy {
        return Err(Error::invalid(format!("dy has shape {dy}, but the slice {taken}")));
    }
    let size = cx.dtype(4).size();
    Compiled::step(move |args: &mut Args| {
        let (from, to) = (args.input_bytes(4), args.output_bytes(0));
        to.fill(0);
        let mut elements = from.chunks_exact(size);
        each_place(&taken, [&strides], [start], |[at]| {
            if let Some(element) = elements.next() {
                to[at * size..(at + 1) * size].copy_from_slice(element);
            }
        });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;
    use tidemill_core::Value;

    fn x() -> Value {
        Value::from([[1, 2, 3], [4, 5, 6]])
    }

    #[test]
    fn slices() {
        assert_eq!(eval(Slice, &[x(), [0, 1].into(), [2, -1].into()]), [Value::from([[2, 3], [5, 6]])]);
        assert_eq!(eval(Slice, &[x(), [1, 0].into(), [1, 2].into()]), [Value::from([[4, 5]])]);
        assert!(try_eval(Slice, &[x(), [0, 2].into(), [2, 2].into()]).is_err());
    }

    #[test]
    fn strided_slices_and_their_gradient() {
        let op = StridedSlice { begin_mask: 1, end_mask: 3, ..StridedSlice::default() };
        let entries = [Value::from([0, 2]), Value::from([0, 0]), Value::from([1, -2])];
        let [begin, end, strides] = entries.clone();
        let got = eval(op.clone(), &[x(), begin, end, strides]);
        assert_eq!(got, [Value::from([[3, 1], [6, 4]])]);
        let [begin, end, strides] = entries;
        let grad = StridedSliceGrad { begin_mask: 1, end_mask: 3, ..StridedSliceGrad::default() };
        let back = eval(grad, &[[2, 3].into(), begin, end, strides, [[1, 2], [3, 4]].into()]);
        assert_eq!(back, [Value::from([[2, 0, 1], [4, 0, 3]])]);
    }

    #[test]
    fn one_index_drops_its_axis() {
        let op = StridedSlice { shrink_axis_mask: 1, ..StridedSlice::default() };
        assert_eq!(eval(op, &[x(), [1].into(), [2].into(), [1].into()]), [Value::from([4, 5, 6])]);
    }
}
