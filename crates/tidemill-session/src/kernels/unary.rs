//! Kernels of `ops::unary`, but for `Cast`.

use tidemill_core::ops::{
    Abs, Ceil, Cos, Exp, Expm1, Floor, Inv, InvGrad, IsFinite, IsInf, IsNan, Log, Log1p, Neg, Reciprocal,
    ReciprocalGrad, Rint, Round, Rsqrt, RsqrtGrad, Sign, Sin, Sqrt, SqrtGrad, Square,
};
use tidemill_core::{Error, Result};
use tidemill_tensor::{dispatch_float, dispatch_int, dispatch_numeric};

use super::arith::{Arith, Ordered};
use super::elementwise::map1;
use super::real::{Real, real_functions};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    register_functions(table);
    table.compiled::<Neg>(
        |_, cx| dispatch_numeric!(cx.dtype(0), T => map1::<T, T>(cx, Arith::neg), else => unsupported()),
    );
    table.compiled::<Square>(
        |_, cx| dispatch_numeric!(cx.dtype(0), T => map1::<T, T>(cx, |x: T| x.mul(x)), else => unsupported()),
    );
    table.compiled::<Abs>(|_, cx| abs(cx));
    table.compiled::<Sign>(|_, cx| sign(cx));
    table.compiled::<Reciprocal>(|_, cx| reciprocal(cx));
    table.compiled::<Inv>(|_, cx| reciprocal(cx));
    table.compiled::<Round>(|_, cx| round(cx));
    table.compiled::<Rint>(|_, cx| round(cx));
    table.compiled::<IsNan>(
        |_, cx| dispatch_float!(cx.dtype(0), T => map1::<T, bool>(cx, T::is_nan), else => unsupported()),
    );
    table.compiled::<IsInf>(
        |_, cx| dispatch_float!(cx.dtype(0), T => map1::<T, bool>(cx, T::is_infinite), else => unsupported()),
    );
    table.compiled::<IsFinite>(
        |_, cx| dispatch_float!(cx.dtype(0), T => map1::<T, bool>(cx, T::is_finite), else => unsupported()),
    );
}

real_functions! { register_functions:
    Sqrt(x) => x.sqrt();
    Rsqrt(x) => W::ONE / x.sqrt();
    Exp(x) => x.exp::<I>();
    Expm1(x) => x.exp_m1::<I>();
    Log(x) => x.ln::<I>();
    Log1p(x) => x.ln_1p::<I>();
    Sin(x) => x.sin::<I>();
    Cos(x) => x.cos::<I>();
    Floor(x) => x.floor();
    Ceil(x) => x.ceil();
    // No gradient flows where none came, even at a singularity.
    SqrtGrad(y, dy) => if dy == W::ZERO { W::ZERO } else { W::HALF * dy / y };
    RsqrtGrad(y, dy) => if dy == W::ZERO { W::ZERO } else { y * (-W::HALF * dy) * (y * y) };
    ReciprocalGrad(y, dy) => if dy == W::ZERO { W::ZERO } else { -(y * y * dy) };
    InvGrad(y, dy) => if dy == W::ZERO { W::ZERO } else { -(y * y * dy) };
}

fn abs(cx: &CompileCx) -> Result<Compiled> {
    dispatch_float!(cx.dtype(0), T => map1(cx, |x: T| T::narrow(x.widen().abs())), else => {
        dispatch_int!(cx.dtype(0), T => map1(cx, |x: T| if x > 0 { x } else { x.neg() }), else => unsupported())
    })
}

fn sign(cx: &CompileCx) -> Result<Compiled> {
    dispatch_float!(cx.dtype(0), T => map1(cx, sign_of::<T>), else => {
        dispatch_int!(cx.dtype(0), T => map1(cx, sign_of::<T>), else => unsupported())
    })
}

/// NaN stays NaN, and both zeros become 0.
#[inline(always)]
fn sign_of<T: Ordered>(x: T) -> T {
    let (zero, one) = (T::default(), T::from_i64(1));
    let or_nan = if x == zero { zero } else { x };
    let or_above = if x > zero { one } else { or_nan };
    if x < zero { one.neg() } else { or_above }
}

fn reciprocal(cx: &CompileCx) -> Result<Compiled> {
    dispatch_float!(cx.dtype(0), T => map1(cx, |x: T| T::narrow(1.0 / x.widen())), else => {
        dispatch_int!(cx.dtype(0), T => integer_reciprocal::<T>(), else => unsupported())
    })
}

/// 1 / 1 is 1, 1 / -1 is -1, and all others round to 0.
fn integer_reciprocal<T: Arith>() -> Result<Compiled> {
    let (zero, one) = (T::default(), T::from_i64(1));
    Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input::<T>(0), args.output::<T>(0));
        if x.contains(&zero) {
            return Err(Error::invalid("integer division by zero"));
        }
        for (y, x) in y.iter_mut().zip(x) {
            *y = if *x == one || *x == one.neg() { *x } else { zero };
        }
        Ok(())
    })
}

fn round(cx: &CompileCx) -> Result<Compiled> {
    dispatch_float!(cx.dtype(0), T => map1(cx, |x: T| T::narrow(x.widen().round_ties_even())), else => {
        // Integers are round.
        Ok(Compiled::Alias(0))
    })
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("this op for this dtype"))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

    use tidemill_core::{DType, Op, Value};

    use super::super::testing::{check_floats, eval, try_eval};
    use super::*;

    #[test]
    fn functions() {
        let nan = f64::NAN;
        let x: &[f64] = &[-2.5, -0.75, 0.5, 1.5, 2.25];
        let (a, b) = (FRAC_1_SQRT_2, 1.224_744_871_391_589);
        check_floats(Neg, &[x], &[2.5, 0.75, -0.5, -1.5, -2.25]);
        check_floats(Abs, &[x], &[2.5, 0.75, 0.5, 1.5, 2.25]);
        check_floats(Sign, &[x], &[-1.0, -1.0, 1.0, 1.0, 1.0]);
        check_floats(Square, &[x], &[6.25, 0.5625, 0.25, 2.25, 5.0625]);
        check_floats(Sqrt, &[x], &[nan, nan, a, b, 1.5]);
        check_floats(Rsqrt, &[x], &[nan, nan, 1.0 / a, 1.0 / b, 1.0 / 1.5]);
        check_floats(Reciprocal, &[x], &[-0.4, -4.0 / 3.0, 2.0, 2.0 / 3.0, 4.0 / 9.0]);
        check_floats(Inv, &[x], &[-0.4, -4.0 / 3.0, 2.0, 2.0 / 3.0, 4.0 / 9.0]);
        check_floats(Floor, &[x], &[-3.0, -1.0, 0.0, 1.0, 2.0]);
        check_floats(Ceil, &[x], &[-2.0, 0.0, 1.0, 2.0, 3.0]);
        check_floats(Round, &[x], &[-2.0, -1.0, 0.0, 2.0, 2.0]);
        check_floats(
            Exp,
            &[x],
            &[
                0.082_084_998_623_898_8,
                0.472_366_552_741_014_7,
                1.648_721_270_700_128_2,
                4.481_689_070_338_064_5,
                9.487_735_836_358_526,
            ],
        );
        check_floats(
            Expm1,
            &[x],
            &[
                -0.917_915_001_376_101_2,
                -0.527_633_447_258_985_3,
                0.648_721_270_700_128_2,
                3.481_689_070_338_064_5,
                8.487_735_836_358_526,
            ],
        );
        let log = [nan, nan, -LN_2, 0.405_465_108_108_164_4, 0.810_930_216_216_328_7];
        check_floats(Log, &[x], &log);
        let log1p = [nan, -1.386_294_361_119_890_6, log[3], 0.916_290_731_874_155_1, 1.178_654_996_341_646_2];
        check_floats(Log1p, &[x], &log1p);
        check_floats(
            Sin,
            &[x],
            &[
                -0.598_472_144_103_956_5,
                -0.681_638_760_023_334_1,
                0.479_425_538_604_203,
                0.997_494_986_604_054_4,
                0.778_073_196_887_921_2,
            ],
        );
        check_floats(
            Cos,
            &[x],
            &[
                -0.801_143_615_546_933_7,
                0.731_688_868_873_820_9,
                0.877_582_561_890_372_8,
                0.070_737_201_667_702_9,
                -0.628_173_622_722_739_1,
            ],
        );
    }

    #[test]
    fn gradients() {
        let y: &[f64] = &[-2.5, -0.75, 0.5, 1.5, 2.25];
        let dy: &[f64] = &[0.5, -1.25, 2.0, -0.25, 3.0];
        check_floats(SqrtGrad, &[y, dy], &[-0.1, 5.0 / 6.0, 2.0, -1.0 / 12.0, 2.0 / 3.0]);
        check_floats(RsqrtGrad, &[y, dy], &[3.90625, -0.263671875, -0.125, 0.421875, -17.0859375]);
        check_floats(ReciprocalGrad, &[y, dy], &[-3.125, 0.703125, -0.5, 0.5625, -15.1875]);
        check_floats(InvGrad, &[y, dy], &[-3.125, 0.703125, -0.5, 0.5625, -15.1875]);
    }

    #[test]
    fn nothing_flows_from_nothing() {
        let (y, zeros): (&[f64], &[f64]) = (&[0.0, f64::INFINITY, f64::NAN], &[0.0; 3]);
        check_floats(SqrtGrad, &[y, zeros], zeros);
        check_floats(RsqrtGrad, &[y, zeros], zeros);
        check_floats(ReciprocalGrad, &[y, zeros], zeros);
        check_floats(InvGrad, &[y, zeros], zeros);
    }

    #[test]
    fn special_numbers() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let x: &[f64] = &[-0.0, 0.0, inf, -inf, nan];
        check_floats(Sign, &[x], &[0.0, 0.0, 1.0, -1.0, nan]);
        check_floats(Abs, &[x], &[0.0, 0.0, inf, inf, nan]);
        check_floats(Rsqrt, &[x], &[-inf, inf, 0.0, nan, nan]);
        check_floats(Reciprocal, &[x], &[-inf, inf, 0.0, 0.0, nan]);
        check_floats(Round, &[x], &[0.0, 0.0, inf, -inf, nan]);
        for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
            let x = [Value::from([-1.0, inf, -inf, nan]).cast(dtype)];
            assert_eq!(eval(IsNan, &x), [Value::from([false, false, false, true])]);
            assert_eq!(eval(IsInf, &x), [Value::from([false, true, true, false])]);
            assert_eq!(eval(IsFinite, &x), [Value::from([true, false, false, false])]);
        }
    }

    #[track_caller]
    fn check_integers(op: impl Op, x: &[i64], want: &[i64]) {
        for dtype in [DType::I8, DType::I16, DType::I32, DType::I64] {
            let got = &eval(op.clone(), &[Value::from(x.to_vec()).cast(dtype)])[0];
            assert_eq!(*got, Value::from(want.to_vec()).cast(dtype), "{op:?} as {dtype}");
        }
    }

    #[test]
    fn integers() {
        check_integers(Neg, &[3, -3, 0, 127], &[-3, 3, 0, -127]);
        check_integers(Abs, &[3, -3, 0, 127], &[3, 3, 0, 127]);
        check_integers(Sign, &[3, -3, 0, 127], &[1, -1, 0, 1]);
        check_integers(Round, &[3, -3, 0, 127], &[3, -3, 0, 127]);
        check_integers(Square, &[3, -3, 0, 11], &[9, 9, 0, 121]);
        check_integers(Reciprocal, &[3, -3, 1, -1], &[0, 0, 1, -1]);
        check_integers(Inv, &[-2, 1], &[0, 1]);
        assert_eq!(eval(Square, &[Value::from([255u8, 3])]), [Value::from([1u8, 9])]);
        for op in [eval(Neg, &[i8::MIN.into()]), eval(Abs, &[i8::MIN.into()])] {
            assert_eq!(op, [i8::MIN.into()]);
        }
        let error = try_eval(Reciprocal, &[Value::from([1, 0])]).unwrap_err();
        assert_eq!(error.message(), "integer division by zero");
    }
}
