//! Counting: how often each number stands in a tensor, densely or sparsely; histograms.

use tidemill_tensor::{DType, Dim, PartialShape};

use super::resolved;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;
use crate::{attrs, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Bincount>()
        .with::<DenseBincount>()
        .with::<SparseBincount>()
        .with::<RaggedBincount>()
        .with::<DenseCountSparseOutput>()
        .with::<SparseCountSparseOutput>()
        .with::<RaggedCountSparseOutput>()
        .with::<HistogramFixedWidth>()
}

/// The scalar operand `i` as a number of bins, if it is known.
fn bins(cx: &InferCx, i: usize) -> Result<Dim> {
    cx.expect_rank(i, 0)?;
    match cx.known_all(i) {
        Some(n) => usize::try_from(n[0])
            .map(Some)
            .map_err(|_| Error::invalid(format!("the number of bins must not be negative, but is {}", n[0]))),
        None => Ok(None),
    }
}

/// How often each of `0..size` stands in `arr`, or the sums of the weights of its occurrences. Larger numbers are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Bincount;
attrs!(Bincount {});

impl Op for Bincount {
    const SCHEMA: Schema =
        Schema::new("Bincount", "(arr: i32, size: i32, weights: T) -> (bins: T) where T: i32|i64|f32|f64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let size = bins(cx, 1)?;
        cx.output(cx.dtype(2), [size])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad])
    }
}

/// As [`Bincount`], also for each row of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseBincount {
    /// Whether only occurrence counts, not how often.
    pub binary_output: bool,
}
attrs!(DenseBincount { binary_output });

impl Op for DenseBincount {
    const SCHEMA: Schema = Schema::new(
        "DenseBincount",
        "(input: Tidx, size: Tidx, weights: T) -> (output: T) where Tidx: i32|i64, T: i32|i64|f32|f64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let size = bins(cx, 1)?;
        let shape = match cx.shape(0).dims() {
            None => PartialShape::unknown(),
            Some([] | [_]) => PartialShape::from([size]),
            Some([rows, _]) => PartialShape::from([*rows, size]),
            Some(_) => {
                return Err(Error::invalid(format!("a vector or matrix, not of shape {}", cx.shape(0))));
            }
        };
        weights_fit(cx, 2, cx.shape(0))?;
        cx.output(cx.dtype(2), shape)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad])
    }
}

/// `InvalidArgument` unless the weights have this shape, or no elements.
fn weights_fit(cx: &InferCx, weights: usize, shape: &PartialShape) -> Result<()> {
    let own = cx.shape(weights);
    let none = own.num_elements().is_none_or(|n| n == 0);
    match none || own.is_compatible_with(shape) {
        true => Ok(()),
        false => Err(Error::invalid(format!("weights of shape {own} for values of shape {shape}"))),
    }
}

/// As [`DenseBincount`], of a sparse tensor: a vector, or a matrix row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseBincount {
    /// Whether only occurrence counts, not how often.
    pub binary_output: bool,
}
attrs!(SparseBincount { binary_output });

impl Op for SparseBincount {
    const SCHEMA: Schema = Schema::new(
        "SparseBincount",
        "(indices: i64, values: Tidx, dense_shape: i64, size: Tidx, weights: T) -> (output: T) \
         where Tidx: i32|i64, T: i32|i64|f32|f64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let size = bins(cx, 3)?;
        cx.expect_rank(0, 2)?;
        cx.expect_rank(1, 1)?;
        let shape = cx.shape_argument(2)?;
        weights_fit(cx, 4, cx.shape(1))?;
        let shape = match shape.dims() {
            None => PartialShape::unknown(),
            Some([_]) => PartialShape::from([size]),
            Some([rows, _]) => PartialShape::from([*rows, size]),
            Some(_) => {
                return Err(Error::invalid(format!("a sparse vector or matrix, not of shape {shape}")));
            }
        };
        cx.output(cx.dtype(4), shape)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad, NoGrad, NoGrad])
    }
}

/// As [`DenseBincount`], of the rows `splits[i]..splits[i + 1]` of a ragged matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct RaggedBincount {
    /// Whether only occurrence counts, not how often.
    pub binary_output: bool,
}
attrs!(RaggedBincount { binary_output });

impl Op for RaggedBincount {
    const SCHEMA: Schema = Schema::new(
        "RaggedBincount",
        "(splits: i64, values: Tidx, size: Tidx, weights: T) -> (output: T) \
         where Tidx: i32|i64, T: i32|i64|f32|f64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let size = bins(cx, 2)?;
        cx.expect_rank(0, 1)?;
        weights_fit(cx, 3, cx.shape(1))?;
        if cx.shape(0).dim(0) == Some(0) {
            return Err(Error::invalid("splits must have at least one element"));
        }
        cx.output(cx.dtype(3), [cx.shape(0).dim(0).map(|n| n - 1), size])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad, NoGrad])
    }
}

/// A row: documentation, op and its operands, and where the weights are among them.
macro_rules! sparse_counts {
    ($($(#[$doc:meta])* $op:ident $operands:literal, values $values:literal, weights $weights:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// Up to this number, all columns count to the result's shape; -1: up to the largest that occurs.
            pub minlength: i64,
            /// Numbers from this one on are left out; -1: none are.
            pub maxlength: i64,
            /// Whether only occurrence counts, not how often.
            pub binary_output: bool,
        }
        attrs!($op { minlength, maxlength, binary_output });

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(
                stringify!($op),
                concat!(
                    "(", $operands, ", weights: output_type) -> (output_indices: i64, output_values: output_type, \
                     output_dense_shape: i64) where T: i32|i64, output_type: i32|i64|f32|f64"
                ),
            );
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                for (name, length) in [("minlength", self.minlength), ("maxlength", self.maxlength)] {
                    if length < -1 {
                        return Err(Error::invalid(format!("{name} is {length}, but must be -1 or not negative")));
                    }
                }
                let rank: fn(&InferCx) -> Result<Dim> = $check;
                let rank = rank(cx)?;
                weights_fit(cx, $weights, cx.shape($values))?;
                Ok(vec![
                    TensorType::new(DType::I64, PartialShape::from([None, rank])),
                    TensorType::new(cx.dtype($weights), PartialShape::from([None])),
                    TensorType::new(DType::I64, PartialShape::from([rank])),
                ])
            }
            fn grad(&self, cx: &GradCx) -> Result<Grads> {
                Ok((0..cx.num_inputs()).map(|_| None).collect())
            }
        }
    )*};
}
sparse_counts! {
    /// How often each number stands in a vector, or in each row of a matrix, or the sums of the weights of its occurrences: a sparse
    /// tensor with an element for each number that occurs.
    DenseCountSparseOutput "values: T", values 0, weights 1, |cx| match cx.shape(0).rank() {
        Some(rank @ (1 | 2)) => Ok(Some(rank)),
        None => Ok(None),
        Some(_) => Err(Error::invalid(format!("a vector or matrix, not of shape {}", cx.shape(0)))),
    };
    /// As [`DenseCountSparseOutput`], of a sparse vector or matrix.
    SparseCountSparseOutput "indices: i64, values: T, dense_shape: i64", values 1, weights 3, |cx| {
        cx.expect_rank(0, 2)?;
        cx.expect_rank(1, 1)?;
        cx.expect_rank(2, 1)?;
        match cx.shape(2).dim(0) {
            Some(rank) if rank == 0 || rank > 2 => {
                Err(Error::invalid(format!("a sparse vector or matrix, not one of rank {rank}")))
            }
            rank => Ok(rank),
        }
    };
    /// As [`DenseCountSparseOutput`], of the rows `splits[i]..splits[i + 1]` of a ragged matrix.
    RaggedCountSparseOutput "splits: i64, values: T", values 1, weights 2, |cx| {
        cx.expect_rank(0, 1)?;
        cx.expect_rank(1, 1)?;
        Ok(Some(2))
    };
}

/// How many of `values` fall into each of `nbins` bins of equal width between the two of `value_range`; those outside count to the first
/// and the last.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramFixedWidth {
    /// The dtype of the counts.
    pub dtype: DType,
}
attrs!(HistogramFixedWidth { dtype });

impl Op for HistogramFixedWidth {
    const SCHEMA: Schema = Schema::new(
        "HistogramFixedWidth",
        "(values: T, value_range: T, nbins: i32) -> (out: dtype) where T: i32|i64|f32|f64, dtype: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        if cx.shape(1).dim(0).is_some_and(|n| n != 2) {
            return Err(Error::invalid(format!("value_range has two numbers, not shape {}", cx.shape(1))));
        }
        let nbins = bins(cx, 2)?;
        if nbins == Some(0) {
            return Err(Error::invalid("there must be at least one bin"));
        }
        cx.output(self.dtype, [nbins])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad])
    }
}

/// How often each of `0..size` stands in the integers of `x`, a vector, or in each row, of a matrix (`i32`). Larger ones are left out.
/// TensorFlow: `tf.math.bincount(x, minlength=size, maxlength=size, axis=-1)`.
///
/// # Panics
/// When `x` has more than two axes, or `size` is negative.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let classes = g.placeholder(DType::I32, [None]);
/// assert_eq!(ops::bincount(classes, 10).ty().to_string(), "i32[10]");
/// ```
#[track_caller]
pub fn bincount(x: impl Into<Tensor>, size: impl Operand) -> Tensor {
    let x = x.into();
    let builder = x.graph().op(DenseBincount { binary_output: false }).name("bincount").input(x);
    let builder = resolved(builder, "size", or_panic(size.resolve(x.dtype())));
    builder.constant("weights", Vec::<i32>::new()).tensor()
}

/// How many of `values` fall into each of `nbins` bins of equal width between `low` and `high`; those outside count to the first and the
/// last (`i32`). TensorFlow: `tf.histogram_fixed_width`.
///
/// # Panics
/// When `low` and `high` cannot be of the dtype of the values, or `nbins` is below 1.
#[track_caller]
pub fn histogram_fixed_width(
    values: impl Into<Tensor>,
    low: impl Operand,
    high: impl Operand,
    nbins: impl Operand,
) -> Tensor {
    let values = values.into();
    let graph = values.graph();
    let bound = |x: super::Resolved| match x {
        super::Resolved::Tensor(t) => t,
        super::Resolved::Value(v) => graph.constant(v),
    };
    let dtype = values.dtype();
    let range = [bound(or_panic(low.resolve(dtype))), bound(or_panic(high.resolve(dtype)))];
    let range = ops::stack(range, 0);
    let builder = graph.op(HistogramFixedWidth { dtype: DType::I32 }).name("histogram_fixed_width");
    resolved(builder.input(values).input(range), "nbins", or_panic(nbins.resolve(DType::I32))).tensor()
}
