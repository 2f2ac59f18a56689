//! Work that does not belong into a loop is done outside, for all turns at once.
//!
//! ```text
//! for t: sₜ₊₁ = tanh (xₜ · W + sₜ · V)          p = xs · W;  for t: sₜ₊₁ = tanh (pₜ + sₜ · V)      before: what no carry goes into
//! for t: yₜ = concat [xₜ, sₜ]                   for t: yₜ = sₜ;  concat [xs, ys]                   after: what goes into no carry
//! for t: g = g + sₜᵀ · zₜ                       for t: yₜ = zₜ;  g + ssᵀ · ys                      after: sums of products
//! for t: .. W[2..] ..                           V = W[2..];  for t: .. V ..                        before: what is the same in every turn
//! ```
//! Rows of all turns one below the other go through a row-wise operation as those of one turn do ([`roles`] says which operations that are).
//!
//! Law: equal but for the rounding of sums of floats in another order. Only loops without a condition, whose number of turns is known and not
//! zero, and whose types are all known; what has effects, draws random numbers or must wait stays inside.

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::{SmallVec, smallvec};
use tidemill_core::ops::{AddN, AddV2, MatMul, Reshape, Sum};
use tidemill_core::{DType, Effect, InferCx, Output, Result, Shape, TensorType, Value};

use super::batch::{Role, roles, stacked};
use super::users::Users;
use super::{PassCx, ProgramValues};
use crate::program::{Inst, InstId, Kind, LoopInst, Program, Ref, Rewrite};

pub(super) fn run(program: &mut Program, cx: &PassCx) -> Result<()> {
    let is_loop = |inst: &Inst| matches!(inst.kind, Kind::Loop(_));
    if !program.insts.iter().any(is_loop) {
        return Ok(());
    }
    let mut new = Rewrite::of(program);
    for id in program.ids() {
        let better = match &program.inst(id).kind {
            Kind::Loop(inner) => emit(program, id, inner, &mut new, cx),
            _ => None,
        };
        match better {
            Some(outputs) => {
                for (index, r) in outputs.into_iter().enumerate() {
                    new.replace(Ref { inst: id, index: index as u32 }, r);
                }
            }
            None => {
                new.keep(program, id);
            }
        }
    }
    new.finish(program);
    Ok(())
}

/// What adds up in a carry: products, or sums of rows.
#[derive(Clone, Copy)]
enum Term {
    /// `xᵀ · y`
    Product(Ref, Ref),
    /// The rows of a value.
    Rows(Ref),
}

/// What is to become of a loop.
struct Split<'a> {
    body: &'a Program,
    users: Users,
    inner: &'a LoopInst,
    /// For each operation of the body whether it is the same in every turn, and can be done before.
    same: Vec<bool>,
    /// Whether it can be done for all slices of the xs before.
    before: Vec<bool>,
    /// Whether it is done in every turn.
    inside: Vec<bool>,
    /// Carries in which terms add up.
    sums: FxHashMap<usize, Vec<Term>>,
    /// What the new body hands out beside its carries.
    ys: Vec<Ref>,
    /// What is done after the loop.
    after: FxHashSet<InstId>,
}

fn emit(program: &Program, id: InstId, inner: &LoopInst, new: &mut Rewrite, cx: &PassCx) -> Option<Vec<Ref>> {
    let inst = program.inst(id);
    let types: Vec<TensorType> = inst.inputs.iter().map(|r| program.ty(*r).clone()).collect();
    let turns = inner.turns(&InferCx::new(&types, &ProgramValues { program, inputs: &inst.inputs }))?;
    let known = |p: &Program| {
        p.insts.iter().flat_map(|i| &i.outputs).all(|ty| !ty.is_ref && ty.shape.is_fully_known())
    };
    let of_variables = |i: &Inst| !i.writes.is_empty() || matches!(i.kind, Kind::Variable(_) | Kind::Read(_));
    let plain = inner.cond.is_none()
        && inner.body.targets.is_empty()
        && inst.writes.is_empty()
        && !inner.body.insts.iter().any(of_variables);
    if turns == 0 || !plain || !known(&inner.body) || !types.iter().all(|t| t.shape.is_fully_known()) {
        return None;
    }
    let split = Split::of(inner);
    if !split.is_worth_it() || !cx.may_patch() {
        return None;
    }
    Outside { program, id, split, turns, new, done: FxHashMap::default(), rows: FxHashMap::default() }.emit()
}

impl<'a> Split<'a> {
    fn of(inner: &'a LoopInst) -> Split<'a> {
        let body = &inner.body;
        let len = body.insts.len();
        let mut split = Split {
            body,
            users: Users::of(body),
            inner,
            same: vec![false; len],
            before: vec![false; len],
            inside: vec![false; len],
            sums: FxHashMap::default(),
            ys: vec![],
            after: FxHashSet::default(),
        };
        for id in body.ids() {
            split.same[id.index()] = split.is_same(id);
            split.before[id.index()] = split.is_before(id);
        }
        for c in 0..inner.carries {
            if let Some(terms) = split.terms(c) {
                split.sums.insert(c, terms);
            }
        }
        for c in (0..inner.carries).filter(|c| !split.sums.contains_key(c)).collect::<Vec<_>>() {
            split.keep_inside(body.fetches[c]);
        }
        let mut wanted: Vec<Ref> = body.fetches[inner.carries..].to_vec();
        for terms in split.sums.values() {
            for term in terms {
                match term {
                    Term::Product(x, y) => wanted.extend([*x, *y]),
                    Term::Rows(x) => wanted.push(*x),
                }
            }
        }
        // Last first: what one wants inside, others that stand before it find there.
        wanted.sort_unstable();
        wanted.reverse();
        for r in wanted {
            split.want(r);
        }
        split
    }

    fn is_worth_it(&self) -> bool {
        let works = |i: usize| matches!(self.body.insts[i].kind, Kind::Op(_));
        let hoisted = (0..self.body.insts.len()).any(|i| works(i) && (self.same[i] || self.before[i]));
        hoisted || !self.sums.is_empty() || !self.after.is_empty()
    }

    fn pure(&self, id: InstId) -> bool {
        let inst = self.body.inst(id);
        let pure = matches!(&inst.kind, Kind::Op(op) if op.effect() == Effect::Pure);
        pure && inst.after.is_empty() && inst.writes.is_empty() && !self.users.waited_for(id)
    }

    fn is_same(&self, id: InstId) -> bool {
        let inst = self.body.inst(id);
        match inst.kind {
            Kind::Constant(_) => true,
            Kind::Feed(i) => i >= self.inner.carries + self.inner.xs,
            _ => self.pure(id) && inst.inputs.iter().all(|r| self.same[r.inst.index()]),
        }
    }

    fn is_slice(&self, r: Ref) -> bool {
        let xs = self.inner.carries..self.inner.carries + self.inner.xs;
        matches!(self.body.inst(r.inst).kind, Kind::Feed(i) if xs.contains(&i))
    }

    /// The roles of the operands of a row-wise operation, if those that all rows need are the same in every turn.
    fn row_wise(&self, id: InstId) -> Option<SmallVec<[Role; 4]>> {
        let roles = roles(self.body, &self.users, id).filter(|_| self.pure(id))?;
        let shared = |(r, role): (&Ref, &Role)| *role == Role::Rows || self.same[r.inst.index()];
        self.body.inst(id).inputs.iter().zip(&roles).all(shared).then_some(roles)
    }

    fn is_before(&self, id: InstId) -> bool {
        let Some(roles) = self.row_wise(id) else { return false };
        let outside = |r: &Ref| self.is_slice(*r) || self.before[r.inst.index()];
        self.body.inst(id).inputs.iter().zip(&roles).all(|(r, role)| *role == Role::Shared || outside(r))
    }

    /// What adds up in a carry, if that is all that happens to it.
    fn terms(&self, c: usize) -> Option<Vec<Term>> {
        let body = self.body;
        let sum = body.fetches[c];
        let inst = body.inst(sum.inst);
        let Kind::Op(op) = &inst.kind else { return None };
        let adds = op.is::<AddV2>() || op.is::<AddN>();
        let once = body.fetches.iter().filter(|r| r.inst == sum.inst).count() == 1;
        let float = matches!(inst.outputs[0].dtype, DType::F32 | DType::F64);
        if !adds || !float || !self.pure(sum.inst) || !once {
            return None;
        }
        let carry = |r: &&Ref| matches!(body.inst(r.inst).kind, Kind::Feed(i) if i == c);
        let start = *inst.inputs.iter().find(carry)?;
        let alone = self.users.only(start) == Some(sum.inst) && self.users.of_inst(sum.inst).is_empty();
        let same_shape = inst.inputs.iter().all(|r| body.ty(*r) == &inst.outputs[0]);
        if !alone || !same_shape {
            return None;
        }
        inst.inputs.iter().filter(|r| **r != start).map(|r| self.term(*r)).collect()
    }

    fn term(&self, r: Ref) -> Option<Term> {
        self.users.only(r)?;
        let inst = self.body.inst(r.inst);
        let Kind::Op(op) = &inst.kind else { return None };
        let varies = |r: Ref| !self.same[r.inst.index()] && self.body.ty(r).shape.rank() > Some(0);
        if !self.pure(r.inst) {
            return None;
        }
        if let Some(product) = op.downcast::<MatMul>() {
            let (x, y) = (inst.inputs[0], inst.inputs[1]);
            let fits = product.transpose_a && !product.transpose_b && varies(x) && varies(y);
            return fits.then_some(Term::Product(x, y));
        }
        let sum = op.downcast::<Sum>()?;
        let axes = self.body.constant(inst.inputs[1])?;
        let x = inst.inputs[0];
        let first = axes.num_elements() == 1 && axes.get_f64(0) == Some(0.0) && !sum.keep_dims;
        (first && varies(x)).then_some(Term::Rows(x))
    }

    /// The value is needed in every turn, and with it what it is made of, but for what comes from before.
    fn keep_inside(&mut self, r: Ref) {
        let mut stack = vec![r.inst];
        while let Some(id) = stack.pop() {
            let i = id.index();
            if self.same[i] || self.before[i] || std::mem::replace(&mut self.inside[i], true) {
                continue;
            }
            let inst = self.body.inst(id);
            stack.extend(inst.inputs.iter().map(|r| r.inst).chain(inst.after.iter().copied()));
        }
    }

    /// All turns of a value are wanted outside.
    fn want(&mut self, r: Ref) {
        let i = r.inst.index();
        if self.is_slice(r)
            || self.before[i]
            || self.same[i]
            || self.ys.contains(&r)
            || self.after.contains(&r.inst)
        {
            return;
        }
        if !self.inside[i]
            && let Some(roles) = self.row_wise(r.inst)
        {
            let rows = self.body.inst(r.inst).inputs.iter().zip(&roles);
            let rows: Vec<Ref> = rows.filter(|(_, role)| **role == Role::Rows).map(|(r, _)| *r).collect();
            let free = |r: &Ref| self.is_slice(*r) || self.before[r.inst.index()] || self.ys.contains(r);
            // What is handed out takes memory for every turn: not more than the value itself.
            let more = rows.iter().filter(|r| !free(r)).count();
            if more <= 1 && !rows.iter().any(|r| self.same[r.inst.index()]) {
                self.after.insert(r.inst);
                rows.into_iter().for_each(|r| self.want(r));
                return;
            }
        }
        self.keep_inside(r);
        self.ys.push(r);
    }
}

/// A loop taken apart, being put together anew.
struct Outside<'a, 'p> {
    program: &'p Program,
    id: InstId,
    split: Split<'a>,
    turns: usize,
    new: &'a mut Rewrite,
    /// Where values of the body that are the same in every turn are in the new program.
    done: FxHashMap<Ref, Ref>,
    /// Where the rows of all turns of a value are, one below the other.
    rows: FxHashMap<Ref, Ref>,
}

impl Outside<'_, '_> {
    fn operand(&self, feed: usize) -> Ref {
        let layout = self.split.inner.layout();
        let first = self.split.inner.carries + self.split.inner.xs;
        let at = if feed < first { layout.carries + feed } else { layout.body_captures + feed - first };
        self.new.get(self.program.inst(self.id).inputs[at])
    }

    /// A value that is the same in every turn.
    fn same(&mut self, r: Ref) -> Ref {
        if let Some(done) = self.done.get(&r) {
            return *done;
        }
        let inst = self.split.body.inst(r.inst);
        let made = match inst.kind {
            Kind::Feed(i) => self.operand(i),
            _ => {
                let inputs: Vec<Ref> = inst.inputs.iter().map(|r| self.same(*r)).collect();
                let first = self.new.add_kind(inst, inst.kind.clone(), inputs, inst.outputs.clone());
                for index in 0..inst.outputs.len() as u32 {
                    self.done.insert(Ref { inst: r.inst, index }, Ref { inst: first.inst, index });
                }
                Ref { inst: first.inst, index: r.index }
            }
        };
        self.done.insert(r, made);
        made
    }

    fn reshaped(&mut self, like: &Inst, r: Ref, shape: &Shape) -> Option<Ref> {
        if self.new.ty(r).shape.as_known().as_ref() == Some(shape) {
            return Some(r);
        }
        let sizes: Option<Vec<i32>> = shape.iter().map(|n| i32::try_from(*n).ok()).collect();
        let sizes = self.new.constant(like, Value::from(sizes?));
        self.new.add(like, Reshape, &[r, sizes])
    }

    fn shape(&self, r: Ref) -> Option<Shape> {
        self.split.body.ty(r).shape.as_known()
    }

    /// The rows of all turns of a value that is a slice, or is computed outside.
    fn rows(&mut self, r: Ref) -> Option<Ref> {
        if let Some(rows) = self.rows.get(&r) {
            return Some(*rows);
        }
        let body = self.split.body;
        let inst = body.inst(r.inst);
        let all = stacked(&self.shape(r)?, self.turns);
        if let Kind::Feed(i) = inst.kind {
            let whole = self.operand(i);
            let rows = self.reshaped(inst, whole, &all)?;
            self.rows.insert(r, rows);
            return Some(rows);
        }
        let roles = self.split.row_wise(r.inst)?;
        let mut inputs: SmallVec<[Ref; 4]> = SmallVec::new();
        for (r, role) in inst.inputs.iter().zip(&roles) {
            inputs.push(match role {
                Role::Rows => self.rows(*r)?,
                Role::Shared => self.same(*r),
            });
        }
        let Kind::Op(op) = &inst.kind else { return None };
        let made = self.new.add_op(inst, op.clone(), &inputs)?;
        for index in 0..inst.outputs.len() as u32 {
            self.rows.insert(Ref { inst: r.inst, index }, Ref { inst: made.inst, index });
        }
        let made = Ref { inst: made.inst, index: r.index };
        (self.new.ty(made).shape.as_known()? == all).then_some(made)
    }

    /// All turns of a value, stacked along a new axis.
    fn turns_of(&mut self, r: Ref) -> Option<Ref> {
        let like = self.split.body.inst(r.inst);
        let rows = self.rows(r)?;
        let shape: Shape = [self.turns].into_iter().chain(self.shape(r)?.iter().copied()).collect();
        self.reshaped(like, rows, &shape)
    }

    fn emit(mut self) -> Option<Vec<Ref>> {
        let (inner, body) = (self.split.inner, self.split.body);
        let inst = self.program.inst(self.id);
        // A y that is the same in every turn, or no rows, is handed out as it was.
        for r in &body.fetches[inner.carries..] {
            let outside = self.split.before[r.inst.index()]
                || self.split.after.contains(&r.inst)
                || self.split.is_slice(*r);
            if !(outside || self.split.ys.contains(r)) || self.shape(*r)?.rank() == 0 && outside {
                return None;
            }
        }
        let mut program = Program {
            insts: vec![],
            feeds: vec![],
            fetches: vec![],
            targets: vec![],
            variables: body.variables.clone(),
        };
        let mut here: FxHashMap<Ref, Ref> = FxHashMap::default();
        let kept: Vec<usize> = (0..inner.carries).filter(|c| !self.split.sums.contains_key(c)).collect();
        // What the new body takes: carries, slices, what is the same in every turn.
        let (mut carries, mut slices, mut captures) = (vec![], vec![], vec![]);
        let ids: Vec<InstId> = body.ids().collect();
        let used: FxHashSet<Ref> = ids
            .iter()
            .filter(|id| self.split.inside[id.index()])
            .flat_map(|id| body.inst(*id).inputs.iter().copied())
            .chain(kept.iter().map(|c| body.fetches[*c]))
            .chain(self.split.ys.iter().copied())
            .collect();
        let mut used: Vec<Ref> = used.into_iter().collect();
        used.sort_unstable();
        for c in &kept {
            carries.push((
                *c,
                used.iter().copied().find(|r| matches!(body.inst(r.inst).kind, Kind::Feed(i) if i == *c)),
            ));
        }
        for r in used {
            let i = r.inst.index();
            if self.split.same[i] {
                captures.push(r);
            } else if self.split.is_slice(r) || self.split.before[i] {
                slices.push(r);
            }
        }
        let feed = |program: &mut Program, like: &Inst, ty: TensorType| {
            program.feeds.push(Output::new(like.node, 0));
            program.insts.push(Inst {
                kind: Kind::Feed(program.feeds.len() - 1),
                inputs: smallvec![],
                after: smallvec![],
                outputs: smallvec![ty],
                ..like.clone()
            });
            Ref { inst: InstId(program.insts.len() as u32 - 1), index: 0 }
        };
        let mut operands: SmallVec<[Ref; 4]> = SmallVec::new();
        if inner.trip {
            operands.push(self.new.get(inst.inputs[0]));
        }
        for (c, r) in &carries {
            operands.push(self.operand(*c));
            match r {
                Some(r) => {
                    let made = feed(&mut program, body.inst(r.inst), body.ty(*r).clone());
                    here.insert(*r, made);
                }
                None => program.feeds.push(Output::new(inst.node, 0)),
            }
        }
        for r in &slices {
            let whole = match body.inst(r.inst).kind {
                Kind::Feed(i) => self.operand(i),
                _ => self.turns_of(*r)?,
            };
            operands.push(whole);
            let made = feed(&mut program, body.inst(r.inst), body.ty(*r).clone());
            here.insert(*r, made);
        }
        for r in &captures {
            if let Kind::Constant(_) = body.inst(r.inst).kind {
                program.insts.push(body.inst(r.inst).clone());
                let made = Ref { inst: InstId(program.insts.len() as u32 - 1), index: 0 };
                here.insert(*r, made);
                continue;
            }
            operands.push(self.same(*r));
            let made = feed(&mut program, body.inst(r.inst), body.ty(*r).clone());
            here.insert(*r, made);
        }
        // Without slices, nothing would tell the number of turns.
        let untold = !inner.trip && slices.is_empty();
        if untold {
            return None;
        }
        let mut moved: FxHashMap<InstId, InstId> = FxHashMap::default();
        for id in ids.iter().filter(|id| self.split.inside[id.index()]) {
            let old = body.inst(*id);
            if matches!(old.kind, Kind::Feed(_)) {
                continue;
            }
            let mut inst = old.clone();
            inst.inputs = old.inputs.iter().map(|r| here.get(r).copied()).collect::<Option<_>>()?;
            inst.after = old.after.iter().filter_map(|a| moved.get(a).copied()).collect();
            program.insts.push(inst);
            let new_id = InstId(program.insts.len() as u32 - 1);
            moved.insert(*id, new_id);
            for index in 0..old.outputs.len() as u32 {
                here.insert(Ref { inst: *id, index }, Ref { inst: new_id, index });
            }
        }
        for r in kept.iter().map(|c| &body.fetches[*c]).chain(&self.split.ys) {
            program.fetches.push(*here.get(r)?);
        }
        let mut outputs: SmallVec<[TensorType; 1]> = kept.iter().map(|c| inst.outputs[*c].clone()).collect();
        for r in &self.split.ys {
            let shape: Shape = [self.turns].into_iter().chain(self.shape(*r)?.iter().copied()).collect();
            outputs.push(TensorType::new(body.ty(*r).dtype, shape));
        }
        outputs.push(TensorType::new(DType::I32, ()));
        let count = outputs.len() - 1;
        let made = LoopInst {
            trip: inner.trip,
            reverse: inner.reverse,
            carries: kept.len(),
            xs: slices.len(),
            cond: None,
            body: program,
        };
        let made = Inst {
            kind: Kind::Loop(Box::new(made)),
            inputs: operands,
            outputs,
            ..self.new.moved(self.program, self.id)
        };
        let made = self.new.push(made);
        self.new.stands_for(self.id, made);
        let result = |index: usize| Ref { inst: made, index: index as u32 };

        let ys = self.split.ys.clone();
        for (y, r) in ys.iter().enumerate() {
            if self.shape(*r)?.rank() > 0 {
                let all = stacked(&self.shape(*r)?, self.turns);
                let rows = self.reshaped(body.inst(r.inst), result(kept.len() + y), &all)?;
                self.rows.insert(*r, rows);
            }
        }
        let mut results = vec![];
        for c in 0..inner.carries {
            results.push(match (kept.iter().position(|k| *k == c), self.split.sums.get(&c).cloned()) {
                (Some(at), _) => result(at),
                (None, terms) => self.added_up(c, &terms?)?,
            });
        }
        for r in &body.fetches[inner.carries..] {
            results.push(match ys.iter().position(|y| y == r) {
                Some(y) => result(kept.len() + y),
                None => self.turns_of(*r)?,
            });
        }
        results.push(result(count));
        Some(results)
    }

    /// What has added up in a carry.
    fn added_up(&mut self, c: usize, terms: &[Term]) -> Option<Ref> {
        let like = self.split.body.inst(self.split.body.fetches[c].inst).clone();
        let mut sum = self.operand(c);
        for term in terms {
            let term = match *term {
                Term::Product(x, y) => {
                    let (x, y) = (self.rows(x)?, self.rows(y)?);
                    self.new.add(&like, MatMul { transpose_a: true, transpose_b: false }, &[x, y])?
                }
                Term::Rows(x) => {
                    let x = self.rows(x)?;
                    let axes = self.new.constant(&like, Value::from([0i32]));
                    self.new.add(&like, Sum { keep_dims: false }, &[x, axes])?
                }
            };
            sum = self.new.add(&like, AddV2, &[sum, term])?;
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use tidemill_core::ops::{matmul, scan, tanh};
    use tidemill_core::{DType, Graph, Output, gradients};

    use super::super::testing::after_of;

    /// A recurrence over three steps; its outputs, and the gradient of the second weights.
    fn recurrence() -> (Graph, [Output; 2]) {
        let g = Graph::new();
        let input = |name: &str, shape: &[usize]| g.placeholder(DType::F32, shape.to_vec()).named(name);
        let (xs, start) = (input("xs", &[3, 2, 5]), input("start", &[2, 4]));
        let (w, v) = (input("w", &[5, 4]), input("v", &[4, 4]));
        let step = |s, x| {
            let next = tanh(matmul(x, w) + matmul(s, v));
            (next, next)
        };
        let (_, outputs) = scan(step, start, xs, Default::default());
        let gradient = gradients([outputs], [v])[0].unwrap();
        (g, [outputs.output(), gradient.output()])
    }

    #[test]
    fn without_fuel_nothing_changes() {
        let (g, [outputs, _]) = recurrence();
        assert_eq!(after_of("loops", &g, &[outputs], 0), after_of("dce", &g, &[outputs], 0));
    }
}
