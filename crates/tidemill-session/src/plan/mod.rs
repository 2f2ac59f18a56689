//! `Plan`: a program made flat, ready to run.
//!
//! Steps stand in the order they run; every value has a *slot*, and every slot a place: a feed, a constant, a variable's memory, or
//! a stretch of the arena that one run has for itself. Whatever can be decided is decided here; a run goes through the steps.
//! Steps whose shapes depend on data are compiled again during the run, and their results live outside the arena.
//!
//! [`verify`](Plan::verify) is the specification of the form.

mod compile;
mod memory;
mod report;
mod schedule;
mod text;
mod verify;

pub(crate) use compile::fits;
pub use report::MemoryReport;

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;
use tidemill_core::ops::LoopLayout;
use tidemill_core::{NodeId, OpRef, Origin, Shape, TensorType, Value};

use crate::exec::FramePool;
use crate::kernels::{StepFn, VariableFn};
use crate::program::ProgramVariable;

/// Names one slot of one plan; prints as `s7`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

impl SlotId {
    /// The slot's position in the plan's table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a slot's bytes are.
#[derive(Clone, Debug)]
pub enum Place {
    /// In feed `i`.
    Feed(usize),
    /// In a constant of the plan.
    Constant(Value),
    /// In variable `i`, from the read on.
    Variable(usize),
    /// At this offset of the arena.
    Arena(usize),
    /// In a value made during the run, because the shape depends on data.
    Dynamic,
}

/// One slot.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The type of the value it was made for; values that share the slot have as many bytes.
    pub ty: TensorType,
    /// Where it is.
    pub place: Place,
    /// The slot that it is a part of.
    pub inside: Option<SlotId>,
}

impl Slot {
    /// How many bytes it has, when that is known before the run.
    pub fn bytes(&self) -> Option<usize> {
        self.ty.shape.as_known()?.num_bytes(self.ty.dtype)
    }
}

/// What a step does.
pub(crate) enum StepKind {
    /// Runs a compiled kernel.
    Kernel(Box<StepFn>),
    /// Points the slot at the variable's memory.
    Read(usize),
    /// Runs a compiled kernel on variables.
    Variable(SmallVec<[usize; 2]>, Box<VariableFn>),
    /// Copies its operand.
    Copy,
    /// Infers, compiles and runs an op on the values that there are by then; with the variables it writes.
    Dynamic(OpRef, SmallVec<[usize; 2]>),
    /// Repeats a plan.
    Loop(Box<LoopStep>),
    /// Runs one of two plans.
    If(Box<[SubPlan; 2]>),
}

/// A plan inside a plan.
pub(crate) struct SubPlan {
    pub(crate) plan: Plan,
    pub(crate) frames: FramePool,
}

/// How a loop runs.
pub(crate) struct LoopStep {
    pub(crate) layout: LoopLayout,
    /// Whether operand 0 is a trip count.
    pub(crate) trip: bool,
    pub(crate) reverse: bool,
    pub(crate) cond: Option<SubPlan>,
    pub(crate) body: SubPlan,
    /// The types of the body's results: carries, then one slice of each of the ys.
    pub(crate) results: Vec<TensorType>,
    /// The types of the body's slices of the xs.
    pub(crate) slices: Vec<TensorType>,
    /// Whether all types inside are known, so that turns pass buffers instead of values.
    pub(crate) is_static: bool,
}

/// One step.
pub struct PlanStep {
    pub(crate) kind: StepKind,
    /// Slots of the inputs, then of the outputs.
    pub slots: SmallVec<[u32; 6]>,
    /// How many of them are inputs.
    pub num_inputs: usize,
    /// The types of inputs and outputs, as the program has them.
    pub(crate) types: SmallVec<[TensorType; 4]>,
    /// The inputs whose values nobody uses afterwards, a bit each.
    pub(crate) dying: u64,
    /// What the step came from, for errors and listings.
    pub source: Arc<StepSource>,
}

/// What a step came from.
#[derive(Debug)]
pub struct StepSource {
    /// The op, or `Read`, `Copy`.
    pub op: &'static str,
    /// The node of the graph.
    pub node: NodeId,
    /// The node's name.
    pub name: Arc<str>,
    /// Where the node comes from.
    pub origin: Origin,
}

/// A fetched value: its slot, and its own shape where that is known before the run.
#[derive(Debug)]
pub struct PlanFetch {
    /// Where it is at the end of the run.
    pub slot: SlotId,
    /// Its shape; the slot may have been made for another.
    pub shape: Option<Shape>,
}

/// How a run uses a variable.
#[derive(Debug)]
pub struct PlanVariable {
    /// Which one.
    pub variable: ProgramVariable,
    /// Whether some step may change it.
    pub written: bool,
}

/// See the [module documentation](self).
pub struct Plan {
    /// What runs, in order.
    pub steps: Vec<PlanStep>,
    /// Where values are.
    pub slots: Vec<Slot>,
    /// What is handed out at the end.
    pub fetches: Vec<PlanFetch>,
    /// The variables used.
    pub variables: Vec<PlanVariable>,
    /// How many feeds a run brings.
    pub num_feeds: usize,
    /// The feeds whose buffers steps write: only the carries of a loop, whose buffers are the loop's.
    pub overwritten: Vec<usize>,
    /// How many bytes a run's arena has.
    pub arena_bytes: usize,
    /// The slots that are fed, each with its feed.
    pub(crate) feed_slots: Vec<(u32, u32)>,
    /// The slots that point out of the frame while a run lasts: at feeds, variables, and values made during the run.
    pub(crate) transient_slots: Vec<u32>,
}

impl PlanStep {
    /// Input slots.
    pub fn inputs(&self) -> &[u32] {
        &self.slots[..self.num_inputs]
    }

    /// Whether nobody uses input `i` after this step.
    pub(crate) fn last_use(&self, i: usize) -> bool {
        i < 64 && self.dying >> i & 1 == 1
    }

    /// Output slots.
    pub fn outputs(&self) -> &[u32] {
        &self.slots[self.num_inputs..]
    }
}
