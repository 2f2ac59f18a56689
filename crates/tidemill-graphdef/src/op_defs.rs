//! TensorFlow's own list of ops: what a node of a graph file must look like.
//!
//! The core's schemas say what the core's ops take; this list says what TensorFlow writes, with the defaults of attributes that a file leaves out, and
//! the names of outputs, by which the nodes of functions refer to them.

use std::sync::OnceLock;

use prost::Message;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tidemill_core::{Error, Result};

use crate::dtype;
use crate::proto::attr_value::{ListValue, Value};
use crate::proto::op_def::{ArgDef, AttrDef};
use crate::proto::{AttrValue, NodeDef, OpDef, OpList};

/// More outputs than any real node has; larger claims are not believed.
const MAX_OUTPUTS: usize = 1 << 16;

/// TensorFlow's definitions: of the ops about numbers, variables and control flow.
pub(crate) fn all() -> &'static [OpDef] {
    static LIST: OnceLock<OpList> = OnceLock::new();
    let read = || OpList::decode(&include_bytes!("../data/op_list.pb")[..]).unwrap_or_default();
    &LIST.get_or_init(read).op
}

/// TensorFlow's definition of the op of this name: its arguments and attributes.
pub fn find(name: &str) -> Option<&'static OpDef> {
    static BY_NAME: OnceLock<FxHashMap<&'static str, &'static OpDef>> = OnceLock::new();
    let by_name = BY_NAME.get_or_init(|| all().iter().map(|op| (op.name.as_str(), op)).collect());
    by_name.get(name).copied()
}

/// Values for the attributes that a polymorphic function leaves open.
pub(crate) type Substitution = std::collections::BTreeMap<String, AttrValue>;

/// The attributes of a node: those that are written, and the defaults of the others.
#[derive(Clone, Copy)]
pub(crate) struct NodeAttrs<'a> {
    pub(crate) node: &'a NodeDef,
    pub(crate) def: Option<&'a OpDef>,
    pub(crate) substitution: Option<&'a Substitution>,
}

impl<'a> NodeAttrs<'a> {
    /// The value of an attribute.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        let given = self.node.attr.get(name).and_then(|v| v.value.as_ref());
        let given = match (given, self.substitution) {
            (Some(Value::Placeholder(outer)), Some(outside)) => {
                outside.get(outer.as_str()).and_then(|v| v.value.as_ref())
            }
            (given, _) => given,
        };
        given.or_else(|| {
            let def = self.def?.attr.iter().find(|a| a.name == name)?;
            def.default_value.as_ref()?.value.as_ref()
        })
    }

    /// The names of all attributes that have a value.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        let given = self.node.attr.keys().map(String::as_str);
        let node = self.node;
        let defaults = self
            .def
            .into_iter()
            .flat_map(|d| &d.attr)
            .filter(move |a| a.default_value.is_some() && !node.attr.contains_key(&a.name))
            .map(|a| a.name.as_str());
        given.chain(defaults)
    }

    /// An integer attribute.
    pub(crate) fn int(&self, name: &str) -> Result<i64> {
        match self.get(name) {
            Some(Value::I(v)) => Ok(*v),
            other => Err(wrong_kind(name, "int", other)),
        }
    }

    /// A truth value.
    pub(crate) fn bool(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            Some(Value::B(v)) => Ok(*v),
            other => Err(wrong_kind(name, "bool", other)),
        }
    }

    /// A string attribute.
    pub(crate) fn string(&self, name: &str) -> Result<&'a str> {
        match self.get(name) {
            Some(Value::S(v)) => std::str::from_utf8(v)
                .map_err(|_| Error::invalid(format!("the text of attribute `{name}` is not UTF-8"))),
            other => Err(wrong_kind(name, "string", other)),
        }
    }

    /// The number of a dtype.
    pub(crate) fn dtype(&self, name: &str) -> Result<i32> {
        match self.get(name) {
            Some(Value::Type(v)) => Ok(*v),
            other => Err(wrong_kind(name, "type", other)),
        }
    }

    /// A list.
    pub(crate) fn list(&self, name: &str) -> Result<&'a ListValue> {
        match self.get(name) {
            Some(Value::List(v)) => Ok(v),
            other => Err(wrong_kind(name, "list", other)),
        }
    }

    /// Checks the attributes against the op's definition.
    ///
    /// # Errors
    /// `InvalidArgument` for one that is absent, unknown, of another kind, or not allowed.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(def) = self.def else { return Ok(()) };
        for attr in &def.attr {
            match self.get(&attr.name) {
                Some(value) => check_value(attr, value)
                    .map_err(|what| Error::invalid(format!("attribute `{}` {what}", attr.name)))?,
                None => {
                    return Err(Error::invalid(format!(
                        "attribute `{}` ({}) is missing",
                        attr.name, attr.r#type
                    )));
                }
            }
        }
        let unknown = self
            .node
            .attr
            .keys()
            .find(|name| !name.starts_with('_') && def.attr.iter().all(|a| a.name != **name));
        match unknown {
            Some(name) => Err(Error::invalid(format!("{} has no attribute `{name}`", def.name))),
            None => Ok(()),
        }
    }

    /// The dtype number of each input, where the definition tells; `count` inputs are there.
    ///
    /// # Errors
    /// `InvalidArgument` when the definition wants more or fewer.
    pub(crate) fn input_types(&self, def: &OpDef, count: usize) -> Result<SmallVec<[i32; 4]>> {
        let mut types = SmallVec::new();
        for arg in &def.input_arg {
            let (of, times) = self.spread(arg)?;
            let left = count.saturating_sub(types.len());
            if times > left {
                return Err(Error::invalid(format!("`{}` wants {times} inputs, {left} are left", arg.name)));
            }
            match of {
                Spread::Alike(dtype) => types.extend(std::iter::repeat_n(dtype, times)),
                Spread::Listed(list) => types.extend(list.iter().copied()),
            }
        }
        match types.len() == count {
            true => Ok(types),
            false => Err(Error::invalid(format!("takes {} inputs, not {count}", types.len()))),
        }
    }

    /// Name and number of tensors of each output.
    pub(crate) fn outputs<'d>(&self, def: &'d OpDef) -> Result<SmallVec<[(&'d str, usize); 2]>> {
        let mut total = 0usize;
        def.output_arg
            .iter()
            .map(|arg| {
                let times = self.spread(arg)?.1;
                total = total.saturating_add(times);
                match total > MAX_OUTPUTS {
                    true => Err(Error::invalid(format!("it claims {total} outputs"))),
                    false => Ok((arg.name.as_str(), times)),
                }
            })
            .collect()
    }

    /// The dtypes and number of the tensors that one argument stands for.
    fn spread(&self, arg: &ArgDef) -> Result<(Spread<'a>, usize)> {
        if !arg.type_list_attr.is_empty() {
            let list = &self.list(&arg.type_list_attr)?.r#type;
            return Ok((Spread::Listed(list), list.len()));
        }
        let dtype = if arg.type_attr.is_empty() { arg.r#type } else { self.dtype(&arg.type_attr)? };
        if arg.number_attr.is_empty() {
            return Ok((Spread::Alike(dtype), 1));
        }
        let times = self.int(&arg.number_attr)?;
        match usize::try_from(times) {
            Ok(times) => Ok((Spread::Alike(dtype), times)),
            Err(_) => Err(Error::invalid(format!("attribute `{}` is {times}", arg.number_attr))),
        }
    }
}

enum Spread<'a> {
    Alike(i32),
    Listed(&'a [i32]),
}

fn wrong_kind(name: &str, want: &str, found: Option<&Value>) -> Error {
    Error::invalid(match found {
        None => format!("attribute `{name}` ({want}) is missing"),
        Some(_) => format!("attribute `{name}` is not of kind {want}"),
    })
}

/// What is wrong with an attribute's value.
fn check_value(def: &AttrDef, value: &Value) -> Result<(), String> {
    let fits = match (def.r#type.as_str(), value) {
        ("int", Value::I(_))
        | ("float", Value::F(_))
        | ("bool", Value::B(_))
        | ("string", Value::S(_))
        | ("type", Value::Type(_))
        | ("shape", Value::Shape(_))
        | ("tensor", Value::Tensor(_))
        | ("func", Value::Func(_)) => true,
        (kind, Value::List(list)) => kind
            .strip_prefix("list(")
            .and_then(|k| k.strip_suffix(')'))
            .is_some_and(|kind| list_is_of(list, kind)),
        _ => false,
    };
    if !fits {
        return Err(format!("is not of kind {}", def.r#type));
    }
    if def.has_minimum {
        let have = match value {
            Value::I(v) => *v,
            Value::List(list) => list_len(list) as i64,
            _ => i64::MAX,
        };
        if have < def.minimum {
            return Err(format!("is {have}, below its minimum {}", def.minimum));
        }
    }
    if let Some(Value::List(allowed)) = def.allowed_values.as_ref().and_then(|v| v.value.as_ref()) {
        let type_allowed = |t: &i32| allowed.r#type.contains(t);
        let string_allowed = |s: &Vec<u8>| allowed.s.contains(s);
        let show = |t: &i32| Err(format!("is {}, which the op does not take", dtype::name(*t)));
        match value {
            Value::Type(t) if !type_allowed(t) => return show(t),
            Value::List(list) => {
                if let Some(t) = list.r#type.iter().find(|t| !type_allowed(t)) {
                    return show(t);
                }
                if let Some(s) = list.s.iter().find(|s| !string_allowed(s)) {
                    return Err(format!("has {:?}, which is not allowed", String::from_utf8_lossy(s)));
                }
            }
            Value::S(s) if !string_allowed(s) => {
                return Err(format!("is {:?}, which is not allowed", String::from_utf8_lossy(s)));
            }
            _ => {}
        }
    }
    Ok(())
}

fn list_is_of(list: &ListValue, kind: &str) -> bool {
    let of_kind = match kind {
        "int" => list.i.len(),
        "float" => list.f.len(),
        "bool" => list.b.len(),
        "string" => list.s.len(),
        "type" => list.r#type.len(),
        "shape" => list.shape.len(),
        "tensor" => list.tensor.len(),
        "func" => list.func.len(),
        _ => return false,
    };
    of_kind == list_len(list)
}

fn list_len(list: &ListValue) -> usize {
    list.i.len()
        + list.f.len()
        + list.b.len()
        + list.s.len()
        + list.r#type.len()
        + list.shape.len()
        + list.tensor.len()
        + list.func.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, attrs: &[(&str, Value)]) -> NodeDef {
        let attr = attrs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), AttrValue { value: Some(value.clone()) }))
            .collect();
        NodeDef { op: op.into(), attr, ..NodeDef::default() }
    }

    #[track_caller]
    fn check(node: &NodeDef, want: Result<(), &str>) {
        let attrs = NodeAttrs { node, def: find(&node.op), substitution: None };
        match (attrs.check(), want) {
            (Ok(()), Ok(())) => {}
            (Err(e), Err(want)) if e.message().contains(want) => {}
            (got, want) => panic!("{got:?}, not {want:?}"),
        }
    }

    #[test]
    fn attributes_are_checked_against_the_definition() {
        let float = || Value::Type(1);
        check(&node("MatMul", &[("T", float())]), Ok(()));
        check(&node("MatMul", &[("T", float()), ("_class", Value::I(1))]), Ok(()));
        check(&node("MatMul", &[]), Err("`T` (type) is missing"));
        check(&node("MatMul", &[("T", Value::I(1))]), Err("not of kind type"));
        check(&node("MatMul", &[("T", Value::Type(7))]), Err("is string, which the op does not take"));
        check(&node("MatMul", &[("T", float()), ("more", Value::I(1))]), Err("no attribute `more`"));
        check(&node("Pack", &[("T", float()), ("N", Value::I(0))]), Err("below its minimum 1"));
    }

    #[test]
    fn counts_are_bounded() {
        let split = node("Split", &[("T", Value::Type(1)), ("num_split", Value::I(1 << 40))]);
        let def = find("Split").unwrap();
        let attrs = NodeAttrs { node: &split, def: Some(def), substitution: None };
        assert!(attrs.outputs(def).is_err());
        assert_eq!(attrs.input_types(def, 2).unwrap().as_slice(), [3, 1]);
        assert!(attrs.input_types(def, 3).is_err());
    }
}
