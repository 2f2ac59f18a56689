//! Shapes as tensors, and the same elements in another shape or order.

use smallvec::SmallVec;
use tidemill_tensor::{DType, Dim, PartialShape, Value};

use super::broadcast::unbroadcast_from;
use super::{Const, shape_operand, unary};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Origin, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType, normalise_axis};
use crate::op::{Op, OpSet};
use crate::operand::{Axes, ShapeArg};
use crate::schema::Schema;
use crate::{attrs, grads, ops};

#[cfg(test)]
mod tests;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Shape>()
        .with::<ShapeN>()
        .with::<Size>()
        .with::<Rank>()
        .with::<EnsureShape>()
        .with::<Reshape>()
        .with::<ExpandDims>()
        .with::<Squeeze>()
        .with::<Transpose>()
        .with::<ConjugateTranspose>()
        .with::<InvertPermutation>()
        .with::<ReverseV2>()
        .with::<BroadcastTo>()
}

/// The sizes of the operand, as a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// `i32` or `i64`.
    pub out_type: DType,
}
attrs!(Shape { out_type });

impl Op for Shape {
    const SCHEMA: Schema = Schema::new("Shape", "(input: T) -> (output: out_type) where out_type: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(index_type(self.out_type)?, [cx.shape(0).rank()])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        Some(sizes(cx.shape(0).dims()?))
    }
}

/// The sizes of each operand, as vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct ShapeN {
    /// `i32` or `i64`.
    pub out_type: DType,
}
attrs!(ShapeN { out_type });

impl Op for ShapeN {
    const SCHEMA: Schema =
        Schema::new("ShapeN", "(input: N*T) -> (output: N*out_type) where out_type: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let out_type = index_type(self.out_type)?;
        Ok(cx.inputs().iter().map(|input| TensorType::new(out_type, [input.shape.rank()])).collect())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok((0..cx.num_inputs()).map(|_| None).collect())
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        Some(sizes(cx.inputs().get(cx.asked())?.shape.dims()?))
    }
}

fn sizes(dims: &[Dim]) -> PartialValue {
    dims.iter().map(|dim| dim.map(|dim| dim as i64)).collect()
}

fn index_type(out_type: DType) -> Result<DType> {
    if matches!(out_type, DType::I32 | DType::I64) {
        Ok(out_type)
    } else {
        Err(Error::invalid(format!("out_type must be i32 or i64, not {out_type}")))
    }
}

/// How many elements the operand has.
#[derive(Debug, Clone, PartialEq)]
pub struct Size {
    /// `i32` or `i64`.
    pub out_type: DType,
}
attrs!(Size { out_type });

impl Op for Size {
    const SCHEMA: Schema = Schema::new("Size", "(input: T) -> (output: out_type) where out_type: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(index_type(self.out_type)?, ())
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        Some(PartialValue::from_slice(&[Some(element_count(cx.shape(0))? as i64)]))
    }
}

/// How many axes the operand has.
#[derive(Debug, Clone, PartialEq)]
pub struct Rank;
attrs!(Rank {});

impl Op for Rank {
    const SCHEMA: Schema = Schema::new("Rank", "(input: T) -> (output: i32)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(DType::I32, ())
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        Some(PartialValue::from_slice(&[Some(cx.shape(0).rank()? as i64)]))
    }
}

/// The operand, whose shape is checked when it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct EnsureShape {
    /// What the shape must agree with.
    pub shape: PartialShape,
}
attrs!(EnsureShape { shape });

impl Op for EnsureShape {
    const SCHEMA: Schema = Schema::new("EnsureShape", "(input: T) -> (output: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = cx.shape(0).merge(&self.shape).ok_or_else(|| {
            Error::invalid(format!("the input has shape {}, which is not {}", cx.shape(0), self.shape))
        })?;
        cx.output(cx.dtype(0), shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.dy_as_is(0)])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        cx.known_elements(0)
    }
}

/// The same elements, row by row, in another shape. One size may be -1: it is what remains.
#[derive(Debug, Clone, PartialEq)]
pub struct Reshape;
attrs!(Reshape {});

impl Op for Reshape {
    const SCHEMA: Schema =
        Schema::new("Reshape", "(tensor: T, shape: Tshape) -> (output: T) where Tshape: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let target = cx.shape_argument(1)?;
        let Some(dims) = target.dims() else { return cx.output(cx.dtype(0), PartialShape::unknown()) };
        let wildcards = cx.known(1).map_or(0, |sizes| sizes.iter().filter(|size| **size == Some(-1)).count());
        if wildcards > 1 {
            return Err(Error::invalid(format!("only one size may be -1, not {wildcards}")));
        }
        let shape = cx.shape(0);
        let cannot = |have: usize, want: usize| {
            Error::invalid(format!(
                "cannot reshape {shape} ({have} elements) to {target}, which takes {want}"
            ))
        };
        let Some(known) = known_product(dims) else {
            return Err(Error::invalid(format!("{target} has too many elements")));
        };
        let open: SmallVec<[usize; 4]> = (0..dims.len()).filter(|i| dims[*i].is_none()).collect();
        let mut dims: SmallVec<[Dim; 4]> = SmallVec::from_slice(dims);
        match (element_count(shape), &open[..]) {
            (Some(count), []) if count != known => return Err(cannot(count, known)),
            // Of an empty tensor, -1 is what remains when its own zeros and those of the target are left out, rounded down.
            (Some(0), [axis]) if known == 0 && wildcards == 1 => {
                let without_zeros =
                    |dims: &[Dim]| dims.iter().flatten().filter(|n| **n > 0).product::<usize>();
                if let Some(have) = shape.dims().filter(|_| shape.is_fully_known()) {
                    dims[*axis] = Some(without_zeros(have) / without_zeros(&dims));
                }
            }
            (Some(count), [_]) if known == 0 && wildcards == 1 => return Err(cannot(count, 0)),
            (Some(count), [axis]) if known > 0 => {
                if count % known != 0 {
                    let message = format!("cannot reshape {shape} ({count} elements) to {target}: ");
                    return Err(Error::invalid(format!("{message}{known} does not divide {count}")));
                }
                dims[*axis] = Some(count / known);
            }
            (None, []) => {
                if let Some(part) = shape.dims().and_then(known_product)
                    && part > 0
                    && known % part != 0
                {
                    return Err(Error::invalid(format!(
                        "cannot reshape {shape} (a multiple of {part} elements) to {target}, which takes {known}"
                    )));
                }
            }
            _ => {}
        }
        cx.output(cx.dtype(0), dims.into_iter().collect::<PartialShape>())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let x = cx.x(0).shape();
        let dims = x.dims().unwrap_or_default();
        let open = dims.iter().filter(|dim| dim.is_none()).count();
        if open == 1 && !dims.contains(&Some(0)) {
            // A wildcard spares the gradient from having to wait for the forward operand's shape.
            let dims: Vec<i64> = dims.iter().map(|dim| dim.map_or(-1, |dim| dim as i64)).collect();
            return Ok(grads![reshape(cx.dy(0), dims), NoGrad]);
        }
        Ok(grads![reshape_as(cx.dy(0), cx.x(0)), NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        cx.known_elements(0)
    }
}

/// The number of elements, also where one size is 0 and another unknown.
fn element_count(shape: &PartialShape) -> Option<usize> {
    let dims = shape.dims()?;
    if dims.contains(&Some(0)) { Some(0) } else { shape.num_elements() }
}

/// The product of the sizes that are known; `None` when it overflows.
fn known_product(dims: &[Dim]) -> Option<usize> {
    dims.iter().flatten().try_fold(1usize, |product, dim| product.checked_mul(*dim))
}

/// The operand with an axis of size 1 inserted before axis `dim`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpandDims;
attrs!(ExpandDims {});

impl Op for ExpandDims {
    const SCHEMA: Schema =
        Schema::new("ExpandDims", "(input: T, dim: Tdim) -> (output: T) where Tdim: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        if cx.shape(1).num_elements().is_some_and(|n| n != 1) {
            return Err(Error::invalid(format!(
                "dim must be a single number, but its shape is {}",
                cx.shape(1)
            )));
        }
        let Some(dims) = cx.shape(0).dims() else { return cx.output(cx.dtype(0), PartialShape::unknown()) };
        let Some(axis) = cx.known_all(1) else {
            return cx.output(cx.dtype(0), PartialShape::with_rank(dims.len() + 1));
        };
        let mut dims: SmallVec<[Dim; 4]> = SmallVec::from_slice(dims);
        dims.insert(insertion_axis(axis[0], dims.len())?, Some(1));
        cx.output(cx.dtype(0), dims.into_iter().collect::<PartialShape>())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![reshape_as(cx.dy(0), cx.x(0)), NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        cx.known_elements(0)
    }
}

/// Where a new axis goes in a tensor of the given rank, counted from either end of the result.
pub(super) fn insertion_axis(axis: i64, rank: usize) -> Result<usize> {
    normalise_axis(axis, rank + 1).map_err(|_| {
        let range = format!("-{} to {rank}", rank + 1);
        Error::invalid(format!(
            "axis {axis} is out of range: a tensor of rank {rank} takes a new one at {range}"
        ))
    })
}

/// The operand without axes of size 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Squeeze {
    /// The axes to drop; all of size 1 if empty.
    pub squeeze_dims: Vec<i64>,
}
attrs!(Squeeze { squeeze_dims });

impl Op for Squeeze {
    const SCHEMA: Schema = Schema::new("Squeeze", "(input: T) -> (output: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let Some(dims) = cx.shape(0).dims() else { return cx.output(cx.dtype(0), PartialShape::unknown()) };
        let mut dropped: SmallVec<[bool; 8]> = SmallVec::from_elem(false, dims.len());
        for &axis in &self.squeeze_dims {
            let axis = normalise_axis(axis, dims.len())?;
            if let Some(size) = dims[axis].filter(|size| *size != 1) {
                let shape = cx.shape(0);
                return Err(Error::invalid(format!(
                    "axis {axis} of {shape} has size {size}, and only 1 can be dropped"
                )));
            }
            dropped[axis] = true;
        }
        if self.squeeze_dims.is_empty() {
            if dims.contains(&None) {
                // Whether an axis goes is not known, so the rank is not either.
                return cx.output(cx.dtype(0), PartialShape::unknown());
            }
            dropped.iter_mut().zip(dims).for_each(|(dropped, dim)| *dropped = *dim == Some(1));
        }
        let kept = dims.iter().zip(&dropped).filter(|(_, dropped)| !**dropped).map(|(dim, _)| *dim);
        cx.output(cx.dtype(0), kept.collect::<PartialShape>())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![reshape_as(cx.dy(0), cx.x(0))])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        cx.known_elements(0)
    }
}

/// The operand with its axes in another order: axis `i` of the result is axis `perm[i]` of the operand.
#[derive(Debug, Clone, PartialEq)]
pub struct Transpose;
attrs!(Transpose {});

impl Op for Transpose {
    const SCHEMA: Schema = Schema::new("Transpose", "(x: T, perm: Tperm) -> (y: T) where Tperm: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        let rank = match (cx.shape(0).rank(), cx.shape(1).dim(0)) {
            (Some(rank), Some(n)) if rank != n => {
                return Err(Error::invalid(format!("perm names {n} axes, but x has shape {}", cx.shape(0))));
            }
            (Some(rank), _) | (None, Some(rank)) => rank,
            (None, None) => return cx.output(cx.dtype(0), PartialShape::unknown()),
        };
        if rank <= 1 {
            let shape = cx.shape(0).merge(&PartialShape::with_rank(rank)).unwrap_or_default();
            permutation(cx, rank)?;
            return cx.output(cx.dtype(0), shape);
        }
        let Some(perm) = permutation(cx, rank)? else {
            return cx.output(cx.dtype(0), PartialShape::with_rank(rank));
        };
        cx.output(cx.dtype(0), perm.iter().map(|axis| cx.shape(0).dim(*axis)).collect::<PartialShape>())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let dy = cx.dy(0);
        let back = invert_permutation(cx.x(1));
        Ok(grads![cx.graph().op(Transpose).name("transpose").input(dy).input(back).tensor(), NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let shape = cx.shape(0).as_known()?;
        let perm = permutation(cx, shape.rank()).ok()??;
        let from = shape.strides();
        let to: tidemill_tensor::Shape = perm.iter().map(|axis| shape.dims()[*axis]).collect();
        let elements = cx.known_elements(0)?;
        let source = |i: usize| -> usize {
            let strides = to.strides();
            (0..perm.len()).map(|axis| i / strides[axis] % to.dims()[axis] * from[perm[axis]]).sum()
        };
        (0..elements.len()).map(|i| elements.get(source(i)).copied()).collect()
    }
}

/// Operand 1 as a permutation of `rank` axes, if it is known.
fn permutation(cx: &InferCx, rank: usize) -> Result<Option<SmallVec<[usize; 4]>>> {
    let Some(perm) = cx.known_all(1) else { return Ok(None) };
    let mut seen = SmallVec::<[bool; 8]>::from_elem(false, rank);
    let mut axes = SmallVec::new();
    for &axis in &perm {
        let axis = normalise_axis(axis, rank)?;
        if std::mem::replace(&mut seen[axis], true) {
            return Err(Error::invalid(format!("perm {:?} names axis {axis} twice", &perm[..])));
        }
        axes.push(axis);
    }
    Ok(Some(axes))
}

/// `y[x[i]] = i`: the permutation that undoes `x`.
#[derive(Debug, Clone, PartialEq)]
pub struct InvertPermutation;
attrs!(InvertPermutation {});

impl Op for InvertPermutation {
    const SCHEMA: Schema = Schema::new("InvertPermutation", "(x: T) -> (y: T) where T: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 1)?;
        if let Some(x) = cx.known_all(0)
            && inverse(&x).is_none()
        {
            return Err(Error::invalid(format!("{:?} is no permutation of 0..{}", &x[..], x.len())));
        }
        let n = cx.shape(0).dim(0);
        cx.output(cx.dtype(0), [n])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        Some(inverse(&cx.known_all(0)?)?.iter().map(|i| Some(*i)).collect())
    }
}

fn inverse(x: &[i64]) -> Option<SmallVec<[i64; 8]>> {
    let mut y = SmallVec::from_elem(-1, x.len());
    for (i, &at) in x.iter().enumerate() {
        let at = y.get_mut(usize::try_from(at).ok()?).filter(|at| **at < 0)?;
        *at = i as i64;
    }
    Some(y)
}

/// The operand with the order of its elements reversed along some axes.
#[derive(Debug, Clone, PartialEq)]
pub struct ReverseV2;
attrs!(ReverseV2 {});

impl Op for ReverseV2 {
    const SCHEMA: Schema =
        Schema::new("ReverseV2", "(tensor: T, axis: Tidx) -> (output: T) where Tidx: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        if let (Some(axes), Some(rank)) = (cx.known_all(1), cx.shape(0).rank()) {
            let mut seen = SmallVec::<[bool; 8]>::from_elem(false, rank);
            for axis in axes {
                if std::mem::replace(&mut seen[normalise_axis(axis, rank)?], true) {
                    return Err(Error::invalid(format!("axis {axis} is named twice")));
                }
            }
        }
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(ReverseV2, &[cx.dy(0), cx.x(1)]), NoGrad])
    }
}

/// The operand repeated along new leading axes and axes of size 1, as arithmetic would repeat it.
#[derive(Debug, Clone, PartialEq)]
pub struct BroadcastTo;
attrs!(BroadcastTo {});

impl Op for BroadcastTo {
    const SCHEMA: Schema =
        Schema::new("BroadcastTo", "(input: T, shape: Tidx) -> (output: T) where Tidx: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let target = cx.shape_argument(1)?;
        let (Some(from), Some(to)) = (cx.shape(0).dims(), target.dims()) else {
            return cx.output(cx.dtype(0), target);
        };
        let fits = |(from, to): (&Dim, &Dim)| from.zip(*to).is_none_or(|(from, to)| from == 1 || from == to);
        if from.len() > to.len() || !from.iter().rev().zip(to.iter().rev()).all(fits) {
            return Err(Error::invalid(format!("shape {} does not broadcast to {target}", cx.shape(0))));
        }
        cx.output(cx.dtype(0), target)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![unbroadcast_from(cx.dy(0), cx.x(0), cx.y(0)), NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let (from, to) = (cx.known_elements(0)?, cx.shape_argument(1).ok()?.num_elements()?);
        match &from[..] {
            [one] if to <= 64 => Some(PartialValue::from_elem(*one, to)),
            _ => None,
        }
    }
}

/// The sizes of `x` as an `i32` vector; a constant when all of them are known. TensorFlow: `tf.shape`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(3)]);
/// let n = ops::index(ops::shape(x), 0);
/// assert_eq!(n.ty().to_string(), "i32[]");
/// // What is built from it is known as far as it can be.
/// assert_eq!(ops::reshape(x, ops::shape(x)).ty().to_string(), "f32[?,3]");
/// ```
#[track_caller]
pub fn shape(x: impl Into<Tensor>) -> Tensor {
    shape_typed(x, DType::I32)
}

/// [`shape`] as `i32` or `i64`.
///
/// # Panics
/// For any other dtype.
#[track_caller]
pub fn shape_typed(x: impl Into<Tensor>, out_type: DType) -> Tensor {
    let x = x.into();
    match x.shape().as_known() {
        Some(shape) if index_type(out_type).is_ok() => {
            let sizes: Vec<i64> = shape.dims().iter().map(|dim| *dim as i64).collect();
            known(x, "Shape", Value::from(sizes), out_type)
        }
        _ => x.graph().op(Shape { out_type }).input(x).tensor(),
    }
}

/// The number of elements of `x`, an `i32` scalar; a constant when it is known. TensorFlow: `tf.size`.
#[track_caller]
pub fn size(x: impl Into<Tensor>) -> Tensor {
    let x = x.into();
    match x.shape().num_elements() {
        Some(count) => known(x, "Size", Value::scalar(count as i64), DType::I32),
        None => unary(Size { out_type: DType::I32 }, "Size", x),
    }
}

/// The number of axes of `x`, an `i32` scalar; a constant when it is known. TensorFlow: `tf.rank`.
#[track_caller]
pub fn rank(x: impl Into<Tensor>) -> Tensor {
    let x = x.into();
    match x.shape().rank() {
        Some(rank) => known(x, "Rank", Value::scalar(rank as i32), DType::I32),
        None => unary(Rank, "Rank", x),
    }
}

#[track_caller]
fn known(of: Tensor, name: &str, value: Value, dtype: DType) -> Tensor {
    of.graph().op(Const { value: value.cast(dtype) }).name(name).tensor()
}

/// `x`, which is known to have this shape from here on; a run in which it has another fails. TensorFlow: `tf.ensure_shape`.
///
/// # Panics
/// When what is known of the shape contradicts it.
#[track_caller]
pub fn ensure_shape(x: impl Into<Tensor>, shape: impl Into<PartialShape>) -> Tensor {
    unary(EnsureShape { shape: shape.into() }, "EnsureShape", x)
}

/// The elements of `x`, row by row, in another shape: known sizes, one of which may be -1 ("what remains"), or an integer
/// vector. TensorFlow: `tf.reshape`.
///
/// # Panics
/// When the numbers of elements are known and differ.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [200, 5, 4]);
/// assert_eq!(ops::reshape(x, [-1, 4]).ty().to_string(), "f32[1000,4]");
/// ```
#[track_caller]
pub fn reshape(x: impl Into<Tensor>, shape: impl Into<ShapeArg>) -> Tensor {
    let x = x.into();
    shape_operand(x.graph().op(Reshape).input(x), "shape", shape).tensor()
}

/// `dy` in the shape of `x`.
#[track_caller]
pub(super) fn reshape_as(dy: Tensor, x: Tensor) -> Tensor {
    reshape(dy, shape(x))
}

/// `x` with an axis of size 1 inserted before `axis`; negative values count from the end of the result.
/// TensorFlow: `tf.expand_dims`.
///
/// # Panics
/// When the axis is out of range.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2, 3]);
/// assert_eq!(ops::expand_dims(x, 1).ty().to_string(), "f32[2,1,3]");
/// assert_eq!(ops::expand_dims(x, -1).ty().to_string(), "f32[2,3,1]");
/// ```
#[track_caller]
pub fn expand_dims(x: impl Into<Tensor>, axis: i32) -> Tensor {
    let x = x.into();
    x.graph().op(ExpandDims).input(x).constant("dim", axis).tensor()
}

/// `x` without its axes of size 1. TensorFlow: `tf.squeeze`.
///
/// Of a tensor with unknown sizes not even the resulting rank is known: use [`squeeze_axes`].
#[track_caller]
pub fn squeeze(x: impl Into<Tensor>) -> Tensor {
    unary(Squeeze { squeeze_dims: vec![] }, "Squeeze", x)
}

/// `x` without these axes, which must have size 1. TensorFlow: `tf.squeeze(x, axis)`.
///
/// # Panics
/// When an axis is out of range or has another size.
#[track_caller]
pub fn squeeze_axes(x: impl Into<Tensor>, axes: impl Into<Axes>) -> Tensor {
    let squeeze_dims = axes.into().0.iter().map(|axis| i64::from(*axis)).collect();
    unary(Squeeze { squeeze_dims }, "Squeeze", x)
}

/// `x` with its axes in reverse order: the transpose of a matrix. TensorFlow: `tf.transpose`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2, 3, 4]);
/// assert_eq!(ops::transpose(x).ty().to_string(), "f32[4,3,2]");
/// assert_eq!(ops::transpose_perm(x, [1, 0, 2]).ty().to_string(), "f32[3,2,4]");
/// ```
#[track_caller]
pub fn transpose(x: impl Into<Tensor>) -> Tensor {
    let x = x.into();
    if let Some(rank) = x.shape().rank() {
        return transpose_perm(x, (0..rank as i32).rev().collect::<Vec<_>>());
    }
    let graph = x.graph();
    or_panic(graph.with_origin(Origin::here(), || {
        graph.name_scope("transpose").enter(|| {
            let last = ops::sub(rank(x), 1);
            let perm = graph.op(ops::Range).input(last).constant("limit", -1).constant("delta", -1);
            let perm = perm.name("Range").tensor();
            let name = format!("{}/", graph.current_name_scope());
            Ok(graph.op(Transpose).name(name).input(x).input(perm).try_build()?.output(0))
        })
    }))
}

/// `x` with its axes in another order: axis `i` of the result is axis `perm[i]` of `x`. TensorFlow: `tf.transpose(x, perm)`.
///
/// # Panics
/// When `perm` does not name each axis once.
#[track_caller]
pub fn transpose_perm(x: impl Into<Tensor>, perm: impl Into<Axes>) -> Tensor {
    let x = x.into();
    x.graph().op(Transpose).name("transpose").input(x).constant("perm", perm.into().0).tensor()
}

/// [`Transpose`] of the conjugates.
#[derive(Debug, Clone, PartialEq)]
pub struct ConjugateTranspose;
attrs!(ConjugateTranspose {});

impl Op for ConjugateTranspose {
    const SCHEMA: Schema =
        Schema::new("ConjugateTranspose", "(x: T, perm: Tperm) -> (y: T) where Tperm: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Op::infer(&Transpose, cx)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let back = invert_permutation(cx.x(1));
        Ok(grads![cx.graph().add(ConjugateTranspose, &[cx.dy(0), back]), NoGrad])
    }
}

/// `x` with its last two axes exchanged. TensorFlow: `tf.matrix_transpose`.
///
/// # Panics
/// When the rank of `x` is unknown or below 2.
#[track_caller]
pub fn matrix_transpose(x: impl Into<Tensor>) -> Tensor {
    let x = x.into();
    let mut perm: Vec<i32> = match x.shape().rank() {
        Some(rank) if rank >= 2 => (0..rank as i32).collect(),
        _ => {
            or_panic(Err(Error::invalid(format!("matrix_transpose needs a known rank of at least 2: {x:?}"))))
        }
    };
    let rank = perm.len();
    perm.swap(rank - 2, rank - 1);
    let graph = x.graph();
    let origin = Origin::here();
    graph.with_origin(origin, || graph.name_scope("matrix_transpose").enter(|| transpose_perm(x, perm)))
}

/// The permutation that undoes `x`, an integer vector that holds each of `0..n` once: `y[x[i]] = i`.
/// TensorFlow: `tf.invert_permutation`.
#[track_caller]
pub fn invert_permutation(x: impl Into<Tensor>) -> Tensor {
    unary(InvertPermutation, "InvertPermutation", x)
}

/// `x` with the order of its elements reversed along `axes`. TensorFlow: `tf.reverse`.
///
/// # Panics
/// When an axis is out of range or named twice.
#[track_caller]
pub fn reverse(x: impl Into<Tensor>, axes: impl Into<Axes>) -> Tensor {
    let x = x.into();
    x.graph().op(ReverseV2).input(x).constant("axis", axes.into().0).tensor()
}

/// `x` repeated to `shape`, along new leading axes and axes of size 1. TensorFlow: `tf.broadcast_to`.
///
/// # Panics
/// When `x` does not broadcast to the shape.
#[track_caller]
pub fn broadcast_to(x: impl Into<Tensor>, shape: impl Into<ShapeArg>) -> Tensor {
    let x = x.into();
    shape_operand(x.graph().op(BroadcastTo).input(x), "shape", shape).tensor()
}
