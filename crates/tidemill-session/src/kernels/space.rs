//! Kernels of `ops::space`.

use tidemill_core::ops::{
    BatchToSpace, BatchToSpaceND, DataFormatDimMap, DataFormatVecPermute, DepthToSpace, SpaceToBatch,
    SpaceToBatchND, SpaceToDepth,
};
use tidemill_core::{Error, Result, Shape};

use super::copy::{StridedCopy, rows_from};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<SpaceToBatchND>(|_, cx| match (cx.ints(1), cx.ints(2)) {
        (Some(block), Some(paddings)) => space_to_batch(cx, &block, &paddings),
        _ => Ok(Compiled::Deferred),
    });
    table.compiled::<SpaceToBatch>(|op, cx| match cx.ints(1) {
        Some(paddings) => space_to_batch(cx, &[op.block_size; 2], &paddings),
        _ => Ok(Compiled::Deferred),
    });
    table.compiled::<BatchToSpaceND>(|_, cx| match (cx.ints(1), cx.ints(2)) {
        (Some(block), Some(crops)) => batch_to_space(cx, &block, &crops),
        _ => Ok(Compiled::Deferred),
    });
    table.compiled::<BatchToSpace>(|op, cx| match cx.ints(1) {
        Some(crops) => batch_to_space(cx, &[op.block_size; 2], &crops),
        _ => Ok(Compiled::Deferred),
    });
    table.compiled::<SpaceToDepth>(|op, cx| depth(cx, op.block_size as usize, &op.data_format, true));
    table.compiled::<DepthToSpace>(|op, cx| depth(cx, op.block_size as usize, &op.data_format, false));
    table.compiled::<DataFormatDimMap>(|op, _| dim_map(op));
    table.compiled::<DataFormatVecPermute>(vec_permute);
}

/// What is known of blocks, as sizes. The shape rule has checked them.
fn as_sizes(numbers: &[i64]) -> Result<Vec<usize>> {
    let size = |n: &i64| usize::try_from(*n).map_err(|_| Error::invalid(format!("size {n} is negative")));
    numbers.iter().map(size).collect()
}

fn space_to_batch(cx: &CompileCx, block: &[i64], paddings: &[i64]) -> Result<Compiled> {
    let (from, block, paddings) = (cx.shape(0), as_sizes(block)?, as_sizes(paddings)?);
    rows_from(cx, 1 + block.len(), move |index, at| {
        // A batch of the result is a place in the block, and a batch of the input.
        let batch = index[0] % from[0];
        let mut offset = index[0] / from[0];
        at[0] = batch;
        for axis in (0..block.len()).rev() {
            let place = index[axis + 1] * block[axis] + offset % block[axis];
            offset /= block[axis];
            match place.checked_sub(paddings[2 * axis]).filter(|at| *at < from[axis + 1]) {
                Some(place) => at[axis + 1] = place,
                None => return false,
            }
        }
        true
    })
}

fn batch_to_space(cx: &CompileCx, block: &[i64], crops: &[i64]) -> Result<Compiled> {
    let (to, block, crops) = (cx.output_shape(0), as_sizes(block)?, as_sizes(crops)?);
    rows_from(cx, 1 + block.len(), move |index, at| {
        let mut offset = 0;
        for axis in 0..block.len() {
            let place = index[axis + 1] + crops[2 * axis];
            at[axis + 1] = place / block[axis];
            offset = offset * block[axis] + place % block[axis];
        }
        at[0] = offset * to[0] + index[0];
        true
    })
}

/// One walk over the result with space and blocks as axes of their own.
fn depth(cx: &CompileCx, block: usize, format: &str, to_depth: bool) -> Result<Compiled> {
    let (deep, flat) =
        if to_depth { (cx.output_shape(0), cx.shape(0)) } else { (cx.shape(0), cx.output_shape(0)) };
    // Both as `[batch, height, width, row in the block, column in the block, depth]`, whatever their order.
    let (height, width, channel) = if format == "NHWC" { (1, 2, 3) } else { (2, 3, 1) };
    let (b, h, w, c) = (flat[0], deep[height], deep[width], flat[channel]);
    let sizes = [b, h, w, block, block, c];
    let (flat_strides, deep_strides) = (flat.strides(), deep.strides());
    let in_flat = [
        flat_strides[0],
        flat_strides[height] * block,
        flat_strides[width] * block,
        flat_strides[height],
        flat_strides[width],
        flat_strides[channel],
    ];
    let channels = deep_strides[channel];
    let in_deep = [
        deep_strides[0],
        deep_strides[height],
        deep_strides[width],
        channels * block * c,
        channels * c,
        channels,
    ];
    let (from, to) = if to_depth { (in_flat, in_deep) } else { (in_deep, in_flat) };
    // In the order in which the result has them.
    let mut axes: Vec<usize> = (0..6).collect();
    axes.sort_by_key(|axis| std::cmp::Reverse(to[*axis]));
    // Axes of size 1 have the stride of another, and may stand anywhere.
    let shape: Shape = axes.iter().map(|axis| sizes[*axis]).collect();
    let strides: Vec<isize> = axes.iter().map(|axis| from[*axis] as isize).collect();
    let walk = StridedCopy::new(&shape, &strides, 0, cx.dtype(0).size());
    Compiled::step(move |args: &mut Args| {
        let (from, (to, _)) = (args.input_bytes(0), args.output_raw(0));
        if !from.is_empty() {
            // SAFETY: the walk visits each element of the input once, and the output has as many.
            unsafe { walk.run(from.as_ptr(), to) };
        }
        Ok(())
    })
}

fn dim_map(op: &DataFormatDimMap) -> Result<Compiled> {
    let places = op.places()?;
    Compiled::step(move |args: &mut Args| {
        let (x, axes) = (args.ints(0), places.len() as i64);
        for (i, axis) in x.iter().enumerate() {
            let from_start = if axis < 0 { axis + axes } else { axis };
            let place = usize::try_from(from_start).ok().and_then(|axis| places.get(axis));
            let place = place
                .ok_or_else(|| Error::invalid(format!("axis {axis} is out of range for {axes} axes")))?;
            args.set_int(0, i, *place as i64);
        }
        Ok(())
    })
}

fn vec_permute(op: &DataFormatVecPermute, cx: &CompileCx) -> Result<Compiled> {
    let shape = cx.shape(0);
    let columns: usize = shape.iter().skip(1).product();
    let rows = shape[0];
    let (from, to) = (&op.src_format, &op.dst_format);
    // Vectors that are too short for all axes speak of those of space.
    let letters = |format: &str| -> Vec<char> {
        format.chars().filter(|c| rows == format.len() || !matches!(c, 'N' | 'C')).collect()
    };
    let (from, to) = (letters(from), letters(to));
    let sources: Option<Vec<usize>> = to.iter().map(|c| from.iter().position(|d| c == d)).collect();
    let sources = sources.filter(|s| s.len() == rows).ok_or_else(|| {
        Error::invalid(format!(
            "{rows} rows do not fit the formats {:?} and {:?}",
            op.src_format, op.dst_format
        ))
    })?;
    let row = columns * cx.dtype(0).size();
    Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input_bytes(0), args.output_bytes(0));
        for (y, source) in y.chunks_exact_mut(row).zip(&sources) {
            y.copy_from_slice(&x[source * row..(source + 1) * row]);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::eval;
    use super::*;
    use tidemill_core::{Op, Value};

    fn counted(shape: &[usize]) -> Value {
        Value::from_vec(shape, (0..shape.iter().product::<usize>() as i32).collect()).unwrap()
    }

    #[track_caller]
    fn check(op: impl Op, inputs: &[Value], shape: &[usize], want: &[i32]) {
        assert_eq!(eval(op, inputs), [Value::from_slice(shape, want).unwrap()]);
    }

    #[test]
    fn space_and_batch() {
        let x = counted(&[1, 2, 4, 1]);
        let (block, margins) = (Value::from([2, 2]), Value::from([[0, 0], [1, 1]]));
        let inputs = [x.clone(), block.clone(), margins.clone()];
        let want = [0, 1, 3, 0, 2, 0, 0, 5, 7, 4, 6, 0];
        check(SpaceToBatchND, &inputs, &[4, 1, 3, 1], &want);
        let batches = Value::from_slice([4, 1, 3, 1], &want).unwrap();
        assert_eq!(eval(BatchToSpaceND, &[batches, block, margins]), [x]);
    }

    #[test]
    fn space_and_depth() {
        let x = counted(&[1, 2, 4, 2]);
        let op = SpaceToDepth { block_size: 2, data_format: "NHWC".to_owned() };
        let want = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15];
        check(op, std::slice::from_ref(&x), &[1, 1, 2, 8], &want);
        let back = DepthToSpace { block_size: 2, data_format: "NHWC".to_owned() };
        assert_eq!(eval(back, &[Value::from_slice([1, 1, 2, 8], &want).unwrap()]), [x]);
        let op = SpaceToDepth { block_size: 2, data_format: "NCHW".to_owned() };
        check(op, &[counted(&[1, 1, 2, 4])], &[1, 4, 1, 2], &[0, 2, 1, 3, 4, 6, 5, 7]);
    }

    #[test]
    fn formats() {
        let (src_format, dst_format) = ("NHWC".to_owned(), "NCHW".to_owned());
        let op = DataFormatVecPermute { src_format: src_format.clone(), dst_format: dst_format.clone() };
        check(op.clone(), &[[7, 4, 9, 3].into()], &[4], &[7, 3, 4, 9]);
        check(op, &[[4, 9].into()], &[2], &[4, 9]);
        check(DataFormatDimMap { src_format, dst_format }, &[[0, 1, -1].into()], &[3], &[0, 2, 1]);
    }
}
