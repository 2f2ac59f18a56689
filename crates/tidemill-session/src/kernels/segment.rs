//! Kernels of `ops::segment` and `ops::sparse_segment`.

use tidemill_core::ops::{
    SegmentMax, SegmentMean, SegmentMin, SegmentProd, SegmentSum, SparseSegmentMean, SparseSegmentMeanGrad,
    SparseSegmentMeanGradV2, SparseSegmentMeanWithNumSegments, SparseSegmentSqrtN, SparseSegmentSqrtNGrad,
    SparseSegmentSqrtNGradV2, SparseSegmentSqrtNWithNumSegments, SparseSegmentSum, SparseSegmentSumGrad,
    SparseSegmentSumGradV2, SparseSegmentSumWithNumSegments, UnsortedSegmentMax, UnsortedSegmentMin,
    UnsortedSegmentProd, UnsortedSegmentSum,
};
use tidemill_core::{Error, Result, Value};
use tidemill_tensor::{Element, dispatch_arith, dispatch_float, dispatch_numeric};

use super::arith::Arith;
use super::values::{integers, ints, values, with_first};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<SegmentSum>(|_, cx| {
        dispatch_arith!(cx.dtype(0), T => sorted::<T>(T::from_i64(0), T::add, false), else => unsupported(cx))
    });
    table.compiled::<SegmentMean>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => sorted::<T>(T::from_i64(0), T::add, true), else => unsupported(cx))
    });
    table.compiled::<SegmentProd>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => sorted::<T>(T::from_i64(1), T::mul, false), else => unsupported(cx))
    });
    table.compiled::<SegmentMax>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => sorted::<T>(T::from_i64(0), larger, false), else => unsupported(cx))
    });
    table.compiled::<SegmentMin>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => sorted::<T>(T::from_i64(0), smaller, false), else => unsupported(cx))
    });
    table.compiled::<UnsortedSegmentSum>(|_, cx| {
        dispatch_arith!(cx.dtype(0), T => unsorted::<T>(cx, T::from_i64(0), T::add), else => unsupported(cx))
    });
    table.compiled::<UnsortedSegmentProd>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => unsorted::<T>(cx, T::from_i64(1), T::mul), else => unsupported(cx))
    });
    table.compiled::<UnsortedSegmentMax>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => unsorted::<T>(cx, extreme(false), larger), else => unsupported(cx))
    });
    table.compiled::<UnsortedSegmentMin>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => unsorted::<T>(cx, extreme(true), smaller), else => unsupported(cx))
    });
    table.compiled::<SparseSegmentSum>(|_, cx| sparse(cx, Scale::One));
    table.compiled::<SparseSegmentSumWithNumSegments>(|_, cx| sparse(cx, Scale::One));
    table.compiled::<SparseSegmentMean>(|_, cx| sparse(cx, Scale::Mean));
    table.compiled::<SparseSegmentMeanWithNumSegments>(|_, cx| sparse(cx, Scale::Mean));
    table.compiled::<SparseSegmentSqrtN>(|_, cx| sparse(cx, Scale::SqrtN));
    table.compiled::<SparseSegmentSqrtNWithNumSegments>(|_, cx| sparse(cx, Scale::SqrtN));
    table.compiled::<SparseSegmentSumGrad>(|_, cx| sparse_grad(cx, Scale::One));
    table.compiled::<SparseSegmentMeanGrad>(|_, cx| sparse_grad(cx, Scale::Mean));
    table.compiled::<SparseSegmentSqrtNGrad>(|_, cx| sparse_grad(cx, Scale::SqrtN));
    table.compiled::<SparseSegmentSumGradV2>(|_, cx| sparse_grad_of_rows(cx, Scale::One));
    table.compiled::<SparseSegmentMeanGradV2>(|_, cx| sparse_grad_of_rows(cx, Scale::Mean));
    table.compiled::<SparseSegmentSqrtNGradV2>(|_, cx| sparse_grad_of_rows(cx, Scale::SqrtN));
}

fn unsupported(cx: &CompileCx) -> Result<Compiled> {
    Err(Error::unimplemented(format!("segments of {}", cx.dtype(0))))
}

fn larger<T: Element + PartialOrd>(a: T, b: T) -> T {
    if b > a { b } else { a }
}

fn smaller<T: Element + PartialOrd>(a: T, b: T) -> T {
    if b < a { b } else { a }
}

/// The highest or lowest finite number.
fn extreme<T: Element>(highest: bool) -> T {
    use tidemill_core::DType::{BF16, F16, F32, F64, U8, U16, U32, U64};
    let bound = match T::DTYPE {
        F16 => 65504.0,
        BF16 => 3.389_531_389_251_535_5e38,
        F32 => f64::from(f32::MAX),
        F64 => f64::MAX,
        // What is out of range becomes the bound.
        U8 | U16 | U32 | U64 if !highest => 0.0,
        _ => f64::INFINITY,
    };
    T::from_f64(if highest { bound } else { -bound })
}

/// Segment ids that do not ascend from 0 on are an error; how many segments there are.
fn check_sorted(ids: &[i64]) -> Result<usize> {
    match ids.iter().find(|id| **id < 0) {
        Some(id) => Err(Error::invalid(format!("segment id {id} is negative"))),
        None if !ids.is_sorted() => Err(Error::invalid("segment ids must ascend")),
        None => Ok(ids.last().map_or(0, |last| *last as usize + 1)),
    }
}

/// Folds the rows of sorted segments; where there are none, `empty` stands.
fn sorted<T: Element>(empty: T, f: fn(T, T) -> T, mean: bool) -> Result<Compiled> {
    values(move |inputs| {
        let (data, ids) = (&inputs[0], ints(&inputs[1]));
        if data.shape().first() != Some(&ids.len()) {
            return Err(Error::invalid(format!(
                "{} segment ids for data of shape {}",
                ids.len(),
                data.shape()
            )));
        }
        let segments = check_sorted(&ids)?;
        let row_shape = &data.shape().dims()[1..];
        let row: usize = row_shape.iter().product();
        let mut out = Value::full(data.dtype(), with_first(segments, row_shape), empty)?;
        let (x, y) = (data.as_slice::<T>()?, out.as_mut_slice::<T>()?);
        let mut begin = 0;
        for stretch in ids.chunk_by(|a, b| a == b) {
            let y = &mut y[stretch[0] as usize * row..][..row];
            y.copy_from_slice(&x[begin * row..(begin + 1) * row]);
            for i in begin + 1..begin + stretch.len() {
                y.iter_mut().zip(&x[i * row..(i + 1) * row]).for_each(|(y, x)| *y = f(*y, *x));
            }
            if mean {
                y.iter_mut().for_each(|y| *y = divided(*y, stretch.len()));
            }
            begin += stretch.len();
        }
        Ok(vec![out])
    })
}

fn divided<T: Element>(x: T, n: usize) -> T {
    if T::DTYPE.is_integer() {
        T::from_i64(x.to_i64() / n as i64)
    } else {
        T::from_f64(x.to_f64() / n as f64)
    }
}

fn unsorted<T: Element>(cx: &CompileCx, start: T, f: fn(T, T) -> T) -> Result<Compiled> {
    let (data, ids, out) = (cx.shape(0), cx.shape(1), cx.output_shape(0));
    if data.get(..ids.rank()) != Some(&ids[..]) {
        return Err(Error::invalid(format!(
            "data of shape {data} must begin with the shape {ids} of segment_ids"
        )));
    }
    let row: usize = data.iter().skip(ids.rank()).product();
    let segments = out.first().copied().unwrap_or(0);
    Compiled::step(move |args: &mut Args| {
        let (data, ids, out) = (args.input::<T>(0), args.ints(1), args.output::<T>(0));
        out.fill(start);
        for (i, id) in ids.iter().enumerate() {
            // A negative id drops its row.
            if id >= 0 {
                let at = place(id, segments)? * row;
                out[at..at + row].iter_mut().zip(&data[i * row..]).for_each(|(y, x)| *y = f(*y, *x));
            }
        }
        Ok(())
    })
}

/// An index as a place below `limit`.
fn place(index: i64, limit: usize) -> Result<usize> {
    usize::try_from(index)
        .ok()
        .filter(|i| *i < limit)
        .ok_or_else(|| Error::invalid(format!("index {index} is not in [0, {limit})")))
}

/// What the sum of a segment of `n` rows is divided by.
#[derive(Clone, Copy)]
enum Scale {
    One,
    Mean,
    SqrtN,
}

impl Scale {
    fn divisor(self, n: usize) -> f64 {
        match self {
            Scale::One => 1.0,
            Scale::Mean => n as f64,
            Scale::SqrtN => (n as f64).sqrt(),
        }
    }

    /// The divisor of each segment.
    fn of_segments(self, ids: &[i64], segments: usize) -> Vec<f64> {
        let mut counts = vec![0usize; segments];
        ids.iter().for_each(|id| counts[*id as usize] += 1);
        counts.into_iter().map(|n| self.divisor(n.max(1))).collect()
    }
}

fn scaled<T: Element>(x: T, divisor: f64) -> T {
    if divisor == 1.0 { x } else { T::from_f64(x.to_f64() / divisor) }
}

fn sparse(cx: &CompileCx, scale: Scale) -> Result<Compiled> {
    dispatch_numeric!(cx.dtype(0), T => values(move |inputs| {
        let (data, indices, ids) = (&inputs[0], ints(&inputs[1]), ints(&inputs[2]));
        let mut segments = check_sorted(&ids)?;
        if let Some(count) = inputs.get(3).map(ints).and_then(|n| n.first().copied()) {
            let count = usize::try_from(count).unwrap_or(0);
            if segments > count {
                return Err(Error::invalid(format!("segment id {} is not below num_segments, {count}", segments - 1)));
            }
            segments = count;
        }
        let row_shape = &data.shape().dims()[1..];
        let (rows, row) = (data.shape()[0], row_shape.iter().product::<usize>());
        let mut out = Value::zeros(data.dtype(), with_first(segments, row_shape))?;
        let (x, y) = (data.as_slice::<T>()?, out.as_mut_slice::<T>()?);
        let mut indices = indices.iter();
        for stretch in ids.chunk_by(|a, b| a == b) {
            let y = &mut y[stretch[0] as usize * row..][..row];
            for index in indices.by_ref().take(stretch.len()) {
                let at = place(*index, rows)? * row;
                y.iter_mut().zip(&x[at..at + row]).for_each(|(y, x)| *y = y.add(*x));
            }
            let divisor = scale.divisor(stretch.len());
            y.iter_mut().for_each(|y| *y = scaled(*y, divisor));
        }
        Ok(vec![out])
    }), else => unsupported(cx))
}

/// Operands of the gradients, checked: the rows of the result, how many there are, segment ids, and the divisors of the segments.
struct Backward {
    places: Vec<usize>,
    rows: usize,
    ids: Vec<i64>,
    divisors: Vec<f64>,
}

fn backward(inputs: &[Value], scale: Scale) -> Result<Backward> {
    let (grad, indices, ids) = (&inputs[0], ints(&inputs[1]), ints(&inputs[2]));
    let rows = usize::try_from(ints(&inputs[3]).first().copied().unwrap_or(0)).unwrap_or(0);
    let segments = grad.shape()[0];
    if let Some(id) = ids.iter().find(|id| !(0..segments as i64).contains(id)) {
        return Err(Error::invalid(format!("segment id {id} is not in [0, {segments})")));
    }
    let places = indices.into_iter().map(|i| place(i, rows)).collect::<Result<_>>()?;
    let divisors = scale.of_segments(&ids, segments);
    Ok(Backward { places, rows, ids, divisors })
}

/// Adds the rows of `grad` to those of a tensor of `rows` rows at `places`.
fn spread<T: Arith>(
    grad: &Value,
    places: &[usize],
    ids: &[i64],
    divisors: &[f64],
    rows: usize,
) -> Result<Value> {
    let row_shape = &grad.shape().dims()[1..];
    let row: usize = row_shape.iter().product();
    let mut out = Value::zeros(grad.dtype(), with_first(rows, row_shape))?;
    let (dy, dx) = (grad.as_slice::<T>()?, out.as_mut_slice::<T>()?);
    for (at, id) in places.iter().zip(ids) {
        let id = *id as usize;
        let dx = &mut dx[at * row..(at + 1) * row];
        let dy = &dy[id * row..(id + 1) * row];
        dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dx.add(scaled(*dy, divisors[id])));
    }
    Ok(out)
}

fn sparse_grad(cx: &CompileCx, scale: Scale) -> Result<Compiled> {
    dispatch_float!(cx.dtype(0), T => values(move |inputs| {
        let Backward { places, rows, ids, divisors } = backward(inputs, scale)?;
        Ok(vec![spread::<T>(&inputs[0], &places, &ids, &divisors, rows)?])
    }), else => unsupported(cx))
}

fn sparse_grad_of_rows(cx: &CompileCx, scale: Scale) -> Result<Compiled> {
    dispatch_float!(cx.dtype(0), T => values(move |inputs| {
        let Backward { places, ids, divisors, .. } = backward(inputs, scale)?;
        let mut used = places.clone();
        used.sort_unstable();
        used.dedup();
        let places: Vec<usize> = places.iter().map(|at| used.partition_point(|u| u < at)).collect();
        let rows = spread::<T>(&inputs[0], &places, &ids, &divisors, used.len())?;
        let used = used.into_iter().map(|at| at as i64).collect();
        Ok(vec![rows, integers(used, inputs[1].dtype())])
    }), else => unsupported(cx))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;

    fn x() -> Value {
        Value::from([[1f32, 2.0], [3.0, 4.0], [5.0, 6.0]])
    }

    #[test]
    fn sorted_segments_leave_gaps() {
        let ids = Value::from([0, 0, 2]);
        let check = |got: Vec<Value>, want: [[f32; 2]; 3]| assert_eq!(got, [Value::from(want)]);
        check(eval(SegmentSum, &[x(), ids.clone()]), [[4.0, 6.0], [0.0, 0.0], [5.0, 6.0]]);
        check(eval(SegmentMean, &[x(), ids.clone()]), [[2.0, 3.0], [0.0, 0.0], [5.0, 6.0]]);
        check(eval(SegmentProd, &[x(), ids.clone()]), [[3.0, 8.0], [1.0, 1.0], [5.0, 6.0]]);
        check(eval(SegmentMax, &[x(), ids.clone()]), [[3.0, 4.0], [0.0, 0.0], [5.0, 6.0]]);
        check(eval(SegmentMin, &[x(), ids]), [[1.0, 2.0], [0.0, 0.0], [5.0, 6.0]]);
        assert!(try_eval(SegmentSum, &[x(), [0, 1, 0].into()]).is_err());
        assert!(try_eval(SegmentSum, &[x(), [-1, 1, 1].into()]).is_err());
    }

    #[test]
    fn unsorted_segments_drop_rows() {
        let got = eval(UnsortedSegmentSum, &[x(), [1, -1, 1].into(), 3.into()]);
        assert_eq!(got, [Value::from([[0f32, 0.0], [6.0, 8.0], [0.0, 0.0]])]);
        let got = eval(UnsortedSegmentMax, &[[3u8, 7].into(), [1, 1].into(), 2.into()]);
        assert_eq!(got, [Value::from([0u8, 7])]);
        let got = eval(UnsortedSegmentMin, &[[3i64, 7].into(), [1, 1].into(), 2.into()]);
        assert_eq!(got, [Value::from([i64::MAX, 3])]);
        assert!(try_eval(UnsortedSegmentSum, &[x(), [3, 0, 0].into(), 3.into()]).is_err());
    }

    #[test]
    fn sparse_segments_pick_rows() {
        let (indices, ids) = (Value::from([2, 0, 0]), Value::from([0, 0, 1]));
        let op = SparseSegmentMeanWithNumSegments { sparse_gradient: false };
        let got = eval(op, &[x(), indices.clone(), ids.clone(), 3.into()]);
        assert_eq!(got, [Value::from([[3f32, 4.0], [1.0, 2.0], [0.0, 0.0]])]);
        let got = eval(SparseSegmentMeanGradV2, &[x(), indices, ids, 3.into()]);
        assert_eq!(got, [Value::from([[3.5f32, 5.0], [0.5, 1.0]]), Value::from([0, 2])]);
    }
}
