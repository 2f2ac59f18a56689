//! Rows sorted into several tensors, and put together again.

use tidemill_tensor::{Dim, PartialShape};

use crate::attrs;
use crate::autodiff::{GradCx, Gradient, Grads};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{NoGrad, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<DynamicPartition>().with::<DynamicStitch>().with::<ParallelDynamicStitch>()
}

/// The slices of `data` sorted into `num_partitions` tensors: `partitions`, whose shape is that of the first axes of `data`, says for
/// each slice where it goes. Their order is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct DynamicPartition {
    /// How many tensors.
    pub num_partitions: usize,
}
attrs!(DynamicPartition { num_partitions });

impl Op for DynamicPartition {
    const SCHEMA: Schema = Schema::new("DynamicPartition", "(data: T, partitions: i32) -> (outputs: N*T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        if self.num_partitions == 0 {
            return Err(Error::invalid("num_partitions must be at least 1"));
        }
        let row = row_shape(cx.shape(0), cx.shape(1))
            .map_err(|e| Error::invalid(format!("the partitions do not fit: {}", e.message())))?;
        let shape = PartialShape::from([None]).concatenate(&row);
        Ok(vec![TensorType::new(cx.dtype(0), shape); self.num_partitions])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (data, partitions) = (cx.x(0), cx.x(1));
        let graph = cx.graph();
        let dys: Vec<Tensor> = (0..self.num_partitions).map(|i| cx.dy(i)).collect();
        let places = graph.range(0, ops::size(partitions), 1);
        let places = ops::reshape(places, ops::shape(partitions));
        let places = dynamic_partition(places, partitions, self.num_partitions);
        let whole = graph.op(ParallelDynamicStitch).inputs(&places).inputs(&dys).tensor();
        Ok(grads![ops::reshape(whole, ops::shape(data)), NoGrad])
    }
}

/// The shape of what stands at one index, where `index` has the shape of the first axes of `data`.
fn row_shape(data: &PartialShape, index: &PartialShape) -> Result<PartialShape> {
    let (Some(dims), Some(index_dims)) = (data.dims(), index.dims()) else {
        return Ok(PartialShape::unknown());
    };
    match dims.split_at_checked(index_dims.len()) {
        Some((first, row)) if PartialShape::from(first).is_compatible_with(index) => Ok(row.into()),
        _ => Err(Error::invalid(format!("data of shape {data} does not begin with the shape {index}"))),
    }
}

macro_rules! stitch_ops {
    ($($(#[$doc:meta])* $op:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op;
        attrs!($op {});

        impl Op for $op {
            const SCHEMA: Schema =
                Schema::new(stringify!($op), "(indices: N*i32, data: N*T) -> (merged: T)");
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                merged(cx)
            }
            fn grad(&self, cx: &GradCx) -> Result<Grads> {
                let n = cx.num_inputs() / 2;
                let dy = cx.dy(0);
                let rows = (0..n).map(|i| cx.wanted(n + i, || Gradient::from(ops::gather(dy, cx.x(i)))));
                Ok((0..n).map(|_| None).chain(rows).collect())
            }
        }
    )*};
}
stitch_ops! {
    /// The slices of all `data` in one tensor: `merged[indices[m][i...]] = data[m][i...]`. Where an index stands several times, the last
    /// slice stays; where one is missing, there are zeros.
    DynamicStitch;
    /// As [`DynamicStitch`], for indices that stand once each.
    ParallelDynamicStitch;
}

fn merged(cx: &InferCx) -> Result<Vec<TensorType>> {
    let n = cx.len() / 2;
    if n == 0 {
        return Err(Error::invalid("needs at least one pair of indices and data"));
    }
    let mut row = PartialShape::unknown();
    let mut largest = Some(-1);
    for i in 0..n {
        let own = row_shape(cx.shape(n + i), cx.shape(i))
            .map_err(|e| Error::invalid(format!("indices[{i}] do not fit: {}", e.message())))?;
        row = row.merge(&own).ok_or_else(|| {
            Error::invalid(format!("data[{i}] has rows of shape {own}, the data before it {row}"))
        })?;
        let known: Option<Vec<i64>> = cx.known_elements(i).and_then(|v| v.into_iter().collect());
        largest = largest.zip(known).map(|(largest, known)| known.into_iter().fold(largest, i64::max));
    }
    let count: Dim = largest.and_then(|largest| usize::try_from(largest + 1).ok());
    cx.output(cx.dtype(n), PartialShape::from([count]).concatenate(&row))
}

/// The slices of `data` sorted into `num_partitions` tensors, in order: `partitions` (`i32`) has the shape of the first axes of `data`
/// and says for each slice which one it goes to. TensorFlow: `tf.dynamic_partition`.
///
/// # Panics
/// When the shapes do not fit, or `num_partitions` is 0. (A partition that is out of range fails the run.)
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let (x, which) = (g.placeholder(DType::F32, [10, 3]), g.placeholder(DType::I32, [10]));
/// let parts = ops::dynamic_partition(x, which, 2);
/// assert_eq!(parts[1].ty().to_string(), "f32[?,3]");
/// ```
#[track_caller]
pub fn dynamic_partition(
    data: impl Into<Tensor>,
    partitions: impl Into<Tensor>,
    num_partitions: usize,
) -> Vec<Tensor> {
    let data = data.into();
    data.graph().op(DynamicPartition { num_partitions }).input(data).input(partitions.into()).tensors()
}

/// One tensor of the slices of all `data`: those of `data[m]` go to the places `indices[m]` (`i32`). It has one row more than the largest
/// index. TensorFlow: `tf.dynamic_stitch`.
///
/// # Panics
/// When there are not as many tensors of indices as of data, or none, or their shapes do not fit.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let (even, odd) = (g.placeholder(DType::F32, [2, 3]), g.placeholder(DType::F32, [2, 3]));
/// let all = ops::dynamic_stitch(&[g.constant([0, 2]), g.constant([1, 3])], &[even, odd]);
/// assert_eq!(all.ty().to_string(), "f32[4,3]");
/// ```
#[track_caller]
pub fn dynamic_stitch(indices: &[Tensor], data: &[Tensor]) -> Tensor {
    let graph = crate::graph::graph_of(data);
    if indices.len() != data.len() {
        let (n, m) = (indices.len(), data.len());
        crate::error::or_panic(Err(Error::invalid(format!("{n} tensors of indices for {m} of data"))))
    }
    graph.op(DynamicStitch).inputs(indices).inputs(data).tensor()
}
