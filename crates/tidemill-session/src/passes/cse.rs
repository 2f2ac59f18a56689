//! Common subexpressions: two pure operations with the same op, attributes, operands and order are one.
//!
//! Law: the first stays, uses of the second become uses of the first; effects, random ops, reads and writes stay.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};
use tidemill_core::{Effect, Result};

use super::PassCx;
use crate::program::{Inst, InstId, Kind, Program, Ref};

pub(super) fn run(program: &mut Program, _: &PassCx) -> Result<()> {
    let mut seen: FxHashMap<u64, Vec<InstId>> = FxHashMap::default();
    let mut replaced: Vec<Option<InstId>> = vec![None; program.insts.len()];
    for id in program.ids() {
        let canonical = |r: Ref| Ref { inst: replaced[r.inst.index()].unwrap_or(r.inst), index: r.index };
        for i in 0..program.inst(id).inputs.len() {
            let r = program.inst(id).inputs[i];
            program.insts[id.index()].inputs[i] = canonical(r);
        }
        for a in &mut program.insts[id.index()].after {
            *a = replaced[a.index()].unwrap_or(*a);
        }
        let inst = program.inst(id);
        let Some(key) = key(inst) else { continue };
        let same = seen.entry(key).or_default();
        match same.iter().find(|first| equal(program.inst(**first), inst)) {
            Some(first) => replaced[id.index()] = Some(*first),
            None => same.push(id),
        }
    }
    program.replace_uses(|r| replaced[r.inst.index()].map(|inst| Ref { inst, index: r.index }));
    Ok(())
}

/// A hash under which equal operations fall together; `None` for those that must not be shared.
fn key(inst: &Inst) -> Option<u64> {
    let mut hasher = FxHasher::default();
    match &inst.kind {
        Kind::Op(op) if op.effect() == Effect::Pure && inst.writes.is_empty() => {
            op.name().hash(&mut hasher);
        }
        Kind::Constant(value) if value.num_bytes() <= 4096 => {
            value.dtype().hash(&mut hasher);
            value.bytes().hash(&mut hasher);
        }
        _ => return None,
    }
    inst.inputs.hash(&mut hasher);
    inst.after.hash(&mut hasher);
    Some(hasher.finish())
}

fn equal(a: &Inst, b: &Inst) -> bool {
    let same_kind = match (&a.kind, &b.kind) {
        (Kind::Op(a), Kind::Op(b)) => a.same(&**b),
        (Kind::Constant(a), Kind::Constant(b)) => a.bitwise_eq(b),
        _ => false,
    };
    same_kind && a.inputs == b.inputs && a.after == b.after && a.outputs == b.outputs
}
