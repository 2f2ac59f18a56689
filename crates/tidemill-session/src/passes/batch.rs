//! Time-batching of unrolled graphs: what is done alike in every step, and does not wait for the steps before, is done once for all of them.
//!
//! ```text
//! MatMul (s₀, W)  MatMul (s₁, W) ..        split (MatMul (concat [s₀, s₁, ..] 0, W)) 0
//! AddV2 (m₀, b)   AddV2 (m₁, b)  ..        split (AddV2 (.., b)) 0
//! ```
//! It starts at products with one matrix, and goes on with row-wise operations on the parts of what came together. The program is gone through as if it ran: an
//! operation that may come together with others waits for them, as long as others can go on. Where none can, the wait is over for the kind of
//! operation that stands first: it is a step of the recurrence, and those of its kind wait no more. So the result is in order
//! by construction, and the time is linear.
//!
//! Law: every element comes from the same arithmetic (products of other sizes may be summed in another order). Only what depends on the same writes comes
//! together.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use smallvec::SmallVec;
use tidemill_core::ops::{
    AddN, ConcatV2, ExpandDims, LogSoftmax, MatMul, OneHot, Pack, Reshape, Softmax,
    SoftmaxCrossEntropyWithLogits, SparseSoftmaxCrossEntropyWithLogits, Split, Transpose, Unpack,
};
use tidemill_core::{AnyOp, DType, Effect, Result, Shape, Value};

use super::PassCx;
use super::fuse::join_names;
use super::simplify::{concat, splat, splat_of};
use super::users::Users;
use crate::kernels::fused::Function;
use crate::program::{Inst, InstId, Kind, Orders, Program, Ref, Rewrite};

pub(super) fn run(program: &mut Program, cx: &PassCx) -> Result<()> {
    let users = Users::of(program);
    let orders = program.insts.iter().any(|i| !i.writes.is_empty()).then(|| Orders::of(program));
    let mut seeds: FxHashMap<u64, usize> = FxHashMap::default();
    for id in program.ids() {
        if let Some(key) = seed(program, &users, orders.as_ref(), id) {
            *seeds.entry(key).or_default() += 1;
        }
    }
    seeds.retain(|_, count| *count > 1);
    if seeds.is_empty() {
        return Ok(());
    }
    let new = Rewrite::of(program);
    Batcher {
        program,
        cx,
        users,
        orders,
        seeds,
        new,
        stacks: vec![],
        part_of: FxHashMap::default(),
        waiting: FxHashMap::default(),
        over: FxHashSet::default(),
        left: vec![],
        waiters: FxHashMap::default(),
        ready: BinaryHeap::new(),
    }
    .run()
    .finish(program);
    Ok(())
}

/// How an operand takes part.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    /// Its rows belong to the rows of the result.
    Rows,
    /// All rows of the result need all of it.
    Shared,
}

/// The roles of the operands, if the rows of the results come from rows of operands.
pub(super) fn roles(program: &Program, users: &Users, id: InstId) -> Option<SmallVec<[Role; 4]>> {
    let inst = program.inst(id);
    let Kind::Op(op) = &inst.kind else { return None };
    let pure = op.effect() == Effect::Pure && inst.writes.is_empty() && inst.after.is_empty();
    if !pure || users.waited_for(id) {
        return None;
    }
    let op = &**op;
    let out = inst.outputs.first()?.shape.as_known()?;
    if out.rank() == 0 || !inst.inputs.iter().all(|r| program.ty(*r).shape.is_fully_known()) {
        return None;
    }
    if let Some(product) = op.downcast::<MatMul>() {
        let float = matches!(inst.outputs[0].dtype, DType::F32 | DType::F64);
        return (float && !product.transpose_a).then(|| SmallVec::from_slice(&[Role::Rows, Role::Shared]));
    }
    if op.is::<SparseSoftmaxCrossEntropyWithLogits>() {
        return Some(SmallVec::from_elem(Role::Rows, 2));
    }
    if op.is::<SoftmaxCrossEntropyWithLogits>() {
        let same = inst.inputs.iter().all(|r| program.ty(*r).shape == inst.outputs[1].shape);
        return same.then(|| SmallVec::from_elem(Role::Rows, 2));
    }
    if op.is::<Softmax>() || op.is::<LogSoftmax>() {
        return (out.rank() > 1).then(|| SmallVec::from_elem(Role::Rows, 1));
    }
    if op.is::<ExpandDims>() {
        let axis = program.constant(inst.inputs[1])?.cast(DType::I64).to_vec::<i64>().ok()?;
        let later = tidemill_core::normalise_axis(axis[0], out.rank()).ok()? > 0;
        return later.then(|| SmallVec::from_slice(&[Role::Rows, Role::Shared]));
    }
    if op.is::<ConcatV2>() {
        let (axis, parts) = inst.inputs.split_last()?;
        let axis = program.constant(*axis)?.cast(DType::I64).to_vec::<i64>().ok()?;
        let later = tidemill_core::normalise_axis(axis[0], out.rank()).ok()? > 0;
        let roles = parts.iter().map(|_| Role::Rows).chain([Role::Shared]);
        return later.then(|| roles.collect());
    }
    if inst.outputs.len() != 1 || !(op.is::<AddN>() || Function::of(op).is_some()) {
        return None;
    }
    let role = |r: &Ref| {
        let shape = program.ty(*r).shape.as_known()?;
        if shape.rank() == out.rank() && shape[0] == out[0] {
            Some(Role::Rows)
        } else {
            let repeats = shape.rank() < out.rank() || shape.first() == Some(&1);
            repeats.then_some(Role::Shared)
        }
    };
    let roles: SmallVec<[Role; 4]> = inst.inputs.iter().map(role).collect::<Option<_>>()?;
    roles.contains(&Role::Rows).then_some(roles)
}

/// What operations have in common that may come together.
fn kind_hash(program: &Program, orders: Option<&Orders>, id: InstId, roles: &[Role]) -> u64 {
    let inst = program.inst(id);
    let mut hasher = FxHasher::default();
    if let Kind::Op(op) = &inst.kind {
        op.name().hash(&mut hasher);
        if let Some(product) = op.downcast::<MatMul>() {
            product.transpose_b.hash(&mut hasher);
        }
    }
    for (r, role) in inst.inputs.iter().zip(roles) {
        match role {
            Role::Shared => r.hash(&mut hasher),
            Role::Rows => {
                let ty = program.ty(*r);
                ty.dtype.hash(&mut hasher);
                ty.shape.dims().hash(&mut hasher);
            }
        }
    }
    orders.map(|o| o.writes_before(id)).hash(&mut hasher);
    hasher.finish()
}

/// The kind of a product with a matrix, where coming together starts.
fn seed(program: &Program, users: &Users, orders: Option<&Orders>, id: InstId) -> Option<u64> {
    let Kind::Op(op) = &program.inst(id).kind else { return None };
    if !op.is::<MatMul>() {
        return None;
    }
    let roles = roles(program, users, id)?;
    Some(kind_hash(program, orders, id, &roles))
}

/// Operations of one kind that wait for more of it.
struct Bucket {
    members: Vec<InstId>,
    expected: usize,
}

/// Values one below the other in a larger one.
struct Stack {
    /// In the new program.
    whole: Ref,
    len: usize,
}

struct Batcher<'a> {
    program: &'a Program,
    cx: &'a PassCx<'a>,
    users: Users,
    orders: Option<Orders>,
    /// How many products there are of each kind.
    seeds: FxHashMap<u64, usize>,
    new: Rewrite,
    stacks: Vec<Stack>,
    /// For values of the old program: which part of which stack they are.
    part_of: FxHashMap<Ref, (usize, usize)>,
    waiting: FxHashMap<u64, Bucket>,
    /// Kinds that wait no more.
    over: FxHashSet<u64>,
    /// For each operation, how many that it needs have not been gone through.
    left: Vec<u32>,
    waiters: FxHashMap<InstId, Vec<InstId>>,
    ready: BinaryHeap<Reverse<InstId>>,
}

impl Batcher<'_> {
    fn run(mut self) -> Rewrite {
        let program = self.program;
        for id in program.ids() {
            let inst = program.inst(id);
            self.left.push((inst.inputs.len() + inst.after.len()) as u32);
            inst.after.iter().for_each(|a| self.waiters.entry(*a).or_default().push(id));
            if inst.inputs.is_empty() && inst.after.is_empty() {
                self.ready.push(Reverse(id));
            }
        }
        loop {
            while let Some(Reverse(id)) = self.ready.pop() {
                self.visit(id);
            }
            // Nothing can go on: the kind that stands first is done as it is.
            let first = self.waiting.iter().min_by_key(|(_, bucket)| bucket.members.iter().min().copied());
            let Some(key) = first.map(|(key, _)| *key) else { break };
            self.over.insert(key);
            if let Some(bucket) = self.waiting.remove(&key) {
                self.together(bucket.members);
            }
        }
        self.new
    }

    fn visit(&mut self, id: InstId) {
        let Some((key, expected)) = self.kind(id) else { return self.alone(id) };
        if self.over.contains(&key) {
            return self.alone(id);
        }
        let program = self.program;
        let bucket = self.waiting.entry(key).or_insert_with(|| Bucket { members: vec![], expected });
        let same = match (bucket.members.first().map(|f| &program.inst(*f).kind), &program.inst(id).kind) {
            (Some(Kind::Op(a)), Kind::Op(b)) => a.same(&**b),
            _ => true,
        };
        if !same {
            return self.alone(id);
        }
        bucket.members.push(id);
        if bucket.members.len() == bucket.expected
            && let Some(bucket) = self.waiting.remove(&key)
        {
            self.together(bucket.members);
        }
    }

    /// The kind of an operation that is ready, and how many there should be of it.
    fn kind(&self, id: InstId) -> Option<(u64, usize)> {
        let roles = roles(self.program, &self.users, id)?;
        let hash = kind_hash(self.program, self.orders.as_ref(), id, &roles);
        if let Some(count) = self.seeds.get(&hash) {
            return Some((hash, *count));
        }
        let inst = self.program.inst(id);
        let rows = inst.inputs.iter().zip(&roles).filter(|(_, role)| **role == Role::Rows);
        let (stack, _) = rows.filter_map(|(r, _)| self.part_of.get(r)).next()?;
        let mut hasher = FxHasher::default();
        (hash, stack).hash(&mut hasher);
        Some((hasher.finish(), self.stacks[*stack].len))
    }

    fn done(&mut self, id: InstId) {
        for user in self.users.of_inst(id) {
            let left = &mut self.left[user.index()];
            *left -= 1;
            if *left == 0 {
                self.ready.push(Reverse(*user));
            }
        }
        for waiter in self.waiters.remove(&id).unwrap_or_default() {
            let left = &mut self.left[waiter.index()];
            *left -= 1;
            if *left == 0 {
                self.ready.push(Reverse(waiter));
            }
        }
    }

    /// One operation as it is, but for one that puts together what is together.
    fn alone(&mut self, id: InstId) {
        match self.put_together(id) {
            Some(r) => self.new.replace(Ref { inst: id, index: 0 }, r),
            None => {
                self.new.keep(self.program, id);
            }
        }
        self.done(id);
    }

    fn put_together(&mut self, id: InstId) -> Option<Ref> {
        let program = self.program;
        let inst = program.inst(id);
        let Kind::Op(op) = &inst.kind else { return None };
        if !inst.after.is_empty() || self.users.waited_for(id) {
            return None;
        }
        let axis_is_0 = |r: &Ref| program.constant(*r).and_then(|v| v.get_f64(0)) == Some(0.0);
        let parts = match op.downcast::<Pack>() {
            Some(pack) if pack.axis == 0 => &inst.inputs[..],
            None if op.is::<ConcatV2>() && inst.inputs.last().is_some_and(axis_is_0) => {
                &inst.inputs[..inst.inputs.len() - 1]
            }
            _ => return None,
        };
        let shape = inst.outputs[0].shape.as_known()?;
        let whole = self.whole(parts, inst)?;
        self.reshaped(inst, whole, &shape)
    }

    fn reshaped(&mut self, like: &Inst, r: Ref, shape: &Shape) -> Option<Ref> {
        if self.new.ty(r).shape.as_known().as_ref() == Some(shape) {
            return Some(r);
        }
        let sizes: Option<Vec<i32>> = shape.iter().map(|n| i32::try_from(*n).ok()).collect();
        let sizes = self.new.constant(like, Value::from(sizes?));
        self.new.add(like, Reshape, &[r, sizes])
    }

    /// The value of which `parts` are all the rows in order, if there is one.
    fn whole(&mut self, parts: &[Ref], like: &Inst) -> Option<Ref> {
        if let Some((stack, 0)) = self.part_of.get(parts.first()?).copied() {
            let all = parts.len() == self.stacks[stack].len
                && parts.iter().enumerate().all(|(i, r)| self.part_of.get(r) == Some(&(stack, i)));
            return all.then(|| self.stacks[stack].whole);
        }
        self.unpacked(parts, like)
    }

    /// All slices of one value along some axis, one below the other.
    fn unpacked(&mut self, parts: &[Ref], like: &Inst) -> Option<Ref> {
        let program = self.program;
        let from = parts.first()?.inst;
        let (op, x) = match &program.inst(from).kind {
            Kind::Op(op) => (op.downcast::<Unpack>()?, program.inst(from).inputs[0]),
            _ => return None,
        };
        let all = parts.len() == op.num
            && parts.iter().enumerate().all(|(i, r)| *r == Ref { inst: from, index: i as u32 });
        let shape = program.ty(x).shape.as_known()?;
        let axis = tidemill_core::normalise_axis(op.axis, shape.rank()).ok()?;
        if !all || shape.rank() < 2 {
            return None;
        }
        let mut x = self.new.get(x);
        if axis > 0 {
            let front = |rank: usize| -> Vec<i32> {
                [axis].into_iter().chain((0..rank).filter(|d| *d != axis)).map(|d| d as i32).collect()
            };
            // A one-hot vector moves with its index.
            let hot = self
                .new
                .made_by::<OneHot>(x)
                .map(|(op, from)| (op.clone(), SmallVec::<[Ref; 4]>::from(from)));
            x = match hot {
                Some((op, mut operands)) if op.axis == -1 && axis < shape.rank() - 1 => {
                    let perm = self.new.constant(like, Value::from(front(shape.rank() - 1)));
                    operands[0] = self.new.add(like, Transpose, &[operands[0], perm])?;
                    self.new.add(like, op, &operands)?
                }
                _ => {
                    let perm = self.new.constant(like, Value::from(front(shape.rank())));
                    self.new.add(like, Transpose, &[x, perm])?
                }
            };
        }
        let part = program.ty(parts[0]).shape.as_known()?;
        let stacked = stacked(&part, parts.len());
        self.reshaped(like, x, &stacked)
    }

    /// The rows of `parts` one below the other.
    fn stack(&mut self, parts: &[Ref], like: &Inst) -> Option<Ref> {
        if let Some(whole) = self.whole(parts, like) {
            return Some(whole);
        }
        let parts: Vec<Ref> = parts.iter().map(|r| self.new.get(*r)).collect();
        concat(&mut self.new, like, &parts)
    }

    /// Operations of one kind, as one if there are several.
    fn together(&mut self, mut members: Vec<InstId>) {
        if members.len() > 1 && self.cx.may_patch() && self.emit(&mut members).is_some() {
            members.iter().for_each(|m| self.done(*m));
        } else {
            members.into_iter().for_each(|m| self.alone(m));
        }
    }

    fn emit(&mut self, members: &mut [InstId]) -> Option<()> {
        let program = self.program;
        let roles = roles(program, &self.users, members[0])?;
        let rows = roles.iter().position(|role| *role == Role::Rows)?;
        let known = (0..roles.len()).find(|i| {
            roles[*i] == Role::Rows && self.part_of.contains_key(&program.inst(members[0]).inputs[*i])
        });
        let by = known.unwrap_or(rows);
        members.sort_by_key(|m| {
            let r = program.inst(*m).inputs[by];
            (self.part_of.get(&r).copied(), r)
        });
        let names: Vec<&str> = members.iter().map(|m| &*program.inst(*m).name).collect();
        let like = Inst { name: join_names(&names), ..program.inst(members[0]).clone() };
        let Kind::Op(op) = &like.kind else { return None };
        let op = op.clone();
        let scalars = op.is::<AddN>() || takes_scalars(&*op);
        let mut operands: SmallVec<[Ref; 4]> = SmallVec::new();
        for (i, role) in roles.iter().enumerate() {
            let refs: Vec<Ref> = members.iter().map(|m| program.inst(*m).inputs[i]).collect();
            let first = self.new.get(refs[0]);
            let one = refs.iter().all(|r| *r == refs[0]);
            let alike = refs.iter().all(|r| program.ty(*r) == program.ty(refs[0]));
            if !alike || *role == Role::Shared && !one {
                return None;
            }
            let splat = splat(&self.new, first).filter(|_| one && scalars && !op.is::<AddN>() && i != by);
            operands.push(match (role, splat) {
                (Role::Shared, _) => first,
                (Role::Rows, Some(value)) => {
                    let scalar = splat_of(value, Shape::scalar())?;
                    self.new.constant(&like, scalar)
                }
                (Role::Rows, None) => self.stack(&refs, &like)?,
            });
        }
        let whole = self.new.add_op(&like, op, &operands)?;
        for index in 0..like.outputs.len() as u32 {
            let part = like.outputs[index as usize].shape.as_known()?;
            let whole = Ref { inst: whole.inst, index };
            if self.new.ty(whole).shape.as_known()? != stacked(&part, members.len()) {
                return None;
            }
            let axis = self.new.constant(&like, Value::scalar(0i32));
            let parts = self.new.add(&like, Split { num_split: members.len() }, &[axis, whole])?;
            self.stacks.push(Stack { whole, len: members.len() });
            for (i, m) in members.iter().enumerate() {
                let old = Ref { inst: *m, index };
                self.new.replace(old, Ref { inst: parts.inst, index: i as u32 });
                self.part_of.insert(old, (self.stacks.len() - 1, i));
            }
        }
        Some(())
    }
}

/// Whether an operand that is the same everywhere may be a scalar.
fn takes_scalars(op: &dyn AnyOp) -> bool {
    use tidemill_core::ops::{AddV2, Mul, RealDiv, Sub};
    op.is::<AddV2>() || op.is::<Mul>() || op.is::<RealDiv>() || op.is::<Sub>()
}

/// The shape of so many parts one below the other.
pub(super) fn stacked(part: &Shape, count: usize) -> Shape {
    part.iter().enumerate().map(|(d, n)| if d == 0 { n * count } else { *n }).collect()
}
