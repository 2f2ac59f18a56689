//! Bodies as functions, and conditionals.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tidemill_core::{Body, Node, NodeId, Output, PartialShape, Result, TensorType};

use super::block::Block;
use super::{Exporter, WHOLE, node};
use crate::proto::attr_value::{ListValue, Value};
use crate::proto::op_def::ArgDef;
use crate::proto::{AttrValue, FunctionDef, NameAttrList, NodeDef, OpDef};
use crate::{dtype, tensor};

/// An attribute that names a function.
pub(super) fn func(name: &str) -> Value {
    Value::Func(Box::new(NameAttrList { name: name.to_owned(), attr: BTreeMap::new() }))
}

/// A list of shapes.
pub(super) fn shapes<'s>(shapes: impl IntoIterator<Item = &'s PartialShape>) -> Value {
    let shape = shapes.into_iter().map(tensor::shape_to_proto).collect();
    Value::List(Box::new(ListValue { shape, ..ListValue::default() }))
}

/// The dtype number of a tensor list or of any other thing that is no tensor of ours.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Tensor(tidemill_core::DType),
    List,
}

impl Kind {
    pub(super) fn number(self) -> Result<i32> {
        match self {
            Kind::Tensor(dtype) => dtype::to_proto(dtype),
            Kind::List => Ok(crate::proto::DataType::DtVariant as i32),
        }
    }
}

/// A function in the making.
pub(super) struct Function {
    pub(super) name: String,
    /// The arguments' names and kinds.
    pub(super) args: Vec<(String, Kind)>,
    pub(super) nodes: Vec<NodeDef>,
    /// What each result is called inside, and its kind.
    pub(super) results: Vec<(String, Kind)>,
    pub(super) stateful: bool,
}

impl Function {
    fn build(self, whole: bool) -> Result<FunctionDef> {
        let arg = |name: String, kind: Kind| -> Result<ArgDef> {
            Ok(ArgDef { name, r#type: kind.number()?, ..ArgDef::default() })
        };
        let named = |i: usize| format!("out{i}");
        let kinds = self.results.iter().enumerate();
        let output_arg = kinds.map(|(i, (_, kind))| arg(named(i), *kind)).collect::<Result<_>>()?;
        let input_arg = self.args.into_iter().map(|(name, kind)| arg(name, kind)).collect::<Result<_>>()?;
        let signature =
            OpDef { name: self.name, input_arg, output_arg, is_stateful: self.stateful, ..OpDef::default() };
        let ret = self.results.into_iter().enumerate().map(|(i, (value, _))| (named(i), value)).collect();
        let mark = || (WHOLE.to_owned(), AttrValue { value: Some(Value::B(true)) });
        let attr = whole.then(mark).into_iter().collect();
        Ok(FunctionDef {
            signature: Some(signature),
            node_def: self.nodes,
            ret,
            attr,
            ..FunctionDef::default()
        })
    }
}

/// A function in the library.
#[derive(Clone)]
pub(super) struct Called {
    pub(super) name: String,
    pub(super) stateful: bool,
    pub(super) results: Vec<TensorType>,
}

impl Exporter {
    pub(super) fn add(&mut self, function: Function) -> Result<()> {
        self.library.push(function.build(false)?);
        Ok(())
    }

    /// Writes a body as a function of `args`; `arg_of` says which argument each parameter is. The arguments from `pass` on are further results.
    pub(super) fn body(
        &mut self,
        name: String,
        body: &Body,
        results: &[Output],
        args: &[TensorType],
        arg_of: impl Fn(usize) -> usize,
        pass: usize,
    ) -> Result<Called> {
        self.deeper(|this| {
            // No node of the body may be called like an argument.
            let mut prefix = "arg".to_owned();
            while body.nodes().iter().any(|(_, node)| node.name.starts_with(&prefix)) {
                prefix.push('_');
            }
            let arg = |i: usize| format!("{prefix}{i}");
            let params: FxHashMap<NodeId, String> =
                body.params().iter().enumerate().map(|(i, param)| (*param, arg(arg_of(i)))).collect();
            let block = Block::body(body, params, results);
            let (nodes, stateful) = this.nodes(&block)?;
            let types: Vec<TensorType> = results.iter().map(|o| block.ty(*o)).collect::<Result<_>>()?;
            let mut given = vec![];
            for (output, ty) in results.iter().zip(&types) {
                given.push((block.value(*output)?, Kind::Tensor(ty.dtype)));
            }
            given.extend((pass..args.len()).map(|i| (arg(i), Kind::Tensor(args[i].dtype))));
            let function = Function {
                name: name.clone(),
                args: args.iter().enumerate().map(|(i, ty)| (arg(i), Kind::Tensor(ty.dtype))).collect(),
                nodes,
                results: given,
                stateful,
            };
            this.library.push(function.build(true)?);
            Ok(Called { name, stateful, results: types })
        })
    }

    /// Writes a conditional; whether it does more than compute.
    pub(super) fn conditional(
        &mut self,
        block: &Block,
        node: &Node,
        inputs: Vec<String>,
        defs: &mut Vec<NodeDef>,
    ) -> Result<bool> {
        let bodies = block.work(node).map(|work| work.bodies()).unwrap_or_default();
        let args: Vec<TensorType> = node.inputs[1..].iter().map(|o| block.ty(*o)).collect::<Result<_>>()?;
        let mut branches = vec![];
        let mut first = 0;
        for ((body, results), suffix) in bodies.into_iter().zip(["then", "else"]) {
            let name = self.function_name(&node.name, suffix);
            branches.push(self.body(name, body, &results, &args, |i| first + i, args.len())?);
            first += body.params().len();
        }
        let [then, orelse] = &branches[..] else {
            return Err(tidemill_core::Error::internal("a conditional has two branches"));
        };
        let stateful = then.stateful || orelse.stateful;
        let attrs = [
            ("Tcond", Value::Type(dtype::to_proto(tidemill_core::DType::Bool)?)),
            ("Tin", node::types(&args)?),
            ("Tout", node::types(&then.results)?),
            ("then_branch", func(&then.name)),
            ("else_branch", func(&orelse.name)),
        ];
        defs.push(node::def(&*node.name, if stateful { "If" } else { "StatelessIf" }, inputs, attrs));
        Ok(stateful)
    }
}
