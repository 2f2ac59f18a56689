//! `docs/ops.md`: what is known of every op, written by the ops themselves.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidemill_core::{DType, ErrorKind, Gradients, OpSet, Signature};
use tidemill_graphdef::proto::attr_value::Value;
use tidemill_graphdef::{proto, tensorflow_op, translated_ops};

use crate::row::{Input, Row};
use crate::rows;
use crate::setup::{Mode, Setup};

const HEAD: &str = "\
# Ops

Written by `cargo run -p xtask -- ops-doc`, from the ops' schemas, their rows in the battery, and TensorFlow's definitions.

Names, arguments and attributes are TensorFlow's. *Gradient*: **yes**, **no** (differentiating is an error), or **-** where there are no floats to
differentiate. *Not supported* lists the dtypes and attributes of TensorFlow's op that are not there.

";

/// The text of `docs/ops.md`.
pub fn ops_document() -> String {
    let ops = OpSet::standard();
    let mut by_op: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for row in rows::standard() {
        by_op.entry(row.schema().name).or_default().push(row);
    }
    let mut text = HEAD.to_owned();
    let names: Vec<&str> = ops.names().collect();
    let _ = writeln!(text, "## The {} ops of the core\n", names.len());
    text.push_str("| Op | Signature | Dtypes | Gradient | Not supported |\n|---|---|---|---|---|\n");
    for name in names {
        let Some(schema) = ops.schema(name) else { continue };
        let rows = by_op.get(name).map_or(&[][..], Vec::as_slice);
        let arrows = schema.signature.split(" where ").next().unwrap_or_default().replace('|', "\\|");
        let parsed = Signature::parse(&schema);
        let _ = writeln!(
            text,
            "| `{name}` | `{arrows}` | {} | {} | {} |",
            dtypes(&parsed),
            gradient(rows),
            missing(name, &parsed, rows)
        );
    }
    let more: Vec<String> =
        translated_ops().filter(|name| ops.schema(name).is_none()).map(|name| format!("`{name}`")).collect();
    let _ = writeln!(text, "\n## {} more ops of TensorFlow that are imported as these\n", more.len());
    let _ = writeln!(text, "{}.", more.join(", "));
    text
}

/// The dtypes that each type variable may be.
fn dtypes(signature: &Signature) -> String {
    let list = |(name, all): &(&str, Vec<DType>)| {
        let named: Vec<String> = all.iter().map(DType::to_string).collect();
        let named = if all.len() == DType::ALL.len() { "any".to_owned() } else { named.join(" ") };
        format!("`{name}`: {named}")
    };
    let lists: Vec<String> = signature.variables.iter().map(list).collect();
    if lists.is_empty() { "as written".to_owned() } else { lists.join("; ") }
}

/// Whether the op can be differentiated, found out on its rows.
fn gradient(rows: &[Row]) -> &'static str {
    let mut answer = "-";
    for row in rows.iter().filter(|row| row.fails.is_none()) {
        let found = catch_unwind(AssertUnwindSafe(|| has_gradient(row)));
        match found {
            Ok(Some(true)) => return "yes",
            Ok(Some(false)) => answer = "no",
            _ => {}
        }
    }
    answer
}

fn has_gradient(row: &Row) -> Option<bool> {
    let values = row.draw().ok()?;
    let setup = Setup::new(row, &values, Mode::Literal).ok()?;
    let floats = |all: &[tidemill_core::Tensor], inputs: Option<&[Input]>| -> Vec<tidemill_core::Tensor> {
        let is_variable = |i: usize| inputs.is_some_and(|inputs| inputs.get(i).is_some_and(|i| i.variable));
        let of = all.iter().enumerate().filter(|(i, t)| t.dtype().is_float() && !is_variable(*i));
        of.map(|(_, t)| *t).collect()
    };
    let (ys, xs) = (floats(&setup.outputs, None), floats(&setup.inputs, Some(&row.inputs)));
    if ys.is_empty() || xs.is_empty() || ys.iter().any(|y| y.ty().is_ref) {
        return None;
    }
    match Gradients::of(ys).with_respect_to(xs) {
        Ok(found) => found.iter().any(Option::is_some).then_some(true),
        Err(e) => (e.kind() == ErrorKind::Unimplemented).then_some(false),
    }
}

/// What TensorFlow's op takes, and this one does not.
fn missing(name: &str, signature: &Signature, rows: &[Row]) -> String {
    let Some(def) = tensorflow_op(name) else { return "*TensorFlow has no such op*".to_owned() };
    let mut all: Vec<String> = vec![];
    let known: Vec<&str> = DType::ALL.iter().map(|dtype| dtype.tf_name()).collect();
    let mut dtypes: Vec<&str> = vec![];
    for (variable, allowed) in &signature.variables {
        let theirs = def.attr.iter().find(|attr| attr.name == *variable).and_then(allowed_types);
        let ours: Vec<&str> = allowed.iter().map(|dtype| dtype.tf_name()).collect();
        for dtype in theirs.unwrap_or_else(|| known.clone()) {
            if !ours.contains(&dtype) && !dtypes.contains(&dtype) {
                dtypes.push(dtype);
            }
        }
    }
    if !dtypes.is_empty() {
        all.push(format!("dtypes {}", dtypes.join(" ")));
    }
    let Some(op) = rows.iter().find_map(Row::op) else { return all.join("; ") };
    let mine: Vec<String> = op.attrs().iter().map(|(name, _)| name.to_owned()).collect();
    let args = || def.input_arg.iter().chain(&def.output_arg);
    let of_args = |attr: &str| {
        args().any(|arg| [&arg.type_attr, &arg.number_attr, &arg.type_list_attr].iter().any(|a| *a == attr))
    };
    let absent = def.attr.iter().map(|attr| attr.name.as_str());
    let absent: Vec<String> = absent
        .filter(|attr| !of_args(attr) && !mine.iter().any(|m| m == attr) && !attr.starts_with('_'))
        .filter(|attr| tensorflow_attr_matters(name, attr))
        .map(|attr| format!("`{attr}`"))
        .collect();
    if !absent.is_empty() {
        all.push(format!("attributes {}", absent.join(" ")));
    }
    all.join("; ")
}

/// Loops and conditionals are written otherwise, as their documentation says; some attributes mean nothing outside of TensorFlow's own runtime.
fn tensorflow_attr_matters(op: &str, attr: &str) -> bool {
    op != "If" && !matches!(attr, "validate_indices" | "container" | "shared_name" | "use_locking")
}

fn allowed_types(attr: &proto::op_def::AttrDef) -> Option<Vec<&'static str>> {
    match attr.allowed_values.as_ref()?.value.as_ref()? {
        Value::List(list) if !list.r#type.is_empty() => {
            Some(list.r#type.iter().filter_map(|t| name(*t)).collect())
        }
        _ => None,
    }
}

/// TensorFlow's name of a dtype, by its number; `None` for those that nobody misses.
fn name(number: i32) -> Option<&'static str> {
    const NAMES: [(i32, &str); 17] = [
        (1, "float32"),
        (2, "float64"),
        (3, "int32"),
        (4, "uint8"),
        (5, "int16"),
        (6, "int8"),
        (7, "string"),
        (8, "complex64"),
        (9, "int64"),
        (10, "bool"),
        (14, "bfloat16"),
        (17, "uint16"),
        (18, "complex128"),
        (19, "half"),
        (21, "variant"),
        (22, "uint32"),
        (23, "uint64"),
    ];
    NAMES.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}
