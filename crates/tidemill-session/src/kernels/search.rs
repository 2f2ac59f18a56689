//! Kernels of `ops::search`.

use std::cmp::Ordering;

use tidemill_core::ops::{Bucketize, LowerBound, NthElement, TopK, TopKV2, UpperBound, Where};
use tidemill_core::{DType, Error, Result, Value};
use tidemill_tensor::{Element, dispatch_any, dispatch_numeric};

use super::values::values;
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Where>(|_, cx| {
        dispatch_any!(cx.dtype(0), T => values(|inputs| where_true::<T>(&inputs[0])), else => unsupported(cx))
    });
    table.compiled::<LowerBound>(|_, cx| bound(cx, false));
    table.compiled::<UpperBound>(|_, cx| bound(cx, true));
    table.compiled::<Bucketize>(bucketize);
    table.compiled::<TopK>(|op, cx| top_k(cx, op.sorted));
    table.compiled::<TopKV2>(|op, cx| top_k(cx, op.sorted));
    table.compiled::<NthElement>(nth_element);
}

fn unsupported(cx: &CompileCx) -> Result<Compiled> {
    Err(Error::unimplemented(format!("elements of {}", cx.dtype(0))))
}

fn where_true<T: Element>(x: &Value) -> Result<Vec<Value>> {
    let elements = x.as_slice::<T>()?;
    let is_true = |x: &T| *x != T::default();
    let count = elements.iter().filter(|x| is_true(x)).count();
    let mut out = Value::zeros(DType::I64, [count, x.rank()])?;
    let strides = x.shape().strides();
    let mut rows = out.as_mut_slice::<i64>()?.chunks_exact_mut(x.rank().max(1));
    let places = elements.iter().enumerate().filter(|(_, x)| is_true(x));
    for ((at, _), row) in places.zip(&mut rows) {
        for ((coordinate, stride), n) in row.iter_mut().zip(&strides).zip(x.shape().iter()) {
            *coordinate = (at / stride % n) as i64;
        }
    }
    Ok(vec![out])
}

/// The order of numbers, NaN after all others.
fn order<T: Element + PartialOrd>(a: &T, b: &T) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| (a.partial_cmp(a).is_none()).cmp(&b.partial_cmp(b).is_none()))
}

fn bound(cx: &CompileCx, upper: bool) -> Result<Compiled> {
    let (sorted, wanted) = (cx.shape(0), cx.shape(1));
    let (n, m) = (sorted[1], wanted[1].max(1));
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, values) = (args.input::<T>(0), args.input::<T>(1));
        for (i, value) in values.iter().enumerate() {
            let row = &x[i / m * n..][..n];
            let place = row.partition_point(|x| if upper { x <= value } else { x < value });
            args.set_int(0, i, place as i64);
        }
        Ok(())
    }), else => unsupported(cx))
}

fn bucketize(op: &Bucketize, cx: &CompileCx) -> Result<Compiled> {
    let boundaries = op.boundaries.clone();
    let wide = cx.dtype(0) == DType::F64;
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, out) = (args.input::<T>(0), args.output::<i32>(0));
        for (x, out) in x.iter().zip(out) {
            let x = x.to_f64();
            // Integers are compared as `f32`, as in C++.
            let x = if wide { x } else { f64::from(x as f32) };
            *out = boundaries.partition_point(|b| f64::from(*b) <= x) as i32;
        }
        Ok(())
    }), else => unsupported(cx))
}

fn top_k(cx: &CompileCx, sorted: bool) -> Result<Compiled> {
    let (shape, out) = (cx.shape(0), cx.output_shape(0));
    let (Some(n), Some(k)) = (shape.last().copied(), out.last().copied()) else {
        return Err(Error::invalid("the input must not be a scalar"));
    };
    if k > n {
        return Err(Error::invalid(format!("the last axis of {shape} does not have {k} elements")));
    }
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, values) = (args.input::<T>(0), args.output::<T>(0));
        if k == 0 || n == 0 {
            return Ok(());
        }
        let mut places: Vec<usize> = Vec::with_capacity(n);
        for (row, (x, values)) in x.chunks_exact(n).zip(values.chunks_exact_mut(k)).enumerate() {
            places.clear();
            places.extend(0..n);
            let largest_first = |a: &usize, b: &usize| order(&x[*b], &x[*a]).then(a.cmp(b));
            if k < n {
                places.select_nth_unstable_by(k, largest_first);
                places.truncate(k);
            }
            match sorted {
                true => places.sort_unstable_by(largest_first),
                // No order is promised; TensorFlow leaves all in place, or mostly the smallest in front.
                false if k < n => places.sort_unstable_by(|a, b| largest_first(b, a)),
                false => {}
            }
            for (i, (value, at)) in values.iter_mut().zip(&places).enumerate() {
                *value = x[*at];
                args.set_int(1, row * k + i, *at as i64);
            }
        }
        Ok(())
    }), else => unsupported(cx))
}

fn nth_element(op: &NthElement, cx: &CompileCx) -> Result<Compiled> {
    let (reverse, shape) = (op.reverse, cx.shape(0));
    let n = shape.last().copied().unwrap_or(1);
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, at, out) = (args.input::<T>(0), args.input::<i32>(1)[0], args.output::<T>(0));
        let at = usize::try_from(at).ok().filter(|at| *at < n).ok_or_else(|| {
            Error::invalid(format!("n = {at} is no place in the last axis of {shape}"))
        })?;
        let mut row: Vec<T> = Vec::with_capacity(n);
        for (x, out) in x.chunks_exact(n).zip(out) {
            row.clear();
            row.extend_from_slice(x);
            let (_, nth, _) = row.select_nth_unstable_by(if reverse { n - 1 - at } else { at }, order);
            *out = *nth;
        }
        Ok(())
    }), else => unsupported(cx))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;

    #[test]
    fn finds_what_is_true() {
        let x = Value::from([[true, false], [true, true]]);
        assert_eq!(eval(Where, &[x]), [Value::from([[0i64, 0], [1, 0], [1, 1]])]);
        assert_eq!(eval(Where, &[f32::NAN.into()])[0].shape().dims(), [1, 0]);
        assert_eq!(eval(Where, &[[0.0f32, -0.0, 2.0].into()]), [Value::from([[2i64]])]);
    }

    #[test]
    fn the_first_of_equals_is_larger() {
        let op = TopKV2 { sorted: true, index_type: DType::I32 };
        let x = Value::from([[1f32, 3.0, 3.0, 2.0], [4.0, 4.0, 0.0, 4.0]]);
        let got = eval(op.clone(), &[x.clone(), 2.into()]);
        assert_eq!(got, [Value::from([[3f32, 3.0], [4.0, 4.0]]), Value::from([[1, 2], [0, 1]])]);
        assert!(try_eval(op, &[x, 5.into()]).is_err());
    }

    #[test]
    fn bounds_count_smaller_elements() {
        let (sorted, wanted) = (Value::from([[1, 2, 2, 3]]), Value::from([[2, 0, 9]]));
        let inputs = [sorted, wanted];
        assert_eq!(eval(LowerBound { out_type: DType::I32 }, &inputs), [Value::from([[1, 0, 4]])]);
        assert_eq!(eval(UpperBound { out_type: DType::I64 }, &inputs), [Value::from([[3i64, 0, 4]])]);
    }
}
