//! Kernels of `ops::rearrange`.

use tidemill_core::ops::{
    Bitcast, BroadcastArgs, Empty, LinSpace, ParallelConcat, Reverse, Roll, UnravelIndex, broadcast_sizes,
};
use tidemill_core::{Error, Result, normalise_axis};
use tidemill_tensor::{Element, dispatch_float};

use super::copy::rows_from;
use super::values::{integers, ints, values};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Roll>(|_, cx| roll(cx));
    table.compiled::<Reverse>(|_, cx| reverse(cx));
    table.compiled::<Bitcast>(|_, _| bitcast());
    table.compiled::<BroadcastArgs>(|_, _| {
        values(|inputs| {
            let sizes = broadcast_sizes(&ints(&inputs[0]), &ints(&inputs[1]))?;
            Ok(vec![integers(sizes, inputs[0].dtype())])
        })
    });
    table.compiled::<UnravelIndex>(|_, cx| unravel_index(cx));
    table.compiled::<ParallelConcat>(|_, _| {
        Compiled::step(|args: &mut Args| {
            let mut out = args.output_bytes(0);
            for i in 0..args.num_inputs() {
                let x = args.input_bytes(i);
                let (to, rest) = out.split_at_mut(x.len());
                to.copy_from_slice(x);
                out = rest;
            }
            Ok(())
        })
    });
    table.compiled::<Empty>(|_, _| {
        Compiled::step(|args: &mut Args| {
            args.output_bytes(0).fill(0);
            Ok(())
        })
    });
    table.compiled::<LinSpace>(|_, cx| linspace(cx));
}

fn roll(cx: &CompileCx) -> Result<Compiled> {
    let (Some(shifts), Some(axes)) = (cx.ints(1), cx.ints(2)) else { return Ok(Compiled::Deferred) };
    let shape = cx.shape(0);
    let mut shift = vec![0usize; shape.rank()];
    if shifts.len() != axes.len() {
        return Err(Error::invalid(format!("{} shifts for {} axes", shifts.len(), axes.len())));
    }
    for (by, axis) in shifts.iter().zip(axes) {
        let axis = normalise_axis(axis, shape.rank())?;
        let n = shape[axis].max(1);
        shift[axis] = (shift[axis] + by.rem_euclid(n as i64) as usize) % n;
    }
    let walked = shift.iter().rposition(|by| *by != 0).map_or(0, |last| last + 1);
    if walked == 0 {
        return Ok(Compiled::Alias(0));
    }
    rows_from(cx, walked, move |index, at| {
        for (d, (i, at)) in index.iter().zip(at).enumerate() {
            let n = shape[d];
            *at = if *i >= shift[d] { i - shift[d] } else { i + n - shift[d] };
        }
        true
    })
}

fn reverse(cx: &CompileCx) -> Result<Compiled> {
    let Some(flags) = cx.value(1) else { return Ok(Compiled::Deferred) };
    let (flags, shape) = (flags.to_vec::<bool>()?, cx.shape(0));
    if flags.len() != shape.rank() {
        return Err(Error::invalid(format!("{} dims for the axes of {shape}", flags.len())));
    }
    let walked = flags.iter().rposition(|flag| *flag).map_or(0, |last| last + 1);
    if walked == 0 {
        return Ok(Compiled::Alias(0));
    }
    rows_from(cx, walked, move |index, at| {
        for (d, (i, at)) in index.iter().zip(at).enumerate() {
            *at = if flags[d] { shape[d] - 1 - i } else { *i };
        }
        true
    })
}

fn bitcast() -> Result<Compiled> {
    Compiled::step(|args: &mut Args| {
        // Both are numbers, of which any bytes are valid.
        args.output_bytes(0).copy_from_slice(args.input_bytes(0));
        Ok(())
    })
}

fn unravel_index(cx: &CompileCx) -> Result<Compiled> {
    let axes = cx.shape(1).num_elements();
    Compiled::step(move |args: &mut Args| {
        let (indices, dims) = (args.ints(0), args.ints(1));
        let mut strides = vec![1i64; axes];
        let mut all = 1i64;
        for (stride, axis) in strides.iter_mut().zip(0..axes).rev() {
            *stride = all;
            let dim = dims.get(axis);
            all = all.checked_mul(dim).filter(|_| dim > 0).ok_or_else(|| {
                Error::invalid(format!("dims {dims:?} are no shape with elements, or one with too many"))
            })?;
        }
        for (i, index) in indices.iter().enumerate() {
            if !(0..all).contains(&index) {
                return Err(Error::invalid(format!(
                    "index {index} is not in [0, {all}), as dims are {dims:?}"
                )));
            }
            for (axis, stride) in strides.iter().enumerate() {
                args.set_int(0, axis * indices.len() + i, index / stride % dims.get(axis));
            }
        }
        Ok(())
    })
}

fn linspace(cx: &CompileCx) -> Result<Compiled> {
    if cx.value(2).is_none() {
        return Ok(Compiled::Deferred);
    }
    dispatch_float!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (start, stop, out) = (args.input::<T>(0)[0], args.input::<T>(1)[0], args.output::<T>(0));
        let last = out.len() - 1;
        let step = (stop.to_f64() - start.to_f64()) / last.max(1) as f64;
        for (i, out) in out.iter_mut().enumerate() {
            *out = match i {
                0 => start,
                i if i == last => stop,
                i => T::from_f64(start.to_f64() + step * i as f64),
            };
        }
        Ok(())
    }), else => Err(Error::unimplemented("linspace of this dtype")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;
    use tidemill_core::{DType, Shape, Value};

    #[test]
    fn rolls() {
        let x = Value::from([[1, 2, 3], [4, 5, 6]]);
        let got = eval(Roll, &[x.clone(), [1, -1].into(), [0, 1].into()]);
        assert_eq!(got, [Value::from([[5, 6, 4], [2, 3, 1]])]);
        assert_eq!(eval(Roll, &[x.clone(), 4.into(), (-1).into()]), [Value::from([[3, 1, 2], [6, 4, 5]])]);
        assert_eq!(eval(Roll, &[x.clone(), 2.into(), 0.into()]), [x]);
    }

    #[test]
    fn reverses_by_flags() {
        let x = Value::from([[1, 2, 3], [4, 5, 6]]);
        assert_eq!(eval(Reverse, &[x, [true, false].into()]), [Value::from([[4, 5, 6], [1, 2, 3]])]);
    }

    #[test]
    fn reads_bytes_otherwise() {
        let got = eval(Bitcast { dtype: DType::U32 }, &[Value::from([1f32])]);
        assert_eq!(got, [Value::from([0x3f80_0000u32])]);
        let got = eval(Bitcast { dtype: DType::U16 }, &[Value::from(0x0002_0001u32)]);
        assert_eq!(got, [Value::from([1u16, 2])]);
        let got = eval(Bitcast { dtype: DType::U32 }, &[Value::from([[1u16, 2]])]);
        assert_eq!(got, [Value::from([0x0002_0001u32])]);
    }

    #[test]
    fn coordinates() {
        let got = eval(UnravelIndex, &[[22, 41].into(), [7, 6].into()]);
        assert_eq!(got, [Value::from([[3, 6], [4, 5]])]);
        assert!(try_eval(UnravelIndex, &[42.into(), [7, 6].into()]).is_err());
        assert!(try_eval(UnravelIndex, &[0.into(), [i32::MAX, i32::MAX, i32::MAX].into()]).is_err());
    }

    #[test]
    fn side_by_side() {
        let op = ParallelConcat { shape: Shape::from([2, 2]) };
        assert_eq!(eval(op, &[[[1, 2]].into(), [[3, 4]].into()]), [Value::from([[1, 2], [3, 4]])]);
        assert_eq!(eval(LinSpace, &[1f32.into(), 2f32.into(), 3.into()]), [Value::from([1f32, 1.5, 2.0])]);
        assert_eq!(eval(BroadcastArgs, &[[3, 1].into(), [2, 1, 5].into()]), [Value::from([2, 3, 5])]);
    }
}
