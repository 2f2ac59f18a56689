//! Parts of tensors by index: gathering, scattering, one-hot vectors, segment sums.

use smallvec::SmallVec;
use tidemill_tensor::{DType, Dim, PartialShape};

use super::resolved;
use crate::autodiff::{GradCx, Grads, IndexedSlices, NoGrad};
use crate::error::{Error, Origin, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType, normalise_axis};
use crate::op::{Op, OpSet};
use crate::operand::{Operand, Resolved, ShapeArg};
use crate::schema::Schema;
use crate::{attrs, grads, ops};

#[cfg(test)]
mod tests;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<GatherV2>().with::<GatherNd>().with::<ScatterNd>().with::<OneHot>()
}

/// `output[b..., o..., i..., r...] = params[b..., o..., indices[b..., i...], r...]`, where `b` runs over the first
/// `batch_dims` axes and `o` over the other axes before `axis`.
#[derive(Debug, Clone, PartialEq)]
pub struct GatherV2 {
    /// How many leading axes `params` and `indices` share; negative values count from the rank of `indices`.
    pub batch_dims: i64,
}
attrs!(GatherV2 { batch_dims });

impl GatherV2 {
    /// `batch_dims` as a number of axes, if the rank of `indices` is known or not needed.
    fn batch_axes(&self, indices: &PartialShape) -> Result<Option<usize>> {
        let at = match indices.rank() {
            Some(rank) if self.batch_dims < 0 => self.batch_dims + rank as i64,
            None if self.batch_dims < 0 => return Ok(None),
            _ => self.batch_dims,
        };
        match usize::try_from(at) {
            Ok(at) if indices.rank().is_none_or(|rank| at <= rank) => Ok(Some(at)),
            _ => Err(Error::invalid(format!(
                "batch_dims {} is out of range for indices {indices}",
                self.batch_dims
            ))),
        }
    }
}

impl Op for GatherV2 {
    const SCHEMA: Schema = Schema::new(
        "GatherV2",
        "(params: Tparams, indices: Tindices, axis: Taxis) -> (output: Tparams) \
         where Tindices: i16|i32|i64, Taxis: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let (params, indices) = (cx.shape(0), cx.shape(1));
        let batch = self.batch_axes(indices)?;
        if params.rank() == Some(0) {
            return Err(Error::invalid("params must not be a scalar"));
        }
        let axis = cx.axis_argument(2, params.rank())?;
        if let (Some(batch), Some(axis)) = (batch, axis)
            && batch > axis
        {
            return Err(Error::invalid(format!("batch_dims {batch} must not exceed axis {axis}")));
        }
        if let (Some(axis), Some(known)) = (axis, cx.known_elements(1))
            && let Some(dim) = params.dim(axis)
        {
            check_indices(&known, dim)?;
        }
        let (Some(params), Some(indices), Some(batch)) = (params.dims(), indices.dims(), batch) else {
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        let Some(axis) = axis else {
            let rank = (params.len() + indices.len()).saturating_sub(1 + batch);
            return cx.output(cx.dtype(0), PartialShape::with_rank(rank));
        };
        let shared: PartialShape = params[..batch].into();
        let shared = shared.merge(&indices[..batch].into()).ok_or_else(|| {
            Error::invalid(format!(
                "the first {batch} axes of params {} and indices {} differ",
                cx.shape(0),
                cx.shape(1)
            ))
        })?;
        let parts = [&params[batch..axis], &indices[batch..], &params[axis + 1..]];
        cx.output(cx.dtype(0), parts.into_iter().fold(shared, |shape, part| shape.concatenate(&part.into())))
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        if !cx.needs(0) {
            return Ok(grads![NoGrad, NoGrad, NoGrad]);
        }
        let axis = cx.graph().known_value(cx.x(2).output()).and_then(|axis| axis.first().copied().flatten());
        if axis == Some(0) {
            return Ok(grads![rows_grad(cx), NoGrad, NoGrad]);
        }
        let rank = cx.x(0).shape().rank();
        let axis = match (axis, rank) {
            (Some(axis), Some(rank)) => normalise_axis(axis, rank)?,
            (Some(axis), None) if axis > 0 => axis as usize,
            _ => {
                return Err(Error::unimplemented(
                    "the gradient of a gather whose axis is not known before the run",
                )
                .with_help("give the axis as a number, and a params of known rank if it is negative"));
            }
        };
        let Some(batch) = self.batch_axes(&cx.x(1).shape())? else {
            return Err(Error::unimplemented("the gradient of a gather of indices of unknown rank")
                .with_help("give batch_dims as a number that is not negative"));
        };
        Ok(grads![axis_grad(cx, axis, batch), NoGrad, NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        // Of a vector, which is how shapes are taken apart.
        let (params, indices) = (cx.known(0)?, cx.known_elements(1)?);
        if cx.shape(0).rank() != Some(1) || self.batch_dims != 0 {
            return None;
        }
        indices.iter().map(|i| params.get(usize::try_from((*i)?).ok()?).copied()).collect()
    }
}

/// `InvalidArgument` when a known index is not one of an axis of size `dim`.
fn check_indices(indices: &[Option<i64>], dim: usize) -> Result<()> {
    match indices.iter().enumerate().find(|(_, i)| i.is_some_and(|i| i < 0 || i >= dim as i64)) {
        Some((at, Some(index))) => {
            Err(Error::invalid(format!("indices[{at}] = {index} is not in [0, {dim})")))
        }
        _ => Ok(()),
    }
}

/// The gradient of a gather of rows: sparse.
fn rows_grad(cx: &GradCx) -> IndexedSlices {
    let (params, indices) = (cx.x(0), cx.x(1));
    let dense_shape = ops::shape(params);
    let count = ops::expand_dims(ops::size(indices), 0);
    let row = ops::index(dense_shape, 1..);
    let shape = ops::concat([count, row], 0);
    IndexedSlices {
        values: ops::reshape(cx.dy(0), shape),
        indices: ops::reshape(indices, count),
        dense_shape,
    }
}

/// The gradient of a gather along an axis that is not the first: moved there, added up, and moved back.
fn axis_grad(cx: &GradCx, axis: usize, batch: usize) -> Tensor {
    let (params, indices) = (cx.x(0), cx.x(1));
    let rank = params.shape().rank();
    let (axis, batch) = (axis as i32, batch as i32);
    let shape = ops::shape(params);
    let size = ops::index(shape, axis);
    let picked = ops::reduce_prod(ops::index(ops::shape(indices), batch..));
    let before = ops::index(shape, ..axis);
    let after = ops::index(shape, axis + 1..);
    let values = ops::reshape(cx.dy(0), ops::concat([before, ops::expand_dims(picked, 0), after], 0));
    let values = move_axis(values, rank, axis, batch);
    let sums = if batch == 0 {
        ops::unsorted_segment_sum(values, ops::reshape(indices, [-1]), size)
    } else {
        // The batches follow each other, each with segments of its own.
        let batches = ops::index(shape, ..batch);
        let rest = ops::concat([ops::index(shape, batch..axis), after], 0);
        let count = ops::reduce_prod(batches);
        let wide = |t: Tensor| ops::cast(t, DType::I64);
        let first = cx.graph().range(0i64, wide(count), 1i64) * wide(size);
        let segments = ops::reshape(wide(indices), ops::stack([count, picked], 0));
        let segments = segments + ops::expand_dims(first, 1);
        let rows = ops::concat([ops::expand_dims(count * picked, 0), rest], 0);
        let sums =
            ops::unsorted_segment_sum(ops::reshape(values, rows), ops::reshape(segments, [-1]), count * size);
        ops::reshape(sums, ops::concat([batches, ops::expand_dims(size, 0), rest], 0))
    };
    ops::reshape(move_axis(sums, rank, batch, axis), shape)
}

/// `x` with axis `from` moved to `to`, the others keeping their order.
fn move_axis(x: Tensor, rank: Option<usize>, from: i32, to: i32) -> Tensor {
    if from == to {
        return x;
    }
    let known = rank.map_or(from.max(to) + 1, |rank| rank as i32);
    let mut perm: Vec<i32> = (0..known).filter(|axis| *axis != from).collect();
    perm.insert(to as usize, from);
    if rank.is_some() {
        return ops::transpose_perm(x, perm);
    }
    let graph = x.graph();
    let others = graph.range(known, ops::rank(x), 1);
    let perm = ops::concat([graph.constant(perm), others], 0);
    graph.op(ops::Transpose).name("transpose").input(x).input(perm).tensor()
}

/// `output[i..., r...] = params[indices[i..., :], r...]`: the last axis of `indices` holds positions in `params`.
#[derive(Debug, Clone, PartialEq)]
pub struct GatherNd;
attrs!(GatherNd {});

impl Op for GatherNd {
    const SCHEMA: Schema = Schema::new(
        "GatherNd",
        "(params: Tparams, indices: Tindices) -> (output: Tparams) where Tindices: i16|i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let (params, indices) = (cx.shape(0), cx.shape(1));
        let Some((depth, outer)) =
            indices.dims().map(|dims| dims.split_last()).map_or(Ok(None), |split| {
                split.map(Some).ok_or_else(|| Error::invalid("indices must not be a scalar"))
            })?
        else {
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        let (Some(dims), Some(depth)) = (params.dims(), *depth) else {
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        let Some(row) = dims.get(depth..) else {
            return Err(Error::invalid(format!(
                "indices {indices} hold positions in {depth} axes, but params {params} have {}",
                dims.len()
            )));
        };
        if let Some(known) = cx.known_elements(1).filter(|_| depth > 0) {
            for (axis, dim) in dims[..depth].iter().enumerate() {
                let column: PartialValue = known.iter().skip(axis).step_by(depth).copied().collect();
                dim.map_or(Ok(()), |dim| check_indices(&column, dim))?;
            }
        }
        cx.output(cx.dtype(0), PartialShape::from(outer).concatenate(&PartialShape::from(row)))
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (params, indices) = (cx.x(0), cx.x(1));
        let dtype = if indices.dtype() == DType::I16 { DType::I32 } else { indices.dtype() };
        let shape = ops::shape_typed(params, dtype);
        let indices = ops::cast(indices, dtype);
        // Positions in one axis only name rows, whose gradient is sparse.
        if indices.shape().rank() == Some(2) && indices.shape().dim(1) == Some(1) {
            let indices = ops::squeeze_axes(indices, -1);
            return Ok(grads![IndexedSlices { values: cx.dy(0), indices, dense_shape: shape }, NoGrad]);
        }
        Ok(grads![cx.graph().add(ScatterNd, &[indices, cx.dy(0), shape]), NoGrad])
    }
}

/// Zeros of a given shape, to which `updates[i..., r...]` is added at `output[indices[i..., :], r...]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterNd;
attrs!(ScatterNd {});

impl Op for ScatterNd {
    const SCHEMA: Schema = Schema::new(
        "ScatterNd",
        "(indices: Tindices, updates: T, shape: Tindices) -> (output: T) where T: Num|Complex, Tindices: i16|i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = cx.shape_argument(2)?;
        let (indices, updates) = (cx.shape(0), cx.shape(1));
        if let (Some(indices), Some(dims)) = (indices.dims(), shape.dims()) {
            let Some((depth, outer)) = indices.split_last() else {
                return Err(Error::invalid("indices must not be a scalar"));
            };
            let row = depth
                .map_or(Some(PartialShape::unknown()), |depth| dims.get(depth..).map(PartialShape::from));
            let want = row.map(|row| PartialShape::from(outer).concatenate(&row)).ok_or_else(|| {
                Error::invalid(format!(
                    "indices {} hold positions in more axes than {shape} has",
                    cx.shape(0)
                ))
            })?;
            if !updates.is_compatible_with(&want) {
                return Err(Error::invalid(format!("updates must have shape {want}, not {updates}")));
            }
        }
        cx.output(cx.dtype(1), shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, cx.graph().add(GatherNd, &[cx.dy(0), cx.x(0)]), NoGrad])
    }
}

/// Along a new axis, `on_value` at each index and `off_value` elsewhere; only `off_value` where the index is out of range.
#[derive(Debug, Clone, PartialEq)]
pub struct OneHot {
    /// Where the new axis is in the result; -1: at the end.
    pub axis: i64,
}
attrs!(OneHot { axis });

impl Op for OneHot {
    const SCHEMA: Schema = Schema::new(
        "OneHot",
        "(indices: TI, depth: i32, on_value: T, off_value: T) -> (output: T) where TI: u8|i8|i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        for i in 1..4 {
            cx.expect_rank(i, 0)?;
        }
        let depth = cx.known_all(1).map(|depth| depth[0]);
        if let Some(depth) = depth.filter(|depth| *depth < 0) {
            return Err(Error::invalid(format!("depth {depth} is negative")));
        }
        if self.axis < -1 {
            return Err(Error::invalid(format!("axis must be -1 or not negative, not {}", self.axis)));
        }
        let Some(dims) = cx.shape(0).dims() else { return cx.output(cx.dtype(2), PartialShape::unknown()) };
        let mut dims: SmallVec<[Dim; 4]> = SmallVec::from_slice(dims);
        dims.insert(super::array::insertion_axis(self.axis, dims.len())?, depth.map(|depth| depth as usize));
        cx.output(cx.dtype(2), dims.into_iter().collect::<PartialShape>())
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad, NoGrad])
    }
}

/// Rows `indices` of `params`: `output[i..., r...] = params[indices[i...], r...]`. TensorFlow: `tf.gather`.
///
/// The gradient is sparse ([`IndexedSlices`]): training touches only the rows in use. `indices` may be a tensor, a number or an
/// array of numbers.
///
/// # Panics
/// When an index that is known is out of range. (One that is not fails the run.)
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let params = g.placeholder(DType::F32, [10, 3]);
/// let indices = g.placeholder(DType::I32, [4, 5]);
/// assert_eq!(ops::gather(params, indices).ty().to_string(), "f32[4,5,3]");
/// assert_eq!(ops::gather(params, [0, 2, 2]).ty().to_string(), "f32[3,3]");
/// ```
#[track_caller]
pub fn gather(params: impl Into<Tensor>, indices: impl Operand) -> Tensor {
    gather_axis(params, indices, 0)
}

/// The slices `indices` of `params` along `axis` (negative: from the end). TensorFlow: `tf.gather(params, indices, axis)`.
///
/// # Panics
/// When the axis or an index that is known is out of range.
#[track_caller]
pub fn gather_axis(params: impl Into<Tensor>, indices: impl Operand, axis: i32) -> Tensor {
    gather_batch(params, indices, axis, 0)
}

/// [`gather_axis`] where `params` and `indices` share their first `batch_dims` axes.
/// TensorFlow: `tf.gather(params, indices, axis, batch_dims)`.
///
/// # Panics
/// When an axis or an index that is known is out of range, or `batch_dims` exceeds `axis`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let rows = g.placeholder(DType::F32, [200, 10]);
/// let best = g.placeholder(DType::I32, [200, 3]);
/// assert_eq!(ops::gather_batch(rows, best, 1, 1).ty().to_string(), "f32[200,3]");
/// ```
#[track_caller]
pub fn gather_batch(params: impl Into<Tensor>, indices: impl Operand, axis: i32, batch_dims: i32) -> Tensor {
    let params = params.into();
    let indices = or_panic(indices.resolve(DType::I32));
    let builder = params.graph().op(GatherV2 { batch_dims: batch_dims.into() }).input(params);
    resolved(builder, "indices", indices).constant("axis", axis).tensor()
}

/// The rows `ids` of the table `params`, as [`gather`]. TensorFlow: `tf.nn.embedding_lookup` (of one table).
///
/// # Panics
/// When an id that is known is out of range.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let table = g.placeholder(DType::F32, [1000, 64]);
/// let words = g.placeholder(DType::I32, [200, 5]);
/// assert_eq!(ops::embedding_lookup(table, words).ty().to_string(), "f32[200,5,64]");
/// ```
#[track_caller]
pub fn embedding_lookup(params: impl Into<Tensor>, ids: impl Operand) -> Tensor {
    let params = params.into();
    let graph = params.graph();
    let ids = or_panic(ids.resolve(DType::I32));
    or_panic(graph.with_origin(Origin::here(), || {
        graph.name_scope("embedding_lookup").enter(|| {
            let op = graph.op(GatherV2 { batch_dims: 0 }).name(format!("{}/", graph.current_name_scope()));
            let rows = resolved(op.input(params), "ids", ids).constant("axis", 0).try_build()?.output(0);
            Ok(graph.op(ops::Identity {}).input(rows).try_build()?.output(0))
        })
    }))
}

/// The elements or slices of `params` at the positions that the last axis of `indices` holds. TensorFlow: `tf.gather_nd`.
///
/// # Panics
/// When the positions have more coordinates than `params` axes, or one that is known is out of range.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let params = g.placeholder(DType::F32, [5, 3, 2]);
/// let positions = g.placeholder(DType::I32, [4, 2]);
/// assert_eq!(ops::gather_nd(params, positions).ty().to_string(), "f32[4,2]");
/// ```
#[track_caller]
pub fn gather_nd(params: impl Into<Tensor>, indices: impl Operand) -> Tensor {
    let params = params.into();
    resolved(params.graph().op(GatherNd).input(params), "indices", or_panic(indices.resolve(DType::I32)))
        .tensor()
}

/// Zeros of `shape`, with `updates` added at the positions that the last axis of `indices` holds. TensorFlow: `tf.scatter_nd`.
///
/// # Panics
/// When the shapes do not fit each other.
#[track_caller]
pub fn scatter_nd(
    indices: impl Into<Tensor>,
    updates: impl Into<Tensor>,
    shape: impl Into<ShapeArg>,
) -> Tensor {
    let (indices, updates, shape) = (indices.into(), updates.into(), shape.into());
    let builder = updates.graph().op(ScatterNd).input(indices).input(updates);
    match shape.value() {
        Ok(known) => builder.constant("shape", known.cast(indices.dtype())).tensor(),
        Err(shape) => builder.input(shape).tensor(),
    }
}

/// One-hot vectors: along a new last axis of size `depth`, 1.0 at each index and 0.0 elsewhere; an index outside of
/// `0..depth` gives zeros only. `f32`. TensorFlow: `tf.one_hot`.
///
/// # Panics
/// When `depth` is negative, or `indices` not of dtype `u8`, `i8`, `i32` or `i64`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::I32, [200, 5]);
/// assert_eq!(ops::one_hot(x, 2).ty().to_string(), "f32[200,5,2]");
/// ```
#[track_caller]
pub fn one_hot(indices: impl Into<Tensor>, depth: impl Depth) -> Tensor {
    let indices = indices.into();
    let builder = resolved(
        indices.graph().op(OneHot { axis: -1 }).name("one_hot").input(indices),
        "depth",
        depth.depth(),
    );
    builder.constant("on_value", 1f32).constant("off_value", 0f32).tensor()
}

/// [`one_hot`] with other values than 1.0 and 0.0, whose dtype is that of the result, along a new axis at `axis` (-1: the
/// last). TensorFlow: `tf.one_hot(indices, depth, on_value, off_value, axis)`.
///
/// # Panics
/// As [`one_hot`]; when `axis` is out of range, or the values differ in dtype.
#[track_caller]
pub fn one_hot_with(
    indices: impl Into<Tensor>,
    depth: impl Depth,
    on_value: impl Operand,
    off_value: impl Operand,
    axis: i32,
) -> Tensor {
    let indices = indices.into();
    let builder = indices.graph().op(OneHot { axis: axis.into() }).name("one_hot").input(indices);
    let builder = resolved(builder, "depth", depth.depth());
    let builder = resolved(builder, "Const", or_panic(on_value.natural()));
    resolved(builder, "Const", or_panic(off_value.natural())).tensor()
}

/// The number of classes of [`one_hot`]: a number, or an `i32` scalar tensor.
pub trait Depth {
    /// As an operand.
    fn depth(self) -> Resolved;
}

impl Depth for Tensor {
    fn depth(self) -> Resolved {
        Resolved::Tensor(self)
    }
}

macro_rules! depth_number {
    ($($ty:ty)*) => {$(
        impl Depth for $ty {
            fn depth(self) -> Resolved {
                // What does not fit becomes too large for any memory, or negative, which is refused.
                let depth = i32::try_from(self).unwrap_or(if self > 0 { i32::MAX } else { -1 });
                Resolved::Value(tidemill_tensor::Value::scalar(depth))
            }
        }
    )*};
}
depth_number!(i32 i64 usize);
