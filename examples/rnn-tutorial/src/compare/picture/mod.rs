//! A network's graph as boxes inside boxes: what the page draws.
//!
//! Only what a training step runs is drawn. Name scopes are boxes around their operations, a variable is a box around its node and
//! the reading of it, and a `Loop` is a box around its body. Beside those boxes, which the graph has, there are *groups* for the reader: the
//! operations that lead from one state to the next, and from an output of the cell to its loss.

mod drawing;
mod groups;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;
use tf::{Node, NodeId};
use tidemill as tf;

use crate::model::Network;
use drawing::{Drawing, Inside, Shown};

/// Boxes, and the edges between them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    /// What is drawn.
    pub boxes: Vec<PictureBox>,
    /// What leads where.
    pub edges: Vec<Edge>,
}

/// One box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureBox {
    /// The box around it.
    pub parent: Option<usize>,
    /// What it stands for.
    pub kind: Kind,
    /// What is written on it.
    pub label: String,
    /// The full name of the node or scope.
    pub name: String,
    /// The type of the operation; empty for a scope.
    pub op: String,
    /// The types of the results.
    #[serde(rename = "type")]
    pub ty: String,
    /// What the tutorial calls it, or what it is to its loop.
    pub note: String,
    /// Whether only the gradients and the optimizer need it.
    pub backward: bool,
    /// Whether it is unfolded at first.
    pub open: bool,
}

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A name scope.
    Scope,
    /// Operations put together for the reader.
    Group,
    /// A variable.
    Variable,
    /// A loop, around its body.
    Loop,
    /// A parameter of a loop's body.
    Param,
    /// A result of a loop's body.
    Result,
    /// A placeholder.
    Placeholder,
    /// A constant.
    Constant,
    /// Any other operation.
    Op,
}

/// From one box to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edge {
    /// Where it comes from.
    pub from: usize,
    /// Where it leads.
    pub to: usize,
    /// The type of the value; empty for a control dependency.
    #[serde(rename = "type")]
    pub ty: String,
    /// What flows.
    pub kind: EdgeKind,
}

/// What flows along an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeKind {
    /// A value.
    Data,
    /// Nothing: one operation waits for another.
    Control,
    /// A value that one turn of a loop leaves to the next.
    Carry,
}

type Nodes = [(NodeId, Arc<Node>)];

impl Picture {
    /// The picture of a training step.
    pub fn of(graph: &tf::Graph, net: &Network) -> Picture {
        let all: Vec<(NodeId, Arc<Node>)> =
            graph.operations().iter().map(|op| (op.id(), graph.node(op.id()))).collect();
        let forward = ancestors(&all, &[net.total_loss.op().id(), net.final_state.op().id()]);
        let backward = ancestors(&all, &[net.train_step.id()]);
        let nodes: Vec<(NodeId, Arc<Node>)> =
            all.into_iter().filter(|(id, _)| forward.contains(id) || backward.contains(id)).collect();

        let mut drawing = Drawing::new(forward, net.init_state.op().id());
        let mut shown = Shown::default();
        drawing.nodes(&nodes, &Inside { container: None, strip: 0 }, &mut shown);
        for (tensor, note) in
            [(net.init_state, "init_state"), (net.final_state, "final_state"), (net.total_loss, "total_loss")]
        {
            drawing.note(shown.values[&tensor.output()], note);
        }
        drawing.note(shown.nodes[&net.train_step.id()], "train_step");
        drawing.groups(&nodes, net, &shown);
        drawing.finish()
    }
}

/// All that the targets need, and the targets.
fn ancestors(nodes: &Nodes, targets: &[NodeId]) -> HashSet<NodeId> {
    let mut found: HashSet<NodeId> = targets.iter().copied().collect();
    // Operands stand before their users.
    for (id, node) in nodes.iter().rev() {
        if found.contains(id) {
            found.extend(node.inputs.iter().map(|input| input.node).chain(node.controls.iter().copied()));
        }
    }
    found
}

/// The nodes on the ways from `from` to `to`, with `to` and without `from`.
fn between(nodes: &Nodes, from: NodeId, to: NodeId) -> HashSet<NodeId> {
    let mut found = HashSet::from([from]);
    for (id, node) in nodes {
        if node.inputs.iter().any(|input| found.contains(&input.node)) {
            found.insert(*id);
        }
    }
    found.remove(&from);
    found.intersection(&ancestors(nodes, &[to])).copied().collect()
}
