//! Blocks: nodes that run together, in order.
//!
//! The root block holds what is outside of conditionals and loops. A conditional has a block for each branch, a loop has one; they are units of the block
//! they stand in, beside the nodes there. See `contexts.rs` for how it is known where a node belongs.

use rustc_hash::{FxHashMap, FxHashSet};
use tidemill_core::{Error, Result};

use super::contexts::{Contexts, Kind, Place, flow_op, is_loop_switch};
use super::order::topological;
use super::source::{Item, Port, Source};

/// What is done in one go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Unit {
    /// A node.
    Node(u32),
    /// A conditional, by its number.
    Cond(u32),
    /// A loop, by its number.
    Loop(u32),
}

/// Whose block it is.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Root,
    Branch { cond: u32, value: bool },
    Loop(u32),
}

#[derive(Debug)]
struct Block {
    parent: u32,
    depth: u32,
    owner: Owner,
    units: Vec<Unit>,
}

/// Two branches on one predicate.
#[derive(Debug)]
pub(super) struct Cond {
    pub(super) pred: Port,
    /// The block when false, the block when true.
    branches: [u32; 2],
    /// The predicates of its `Switch`es, which are copies of the one.
    pub(super) waits: Vec<Port>,
    /// `Merge`s, and what they take when false and when true.
    pub(super) joins: Vec<(u32, [Port; 2])>,
    /// Values of one branch (the one on `true`, if so said) that are used further on.
    pub(super) exports: Vec<(Port, bool)>,
    exported: FxHashSet<Port>,
}

/// A value that a loop carries from turn to turn.
#[derive(Debug)]
pub(super) struct LoopVar {
    /// What it starts with, outside of the loop.
    pub(super) start: Port,
    pub(super) merge: u32,
    /// The `Switch`es on it.
    pub(super) switches: Vec<u32>,
    /// What it is in the next turn.
    pub(super) next: Port,
    /// What must have run by then.
    pub(super) waits: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct LoopPlan {
    block: u32,
    frame: u32,
    /// Its `LoopCond`.
    pub(super) cond_node: u32,
    /// Whether there is another turn.
    pub(super) cond: Port,
    pub(super) vars: Vec<LoopVar>,
    /// What the condition needs, in order.
    pub(super) for_cond: Vec<Unit>,
    /// What the body needs, in order.
    pub(super) for_body: Vec<Unit>,
    /// Nodes outside that the loop must wait for.
    pub(super) controls: Vec<u32>,
}

/// The blocks of a source.
pub(super) struct Blocks {
    blocks: Vec<Block>,
    pub(super) conds: Vec<Cond>,
    pub(super) loops: Vec<LoopPlan>,
    block_of: Vec<u32>,
    by_key: FxHashMap<(u32, Kind, u32), u32>,
    conds_by_key: FxHashMap<(u32, Port, u32), u32>,
}

const ROOT: u32 = 0;

impl Blocks {
    /// # Errors
    /// As [`Contexts::of`].
    pub(super) fn of(source: &Source, keep: &[bool]) -> Result<Blocks> {
        let mut contexts = Contexts::of(source, keep)?;
        let root = Block { parent: ROOT, depth: 0, owner: Owner::Root, units: vec![] };
        let mut made = Blocks {
            blocks: vec![root],
            conds: vec![],
            loops: vec![],
            block_of: vec![],
            by_key: FxHashMap::default(),
            conds_by_key: FxHashMap::default(),
        };
        for (node, place) in contexts.places.iter().enumerate().take(source.items.len()) {
            let block = if keep[node] { made.block(&contexts, place) } else { ROOT };
            made.block_of.push(block);
        }
        // Which unit of which block must come before which other.
        let mut edges: Vec<(u32, Unit, Unit)> = vec![];
        let count = source.items.len() as u32;
        for &(from, to) in contexts.edges.iter().filter(|(from, to)| *from < count && *to < count) {
            made.edge(&mut edges, from, made.block_of[to as usize], Unit::Node(to));
        }
        for &(_, from, to) in &edges {
            if let (Unit::Node(from), Unit::Cond(to)) = (from, to)
                && flow_op(&source.items[from as usize]) == "Switch"
            {
                let pred = source.items[from as usize].inputs[1];
                let waits = &mut made.conds[to as usize].waits;
                if !waits.contains(&pred) {
                    waits.push(pred);
                }
            }
        }
        made.joins(source, &contexts, &mut edges)?;
        made.loops(source, &mut contexts)?;
        made.needs(source, keep)?;
        made.order(source, keep, &edges)?;
        made.slices(source, &edges);
        Ok(made)
    }

    /// The units of the root block, in order.
    pub(super) fn root(&self) -> &[Unit] {
        &self.blocks[ROOT as usize].units
    }

    /// The units of one branch of a conditional, in order.
    pub(super) fn branch(&self, cond: &Cond, value: bool) -> &[Unit] {
        &self.blocks[cond.branches[usize::from(value)] as usize].units
    }

    /// The block that a node is directly in.
    pub(super) fn block_of(&self, node: u32) -> u32 {
        self.block_of[node as usize]
    }

    /// The unit outermost around `node` that the block `at` is not inside of: what is waited for there to wait for `node`. `None` when nothing but the
    /// node itself.
    pub(super) fn unit_around(&self, node: u32, at: u32) -> Option<Unit> {
        let mut block = self.block_of[node as usize];
        let mut unit = None;
        while !self.encloses(block, at) {
            unit = self.unit(block);
            block = self.blocks[block as usize].parent;
        }
        unit
    }

    /// The conditional of the root block that a node is inside of.
    pub(super) fn outermost_cond(&self, node: u32) -> Option<Unit> {
        let mut block = self.block_of[node as usize];
        let mut unit = None;
        while block != ROOT {
            unit = self.unit(block);
            block = self.blocks[block as usize].parent;
        }
        unit.filter(|unit| matches!(unit, Unit::Cond(_)))
    }

    /// The predicate of the conditional that a `Merge` ends, and what it takes when false and when true.
    pub(super) fn join(&self, node: u32) -> Option<(Port, [Port; 2])> {
        let found = |cond: &Cond| {
            cond.joins.iter().find(|(join, _)| *join == node).map(|(_, taken)| (cond.pred, *taken))
        };
        self.conds.iter().find_map(found)
    }

    /// The operations outside that a loop must wait for are those that a node beside it would find.
    pub(super) fn around(&self, plan: &LoopPlan) -> u32 {
        self.blocks[plan.block as usize].parent
    }

    /// The block that is a loop's body.
    pub(super) fn inside(&self, plan: &LoopPlan) -> u32 {
        plan.block
    }

    fn encloses(&self, outer: u32, mut inner: u32) -> bool {
        while self.blocks[inner as usize].depth > self.blocks[outer as usize].depth {
            inner = self.blocks[inner as usize].parent;
        }
        inner == outer
    }

    /// The unit that a block is a part of, in its parent.
    fn unit(&self, block: u32) -> Option<Unit> {
        match self.blocks[block as usize].owner {
            Owner::Root => None,
            Owner::Branch { cond, .. } => Some(Unit::Cond(cond)),
            Owner::Loop(number) => Some(Unit::Loop(number)),
        }
    }

    fn push(&mut self, parent: u32, owner: Owner) -> u32 {
        let depth = self.blocks[parent as usize].depth + 1;
        self.blocks.push(Block { parent, depth, owner, units: vec![] });
        self.blocks.len() as u32 - 1
    }

    /// The block of what is at this place.
    fn block(&mut self, contexts: &Contexts, place: &Place) -> u32 {
        let mut path = vec![];
        let mut context = &contexts.contexts[place.context as usize];
        while context.kind != Kind::Root {
            path.push(context.kind);
            context = &contexts.contexts[context.parent as usize];
        }
        let mut block = ROOT;
        for (kind, level) in path.into_iter().rev().zip(&place.levels) {
            block = match kind {
                Kind::Root => block,
                Kind::Branch { pred, value } => {
                    let cond = self.cond(block, pred, *level);
                    self.conds[cond as usize].branches[usize::from(value)]
                }
                Kind::Frame(frame) => {
                    let next = self.blocks.len() as u32;
                    let found = *self.by_key.entry((block, kind, 0)).or_insert(next);
                    if found == next {
                        self.push(block, Owner::Loop(self.loops.len() as u32));
                        self.loops.push(LoopPlan {
                            block: found,
                            frame,
                            cond_node: 0,
                            cond: Port { node: 0, output: 0 },
                            vars: vec![],
                            for_cond: vec![],
                            for_body: vec![],
                            controls: vec![],
                        });
                    }
                    found
                }
            };
        }
        block
    }

    /// The conditional on a predicate in a block, at this level.
    fn cond(&mut self, block: u32, pred: Port, level: u32) -> u32 {
        let next = self.conds.len() as u32;
        let found = *self.conds_by_key.entry((block, pred, level)).or_insert(next);
        if found == next {
            let branches = [false, true].map(|value| self.push(block, Owner::Branch { cond: next, value }));
            let (waits, joins, exports, exported) = (vec![], vec![], vec![], FxHashSet::default());
            self.conds.push(Cond { pred, branches, waits, joins, exports, exported });
        }
        found
    }

    /// `unit` of `block` (or the unit around it) comes after `from` (or the unit around that).
    fn edge(&self, edges: &mut Vec<(u32, Unit, Unit)>, from: u32, mut block: u32, mut unit: Unit) {
        let (mut before, mut before_unit) = (self.block_of[from as usize], Unit::Node(from));
        while before != block {
            let deeper = self.blocks[before as usize].depth > self.blocks[block as usize].depth;
            let (at, of) = if deeper { (&mut before, &mut before_unit) } else { (&mut block, &mut unit) };
            let Some(around) = self.unit(*at) else { return };
            *of = around;
            *at = self.blocks[*at as usize].parent;
        }
        if before_unit != unit {
            edges.push((block, before_unit, unit));
        }
    }

    fn joins(
        &mut self,
        source: &Source,
        contexts: &Contexts,
        edges: &mut Vec<(u32, Unit, Unit)>,
    ) -> Result<()> {
        for join in &contexts.joins {
            let block = self.block(contexts, &join.place);
            let level = join.place.levels.last().copied().unwrap_or(0);
            let cond = self.cond(block, join.pred, level);
            let inputs = &source.items[join.node as usize].inputs;
            let taken = [inputs[1 - join.when_true], inputs[join.when_true]];
            self.conds[cond as usize].joins.push((join.node, taken));
            if self.block_of[join.node as usize] != block {
                return Err(Error::unimplemented("it is not where its conditional is")
                    .with_node("Merge", source.items[join.node as usize].name));
            }
            edges.push((block, Unit::Cond(cond), Unit::Node(join.node)));
            for input in taken {
                self.edge(edges, input.node, block, Unit::Cond(cond));
            }
        }
        for number in 0..self.conds.len() {
            let (pred, branch) = (self.conds[number].pred, self.conds[number].branches[0]);
            self.edge(edges, pred.node, self.blocks[branch as usize].parent, Unit::Cond(number as u32));
        }
        Ok(())
    }

    /// What the loops carry.
    fn loops(&mut self, source: &Source, contexts: &mut Contexts) -> Result<()> {
        let mut switches: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for (node, item) in source.items.iter().enumerate().filter(|(_, item)| is_loop_switch(source, item)) {
            switches.entry(item.inputs[0].node).or_default().push(node as u32);
        }
        for number in 0..self.loops.len() {
            let (block, frame) =
                (self.loops[number].block, &contexts.frames[self.loops[number].frame as usize]);
            let first = frame.enters.first().map(|enter| &source.items[*enter as usize]);
            let fail = |what: &str| match first {
                Some(item) => Error::invalid(what).with_node(item.op, item.name),
                None => Error::invalid(what),
            };
            let cond = frame.cond.ok_or_else(|| fail("the loop has no LoopCond"))?;
            if self.block_of[cond as usize] != block {
                return Err(fail("the LoopCond is not directly in the loop"));
            }
            let mut vars = vec![];
            for &merge in &frame.merges {
                let inputs = &source.items[merge as usize].inputs;
                let (enter, next) = (&source.items[inputs[0].node as usize], inputs[1].node);
                if self.block_of[merge as usize] != block || self.block_of[next as usize] != block {
                    return Err(fail("a NextIteration is not directly in the loop"));
                }
                vars.push(LoopVar {
                    start: *enter.inputs.first().ok_or_else(|| fail("an Enter has no input"))?,
                    merge,
                    switches: switches.remove(&merge).unwrap_or_default(),
                    next: *source.items[next as usize]
                        .inputs
                        .first()
                        .ok_or_else(|| fail("a NextIteration has no input"))?,
                    waits: source.items[next as usize].controls.to_vec(),
                });
            }
            let mut controls: Vec<u32> = frame
                .enters
                .iter()
                .flat_map(|e| source.items[*e as usize].controls.iter().copied())
                .collect();
            controls.sort_unstable();
            controls.dedup();
            let plan = &mut self.loops[number];
            plan.cond = source.items[cond as usize].inputs.first().copied().unwrap_or(plan.cond);
            plan.cond_node = cond;
            plan.vars = vars;
            plan.controls = controls;
        }
        Ok(())
    }

    /// Values that are used outside of the branch that makes them.
    fn needs(&mut self, source: &Source, keep: &[bool]) -> Result<()> {
        for node in (0..source.items.len()).filter(|n| keep[*n]) {
            let item = &source.items[node];
            let at = match flow_op(item) {
                // These take what their loop or conditional gives.
                "Exit" | "Merge" => continue,
                "Enter" => self.blocks[self.block_of[node] as usize].parent,
                _ => self.block_of[node],
            };
            for &port in &item.inputs {
                self.need(port, at).map_err(|e| e.with_node(item.op, item.name))?;
            }
        }
        for number in 0..self.conds.len() {
            let cond = &self.conds[number];
            let (pred, branches) = (cond.pred, cond.branches);
            self.need(pred, self.blocks[branches[0] as usize].parent)?;
            for (_, taken) in self.conds[number].joins.clone() {
                self.need(taken[0], branches[0])?;
                self.need(taken[1], branches[1])?;
            }
        }
        Ok(())
    }

    fn need(&mut self, port: Port, at: u32) -> Result<()> {
        let mut block = self.block_of[port.node as usize];
        while !self.encloses(block, at) {
            let Owner::Branch { cond, value } = self.blocks[block as usize].owner else {
                return Err(Error::unimplemented("it takes a value out of a loop, but not by an Exit"));
            };
            let cond = &mut self.conds[cond as usize];
            if cond.exported.insert(port) {
                cond.exports.push((port, value));
            }
            block = self.blocks[block as usize].parent;
        }
        Ok(())
    }

    /// Puts the units of each block in order: that of the file where there is a choice, a conditional or loop where its first node is.
    fn order(&mut self, source: &Source, keep: &[bool], edges: &[(u32, Unit, Unit)]) -> Result<()> {
        let mut units: Vec<Vec<(u32, Unit)>> = vec![vec![]; self.blocks.len()];
        for node in (0..source.items.len() as u32).filter(|n| keep[*n as usize]) {
            units[self.block_of[node as usize] as usize].push((node, Unit::Node(node)));
        }
        let mut joined = vec![u32::MAX; self.conds.len()];
        for (first, cond) in joined.iter_mut().zip(&self.conds) {
            *first = cond.joins.iter().map(|(node, _)| *node).min().unwrap_or(u32::MAX);
        }
        // A block comes after the one it is in, so that backwards each is complete when its turn comes.
        for block in (0..self.blocks.len()).rev() {
            let Some(unit) = self.unit(block as u32) else { continue };
            let mut first = units[block].iter().map(|(key, _)| *key).min().unwrap_or(u32::MAX);
            if let Owner::Branch { cond, value } = self.blocks[block].owner {
                joined[cond as usize] = joined[cond as usize].min(first);
                if value {
                    continue;
                }
                first = joined[cond as usize];
            }
            if first < u32::MAX {
                units[self.blocks[block].parent as usize].push((first, unit));
            }
        }
        let mut within: Vec<Vec<(Unit, Unit)>> = vec![vec![]; self.blocks.len()];
        for &(block, from, to) in edges {
            within[block as usize].push((from, to));
        }
        for (block, (mut units, edges)) in units.into_iter().zip(within).enumerate() {
            units.sort_by_key(|(key, _)| *key);
            let place: FxHashMap<Unit, u32> =
                units.iter().zip(0..).map(|((_, unit), i)| (*unit, i)).collect();
            let find = |unit: &Unit| place.get(unit).copied();
            let edges: Vec<(u32, u32)> =
                edges.iter().filter_map(|(from, to)| Some((find(from)?, find(to)?))).collect();
            let order = topological(units.len(), |_| true, &edges).map_err(|cycle| {
                let first = |i: &u32| units[*i as usize].0;
                source.cycle(&cycle.iter().map(first).collect::<Vec<u32>>())
            })?;
            self.blocks[block].units = order.into_iter().map(|i| units[i as usize].1).collect();
        }
        Ok(())
    }

    /// Which units of a loop its condition needs, and which its body.
    fn slices(&mut self, source: &Source, edges: &[(u32, Unit, Unit)]) {
        let mut before: FxHashMap<Unit, Vec<Unit>> = FxHashMap::default();
        for &(block, from, to) in edges {
            if matches!(self.blocks[block as usize].owner, Owner::Loop(_)) {
                before.entry(to).or_default().push(from);
            }
        }
        // What a turn begins with is given.
        let given = |unit: &Unit| match unit {
            Unit::Node(node) => {
                let item = &source.items[*node as usize];
                is_loop_switch(source, item) || (flow_op(item) == "Merge" && is_loop_merge(source, item))
            }
            _ => false,
        };
        for number in 0..self.loops.len() {
            let plan = &self.loops[number];
            let units = &self.blocks[plan.block as usize].units;
            let slice = |mut stack: Vec<Unit>| -> Vec<Unit> {
                let mut needed: FxHashSet<Unit> = FxHashSet::default();
                while let Some(unit) = stack.pop() {
                    if !given(&unit) && needed.insert(unit) {
                        stack.extend(before.get(&unit).into_iter().flatten());
                    }
                }
                units.iter().filter(|unit| needed.contains(unit)).copied().collect()
            };
            let is = |op: &str, unit: &&Unit| match unit {
                Unit::Node(node) => flow_op(&source.items[*node as usize]) == op,
                _ => false,
            };
            let for_cond = slice(units.iter().filter(|u| is("LoopCond", u)).copied().collect());
            let for_body = slice(units.iter().filter(|u| is("NextIteration", u)).copied().collect());
            let plan = &mut self.loops[number];
            (plan.for_cond, plan.for_body) = (for_cond, for_body);
        }
    }
}

fn is_loop_merge(source: &Source, item: &Item) -> bool {
    item.inputs.iter().any(|port| flow_op(&source.items[port.node as usize]) == "NextIteration")
}
