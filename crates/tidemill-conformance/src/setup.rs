//! One row as a graph.

use tidemill_core::ops::{Assign, Const, Identity, SelectV2, VariableV2};
use tidemill_core::{DType, Error, Graph, OpBuilder, Operation, Origin, PartialShape, Result, Tensor, Value};
use tidemill_session::{FeedDict, Session};

use crate::row::{Input, Made, Row};

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
    /// As `Fed`, through an op that copies, so that kernels may work in place.
    Computed,
    /// Placeholders of unknown rank: all that depends on shapes happens in the run.
    Unknown,
}

impl Mode {
    pub(crate) const ALL: [Mode; 6] =
        [Mode::Literal, Mode::Constant, Mode::Fed, Mode::Computed, Mode::Open, Mode::Unknown];

    fn shape(self, value: &Value) -> PartialShape {
        match self {
            Mode::Literal | Mode::Constant | Mode::Fed | Mode::Computed => value.shape().into(),
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
        let (mut feeds, mut before, mut references) = (FeedDict::new(), vec![], vec![]);
        let constant = |value: &Value| Ok(graph.op(Const { value: value.clone() }).try_build()?.output(0));
        // Select of a condition that only the feeds tell.
        let copies = (mode == Mode::Computed).then(|| graph.placeholder(DType::Bool, ()));
        copies.iter().for_each(|always| feeds.insert(*always, true));
        let has_floats = values.iter().any(|v| v.dtype().is_float());
        let mut operand = |input: &Input, value: &Value| -> Result<Tensor> {
            if input.variable {
                let op = VariableV2 {
                    shape: mode.shape(value),
                    dtype: value.dtype(),
                    container: String::new(),
                    shared_name: String::new(),
                };
                let reference = graph.op(op).try_build()?.output(0);
                if input.initialised {
                    let assign = Assign { validate_shape: true, use_locking: false };
                    before.push(graph.op(assign).input(reference).input(constant(value)?).try_build()?);
                }
                if input.initialised || !row.left.is_empty() {
                    references.push(reference);
                }
                return Ok(reference);
            }
            let argument = has_floats && !value.dtype().is_float();
            match mode {
                Mode::Constant => constant(value),
                Mode::Literal | Mode::Open if argument => constant(value),
                _ => {
                    let placeholder = graph.placeholder(value.dtype(), mode.shape(value));
                    feeds.insert(placeholder, value);
                    match copies {
                        Some(always) => graph
                            .op(SelectV2)
                            .inputs(&[always, placeholder, placeholder])
                            .try_build()
                            .map(|op| op.output(0)),
                        None => Ok(placeholder),
                    }
                }
            }
        };
        let inputs: Vec<Tensor> = row
            .inputs
            .iter()
            .zip(values)
            .map(|(input, value)| operand(input, value))
            .collect::<Result<_>>()?;
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
            feeds.insert(outputs[0], fed);
        }
        let read = |reference| {
            let read = graph.op(Identity {}).input(reference);
            Ok(node.iter().fold(read, |read, node| read.control(*node)).try_build()?.output(0))
        };
        let after = references.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Setup { graph, node, outputs, inputs, feeds, before, after })
    }

    /// Runs the node on fresh variables.
    pub(crate) fn run(&self, sess: &Session) -> Result<Outcome> {
        sess.run(&self.before, FeedDict::new())?;
        let (_, outputs, left) = sess.run((self.node, &self.outputs, &self.after), &self.feeds)?;
        Ok(Outcome { outputs, left })
    }
}
