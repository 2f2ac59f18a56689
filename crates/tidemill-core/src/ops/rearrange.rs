//! The same elements at other places, or read as another dtype; and vectors of sizes.

use smallvec::SmallVec;
use tidemill_tensor::{DType, Dim, PartialShape, Shape};

use super::{resolved, unary};
use crate::autodiff::{GradCx, Gradient, Grads, NoGrad};
use crate::error::{Error, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType, normalise_axis};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;
use crate::{attrs, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Roll>()
        .with::<Reverse>()
        .with::<Bitcast>()
        .with::<BroadcastArgs>()
        .with::<UnravelIndex>()
        .with::<ParallelConcat>()
        .with::<Empty>()
        .with::<LinSpace>()
}

/// The operand with its elements moved along some axes, by `shift[i]` along `axis[i]`; what leaves at one end comes in at the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Roll;
attrs!(Roll {});

impl Op for Roll {
    const SCHEMA: Schema = Schema::new(
        "Roll",
        "(input: T, shift: Tshift, axis: Taxis) -> (output: T) where Tshift: i32|i64, Taxis: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank_at_least(0, 1)?;
        if let Some(i) = (1..3).find(|i| cx.shape(*i).rank().is_some_and(|rank| rank > 1)) {
            return Err(Error::invalid(format!(
                "shift and axis are scalars or vectors, not of shape {}",
                cx.shape(i)
            )));
        }
        if !cx.shape(1).is_compatible_with(cx.shape(2)) {
            return Err(Error::invalid(format!("shift has shape {}, but axis {}", cx.shape(1), cx.shape(2))));
        }
        if let (Some(axes), Some(rank)) = (cx.known_all(2), cx.shape(0).rank()) {
            axes.iter().try_for_each(|axis| normalise_axis(*axis, rank).map(drop))?;
        }
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(Roll, &[cx.dy(0), ops::neg(cx.x(1)), cx.x(2)]), NoGrad, NoGrad])
    }
}

/// As [`ReverseV2`](super::ReverseV2), with a bool for each axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Reverse;
attrs!(Reverse {});

impl Op for Reverse {
    const SCHEMA: Schema = Schema::new("Reverse", "(tensor: T, dims: bool) -> (output: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        let (rank, flags) = (cx.shape(0).rank(), cx.shape(1).dim(0));
        if let (Some(rank), Some(flags)) = (rank, flags)
            && rank != flags
        {
            return Err(Error::invalid(format!("{flags} dims for the {rank} axes of {}", cx.shape(0))));
        }
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(Reverse, &[cx.dy(0), cx.x(1)]), NoGrad])
    }
}

/// The bytes of the operand read as another dtype. Between dtypes of different sizes, a last axis comes or goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Bitcast {
    /// The other dtype.
    pub dtype: DType,
}
attrs!(Bitcast { dtype: "type" });

impl Op for Bitcast {
    const SCHEMA: Schema = Schema::new("Bitcast", "(input: T) -> (output: type) where T: Num, type: Num");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let (from, to) = (cx.dtype(0).size(), self.dtype.size());
        let Some(dims) = cx.shape(0).dims() else { return cx.output(self.dtype, PartialShape::unknown()) };
        let mut dims: SmallVec<[Dim; 4]> = SmallVec::from_slice(dims);
        if from > to {
            dims.push(Some(from / to));
        } else if from < to {
            let parts = to / from;
            match dims.pop() {
                Some(last) if last.is_none_or(|last| last == parts) => {}
                _ => {
                    return Err(Error::invalid(format!(
                        "{} of {} need a last axis of size {parts} to become {}",
                        cx.dtype(0),
                        cx.shape(0),
                        self.dtype
                    )));
                }
            }
        }
        cx.output(self.dtype, dims.into_iter().collect::<PartialShape>())
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
}

/// The shape that two shapes broadcast to.
#[derive(Debug, Clone, PartialEq)]
pub struct BroadcastArgs;
attrs!(BroadcastArgs {});

impl Op for BroadcastArgs {
    const SCHEMA: Schema = Schema::new("BroadcastArgs", "(s0: T, s1: T) -> (r0: T) where T: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let mut rank = Some(0);
        for i in 0..2 {
            if cx.shape(i).rank().is_some_and(|rank| rank > 1) {
                return Err(Error::invalid(format!("a shape is a vector, not of shape {}", cx.shape(i))));
            }
            rank = rank.zip(cx.shape(i).num_elements()).map(|(a, b)| a.max(b));
        }
        if let (Some(a), Some(b)) = (cx.known_all(0), cx.known_all(1)) {
            broadcast_sizes(&a, &b)?;
        }
        cx.output(cx.dtype(0), [rank])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let sizes = broadcast_sizes(&cx.known_all(0)?, &cx.known_all(1)?).ok()?;
        Some(sizes.into_iter().map(Some).collect())
    }
}

/// The shape that two shapes broadcast to.
///
/// # Errors
/// `InvalidArgument` when they do not.
pub fn broadcast_sizes(a: &[i64], b: &[i64]) -> Result<Vec<i64>> {
    let rank = a.len().max(b.len());
    let at = |sizes: &[i64], i: usize| (i + sizes.len()).checked_sub(rank).map_or(1, |i| sizes[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(Error::invalid(format!("shapes {a:?} and {b:?} do not broadcast"))),
        })
        .collect()
}

/// For each index into the elements of a tensor of shape `dims`, its coordinates, one axis after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct UnravelIndex;
attrs!(UnravelIndex {});

impl Op for UnravelIndex {
    const SCHEMA: Schema =
        Schema::new("UnravelIndex", "(indices: Tidx, dims: Tidx) -> (output: Tidx) where Tidx: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        let axes = PartialShape::from([cx.shape(1).dim(0)]);
        match cx.shape(0).rank() {
            Some(0 | 1) => cx.output(cx.dtype(0), axes.concatenate(cx.shape(0))),
            None => cx.output(cx.dtype(0), PartialShape::unknown()),
            Some(_) => {
                Err(Error::invalid(format!("indices are a scalar or vector, not of shape {}", cx.shape(0))))
            }
        }
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad])
    }
}

/// Tensors with a first axis of size 1, one after the other along it.
#[derive(Debug, Clone, PartialEq)]
pub struct ParallelConcat {
    /// The result's shape.
    pub shape: Shape,
}
attrs!(ParallelConcat { shape });

impl Op for ParallelConcat {
    const SCHEMA: Schema = Schema::new("ParallelConcat", "(values: N*T) -> (output: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let row: PartialShape = match self.shape.dims() {
            [n, row @ ..] if *n == cx.len() => std::iter::once(&1).chain(row).map(|n| Some(*n)).collect(),
            _ => {
                return Err(Error::invalid(format!(
                    "{} tensors do not make the shape {}",
                    cx.len(),
                    self.shape
                )));
            }
        };
        if let Some(bad) = cx.inputs().iter().find(|input| !input.shape.is_compatible_with(&row)) {
            return Err(Error::invalid(format!("all tensors must have shape {row}, not {}", bad.shape)));
        }
        cx.output(cx.dtype(0), &self.shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let rows = ops::unstack_num(cx.dy(0), cx.num_inputs(), 0);
        Ok(rows.into_iter().map(|row| Some(Gradient::from(ops::expand_dims(row, 0)))).collect())
    }
}

/// A tensor whose elements do not matter; here, as with `init`, zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct Empty {
    /// Element type.
    pub dtype: DType,
    /// Whether the elements must be zeros.
    pub init: bool,
}
attrs!(Empty { dtype, init });

impl Op for Empty {
    const SCHEMA: Schema = Schema::new("Empty", "(shape: i32) -> (output: dtype)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = cx.shape_argument(0)?;
        if cx.known(0).is_some_and(|sizes| sizes.contains(&Some(-1))) {
            return Err(Error::invalid(format!("a size of {shape} is negative")));
        }
        cx.output(self.dtype, shape)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
}

/// `num` numbers from `start` to `stop`, evenly spaced, both included.
#[derive(Debug, Clone, PartialEq)]
pub struct LinSpace;
attrs!(LinSpace {});

impl Op for LinSpace {
    const SCHEMA: Schema = Schema::new(
        "LinSpace",
        "(start: T, stop: T, num: Tidx) -> (output: T) where T: Float, Tidx: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        for i in 0..3 {
            cx.expect_rank(i, 0)?;
        }
        let num: Dim = match cx.known_all(2).map(|n| n[0]) {
            Some(n) if n < 1 => return Err(Error::invalid(format!("num is {n}, but must be at least 1"))),
            n => n.map(|n| n as usize),
        };
        cx.output(cx.dtype(0), [num])
    }
}

/// `x` with its elements moved by `shift[i]` along `axis[i]`, what leaves at one end coming in at the other. TensorFlow: `tf.roll`.
///
/// # Panics
/// When an axis is out of range, or there are not as many shifts as axes.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [4, 5]);
/// assert_eq!(ops::roll(x, [1, -2], [0, 1]).ty().to_string(), "f32[4,5]");
/// ```
#[track_caller]
pub fn roll(x: impl Into<Tensor>, shift: impl Operand, axis: impl Operand) -> Tensor {
    let x = x.into();
    let builder =
        resolved(x.graph().op(Roll).name("roll").input(x), "shift", or_panic(shift.resolve(DType::I32)));
    resolved(builder, "axis", or_panic(axis.resolve(DType::I32))).tensor()
}

/// The bytes of `x` read as another dtype; between dtypes of different sizes, a last axis comes or goes. TensorFlow: `tf.bitcast`.
///
/// # Panics
/// When a last axis has not the size that it must have to go.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [3]);
/// assert_eq!(ops::bitcast(x, DType::U32).ty().to_string(), "u32[3]");
/// assert_eq!(ops::bitcast(x, DType::U8).ty().to_string(), "u8[3,4]");
/// ```
#[track_caller]
pub fn bitcast(x: impl Into<Tensor>, dtype: DType) -> Tensor {
    unary(Bitcast { dtype }, "Bitcast", x)
}

/// The shape, an integer vector, that tensors of two shapes broadcast to. TensorFlow: `tf.broadcast_dynamic_shape`.
#[track_caller]
pub fn broadcast_dynamic_shape(a: impl Into<Tensor>, b: impl Into<Tensor>) -> Tensor {
    let a = a.into();
    a.graph().op(BroadcastArgs).input(a).input(b.into()).tensor()
}

/// For each of `indices` into the elements of a tensor of shape `dims`, its coordinates: a row for each axis.
/// TensorFlow: `tf.unravel_index`.
#[track_caller]
pub fn unravel_index(indices: impl Into<Tensor>, dims: impl Into<Tensor>) -> Tensor {
    let indices = indices.into();
    indices.graph().op(UnravelIndex).input(indices).input(dims.into()).tensor()
}

/// `num` numbers from `start` to `stop`, evenly spaced, both included: `start + i * (stop - start) / (num - 1)`. TensorFlow: `tf.linspace`
/// of scalars.
///
/// # Panics
/// When `num` is below 1, or neither bound is a tensor.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let low = g.placeholder(DType::F32, ());
/// assert_eq!(ops::linspace(low, 1.0, 5).ty().to_string(), "f32[5]");
/// ```
#[track_caller]
pub fn linspace(start: impl Operand, stop: impl Operand, num: impl Operand) -> Tensor {
    let Some(known) = start.as_tensor().or(stop.as_tensor()) else {
        or_panic(Err(Error::invalid("linspace needs a tensor among its bounds")
            .with_help("make one of them a constant of the dtype that is wanted: graph.constant(0.0f32)")))
    };
    let like = known.dtype();
    let builder = resolved(known.graph().op(LinSpace), "start", or_panic(start.resolve(like)));
    let builder = resolved(builder, "stop", or_panic(stop.resolve(like)));
    resolved(builder, "num", or_panic(num.resolve(DType::I32))).tensor()
}
