//! Rows folded into segments: sums, means, products and extremes of the rows that share an id.

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
    unsorted(sorted(set))
}

/// What the gradient rule of a segment op sees: `y`, of the rows of `x` by their `ids`, and `dy`.
struct Segments<'a, 'g> {
    cx: &'a GradCx<'g>,
    x: Tensor,
    ids: Tensor,
    y: Tensor,
    dy: Tensor,
    unsorted: bool,
}

impl<'a, 'g> Segments<'a, 'g> {
    fn new(cx: &'a GradCx<'g>, unsorted: bool) -> Self {
        Segments { cx, x: cx.x(0), ids: cx.x(1), y: cx.y(0), dy: cx.dy(0), unsorted }
    }

    /// For each row of `x` the row of its segment; zeros for rows that are dropped.
    fn rows(&self, of_segments: Tensor) -> Tensor {
        if !self.unsorted {
            return ops::gather(of_segments, self.ids);
        }
        let rows = ops::gather(of_segments, ops::maximum(self.ids, ops::zeros_like(self.ids)));
        ops::select(self.kept(), rows, ops::zeros_like(rows))
    }

    /// Which rows of an unsorted segment op are not dropped, so that it broadcasts with `x`.
    fn kept(&self) -> Tensor {
        ops::reshape(ops::greater_equal(self.ids, 0), with_ones(self.x, self.ids))
    }

    /// The sums of other rows, by the same ids.
    fn sums(&self, rows: Tensor) -> Tensor {
        self.again(SegmentSum, UnsortedSegmentSum, rows)
    }

    fn again(&self, sorted: impl Op, unsorted: impl Op, rows: Tensor) -> Tensor {
        match self.unsorted {
            true => self.cx.graph().add(unsorted, &[rows, self.ids, self.cx.x(2)]),
            false => self.cx.graph().add(sorted, &[rows, self.ids]),
        }
    }

    /// `dy` shared equally among the elements that are the segment's extreme.
    fn share_among_equal(&self) -> Tensor {
        let mut selected = ops::equal(self.x, self.rows(self.y));
        if self.unsorted {
            selected = ops::logical_and(selected, self.kept());
        }
        let count = self.sums(ops::cast(selected, self.dy.dtype()));
        // A segment without rows has none to share with.
        let share = self.rows(self.dy / ops::maximum(count, 1));
        ops::select(selected, share, ops::zeros_like(share))
    }

    /// `dy` times the product of the other elements of the segment.
    fn product_of_others(&self) -> Tensor {
        let x = self.x;
        let is_zero = ops::equal(x, 0);
        let zeros = self.sums(ops::cast(is_zero, DType::I32));
        let dy = ops::select(ops::greater(zeros, 1), ops::zeros_like(self.dy), self.dy);
        let nonzero = ops::select(is_zero, ops::ones_like(x), x);
        let product = self.again(SegmentProd, UnsortedSegmentProd, nonzero);
        let others = ops::select(is_zero, self.rows(product), self.rows(self.y) / nonzero);
        self.rows(dy) * others
    }

    /// `dy` divided by how many rows each segment has.
    fn mean(&self) -> Tensor {
        let graph = self.cx.graph();
        let ones = graph.add(ops::Fill, &[with_ones(self.x, self.ids), one(self.dy)]);
        self.rows(self.dy / ops::maximum(self.sums(ones), 1))
    }
}

fn one(like: Tensor) -> Tensor {
    like.graph().constant(tidemill_tensor::Value::scalar(1).cast(like.dtype()))
}

/// The shape of `ids` with axes of size 1 added, so that it broadcasts with `data`.
fn with_ones(data: Tensor, ids: Tensor) -> Tensor {
    let graph = data.graph();
    let ones = match (data.shape().rank(), ids.shape().rank()) {
        (Some(data), Some(ids)) => graph.ones(DType::I32, [data - ids]),
        _ => graph.ones(DType::I32, ops::expand_dims(ops::rank(data) - ops::rank(ids), 0)),
    };
    ops::concat([ops::shape(ids), ones], 0)
}

/// A row: documentation, op and its dtypes, function and its name in TensorFlow, gradient.
macro_rules! sorted_segments {
    ($($(#[$doc:meta])* $op:ident $types:literal, $function:ident $tf:literal, grad $grad:expr;)*) => {
        fn sorted(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(
                    stringify!($op),
                    concat!("(data: T, segment_ids: Tindices) -> (output: T) where T: ", $types, ", Tindices: i32|i64"),
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    cx.expect_rank_at_least(0, 1)?;
                    cx.expect_rank(1, 1)?;
                    fits(cx)?;
                    let row = cx.shape(0).dims().map_or(PartialShape::unknown(), |dims| (&dims[1..]).into());
                    cx.output(cx.dtype(0), PartialShape::from([None]).concatenate(&row))
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let rule: fn(&Segments) -> Tensor = $grad;
                    Ok(grads![rule(&Segments::new(cx, false)), NoGrad])
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!("`segment_ids` ascend, one for each row of `data`. TensorFlow: `", $tf, "`.")]
            ///
            /// # Panics
            /// When there are not as many ids as rows. (Ids that do not ascend, or are negative, fail the run.)
            #[track_caller]
            pub fn $function(data: impl Into<Tensor>, segment_ids: impl Into<Tensor>) -> Tensor {
                let data = data.into();
                data.graph().op($op).input(data).input(segment_ids.into()).tensor()
            }
        )*
    };
}

sorted_segments! {
    /// The sums of the rows of `data` that share an id: as many rows as the last id, and one. Ids that do not occur have zeros.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops};
    /// let g = Graph::new();
    /// let rows = g.placeholder(DType::F32, [5, 3]);
    /// assert_eq!(ops::segment_sum(rows, g.constant([0, 0, 1, 1, 1])).ty().to_string(), "f32[?,3]");
    /// ```
    SegmentSum "Num|Complex", segment_sum "tf.math.segment_sum", grad |g| g.rows(g.dy);

    /// The means of the rows of `data` that share an id: as many rows as the last id, and one. Ids that do not occur have zeros.
    SegmentMean "Num", segment_mean "tf.math.segment_mean", grad |g| g.mean();

    /// The products of the rows of `data` that share an id: as many rows as the last id, and one. Ids that do not occur have ones.
    SegmentProd "Num", segment_prod "tf.math.segment_prod", grad |g| g.product_of_others();

    /// The largest elements of the rows of `data` that share an id: as many rows as the last id, and one. Ids that do not occur have zeros.
    /// The gradient is shared equally among several largest.
    SegmentMax "Num", segment_max "tf.math.segment_max", grad |g| g.share_among_equal();

    /// The smallest elements of the rows of `data` that share an id: as many rows as the last id, and one. Ids that do not occur have zeros.
    /// The gradient is shared equally among several smallest.
    SegmentMin "Num", segment_min "tf.math.segment_min", grad |g| g.share_among_equal();
}

/// `InvalidArgument` unless `data` has a row for each segment id.
fn fits(cx: &InferCx) -> Result<()> {
    match (cx.shape(0).dim(0), cx.shape(1).dim(0)) {
        (Some(rows), Some(ids)) if rows != ids => {
            Err(Error::invalid(format!("{ids} segment ids for {rows} rows")))
        }
        _ => Ok(()),
    }
}

/// The scalar operand `i` as a number of segments, if it is known.
pub(super) fn segment_count(cx: &InferCx, i: usize) -> Result<Dim> {
    cx.expect_rank(i, 0)?;
    match cx.known_all(i) {
        Some(n) => usize::try_from(n[0]).map(Some).map_err(|_| {
            Error::invalid(format!("the number of segments must not be negative, but is {}", n[0]))
        }),
        None => Ok(None),
    }
}

/// A row: documentation, op, dtypes of data and of ids, function and its name in TensorFlow, gradient.
macro_rules! unsorted_segments {
    ($($(#[$doc:meta])* $op:ident $types:literal $ids:literal, $function:ident $tf:literal, grad $grad:expr;)*) => {
        fn unsorted(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(
                    stringify!($op),
                    concat!(
                        "(data: T, segment_ids: Tindices, num_segments: Tnumsegments) -> (output: T) where T: ", $types,
                        ", Tindices: ", $ids, ", Tnumsegments: i32|i64"
                    ),
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    let segments = segment_count(cx, 2)?;
                    let (Some(data), Some(ids)) = (cx.shape(0).dims(), cx.shape(1).dims()) else {
                        return cx.output(cx.dtype(0), PartialShape::unknown());
                    };
                    if data.len() < ids.len()
                        || !PartialShape::from(&data[..ids.len()]).is_compatible_with(cx.shape(1))
                    {
                        return Err(Error::invalid(format!(
                            "data of shape {} must begin with the shape of segment_ids, {}",
                            cx.shape(0),
                            cx.shape(1)
                        )));
                    }
                    let row = PartialShape::from(&data[ids.len()..]);
                    cx.output(cx.dtype(0), PartialShape::from([segments]).concatenate(&row))
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let rule: fn(&Segments) -> Tensor = $grad;
                    Ok(grads![rule(&Segments::new(cx, true)), NoGrad, NoGrad])
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!(
                "`segment_ids` has the first sizes of `data`; rows of a negative id are dropped. TensorFlow: `", $tf, "`."
            )]
            ///
            /// # Panics
            /// When the shapes do not fit each other. (An id that is not below `num_segments` fails the run.)
            #[track_caller]
            pub fn $function(
                data: impl Into<Tensor>,
                segment_ids: impl Into<Tensor>,
                num_segments: impl Operand,
            ) -> Tensor {
                let (data, ids) = (data.into(), segment_ids.into());
                let builder = data.graph().op($op).input(data).input(ids);
                resolved(builder, "num_segments", or_panic(num_segments.resolve(DType::I32))).tensor()
            }
        )*
    };
}

unsorted_segments! {
    /// The sums of the rows of `data` that share a segment id, `num_segments` of them.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops};
    /// let g = Graph::new();
    /// let data = g.placeholder(DType::F32, [200, 3]);
    /// let ids = g.placeholder(DType::I32, [200]);
    /// assert_eq!(ops::unsorted_segment_sum(data, ids, 7).ty().to_string(), "f32[7,3]");
    /// ```
    UnsortedSegmentSum "Num|Complex" "i16|i32|i64", unsorted_segment_sum "tf.math.unsorted_segment_sum",
    grad |g| g.rows(g.dy);

    /// The products of the rows of `data` that share a segment id, `num_segments` of them; 1 of none.
    UnsortedSegmentProd "Num" "i32|i64", unsorted_segment_prod "tf.math.unsorted_segment_prod",
    grad |g| g.product_of_others();

    /// The largest elements of the rows of `data` that share a segment id, `num_segments` rows; of none the lowest number of the dtype. The
    /// gradient is shared equally among several largest.
    UnsortedSegmentMax "Num" "i32|i64", unsorted_segment_max "tf.math.unsorted_segment_max",
    grad |g| g.share_among_equal();

    /// The smallest elements of the rows of `data` that share a segment id, `num_segments` rows; of none the highest number of the dtype. The
    /// gradient is shared equally among several smallest.
    UnsortedSegmentMin "Num" "i32|i64", unsorted_segment_min "tf.math.unsorted_segment_min",
    grad |g| g.share_among_equal();
}
