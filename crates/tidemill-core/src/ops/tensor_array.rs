//! Arrays of tensors, as loops fill and read them.

use tidemill_tensor::{DType, PartialShape};

use super::{Nest, shape_operand};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result, or_panic};
use crate::graph::Graph;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::{Operand, ShapeArg};
use crate::schema::Schema;
use crate::{attrs, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<ArrayWrite>().with::<ArrayAdd>().with::<ArrayResize>()
}

/// `array` with other slices along axis 0: `result[index] = value`, or `result[index[i]] = value[i]` for a vector of indices, which must differ.
/// Done in place when `array` is needed no more.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayWrite {
    /// Whether the result is longer than `array`, with zeros between, where an index is behind its end; else that is an error.
    pub dynamic_size: bool,
}
attrs!(ArrayWrite { dynamic_size });

impl Op for ArrayWrite {
    const SCHEMA: Schema =
        Schema::new("ArrayWrite", "(array: T, index: I, value: T) -> (result: T) where I: i32|i64");

    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = slices(cx)?;
        let Some(len) = shape.dim(0).filter(|_| self.dynamic_size) else {
            let grows = if self.dynamic_size { None } else { shape.dim(0) };
            return cx.output(cx.dtype(0), with_len(&shape, grows));
        };
        let largest = cx.known_all(1).map(|i| i.iter().copied().max().unwrap_or(-1));
        let len = largest.map(|i| len.max(usize::try_from(i).map_or(0, |i| i.saturating_add(1))));
        cx.output(cx.dtype(0), with_len(&shape, len))
    }

    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (dy, index) = (cx.dy(0), cx.x(1));
        // Read before the slices are overwritten, so that they may be in place.
        let value = cx.wanted(2, || ops::gather(dy, index));
        let array = cx.wanted(0, || {
            let rest = ops::write_slices(dy, index, ops::zeros_like(cx.x(2)), false);
            if self.dynamic_size { resized(rest, size_before(cx)) } else { rest }
        });
        Ok(grads![array, NoGrad, value])
    }
}

/// `array` with something added to slices along axis 0: `sum[index] = array[index] + value`, or `sum[index[i]] += value[i]` for a
/// vector of indices; what belongs to one index adds up. Done in place when `array` is needed no more.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayAdd;
attrs!(ArrayAdd {});

impl Op for ArrayAdd {
    const SCHEMA: Schema = Schema::new(
        "ArrayAdd",
        "(array: T, index: I, value: T) -> (sum: T) where T: Num|Complex, I: i32|i64",
    );

    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(cx.dtype(0), slices(cx)?)
    }

    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let value = cx.wanted(2, || ops::gather(cx.dy(0), cx.x(1)));
        Ok(grads![cx.dy_as_is(0), NoGrad, value])
    }
}

/// The first `size` slices of `array` along axis 0, and zeros where it has fewer.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayResize;
attrs!(ArrayResize {});

impl Op for ArrayResize {
    const SCHEMA: Schema = Schema::new("ArrayResize", "(array: T, size: I) -> (result: T) where I: i32|i64");

    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 0)?;
        if cx.shape(0).rank() == Some(0) {
            return Err(Error::invalid("a scalar has no slices"));
        }
        let size = match cx.known_all(1).as_deref() {
            Some([size]) => Some(
                usize::try_from(*size).map_err(|_| Error::invalid(format!("the size {size} is negative")))?,
            ),
            _ => None,
        };
        cx.output(cx.dtype(0), with_len(cx.shape(0), size))
    }

    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let array = cx.wanted(0, || resized(cx.dy(0), size_before(cx)));
        Ok(grads![array, NoGrad])
    }
}

/// What is known of the array's shape from itself and from the value for some of its slices.
fn slices(cx: &InferCx) -> Result<PartialShape> {
    let (array, index, value) = (cx.shape(0), cx.shape(1), cx.shape(2));
    let Some([len, element @ ..]) = array.dims() else {
        return match array.rank() {
            Some(_) => Err(Error::invalid("a scalar has no slices")),
            None => Ok(PartialShape::unknown()),
        };
    };
    let slices = match index.dims() {
        None => return Ok(array.clone()),
        Some([]) => PartialShape::from(element),
        Some([count]) => PartialShape::from([*count]).concatenate(&element.into()),
        Some(_) => return Err(Error::invalid(format!("index must be a scalar or a vector, not {index}"))),
    };
    let Some(merged) = slices.merge(value) else {
        return Err(Error::invalid(format!(
            "the elements of the array are {}, so the value must be {slices}, not {value}",
            PartialShape::from(element)
        )));
    };
    let merged = merged.dims().map_or(&[][..], |dims| &dims[index.rank().unwrap_or(0)..]);
    Ok(PartialShape::from([*len]).concatenate(&merged.into()))
}

fn with_len(shape: &PartialShape, len: Option<usize>) -> PartialShape {
    match shape.dims() {
        Some([_, rest @ ..]) => PartialShape::from([len]).concatenate(&rest.into()),
        _ => PartialShape::unknown(),
    }
}

/// How long operand 0 was. Computed where that is, so that a loop keeps the number for its gradient and not the array.
fn size_before(cx: &GradCx) -> Tensor {
    let array = cx.x(0);
    let graph = cx.graph();
    graph.in_region(graph.region_of(array.node), || size_of(array, 0))
}

fn resized(array: Tensor, size: Tensor) -> Tensor {
    array.graph().op(ArrayResize).input(array).input(size).tensor()
}

/// [`ArrayWrite`].
#[track_caller]
pub(crate) fn write_slices(
    array: Tensor,
    index: impl Operand,
    value: impl Operand,
    dynamic_size: bool,
) -> Tensor {
    let index = or_panic(index.resolve(DType::I32));
    let value = or_panic(value.resolve(array.dtype()));
    let builder = array.graph().op(ArrayWrite { dynamic_size }).name("write").input(array);
    ops::resolved(ops::resolved(builder, "index", index), "value", value).tensor()
}

/// [`ArrayAdd`].
#[track_caller]
pub(crate) fn add_slices(array: Tensor, index: Tensor, value: Tensor) -> Tensor {
    array.graph().op(ArrayAdd).input(array).input(index).input(value).tensor()
}

/// How long `x` is along an axis.
#[track_caller]
pub(crate) fn size_of(x: Tensor, axis: i32) -> Tensor {
    ops::strided_index(ops::shape(x), axis)
}

/// An array of tensors of one dtype and shape: a *value*, so that [`write`](TensorArray::write) gives a new array, and loops and conditionals carry it like a
/// tensor. TensorFlow: `tf.TensorArray`.
///
/// It is the tensor `[size, element...]`; an element that was never written is zero. A loop that carries an array and writes to
/// it does so in place, so a turn costs what the element does; so does the gradient, of any order. An array of
/// [dynamic size](TensorArray::dynamic_size) grows as it is written to.
///
/// ```
/// use tidemill_core::{DType, Graph, ops, ops::TensorArray};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [3]);
/// let powers = TensorArray::new(&g, DType::F32, 5, [3]);
/// let (_, _, powers) = ops::while_loop(
///     |(i, _, _)| i.lt(5),
///     |(i, y, powers): (_, _, TensorArray)| (i + 1, y * x, powers.write(i, y)),
///     (g.constant(0i32), g.ones(DType::F32, [3]), powers),
/// );
/// assert_eq!(powers.stack().ty().to_string(), "f32[5,3]");
/// ```
///
/// # Panics
/// Its functions panic at the user's line when shapes or dtypes do not fit. An index that is out of range fails the run.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorArray {
    elements: Tensor,
    dynamic_size: bool,
}

impl TensorArray {
    /// An array of `size` zero elements of this shape. `size` is an integer, or an integer scalar tensor.
    ///
    /// # Panics
    /// When the element shape has unknown dimensions: [`like`](TensorArray::like) takes them from a tensor.
    #[track_caller]
    pub fn new(
        graph: &Graph,
        dtype: DType,
        size: impl Operand,
        element_shape: impl Into<PartialShape>,
    ) -> TensorArray {
        let element = element_shape.into();
        let Some(known) = element.as_known() else {
            let error =
                Error::invalid(format!("the element shape {element} of the array is not fully known"));
            or_panic(Err(error.with_help("TensorArray::like takes it from a tensor")))
        };
        let dims: Vec<i32> = known.iter().map(|d| i32::try_from(*d).unwrap_or(i32::MAX)).collect();
        TensorArray::zeros(graph, dtype, size, graph.constant(dims))
    }

    /// An array of `size` zero elements that are like `element`, whose shape need not be known yet.
    #[track_caller]
    pub fn like(element: impl Into<Tensor>, size: impl Operand) -> TensorArray {
        let element = element.into();
        TensorArray::zeros(&element.graph(), element.dtype(), size, ops::shape(element))
    }

    #[track_caller]
    fn zeros(graph: &Graph, dtype: DType, size: impl Operand, element: Tensor) -> TensorArray {
        let size = or_panic(size.in_graph(graph, "size"));
        let size = ops::reshape(ops::cast(size, DType::I32), [1]);
        let shape: ShapeArg = ops::concat([size, element], 0).into();
        let zero = tidemill_tensor::Value::scalar(0.0).cast(dtype);
        let zeros = shape_operand(graph.op(ops::Fill).name("TensorArray"), "dims", shape);
        TensorArray { elements: zeros.constant("value", zero).tensor(), dynamic_size: false }
    }

    /// The array of the slices of `value` along axis 0. TensorFlow: `TensorArray.unstack`.
    #[track_caller]
    pub fn unstack(value: impl Into<Tensor>) -> TensorArray {
        TensorArray { elements: value.into(), dynamic_size: false }
    }

    /// The array of `size` pieces, of one length, of `value` along axis 0. TensorFlow: `TensorArray.split`, with lengths that are equal.
    ///
    /// # Panics
    /// When `value` cannot be cut so, as far as its shape is known; else the run fails.
    #[track_caller]
    pub fn split(value: impl Into<Tensor>, size: usize) -> TensorArray {
        let value = value.into();
        let rest = match value.shape().dims() {
            Some([_, rest @ ..]) if rest.iter().all(Option::is_some) => {
                let rest: Vec<i32> = rest.iter().map(|d| d.map_or(-1, |d| d as i32)).collect();
                value.graph().constant(rest)
            }
            _ => {
                let rank = value.shape().rank().unwrap_or(1).max(1);
                ops::slice(ops::shape(value), [1], [rank as i32 - 1])
            }
        };
        let length = match value.shape().dim(0) {
            Some(length) if size > 0 && length % size == 0 => (length / size) as i32,
            Some(length) if size > 0 => or_panic(Err(Error::invalid(format!(
                "{length} slices cannot be split into {size} pieces of one length"
            )))),
            _ => -1,
        };
        let head = value.graph().constant([size as i32, length]);
        TensorArray::unstack(ops::reshape(value, ops::concat([head, rest], 0)))
    }

    /// The same array, which [`write`](TensorArray::write) and [`scatter`](TensorArray::scatter) make longer where an index is behind its end.
    #[track_caller]
    pub fn dynamic_size(self) -> TensorArray {
        let ty = self.elements.ty();
        let shape = with_len(&ty.shape, None);
        let elements = self.elements.graph().placeholder_with_default(self.elements, shape);
        TensorArray { elements, dynamic_size: true }
    }

    /// The array with another element `index`.
    #[track_caller]
    pub fn write(&self, index: impl Operand, value: impl Operand) -> TensorArray {
        TensorArray { elements: write_slices(self.elements, index, value, self.dynamic_size), ..*self }
    }

    /// Element `index`.
    #[track_caller]
    pub fn read(&self, index: impl Operand) -> Tensor {
        ops::gather(self.elements, index)
    }

    /// All elements, along a new axis 0: `[size, element...]`.
    #[track_caller]
    pub fn stack(&self) -> Tensor {
        self.elements
    }

    /// The elements of the numbers in the vector `indices`, along a new axis 0.
    #[track_caller]
    pub fn gather(&self, indices: impl Operand) -> Tensor {
        ops::gather(self.elements, indices)
    }

    /// The array with other elements `indices[i]`, which must differ: the slices `i` of `value` along axis 0.
    #[track_caller]
    pub fn scatter(&self, indices: impl Operand, value: impl Operand) -> TensorArray {
        self.write(indices, value)
    }

    /// All elements behind each other along their axis 0: `[size * element[0], element[1..]...]`.
    #[track_caller]
    pub fn concat(&self) -> Tensor {
        let shape = self.elements.shape();
        match shape.dims() {
            Some([_, _, rest @ ..]) if rest.iter().all(Option::is_some) => {
                let rest = rest.iter().map(|d| d.map_or(-1, |d| d as i32));
                let dims: Vec<i32> = [-1].into_iter().chain(rest).collect();
                ops::reshape(self.elements, dims)
            }
            Some([] | [_]) => or_panic(Err(Error::invalid("an array of scalars cannot be concatenated")
                .with_help("stack gives them as a vector"))),
            _ => {
                let shape = ops::shape(self.elements);
                let rank = self.elements.shape().rank().unwrap_or(2);
                let rest = ops::slice(shape, [2], [rank as i32 - 2]);
                let head = self.elements.graph().constant([-1i32]);
                ops::reshape(self.elements, ops::concat([head, rest], 0))
            }
        }
    }

    /// How many elements there are: a scalar `i32`.
    #[track_caller]
    pub fn size(&self) -> Tensor {
        size_of(self.elements, 0)
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.elements.dtype()
    }

    /// What is known of the elements' shape.
    pub fn element_shape(&self) -> PartialShape {
        match self.elements.shape().dims() {
            Some([_, rest @ ..]) => PartialShape::from(rest),
            _ => PartialShape::unknown(),
        }
    }
}

impl Nest for TensorArray {
    fn flatten(&self) -> Vec<Tensor> {
        vec![self.elements]
    }
    fn rebuild(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
        TensorArray { elements: tensors.next().unwrap_or(self.elements), ..*self }
    }
}
