//! Adding a node.

use std::panic::Location;
use std::sync::Arc;

use smallvec::SmallVec;
use tidemill_tensor::Value;

use super::{Graph, Group, KNOWN_VALUE_DEPTH, Node, State, context, names};
use crate::error::{Error, ErrorKind, OperandNote, Origin, Result, or_panic};
use crate::handle::{Operation, Tensor};
use crate::ids::{NodeId, Output};
use crate::infer::{InferCx, KnownValues, PartialValue, TensorType};
use crate::op::{AnyOp, Op, OpRef};
use crate::ops::{Const, known_elements};

enum Arg {
    Tensor(Tensor),
    /// A constant made along with the node, named `node/arg`.
    Constant(&'static str, Value),
}

/// A node about to be added.
///
/// ```
/// # use tidemill_core::{Graph, DType, ops::OneHot};
/// let g = Graph::new();
/// let x = g.placeholder(DType::I32, [4]);
/// let y = g.op(OneHot { axis: -1 }).name("one_hot").input(x)
///     .constant("depth", 3i32).constant("on_value", 1f32).constant("off_value", 0f32)
///     .tensor();
/// assert_eq!(y.ty().to_string(), "f32[4,3]");
/// assert!(g.operation("one_hot/depth").is_ok());
/// ```
#[must_use = "end with .tensor(), .build() or .try_build()"]
pub struct OpBuilder {
    graph: Graph,
    op: OpRef,
    name: Option<String>,
    args: SmallVec<[Arg; 4]>,
    controls: SmallVec<[NodeId; 2]>,
    origin: Origin,
    error: Option<Error>,
}

impl Graph {
    /// Starts an operation; its name is the op type unless [`OpBuilder::name`] says another.
    #[track_caller]
    pub fn op(&self, op: impl Op) -> OpBuilder {
        OpBuilder::new(self, Arc::new(op))
    }
}

impl OpBuilder {
    /// Starts an operation of any type.
    #[track_caller]
    pub fn new(graph: &Graph, op: OpRef) -> OpBuilder {
        OpBuilder {
            graph: graph.clone(),
            op,
            name: None,
            args: SmallVec::new(),
            controls: SmallVec::new(),
            origin: Origin::Rust(Location::caller()),
            error: None,
        }
    }

    /// Starts the operation of a node once more, to be given its operands: with its op, its origin, and the last part of its name.
    pub(crate) fn again(graph: &Graph, node: &Node) -> OpBuilder {
        let name = node.name.rsplit('/').next().unwrap_or(&node.name);
        OpBuilder::new(graph, node.op.clone()).name(name).origin(node.origin.clone())
    }

    /// The name to make unique; the op type if not given. A name that ends in a slash is taken exactly as it is: the
    /// result of a function that opened a name scope has the scope's name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds an operand.
    pub fn input(mut self, tensor: impl Into<Tensor>) -> Self {
        self.args.push(Arg::Tensor(tensor.into()));
        self
    }

    /// Adds operands.
    pub fn inputs(mut self, tensors: &[Tensor]) -> Self {
        self.args.extend(tensors.iter().map(|t| Arg::Tensor(*t)));
        self
    }

    /// Adds a constant operand; its node is named `node/arg`.
    pub fn constant(mut self, arg: &'static str, value: impl tidemill_tensor::IntoValue) -> Self {
        match value.into_value() {
            Ok(value) => self.args.push(Arg::Constant(arg, value)),
            Err(e) => self.error = Some(e.into()),
        }
        self
    }

    /// Adds an operation that must run first.
    pub fn control(mut self, operation: impl Into<Operation>) -> Self {
        let operation = operation.into();
        if operation.graph == self.graph.id() {
            self.controls.push(operation.node);
        } else {
            self.error = Some(Error::invalid("a control dependency on an operation of another graph"));
        }
        self
    }

    /// Says where the node comes from, when that is not the calling line.
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Adds the node.
    ///
    /// # Panics
    /// With the rendered error at the caller's line.
    #[track_caller]
    pub fn build(self) -> Operation {
        or_panic(self.try_build())
    }

    /// Adds the node and returns output 0.
    #[track_caller]
    pub fn tensor(self) -> Tensor {
        let operation = self.build();
        Tensor { graph: operation.graph, node: operation.node, index: 0 }
    }

    /// Adds the node and returns all outputs.
    #[track_caller]
    pub fn tensors(self) -> Vec<Tensor> {
        self.build().outputs()
    }

    /// Adds the node. On an error the graph is unchanged.
    ///
    /// # Errors
    /// `InvalidArgument` when operands do not fit or belong to another graph, or the name is not valid; `AlreadyExists` when
    /// an exact name is taken; `FailedPrecondition` once the graph is finalised.
    pub fn try_build(self) -> Result<Operation> {
        let OpBuilder { graph, op, name, mut args, controls, origin, error } = self;
        let op_type = op.name();
        let mut state = graph.write();
        let origin = state.context.origin(origin);
        let base = name.as_deref().unwrap_or(op_type);
        let exact = base.strip_suffix('/');
        let fail = |state: &State, e: Error| {
            let name = match exact {
                Some(exact) => exact.to_owned(),
                None => context::join(&state.context.name_scope, base),
            };
            e.with_node(op_type, &name).with_origin(origin.clone())
        };
        if let Some(e) = error {
            return Err(fail(&state, e));
        }
        if state.finalized {
            return Err(fail(&state, Error::precondition("the graph is finalized and cannot grow"))
                .with_help("build the whole graph before the run loop"));
        }
        if let Some(Arg::Tensor(t)) =
            args.iter().find(|a| matches!(a, Arg::Tensor(t) if t.graph != graph.id()))
        {
            let whose = format!("operand {:?} belongs to another graph", *t);
            return Err(fail(&state, Error::invalid(whose)).with_help("build the whole formula in one graph"));
        }
        for arg in &mut args {
            if let Arg::Tensor(t) = arg {
                let local = match state.localise(t.output()) {
                    Ok(local) => local,
                    Err(e) => return Err(fail(&state, e)),
                };
                *t = Tensor { graph: graph.id(), node: local.node, index: local.index };
            }
        }
        let types: SmallVec<[TensorType; 4]> = args.iter().map(|arg| type_of(&state, arg)).collect();
        let outputs =
            op.checked_infer(&InferCx::new(&types, &ArgValues { state: &state, args: &args })).map_err(
                |e| fail(&state, e).with_operands(operand_notes(&state, &*op, &args, &types, &origin)),
            )?;

        match exact {
            Some(exact) if state.by_name.contains_key(exact) => {
                return Err(fail(
                    &state,
                    Error::new(ErrorKind::AlreadyExists, format!("\"{exact}\" already exists")),
                ));
            }
            Some(_) => {}
            None => {
                names::check_name(base, !state.context.name_scope.is_empty()).map_err(|e| fail(&state, e))?
            }
        }
        let start = state.nodes.len();
        let (full, claim) = match exact {
            Some(exact) => (exact.to_owned(), state.names.claim_exactly(exact)),
            None => {
                let full = context::join(&state.context.name_scope, base);
                state.names.claim(full)
            }
        };
        let inputs: SmallVec<[Output; 4]> = args
            .into_iter()
            .map(|arg| match arg {
                Arg::Tensor(t) => t.output(),
                Arg::Constant(arg, value) => {
                    let (name, _) = state.names.claim(format!("{full}/{arg}"));
                    let ty = TensorType::new(value.dtype(), value.shape());
                    let node =
                        add_node(&mut state, Arc::new(Const { value }), name, SmallVec::new(), [ty], &origin);
                    Output::new(node, 0)
                }
            })
            .collect();
        let node = add_node(&mut state, op, full.clone(), inputs, outputs, &origin);
        if !controls.is_empty() {
            let made = Arc::make_mut(&mut state.nodes[node.index()]);
            for control in controls {
                if !made.controls.contains(&control) {
                    made.controls.push(control);
                }
            }
        }
        let end = state.nodes.len();
        state.last_group = Some(Group { start, end, name: full, claim });
        Ok(Operation { graph: graph.id(), node })
    }
}

fn add_node(
    state: &mut State,
    op: OpRef,
    name: String,
    inputs: SmallVec<[Output; 4]>,
    outputs: impl IntoIterator<Item = TensorType>,
    origin: &Origin,
) -> NodeId {
    let controls = state.context.control_inputs(&inputs);
    let controls = state.local_controls(controls);
    let (outputs, region) = (outputs.into_iter().collect(), state.context.region);
    let node =
        state.push(Node { op, name: name.into(), inputs, controls, outputs, origin: origin.clone(), region });
    state.context.record(node);
    node
}

fn type_of(state: &State, arg: &Arg) -> TensorType {
    match arg {
        Arg::Tensor(t) => state.nodes[t.node.index()].outputs[t.index as usize].clone(),
        Arg::Constant(_, value) => TensorType::new(value.dtype(), value.shape()),
    }
}

struct ArgValues<'a> {
    state: &'a State,
    args: &'a [Arg],
}

impl KnownValues for ArgValues<'_> {
    fn known(&self, i: usize) -> Option<PartialValue> {
        match &self.args[i] {
            Arg::Tensor(t) => self.state.known(t.output(), KNOWN_VALUE_DEPTH),
            Arg::Constant(_, value) => known_elements(value),
        }
    }
}

fn operand_notes(
    state: &State,
    op: &dyn AnyOp,
    args: &[Arg],
    types: &[TensorType],
    origin: &Origin,
) -> Vec<OperandNote> {
    args.iter()
        .zip(types)
        .enumerate()
        .map(|(i, (arg, ty))| {
            let (node, origin) = match arg {
                Arg::Tensor(t) => {
                    let node = &state.nodes[t.node.index()];
                    (node.name.to_string(), node.origin.clone())
                }
                Arg::Constant(name, _) => ((*name).to_owned(), origin.clone()),
            };
            OperandNote { name: op.signature().input_name(i, args.len()), ty: ty.clone(), node, origin }
        })
        .collect()
}
