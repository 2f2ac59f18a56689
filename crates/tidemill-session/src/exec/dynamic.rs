//! Steps whose shapes, or whose operands' values, are known only during the run.

use smallvec::SmallVec;
use tidemill_core::ops::{AddN, AddV2, Identity, ZerosLike};
use tidemill_core::{AnyOp, Error, PartialShape, Result, TensorType, Value};

use super::{Frame, Item, RunCx};
use crate::plan::{Place, Plan, PlanStep};
use crate::variables::Guard;

/// Infers, compiles and runs `op` on what its operands are now.
pub(super) fn step(
    plan: &Plan,
    step: &PlanStep,
    op: &dyn AnyOp,
    writes: &[usize],
    frame: &mut Frame,
    variables: &mut [Guard<'_>],
    cx: &RunCx,
) -> Result<()> {
    let mut inputs: Vec<Value> = Vec::with_capacity(step.num_inputs);
    let mut types: SmallVec<[TensorType; 4]> = SmallVec::new();
    let mut references = writes.iter();
    let turns = |slot: &u32| matches!(frame.held(plan, *slot as usize), Some(Item::Turns(_)));
    if each_for_itself(op) && step.inputs().iter().any(turns) {
        return over_turns(plan, step, op, frame, cx);
    }
    for (i, ty) in step.types[..step.num_inputs].iter().enumerate() {
        if ty.is_ref {
            // The variable itself goes to the kernel apart; its shape is the one it has now.
            let held = references.next().and_then(|v| variables[*v].content());
            let shape = held.map_or_else(|| ty.shape.clone(), |v| v.shape().into());
            types.push(TensorType::reference(ty.dtype, shape));
            inputs.push(Value::zeros(ty.dtype, [0])?);
            continue;
        }
        let value = match take(plan, step, frame, i)? {
            Item::Value(value) => value,
            turns @ Item::Turns(_) => turns.value()?.clone(),
        };
        types.push(TensorType::new(value.dtype(), value.shape()));
        inputs.push(value);
    }
    let declared = &step.types[step.num_inputs..];
    let mut contents = super::contents(variables, writes)?;
    let missing = contents.iter().position(|c| c.is_none());
    let outputs = cx
        .bench()
        .run(op, step.source.node, inputs, &types, declared, &mut contents)
        .map_err(|e| super::name_variable(e, plan, missing.map(|i| writes[i])))?;
    for ((slot, value), ty) in step.outputs().iter().zip(outputs).zip(declared) {
        if !ty.is_ref {
            store(plan, *slot as usize, Item::Value(value), ty, frame)?;
        }
    }
    Ok(())
}

/// What operand `slot` of a step is now, and stays, whatever later steps write in its place.
pub(super) fn operand(plan: &Plan, frame: &Frame, slot: usize, ty: &TensorType) -> Result<Item> {
    let item = frame.item(plan, slot, ty.shape.as_known())?;
    match (&plan.slots[slot].place, &item) {
        (Place::Feed(i), Item::Value(value)) if plan.overwritten.contains(i) => {
            Ok(Item::Value(Value::from_bytes(value.dtype(), value.shape(), value.bytes())?))
        }
        _ => Ok(item),
    }
}

/// What operand `i` of a step is now; the step is its only owner if nobody needs it afterwards.
pub(super) fn take(plan: &Plan, step: &PlanStep, frame: &mut Frame, i: usize) -> Result<Item> {
    let (slot, ty) = (step.inputs()[i] as usize, &step.types[i]);
    if ty.is_ref {
        // A variable that a body assigns: that is at hand there.
        return Ok(Item::Value(Value::zeros(ty.dtype, [0])?));
    }
    if !step.last_use(i) {
        return operand(plan, frame, slot, ty);
    }
    let item = frame.item(plan, slot, ty.shape.as_known())?;
    frame.drop_item(plan, slot);
    Ok(item)
}

/// Whether `op` computes each element of its one output from the same element of its operands: then what loops keep of their turns may
/// go through it turn by turn. These are the ops that add gradients up.
fn each_for_itself(op: &dyn AnyOp) -> bool {
    op.is::<AddN>() || op.is::<AddV2>() || op.is::<Identity>() || op.is::<ZerosLike>()
}

/// Runs an op on each turn of its operands.
fn over_turns(plan: &Plan, step: &PlanStep, op: &dyn AnyOp, frame: &mut Frame, cx: &RunCx) -> Result<()> {
    let types = step.types.iter();
    let inputs = step.inputs().iter().zip(types).map(|(s, ty)| operand(plan, frame, *s as usize, ty));
    let inputs: Vec<Item> = inputs.collect::<Result<_>>()?;
    let result = turn_by_turn(step, op, &inputs, cx)?;
    store(plan, step.outputs()[0] as usize, result, &step.types[step.num_inputs], frame)
}

fn turn_by_turn(step: &PlanStep, op: &dyn AnyOp, inputs: &[Item], cx: &RunCx) -> Result<Item> {
    let dtype = step.types[step.num_inputs].dtype;
    if inputs.iter().all(|i| matches!(i, Item::Value(_))) {
        let inputs: Vec<Value> = inputs.iter().map(|i| i.value().cloned()).collect::<Result<_>>()?;
        let types: Vec<TensorType> = inputs.iter().map(|v| TensorType::new(v.dtype(), v.shape())).collect();
        let declared = [TensorType::new(dtype, PartialShape::unknown())];
        let node = step.source.node;
        let made = cx.bench().run(op, node, inputs, &types, &declared, &mut [])?;
        return made
            .into_iter()
            .next()
            .map(Item::Value)
            .ok_or_else(|| Error::internal("an op gives nothing"));
    }
    let turns = inputs.iter().filter_map(Item::len).max().unwrap_or(0);
    if inputs.iter().any(|i| i.len() != Some(turns)) {
        return Err(Error::internal("operands come from loops of different numbers of turns"));
    }
    let turn = |t| {
        let inputs: Vec<Item> = inputs.iter().map(|i| i.slice(t)).collect::<Result<_>>()?;
        turn_by_turn(step, op, &inputs, cx)
    };
    Item::stack((0..turns).map(turn).collect::<Result<_>>()?, dtype, &PartialShape::unknown())
}

/// Copies the operand to the output.
pub(super) fn copy(plan: &Plan, step: &PlanStep, frame: &mut Frame) -> Result<()> {
    let item = operand(plan, frame, step.inputs()[0] as usize, &step.types[0])?;
    store(plan, step.outputs()[0] as usize, item, &step.types[1], frame)
}

/// Puts an item into the slot of an output.
pub(super) fn store(plan: &Plan, slot: usize, item: Item, ty: &TensorType, frame: &mut Frame) -> Result<()> {
    if let Item::Value(value) = &item
        && !crate::plan::fits(value, ty)
    {
        return Err(Error::invalid(format!(
            "the result is a {}{}, where {ty} was promised",
            value.dtype(),
            value.shape()
        )));
    }
    if let Place::Dynamic = plan.slots[slot].place {
        frame.hold(slot, item);
        return Ok(());
    }
    let (buffer, bytes) = (frame.table[slot], item.value()?.bytes());
    // SAFETY: the slot is in the arena, has `buffer.bytes` bytes, and holds nothing live; the value lies elsewhere.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.ptr, bytes.len().min(buffer.bytes));
    }
    Ok(())
}
