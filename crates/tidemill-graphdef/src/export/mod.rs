//! From a graph to a GraphDef.
//!
//! | file | idea |
//! |---|---|
//! | `block.rs` | the nodes of the graph, or of one body: names of values, loops and conditionals that are one |
//! | `node.rs` | one node: its attributes and inputs, by TensorFlow's definition of its op |
//! | `functions.rs` | bodies as functions; conditionals |
//! | `loops.rs` | loops |
//!
//! A node is written under its own name with its own outputs, so what can be fetched from the graph can be fetched from the file; of loops and
//! conditionals that do the same work (a gradient makes copies that hand out residuals) one is written, which gives what any of them gives.
//!
//! A conditional becomes `If` or `StatelessIf`. A loop that is nothing but a condition and a body becomes `While` or `StatelessWhile`. Any other loop, one
//! with a trip count, scanned xs, or stacked ys, becomes a call of a function that holds such a `While`: it counts turns, takes slices by
//! `GatherV2`, and collects ys in a `TensorList`. The call bears attributes that TensorFlow overlooks, from which import makes the same loop again.

mod block;
mod functions;
mod loops;
mod node;

use prost::Message;
use rustc_hash::FxHashSet;
use tidemill_core::{Error, ErrorKind, Graph, NodeId, RegionId, Result};

use crate::proto::{FunctionDef, FunctionDefLibrary, GraphDef, VersionDef};
use block::Block;
pub(crate) use node::PART;

/// The version of GraphDef that is written, and the oldest reader for it.
const PRODUCER: i32 = crate::VERSION;
const MIN_CONSUMER: i32 = 12;

/// How deep bodies may be in each other; as deep as import takes them.
const MAX_DEPTH: usize = 50;

/// No file of TensorFlow is larger: protobuf's own limit.
const MAX_BYTES: usize = i32::MAX as usize;

/// The attribute of functions that import makes whole and under their own names, as they are bodies of ours.
pub(crate) const WHOLE: &str = "_tidemill_body";

/// The graph as TensorFlow's GraphDef. TensorFlow: `Graph.as_graph_def`.
///
/// Loops and conditionals are functional `While` and `If` with their function library, variables `VariableV2`. Import gives the same graph again.
/// Ops that TensorFlow does not have are written under their own names. Values of variables, collections and seeds are not part of a GraphDef.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// use tidemill_graphdef::{ImportOptions, export_graph_def, import_graph_def};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2]).named("x");
/// let _ = ops::while_loop(|x| ops::reduce_sum(x).lt(9.0), |x| x * 2.0, x);
/// let def = export_graph_def(&g)?;
/// assert_eq!(def.node.last().map(|n| n.op.as_str()), Some("StatelessWhile"));
///
/// let again = Graph::new();
/// import_graph_def(&again, &def, &ImportOptions::new())?;
/// assert_eq!(again.to_text(), g.to_text());
/// # Ok::<(), tidemill_core::Error>(())
/// ```
///
/// # Errors
/// `Unimplemented`, naming the node, for what has no form in a GraphDef; `ResourceExhausted` for bodies nested over 50 deep.
pub fn export_graph_def(graph: &Graph) -> Result<GraphDef> {
    let mut exporter = Exporter { library: vec![], names: FxHashSet::default(), depth: 0 };
    let nodes: Vec<_> = graph.nodes().into_iter().zip(0..).map(|(node, i)| (NodeId(i), node)).collect();
    let root: Vec<_> = nodes.into_iter().filter(|(_, node)| node.region == RegionId::ROOT).collect();
    let (node, _) = exporter.nodes(&Block::root(&root))?;
    let function = exporter.library;
    let library = (!function.is_empty()).then(|| FunctionDefLibrary { function, ..Default::default() });
    let versions = VersionDef { producer: PRODUCER, min_consumer: MIN_CONSUMER, ..Default::default() };
    Ok(GraphDef { node, library, versions: Some(versions), ..Default::default() })
}

/// Encodes a GraphDef.
///
/// # Errors
/// `ResourceExhausted` for one that is too large for TensorFlow to read, over 2 GiB.
pub fn write_graph_def(def: &GraphDef) -> Result<Vec<u8>> {
    match def.encoded_len() {
        0..=MAX_BYTES => Ok(def.encode_to_vec()),
        bytes => Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("the graph takes {bytes} bytes, over 2 GiB"),
        )
        .with_help("make large constants variables")),
    }
}

/// Writes one graph.
struct Exporter {
    library: Vec<FunctionDef>,
    /// Of functions.
    names: FxHashSet<String>,
    /// How deep bodies are in each other.
    depth: usize,
}

impl Exporter {
    /// A name for a function, like that of the node it belongs to.
    fn function_name(&mut self, node: &str, suffix: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let base = format!("{}_{suffix}", node.chars().map(plain).collect::<String>());
        let numbered = (0usize..).map(|i| if i == 0 { base.clone() } else { format!("{base}_{i}") });
        let mut free = numbered.filter(|name| crate::op_defs::find(name).is_none());
        free.find(|name| self.names.insert(name.clone())).unwrap_or(base)
    }

    /// Runs `f` one body deeper.
    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            let what = format!("bodies are nested over {MAX_DEPTH} deep");
            return Err(Error::new(ErrorKind::ResourceExhausted, what));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }
}
