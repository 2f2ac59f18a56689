//! Graphviz.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::graph::{Graph, Node};
use crate::ids::NodeId;
use crate::ops::{Placeholder, VariableV2};

/// Deeper scopes are drawn as one.
const MAX_SCOPES: usize = 64;

/// A name scope: the nodes in it, and the scopes.
#[derive(Default)]
struct Scope {
    nodes: Vec<(NodeId, Arc<Node>)>,
    scopes: BTreeMap<String, Scope>,
}

pub(super) fn graph(graph: &Graph) -> String {
    let mut root = Scope::default();
    for (i, node) in graph.nodes().into_iter().enumerate() {
        let mut scope = &mut root;
        let mut parts: Vec<&str> = node.name.split('/').collect();
        parts.pop();
        parts.truncate(MAX_SCOPES);
        for part in parts {
            scope = scope.scopes.entry(part.to_owned()).or_default();
        }
        scope.nodes.push((NodeId(i as u32), node));
    }
    let mut dot = "digraph tidemill {\n  node [shape=box, style=rounded, fontname=sans];\n".to_owned();
    write_scope(&mut dot, &root, "", 1);
    for (i, node) in graph.nodes().iter().enumerate() {
        for input in &node.inputs {
            let ty = &graph.node(input.node).outputs[input.index as usize];
            let _ = writeln!(dot, "  {} -> n{i} [label={:?}];", input.node, ty.to_string());
        }
        for control in &node.controls {
            let _ = writeln!(dot, "  {control} -> n{i} [style=dashed];");
        }
    }
    dot.push_str("}\n");
    dot
}

/// Recursion goes no deeper than [`MAX_SCOPES`].
fn write_scope(dot: &mut String, scope: &Scope, path: &str, depth: usize) {
    let indent = "  ".repeat(depth.min(40));
    for (id, node) in &scope.nodes {
        let short = node.name.rsplit('/').next().unwrap_or(&node.name);
        let shape = if node.op.is::<Placeholder>() {
            ", shape=invhouse"
        } else if node.op.is::<VariableV2>() {
            ", shape=cylinder"
        } else {
            ""
        };
        let _ = writeln!(dot, "{indent}{id} [label={:?}{shape}];", format!("{short}\n{}", node.op.name()));
    }
    for (name, inner) in &scope.scopes {
        let path = format!("{path}/{name}");
        let color = if name.starts_with("gradients") { "lightsalmon" } else { "lightgrey" };
        let _ = writeln!(dot, "{indent}subgraph {:?} {{", format!("cluster{path}"));
        let _ = writeln!(dot, "{indent}  label={name:?}; style=filled; color={color};");
        write_scope(dot, inner, &path, depth + 1);
        let _ = writeln!(dot, "{indent}}}");
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tidemill_tensor::DType;

    use crate::graph::Graph;
    use crate::ops;

    #[test]
    fn scopes_are_boxes() {
        let g = Graph::new();
        let x = g.placeholder(DType::F32, [2]).named("x");
        let y = g.name_scope("layer").enter(|| ops::tanh(x));
        g.control_dependencies([x]).enter(|| ops::neg(y));
        expect![[r#"
            digraph tidemill {
              node [shape=box, style=rounded, fontname=sans];
              n0 [label="x\nPlaceholder", shape=invhouse];
              n2 [label="Neg\nNeg"];
              subgraph "cluster/layer" {
                label="layer"; style=filled; color=lightgrey;
                n1 [label="Tanh\nTanh"];
              }
              n0 -> n1 [label="f32[2]"];
              n1 -> n2 [label="f32[2]"];
              n0 -> n2 [style=dashed];
            }
        "#]]
        .assert_eq(&g.to_dot());
    }
}
