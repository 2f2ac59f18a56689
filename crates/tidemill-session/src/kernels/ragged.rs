//! Kernels of `ops::ragged`.

use tidemill_core::ops::{RaggedGather, RaggedRange, RaggedTensorToSparse, RaggedTensorToTensor};
use tidemill_core::{DType, Error, ErrorKind, Result, Shape, Value};
use tidemill_tensor::{Element, dispatch_float, dispatch_int};

use super::values::{check_splits, integers, ints, row_bytes, take, values, with_first};
use super::{CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<RaggedRange>(range);
    table.compiled::<RaggedGather>(|_, _| values(gather));
    table.compiled::<RaggedTensorToTensor>(|op, _| {
        let types = op.row_partition_types.clone();
        values(move |inputs| to_tensor(inputs, &types))
    });
    table.compiled::<RaggedTensorToSparse>(|_, _| values(to_sparse));
}

fn range(op: &RaggedRange, cx: &CompileCx) -> Result<Compiled> {
    let splits = op.splits;
    dispatch_int!(cx.dtype(0), T => values(move |inputs| ranges::<T>(inputs, splits, |start, limit, delta| {
        let (start, limit, delta) = (start.to_i64(), limit.to_i64(), delta.to_i64());
        if delta == 0 {
            return Err(Error::invalid("a delta must not be 0"));
        }
        let length = (i128::from(limit) - i128::from(start)) * i128::from(delta.signum());
        Ok((length.max(0) as u128).div_ceil(u128::from(delta.unsigned_abs())) as f64)
    }, |start, delta, i| T::from_i64(start.to_i64().wrapping_add(delta.to_i64().wrapping_mul(i))))),
    else => dispatch_float!(cx.dtype(0), T => values(move |inputs| ranges::<T>(inputs, splits, |start, limit, delta| {
        let (start, limit, delta) = (start.to_f64(), limit.to_f64(), delta.to_f64());
        if delta == 0.0 {
            return Err(Error::invalid("a delta must not be 0"));
        }
        Ok(((limit - start) / delta).ceil().max(0.0))
    }, |start, delta, i| T::from_f64(start.to_f64() + delta.to_f64() * i as f64))),
    else => Err(Error::unimplemented("ranges of this dtype"))))
}

fn ranges<T: Element>(
    inputs: &[Value],
    splits: DType,
    size: impl Fn(T, T, T) -> Result<f64>,
    element: impl Fn(T, T, i64) -> T,
) -> Result<Vec<Value>> {
    let operands = inputs.iter().map(Value::as_slice::<T>).collect::<Result<Vec<_>, _>>()?;
    let rows = inputs.iter().zip(&operands).find(|(v, _)| v.rank() > 0).map_or(1, |(_, x)| x.len());
    if let Some(bad) = inputs.iter().find(|v| v.rank() > 0 && v.num_elements() != rows) {
        return Err(Error::invalid(format!("{rows} rows, but an operand of shape {}", bad.shape())));
    }
    let at =
        |operand: usize, row: usize| operands[operand][if inputs[operand].rank() == 0 { 0 } else { row }];
    let mut ends = vec![0i64];
    let mut total = 0i64;
    for row in 0..rows {
        let n = size(at(0, row), at(1, row), at(2, row))?;
        // NaN is no length either.
        total = Some(n)
            .filter(|n| *n < 2f64.powi(53))
            .and_then(|n| total.checked_add(n as i64))
            .filter(|total| splits == DType::I64 || i32::try_from(*total).is_ok())
            .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "the ranges have too many elements"))?;
        ends.push(total);
    }
    let mut out = Value::zeros(T::DTYPE, [total as usize])?;
    let elements = out.as_mut_slice::<T>()?;
    for (row, ends) in ends.windows(2).enumerate() {
        let (start, delta) = (at(0, row), at(2, row));
        for (i, out) in elements[ends[0] as usize..ends[1] as usize].iter_mut().enumerate() {
            *out = element(start, delta, i as i64);
        }
    }
    Ok(vec![integers(ends, splits), out])
}

fn gather(inputs: &[Value]) -> Result<Vec<Value>> {
    let nested = inputs.len() - 2;
    let (data, indices) = (&inputs[nested], &inputs[nested + 1]);
    let mut splits: Vec<Vec<i64>> = inputs[..nested].iter().map(ints).collect();
    for i in 0..nested {
        let count = splits.get(i + 1).map_or_else(|| data.shape()[0], |next| next.len().saturating_sub(1));
        check_splits(&splits[i], count)?;
    }
    let dtype = inputs[0].dtype();
    let rows = splits[0].len() - 1;
    // The rows that are taken at each level: first those that the indices name, then what stands in them.
    let picked = ints(indices).into_iter().map(|i| {
        usize::try_from(i)
            .ok()
            .filter(|i| *i < rows)
            .ok_or_else(|| Error::invalid(format!("index {i} is not in [0, {rows})")))
    });
    let mut taken: Vec<usize> = picked.collect::<Result<_>>()?;
    let mut out = vec![];
    // The axes of the indices but the last are uniform, written as splits.
    let dims = indices.shape().dims();
    for axis in 1..dims.len() {
        let rows: usize = dims[..axis].iter().product();
        out.push(integers((0..=rows).map(|i| (i * dims[axis]) as i64).collect(), dtype));
    }
    for level in splits.drain(..) {
        let mut ends = vec![0i64];
        let mut below = vec![];
        let mut total = 0usize;
        for row in &taken {
            let (from, to) = (level[*row] as usize, level[row + 1] as usize);
            total += to - from;
            ends.push(total as i64);
            // What is allocated is bounded by a value of this length.
            if total > isize::MAX as usize / 16 {
                return Err(Error::new(ErrorKind::ResourceExhausted, "the rows have too many elements"));
            }
            below.extend(from..to);
        }
        out.push(integers(ends, dtype));
        taken = below;
    }
    let row_shape = &data.shape().dims()[1..];
    out.push(take(data, row_bytes(data, 1), &taken, with_first(taken.len(), row_shape))?);
    Ok(out)
}

/// The row that each index below a partition of rows belongs to, how many rows there are, and how many indices.
fn row_ids(partition: &Value, kind: &str, rows: Option<usize>) -> Result<(Vec<usize>, usize)> {
    let numbers = ints(partition);
    if kind == "ROW_SPLITS" {
        let count = numbers.last().copied().unwrap_or(-1);
        check_splits(&numbers, usize::try_from(count).unwrap_or(0))?;
        let lengths = numbers.windows(2).map(|w| (w[1] - w[0]) as usize);
        if count as u64 > isize::MAX as u64 / 16 {
            return Err(Error::new(ErrorKind::ResourceExhausted, "the rows have too many elements"));
        }
        // A partition of many indices without values would be an error below; its size is checked before it is spelt out.
        Value::zeros(DType::U8, [count as usize])?;
        let ids = lengths.enumerate().flat_map(|(row, n)| std::iter::repeat_n(row, n)).collect();
        return Ok((ids, numbers.len() - 1));
    }
    let ids: Vec<usize> = numbers
        .iter()
        .map(|i| usize::try_from(*i).map_err(|_| Error::invalid(format!("row id {i} is negative"))))
        .collect::<Result<_>>()?;
    if !ids.is_sorted() {
        return Err(Error::invalid("row ids must ascend"));
    }
    let rows = rows.unwrap_or(0);
    match ids.last() {
        Some(last) if *last >= rows => Err(Error::invalid(format!("row id {last} is not in [0, {rows})"))),
        _ => Ok((ids, rows)),
    }
}

fn to_tensor(inputs: &[Value], types: &[String]) -> Result<Vec<Value>> {
    let (asked, data, default) = (ints(&inputs[0]), &inputs[1], &inputs[2]);
    let mut rows = None;
    let mut levels: Vec<(Vec<usize>, usize)> = vec![];
    for (partition, kind) in inputs[3..].iter().zip(types) {
        if kind == "FIRST_DIM_SIZE" {
            let n = ints(partition).first().copied().unwrap_or(-1);
            rows = Some(usize::try_from(n).map_err(|_| Error::invalid(format!("{n} rows")))?);
            continue;
        }
        let level = row_ids(partition, kind, rows)?;
        if rows.is_some_and(|rows| rows != level.1) {
            return Err(Error::invalid(format!("{} rows where {} are", level.1, rows.unwrap_or(0))));
        }
        rows = Some(level.0.len());
        levels.push(level);
    }
    // Values that no row has are left out.
    if rows.is_none_or(|rows| rows > data.shape()[0]) {
        return Err(Error::invalid(format!(
            "{} values, but the rows have {}",
            data.shape()[0],
            rows.unwrap_or(0)
        )));
    }
    let ragged = levels.len();
    // As large as the longest row at each level, unless the shape says otherwise.
    let mut sizes = vec![levels.first().map_or(0, |l| l.1)];
    for (ids, _) in &levels {
        sizes.push(ids.chunk_by(|a, b| a == b).map(<[usize]>::len).max().unwrap_or(0));
    }
    let row_shape = &data.shape().dims()[1..];
    let rank = sizes.len() + row_shape.len();
    if inputs[0].rank() > 0 && asked.len() != rank {
        return Err(Error::invalid(format!("shape {asked:?} for a result of rank {rank}")));
    }
    if inputs[0].rank() > 0 {
        for (axis, asked) in asked.iter().enumerate() {
            let Ok(asked) = usize::try_from(*asked) else { continue };
            match sizes.get_mut(axis) {
                Some(size) => *size = asked,
                None if row_shape[axis - ragged - 1] != asked => {
                    return Err(Error::invalid(format!(
                        "values of shape {} do not fit {asked} along axis {axis}",
                        data.shape()
                    )));
                }
                None => {}
            }
        }
    }
    let shape: Shape = sizes.iter().chain(row_shape).copied().collect();
    let mut out = Value::zeros(data.dtype(), &shape)?;
    fill(&mut out, default, row_shape)?;
    // Where each row of a level begins in the result; nowhere if it was cut off.
    let mut places: Vec<Option<usize>> =
        (0..levels.first().map_or(0, |l| l.1)).map(|i| (i < sizes[0]).then_some(i)).collect();
    for ((ids, _), size) in levels.iter().zip(&sizes[1..]) {
        let mut below = Vec::with_capacity(ids.len());
        for stretch in ids.chunk_by(|a, b| a == b) {
            let row = places[stretch[0]];
            below.extend((0..stretch.len()).map(|i| row.filter(|_| i < *size).map(|row| row * size + i)));
        }
        places = below;
    }
    let bytes = row_bytes(data, 1);
    let (from, to) = (data.bytes(), out.bytes_mut());
    for (i, at) in places.iter().enumerate() {
        if let Some(at) = at {
            to[at * bytes..(at + 1) * bytes].copy_from_slice(&from[i * bytes..(i + 1) * bytes]);
        }
    }
    Ok(vec![out])
}

/// Fills the rows of `out` with the default value, broadcast to the shape of a row.
fn fill(out: &mut Value, default: &Value, row_shape: &[usize]) -> Result<()> {
    let size = default.dtype().size();
    let shape = Shape::new(row_shape);
    let row_bytes = shape.num_elements() * size;
    if row_bytes == 0 {
        return Ok(());
    }
    if default.shape().broadcast(&shape).as_ref() != Some(&shape) {
        return Err(Error::invalid(format!(
            "a default value of shape {} does not broadcast to {shape}",
            default.shape()
        )));
    }
    let mut row = vec![0u8; row_bytes];
    let lead = shape.rank() - default.rank();
    let (strides, own) = (shape.strides(), default.shape().strides());
    for (i, to) in row.chunks_exact_mut(size).enumerate() {
        let at: usize = (0..default.rank())
            .filter(|d| default.shape()[*d] != 1)
            .map(|d| i / strides[d + lead] % shape[d + lead] * own[d])
            .sum();
        to.copy_from_slice(&default.bytes()[at * size..(at + 1) * size]);
    }
    out.bytes_mut().chunks_exact_mut(row_bytes).for_each(|to| to.copy_from_slice(&row));
    Ok(())
}

fn to_sparse(inputs: &[Value]) -> Result<Vec<Value>> {
    let nested = inputs.len() - 1;
    let data = &inputs[nested];
    let splits: Vec<Vec<i64>> = inputs[..nested].iter().map(ints).collect();
    for i in 0..nested {
        let count = splits.get(i + 1).map_or_else(|| data.shape()[0], |next| next.len().saturating_sub(1));
        check_splits(&splits[i], count)?;
    }
    let row_shape = &data.shape().dims()[1..];
    let rank = nested + data.rank();
    let mut shape = vec![splits[0].len() as i64 - 1];
    shape.extend(splits.iter().map(|s| s.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0)));
    shape.extend(row_shape.iter().map(|n| *n as i64));
    // The coordinates of each row, level by level.
    let mut rows: Vec<Vec<i64>> = (0..splits[0].len() as i64 - 1).map(|i| vec![i]).collect();
    for level in &splits {
        let below = level
            .windows(2)
            .zip(&rows)
            .flat_map(|(w, row)| (0..w[1] - w[0]).map(move |i| row.iter().copied().chain([i]).collect()));
        rows = below.collect();
    }
    let strides = Shape::new(row_shape).strides();
    let inner: usize = row_shape.iter().product();
    let mut indices = Vec::with_capacity(data.num_elements() * rank);
    for row in &rows {
        for i in 0..inner {
            indices.extend(row.iter().copied());
            indices.extend(strides.iter().zip(row_shape).map(|(stride, n)| (i / stride % n) as i64));
        }
    }
    let count = data.num_elements();
    Ok(vec![Value::from_vec([count, rank], indices)?, data.reshape([count])?, shape.into()])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;

    #[test]
    fn ranges_of_each_row() {
        let op = RaggedRange { splits: DType::I64 };
        let got = eval(op.clone(), &[[0, 5, 8].into(), [3, 5, 2].into(), [1, 1, -3].into()]);
        assert_eq!(got, [Value::from([0i64, 3, 3, 5]), Value::from([0, 1, 2, 8, 5])]);
        assert!(try_eval(op, &[0.into(), 3.into(), 0.into()]).is_err());
    }

    fn splits() -> Value {
        Value::from([0i64, 2, 2, 5])
    }

    #[test]
    fn gathers_rows() {
        let op = RaggedGather { output_ragged_rank: 1 };
        let got = eval(op, &[splits(), [1, 2, 3, 4, 5].into(), [2, 0, 1].into()]);
        assert_eq!(got, [Value::from([0i64, 3, 5, 5]), Value::from([3, 4, 5, 1, 2])]);
        let op = RaggedGather { output_ragged_rank: 2 };
        let got = eval(op, &[splits(), [1, 2, 3, 4, 5].into(), [[2], [0]].into()]);
        assert_eq!(got, [Value::from([0i64, 1, 2]), Value::from([0i64, 3, 5]), Value::from([3, 4, 5, 1, 2])]);
    }

    #[test]
    fn becomes_dense_and_sparse() {
        let op = RaggedTensorToTensor { row_partition_types: vec!["ROW_SPLITS".to_owned()] };
        let data = Value::from([1, 2, 3, 4, 5]);
        let got = eval(op.clone(), &[(-1).into(), data.clone(), 9.into(), splits()]);
        assert_eq!(got, [Value::from([[1, 2, 9], [9, 9, 9], [3, 4, 5]])]);
        let got = eval(op, &[[2, 4].into(), data.clone(), 9.into(), splits()]);
        assert_eq!(got, [Value::from([[1, 2, 9, 9], [9, 9, 9, 9]])]);
        let types = ["FIRST_DIM_SIZE", "VALUE_ROWIDS"].map(str::to_owned).to_vec();
        let op = RaggedTensorToTensor { row_partition_types: types };
        let got = eval(op, &[[-1, 2].into(), data.clone(), 9.into(), 3i64.into(), [0i64, 0, 2, 2, 2].into()]);
        assert_eq!(got, [Value::from([[1, 2], [9, 9], [3, 4]])]);
        let got = eval(RaggedTensorToSparse, &[splits(), data.clone()]);
        assert_eq!(got[0], Value::from([[0i64, 0], [0, 1], [2, 0], [2, 1], [2, 2]]));
        assert_eq!(got[1..], [data, Value::from([3i64, 3])]);
    }
}
