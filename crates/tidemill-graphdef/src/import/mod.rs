//! From a GraphDef to a graph.
//!
//! | file | idea |
//! |---|---|
//! | `source.rs`, `order.rs` | the nodes of a file or function: inputs found, order |
//! | `contexts.rs`, `blocks.rs` | TF1's control flow: where each node belongs, which nodes are one branch or loop |
//! | `walk.rs` | the nodes of the blocks made, one after the other |
//! | `build.rs`, `nodes.rs`, `variables.rs` | one node: inputs and attributes checked, a core op made |
//! | `regions.rs` | the core's loops and conditionals, and variables that they write |
//! | `handles.rs` | stacks and tensor arrays as old files write them |
//! | `functions.rs`, `loops.rs` | functions, and TF2's control flow; loops that export wrote as functions |

mod blocks;
mod build;
mod contexts;
mod functions;
mod handles;
mod loops;
mod nodes;
mod order;
mod regions;
mod source;
mod value;
mod variables;
mod walk;

use prost::Message;
use rustc_hash::FxHashMap;
use tidemill_core::{Error, ErrorKind, Graph, OpSet, Operation, Result, Tensor};

use crate::VERSION;
use crate::proto::GraphDef;
use build::Importer;
pub use build::UnsupportedOp;
pub(crate) use loops::loop_attrs;
use source::Source;
use value::Made;

/// Decodes a GraphDef.
///
/// # Errors
/// `DataLoss` when the bytes are not one.
pub fn read_graph_def(bytes: &[u8]) -> Result<GraphDef> {
    GraphDef::decode(bytes)
        .map_err(|e| Error::new(ErrorKind::DataLoss, format!("the bytes are not a GraphDef: {e}")))
}

/// How a graph is imported.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    prefix: String,
    input_map: Vec<(String, Tensor)>,
    return_elements: Vec<String>,
    only: Option<Vec<String>>,
    ops: OpSet,
    file: String,
}

impl Default for ImportOptions {
    fn default() -> Self {
        ImportOptions::new()
    }
}

impl ImportOptions {
    /// All nodes, under their own names.
    pub fn new() -> ImportOptions {
        ImportOptions {
            prefix: String::new(),
            input_map: vec![],
            return_elements: vec![],
            only: None,
            ops: OpSet::standard(),
            file: "GraphDef".to_owned(),
        }
    }

    /// Nodes are named `prefix/name`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// `tensor` stands for the tensor `name` of the file (`node:output`, or `node`) wherever that is used.
    pub fn map_input(mut self, name: impl Into<String>, tensor: Tensor) -> Self {
        self.input_map.push((name.into(), tensor));
        self
    }

    /// Tensors of the file, by name, that [`Imported::returned`] gives.
    pub fn returning(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.return_elements.extend(names.into_iter().map(Into::into));
        self
    }

    /// Leaves out nodes that none of these tensors or operations need. TensorFlow: `extract_sub_graph`.
    pub fn only(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only.get_or_insert_default().extend(names.into_iter().map(Into::into));
        self
    }

    /// The ops that may occur; the standard ones unless told.
    pub fn ops(mut self, ops: OpSet) -> Self {
        self.ops = ops;
        self
    }

    /// What errors call the file.
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = file.into();
        self
    }
}

/// Where the nodes of a file are in the graph.
#[derive(Debug)]
pub struct Imported {
    graph: Graph,
    made: FxHashMap<String, Made>,
    returned: Vec<Tensor>,
}

impl Imported {
    /// The tensor that the file calls `name`: `node:output`, or `node` for its output 0. A resource variable's handle is its reference.
    ///
    /// # Errors
    /// `NotFound` when there is none, or it is no tensor here: the inside of a loop, a handle, a string.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let (node, output) = match name.rsplit_once(':') {
            Some((node, output)) => (node, output.parse::<usize>().unwrap_or(usize::MAX)),
            None => (name, 0),
        };
        let missing = |why: &str| Error::not_found(format!("there is no tensor \"{name}\"{why}"));
        let made = self.made.get(node).ok_or_else(|| missing(" in the imported graph"))?;
        let value = made
            .outputs
            .get(output)
            .ok_or_else(|| missing(&format!(": \"{node}\" has {} outputs", made.outputs.len())))?;
        value.tensor().ok_or_else(|| missing(&format!(": it is {}", value.describe())))
    }

    /// The operation that the file calls `name`.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn operation(&self, name: &str) -> Result<Operation> {
        match self.made.get(name).and_then(|made| made.operation) {
            Some(operation) => Ok(operation),
            None => Err(Error::not_found(format!("there is no operation \"{name}\" in the imported graph"))),
        }
    }

    /// The tensors asked for by [`ImportOptions::returning`].
    pub fn returned(&self) -> &[Tensor] {
        &self.returned
    }

    /// The graph they are in.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// Adds the nodes of a GraphDef to `graph`. TensorFlow: `tf.import_graph_def`.
///
/// # Errors
/// `Unimplemented` listing every op that is not supported; `InvalidArgument`, naming the node, for what does not fit.
pub fn import_graph_def(graph: &Graph, def: &GraphDef, options: &ImportOptions) -> Result<Imported> {
    if let Some(versions) = &def.versions
        && (versions.min_consumer > VERSION || versions.bad_consumers.contains(&VERSION))
    {
        return Err(Error::invalid(format!(
            "the graph wants a reader of version {}, this is {VERSION}",
            versions.min_consumer
        )));
    }
    let source = Source::of_graph(&def.node)?;
    let keep = options.kept(&source)?;
    let mut importer = Importer::new(graph, def, options)?;
    importer.check_supported(&source, &keep)?;
    graph.attempt(|| {
        let made = graph.root_name_scope().enter(|| importer.graph(source, &keep))?;
        let mut imported = Imported { graph: graph.clone(), made, returned: vec![] };
        let names = &options.return_elements;
        imported.returned = names.iter().map(|name| imported.tensor(name)).collect::<Result<_>>()?;
        Ok(imported)
    })
}

/// The ops of a GraphDef that [`import_graph_def`] would refuse, with the nodes that are such ops.
///
/// # Errors
/// `InvalidArgument` when the nodes do not make a graph.
pub fn unsupported_ops(def: &GraphDef, options: &ImportOptions) -> Result<Vec<UnsupportedOp>> {
    let source = Source::of_graph(&def.node)?;
    let keep = options.kept(&source)?;
    Importer::new(&Graph::new(), def, options)?.unsupported(&source, &keep)
}

/// The ops of TensorFlow that import makes of other ops of the core: control flow, resource variables, and what the core writes otherwise.
pub fn translated_ops() -> impl Iterator<Item = &'static str> {
    crate::op_defs::all().iter().map(|op| op.name.as_str()).filter(|name| build::translation(name).is_some())
}

impl ImportOptions {
    /// Which nodes are imported.
    fn kept(&self, source: &Source) -> Result<Vec<bool>> {
        let Some(names) = &self.only else { return Ok(vec![true; source.items.len()]) };
        let find = |name: &String| -> Result<u32> {
            let node = name.trim_start_matches('^');
            let node = node.rsplit_once(':').map_or(node, |(node, _)| node);
            source.by_name.get(node).copied().ok_or_else(|| {
                Error::not_found(format!("there is no node of the name \"{name}\" in the imported graph"))
            })
        };
        let wanted: Vec<u32> = names.iter().chain(&self.return_elements).map(find).collect::<Result<_>>()?;
        Ok(source.reached(wanted))
    }
}
