//! Printing.

use std::fmt::Write;

use tidemill_tensor::{DType, Value};

use crate::attr::AttrValue;
use crate::graph::{Graph, Node, RegionId};
use crate::ids::NodeId;

/// Tensors of up to this many elements are written as numbers, larger ones as hexadecimal bytes.
const READABLE: usize = 64;

pub(super) fn graph(graph: &Graph) -> String {
    let mut text = String::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        line(&mut text, NodeId(i as u32), node);
    }
    text
}

fn line(text: &mut String, id: NodeId, node: &Node) {
    let _ = write!(text, "{id}");
    if node.region != RegionId::ROOT {
        let _ = write!(text, " @r{}", node.region.0);
    }
    let _ = write!(text, " = {}", node.op.name());
    let attrs = node.op.attrs();
    if !attrs.is_empty() {
        let all: Vec<String> = attrs.iter().map(|(name, value)| format!("{name}={}", attr(value))).collect();
        let _ = write!(text, " {{{}}}", all.join(", "));
    }
    if !node.inputs.is_empty() {
        let all: Vec<String> = node.inputs.iter().map(|o| o.to_string()).collect();
        let _ = write!(text, " ({})", all.join(", "));
    }
    for control in &node.controls {
        let _ = write!(text, " ^{control}");
    }
    let _ = writeln!(text, " : {}  {:?}", types(node), &*node.name);
}

/// The output types as the text form shows them.
pub(super) fn types(node: &Node) -> String {
    node.outputs.iter().map(|t| t.to_string()).collect::<Vec<_>>().join(", ")
}

fn attr(value: &AttrValue) -> String {
    match value {
        AttrValue::Tensor(value) => format!("tensor {}{} {}", value.dtype(), value.shape(), elements(value)),
        AttrValue::List(items) => format!("[{}]", items.iter().map(attr).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn elements(value: &Value) -> String {
    // Numbers go through an f64 or i64 and back, which keeps all but odd NaNs and the largest u64s.
    let exact =
        value.dtype() != DType::U64 && !value.dtype().is_complex() && value.iter_f64().all(f64::is_finite);
    if value.num_elements() > READABLE || !exact {
        return value.bytes().iter().fold("0x".to_owned(), |hex, byte| hex + &format!("{byte:02x}"));
    }
    let numbers: Vec<String> = if value.dtype().is_float() {
        value.iter_f64().map(|v| format!("{v:?}")).collect()
    } else {
        value.cast(DType::I64).to_vec::<i64>().unwrap_or_default().iter().map(i64::to_string).collect()
    };
    format!("{{{}}}", numbers.join(" "))
}
