//! Who uses what an operation gives.

use crate::program::{InstId, Program, Ref};

/// The users of each operation of a program, as it was when they were looked up.
pub(super) struct Users {
    /// Where the users of each operation begin in `list`; one more than there are operations.
    first: Vec<u32>,
    /// Users in program order, one for each operand.
    list: Vec<InstId>,
    fetched: Vec<bool>,
    waited_for: Vec<bool>,
}

impl Users {
    pub(super) fn of(program: &Program) -> Users {
        let len = program.insts.len();
        let mut first = vec![0u32; len + 1];
        for inst in &program.insts {
            inst.inputs.iter().for_each(|r| first[r.inst.index() + 1] += 1);
        }
        for i in 0..len {
            first[i + 1] += first[i];
        }
        let mut next = first.clone();
        let mut list = vec![InstId(0); first[len] as usize];
        for id in program.ids() {
            for r in &program.inst(id).inputs {
                let at = &mut next[r.inst.index()];
                list[*at as usize] = id;
                *at += 1;
            }
        }
        let (mut fetched, mut waited_for) = (vec![false; len], vec![false; len]);
        program.fetches.iter().for_each(|r| fetched[r.inst.index()] = true);
        program.targets.iter().for_each(|t| waited_for[t.index()] = true);
        program.insts.iter().flat_map(|i| &i.after).for_each(|a| waited_for[a.index()] = true);
        Users { first, list, fetched, waited_for }
    }

    /// The users of an operation's results, in program order; one that uses several is there several times.
    pub(super) fn of_inst(&self, id: InstId) -> &[InstId] {
        &self.list[self.first[id.index()] as usize..self.first[id.index() + 1] as usize]
    }

    /// Whether some result is fetched.
    pub(super) fn fetched(&self, id: InstId) -> bool {
        self.fetched[id.index()]
    }

    /// Whether an operation waits for it, or the run does.
    pub(super) fn waited_for(&self, id: InstId) -> bool {
        self.waited_for[id.index()]
    }

    /// The one place where an operation's only result is used: by this operation, and nothing else wants it.
    pub(super) fn only(&self, r: Ref) -> Option<InstId> {
        match self.of_inst(r.inst) {
            [user] if !self.fetched(r.inst) && !self.waited_for(r.inst) => Some(*user),
            _ => None,
        }
    }
}
