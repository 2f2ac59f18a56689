//! Making the nodes of a source: those of the root block, and inside of them those of conditionals and loops.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use tidemill_core::{DType, Error, Graph, Operation, Result, ops};

use super::blocks::{Blocks, LoopVar, Unit};
use super::build::{Importer, Name, NodeCx};
use super::contexts::flow_op;
use super::regions::{Part, Site};
use super::source::{Item, Port, Source};
use super::value::{Made, Val};
use crate::op_defs::{self, NodeAttrs, Substitution};

/// A source, and how it is to be made.
pub(super) struct Code<'a> {
    pub(super) source: Source<'a>,
    blocks: Blocks,
    /// `Merge`s of which it matters which value came.
    indexed: FxHashSet<u32>,
}

impl<'a> Source<'a> {
    /// Finds the conditionals and loops among the nodes kept.
    pub(super) fn into_code(self, keep: &[bool]) -> Result<Code<'a>> {
        let blocks = Blocks::of(&self, keep)?;
        let inputs = self.items.iter().flat_map(|item| &item.inputs);
        let indexed = inputs
            .filter(|p| p.output == 1 && flow_op(&self.items[p.node as usize]) == "Merge")
            .map(|p| p.node)
            .collect();
        Ok(Code { source: self, blocks, indexed })
    }
}

/// What has been made in one block.
#[derive(Default)]
struct Env {
    made: FxHashMap<u32, Made>,
    /// Values that were not made by the nodes they belong to.
    given: FxHashMap<Port, Val>,
    units: FxHashMap<Unit, Operation>,
}

/// A source being made.
pub(super) struct Instance<'a> {
    code: Rc<Code<'a>>,
    /// Of the blocks that are open, innermost last.
    envs: Vec<Env>,
    prefix: String,
    /// Whether nodes have their own names, or such as are free.
    exact: bool,
    substitution: Option<Rc<Substitution>>,
}

impl<'a> Instance<'a> {
    /// The graph; `mapped` stands for what the caller replaces.
    pub(super) fn of_graph(
        mut code: Code<'a>,
        prefix: String,
        mapped: FxHashMap<Port, Val>,
        wanted: &[String],
    ) -> Instance<'a> {
        let indices =
            wanted.iter().filter_map(|name| code.source.by_name.get(name.strip_suffix(":1")?).copied());
        let indices: Vec<u32> = indices.collect();
        code.indexed.extend(indices);
        let env = Env { given: mapped, ..Env::default() };
        Instance { code: Rc::new(code), envs: vec![env], prefix, exact: true, substitution: None }
    }

    /// A function, called with `args`.
    pub(super) fn of_function(
        code: Rc<Code<'a>>,
        prefix: String,
        exact: bool,
        args: &[Val],
        substitution: Option<Rc<Substitution>>,
    ) -> Instance<'a> {
        let port = |i: usize| Port { node: i as u32, output: 0 };
        let given = args.iter().enumerate().map(|(i, val)| (port(i), val.clone())).collect();
        let env = Env { given, ..Env::default() };
        Instance { code, envs: vec![env], prefix, exact, substitution }
    }

    /// The value of a port.
    pub(super) fn value(&self, port: Port) -> Result<Val> {
        let name = || self.code.source.items[port.node as usize].name;
        for env in self.envs.iter().rev() {
            if let Some(val) = env.given.get(&port) {
                return Ok(val.clone());
            }
            if let Some(made) = env.made.get(&port.node) {
                return made.outputs.get(port.output as usize).cloned().ok_or_else(|| {
                    let count = made.outputs.len();
                    Error::invalid(format!("\"{}\" has {count} outputs, no output {}", name(), port.output))
                });
            }
        }
        Err(Error::invalid(format!("\"{}\" has no output {} here", name(), port.output)))
    }

    /// The operation to wait for, for what is in a block to wait for the node `control`.
    fn operation(&self, control: u32, block: u32) -> Option<Operation> {
        let made = self.envs.iter().rev().find_map(|env| env.made.get(&control));
        if let Some(made) = made {
            return made.operation;
        }
        let unit = self.code.blocks.unit_around(control, block)?;
        self.envs.iter().rev().find_map(|env| env.units.get(&unit)).copied()
    }

    fn give(&mut self, port: Port, val: Val) {
        if let Some(env) = self.envs.last_mut() {
            env.given.insert(port, val);
        }
    }

    /// The name of a node; what is made again has another.
    fn name(&self, graph: &Graph, node: u32) -> Name {
        let name = self.join(self.code.source.items[node as usize].name);
        if self.exact && !graph.contains(&name) { Name::Exactly(name) } else { Name::Like(name) }
    }

    fn join(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// The name of the conditional or loop that a node belongs to, as TensorFlow's Python names them: its scope.
    fn scope(&self, node: u32) -> Name {
        let name = self.code.source.items[node as usize].name;
        Name::Like(self.join(name.rsplit_once('/').map_or(name, |(scope, _)| scope)))
    }

    /// What has become of the nodes, by name. What is inside of a conditional can be waited for, but has no value outside.
    pub(super) fn into_made(mut self) -> FxHashMap<String, Made> {
        let mut env = self.envs.swap_remove(0);
        let mut all = FxHashMap::default();
        for (i, item) in self.code.source.items.iter().enumerate() {
            let made = match env.made.remove(&(i as u32)) {
                Some(made) if flow_op(item) == "Switch" => Some(Made { outputs: SmallVec::new(), ..made }),
                Some(made) => Some(made),
                None => self.code.blocks.outermost_cond(i as u32).and_then(|unit| {
                    let operation = env.units.get(&unit).copied();
                    operation.map(|_| Made { outputs: SmallVec::new(), operation })
                }),
            };
            all.extend(made.map(|made| (item.name.to_owned(), made)));
        }
        all
    }
}

impl<'a> Importer<'a> {
    /// Makes the nodes of a source that are outside of its conditionals and loops, and these.
    pub(super) fn root(&mut self, instance: &mut Instance<'a>) -> Result<()> {
        let code = instance.code.clone();
        self.units(instance, code.blocks.root())
    }

    fn units(&mut self, instance: &mut Instance<'a>, units: &[Unit]) -> Result<()> {
        let code = instance.code.clone();
        for &unit in units {
            let operation = match unit {
                Unit::Node(node) => {
                    let item = &code.source.items[node as usize];
                    let made = self
                        .item(instance, node, item)
                        .map_err(|e| e.with_node(item.op, item.name).with_origin(self.origin(item.name)))?;
                    if let (Some(env), Some(made)) = (instance.envs.last_mut(), made) {
                        env.made.insert(node, made);
                    }
                    continue;
                }
                Unit::Cond(number) => self.cond(instance, &code, number as usize)?,
                Unit::Loop(number) => self.frame(instance, &code, number as usize)?,
            };
            if let (Some(env), Some(operation)) = (instance.envs.last_mut(), operation) {
                env.units.insert(unit, operation);
            }
        }
        Ok(())
    }

    /// Makes one node; `None` for those that stand for nothing by themselves.
    fn item(&mut self, instance: &mut Instance<'a>, node: u32, item: &Item<'a>) -> Result<Option<Made>> {
        let Some(def) = item.def else { return Ok(None) };
        let block = instance.code.blocks.block_of(node);
        let controls: SmallVec<[Operation; 2]> =
            item.controls.iter().filter_map(|c| instance.operation(*c, block)).collect();
        let input = |i: usize| match item.inputs.get(i) {
            Some(port) => instance.value(*port),
            None => Err(Error::invalid(format!("there is no input {i}"))),
        };
        match flow_op(item) {
            "NextIteration" => return Ok(None),
            "Enter" => return Ok(Some(Made::value(input(0)?))),
            "Switch" => {
                let val = input(0)?;
                let mut made = Made::value(val.clone());
                made.outputs.push(val);
                return Ok(Some(made));
            }
            "Exit" => {
                let val = input(0)?;
                return self.again_as(instance, node, &val, &controls).map(Some);
            }
            "Merge" => {
                let val = instance.value(Port { node, output: 0 })?;
                let mut made = self.again_as(instance, node, &val, &controls)?;
                if instance.code.indexed.contains(&node) {
                    made.outputs.push(self.which(instance, node, item)?);
                }
                return Ok(Some(made));
            }
            _ => {}
        }
        let inputs = item.inputs.iter().map(|port| instance.value(*port)).collect::<Result<_>>()?;
        let substitution = instance.substitution.clone();
        let (def_of_op, substitution) = (op_defs::find(&def.op), substitution.as_deref());
        let attrs = NodeAttrs { node: def, def: def_of_op, substitution };
        let cx = NodeCx { def, attrs, inputs, controls, name: instance.name(self.graph, node) };
        self.node(&cx).map(Some)
    }

    /// A value under the name of a node.
    fn again_as(
        &mut self,
        instance: &mut Instance<'a>,
        node: u32,
        val: &Val,
        controls: &[Operation],
    ) -> Result<Made> {
        let Val::Tensor(t) = val else { return Ok(Made::value(val.clone())) };
        if t.ty().is_ref {
            return Ok(Made::value(val.clone()));
        }
        let (name, item) = (instance.name(self.graph, node), &instance.code.source.items[node as usize]);
        let builder = self.graph.op(ops::Identity {}).input(*t);
        Ok(self.finish(builder, &name, controls, item.name)?.into())
    }

    /// Which input of a `Merge` came.
    fn which(&mut self, instance: &Instance<'a>, node: u32, item: &Item<'a>) -> Result<Val> {
        let found = instance.code.blocks.join(node);
        let Some((pred, taken)) = found else {
            return Err(Error::unimplemented("it asks which value came first"));
        };
        let Val::Tensor(pred) = instance.value(pred)? else {
            return Err(Error::invalid("the predicate is no tensor"));
        };
        let mut pred = self.read(pred)?;
        let name = Name::Like(instance.join(&format!("{}/value_index", item.name)));
        if item.inputs.first() == Some(&taken[1]) {
            let builder = self.graph.op(ops::LogicalNot).input(pred);
            pred = self.finish(builder, &name, &[], item.name)?.output(0);
        }
        let builder = self.graph.op(ops::Cast { dst: DType::I32 }).input(pred);
        Ok(Val::Tensor(self.finish(builder, &name, &[], item.name)?.output(0)))
    }

    /// Makes a conditional.
    fn cond(
        &mut self,
        instance: &mut Instance<'a>,
        code: &Code<'a>,
        number: usize,
    ) -> Result<Option<Operation>> {
        let cond = &code.blocks.conds[number];
        let empty = [false, true].iter().all(|value| code.blocks.branch(cond, *value).is_empty());
        if empty && cond.joins.is_empty() {
            return Ok(None);
        }
        let first = cond.joins.first().map(|(node, _)| *node).unwrap_or(cond.pred.node);
        let item = &code.source.items[first as usize];
        let at = |e: Error| e.with_node(item.op, item.name);
        let Val::Tensor(pred) = instance.value(cond.pred).map_err(at)? else {
            return Err(at(Error::invalid("the predicate is no tensor")));
        };
        let pred = self.read(pred).map_err(at)?;
        let mut controls: SmallVec<[Operation; 2]> = SmallVec::new();
        for wait in &cond.waits {
            let operation = instance.value(*wait).map_err(at)?.tensor().map(|t| t.op());
            controls.extend(operation.filter(|op| *op != pred.op()));
        }
        let site = Site { name: instance.scope(first), controls, node: item.name };
        let made = self.conditional(&site, instance, pred, |this, instance, value| {
            instance.envs.push(Env::default());
            let made = this.units(instance, code.blocks.branch(cond, value));
            let joins = cond.joins.iter().map(|(_, taken)| Some(taken[usize::from(value)]));
            let exports = cond.exports.iter().map(|(port, branch)| (*branch == value).then_some(*port));
            let vals = made.and_then(|()| {
                joins.chain(exports).map(|port| port.map(|p| instance.value(p)).transpose()).collect()
            });
            instance.envs.pop();
            vals
        });
        let (operation, vals) = made.map_err(at)?;
        let joins = cond.joins.iter().map(|(node, _)| Port { node: *node, output: 0 });
        let exports = cond.exports.iter().map(|(port, _)| *port);
        for (port, val) in joins.chain(exports).zip(vals) {
            instance.give(port, val);
        }
        Ok(Some(operation))
    }

    /// What a loop carries on, once what its `NextIteration` waits for has run.
    fn next(&mut self, instance: &Instance<'a>, var: &LoopVar, block: u32) -> Result<Val> {
        let val = instance.value(var.next)?;
        let controls: Vec<Operation> =
            var.waits.iter().filter_map(|c| instance.operation(*c, block)).collect();
        match val {
            Val::Tensor(t) if !controls.is_empty() => {
                let t = self.read(t)?;
                let item = &instance.code.source.items[var.next.node as usize];
                let name = Name::Like(instance.join(&format!("{}/next", item.name)));
                let builder = self.graph.op(ops::Identity {}).input(t);
                Ok(Val::Tensor(self.finish(builder, &name, &controls, item.name)?.output(0)))
            }
            val => Ok(val),
        }
    }

    /// Makes a loop.
    fn frame(
        &mut self,
        instance: &mut Instance<'a>,
        code: &Code<'a>,
        number: usize,
    ) -> Result<Option<Operation>> {
        let plan = &code.blocks.loops[number];
        let item = &code.source.items[plan.cond_node as usize];
        let at = |e: Error| e.with_node(item.op, item.name);
        let start: Vec<Val> =
            plan.vars.iter().map(|var| instance.value(var.start)).collect::<Result<_>>().map_err(at)?;
        let outside = code.blocks.around(plan);
        let controls = plan.controls.iter().filter_map(|c| instance.operation(*c, outside)).collect();
        let site = Site { name: instance.scope(plan.cond_node), controls, node: item.name };
        let made = self.looping(&site, instance, &start, None, |this, instance, part, vals| {
            let mut env = Env::default();
            for (var, val) in plan.vars.iter().zip(vals) {
                env.given.insert(Port { node: var.merge, output: 0 }, val.clone());
                for &switch in &var.switches {
                    env.given.insert(Port { node: switch, output: 1 }, val.clone());
                }
            }
            instance.envs.push(env);
            let units = if part == Part::Cond { &plan.for_cond } else { &plan.for_body };
            let made = this.units(instance, units);
            let vals = made.and_then(|()| match part {
                Part::Cond => Ok(vec![instance.value(plan.cond)?]),
                Part::Body => {
                    plan.vars.iter().map(|var| this.next(instance, var, code.blocks.inside(plan))).collect()
                }
            });
            instance.envs.pop();
            vals
        });
        let (operation, vals) = made.map_err(at)?;
        for (var, val) in plan.vars.iter().zip(vals) {
            for &switch in &var.switches {
                instance.give(Port { node: switch, output: 0 }, val.clone());
            }
        }
        Ok(Some(operation))
    }
}
