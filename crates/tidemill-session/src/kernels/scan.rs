//! Kernels of `ops::scan`.

use tidemill_core::ops::{Cumprod, Cumsum, CumulativeLogsumexp};
use tidemill_core::{Error, Result, normalise_axis};
use tidemill_tensor::{Element, dispatch_arith, dispatch_float};

use super::arith::Arith;
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Cumsum>(|op, cx| {
        let how = [op.exclusive, op.reverse];
        dispatch_arith!(cx.dtype(0), T => scan::<T>(cx, how, T::from_i64(0), T::add), else => unsupported(cx))
    });
    table.compiled::<Cumprod>(|op, cx| {
        let how = [op.exclusive, op.reverse];
        dispatch_arith!(cx.dtype(0), T => scan::<T>(cx, how, T::from_i64(1), T::mul), else => unsupported(cx))
    });
    table.compiled::<CumulativeLogsumexp>(|op, cx| {
        let how = [op.exclusive, op.reverse];
        dispatch_float!(cx.dtype(0), T => scan::<T>(cx, how, T::from_f64(f64::NEG_INFINITY), log_sum_exp), else => unsupported(cx))
    });
}

fn unsupported(cx: &CompileCx) -> Result<Compiled> {
    Err(Error::unimplemented(format!("running sums of {}", cx.dtype(0))))
}

/// `log(exp(a) + exp(b))`
fn log_sum_exp<T: Element>(a: T, b: T) -> T {
    let (a, b) = (a.to_f64(), b.to_f64());
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    // Of equal infinities the difference is none.
    T::from_f64(if low == high { high + std::f64::consts::LN_2 } else { high + (low - high).exp().ln_1p() })
}

fn scan<T: Element>(
    cx: &CompileCx,
    [exclusive, reverse]: [bool; 2],
    start: T,
    f: fn(T, T) -> T,
) -> Result<Compiled> {
    let Some(axis) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let shape = cx.shape(0);
    let axis = normalise_axis(axis[0], shape.rank())?;
    let n = shape[axis];
    let inner: usize = shape.iter().skip(axis + 1).product();
    Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input::<T>(0), args.output::<T>(0));
        let block = n * inner;
        if block == 0 {
            return Ok(());
        }
        for (x, y) in x.chunks_exact(block).zip(y.chunks_exact_mut(block)) {
            for step in 0..n {
                let row = |step: usize| if reverse { n - 1 - step } else { step } * inner;
                let at = row(step);
                for i in 0..inner {
                    y[at + i] = match (step, exclusive) {
                        (0, true) => start,
                        (0, false) => x[at + i],
                        (_, true) => f(y[row(step - 1) + i], x[row(step - 1) + i]),
                        (_, false) => f(y[row(step - 1) + i], x[at + i]),
                    };
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::eval;
    use super::*;
    use tidemill_core::Value;

    #[test]
    fn runs_along_any_axis_both_ways() {
        let x = Value::from([[1, 2, 3], [4, 5, 6]]);
        let op = |exclusive, reverse| Cumsum { exclusive, reverse };
        assert_eq!(eval(op(false, false), &[x.clone(), 1.into()]), [Value::from([[1, 3, 6], [4, 9, 15]])]);
        assert_eq!(eval(op(true, false), &[x.clone(), (-1).into()]), [Value::from([[0, 1, 3], [0, 4, 9]])]);
        assert_eq!(eval(op(false, true), &[x.clone(), 0.into()]), [Value::from([[5, 7, 9], [4, 5, 6]])]);
        let product = Cumprod { exclusive: true, reverse: true };
        assert_eq!(eval(product, &[x, 1.into()]), [Value::from([[6, 3, 1], [30, 6, 1]])]);
    }

    #[test]
    fn logarithms_do_not_overflow() {
        let op = CumulativeLogsumexp::default();
        let got = eval(op, &[[1000f64, 1000.0, f64::NEG_INFINITY].into(), 0.into()]);
        let want = 1000.0 + std::f64::consts::LN_2;
        assert_eq!(got, [Value::from([1000.0, want, want])]);
    }
}
