//! Loops and conditionals of a program, and the programs of their bodies.
//!
//! A body becomes a program whose feeds are the body's parameters and whose fetches are its results. Loops over one body with the same
//! operands do the same work and differ only in what they hand out (a gradient asks for residuals): such loops become one, which
//! hands out what any of them does.

use std::fmt;

use rustc_hash::FxHashMap;
use tidemill_core::ops::{If, Loop};
use tidemill_core::{Body, Node, Output, RegionId, Result, TensorType};

use super::Program;
use std::sync::Arc;

/// A loop in a program.
#[derive(Clone)]
pub struct LoopInst {
    /// Counts and layout of the operands.
    pub op: Loop,
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
    pub(super) fn build(nodes: &[Arc<Node>], op: &Loop) -> Result<LoopInst> {
        let cond = op.cond.as_ref().map(|body| body_program(nodes, body)).transpose()?;
        Ok(LoopInst { op: op.clone(), cond, body: body_program(nodes, &op.body)? })
    }

    /// The programs inside.
    pub fn programs_mut(&mut self) -> impl Iterator<Item = &mut Program> {
        self.cond.iter_mut().chain([&mut self.body])
    }
}

impl IfInst {
    pub(super) fn build(nodes: &[Arc<Node>], op: &If) -> Result<IfInst> {
        Ok(IfInst {
            op: op.clone(),
            then: body_program(nodes, &op.then)?,
            orelse: body_program(nodes, &op.orelse)?,
        })
    }
}

fn body_program(nodes: &[Arc<Node>], body: &Body) -> Result<Program> {
    let feeds: Vec<(Output, TensorType)> = body
        .params()
        .iter()
        .enumerate()
        .map(|(i, p)| (Output::new(*p, 0), body.param_type(i).clone()))
        .collect();
    Program::build_from(nodes, body.results(), &[], &feeds)
}

/// What tells which loops do the same work: the body, the direction, and the operands.
type Key = (RegionId, bool, Vec<Output>);

/// The loops that a run needs, those that do the same work put together.
#[derive(Default)]
pub(super) struct Merged {
    groups: FxHashMap<Key, Vec<Output>>,
}

impl Merged {
    pub(super) fn of<'a>(needed: impl Iterator<Item = &'a Arc<Node>>) -> Merged {
        let mut merged = Merged::default();
        for node in needed {
            if let Some(op) = node.op.downcast::<Loop>() {
                let ys = merged.groups.entry(key(op, node)).or_default();
                for y in &op.body.results()[op.carries..] {
                    if !ys.contains(y) {
                        ys.push(*y);
                    }
                }
            }
        }
        merged
    }

    /// The loop that stands for `op`, and which of its results are those of `op`.
    pub(super) fn stand_in(&self, op: &Loop, node: &Node) -> (Loop, Vec<u32>) {
        let own = &op.body.results()[op.carries..];
        let all = self.groups.get(&key(op, node)).map_or(own, Vec::as_slice);
        let more: Vec<Output> = all.iter().filter(|y| !own.contains(y)).copied().collect();
        // The first loop of a group fixes the order: its own ys, then the others'.
        let merged = Loop { body: op.body.with_results(&more), ..op.clone() };
        let order: Vec<Output> = merged.body.results()[op.carries..].to_vec();
        (merged, self.places(op, &order))
    }

    /// Where the results of `op` stand among those of a loop with the ys `order`.
    pub(super) fn places(&self, op: &Loop, order: &[Output]) -> Vec<u32> {
        let ys =
            op.body.results()[op.carries..].iter().map(|y| order.iter().position(|o| o == y).unwrap_or(0));
        let carries = 0..op.carries as u32;
        carries
            .chain(ys.map(|at| (op.carries + at) as u32))
            .chain([(op.carries + order.len()) as u32])
            .collect()
    }
}

pub(super) fn key(op: &Loop, node: &Node) -> Key {
    (op.body.region(), op.reverse, node.inputs.to_vec())
}

/// The inst a merged loop was built as, and the order of its ys.
pub(super) type BuiltLoops = FxHashMap<Key, (super::InstId, Vec<Output>)>;

impl fmt::Debug for LoopInst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoopInst({:?})", self.op)
    }
}

impl fmt::Debug for IfInst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IfInst({:?})", self.op)
    }
}
