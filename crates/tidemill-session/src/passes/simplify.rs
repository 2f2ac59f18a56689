//! Simplification: operations that say in more words what fewer say. One sweep; each operation sees its operands simplified.
//!
//! ```text
//! Identity x, x * 1, x + 0, x - 0, x / 1              x
//! -(-x), transpose (transpose x), AddN [x]            x
//! reshape (reshape x) back to what x is               x
//! x * [2 2 2]                                         x * 2
//! matmul (transpose x) y                              matmul x y {transpose_a}
//! concat [x, s] 1 · W                                 x · W[..k] + s · W[k..]
//! (concat [x, s] 1)ᵀ · y                              concat [xᵀ · y, sᵀ · y] 0
//! (y · Wᵀ)[:, i..j]                                   y · W[i..j]ᵀ
//! Σ concat [aᵢ, bᵢ]                                   concat [Σ aᵢ, Σ bᵢ]
//! reshape (sum x {keep_dims})                         sum x
//! unpack (broadcast x)                                broadcast x
//! ```
//!
//! Law: values are equal but for the rounding of sums whose order changed; NaN and infinities come from the same elements. Sums of products are split
//! for floats only. Whatever an operation waits for stays: one that waits is not touched.

use smallvec::SmallVec;
use tidemill_core::ops::{
    AddN, AddV2, BroadcastTo, ConcatV2, ExpandDims, Identity, MatMul, Mul, Neg, RealDiv, Reshape, Slice,
    Squeeze, StopGradient, Sub, Sum, Transpose, Unpack,
};
use tidemill_core::{AnyOp, DType, Effect, OpRef, Result, Shape, Value};

use super::PassCx;
use super::users::Users;
use crate::program::{Inst, InstId, Kind, Program, Ref, Rewrite};

/// Splat constants of up to this many bytes are made anew in another shape.
const SMALL: usize = 1 << 20;

pub(super) fn run(program: &mut Program, cx: &PassCx) -> Result<()> {
    let users = Users::of(program);
    let mut new = Rewrite::of(program);
    for id in program.ids() {
        let inst = new.moved(program, id);
        let simpler = match &inst.kind {
            Kind::Op(op) if op.effect() == Effect::Pure && inst.after.is_empty() && !users.waited_for(id) => {
                simplify(&mut new, program, &users, id, &inst, op.clone(), cx)
            }
            _ => None,
        };
        match simpler {
            Some(outputs) => {
                for (index, r) in outputs.into_iter().enumerate() {
                    new.replace(Ref { inst: id, index: index as u32 }, r);
                }
            }
            None => {
                new.keep_as(program, id, inst);
            }
        }
    }
    new.finish(program);
    Ok(())
}

/// [`run`] once more, of programs with loops: work that has come out of them meets what was outside.
pub(super) fn after_loops(program: &mut Program, cx: &PassCx) -> Result<()> {
    match program.insts.iter().any(|inst| matches!(inst.kind, Kind::Loop(_))) {
        true => run(program, cx),
        false => Ok(()),
    }
}

type Simpler = Option<SmallVec<[Ref; 1]>>;

/// What gives the outputs of an operation in a simpler way.
fn simplify(
    new: &mut Rewrite,
    program: &Program,
    users: &Users,
    id: InstId,
    inst: &Inst,
    op: OpRef,
    cx: &PassCx,
) -> Simpler {
    let op = &*op;
    let one = |r: Ref| Some(SmallVec::from_elem(r, 1));
    let x = *inst.inputs.first()?;
    if op.is::<Identity>() || op.is::<StopGradient>() || op.is::<AddN>() && inst.inputs.len() == 1 {
        return if cx.may_patch() { one(x) } else { None };
    }
    if let Some(r) = neutral(new, inst, op).or_else(|| twice(new, inst, op))
        && Some(new.ty(r)) == inst.outputs.first()
    {
        return if cx.may_patch() { one(r) } else { None };
    }
    if keeps_elements(op) && new.ty(x) == &inst.outputs[0] && inst.outputs[0].shape.is_fully_known() {
        return if cx.may_patch() { one(x) } else { None };
    }
    if let Some(unpack) = op.downcast::<Unpack>() {
        return unpack_splat(new, inst, unpack, cx);
    }
    let simpler: Rule = match () {
        () if op.is::<MatMul>() => product,
        () if op.is::<AddN>() => sum_of_joined,
        () if op.is::<Reshape>() && new.made_by::<Sum>(x).is_some() => dropped_axes,
        () if op.is::<ExpandDims>() || op.is::<Reshape>() => reshaped_splat,
        () if op.is::<Slice>() => {
            // Only where the product is not wanted whole.
            let from = program.inst(id).inputs[0].inst;
            let sliced = |u: &InstId| matches!(&program.inst(*u).kind, Kind::Op(op) if op.is::<Slice>());
            if users.fetched(from) || !users.of_inst(from).iter().all(sliced) {
                return None;
            }
            columns_of_product
        }
        () if broadcasts(op) => scalar_operand,
        () => return None,
    };
    simpler(new, inst, cx).and_then(one)
}

/// Whether the result has the elements of operand 0 in their order, if it has its shape.
fn keeps_elements(op: &dyn AnyOp) -> bool {
    op.is::<Reshape>() || op.is::<ExpandDims>() || op.is::<Squeeze>() || op.is::<BroadcastTo>()
}

/// Whether an op's operands may be scalars.
fn broadcasts(op: &dyn AnyOp) -> bool {
    op.is::<AddV2>() || op.is::<Sub>() || op.is::<Mul>() || op.is::<RealDiv>()
}

type Rule = fn(&mut Rewrite, &Inst, &PassCx) -> Option<Ref>;

/// The other operand, where one changes nothing.
fn neutral(new: &Rewrite, inst: &Inst, op: &dyn AnyOp) -> Option<Ref> {
    let &[x, y] = &inst.inputs[..] else { return None };
    let float = inst.outputs.first()?.dtype.is_float();
    let n: f64 = match () {
        () if op.is::<Mul>() || op.is::<RealDiv>() => 1.0,
        // -0 + 0 is 0.
        () if op.is::<AddV2>() && float => -0.0,
        () if op.is::<AddV2>() || op.is::<Sub>() => 0.0,
        () => return None,
    };
    let is_n = |r: Ref| {
        let first = splat(new, r).and_then(|v| v.get_f64(0));
        first.is_some_and(|first| first == n && (!float || first.is_sign_negative() == n.is_sign_negative()))
    };
    if is_n(y) {
        return Some(x);
    }
    ((op.is::<Mul>() || op.is::<AddV2>()) && is_n(x)).then_some(y)
}

/// The operand's operand, where doing it twice undoes it.
fn twice(new: &Rewrite, inst: &Inst, op: &dyn AnyOp) -> Option<Ref> {
    if op.is::<Neg>() {
        return new.made_by::<Neg>(inst.inputs[0]).map(|(_, x)| x[0]);
    }
    if op.is::<Reshape>() {
        return new.made_by::<Reshape>(inst.inputs[0]).map(|(_, x)| x[0]);
    }
    if op.is::<Transpose>() {
        let (_, from) = new.made_by::<Transpose>(inst.inputs[0])?;
        let perm = |r: Ref| new.value(r)?.cast(DType::I64).to_vec::<i64>().ok();
        let (outer, inner) = (perm(inst.inputs[1])?, perm(from[1])?);
        let back = outer.iter().enumerate().all(|(i, at)| inner.get(*at as usize) == Some(&(i as i64)));
        return back.then_some(from[0]);
    }
    None
}

/// The constant behind a value, if all its elements are the same.
pub(super) fn splat(new: &Rewrite, r: Ref) -> Option<&Value> {
    let value = new.value(r).filter(|v| v.dtype().is_numeric())?;
    let size = value.dtype().size();
    let (first, rest) = value.bytes().split_at_checked(size)?;
    rest.chunks_exact(size).all(|e| e == first).then_some(value)
}

/// A constant of this shape with the elements of a splat one.
pub(super) fn splat_of(value: &Value, shape: Shape) -> Option<Value> {
    let size = value.dtype().size();
    let bytes = shape.num_bytes(value.dtype()).filter(|n| *n <= SMALL)?;
    let all = value.bytes()[..size].repeat(bytes / size);
    Value::from_bytes(value.dtype(), shape, &all).ok()
}

/// A splat operand that only broadcasts becomes a scalar.
fn scalar_operand(new: &mut Rewrite, inst: &Inst, cx: &PassCx) -> Option<Ref> {
    let shape = &inst.outputs[0].shape;
    let &[x, y] = &inst.inputs[..] else { return None };
    let candidate = |new: &Rewrite, r: Ref, other: Ref| {
        let large = new.ty(r).shape.num_elements() != Some(1);
        (large && &new.ty(other).shape == shape).then(|| splat(new, r).cloned()).flatten()
    };
    let (i, value) = match candidate(new, y, x) {
        Some(value) => (1, value),
        None => (0, candidate(new, x, y)?),
    };
    let scalar = splat_of(&value, Shape::scalar()).filter(|_| cx.may_patch())?;
    let mut inputs = inst.inputs.clone();
    inputs[i] = new.constant(inst, scalar);
    Some(new.add_kind(inst, inst.kind.clone(), inputs, inst.outputs.clone()))
}

/// What a broadcast scalar constant, or a splat one, is when reshaped.
fn reshaped_splat(new: &mut Rewrite, inst: &Inst, cx: &PassCx) -> Option<Ref> {
    let value = broadcast_splat(new, inst.inputs[0])?;
    let value = splat_of(&value, inst.outputs[0].shape.as_known()?).filter(|_| cx.may_patch())?;
    Some(new.constant(inst, value))
}

/// A sum that keeps its axes, reshaped as if it did not.
fn dropped_axes(new: &mut Rewrite, inst: &Inst, cx: &PassCx) -> Option<Ref> {
    let (sum, operands) = new.made_by::<Sum>(inst.inputs[0])?;
    let operands: SmallVec<[Ref; 2]> = operands.into();
    let axes = new.value(operands[1])?.cast(DType::I64).to_vec::<i64>().ok()?;
    let rank = new.ty(operands[0]).shape.rank()?;
    let shape = new.ty(operands[0]).shape.as_known()?;
    let reduced = |d: usize| axes.iter().any(|a| tidemill_core::normalise_axis(*a, rank).ok() == Some(d));
    let dropped: Shape = (0..rank).filter(|d| !reduced(*d)).map(|d| shape[d]).collect();
    if !sum.keep_dims || inst.outputs[0].shape.as_known()? != dropped || !cx.may_patch() {
        return None;
    }
    new.add(inst, Sum { keep_dims: false }, &operands)
}

fn broadcast_splat(new: &Rewrite, r: Ref) -> Option<Value> {
    let (_, from) = new.made_by::<BroadcastTo>(r)?;
    splat(new, from[0]).cloned()
}

fn unpack_splat(new: &mut Rewrite, inst: &Inst, unpack: &Unpack, cx: &PassCx) -> Simpler {
    let value = broadcast_splat(new, inst.inputs[0])?;
    let part = splat_of(&value, inst.outputs.first()?.shape.as_known()?).filter(|_| cx.may_patch())?;
    let part = new.constant(inst, part);
    Some(SmallVec::from_elem(part, unpack.num))
}

/// The operands of a concatenation along `axis`, and the sizes they have there.
fn joined(new: &Rewrite, r: Ref, axis: usize) -> Option<(SmallVec<[Ref; 4]>, Vec<usize>)> {
    let (_, operands) = new.made_by::<ConcatV2>(r)?;
    let (along, parts) = operands.split_last()?;
    let rank = new.ty(r).shape.rank()?;
    let along = new.value(*along)?.cast(DType::I64).to_scalar::<i64>().ok()?;
    if tidemill_core::normalise_axis(along, rank).ok()? != axis || parts.len() < 2 {
        return None;
    }
    let sizes =
        parts.iter().map(|p| new.ty(*p).shape.as_known()?.get(axis).copied()).collect::<Option<_>>()?;
    Some((parts.into(), sizes))
}

fn transposed(new: &Rewrite, r: Ref) -> Option<Ref> {
    let (_, from) = new.made_by::<Transpose>(r)?;
    (new.value(from[1])?.cast(DType::I64).to_vec::<i64>().ok()? == [1, 0]).then_some(from[0])
}

fn product(new: &mut Rewrite, inst: &Inst, cx: &PassCx) -> Option<Ref> {
    let Kind::Op(op) = &inst.kind else { return None };
    let op = op.downcast::<MatMul>()?.clone();
    let (a, b) = (inst.inputs[0], inst.inputs[1]);
    if let Some(a) = transposed(new, a).filter(|_| cx.may_patch()) {
        return new.add(inst, MatMul { transpose_a: !op.transpose_a, ..op }, &[a, b]);
    }
    if let Some(b) = transposed(new, b).filter(|_| cx.may_patch()) {
        return new.add(inst, MatMul { transpose_b: !op.transpose_b, ..op }, &[a, b]);
    }
    // Halves would round more often than before.
    if !matches!(inst.outputs[0].dtype, DType::F32 | DType::F64) {
        return None;
    }
    let (parts, sizes) = joined(new, a, 1)?;
    if op.transpose_a {
        if !cx.may_patch() {
            return None;
        }
        let mut blocks: SmallVec<[Ref; 4]> = SmallVec::new();
        for part in parts {
            blocks.push(new.add(inst, op.clone(), &[part, b])?);
        }
        return concat(new, inst, &blocks);
    }
    if op.transpose_b || !cx.may_patch() {
        return None;
    }
    let (mut sum, mut at): (Option<Ref>, usize) = (None, 0);
    for (part, size) in parts.iter().zip(sizes) {
        let rows = rows(new, inst, b, at, size)?;
        let block = new.add(inst, op.clone(), &[*part, rows])?;
        at += size;
        sum = Some(match sum {
            Some(sum) => new.add(inst, AddV2, &[sum, block])?,
            None => block,
        });
    }
    sum
}

/// Rows `at..at + size` of a matrix.
fn rows(new: &mut Rewrite, like: &Inst, matrix: Ref, at: usize, size: usize) -> Option<Ref> {
    let columns = new.ty(matrix).shape.as_known()?.get(1).copied()?;
    let begin = new.constant(like, Value::from([i32::try_from(at).ok()?, 0]));
    let size = new.constant(like, Value::from([i32::try_from(size).ok()?, i32::try_from(columns).ok()?]));
    new.add(like, Slice, &[matrix, begin, size])
}

/// The concatenation along axis 0.
pub(super) fn concat(new: &mut Rewrite, like: &Inst, parts: &[Ref]) -> Option<Ref> {
    if let [one] = parts {
        return Some(*one);
    }
    let axis = new.constant(like, Value::scalar(0i32));
    let operands: Vec<Ref> = parts.iter().copied().chain([axis]).collect();
    new.add(like, ConcatV2, &operands)
}

/// A sum of concatenations along axis 0 of like parts.
fn sum_of_joined(new: &mut Rewrite, inst: &Inst, cx: &PassCx) -> Option<Ref> {
    let (first, sizes) = joined(new, inst.inputs[0], 0)?;
    let mut sums: Vec<Vec<Ref>> = first.iter().map(|r| vec![*r]).collect();
    for r in &inst.inputs[1..] {
        let (parts, like) = joined(new, *r, 0)?;
        if like != sizes {
            return None;
        }
        sums.iter_mut().zip(parts).for_each(|(sum, part)| sum.push(part));
    }
    if !cx.may_patch() {
        return None;
    }
    let mut blocks: SmallVec<[Ref; 4]> = SmallVec::new();
    for sum in sums {
        blocks.push(new.add(inst, AddN, &sum)?);
    }
    concat(new, inst, &blocks)
}

/// Some columns of `y · Wᵀ`.
fn columns_of_product(new: &mut Rewrite, inst: &Inst, cx: &PassCx) -> Option<Ref> {
    let (op, operands) = new.made_by::<MatMul>(inst.inputs[0])?;
    let (op, y, w) = (op.clone(), operands[0], operands[1]);
    let ints = |r: Ref| new.value(r)?.cast(DType::I64).to_vec::<i64>().ok();
    let (begin, out) = (ints(inst.inputs[1])?, inst.outputs[0].shape.as_known()?);
    let whole_columns = begin[0] == 0 && new.ty(inst.inputs[0]).shape.as_known()?[0] == out[0];
    if !op.transpose_b || !whole_columns || !cx.may_patch() {
        return None;
    }
    let rows = rows(new, inst, w, usize::try_from(begin[1]).ok()?, out[1])?;
    new.add(inst, op, &[y, rows])
}
