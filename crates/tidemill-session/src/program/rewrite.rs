//! Building a program anew from an old one, operation by operation.

use std::sync::Arc;

use smallvec::SmallVec;
use tidemill_core::ops::known_elements;
use tidemill_core::{InferCx, KnownValues, Op, OpRef, PartialValue, TensorType, Value};

use super::{Inst, InstId, Kind, Program, Ref};

/// Goes through an old program in order and makes a new one: operations are [`keep`](Rewrite::keep)t, or others are
/// [`add`](Rewrite::add_kind)ed and what the old ones gave is [`replace`](Rewrite::replace)d by what the new ones give.
pub(crate) struct Rewrite {
    insts: Vec<Inst>,
    /// Where each output of each old operation is now.
    refs: Vec<SmallVec<[Option<Ref>; 1]>>,
    /// What stands for each old operation where others must wait for it.
    ids: Vec<Option<InstId>>,
}

impl Rewrite {
    /// Of `program`, which stays as it is until [`finish`](Rewrite::finish).
    pub(crate) fn of(program: &Program) -> Rewrite {
        Rewrite {
            insts: Vec::with_capacity(program.insts.len()),
            refs: program.insts.iter().map(|inst| SmallVec::from_elem(None, inst.outputs.len())).collect(),
            ids: vec![None; program.insts.len()],
        }
    }

    /// Where an old value is now. It must have been kept or replaced.
    pub(crate) fn get(&self, old: Ref) -> Ref {
        self.refs[old.inst.index()][old.index as usize]
            .unwrap_or_else(|| unreachable!("{old} is used before it is made"))
    }

    /// The old operation, with its operands where they are now.
    pub(crate) fn keep(&mut self, program: &Program, id: InstId) -> InstId {
        let inst = self.moved(program, id);
        self.keep_as(program, id, inst)
    }

    /// The old operation, as it is in terms of the new program.
    pub(crate) fn moved(&self, program: &Program, id: InstId) -> Inst {
        let mut inst = program.inst(id).clone();
        inst.inputs.iter_mut().for_each(|r| *r = self.get(*r));
        inst.after = inst.after.iter().filter_map(|a| self.ids[a.index()]).collect();
        inst
    }

    /// What [`moved`](Rewrite::moved) gave, in the place of the old operation.
    pub(crate) fn keep_as(&mut self, program: &Program, id: InstId, inst: Inst) -> InstId {
        let new = self.push(inst);
        for index in 0..program.inst(id).outputs.len() as u32 {
            self.replace(Ref { inst: id, index }, Ref { inst: new, index });
        }
        self.ids[id.index()] = Some(new);
        new
    }

    /// A new operation that stands for `like` in names and listings; `inputs` are values of the new program.
    pub(crate) fn add_kind(
        &mut self,
        like: &Inst,
        kind: Kind,
        inputs: impl IntoIterator<Item = Ref>,
        outputs: impl IntoIterator<Item = TensorType>,
    ) -> Ref {
        let inst = Inst {
            kind,
            inputs: inputs.into_iter().collect(),
            after: SmallVec::new(),
            outputs: outputs.into_iter().collect(),
            writes: SmallVec::new(),
            node: like.node,
            name: like.name.clone(),
            origin: like.origin.clone(),
        };
        Ref { inst: self.push(inst), index: 0 }
    }

    /// A new operation that does `op` and gives what its rule says; `None` if that refuses.
    pub(crate) fn add(&mut self, like: &Inst, op: impl Op, inputs: &[Ref]) -> Option<Ref> {
        self.add_op(like, Arc::new(op), inputs)
    }

    /// [`add`](Rewrite::add) of an op of any type.
    pub(crate) fn add_op(&mut self, like: &Inst, op: OpRef, inputs: &[Ref]) -> Option<Ref> {
        let types: SmallVec<[TensorType; 4]> = inputs.iter().map(|r| self.ty(*r).clone()).collect();
        let known = Known { insts: &self.insts, inputs };
        let outputs = op.infer(&InferCx::new(&types, &known)).ok()?;
        Some(self.add_kind(like, Kind::Op(op), inputs.iter().copied(), outputs))
    }

    /// An operation of the new program.
    pub(crate) fn inst(&self, new: InstId) -> &Inst {
        &self.insts[new.index()]
    }

    /// The type of a value of the new program.
    pub(crate) fn ty(&self, new: Ref) -> &TensorType {
        &self.inst(new.inst).outputs[new.index as usize]
    }

    /// A value of the new program, if it is constant.
    pub(crate) fn value(&self, new: Ref) -> Option<&Value> {
        match &self.inst(new.inst).kind {
            Kind::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// What gives a value of the new program, if that is an `O`, and its operands.
    pub(crate) fn made_by<O: Op>(&self, new: Ref) -> Option<(&O, &[Ref])> {
        match &self.inst(new.inst).kind {
            Kind::Op(op) => op.downcast::<O>().map(|op| (op, &self.inst(new.inst).inputs[..])),
            _ => None,
        }
    }

    /// A constant.
    pub(crate) fn constant(&mut self, like: &Inst, value: Value) -> Ref {
        let ty = TensorType::new(value.dtype(), value.shape());
        self.add_kind(like, Kind::Constant(value), [], [ty])
    }

    /// From now on `new` is what `old` was.
    pub(crate) fn replace(&mut self, old: Ref, new: Ref) {
        self.refs[old.inst.index()][old.index as usize] = Some(new);
    }

    /// The new operation stands for the old one where others wait for that.
    pub(crate) fn stands_for(&mut self, old: InstId, new: InstId) {
        self.ids[old.index()] = Some(new);
    }

    pub(crate) fn push(&mut self, inst: Inst) -> InstId {
        self.insts.push(inst);
        InstId(self.insts.len() as u32 - 1)
    }

    /// Puts the new operations in place of the old ones.
    pub(crate) fn finish(self, program: &mut Program) {
        program.fetches.iter_mut().for_each(|r| *r = self.get(*r));
        program.targets = program.targets.iter().filter_map(|t| self.ids[t.index()]).collect();
        program.insts = self.insts;
    }
}

/// The constants among the operands of an operation.
struct Known<'a> {
    insts: &'a [Inst],
    inputs: &'a [Ref],
}

impl KnownValues for Known<'_> {
    fn known(&self, i: usize) -> Option<PartialValue> {
        match &self.insts[self.inputs[i].inst.index()].kind {
            Kind::Constant(value) => known_elements(value),
            _ => None,
        }
    }
}
