//! Steps whose shapes, or whose operands' values, are known only during the run.

use smallvec::SmallVec;
use tidemill_core::{AnyOp, Error, Result, TensorType, Value};

use super::evaluate::evaluate_in;
use super::{Frame, RunCx, shape_now};
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
    let mut inputs: SmallVec<[Value; 4]> = SmallVec::new();
    let mut types: SmallVec<[TensorType; 4]> = SmallVec::new();
    let mut references = writes.iter();
    for (slot, ty) in step.inputs().iter().zip(&step.types) {
        if ty.is_ref {
            // The variable itself goes to the kernel apart; its shape is the one it has now.
            let held = references.next().and_then(|v| variables[*v].content());
            let shape = held.map_or_else(|| ty.shape.clone(), |v| v.shape().into());
            types.push(TensorType::reference(ty.dtype, shape));
            inputs.push(Value::zeros(ty.dtype, [0])?);
            continue;
        }
        let slot = *slot as usize;
        let shape = shape_now(plan, frame, slot, ty)
            .ok_or_else(|| Error::internal("an operand's shape is not known even now"))?;
        let value = frame.value(plan, slot, &shape)?;
        types.push(TensorType::new(value.dtype(), value.shape()));
        inputs.push(value);
    }
    let declared = &step.types[step.num_inputs..];
    let mut contents = super::contents(variables, writes)?;
    let missing = contents.iter().position(|c| c.is_none());
    let outputs =
        evaluate_in(cx.kernels, cx.states, op, step.source.node, &inputs, &types, declared, &mut contents)
            .map_err(|e| super::name_variable(e, plan, missing.map(|i| writes[i])))?;
    for ((slot, value), ty) in step.outputs().iter().zip(outputs).zip(declared) {
        if !ty.is_ref {
            store(plan, *slot as usize, value, ty, frame)?;
        }
    }
    Ok(())
}

/// Copies the operand to the output.
pub(super) fn copy(plan: &Plan, step: &PlanStep, frame: &mut Frame) -> Result<()> {
    let from = step.inputs()[0] as usize;
    let shape = shape_now(plan, frame, from, &step.types[0])
        .ok_or_else(|| Error::internal("a copied value's shape is not known even now"))?;
    let value = frame.value(plan, from, &shape)?;
    store(plan, step.outputs()[0] as usize, value, &step.types[1], frame)
}

pub(super) fn store(
    plan: &Plan,
    slot: usize,
    value: Value,
    ty: &TensorType,
    frame: &mut Frame,
) -> Result<()> {
    if !crate::plan::fits(&value, ty) {
        return Err(Error::invalid(format!(
            "the result is a {}{}, where {ty} was promised",
            value.dtype(),
            value.shape()
        )));
    }
    match plan.slots[slot].place {
        Place::Dynamic => frame.set_dynamic(slot, value),
        _ => {
            let buffer = frame.table[slot];
            let bytes = value.bytes();
            // SAFETY: the slot is in the arena, has `buffer.bytes` bytes, and holds nothing live; `value` lies elsewhere.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.ptr, bytes.len().min(buffer.bytes))
            }
        }
    }
    Ok(())
}
