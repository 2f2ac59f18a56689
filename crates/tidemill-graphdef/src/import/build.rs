//! One node after the other.

use std::fmt;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use tidemill_core::{
    AttrMap, Effect, Error, ErrorKind, Graph, OpBuilder, OpRef, OpSet, Operation, Origin, Result, Tensor, ops,
};

use super::functions::Library;
use super::regions::{Again, Region};
use super::source::Source;
use super::value::{Made, Val};
use super::walk::Instance;
use super::{ImportOptions, functions, handles, nodes, variables};
use crate::op_defs::NodeAttrs;
use crate::proto::{GraphDef, NodeDef};
use crate::{attr, dtype};

/// How many unsupported ops, and nodes of each, an error lists.
const LISTED: usize = 40;
const LISTED_NODES: usize = 3;

/// How many nodes an import may make: functions that call functions can make very many of a small file.
const MAX_NODES: usize = 1 << 20;

/// An op of a file that is not supported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnsupportedOp {
    /// TensorFlow's op type.
    pub op: String,
    /// The nodes that are such ops.
    pub nodes: Vec<String>,
}

impl fmt::Display for UnsupportedOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self.nodes.iter().take(LISTED_NODES).map(|n| format!("\"{n}\"")).collect();
        write!(f, "{} ({}", self.op, named.join(", "))?;
        match self.nodes.len() - named.len() {
            0 => write!(f, ")"),
            more => write!(f, " and {more} more)"),
        }
    }
}

/// Makes the nodes of one import.
pub(super) struct Importer<'a> {
    pub(super) graph: &'a Graph,
    pub(super) ops: &'a OpSet,
    pub(super) library: Library<'a>,
    options: &'a ImportOptions,
    /// The version of the program that wrote the file.
    pub(super) producer: i32,
    /// The bodies that are being built, innermost last.
    pub(super) regions: Vec<Region>,
    /// What variables were read before the outermost body that is being built.
    pub(super) outer_reads: FxHashMap<Tensor, Tensor>,
    /// What the outermost body that is being built waits for.
    pub(super) outer_controls: Vec<Operation>,
    /// What was made outside of bodies that does more than compute.
    pub(super) effects: Vec<Operation>,
    /// Temporary variables that are not destroyed yet, by name.
    pub(super) temporaries: FxHashMap<String, Tensor>,
    /// Why the loop that could not be built has to be built again.
    pub(super) again: Option<Again>,
    /// How deep bodies and functions are in each other.
    pub(super) depth: usize,
    made: usize,
}

/// A node about to be made.
pub(super) struct NodeCx<'n> {
    pub(super) def: &'n NodeDef,
    pub(super) attrs: NodeAttrs<'n>,
    pub(super) inputs: SmallVec<[Val; 4]>,
    pub(super) controls: SmallVec<[Operation; 2]>,
    pub(super) name: Name,
}

/// What a node is to be called.
#[derive(Clone, Debug)]
pub(super) enum Name {
    /// This.
    Exactly(String),
    /// This, or with a number if it is taken.
    Like(String),
}

impl Name {
    pub(super) fn text(&self) -> &str {
        match self {
            Name::Exactly(name) | Name::Like(name) => name,
        }
    }
}

/// Makes a node that is not simply the core's op of the same name.
pub(super) type Translate = for<'a, 'n> fn(&mut Importer<'a>, &NodeCx<'n>) -> Result<Made>;

pub(super) fn translation(op: &str) -> Option<Translate> {
    nodes::translation(op)
        .or_else(|| variables::translation(op))
        .or_else(|| functions::translation(op))
        .or_else(|| handles::translation(op))
}

impl<'a> Importer<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        def: &'a GraphDef,
        options: &'a ImportOptions,
    ) -> Result<Importer<'a>> {
        Ok(Importer {
            graph,
            ops: &options.ops,
            library: Library::new(def.library.as_ref())?,
            options,
            producer: def.versions.as_ref().map_or(0, |v| v.producer),
            regions: vec![],
            outer_reads: FxHashMap::default(),
            outer_controls: vec![],
            effects: vec![],
            temporaries: FxHashMap::default(),
            again: None,
            depth: 0,
            made: 0,
        })
    }

    /// The ops among the nodes kept, and in the functions they call, that are not supported, with the names of the nodes.
    pub(super) fn unsupported(&mut self, source: &Source<'a>, keep: &[bool]) -> Result<Vec<UnsupportedOp>> {
        let mut missing: Vec<UnsupportedOp> = vec![];
        let mut place: FxHashMap<&str, usize> = FxHashMap::default();
        let kept = source.items.iter().zip(keep).filter(|(_, keep)| **keep).filter_map(|(item, _)| item.def);
        let mut called: Vec<&'a str> = vec![];
        let mut look = |nodes: &mut dyn Iterator<Item = &'a NodeDef>, called: &mut Vec<&'a str>| {
            for def in nodes {
                called.extend(functions::called(def));
                let op = def.op.as_str();
                if translation(op).is_none() && self.ops.schema(op).is_none() && !self.library.has(op) {
                    let at = *place.entry(op).or_insert_with(|| {
                        missing.push(UnsupportedOp { op: op.to_owned(), nodes: vec![] });
                        missing.len() - 1
                    });
                    missing[at].nodes.push(def.name.clone());
                }
            }
        };
        look(&mut kept.into_iter(), &mut called);
        let mut seen: FxHashSet<&str> = FxHashSet::default();
        while let Some(function) = called.pop() {
            if seen.insert(function)
                && let Some(def) = self.library.get(function)
            {
                look(&mut def.node_def.iter(), &mut called);
            }
        }
        Ok(missing)
    }

    /// # Errors
    /// `Unimplemented` listing the nodes whose ops are not supported.
    pub(super) fn check_supported(&mut self, source: &Source<'a>, keep: &[bool]) -> Result<()> {
        let missing = self.unsupported(source, keep)?;
        if missing.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = missing.iter().take(LISTED).map(UnsupportedOp::to_string).collect();
        let more = missing.len() - list.len();
        let more = if more > 0 { format!(", and {more} more ops") } else { String::new() };
        Err(Error::unimplemented(format!("ops that are not supported: {}{more}", list.join(", "))))
    }

    /// Makes a node.
    pub(super) fn node(&mut self, cx: &NodeCx) -> Result<Made> {
        cx.attrs.check()?;
        if let Some(def) = cx.attrs.def {
            let want = cx.attrs.input_types(def, cx.inputs.len())?;
            for (i, (want, have)) in want.iter().zip(&cx.inputs).enumerate() {
                if *want != have.dtype() && !handles::stands_for(have, *want) {
                    return Err(Error::invalid(format!(
                        "input {i} (\"{}\") should be {}, but is {}",
                        cx.def.input[i],
                        dtype::name(*want),
                        have.describe()
                    )));
                }
            }
            cx.attrs.outputs(def)?;
        }
        match translation(&cx.def.op) {
            Some(translate) => translate(self, cx),
            None if self.library.has(&cx.def.op) => functions::call_by_name(self, cx),
            None => self.plain(cx),
        }
    }

    /// The core's op of the same name.
    fn plain(&mut self, cx: &NodeCx) -> Result<Made> {
        let (attrs, failed) = core_attrs(&cx.attrs);
        let op = match self.ops.make(&cx.def.op, &attrs) {
            Ok(op) => op,
            Err(e) => return Err(failed.unwrap_or(e)),
        };
        let inputs: SmallVec<[Tensor; 4]> =
            (0..cx.inputs.len()).map(|i| cx.tensor(i)).collect::<Result<_>>()?;
        Ok(self.add(cx, op, &inputs)?.into())
    }

    /// Adds the operation that stands for the node.
    pub(super) fn add(&mut self, cx: &NodeCx, op: OpRef, inputs: &[Tensor]) -> Result<Operation> {
        let inputs: SmallVec<[Tensor; 4]> = inputs.iter().map(|t| self.read(*t)).collect::<Result<_>>()?;
        let builder = OpBuilder::new(self.graph, op).inputs(&inputs);
        self.finish(builder, &cx.name, &cx.controls, &cx.def.name)
    }

    /// Adds an operation of which the file knows nothing, named `node/name`.
    pub(super) fn helper(
        &mut self,
        cx: &NodeCx,
        name: &str,
        op: OpRef,
        inputs: &[Tensor],
    ) -> Result<Operation> {
        let inputs: SmallVec<[Tensor; 4]> = inputs.iter().map(|t| self.read(*t)).collect::<Result<_>>()?;
        let builder = OpBuilder::new(self.graph, op).inputs(&inputs);
        self.finish(builder, &Name::Like(format!("{}/{name}", cx.name.text())), &cx.controls, &cx.def.name)
    }

    /// Names an operation, and adds it.
    pub(super) fn finish(
        &mut self,
        builder: OpBuilder,
        name: &Name,
        controls: &[Operation],
        node: &str,
    ) -> Result<Operation> {
        self.made += 1;
        if self.made > MAX_NODES {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!("the functions of the graph make more than {MAX_NODES} nodes"),
            ));
        }
        let builder = builder.origin(self.origin(node)).name(match name {
            Name::Exactly(name) => format!("{name}/"),
            Name::Like(name) => name.clone(),
        });
        // A parameter is there from the beginning.
        let waits = controls.iter().filter(|c| !self.graph.node(c.id()).op.is::<ops::Param>());
        let made = waits.fold(builder, |builder, control| builder.control(*control)).try_build()?;
        if self.regions.is_empty() && self.graph.node(made.id()).op.effect() == Effect::Stateful {
            self.effects.push(made);
        }
        Ok(made)
    }

    pub(super) fn origin(&self, node: &str) -> Origin {
        Origin::Imported { file: self.options.file.clone(), node: node.to_owned() }
    }

    /// Runs `f` one body or function deeper.
    ///
    /// # Errors
    /// `ResourceExhausted` when that is too deep.
    pub(super) fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        const MAX_DEPTH: usize = 100;
        if self.depth >= MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "bodies and functions are nested over {MAX_DEPTH} deep; does a function call itself?"
                ),
            ));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    /// Makes the nodes of the graph itself, and returns what has become of each.
    pub(super) fn graph(&mut self, source: Source<'a>, keep: &[bool]) -> Result<FxHashMap<String, Made>> {
        let mut mapped: FxHashMap<_, _> = FxHashMap::default();
        for (name, tensor) in &self.options.input_map {
            let port = source
                .port(name)
                .map_err(|e| Error::new(e.kind(), format!("the input map: {}", e.message())))?;
            mapped.insert(port, Val::Tensor(*tensor));
        }
        let prefix = self.options.prefix.clone();
        let full = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let names: Vec<String> = source.items.iter().map(|item| full(item.name)).collect();
        self.graph.reserve_names(names.iter().map(String::as_str))?;
        let wanted: Vec<String> = self.options.only.iter().flatten().cloned().collect();
        let mut instance = Instance::of_graph(source.into_code(keep)?, prefix, mapped, &wanted);
        self.root(&mut instance)?;
        Ok(instance.into_made())
    }
}

impl NodeCx<'_> {
    /// Input `i`, which must be a tensor.
    pub(super) fn tensor(&self, i: usize) -> Result<Tensor> {
        match self.inputs.get(i) {
            Some(Val::Tensor(t)) => Ok(*t),
            Some(other) => Err(Error::unimplemented(format!("input {i} is {}", other.describe()))),
            None => Err(Error::invalid(format!("there is no input {i}"))),
        }
    }
}

/// The attributes as the core has them, and why the first of those that it cannot have failed.
pub(super) fn core_attrs(attrs: &NodeAttrs) -> (AttrMap, Option<Error>) {
    let (mut map, mut failed) = (AttrMap::new(), None);
    for name in attrs.names().filter(|name| !name.starts_with('_')) {
        let Some(value) = attrs.get(name) else { continue };
        match attr::from_value(value) {
            Ok(value) => map.insert(name, value),
            Err(e) => {
                failed.get_or_insert(Error::new(e.kind(), format!("attribute `{name}`: {}", e.message())));
            }
        }
    }
    (map, failed)
}
