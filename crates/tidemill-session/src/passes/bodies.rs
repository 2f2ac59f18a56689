//! Specialising the bodies of loops and conditionals: what is known of the operands is known of the parameters.
//!
//! The type of a carry must hold in every turn: it starts as the operand's and is widened until the body gives nothing that it does not
//! cover. A capture that is a constant outside is a constant inside.

use std::sync::Arc;

use tidemill_core::ops::FakeParam;
use tidemill_core::{DType, ErrorKind, InferCx, PartialShape, Result, TensorType, Value};

use super::{PassCx, ProgramValues, specialise};
use crate::program::{IfInst, InstId, Kind, LoopInst, Program, Ref};

/// Specialises the bodies of one operation, if it has any, and sets the types of its outputs.
pub(super) fn specialise(program: &mut Program, id: InstId, cx: &PassCx) -> Result<()> {
    // Taken out while it is worked on; the operands stay readable.
    let kind = std::mem::replace(&mut program.insts[id.index()].kind, Kind::Copy);
    let (kind, outputs) = match kind {
        Kind::Loop(mut inner) => {
            let outputs = of_loop(program, id, &mut inner, cx)?;
            (Kind::Loop(inner), outputs)
        }
        Kind::If(mut inner) => {
            let outputs = of_if(program, id, &mut inner, cx)?;
            (Kind::If(inner), outputs)
        }
        other => {
            program.insts[id.index()].kind = other;
            return Ok(());
        }
    };
    let inst = &mut program.insts[id.index()];
    inst.kind = kind;
    for (have, inferred) in inst.outputs.iter_mut().zip(outputs) {
        have.shape = inferred.shape;
    }
    Ok(())
}

/// What is known of a program's parameters.
struct Known {
    types: Vec<TensorType>,
    constants: Vec<Option<Value>>,
}

impl Known {
    fn of(program: &Program, operands: &[Ref]) -> Known {
        Known {
            types: operands.iter().map(|r| program.ty(*r).clone()).collect(),
            constants: operands.iter().map(|r| program.constant(*r).cloned()).collect(),
        }
    }

    /// Puts it into the body, and specialises that.
    fn put(&self, body: &mut Program, cx: &PassCx) -> Result<()> {
        for inst in &mut body.insts {
            if let Kind::Feed(i) = inst.kind {
                let (have, more) = (&inst.outputs[0].shape, &self.types[i].shape);
                inst.outputs[0].shape = have.merge(more).unwrap_or_else(|| have.clone());
                if let Some(value) = &self.constants[i] {
                    inst.kind = Kind::Constant(value.clone());
                    inst.outputs[0].shape = value.shape().into();
                }
            }
        }
        specialise::run(body, cx)
    }
}

impl Known {
    /// Puts it into a branch, unless something in there cannot be right with it: then the branch stays as it was built, and fails when it is
    /// taken.
    fn put_if_right(&self, branch: &mut Program, cx: &PassCx) -> Result<()> {
        let mut specialised = branch.clone();
        match self.put(&mut specialised, cx) {
            Ok(()) => *branch = specialised,
            Err(e) if e.kind() == ErrorKind::InvalidArgument => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

fn of_loop(program: &Program, id: InstId, inner: &mut LoopInst, cx: &PassCx) -> Result<Vec<TensorType>> {
    let operands = program.inst(id).inputs.clone();
    let layout = inner.layout();
    let mut carries = Known::of(program, &operands[layout.carries..layout.xs]);
    // A carry changes from turn to turn, whatever it starts as.
    carries.constants.fill(None);
    let mut slices = Known::of(program, &operands[layout.xs..layout.cond_captures]);
    slices.constants.fill(None);
    for ty in &mut slices.types {
        ty.shape = match ty.shape.dims() {
            Some([_, rest @ ..]) => PartialShape::from(rest),
            _ => PartialShape::unknown(),
        };
    }
    let captures = Known::of(program, &operands[layout.body_captures..]);
    let join = |carries: &Known| Known {
        types: carries.types.iter().chain(&slices.types).chain(&captures.types).cloned().collect(),
        constants: carries
            .constants
            .iter()
            .chain(&slices.constants)
            .chain(&captures.constants)
            .cloned()
            .collect(),
    };
    let body = loop {
        let mut body = inner.body.clone();
        join(&carries).put(&mut body, cx)?;
        let mut stable = true;
        for (c, carry) in carries.types.iter_mut().enumerate() {
            let next = common(&carry.shape, &body.ty(body.fetches[c]).shape);
            if next != carry.shape {
                carry.shape = next;
                stable = false;
            }
        }
        if stable {
            break body;
        }
    };
    if let Some(cond) = &mut inner.cond {
        let captures = Known::of(program, &operands[layout.cond_captures..layout.body_captures]);
        let known = Known {
            types: carries.types.iter().chain(&captures.types).cloned().collect(),
            constants: carries.constants.iter().chain(&captures.constants).cloned().collect(),
        };
        known.put(cond, cx)?;
    }
    let types: Vec<TensorType> = operands.iter().map(|r| program.ty(*r).clone()).collect();
    let turns = inner.turns(&InferCx::new(&types, &ProgramValues { program, inputs: &operands }));
    let mut outputs = carries.types;
    for r in &body.fetches[inner.carries..] {
        let ty = body.ty(*r);
        outputs.push(TensorType::new(ty.dtype, PartialShape::from([turns]).concatenate(&ty.shape)));
    }
    outputs.push(TensorType::new(DType::I32, ()));
    inner.body = body;
    Ok(outputs)
}

fn of_if(program: &Program, id: InstId, inner: &mut IfInst, cx: &PassCx) -> Result<Vec<TensorType>> {
    let operands = &program.inst(id).inputs;
    let (then, orelse) = operands[1..].split_at(inner.op.then.params().len());
    Known::of(program, then).put_if_right(&mut inner.then, cx)?;
    Known::of(program, orelse).put_if_right(&mut inner.orelse, cx)?;
    for i in 0..inner.then.fetches.len() {
        stand_for(&mut inner.then, &inner.orelse, i);
        stand_for(&mut inner.orelse, &inner.then, i);
    }
    let (a, b) = (&inner.then, &inner.orelse);
    Ok(a.fetches
        .iter()
        .zip(&b.fetches)
        .map(|(x, y)| TensorType::new(a.ty(*x).dtype, common(&a.ty(*x).shape, &b.ty(*y).shape)))
        .collect())
}

/// If result `i` of a branch only stands for that of the other one, gives it the type that it stands for.
fn stand_for(branch: &mut Program, other: &Program, i: usize) {
    let ty = other.ty(other.fetches[i]).clone();
    let inst = &mut branch.insts[branch.fetches[i].inst.index()];
    let stands = matches!(&inst.kind, Kind::Op(op) if op.is::<FakeParam>());
    if stands && inst.outputs[0] != ty {
        inst.kind = Kind::Op(Arc::new(FakeParam { dtype: ty.dtype, shape: ty.shape.clone() }));
        inst.outputs[0] = ty;
    }
}

/// What is true of both shapes.
fn common(a: &PartialShape, b: &PartialShape) -> PartialShape {
    match (a.dims(), b.dims()) {
        (Some(x), Some(y)) if x.len() == y.len() => {
            x.iter().zip(y).map(|(x, y)| if x == y { *x } else { None }).collect::<Vec<_>>().into()
        }
        _ => PartialShape::unknown(),
    }
}
