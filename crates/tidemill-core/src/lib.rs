//! The graph of Tidemill: operations, variables and scopes, and reverse-mode differentiation.
//!
//! Nothing here computes a tensor's value. A [`Graph`] is defined, [`gradients`] extends it, and a session (another crate)
//! runs it. Users import the facade crate `tidemill`; authors of ops and passes find the contracts here: [`Op`], [`Schema`],
//! [`InferCx`], [`GradCx`].
#![forbid(unsafe_code)]

mod attr;
mod autodiff;
mod error;
mod graph;
mod handle;
mod ids;
mod infer;
pub mod init;
mod op;
mod operand;
mod operators;
pub mod ops;
mod schema;
mod scope;
mod text;
mod variable;

pub use attr::{Attr, AttrMap, AttrValue, Attributes};
pub use autodiff::{
    CustomGradient, GradCx, Gradient, Gradients, Grads, IndexedSlices, IntoGrad, NoGrad, custom_gradient,
    gradients, recompute_grad, try_gradients,
};
pub use error::{Error, ErrorKind, OperandNote, Origin, Result};
pub use graph::{
    Body, Capture, CollectionItem, ControlDependencies, Graph, NameScope, Node, OpBuilder, RegionId, keys,
};
pub use handle::{Operation, Tensor};
pub use ids::{GraphId, NodeId, Output};
pub use infer::{InferCx, KnownValues, NothingKnown, PartialValue, TensorType, normalise_axis};
pub use init::Initializer;
pub use op::{AnyOp, Op, OpRef, OpSet};
pub use operand::{Axes, Operand, Resolved, ShapeArg};
pub use schema::{ArgSpec, Arity, Effect, Schema, Signature, TypeSpec};
pub use scope::{Reuse, VariableScope, VariableScopeBuilder};
pub use tidemill_tensor::{DType, Dim, PartialShape, Shape, Value};
pub use variable::{Regularizer, Variable, VariableOptions};
