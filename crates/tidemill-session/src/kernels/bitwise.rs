//! Kernels of `ops::bitwise`.

use tidemill_core::ops::{BitwiseAnd, BitwiseOr, BitwiseXor, Invert, LeftShift, RightShift};
use tidemill_core::{Error, Result};
use tidemill_tensor::{Element, dispatch_int};

use super::elementwise::{map1, map2};
use super::{Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    /// One loop for each dtype, which calls a function: there are many of both.
    macro_rules! pairs {
        ($($op:ident |$x:ident, $y:ident: $t:ident| $value:expr;)*) => {$(
            table.compiled::<$op>(|_, cx| {
                dispatch_int!(cx.dtype(0), $t => {
                    let f: fn($t, $t) -> $t = |$x, $y| $value;
                    map2::<$t, $t>(cx, f)
                }, else => unsupported())
            });
        )*};
    }
    pairs! {
        BitwiseAnd |x, y: T| x & y;
        BitwiseOr |x, y: T| x | y;
        BitwiseXor |x, y: T| x ^ y;
        LeftShift |x, y: T| x.wrapping_shl(places(y));
        RightShift |x, y: T| x.wrapping_shr(places(y));
    }
    table.compiled::<Invert>(
        |_, cx| dispatch_int!(cx.dtype(0), T => map1::<T, T>(cx, |x: T| !x), else => unsupported()),
    );
}

/// By how many places to shift an integer of this type.
#[inline(always)]
fn places<T: Element + PartialOrd>(y: T) -> u32 {
    let last = 8 * size_of::<T>() as i64 - 1;
    // An unsigned count beyond `i64` reads as negative; it is large.
    let wide = y.to_i64();
    (if wide < 0 && y > T::default() { last } else { wide.clamp(0, last) }) as u32
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("the bits of this dtype"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::eval;
    use super::*;
    use tidemill_core::{Op, Value};

    #[track_caller]
    fn check(op: impl Op, x: impl Into<Value>, y: impl Into<Value>, want: impl Into<Value>) {
        assert_eq!(eval(op, &[x.into(), y.into()]), [want.into()]);
    }

    #[test]
    fn bits() {
        check(BitwiseAnd, [0b1100u8, 255], [0b1010u8, 16], [0b1000u8, 16]);
        check(BitwiseOr, [0b1100i64, -1], [0b1010i64, 16], [0b1110i64, -1]);
        check(BitwiseXor, [0b1100, -1], [0b1010, 16], [0b0110, -17]);
        assert_eq!(eval(Invert, &[[0u8, 255].into()]), [[255u8, 0].into()]);
    }

    #[test]
    fn shifts_stop_at_the_last_bit() {
        check(LeftShift, [1i8, 1, 1, 3], [3i8, 7, 100, -5], [8i8, -128, -128, 3]);
        check(RightShift, [-8i8, 64, -1, 3], [1i8, 6, 100, -5], [-4i8, 1, -1, 3]);
        check(RightShift, [u64::MAX], [u64::MAX], [1u64]);
    }
}
