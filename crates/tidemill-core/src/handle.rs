//! Handles: `Copy` names of tensors and operations that find their graph by themselves.
//!
//! A handle holds ids, not references, so that arithmetic reads as mathematics and structs that own a graph and its
//! tensors need no lifetimes. The one private table `GraphId -> Weak<GraphInner>` leads back to the graph; [`Graph`]s and
//! sessions own it. Using a handle after its graph is gone panics at the user's line.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use rustc_hash::FxHashMap;
use tidemill_tensor::{DType, PartialShape};

use crate::error::or_panic;
use crate::graph::{Graph, GraphInner};
use crate::ids::{GraphId, NodeId, Output};
use crate::infer::TensorType;

static NEXT: AtomicU32 = AtomicU32::new(1);
static GRAPHS: RwLock<Option<FxHashMap<GraphId, Weak<GraphInner>>>> = RwLock::new(None);

pub(crate) fn register(make: impl FnOnce(GraphId) -> GraphInner) -> Arc<GraphInner> {
    let id = GraphId(NEXT.fetch_add(1, Ordering::Relaxed));
    let inner = Arc::new(make(id));
    let mut graphs = GRAPHS.write().unwrap_or_else(PoisonError::into_inner);
    graphs.get_or_insert_default().insert(id, Arc::downgrade(&inner));
    inner
}

pub(crate) fn unregister(id: GraphId) {
    let mut graphs = GRAPHS.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(graphs) = graphs.as_mut() {
        graphs.remove(&id);
    }
}

fn find(id: GraphId) -> Option<Graph> {
    let graphs = GRAPHS.read().unwrap_or_else(PoisonError::into_inner);
    graphs.as_ref()?.get(&id)?.upgrade().map(Graph::from_inner)
}

/// One output of one operation of one graph: what formulas are made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tensor {
    pub(crate) graph: GraphId,
    pub(crate) node: NodeId,
    pub(crate) index: u32,
}

impl Tensor {
    /// The graph it belongs to.
    ///
    /// # Panics
    /// When the graph has been dropped: keep the `Graph`, or a session of it, alive.
    #[track_caller]
    pub fn graph(self) -> Graph {
        match find(self.graph) {
            Some(graph) => graph,
            None => panic!("tensor {} belongs to a graph that has been dropped", self.output()),
        }
    }

    /// The operation that computes it.
    pub fn op(self) -> Operation {
        Operation { graph: self.graph, node: self.node }
    }

    /// Its place in the graph.
    pub fn output(self) -> Output {
        Output { node: self.node, index: self.index }
    }

    /// The id of its graph.
    pub fn graph_id(self) -> GraphId {
        self.graph
    }

    /// Dtype and shape.
    #[track_caller]
    pub fn ty(self) -> TensorType {
        self.graph().node(self.node).outputs[self.index as usize].clone()
    }

    /// Element type.
    #[track_caller]
    pub fn dtype(self) -> DType {
        self.graph().node(self.node).outputs[self.index as usize].dtype
    }

    /// The shape, as far as it is known.
    #[track_caller]
    pub fn shape(self) -> PartialShape {
        self.ty().shape
    }

    /// TensorFlow's name of a tensor: `node:index`.
    #[track_caller]
    pub fn name(self) -> String {
        format!("{}:{}", self.graph().node(self.node).name, self.index)
    }

    /// Renames the operation just made: `g.placeholder(tf::f32, [2]).named("x")`. The name is placed in the current name
    /// scope and made unique, as TensorFlow treats `name=`. What the call made beside the operation itself (constants,
    /// helper nodes) moves along.
    ///
    /// # Panics
    /// When another operation has been added since: a name is given where a node is made.
    #[track_caller]
    pub fn named(self, name: &str) -> Tensor {
        or_panic(self.graph().rename_last(self.node, name));
        self
    }
}

/// One operation of one graph; as a fetch it is run for its effect.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    pub(crate) graph: GraphId,
    pub(crate) node: NodeId,
}

impl Operation {
    /// The graph it belongs to.
    ///
    /// # Panics
    /// When the graph has been dropped.
    #[track_caller]
    pub fn graph(self) -> Graph {
        match find(self.graph) {
            Some(graph) => graph,
            None => panic!("operation {} belongs to a graph that has been dropped", self.node),
        }
    }

    /// Its id.
    pub fn id(self) -> NodeId {
        self.node
    }

    /// The id of its graph.
    pub fn graph_id(self) -> GraphId {
        self.graph
    }

    /// Its name.
    #[track_caller]
    pub fn name(self) -> String {
        self.graph().node(self.node).name.to_string()
    }

    /// TensorFlow's op type.
    #[track_caller]
    pub fn op_type(self) -> &'static str {
        self.graph().node(self.node).op.name()
    }

    /// Output `index`.
    ///
    /// # Panics
    /// When there is no such output.
    #[track_caller]
    pub fn output(self, index: usize) -> Tensor {
        let node = self.graph().node(self.node);
        assert!(
            index < node.outputs.len(),
            "{} has {} outputs, no output {index}",
            node.name,
            node.outputs.len()
        );
        Tensor { graph: self.graph, node: self.node, index: index as u32 }
    }

    /// All outputs.
    #[track_caller]
    pub fn outputs(self) -> Vec<Tensor> {
        let count = self.graph().node(self.node).outputs.len();
        (0..count as u32).map(|index| Tensor { graph: self.graph, node: self.node, index }).collect()
    }

    /// Renames the operation just made; see [`Tensor::named`].
    #[track_caller]
    pub fn named(self, name: &str) -> Operation {
        or_panic(self.graph().rename_last(self.node, name));
        self
    }
}

impl From<Tensor> for Operation {
    fn from(tensor: Tensor) -> Operation {
        tensor.op()
    }
}

impl From<&Operation> for Operation {
    fn from(operation: &Operation) -> Operation {
        *operation
    }
}

impl From<&Tensor> for Tensor {
    fn from(tensor: &Tensor) -> Tensor {
        *tensor
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match find(self.graph) {
            Some(g) => {
                let node = g.node(self.node);
                let ty = &node.outputs[self.index as usize];
                write!(f, "{} \"{}:{}\" {ty}", self.output(), node.name, self.index)
            }
            None => write!(f, "{} of a dropped graph", self.output()),
        }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match find(self.graph) {
            Some(g) => {
                let node = g.node(self.node);
                write!(f, "{} {} \"{}\"", self.node, node.op.name(), node.name)
            }
            None => write!(f, "{} of a dropped graph", self.node),
        }
    }
}
