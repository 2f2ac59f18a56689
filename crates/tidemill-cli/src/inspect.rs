//! `tidemill inspect`.

use std::collections::BTreeMap;
use std::fmt::Write;

use tidemill_core::ops::{Const, Placeholder, VariableV2};
use tidemill_core::{ErrorKind, Graph, RegionId, Result};
use tidemill_graphdef::{ImportOptions, ModelGraph, proto, unsupported_ops};

use crate::model::{Model, Source, print};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Prints the text form: every node with its attributes, operands and shapes.
    #[arg(long, conflicts_with = "dot")]
    text: bool,
    /// Prints a picture for Graphviz.
    #[arg(long)]
    dot: bool,
}

pub(crate) fn inspect(args: &Args) -> Result<()> {
    let model = args.source.read()?;
    let loaded = model.load(args.source.path(), &[]);
    if args.text || args.dot {
        let graph = loaded?.graph;
        return print(&if args.text { graph.to_text() } else { graph.to_dot() });
    }
    let mut out = String::new();
    if let Some(def) = model.def() {
        file(&mut out, def)?;
    }
    if let Model::Saved(saved) = &model {
        signatures(&mut out, saved);
    }
    match loaded {
        Ok(loaded) => contents(&mut out, &loaded.graph),
        // Listed above.
        Err(e) if e.kind() == ErrorKind::Unimplemented => {
            let _ = writeln!(out, "\nThe graph cannot be run: {e}");
        }
        Err(e) => {
            print(&out)?;
            return Err(e);
        }
    }
    print(&out)
}

/// What the file says.
fn file(out: &mut String, def: &proto::GraphDef) -> Result<()> {
    let functions = def.library.as_ref().map_or(&[][..], |l| &l.function);
    let producer = def.versions.as_ref().map_or(0, |v| v.producer);
    let inside: usize = functions.iter().map(|f| f.node_def.len()).sum();
    let _ = writeln!(
        out,
        "GraphDef, version {producer}: {} nodes; {} functions of {inside} nodes",
        def.node.len(),
        functions.len()
    );
    let mut ops: BTreeMap<&str, usize> = BTreeMap::new();
    for node in def.node.iter().chain(functions.iter().flat_map(|f| &f.node_def)) {
        *ops.entry(&node.op).or_default() += 1;
    }
    let mut ops: Vec<_> = ops.into_iter().collect();
    ops.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let _ = writeln!(out, "\nOps:");
    for (op, count) in ops {
        let _ = writeln!(out, "{count:>8} {op}");
    }
    let unsupported = unsupported_ops(def, &ImportOptions::new())?;
    if !unsupported.is_empty() {
        let _ = writeln!(out, "\nNot supported:");
        for op in unsupported {
            let _ = writeln!(out, "  {op}");
        }
    }
    Ok(())
}

fn signatures(out: &mut String, saved: &ModelGraph) {
    let _ = writeln!(out, "\nSignatures of the graph {:?}:", saved.tags);
    for (name, signature) in &saved.signatures {
        let _ = writeln!(out, "  {name} ({})", signature.method_name);
        for (kind, tensors) in [("in", &signature.inputs), ("out", &signature.outputs)] {
            for (name, tensor) in tensors {
                let _ = writeln!(out, "    {kind:>3} {name}: \"{}\" {}", tensor.name, tensor.shape);
            }
        }
    }
}

/// What the graph holds, once imported.
fn contents(out: &mut String, graph: &Graph) {
    let (mut placeholders, mut variables, mut constants) = (String::new(), String::new(), (0usize, 0usize));
    let nodes = graph.nodes();
    for node in &nodes {
        if let Some(constant) = node.op.downcast::<Const>() {
            constants.0 += 1;
            constants.1 += constant.value.bytes().len();
        }
        let list = match () {
            () if node.op.is::<Placeholder>() => &mut placeholders,
            () if node.op.is::<VariableV2>() => &mut variables,
            () => continue,
        };
        if let Some(ty) = node.outputs.first() {
            let bytes = ty.shape.as_known().and_then(|shape| shape.num_bytes(ty.dtype));
            let bytes = bytes.map_or(String::new(), |bytes| format!("  {bytes} bytes"));
            let _ = writeln!(list, "  \"{}\" {}{}{bytes}", node.name, ty.dtype, ty.shape);
        }
    }
    let outside = nodes.iter().filter(|node| node.region == RegionId::ROOT).count();
    let _ = writeln!(
        out,
        "\nImported: {} nodes, {} of them in bodies of loops and conditionals",
        nodes.len(),
        nodes.len() - outside
    );
    for (what, list) in [("Placeholders", placeholders), ("Variables", variables)] {
        if !list.is_empty() {
            let _ = write!(out, "\n{what}:\n{list}");
        }
    }
    let _ = writeln!(out, "\nConstants: {} of {} bytes", constants.0, constants.1);
    let used: std::collections::HashSet<_> =
        nodes.iter().flat_map(|n| &n.inputs).map(|o| o.node.index()).collect();
    let ends = nodes.iter().enumerate().filter(|(i, n)| {
        n.region == RegionId::ROOT && !n.outputs.is_empty() && !used.contains(i) && !n.outputs[0].is_ref
    });
    let _ = writeln!(out, "\nUsed by no other node:");
    for (_, node) in ends {
        let types: Vec<String> = node.outputs.iter().map(|t| t.to_string()).collect();
        let _ = writeln!(out, "  \"{}\" {}: {}", node.name, node.op.name(), types.join(", "));
    }
}
