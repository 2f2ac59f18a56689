//! Kernels of `ops::clip`.

use tidemill_core::ops::{ApproximateEqual, CheckNumerics, ClipByValue};
use tidemill_core::{Error, Result};
use tidemill_tensor::{Element, dispatch_float, dispatch_numeric};

use super::arith::Arith;
use super::{Args, CompileCx, Compiled, KernelTable, Step};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<ClipByValue>(
        |_, cx| dispatch_numeric!(cx.dtype(0), T => clip::<T>(cx), else => unsupported()),
    );
    table.compiled::<ApproximateEqual>(|op, cx| {
        let tolerance = op.tolerance;
        dispatch_numeric!(cx.dtype(0), T => {
            let tolerance = T::from_f64(f64::from(tolerance));
            Compiled::step(move |args: &mut Args| {
                let (x, y, near) = (args.input::<T>(0), args.input::<T>(1), args.output::<bool>(0));
                for ((near, x), y) in near.iter_mut().zip(x).zip(y) {
                    let distance = if x > y { Arith::sub(*x, *y) } else { Arith::sub(*y, *x) };
                    *near = distance < tolerance;
                }
                Ok(())
            })
        }, else => unsupported())
    });
    table.compiled::<CheckNumerics>(|op, cx| {
        let message = op.message.clone();
        dispatch_float!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
            let (x, y) = (args.input::<T>(0), args.output::<T>(0));
            let (nan, infinite) = x.iter().fold((false, false), |(nan, infinite), x| {
                (nan | x.is_nan(), infinite | x.is_infinite())
            });
            let what = match (infinite, nan) {
                (false, false) => {
                    y.copy_from_slice(x);
                    return Ok(());
                }
                (true, true) => "Inf and NaN",
                (true, false) => "Inf",
                (false, true) => "NaN",
            };
            Err(Error::invalid(format!("{message} : Tensor had {what} values")))
        }), else => unsupported())
    });
}

/// NaN stays NaN.
fn clip<T: Element + PartialOrd>(cx: &CompileCx) -> Result<Compiled> {
    let shape = cx.shape(0);
    let scalar = [1, 2].map(|i| cx.shape(i).rank() == 0);
    if (1..3).any(|i| !scalar[i - 1] && cx.shape(i) != shape) {
        return Err(Error::invalid("each bound must be a scalar or have the shape of `t`"));
    }
    let step = Step::new(move |args: &mut Args| {
        let (t, low, high, out) =
            (args.input::<T>(0), args.input::<T>(1), args.input::<T>(2), args.output::<T>(0));
        for (i, (out, t)) in out.iter_mut().zip(t).enumerate() {
            let bound = |bounds: &[T], scalar: bool| bounds[if scalar { 0 } else { i }];
            let (low, high) = (bound(low, scalar[0]), bound(high, scalar[1]));
            let raised = if *t < low { low } else { *t };
            *out = if raised > high { high } else { raised };
        }
        Ok(())
    });
    Ok(step.into())
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("this op for this dtype"))
}
