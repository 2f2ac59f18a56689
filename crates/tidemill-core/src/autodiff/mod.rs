//! Reverse-mode differentiation: `gradients` adds the nodes that compute the derivatives to the same graph.
//!
//! The forward graph is never changed. Gradient nodes are named as TensorFlow names them
//! (`gradients/<node>_grad/...`), and an error in one shows the line of its forward node.

mod custom;
mod engine;
mod recompute;
mod slices;

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

pub use custom::{CustomGradient, custom_gradient};
pub(crate) use engine::differentiable;
pub use engine::{Gradients, gradients, try_gradients};
pub use recompute::recompute_grad;
pub use slices::IndexedSlices;

use crate::graph::{Graph, Node};
use crate::handle::Tensor;
use crate::ids::NodeId;
use crate::infer::TensorType;
use crate::ops;

/// The derivative with respect to one tensor.
#[derive(Clone, Copy, PartialEq)]
pub enum Gradient {
    /// One number for each element.
    Dense(Tensor),
    /// Only some rows, the others being zero.
    Sparse(IndexedSlices),
}

impl Gradient {
    /// The gradient as one tensor; slices are added up into zeros.
    #[track_caller]
    pub fn to_tensor(self) -> Tensor {
        match self {
            Gradient::Dense(t) => t,
            Gradient::Sparse(s) => s.to_tensor(),
        }
    }

    /// `sum` with the gradient added; slices cost what they are themselves.
    pub(crate) fn add_to(self, sum: Tensor) -> Tensor {
        match self {
            Gradient::Dense(t) if t.dtype().is_object() => ops::add_n([sum, t]),
            Gradient::Dense(t) => sum + t,
            Gradient::Sparse(s) => ops::add_slices(sum, s.indices, s.values),
        }
    }

    /// The numbers it consists of: the tensor, or the slices' values.
    pub fn values(self) -> Tensor {
        match self {
            Gradient::Dense(t) => t,
            Gradient::Sparse(s) => s.values,
        }
    }

    /// The same with each number mapped; `f` must keep the shape and map zero to zero.
    pub fn map(self, f: impl FnOnce(Tensor) -> Tensor) -> Gradient {
        match self {
            Gradient::Dense(t) => Gradient::Dense(f(t)),
            Gradient::Sparse(s) => Gradient::Sparse(IndexedSlices { values: f(s.values), ..s }),
        }
    }
}

impl fmt::Debug for Gradient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gradient::Dense(t) => t.fmt(f),
            Gradient::Sparse(s) => s.fmt(f),
        }
    }
}

impl From<Tensor> for Gradient {
    fn from(t: Tensor) -> Self {
        Gradient::Dense(t)
    }
}

impl From<IndexedSlices> for Gradient {
    fn from(s: IndexedSlices) -> Self {
        Gradient::Sparse(s)
    }
}

/// What [`Op::grad`](crate::Op::grad) returns: for each input its gradient, or `None` where there is none.
pub type Grads = SmallVec<[Option<Gradient>; 4]>;

/// Something that can stand in [`grads!`](crate::grads).
pub trait IntoGrad {
    /// The gradient, if there is one.
    fn into_grad(self) -> Option<Gradient>;
}

impl IntoGrad for Tensor {
    fn into_grad(self) -> Option<Gradient> {
        Some(self.into())
    }
}

impl IntoGrad for IndexedSlices {
    fn into_grad(self) -> Option<Gradient> {
        Some(self.into())
    }
}

impl IntoGrad for Gradient {
    fn into_grad(self) -> Option<Gradient> {
        Some(self)
    }
}

impl<T: IntoGrad> IntoGrad for Option<T> {
    fn into_grad(self) -> Option<Gradient> {
        self.and_then(T::into_grad)
    }
}

/// "No gradient flows into this operand", in [`grads!`](crate::grads).
#[derive(Debug, Clone, Copy)]
pub struct NoGrad;

impl IntoGrad for NoGrad {
    fn into_grad(self) -> Option<Gradient> {
        None
    }
}

/// The gradients of an op, one for each input: `grads![dy * w, NoGrad]`.
#[macro_export]
macro_rules! grads {
    ($($gradient:expr),* $(,)?) => {
        $crate::Grads::from_iter([$($crate::IntoGrad::into_grad($gradient)),*])
    };
}

/// What a gradient rule sees: the forward node, and the gradients of its outputs.
pub struct GradCx<'a> {
    graph: &'a Graph,
    id: NodeId,
    node: Arc<Node>,
    dys: &'a [Option<Gradient>],
    needed: &'a [bool],
}

impl GradCx<'_> {
    /// The graph.
    pub fn graph(&self) -> &Graph {
        self.graph
    }

    /// The forward node.
    pub(crate) fn forward(&self) -> &Node {
        &self.node
    }

    /// Forward operand `i`.
    pub fn x(&self, i: usize) -> Tensor {
        self.graph.handle(self.node.inputs[i])
    }

    /// All forward operands.
    pub fn xs(&self) -> Vec<Tensor> {
        self.node.inputs.iter().map(|&i| self.graph.handle(i)).collect()
    }

    /// How many operands there are.
    pub fn num_inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// How many outputs there are.
    pub fn num_outputs(&self) -> usize {
        self.node.outputs.len()
    }

    /// Forward output `i`.
    pub fn y(&self, i: usize) -> Tensor {
        self.graph.handle(crate::ids::Output::new(self.id, i as u32))
    }

    /// The type of operand `i`.
    pub fn x_type(&self, i: usize) -> TensorType {
        self.x(i).ty()
    }

    /// The type of output `i`.
    pub fn y_type(&self, i: usize) -> &TensorType {
        &self.node.outputs[i]
    }

    /// The gradient of output `i` as one tensor; zeros when nothing depends on that output.
    #[track_caller]
    pub fn dy(&self, i: usize) -> Tensor {
        match self.dys[i] {
            Some(gradient) => gradient.to_tensor(),
            None => ops::zeros_like(self.y(i)),
        }
    }

    /// The gradient of output `i` as it came, `None` when nothing depends on that output.
    pub fn dy_as_is(&self, i: usize) -> Option<Gradient> {
        self.dys[i]
    }

    /// Whether anyone wants the gradient of operand `i`. A rule may return more than is wanted, but need not work for it.
    pub fn needs(&self, i: usize) -> bool {
        self.needed[i]
    }

    /// `f()` if the gradient of operand `i` is wanted.
    pub fn wanted<G: IntoGrad>(&self, i: usize, f: impl FnOnce() -> G) -> Option<Gradient> {
        if self.needs(i) { f().into_grad() } else { None }
    }
}
