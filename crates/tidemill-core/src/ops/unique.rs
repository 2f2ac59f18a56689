//! Distinct elements, and differences of lists.

use tidemill_tensor::{DType, Dim, PartialShape};

use crate::attrs;
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType, normalise_axis};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Unique>()
        .with::<UniqueV2>()
        .with::<UniqueWithCounts>()
        .with::<UniqueWithCountsV2>()
        .with::<ListDiff>()
}

/// A row: documentation, op and signature, whether an operand names the axis, whether the elements are counted.
macro_rules! unique_ops {
    ($($(#[$doc:meta])* $op:ident $signature:literal, axis $axis:literal, counts $counts:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// The dtype of places and counts.
            pub out_idx: DType,
        }
        attrs!($op { out_idx });

        impl Op for $op {
            const SCHEMA: Schema =
                Schema::new(stringify!($op), concat!($signature, " where Taxis: i32|i64, out_idx: i32|i64"));
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                distinct(cx, self.out_idx, $axis, $counts)
            }
        }
    )*};
}

unique_ops! {
    /// The distinct elements `y` of the vector `x` in the order of their first occurrence, and for each element of `x` its place
    /// `idx` in `y`, so that `x[i] == y[idx[i]]`. A NaN equals nothing.
    Unique "(x: T) -> (y: T, idx: out_idx)", axis false, counts false;

    /// As [`Unique`], of the slices of `x` along an axis: `axis` has one element, or none for a vector.
    UniqueV2 "(x: T, axis: Taxis) -> (y: T, idx: out_idx)", axis true, counts false;

    /// As [`Unique`], with how often each element of `y` stands in `x`.
    UniqueWithCounts "(x: T) -> (y: T, idx: out_idx, count: out_idx)", axis false, counts true;

    /// As [`UniqueV2`], with how often each slice of `y` stands in `x`.
    UniqueWithCountsV2 "(x: T, axis: Taxis) -> (y: T, idx: out_idx, count: out_idx)", axis true, counts true;
}

fn distinct(cx: &InferCx, out_idx: DType, has_axis: bool, counts: bool) -> Result<Vec<TensorType>> {
    let x = cx.shape(0);
    let mut axis = Some(0);
    let mut vector = !has_axis;
    if has_axis {
        cx.expect_rank(1, 1)?;
        vector = cx.shape(1).dim(0) == Some(0);
        if let Some(n) = cx.shape(1).dim(0).filter(|n| *n > 1) {
            return Err(Error::invalid(format!("axis must be one number or none, not {n}")));
        }
        axis = match (cx.known_all(1), x.rank()) {
            (Some(axis), Some(rank)) if axis.len() == 1 => Some(normalise_axis(axis[0], rank)?),
            _ if vector => Some(0),
            _ => None,
        };
    }
    if vector {
        cx.expect_rank(0, 1)?;
    }
    let y = match (x.dims(), axis) {
        (_, Some(_)) if vector => PartialShape::from([None]),
        (Some(dims), Some(axis)) => {
            dims.iter().enumerate().map(|(d, dim)| dim.filter(|_| d != axis)).collect()
        }
        (dims, _) => dims.map_or(PartialShape::unknown(), |dims| PartialShape::with_rank(dims.len())),
    };
    let along: Dim = axis.and_then(|axis| x.dim(axis));
    let mut types = vec![TensorType::new(cx.dtype(0), y), TensorType::new(out_idx, [along])];
    if counts {
        types.push(TensorType::new(out_idx, PartialShape::from([None])));
    }
    Ok(types)
}

/// The elements `out` of the vector `x` that do not stand in `y`, in order and as often as they stand in `x`, and their places
/// `idx` in `x`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListDiff {
    /// The dtype of `idx`.
    pub out_idx: DType,
}
attrs!(ListDiff { out_idx });

impl Op for ListDiff {
    const SCHEMA: Schema =
        Schema::new("ListDiff", "(x: T, y: T) -> (out: T, idx: out_idx) where out_idx: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 1)?;
        cx.expect_rank(1, 1)?;
        let some = PartialShape::from([None]);
        Ok(vec![TensorType::new(cx.dtype(0), some.clone()), TensorType::new(self.out_idx, some)])
    }
}

/// The distinct elements of the vector `x` in the order of their first occurrence, and for each element of `x` its place among
/// them (`i32`). TensorFlow: `tf.unique`.
///
/// # Panics
/// When `x` is no vector.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::I64, [7]);
/// let (distinct, places) = ops::unique(x);
/// assert_eq!((distinct.ty().to_string(), places.ty().to_string()), ("i64[?]".into(), "i32[7]".into()));
/// ```
#[track_caller]
pub fn unique(x: impl Into<Tensor>) -> (Tensor, Tensor) {
    let x = x.into();
    let op = x.graph().op(Unique { out_idx: DType::I32 }).input(x).build();
    (op.output(0), op.output(1))
}

/// [`unique`], and how often each distinct element stands in `x` (`i32`). TensorFlow: `tf.unique_with_counts`.
///
/// # Panics
/// When `x` is no vector.
#[track_caller]
pub fn unique_with_counts(x: impl Into<Tensor>) -> (Tensor, Tensor, Tensor) {
    let x = x.into();
    let op = x.graph().op(UniqueWithCounts { out_idx: DType::I32 }).input(x).build();
    (op.output(0), op.output(1), op.output(2))
}

/// The elements of the vector `x` that do not stand in the vector `y`, in order, and their places in `x` (`i32`). TensorFlow:
/// `tf.setdiff1d`.
///
/// # Panics
/// When one is no vector, or their dtypes differ.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let (kept, places) = ops::setdiff1d(g.range(0, 10, 1), g.constant([2, 4]));
/// assert_eq!((kept.ty().to_string(), places.ty().to_string()), ("i32[?]".into(), "i32[?]".into()));
/// ```
#[track_caller]
pub fn setdiff1d(x: impl Into<Tensor>, y: impl Into<Tensor>) -> (Tensor, Tensor) {
    let (x, y) = (x.into(), y.into());
    let op = x.graph().op(ListDiff { out_idx: DType::I32 }).input(x).input(y).build();
    (op.output(0), op.output(1))
}
