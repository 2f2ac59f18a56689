//! The op contract: one value, one file.
//!
//! An op is a struct whose fields are its attributes. Its schema is data; its rules are the methods of [`Op`]. There is no
//! central list of ops that passes match on: what a pass wants to know of an op, it asks, or keeps in its own file.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::attr::{AttrMap, Attributes};
use crate::autodiff::{GradCx, Grads};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::schema::{Effect, Schema, Signature};

/// An operation's kind and attributes.
///
/// ```
/// use tidemill_core::*;
///
/// /// `x * factor`, with one attribute.
/// #[derive(Debug, Clone, PartialEq)]
/// struct Scale { factor: f32 }
/// attrs!(Scale { factor });
///
/// impl Op for Scale {
///     const SCHEMA: Schema = Schema::new("Scale", "(x: T) -> (y: T) where T: Float");
///     fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> { cx.same_as_input(0) }
///     fn grad(&self, cx: &GradCx) -> Result<Grads> { Ok(grads![cx.dy(0) * self.factor]) }
/// }
///
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [3]);
/// let y = g.add(Scale { factor: 2.0 }, &[x]);
/// assert_eq!(y.shape().to_string(), "[3]");
/// ```
pub trait Op: Attributes + Debug + Clone + PartialEq + Send + Sync + 'static {
    /// Name and signature.
    const SCHEMA: Schema;

    /// The types of the outputs, from the types of the inputs. Called when a node is added, and again by the session
    /// once feeds have fixed the shapes. The signature has been checked before.
    ///
    /// # Errors
    /// `InvalidArgument` when the operands cannot be right, whatever the unknown dimensions turn out to be.
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>>;

    /// The gradient with respect to each input, from the gradients of the outputs. See [`grads!`](crate::grads).
    ///
    /// # Errors
    /// `Unimplemented` unless overridden.
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let _ = cx;
        Err(Error::unimplemented(format!("op {} has no gradient", Self::SCHEMA.name))
            .with_help("wrap the path in tf::stop_gradient, or define Op::grad"))
    }

    /// The same computation from smaller ops, for sessions that have no kernel for this one; `None` when the op is
    /// primitive.
    fn lower(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let _ = inputs;
        None
    }

    /// What is known of an output of an op that computes shapes: its elements, row by row, each known or not. Of an op with
    /// several outputs, the one wanted is [`InferCx::asked`].
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let _ = cx;
        None
    }
}

/// [`Op`] with its type erased; implemented for every op.
pub trait AnyOp: Debug + Send + Sync + 'static {
    /// See [`Op::SCHEMA`].
    fn schema(&self) -> Schema;
    /// The parsed signature.
    fn signature(&self) -> &'static Signature;
    /// See [`Op::infer`].
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>>;
    /// See [`Op::grad`].
    fn grad(&self, cx: &GradCx) -> Result<Grads>;
    /// See [`Op::lower`].
    fn lower(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>>;
    /// See [`Op::constant_value`].
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue>;
    /// The attributes.
    fn attrs(&self) -> AttrMap;
    /// Whether both are the same op with the same attributes.
    fn same(&self, other: &dyn AnyOp) -> bool;
    /// For downcasting to the op's own type.
    fn as_any(&self) -> &dyn Any;
}

impl<O: Op> AnyOp for O {
    fn schema(&self) -> Schema {
        O::SCHEMA
    }
    fn signature(&self) -> &'static Signature {
        <O as Attributes>::signature()
    }
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Op::infer(self, cx)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Op::grad(self, cx)
    }
    fn lower(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        Op::lower(self, inputs)
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        Op::constant_value(self, cx)
    }
    fn attrs(&self) -> AttrMap {
        self.to_attrs()
    }
    fn same(&self, other: &dyn AnyOp) -> bool {
        other.as_any().downcast_ref::<O>() == Some(self)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl dyn AnyOp {
    /// TensorFlow's op type.
    pub fn name(&self) -> &'static str {
        self.schema().name
    }

    /// What running it does beside computing.
    pub fn effect(&self) -> Effect {
        self.schema().effect
    }

    /// The op as its own type.
    pub fn downcast<O: Op>(&self) -> Option<&O> {
        self.as_any().downcast_ref()
    }

    /// Whether this is an `O`.
    pub fn is<O: Op>(&self) -> bool {
        self.as_any().is::<O>()
    }

    /// Checks the signature and infers the output types.
    ///
    /// # Errors
    /// `InvalidArgument` when the operands do not fit; `Internal` when the op's own rule breaks its signature.
    pub fn checked_infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        self.signature().check_inputs(cx.inputs())?;
        let outputs = self.infer(cx)?;
        self.signature().check(cx.inputs(), &outputs).map_err(|e| {
            Error::internal(format!("the shape rule breaks the op's own signature: {}", e.message()))
        })?;
        Ok(outputs)
    }
}

/// A shared op of any type.
pub type OpRef = Arc<dyn AnyOp>;

type FromAttrs = fn(&AttrMap) -> Result<OpRef>;

/// Ops by name, for readers of graph files.
///
/// ```
/// let ops = tidemill_core::OpSet::standard();
/// assert!(ops.names().any(|n| n == "MatMul"));
/// ```
#[derive(Clone, Default)]
pub struct OpSet {
    by_name: FxHashMap<&'static str, (Schema, FromAttrs)>,
}

impl OpSet {
    /// No ops.
    pub fn new() -> OpSet {
        OpSet::default()
    }

    /// Every op of this crate.
    pub fn standard() -> OpSet {
        crate::ops::standard()
    }

    /// The set with `O` added; an op of the same name is replaced.
    pub fn with<O: Op>(mut self) -> OpSet {
        let make: FromAttrs = |attrs| Ok(Arc::new(O::from_attrs(attrs)?));
        self.by_name.insert(O::SCHEMA.name, (O::SCHEMA, make));
        self
    }

    /// The op of this name with these attributes.
    ///
    /// # Errors
    /// `Unimplemented` for an unknown name, `InvalidArgument` for attributes that do not fit.
    pub fn make(&self, name: &str, attrs: &AttrMap) -> Result<OpRef> {
        match self.by_name.get(name) {
            Some((_, make)) => make(attrs),
            None => Err(Error::unimplemented(format!("there is no op `{name}`"))),
        }
    }

    /// The schema of the op of this name.
    pub fn schema(&self, name: &str) -> Option<Schema> {
        self.by_name.get(name).map(|(schema, _)| *schema)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let mut names: Vec<_> = self.by_name.keys().copied().collect();
        names.sort_unstable();
        names.into_iter()
    }
}

impl Debug for OpSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
