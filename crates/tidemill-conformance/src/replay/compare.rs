//! Whether a value is the recorded one.

use tidemill_tensor::{Complex, DType, Value};

/// The tolerances of a dtype: relative, absolute.
pub(super) fn tolerance(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::F16 => (1e-2, 1e-2),
        DType::BF16 => (5e-2, 5e-2),
        DType::F32 | DType::C64 => (1e-4, 1e-5),
        DType::F64 | DType::C128 => (1e-9, 1e-10),
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
    if !want.dtype().is_inexact() {
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
    let at = match want.dtype().is_complex() {
        true => complex(want).zip(complex(got)).position(|(w, g)| !near(w, g, (rtol, atol))),
        false => want.iter_f64().zip(got.iter_f64()).position(|(w, g)| !close(w, g)),
    };
    match at {
        Some(at) => Err(element(want, got, at)),
        None => Ok(()),
    }
}

fn complex(value: &Value) -> impl Iterator<Item = Complex<f64>> {
    value.cast(DType::C128).into_vec().unwrap_or_default().into_iter()
}

/// Complex numbers are compared by the modulus of their difference, and by part where they are not finite.
fn near(w: Complex<f64>, g: Complex<f64>, (rtol, atol): (f64, f64)) -> bool {
    let same = |w: f64, g: f64| w == g || (w.is_nan() && g.is_nan());
    match w.is_finite() {
        true => (w - g).norm() <= atol + rtol * w.norm(),
        false => (w.is_nan() && g.is_nan()) || (same(w.re, g.re) && same(w.im, g.im)),
    }
}

fn element(want: &Value, got: &Value, at: usize) -> String {
    let show = |v: &Value| match v.dtype().is_complex() {
        true => complex(v).nth(at).map_or("?".to_owned(), |z| format!("{z:e}")),
        false => v.get_f64(at).map_or("?".to_owned(), |x| format!("{x:e}")),
    };
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
