//! One node, by TensorFlow's definition of its op.

use tidemill_core::ops::{Assert, Loop};
use tidemill_core::{Arity, Effect, Error, Node, Result, TensorType, TypeSpec};

use crate::proto::attr_value::{ListValue, Value};
use crate::proto::op_def::ArgDef;
use crate::proto::{AttrValue, DataType, NodeDef, TensorProto, TensorShapeProto};
use crate::{attr, dtype, op_defs};

/// The attribute of nodes that are part of another one, which import makes nothing of by themselves.
pub(crate) const PART: &str = "_tidemill_part";

/// A node with these attributes.
pub(super) fn def<'v>(
    name: impl Into<String>,
    op: &str,
    input: Vec<String>,
    attrs: impl IntoIterator<Item = (&'v str, Value)>,
) -> NodeDef {
    let attr = attrs.into_iter().map(|(name, value)| (name.to_owned(), AttrValue { value: Some(value) }));
    NodeDef { name: name.into(), op: op.to_owned(), input, attr: attr.collect(), ..NodeDef::default() }
}

/// The numbers of these dtypes, as a list.
pub(super) fn types<'t>(types: impl IntoIterator<Item = &'t TensorType>) -> Result<Value> {
    let r#type = types.into_iter().map(|ty| dtype::to_proto(ty.dtype)).collect::<Result<_>>()?;
    Ok(Value::List(Box::new(ListValue { r#type, ..ListValue::default() })))
}

/// Whether the op does more than compute, as TensorFlow sees it.
pub(super) fn is_stateful(node: &Node) -> bool {
    match op_defs::find(node.op.name()) {
        Some(def) => def.is_stateful,
        None => node.op.effect() != Effect::Pure,
    }
}

/// How many of `total` tensors each argument stands for.
fn spread(args: &[ArgDef], total: usize) -> Vec<usize> {
    let is_list = |arg: &ArgDef| !arg.number_attr.is_empty() || !arg.type_list_attr.is_empty();
    let lists = args.iter().filter(|arg| is_list(arg)).count();
    let rest = total.saturating_sub(args.len() - lists);
    args.iter().map(|arg| if is_list(arg) { rest / lists } else { 1 }).collect()
}

/// The argument that output `index` belongs to, and its place there. The results of loops, and of ops that TensorFlow does not have, are one list.
pub(super) fn output_name(node: &Node, index: u32) -> (String, u32) {
    let Some(def) = op_defs::find(node.op.name()).filter(|_| !node.op.is::<Loop>()) else {
        return ("output".to_owned(), index);
    };
    let mut first = 0;
    for (arg, count) in def.output_arg.iter().zip(spread(&def.output_arg, node.outputs.len())) {
        if (index as usize) < first + count {
            return (arg.name.clone(), index - first as u32);
        }
        first += count;
    }
    (String::new(), index)
}

/// The text that an assertion shows, which is an input in TensorFlow.
pub(super) fn message(node: &Node) -> Result<Option<NodeDef>> {
    let Some(assert) = node.op.downcast::<Assert>().filter(|assert| !assert.message.is_empty()) else {
        return Ok(None);
    };
    let text = TensorProto {
        dtype: DataType::DtString as i32,
        tensor_shape: Some(TensorShapeProto::default()),
        string_val: vec![assert.message.clone().into_bytes()],
        ..TensorProto::default()
    };
    let attrs = [
        ("dtype", Value::Type(DataType::DtString as i32)),
        ("value", Value::Tensor(Box::new(text))),
        (PART, Value::B(true)),
    ];
    Ok(Some(def(format!("{}/message", node.name), "Const", vec![], attrs)))
}

/// A node whose op is the same in TensorFlow; `ins` are the types of its operands.
pub(super) fn plain(node: &Node, ins: &[TensorType], inputs: Vec<String>) -> Result<NodeDef> {
    let op = node.op.name();
    let mut made = def(&*node.name, op, inputs, []);
    let mut set = |name: &str, value: Value| {
        made.attr.entry(name.to_owned()).or_insert(AttrValue { value: Some(value) });
    };
    let definition = op_defs::find(op);
    for (name, value) in node.op.attrs().iter() {
        let known = definition.is_none_or(|def| def.attr.iter().any(|a| a.name == name));
        // The text of an assertion is an input.
        if known {
            set(name, attr::to_value(value)?);
        } else if !node.op.is::<Assert>() {
            let error = Error::unimplemented(format!("TensorFlow's {op} has no attribute `{name}`"));
            return Err(error.with_help("call an op of your own otherwise than TensorFlow's"));
        }
    }
    let Some(definition) = definition else {
        by_signature(node, ins, &mut set)?;
        return Ok(made);
    };
    // The text of an assertion comes first among its data.
    let text = made.input.len() - ins.len();
    for (args, types, more) in
        [(&definition.input_arg, ins, text), (&definition.output_arg, &node.outputs[..], 0)]
    {
        let mut rest = types;
        for (arg, count) in args.iter().zip(spread(args, types.len())) {
            let (own, others) = rest.split_at(count.min(rest.len()));
            rest = others;
            if !arg.number_attr.is_empty() {
                set(&arg.number_attr, Value::I(count as i64));
            }
            if !arg.type_list_attr.is_empty() {
                let Value::List(mut list) = super::node::types(own)? else { continue };
                list.r#type.splice(0..0, std::iter::repeat_n(DataType::DtString as i32, more));
                set(&arg.type_list_attr, Value::List(list));
            } else if let (false, Some(ty)) = (arg.type_attr.is_empty(), own.first()) {
                set(&arg.type_attr, Value::Type(dtype::to_proto(ty.dtype)?));
            }
        }
    }
    let missing =
        definition.attr.iter().find(|a| a.default_value.is_none() && !made.attr.contains_key(&a.name));
    match missing {
        Some(missing) => {
            Err(Error::internal(format!("TensorFlow's {op} wants an attribute `{}`", missing.name)))
        }
        None => Ok(made),
    }
}

/// Attributes of an op that TensorFlow does not have: its type variables, and how long lists are.
fn by_signature(node: &Node, ins: &[TensorType], set: &mut impl FnMut(&str, Value)) -> Result<()> {
    let signature = node.op.signature();
    for (specs, types) in [(&signature.inputs, ins), (&signature.outputs, &node.outputs[..])] {
        let lists = specs.iter().filter(|s| s.arity != Arity::One).count();
        let rest = types.len().saturating_sub(specs.len() - lists);
        let mut types = types.iter();
        for spec in specs {
            let count = if spec.arity == Arity::One { 1 } else { rest / lists };
            let own: Vec<&TensorType> = types.by_ref().take(count).collect();
            match (&spec.ty, own.first()) {
                (TypeSpec::Variable(v), Some(ty)) => {
                    set(signature.variables[*v].0, Value::Type(dtype::to_proto(ty.dtype)?));
                }
                (TypeSpec::Any, _) => set("T", super::node::types(own.iter().copied())?),
                _ => {}
            }
            if spec.arity == Arity::Many {
                set("N", Value::I(count as i64));
            }
        }
    }
    Ok(())
}
