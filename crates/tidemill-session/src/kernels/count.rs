//! Kernels of `ops::count`.

use std::collections::BTreeMap;

use tidemill_core::ops::{
    Bincount, DenseBincount, DenseCountSparseOutput, HistogramFixedWidth, RaggedBincount,
    RaggedCountSparseOutput, SparseBincount, SparseCountSparseOutput,
};
use tidemill_core::{DType, Error, Result, Value};
use tidemill_tensor::Element;

use super::arith::Arith;
use super::values::{check_splits, ints, sizes, values};
use super::{CompileCx, Compiled, KernelTable};

/// The dtypes that weights may have.
macro_rules! dispatch_weights {
    ($dtype:expr, $t:ident => $body:expr, else => $fallback:expr) => {
        match $dtype {
            DType::I32 => {
                type $t = i32;
                $body
            }
            DType::I64 => {
                type $t = i64;
                $body
            }
            DType::F32 => {
                type $t = f32;
                $body
            }
            DType::F64 => {
                type $t = f64;
                $body
            }
            _ => $fallback,
        }
    };
}

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Bincount>(|_, cx| bins(cx, 0, 2, false, dense_rows));
    table.compiled::<DenseBincount>(|op, cx| bins(cx, 0, 2, op.binary_output, dense_rows));
    table.compiled::<SparseBincount>(|op, cx| bins(cx, 1, 4, op.binary_output, sparse_rows));
    table.compiled::<RaggedBincount>(|op, cx| bins(cx, 1, 3, op.binary_output, ragged_rows));
    table.compiled::<DenseCountSparseOutput>(|op, cx| {
        let limits = Limits { min: op.minlength, max: op.maxlength, binary: op.binary_output };
        sparse_counts(cx, 0, 1, limits, dense_rows)
    });
    table.compiled::<SparseCountSparseOutput>(|op, cx| {
        let limits = Limits { min: op.minlength, max: op.maxlength, binary: op.binary_output };
        sparse_counts(cx, 1, 3, limits, sparse_rows)
    });
    table.compiled::<RaggedCountSparseOutput>(|op, cx| {
        let limits = Limits { min: op.minlength, max: op.maxlength, binary: op.binary_output };
        sparse_counts(cx, 1, 2, limits, ragged_rows)
    });
    table.compiled::<HistogramFixedWidth>(|_, cx| histogram(cx));
}

/// For each value the row it belongs to, and how many rows there are; `None` when there is only a vector.
struct Rows {
    of: Vec<usize>,
    count: Option<usize>,
}

impl Rows {
    fn one(values: usize) -> Rows {
        Rows { of: vec![0; values], count: None }
    }
}

type RowsOf = fn(&[Value]) -> Result<Rows>;

fn dense_rows(inputs: &[Value]) -> Result<Rows> {
    let x = &inputs[0];
    Ok(match x.shape().dims() {
        [rows, columns] => Rows {
            of: (0..*rows).flat_map(|row| std::iter::repeat_n(row, *columns)).collect(),
            count: Some(*rows),
        },
        _ => Rows::one(x.num_elements()),
    })
}

fn sparse_rows(inputs: &[Value]) -> Result<Rows> {
    let (indices, shape) = (&inputs[0], sizes(&inputs[2])?);
    let count = inputs[1].num_elements();
    let rank = shape.rank();
    if indices.shape().dims() != [count, rank] {
        return Err(Error::invalid(format!(
            "indices of shape {} for {count} values of a sparse tensor of shape {shape}",
            indices.shape()
        )));
    }
    let places = ints(indices);
    if let Some(bad) = places.iter().zip(shape.iter().cycle()).find(|(i, n)| **i < 0 || **i >= **n as i64) {
        return Err(Error::invalid(format!("index {} is not in the sparse tensor's shape {shape}", bad.0)));
    }
    if rank == 1 {
        return Ok(Rows::one(count));
    }
    let rows = shape[0];
    let row = |i: i64| {
        usize::try_from(i)
            .ok()
            .filter(|i| *i < rows)
            .ok_or_else(|| Error::invalid(format!("row {i} is not in [0, {rows})")))
    };
    Ok(Rows { of: places.chunks_exact(rank).map(|at| row(at[0])).collect::<Result<_>>()?, count: Some(rows) })
}

fn ragged_rows(inputs: &[Value]) -> Result<Rows> {
    let splits = ints(&inputs[0]);
    check_splits(&splits, inputs[1].num_elements())?;
    let lengths = splits.windows(2).map(|w| (w[1] - w[0]) as usize);
    Ok(Rows {
        of: lengths.enumerate().flat_map(|(row, n)| std::iter::repeat_n(row, n)).collect(),
        count: Some(splits.len() - 1),
    })
}

/// Counts into bins of their own, as many as operand `weights - 1` says.
fn bins(cx: &CompileCx, at: usize, weights: usize, binary: bool, rows: RowsOf) -> Result<Compiled> {
    dispatch_weights!(cx.dtype(weights), T => values(move |inputs| {
        let size = ints(&inputs[weights - 1]).first().copied().unwrap_or(0);
        let size = usize::try_from(size).map_err(|_| Error::invalid(format!("size {size} is negative")))?;
        let Rows { of, count } = rows(inputs)?;
        let shape: Vec<usize> = count.into_iter().chain([size]).collect();
        let mut out = Value::zeros(inputs[weights].dtype(), shape)?;
        let (sums, weight) = (out.as_mut_slice::<T>()?, inputs[weights].as_slice::<T>()?);
        for (i, (row, value)) in of.into_iter().zip(ints(&inputs[at])).enumerate() {
            let Ok(bin) = usize::try_from(value) else {
                return Err(Error::invalid(format!("{value} is negative, and has no bin")));
            };
            if bin < size {
                let sum = &mut sums[row * size + bin];
                *sum = match weight.get(i) {
                    _ if binary => T::from_i64(1),
                    Some(weight) => sum.add(*weight),
                    None => sum.add(T::from_i64(1)),
                };
            }
        }
        Ok(vec![out])
    }), else => Err(Error::unimplemented("weights of this dtype")))
}

#[derive(Clone, Copy)]
struct Limits {
    min: i64,
    max: i64,
    binary: bool,
}

/// Counts only what occurs.
fn sparse_counts(
    cx: &CompileCx,
    at: usize,
    weights: usize,
    limits: Limits,
    rows: RowsOf,
) -> Result<Compiled> {
    dispatch_weights!(cx.dtype(weights), T => values(move |inputs| {
        let Rows { of, count } = rows(inputs)?;
        let weight = inputs[weights].as_slice::<T>()?;
        let mut sums: BTreeMap<(usize, i64), T> = BTreeMap::new();
        let mut largest = 0;
        for (i, (row, value)) in of.into_iter().zip(ints(&inputs[at])).enumerate() {
            if value < 0 {
                return Err(Error::invalid(format!("{value} is negative, and cannot be counted")));
            }
            if limits.max > 0 && value >= limits.max {
                continue;
            }
            largest = largest.max(value);
            let sum = sums.entry((row, value)).or_insert(T::from_i64(0));
            *sum = match weight.get(i) {
                _ if limits.binary => T::from_i64(1),
                Some(weight) => sum.add(*weight),
                None => sum.add(T::from_i64(1)),
            };
        }
        let rank = if count.is_some() { 2 } else { 1 };
        let mut indices = Vec::with_capacity(sums.len() * rank);
        for (row, value) in sums.keys() {
            indices.extend(count.map(|_| *row as i64));
            indices.push(*value);
        }
        // A maximum is the number of columns, whatever occurs.
        let columns = if limits.max > 0 { limits.max } else { largest.saturating_add(1).max(limits.min) };
        let shape: Vec<i64> = count.map(|n| n as i64).into_iter().chain([columns]).collect();
        let indices = Value::from_vec([sums.len(), rank], indices)?;
        let sums: Vec<T> = sums.into_values().collect();
        Ok(vec![indices, sums.into(), shape.into()])
    }), else => Err(Error::unimplemented("weights of this dtype")))
}

fn histogram(cx: &CompileCx) -> Result<Compiled> {
    let nbins = cx.output_shape(0);
    if cx.value(2).is_none() {
        return Ok(Compiled::Deferred);
    }
    let (single, counts, n) = (cx.dtype(0) == DType::F32, cx.output_dtype(0), nbins[0]);
    values(move |inputs| {
        let range: Vec<f64> = inputs[1].iter_f64().collect();
        let (low, high) = (range[0], range[1]);
        if low >= high || low.is_nan() || high.is_nan() {
            return Err(Error::invalid(format!("value_range must ascend, not be [{low}, {high}]")));
        }
        let rounded = |x: f64| if single { f64::from(x as f32) } else { x };
        let step = rounded((high - low) / n as f64);
        let mut out = Value::zeros(DType::I64, [n])?;
        let bins = out.as_mut_slice::<i64>()?;
        for x in inputs[0].iter_f64() {
            if x.is_nan() {
                return Err(Error::invalid("a NaN falls into no bin"));
            }
            let place = rounded((x - low) / step).max(0.0) as usize;
            bins[place.min(n - 1)] += 1;
        }
        Ok(vec![out.cast(counts)])
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;

    fn none() -> Value {
        Value::zeros(DType::I32, [0]).unwrap()
    }

    #[test]
    fn counts_rows() {
        let op = DenseBincount { binary_output: false };
        let x = Value::from([[1, 1, 7], [0, 2, 2]]);
        assert_eq!(eval(op.clone(), &[x.clone(), 3.into(), none()]), [Value::from([[0, 2, 0], [1, 0, 2]])]);
        let binary = DenseBincount { binary_output: true };
        assert_eq!(eval(binary, &[x, 3.into(), none()]), [Value::from([[0, 1, 0], [1, 0, 1]])]);
        let weighted = eval(op.clone(), &[[0, 1, 1].into(), 2.into(), [0.5f32, 1.0, 2.0].into()]);
        assert_eq!(weighted, [Value::from([0.5f32, 3.0])]);
        assert!(try_eval(op, &[[-1].into(), 2.into(), none()]).is_err());
        let ragged = RaggedBincount { binary_output: false };
        let inputs = [[0i64, 2, 2, 3].into(), [1, 1, 0].into(), 2.into(), none()];
        assert_eq!(eval(ragged, &inputs), [Value::from([[0, 2], [0, 0], [1, 0]])]);
    }

    #[test]
    fn counts_what_occurs() {
        let op = DenseCountSparseOutput { minlength: 4, maxlength: -1, binary_output: false };
        let got = eval(op, &[[[1, 1], [0, 2]].into(), none()]);
        let want = [Value::from([[0i64, 1], [1, 0], [1, 2]]), Value::from([2, 1, 1]), Value::from([2i64, 4])];
        assert_eq!(got, want);
    }

    #[test]
    fn histograms() {
        let op = HistogramFixedWidth { dtype: DType::I32 };
        let x = Value::from([-1f32, 0.0, 1.5, 2.0, 5.0, 15.0]);
        assert_eq!(eval(op, &[x, [0f32, 5.0].into(), 5.into()]), [Value::from([2, 1, 1, 0, 2])]);
    }
}
