//! The order of steps.
//!
//! Operands and `after`s come first; among what is ready, program order decides, so that the same program always gives the same
//! plan. A write comes after everything that uses the memory of a read which must not see it, and what changes a part of a value after what
//! reads the whole.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tidemill_core::ops::{
    ArrayAdd, ArrayResize, ArrayWrite, TensorListPopBack, TensorListPushBack, TensorListSetItem,
};

use super::compile::Draft;
use crate::program::{Inst, InstId, Kind, Orders, Program};

pub(super) fn order(program: &Program, drafts: &[Option<Draft>]) -> Vec<InstId> {
    let mut graph = Edges::new(program.insts.len());
    for id in program.ids() {
        let inst = program.inst(id);
        for from in inst.inputs.iter().map(|r| r.inst).chain(inst.after.iter().copied()) {
            graph.add(from, id, false);
        }
    }
    if program.insts.iter().any(|i| !i.writes.is_empty()) {
        let orders = Orders::of(program);
        for id in program.ids().filter(|id| matches!(program.inst(*id).kind, Kind::Read(_))) {
            let later = orders.later_writes(program, id);
            let Some(slot) = drafts[id.index()].as_ref().and_then(|d| d.outputs.first()) else { continue };
            if later.is_empty() {
                continue;
            }
            let uses_memory = |user: &InstId| {
                *user == id || drafts[user.index()].as_ref().is_some_and(|d| d.inputs.contains(slot))
            };
            for user in program.ids().filter(uses_memory) {
                for write in later.iter().filter(|w| **w != user && !orders.depends(user, **w)) {
                    graph.add(user, *write, true);
                }
            }
        }
    }
    // Where variables are written, their order is what matters.
    if program.insts.iter().all(|i| i.writes.is_empty()) {
        for id in program.ids().filter(|id| overwrites(program.inst(*id))) {
            let after = descendants(program, id);
            let whole = program.inst(id).inputs[0];
            let reads = |user: &InstId| {
                let inst = program.inst(*user);
                inst.inputs.contains(&whole) && !overwrites(inst) && !after[user.index()]
            };
            program.ids().filter(reads).for_each(|user| graph.add(user, id, true));
        }
    }
    graph.order()
}

/// Whether an operation changes a part of its first operand, which it does in place if nobody reads that afterwards.
fn overwrites(inst: &Inst) -> bool {
    match &inst.kind {
        Kind::Op(op) => {
            op.is::<ArrayWrite>()
                || op.is::<ArrayAdd>()
                || op.is::<ArrayResize>()
                || op.is::<TensorListSetItem>()
                || op.is::<TensorListPushBack>()
                || op.is::<TensorListPopBack>()
        }
        _ => false,
    }
}

/// Which operations depend on one.
fn descendants(program: &Program, of: InstId) -> Vec<bool> {
    let mut found = vec![false; program.insts.len()];
    found[of.index()] = true;
    for id in program.ids().filter(|id| id.index() > of.index()) {
        let inst = program.inst(id);
        let on = |from: InstId| found[from.index()];
        found[id.index()] = inst.inputs.iter().any(|r| on(r.inst)) || inst.after.iter().any(|a| on(*a));
    }
    found
}

struct Edges {
    /// For each operation, those that wait for it, and whether only softly.
    next: Vec<Vec<(InstId, bool)>>,
    hard: Vec<usize>,
    soft: Vec<usize>,
}

impl Edges {
    fn new(len: usize) -> Edges {
        Edges { next: vec![vec![]; len], hard: vec![0; len], soft: vec![0; len] }
    }

    fn add(&mut self, from: InstId, to: InstId, soft: bool) {
        self.next[from.index()].push((to, soft));
        let count = if soft { &mut self.soft } else { &mut self.hard };
        count[to.index()] += 1;
    }

    /// Soft edges can only form a circle when two reads demand contrary orders of two writes; then the operation that stands
    /// first in the program goes first.
    fn order(mut self) -> Vec<InstId> {
        let len = self.next.len();
        let mut done = vec![false; len];
        let mut order = Vec::with_capacity(len);
        let mut ready: BinaryHeap<Reverse<InstId>> = (0..len as u32)
            .map(InstId)
            .filter(|id| self.hard[id.index()] == 0 && self.soft[id.index()] == 0)
            .map(Reverse)
            .collect();
        while order.len() < len {
            let id = match ready.pop() {
                Some(Reverse(id)) => id,
                None => match (0..len).find(|i| !done[*i] && self.hard[*i] == 0) {
                    Some(i) => InstId(i as u32),
                    None => break,
                },
            };
            if std::mem::replace(&mut done[id.index()], true) {
                continue;
            }
            order.push(id);
            for (next, soft) in std::mem::take(&mut self.next[id.index()]) {
                let count = if soft { &mut self.soft } else { &mut self.hard };
                count[next.index()] -= 1;
                if self.hard[next.index()] == 0 && self.soft[next.index()] == 0 {
                    ready.push(Reverse(next));
                }
            }
        }
        order
    }
}
