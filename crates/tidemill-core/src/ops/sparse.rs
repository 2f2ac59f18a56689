//! Sparse tensors, written as three dense ones: `indices` (a row of coordinates for each element), `values`, and the dense shape.

use tidemill_tensor::{DType, PartialShape};

use super::resolved;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::{Operand, ShapeArg};
use crate::schema::Schema;
use crate::{attrs, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<SparseToDense>()
        .with::<SparseReshape>()
        .with::<SparseSlice>()
        .with::<SparseFillEmptyRows>()
        .with::<SparseFillEmptyRowsGrad>()
        .with::<SparseTensorDenseMatMul>()
        .with::<EditDistance>()
}

/// `default_value` everywhere but at the indices, where the values are.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseToDense {
    /// Whether indices must be in order, each once.
    pub validate_indices: bool,
}
attrs!(SparseToDense { validate_indices });

impl Op for SparseToDense {
    const SCHEMA: Schema = Schema::new(
        "SparseToDense",
        "(sparse_indices: Tindices, output_shape: Tindices, sparse_values: T, default_value: T) -> (dense: T) \
         where Tindices: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = cx.shape_argument(1)?;
        cx.expect_rank(3, 0)?;
        if cx.shape(0).rank().is_some_and(|rank| rank > 2) || cx.shape(2).rank().is_some_and(|rank| rank > 1)
        {
            return Err(Error::invalid(format!(
                "sparse_indices of shape {} and sparse_values of shape {}: a matrix and a vector are wanted",
                cx.shape(0),
                cx.shape(2)
            )));
        }
        cx.output(cx.dtype(2), shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (indices, dy) = (cx.x(0), cx.dy(0));
        let picked = match (indices.shape().rank(), cx.x(2).shape().rank()) {
            (Some(2), _) => ops::gather_nd(dy, indices),
            (Some(1), _) => ops::gather_nd(dy, ops::expand_dims(indices, 1)),
            (Some(0), _) => ops::index(dy, indices),
            _ => {
                return Err(Error::unimplemented(
                    "the gradient of sparse_to_dense of indices of unknown rank",
                ));
            }
        };
        let values = match cx.x(2).shape().rank() {
            Some(0) => ops::reduce_sum(picked),
            _ => picked,
        };
        Ok(grads![NoGrad, NoGrad, values, ops::reduce_sum(dy) - ops::reduce_sum(picked)])
    }
}

/// `InvalidArgument` unless operands `i`, `i + 1` and `i + 2` can be a sparse tensor.
fn expect_sparse(cx: &InferCx, i: usize) -> Result<()> {
    cx.expect_rank(i, 2)?;
    cx.expect_rank(i + 1, 1)?;
    cx.expect_rank(i + 2, 1)?;
    let (rows, values) = (cx.shape(i).dim(0), cx.shape(i + 1).dim(0));
    let (rank, dims) = (cx.shape(i).dim(1), cx.shape(i + 2).dim(0));
    if rows.zip(values).is_some_and(|(a, b)| a != b) || rank.zip(dims).is_some_and(|(a, b)| a != b) {
        return Err(Error::invalid(format!(
            "indices of shape {}, values of shape {} and a shape of shape {} are no sparse tensor",
            cx.shape(i),
            cx.shape(i + 1),
            cx.shape(i + 2)
        )));
    }
    Ok(())
}

/// The indices of a sparse tensor once its elements, row by row, have another shape. One size may be -1: it is what remains.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseReshape;
attrs!(SparseReshape {});

impl Op for SparseReshape {
    const SCHEMA: Schema = Schema::new(
        "SparseReshape",
        "(input_indices: i64, input_shape: i64, new_shape: i64) -> (output_indices: i64, output_shape: i64)",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 2)?;
        cx.expect_rank(1, 1)?;
        cx.expect_rank(2, 1)?;
        if let (Some(rank), Some(dims)) = (cx.shape(0).dim(1), cx.shape(1).dim(0))
            && rank != dims
        {
            return Err(Error::invalid(format!("indices of {rank} coordinates in a tensor of rank {dims}")));
        }
        let (n, rank) = (cx.shape(0).dim(0), cx.shape(2).dim(0));
        Ok(vec![TensorType::new(DType::I64, [n, rank]), TensorType::new(DType::I64, [rank])])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad])
    }
}

/// The part of a sparse tensor that begins at `start` and has at most `size` indices along each axis.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseSlice;
attrs!(SparseSlice {});

impl Op for SparseSlice {
    const SCHEMA: Schema = Schema::new(
        "SparseSlice",
        "(indices: i64, values: T, shape: i64, start: i64, size: i64) \
         -> (output_indices: i64, output_values: T, output_shape: i64)",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        expect_sparse(cx, 0)?;
        cx.expect_rank(3, 1)?;
        cx.expect_rank(4, 1)?;
        let rank = cx.shape(2).dim(0);
        Ok(vec![
            TensorType::new(DType::I64, PartialShape::from([None, rank])),
            TensorType::new(cx.dtype(1), PartialShape::from([None])),
            TensorType::new(DType::I64, [rank]),
        ])
    }
}

/// A sparse tensor with an element `default_value` at the start of each row (of the first axis) that has none; which rows those were; and
/// where the elements of the operand are now.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseFillEmptyRows;
attrs!(SparseFillEmptyRows {});

impl Op for SparseFillEmptyRows {
    const SCHEMA: Schema = Schema::new(
        "SparseFillEmptyRows",
        "(indices: i64, values: T, dense_shape: i64, default_value: T) \
         -> (output_indices: i64, output_values: T, empty_row_indicator: bool, reverse_index_map: i64)",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        expect_sparse(cx, 0)?;
        cx.expect_rank(3, 0)?;
        let rank = cx.shape(0).dim(1).or(cx.shape(2).dim(0));
        let rows = cx.shape_argument(2)?.dim(0);
        let count = cx.shape(0).dim(0).or(cx.shape(1).dim(0));
        Ok(vec![
            TensorType::new(DType::I64, PartialShape::from([None, rank])),
            TensorType::new(cx.dtype(1), PartialShape::from([None])),
            TensorType::new(DType::Bool, [rows]),
            TensorType::new(DType::I64, [count]),
        ])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let op = cx.graph().op(SparseFillEmptyRowsGrad).input(cx.y(3)).input(cx.dy(1)).build();
        Ok(grads![NoGrad, op.output(0), NoGrad, op.output(1)])
    }
}

/// The gradient of [`SparseFillEmptyRows`] with respect to the values and to the default value.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseFillEmptyRowsGrad;
attrs!(SparseFillEmptyRowsGrad {});

impl Op for SparseFillEmptyRowsGrad {
    const SCHEMA: Schema = Schema::new(
        "SparseFillEmptyRowsGrad",
        "(reverse_index_map: i64, grad_values: T) -> (d_values: T, d_default_value: T) where T: Num|Complex",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 1)?;
        cx.expect_rank(1, 1)?;
        Ok(vec![TensorType::new(cx.dtype(1), cx.shape(0).clone()), TensorType::new(cx.dtype(1), ())])
    }
}

/// The product of a sparse matrix and a dense one.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseTensorDenseMatMul {
    /// Whether the sparse matrix is transposed first.
    pub adjoint_a: bool,
    /// Whether the dense matrix is transposed first.
    pub adjoint_b: bool,
}
attrs!(SparseTensorDenseMatMul { adjoint_a, adjoint_b });

impl Op for SparseTensorDenseMatMul {
    const SCHEMA: Schema = Schema::new(
        "SparseTensorDenseMatMul",
        "(a_indices: Tindices, a_values: T, a_shape: i64, b: T) -> (product: T) where T: Num, Tindices: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        expect_sparse(cx, 0)?;
        cx.expect_rank(3, 2)?;
        let a = cx.shape_argument(2)?;
        if a.rank().is_some_and(|rank| rank != 2) {
            return Err(Error::invalid(format!("the sparse tensor must be a matrix, not of shape {a}")));
        }
        let (rows, inner) = if self.adjoint_a { (a.dim(1), a.dim(0)) } else { (a.dim(0), a.dim(1)) };
        let b = cx.shape(3);
        let (own, columns) = if self.adjoint_b { (b.dim(1), b.dim(0)) } else { (b.dim(0), b.dim(1)) };
        if let (Some(inner), Some(own)) = (inner, own)
            && inner != own
        {
            return Err(Error::invalid(format!("inner dimensions differ, {inner} and {own}")));
        }
        cx.output(cx.dtype(1), [rows, columns])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (indices, values, shape, b, dy) = (cx.x(0), cx.x(1), cx.x(2), cx.x(3), cx.dy(0));
        let op = SparseTensorDenseMatMul { adjoint_a: !self.adjoint_a, adjoint_b: false };
        let db = cx.wanted(3, || {
            let db = cx.graph().add(op, &[indices, values, shape, dy]);
            if self.adjoint_b { ops::transpose_perm(db, [1, 0]) } else { db }
        });
        let da = cx.wanted(1, || {
            let column = |i: i32| ops::index(indices, (.., i));
            let (row, inner) = if self.adjoint_a { (column(1), column(0)) } else { (column(0), column(1)) };
            let b = if self.adjoint_b { ops::transpose_perm(b, [1, 0]) } else { b };
            ops::reduce_sum_with(ops::gather(dy, row) * ops::gather(b, inner), 1)
        });
        Ok(grads![NoGrad, da, NoGrad, db])
    }
}

/// For each pair of sequences in the last axes of two sparse tensors, how many insertions, deletions and replacements turn the one into the
/// other.
#[derive(Debug, Clone, PartialEq)]
pub struct EditDistance {
    /// Whether the distance is divided by the length of the truth.
    pub normalize: bool,
}
attrs!(EditDistance { normalize });

impl Op for EditDistance {
    const SCHEMA: Schema = Schema::new(
        "EditDistance",
        "(hypothesis_indices: i64, hypothesis_values: T, hypothesis_shape: i64, \
         truth_indices: i64, truth_values: T, truth_shape: i64) -> (output: f32)",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        expect_sparse(cx, 0)?;
        expect_sparse(cx, 3)?;
        let (hypothesis, truth) = (cx.shape_argument(2)?, cx.shape_argument(5)?);
        let (Some(a), Some(b)) = (hypothesis.dims(), truth.dims()) else {
            return cx.output(DType::F32, PartialShape::unknown());
        };
        if a.len() != b.len() || a.len() < 2 {
            return Err(Error::invalid(format!(
                "hypothesis and truth must have the same rank, at least 2, not the shapes {hypothesis} and {truth}"
            )));
        }
        // As many sequences as the larger of both has.
        let outer = a.iter().zip(b).take(a.len() - 1).map(|(a, b)| a.zip(*b).map(|(a, b)| a.max(b)));
        cx.output(DType::F32, outer.collect::<PartialShape>())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok((0..cx.num_inputs()).map(|_| None).collect())
    }
}

/// A dense tensor of `shape` with `values` at `indices` (a matrix with a row of coordinates for each, in order), and `default` elsewhere.
/// TensorFlow: `tf.sparse.to_dense`.
///
/// # Panics
/// When the operands do not fit each other. (Indices out of range or out of order fail the run.)
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let values = g.placeholder(DType::F32, [2]);
/// let dense = ops::sparse_to_dense(g.constant([[0, 1], [2, 0]]), [3, 4], values, 0.0);
/// assert_eq!(dense.ty().to_string(), "f32[3,4]");
/// ```
#[track_caller]
pub fn sparse_to_dense(
    indices: impl Into<Tensor>,
    shape: impl Into<ShapeArg>,
    values: impl Into<Tensor>,
    default: impl Operand,
) -> Tensor {
    let (indices, values) = (indices.into(), values.into());
    let builder = values.graph().op(SparseToDense { validate_indices: true }).input(indices);
    let builder = match shape.into().value() {
        Ok(known) => builder.constant("output_shape", known.cast(indices.dtype())),
        Err(shape) => builder.input(shape),
    };
    let default = or_panic(default.resolve(values.dtype()));
    resolved(builder.input(values), "default_value", default).tensor()
}
