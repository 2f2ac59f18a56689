//! Ragged tensors, written as row splits and flat values: row `i` is `values[splits[i]..splits[i + 1]]`.

use tidemill_tensor::{DType, PartialShape};

use super::broadcast::unbroadcast_from;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<RaggedRange>()
        .with::<RaggedGather>()
        .with::<RaggedTensorToTensor>()
        .with::<RaggedTensorToSparse>()
}

/// One range for each of `starts`, `limits` and `deltas` (of which those that are scalars or have one element stand for all): a ragged matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct RaggedRange {
    /// The dtype of the splits.
    pub splits: DType,
}
attrs!(RaggedRange { splits: "Tsplits" });

impl Op for RaggedRange {
    const SCHEMA: Schema = Schema::new(
        "RaggedRange",
        "(starts: T, limits: T, deltas: T) -> (rt_nested_splits: Tsplits, rt_dense_values: T) \
         where T: bf16|f32|f64|i32|i64, Tsplits: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let mut rows = PartialShape::from([None]);
        let mut all_scalar = true;
        for i in 0..3 {
            match cx.shape(i).rank() {
                Some(0) => continue,
                Some(1) | None => {}
                Some(_) => {
                    return Err(Error::invalid(format!("scalars or vectors, not of shape {}", cx.shape(i))));
                }
            }
            all_scalar = false;
            rows = rows.merge(cx.shape(i)).ok_or_else(|| {
                Error::invalid(format!("vectors of one length, not of the shapes {rows} and {}", cx.shape(i)))
            })?;
        }
        let splits = if all_scalar { Some(2) } else { rows.dim(0).map(|n| n + 1) };
        Ok(vec![
            TensorType::new(self.splits, [splits]),
            TensorType::new(cx.dtype(0), PartialShape::from([None])),
        ])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad])
    }
}

/// Rows `indices` of a ragged tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct RaggedGather {
    /// How many vectors of splits the result has.
    pub output_ragged_rank: usize,
}
attrs!(RaggedGather { output_ragged_rank: "OUTPUT_RAGGED_RANK" });

impl Op for RaggedGather {
    const SCHEMA: Schema = Schema::new(
        "RaggedGather",
        "(params_nested_splits: N*Tsplits, params_dense_values: Tvalues, indices: Tindices) \
         -> (output_nested_splits: N*Tsplits, output_dense_values: Tvalues) \
         where Tindices: i32|i64, Tsplits: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let Some(splits) = cx.len().checked_sub(2).filter(|n| *n > 0) else {
            return Err(Error::invalid("needs at least one vector of splits"));
        };
        for i in 0..splits {
            cx.expect_rank(i, 1)?;
        }
        cx.expect_rank_at_least(splits, 1)?;
        if let Some(rank) = cx.shape(splits + 1).rank()
            && (splits + rank).checked_sub(1) != Some(self.output_ragged_rank)
        {
            return Err(Error::invalid(format!(
                "OUTPUT_RAGGED_RANK is {}, but must be {}",
                self.output_ragged_rank,
                (splits + rank) as i64 - 1
            )));
        }
        let row = cx.shape(splits).dims().map_or(PartialShape::unknown(), |dims| (&dims[1..]).into());
        let values = PartialShape::from([None]).concatenate(&row);
        let mut types =
            vec![TensorType::new(cx.dtype(0), PartialShape::from([None])); self.output_ragged_rank];
        types.push(TensorType::new(cx.dtype(splits), values));
        Ok(types)
    }
    /// Slices of values that were picked give their gradient back to where they came from.
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let splits = cx.num_inputs() - 2;
        let (values, graph) = (cx.x(splits), cx.graph());
        // The same gather of the places of the values tells where each came from.
        let wide = |t| ops::cast(t, DType::I64);
        let places = graph.range(0i64, ops::index(ops::shape_typed(values, DType::I64), 0), 1i64);
        let mut inputs: Vec<_> = (0..splits).map(|i| wide(cx.x(i))).collect();
        inputs.extend([places, cx.x(splits + 1)]);
        let picked = graph.op(self.clone()).inputs(&inputs).tensors();
        let places = picked[self.output_ragged_rank];
        let count = ops::index(ops::shape(values), 0);
        let dx = ops::unsorted_segment_sum(cx.dy(self.output_ragged_rank), places, count);
        let mut all: Grads = (0..splits).map(|_| None).collect();
        all.extend(grads![dx, NoGrad]);
        Ok(all)
    }
}

/// A ragged tensor as a dense one: rows that are too short are filled up with `default_value`, those that are too long for `shape` cut off.
#[derive(Debug, Clone, PartialEq)]
pub struct RaggedTensorToTensor {
    /// What each of the row partitions is: `FIRST_DIM_SIZE`, `VALUE_ROWIDS` or `ROW_SPLITS`.
    pub row_partition_types: Vec<String>,
}
attrs!(RaggedTensorToTensor { row_partition_types });

impl RaggedTensorToTensor {
    /// How many axes of the result the row partitions describe.
    pub fn ragged_rank(&self) -> usize {
        match self.row_partition_types.first().map(String::as_str) {
            Some("FIRST_DIM_SIZE") => self.row_partition_types.len() - 1,
            _ => self.row_partition_types.len(),
        }
    }
}

impl Op for RaggedTensorToTensor {
    const SCHEMA: Schema = Schema::new(
        "RaggedTensorToTensor",
        "(shape: Tshape, values: T, default_value: T, row_partition_tensors: N*Tindex) -> (result: T) \
         where Tindex: i32|i64, Tshape: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let types = &self.row_partition_types;
        if types.is_empty() || types.len() != cx.len() - 3 {
            return Err(Error::invalid(format!("{} types for {} row partitions", types.len(), cx.len() - 3)));
        }
        for (i, ty) in types.iter().enumerate() {
            match (ty.as_str(), i) {
                ("ROW_SPLITS", _) => cx.expect_rank(i + 3, 1)?,
                ("FIRST_DIM_SIZE", 0) => cx.expect_rank(i + 3, 0)?,
                ("VALUE_ROWIDS", 1..) if types[0] == "FIRST_DIM_SIZE" => cx.expect_rank(i + 3, 1)?,
                _ => return Err(Error::invalid(format!("row partition {i} cannot be {ty:?}"))),
            }
        }
        let ragged = self.ragged_rank();
        cx.expect_rank_at_least(1, 1)?;
        let rank = cx.shape(1).rank().map(|rank| rank + ragged);
        let Some(rank) = rank else {
            return cx.output(cx.dtype(1), PartialShape::unknown());
        };
        let rows = match types[0].as_str() {
            "ROW_SPLITS" => cx.shape(3).dim(0).and_then(|n| n.checked_sub(1)),
            _ => cx.known_all(3).and_then(|n| usize::try_from(n[0]).ok()),
        };
        let values = cx.shape(1).dims().unwrap_or_default();
        let mut natural = vec![rows];
        natural.resize(ragged + 1, None);
        natural.extend(values.iter().skip(1));
        // -1, as a whole shape or for a size, leaves it to the rows.
        let asked = match cx.shape(0).rank() {
            Some(0) => PartialValue::from_elem(Some(-1), rank),
            _ => {
                cx.shape_argument(0)?;
                cx.known(0).unwrap_or_else(|| PartialValue::from_elem(None, rank))
            }
        };
        if asked.len() != rank {
            let n = asked.len();
            return Err(Error::invalid(format!("a shape of {n} sizes for a ragged tensor of rank {rank}")));
        }
        let dims =
            asked.iter().zip(&natural).enumerate().map(|(axis, (asked, natural))| match (asked, natural) {
                (Some(-1), natural) => Ok(*natural),
                (Some(a), Some(n)) if axis > ragged && *a != *n as i64 => {
                    Err(Error::invalid(format!("axis {axis} has size {n}, but {a} is asked for")))
                }
                (Some(a), _) => Ok(Some(*a as usize)),
                (None, natural) => Ok(natural.filter(|_| axis > ragged)),
            });
        let dims: PartialShape = dims.collect::<Result<Vec<_>>>()?.into();
        let inner = PartialShape::from(&values[1.min(values.len())..]);
        if cx.shape(2).broadcast(&inner).is_none()
            || cx.shape(2).rank().is_some_and(|r| r >= values.len().max(1))
        {
            return Err(Error::invalid(format!(
                "a default value of shape {} does not broadcast to the shape {inner} of a value",
                cx.shape(2)
            )));
        }
        cx.output(cx.dtype(1), dims)
    }
    /// Each value's gradient is read where the value went; the default value has what is left.
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (values, default, dy, graph) = (cx.x(1), cx.x(2), cx.dy(0), cx.graph());
        let Some(value_rank) = values.shape().rank() else {
            return Err(Error::unimplemented("the gradient of a ragged tensor whose rank is not known"));
        };
        let ragged = self.ragged_rank() as i32;
        // The places of the values, spread as the values are; -1 where the default value is.
        let wide = |t| ops::cast(t, DType::I64);
        let count = ops::index(ops::shape_typed(values, DType::I64), 0);
        let places = graph.range(0i64, count, 1i64);
        let sizes = ops::index(ops::shape_typed(cx.y(0), DType::I64), ..ragged + 1);
        let mut builder = graph.op(self.clone()).input(sizes).input(places).constant("default", -1i64);
        for i in 3..cx.num_inputs() {
            builder = builder.input(wide(cx.x(i)));
        }
        let places = ops::reshape(builder.tensor(), [-1]);
        let row = ops::index(ops::shape(values), 1..);
        let dy = ops::reshape(dy, ops::concat([graph.constant([-1]), row], 0));
        let dvalues = ops::unsorted_segment_sum(dy, places, ops::index(ops::shape(values), 0));
        let here = ops::cast(ops::less(places, 0), dy.dtype());
        let here = ops::reshape(here, [&[-1][..], &vec![1; value_rank - 1]].concat());
        let left = ops::reduce_sum_with(dy * here, 0);
        let ddefault = unbroadcast_from(left, default, left);
        let mut all = grads![NoGrad, dvalues, ddefault];
        all.resize(cx.num_inputs(), None);
        Ok(all)
    }
}

/// A ragged tensor as a sparse one.
#[derive(Debug, Clone, PartialEq)]
pub struct RaggedTensorToSparse;
attrs!(RaggedTensorToSparse {});

impl Op for RaggedTensorToSparse {
    const SCHEMA: Schema = Schema::new(
        "RaggedTensorToSparse",
        "(rt_nested_splits: N*Tsplits, rt_dense_values: T) \
         -> (sparse_indices: i64, sparse_values: T, sparse_dense_shape: i64) where Tsplits: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let splits = cx.len() - 1;
        if splits == 0 {
            return Err(Error::invalid("needs at least one vector of splits"));
        }
        for i in 0..splits {
            cx.expect_rank(i, 1)?;
        }
        cx.expect_rank_at_least(splits, 1)?;
        let rank = cx.shape(splits).rank().map(|rank| rank + splits);
        let count = cx.shape(splits).num_elements();
        Ok(vec![
            TensorType::new(DType::I64, PartialShape::from([count, rank])),
            TensorType::new(cx.dtype(splits), [count]),
            TensorType::new(DType::I64, [rank]),
        ])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let splits = cx.num_inputs() - 1;
        let mut all: Grads = (0..splits).map(|_| None).collect();
        all.extend(grads![ops::reshape(cx.dy(1), ops::shape(cx.x(splits)))]);
        Ok(all)
    }
}
