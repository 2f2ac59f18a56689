//! What kernels have in common whose results depend on data, and who so make values of their own.

use tidemill_core::{DType, Error, Result, Shape, Value};

use super::{Compiled, ValuesFn};

/// A kernel that makes values.
pub(super) fn values(
    run: impl Fn(&[Value]) -> Result<Vec<Value>> + Send + Sync + 'static,
) -> Result<Compiled> {
    let owned: Box<ValuesFn> = Box::new(move |inputs: Vec<Value>| run(&inputs));
    Ok(Compiled::Values(owned))
}

/// The elements of an integer value.
pub(super) fn ints(value: &Value) -> Vec<i64> {
    value.cast(DType::I64).into_vec().unwrap_or_default()
}

/// The elements of an integer value as sizes.
pub(super) fn sizes(value: &Value) -> Result<Shape> {
    let size = |n: i64| usize::try_from(n).map_err(|_| Error::invalid(format!("size {n} is negative")));
    ints(value).into_iter().map(size).collect()
}

/// A vector of integers.
pub(super) fn integers(numbers: Vec<i64>, dtype: DType) -> Value {
    Value::from(numbers).cast(dtype)
}

/// How many bytes one index of the first `axes` axes of `x` stands for.
pub(super) fn row_bytes(x: &Value, axes: usize) -> usize {
    x.shape().iter().skip(axes).product::<usize>() * x.dtype().size()
}

/// Rows of `bytes` bytes each of `x`, at these places, as a value of this shape.
pub(super) fn take(x: &Value, bytes: usize, places: &[usize], shape: impl Into<Shape>) -> Result<Value> {
    let mut out = Value::zeros(x.dtype(), shape)?;
    let from = x.bytes();
    if bytes > 0 {
        for (to, at) in out.bytes_mut().chunks_exact_mut(bytes).zip(places) {
            to.copy_from_slice(&from[at * bytes..(at + 1) * bytes]);
        }
    }
    Ok(out)
}

/// A shape with another first axis.
pub(super) fn with_first(n: usize, rest: &[usize]) -> Shape {
    std::iter::once(n).chain(rest.iter().copied()).collect()
}

/// `InvalidArgument` unless `splits` begin with 0, ascend, and end with `count`.
pub(super) fn check_splits(splits: &[i64], count: usize) -> Result<()> {
    let wrong = |what: String| Err(Error::invalid(format!("row splits {what}")));
    match (splits.first(), splits.last()) {
        (None, _) | (_, None) => wrong("must have at least one element".to_owned()),
        (Some(first), _) if *first != 0 => wrong(format!("begin with {first}, not 0")),
        _ if !splits.is_sorted() => wrong("must ascend".to_owned()),
        (_, Some(last)) if *last != count as i64 => {
            wrong(format!("end with {last}, but there are {count} values"))
        }
        _ => Ok(()),
    }
}
