//! Kernels of `ops::array`: shapes, and tensors seen in other shapes and orders.

use tidemill_core::ops::{
    BroadcastTo, ConjugateTranspose, EnsureShape, ExpandDims, InvertPermutation, Rank, Reshape, ReverseV2,
    Shape as ShapeOp, ShapeN, Size, Squeeze, Transpose,
};
use tidemill_core::{DType, Error, Result, Shape, normalise_axis};
use tidemill_tensor::{Complex, Element, dispatch_complex, dispatch_int};

use super::copy::StridedCopy;
use super::elementwise::map1;
use super::{Args, CompileCx, Compiled, KernelTable, Step};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<ShapeOp>(|_, cx| shapes(cx));
    table.compiled::<ShapeN>(|_, cx| shapes(cx));
    table.compiled::<Size>(|_, cx| constant(cx, vec![cx.shape(0).num_elements()]));
    table.compiled::<Rank>(|_, cx| constant(cx, vec![cx.shape(0).rank()]));
    table.compiled::<EnsureShape>(|op, cx| {
        if op.shape.accepts(&cx.shape(0)) {
            return Ok(Compiled::Alias(0));
        }
        Err(Error::invalid(format!("the shape is {}, but must be {}", cx.shape(0), op.shape)))
    });
    table.compiled::<Reshape>(|_, cx| reshape(cx));
    table.compiled::<ExpandDims>(|_, _| Ok(Compiled::Alias(0)));
    table.compiled::<Squeeze>(|_, _| Ok(Compiled::Alias(0)));
    table.compiled::<Transpose>(|_, cx| transpose(cx));
    table.compiled::<ConjugateTranspose>(|_, cx| conjugate_transpose(cx));
    table.compiled::<InvertPermutation>(|_, cx| invert_permutation(cx));
    table.compiled::<ReverseV2>(|_, cx| reverse(cx));
    table.compiled::<BroadcastTo>(|_, cx| broadcast_to(cx));
}

/// Output 0 is these numbers.
fn constant(cx: &CompileCx, numbers: Vec<usize>) -> Result<Compiled> {
    dispatch_int!(cx.output_dtype(0), T => {
        let numbers: Vec<T> = numbers.iter().map(|n| T::from_i64(*n as i64)).collect();
        Compiled::step(move |args| {
            args.output::<T>(0).copy_from_slice(&numbers);
            Ok(())
        })
    }, else => Err(Error::unimplemented("a shape of this dtype")))
}

/// Output `i` is the shape of input `i`.
fn shapes(cx: &CompileCx) -> Result<Compiled> {
    let shapes: Vec<Shape> = (0..cx.num_inputs()).map(|i| cx.shape(i)).collect();
    dispatch_int!(cx.output_dtype(0), T => Compiled::step(move |args: &mut Args| {
        for (i, shape) in shapes.iter().enumerate() {
            let out = args.output::<T>(i);
            out.iter_mut().zip(shape.iter()).for_each(|(o, d)| *o = T::from_i64(*d as i64));
        }
        Ok(())
    }), else => Err(Error::unimplemented("a shape of this dtype")))
}

fn reshape(cx: &CompileCx) -> Result<Compiled> {
    // The shape rule deduces a last unknown size from the number of elements; the operand may yet say otherwise.
    if cx.value(1).is_none() {
        return Ok(Compiled::Deferred);
    }
    let (from, to) = (cx.shape(0), cx.output_shape(0));
    if from.num_elements() == to.num_elements() {
        return Ok(Compiled::Alias(0));
    }
    Err(Error::invalid(format!(
        "{} elements of shape {from} cannot take the shape {to}, which has {}",
        from.num_elements(),
        to.num_elements()
    )))
}

/// A step that fills output 0 by a strided walk over input 0.
fn strided(cx: &CompileCx, strides: &[isize], start: usize) -> Result<Compiled> {
    let walk = StridedCopy::new(&cx.output_shape(0), strides, start, cx.dtype(0).size());
    Compiled::step(move |args| {
        let (from, (to, _)) = (args.input_bytes(0), args.output_raw(0));
        if !from.is_empty() {
            // SAFETY: the strides are those of the input's shape, and the output has the walk's shape.
            unsafe { walk.run(from.as_ptr(), to) };
        }
        Ok(())
    })
}

fn signed_strides(shape: &Shape) -> Vec<isize> {
    shape.strides().iter().map(|s| *s as isize).collect()
}

fn transpose(cx: &CompileCx) -> Result<Compiled> {
    let Some(perm) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let shape = cx.shape(0);
    let strides = signed_strides(&shape);
    let axes: Vec<usize> = perm.iter().map(|p| normalise_axis(*p, shape.rank())).collect::<Result<_>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().ne(0..shape.rank()) {
        return Err(Error::invalid(format!("{perm:?} is no permutation of {} axes", shape.rank())));
    }
    if axes.is_sorted() {
        return Ok(Compiled::Alias(0));
    }
    let strides: Vec<isize> = axes.iter().map(|a| strides[*a]).collect();
    strided(cx, &strides, 0)
}

fn conjugate_transpose(cx: &CompileCx) -> Result<Compiled> {
    let compiled = transpose(cx)?;
    dispatch_complex!(cx.dtype(0), R => match compiled {
        Compiled::Alias(_) => map1::<Complex<R>, Complex<R>>(cx, |z: Complex<R>| z.conj()),
        Compiled::Step(Step { run, .. }) => Compiled::step(move |args: &mut Args| {
            run(args)?;
            args.output::<Complex<R>>(0).iter_mut().for_each(|z| *z = z.conj());
            Ok(())
        }),
        other => Ok(other),
    }, else => Ok(compiled))
}

fn reverse(cx: &CompileCx) -> Result<Compiled> {
    let Some(axes) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let shape = cx.shape(0);
    let mut strides = signed_strides(&shape);
    let mut start = 0;
    let mut reversed = vec![false; shape.rank()];
    for axis in axes {
        let axis = normalise_axis(axis, shape.rank())?;
        if std::mem::replace(&mut reversed[axis], true) {
            return Err(Error::invalid(format!("axis {axis} is reversed twice")));
        }
        start += shape[axis].saturating_sub(1) * strides[axis] as usize;
        strides[axis] = -strides[axis];
    }
    strided(cx, &strides, start)
}

fn broadcast_to(cx: &CompileCx) -> Result<Compiled> {
    let (from, to) = (cx.shape(0), cx.output_shape(0));
    if from == to {
        return Ok(Compiled::Alias(0));
    }
    if from.broadcast(&to).as_ref() != Some(&to) {
        return Err(Error::invalid(format!("shape {from} does not broadcast to {to}")));
    }
    let own = signed_strides(&from);
    let lead = to.rank() - from.rank();
    let strides: Vec<isize> =
        (0..to.rank()).map(|d| if d >= lead && from[d - lead] != 1 { own[d - lead] } else { 0 }).collect();
    strided(cx, &strides, 0)
}

fn invert_permutation(cx: &CompileCx) -> Result<Compiled> {
    fn inverse<T: Element>() -> Result<Compiled> {
        Compiled::step(|args| {
            let (x, y) = (args.input::<T>(0), args.output::<T>(0));
            let mut seen = vec![false; x.len()];
            for (i, to) in x.iter().enumerate() {
                let at = usize::try_from(to.to_i64()).ok().filter(|at| *at < x.len());
                match at {
                    Some(at) if !std::mem::replace(&mut seen[at], true) => y[at] = T::from_i64(i as i64),
                    Some(_) => return Err(Error::invalid(format!("{to:?} stands twice in the permutation"))),
                    None => return Err(Error::invalid(format!("{to:?} is not in [0, {})", x.len()))),
                }
            }
            Ok(())
        })
    }
    match cx.dtype(0) {
        DType::I32 => inverse::<i32>(),
        _ => inverse::<i64>(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;
    use tidemill_core::Value;

    #[track_caller]
    fn check(got: Vec<Value>, want: impl Into<Value>) {
        assert_eq!(got, [want.into()]);
    }

    #[test]
    fn transposes() {
        let x = Value::from([[1, 2, 3], [4, 5, 6]]);
        check(eval(Transpose, &[x.clone(), [1, 0].into()]), [[1, 4], [2, 5], [3, 6]]);
        check(eval(Transpose, &[x.clone(), [0, 1].into()]), x.clone());
        assert!(try_eval(Transpose, &[x, [0, 0].into()]).is_err());
        let cube = Value::from_vec([2, 2, 2], (0..8).collect::<Vec<i32>>()).unwrap();
        check(eval(Transpose, &[cube, [2, 0, 1].into()]), [[[0, 2], [4, 6]], [[1, 3], [5, 7]]]);
    }

    #[test]
    fn reverses() {
        let x = Value::from([[1, 2, 3], [4, 5, 6]]);
        check(eval(ReverseV2, &[x.clone(), [1].into()]), [[3, 2, 1], [6, 5, 4]]);
        check(eval(ReverseV2, &[x.clone(), [0, -1].into()]), [[6, 5, 4], [3, 2, 1]]);
        assert!(try_eval(ReverseV2, &[x, [0, -2].into()]).is_err());
    }

    #[test]
    fn broadcasts() {
        let row = Value::from([1.5f32, 2.5]);
        check(eval(BroadcastTo, &[row, [2, 2].into()]), [[1.5f32, 2.5], [1.5, 2.5]]);
        let column = Value::from([[1i64], [2]]);
        check(eval(BroadcastTo, &[column, [2, 3].into()]), [[1i64, 1, 1], [2, 2, 2]]);
    }

    #[test]
    fn inverts_permutations() {
        check(eval(InvertPermutation, &[[2, 0, 1].into()]), [1, 2, 0]);
        assert!(try_eval(InvertPermutation, &[[2, 2, 1].into()]).is_err());
        assert!(try_eval(InvertPermutation, &[[3, 0, 1].into()]).is_err());
    }
}
