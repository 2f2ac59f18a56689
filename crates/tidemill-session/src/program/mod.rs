//! `Program`: a closed form of the part of a graph that one kind of run needs.
//!
//! A program belongs to one fetch set and one set of feed types. It is built by pruning the graph from the fetches back to the
//! feeds ([`build`](Program::build)), and rewritten by the [passes](crate::passes). Differences from the graph:
//!
//! - A feed is an operation of its own; nothing sees what stood behind a fed tensor.
//! - Reading a variable is an operation of its own ([`Kind::Read`]), with the writes it must follow and the ones it must precede.
//! - Constants are values ([`Kind::Constant`]), shared, not computed.
//!
//! The text form shows one operation a line, ids as `p7`. [`verify`](Program::verify) is the specification of the form.

mod bodies;
mod build;
mod rewrite;
mod text;
mod verify;

pub use bodies::{IfInst, LoopInst};
pub(crate) use build::Orders;
pub(crate) use rewrite::Rewrite;
pub(crate) use text::comma;

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;
use tidemill_core::{NodeId, OpRef, Origin, Output, TensorType, Value};

/// Names one operation of one program; prints as `p7`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstId(pub u32);

impl InstId {
    /// The operation's position in the program.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for InstId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

impl fmt::Debug for InstId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One output of one operation of a program; prints as `p7` or `p7:1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ref {
    /// The operation.
    pub inst: InstId,
    /// Which of its outputs.
    pub index: u32,
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => write!(f, "{}", self.inst),
            i => write!(f, "{}:{i}", self.inst),
        }
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an operation of a program does.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Feed number `i` of the run.
    Feed(usize),
    /// A value known now.
    Constant(Value),
    /// The reference to variable number `i` of the program.
    Variable(usize),
    /// The value of variable number `i`.
    Read(usize),
    /// A copy of the operand that outlives later writes to the variable it was read from.
    Copy,
    /// An op of the graph.
    Op(OpRef),
    /// A loop.
    Loop(Box<LoopInst>),
    /// A conditional.
    If(Box<IfInst>),
}

/// One operation of a program.
#[derive(Clone, Debug)]
pub struct Inst {
    /// What it does.
    pub kind: Kind,
    /// Its operands, which stand before it.
    pub inputs: SmallVec<[Ref; 4]>,
    /// Operations that must have run.
    pub after: SmallVec<[InstId; 2]>,
    /// The types of its outputs.
    pub outputs: SmallVec<[TensorType; 1]>,
    /// The variables that its reference operands refer to, in that order, each once: it may write them.
    pub writes: SmallVec<[usize; 2]>,
    /// The node of the graph it stands for.
    pub node: NodeId,
    /// That node's name.
    pub name: Arc<str>,
    /// Where that node comes from.
    pub origin: Origin,
}

/// A variable that a program uses.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramVariable {
    /// Its node in the graph.
    pub node: NodeId,
    /// Its name.
    pub name: Arc<str>,
    /// The type it is declared with.
    pub ty: TensorType,
}

/// See the [module documentation](self).
#[derive(Clone, Debug)]
pub struct Program {
    /// The operations; operands stand before their users.
    pub insts: Vec<Inst>,
    /// The tensor of the graph that each feed replaces.
    pub feeds: Vec<Output>,
    /// What is fetched, in the order asked for.
    pub fetches: Vec<Ref>,
    /// Operations run for their effect.
    pub targets: Vec<InstId>,
    /// The variables that are read or written.
    pub variables: Vec<ProgramVariable>,
}

impl Program {
    /// The operation of this id.
    pub fn inst(&self, id: InstId) -> &Inst {
        &self.insts[id.index()]
    }

    /// The type of a value.
    pub fn ty(&self, r: Ref) -> &TensorType {
        &self.inst(r.inst).outputs[r.index as usize]
    }

    /// The constant behind a value, if it is one.
    pub fn constant(&self, r: Ref) -> Option<&Value> {
        match &self.inst(r.inst).kind {
            Kind::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Ids in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = InstId> + use<> {
        (0..self.insts.len() as u32).map(InstId)
    }

    /// For each operation, whether it must run: it is fetched, a target, has an effect that a target waits for, or feeds one
    /// that must.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.insts.len()];
        self.fetches.iter().for_each(|r| live[r.inst.index()] = true);
        self.targets.iter().for_each(|t| live[t.index()] = true);
        for id in self.ids().rev() {
            if live[id.index()] {
                let inst = self.inst(id);
                inst.inputs.iter().for_each(|r| live[r.inst.index()] = true);
                inst.after.iter().for_each(|a| live[a.index()] = true);
            }
        }
        live
    }

    /// Keeps the operations marked, and renumbers the rest of the program. What is kept must not use what is not.
    pub fn retain(&mut self, keep: &[bool]) {
        let mut new_id = vec![InstId(u32::MAX); self.insts.len()];
        let mut next = 0;
        for (i, keep) in keep.iter().enumerate() {
            if *keep {
                new_id[i] = InstId(next);
                next += 1;
            }
        }
        let mut i = 0;
        self.insts.retain(|_| {
            i += 1;
            keep[i - 1]
        });
        for inst in &mut self.insts {
            inst.inputs.iter_mut().for_each(|r| r.inst = new_id[r.inst.index()]);
            inst.after.retain(|a| keep[a.index()]);
            inst.after.iter_mut().for_each(|a| *a = new_id[a.index()]);
        }
        self.fetches.iter_mut().for_each(|r| r.inst = new_id[r.inst.index()]);
        self.targets.iter_mut().for_each(|t| *t = new_id[t.index()]);
    }

    /// The programs of the bodies inside, at any depth of this program's own operations.
    pub fn bodies_mut(&mut self) -> impl Iterator<Item = &mut Program> {
        self.insts.iter_mut().flat_map(|inst| match &mut inst.kind {
            Kind::Loop(inner) => inner.programs_mut().collect::<Vec<_>>(),
            Kind::If(inner) => vec![&mut inner.then, &mut inner.orelse],
            _ => vec![],
        })
    }

    /// Makes every use of `from` a use of `to(from)`, where that is `Some`.
    pub fn replace_uses(&mut self, mut to: impl FnMut(Ref) -> Option<Ref>) {
        for inst in &mut self.insts {
            inst.inputs.iter_mut().for_each(|r| *r = to(*r).unwrap_or(*r));
        }
        self.fetches.iter_mut().for_each(|r| *r = to(*r).unwrap_or(*r));
    }
}
