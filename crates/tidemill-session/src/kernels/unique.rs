//! Kernels of `ops::unique`.

use rustc_hash::{FxHashMap, FxHashSet};
use tidemill_core::ops::{ListDiff, Unique, UniqueV2, UniqueWithCounts, UniqueWithCountsV2};
use tidemill_core::{DType, Result, Value, normalise_axis};
use tidemill_tensor::{Element, dispatch_float};

use super::values::{integers, ints, take, values};
use super::{Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Unique>(|op, _| unique(op.out_idx));
    table.compiled::<UniqueV2>(|op, _| unique(op.out_idx));
    table.compiled::<UniqueWithCounts>(|op, _| unique_with_counts(op.out_idx));
    table.compiled::<UniqueWithCountsV2>(|op, _| unique_with_counts(op.out_idx));
    table.compiled::<ListDiff>(|op, _| {
        let out_idx = op.out_idx;
        values(move |inputs| list_diff(&inputs[0], &inputs[1], out_idx))
    });
}

fn unique(out_idx: DType) -> Result<Compiled> {
    values(move |inputs| {
        let mut all = distinct(inputs, out_idx)?;
        all.truncate(2);
        Ok(all)
    })
}

fn unique_with_counts(out_idx: DType) -> Result<Compiled> {
    values(move |inputs| distinct(inputs, out_idx))
}

/// The distinct slices along the axis that operand 1 names (or the first), where each slice stands among them, and how often.
fn distinct(inputs: &[Value], out_idx: DType) -> Result<Vec<Value>> {
    let x = &inputs[0];
    let axis = inputs.get(1).map(ints).and_then(|axis| axis.first().copied()).unwrap_or(0);
    let axis = normalise_axis(axis, x.rank())?;
    let keys = Keys::new(x);
    let shape = x.shape();
    let n = shape[axis];
    let outer: usize = shape.iter().take(axis).product();
    let inner: usize = shape.iter().skip(axis + 1).product();
    let mut places: FxHashMap<Vec<u8>, i64> = FxHashMap::default();
    let (mut firsts, mut idx, mut counts) = (vec![], Vec::with_capacity(n), vec![]);
    for i in 0..n {
        let stretches = (0..outer).map(|o| ((o * n + i) * inner, inner));
        let key = keys.of(stretches);
        let mut add = || {
            firsts.push(i);
            counts.push(0i64);
            firsts.len() as i64 - 1
        };
        let place = match key {
            Some(key) => *places.entry(key).or_insert_with(add),
            None => add(),
        };
        counts[place as usize] += 1;
        idx.push(place);
    }
    let mut out = shape.to_vec();
    out[axis] = firsts.len();
    let slices: Vec<usize> = (0..outer).flat_map(|o| firsts.iter().map(move |i| o * n + i)).collect();
    let y = take(x, inner * x.dtype().size(), &slices, out)?;
    Ok(vec![y, integers(idx, out_idx), integers(counts, out_idx)])
}

fn list_diff(x: &Value, y: &Value, out_idx: DType) -> Result<Vec<Value>> {
    let (keys, others) = (Keys::new(x), Keys::new(y));
    let known: FxHashSet<Vec<u8>> = (0..y.num_elements()).filter_map(|i| others.of([(i, 1)])).collect();
    let places: Vec<usize> = (0..x.num_elements())
        .filter(|i| keys.of([(*i, 1)]).is_none_or(|key| !known.contains(&key)))
        .collect();
    let out = take(x, x.dtype().size(), &places, [places.len()])?;
    Ok(vec![out, integers(places.into_iter().map(|i| i as i64).collect(), out_idx)])
}

/// The elements of a value as bytes that are equal for equal elements: 0.0 equals -0.0.
struct Keys {
    value: Value,
    /// Which elements are NaN, which equals nothing; empty if none can be.
    nan: Vec<bool>,
}

impl Keys {
    fn new(x: &Value) -> Keys {
        dispatch_float!(x.dtype(), T => {
            let x: Vec<T> = x.to_vec().unwrap_or_default();
            let nan = x.iter().map(|x| x.to_f64().is_nan()).collect();
            let whole: Vec<T> = x.into_iter().map(|x| if x == T::default() { T::default() } else { x }).collect();
            Keys { value: whole.into(), nan }
        }, else => Keys { value: x.clone(), nan: vec![] })
    }

    /// The key of the elements in these stretches (first element and length); `None` if one of them is NaN.
    fn of(&self, stretches: impl IntoIterator<Item = (usize, usize)>) -> Option<Vec<u8>> {
        let (bytes, size) = (self.value.bytes(), self.value.dtype().size());
        let mut key = vec![];
        for (first, n) in stretches {
            if !self.nan.is_empty() && self.nan[first..first + n].contains(&true) {
                return None;
            }
            key.extend_from_slice(&bytes[first * size..(first + n) * size]);
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::eval;
    use super::*;

    #[track_caller]
    fn check(x: Value, distinct: Value, places: Value) {
        let out_idx = places.dtype();
        assert_eq!(eval(Unique { out_idx }, &[x]), [distinct, places]);
    }

    #[test]
    fn in_order_of_first_occurrence() {
        check(Value::from([2, 0, 2, 7, 0]), Value::from([2, 0, 7]), Value::from([0, 1, 0, 2, 1]));
        check(Value::from([-1i64, i64::MIN]), Value::from([-1i64, i64::MIN]), Value::from([0i64, 1]));
        check(Value::from([0.0f32, -0.0, 1.5]), Value::from([0.0f32, 1.5]), Value::from([0, 0, 1]));
        check(Value::from([true, true]), Value::from([true]), Value::from([0, 0]));
        let nan = f64::NAN;
        let distinct = eval(Unique { out_idx: DType::I32 }, &[Value::from([nan, 1.0, nan, 1.0])]);
        assert_eq!(distinct[1], Value::from([0, 1, 2, 1]));
        let none = Value::zeros(DType::I32, [0]).unwrap();
        check(none.clone(), none.clone(), none);
    }

    #[test]
    fn of_slices() {
        let x = Value::from([[1, 2, 1], [3, 4, 3]]);
        let op = UniqueWithCountsV2 { out_idx: DType::I32 };
        let got = eval(op, &[x, [1].into()]);
        assert_eq!(got, [Value::from([[1, 2], [3, 4]]), Value::from([0, 1, 0]), Value::from([2, 1])]);
    }

    #[test]
    fn differences_keep_what_stands_twice() {
        let op = ListDiff { out_idx: DType::I64 };
        let got = eval(op, &[[1, 2, 3, 1, 4].into(), [2, 4].into()]);
        assert_eq!(got, [Value::from([1, 3, 1]), Value::from([0i64, 2, 3])]);
    }
}
