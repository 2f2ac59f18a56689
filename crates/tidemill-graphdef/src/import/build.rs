//! One node after the other.

use std::fmt;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use tidemill_core::{
    AttrMap, Error, Graph, OpBuilder, OpRef, OpSet, Operation, Origin, PartialShape, Result, Tensor, ops,
};

use super::source::{Port, Source};
use super::value::{Made, Val};
use super::{ImportOptions, variables};
use crate::op_defs::{self, NodeAttrs};
use crate::proto::attr_value::Value as ProtoValue;
use crate::proto::{DataType, GraphDef, NodeDef};
use crate::{attr, dtype, tensor};

/// How many unsupported ops, and nodes of each, an error lists.
const LISTED: usize = 40;
const LISTED_NODES: usize = 3;

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
    options: &'a ImportOptions,
    /// The version of the program that wrote the file.
    producer: i32,
}

/// A node about to be made.
pub(super) struct NodeCx<'a> {
    pub(super) def: &'a NodeDef,
    pub(super) attrs: NodeAttrs<'a>,
    pub(super) inputs: SmallVec<[Val; 4]>,
    pub(super) controls: SmallVec<[Operation; 2]>,
    /// The full name.
    pub(super) name: String,
}

/// Makes a node that is not simply the core's op of the same name.
pub(super) type Translate = fn(&Importer, &NodeCx) -> Result<Made>;

fn translation(op: &str) -> Option<Translate> {
    match op {
        "Const" => Some(constant),
        "Placeholder" => Some(placeholder),
        "Assert" => Some(assert),
        _ => variables::translation(op),
    }
}

impl<'a> Importer<'a> {
    pub(super) fn new(graph: &'a Graph, def: &GraphDef, options: &'a ImportOptions) -> Importer<'a> {
        let producer = def.versions.as_ref().map_or(0, |v| v.producer);
        Importer { graph, ops: &options.ops, options, producer }
    }

    /// The ops among the nodes kept that are not supported, with the names of those nodes.
    pub(super) fn unsupported(&self, source: &Source<'a>, keep: &[bool]) -> Vec<UnsupportedOp> {
        let mut missing: Vec<UnsupportedOp> = vec![];
        let mut place: FxHashMap<&str, usize> = FxHashMap::default();
        for (item, _) in source.items.iter().zip(keep).filter(|(_, keep)| **keep) {
            let op = item.def.op.as_str();
            if translation(op).is_none() && self.ops.schema(op).is_none() {
                let at = *place.entry(op).or_insert_with(|| {
                    missing.push(UnsupportedOp { op: op.to_owned(), nodes: vec![] });
                    missing.len() - 1
                });
                missing[at].nodes.push(item.def.name.clone());
            }
        }
        missing
    }

    /// # Errors
    /// `Unimplemented` listing the nodes whose ops are not supported.
    pub(super) fn check_supported(&self, source: &Source<'a>, keep: &[bool]) -> Result<()> {
        let missing = self.unsupported(source, keep);
        if missing.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = missing.iter().take(LISTED).map(UnsupportedOp::to_string).collect();
        let more = missing.len() - list.len();
        let more = if more > 0 { format!(", and {more} more ops") } else { String::new() };
        Err(Error::unimplemented(format!("ops that are not supported: {}{more}", list.join(", "))))
    }

    /// Makes the nodes that `keep` tells.
    pub(super) fn graph(&mut self, source: &Source<'a>, keep: &[bool]) -> Result<FxHashMap<String, Made>> {
        let mut mapped: FxHashMap<Port, Tensor> = FxHashMap::default();
        for (name, tensor) in &self.options.input_map {
            let (node, output) = match name.rsplit_once(':') {
                Some((node, output)) => (node, output.parse().unwrap_or(u32::MAX)),
                None => (name.as_str(), 0),
            };
            let Some(&node) = source.by_name.get(node) else {
                return Err(Error::not_found(format!(
                    "the input map names \"{name}\", which is not in the graph"
                )));
            };
            mapped.insert(Port { node, output }, *tensor);
        }
        let mut made: Vec<Option<Made>> = vec![None; source.items.len()];
        for node in source.order(keep)? {
            let item = &source.items[node as usize];
            let def = item.def;
            let at = |e: Error| e.with_node(&def.op, &def.name).with_origin(self.origin(&def.name));
            let inputs = item.inputs.iter().map(|port| match mapped.get(port) {
                Some(tensor) => Ok(Val::Tensor(*tensor)),
                None => output_of(source, &made, *port),
            });
            let controls = item.controls.iter().filter_map(|c| made[*c as usize].as_ref()?.operation);
            let cx = NodeCx {
                def,
                attrs: NodeAttrs { node: def, def: op_defs::find(&def.op), substitution: None },
                inputs: inputs.collect::<Result<_>>().map_err(at)?,
                controls: controls.collect(),
                name: match self.options.prefix.as_str() {
                    "" => def.name.clone(),
                    prefix => format!("{prefix}/{}", def.name),
                },
            };
            made[node as usize] = Some(self.node(&cx).map_err(at)?);
        }
        let names = source.items.iter().map(|item| item.def.name.clone());
        Ok(names.zip(made).filter_map(|(name, made)| Some((name, made?))).collect())
    }

    fn node(&self, cx: &NodeCx) -> Result<Made> {
        cx.attrs.check()?;
        if let Some(def) = cx.attrs.def {
            let want = cx.attrs.input_types(def, cx.inputs.len())?;
            for (i, (want, have)) in want.iter().zip(&cx.inputs).enumerate() {
                if *want != have.dtype() {
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
            None => self.plain(cx),
        }
    }

    /// The core's op of the same name.
    fn plain(&self, cx: &NodeCx) -> Result<Made> {
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
    pub(super) fn add(&self, cx: &NodeCx, op: OpRef, inputs: &[Tensor]) -> Result<Operation> {
        let builder = OpBuilder::new(self.graph, op)
            .name(format!("{}/", cx.name))
            .inputs(inputs)
            .origin(self.origin(&cx.def.name));
        cx.controls.iter().fold(builder, |builder, control| builder.control(*control)).try_build()
    }

    /// Adds an operation of which the file knows nothing, named `node/name`.
    pub(super) fn helper(&self, cx: &NodeCx, name: &str, op: OpRef, inputs: &[Tensor]) -> Result<Operation> {
        OpBuilder::new(self.graph, op)
            .name(format!("{}/{name}", cx.name))
            .inputs(inputs)
            .origin(self.origin(&cx.def.name))
            .try_build()
    }

    fn origin(&self, node: &str) -> Origin {
        Origin::Imported { file: self.options.file.clone(), node: node.to_owned() }
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

fn output_of(source: &Source, made: &[Option<Made>], port: Port) -> Result<Val> {
    let name = &source.items[port.node as usize].def.name;
    let Some(made) = &made[port.node as usize] else {
        return Err(Error::internal(format!("\"{name}\" is used before it is made")));
    };
    made.outputs.get(port.output as usize).cloned().ok_or_else(|| {
        Error::invalid(format!("\"{name}\" has {} outputs, no output {}", made.outputs.len(), port.output))
    })
}

/// The attributes as the core has them, and why the first of those that it cannot have failed.
pub(super) fn core_attrs(attrs: &NodeAttrs) -> (AttrMap, Option<Error>) {
    let (mut map, mut failed) = (AttrMap::new(), None);
    let names: FxHashSet<&str> = attrs.names().filter(|name| !name.starts_with('_')).collect();
    for name in names {
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

fn constant(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    let Some(ProtoValue::Tensor(proto)) = cx.attrs.get("value") else {
        return Err(Error::invalid("attribute `value` (tensor) is missing"));
    };
    let dtype = cx.attrs.dtype("dtype")?;
    if dtype != proto.dtype {
        return Err(Error::invalid(format!(
            "attribute `dtype` is {}, but the value is {}",
            dtype::name(dtype),
            dtype::name(proto.dtype)
        )));
    }
    if dtype == DataType::DtString as i32 {
        let text: Vec<String> =
            proto.string_val.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect();
        let marker = importer.add(cx, Arc::new(ops::NoOp), &[])?;
        return Ok(Made {
            outputs: SmallVec::from_iter([Val::Strings(text.into())]),
            operation: Some(marker),
        });
    }
    let value = tensor::value_from_proto(proto)?;
    Ok(importer.add(cx, Arc::new(ops::Const { value }), &[])?.into())
}

/// Before version 24 a shape of rank 0 meant an unknown one.
fn placeholder(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    let dtype = dtype::from_proto(cx.attrs.dtype("dtype")?)?;
    let shape = match cx.attrs.get("shape") {
        Some(ProtoValue::Shape(shape)) => tensor::shape_from_proto(shape)?,
        _ => PartialShape::unknown(),
    };
    let legacy = importer.producer < 24 && shape.rank() == Some(0);
    let shape = if legacy { PartialShape::unknown() } else { shape };
    Ok(importer.add(cx, Arc::new(ops::Placeholder { dtype, shape }), &[])?.into())
}

/// The strings among the data become the message.
fn assert(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    let mut message: Vec<&str> = vec![];
    let mut inputs: Vec<Tensor> = vec![];
    for val in &cx.inputs {
        match val {
            Val::Strings(text) => message.extend(text.iter().map(String::as_str)),
            Val::Tensor(t) => inputs.push(*t),
            other => return Err(Error::unimplemented(format!("it shows {}", other.describe()))),
        }
    }
    let op = ops::Assert { summarize: cx.attrs.int("summarize")?, message: message.join(" ") };
    Ok(importer.add(cx, Arc::new(op), &inputs)?.into())
}
