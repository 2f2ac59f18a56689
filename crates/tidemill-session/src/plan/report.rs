//! How much memory a plan's runs take.

use super::{LoopStep, Place, Plan, StepKind};

/// What a run needs beside its feeds, its results and the variables, in bytes, as far as that is known before it runs; see
/// [`Session::memory_report`](crate::Session::memory_report).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// The arena: all values that are made outside of loops and conditionals.
    pub arena: usize,
    /// Constants, those of bodies too. All runs of the plan share them.
    pub constants: usize,
    /// Loops and conditionals: the arenas of their bodies, and two buffers for each value that turns pass on.
    pub bodies: usize,
    /// How many values have a size that depends on data: they are in none of the other numbers.
    pub unknown: usize,
}

impl MemoryReport {
    /// All that is known.
    pub fn total(&self) -> usize {
        self.arena + self.constants + self.bodies
    }
}

impl Plan {
    /// What a run of the plan needs.
    pub fn memory(&self) -> MemoryReport {
        let mut report = MemoryReport { arena: self.arena_bytes, ..MemoryReport::default() };
        for slot in &self.slots {
            match &slot.place {
                Place::Constant(value) => report.constants += value.num_bytes(),
                Place::Dynamic => report.unknown += 1,
                Place::Feed(_) | Place::Variable(_) | Place::Arena(_) => {}
            }
        }
        for step in &self.steps {
            let bodies = match &step.kind {
                StepKind::Loop(inner) => {
                    report.bodies += inner.carry_bytes();
                    [Some(&inner.body), inner.cond.as_ref()]
                }
                StepKind::If(branches) => [Some(&branches[0]), Some(&branches[1])],
                _ => continue,
            };
            for body in bodies.into_iter().flatten().map(|body| body.plan.memory()) {
                report.bodies += body.arena + body.bodies;
                report.constants += body.constants;
                report.unknown += body.unknown;
            }
        }
        report
    }
}

impl LoopStep {
    /// The buffers of its carries; a loop whose shapes change passes values instead.
    fn carry_bytes(&self) -> usize {
        let carries = self.layout.xs - self.layout.carries;
        let bytes = |ty: &tidemill_core::TensorType| ty.shape.as_known()?.num_bytes(ty.dtype);
        match self.is_static {
            true => 2 * self.results[..carries].iter().filter_map(bytes).sum::<usize>(),
            false => 0,
        }
    }
}
