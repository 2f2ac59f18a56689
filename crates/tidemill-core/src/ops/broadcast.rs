//! Undoing broadcasting in gradients.
//!
//! Where an operand was repeated to the shape of the result, its gradient is the sum over the repetitions. Which axes that
//! are is told from the shapes as far as they are known; where they are not, `BroadcastGradientArgs` tells it in the run.

use tidemill_tensor::PartialShape;

use super::{Ix, Sum, index, reshape, shape};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<BroadcastGradientArgs>()
}

/// For shapes `s0` and `s1` that broadcast: the axes of the common shape along which the one and the other are repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct BroadcastGradientArgs;
attrs!(BroadcastGradientArgs {});

impl Op for BroadcastGradientArgs {
    const SCHEMA: Schema =
        Schema::new("BroadcastGradientArgs", "(s0: T, s1: T) -> (r0: T, r1: T) where T: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 1)?;
        cx.expect_rank(1, 1)?;
        let axes = TensorType::new(cx.dtype(0), PartialShape::with_rank(1));
        Ok(vec![axes.clone(), axes])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad])
    }
}

/// The gradients of two operands that broadcast with each other, from gradients of the shape of the result (`None` where
/// none is wanted).
pub(super) fn unbroadcast(cx: &GradCx, dx: Option<Tensor>, dy: Option<Tensor>) -> Grads {
    let (x, y) = (cx.x(0), cx.x(1));
    let mut undo = Undo::new(x, y);
    grads![dx.map(|d| undo.reduce(d, Side::First)), dy.map(|d| undo.reduce(d, Side::Second))]
}

/// `d`, of the shape of `y`, summed to the shape of `x`, which was broadcast to it.
pub(super) fn unbroadcast_from(d: Tensor, x: Tensor, y: Tensor) -> Tensor {
    Undo::new(x, y).reduce(d, Side::First)
}

#[derive(Clone, Copy)]
enum Side {
    First,
    Second,
}

/// Two tensors that broadcast, and what undoes that; nodes are made when first needed.
struct Undo {
    operands: [Tensor; 2],
    shapes: Option<[Tensor; 2]>,
    axes: Option<[Tensor; 2]>,
}

impl Undo {
    fn new(x: Tensor, y: Tensor) -> Undo {
        Undo { operands: [x, y], shapes: None, axes: None }
    }

    fn reduce(&mut self, d: Tensor, side: Side) -> Tensor {
        let [x, y] = self.operands;
        let (this, own, other) = match side {
            Side::First => (0, x.shape(), y.shape()),
            Side::Second => (1, y.shape(), x.shape()),
        };
        let known = if x == y { Some(vec![]) } else { repeated_axes(&own, &other) };
        let fewer_axes = matches!((own.rank(), other.rank()), (Some(own), Some(other)) if own < other);
        if known.as_ref().is_some_and(Vec::is_empty) && !fewer_axes {
            return d;
        }
        let graph = d.graph();
        let shapes = *self.shapes.get_or_insert_with(|| [shape(x), shape(y)]);
        let sum = graph.op(Sum { keep_dims: true }).input(d);
        let sum = match known {
            Some(axes) => sum.constant("reduction_indices", axes),
            None => {
                let axes = *self.axes.get_or_insert_with(|| {
                    let both = graph.op(BroadcastGradientArgs).inputs(&shapes).build();
                    [both.output(0), both.output(1)]
                });
                sum.input(axes[this])
            }
        };
        reshape(sum.tensor(), shapes[this])
    }
}

/// Which axes of a tensor broadcast with those of another, when not all do: from `start` to `trailing` axes before the last.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) of: Tensor,
    pub(super) start: usize,
    pub(super) trailing: usize,
}

impl Span {
    /// All axes but those of a matrix.
    pub(super) fn batch(of: Tensor) -> Span {
        Span { of, start: 0, trailing: 2 }
    }

    fn known(&self) -> PartialShape {
        let shape = self.of.shape();
        let end = |dims: &[_]| dims.len().saturating_sub(self.trailing);
        match shape.dims() {
            Some(dims) => dims.get(self.start..end(dims)).unwrap_or_default().iter().copied().collect(),
            None => PartialShape::unknown(),
        }
    }

    fn sizes(&self) -> Tensor {
        let end = (self.trailing > 0).then_some(-(self.trailing as i64));
        index(shape(self.of), Ix::Range(Some(self.start as i64), end, 1))
    }
}

/// `d`, of the shape of the operand `own.of` but for the axes of `own`, which were broadcast with those of `other`, summed to the
/// shape of that operand.
pub(super) fn unbroadcast_span(d: Tensor, own: Span, other: Span) -> Tensor {
    let (own_shape, other_shape) = (own.known(), other.known());
    let fewer_axes =
        matches!((own_shape.rank(), other_shape.rank()), (Some(own), Some(other)) if own < other);
    let start = own.start as i32;
    let sum = d.graph().op(Sum { keep_dims: false }).input(d);
    let sum = match repeated_axes(&own_shape, &other_shape) {
        Some(axes) if axes.is_empty() && !fewer_axes => return d,
        Some(axes) => sum.constant("reduction_indices", axes.iter().map(|a| a + start).collect::<Vec<_>>()),
        None => {
            let both = d.graph().op(BroadcastGradientArgs).inputs(&[own.sizes(), other.sizes()]).build();
            sum.input(both.output(0) + start)
        }
    };
    reshape(sum.tensor(), shape(own.of))
}

/// The axes of the common shape along which a tensor of shape `own` is repeated when it meets one of shape `other`;
/// `None` when that cannot be told yet.
fn repeated_axes(own: &PartialShape, other: &PartialShape) -> Option<Vec<i32>> {
    if other.rank() == Some(0) {
        return Some(vec![]);
    }
    let (own, other) = (own.dims()?, other.dims()?);
    let rank = own.len().max(other.len());
    let mut axes = vec![];
    for axis in 0..rank {
        // `None`: there is no such axis.
        let own = (axis + own.len()).checked_sub(rank).map(|i| own[i]);
        let other = (axis + other.len()).checked_sub(rank).map(|i| other[i]);
        let repeated = match (own, other) {
            (_, None) | (Some(_), Some(Some(1))) => false,
            (None, Some(_)) | (Some(Some(1)), _) => true,
            (Some(Some(_)), _) => false,
            (Some(None), _) => return None,
        };
        if repeated {
            axes.push(axis as i32);
        }
    }
    Some(axes)
}
