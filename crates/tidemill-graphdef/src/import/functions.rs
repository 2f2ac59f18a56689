//! Functions, and the ops that call them.
//!
//! A function is made in place of each call; the bodies of functional conditionals and loops are made of the functions that they name.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tidemill_core::{Error, ErrorKind, Gradients, Operation, Result, Tensor, Value, ops};

use super::build::{Importer, Name, NodeCx, Translate};
use super::loops;
use super::regions::{Part, Site};
use super::source::{Port, Source};
use super::value::{Made, Val};
use super::walk::{Code, Instance};
use crate::export::WHOLE;
use crate::op_defs::{self, NodeAttrs, Substitution};
use crate::proto::attr_value::Value as ProtoValue;
use crate::proto::{FunctionDef, FunctionDefLibrary, NameAttrList, NodeDef, OpDef};
use crate::{dtype, tensor};

pub(super) fn translation(op: &str) -> Option<Translate> {
    match op {
        "PartitionedCall" | "StatefulPartitionedCall" => Some(partitioned_call),
        "If" | "StatelessIf" => Some(if_node),
        "Case" | "StatelessCase" => Some(case),
        "While" | "StatelessWhile" => Some(while_node),
        "For" => Some(for_node),
        "SymbolicGradient" => Some(symbolic_gradient),
        "DeviceIndex" => Some(device_index),
        _ => None,
    }
}

/// The functions of a file.
#[derive(Default)]
pub(super) struct Library<'a> {
    functions: FxHashMap<&'a str, &'a FunctionDef>,
    /// Functions that compute the gradients of others.
    gradients: FxHashMap<&'a str, &'a str>,
    prepared: FxHashMap<&'a str, Rc<Function<'a>>>,
}

/// A function, ready to be made.
struct Function<'a> {
    code: Rc<Code<'a>>,
    signature: &'a OpDef,
    results: Vec<Port>,
    /// Whether it is a body that export wrote: its nodes are all made, under their own names.
    whole: bool,
}

impl Function<'_> {
    /// Whether result `i` is argument `i`.
    fn passes(&self, i: usize) -> bool {
        self.results.get(i) == Some(&Port { node: i as u32, output: 0 }) && i < self.signature.input_arg.len()
    }
}

/// The functions that are made for a node.
pub(super) fn called(node: &NodeDef) -> Vec<&str> {
    let mut names = vec![node.op.as_str()];
    let is_loop = node.attr.contains_key(loops::loop_attrs::BODY);
    // What TensorFlow calls for a loop is not looked at here.
    for (_, value) in node.attr.iter().filter(|(name, _)| !is_loop || *name != "f") {
        match &value.value {
            Some(ProtoValue::Func(f)) => names.push(&f.name),
            Some(ProtoValue::List(list)) => names.extend(list.func.iter().map(|f| f.name.as_str())),
            _ => {}
        }
    }
    names
}

impl<'a> Library<'a> {
    pub(super) fn new(library: Option<&'a FunctionDefLibrary>) -> Result<Library<'a>> {
        let mut made = Library::default();
        for function in library.into_iter().flat_map(|l| &l.function) {
            let name = function.signature.as_ref().map_or("", |s| s.name.as_str());
            if name.is_empty() {
                return Err(Error::invalid("a function of the graph has no name"));
            }
            if made.functions.insert(name, function).is_some() {
                let what = format!("there are two functions of the name \"{name}\"");
                return Err(Error::new(ErrorKind::AlreadyExists, what));
            }
        }
        for gradient in library.into_iter().flat_map(|l| &l.gradient) {
            made.gradients.insert(&gradient.function_name, &gradient.gradient_func);
        }
        Ok(made)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.functions.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a FunctionDef> {
        self.functions.get(name).copied()
    }

    /// A function with the attributes that a call gives it.
    fn prepare(&mut self, name: &str, substitution: Option<&Substitution>) -> Result<Rc<Function<'a>>> {
        let Some((&name, &def)) = self.functions.get_key_value(name) else {
            return Err(Error::not_found(format!("there is no function \"{name}\"")));
        };
        if let Some(known) = self.prepared.get(name) {
            return Ok(known.clone());
        }
        let in_function = |e: Error| Error::new(e.kind(), format!("in the function \"{name}\": {e}"));
        let function = Rc::new(self.read(def, substitution).map_err(in_function)?);
        // A polymorphic function is another one for every set of attributes.
        if function.signature.attr.is_empty() {
            self.prepared.insert(name, function.clone());
        }
        Ok(function)
    }

    fn read(&self, def: &'a FunctionDef, substitution: Option<&Substitution>) -> Result<Function<'a>> {
        let Some(signature) = &def.signature else { return Err(Error::invalid("it has no signature")) };
        let mut attrs: Vec<&str> = signature.attr.iter().map(|a| a.name.as_str()).collect();
        attrs.sort_unstable();
        if let Some(twice) = attrs.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid(format!("it declares the attribute `{}` twice", twice[0])));
        }
        let listed =
            |a: &&crate::proto::op_def::ArgDef| !a.number_attr.is_empty() || !a.type_list_attr.is_empty();
        if let Some(arg) = signature.input_arg.iter().chain(&signature.output_arg).find(listed) {
            return Err(Error::unimplemented(format!("its argument \"{}\" is a list", arg.name)));
        }
        let args = signature.input_arg.len() as u32;
        let resolve = |by_name: &FxHashMap<&'a str, u32>, input: &str| {
            let mut parts = input.split(':');
            let (name, output, index) = (parts.next().unwrap_or(input), parts.next(), parts.next());
            let Some(&node) = by_name.get(name) else {
                return Err(Error::invalid(format!("there is no node of the input \"{input}\"")));
            };
            let number = |text: Option<&str>| match text {
                None => Ok(0),
                Some(text) => text
                    .parse::<u32>()
                    .map_err(|_| Error::invalid(format!("the input \"{input}\" is not node:output:index"))),
            };
            let Some(output) = output.filter(|_| node >= args) else {
                return Ok(Port { node, output: number(output)? });
            };
            let first = self.first_output(&def.node_def[(node - args) as usize], output, substitution)?;
            Ok(Port { node, output: first.saturating_add(number(index)?) })
        };
        let names = signature.input_arg.iter().map(|arg| arg.name.as_str());
        let source = Source::new(names, &def.node_def, resolve)?;
        let results: Vec<Port> = signature
            .output_arg
            .iter()
            .map(|arg| match def.ret.get(&arg.name) {
                Some(value) => resolve(&source.by_name, value),
                None => Err(Error::invalid(format!("nothing is returned as \"{}\"", arg.name))),
            })
            .collect::<Result<_>>()?;
        let mut wanted: Vec<u32> = results.iter().map(|port| port.node).collect();
        for name in def.control_ret.values() {
            let node = source.by_name.get(name.as_str());
            wanted.push(
                *node.ok_or_else(|| Error::invalid(format!("there is no node \"{name}\" to wait for")))?,
            );
        }
        let stateful = |op: &str| op_defs::find(op).is_some_and(|def| def.is_stateful);
        let items = source.items.iter().zip(0u32..);
        wanted.extend(items.filter(|(item, _)| stateful(item.op)).map(|(_, node)| node));
        let whole = def.attr.contains_key(WHOLE);
        let keep = if whole { vec![true; source.items.len()] } else { source.reached(wanted) };
        Ok(Function { code: Rc::new(source.into_code(&keep)?), signature, results, whole })
    }

    /// The number of the first tensor of the output of this name.
    fn first_output(&self, node: &NodeDef, output: &str, substitution: Option<&Substitution>) -> Result<u32> {
        let called = self.functions.get(node.op.as_str()).and_then(|f| f.signature.as_ref());
        let Some(def) = op_defs::find(&node.op).or(called) else {
            // The op is of an extension: its only output, by whatever name.
            return Ok(0);
        };
        let attrs = NodeAttrs { node, def: Some(def), substitution };
        let mut first = 0;
        for (name, count) in attrs.outputs(def)? {
            if name == output {
                return Ok(first);
            }
            first += count as u32;
        }
        Err(Error::invalid(format!("{} \"{}\" has no output \"{output}\"", node.op, node.name)))
    }
}

/// Which function a node calls, and with which attributes.
#[derive(Clone)]
pub(super) struct Callee {
    name: String,
    substitution: Option<Rc<Substitution>>,
}

impl Callee {
    fn new(f: &NameAttrList, cx: &NodeCx) -> Callee {
        let resolve = |value: &crate::proto::AttrValue| match (&value.value, cx.attrs.substitution) {
            (Some(ProtoValue::Placeholder(outer)), Some(outside)) => {
                outside.get(outer).cloned().unwrap_or_default()
            }
            _ => value.clone(),
        };
        let attrs: BTreeMap<_, _> =
            f.attr.iter().map(|(name, value)| (name.clone(), resolve(value))).collect();
        Callee { name: f.name.clone(), substitution: (!attrs.is_empty()).then(|| Rc::new(attrs)) }
    }
}

impl NodeCx<'_> {
    /// The function that an attribute names.
    pub(super) fn function(&self, name: &str) -> Result<Callee> {
        match self.attrs.get(name) {
            Some(ProtoValue::Func(f)) => Ok(Callee::new(f, self)),
            _ => Err(Error::invalid(format!("attribute `{name}` (func) is missing"))),
        }
    }

    pub(super) fn site(&self) -> Site<'_> {
        Site { name: self.name.clone(), controls: self.controls.clone(), node: &self.def.name }
    }

    fn inner_name(&self, function: &str) -> String {
        format!("{}/{function}", self.name.text())
    }
}

impl<'a> Importer<'a> {
    /// How many arguments a function takes.
    pub(super) fn arguments(&mut self, callee: &Callee) -> Result<usize> {
        Ok(self.library.prepare(&callee.name, callee.substitution.as_deref())?.signature.input_arg.len())
    }

    /// Makes the nodes of a function here, and returns its results.
    pub(super) fn call(&mut self, callee: &Callee, args: &[Val], prefix: String) -> Result<Vec<Val>> {
        let function = self.library.prepare(&callee.name, callee.substitution.as_deref())?;
        let want = &function.signature.input_arg;
        if want.len() != args.len() {
            return Err(Error::invalid(format!(
                "the function \"{}\" takes {} arguments, not {}",
                callee.name,
                want.len(),
                args.len()
            )));
        }
        for (want, have) in want.iter().zip(args) {
            if want.type_attr.is_empty() && want.r#type != have.dtype() {
                return Err(Error::invalid(format!(
                    "the argument \"{}\" of the function \"{}\" should be {}, but is {}",
                    want.name,
                    callee.name,
                    dtype::name(want.r#type),
                    have.describe()
                )));
            }
        }
        let substitution = callee.substitution.clone();
        let prefix = if function.whole { String::new() } else { prefix };
        let mut instance =
            Instance::of_function(function.code.clone(), prefix, function.whole, args, substitution);
        self.deeper(|this| {
            this.root(&mut instance)?;
            let results = function.results.iter().zip(&function.signature.output_arg);
            results
                .map(|(port, want)| {
                    let val = instance.value(*port)?;
                    match want.type_attr.is_empty() && want.r#type != val.dtype() {
                        false => Ok(val),
                        true => Err(Error::invalid(format!(
                            "the result \"{}\" of the function \"{}\" should be {}, but is {}",
                            want.name,
                            callee.name,
                            dtype::name(want.r#type),
                            val.describe()
                        ))),
                    }
                })
                .collect()
        })
    }

    /// [`call`](Importer::call), after what the node waits for; the node then stands for the results, and for what the function does beside computing.
    fn call_node(&mut self, cx: &NodeCx, callee: &Callee) -> Result<Made> {
        let first = self.effects.len();
        let graph = self.graph;
        // A parameter is there from the beginning.
        let waits = cx.controls.iter().filter(|c| !graph.node(c.id()).op.is::<ops::Param>()).copied();
        let results = graph
            .control_dependencies(waits)
            .enter(|| self.call(callee, &cx.inputs, cx.name.text().to_owned()))?;
        let effects: Vec<Operation> = self.effects.split_off(first.min(self.effects.len()));
        let mut parts: SmallVec<[Tensor; 4]> = results.iter().flat_map(Val::parts).collect();
        for part in &mut parts {
            *part = self.read(*part)?;
        }
        let builder = match parts.len() {
            0 => graph.op(ops::NoOp),
            1 => graph.op(ops::Identity {}),
            _ => graph.op(ops::IdentityN { gradient: None }),
        };
        let made = self.finish(builder.inputs(&parts), &cx.name, &effects, &cx.def.name)?;
        self.effects.push(made);
        let mut outputs = made.outputs().into_iter();
        Ok(Made {
            outputs: results.iter().map(|val| val.with_parts(&mut outputs)).collect(),
            operation: Some(made),
        })
    }
}

/// The op of the node is the name of a function.
pub(super) fn call_by_name(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let list = NameAttrList { name: cx.def.op.clone(), attr: cx.def.attr.clone() };
    importer.call_node(cx, &Callee::new(&list, cx))
}

fn partitioned_call(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    if loops::is_loop(cx) {
        return loops::counted_loop(importer, cx);
    }
    importer.call_node(cx, &cx.function("f")?)
}

fn made((operation, vals): (Operation, Vec<Val>)) -> Made {
    Made { outputs: vals.into(), operation: Some(operation) }
}

fn if_node(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let pred = importer.truth(cx, &cx.inputs[0])?;
    let branches = [cx.function("else_branch")?, cx.function("then_branch")?];
    let conditional = importer.conditional(&cx.site(), &mut (), pred, |this, (), value| {
        let callee = &branches[usize::from(value)];
        let prefix = cx.inner_name(if value { "then" } else { "else" });
        Ok(this.call(callee, &cx.inputs[1..], prefix)?.into_iter().map(Some).collect())
    });
    Ok(made(conditional?))
}

/// A tree of conditionals that halve the branches.
fn case(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let branches: Vec<Callee> = cx.attrs.list("branches")?.func.iter().map(|f| Callee::new(f, cx)).collect();
    let last = i32::try_from(branches.len()).unwrap_or(i32::MAX) - 1;
    let index = cx.tensor(0)?;
    let scalar = |value: i32| Arc::new(ops::Const { value: Value::scalar(value) });
    let zero = importer.helper(cx, "zero", scalar(0), &[])?.output(0);
    let end = importer.helper(cx, "last", scalar(last), &[])?.output(0);
    // An index out of range means the last branch.
    let negative = importer.helper(cx, "negative", Arc::new(ops::Less), &[index, zero])?.output(0);
    let index = importer.helper(cx, "index", Arc::new(ops::SelectV2), &[negative, end, index])?.output(0);
    let chosen = halve(importer, cx, &cx.site(), index, &branches, 0)?;
    Ok(made(chosen))
}

fn halve(
    importer: &mut Importer,
    cx: &NodeCx,
    site: &Site,
    index: Tensor,
    branches: &[Callee],
    first: usize,
) -> Result<(Operation, Vec<Val>)> {
    let middle = branches.len() / 2;
    let scalar = Arc::new(ops::Const { value: Value::scalar((first + middle) as i32) });
    let bound = importer.helper(cx, "bound", scalar, &[])?.output(0);
    let less = importer.helper(cx, "less", Arc::new(ops::Less), &[index, bound])?.output(0);
    importer.conditional(site, &mut (), less, |this, (), value| {
        let (half, first) = match value {
            true => (&branches[..middle], first),
            false => (&branches[middle..], first + middle),
        };
        let vals = match half {
            [] => this.call(&branches[0], &cx.inputs[1..], cx.inner_name("branch"))?,
            [only] => this.call(only, &cx.inputs[1..], cx.inner_name(&format!("branch{first}")))?,
            _ => {
                let name = Name::Like(cx.inner_name("half"));
                let inner = Site { name, controls: SmallVec::new(), node: site.node };
                halve(this, cx, &inner, index, half, first)?.1
            }
        };
        Ok(vals.into_iter().map(Some).collect())
    })
}

/// What the body passes on as it came is not carried: it is used from outside.
fn while_node(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let (cond, body) = (cx.function("cond")?, cx.function("body")?);
    let shapes = match cx.attrs.get("output_shapes") {
        Some(ProtoValue::List(list)) if list.shape.len() == cx.inputs.len() => {
            Some(list.shape.iter().map(tensor::shape_from_proto).collect::<Result<Vec<_>>>()?)
        }
        _ => None,
    };
    let function = importer.library.prepare(&body.name, body.substitution.as_deref())?;
    let carried: Vec<usize> = (0..cx.inputs.len()).filter(|i| !function.passes(*i)).collect();
    let pick = |vals: &[Val]| carried.iter().filter_map(|i| vals.get(*i).cloned()).collect::<Vec<Val>>();
    let shapes: Option<Vec<_>> = shapes.map(|all| carried.iter().map(|i| all[*i].clone()).collect());
    let turns = importer.looping(
        &cx.site(),
        &mut (),
        &pick(&cx.inputs),
        shapes.as_deref(),
        |this, (), part, vals| {
            let mut args: Vec<Val> = cx.inputs.to_vec();
            for (i, val) in carried.iter().zip(vals) {
                args[*i] = val.clone();
            }
            match part {
                Part::Body => Ok(pick(&this.call(&body, &args, cx.inner_name("body"))?)),
                Part::Cond => {
                    let results = this.call(&cond, &args, cx.inner_name("cond"))?;
                    let [go_on] = &results[..] else {
                        return Err(Error::invalid(format!("the condition gives {} values", results.len())));
                    };
                    Ok(vec![Val::Tensor(this.truth(cx, go_on)?)])
                }
            }
        },
    );
    let (operation, vals) = turns?;
    let mut outputs = cx.inputs.clone();
    for (i, val) in carried.iter().zip(vals) {
        outputs[*i] = val;
    }
    Ok(Made { outputs: outputs.into_iter().collect(), operation: Some(operation) })
}

/// `For(start, limit, delta, input...)`: the body gets the counter and what it gave last time.
fn for_node(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let body = cx.function("body")?;
    let (start, limit, delta) = (cx.tensor(0)?, cx.tensor(1)?, cx.tensor(2)?);
    let zero = Arc::new(ops::Const { value: Value::scalar(0i32) });
    let zero = importer.helper(cx, "zero", zero, &[])?.output(0);
    let up = importer.helper(cx, "up", Arc::new(ops::Greater), &[delta, zero])?.output(0);
    let mut carried = vec![Val::Tensor(start)];
    carried.extend(cx.inputs[3..].iter().cloned());
    let turns = importer.looping(&cx.site(), &mut (), &carried, None, |this, (), part, vals| {
        let Val::Tensor(counter) = vals[0] else { return Err(Error::internal("the counter is no tensor")) };
        let mut helper =
            |op, inputs: &[Tensor]| Ok::<_, Error>(this.helper(cx, "turn", op, inputs)?.output(0));
        match part {
            Part::Cond => {
                let below = helper(Arc::new(ops::Less), &[counter, limit])?;
                let above = helper(Arc::new(ops::Greater), &[counter, limit])?;
                Ok(vec![Val::Tensor(helper(Arc::new(ops::SelectV2), &[up, below, above])?)])
            }
            Part::Body => {
                let next = helper(Arc::new(ops::AddV2), &[counter, delta])?;
                let results = this.call(&body, vals, cx.inner_name("body"))?;
                Ok([Val::Tensor(next)].into_iter().chain(results).collect())
            }
        }
    });
    let (operation, mut vals) = turns?;
    vals.remove(0);
    Ok(made((operation, vals)))
}

/// Where the CPU is among the names of kinds of devices: which branch of a `Case` on the kind runs.
fn device_index(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let names = &cx.attrs.list("device_names")?.s;
    let index = names.iter().position(|name| name.as_slice() == b"CPU").unwrap_or(names.len());
    let value = Value::scalar(i32::try_from(index).unwrap_or(i32::MAX));
    Ok(importer.add(cx, Arc::new(ops::Const { value }), &[])?.into())
}

/// `SymbolicGradient(x..., dy...)`: the gradients of a function with respect to its arguments.
fn symbolic_gradient(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let callee = cx.function("f")?;
    if let Some(gradient) = importer.library.gradients.get(callee.name.as_str()) {
        return importer.call_node(cx, &Callee { name: (*gradient).to_owned(), ..callee });
    }
    let args =
        importer.library.prepare(&callee.name, callee.substitution.as_deref())?.signature.input_arg.len();
    if args > cx.inputs.len() {
        return Err(Error::invalid(format!("takes {args} arguments and the gradients of the results")));
    }
    // Copies, so that nothing is seen of how the arguments depend on each other.
    let mut xs = vec![];
    for i in 0..args {
        xs.push(importer.helper(cx, "x", Arc::new(ops::Identity {}), &[cx.tensor(i)?])?.output(0));
    }
    let vals: Vec<Val> = xs.iter().map(|x| Val::Tensor(*x)).collect();
    let results = importer.call(&callee, &vals, cx.inner_name("forward"))?;
    let mut ys = vec![];
    for val in &results {
        match val {
            Val::Tensor(y) => ys.push(*y),
            other => return Err(Error::unimplemented(format!("the gradient of {}", other.describe()))),
        }
    }
    let dys: Vec<Option<Tensor>> =
        (args..cx.inputs.len()).map(|i| cx.tensor(i).map(Some)).collect::<Result<_>>()?;
    if ys.len() != dys.len() {
        return Err(Error::invalid(format!("{} gradients are given for {} results", dys.len(), ys.len())));
    }
    let graph = importer.graph;
    let found = graph
        .name_scope(&format!("{}/gradient/", cx.name.text()))
        .enter(|| Gradients::of(ys).grad_ys(dys).with_respect_to(xs.clone()))?;
    let mut parts = vec![];
    for (x, gradient) in xs.iter().zip(found) {
        parts.push(match gradient {
            Some(gradient) => gradient.to_tensor(),
            None => importer.helper(cx, "zeros", Arc::new(ops::ZerosLike), &[*x])?.output(0),
        });
    }
    Ok(importer.add(cx, Arc::new(ops::IdentityN { gradient: None }), &parts)?.into())
}
