//! Sources: constants, placeholders, filled tensors, ranges.

use tidemill_tensor::{DType, IntoValue, PartialShape, Value};

use super::{shape_operand, unary};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result, or_panic};
use crate::graph::Graph;
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::{Operand, Resolved, ShapeArg};
use crate::schema::{Effect, Schema};
use crate::{attrs, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Const>()
        .with::<Placeholder>()
        .with::<PlaceholderWithDefault>()
        .with::<Fill>()
        .with::<Range>()
        .with::<ZerosLike>()
        .with::<OnesLike>()
}

/// Up to this many elements `zeros` and `ones` make a constant; above it, a `Fill`.
const CONSTANT_LIMIT: usize = 1000;

/// A value that is part of the graph.
#[derive(Debug, Clone)]
pub struct Const {
    /// The value.
    pub value: Value,
}
attrs!(Const { value });

impl PartialEq for Const {
    /// Bit for bit, so that a NaN equals itself and 0.0 differs from -0.0.
    fn eq(&self, other: &Const) -> bool {
        self.value.bitwise_eq(&other.value)
    }
}

impl Op for Const {
    const SCHEMA: Schema = Schema::new("Const", "() -> (output: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(self.value.dtype(), self.value.shape())
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![])
    }
    fn constant_value(&self, _: &InferCx) -> Option<PartialValue> {
        known_elements(&self.value)
    }
}

/// The elements of a small tensor of integers or bools, row by row, as shape rules see them.
pub fn known_elements(value: &Value) -> Option<PartialValue> {
    let integral = value.dtype().is_integer() || value.dtype() == DType::Bool;
    if !integral || value.num_elements() > 64 {
        return None;
    }
    let wide = value.cast(DType::I64);
    Some(wide.as_slice::<i64>().ok()?.iter().map(|v| Some(*v)).collect())
}

/// A tensor that every run must feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Placeholder {
    /// Element type.
    pub dtype: DType,
    /// The shapes that may be fed.
    pub shape: PartialShape,
}
attrs!(Placeholder { dtype, shape });

impl Op for Placeholder {
    const SCHEMA: Schema = Schema::new("Placeholder", "() -> (output: dtype)").effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(self.dtype, self.shape.clone())
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![])
    }
}

/// A tensor that a run may feed, and that is its input otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceholderWithDefault {
    /// The shapes that may be fed.
    pub shape: PartialShape,
}
attrs!(PlaceholderWithDefault { shape });

impl Op for PlaceholderWithDefault {
    const SCHEMA: Schema = Schema::new("PlaceholderWithDefault", "(input: T) -> (output: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        if !self.shape.is_compatible_with(cx.shape(0)) {
            return Err(Error::invalid(format!(
                "the default's shape {} does not fit {}",
                cx.shape(0),
                self.shape
            )));
        }
        cx.output(cx.dtype(0), self.shape.clone())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.dy_as_is(0)])
    }
}

/// A tensor of the shape given by `dims`, every element of which is `value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill;
attrs!(Fill {});

impl Op for Fill {
    const SCHEMA: Schema = Schema::new("Fill", "(dims: I, value: T) -> (output: T) where I: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 0)?;
        let negative = cx.known(0).is_some_and(|dims| dims.iter().flatten().any(|d| *d < 0));
        if negative && cx.shape(0).rank() == Some(1) {
            return Err(Error::invalid("dimensions must not be negative"));
        }
        cx.output(cx.dtype(1), cx.shape_argument(0)?)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, ops::reduce_sum(cx.dy(0))])
    }
}

/// `start, start + delta, ...` up to but without `limit`.
#[derive(Debug, Clone, PartialEq)]
pub struct Range;
attrs!(Range {});

impl Op for Range {
    const SCHEMA: Schema = Schema::new(
        "Range",
        "(start: T, limit: T, delta: T) -> (output: T) where T: f32|f64|bf16|i8|i16|i32|i64|u16|u32|u64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        for i in 0..3 {
            cx.expect_rank(i, 0)?;
        }
        let known = |i| cx.known_all(i).and_then(|v| v.first().copied());
        let length = match (known(0), known(1), known(2)) {
            (_, _, Some(0)) => return Err(Error::invalid("delta must not be 0")),
            (Some(start), Some(limit), Some(delta)) => {
                Some(range_length(start, limit, delta).ok_or_else(|| {
                    Error::invalid(format!("the range from {start} never reaches {limit} by {delta}"))
                })?)
            }
            _ => None,
        };
        cx.output(cx.dtype(0), [length])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let known = |i| cx.known_all(i).and_then(|v| v.first().copied());
        let (start, limit, delta) = (known(0)?, known(1)?, known(2)?);
        if delta == 0 || range_length(start, limit, delta)? > 64 {
            return None;
        }
        let within = |v: &i64| if delta > 0 { *v < limit } else { *v > limit };
        Some(
            std::iter::successors(Some(start), |v| v.checked_add(delta))
                .take_while(within)
                .map(Some)
                .collect(),
        )
    }
}

/// How many steps of `delta`, which is not 0, lead from `start` to `limit`; `None` if they lead away from it.
fn range_length(start: i64, limit: i64, delta: i64) -> Option<usize> {
    let (distance, delta) = (i128::from(limit) - i128::from(start), i128::from(delta));
    if distance.signum() * delta.signum() < 0 {
        return None;
    }
    Some(usize::try_from((distance + delta - delta.signum()) / delta).unwrap_or(usize::MAX))
}

/// Zeros of the operand's dtype and shape.
#[derive(Debug, Clone, PartialEq)]
pub struct ZerosLike;
attrs!(ZerosLike {});

impl Op for ZerosLike {
    const SCHEMA: Schema = Schema::new("ZerosLike", "(x: T) -> (y: T) where T: Any|variant");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
}

/// Ones of the operand's dtype and shape.
#[derive(Debug, Clone, PartialEq)]
pub struct OnesLike;
attrs!(OnesLike {});

impl Op for OnesLike {
    const SCHEMA: Schema = Schema::new("OnesLike", "(x: T) -> (y: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
}

impl Graph {
    /// A tensor that every run must feed. The shape may be known (`[2, 3]`), partly known (`[None, Some(3)]`) or unknown
    /// (`PartialShape::unknown()`); any shape that agrees may be fed. TensorFlow: `tf.placeholder`.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, PartialShape};
    /// let g = Graph::new();
    /// let x = g.placeholder(DType::F32, [None, Some(3)]).named("x");
    /// assert_eq!(x.ty().to_string(), "f32[?,3]");
    /// let any = g.placeholder(DType::F32, PartialShape::unknown());
    /// ```
    #[track_caller]
    pub fn placeholder(&self, dtype: DType, shape: impl Into<PartialShape>) -> Tensor {
        self.op(Placeholder { dtype, shape: shape.into() }).tensor()
    }

    /// A tensor that a run may feed with a shape that agrees; `default` otherwise.
    #[track_caller]
    pub fn placeholder_with_default(&self, default: impl Operand, shape: impl Into<PartialShape>) -> Tensor {
        let builder = self.op(PlaceholderWithDefault { shape: shape.into() });
        ops::resolved(builder, "input", or_panic(default.resolve(DType::F32))).tensor()
    }

    /// A constant: a number, an array, nested vectors or a [`Value`]. A bare number is an `f64` or `i32` as Rust reads it;
    /// write `1f32` for another. TensorFlow: `tf.constant`.
    #[track_caller]
    pub fn constant(&self, value: impl IntoValue) -> Tensor {
        self.op(Const { value: or_panic(value.into_value().map_err(Error::from)) }).tensor()
    }

    /// Zeros (`false` for bools). TensorFlow: `tf.zeros`.
    #[track_caller]
    pub fn zeros(&self, dtype: DType, shape: impl Into<ShapeArg>) -> Tensor {
        self.filled("zeros", shape.into(), 0.0, dtype)
    }

    /// Ones (`true` for bools). TensorFlow: `tf.ones`.
    #[track_caller]
    pub fn ones(&self, dtype: DType, shape: impl Into<ShapeArg>) -> Tensor {
        self.filled("ones", shape.into(), 1.0, dtype)
    }

    #[track_caller]
    fn filled(&self, name: &str, shape: ShapeArg, element: f64, dtype: DType) -> Tensor {
        if let ShapeArg::Known(dims) = &shape {
            let dims: Result<Vec<usize>> = dims
                .iter()
                .map(|d| {
                    usize::try_from(*d)
                        .map_err(|_| Error::invalid(format!("{name}: dimension {d} is negative")))
                })
                .collect();
            let dims = or_panic(dims);
            let count = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).unwrap_or(usize::MAX);
            if count < CONSTANT_LIMIT {
                let value = or_panic(Value::full(dtype, dims, element).map_err(Error::from));
                return self.op(Const { value }).name(name).tensor();
            }
        }
        let value = Value::scalar(element).cast(dtype);
        shape_operand(self.op(Fill).name(name), "shape_as_tensor", shape).constant("Const", value).tensor()
    }

    /// A tensor whose every element is `value`. TensorFlow: `tf.fill`.
    #[track_caller]
    pub fn fill(&self, shape: impl Into<ShapeArg>, value: impl Operand) -> Tensor {
        let builder = shape_operand(self.op(Fill), "dims", shape);
        ops::resolved(builder, "value", or_panic(value.resolve(DType::F32))).tensor()
    }

    /// `start, start + delta, ...` up to but without `limit`, one-dimensional, of the operands' common dtype.
    /// TensorFlow: `tf.range`.
    #[track_caller]
    pub fn range(&self, start: impl Operand, limit: impl Operand, delta: impl Operand) -> Tensor {
        let tensor = start.as_tensor().or(limit.as_tensor()).or(delta.as_tensor());
        let like = tensor.map(Tensor::dtype);
        let mut builder = self.op(Range).name("range");
        let resolve = |operand: Result<Resolved>| or_panic(operand);
        let (start, limit, delta) = match like {
            Some(d) => (resolve(start.resolve(d)), resolve(limit.resolve(d)), resolve(delta.resolve(d))),
            None => {
                let natural = |r: Result<Resolved>| resolve(r);
                // All are numbers: `start` decides.
                let start = natural(start.natural());
                let d = match &start {
                    Resolved::Value(v) => v.dtype(),
                    Resolved::Tensor(t) => t.dtype(),
                };
                (start, natural(limit.resolve(d)), natural(delta.resolve(d)))
            }
        };
        for (arg, operand) in [("start", start), ("limit", limit), ("delta", delta)] {
            builder = ops::resolved(builder, arg, operand);
        }
        builder.tensor()
    }
}

/// Ones of this dtype, of a shape that a tensor carries; what flows into a `y` whose gradient is wanted.
#[track_caller]
pub(crate) fn ones_shaped(graph: &Graph, shape: Tensor, dtype: DType) -> Tensor {
    let one = Value::scalar(1.0).cast(dtype);
    graph.op(Fill).input(shape).constant("Const", one).tensor()
}

/// Zeros of the dtype and shape of `x`. A constant when the shape is known. TensorFlow: `tf.zeros_like`.
#[track_caller]
pub fn zeros_like(x: impl Into<Tensor>) -> Tensor {
    like(x.into(), "zeros_like", 0.0, ZerosLike)
}

/// Ones of the dtype and shape of `x`. TensorFlow: `tf.ones_like`.
#[track_caller]
pub fn ones_like(x: impl Into<Tensor>) -> Tensor {
    like(x.into(), "ones_like", 1.0, OnesLike)
}

#[track_caller]
fn like(x: Tensor, name: &str, element: f64, op: impl Op) -> Tensor {
    let ty = x.ty();
    match ty.shape.as_known() {
        Some(shape) if !ty.dtype.is_object() => {
            x.graph().filled(name, ShapeArg::from(shape), element, ty.dtype)
        }
        _ => unary(op, name, x),
    }
}
