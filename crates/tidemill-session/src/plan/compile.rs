//! From a program to a plan: compile kernels, share slots, put steps in order, place slots in the arena.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tidemill_core::{Error, ErrorKind, PartialShape, Result, TensorType, Value};

use super::{
    LoopStep, Place, Plan, PlanFetch, PlanStep, PlanVariable, Slot, SlotId, StepKind, StepSource, SubPlan,
    memory, schedule,
};
use crate::exec::FramePool;
use crate::kernels::{CompileCx, Compiled, KernelTable, NodeStates};
use crate::passes::at;
use crate::program::{Inst, InstId, Kind, Program, Ref};

/// The step of one operation, before it has an order.
pub(super) struct Draft {
    pub(super) kind: StepKind,
    pub(super) inputs: SmallVec<[SlotId; 4]>,
    pub(super) outputs: SmallVec<[SlotId; 2]>,
    /// Operands whose buffer output 0 may take over.
    pub(super) in_place: SmallVec<[usize; 2]>,
    /// Operands that may lie inside of output 0, at these offsets in bytes.
    pub(super) joins: Vec<(usize, usize)>,
    /// The operand inside of which the outputs may lie, at these offsets in bytes.
    pub(super) parts: Option<(usize, Vec<usize>)>,
}

impl Plan {
    /// Compiles a program.
    ///
    /// # Errors
    /// `Unimplemented` for an op without a kernel, and whatever kernels find wrong when they are compiled, each naming its node.
    pub(crate) fn compile(program: &Program, kernels: &KernelTable, states: &NodeStates) -> Result<Plan> {
        Plan::compile_owning(program, 0, kernels, states)
    }

    /// [`compile`](Plan::compile) where the buffers of the first `owned` feeds may be written, once they are needed no more.
    fn compile_owning(
        program: &Program,
        owned: usize,
        kernels: &KernelTable,
        states: &NodeStates,
    ) -> Result<Plan> {
        let mut planner = Planner {
            program,
            kernels,
            states,
            slots: vec![],
            slot_of: FxHashMap::default(),
            drafts: vec![],
        };
        for id in program.ids() {
            let draft = planner.draft(id, program.inst(id))?;
            planner.drafts.push(draft);
        }
        let Planner { mut slots, slot_of, drafts, .. } = planner;
        let order = schedule::order(program, &drafts);
        let fetches: Vec<PlanFetch> = program
            .fetches
            .iter()
            .map(|r| PlanFetch { slot: slot_of[r], shape: program.ty(*r).shape.as_known() })
            .collect();
        check_sizes(&slots)?;
        let mut remap: Vec<u32> = (0..slots.len() as u32).collect();
        let arena_bytes = memory::place(&mut slots, &mut remap, &drafts, &order, &fetches, owned);
        let variables = program
            .variables
            .iter()
            .enumerate()
            .map(|(i, variable)| PlanVariable {
                variable: variable.clone(),
                written: program.insts.iter().any(|inst| inst.writes.contains(&i)),
            })
            .collect();
        let mut drafts: Vec<Option<Draft>> = drafts;
        let steps = order
            .iter()
            .filter_map(|id| {
                let draft = drafts[id.index()].take()?;
                let inst = program.inst(*id);
                let num_inputs = draft.inputs.len();
                let slots = draft.inputs.iter().chain(&draft.outputs).map(|s| remap[s.index()]).collect();
                let types =
                    inst.inputs.iter().map(|r| program.ty(*r).clone()).chain(inst.outputs.iter().cloned());
                Some(PlanStep {
                    kind: draft.kind,
                    slots,
                    num_inputs,
                    types: types.collect(),
                    dying: 0,
                    source: source(inst),
                })
            })
            .collect();
        let mut steps: Vec<PlanStep> = steps;
        let fetches: Vec<PlanFetch> =
            fetches.into_iter().map(|f| PlanFetch { slot: SlotId(remap[f.slot.index()]), ..f }).collect();
        mark_last_uses(&mut steps, &slots, &fetches);
        let written = |s: &u32| match slots[*s as usize].place {
            Place::Feed(i) => Some(i),
            _ => None,
        };
        let mut overwritten: Vec<usize> =
            steps.iter().flat_map(|s| s.outputs()).filter_map(written).collect();
        overwritten.sort_unstable();
        overwritten.dedup();
        let places = slots.iter().enumerate().map(|(i, slot)| (i as u32, &slot.place));
        let feed_slots = places
            .clone()
            .filter_map(|(i, place)| match place {
                Place::Feed(feed) => Some((i, *feed as u32)),
                _ => None,
            })
            .collect();
        let transient = |place: &Place| matches!(place, Place::Feed(_) | Place::Variable(_) | Place::Dynamic);
        let transient_slots = places.filter(|(_, place)| transient(place)).map(|(i, _)| i).collect();
        let num_feeds = program.feeds.len();
        let plan = Plan {
            steps,
            slots,
            fetches,
            variables,
            num_feeds,
            overwritten,
            arena_bytes,
            feed_slots,
            transient_slots,
        };
        if cfg!(debug_assertions) {
            plan.verify()?;
        }
        Ok(plan)
    }
}

/// # Errors
/// `ResourceExhausted` when what has a place in the arena cannot be there on any machine.
fn check_sizes(slots: &[Slot]) -> Result<()> {
    let arena = slots.iter().filter(|slot| matches!(slot.place, Place::Arena(_)));
    let total = arena.map(|slot| slot.bytes().unwrap_or(usize::MAX)).fold(0usize, usize::saturating_add);
    if total < isize::MAX as usize / 2 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::ResourceExhausted, "the values of a run have more bytes than can be addressed"))
}

/// Marks the inputs that no later step uses and that are not fetched.
fn mark_last_uses(steps: &mut [PlanStep], slots: &[Slot], fetches: &[PlanFetch]) {
    let mut used = vec![false; slots.len()];
    fetches.iter().for_each(|f| used[f.slot.index()] = true);
    for step in steps.iter_mut().rev() {
        for i in (0..step.num_inputs).rev() {
            let used = &mut used[step.slots[i] as usize];
            if !std::mem::replace(used, true) && i < 64 {
                step.dying |= 1 << i;
            }
        }
    }
}

fn source(inst: &Inst) -> Arc<StepSource> {
    let op = match &inst.kind {
        Kind::Op(op) => op.name(),
        Kind::Read(_) => "Read",
        Kind::Copy => "Copy",
        Kind::Loop(_) => "Loop",
        Kind::If(_) => "If",
        Kind::Feed(_) | Kind::Constant(_) | Kind::Variable(_) => "",
    };
    Arc::new(StepSource { op, node: inst.node, name: inst.name.clone(), origin: inst.origin.clone() })
}

struct Planner<'a> {
    program: &'a Program,
    kernels: &'a KernelTable,
    states: &'a NodeStates,
    slots: Vec<Slot>,
    slot_of: FxHashMap<Ref, SlotId>,
    drafts: Vec<Option<Draft>>,
}

impl Planner<'_> {
    fn slot(&mut self, r: Ref, ty: &TensorType, place: Place) -> SlotId {
        let id = SlotId(self.slots.len() as u32);
        self.slots.push(Slot { ty: ty.clone(), place, inside: None });
        self.slot_of.insert(r, id);
        id
    }

    /// The step of one operation; `None` when nothing runs for it.
    fn draft(&mut self, id: InstId, inst: &Inst) -> Result<Option<Draft>> {
        let out = Ref { inst: id, index: 0 };
        let inputs: SmallVec<[SlotId; 4]> = inst.inputs.iter().map(|r| self.slot_of[r]).collect();
        match &inst.kind {
            Kind::Feed(i) => {
                self.slot(out, &inst.outputs[0], Place::Feed(*i));
                Ok(None)
            }
            Kind::Constant(value) => {
                self.slot(out, &inst.outputs[0], Place::Constant(value.clone()));
                Ok(None)
            }
            Kind::Variable(v) => {
                self.slot(out, &inst.outputs[0], Place::Variable(*v));
                Ok(None)
            }
            Kind::Read(v) => {
                let place = if known(&inst.outputs[0]) { Place::Variable(*v) } else { Place::Dynamic };
                let slot = self.slot(out, &inst.outputs[0], place);
                Ok(Some(Draft::new(StepKind::Read(*v), SmallVec::new(), SmallVec::from_slice(&[slot]))))
            }
            Kind::Copy => {
                let place = if known(&inst.outputs[0]) { Place::Arena(0) } else { Place::Dynamic };
                let slot = self.slot(out, &inst.outputs[0], place);
                Ok(Some(Draft::new(StepKind::Copy, inputs, SmallVec::from_slice(&[slot]))))
            }
            Kind::Loop(inner) => {
                let layout = inner.layout();
                let body = &inner.body;
                let cond = inner.cond.as_ref().map(|c| self.sub_plan(c, 0)).transpose()?;
                let results: Vec<TensorType> = body.fetches.iter().map(|r| body.ty(*r).clone()).collect();
                let feed_type = |i: usize| feed_type(body, i);
                let carries = (0..inner.carries).map(feed_type);
                let slices: Vec<TensorType> = (0..inner.xs)
                    .map(|x| {
                        let whole = self.program.ty(inst.inputs[layout.xs + x]);
                        feed_type(inner.carries + x).unwrap_or_else(|| slice_type(whole))
                    })
                    .collect();
                // A carry's buffer serves every turn, so its type must be known, and the same going in and coming out.
                let same = carries.zip(&results).all(|(ty, result)| ty.is_none_or(|ty| ty == *result));
                let outer = inst
                    .inputs
                    .iter()
                    .all(|r| known(self.program.ty(*r)) || self.program.ty(*r).shape.rank().is_some());
                let is_static = same
                    && outer
                    && results.iter().all(known)
                    && slices.iter().all(known)
                    && is_static(body)
                    && inner.cond.as_ref().is_none_or(is_static);
                let step = LoopStep {
                    layout,
                    trip: inner.trip,
                    reverse: inner.reverse,
                    cond,
                    body: self.sub_plan(body, inner.carries)?,
                    results,
                    slices,
                    is_static,
                };
                let outputs = self.outputs(id, inst);
                Ok(Some(Draft::new(StepKind::Loop(Box::new(step)), inputs, outputs)))
            }
            Kind::If(inner) => {
                let plans = [self.sub_plan(&inner.then, 0)?, self.sub_plan(&inner.orelse, 0)?];
                let outputs = self.outputs(id, inst);
                Ok(Some(Draft::new(StepKind::If(Box::new(plans)), inputs, outputs)))
            }
            Kind::Op(op) => {
                let types: SmallVec<[TensorType; 4]> =
                    inst.inputs.iter().map(|r| self.program.ty(*r).clone()).collect();
                let is_static = types.iter().all(known) && inst.outputs.iter().all(known);
                let compiled = if is_static {
                    let values = |i: usize| self.program.constant(inst.inputs[i]).cloned();
                    let cx = CompileCx {
                        node: inst.node,
                        inputs: &types,
                        outputs: &inst.outputs,
                        values: &values,
                        states: self.states,
                        on_values: false,
                    };
                    self.kernels.compile(&**op, &cx).map_err(|e| at(e, op.name(), inst))?
                } else if self.kernels.has(&**op) {
                    Compiled::Deferred
                } else {
                    // Says that there is no kernel, rather than that the shape is not known.
                    let cx = CompileCx {
                        node: inst.node,
                        inputs: &[],
                        outputs: &[],
                        values: &|_| None,
                        states: self.states,
                        on_values: false,
                    };
                    self.kernels.compile(&**op, &cx).map_err(|e| at(e, op.name(), inst))?
                };
                let (mut in_place, mut joins, mut parts) = (SmallVec::new(), vec![], None);
                let kind = match compiled {
                    Compiled::Nothing => {
                        self.outputs(id, inst);
                        return Ok(None);
                    }
                    Compiled::Alias(i) => {
                        self.slot_of.insert(out, inputs[i]);
                        return Ok(None);
                    }
                    Compiled::Aliases => {
                        let outputs = (0..).map(|index| Ref { inst: id, index });
                        self.slot_of.extend(outputs.zip(inputs));
                        return Ok(None);
                    }
                    Compiled::Step(step) => {
                        (in_place, joins, parts) = (step.in_place, step.joins, step.parts);
                        StepKind::Kernel(step.run)
                    }
                    Compiled::Variable(run) => StepKind::Variable(inst.writes.clone(), run),
                    Compiled::Values(_) | Compiled::Deferred => {
                        StepKind::Dynamic(op.clone(), inst.writes.clone())
                    }
                };
                let outputs = self.outputs(id, inst);
                Ok(Some(Draft { in_place, joins, parts, ..Draft::new(kind, inputs, outputs) }))
            }
        }
    }

    /// A plan whose first `owned` feeds are its own to write.
    fn sub_plan(&self, program: &Program, owned: usize) -> Result<SubPlan> {
        let plan = Plan::compile_owning(program, owned, self.kernels, self.states)?;
        Ok(SubPlan { plan, frames: FramePool::default() })
    }

    /// Fresh slots for the outputs; a reference's is the variable's.
    fn outputs(&mut self, id: InstId, inst: &Inst) -> SmallVec<[SlotId; 2]> {
        (0..inst.outputs.len() as u32)
            .map(|index| {
                let ty = &inst.outputs[index as usize];
                let place = match inst.writes.first() {
                    Some(v) if ty.is_ref => Place::Variable(*v),
                    _ if known(ty) => Place::Arena(0),
                    _ => Place::Dynamic,
                };
                self.slot(Ref { inst: id, index }, ty, place)
            })
            .collect()
    }
}

impl Draft {
    fn new(kind: StepKind, inputs: SmallVec<[SlotId; 4]>, outputs: SmallVec<[SlotId; 2]>) -> Draft {
        Draft { kind, inputs, outputs, in_place: SmallVec::new(), joins: vec![], parts: None }
    }
}

/// The type of feed `i` of a body; `None` when the body does not use it.
fn feed_type(body: &Program, i: usize) -> Option<TensorType> {
    body.insts
        .iter()
        .find(|inst| matches!(inst.kind, Kind::Feed(f) if f == i))
        .map(|inst| inst.outputs[0].clone())
}

/// The type of one slice along axis 0.
fn slice_type(ty: &TensorType) -> TensorType {
    let rest = match ty.shape.dims() {
        Some([_, rest @ ..]) => PartialShape::from(rest),
        _ => PartialShape::unknown(),
    };
    TensorType::new(ty.dtype, rest)
}

/// Whether the types of all values in a body are known.
fn is_static(body: &Program) -> bool {
    body.insts.iter().filter(|i| matches!(i.kind, Kind::Feed(_))).all(|i| known(&i.outputs[0]))
}

/// Whether a value of this type has a place before the run. A reference always has: its variable. An object has no bytes to place.
fn known(ty: &TensorType) -> bool {
    ty.is_ref || (ty.shape.is_fully_known() && !ty.dtype.is_object())
}

/// A value's bytes and shape as the plan knows them agree with `ty`.
pub(crate) fn fits(value: &Value, ty: &TensorType) -> bool {
    value.dtype() == ty.dtype && ty.shape.accepts(value.shape())
}
