//! Sums and zeros of values whose elements may be objects: lists and optionals, as gradients are added up.

use std::any::Any;
use std::sync::Arc;

use tidemill_core::{DType, Error, Result, Shape, Value};
use tidemill_tensor::dispatch_numeric;

use super::arith::Arith;
use super::list::List;
use super::optional::Optional;
use super::stack::Stack;
use super::tensor_array_v3::Handle;

/// A `variant` scalar.
pub(super) fn variant(object: impl Any + Send + Sync) -> Result<Value> {
    Ok(Value::object(DType::Variant, Arc::new(object))?)
}

/// The object that a value is, without a copy of it where this is its only owner.
pub(super) fn take<T: Any + Send + Sync + Clone>(value: Value, what: &str) -> Result<T> {
    let dtype = value.dtype();
    let object = match &mut value.into_objects()[..] {
        [object] => object.take(),
        _ => None,
    };
    let Some(Ok(object)) = object.map(|o| o.downcast::<T>()) else {
        return Err(Error::invalid(format!("a {dtype} is given that is not {what}")));
    };
    Ok(Arc::try_unwrap(object).unwrap_or_else(|shared| (*shared).clone()))
}

/// The object that a value is.
pub(super) fn look<'v, T: 'static>(value: &'v Value, what: &str) -> Result<&'v T> {
    value
        .as_object()
        .ok_or_else(|| Error::invalid(format!("a {} is given that is not {what}", value.dtype())))
}

/// The sum of tensors of one shape; of lists, of their elements.
pub(super) fn sum(values: Vec<Value>) -> Result<Value> {
    let mut all = values.into_iter();
    let Some(first) = all.next() else { return Err(Error::invalid("nothing to add up")) };
    all.try_fold(first, |sum, next| add(sum, &next))
}

/// `a + b`, in the memory of `a` where that has no other owner.
pub(super) fn add(mut a: Value, b: &Value) -> Result<Value> {
    if a.dtype() != b.dtype() || a.shape() != b.shape() {
        return Err(Error::invalid(format!(
            "a {}{} and a {}{} cannot be added",
            a.dtype(),
            a.shape(),
            b.dtype(),
            b.shape()
        )));
    }
    if a.dtype() == DType::Variant {
        return match (a.objects(), b.objects()) {
            // What holds nothing adds nothing.
            (_, [None]) => Ok(a),
            ([None], _) => Ok(b.clone()),
            _ if a.as_object::<List>().is_some() => {
                variant(take::<List>(a, "a list")?.add(look(b, "a list")?)?)
            }
            _ => variant(take::<Optional>(a, "an optional")?.add(look(b, "an optional")?)?),
        };
    }
    dispatch_numeric!(a.dtype(), T => {
        let other = b.as_slice::<T>()?;
        a.as_mut_slice::<T>()?.iter_mut().zip(other).for_each(|(a, b)| *a = Arith::add(*a, *b));
        Ok(a)
    }, else => Err(Error::unimplemented(format!("sums of {}", a.dtype()))))
}

/// Zeros of the same dtype and shape; of a list, a list of zeros.
pub(super) fn zeros_like(value: &Value) -> Result<Value> {
    if let Some(list) = value.as_object::<List>() {
        return variant(list.zeros()?);
    }
    if let Some(optional) = value.as_object::<Optional>() {
        return variant(optional.zeros()?);
    }
    Ok(Value::zeros(value.dtype(), value.shape())?)
}

/// How many bytes a value holds, with what is in it. A handle holds what it stands for.
pub(crate) fn held_bytes(value: &Value) -> usize {
    let of = |object: &tidemill_tensor::Object| {
        let Some(object) = object else { return 0 };
        let list = object.downcast_ref::<List>().map(List::bytes);
        list.or_else(|| object.downcast_ref::<Optional>().map(Optional::bytes))
            .or_else(|| object.downcast_ref::<Stack>().map(Stack::bytes))
            .or_else(|| object.downcast_ref::<Handle>().map(Handle::bytes))
            .unwrap_or(0)
    };
    value.objects().iter().map(of).fold(value.num_bytes(), usize::saturating_add)
}

/// A scalar integer operand.
pub(super) fn scalar(value: &Value) -> Result<i64> {
    Ok(value.cast(DType::I64).to_scalar()?)
}

/// An integer operand.
pub(super) fn ints(value: &Value) -> Result<Vec<i64>> {
    Ok(value.cast(DType::I64).to_vec()?)
}

/// How many slices a tensor has along axis 0.
pub(super) fn num_slices(value: &Value) -> Result<usize> {
    value
        .shape()
        .first()
        .copied()
        .ok_or_else(|| Error::invalid("a scalar cannot be taken apart along axis 0"))
}

/// The stretch of `len` slices along axis 0 from `start` on.
pub(super) fn stretch(value: &Value, start: usize, len: usize) -> Result<Value> {
    let slices = num_slices(value)?;
    if start.checked_add(len).is_none_or(|end| end > slices) {
        return Err(Error::invalid(format!("slices {start} to {start}+{len} of {slices} are asked for")));
    }
    let shape: Shape = [len].into_iter().chain(value.shape().iter().skip(1).copied()).collect();
    if value.dtype().is_object() {
        let each = value.num_elements() / slices.max(1);
        let objects = value.objects()[start * each..(start + len) * each].to_vec();
        return Ok(Value::from_objects(value.dtype(), shape, objects)?);
    }
    let each = value.num_bytes() / slices.max(1);
    Ok(Value::from_bytes(value.dtype(), shape, &value.bytes()[start * each..(start + len) * each])?)
}

/// Slice `at` along axis 0, without that axis.
pub(super) fn slice(value: &Value, at: usize) -> Result<Value> {
    let shape: Shape = value.shape().iter().skip(1).copied().collect();
    Ok(stretch(value, at, 1)?.reshape(shape)?)
}

/// Values of one dtype behind each other along axis 0, which `lengths` and `rest` say the shapes of.
fn joined<'v>(values: impl Iterator<Item = &'v Value> + Clone, dtype: DType, shape: Shape) -> Result<Value> {
    if dtype.is_object() {
        let objects = values.flat_map(|v| v.objects().iter().cloned()).collect();
        return Ok(Value::from_objects(dtype, shape, objects)?);
    }
    let bytes = shape.num_bytes(dtype).unwrap_or(usize::MAX);
    let mut all: Vec<u8> = vec![];
    all.try_reserve_exact(bytes).map_err(|_| {
        Error::new(
            tidemill_core::ErrorKind::ResourceExhausted,
            format!("a {dtype}{shape} does not fit into memory"),
        )
    })?;
    values.for_each(|v| all.extend_from_slice(v.bytes()));
    Ok(Value::from_bytes(dtype, shape, &all)?)
}

/// Tensors of one shape along a new axis 0; `element` is their shape.
pub(super) fn stack(values: &[Value], dtype: DType, element: &Shape) -> Result<Value> {
    if let Some(other) = values.iter().find(|v| v.shape() != element) {
        return Err(Error::invalid(format!(
            "elements of one shape can be stacked, but one is {element} and another {}",
            other.shape()
        )));
    }
    let shape: Shape = [values.len()].into_iter().chain(element.iter().copied()).collect();
    joined(values.iter(), dtype, shape)
}

/// Tensors behind each other along axis 0, and their lengths; `rest` is the shape of a slice.
pub(super) fn concat(values: &[Value], dtype: DType, rest: &[usize]) -> Result<(Value, Value)> {
    let mut lengths: Vec<i64> = vec![];
    for value in values {
        let length = num_slices(value)?;
        if value.shape()[1..] != *rest {
            return Err(Error::invalid(format!(
                "elements that differ in axis 0 only can be joined, but slices of one are {}, of another {}",
                Shape::from(rest),
                Shape::from(&value.shape()[1..])
            )));
        }
        lengths.push(length as i64);
    }
    let total = lengths.iter().map(|l| *l as usize).sum();
    let shape: Shape = [total].into_iter().chain(rest.iter().copied()).collect();
    Ok((joined(values.iter(), dtype, shape)?, Value::from(lengths)))
}

/// Pieces of a tensor of these lengths along axis 0.
pub(super) fn pieces(value: &Value, lengths: &Value) -> Result<Vec<Value>> {
    let (lengths, slices) = (ints(lengths)?, num_slices(value)?);
    let total = lengths.iter().try_fold(0usize, |sum, l| sum.checked_add(usize::try_from(*l).ok()?));
    if total != Some(slices) {
        return Err(Error::invalid(format!(
            "the lengths {lengths:?} do not add up to the {slices} slices of the tensor"
        )));
    }
    let mut start = 0;
    let piece = |length: &i64| {
        let piece = stretch(value, start, *length as usize);
        start += *length as usize;
        piece
    };
    lengths.iter().map(piece).collect()
}

/// What an element shape operand says: a vector with -1 for unknown dimensions, or a scalar for an unknown rank.
pub(super) fn partial_shape(value: &Value) -> Result<tidemill_core::PartialShape> {
    let dims = ints(value)?;
    match value.rank() {
        0 if dims.first().is_some_and(|d| *d < 0) => Ok(tidemill_core::PartialShape::unknown()),
        1 => {
            let dim = |d: &i64| match d {
                -1 => Ok(None),
                d => usize::try_from(*d)
                    .map(Some)
                    .map_err(|_| Error::invalid(format!("dimension {d} of an element shape is negative"))),
            };
            Ok(dims.iter().map(dim).collect::<Result<Vec<_>>>()?.into())
        }
        _ => Err(Error::invalid(format!("{value} is not an element shape: a vector, or the scalar -1"))),
    }
}
