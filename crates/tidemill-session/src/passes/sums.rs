//! Sums of products: what a gradient adds up over the steps of an unrolled network becomes one product over batch and time.
//!
//! ```text
//! AddN [x₀ᵀ · y₀, x₁ᵀ · y₁, ..]        (concat [x₀, x₁, ..] 0)ᵀ · (concat [y₀, y₁, ..] 0)
//! AddN [sum x₀ 0, sum x₁ 0, ..]        sum (concat [x₀, x₁, ..] 0) 0
//! ```
//! The planner lets the parts lie in place inside of what they are put together to, so that nothing is copied.
//!
//! Law: equal but for the rounding of a sum of floats in another order. A product that is wanted for itself too stays out.

use rustc_hash::FxHashMap;
use tidemill_core::ops::{AddN, MatMul, Sum};
use tidemill_core::{DType, Result, TensorType};

use super::PassCx;
use super::simplify::concat;
use super::users::Users;
use crate::program::{Inst, InstId, Kind, Orders, Program, Ref, Rewrite};

pub(super) fn run(program: &mut Program, cx: &PassCx) -> Result<()> {
    let found = Found::find(program);
    if found.sums.is_empty() {
        return Ok(());
    }
    let mut new = Rewrite::of(program);
    for id in program.ids() {
        let sum = found.sums.get(&id).filter(|_| cx.may_patch());
        match sum.and_then(|sum| emit(program, &mut new, &found, id, sum)) {
            Some(r) => new.replace(Ref { inst: id, index: 0 }, r),
            None => {
                new.keep(program, id);
            }
        }
    }
    new.finish(program);
    Ok(())
}

/// The terms of a sum that become one, by their places in it.
enum Terms {
    Products(Vec<usize>),
    Sums(Vec<usize>),
}

#[derive(Default)]
struct Found {
    sums: FxHashMap<InstId, Terms>,
    /// For lists of operands, sorted, the order in which another sum has put them together.
    orders: FxHashMap<Vec<Ref>, Vec<Ref>>,
}

impl Found {
    fn find(program: &Program) -> Found {
        let users = Users::of(program);
        let orders = program.insts.iter().any(|i| !i.writes.is_empty()).then(|| Orders::of(program));
        let mut found = Found::default();
        for id in program.ids() {
            let inst = program.inst(id);
            let Kind::Op(op) = &inst.kind else { continue };
            let known =
                |ty: &TensorType| matches!(ty.dtype, DType::F32 | DType::F64) && ty.shape.is_fully_known();
            let moves = inst.after.is_empty() && !users.waited_for(id);
            if !op.is::<AddN>() || !moves || !inst.outputs.first().is_some_and(known) {
                continue;
            }
            // A term that is done later must not see more writes.
            let alike = |r: Ref| orders.as_ref().is_none_or(|o| o.same_writes(r.inst, id));
            if !inst.inputs.iter().all(|r| alike(*r)) {
                continue;
            }
            let mut products = places(program, &users, inst, product);
            if products.len() > 1 {
                // In the order of the first factors, which is mostly that of time.
                products.sort_by_key(|i| operand(program, inst, *i, 0));
                for k in 0..2 {
                    let order: Vec<Ref> = products.iter().map(|i| operand(program, inst, *i, k)).collect();
                    let mut sorted = order.clone();
                    sorted.sort_unstable();
                    found.orders.entry(sorted).or_insert(order);
                }
                found.sums.insert(id, Terms::Products(products));
                continue;
            }
            let sums = places(program, &users, inst, sum_of_rows);
            if sums.len() > 1 {
                found.sums.insert(id, Terms::Sums(sums));
            }
        }
        found
    }
}

/// The terms that are of one kind: of the type of the first of that kind, and wanted only here.
fn places(
    program: &Program,
    users: &Users,
    inst: &Inst,
    kind: fn(&Program, &Inst) -> Option<Vec<TensorType>>,
) -> Vec<usize> {
    let mut types = None;
    let is_one = |i: &usize| {
        let r = inst.inputs[*i];
        let term = program.inst(r.inst);
        let Some(ty) = kind(program, term).filter(|_| term.after.is_empty()) else { return false };
        let alike = types.get_or_insert_with(|| ty.clone()) == &ty;
        alike && users.only(r).is_some()
    };
    (0..inst.inputs.len()).filter(is_one).collect()
}

/// The types of the factors of `xᵀ · y`.
fn product(program: &Program, term: &Inst) -> Option<Vec<TensorType>> {
    let Kind::Op(op) = &term.kind else { return None };
    let op = op.downcast::<MatMul>()?;
    (op.transpose_a && !op.transpose_b).then(|| term.inputs.iter().map(|r| program.ty(*r).clone()).collect())
}

/// The type of what is summed along axis 0.
fn sum_of_rows(program: &Program, term: &Inst) -> Option<Vec<TensorType>> {
    let Kind::Op(op) = &term.kind else { return None };
    let axes = program.constant(*term.inputs.get(1)?)?;
    let ty = program.ty(term.inputs[0]);
    let rank = ty.shape.rank()? as f64;
    let first = axes.num_elements() == 1 && axes.get_f64(0).is_some_and(|axis| axis == 0.0 || axis == -rank);
    (first && !op.downcast::<Sum>()?.keep_dims).then(|| vec![ty.clone()])
}

fn operand(program: &Program, sum: &Inst, term: usize, k: usize) -> Ref {
    program.inst(sum.inputs[term].inst).inputs[k]
}

fn emit(program: &Program, new: &mut Rewrite, found: &Found, id: InstId, terms: &Terms) -> Option<Ref> {
    let inst = program.inst(id);
    let stack = |new: &mut Rewrite, refs: &[Ref]| {
        let parts: Vec<Ref> = refs.iter().map(|r| new.get(*r)).collect();
        concat(new, inst, &parts)
    };
    let (one, places) = match terms {
        Terms::Products(places) => {
            let factors = |k: usize| places.iter().map(|i| operand(program, inst, *i, k)).collect::<Vec<_>>();
            let x = stack(new, &factors(0))?;
            let y = stack(new, &factors(1))?;
            (new.add(inst, MatMul { transpose_a: true, transpose_b: false }, &[x, y])?, places)
        }
        Terms::Sums(places) => {
            let mut parts: Vec<Ref> = places.iter().map(|i| operand(program, inst, *i, 0)).collect();
            parts.sort_unstable();
            let order = found.orders.get(&parts).unwrap_or(&parts);
            let x = stack(new, order)?;
            let axes = new.get(operand(program, inst, places[0], 1));
            (new.add(inst, Sum { keep_dims: false }, &[x, axes])?, places)
        }
    };
    let rest: Vec<Ref> = (0..inst.inputs.len())
        .filter(|i| !places.contains(i))
        .map(|i| new.get(inst.inputs[i]))
        .chain([one])
        .collect();
    match &rest[..] {
        [one] => Some(*one),
        _ => new.add(inst, AddN, &rest),
    }
}
