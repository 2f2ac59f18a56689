//! Kernels of `ops::unary`, but for `Cast`.

use tidemill_core::ops::{
    Abs, Ceil, Cos, Exp, Expm1, Floor, Inv, InvGrad, IsFinite, IsInf, IsNan, Log, Log1p, Neg, Reciprocal,
    ReciprocalGrad, Round, Rsqrt, RsqrtGrad, Sign, Sin, Sqrt, SqrtGrad, Square,
};
use tidemill_core::{Error, Result};
use tidemill_tensor::{dispatch_float, dispatch_int, dispatch_numeric};

use super::arith::Arith;
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
    SqrtGrad(y, dy) => W::HALF * dy / y;
    RsqrtGrad(y, dy) => y * (-W::HALF * dy) * (y * y);
    ReciprocalGrad(y, dy) => -(y * y * dy);
    InvGrad(y, dy) => -(y * y * dy);
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
fn sign_of<T: Arith>(x: T) -> T {
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
