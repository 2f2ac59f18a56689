//! Specialise and fold: with the feeds' shapes in place, infer every type again, and compute now what depends on constants only.
//!
//! Law: types are what the rules infer from the feeds, never what only the graph could tell; a folded operation gives the bytes that its kernel gives. Operations with effects,
//! random ones, and those that must wait for others are never folded; nor is anything larger than [`FOLD_LIMIT`]. What does not fit is an error now, or, where
//! the run writes variables before it gets there, when it gets there.

use smallvec::SmallVec;
use tidemill_core::ops::known_elements;
use tidemill_core::{
    Effect, Error, ErrorKind, InferCx, KnownValues, PartialShape, PartialValue, Result, TensorType, Value,
};

use super::{PassCx, ProgramValues, bodies};
use crate::exec::evaluate;
use crate::program::{Inst, InstId, Kind, Program, Ref, Rewrite};

/// The most bytes that a folded constant may have.
const FOLD_LIMIT: usize = 1 << 16;

pub(super) fn run(program: &mut Program, cx: &PassCx) -> Result<()> {
    loop {
        infer_all(program, cx)?;
        if !fold_several(program, cx)? {
            return Ok(());
        }
    }
}

fn infer_all(program: &mut Program, cx: &PassCx) -> Result<()> {
    for id in program.ids() {
        bodies::specialise(program, id, cx)?;
        infer(program, id)?;
        if let Some(value) = fold(program, id, cx)? {
            let inst = &mut program.insts[id.index()];
            inst.kind = Kind::Constant(value);
            inst.inputs.clear();
        }
    }
    Ok(())
}

fn infer(program: &mut Program, id: InstId) -> Result<()> {
    let inst = program.inst(id);
    let inputs: SmallVec<[TensorType; 4]> = inst.inputs.iter().map(|r| program.ty(*r).clone()).collect();
    let outputs: Vec<TensorType> = match &inst.kind {
        Kind::Feed(_) | Kind::Constant(_) | Kind::Variable(_) => return Ok(()),
        Kind::Read(_) => vec![TensorType::new(inputs[0].dtype, inputs[0].shape.clone())],
        Kind::Copy => vec![inputs[0].clone()],
        Kind::Loop(_) | Kind::If(_) => return Ok(()),
        Kind::Op(op) => {
            let values = ProgramValues { program, inputs: &inst.inputs };
            match op.checked_infer(&InferCx::new(&inputs, &values)) {
                Ok(types) => types,
                // What the run has written before it comes here stays written, so it comes here.
                Err(_) if writes(program) && inst.writes.is_empty() => {
                    let unknown =
                        |ty: &TensorType| TensorType { shape: PartialShape::unknown(), ..ty.clone() };
                    inst.outputs.iter().map(unknown).collect()
                }
                Err(e) => return Err(at(e, op.name(), inst)),
            }
        }
    };
    let too_large = |ty: &TensorType| ty.shape.as_known().is_some_and(|s| s.num_bytes(ty.dtype).is_none());
    if let Some(ty) = outputs.iter().find(|ty| too_large(ty)) {
        let error = Error::new(ErrorKind::ResourceExhausted, format!("a tensor {ty} cannot be addressed"));
        let name = if let Kind::Op(op) = &inst.kind { op.name() } else { "" };
        return Err(at(error, name, inst));
    }
    let inst = &mut program.insts[id.index()];
    for (have, inferred) in inst.outputs.iter_mut().zip(outputs) {
        // Not what the graph declares: that may rest on the value of a constant which this run feeds.
        have.shape = inferred.shape;
    }
    Ok(())
}

/// Whether a run changes variables.
fn writes(program: &Program) -> bool {
    program.insts.iter().any(|inst| !inst.writes.is_empty())
}

pub(crate) fn at(e: tidemill_core::Error, op: &str, inst: &Inst) -> tidemill_core::Error {
    e.with_node(op, &inst.name).with_origin(inst.origin.clone())
}

/// The value of a pure operation of one output on constants, if it is small.
fn fold(program: &Program, id: InstId, cx: &PassCx) -> Result<Option<Value>> {
    let inst = program.inst(id);
    let (Kind::Op(op), [output]) = (&inst.kind, &inst.outputs[..]) else { return Ok(None) };
    if !foldable(program, inst, cx) {
        return Ok(None);
    }
    // A shape chain is known even where its operands are not constants (the shape of a feed, say).
    if output.dtype.is_integer()
        && let Some(value) = known_value(program, Ref { inst: id, index: 0 }, output)
    {
        return Ok(Some(value));
    }
    let Some(constants) = constants(program, inst) else { return Ok(None) };
    let mut values = evaluate(cx.kernels, &**op, inst.node, &constants, &inst.outputs)
        .map_err(|e| at(e, op.name(), inst))?;
    Ok(values.pop())
}

/// Folds operations of several outputs, whose values need constants of their own. Whether there were any.
fn fold_several(program: &mut Program, cx: &PassCx) -> Result<bool> {
    let mut folded = false;
    let mut new = Rewrite::of(program);
    for id in program.ids() {
        let inst = program.inst(id);
        let values = match &inst.kind {
            Kind::Op(op) if inst.outputs.len() > 1 && foldable(program, inst, cx) => constants(program, inst)
                .map(|constants| evaluate(cx.kernels, &**op, inst.node, &constants, &inst.outputs))
                .transpose()
                .map_err(|e| at(e, op.name(), inst))?,
            _ => None,
        };
        let Some(values) = values else {
            new.keep(program, id);
            continue;
        };
        folded = true;
        for (index, value) in values.into_iter().enumerate() {
            let constant = new.constant(inst, value);
            new.replace(Ref { inst: id, index: index as u32 }, constant);
        }
    }
    if folded {
        new.finish(program);
    }
    Ok(folded)
}

/// Whether an operation may be computed now, once its operands are known.
fn foldable(program: &Program, inst: &Inst, cx: &PassCx) -> bool {
    let Kind::Op(op) = &inst.kind else { return false };
    // A constant that waits for others makes what uses it wait.
    let waits =
        inst.inputs.iter().any(|r| !program.inst(r.inst).after.is_empty() && program.constant(*r).is_some());
    let bytes = |ty: &TensorType| ty.shape.as_known().and_then(|s| s.num_bytes(ty.dtype));
    let small = inst.outputs.iter().all(|ty| bytes(ty).is_some_and(|b| b <= FOLD_LIMIT));
    op.effect() == Effect::Pure && inst.after.is_empty() && !waits && small && cx.kernels.has(&**op)
}

/// The operands' values, if all are constants, and there are any.
fn constants(program: &Program, inst: &Inst) -> Option<SmallVec<[Value; 4]>> {
    let all: SmallVec<[Value; 4]> =
        inst.inputs.iter().map(|r| program.constant(*r).cloned()).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

fn known_value(program: &Program, r: Ref, ty: &TensorType) -> Option<Value> {
    struct This<'a>(&'a Program, Ref);
    impl KnownValues for This<'_> {
        fn known(&self, _: usize) -> Option<PartialValue> {
            super::known_ref(self.0, self.1, super::KNOWN_VALUE_DEPTH)
        }
    }
    let elements: Option<Vec<i64>> = This(program, r).known(0)?.into_iter().collect();
    let value = Value::from(elements?).cast(ty.dtype).reshape(ty.shape.as_known()?).ok()?;
    // Only what this dtype can hold is known.
    known_elements(&value).is_some().then_some(value)
}
