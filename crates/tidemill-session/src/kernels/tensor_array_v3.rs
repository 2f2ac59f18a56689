//! Kernels of `ops::tensor_array_v3`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidemill_core::ops::*;
use tidemill_core::{DType, Error, ErrorKind, PartialShape, Result, Shape, Value};

use super::KernelTable;
use super::list::operands;
use super::objects::{self, ints, look, num_slices, pieces, scalar, slice};

/// How many elements an array may have: more is taken for a mistake before memory is.
const MAX_ELEMENTS: usize = 1 << 22;

/// What a handle stands for.
pub(super) struct Handle(Mutex<Array>);

struct Array {
    name: String,
    dtype: DType,
    /// What the shapes of all elements have in common.
    shape: PartialShape,
    dynamic_size: bool,
    clear_after_read: bool,
    identical_shapes: bool,
    /// Whether what is written to one element adds up.
    aggregates: bool,
    elements: Vec<Element>,
    /// How many bytes they hold.
    bytes: usize,
    /// The arrays of gradients, by source and what is prepended to shapes.
    gradients: BTreeMap<(String, Vec<i64>), Value>,
    closed: bool,
}

#[derive(Clone, Default)]
struct Element {
    value: Option<Value>,
    /// The shape that it will have, where an array of gradients knows it of the array that it belongs to.
    shape: Option<Shape>,
    written: bool,
    read: bool,
    cleared: bool,
}

const ARRAY: &str = "the handle of a tensor array";

impl Handle {
    fn open(value: &Value) -> Result<MutexGuard<'_, Array>> {
        let array = look::<Handle>(value, ARRAY)?.0.lock().unwrap_or_else(PoisonError::into_inner);
        match array.closed {
            false => Ok(array),
            true => Err(Error::invalid(format!("the tensor array \"{}\" is closed", array.name))),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    fn of(array: Array) -> Result<Value> {
        Ok(Value::object(DType::Resource, Arc::new(Handle(Mutex::new(array))))?)
    }
}

impl Array {
    fn error(&self, what: String) -> Error {
        Error::invalid(format!("the tensor array \"{}\": {what}", self.name))
    }

    fn resize(&mut self, len: usize) -> Result<()> {
        let more = len.saturating_sub(self.elements.len());
        if len > MAX_ELEMENTS || self.elements.try_reserve(more).is_err() {
            let message = format!("a tensor array of {len} elements is too long");
            return Err(Error::new(ErrorKind::ResourceExhausted, message));
        }
        self.elements.resize(len, Element::default());
        Ok(())
    }

    fn check_dtype(&self, dtype: DType) -> Result<()> {
        match dtype == self.dtype {
            true => Ok(()),
            false => Err(self.error(format!("its elements are {}, not {dtype}", self.dtype))),
        }
    }

    fn write(&mut self, index: i64, value: Value) -> Result<()> {
        self.check_dtype(value.dtype())?;
        if !self.shape.accepts(value.shape()) {
            let (own, other) = (&self.shape, value.shape());
            return Err(self.error(format!("its elements are of the shape {own}, but {other} is written")));
        }
        let at = usize::try_from(index).ok().filter(|at| *at < self.elements.len() || self.dynamic_size);
        let Some(at) = at else {
            let len = self.elements.len();
            return Err(self.error(format!(
                "index {index} is written, but it is not resizeable and has {len} elements"
            )));
        };
        if at >= self.elements.len() {
            self.resize(at.saturating_add(1))?;
        }
        let element = &self.elements[at];
        if element.read {
            return Err(self.error(format!("index {index} is written, but has already been read")));
        }
        if element.written && !self.aggregates {
            return Err(self.error(format!("index {index} is written, but has already been written to")));
        }
        if let Some(shape) = element.shape.as_ref().filter(|s| *s != value.shape()) {
            let other = value.shape();
            return Err(
                self.error(format!("element {index} is of the shape {shape}, but {other} is written"))
            );
        }
        let sum = match self.elements[at].value.take() {
            Some(before) => objects::add(before, &value)?,
            None => {
                self.bytes = self.bytes.saturating_add(objects::held_bytes(&value));
                value
            }
        };
        if self.identical_shapes {
            self.shape = sum.shape().into();
        }
        let element = &mut self.elements[at];
        (element.value, element.written) = (Some(sum), true);
        Ok(())
    }

    fn read(&mut self, index: i64) -> Result<Value> {
        let at = usize::try_from(index).ok().filter(|at| *at < self.elements.len());
        let Some(at) = at else {
            let len = self.elements.len();
            return Err(self.error(format!("index {index} is read, but there are {len} elements")));
        };
        let element = &self.elements[at];
        if element.cleared {
            let what =
                "is read twice, but was cleared after it was read (is clear_after_read meant to be false?)";
            return Err(self.error(format!("index {index} {what}")));
        }
        let value = match (&element.value, &element.shape) {
            (Some(value), _) => value.clone(),
            (None, Some(shape)) => Value::zeros(self.dtype, shape.clone())?,
            (None, None) => match self.shape.as_known() {
                Some(shape) => Value::zeros(self.dtype, shape)?,
                None => {
                    let what = "is read, but was never written, and the shape of elements is not fully known";
                    return Err(self.error(format!("index {index} {what}: {}", self.shape)));
                }
            },
        };
        let element = &mut self.elements[at];
        element.read = true;
        if self.clear_after_read {
            element.cleared = true;
            let bytes = element.value.take().map_or(0, |value| objects::held_bytes(&value));
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        Ok(value)
    }

    /// Elements, and the shape that those have which `known` does not tell.
    fn read_all(&mut self, indices: impl IntoIterator<Item = i64>) -> Result<Vec<Value>> {
        indices.into_iter().map(|i| self.read(i)).collect()
    }

    /// The array of gradients of this one.
    fn gradients(&mut self, source: &str, prepend: Vec<i64>) -> Result<Value> {
        // The arrays would no longer be of one length.
        self.dynamic_size = false;
        let key = (source.to_owned(), prepend);
        if let Some(known) = self.gradients.get(&key) {
            return Ok(known.clone());
        }
        let front: Shape = key
            .1
            .iter()
            .map(|d| {
                usize::try_from(*d).map_err(|_| self.error(format!("dimension {d} is prepended to shapes")))
            })
            .collect::<Result<_>>()?;
        let like = |element: &Element| {
            let shape = element.value.as_ref().map(Value::shape).or(element.shape.as_ref());
            let shape = shape.map(|s| front.iter().chain(s.iter()).copied().collect());
            Element { shape, ..Element::default() }
        };
        let made = Handle::of(Array {
            name: format!("{}@{source}", self.name),
            dtype: self.dtype,
            shape: PartialShape::from(&front).concatenate(&self.shape),
            dynamic_size: false,
            clear_after_read: true,
            identical_shapes: self.identical_shapes,
            aggregates: true,
            elements: self.elements.iter().map(like).collect(),
            bytes: 0,
            gradients: BTreeMap::new(),
            closed: false,
        })?;
        self.gradients.insert(key, made.clone());
        Ok(made)
    }
}

pub(super) fn register(table: &mut KernelTable) {
    table.values::<TensorArrayV3>(|op, inputs| {
        let [size] = operands(inputs)?;
        let size = scalar(&size)?;
        let mut array = Array {
            name: op.tensor_array_name.clone(),
            dtype: op.dtype,
            shape: op.element_shape.clone(),
            dynamic_size: op.dynamic_size,
            clear_after_read: op.clear_after_read,
            identical_shapes: op.identical_element_shapes,
            aggregates: false,
            elements: vec![],
            bytes: 0,
            gradients: BTreeMap::new(),
            closed: false,
        };
        let len = usize::try_from(size).map_err(|_| array.error(format!("its size {size} is negative")))?;
        array.resize(len)?;
        Ok(vec![Handle::of(array)?, Value::scalar(0f32)])
    });
    table.values::<TensorArrayGradV3>(|op, inputs| {
        let [handle, flow] = operands(inputs)?;
        let made = Handle::open(&handle)?.gradients(&op.source, vec![])?;
        Ok(vec![made, flow])
    });
    table.values::<TensorArrayGradWithShape>(|op, inputs| {
        let [handle, flow, prepend] = operands(inputs)?;
        let made = Handle::open(&handle)?.gradients(&op.source, ints(&prepend)?)?;
        Ok(vec![made, flow])
    });
    table.values::<TensorArrayWriteV3>(|_, inputs| {
        let [handle, index, value, flow] = operands(inputs)?;
        Handle::open(&handle)?.write(scalar(&index)?, value)?;
        Ok(vec![flow])
    });
    table.values::<TensorArrayReadV3>(|op, inputs| {
        let [handle, index, _] = operands(inputs)?;
        let mut array = Handle::open(&handle)?;
        array.check_dtype(op.dtype)?;
        Ok(vec![array.read(scalar(&index)?)?])
    });
    table.values::<TensorArrayGatherV3>(|op, inputs| {
        let [handle, indices, _] = operands(inputs)?;
        let mut array = Handle::open(&handle)?;
        array.check_dtype(op.dtype)?;
        let shape = array.shape.merge(&op.element_shape).ok_or_else(|| {
            array.error(format!("its elements are {}, but {} is asked for", array.shape, op.element_shape))
        })?;
        let values = array.read_all(ints(&indices)?)?;
        let element = match values.first() {
            Some(first) => first.shape().clone(),
            None => shape.as_known().ok_or_else(|| {
                Error::unimplemented(format!(
                    "no elements are gathered, and their shape {shape} is not fully known"
                ))
            })?,
        };
        Ok(vec![objects::stack(&values, op.dtype, &element)?])
    });
    table.values::<TensorArrayScatterV3>(|_, inputs| {
        let [handle, indices, value, flow] = operands(inputs)?;
        let (indices, slices) = (ints(&indices)?, num_slices(&value)?);
        let mut array = Handle::open(&handle)?;
        if indices.len() != slices {
            return Err(array.error(format!("{} indices are given for {slices} slices", indices.len())));
        }
        for (i, index) in indices.into_iter().enumerate() {
            array.write(index, slice(&value, i)?)?;
        }
        Ok(vec![flow])
    });
    table.values::<TensorArrayConcatV3>(|op, inputs| {
        let [handle, _] = operands(inputs)?;
        let mut array = Handle::open(&handle)?;
        array.check_dtype(op.dtype)?;
        let len = array.elements.len() as i64;
        let values = array.read_all(0..len)?;
        let rest = match values.first() {
            Some(first) if first.rank() == 0 => {
                return Err(array.error("scalars cannot be concatenated".to_owned()));
            }
            Some(first) => Shape::from(&first.shape()[1..]),
            None => op.element_shape_except0.as_known().ok_or_else(|| {
                Error::unimplemented("there is nothing to concatenate, and the shape is not fully known")
            })?,
        };
        let (value, lengths) = objects::concat(&values, op.dtype, &rest)?;
        Ok(vec![value, lengths])
    });
    table.values::<TensorArraySplitV3>(|_, inputs| {
        let [handle, value, lengths, flow] = operands(inputs)?;
        let mut array = Handle::open(&handle)?;
        let (len, count) = (array.elements.len(), lengths.num_elements());
        if len != count && !(array.dynamic_size && count > len) {
            return Err(array.error(format!("it has {len} elements, but is split into {count}")));
        }
        for (i, piece) in pieces(&value, &lengths)?.into_iter().enumerate() {
            array.write(i as i64, piece)?;
        }
        Ok(vec![flow])
    });
    table.values::<TensorArraySizeV3>(|_, inputs| {
        let [handle, _] = operands(inputs)?;
        let len = Handle::open(&handle)?.elements.len();
        Ok(vec![Value::scalar(i32::try_from(len).unwrap_or(i32::MAX))])
    });
    table.values::<TensorArrayCloseV3>(|_, inputs| {
        let [handle] = operands(inputs)?;
        let mut array = look::<Handle>(&handle, ARRAY)?.0.lock().unwrap_or_else(PoisonError::into_inner);
        array.closed = true;
        array.elements.clear();
        array.bytes = 0;
        array.gradients.clear();
        Ok(vec![])
    });
}
