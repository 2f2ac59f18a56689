//! Kernel of `ops::unique`.

use rustc_hash::FxHashMap;
use tidemill_core::ops::Unique;
use tidemill_core::{DType, Error, Result, Value};
use tidemill_tensor::{Element, dispatch_any};

use super::{CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Unique>(|op, cx| {
        dispatch_any!(cx.dtype(0), T => unique::<T>(op, cx), else => {
            Err(Error::unimplemented("Unique of this dtype"))
        })
    });
}

fn unique<T: Element>(op: &Unique, _: &CompileCx) -> Result<Compiled> {
    let out_idx = op.out_idx;
    Ok(Compiled::Values(Box::new(move |inputs| {
        let x = inputs[0].as_slice::<T>()?;
        let mut places = FxHashMap::default();
        let mut distinct: Vec<T> = vec![];
        let mut idx: Vec<i64> = Vec::with_capacity(x.len());
        for x in x {
            let mut add = || {
                distinct.push(*x);
                distinct.len() as i64 - 1
            };
            #[allow(clippy::eq_op)]
            let is_number = x == x;
            let place = if is_number { *places.entry(key(*x)).or_insert_with(add) } else { add() };
            idx.push(place);
        }
        let idx = Value::from(idx);
        let idx = if out_idx == DType::I64 { idx } else { idx.cast(DType::I32) };
        Ok(vec![distinct.into(), idx])
    })))
}

/// Equal for equal elements; 0.0 equals -0.0. A NaN equals nothing and has no key.
fn key<T: Element>(x: T) -> [u64; 2] {
    let bits = |part: f64| (part + 0.0).to_bits();
    match T::DTYPE {
        dtype if dtype.is_complex() => [bits(x.to_c128().re), bits(x.to_c128().im)],
        dtype if dtype.is_float() => [bits(x.to_f64()), 0],
        _ => [x.to_i64() as u64, 0],
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
}
