//! Nodes become boxes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tf::ops::{Const, Loop, Param, Placeholder, VariableV2};
use tf::{Node, NodeId, Output};
use tidemill as tf;

use super::{Edge, EdgeKind, Kind, Nodes, PictureBox, ancestors};

/// Where the values of one body, or those outside of all bodies, are drawn.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) values: HashMap<Output, usize>,
    pub(super) nodes: HashMap<NodeId, usize>,
}

/// Where nodes are drawn.
pub(super) struct Inside {
    /// The box around them.
    pub(super) container: Option<usize>,
    /// The scopes that go without saying there: this many bytes of every name.
    pub(super) strip: usize,
}

/// A picture being drawn.
pub(super) struct Drawing {
    pub(super) boxes: Vec<PictureBox>,
    pub(super) edges: Vec<Edge>,
    /// Constants that are yet to be put beside their first users.
    pub(super) constants: Vec<usize>,
    /// What the forward part of a training step needs.
    forward: HashSet<NodeId>,
    /// The one constant that has a place of its own.
    init_state: NodeId,
}

impl Drawing {
    pub(super) fn new(forward: HashSet<NodeId>, init_state: NodeId) -> Drawing {
        Drawing { boxes: vec![], edges: vec![], constants: vec![], forward, init_state }
    }

    pub(super) fn note(&mut self, at: usize, note: &str) {
        self.boxes[at].note = note.to_owned();
    }

    pub(super) fn push(&mut self, parent: Option<usize>, kind: Kind, label: &str, name: &str) -> usize {
        let (label, name) = (label.to_owned(), name.to_owned());
        let (op, ty, note) = Default::default();
        self.boxes.push(PictureBox { parent, kind, label, name, op, ty, note, backward: true, open: false });
        self.boxes.len() - 1
    }

    /// Draws nodes that stand in their order, operands before their users.
    pub(super) fn nodes(&mut self, nodes: &Nodes, inside: &Inside, shown: &mut Shown) {
        let by_id: HashMap<NodeId, &Node> = nodes.iter().map(|(id, node)| (*id, &**node)).collect();
        // Small constants are drawn beside their first user, parameters with their loop.
        let own_place = |(id, node): &&(NodeId, Arc<Node>)| {
            *id == self.init_state || !node.op.is::<Const>() && !node.op.is::<Param>()
        };
        let own: Vec<&(NodeId, Arc<Node>)> = nodes.iter().filter(own_place).collect();
        let scopes: HashSet<&str> = own
            .iter()
            .flat_map(|(_, node)| node.name.match_indices('/').map(|(at, _)| &node.name[..at]))
            .collect();
        let mut scope_boxes = HashMap::new();
        for (id, node) in own {
            // A node that a scope is named after stands inside of it.
            let path = match scopes.contains(&*node.name) {
                true => &*node.name,
                false => node.name.rsplit_once('/').map_or("", |(path, _)| path),
            };
            let parent = self.scope(path, inside, &mut scope_boxes);
            let at = self.node(*id, node, parent);
            if let (Some(scope), true) = (parent, node.op.is::<VariableV2>() && path == &*node.name) {
                (self.boxes[scope].kind, self.boxes[scope].ty) = (Kind::Variable, self.boxes[at].ty.clone());
                self.boxes[at].kind = Kind::Op;
            }
            let mut operands = vec![];
            for input in &node.inputs {
                let source = by_id[&input.node];
                let from = match shown.values.get(input) {
                    Some(from) => *from,
                    None => self.constant(*input, source, self.boxes[at].backward, shown),
                };
                operands.push((from, source.outputs[input.index as usize].to_string()));
            }
            for control in &node.controls {
                let (from, ty) = (shown.nodes[control], String::new());
                self.edges.push(Edge { from, to: at, ty, kind: EdgeKind::Control });
            }
            shown.nodes.insert(*id, at);
            let outputs = (0..node.outputs.len() as u32).map(|i| Output::new(*id, i));
            match node.op.downcast::<Loop>() {
                Some(op) => {
                    let names: Vec<&str> =
                        node.inputs.iter().map(|input| &*by_id[&input.node].name).collect();
                    let results = self.body(at, op, &operands, &names);
                    shown.values.extend(outputs.zip(results));
                }
                None => {
                    for (from, ty) in operands {
                        self.edges.push(Edge { from, to: at, ty, kind: EdgeKind::Data });
                    }
                    shown.values.extend(outputs.map(|output| (output, at)));
                }
            }
        }
    }

    /// The box of a name scope, made if it is new; `None` for where there is no scope.
    fn scope(&mut self, path: &str, inside: &Inside, known: &mut HashMap<String, usize>) -> Option<usize> {
        if path.len() <= inside.strip {
            return inside.container;
        }
        if let Some(at) = known.get(path) {
            return Some(*at);
        }
        let (outer, label) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.scope(outer, inside, known);
        let at = self.push(parent, Kind::Scope, label, path);
        known.insert(path.to_owned(), at);
        Some(at)
    }

    fn node(&mut self, id: NodeId, node: &Node, parent: Option<usize>) -> usize {
        let kind = match &node.op {
            op if op.is::<Placeholder>() => Kind::Placeholder,
            op if op.is::<VariableV2>() => Kind::Variable,
            op if op.is::<Loop>() => Kind::Loop,
            _ => Kind::Op,
        };
        let at = self.push(parent, kind, node.name.rsplit('/').next().unwrap_or(&node.name), &node.name);
        let types: Vec<String> = node.outputs.iter().map(|ty| ty.to_string().replace('&', "")).collect();
        let backward = match parent.and_then(|p| self.loop_around(p)) {
            Some(around) => self.boxes[around].backward,
            None => !self.forward.contains(&id),
        };
        let drawn = &mut self.boxes[at];
        drawn.op = node.op.name().to_owned();
        drawn.ty = match &types[..] {
            [first, rest @ ..] if !rest.is_empty() && rest.iter().all(|ty| ty == first) => {
                format!("{} × {first}", types.len())
            }
            types => types.join(", "),
        };
        drawn.backward = backward;
        at
    }

    /// A small constant; where it stands is settled when all is drawn.
    fn constant(&mut self, output: Output, node: &Node, backward: bool, shown: &mut Shown) -> usize {
        let label = node.name.rsplit('/').next().unwrap_or(&node.name);
        let at = self.push(None, Kind::Constant, label, &node.name);
        if let Some(constant) = node.op.downcast::<Const>().filter(|c| c.value.num_elements() <= 4) {
            let value = constant.value.to_string();
            let elements = value.split_once(' ').map_or("", |(_, elements)| elements);
            self.boxes[at].label = format!("{label} = {elements}");
        }
        self.boxes[at].op = node.op.name().to_owned();
        self.boxes[at].ty = node.outputs[0].to_string();
        self.boxes[at].backward = backward;
        shown.values.insert(output, at);
        self.constants.push(at);
        at
    }

    /// Draws the body of a loop, into the loop's box. Returns where its results are.
    fn body(&mut self, at: usize, op: &Loop, operands: &[(usize, String)], names: &[&str]) -> Vec<usize> {
        let (layout, body) = (op.layout(), &op.body);
        let nodes: Vec<(NodeId, Arc<Node>)> = {
            let results: Vec<NodeId> = body.results().iter().map(|r| r.node).collect();
            let needed = ancestors(body.nodes(), &results);
            body.nodes().iter().filter(|(id, _)| needed.contains(id)).cloned().collect()
        };
        let numbered = |what: &str, i: usize, of: usize| match of {
            1 => what.to_owned(),
            _ => format!("{what} {}", i + 1),
        };
        let mut shown = Shown::default();
        if op.trip {
            let port = self.port(at, Kind::Param, "trip count", &operands[0].1, "how many turns there are");
            let (from, ty) = operands[0].clone();
            self.edges.push(Edge { from, to: port, ty, kind: EdgeKind::Data });
        }
        for (i, param) in body.params().iter().enumerate() {
            let (operand, label, note) = if i < op.carries {
                (layout.carries + i, numbered("carry", i, op.carries), "from the turn before")
            } else if i < op.carries + op.xs {
                let i = i - op.carries;
                (layout.xs + i, numbered("slice", i, op.xs), "slice t of what goes in")
            } else {
                let operand = layout.body_captures + i - op.carries - op.xs;
                let name = names[operand].trim_end_matches("/read");
                (operand, name.rsplit('/').next().unwrap_or(name).to_owned(), "the same at every turn")
            };
            let port = self.port(at, Kind::Param, &label, &body.param_type(i).to_string(), note);
            let (from, ty) = operands[operand].clone();
            self.edges.push(Edge { from, to: port, ty, kind: EdgeKind::Data });
            shown.values.insert(Output::new(*param, 0), port);
            shown.nodes.insert(*param, port);
        }
        let strip = common_scope(&nodes);
        self.nodes(&nodes, &Inside { container: Some(at), strip }, &mut shown);
        let mut results = vec![];
        for (i, result) in body.results().iter().enumerate() {
            let ty = body.result_type(i).to_string();
            let port = if i < op.carries {
                self.port(at, Kind::Result, &numbered("next carry", i, op.carries), &ty, "to the next turn")
            } else {
                let label = numbered("output", i - op.carries, layout.ys);
                self.port(at, Kind::Result, &label, &ty, "slice t of what comes out")
            };
            let from = shown.values[result];
            self.edges.push(Edge { from, to: port, ty: ty.clone(), kind: EdgeKind::Data });
            if i < op.carries {
                let to = shown.nodes[&body.params()[i]];
                self.edges.push(Edge { from: port, to, ty, kind: EdgeKind::Carry });
            }
            results.push(port);
        }
        results.push(self.port(at, Kind::Result, "turns", "i32[]", "how many turns there were"));
        results
    }

    /// Where a value goes into a body or comes out.
    fn port(&mut self, parent: usize, kind: Kind, label: &str, ty: &str, note: &str) -> usize {
        let name = self.boxes[parent].name.clone();
        let backward = self.boxes[parent].backward;
        let port = self.push(Some(parent), kind, label, &name);
        let drawn = &mut self.boxes[port];
        (drawn.ty, drawn.note, drawn.backward) = (ty.to_owned(), note.to_owned(), backward);
        port
    }

    /// The innermost loop around a box, or the box itself if it is one.
    fn loop_around(&self, at: usize) -> Option<usize> {
        std::iter::successors(Some(at), |at| self.boxes[*at].parent)
            .find(|at| self.boxes[*at].kind == Kind::Loop)
    }
}

/// How many bytes of the names are the scopes that all these nodes stand in, but for parameters and constants.
fn common_scope(nodes: &Nodes) -> usize {
    let mut names = nodes
        .iter()
        .filter(|(_, node)| !node.op.is::<Param>() && !node.op.is::<Const>())
        .map(|(_, node)| node.name.rsplit_once('/').map_or("", |(path, _)| path));
    let Some(first) = names.next() else { return 0 };
    names
        .fold(first, |common, path| {
            let same = common.split('/').zip(path.split('/')).take_while(|(a, b)| a == b);
            let bytes: usize = same.map(|(part, _)| part.len() + 1).sum();
            &common[..bytes.saturating_sub(1)]
        })
        .len()
}
