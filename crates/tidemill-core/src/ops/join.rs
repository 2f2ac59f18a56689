//! Putting tensors together and taking them apart.

use smallvec::SmallVec;
use tidemill_tensor::{DType, Dim, PartialShape, Value};

use super::array::insertion_axis;
use super::{Const, Identity, ShapeN};
use crate::autodiff::{GradCx, Gradient, Grads, NoGrad};
use crate::error::{Error, Origin, Result, or_panic};
use crate::graph::OpBuilder;
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType, normalise_axis};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads, ops};

#[cfg(test)]
mod tests;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<ConcatV2>()
        .with::<ConcatOffset>()
        .with::<Pack>()
        .with::<Unpack>()
        .with::<Split>()
        .with::<SplitV>()
}

/// Tensors one after the other along an axis that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct ConcatV2;
attrs!(ConcatV2 {});

impl Op for ConcatV2 {
    const SCHEMA: Schema =
        Schema::new("ConcatV2", "(values: N*T, axis: Tidx) -> (output: T) where Tidx: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let n = cx.len() - 1;
        if n == 0 {
            return Err(Error::invalid("needs at least one tensor"));
        }
        let Some(rank) = (0..n).find_map(|i| cx.shape(i).rank()) else {
            cx.expect_rank(n, 0)?;
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        let axis = cx.axis_argument(n, Some(rank))?;
        let mut across = PartialShape::with_rank(rank);
        for i in 0..n {
            let Some(dims) = cx.shape(i).dims() else { continue };
            // An unknown axis leaves nothing to compare but the ranks.
            let open = |d: usize| axis.is_none() || axis == Some(d);
            let dims: PartialShape =
                dims.iter().enumerate().map(|(d, dim)| dim.filter(|_| !open(d))).collect();
            across = across.merge(&dims).ok_or_else(|| {
                let message = format!("values[{i}] has shape {}, the values before it {across}", cx.shape(i));
                Error::invalid(match axis {
                    Some(axis) => format!("{message}: they may differ along axis {axis} only"),
                    None => message,
                })
            })?;
        }
        let along: Dim = axis.and_then(|axis| (0..n).map(|i| cx.shape(i).dim(axis)).sum());
        let dims = across.dims().into_iter().flatten().enumerate();
        let dims = dims.map(|(d, dim)| if axis == Some(d) { along } else { *dim });
        cx.output(cx.dtype(0), dims.collect::<PartialShape>())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let n = cx.num_inputs() - 1;
        if n == 1 {
            return Ok(grads![cx.dy_as_is(0), NoGrad]);
        }
        let (dy, values) = (cx.dy(0), &cx.xs()[..n]);
        let axis = cx.x(n);
        let axis = if axis.dtype() == DType::I32 { axis } else { ops::cast(axis, DType::I32) };
        let axis = ops::floormod(axis, ops::rank(values[0]));
        let sizes: Vec<Tensor> = if values.iter().all(|x| x.shape().is_fully_known()) {
            values.iter().map(|x| ops::shape(*x)).collect()
        } else {
            cx.graph().op(ShapeN { out_type: DType::I32 }).inputs(values).tensors()
        };
        let mut grads: Grads = if n > MANY {
            let row = stack_sizes("begin", [Extent::Tensor(axis), Extent::Known(0)]);
            let along = cx.graph().op(ops::Slice).input(stack(sizes, 1)).input(row).constant("size", [1, -1]);
            let along = ops::squeeze_axes(along.tensor(), 0);
            let parts = cx.graph().op(SplitV { num_split: n }).name("split");
            parts
                .input(dy)
                .input(along)
                .input(axis)
                .tensors()
                .into_iter()
                .map(|part| Some(part.into()))
                .collect()
        } else {
            let offsets = cx.graph().op(ConcatOffset).input(axis).inputs(&sizes).tensors();
            (0..n).map(|i| cx.wanted(i, || ops::slice(dy, offsets[i], sizes[i]))).collect()
        };
        grads.push(None);
        Ok(grads)
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let n = cx.len() - 1;
        let axis = normalise_axis(cx.known_all(n)?[0], cx.shape(0).rank()?).ok()?;
        let outer = cx.shape(0).dims()?[..axis].iter().copied().product::<Dim>()?;
        interleave((0..n).map(|i| cx.known_elements(i)).collect::<Option<_>>()?, outer)
    }
}

/// With more parts than this the gradient of a concatenation is one split instead of many slices.
const MANY: usize = 16;

/// What is known of a concatenation, where each part consists of `outer` blocks.
fn interleave(parts: Vec<PartialValue>, outer: usize) -> Option<PartialValue> {
    let blocks = |part: &PartialValue, o: usize| -> SmallVec<[Option<i64>; 8]> {
        let block = part.len().checked_div(outer).unwrap_or(0);
        SmallVec::from_slice(&part[o * block..(o + 1) * block])
    };
    let total: usize = parts.iter().map(|part| part.len()).sum();
    (total <= 64)
        .then(|| (0..outer).flat_map(|o| parts.iter().flat_map(move |part| blocks(part, o))).collect())
}

/// Where in their concatenation along `concat_dim` each of several tensors begins, from their shapes.
#[derive(Debug, Clone, PartialEq)]
pub struct ConcatOffset;
attrs!(ConcatOffset {});

impl Op for ConcatOffset {
    const SCHEMA: Schema = Schema::new(
        "ConcatOffset",
        "(concat_dim: i32, shape: N*shape_type) -> (offset: N*shape_type) where shape_type: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 0)?;
        let mut shape = PartialShape::with_rank(1);
        for i in 1..cx.len() {
            shape = shape.merge(cx.shape(i)).ok_or_else(|| {
                let message = format!("shape[{}] must be a vector like the ones before it", i - 1);
                Error::invalid(format!("{message}, {shape}, but its shape is {}", cx.shape(i)))
            })?;
        }
        Ok((1..cx.len()).map(|i| TensorType::new(cx.dtype(i), shape.clone())).collect())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok((0..cx.num_inputs()).map(|_| None).collect())
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let rank = cx.shape(1).dim(0)?;
        let axis = normalise_axis(cx.known_all(0)?[0], rank).ok()?;
        let along = (1..=cx.asked()).map(|i| cx.known(i)?.get(axis).copied()?).sum();
        Some((0..rank).map(|d| if d == axis { along } else { Some(0) }).collect())
    }
}

/// Tensors of one shape side by side along a new axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Pack {
    /// Where the new axis is in the result; negative values count from the end.
    pub axis: i64,
}
attrs!(Pack { axis });

impl Op for Pack {
    const SCHEMA: Schema = Schema::new("Pack", "(values: N*T) -> (output: T) where T: All");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        if cx.is_empty() {
            return Err(Error::invalid("needs at least one tensor"));
        }
        let mut shape = PartialShape::unknown();
        for (i, input) in cx.inputs().iter().enumerate() {
            shape = shape.merge(&input.shape).ok_or_else(|| {
                Error::invalid(format!("values[{i}] has shape {}, the values before it {shape}", input.shape))
                    .with_help("all must have one shape; tf::concat joins along an axis that exists")
            })?;
        }
        let Some(dims) = shape.dims() else { return cx.output(cx.dtype(0), PartialShape::unknown()) };
        let mut dims: SmallVec<[Dim; 4]> = SmallVec::from_slice(dims);
        dims.insert(insertion_axis(self.axis, dims.len())?, Some(cx.len()));
        cx.output(cx.dtype(0), dims.into_iter().collect::<PartialShape>())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let parts = unstack_num(cx.dy(0), cx.num_inputs(), self.axis as i32);
        Ok(parts.into_iter().map(|part| Some(Gradient::from(part))).collect())
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let dims = cx.shape(0).dims()?;
        let outer = dims[..insertion_axis(self.axis, dims.len()).ok()?].iter().copied().product::<Dim>()?;
        interleave((0..cx.len()).map(|i| cx.known_elements(i)).collect::<Option<_>>()?, outer)
    }
}

/// The slices of a tensor along an axis, without that axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Unpack {
    /// How many slices: the size of the axis.
    pub num: usize,
    /// The axis; negative values count from the end.
    pub axis: i64,
}
attrs!(Unpack { num, axis });

impl Op for Unpack {
    const SCHEMA: Schema = Schema::new("Unpack", "(value: T) -> (output: N*T) where T: All");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = match cx.shape(0).dims() {
            None => PartialShape::unknown(),
            Some(dims) => {
                let axis = normalise_axis(self.axis, dims.len())?;
                if let Some(size) = dims[axis].filter(|size| *size != self.num) {
                    return Err(Error::invalid(format!(
                        "num is {}, but axis {axis} of {} has size {size}",
                        self.num,
                        cx.shape(0)
                    )));
                }
                dims.iter().enumerate().filter(|(d, _)| *d != axis).map(|(_, dim)| *dim).collect()
            }
        };
        Ok(vec![TensorType::new(cx.dtype(0), shape); self.num])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let dys: Vec<Tensor> = (0..self.num).map(|i| cx.dy(i)).collect();
        if dys.is_empty() {
            return Ok(grads![NoGrad]);
        }
        Ok(grads![stack(dys, self.axis as i32)])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let dims = cx.shape(0).dims()?;
        let axis = normalise_axis(self.axis, dims.len()).ok()?;
        part(cx, 0, axis, cx.asked(), cx.asked() + 1)
    }
}

/// What is known of indices `from..to` of an axis of operand `i`.
fn part(cx: &InferCx, i: usize, axis: usize, from: usize, to: usize) -> Option<PartialValue> {
    let elements = cx.known_elements(i)?;
    let inner = cx.shape(i).dims()?[axis + 1..].iter().copied().product::<Dim>()?;
    let rows = cx.shape(i).dim(axis)?.checked_mul(inner).filter(|rows| *rows > 0)?;
    elements
        .chunks(rows)
        .map(|block| block.get(from * inner..to * inner))
        .collect::<Option<Vec<_>>>()
        .map(|parts| parts.into_iter().flatten().copied().collect())
}

/// A tensor in equal parts along an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// How many parts.
    pub num_split: usize,
}
attrs!(Split { num_split });

impl Op for Split {
    const SCHEMA: Schema = Schema::new("Split", "(split_dim: i32, value: T) -> (output: N*T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let n = self.num_split;
        if n == 0 {
            return Err(Error::invalid("num_split must be at least 1"));
        }
        let axis = cx.axis_argument(0, cx.shape(1).rank())?;
        let shape = match (cx.shape(1).dims(), axis) {
            (None, _) => PartialShape::unknown(),
            (Some(_), None) if n == 1 => cx.shape(1).clone(),
            (Some(dims), None) => PartialShape::with_rank(dims.len()),
            (Some(dims), Some(axis)) => {
                if let Some(size) = dims[axis].filter(|size| size % n != 0) {
                    return Err(Error::invalid(format!(
                        "axis {axis} of {} has size {size}, which {n} does not divide",
                        cx.shape(1)
                    ))
                    .with_help("parts of different sizes: tf::split_sizes"));
                }
                dims.iter()
                    .enumerate()
                    .map(|(d, dim)| if d == axis { dim.map(|dim| dim / n) } else { *dim })
                    .collect()
            }
        };
        Ok(vec![TensorType::new(cx.dtype(1), shape); n])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, joined(cx, self.num_split, cx.x(0))])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let axis = cx.axis_argument(0, cx.shape(1).rank()).ok()??;
        let size = cx.shape(1).dim(axis)? / self.num_split;
        part(cx, 1, axis, size * cx.asked(), size * (cx.asked() + 1))
    }
}

/// The concatenation of the gradients of all outputs.
fn joined(cx: &GradCx, n: usize, axis: Tensor) -> Tensor {
    let dys: Vec<Tensor> = (0..n).map(|i| cx.dy(i)).collect();
    cx.graph().op(ConcatV2).name("concat").inputs(&dys).input(axis).tensor()
}

/// A tensor in parts of given sizes along an axis. One size may be -1: it is what remains.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitV {
    /// How many parts.
    pub num_split: usize,
}
attrs!(SplitV { num_split });

impl SplitV {
    /// The sizes of the parts of an axis of size `dim`, as far as they are known.
    fn sizes(&self, cx: &InferCx, dim: Dim) -> Result<SmallVec<[Dim; 8]>> {
        let Some(sizes) = cx.known(1) else { return Ok(SmallVec::from_elem(None, self.num_split)) };
        if let Some(size) = sizes.iter().flatten().find(|size| **size < -1) {
            return Err(Error::invalid(format!("size {size} in size_splits is negative")));
        }
        let rest = sizes.iter().filter(|size| **size == Some(-1)).count();
        let known: i64 = sizes.iter().flatten().filter(|size| **size >= 0).sum();
        let all_known = !sizes.contains(&None);
        let wrong = |dim: usize| {
            let sizes: Vec<i64> = sizes.iter().flatten().copied().collect();
            Error::invalid(format!("size_splits {sizes:?} do not add up to the size of the axis, {dim}"))
        };
        match dim {
            _ if rest > 1 => Err(Error::invalid("only one of size_splits may be -1")),
            Some(dim) if known > dim as i64 => Err(wrong(dim)),
            Some(dim) if all_known && rest == 0 && known != dim as i64 => Err(wrong(dim)),
            dim => Ok(sizes
                .iter()
                .map(|size| match size {
                    Some(-1) if all_known => dim.map(|dim| dim - known as usize),
                    Some(-1) | None => None,
                    Some(size) => Some(*size as usize),
                })
                .collect()),
        }
    }
}

impl Op for SplitV {
    const SCHEMA: Schema = Schema::new(
        "SplitV",
        "(value: T, size_splits: Tlen, split_dim: i32) -> (output: N*T) where Tlen: i8|i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        if self.num_split == 0 {
            return Err(Error::invalid("num_split must be at least 1"));
        }
        if let Some(n) = cx.shape(1).dim(0).filter(|n| *n != self.num_split) {
            return Err(Error::invalid(format!(
                "size_splits has {n} sizes, but num_split is {}",
                self.num_split
            )));
        }
        let axis = cx.axis_argument(2, cx.shape(0).rank())?;
        let output = |shape| TensorType::new(cx.dtype(0), shape);
        let (Some(dims), Some(axis)) = (cx.shape(0).dims(), axis) else {
            let shape = cx.shape(0).rank().map_or(PartialShape::unknown(), PartialShape::with_rank);
            return Ok(vec![output(shape); self.num_split]);
        };
        let sizes = self.sizes(cx, dims[axis])?;
        let part = |size: &Dim| {
            dims.iter().enumerate().map(|(d, dim)| if d == axis { *size } else { *dim }).collect()
        };
        Ok(sizes.iter().map(|size| output(part(size))).collect())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![joined(cx, self.num_split, cx.x(2)), NoGrad, NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let axis = cx.axis_argument(2, cx.shape(0).rank()).ok()??;
        let sizes = self.sizes(cx, cx.shape(0).dim(axis)).ok()?;
        let from = sizes.get(..cx.asked())?.iter().copied().sum::<Dim>()?;
        part(cx, 0, axis, from, from + (*sizes.get(cx.asked())?)?)
    }
}

/// Tensors one after the other along `axis` (negative: from the end). All other sizes must agree. TensorFlow: `tf.concat`.
///
/// # Panics
/// When the shapes do not fit, or the list is empty.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let a = g.placeholder(DType::F32, [200, 10]);
/// let b = g.placeholder(DType::F32, [200, 4]);
/// assert_eq!(ops::concat([a, b], 1).ty().to_string(), "f32[200,14]");
/// ```
#[track_caller]
pub fn concat<I: IntoIterator<Item: Into<Tensor>>>(values: I, axis: i32) -> Tensor {
    let (graph, values) = super::list(values);
    if let [value] = values[..] {
        if let Some(rank) = value.shape().rank() {
            or_panic(normalise_axis(axis.into(), rank).map_err(|e| e.with_node("ConcatV2", "concat")));
        }
        return graph.op(Identity {}).name("concat").input(value).tensor();
    }
    graph.op(ConcatV2).name("concat").inputs(&values).constant("axis", axis).tensor()
}

/// Tensors of one shape side by side along a new axis (negative: from the end of the result).
/// TensorFlow: `tf.stack`.
///
/// # Panics
/// When the shapes differ, the axis is out of range, or the list is empty.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let a = g.placeholder(DType::F32, [2, 3]);
/// let b = g.placeholder(DType::F32, [2, 3]);
/// assert_eq!(ops::stack([a, b], 0).ty().to_string(), "f32[2,2,3]");
/// assert_eq!(ops::stack([a, b, a], -1).ty().to_string(), "f32[2,3,3]");
/// ```
#[track_caller]
pub fn stack<I: IntoIterator<Item: Into<Tensor>>>(values: I, axis: i32) -> Tensor {
    let (graph, values) = super::list(values);
    graph.op(Pack { axis: axis.into() }).name("stack").inputs(&values).tensor()
}

/// One size of a shape that is put together by [`stack_sizes`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent {
    /// Known.
    Known(i64),
    /// A scalar of the graph.
    Tensor(Tensor),
}

/// An integer vector of numbers of which at least one is a tensor; the others become constants of its dtype.
#[track_caller]
pub(crate) fn stack_sizes<const N: usize>(name: &str, sizes: [Extent; N]) -> Tensor {
    const PLACES: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];
    let like = sizes.iter().find_map(|size| match size {
        Extent::Tensor(t) => Some(*t),
        Extent::Known(_) => None,
    });
    let Some(like) = like else { or_panic(Err(Error::internal("a shape without a tensor in it"))) };
    let dtype = like.dtype();
    let builder = like.graph().op(Pack { axis: 0 }).name(name);
    let add = |builder: OpBuilder, (place, size): (&'static str, Extent)| match size {
        Extent::Known(size) => builder.constant(place, Value::scalar(size).cast(dtype)),
        Extent::Tensor(t) => builder.input(t),
    };
    PLACES.into_iter().zip(sizes).fold(builder, add).tensor()
}

/// The slices of `x` along `axis` (negative: from the end), each without that axis: the inverse of [`stack`].
/// TensorFlow: `tf.unstack`.
///
/// # Panics
/// When the size of the axis is unknown: use [`unstack_num`].
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [200, 5, 2]);
/// let steps = ops::unstack(x, 1);
/// assert_eq!(steps.len(), 5);
/// assert_eq!(steps[0].ty().to_string(), "f32[200,2]");
/// ```
#[track_caller]
pub fn unstack(x: impl Into<Tensor>, axis: i32) -> Vec<Tensor> {
    let x = x.into();
    let shape = x.shape();
    let size =
        shape.rank().map(|rank| normalise_axis(axis.into(), rank).map(|axis| shape.dim(axis))).transpose();
    let size = or_panic(size.map_err(|e| e.with_node("Unpack", "unstack").with_origin(Origin::here())));
    let Some(num) = size.flatten() else {
        let unknown =
            format!("the size of axis {axis} of {x:?} is not known, so the number of parts is not either");
        or_panic(Err(Error::invalid(unknown)
            .with_node("Unpack", "unstack")
            .with_origin(Origin::here())
            .with_help("use tf::unstack_num(x, num, axis) if you know it")))
    };
    unstack_num(x, num, axis)
}

/// [`unstack`] into `num` slices, for an axis whose size is not known when the graph is built.
#[track_caller]
pub fn unstack_num(x: impl Into<Tensor>, num: usize, axis: i32) -> Vec<Tensor> {
    let x = x.into();
    x.graph().op(Unpack { num, axis: axis.into() }).name("unstack").input(x).tensors()
}

/// `x` in `num` equal parts along `axis` (negative: from the end). TensorFlow: `tf.split`.
///
/// # Panics
/// When `num` does not divide the size of the axis.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let gates = g.placeholder(DType::F32, [200, 16]);
/// let parts = ops::split(gates, 4, 1);
/// assert_eq!(parts[3].ty().to_string(), "f32[200,4]");
/// ```
#[track_caller]
pub fn split(x: impl Into<Tensor>, num: usize, axis: i32) -> Vec<Tensor> {
    let x = x.into();
    x.graph().op(Split { num_split: num }).name("split").constant("split_dim", axis).input(x).tensors()
}

/// `x` in parts of these sizes along `axis`; one size may be -1 ("what remains"). TensorFlow: `tf.split(x, sizes)`.
///
/// # Panics
/// When the sizes do not add up to that of the axis.
#[track_caller]
pub fn split_sizes(x: impl Into<Tensor>, sizes: &[i32], axis: i32) -> Vec<Tensor> {
    let x = x.into();
    let graph = x.graph();
    let split = graph.op(SplitV { num_split: sizes.len() }).name("split").input(x);
    let sizes = graph.op(Const { value: Value::from(sizes.to_vec()) }).tensor();
    split.input(sizes).constant("split_dim", axis).tensors()
}
