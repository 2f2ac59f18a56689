//! Building a program anew from an old one, operation by operation.

use smallvec::SmallVec;
use tidemill_core::{TensorType, Value};

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
        let mut inst = program.inst(id).clone();
        inst.inputs.iter_mut().for_each(|r| *r = self.get(*r));
        inst.after = inst.after.iter().filter_map(|a| self.ids[a.index()]).collect();
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

    /// A constant.
    pub(crate) fn constant(&mut self, like: &Inst, value: Value) -> Ref {
        let ty = TensorType::new(value.dtype(), value.shape());
        self.add_kind(like, Kind::Constant(value), [], [ty])
    }

    /// From now on `new` is what `old` was.
    pub(crate) fn replace(&mut self, old: Ref, new: Ref) {
        self.refs[old.inst.index()][old.index as usize] = Some(new);
    }

    fn push(&mut self, inst: Inst) -> InstId {
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
