//! Kernels of `ops::list`.

use tidemill_core::ops::*;
use tidemill_core::{DType, Error, ErrorKind, PartialShape, Result, Shape, Value};

use super::KernelTable;
use super::objects::{self, ints, look, num_slices, partial_shape, scalar, slice, take, variant};

/// How many elements a list may have: more is taken for a mistake before memory is.
const MAX_ELEMENTS: usize = 1 << 22;

/// A list of tensors.
#[derive(Clone)]
pub(super) struct List {
    dtype: DType,
    /// What the shapes of all elements have in common.
    shape: PartialShape,
    /// `None` is unset.
    elements: Vec<Option<Value>>,
    /// How many bytes they hold.
    bytes: usize,
    /// How many there may be.
    max: Option<usize>,
}

impl List {
    fn new(dtype: DType, shape: PartialShape) -> List {
        List { dtype, shape, elements: vec![], bytes: 0, max: None }
    }

    /// # Errors
    /// When the elements are of another dtype than is asked for.
    fn of(&self, dtype: DType) -> Result<&List> {
        match self.dtype == dtype {
            true => Ok(self),
            false => Err(Error::invalid(format!("the elements of the list are {}, not {dtype}", self.dtype))),
        }
    }

    fn check(&self, item: &Value) -> Result<()> {
        if item.dtype() != self.dtype || !self.shape.accepts(item.shape()) {
            return Err(Error::invalid(format!(
                "a list of {}{} cannot have an element {}{}",
                self.dtype,
                self.shape,
                item.dtype(),
                item.shape()
            )));
        }
        Ok(())
    }

    fn push(&mut self, item: Value) -> Result<()> {
        self.check(&item)?;
        if self.max.is_some_and(|max| self.elements.len() >= max) {
            return Err(Error::invalid(format!("the list is full with {} elements", self.elements.len())));
        }
        self.resize(self.elements.len() + 1)?;
        self.put(self.elements.len() - 1, item);
        Ok(())
    }

    fn put(&mut self, at: usize, item: Value) {
        self.bytes = self.bytes.saturating_add(objects::held_bytes(&item));
        let before = self.elements[at].replace(item);
        self.forget(&before);
    }

    fn forget(&mut self, element: &Option<Value>) {
        self.bytes = self.bytes.saturating_sub(element.as_ref().map_or(0, objects::held_bytes));
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn resize(&mut self, len: usize) -> Result<()> {
        let more = len.saturating_sub(self.elements.len());
        let room = len <= MAX_ELEMENTS && self.elements.try_reserve(more).is_ok();
        if !room {
            let message = format!("a list of {len} elements is too long");
            return Err(Error::new(ErrorKind::ResourceExhausted, message));
        }
        for element in self.elements.split_off(len.min(self.elements.len())) {
            self.forget(&element);
        }
        self.elements.resize(len, None);
        Ok(())
    }

    fn place(&self, index: i64) -> Result<usize> {
        usize::try_from(index).ok().filter(|i| *i < self.elements.len()).ok_or_else(|| {
            Error::invalid(format!(
                "index {index} is out of range for a list of {} elements",
                self.elements.len()
            ))
        })
    }

    fn set(&mut self, index: i64, item: Value) -> Result<()> {
        self.check(&item)?;
        let at = self.place(index)?;
        self.put(at, item);
        Ok(())
    }

    /// What is known of elements by the list itself and `shape`.
    fn known(&self, shape: &PartialShape) -> Result<PartialShape> {
        self.shape.merge(shape).ok_or_else(|| {
            Error::invalid(format!(
                "elements of the shape {shape} are asked for of a list of {}{}",
                self.dtype, self.shape
            ))
        })
    }

    /// An element, whose shape is known to be like `shape`; zeros, if it is unset.
    fn get(&self, element: &Option<Value>, shape: &PartialShape) -> Result<Value> {
        match element {
            Some(value) if shape.accepts(value.shape()) => Ok(value.clone()),
            Some(value) => Err(Error::invalid(format!(
                "an element of the shape {shape} is asked for, but it is {}",
                value.shape()
            ))),
            None => match shape.as_known() {
                Some(known) => Ok(Value::zeros(self.dtype, known)?),
                None => self.unset(shape),
            },
        }
    }

    /// An element that was never set, of whose shape only `shape` is known: zeros of the shape that all others have.
    fn unset(&self, shape: &PartialShape) -> Result<Value> {
        let mut shapes = self.elements.iter().flatten().map(|value| PartialShape::from(value.shape()));
        let merged = shapes.try_fold(shape.clone(), |known, other| known.merge(&other));
        match merged.as_ref().and_then(PartialShape::as_known) {
            Some(known) => Ok(Value::zeros(self.dtype, known)?),
            None => Err(Error::invalid(format!(
                "an element that was never set is read, and its shape {shape} is not fully known"
            ))),
        }
    }

    /// The elements at `places`, of one shape each of which is like `shape`; what is unset is like the others.
    fn alike(&self, places: &[usize], shape: &PartialShape) -> Result<(Vec<Value>, Shape)> {
        let mut shape = self.known(shape)?;
        for value in places.iter().filter_map(|i| self.elements[*i].as_ref()) {
            shape = shape.merge(&value.shape().into()).ok_or_else(|| {
                Error::invalid(format!(
                    "elements of one shape can be stacked, but one is {} and others {shape}",
                    value.shape()
                ))
            })?;
        }
        let Some(known) = shape.as_known() else {
            return Err(Error::invalid(format!(
                "no element tells the shape of the elements, of which only {shape} is known"
            )));
        };
        let values = places.iter().map(|i| self.get(&self.elements[*i], &shape)).collect::<Result<_>>()?;
        Ok((values, known))
    }

    fn stack(&self, places: &[usize], shape: &PartialShape) -> Result<Value> {
        let (values, element) = self.alike(places, shape)?;
        objects::stack(&values, self.dtype, &element)
    }

    fn concat(&self, shape: &PartialShape, leading: &[i64]) -> Result<Vec<Value>> {
        let shape = self.known(shape)?;
        let mut rest = match shape.dims() {
            Some([_, rest @ ..]) => PartialShape::from(rest),
            Some([]) => return Err(Error::invalid("a list of scalars cannot be concatenated")),
            None => PartialShape::unknown(),
        };
        for value in self.elements.iter().flatten() {
            let own = PartialShape::from(value.shape().get(1..).unwrap_or(&[]));
            rest = rest.merge(&own).ok_or_else(|| {
                Error::invalid(format!("elements whose slices are {own} and {rest} cannot be joined"))
            })?;
        }
        let Some(known) = rest.as_known() else {
            return Err(Error::invalid(format!(
                "no element tells the shape of the elements' slices, of which only {rest} is known"
            )));
        };
        let mut values = vec![];
        for (i, element) in self.elements.iter().enumerate() {
            values.push(match element {
                Some(value) => value.clone(),
                None => {
                    let first = leading.get(i).and_then(|d| usize::try_from(*d).ok());
                    let first = first.or(shape.dim(0)).ok_or_else(|| {
                        Error::invalid(format!("element {i} was never set, and nothing tells its length"))
                    })?;
                    let dims: Shape = [first].into_iter().chain(known.iter().copied()).collect();
                    Value::zeros(self.dtype, dims)?
                }
            });
        }
        let (tensor, lengths) = objects::concat(&values, self.dtype, &known)?;
        Ok(vec![tensor, lengths])
    }

    /// Sets elements to the slices of a tensor.
    fn scatter(&mut self, tensor: &Value, indices: &[i64]) -> Result<()> {
        if num_slices(tensor)? != indices.len() {
            return Err(Error::invalid(format!(
                "there are {} indices for the slices of a tensor {}",
                indices.len(),
                tensor.shape()
            )));
        }
        let largest = indices.iter().copied().max().unwrap_or(-1).saturating_add(1);
        let len = usize::try_from(largest).unwrap_or(0).max(self.elements.len());
        self.resize(len)?;
        indices.iter().enumerate().try_for_each(|(i, index)| self.set(*index, slice(tensor, i)?))
    }

    /// Element by element; what is unset is zero.
    pub(super) fn add(mut self, other: &List) -> Result<List> {
        if self.dtype != other.dtype || self.elements.len() != other.elements.len() {
            return Err(Error::invalid(format!(
                "a list of {} {} and one of {} {} cannot be added",
                self.elements.len(),
                self.dtype,
                other.elements.len(),
                other.dtype
            )));
        }
        self.shape = self.known(&other.shape)?;
        for (at, other) in other.elements.iter().enumerate() {
            let Some(b) = other else { continue };
            let sum = match self.elements[at].take() {
                Some(a) => {
                    self.bytes = self.bytes.saturating_sub(objects::held_bytes(&a));
                    objects::add(a, b)?
                }
                None => b.clone(),
            };
            self.put(at, sum);
        }
        Ok(self)
    }

    pub(super) fn zeros(&self) -> Result<List> {
        let zeros = |e: &Option<Value>| e.as_ref().map(objects::zeros_like).transpose();
        let elements = self.elements.iter().map(zeros).collect::<Result<_>>()?;
        Ok(List { elements, bytes: self.bytes, ..List::new(self.dtype, self.shape.clone()) })
    }
}

pub(super) fn register(table: &mut KernelTable) {
    table.values::<EmptyTensorList>(|op, inputs| {
        let [shape, max] = operands(inputs)?;
        let list = List::new(op.element_dtype, partial_shape(&shape)?);
        one(List { max: usize::try_from(scalar(&max)?).ok(), ..list })
    });
    table.values::<TensorListReserve>(|op, inputs| {
        let [shape, len] = operands(inputs)?;
        let mut list = List::new(op.element_dtype, partial_shape(&shape)?);
        list.resize(size(&len)?)?;
        one(list)
    });
    table.values::<TensorListPushBack>(|_, inputs| {
        let [list, item] = operands(inputs)?;
        let mut list = taken(list)?;
        list.push(item)?;
        one(list)
    });
    table.values::<TensorListPopBack>(|op, inputs| {
        let [list, shape] = operands(inputs)?;
        let mut list = taken(list)?;
        list.of(op.element_dtype)?;
        let Some(last) = list.elements.pop() else {
            return Err(Error::invalid("the list is empty"));
        };
        list.forget(&last);
        let item = list.get(&last, &list.known(&partial_shape(&shape)?)?)?;
        Ok(vec![variant(list)?, item])
    });
    table.values::<TensorListPushBackBatch>(|_, inputs| {
        let [lists, items] = operands(inputs)?;
        if lists.rank() != 1 || lists.num_elements() != num_slices(&items)? {
            let (lists, items) = (lists.shape(), items.shape());
            return Err(Error::invalid(format!("there are {lists} lists for the slices of {items}")));
        }
        let shape = lists.shape().clone();
        let push = |(i, object)| {
            let mut list = taken(Value::from_objects(DType::Variant, (), vec![object])?)?;
            list.push(slice(&items, i)?)?;
            Ok(variant(list)?.into_objects().pop().flatten())
        };
        let pushed = lists.into_objects().into_iter().enumerate().map(push).collect::<Result<_>>()?;
        Ok(vec![Value::from_objects(DType::Variant, shape, pushed)?])
    });
    table.values::<TensorListLength>(|_, inputs| {
        let [list] = operands(inputs)?;
        Ok(vec![Value::scalar(i32::try_from(look::<List>(&list, LIST)?.elements.len()).unwrap_or(i32::MAX))])
    });
    table.values::<TensorListElementShape>(|op, inputs| {
        let [list] = operands(inputs)?;
        let dims: Value = match look::<List>(&list, LIST)?.shape.dims() {
            None => Value::scalar(-1i64),
            Some(dims) => dims.iter().map(|d| d.map_or(-1, |d| d as i64)).collect::<Vec<_>>().into(),
        };
        Ok(vec![dims.cast(op.shape_type)])
    });
    table.values::<TensorListFromTensor>(|_, inputs| {
        let [tensor, shape] = operands(inputs)?;
        let mut list = List::new(tensor.dtype(), partial_shape(&shape)?);
        list.resize(num_slices(&tensor)?)?;
        for i in 0..list.elements.len() {
            list.set(i as i64, slice(&tensor, i)?)?;
        }
        one(list)
    });
    table.values::<TensorListStack>(|op, inputs| {
        let [list, shape] = operands(inputs)?;
        let list = look::<List>(&list, LIST)?.of(op.element_dtype)?;
        let len = list.elements.len();
        if usize::try_from(op.num_elements).is_ok_and(|want| want != len) {
            return Err(Error::invalid(format!("the list has {len} elements, not {}", op.num_elements)));
        }
        let all: Vec<usize> = (0..len).collect();
        Ok(vec![list.stack(&all, &partial_shape(&shape)?)?])
    });
    table.values::<TensorListGetItem>(|op, inputs| {
        let [list, index, shape] = operands(inputs)?;
        let list = look::<List>(&list, LIST)?.of(op.element_dtype)?;
        let at = list.place(scalar(&index)?)?;
        Ok(vec![list.get(&list.elements[at], &list.known(&partial_shape(&shape)?)?)?])
    });
    table.values::<TensorListSetItem>(|op, inputs| {
        let [list, index, item] = operands(inputs)?;
        let (mut list, index) = (taken(list)?, scalar(&index)?);
        if op.resize_if_index_out_of_bounds && index >= list.elements.len() as i64 {
            list.resize(usize::try_from(index).unwrap_or(usize::MAX).saturating_add(1))?;
        }
        list.set(index, item)?;
        one(list)
    });
    table.values::<TensorListGather>(|op, inputs| {
        let [list, indices, shape] = operands(inputs)?;
        let list = look::<List>(&list, LIST)?.of(op.element_dtype)?;
        let places: Vec<usize> = ints(&indices)?.into_iter().map(|i| list.place(i)).collect::<Result<_>>()?;
        Ok(vec![list.stack(&places, &partial_shape(&shape)?)?])
    });
    table.values::<TensorListScatter>(|_, inputs| {
        let [tensor, indices, shape] = operands(inputs)?;
        one(scattered(&tensor, &indices, &shape, -1)?)
    });
    table.values::<TensorListScatterV2>(|_, inputs| {
        let [tensor, indices, shape, len] = operands(inputs)?;
        one(scattered(&tensor, &indices, &shape, scalar(&len)?)?)
    });
    table.values::<TensorListScatterIntoExistingList>(|_, inputs| {
        let [list, tensor, indices] = operands(inputs)?;
        let mut list = taken(list)?;
        list.scatter(&tensor, &ints(&indices)?)?;
        one(list)
    });
    table.values::<TensorListConcat>(|op, inputs| {
        let [list] = operands(inputs)?;
        look::<List>(&list, LIST)?.of(op.element_dtype)?.concat(&op.element_shape, &[])
    });
    table.values::<TensorListConcatV2>(|op, inputs| {
        let [list, shape, leading] = operands(inputs)?;
        look::<List>(&list, LIST)?.of(op.element_dtype)?.concat(&partial_shape(&shape)?, &ints(&leading)?)
    });
    table.values::<TensorListSplit>(|_, inputs| {
        let [tensor, shape, lengths] = operands(inputs)?;
        let mut list = List::new(tensor.dtype(), partial_shape(&shape)?);
        for piece in objects::pieces(&tensor, &lengths)? {
            list.push(piece)?;
        }
        one(list)
    });
    table.values::<TensorListResize>(|_, inputs| {
        let [list, len] = operands(inputs)?;
        let mut list = taken(list)?;
        list.resize(size(&len)?)?;
        one(list)
    });
    table.values::<TensorListConcatLists>(|op, inputs| {
        let [a, b] = operands(inputs)?;
        if a.shape() != b.shape() {
            let (a, b) = (a.shape(), b.shape());
            return Err(Error::invalid(format!("{a} lists cannot be joined with {b}")));
        }
        let shape = a.shape().clone();
        let join = |(a, b)| {
            let single = |object| Value::from_objects(DType::Variant, (), vec![object]);
            let (mut a, b) = (taken(single(a)?)?, single(b)?);
            let b = look::<List>(&b, LIST)?;
            if a.dtype != op.element_dtype || b.dtype != op.element_dtype {
                let want = op.element_dtype;
                return Err(Error::invalid(format!(
                    "lists of {want} are joined, but these are of {} and {}",
                    a.dtype, b.dtype
                )));
            }
            a.shape = a.known(&b.shape)?;
            let first = a.elements.len();
            a.resize(first.saturating_add(b.elements.len()))?;
            for (i, element) in b.elements.iter().enumerate() {
                element.iter().for_each(|item| a.put(first + i, item.clone()));
            }
            Ok(variant(a)?.into_objects().pop().flatten())
        };
        let pairs = a.into_objects().into_iter().zip(b.into_objects());
        let joined = pairs.map(join).collect::<Result<_>>()?;
        Ok(vec![Value::from_objects(DType::Variant, shape, joined)?])
    });
}

const LIST: &str = "a list";

fn taken(value: Value) -> Result<List> {
    take(value, LIST)
}

fn one(list: List) -> Result<Vec<Value>> {
    Ok(vec![variant(list)?])
}

fn size(value: &Value) -> Result<usize> {
    let len = scalar(value)?;
    usize::try_from(len).map_err(|_| Error::invalid(format!("a list cannot have {len} elements")))
}

/// The list of the slices of a tensor, each at its index; `len` elements long, or as long as it must be if that is -1.
fn scattered(tensor: &Value, indices: &Value, shape: &Value, len: i64) -> Result<List> {
    let indices = ints(indices)?;
    let mut list = List::new(tensor.dtype(), partial_shape(shape)?);
    let largest = indices.iter().copied().max().unwrap_or(-1).saturating_add(1).max(0);
    match len {
        -1 => list.resize(usize::try_from(largest).unwrap_or(usize::MAX))?,
        len if largest > len => {
            return Err(Error::invalid(format!(
                "index {} is out of range for a list of {len} elements",
                largest - 1
            )));
        }
        len => list.resize(
            usize::try_from(len).map_err(|_| Error::invalid(format!("a list cannot have {len} elements")))?,
        )?,
    }
    list.scatter(tensor, &indices)?;
    Ok(list)
}

/// The operands, which are as many as the schema says.
pub(super) fn operands<const N: usize>(inputs: Vec<Value>) -> Result<[Value; N]> {
    inputs.try_into().map_err(|_| Error::internal("the kernel is given another number of operands"))
}
