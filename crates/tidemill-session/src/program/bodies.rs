//! Loops and conditionals of a program, and the programs of their bodies.
//!
//! A body becomes a program whose feeds are the body's parameters and whose fetches are its results. Variables that it assigns are no
//! feeds: they have the numbers that they have outside. Loops, and conditionals, over one
//! body with the same operands do the same work and differ only in what they hand out (a gradient asks for residuals): they become one,
//! which hands out what any of them does.

use std::fmt;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tidemill_core::ops::{FakeParam, If, Loop, LoopLayout};
use tidemill_core::{
    Body, DType, Effect, InferCx, Node, NodeId, Output, PartialShape, RegionId, Result, TensorType,
};

use super::{Kind, Program, ProgramVariable};
use std::sync::Arc;

/// A loop in a program; see [`Loop`] for what its operands and results are.
#[derive(Clone)]
pub struct LoopInst {
    /// Whether operand 0 is a trip count.
    pub trip: bool,
    /// Whether the turns go from the last slice to the first.
    pub reverse: bool,
    /// How many carries there are.
    pub carries: usize,
    /// How many xs there are.
    pub xs: usize,
    /// From carries and captures to one bool.
    pub cond: Option<Program>,
    /// From carries, slices and captures to carries and ys.
    pub body: Program,
}

/// A conditional in a program.
#[derive(Clone)]
pub struct IfInst {
    /// The op.
    pub op: If,
    /// Taken when the predicate is true.
    pub then: Program,
    /// Taken when it is false.
    pub orelse: Program,
}

impl LoopInst {
    fn build(outside: &Outside, op: &Loop) -> Result<LoopInst> {
        let cond = op.cond.as_ref().map(|body| outside.program(body)).transpose()?;
        let body = outside.program(&op.body)?;
        Ok(LoopInst { trip: op.trip, reverse: op.reverse, carries: op.carries, xs: op.xs, cond, body })
    }

    /// Where the operands stand.
    pub fn layout(&self) -> LoopLayout {
        let carries = usize::from(self.trip);
        let xs = carries + self.carries;
        let cond_captures = xs + self.xs;
        let body_captures = cond_captures + self.cond.as_ref().map_or(0, |c| c.feeds.len() - self.carries);
        LoopLayout {
            carries,
            xs,
            cond_captures,
            body_captures,
            end: body_captures + self.body.feeds.len() - self.carries - self.xs,
            ys: self.body.fetches.len() - self.carries,
        }
    }

    /// The number of turns, as far as the operands' types and values tell.
    pub fn turns(&self, cx: &InferCx) -> Option<usize> {
        if self.cond.is_some() {
            return None;
        }
        let layout = self.layout();
        let from_xs = (layout.xs..layout.cond_captures).find_map(|i| cx.shape(i).dim(0));
        let from_trip = || cx.known_all(0).and_then(|v| v.first().map(|n| usize::try_from(*n).unwrap_or(0)));
        if self.trip { from_trip().or(from_xs) } else { from_xs }
    }

    /// The programs inside.
    pub fn programs_mut(&mut self) -> impl Iterator<Item = &mut Program> {
        self.cond.iter_mut().chain([&mut self.body])
    }
}

impl IfInst {
    fn build(outside: &Outside, op: &If) -> Result<IfInst> {
        Ok(IfInst { op: op.clone(), then: outside.program(&op.then)?, orelse: outside.program(&op.orelse)? })
    }
}

/// What a body's program needs to know of the program around it.
pub(super) struct Outside<'a> {
    /// All nodes of the graph.
    pub(super) nodes: &'a [Arc<Node>],
    /// The variables known so far.
    pub(super) variables: &'a [ProgramVariable],
    /// Which of them the parameters of bodies refer to, that refer to any.
    pub(super) references: FxHashMap<Output, usize>,
}

impl Outside<'_> {
    fn program(&self, body: &Body) -> Result<Program> {
        let feeds: Vec<(Output, TensorType)> = body
            .params()
            .iter()
            .enumerate()
            .map(|(i, p)| (Output::new(*p, 0), body.param_type(i).clone()))
            .collect();
        // What changes the object behind a handle has no result that tells.
        let acts = |node: &Node| {
            node.inputs.iter().any(|o| body.ty(*o).is_some_and(|ty| ty.dtype == DType::Resource))
                && node.op.effect() == Effect::Stateful
        };
        let effects: Vec<NodeId> =
            body.nodes().iter().filter(|(_, node)| acts(node)).map(|(id, _)| *id).collect();
        Program::build_from(self, body.results(), &effects, &feeds)
    }
}

/// The parameter that each operand of a loop or conditional becomes; `None` for operands that are no captures.
pub(super) fn params(node: &Node) -> Vec<Option<NodeId>> {
    let captures =
        |body: &Body, from: usize| body.params()[from..].iter().copied().map(Some).collect::<Vec<_>>();
    let mut all = vec![];
    if let Some(op) = node.op.downcast::<Loop>() {
        all.resize(op.layout().cond_captures, None);
        all.extend(op.cond.iter().flat_map(|cond| captures(cond, op.carries)));
        all.extend(captures(&op.body, op.carries + op.xs));
    } else if let Some(op) = node.op.downcast::<If>() {
        all.push(None);
        all.extend(captures(&op.then, 0));
        all.extend(captures(&op.orelse, 0));
    }
    all
}

/// What tells which loops, and which conditionals, do the same work: the body, the direction, and the operands.
type Key = (RegionId, bool, Vec<Output>);

/// One result: what gives it in the body, or in each of the two branches.
#[derive(Clone, Copy)]
pub(super) struct Given {
    from: [Output; 2],
    /// `from`, without what only stands for a result of the other branch.
    real: [Option<Output>; 2],
}

/// A loop's ys, or a conditional's results, and what tells that others do the same work.
pub(super) struct Work {
    pub(super) key: Key,
    pub(super) results: Vec<Given>,
}

impl Work {
    /// `None` for other nodes.
    pub(super) fn of(nodes: &[Arc<Node>], node: &Node) -> Option<Work> {
        let inputs = node.inputs.to_vec();
        if let Some(op) = node.op.downcast::<Loop>() {
            let ys = op.body.results()[op.carries..].iter();
            let results = ys.map(|y| Given { from: [*y; 2], real: [Some(*y); 2] }).collect();
            return Some(Work { key: (op.body.region(), op.reverse, inputs), results });
        }
        let op = node.op.downcast::<If>()?;
        let real = |o: Output| (!nodes[o.node.index()].op.is::<FakeParam>()).then_some(o);
        let pairs = op.then.results().iter().zip(op.orelse.results());
        let results = pairs.map(|(a, b)| Given { from: [*a, *b], real: [real(*a), real(*b)] }).collect();
        Some(Work { key: (op.then.region(), false, inputs), results })
    }

    /// Where its results stand among `all`.
    pub(super) fn places(&self, all: &[Given]) -> impl Iterator<Item = usize> {
        self.results.iter().map(|r| all.iter().position(|g| g.real == r.real).unwrap_or(0))
    }
}

/// The loops and conditionals that a run needs, those that do the same work put together.
#[derive(Default)]
pub(super) struct Merged {
    groups: FxHashMap<Key, Vec<Given>>,
}

impl Merged {
    pub(super) fn of<'a>(nodes: &[Arc<Node>], needed: impl Iterator<Item = &'a Arc<Node>>) -> Merged {
        let mut merged = Merged::default();
        for work in needed.filter_map(|node| Work::of(nodes, node)) {
            let all = merged.groups.entry(work.key).or_default();
            for result in work.results {
                if !all.iter().any(|g| g.real == result.real) {
                    all.push(result);
                }
            }
        }
        merged
    }

    /// What others that do the same work give beside what `work` gives.
    pub(super) fn more(&self, work: &Work) -> Vec<Given> {
        let all = self.groups.get(&work.key).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|g| !work.results.iter().any(|r| r.real == g.real)).copied().collect()
    }
}

impl Given {
    /// The type of a further result, before it is inferred. The shape of a y that is stacked depends on the number of turns, which is not
    /// looked at here.
    fn ty(&self, nodes: &[Arc<Node>]) -> TensorType {
        let from = self.from[0];
        let dtype = nodes[from.node.index()].outputs[from.index as usize].dtype;
        TensorType::new(dtype, PartialShape::unknown())
    }
}

/// The operation that gives what all of its kind give: its kind, and the types of the results.
pub(super) fn build(
    outside: &Outside,
    node: &Node,
    more: &[Given],
) -> Result<Option<(Kind, SmallVec<[TensorType; 1]>)>> {
    let from = |i: usize| more.iter().map(|g| g.from[i]).collect::<Vec<_>>();
    let mut types = node.outputs.clone();
    let further = more.iter().map(|g| g.ty(outside.nodes));
    if let Some(op) = node.op.downcast::<Loop>() {
        let op = Loop { body: op.body.with_results(&from(0)), ..op.clone() };
        let count = types.pop();
        types.extend(further);
        types.extend(count);
        return Ok(Some((Kind::Loop(Box::new(LoopInst::build(outside, &op)?)), types)));
    }
    let Some(op) = node.op.downcast::<If>() else { return Ok(None) };
    let op = If { then: op.then.with_results(&from(0)), orelse: op.orelse.with_results(&from(1)) };
    types.extend(further);
    Ok(Some((Kind::If(Box::new(IfInst::build(outside, &op)?)), types)))
}

/// The operation that stands for others, and what it gives.
pub(super) type Built = FxHashMap<Key, (super::InstId, Vec<Given>)>;

impl fmt::Debug for LoopInst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopInst")
            .field("carries", &self.carries)
            .field("xs", &self.xs)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for IfInst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IfInst({:?})", self.op)
    }
}
