//! The nodes of a graph or body, and how their values are called.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tidemill_core::ops::{FakeParam, If, Loop, Param};
use tidemill_core::{Body, Node, NodeId, Output, RegionId, Result, TensorType};

use super::{Exporter, node};
use crate::proto::NodeDef;

/// Nodes that are written together.
pub(super) struct Block<'a> {
    nodes: &'a [(NodeId, Arc<Node>)],
    /// The parameters' names; `None` outside of functions.
    params: Option<FxHashMap<NodeId, String>>,
    /// What is used of each node.
    used: FxHashSet<Output>,
    /// The loops and conditionals that are written for others, by what they compute.
    works: FxHashMap<Key, Work>,
}

/// What tells which loops, and which conditionals, do the same work: the body, the direction, and the operands.
type Key = (RegionId, bool, Vec<Output>);

/// Loops, or conditionals, that do the same work.
pub(super) struct Work {
    /// The node that is written.
    first: NodeId,
    /// What any of them gives: what gives it in the body, or in each branch.
    results: Vec<[Output; 2]>,
    /// What any of them gives but for what only stands for a result of the other branch.
    real: Vec<[Option<Output>; 2]>,
    /// The bodies, as the last of them knows them.
    bodies: Vec<Body>,
    /// The last output of each.
    members: Vec<Output>,
}

impl Work {
    fn key(node: &Node) -> Option<Key> {
        let inputs = node.inputs.to_vec();
        if let Some(op) = node.op.downcast::<Loop>() {
            return Some((op.body.region(), op.reverse, inputs));
        }
        let op = node.op.downcast::<If>()?;
        Some((op.then.region(), false, inputs))
    }

    /// What a loop or conditional gives: the results of a loop's body, or those of both branches.
    fn given(node: &Node) -> (Vec<[Output; 2]>, Vec<Body>) {
        if let Some(op) = node.op.downcast::<Loop>() {
            let results = op.body.results().iter().map(|r| [*r; 2]).collect();
            return (results, vec![op.body.clone()]);
        }
        let Some(op) = node.op.downcast::<If>() else { return (vec![], vec![]) };
        let results = op.then.results().iter().zip(op.orelse.results()).map(|(a, b)| [*a, *b]).collect();
        (results, vec![op.then.clone(), op.orelse.clone()])
    }

    fn real(results: [Output; 2], bodies: &[Body]) -> [Option<Output>; 2] {
        let real = |i: usize| {
            let body = bodies.get(i).or(bodies.first())?;
            let fake = body.node(results[i].node).is_some_and(|node| node.op.is::<FakeParam>());
            (!fake).then_some(results[i])
        };
        [real(0), real(1)]
    }

    /// Takes in a node that does the same work.
    fn add(&mut self, node: &Node) {
        let carries = node.op.downcast::<Loop>().map_or(0, |op| op.carries);
        let (results, bodies) = Self::given(node);
        for (i, result) in results.into_iter().enumerate() {
            let real = Self::real(result, &bodies);
            // A carry has its place, whatever gives it.
            if i >= self.real.len() || (i >= carries && !self.real[carries..].contains(&real)) {
                self.real.push(real);
                self.results.push(result);
            }
        }
        for (mine, other) in self.bodies.iter_mut().zip(bodies) {
            if other.nodes().len() > mine.nodes().len() {
                *mine = other;
            }
        }
    }

    /// Where output `index` of `node` stands among the outputs of what is written.
    fn place(&self, id: NodeId, node: &Node, index: u32) -> u32 {
        let carries = node.op.downcast::<Loop>().map_or(0, |op| op.carries);
        let (results, bodies) = Self::given(node);
        let Some(result) = results.get(index as usize) else { return self.results.len() as u32 };
        if id == self.first || (index as usize) < carries {
            return index;
        }
        let real = Self::real(*result, &bodies);
        let place = self.real[carries..].iter().position(|r| *r == real);
        place.map_or(index, |place| (carries + place) as u32)
    }

    /// The bodies, giving what any of the nodes gives.
    pub(super) fn bodies(&self) -> Vec<(&Body, Vec<Output>)> {
        let results = |i: usize| self.results.iter().map(|r| r[i]).collect();
        self.bodies.iter().enumerate().map(|(i, body)| (body, results(i))).collect()
    }
}

impl<'a> Block<'a> {
    /// The nodes outside of all bodies.
    pub(super) fn root(nodes: &'a [(NodeId, Arc<Node>)]) -> Block<'a> {
        Self::new(nodes, None, &[])
    }

    /// The nodes of a body, whose parameters have these names.
    pub(super) fn body(body: &'a Body, params: FxHashMap<NodeId, String>, results: &[Output]) -> Block<'a> {
        Self::new(body.nodes(), Some(params), results)
    }

    fn new(
        nodes: &'a [(NodeId, Arc<Node>)],
        params: Option<FxHashMap<NodeId, String>>,
        results: &[Output],
    ) -> Block<'a> {
        let inputs = nodes.iter().flat_map(|(_, node)| &node.inputs);
        let used = inputs.chain(results).copied().collect();
        let mut works: FxHashMap<Key, Work> = FxHashMap::default();
        for (id, node) in nodes {
            let Some(key) = Work::key(node) else { continue };
            let work = works.entry(key).or_insert_with(|| {
                let bodies = Work::given(node).1;
                Work { first: *id, results: vec![], real: vec![], bodies, members: vec![] }
            });
            work.add(node);
            work.members.push(Output::new(*id, (node.outputs.len() as u32).saturating_sub(1)));
        }
        Block { nodes, params, used, works }
    }

    /// The work of a loop or conditional.
    pub(super) fn work(&self, node: &Node) -> Option<&Work> {
        self.works.get(&Work::key(node)?)
    }

    /// The nodes that do the same work as another, but for the one that is written.
    fn is_copy(&self, id: NodeId, node: &Node) -> bool {
        self.work(node).is_some_and(|work| work.first != id)
    }

    /// Whether somebody uses the number of turns of a loop, or of one that does the same work.
    pub(super) fn uses_turns(&self, node: &Node) -> bool {
        let members = self.work(node).into_iter().flat_map(|work| &work.members);
        members.into_iter().any(|turns| self.used.contains(turns))
    }

    /// The type of a value.
    pub(super) fn ty(&self, output: Output) -> Result<TensorType> {
        let ty = self.get(output.node).and_then(|node| node.outputs.get(output.index as usize));
        ty.cloned().ok_or_else(|| tidemill_core::Error::internal(format!("{output} is not in its block")))
    }

    fn get(&self, id: NodeId) -> Option<&'a Arc<Node>> {
        self.nodes.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| &self.nodes[at].1)
    }

    /// The node that is written for another, or itself.
    fn written(&self, id: NodeId, node: &'a Arc<Node>) -> &'a Arc<Node> {
        self.work(node).filter(|work| work.first != id).and_then(|work| self.get(work.first)).unwrap_or(node)
    }

    /// What an input calls the output.
    pub(super) fn value(&self, output: Output) -> Result<String> {
        if let Some(name) = self.params.as_ref().and_then(|params| params.get(&output.node)) {
            return Ok(name.clone());
        }
        let Some(node) = self.get(output.node) else {
            return Err(tidemill_core::Error::internal(format!("{output} is not in its block")));
        };
        let index = self.work(node).map_or(output.index, |work| work.place(output.node, node, output.index));
        let node = self.written(output.node, node);
        if self.params.is_some() {
            let (name, index) = node::output_name(node, index);
            return Ok(format!("{}:{name}:{index}", node.name));
        }
        Ok(match index {
            0 => node.name.to_string(),
            index => format!("{}:{index}", node.name),
        })
    }

    /// What control inputs call the operations that a node waits for.
    pub(super) fn controls(&self, node: &Node) -> impl Iterator<Item = String> {
        // A parameter is there from the beginning.
        let known = node.controls.iter().filter_map(|id| Some((*id, self.get(*id)?)));
        let known = known.filter(|(_, node)| !node.op.is::<Param>());
        known.map(|(id, node)| format!("^{}", self.written(id, node).name))
    }
}

impl Exporter {
    /// The nodes, and whether any of them does more than compute.
    pub(super) fn nodes(&mut self, block: &Block) -> Result<(Vec<NodeDef>, bool)> {
        let (mut defs, mut stateful) = (vec![], false);
        for (id, node) in block.nodes {
            if node.op.is::<Param>() || block.is_copy(*id, node) {
                continue;
            }
            let made = self.node(block, node, &mut defs).map_err(|e| e.with_node(node.op.name(), &node.name));
            stateful |= made.map_err(|e| e.with_origin(node.origin.clone()))?;
        }
        Ok((defs, stateful))
    }

    /// Writes one node; whether it does more than compute.
    fn node(&mut self, block: &Block, node: &Node, defs: &mut Vec<NodeDef>) -> Result<bool> {
        let mut inputs: Vec<String> = node.inputs.iter().map(|o| block.value(*o)).collect::<Result<_>>()?;
        let controls: Vec<String> = block.controls(node).collect();
        let stateful = if let Some(op) = node.op.downcast::<Loop>() {
            self.looping(block, node, op, inputs, defs)?
        } else if node.op.is::<If>() {
            self.conditional(block, node, inputs, defs)?
        } else {
            if let Some(text) = node::message(node)? {
                inputs.insert(
                    1,
                    if block.params.is_some() {
                        format!("{}:output:0", text.name)
                    } else {
                        text.name.clone()
                    },
                );
                defs.push(text);
            }
            let ins: Vec<TensorType> = node.inputs.iter().map(|o| block.ty(*o)).collect::<Result<_>>()?;
            defs.push(node::plain(node, &ins, inputs)?);
            node::is_stateful(node)
        };
        if let Some(def) = defs.last_mut() {
            def.input.extend(controls);
        }
        Ok(stateful)
    }
}
