//! The kernel of `Cast`.

use tidemill_core::ops::Cast;
use tidemill_core::{DType, Error, Result};
use tidemill_tensor::{Complex, Element, dispatch_any, dispatch_complex};

use super::elementwise::map1;
use super::{CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Cast>(|_, cx| cast(cx));
}

/// Floats become integers toward zero, saturating, NaN becoming 0; integers wrap; anything but 0 is true;
/// complex numbers become others by their real part.
fn cast(cx: &CompileCx) -> Result<Compiled> {
    let (from, to) = (cx.dtype(0), cx.output_dtype(0));
    if from == to {
        return Ok(Compiled::Alias(0));
    }
    // Through an i64 integers keep every bit, through an f64 floats do.
    let exact = from.is_integer() || from == DType::Bool;
    if from.is_complex() {
        return dispatch_complex!(from, R => dispatch_any!(to, U => {
            map1::<Complex<R>, U>(cx, |z: Complex<R>| U::from_c128(z.to_c128()))
        }, else => unsupported(cx)), else => unsupported(cx));
    }
    dispatch_any!(from, T => dispatch_any!(to, U => match exact {
        true if from != DType::U64 || !to.is_float() => map1::<T, U>(cx, |x: T| U::from_i64(x.to_i64())),
        _ => map1::<T, U>(cx, |x: T| U::from_f64(x.to_f64())),
    }, else => unsupported(cx)), else => unsupported(cx))
}

fn unsupported(cx: &CompileCx) -> Result<Compiled> {
    Err(Error::unimplemented(format!("a cast from {} to {}", cx.dtype(0), cx.output_dtype(0))))
}

#[cfg(test)]
mod tests {
    use super::super::testing::eval;
    use super::*;
    use tidemill_core::Value;

    #[track_caller]
    fn check(x: impl Into<Value>, want: impl Into<Value>) {
        let (x, want) = (x.into(), want.into());
        assert_eq!(eval(Cast { dst: want.dtype() }, &[x]), [want]);
    }

    #[test]
    fn casts() {
        check([1.9f32, -1.9, f32::NAN, 1e20], [1, -1, 0, i32::MAX]);
        check([300, -1], [44u8, 255]);
        check([0.0f32, 0.5, -1.0], [false, true, true]);
        check([true, false], [1f64, 0.0]);
        check([u64::MAX], [u64::MAX as f32]);
        check([i64::MAX], [i64::MAX as f64]);
    }
}
