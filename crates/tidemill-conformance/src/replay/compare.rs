//! Whether a value is the recorded one.

use tidemill_tensor::{DType, Value};

/// The tolerances of a dtype: relative, absolute.
pub(super) fn tolerance(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::F16 => (1e-2, 1e-2),
        DType::BF16 => (5e-2, 5e-2),
        DType::F32 => (1e-4, 1e-5),
        DType::F64 => (1e-9, 1e-10),
        _ => (0.0, 0.0),
    }
}

/// What is wrong with `got`.
///
/// # Errors
/// Another dtype or shape, or an element outside of `|want - got| <= atol + rtol * |want|`; NaN equals NaN.
pub(super) fn compare(want: &Value, got: &Value, (rtol, atol): (f64, f64)) -> Result<(), String> {
    if (want.dtype(), want.shape()) != (got.dtype(), got.shape()) {
        return Err(format!("{}{}, not {}{}", got.dtype(), got.shape(), want.dtype(), want.shape()));
    }
    if !want.dtype().is_float() {
        // Bytes, since 64 bits of integer do not fit into an f64.
        if want.bytes() == got.bytes() {
            return Ok(());
        }
        let size = want.dtype().size();
        let pairs = want.bytes().chunks(size).zip(got.bytes().chunks(size));
        let at = pairs.take_while(|(a, b)| a == b).count();
        return Err(element(want, got, at));
    }
    let close = |w: f64, g: f64| {
        (w.is_nan() && g.is_nan()) || w == g || (w.is_finite() && (w - g).abs() <= atol + rtol * w.abs())
    };
    match want.iter_f64().zip(got.iter_f64()).position(|(w, g)| !close(w, g)) {
        Some(at) => Err(element(want, got, at)),
        None => Ok(()),
    }
}

fn element(want: &Value, got: &Value, at: usize) -> String {
    let show = |v: &Value| v.get_f64(at).map_or("?".to_owned(), |x| format!("{x:e}"));
    format!("element {at} of {}{} is {}, not {}", want.dtype(), want.shape(), show(got), show(want))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(want: impl Into<Value>, got: impl Into<Value>, ok: bool) {
        let (want, got) = (want.into(), got.into());
        let result = compare(&want, &got, tolerance(want.dtype()));
        assert_eq!(result.is_ok(), ok, "{result:?}");
    }

    #[test]
    fn values_are_compared_within_their_dtype() {
        check([1.0f32, f32::NAN, f32::INFINITY], [1.00001f32, f32::NAN, f32::INFINITY], true);
        check([1.0f32], [1.01f32], false);
        check([f32::INFINITY], [f32::MAX], false);
        check([1.0f64], [1.00001f64], false);
        check([1i64 << 60], [(1i64 << 60) + 1], false);
        check([1.0f32], [[1.0f32]], false);
        check([1i32], [1i64], false);
    }
}
