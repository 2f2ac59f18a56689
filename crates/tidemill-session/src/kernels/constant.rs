//! Kernels of `ops::constant`.

use tidemill_core::ops::{Const, Fill, OnesLike, Placeholder, PlaceholderWithDefault, Range, ZerosLike};
use tidemill_core::{DType, Error, Result};
use tidemill_tensor::{Element, dispatch_any, dispatch_numeric};

use super::objects;
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    // A program holds constants as values; this kernel answers only for one that is asked for by itself.
    table.compiled::<Const>(|op, _| {
        let value = op.value.clone();
        Ok(Compiled::Values(Box::new(move |_| Ok(vec![value.clone()]))))
    });
    table.compiled::<Placeholder>(|_, _| {
        Err(Error::invalid("the placeholder must be fed")
            .with_help("add it to the feeds: feed! { x => value }"))
    });
    table.compiled::<PlaceholderWithDefault>(|_, _| Ok(Compiled::Alias(0)));
    table.compiled::<Fill>(|_, cx| fill(cx));
    table.compiled::<Range>(|_, cx| range(cx));
    table.compiled::<ZerosLike>(|_, cx| filled_like(cx, 0.0));
    table.compiled::<OnesLike>(|_, cx| filled_like(cx, 1.0));
}

fn fill(cx: &CompileCx) -> Result<Compiled> {
    // The output's shape is known by now, so the dims need no second look.
    dispatch_any!(cx.output_dtype(0), T => Compiled::step(|args: &mut Args| {
        let value = args.input::<T>(1)[0];
        args.output::<T>(0).fill(value);
        Ok(())
    }), else => Err(Error::unimplemented("Fill of this dtype")))
}

fn filled_like(cx: &CompileCx, element: f64) -> Result<Compiled> {
    if cx.dtype(0) == DType::Variant {
        return Ok(Compiled::Values(Box::new(|inputs| {
            objects::zeros_like(&inputs[0]).map(|zeros| vec![zeros])
        })));
    }
    dispatch_any!(cx.output_dtype(0), T => Compiled::step(move |args: &mut Args| {
        args.output::<T>(0).fill(T::from_f64(element));
        Ok(())
    }), else => Err(Error::unimplemented("zeros of this dtype")))
}

fn range(cx: &CompileCx) -> Result<Compiled> {
    dispatch_numeric!(cx.output_dtype(0), T => Ok(Compiled::Values(Box::new(|inputs| {
        let scalar = |i: usize| inputs[i].to_scalar::<T>();
        let (start, limit, delta) = (scalar(0)?, scalar(1)?, scalar(2)?);
        let zero = T::from_f64(0.0);
        if delta == zero {
            return Err(Error::invalid("delta must not be 0"));
        }
        if (delta > zero && start > limit) || (delta < zero && start < limit) {
            return Err(Error::invalid(format!("the range from {start:?} never reaches {limit:?} by {delta:?}")));
        }
        let values: Vec<T> = if T::DTYPE.is_integer() {
            let (start, limit, delta) = (i128::from(start.to_i64()), i128::from(limit.to_i64()), i128::from(delta.to_i64()));
            let count = (limit - start + delta - delta.signum()) / delta;
            checked_length(count as f64)?;
            (0..count).map(|i| T::from_i64((start + i * delta) as i64)).collect()
        } else {
            let (start, limit, delta) = (start.to_f64(), limit.to_f64(), delta.to_f64());
            let count = ((limit - start) / delta).abs().ceil();
            checked_length(count)?;
            (0..count as usize).map(|i| T::from_f64(start + i as f64 * delta)).collect()
        };
        Ok(vec![values.into()])
    }))), else => Err(Error::invalid("a range of bools")))
}

/// Longer ranges are taken for mistakes before memory is.
fn checked_length(count: f64) -> Result<()> {
    const LIMIT: f64 = (1u64 << 31) as f64;
    if count < LIMIT {
        Ok(())
    } else {
        Err(Error::new(
            tidemill_core::ErrorKind::ResourceExhausted,
            format!("a range of {count} elements is too long"),
        ))
    }
}
