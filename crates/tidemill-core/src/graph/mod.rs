//! The graph: an append-only arena of nodes.
//!
//! A graph only grows; nothing rewrites it. Sessions compile their own programs from it. What is *absent*: values (the core
//! computes none), devices, and any default graph: sources name the graph they add to, everything else finds it from an
//! operand.

mod attempt;
mod builder;
mod collections;
mod context;
mod names;
mod region;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

pub use builder::OpBuilder;
pub use collections::{CollectionItem, keys};
pub use context::{ControlDependencies, NameScope};
pub(crate) use context::{Restore, join};
pub(crate) use region::Built;
use region::RegionState;
pub use region::{Body, Capture, RegionId};

use crate::error::{Error, Origin, Result, or_panic};
use crate::handle::{self, Operation, Tensor};
use crate::ids::{GraphId, NodeId, Output};
use crate::infer::{InferCx, KnownValues, PartialValue, TensorType};
use crate::op::{Op, OpRef};
use crate::ops::Param;
use crate::variable::VariableStore;
use collections::Collections;
pub(crate) use context::Context;
use names::{Claim, Names};

/// How deep a chain of shape arithmetic is followed when a shape argument's value is wanted.
const KNOWN_VALUE_DEPTH: usize = 64;

/// One operation of a graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// Kind and attributes.
    pub op: OpRef,
    /// Unique name.
    pub name: Arc<str>,
    /// The operands.
    pub inputs: SmallVec<[Output; 4]>,
    /// Operations that run before this one.
    pub controls: SmallVec<[NodeId; 2]>,
    /// The types of the results.
    pub outputs: SmallVec<[TensorType; 1]>,
    /// Where it was made.
    pub origin: Origin,
    /// The body that it belongs to.
    pub region: RegionId,
}

/// A graph under construction.
///
/// `Graph` is a shared handle: clones name the same graph. Scopes belong to the graph, so build one graph from one thread
/// at a time; running it from many threads is what [sessions](https://docs.rs/tidemill) are for.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2, 3]).named("x");
/// let y = ops::tanh(x) + 1.0;
/// assert_eq!(y.name(), "add:0");
/// assert_eq!(g.len(), 4); // x, Tanh, add/y, add
/// ```
#[derive(Clone)]
pub struct Graph {
    inner: Arc<GraphInner>,
}

pub(crate) struct GraphInner {
    id: GraphId,
    state: RwLock<State>,
}

impl Drop for GraphInner {
    fn drop(&mut self) {
        handle::unregister(self.id);
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) nodes: Vec<Arc<Node>>,
    by_name: FxHashMap<Arc<str>, NodeId>,
    names: Names,
    last_group: Option<Group>,
    finalized: bool,
    seed: Option<i64>,
    /// How many ops without a seed of their own have derived one from the graph's.
    seeds_derived: i64,
    regions: Vec<RegionState>,
    collections: Collections,
    pub(crate) context: Context,
    pub(crate) variables: VariableStore,
}

/// The nodes made by the latest call of a graph function: what [`Tensor::named`] renames.
struct Group {
    start: usize,
    end: usize,
    name: String,
    claim: Claim,
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph { inner: handle::register(|id| GraphInner { id, state: RwLock::default() }) }
    }

    pub(crate) fn from_inner(inner: Arc<GraphInner>) -> Graph {
        Graph { inner }
    }

    /// What handles of this graph carry.
    pub fn id(&self) -> GraphId {
        self.inner.id
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.read().nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The node of this id.
    ///
    /// # Panics
    /// When the id comes from another graph and is out of range.
    #[track_caller]
    pub fn node(&self, id: NodeId) -> Arc<Node> {
        self.read().nodes[id.index()].clone()
    }

    /// All nodes, in the order they were made; a node's operands stand before it.
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.read().nodes.clone()
    }

    /// The handle of an output.
    pub fn handle(&self, output: Output) -> Tensor {
        Tensor { graph: self.id(), node: output.node, index: output.index }
    }

    /// The handle of a node.
    pub fn operation_of(&self, node: NodeId) -> Operation {
        Operation { graph: self.id(), node }
    }

    /// The operation of this name.
    ///
    /// # Errors
    /// `NotFound`, with the nearest name there is.
    pub fn operation(&self, name: &str) -> Result<Operation> {
        let state = self.read();
        match state.by_name.get(name) {
            Some(&node) => Ok(Operation { graph: self.id(), node }),
            None => {
                let error = Error::not_found(format!("there is no operation \"{name}\" in the graph"));
                Err(match nearest(name, state.by_name.keys().map(|k| &**k)) {
                    Some(near) => error.with_help(format!("did you mean \"{near}\"?")),
                    None => error,
                })
            }
        }
    }

    /// The tensor of this name: `node:index`, or `node` for its output 0.
    ///
    /// # Errors
    /// `NotFound` for an unknown node or output; `InvalidArgument` for an index that is no number.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let (node, index) = match name.rsplit_once(':') {
            Some((node, index)) => {
                let index = index
                    .parse::<u32>()
                    .map_err(|_| Error::invalid(format!("\"{name}\": a tensor is named node:index")))?;
                (node, index)
            }
            None => (name, 0),
        };
        let op = self.operation(node)?;
        let outputs = self.node(op.node).outputs.len();
        if index as usize >= outputs {
            return Err(Error::not_found(format!(
                "operation \"{node}\" has {outputs} outputs, there is no \"{name}\""
            )));
        }
        Ok(Tensor { graph: self.id(), node: op.node, index })
    }

    /// All operations, in the order they were made.
    pub fn operations(&self) -> Vec<Operation> {
        (0..self.len() as u32).map(|n| self.operation_of(NodeId(n))).collect()
    }

    /// Forbids further nodes. A run loop that grows its graph gets slower with every step; a finalised graph turns that
    /// into an error at the line that adds the node.
    pub fn finalize(&self) {
        self.write().finalized = true;
    }

    /// Whether [`finalize`](Graph::finalize) was called.
    pub fn is_finalized(&self) -> bool {
        self.read().finalized
    }

    /// Sets the graph-level seed, from which ops that draw random numbers derive theirs.
    pub fn set_random_seed(&self, seed: i64) {
        self.write().seed = Some(seed);
    }

    /// The two seeds of a random op, as TensorFlow derives them: from the graph's seed and the op's; an op without one takes
    /// the number of such ops so far; `(0, 0)`, which means a fresh seed for every session, when there is neither.
    pub fn seeds(&self, op_seed: Option<i64>) -> (i64, i64) {
        const DEFAULT_GRAPH_SEED: i64 = 87_654_321;
        const MODULUS: i64 = i32::MAX as i64;
        let mut state = self.write();
        let seeds = match (state.seed, op_seed) {
            (Some(graph), Some(op)) => (graph, op),
            (Some(graph), None) => {
                state.seeds_derived += 1;
                (graph, state.seeds_derived - 1)
            }
            (None, Some(op)) => (DEFAULT_GRAPH_SEED, op),
            (None, None) => return (0, 0),
        };
        match (seeds.0.rem_euclid(MODULUS), seeds.1.rem_euclid(MODULUS)) {
            (0, 0) => (0, MODULUS),
            seeds => seeds,
        }
    }

    /// Adds an operation and returns its output 0. The one way in for graph functions; see [`Graph::op`] for names, constant
    /// arguments and several outputs.
    ///
    /// # Panics
    /// With the rendered error at the caller's line, when the operands do not fit.
    #[track_caller]
    pub fn add(&self, op: impl Op, inputs: &[Tensor]) -> Tensor {
        self.op(op).inputs(inputs).tensor()
    }

    /// Adds an operation that may be of any type: the one fallible door, for importers and bindings.
    ///
    /// # Errors
    /// `InvalidArgument` when operands do not fit or belong to another graph; `FailedPrecondition` once finalised.
    #[track_caller]
    pub fn try_add(&self, op: OpRef, inputs: &[Tensor]) -> Result<Operation> {
        OpBuilder::new(self, op).inputs(inputs).try_build()
    }

    /// What is known of an output's value before any run.
    pub fn known_value(&self, output: Output) -> Option<PartialValue> {
        self.read().known(output, KNOWN_VALUE_DEPTH)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.inner.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Tensor::named`].
    pub(crate) fn rename_last(&self, node: NodeId, name: &str) -> Result<()> {
        let mut state = self.write();
        let scope = state.context.name_scope.clone();
        names::check_name(name, !scope.is_empty())?;
        let len = state.nodes.len();
        let group =
            state.last_group.take().filter(|g| g.end == len && (g.start..g.end).contains(&node.index()));
        let Some(group) = group else {
            let have = state.nodes[node.index()].name.clone();
            return Err(Error::precondition(format!(
                "\"{have}\" cannot be renamed to \"{name}\": other operations were added since"
            ))
            .with_help("call .named() on the operation as it is made, or build it in a name scope"));
        };
        state.names.release(group.claim);
        let (new, claim) = state.names.claim(join(&scope, name));
        let prefix = format!("{}/", group.name);
        for index in group.start..group.end {
            let old = state.nodes[index].name.clone();
            let renamed: Arc<str> = if *old == *group.name {
                new.as_str().into()
            } else if let Some(rest) = old.strip_prefix(&prefix) {
                let renamed = format!("{new}/{rest}");
                state.names.move_key(&old, &renamed);
                renamed.into()
            } else {
                continue;
            };
            state.by_name.remove(&old);
            state.by_name.insert(renamed.clone(), NodeId(index as u32));
            Arc::make_mut(&mut state.nodes[index]).name = renamed;
        }
        state.last_group = Some(Group { name: new, claim, ..group });
        Ok(())
    }
}

impl State {
    fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.by_name.insert(node.name.clone(), id);
        self.nodes.push(Arc::new(node));
        id
    }

    fn types_of(&self, outputs: &[Output]) -> SmallVec<[TensorType; 4]> {
        outputs.iter().map(|o| self.nodes[o.node.index()].outputs[o.index as usize].clone()).collect()
    }

    fn known(&self, output: Output, depth: usize) -> Option<PartialValue> {
        if depth == 0 {
            return None;
        }
        let node = &self.nodes[output.node.index()];
        if node.op.is::<Param>() {
            return self.known(self.captured(output.node)?, depth - 1);
        }
        let types = self.types_of(&node.inputs);
        let operands = NodeOperands { state: self, node, depth: depth - 1 };
        node.op.constant_value(&InferCx::new(&types, &operands).asking(output.index as usize))
    }
}

struct NodeOperands<'a> {
    state: &'a State,
    node: &'a Node,
    depth: usize,
}

impl KnownValues for NodeOperands<'_> {
    fn known(&self, i: usize) -> Option<PartialValue> {
        self.state.known(self.node.inputs[i], self.depth)
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph({} nodes)", self.len())
    }
}

impl PartialEq for Graph {
    fn eq(&self, other: &Graph) -> bool {
        self.id() == other.id()
    }
}

/// The candidate nearest to `name`, if one is near enough to be a slip of the pen.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match name.len() {
        0..3 => return None,
        n => 1 + n / 4,
    };
    candidates
        .filter(|c| c.len().abs_diff(name.len()) <= limit)
        .take(4096)
        .map(|c| (edit_distance(name, c), c))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, c)| c)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The graph that all these tensors belong to.
#[track_caller]
pub(crate) fn graph_of(tensors: &[Tensor]) -> Graph {
    match tensors {
        [] => or_panic(Err(Error::invalid("needs at least one tensor"))),
        [first, ..] => first.graph(),
    }
}
