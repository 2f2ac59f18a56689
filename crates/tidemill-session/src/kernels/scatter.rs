//! Kernels of `ops::scatter`.

use tidemill_core::ops::{
    InplaceAdd, InplaceSub, InplaceUpdate, ScatterNdAdd, ScatterNdMax, ScatterNdMin, ScatterNdNonAliasingAdd,
    ScatterNdSub, ScatterNdUpdate, StridedSliceAssign, TensorScatterAdd, TensorScatterMax, TensorScatterMin,
    TensorScatterSub, TensorScatterUpdate, TensorStridedSliceUpdate,
};
use tidemill_core::{Error, Result, Shape, Value};
use tidemill_tensor::{Element, dispatch_any, dispatch_arith, dispatch_numeric};

use super::args::Ints;
use super::arith::Arith;
use super::copy::each_place;
use super::index::resolved;
use super::state::uninitialised;
use super::{Args, CompileCx, Compiled, KernelTable};

/// A row: op, its variant on variables, and what it does with an element and its update.
macro_rules! scatters {
    ($table:ident $dispatch:ident: $($tensor:ident $variable:ident $f:expr;)*) => {$(
        $table.compiled::<$tensor>(|_, cx| $dispatch!(cx.dtype(0), T => scatter::<T>(cx, $f), else => unsupported(cx)));
        $table.compiled::<$variable>(
            |_, cx| $dispatch!(cx.dtype(0), T => scatter_variable::<T>(cx, $f), else => unsupported(cx)),
        );
    )*};
}

pub(super) fn register(table: &mut KernelTable) {
    scatters! { table dispatch_any:
        TensorScatterUpdate ScatterNdUpdate |_, new| new;
    }
    scatters! { table dispatch_arith:
        TensorScatterAdd ScatterNdAdd T::add;
        TensorScatterSub ScatterNdSub T::sub;
    }
    scatters! { table dispatch_numeric:
        TensorScatterMax ScatterNdMax |a, b| if b > a { b } else { a };
        TensorScatterMin ScatterNdMin |a, b| if b < a { b } else { a };
    }
    table.compiled::<ScatterNdNonAliasingAdd>(
        |_, cx| dispatch_arith!(cx.dtype(0), T => scatter::<T>(cx, T::add), else => unsupported(cx)),
    );
    table.compiled::<InplaceUpdate>(
        |_, cx| dispatch_any!(cx.dtype(0), T => rows::<T>(cx, |_, new| new), else => unsupported(cx)),
    );
    table.compiled::<InplaceAdd>(
        |_, cx| dispatch_arith!(cx.dtype(0), T => rows::<T>(cx, T::add), else => unsupported(cx)),
    );
    table.compiled::<InplaceSub>(
        |_, cx| dispatch_arith!(cx.dtype(0), T => rows::<T>(cx, T::sub), else => unsupported(cx)),
    );
    table.compiled::<TensorStridedSliceUpdate>(|op, cx| slice_update(&op.slice(), cx));
    table.compiled::<StridedSliceAssign>(|op, cx| slice_assign(op.slice(), cx));
}

fn unsupported(cx: &CompileCx) -> Result<Compiled> {
    Err(Error::unimplemented(format!("updates of {}", cx.dtype(0))))
}

/// What updates go where: how many positions there are, how deep, into which axes, and how large what stands there is.
struct Positions {
    count: usize,
    depth: usize,
    dims: Vec<usize>,
    row: usize,
}

impl Positions {
    /// # Errors
    /// `InvalidArgument` when the updates are too few or too many.
    fn new(into: &Shape, indices: &Shape, updates: usize) -> Result<Positions> {
        let depth = indices.last().copied().unwrap_or(0);
        let count: usize = indices.iter().take(indices.rank().saturating_sub(1)).product();
        let row: usize = into.iter().skip(depth).product();
        if depth > into.rank() || updates != count * row {
            return Err(Error::invalid(format!(
                "{updates} updates do not fit indices of shape {indices} into {into}"
            )));
        }
        Ok(Positions { count, depth, dims: into.iter().take(depth).copied().collect(), row })
    }

    fn update<T: Element>(
        &self,
        out: &mut [T],
        indices: Ints,
        updates: &[T],
        f: fn(T, T) -> T,
    ) -> Result<()> {
        // Everything is checked before anything is written.
        for i in 0..self.count {
            self.place(indices, i)?;
        }
        for i in 0..self.count {
            let at = self.place(indices, i)? * self.row;
            let out = &mut out[at..at + self.row];
            out.iter_mut().zip(&updates[i * self.row..]).for_each(|(out, update)| *out = f(*out, *update));
        }
        Ok(())
    }

    /// Where update `i` goes, in rows.
    fn place(&self, indices: Ints, i: usize) -> Result<usize> {
        self.dims.iter().enumerate().try_fold(0, |at, (axis, n)| {
            let index = indices.get(i * self.depth + axis);
            let index = usize::try_from(index).ok().filter(|index| index < n).ok_or_else(|| {
                Error::invalid(format!("indices[{i}, {axis}] = {index} is not in [0, {n})"))
            })?;
            Ok(at * n + index)
        })
    }
}

fn scatter<T: Element>(cx: &CompileCx, f: fn(T, T) -> T) -> Result<Compiled> {
    let positions = Positions::new(&cx.shape(0), &cx.shape(1), cx.shape(2).num_elements())?;
    Compiled::step(move |args: &mut Args| {
        let (x, updates, out) = (args.input::<T>(0), args.input::<T>(2), args.output::<T>(0));
        out.copy_from_slice(x);
        positions.update(out, args.ints(1), updates, f)
    })
}

fn scatter_variable<T: Element>(cx: &CompileCx, f: fn(T, T) -> T) -> Result<Compiled> {
    let (indices, updates) = (cx.shape(1), cx.shape(2).num_elements());
    Ok(Compiled::Variable(Box::new(move |variables: &mut [&mut Option<Value>], args: &mut Args| {
        let value = variables[0].as_mut().ok_or_else(uninitialised)?;
        let positions = Positions::new(value.shape(), &indices, updates)?;
        positions.update(value.as_mut_slice::<T>()?, args.ints(1), args.input::<T>(2), f)
    })))
}

/// Rows of a tensor updated; indices count modulo the number of rows, as in TensorFlow.
fn rows<T: Element>(cx: &CompileCx, f: fn(T, T) -> T) -> Result<Compiled> {
    let shape = cx.shape(0);
    let n = shape[0];
    let row: usize = shape.iter().skip(1).product();
    if cx.shape(2).num_elements() != cx.shape(1).num_elements() * row {
        return Err(Error::invalid(format!(
            "v of shape {} does not fit {} rows of {shape}",
            cx.shape(2),
            cx.shape(1).num_elements()
        )));
    }
    Compiled::step(move |args: &mut Args| {
        let (x, rows, v, out) =
            (args.input::<T>(0), args.input::<i32>(1), args.input::<T>(2), args.output::<T>(0));
        out.copy_from_slice(x);
        for (k, i) in rows.iter().enumerate() {
            if n == 0 {
                return Err(Error::invalid(format!("row {i} of none")));
            }
            let at = i64::from(*i).rem_euclid(n as i64) as usize * row;
            out[at..at + row].iter_mut().zip(&v[k * row..]).for_each(|(out, v)| *out = f(*out, *v));
        }
        Ok(())
    })
}

/// How far apart the elements of a value of shape `from` stand as it broadcasts to `to`.
fn broadcast_strides(from: &Shape, to: &Shape) -> Result<Vec<isize>> {
    if from.broadcast(to).as_ref() != Some(to) {
        return Err(Error::invalid(format!("value has shape {from}, but the slice {to}")));
    }
    let own = from.strides();
    let lead = to.rank() - from.rank();
    Ok((0..to.rank())
        .map(|d| if d >= lead && from[d - lead] != 1 { own[d - lead] as isize } else { 0 })
        .collect())
}

/// Writes the elements of `value` (whose walk is `value_strides`) to the places of a slice.
fn write_slice(
    to: &mut [u8],
    value: &[u8],
    size: usize,
    (taken, strides, start): (&Shape, &[isize], usize),
    value_strides: &[isize],
) {
    each_place(taken, [strides, value_strides], [start, 0], |[at, from]| {
        to[at * size..(at + 1) * size].copy_from_slice(&value[from * size..(from + 1) * size]);
    });
}

fn slice_update(slice: &tidemill_core::ops::StridedSlice, cx: &CompileCx) -> Result<Compiled> {
    let (Some(begin), Some(end), Some(strides)) = (cx.ints(1), cx.ints(2), cx.ints(3)) else {
        return Ok(Compiled::Deferred);
    };
    let (strides, start, taken) = resolved(slice, &cx.shape(0), [begin, end, strides])?;
    let value_strides = broadcast_strides(&cx.shape(4), &taken)?;
    let size = cx.dtype(0).size();
    Compiled::step(move |args: &mut Args| {
        let to = args.output_bytes(0);
        to.copy_from_slice(args.input_bytes(0));
        write_slice(to, args.input_bytes(4), size, (&taken, &strides, start), &value_strides);
        Ok(())
    })
}

fn slice_assign(slice: tidemill_core::ops::StridedSlice, cx: &CompileCx) -> Result<Compiled> {
    let (Some(begin), Some(end), Some(strides)) = (cx.ints(1), cx.ints(2), cx.ints(3)) else {
        return Ok(Compiled::Deferred);
    };
    let (value_shape, size) = (cx.shape(4), cx.dtype(4).size());
    Ok(Compiled::Variable(Box::new(move |variables: &mut [&mut Option<Value>], args: &mut Args| {
        let variable = variables[0].as_mut().ok_or_else(uninitialised)?;
        let entries = [begin.clone(), end.clone(), strides.clone()];
        let (strides, start, taken) = resolved(&slice, variable.shape(), entries)?;
        let value_strides = broadcast_strides(&value_shape, &taken)?;
        let to = variable.bytes_mut();
        write_slice(to, args.input_bytes(4), size, (&taken, &strides, start), &value_strides);
        Ok(())
    })))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval, update};
    use super::*;

    fn x() -> Value {
        Value::from([[1, 2], [3, 4], [5, 6]])
    }

    #[test]
    fn copies_are_updated() {
        let rows: [Value; 3] = [x(), [[2], [0]].into(), [[9, 9], [7, 0]].into()];
        assert_eq!(eval(TensorScatterUpdate, &rows), [Value::from([[7, 0], [3, 4], [9, 9]])]);
        assert_eq!(eval(TensorScatterMax, &rows), [Value::from([[7, 2], [3, 4], [9, 9]])]);
        let elements = [x(), [[0, 1], [0, 1]].into(), [10, 10].into()];
        assert_eq!(eval(TensorScatterAdd, &elements), [Value::from([[1, 22], [3, 4], [5, 6]])]);
        assert!(try_eval(TensorScatterAdd, &[x(), [[3, 1]].into(), [10].into()]).is_err());
    }

    #[test]
    fn variables_are_updated() {
        let mut variables = [Some(x())];
        let op = ScatterNdSub { use_locking: false };
        update(op, &mut variables, &[[[1, 0]].into(), [3].into()]).unwrap();
        assert_eq!(variables[0], Some(Value::from([[1, 2], [0, 4], [5, 6]])));
        let op = StridedSliceAssign { end_mask: 1, ..StridedSliceAssign::default() };
        update(op, &mut variables, &[[1, 1].into(), [0, 2].into(), [1, 1].into(), 8.into()]).unwrap();
        assert_eq!(variables[0], Some(Value::from([[1, 2], [0, 8], [5, 8]])));
    }

    #[test]
    fn slices_and_rows_are_updated() {
        let op = TensorStridedSliceUpdate { end_mask: 1, ..TensorStridedSliceUpdate::default() };
        let inputs = [x(), [0, 0].into(), [0, 1].into(), [2, 1].into(), [[8], [9]].into()];
        assert_eq!(eval(op, &inputs), [Value::from([[8, 2], [3, 4], [9, 6]])]);
        let got = eval(InplaceAdd, &[x(), [0, 2].into(), [[1, 1], [2, 2]].into()]);
        assert_eq!(got, [Value::from([[2, 3], [3, 4], [7, 8]])]);
    }
}
