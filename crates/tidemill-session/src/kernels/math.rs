//! Kernels of `ops::math`: elementwise arithmetic of two operands, and sums of many.

use smallvec::SmallVec;
use tidemill_core::ops::{
    Add, AddN, AddV2, Atan2, Div, FloorDiv, FloorMod, Maximum, Minimum, Mod, Mul, NextAfter, Pow, RealDiv,
    SquaredDifference, Sub, TruncateDiv, TruncateMod,
};
use tidemill_core::{DType, Error, Result};
use tidemill_tensor::half::{bf16, f16};
use tidemill_tensor::{Element, dispatch_arith, dispatch_float, dispatch_int, dispatch_numeric};

use super::arith::Arith;
use super::elementwise::{Map2, map2};
use super::objects;
use super::parallel::{GRAIN, Parts};
use super::simd::{Body, Isa, run};
use super::special::function_of_two;
use super::{Args, CompileCx, Compiled, KernelTable, Step};

/// The float next to the first in the direction of the second; either type of float.
macro_rules! next_after {
    ($x:ident, $y:ident) => {
        if $x.is_nan() || $y.is_nan() {
            $x + $y
        } else if $x == $y {
            $y
        } else if $x < $y {
            $x.next_up()
        } else {
            $x.next_down()
        }
    };
}

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<AddV2>(|_, cx| arithmetic(cx, Operation::Add));
    table.compiled::<Add>(|_, cx| arithmetic(cx, Operation::Add));
    table.compiled::<Sub>(|_, cx| arithmetic(cx, Operation::Sub));
    table.compiled::<Mul>(|_, cx| arithmetic(cx, Operation::Mul));
    table.compiled::<SquaredDifference>(|_, cx| arithmetic(cx, Operation::SquaredDifference));
    table.compiled::<Maximum>(|_, cx| arithmetic(cx, Operation::Maximum));
    table.compiled::<Minimum>(|_, cx| arithmetic(cx, Operation::Minimum));
    table.compiled::<RealDiv>(|_, cx| divide(cx, Division::Truncate));
    table.compiled::<Div>(|_, cx| divide(cx, Division::Truncate));
    table.compiled::<FloorDiv>(|_, cx| divide(cx, Division::Floor));
    table.compiled::<FloorMod>(|_, cx| divide(cx, Division::FloorModulo));
    table.compiled::<TruncateDiv>(|_, cx| divide(cx, Division::TruncatedQuotient));
    table.compiled::<TruncateMod>(|_, cx| divide(cx, Division::TruncateModulo));
    table.compiled::<Mod>(|_, cx| divide(cx, Division::TruncateModulo));
    table.compiled::<Pow>(|_, cx| pow(cx));
    table.compiled::<Atan2>(|_, cx| function_of_two(cx, f64::atan2));
    table.compiled::<NextAfter>(|_, cx| match cx.dtype(0) {
        DType::F32 => map2::<f32, f32>(cx, |x: f32, y: f32| next_after!(x, y)),
        _ => map2::<f64, f64>(cx, |x: f64, y: f64| next_after!(x, y)),
    });
    table.compiled::<AddN>(|_, cx| add_n(cx));
}

fn unsupported(cx: &CompileCx) -> Result<Compiled> {
    Err(Error::unimplemented(format!("this arithmetic on {}", cx.dtype(0))))
}

#[derive(Clone, Copy)]
enum Operation {
    Add,
    Sub,
    Mul,
    SquaredDifference,
    Maximum,
    Minimum,
}

fn arithmetic(cx: &CompileCx, operation: Operation) -> Result<Compiled> {
    dispatch_numeric!(cx.dtype(0), T => match operation {
        Operation::Add => map2::<T, T>(cx, |x: T, y: T| Arith::add(x, y)),
        Operation::Sub => map2::<T, T>(cx, |x: T, y: T| Arith::sub(x, y)),
        Operation::Mul => map2::<T, T>(cx, |x: T, y: T| Arith::mul(x, y)),
        Operation::SquaredDifference => map2::<T, T>(cx, |x: T, y: T| {
            let difference = Arith::sub(x, y);
            Arith::mul(difference, difference)
        }),
        // A NaN on either side is the result: `x` when neither is greater, unless `y` is the NaN.
        Operation::Maximum => map2::<T, T>(cx, |x: T, y: T| if x > y || is_nan(x) { x } else { y }),
        Operation::Minimum => map2::<T, T>(cx, |x: T, y: T| if x < y || is_nan(x) { x } else { y }),
    }, else => unsupported(cx))
}

#[inline(always)]
#[allow(clippy::eq_op)]
pub(super) fn is_nan<T: Element>(x: T) -> bool {
    x != x
}

#[derive(Clone, Copy, PartialEq)]
enum Division {
    /// True division of floats; of integers, toward zero.
    Truncate,
    /// Of floats too rounded toward zero.
    TruncatedQuotient,
    TruncateModulo,
    Floor,
    FloorModulo,
}

/// Division of floats of one dtype.
#[derive(Clone, Copy)]
struct Divide(Division);

macro_rules! divide_floats {
    ($($ty:ty: $wide:ty, $to:expr, $from:expr;)*) => {$(
        impl Map2<$ty, $ty> for Divide {
            #[inline(always)]
            fn eval<I: Isa>(self, x: $ty, y: $ty) -> $ty {
                let (to, from): (fn($ty) -> $wide, fn($wide) -> $ty) = ($to, $from);
                let (x, y) = (to(x), to(y));
                from(match self.0 {
                    Division::Truncate => x / y,
                    Division::TruncatedQuotient => (x / y).trunc(),
                    Division::TruncateModulo => x % y,
                    Division::Floor => (x / y).floor(),
                    Division::FloorModulo => {
                        let remainder = x % y;
                        if remainder != 0.0 && (remainder < 0.0) != (y < 0.0) { remainder + y } else { remainder }
                    }
                })
            }
        }
    )*};
}
divide_floats! {
    f32: f32, |x| x, |x| x;
    f64: f64, |x| x, |x| x;
    f16: f32, f16::to_f32, f16::from_f32;
    bf16: f32, bf16::to_f32, bf16::from_f32;
}

/// Integers as division needs them.
trait Divisible: Element {
    fn truncated(self, other: Self) -> Self;
    fn floored(self, other: Self) -> Self;
    fn floor_modulo(self, other: Self) -> Self;
}

macro_rules! divisible {
    ($($ty:ty)*) => {$(
        impl Divisible for $ty {
            fn truncated(self, other: Self) -> Self {
                self.wrapping_div(other)
            }
            #[allow(unused_comparisons)]
            fn floored(self, other: Self) -> Self {
                let (quotient, remainder) = (self.wrapping_div(other), self.wrapping_rem(other));
                let below = remainder != 0 && (remainder < 0) != (other < 0);
                if below { quotient.wrapping_sub(1) } else { quotient }
            }
            #[allow(unused_comparisons)]
            fn floor_modulo(self, other: Self) -> Self {
                let remainder = self.wrapping_rem(other);
                let below = remainder != 0 && (remainder < 0) != (other < 0);
                if below { remainder.wrapping_add(other) } else { remainder }
            }
        }
    )*};
}
divisible!(i8 i16 i32 i64 u8 u16 u32 u64);

fn divide(cx: &CompileCx, division: Division) -> Result<Compiled> {
    match cx.dtype(0) {
        DType::F32 if division == Division::Truncate => map2::<f32, f32>(cx, |x: f32, y: f32| x / y),
        DType::F64 if division == Division::Truncate => map2::<f64, f64>(cx, |x: f64, y: f64| x / y),
        dtype if dtype.is_float() => {
            dispatch_float!(dtype, T => map2::<T, T>(cx, Divide(division)), else => unsupported(cx))
        }
        dtype => dispatch_int!(dtype, T => {
            // A zero is found before the loop begins; the stand-in result of dividing by it is never seen.
            let guarded = |f: fn(T, T) -> T| move |x: T, y: T| if y == 0 { 0 } else { f(x, y) };
            let compiled = match division {
                Division::Truncate | Division::TruncatedQuotient => map2::<T, T>(cx, guarded(T::truncated)),
                Division::TruncateModulo => map2::<T, T>(cx, guarded(T::wrapping_rem)),
                Division::Floor => map2::<T, T>(cx, guarded(T::floored)),
                Division::FloorModulo => map2::<T, T>(cx, guarded(T::floor_modulo)),
            };
            checked(compiled?, |args| {
                if args.num_elements(0) > 0 && args.input::<T>(1).contains(&0) {
                    return Err(Error::invalid("integer division by zero"));
                }
                Ok(())
            })
        }, else => unsupported(cx)),
    }
}

/// A step that looks at its operands before it begins.
fn checked(
    compiled: Compiled,
    check: impl Fn(&Args) -> Result<()> + Send + Sync + 'static,
) -> Result<Compiled> {
    let Compiled::Step(Step { run, in_place, .. }) = compiled else { return Ok(compiled) };
    let step = Step::new(move |args: &mut Args| {
        check(args)?;
        run(args)
    });
    Ok(step.in_place(&in_place).into())
}

fn pow(cx: &CompileCx) -> Result<Compiled> {
    match cx.dtype(0) {
        DType::F32 => map2::<f32, f32>(cx, |x: f32, y: f32| x.powf(y)),
        DType::F64 => map2::<f64, f64>(cx, |x: f64, y: f64| x.powf(y)),
        DType::F16 => map2::<f16, f16>(cx, |x: f16, y: f16| f16::from_f32(x.to_f32().powf(y.to_f32()))),
        DType::BF16 => map2::<bf16, bf16>(cx, |x: bf16, y: bf16| bf16::from_f32(x.to_f32().powf(y.to_f32()))),
        dtype => dispatch_int!(dtype, T => {
            let compiled = map2::<T, T>(cx, |x: T, y: T| power(x, y.to_i64()))?;
            checked(compiled, |args| {
                if args.num_elements(0) > 0 && args.input::<T>(1).iter().any(|y| y.to_i64() < 0) {
                    return Err(Error::invalid("integers to negative integer powers are not allowed"));
                }
                Ok(())
            })
        }, else => unsupported(cx)),
    }
}

/// `x` to a power that is not negative, by squaring; wraps.
fn power<T: Arith>(x: T, mut exponent: i64) -> T {
    let (mut base, mut result) = (x, T::from_i64(1));
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.mul(base);
        }
        base = base.mul(base);
        exponent >>= 1;
    }
    result
}

pub(super) fn add_n(cx: &CompileCx) -> Result<Compiled> {
    let count = cx.num_inputs();
    if count == 1 {
        return Ok(Compiled::Alias(0));
    }
    if cx.dtype(0) == DType::Variant {
        return Ok(Compiled::Values(Box::new(|inputs| objects::sum(inputs).map(|sum| vec![sum]))));
    }
    if count == 2 {
        return dispatch_arith!(
            cx.dtype(0),
            T => map2::<T, T>(cx, |x: T, y: T| Arith::add(x, y)),
            else => unsupported(cx),
        );
    }
    let level = cx.level();
    dispatch_arith!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let xs: SmallVec<[&[T]; 32]> = (0..count).map(|i| args.input::<T>(i)).collect();
        let (n, out) = (args.num_elements(0), Parts::new(args.output::<T>(0)));
        args.each_stretch(n, GRAIN, &|at| {
            // SAFETY: stretches do not overlap.
            run(level, Sum { xs: &xs, first: at.start, out: unsafe { out.part(at) } });
            Ok(())
        })
    }), else => unsupported(cx))
}

/// Adds up inputs from element `first` on, a stretch that stays in the cache at a time.
struct Sum<'a, T> {
    xs: &'a [&'a [T]],
    first: usize,
    out: &'a mut [T],
}

impl<T: Arith> Body for Sum<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        const STRETCH: usize = 1024;
        for (i, out) in self.out.chunks_mut(STRETCH).enumerate() {
            let from = self.first + i * STRETCH;
            let (x, y) = (&self.xs[0][from..from + out.len()], &self.xs[1][from..from + out.len()]);
            for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                *out = x.add(*y);
            }
            for z in &self.xs[2..] {
                for (out, z) in out.iter_mut().zip(&z[from..]) {
                    *out = out.add(*z);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;
    use tidemill_core::{Op, Value};

    #[track_caller]
    fn check(op: impl Op, x: impl Into<Value>, y: impl Into<Value>, want: impl Into<Value>) {
        assert_eq!(eval(op, &[x.into(), y.into()]), [want.into()]);
    }

    #[test]
    fn integers_wrap() {
        check(AddV2, [i32::MAX, 1], [1, 2], [i32::MIN, 3]);
        check(Mul, [200u8], [2u8], [144u8]);
        check(RealDiv, [i32::MIN], [-1], [i32::MIN]);
    }

    #[test]
    fn division_rounds_as_it_should() {
        check(Div, [7, -7, 7, -7], [2, 2, -2, -2], [3, -3, -3, 3]);
        check(TruncateDiv, [7, -7, i32::MIN], [2, 2, -1], [3, -3, i32::MIN]);
        check(TruncateDiv, [7f32, -7.0], [2f32, 2.0], [3f32, -3.0]);
        check(TruncateMod, [7, -7, 7, i32::MIN], [2, 2, -2, -1], [1, -1, 1, 0]);
        check(Mod, [5.5f32, -5.5], [2f32, 2.0], [1.5f32, -1.5]);
        check(FloorDiv, [7, -7, 7, -7], [2, 2, -2, -2], [3, -4, -4, 3]);
        check(FloorMod, [7, -7, 7, -7], [2, 2, -2, -2], [1, 1, -1, -1]);
        check(FloorMod, [5.5f32, -5.5], [2f32, 2.0], [1.5f32, 0.5]);
        check(FloorDiv, [5.5f64, -5.5], [2f64, 2.0], [2f64, -3.0]);
    }

    #[test]
    fn dividing_integers_by_zero_is_an_error() {
        for error in [
            try_eval(FloorDiv, &[[1].into(), [0].into()]),
            try_eval(FloorMod, &[[1].into(), [0].into()]),
            try_eval(Pow, &[[2].into(), [-1].into()]),
        ] {
            assert_eq!(error.unwrap_err().kind(), tidemill_core::ErrorKind::InvalidArgument);
        }
        check(RealDiv, [1f32], [0f32], [f32::INFINITY]);
    }

    #[test]
    fn nan_is_the_larger_and_the_smaller() {
        let both = eval(Maximum, &[[f32::NAN, 1.0].into(), [1.0f32, f32::NAN].into()]);
        assert!(both[0].iter_f64().all(f64::is_nan));
        let both = eval(Minimum, &[[f32::NAN, 1.0].into(), [1.0f32, f32::NAN].into()]);
        assert!(both[0].iter_f64().all(f64::is_nan));
    }

    #[test]
    fn powers() {
        check(Pow, [2, -3, 0], [10, 3, 0], [1024, -27, 1]);
        check(Pow, [2f32, 9.0], [3f32, 0.5], [8f32, 3.0]);
    }

    #[test]
    fn neighbours() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        check(
            NextAfter,
            [1.0, 0.0, 2.0, inf],
            [2.0, -1.0, 2.0, 0.0],
            [1.0f64.next_up(), -5e-324, 2.0, f64::MAX],
        );
        check(NextAfter, [1f32, 0.0], [0f32, 1.0], [1f32.next_down(), 1e-45]);
        let either = eval(NextAfter, &[[nan, 1.0].into(), [1.0, nan].into()]);
        assert!(either[0].iter_f64().all(f64::is_nan));
    }

    #[test]
    fn sums_of_many() {
        let x = Value::from([1.0f32, 2.0]);
        assert_eq!(eval(AddN, &[x.clone(), x.clone(), x]), [Value::from([3.0f32, 6.0])]);
    }
}
