//! Comparisons, logic, and choosing between tensors.

use tidemill_tensor::{DType, PartialShape};

use super::broadcast::unbroadcast_from;
use super::{binary, resolved, unary, zeros_like};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::{Operand, Resolved};
use crate::schema::Schema;
use crate::{attrs, grads};

/// A row: documentation, op and dtypes, function and its name in TensorFlow.
macro_rules! comparisons {
    ($($(#[$doc:meta])* $op:ident: $types:literal, $function:ident $tf:literal;)*) => {
        pub(super) fn register(set: OpSet) -> OpSet {
            set.with::<LogicalNot>().with::<SelectV2>().with::<Select>()$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema =
                    Schema::new(stringify!($op), concat!("(x: T, y: T) -> (z: bool) where T: ", $types));
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    cx.output(DType::Bool, cx.broadcast()?)
                }
                fn grad(&self, _: &GradCx) -> Result<Grads> {
                    Ok(grads![NoGrad, NoGrad])
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!(
                "A `bool` for each element; shapes broadcast, a number takes the other operand's dtype (", $types,
                "). TensorFlow: `", $tf, "`."
            )]
            ///
            /// # Panics
            /// When the shapes do not broadcast, the dtypes differ, or neither operand is a tensor.
            #[track_caller]
            pub fn $function(x: impl Operand, y: impl Operand) -> Tensor {
                binary($op, stringify!($op), x, y)
            }
        )*
    };
}

comparisons! {
    /// Whether `x` equals `y`. NaN equals nothing.
    Equal: "Any", equal "tf.equal";
    /// Whether `x` differs from `y`. NaN differs from everything.
    NotEqual: "Any", not_equal "tf.not_equal";
    /// Whether `x < y`; false where either is NaN.
    Less: "Num", less "tf.less";
    /// Whether `x <= y`; false where either is NaN.
    LessEqual: "Num", less_equal "tf.less_equal";
    /// Whether `x > y`; false where either is NaN.
    Greater: "Num", greater "tf.greater";
    /// Whether `x >= y`; false where either is NaN.
    GreaterEqual: "Num", greater_equal "tf.greater_equal";
    /// Whether both `x` and `y` are true.
    LogicalAnd: "bool", logical_and "tf.logical_and";
    /// Whether `x` or `y` or both are true.
    LogicalOr: "bool", logical_or "tf.logical_or";
}

/// Whether `x` is false.
#[derive(Debug, Clone, PartialEq)]
pub struct LogicalNot;
attrs!(LogicalNot {});

impl Op for LogicalNot {
    const SCHEMA: Schema = Schema::new("LogicalNot", "(x: bool) -> (y: bool)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
}

/// The element of `t` where `condition` is true, that of `e` where it is false; all three broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectV2;
attrs!(SelectV2 {});

impl Op for SelectV2 {
    const SCHEMA: Schema = Schema::new("SelectV2", "(condition: bool, t: T, e: T) -> (output: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(cx.dtype(1), cx.broadcast()?)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (condition, t, e, z, dz) = (cx.x(0), cx.x(1), cx.x(2), cx.y(0), cx.dy(0));
        let zero = cx.graph().zeros(dz.dtype(), ());
        let dt = cx.needs(1).then(|| select(condition, dz, zero));
        let de = cx.needs(2).then(|| select(condition, zero, dz));
        Ok(grads![NoGrad, dt.map(|d| unbroadcast_from(d, t, z)), de.map(|d| unbroadcast_from(d, e, z))])
    }
}

/// [`SelectV2`] of graph files of old: `t` and `e` have one shape, and `condition` has that shape too, or is a scalar, or a
/// vector that chooses whole rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Select;
attrs!(Select {});

impl Op for Select {
    const SCHEMA: Schema = Schema::new("Select", "(condition: bool, t: T, e: T) -> (output: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let (condition, t, e) = (cx.shape(0), cx.shape(1), cx.shape(2));
        let shape =
            t.merge(e).ok_or_else(|| Error::invalid(format!("`t` has shape {t}, but `e` has shape {e}")))?;
        let chosen = match (condition.rank(), shape.dims()) {
            (Some(0), _) | (None, _) => return cx.output(cx.dtype(1), shape),
            // A vector for tensors of unknown rank may fit as elements or as rows.
            (Some(1), None) => return cx.output(cx.dtype(1), shape),
            (Some(1), Some([rows, ..])) => PartialShape::from([*rows]),
            _ => shape.clone(),
        };
        let chosen = condition.merge(&chosen).ok_or_else(|| {
            Error::invalid(format!("`condition` has shape {condition}, but `t` and `e` have shape {shape}"))
                .with_help(
                    "it must have their shape, or be a scalar, or a vector with an element for each row",
                )
        })?;
        let same_rank = chosen.rank() != Some(1) || shape.rank() == Some(1);
        let shape = if same_rank { shape.merge(&chosen).unwrap_or(shape) } else { shape };
        cx.output(cx.dtype(1), shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (condition, dz) = (cx.x(0), cx.dy(0));
        let zeros = zeros_like(cx.x(1));
        let select = |t, e| cx.graph().add(Select, &[condition, t, e]);
        Ok(grads![NoGrad, cx.wanted(1, || select(dz, zeros)), cx.wanted(2, || select(zeros, dz))])
    }
}

/// Whether `x` is false, for each element. TensorFlow: `tf.logical_not`.
#[track_caller]
pub fn logical_not(x: impl Into<Tensor>) -> Tensor {
    unary(LogicalNot, "LogicalNot", x)
}

/// Whether exactly one of `x` and `y` is true; shapes broadcast. TensorFlow: `tf.logical_xor`.
///
/// # Panics
/// When the shapes do not broadcast, or an operand is not `bool`.
#[track_caller]
pub fn logical_xor(x: impl Into<Tensor>, y: impl Into<Tensor>) -> Tensor {
    let (x, y) = (x.into(), y.into());
    let (either, both) = (logical_or(x, y), logical_and(x, y));
    binary(LogicalAnd, "LogicalXor", either, logical_not(both))
}

/// The element of `t` where `condition` is true, that of `e` where it is false. All three broadcast; a number takes the dtype
/// of the other one. TensorFlow: `tf.where_v2` (as `tf.where` of TensorFlow 2).
///
/// # Panics
/// When the shapes do not broadcast, `condition` is not `bool`, or the dtypes of `t` and `e` differ.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(4)]);
/// let rectified = ops::select(x.gt(0.0), x, 0.0);
/// assert_eq!(rectified.ty().to_string(), "f32[?,4]");
/// ```
#[track_caller]
pub fn select(condition: impl Into<Tensor>, t: impl Operand, e: impl Operand) -> Tensor {
    let condition = condition.into();
    let (t, e) = match t.as_tensor().or(e.as_tensor()) {
        Some(known) => {
            let like = known.dtype();
            (or_panic(t.resolve(like)), or_panic(e.resolve(like)))
        }
        None => {
            let t = or_panic(t.natural());
            let like = match &t {
                Resolved::Tensor(t) => t.dtype(),
                Resolved::Value(v) => v.dtype(),
            };
            (t, or_panic(e.resolve(like)))
        }
    };
    let builder = condition.graph().op(SelectV2).input(condition);
    resolved(resolved(builder, "t", t), "e", e).tensor()
}

/// [`select`].
///
/// # Panics
/// As [`select`].
#[track_caller]
pub fn where_(condition: impl Into<Tensor>, x: impl Operand, y: impl Operand) -> Tensor {
    select(condition, x, y)
}
