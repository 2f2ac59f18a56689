//! From a graph to a program: prune to what the run needs, cut at the feeds, and order reads and writes of variables.
//!
//! The order is the promise that sessions make: a read sees the value from before the run's writes, except those that its
//! consumer depends on. So a read follows the writes among its consumer's ancestors, and every other write of the variable
//! follows the read and what uses it. A value that must survive such a write is copied.

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};
use tidemill_core::ops::{Const, Identity, Loop, Param, Placeholder, PlaceholderWithDefault, VariableV2};
use tidemill_core::{Error, Graph, Node, NodeId, OpRef, Output, RegionId, Result, TensorType};

use super::bodies::{self, Built, Given, Merged, Outside, Work};
use super::{Inst, InstId, Kind, Program, ProgramVariable, Ref};
use std::sync::Arc;

impl Program {
    /// The program that computes `fetches` and runs `targets`, given values of the types `feeds` for the tensors they name.
    ///
    /// # Errors
    /// `InvalidArgument` when a placeholder that is needed is not fed, naming it.
    pub fn build(
        graph: &Graph,
        fetches: &[Output],
        targets: &[NodeId],
        feeds: &[(Output, TensorType)],
    ) -> Result<Program> {
        let nodes = graph.nodes();
        let inside = |id: &NodeId| nodes[id.index()].region != RegionId::ROOT;
        let all = fetches.iter().chain(feeds.iter().map(|(o, _)| o)).map(|o| &o.node).chain(targets);
        if let Some(id) = all.into_iter().find(|id| inside(id)) {
            let node = &nodes[id.index()];
            return Err(Error::invalid(
                "is inside the body of a loop or conditional, and has no one value in a run",
            )
            .with_node(node.op.name(), &node.name)
            .with_origin(node.origin.clone())
            .with_help("fetch the result of the loop or conditional"));
        }
        let outside = Outside { nodes: &nodes, variables: &[], references: FxHashMap::default() };
        Program::build_from(&outside, fetches, targets, feeds)
    }

    /// [`build`](Program::build) for the graph's nodes, or for a body: its results are fetched, its parameters fed.
    pub(super) fn build_from(
        outside: &Outside,
        fetches: &[Output],
        targets: &[NodeId],
        feeds: &[(Output, TensorType)],
    ) -> Result<Program> {
        let nodes = outside.nodes;
        let fed: FxHashMap<Output, usize> = feeds.iter().enumerate().map(|(i, (o, _))| (*o, i)).collect();
        let needed = prune(nodes, fetches, targets, &fed);
        let mut builder = Builder {
            nodes,
            merged: Merged::of(
                nodes,
                nodes.iter().enumerate().filter(|(i, _)| needed[*i]).map(|(_, node)| node),
            ),
            built: Built::default(),
            places: FxHashMap::default(),
            fed: &fed,
            feeds,
            references: &outside.references,
            insts: vec![],
            node_inst: vec![None; nodes.len()],
            feed_inst: vec![None; feeds.len()],
            variables: outside.variables.to_vec(),
            variable_of: FxHashMap::default(),
            shared: FxHashMap::default(),
        };
        for (i, node) in nodes.iter().enumerate().filter(|(i, _)| needed[*i]) {
            builder.node(NodeId(i as u32), node)?;
        }
        let fetches: Vec<Ref> = fetches
            .iter()
            .map(|o| {
                let node = &nodes[o.node.index()];
                let r = builder.value(*o, node);
                builder.deref(r, &[], o.node, node)
            })
            .collect();
        let targets = targets.iter().filter_map(|t| builder.node_inst[t.index()]).collect();
        let feeds = feeds.iter().map(|(o, _)| *o).collect();
        let mut program =
            Program { insts: builder.insts, feeds, fetches, targets, variables: builder.variables };
        program.keep_snapshots();
        Ok(program)
    }

    /// Copies what was read from a variable wherever it is used after a write that the read must not see.
    fn keep_snapshots(&mut self) {
        let orders = Orders::of(self);
        let mut copies: FxHashMap<Ref, Ref> = FxHashMap::default();
        for id in self.ids() {
            if !matches!(self.inst(id).kind, Kind::Read(_)) {
                continue;
            }
            let later = orders.later_writes(self, id);
            if later.is_empty() {
                continue;
            }
            let read = Ref { inst: id, index: 0 };
            let outlives = |user: InstId| later.iter().any(|w| orders.depends(user, *w));
            let fetched = self.fetches.contains(&read);
            let used_later = self.ids().any(|user| self.inst(user).inputs.contains(&read) && outlives(user));
            // An op whose output may share the operand's buffer passes the need for a copy on; copying here is always right.
            if fetched || used_later || self.passes_on(read, &outlives) {
                copies.insert(read, read);
            }
        }
        if copies.is_empty() {
            return;
        }
        // Insert each copy right behind its read.
        let mut insts = Vec::with_capacity(self.insts.len() + copies.len());
        let mut moved = Vec::with_capacity(self.insts.len());
        for id in self.ids() {
            let inst = self.inst(id).clone();
            moved.push(InstId(insts.len() as u32));
            let read = Ref { inst: id, index: 0 };
            let new_read = Ref { inst: InstId(insts.len() as u32), index: 0 };
            let copy = copies.contains_key(&read).then(|| Inst {
                kind: Kind::Copy,
                inputs: smallvec![new_read],
                after: SmallVec::new(),
                ..inst.clone()
            });
            insts.push(inst);
            if let Some(copy) = copy {
                copies.insert(read, Ref { inst: InstId(insts.len() as u32), index: 0 });
                insts.push(copy);
            }
        }
        let renumber = |r: &mut Ref| match copies.get(r) {
            Some(copy) => *r = *copy,
            None => r.inst = moved[r.inst.index()],
        };
        for inst in &mut insts {
            if !matches!(inst.kind, Kind::Copy) {
                inst.inputs.iter_mut().for_each(renumber);
            }
            inst.after.iter_mut().for_each(|a| *a = moved[a.index()]);
        }
        self.fetches.iter_mut().for_each(renumber);
        self.targets.iter_mut().for_each(|t| *t = moved[t.index()]);
        self.insts = insts;
    }

    /// Whether a pure op on the value of `read` is fetched or used where the read itself must not be.
    fn passes_on(&self, read: Ref, outlives: &impl Fn(InstId) -> bool) -> bool {
        let mut aliases = vec![read];
        let mut from = 0;
        while let Some(alias) = aliases.get(from).copied() {
            from += 1;
            for user in self.ids().filter(|u| u.index() > alias.inst.index()) {
                let inst = self.inst(user);
                if !inst.inputs.contains(&alias) || !inst.writes.is_empty() {
                    continue;
                }
                let same_bytes = |ty: &TensorType| {
                    let have = self.ty(alias);
                    ty.dtype == have.dtype && ty.shape.num_elements() == have.shape.num_elements()
                };
                for (index, _) in inst.outputs.iter().enumerate().filter(|(_, ty)| same_bytes(ty)) {
                    let out = Ref { inst: user, index: index as u32 };
                    if self.fetches.contains(&out) || self.users(out).any(outlives) {
                        return true;
                    }
                    if aliases.len() < 64 {
                        aliases.push(out);
                    }
                }
            }
        }
        false
    }

    fn users(&self, r: Ref) -> impl Iterator<Item = InstId> + '_ {
        self.ids().filter(move |u| self.inst(*u).inputs.contains(&r))
    }
}

/// Which nodes the run needs.
fn prune(
    nodes: &[Arc<Node>],
    fetches: &[Output],
    targets: &[NodeId],
    fed: &FxHashMap<Output, usize>,
) -> Vec<bool> {
    let mut needed = vec![false; nodes.len()];
    let visit = |o: &Output, needed: &mut Vec<bool>| {
        if !fed.contains_key(o) {
            needed[o.node.index()] = true;
        }
    };
    fetches.iter().for_each(|o| visit(o, &mut needed));
    targets.iter().for_each(|t| needed[t.index()] = true);
    for i in (0..nodes.len()).rev() {
        if needed[i] {
            nodes[i].inputs.iter().for_each(|o| visit(o, &mut needed));
            // A fed placeholder, or a parameter of a body, does not run, so nothing can wait for it.
            let runs = |c: &&NodeId| {
                let op = &nodes[c.index()].op;
                !((op.is::<Placeholder>() || op.is::<Param>()) && fed.contains_key(&Output::new(**c, 0)))
            };
            nodes[i].controls.iter().filter(runs).for_each(|c| needed[c.index()] = true);
        }
    }
    needed
}

struct Builder<'a> {
    nodes: &'a [Arc<Node>],
    merged: Merged,
    built: Built,
    /// For a loop or conditional: where its results are among those of the one that stands for it.
    places: FxHashMap<NodeId, Vec<u32>>,
    fed: &'a FxHashMap<Output, usize>,
    feeds: &'a [(Output, TensorType)],
    /// The feeds that refer to variables, and which.
    references: &'a FxHashMap<Output, usize>,
    insts: Vec<Inst>,
    node_inst: Vec<Option<InstId>>,
    feed_inst: Vec<Option<InstId>>,
    variables: Vec<ProgramVariable>,
    /// Which variable a reference refers to.
    variable_of: FxHashMap<InstId, usize>,
    /// Variables with a `shared_name`, by that name.
    shared: FxHashMap<String, usize>,
}

impl Builder<'_> {
    fn push(&mut self, inst: Inst) -> InstId {
        self.insts.push(inst);
        InstId(self.insts.len() as u32 - 1)
    }

    fn node(&mut self, id: NodeId, node: &Arc<Node>) -> Result<()> {
        if node.op.is::<Placeholder>() {
            // Needed as a value: not fed (prune stops at feeds). Needed as a target: runs as nothing when fed.
            if self.fed.contains_key(&Output::new(id, 0)) {
                return Ok(());
            }
            let ty = &node.outputs[0];
            return Err(Error::invalid(format!("the placeholder must be fed with a {ty}"))
                .with_node(node.op.name(), &node.name)
                .with_origin(node.origin.clone())
                .with_help(format!(
                    "add it to the feeds, by its tensor or its name: feed! {{ \"{}:0\" => .. }}",
                    node.name
                )));
        }
        // What is not fed is its operand, of whose shape more may be known than was asked for.
        let op: OpRef = match node.op.is::<PlaceholderWithDefault>() {
            true => Arc::new(Identity {}),
            false => node.op.clone(),
        };
        let after: SmallVec<[InstId; 2]> =
            node.controls.iter().filter_map(|c| self.node_inst[c.index()]).collect();
        let mut inst = Inst {
            kind: Kind::Op(op),
            inputs: SmallVec::new(),
            after,
            outputs: node.outputs.clone(),
            writes: SmallVec::new(),
            node: id,
            name: node.name.clone(),
            origin: node.origin.clone(),
        };
        if let Some(constant) = node.op.downcast::<Const>() {
            inst.kind = Kind::Constant(constant.value.clone());
            self.node_inst[id.index()] = Some(self.push(inst));
            return Ok(());
        }
        if let Some(variable) = node.op.downcast::<VariableV2>() {
            let index = self.variable(variable, id, node);
            inst.kind = Kind::Variable(index);
            let made = self.push(inst);
            self.variable_of.insert(made, index);
            self.node_inst[id.index()] = Some(made);
            return Ok(());
        }
        let work = Work::of(self.nodes, node);
        if let Some(work) = &work {
            // A loop also gives its carries, which all have in common, and the number of its turns.
            let carries = node.op.downcast::<Loop>().map_or(0, |op| op.carries);
            let places = |all: &[Given]| {
                let own = (0..carries).chain(work.places(all).map(|at| carries + at));
                own.chain([carries + all.len()]).map(|at| at as u32).collect()
            };
            if let Some((stand_in, all)) = self.built.get(&work.key) {
                self.places.insert(id, places(all));
                self.node_inst[id.index()] = Some(*stand_in);
                return Ok(());
            }
            let more = self.merged.more(work);
            let all: Vec<Given> = work.results.iter().chain(&more).copied().collect();
            self.places.insert(id, places(&all));
            self.built.insert(work.key.clone(), (InstId(self.insts.len() as u32), all));
            let mut outside = Outside { nodes: self.nodes, variables: &[], references: FxHashMap::default() };
            for (operand, param) in node.inputs.iter().zip(bodies::params(node)) {
                let Some(param) = param.filter(|p| self.nodes[p.index()].outputs[0].is_ref) else { continue };
                let r = self.value(*operand, &self.nodes[operand.node.index()].clone());
                if let Some(variable) = self.variable_of.get(&r.inst) {
                    outside.references.insert(Output::new(param, 0), *variable);
                }
            }
            outside.variables = &self.variables;
            if let Some((kind, outputs)) = bodies::build(&outside, node, &more)? {
                (inst.kind, inst.outputs) = (kind, outputs);
            }
        }
        let values: SmallVec<[Ref; 4]> =
            node.inputs.iter().map(|o| self.value(*o, &self.nodes[o.node.index()].clone())).collect();
        let specs = node.op.signature().spread(values.len())?;
        let params = bodies::params(node);
        let assigned = |i: usize| {
            let param = params.get(i).copied().flatten();
            param.is_some_and(|p| self.nodes[p.index()].outputs[0].is_ref)
        };
        let assigned: SmallVec<[bool; 4]> = (0..values.len()).map(assigned).collect();
        let mut order: SmallVec<[InstId; 8]> = values.iter().map(|r| r.inst).collect();
        order.extend(inst.after.iter().copied());
        for ((r, spec), assigned) in values.into_iter().zip(specs).zip(assigned) {
            let operand = if assigned {
                // Both branches of a conditional may assign it.
                let variable = self.variable_behind(r, spec.name, node)?;
                if !inst.writes.contains(&variable) {
                    inst.writes.push(variable);
                }
                r
            } else if spec.reference {
                let variable = self.variable_behind(r, spec.name, node)?;
                if inst.writes.contains(&variable) {
                    return Err(Error::invalid(format!(
                        "`{}` is a variable that another operand is already",
                        spec.name
                    ))
                    .with_node(node.op.name(), &node.name)
                    .with_origin(node.origin.clone()));
                }
                inst.writes.push(variable);
                r
            } else {
                self.deref(r, &order, id, node)
            };
            inst.inputs.push(operand);
        }
        let first = inst.writes.first().copied();
        let made = self.push(inst);
        if let Some((stand_in, _)) = work.as_ref().and_then(|work| self.built.get_mut(&work.key)) {
            *stand_in = made;
        }
        if let Some(variable) = first.filter(|_| work.is_none()) {
            // Output references are those of the first operand, in every op there is.
            self.variable_of.insert(made, variable);
        }
        self.node_inst[id.index()] = Some(made);
        Ok(())
    }

    /// The variable that a reference refers to.
    fn variable_behind(&self, r: Ref, operand: &str, node: &Node) -> Result<usize> {
        self.variable_of.get(&r.inst).copied().ok_or_else(|| {
            Error::invalid(format!("`{operand}` is a variable that is written, and is fed"))
                .with_node(node.op.name(), &node.name)
                .with_origin(node.origin.clone())
        })
    }

    fn variable(&mut self, op: &VariableV2, id: NodeId, node: &Node) -> usize {
        if let Some(&shared) = self.shared.get(&op.shared_name).filter(|_| !op.shared_name.is_empty()) {
            return shared;
        }
        let index = self.variables.len();
        self.variables.push(ProgramVariable {
            node: id,
            name: node.name.clone(),
            ty: node.outputs[0].clone(),
        });
        if !op.shared_name.is_empty() {
            self.shared.insert(op.shared_name.clone(), index);
        }
        index
    }

    /// The value of a graph's tensor: the feed, or the output of its operation.
    fn value(&mut self, o: Output, node: &Node) -> Ref {
        let inst = match self.fed.get(&o) {
            Some(&feed) => match self.feed_inst[feed] {
                Some(inst) => inst,
                None => {
                    let variable = self.references.get(&o).copied();
                    let inst = self.push(Inst {
                        kind: variable.map_or(Kind::Feed(feed), Kind::Variable),
                        inputs: SmallVec::new(),
                        after: SmallVec::new(),
                        outputs: smallvec![self.feeds[feed].1.clone()],
                        writes: SmallVec::new(),
                        node: o.node,
                        name: node.name.clone(),
                        origin: node.origin.clone(),
                    });
                    self.feed_inst[feed] = Some(inst);
                    self.variable_of.extend(variable.map(|variable| (inst, variable)));
                    inst
                }
            },
            None => match self.node_inst[o.node.index()] {
                Some(inst) => {
                    let index = self.places.get(&o.node).map_or(o.index, |places| places[o.index as usize]);
                    return Ref { inst, index };
                }
                None => unreachable!("operands stand before their users"),
            },
        };
        Ref { inst, index: 0 }
    }

    /// A value for a use that is no reference: reads the variable if `r` refers to one. `order` is what the user waits for.
    fn deref(&mut self, r: Ref, order: &[InstId], node_id: NodeId, node: &Node) -> Ref {
        let ty = &self.insts[r.inst.index()].outputs[r.index as usize];
        if !ty.is_ref {
            return r;
        }
        let ty = TensorType::new(ty.dtype, ty.shape.clone());
        let variable = match self.variable_of.get(&r.inst) {
            Some(&variable) => variable,
            None => unreachable!("every reference refers to a variable"),
        };
        // The read waits for what its user waits for, so that it sees those writes; not for other operands' pure work.
        let after =
            order.iter().copied().filter(|i| *i != r.inst && self.leads_to_write(*i, variable)).collect();
        let inst = self.push(Inst {
            kind: Kind::Read(variable),
            inputs: smallvec![r],
            after,
            outputs: smallvec![ty],
            writes: SmallVec::new(),
            node: node_id,
            name: node.name.clone(),
            origin: node.origin.clone(),
        });
        Ref { inst, index: 0 }
    }

    /// Whether a write to `variable` is among `from` and its ancestors.
    fn leads_to_write(&self, from: InstId, variable: usize) -> bool {
        // Programs without any write to the variable so far, which is nearly every read, need no search.
        if !self.insts.iter().any(|i| i.writes.contains(&variable)) {
            return false;
        }
        let mut seen = vec![false; from.index() + 1];
        let mut stack = vec![from];
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut seen[id.index()], true) {
                continue;
            }
            let inst = &self.insts[id.index()];
            if inst.writes.contains(&variable) {
                return true;
            }
            stack.extend(inst.inputs.iter().map(|r| r.inst));
            stack.extend(inst.after.iter().copied());
        }
        false
    }
}

/// For each operation, which of the program's writes it depends on.
pub(crate) struct Orders {
    writes: Vec<InstId>,
    words: usize,
    /// `words` words of bits for each operation: the writes among its ancestors and itself.
    ancestors: Vec<u64>,
}

impl Orders {
    pub(crate) fn of(program: &Program) -> Orders {
        let writes: Vec<InstId> = program.ids().filter(|id| !program.inst(*id).writes.is_empty()).collect();
        let words = writes.len().div_ceil(64);
        let mut ancestors = vec![0u64; words * program.insts.len()];
        let mut write = 0;
        for id in program.ids() {
            let inst = program.inst(id);
            let (before, own) = ancestors.split_at_mut(id.index() * words);
            for from in inst.inputs.iter().map(|r| r.inst).chain(inst.after.iter().copied()) {
                for w in 0..words {
                    own[w] |= before[from.index() * words + w];
                }
            }
            if !inst.writes.is_empty() {
                own[write / 64] |= 1 << (write % 64);
                write += 1;
            }
        }
        Orders { writes, words, ancestors }
    }

    /// The writes that an operation is or depends on, as bits.
    pub(crate) fn writes_before(&self, id: InstId) -> &[u64] {
        &self.ancestors[id.index() * self.words..][..self.words]
    }

    /// Whether two operations depend on the same writes.
    pub(crate) fn same_writes(&self, a: InstId, b: InstId) -> bool {
        self.writes_before(a) == self.writes_before(b)
    }

    /// Whether `id` is `write`, or depends on it.
    pub(crate) fn depends(&self, id: InstId, write: InstId) -> bool {
        match self.writes.binary_search(&write) {
            Ok(w) => self.ancestors[id.index() * self.words + w / 64] >> (w % 64) & 1 == 1,
            Err(_) => false,
        }
    }

    /// The writes that must come after the read `id`: all to its variable that it does not depend on.
    pub(crate) fn later_writes(&self, program: &Program, id: InstId) -> Vec<InstId> {
        let Kind::Read(variable) = program.inst(id).kind else { return vec![] };
        let other = |w: &&InstId| program.inst(**w).writes.contains(&variable) && !self.depends(id, **w);
        self.writes.iter().filter(other).copied().collect()
    }
}
