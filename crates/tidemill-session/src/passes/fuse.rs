//! Fusion: elementwise operations that follow one another become one, which goes through its elements a tile at a time.
//!
//! ```text
//! p3 = Mul (p0, p1) : f32[200,4]
//! p4 = AddV2 (p3, p2) : f32[200,4]          p3 = Fused {code="t0 = Mul x0 x1; t1 = Add t0 x2; t2 = Tanh t1 -> t2"} (p0, p1, p2)
//! p5 = Tanh (p4) : f32[200,4]
//! ```
//!
//! Law: every element comes from the same arithmetic in the same order. An operation moves down to the last of those that it is fused with, so it is
//! fused only if no user of its result stands before that one, and if the two depend on the same writes. What is used elsewhere, or
//! fetched, stays a result.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tidemill_core::ops::{AddN, BiasAdd};
use tidemill_core::{DType, Effect, Result, Shape};

use super::PassCx;
use super::users::Users;
use crate::kernels::fused::{Arg, Code, Function, Fused, MAX_BUFFERS, Spread};
use crate::program::{Inst, InstId, Kind, Orders, Program, Ref, Rewrite};

/// The longest sum that is taken apart.
const LONGEST_SUM: usize = 8;

pub(super) fn run(program: &mut Program, cx: &PassCx) -> Result<()> {
    let groups = Groups::find(program);
    if groups.list.iter().all(|g| g.members.len() < 2) {
        return Ok(());
    }
    let mut new = Rewrite::of(program);
    for id in program.ids() {
        match groups.of[id.index()].map(|g| &groups.list[g]) {
            Some(group) if group.members.len() > 1 && group.code.is_some() => {
                if group.root() == id && cx.may_patch() {
                    group.emit(program, &mut new);
                } else if group.root() == id {
                    group.members.iter().rev().for_each(|m| {
                        new.keep(program, *m);
                    });
                }
            }
            _ => {
                new.keep(program, id);
            }
        }
    }
    new.finish(program);
    Ok(())
}

/// Operations that become one.
struct Group {
    shape: Shape,
    dtype: DType,
    /// The length of the rows that operands divide the results into.
    columns: Option<usize>,
    /// Last first.
    members: Vec<InstId>,
    /// What the members compute together, with the operands and the results: once it is known that it fits.
    code: Option<(Code, Vec<Ref>, Vec<Ref>)>,
}

#[derive(Default)]
struct Groups {
    list: Vec<Group>,
    of: Vec<Option<usize>>,
}

impl Groups {
    fn find(program: &Program) -> Groups {
        let users = Users::of(program);
        let orders = program.insts.iter().any(|i| !i.writes.is_empty()).then(|| Orders::of(program));
        let mut groups = Groups { list: vec![], of: vec![None; program.insts.len()] };
        for id in program.ids().rev() {
            let Some((shape, dtype, columns)) = fusible(program, id, &users) else { continue };
            let fits = |g: &Group| {
                g.shape == shape
                    && g.dtype == dtype
                    && (g.columns.is_none() || columns.is_none() || g.columns == columns)
                    && orders.as_ref().is_none_or(|o| o.same_writes(id, g.root()))
            };
            let mine = users
                .of_inst(id)
                .iter()
                .filter_map(|u| groups.of[u.index()])
                .find(|g| fits(&groups.list[*g]));
            // Whoever else uses the result must stand behind the group.
            let mine = mine.filter(|g| {
                let root = groups.list[*g].root();
                users.of_inst(id).iter().all(|u| groups.of[u.index()] == Some(*g) || *u > root)
            });
            let g = mine.unwrap_or(groups.list.len());
            if g == groups.list.len() {
                groups.list.push(Group { shape, dtype, columns, members: vec![], code: None });
            }
            let group = &mut groups.list[g];
            group.members.push(id);
            group.columns = group.columns.or(columns);
            groups.of[id.index()] = Some(g);
        }
        for g in 0..groups.list.len() {
            if groups.list[g].members.len() > 1 {
                groups.settle(g, program, &users);
            }
        }
        groups
    }

    /// Writes the code of a group; one with too many operands or results is left as it was.
    fn settle(&mut self, g: usize, program: &Program, users: &Users) {
        let group = &self.list[g];
        let inside = |id: InstId| self.of[id.index()] == Some(g);
        let (mut code, mut inputs) = (Code::default(), vec![]);
        let (mut results, mut temps, mut places) = (vec![], FxHashMap::default(), FxHashMap::default());
        for id in group.members.iter().rev() {
            let inst = program.inst(*id);
            let mut args: SmallVec<[Arg; 4]> = SmallVec::new();
            for r in &inst.inputs {
                args.push(match temps.get(r) {
                    Some(temp) => *temp,
                    None => {
                        let next = inputs.len();
                        let at = *places.entry(*r).or_insert(next);
                        if at == next {
                            inputs.push(*r);
                        }
                        Arg::Input(at as u32)
                    }
                });
            }
            let Kind::Op(op) = &inst.kind else { return };
            let value = match Function::of(&**op) {
                Some(function) => code.push(function, &args),
                None => {
                    let first = args[0];
                    args[1..].iter().fold(first, |sum, x| code.push(Function::Add, &[sum, *x]))
                }
            };
            let r = Ref { inst: *id, index: 0 };
            temps.insert(r, value);
            let outside = users.fetched(*id) || users.of_inst(*id).iter().any(|u| !inside(*u));
            if let (true, Arg::Temp(t)) = (outside, value) {
                code.outputs.push(t);
                results.push(r);
            }
            if inputs.len() + results.len() > MAX_BUFFERS {
                return;
            }
        }
        // The last result takes over a buffer if any does.
        code.outputs.reverse();
        results.reverse();
        if !results.is_empty() && code.fits(inputs.len()) {
            self.list[g].code = Some((code, inputs, results));
        }
    }
}

impl Group {
    /// Where the group stands.
    fn root(&self) -> InstId {
        self.members[0]
    }

    fn emit(&self, program: &Program, new: &mut Rewrite) {
        let Some((code, inputs, results)) = &self.code else { return };
        let operands: Vec<Ref> = inputs.iter().map(|r| new.get(*r)).collect();
        let types = results.iter().map(|r| program.ty(*r).clone()).collect::<Vec<_>>();
        let names: Vec<&str> = self.members.iter().rev().map(|m| &*program.inst(*m).name).collect();
        let like = Inst { name: join_names(&names), ..program.inst(self.root()).clone() };
        let op = Arc::new(Fused { code: code.clone(), shape: self.shape.clone() });
        let made = new.add_kind(&like, Kind::Op(op), operands, types);
        for (index, r) in results.iter().enumerate() {
            new.replace(*r, Ref { inst: made.inst, index: index as u32 });
        }
    }
}

/// The names of what became one step: all of a few, the first and the last of many.
pub(super) fn join_names(names: &[&str]) -> Arc<str> {
    match names {
        [first, .., last] if names.len() > 4 => format!("{first} .. {last} ({} nodes)", names.len()).into(),
        _ => names.join(" + ").into(),
    }
}

/// Shape and dtype of an operation that may be fused, and the rows that its operands divide it into.
fn fusible(program: &Program, id: InstId, users: &Users) -> Option<(Shape, DType, Option<usize>)> {
    let inst = program.inst(id);
    let (Kind::Op(op), [output]) = (&inst.kind, &inst.outputs[..]) else { return None };
    if !matches!(output.dtype, DType::F32 | DType::F64) || output.is_ref {
        return None;
    }
    let sum = op.is::<AddN>() && (2..=LONGEST_SUM).contains(&inst.inputs.len());
    if !sum && Function::of(&**op).is_none() {
        return None;
    }
    let pure = op.effect() == Effect::Pure && inst.writes.is_empty() && inst.after.is_empty();
    if !pure || users.waited_for(id) || op.downcast::<BiasAdd>().is_some_and(|b| b.data_format != "NHWC") {
        return None;
    }
    let shape = output.shape.as_known()?;
    let mut columns = None;
    for r in &inst.inputs {
        let ty = program.ty(*r);
        let spread = Spread::of(&ty.shape.as_known()?, &shape)?;
        if ty.dtype != output.dtype || ty.is_ref {
            return None;
        }
        match (columns, spread.columns()) {
            (Some(a), Some(b)) if a != b => return None,
            (_, new) => columns = columns.or(new),
        }
    }
    Some((shape, output.dtype, columns))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{after, out};

    const CHAIN: &str = r#"
n0 = Placeholder {dtype=f32, shape=shape [2,3]} : f32[2,3]  "x"
n1 = Placeholder {dtype=f32, shape=shape [3]} : f32[3]  "b"
n2 = AddV2 (n0, n1) : f32[2,3]  "sum"
n3 = Tanh (n2) : f32[2,3]  "tanh"
n4 = TanhGrad (n3, n0) : f32[2,3]  "grad"
"#;

    #[test]
    fn a_chain_becomes_one_unless_there_is_no_fuel() {
        let fused = after("fuse", CHAIN, &[out(4)], u64::MAX);
        assert!(fused.contains("t0 = Add x0 x1; t1 = Tanh t0; t2 = TanhGrad t1 x0 -> t2"), "{fused}");
        assert!(fused.contains("\"sum + tanh + grad\""), "{fused}");
        assert!(!after("fuse", CHAIN, &[out(4)], 0).contains("Fused"));
    }

    #[test]
    fn an_operation_does_not_move_past_a_user() {
        // The product needs the sum, and the difference the product: the sum cannot wait for the difference.
        let graph = r#"
n0 = Placeholder {dtype=f32, shape=shape [2,2]} : f32[2,2]  "x"
n1 = AddV2 (n0, n0) : f32[2,2]  "sum"
n2 = MatMul {transpose_a=false, transpose_b=false} (n1, n0) : f32[2,2]  "product"
n3 = Sub (n1, n2) : f32[2,2]  "difference"
"#;
        assert!(!after("fuse", graph, &[out(3)], u64::MAX).contains("Fused"));
    }
}
