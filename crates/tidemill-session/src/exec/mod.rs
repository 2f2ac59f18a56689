//! Running a plan.

mod dynamic;
mod evaluate;
mod frame;
mod item;
mod loops;
mod trace;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use smallvec::SmallVec;
use tidemill_core::{Error, Result, Value};

pub(crate) use evaluate::evaluate;
pub(crate) use frame::{Frame, FramePool};
pub(crate) use item::Item;
pub use trace::Trace;

use crate::kernels::args::{Args, RawBuf};
use crate::kernels::parallel::{Pool, Stop};
use crate::kernels::{KernelTable, NodeStates};
use crate::plan::{Place, Plan, PlanStep, StepKind};
use crate::variables::Guard;

/// What a run needs beside the plan.
pub(crate) struct RunCx<'a> {
    pub(crate) kernels: &'a KernelTable,
    pub(crate) states: &'a NodeStates,
    /// How many bytes the arena, any one step and what any one loop keeps may have.
    pub(crate) memory_limit: usize,
    pub(crate) pool: &'a Pool,
    pub(crate) stop: Stop<'a>,
    pub(crate) trace: Option<&'a Trace>,
}

/// Runs `plan` once. `feeds` are as the plan was compiled for; `variables` are locked, in the plan's order.
pub(crate) fn run(
    plan: &Plan,
    frame: &mut Frame,
    feeds: &[Value],
    variables: &mut [Guard<'_>],
    cx: &RunCx,
) -> Result<SmallVec<[Value; 4]>> {
    frame.bind_feeds(plan, feeds.iter().cloned().map(Item::Value).collect());
    let mut at = 0;
    // The frame is reset by the next run and variables are only replaced whole or updated in place by kernels that check first,
    // so a panic leaves nothing broken behind.
    let outcome = catch_unwind(AssertUnwindSafe(|| run_steps(plan, &mut at, frame, variables, cx)));
    match outcome {
        Ok(result) => result?,
        Err(panic) => {
            let said = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "something that is no message".to_owned());
            return Err(blame(plan, at, Error::internal(format!("the kernel panicked: {said}"))));
        }
    }
    cx.stop.check()?;
    plan.fetches.iter().map(|fetch| Ok(frame.fetch(plan, fetch)?.value()?.clone())).collect()
}

/// Runs the steps of a plan whose frame is bound; `at` says which one is running.
fn run_steps(
    plan: &Plan,
    at: &mut usize,
    frame: &mut Frame,
    variables: &mut [Guard<'_>],
    cx: &RunCx,
) -> Result<()> {
    while let Some(step) = plan.steps.get(*at) {
        cx.stop.check()?;
        let began = cx.trace.map(|_| Instant::now());
        step_once(plan, step, frame, variables, cx).map_err(|e| blame(plan, *at, e))?;
        if let (Some(trace), Some(began)) = (cx.trace, began) {
            trace.record(&step.source, began);
        }
        *at += 1;
    }
    Ok(())
}

/// Says which step went wrong, unless that is said already.
fn blame(plan: &Plan, at: usize, e: Error) -> Error {
    match plan.steps.get(at) {
        Some(step) => e.with_node(step.source.op, &step.source.name).with_origin(step.source.origin.clone()),
        None => e,
    }
}

impl RunCx<'_> {
    fn bench(&self) -> evaluate::Bench<'_> {
        evaluate::Bench { kernels: self.kernels, states: self.states, memory_limit: self.memory_limit }
    }

    /// # Errors
    /// `ResourceExhausted` when a run may not have so many bytes.
    pub(crate) fn check_memory(&self, bytes: usize) -> Result<()> {
        evaluate::check_memory([bytes].into_iter(), self.memory_limit)
    }
}

fn step_once(
    plan: &Plan,
    step: &PlanStep,
    frame: &mut Frame,
    variables: &mut [Guard<'_>],
    cx: &RunCx,
) -> Result<()> {
    match &step.kind {
        StepKind::Kernel(run) => {
            // SAFETY: `frame.table` is bound as the plan says (`Frame::new`, `bind_feeds`, and steps before this one); the
            // plan's verifier checks that what a step writes overlaps nothing that is live.
            let mut args =
                unsafe { Args::new(&frame.table, &step.slots, step.num_inputs) }.shared_by(cx.pool, &cx.stop);
            run(&mut args)
        }
        StepKind::Read(v) => read(plan, step, *v, frame, variables),
        StepKind::Variable(written, run) => {
            // SAFETY: as above. The variables' own slots are not among the data that the kernel may touch through `args`.
            let mut args =
                unsafe { Args::new(&frame.table, &step.slots, step.num_inputs) }.shared_by(cx.pool, &cx.stop);
            let mut contents = contents(variables, written)?;
            let missing = contents.iter().position(|c| c.is_none());
            run(&mut contents, &mut args).map_err(|e| name_variable(e, plan, missing.map(|i| written[i])))
        }
        StepKind::Loop(inner) => loops::run_loop(plan, step, inner, frame, variables, cx),
        StepKind::If(inner) => loops::run_if(plan, step, inner, frame, variables, cx),
        StepKind::Copy => dynamic::copy(plan, step, frame),
        StepKind::Dynamic(op, writes) => dynamic::step(plan, step, &**op, writes, frame, variables, cx),
    }
}

fn read(plan: &Plan, step: &PlanStep, v: usize, frame: &mut Frame, variables: &[Guard<'_>]) -> Result<()> {
    let Some(value) = variables[v].content() else {
        return Err(name_variable(crate::kernels::uninitialised(), plan, Some(v)));
    };
    let slot = step.outputs()[0] as usize;
    let ty = &step.types[0];
    if !crate::plan::fits(value, ty) {
        return Err(Error::precondition(format!(
            "the variable \"{}\" holds a {}{}, but is read as {ty}",
            plan.variables[v].variable.name,
            value.dtype(),
            value.shape()
        )));
    }
    match plan.slots[slot].place {
        Place::Dynamic => frame.hold(slot, Item::Value(value.clone())),
        _ => {
            frame.table[slot] = RawBuf {
                ptr: value.bytes().as_ptr().cast_mut(),
                bytes: value.num_bytes(),
                dtype: value.dtype(),
            };
        }
    }
    Ok(())
}

/// Says which variable is not initialised, when that is what is wrong.
fn name_variable(e: Error, plan: &Plan, missing: Option<usize>) -> Error {
    match missing {
        Some(v) if e.message() == crate::kernels::UNINITIALISED => {
            crate::kernels::uninitialised_named(&plan.variables[v].variable.name)
        }
        _ => e,
    }
}

/// The contents of the variables `written`, in that order; they are distinct.
fn contents<'g>(
    variables: &'g mut [Guard<'_>],
    written: &[usize],
) -> Result<SmallVec<[&'g mut Option<Value>; 4]>> {
    let mut found: SmallVec<[(usize, &mut Option<Value>); 4]> = SmallVec::new();
    for (v, guard) in variables.iter_mut().enumerate() {
        if let Some(at) = written.iter().position(|w| *w == v) {
            found.push((at, guard.content_mut()?));
        }
    }
    found.sort_unstable_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, content)| content).collect())
}
