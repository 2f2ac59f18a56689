//! One row as a graph.

use tidemill_core::ops::{Assign, Const, Identity, SelectV2, VariableV2};
use tidemill_core::{Error, Graph, OpBuilder, Operation, Origin, PartialShape, Result, Tensor, Value};
use tidemill_session::{FeedDict, Session};

use crate::row::{Made, Row};

/// How the operands come into the graph. *Arguments* are integers and bools beside floating operands: axes, sizes, indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Placeholders of known shape; arguments are constants. The usual way.
    Literal,
    /// Constants, so that the session can fold.
    Constant,
    /// Placeholders of known shape, arguments too, so that nothing is known of their values.
    Fed,
    /// Placeholders whose dimensions are unknown; arguments are constants.
    Open,
    /// As `Fed`, but every second operand, from this one on, comes out of an op, so that kernels may work in its place.
    Computed(usize),
    /// Placeholders of unknown rank: all that depends on shapes happens in the run.
    Unknown,
}

impl Mode {
    pub(crate) const ALL: [Mode; 7] = [
        Mode::Literal,
        Mode::Constant,
        Mode::Fed,
        Mode::Computed(0),
        Mode::Computed(1),
        Mode::Open,
        Mode::Unknown,
    ];

    fn shape(self, value: &Value) -> PartialShape {
        match self {
            Mode::Literal | Mode::Constant | Mode::Fed | Mode::Computed(_) => value.shape().into(),
            Mode::Open => PartialShape::with_rank(value.rank()),
            Mode::Unknown => PartialShape::unknown(),
        }
    }
}

pub(crate) struct Setup {
    pub(crate) graph: Graph,
    /// The node, if the row is one.
    node: Option<Operation>,
    pub(crate) outputs: Vec<Tensor>,
    pub(crate) inputs: Vec<Tensor>,
    /// By name, so that they fit a copy of the graph.
    pub(crate) feeds: FeedDict,
    /// What must run before: assignments of the variables.
    before: Vec<Operation>,
    /// The variables' contents after the node has run.
    after: Vec<Tensor>,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) outputs: Vec<Value>,
    pub(crate) left: Vec<Value>,
}

impl Setup {
    pub(crate) fn new(row: &Row, values: &[Value], mode: Mode) -> Result<Setup> {
        let graph = Graph::new();
        let mut wiring = Wiring {
            graph: &graph,
            mode,
            has_floats: values.iter().any(|v| v.dtype().is_inexact()),
            feeds: FeedDict::new(),
            before: vec![],
            variables: vec![],
        };
        let inputs =
            row.inputs.iter().zip(values).enumerate().map(|(at, (input, value))| match input.variable {
                true => wiring.variable(input.initialised, value),
                false => wiring.value(at, value),
            });
        let inputs: Vec<Tensor> = inputs.collect::<Result<_>>()?;
        let Wiring { mut feeds, before, mut variables, .. } = wiring;
        // One that holds nothing can be read afterwards only if the row fills it.
        variables.retain(|(_, initialised)| *initialised || !row.left.is_empty());
        let (node, outputs) = match &row.made {
            Made::Node(op) => {
                let node = OpBuilder::new(&graph, op.clone())
                    .inputs(&inputs)
                    .origin(Origin::Rust(row.at))
                    .try_build()?;
                (Some(node), node.outputs())
            }
            Made::Function(schema, function) => {
                let outputs = function(&inputs);
                if !graph.nodes().iter().any(|node| node.op.schema() == *schema) {
                    return Err(Error::invalid(format!("the function adds no {}", schema.name)));
                }
                (None, outputs)
            }
        };
        if let Some(fed) = &row.fed {
            feeds.insert(outputs[0].name(), fed);
        }
        let read = |(reference, _)| {
            let read = graph.op(Identity {}).input(reference);
            Ok(node.iter().fold(read, |read, node| read.control(*node)).try_build()?.output(0))
        };
        let after = variables.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Setup { graph, node, outputs, inputs, feeds, before, after })
    }

    /// The same in a copy of the graph.
    pub(crate) fn in_graph(&self, graph: &Graph) -> Setup {
        let (tensor, operation) =
            (|t: Tensor| Ok(graph.handle(t.output())), |op: Operation| Ok(graph.operation_of(op.id())));
        match self.moved(graph, tensor, operation) {
            Ok(setup) => setup,
            Err(_) => unreachable!("a copy has the same ids"),
        }
    }

    /// The same in a graph that has nodes of the same names.
    pub(crate) fn by_name(&self, graph: &Graph) -> Result<Setup> {
        self.moved(graph, |t| graph.tensor(&t.name()), |op| graph.operation(&op.name()))
    }

    fn moved(
        &self,
        graph: &Graph,
        tensor: impl Fn(Tensor) -> Result<Tensor>,
        operation: impl Fn(Operation) -> Result<Operation>,
    ) -> Result<Setup> {
        let tensors = |all: &[Tensor]| all.iter().map(|t| tensor(*t)).collect::<Result<_>>();
        Ok(Setup {
            graph: graph.clone(),
            node: self.node.map(&operation).transpose()?,
            outputs: tensors(&self.outputs)?,
            inputs: tensors(&self.inputs)?,
            feeds: self.feeds.clone(),
            before: self.before.iter().map(|op| operation(*op)).collect::<Result<_>>()?,
            after: tensors(&self.after)?,
        })
    }

    /// Runs the node on fresh variables.
    pub(crate) fn run(&self, sess: &Session) -> Result<Outcome> {
        sess.run(&self.before, FeedDict::new())?;
        let (_, outputs, left) = sess.run((self.node, &self.outputs, &self.after), &self.feeds)?;
        Ok(Outcome { outputs, left })
    }
}

/// Brings the operands in.
struct Wiring<'g> {
    graph: &'g Graph,
    mode: Mode,
    has_floats: bool,
    feeds: FeedDict,
    before: Vec<Operation>,
    /// References, and whether they are assigned before.
    variables: Vec<(Tensor, bool)>,
}

impl Wiring<'_> {
    fn variable(&mut self, initialised: bool, value: &Value) -> Result<Tensor> {
        let op = VariableV2 {
            shape: self.mode.shape(value),
            dtype: value.dtype(),
            container: String::new(),
            shared_name: String::new(),
        };
        let reference = self.graph.op(op).try_build()?.output(0);
        if initialised {
            let assign = self.graph.op(Assign { validate_shape: true, use_locking: false });
            let assign = assign.input(reference).input(self.constant(value)?).try_build()?;
            self.before.push(assign);
        }
        self.variables.push((reference, initialised));
        Ok(reference)
    }

    fn value(&mut self, at: usize, value: &Value) -> Result<Tensor> {
        let argument = self.has_floats && !value.dtype().is_inexact();
        match self.mode {
            Mode::Constant => self.constant(value),
            Mode::Literal | Mode::Open if argument => self.constant(value),
            Mode::Computed(from) if at % 2 == from => {
                // A choice that only the feeds make.
                let (always, fed) = (self.placeholder(&Value::scalar(true)), self.placeholder(value));
                let select = self.graph.op(SelectV2).inputs(&[always, fed, fed]).try_build()?;
                Ok(select.output(0))
            }
            _ => Ok(self.placeholder(value)),
        }
    }

    fn constant(&self, value: &Value) -> Result<Tensor> {
        Ok(self.graph.op(Const { value: value.clone() }).try_build()?.output(0))
    }

    fn placeholder(&mut self, value: &Value) -> Tensor {
        let placeholder = self.graph.placeholder(value.dtype(), self.mode.shape(value));
        self.feeds.insert(placeholder.name(), value);
        placeholder
    }
}
