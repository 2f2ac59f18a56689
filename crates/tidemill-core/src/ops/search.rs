//! Finding elements: which are true, where values fall among sorted ones, which are the largest.

use tidemill_tensor::{DType, Dim, PartialShape};

use super::resolved;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Origin, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;
use crate::{attrs, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Where>()
        .with::<LowerBound>()
        .with::<UpperBound>()
        .with::<Bucketize>()
        .with::<TopK>()
        .with::<TopKV2>()
        .with::<NthElement>()
}

/// The positions of the elements that are true, or not zero: one row of coordinates each, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Where;
attrs!(Where {});

impl Op for Where {
    const SCHEMA: Schema = Schema::new("Where", "(input: T) -> (index: i64)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(DType::I64, PartialShape::from([None, cx.shape(0).rank()]))
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
}

macro_rules! bounds {
    ($($(#[$doc:meta])* $op:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// `i32` or `i64`.
            pub out_type: DType,
        }
        attrs!($op { out_type });

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(
                stringify!($op),
                "(sorted_inputs: T, values: T) -> (output: out_type) where T: Num, out_type: i32|i64",
            );
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                cx.expect_rank(0, 2)?;
                cx.expect_rank(1, 2)?;
                if let (Some(rows), Some(values)) = (cx.shape(0).dim(0), cx.shape(1).dim(0))
                    && rows != values
                {
                    return Err(Error::invalid(format!("{rows} sorted rows, but {values} rows of values")));
                }
                cx.output(self.out_type, cx.shape(1).clone())
            }
            fn grad(&self, _: &GradCx) -> Result<Grads> {
                Ok(grads![NoGrad, NoGrad])
            }
        }
    )*};
}
bounds! {
    /// For each value, how many elements of the same row of `sorted_inputs` are smaller: the first place where it could be put.
    LowerBound;
    /// For each value, how many elements of the same row of `sorted_inputs` are not larger: the last place where it could be put.
    UpperBound;
}

/// For each element, how many of the sorted `boundaries` are not above it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucketize {
    /// In ascending order.
    pub boundaries: Vec<f32>,
}
attrs!(Bucketize { boundaries });

impl Op for Bucketize {
    const SCHEMA: Schema = Schema::new("Bucketize", "(input: T) -> (output: i32) where T: i32|i64|f32|f64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        if !self.boundaries.is_sorted() {
            return Err(Error::invalid("boundaries must be sorted"));
        }
        cx.output(DType::I32, cx.shape(0).clone())
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
}

/// The shape of `input` with a last axis of size `k`, if it is known.
fn of_last(cx: &InferCx, k: Option<i64>) -> Result<PartialShape> {
    cx.expect_rank_at_least(0, 1)?;
    let k = match k {
        Some(k) => Some(
            usize::try_from(k).map_err(|_| Error::invalid(format!("k is {k}, but must not be negative")))?,
        ),
        None => None,
    };
    let Some((last, outer)) = cx.shape(0).dims().and_then(<[Dim]>::split_last) else {
        return Ok(PartialShape::unknown());
    };
    if let (Some(k), Some(last)) = (k, *last)
        && k > last
    {
        return Err(Error::invalid(format!("the last axis of {} does not have {k} elements", cx.shape(0))));
    }
    Ok(PartialShape::from(outer).concatenate(&PartialShape::from([k])))
}

/// The `k` largest elements of each row of the last axis, the largest first, and their places; of equal ones the first.
#[derive(Debug, Clone, PartialEq)]
pub struct TopKV2 {
    /// Whether the largest comes first; if not, no order is promised.
    pub sorted: bool,
    /// The dtype of the places.
    pub index_type: DType,
}
attrs!(TopKV2 { sorted, index_type });

impl Op for TopKV2 {
    const SCHEMA: Schema = Schema::new(
        "TopKV2",
        "(input: T, k: Tk) -> (values: T, indices: index_type) where T: Num, Tk: i16|i32|i64, index_type: i16|i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 0)?;
        let shape = of_last(cx, cx.known_all(1).map(|k| k[0]))?;
        Ok(vec![TensorType::new(cx.dtype(0), shape.clone()), TensorType::new(self.index_type, shape)])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![to_places(cx), NoGrad])
    }
}

/// As [`TopKV2`], with a number of elements that is settled when the graph is built.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    /// How many elements.
    pub k: i64,
    /// Whether the largest comes first; if not, no order is promised.
    pub sorted: bool,
}
attrs!(TopK { k, sorted });

impl Op for TopK {
    const SCHEMA: Schema = Schema::new("TopK", "(input: T) -> (values: T, indices: i32) where T: Num");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = of_last(cx, Some(self.k))?;
        Ok(vec![TensorType::new(cx.dtype(0), shape.clone()), TensorType::new(DType::I32, shape)])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![to_places(cx)])
    }
}

/// `dy` of the largest elements, put where they stood.
fn to_places(cx: &GradCx) -> Tensor {
    let (x, places, dy) = (cx.x(0), cx.y(1), cx.dy(0));
    let graph = cx.graph();
    let wide = |t: Tensor| ops::cast(t, DType::I64);
    let shape = ops::shape_typed(x, DType::I64);
    let row = ops::index(shape, -1);
    let picked = ops::index(ops::shape_typed(places, DType::I64), -1);
    let rows = ops::reduce_prod(ops::index(shape, ..-1));
    let places = ops::reshape(wide(places), ops::stack([rows, picked], 0));
    let first = graph.range(0i64, rows, 1i64) * row;
    let places = ops::reshape(places + ops::expand_dims(first, 1), [-1, 1]);
    let size = ops::reshape(rows * row, [1]);
    let flat = ops::scatter_nd(places, ops::reshape(dy, [-1]), size);
    ops::reshape(flat, shape)
}

/// The element of each row of the last axis that would stand at place `n` if the row were sorted.
#[derive(Debug, Clone, PartialEq)]
pub struct NthElement {
    /// Whether the largest comes first.
    pub reverse: bool,
}
attrs!(NthElement { reverse });

impl Op for NthElement {
    const SCHEMA: Schema = Schema::new("NthElement", "(input: T, n: i32) -> (values: T) where T: Num");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank_at_least(0, 1)?;
        cx.expect_rank(1, 0)?;
        let Some((last, outer)) = cx.shape(0).dims().and_then(<[Dim]>::split_last) else {
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        if let Some(n) = cx.known_all(1).map(|n| n[0])
            && (n < 0 || last.is_some_and(|last| n >= last as i64))
        {
            return Err(Error::invalid(format!("n = {n} is no place in the last axis of {}", cx.shape(0))));
        }
        cx.output(cx.dtype(0), PartialShape::from(outer))
    }
    /// Shared equally among equal elements.
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (x, y, dy) = (cx.x(0), cx.y(0), cx.dy(0));
        let equal = ops::cast(ops::equal(ops::expand_dims(y, -1), x), dy.dtype());
        let count = ops::reduce_sum_with(equal, ops::Reduce::over(-1).keep_dims());
        Ok(grads![equal / count * ops::expand_dims(dy, -1), NoGrad])
    }
}

/// The positions of the elements of `condition` that are true (or, for numbers, not zero): an `i64` matrix with a row of coordinates
/// for each. TensorFlow: `tf.where(condition)`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [4, 5]);
/// assert_eq!(ops::where_indices(x.gt(0.0)).ty().to_string(), "i64[?,2]");
/// ```
#[track_caller]
pub fn where_indices(condition: impl Into<Tensor>) -> Tensor {
    super::unary(Where, "Where", condition)
}

/// The slices of `tensor` where `mask` is true: the mask covers the first axes of the tensor, which become one.
/// TensorFlow: `tf.boolean_mask`.
///
/// # Panics
/// When the mask is not bool, its rank is unknown or 0, or its shape is not that of the first axes.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [4, 5, 3]);
/// let mask = g.placeholder(DType::Bool, [4, 5]);
/// assert_eq!(ops::boolean_mask(x, mask).ty().to_string(), "f32[?,3]");
/// ```
#[track_caller]
pub fn boolean_mask(tensor: impl Into<Tensor>, mask: impl Into<Tensor>) -> Tensor {
    let (tensor, mask) = (tensor.into(), mask.into());
    let graph = tensor.graph();
    let rank = match mask.shape().rank() {
        Some(rank) if rank > 0 && mask.dtype() == DType::Bool => rank,
        _ => or_panic(Err(Error::invalid(format!(
            "boolean_mask needs a mask of bools whose rank is known and not 0, not {}",
            mask.ty()
        )))),
    };
    let first =
        PartialShape::from(tensor.shape().dims().map_or(&[][..], |dims| &dims[..rank.min(dims.len())]));
    if tensor.shape().rank().is_some_and(|r| r < rank)
        || tensor.shape().rank().is_some() && !first.is_compatible_with(&mask.shape())
    {
        or_panic(Err(Error::invalid(format!(
            "the mask has shape {}, but the tensor {}",
            mask.shape(),
            tensor.shape()
        ))))
    }
    graph.with_origin(Origin::here(), || {
        graph.name_scope("boolean_mask").enter(|| {
            let sizes = ops::shape(tensor);
            let rows = ops::reshape(ops::reduce_prod(ops::index(sizes, ..rank as i32)), [1]);
            let flat = ops::reshape(tensor, ops::concat([rows, ops::index(sizes, rank as i32..)], 0));
            let places = where_indices(ops::reshape(mask, [-1]));
            ops::gather(flat, ops::squeeze_axes(places, 1))
        })
    })
}

/// The `k` largest elements of each row of the last axis of `x`, the largest first, and their places (`i32`).
/// TensorFlow: `tf.nn.top_k`.
///
/// The gradient flows to the elements that were picked.
///
/// # Panics
/// When `k` is negative or larger than the last axis.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let logits = g.placeholder(DType::F32, [200, 10]);
/// let (values, classes) = ops::top_k(logits, 3);
/// assert_eq!((values.ty().to_string(), classes.ty().to_string()), ("f32[200,3]".into(), "i32[200,3]".into()));
/// ```
#[track_caller]
pub fn top_k(x: impl Into<Tensor>, k: impl Operand) -> (Tensor, Tensor) {
    let x = x.into();
    let builder = x.graph().op(TopKV2 { sorted: true, index_type: DType::I32 }).input(x);
    let op = resolved(builder, "k", or_panic(k.resolve(DType::I32))).build();
    (op.output(0), op.output(1))
}

/// Of each row of the last axis of `x`, the element that is larger than `n` others; with `reverse`, smaller than `n` others.
/// TensorFlow: `tf.contrib.nn.nth_element`.
///
/// # Panics
/// When `n` is no place in the last axis.
#[track_caller]
pub fn nth_element(x: impl Into<Tensor>, n: impl Operand, reverse: bool) -> Tensor {
    let x = x.into();
    resolved(x.graph().op(NthElement { reverse }).input(x), "n", or_panic(n.resolve(DType::I32))).tensor()
}

/// On which side of equal elements a value is put ([`searchsorted`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Before them.
    Left,
    /// After them.
    Right,
}

/// For each of `values`, where it is to be put among the elements of the same row of `sorted` so that the row stays sorted (`i32`).
/// TensorFlow: `tf.searchsorted`.
///
/// # Panics
/// When a rank is unknown or 0, or the shapes differ before the last axis.
///
/// ```
/// use tidemill_core::{DType, Graph, ops::{self, Side}};
/// let g = Graph::new();
/// let edges = g.constant([0.0f32, 1.0, 2.0]);
/// let places = ops::searchsorted(edges, g.constant([0.5f32, 7.0]), Side::Left);
/// assert_eq!(places.ty().to_string(), "i32[2]");
/// ```
#[track_caller]
pub fn searchsorted(sorted: impl Into<Tensor>, values: impl Into<Tensor>, side: Side) -> Tensor {
    let (sorted, values) = (sorted.into(), values.into());
    let graph = sorted.graph();
    graph.with_origin(Origin::here(), || {
        graph.name_scope("searchsorted").enter(|| {
            let rows = |t: Tensor| {
                ops::reshape(t, ops::stack([graph.constant(-1), ops::index(ops::shape(t), -1)], 0))
            };
            let operands = [rows(sorted), rows(values)];
            let places = match side {
                Side::Left => graph.add(LowerBound { out_type: DType::I32 }, &operands),
                Side::Right => graph.add(UpperBound { out_type: DType::I32 }, &operands),
            };
            ops::reshape(places, ops::shape(values))
        })
    })
}

/// For each element of `x`, the bucket between ascending `boundaries` that it falls into: 0 below the first, 1 from the first on.
/// TensorFlow: `tf.raw_ops.Bucketize`.
///
/// # Panics
/// When the boundaries are not sorted.
#[track_caller]
pub fn bucketize(x: impl Into<Tensor>, boundaries: &[f32]) -> Tensor {
    super::unary(Bucketize { boundaries: boundaries.to_vec() }, "Bucketize", x)
}
