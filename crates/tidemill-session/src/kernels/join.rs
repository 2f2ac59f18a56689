//! Kernels of `ops::join`: putting tensors together and taking them apart along an axis.

use tidemill_core::ops::{ConcatOffset, ConcatV2, Pack, Split, SplitV, Unpack};
use tidemill_core::{DType, Error, Result, Shape, Value, normalise_axis};
use tidemill_tensor::Element;

use super::copy::copy_rows;
use super::objects;
use super::{Args, CompileCx, Compiled, KernelTable, Step};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<ConcatV2>(|_, cx| {
        let count = cx.num_inputs() - 1;
        let Some(axis) = cx.ints(count) else { return Ok(Compiled::Deferred) };
        let axis = normalise_axis(axis[0], cx.output_shape(0).rank())?;
        join(cx, (0..count).collect(), |shape| stretch(shape, axis))
    });
    table.compiled::<Pack>(|op, cx| {
        if cx.dtype(0).is_object() {
            return Ok(Compiled::Values(Box::new(pack_objects)));
        }
        let axis = normalise_axis(op.axis, cx.output_shape(0).rank())?;
        join(cx, (0..cx.num_inputs()).collect(), |shape| stretch(shape, axis))
    });
    table.compiled::<Unpack>(|op, cx| {
        if cx.dtype(0).is_object() {
            return Ok(Compiled::Values(Box::new(unpack_objects)));
        }
        let axis = normalise_axis(op.axis, cx.shape(0).rank())?;
        part(cx, 0, axis)
    });
    table.compiled::<Split>(|_, cx| {
        let Some(axis) = cx.ints(0) else { return Ok(Compiled::Deferred) };
        part(cx, 1, normalise_axis(axis[0], cx.shape(1).rank())?)
    });
    table.compiled::<SplitV>(|_, cx| {
        let Some(axis) = cx.ints(2) else { return Ok(Compiled::Deferred) };
        part(cx, 0, normalise_axis(axis[0], cx.shape(0).rank())?)
    });
    table.compiled::<ConcatOffset>(|_, cx| concat_offset(cx));
}

fn pack_objects(inputs: Vec<Value>) -> Result<Vec<Value>> {
    match inputs.first() {
        Some(first) if first.rank() == 0 => {
            Ok(vec![objects::stack(&inputs, first.dtype(), &first.shape().clone())?])
        }
        _ => Err(Error::unimplemented("only scalars are packed where elements are objects")),
    }
}

fn unpack_objects(inputs: Vec<Value>) -> Result<Vec<Value>> {
    match &inputs[..] {
        [all] if all.rank() == 1 => (0..all.num_elements()).map(|i| objects::slice(all, i)).collect(),
        _ => Err(Error::unimplemented("only vectors are taken apart where elements are objects")),
    }
}

/// Elements from `axis` on: what lies together in one turn of the dimensions before it.
fn stretch(shape: &Shape, axis: usize) -> usize {
    shape.iter().skip(axis).product()
}

/// A step that lays stretches of the inputs side by side.
fn join(cx: &CompileCx, inputs: Vec<usize>, stretch: impl Fn(&Shape) -> usize) -> Result<Compiled> {
    let size = cx.dtype(inputs[0]).size();
    let row = stretch(&cx.output_shape(0)) * size;
    let rows = cx.output_shape(0).num_elements() * size / row.max(1);
    // Where each input's stretch begins, and how long it is. The inputs share the turns, so their bytes tell.
    let mut parts = vec![];
    let mut at = 0;
    for i in inputs {
        let bytes = cx.shape(i).num_elements() * size / rows.max(1);
        parts.push((i, at, bytes));
        at += bytes;
    }
    if rows > 0 && at != row {
        return Err(Error::invalid("the operands do not fill the result"));
    }
    let places = parts.iter().map(|(i, at, _)| (*i, *at)).collect();
    let step = Step::new(move |args: &mut Args| {
        let (to, _) = args.output_raw(0);
        for (i, at, bytes) in &parts {
            let from = args.input_raw(*i);
            // SAFETY: the input holds `rows` stretches of `bytes`, the output `rows` of `row`, in which `at + bytes` lies. They do not
            // overlap, unless the input is there already.
            unsafe {
                let to = to.add(*at);
                if from != to.cast_const() {
                    copy_rows(from, *bytes, to, row, *bytes, rows);
                }
            }
        }
        Ok(())
    });
    Ok(if rows == 1 { step.joins(places) } else { step }.into())
}

/// A step that cuts input `i` along `axis` into the outputs.
fn part(cx: &CompileCx, i: usize, axis: usize) -> Result<Compiled> {
    let size = cx.dtype(i).size();
    let shape = cx.shape(i);
    let rows: usize = shape.iter().take(axis).product();
    let row = stretch(&shape, axis) * size;
    let parts: Vec<usize> =
        (0..cx.num_outputs()).map(|o| cx.output_shape(o).num_elements() * size / rows.max(1)).collect();
    if rows > 0 && parts.iter().sum::<usize>() != row {
        return Err(Error::invalid(format!("the parts do not add up to the operand's shape {shape}")));
    }
    let offsets = parts.iter().scan(0, |at, bytes| Some(std::mem::replace(at, *at + bytes))).collect();
    let step = Step::new(move |args: &mut Args| {
        let mut from = args.input_raw(i);
        for (o, bytes) in parts.iter().enumerate() {
            let (to, _) = args.output_raw(o);
            // SAFETY: the input holds `rows` stretches of `row`, in which the part lies; the output holds `rows` of `bytes`. They do not
            // overlap, unless the output is that very part.
            unsafe {
                if from != to.cast_const() {
                    copy_rows(from, row, to, *bytes, *bytes, rows);
                }
                from = from.add(*bytes);
            }
        }
        Ok(())
    });
    Ok(if rows == 1 { step.parts(i, offsets) } else { step }.into())
}

/// Where each of the shapes would begin in their concatenation.
fn concat_offset(cx: &CompileCx) -> Result<Compiled> {
    let Some(axis) = cx.ints(0) else { return Ok(Compiled::Deferred) };
    let rank = cx.shape(1).num_elements();
    let axis = normalise_axis(axis[0], rank)?;
    let count = cx.num_outputs();
    fn offsets<T: Element>(args: &mut Args, count: usize, axis: usize) -> Result<()> {
        let first = args.input::<T>(1);
        let mut at = 0;
        for i in 0..count {
            let (shape, out) = (args.input::<T>(1 + i), args.output::<T>(i));
            for (d, (mine, theirs)) in shape.iter().zip(first).enumerate() {
                if d != axis && mine != theirs {
                    return Err(Error::invalid(format!(
                        "shapes {first:?} and {shape:?} differ in more than dimension {axis}"
                    )));
                }
            }
            out.fill(T::from_i64(0));
            out[axis] = T::from_i64(at);
            at += shape[axis].to_i64();
        }
        Ok(())
    }
    match cx.dtype(1) {
        DType::I32 => Compiled::step(move |args| offsets::<i32>(args, count, axis)),
        _ => Compiled::step(move |args| offsets::<i64>(args, count, axis)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::eval;
    use super::*;
    use tidemill_core::Value;

    #[test]
    fn concatenates_along_each_axis() {
        let (a, b) = (Value::from([[1, 2], [3, 4]]), Value::from([[5, 6]]));
        assert_eq!(eval(ConcatV2, &[a.clone(), b, 0.into()]), [Value::from([[1, 2], [3, 4], [5, 6]])]);
        let c = Value::from([[7], [8]]);
        assert_eq!(eval(ConcatV2, &[a, c, (-1).into()]), [Value::from([[1, 2, 7], [3, 4, 8]])]);
    }

    #[test]
    fn packs_and_unpacks() {
        let (a, b) = (Value::from([1.0f32, 2.0]), Value::from([3.0f32, 4.0]));
        let rows = eval(Pack { axis: 0 }, &[a.clone(), b.clone()]);
        assert_eq!(rows, [Value::from([[1.0f32, 2.0], [3.0, 4.0]])]);
        let columns = eval(Pack { axis: -1 }, &[a.clone(), b.clone()]);
        assert_eq!(columns, [Value::from([[1.0f32, 3.0], [2.0, 4.0]])]);
        assert_eq!(eval(Unpack { num: 2, axis: 0 }, &rows), [a.clone(), b.clone()]);
        assert_eq!(eval(Unpack { num: 2, axis: 1 }, &columns), [a, b]);
    }

    #[test]
    fn splits() {
        let x = Value::from([[1u8, 2, 3, 4], [5, 6, 7, 8]]);
        let halves = eval(Split { num_split: 2 }, &[1.into(), x.clone()]);
        assert_eq!(halves, [Value::from([[1u8, 2], [5, 6]]), Value::from([[3u8, 4], [7, 8]])]);
        let parts = eval(SplitV { num_split: 2 }, &[x, [1, 3].into(), 1.into()]);
        assert_eq!(parts, [Value::from([[1u8], [5]]), Value::from([[2u8, 3, 4], [6, 7, 8]])]);
    }

    #[test]
    fn offsets() {
        let shapes = [0.into(), [2, 3].into(), [4, 3].into()];
        assert_eq!(eval(ConcatOffset, &shapes), [Value::from([0, 0]), Value::from([2, 0])]);
    }
}
