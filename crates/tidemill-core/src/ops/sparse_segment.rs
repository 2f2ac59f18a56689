//! Segments of rows that are picked by index first: sums of embeddings.

use tidemill_tensor::{Dim, PartialShape};

use super::segment::segment_count;
use crate::autodiff::{GradCx, Grads, IndexedSlices, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    gradients(counted(uncounted(set)))
}

/// The rows of operand 0 that indices and segment ids name, and the shape of one.
fn picked(cx: &InferCx) -> Result<PartialShape> {
    cx.expect_rank_at_least(0, 1)?;
    cx.expect_rank(1, 1)?;
    cx.expect_rank(2, 1)?;
    if let (Some(indices), Some(ids)) = (cx.shape(1).dim(0), cx.shape(2).dim(0))
        && indices != ids
    {
        return Err(Error::invalid(format!("{ids} segment ids for {indices} indices")));
    }
    Ok(cx.shape(0).dims().map_or(PartialShape::unknown(), |dims| (&dims[1..]).into()))
}

fn rows(cx: &InferCx, count: Dim) -> Result<Vec<TensorType>> {
    let row = picked(cx)?;
    cx.output(cx.dtype(0), PartialShape::from([count]).concatenate(&row))
}

/// The gradient with respect to the data, by the op that computes it densely or the one that computes only the rows in use.
fn back(cx: &GradCx, sparse: bool, dense_op: impl Op, sparse_op: impl Op) -> Grads {
    let graph = cx.graph();
    let shape = ops::shape(cx.x(0));
    let inputs = [cx.dy(0), cx.x(1), cx.x(2), ops::index(shape, 0)];
    let mut all = match sparse {
        false => grads![graph.add(dense_op, &inputs)],
        true => {
            let op = graph.op(sparse_op).inputs(&inputs).build();
            let (values, indices) = (op.output(0), op.output(1));
            grads![IndexedSlices { values, indices, dense_shape: ops::cast(shape, indices.dtype()) }]
        }
    };
    all.resize(cx.num_inputs(), None);
    all
}

/// A row: documentation, the op, the op with a number of segments, dtypes, and the ops of the gradient.
macro_rules! sparse_segments {
    ($($(#[$doc:meta])* $op:ident $with_count:ident $types:literal, $function:ident $tf:literal, grad $dense:ident $sparse:ident;)*) => {
        fn uncounted(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        fn counted(set: OpSet) -> OpSet {
            set$(.with::<$with_count>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op {
                /// Whether the gradient is sparse.
                pub sparse_gradient: bool,
            }
            attrs!($op { sparse_gradient });

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(
                    stringify!($op),
                    concat!(
                        "(data: T, indices: Tidx, segment_ids: Tsegmentids) -> (output: T) where T: ", $types,
                        ", Tidx: i32|i64, Tsegmentids: i32|i64"
                    ),
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    rows(cx, None)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    Ok(back(cx, self.sparse_gradient, $dense, $sparse))
                }
            }

            #[doc = concat!("As [`", stringify!($op), "`], with a given number of segments; those without rows have zeros.")]
            #[derive(Debug, Clone, PartialEq)]
            pub struct $with_count {
                /// Whether the gradient is sparse.
                pub sparse_gradient: bool,
            }
            attrs!($with_count { sparse_gradient });

            impl Op for $with_count {
                const SCHEMA: Schema = Schema::new(
                    stringify!($with_count),
                    concat!(
                        "(data: T, indices: Tidx, segment_ids: Tsegmentids, num_segments: Tnumsegments) -> (output: T) where T: ",
                        $types, ", Tidx: i32|i64, Tsegmentids: i32|i64, Tnumsegments: i32|i64"
                    ),
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    rows(cx, segment_count(cx, 3)?)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    Ok(back(cx, self.sparse_gradient, $dense, $sparse))
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!("Ids ascend; those that do not occur have zeros. TensorFlow: `", $tf, "`.")]
            ///
            /// # Panics
            /// When there are not as many ids as indices. (Wrong ids and indices fail the run.)
            #[track_caller]
            pub fn $function(
                data: impl Into<Tensor>,
                indices: impl Into<Tensor>,
                segment_ids: impl Into<Tensor>,
            ) -> Tensor {
                let data = data.into();
                let builder = data.graph().op($op { sparse_gradient: false }).input(data);
                builder.input(indices.into()).input(segment_ids.into()).tensor()
            }
        )*
    };
}

sparse_segments! {
    /// The sums of the rows `indices` of `data` that share a segment id.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops};
    /// let g = Graph::new();
    /// let table = g.placeholder(DType::F32, [1000, 64]);
    /// let (words, sentence) = (g.placeholder(DType::I32, [20]), g.placeholder(DType::I32, [20]));
    /// assert_eq!(ops::sparse_segment_sum(table, words, sentence).ty().to_string(), "f32[?,64]");
    /// ```
    SparseSegmentSum SparseSegmentSumWithNumSegments "Num",
    sparse_segment_sum "tf.sparse.segment_sum", grad SparseSegmentSumGrad SparseSegmentSumGradV2;

    /// The means of the rows `indices` of `data` that share a segment id.
    SparseSegmentMean SparseSegmentMeanWithNumSegments "Float",
    sparse_segment_mean "tf.sparse.segment_mean", grad SparseSegmentMeanGrad SparseSegmentMeanGradV2;

    /// The sums of the rows `indices` of `data` that share a segment id, divided by the square root of their number.
    SparseSegmentSqrtN SparseSegmentSqrtNWithNumSegments "Float",
    sparse_segment_sqrt_n "tf.sparse.segment_sqrt_n", grad SparseSegmentSqrtNGrad SparseSegmentSqrtNGradV2;
}

/// A row: the op whose gradient it is, without and with a number of segments; the gradient, and the gradient of the rows in use.
macro_rules! sparse_segment_gradients {
    ($($of:ident $counted:ident: $dense:ident $sparse:ident;)*) => {
        fn gradients(set: OpSet) -> OpSet {
            set$(.with::<$dense>().with::<$sparse>())*
        }
        $(
            #[doc = concat!(
                "The gradient of [`", stringify!($of), "`] with respect to its data, which has `output_dim0` rows, from that of its result."
            )]
            #[derive(Debug, Clone, PartialEq)]
            pub struct $dense;
            attrs!($dense {});

            impl Op for $dense {
                const SCHEMA: Schema = Schema::new(
                    stringify!($dense),
                    "(grad: T, indices: Tidx, segment_ids: Tsegmentids, output_dim0: i32) -> (output: T) \
                     where T: Float, Tidx: i32|i64, Tsegmentids: i32|i64",
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    rows(cx, segment_count(cx, 3)?)
                }
                /// It is linear, and its transpose the forward op.
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let segments = ops::index(ops::shape(cx.x(0)), 0);
                    let op = $counted { sparse_gradient: false };
                    let dx = cx.graph().add(op, &[cx.dy(0), cx.x(1), cx.x(2), segments]);
                    Ok(grads![dx, NoGrad, NoGrad, NoGrad])
                }
            }

            #[doc = concat!(
                "As [`", stringify!($dense), "`], of only the rows that occur among the indices, and the indices of those rows in order."
            )]
            #[derive(Debug, Clone, PartialEq)]
            pub struct $sparse;
            attrs!($sparse {});

            impl Op for $sparse {
                const SCHEMA: Schema = Schema::new(
                    stringify!($sparse),
                    "(grad: T, indices: Tidx, segment_ids: Tsegmentids, dense_output_dim0: i32) \
                     -> (output: T, sorted_unique_indices: Tidx) where T: Float, Tidx: i32|i64, Tsegmentids: i32|i64",
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    segment_count(cx, 3)?;
                    let mut types = rows(cx, None)?;
                    types.push(TensorType::new(cx.dtype(1), PartialShape::from([None])));
                    Ok(types)
                }
            }
        )*
    };
}

sparse_segment_gradients! {
    SparseSegmentSum SparseSegmentSumWithNumSegments: SparseSegmentSumGrad SparseSegmentSumGradV2;
    SparseSegmentMean SparseSegmentMeanWithNumSegments: SparseSegmentMeanGrad SparseSegmentMeanGradV2;
    SparseSegmentSqrtN SparseSegmentSqrtNWithNumSegments: SparseSegmentSqrtNGrad SparseSegmentSqrtNGradV2;
}
