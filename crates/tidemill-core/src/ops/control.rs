//! Ops that are run for their effect or their order: no-ops and groups, assertions, printing; and identities.

use smallvec::SmallVec;

use super::unary;
use crate::attrs;
use crate::autodiff::{CustomGradient, GradCx, Gradient, Grads, NoGrad};
use crate::error::{Result, or_panic};
use crate::grads;
use crate::graph::Graph;
use crate::handle::{Operation, Tensor};
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::{Effect, Schema, Signature};
use crate::{AttrMap, Attributes, Error};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<NoOp>()
        .with::<Identity>()
        .with::<IdentityN>()
        .with::<StopGradient>()
        .with::<PreventGradient>()
        .with::<Assert>()
        .with::<Print>()
}

/// Does nothing; carries control dependencies.
#[derive(Debug, Clone, PartialEq)]
pub struct NoOp;
attrs!(NoOp {});

impl Op for NoOp {
    const SCHEMA: Schema = Schema::new("NoOp", "() -> ()").effect(Effect::Stateful);
    fn infer(&self, _: &InferCx) -> Result<Vec<TensorType>> {
        Ok(vec![])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![])
    }
}

/// Its operand; of a variable, the value.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {}
attrs!(Identity {});

impl Op for Identity {
    const SCHEMA: Schema = Schema::new("Identity", "(input: T) -> (output: T) where T: All");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.dy_as_is(0)])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        cx.known(0)
    }
}

/// Its operands; may carry a gradient rule of the user's ([`custom_gradient`](crate::custom_gradient)).
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityN {
    /// The rule, if it is not the identity.
    pub gradient: Option<CustomGradient>,
}

impl Attributes for IdentityN {
    /// A rule is a closure and has no encoding: a graph read back has the plain identity's gradient.
    fn to_attrs(&self) -> AttrMap {
        AttrMap::new()
    }
    fn from_attrs(_: &AttrMap) -> Result<Self> {
        Ok(IdentityN { gradient: None })
    }
    fn signature() -> &'static Signature {
        static PARSED: std::sync::OnceLock<Signature> = std::sync::OnceLock::new();
        PARSED.get_or_init(|| Signature::parse(&Self::SCHEMA))
    }
}

impl Op for IdentityN {
    const SCHEMA: Schema = Schema::new("IdentityN", "(input: *) -> (output: *)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Ok(cx.inputs().iter().map(|t| TensorType::new(t.dtype, t.shape.clone())).collect())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        match &self.gradient {
            Some(custom) => custom.grad(cx),
            None => {
                Ok((0..cx.num_outputs()).map(|i| cx.dy_as_is(i)).collect::<SmallVec<[Option<Gradient>; 4]>>())
            }
        }
    }
}

/// Its operand, through which no gradient flows.
#[derive(Debug, Clone, PartialEq)]
pub struct StopGradient;
attrs!(StopGradient {});

impl Op for StopGradient {
    const SCHEMA: Schema = Schema::new("StopGradient", "(input: T) -> (output: T) where T: All");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        cx.known(0)
    }
}

/// Its operand, whose gradient may not be asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PreventGradient {
    /// Why not.
    pub message: String,
}
attrs!(PreventGradient { message });

impl Op for PreventGradient {
    const SCHEMA: Schema = Schema::new("PreventGradient", "(input: T) -> (output: T)");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Err(Error::unimplemented(format!("this gradient may not be asked for: {}", self.message)))
    }
}

/// Fails the run with `message` and the values of `data` unless `condition` is true.
#[derive(Debug, Clone, PartialEq)]
pub struct Assert {
    /// How many elements of each tensor the message shows.
    pub summarize: i64,
    /// What to say.
    pub message: String,
}
attrs!(Assert { summarize, message });

impl Op for Assert {
    const SCHEMA: Schema = Schema::new("Assert", "(condition: bool, data: *) -> ()").effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 0)?;
        Ok(vec![])
    }
}

/// Its operand; prints `message` and the values of `data` to stderr as it passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Print {
    /// What stands before the values.
    pub message: String,
    /// Print only the first so many times; always if negative.
    pub first_n: i64,
    /// How many elements of each tensor are shown.
    pub summarize: i64,
}
attrs!(Print { message, first_n, summarize });

impl Op for Print {
    const SCHEMA: Schema =
        Schema::new("Print", "(input: T, data: *) -> (output: T)").effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let mut grads = grads![cx.dy_as_is(0)];
        grads.resize(cx.num_inputs(), None);
        Ok(grads)
    }
}

impl Graph {
    /// An operation that does nothing; in control dependencies, a point in time. TensorFlow: `tf.no_op`.
    #[track_caller]
    pub fn no_op(&self) -> Operation {
        self.op(NoOp).build()
    }
}

/// An operation that has run once all of `operations` have. TensorFlow: `tf.group`.
///
/// # Panics
/// When there are none: use [`Graph::no_op`].
#[track_caller]
pub fn group<I: IntoIterator<Item: Into<Operation>>>(operations: I) -> Operation {
    let operations: Vec<Operation> = operations.into_iter().map(Into::into).collect();
    match operations.first() {
        Some(first) => group_in(&first.graph(), "group_deps", &operations),
        None => {
            or_panic(Err(Error::invalid("group needs at least one operation").with_help("use graph.no_op()")))
        }
    }
}

/// [`group`] for a list that may be empty, under a name.
#[track_caller]
pub fn group_in(graph: &Graph, name: &str, operations: &[Operation]) -> Operation {
    let builder = graph.op(NoOp).name(name);
    operations.iter().fold(builder, |builder, op| builder.control(*op)).build()
}

/// `x`. Gives a value a name, or a control dependency. TensorFlow: `tf.identity`.
#[track_caller]
pub fn identity(x: impl Into<Tensor>) -> Tensor {
    unary(Identity {}, "Identity", x)
}

/// `x`, as a constant for [`gradients`](crate::gradients). TensorFlow: `tf.stop_gradient`.
#[track_caller]
pub fn stop_gradient(x: impl Into<Tensor>) -> Tensor {
    unary(StopGradient, "StopGradient", x)
}

/// An operation that fails the run with `InvalidArgument`, the message and the values of `data` unless the scalar
/// `condition` is true. Nothing depends on it by itself: put what relies on it under
/// [`control_dependencies`](Graph::control_dependencies). TensorFlow: `tf.Assert`.
#[track_caller]
pub fn assert_that(condition: impl Into<Tensor>, data: &[Tensor], message: &str) -> Operation {
    let condition = condition.into();
    let op = Assert { summarize: 3, message: message.to_owned() };
    condition.graph().op(op).input(condition).inputs(data).build()
}

/// `x`; prints `message` and the values of `data` to stderr whenever it is computed. TensorFlow: `tf.Print`.
#[track_caller]
pub fn print(x: impl Into<Tensor>, data: &[Tensor], message: &str) -> Tensor {
    let x = x.into();
    x.graph()
        .op(Print { message: message.to_owned(), first_n: -1, summarize: 3 })
        .input(x)
        .inputs(data)
        .tensor()
}

/// Each of `tensors`, available once all of them and all `controls` are. TensorFlow: `tf.tuple`.
#[track_caller]
pub fn tuple(tensors: &[Tensor], controls: &[Operation]) -> Vec<Tensor> {
    let graph = crate::graph::graph_of(tensors);
    let all: Vec<Operation> = tensors.iter().map(|t| t.op()).chain(controls.iter().copied()).collect();
    graph.name_scope("tuple").enter(|| {
        let gate = group_in(&graph, "group_deps", &all);
        tensors
            .iter()
            .map(|&t| graph.op(Identity {}).name("control_dependency").input(t).control(gate).tensor())
            .collect()
    })
}
