//! Nodes that the core writes otherwise.

use std::sync::Arc;

use smallvec::SmallVec;
use tidemill_core::{DType, Error, OpRef, PartialShape, Result, Tensor, ops};

use super::build::{Importer, NodeCx, Translate};
use super::value::{Made, Val};
use crate::export::PART;
use crate::proto::DataType;
use crate::proto::attr_value::Value;
use crate::{dtype, tensor};

pub(super) fn translation(op: &str) -> Option<Translate> {
    match op {
        "Const" | "HostConst" => Some(constant),
        "Placeholder" | "PlaceholderV2" => Some(placeholder),
        "Assert" => Some(assert),
        "CheckNumericsV2" => Some(check_numerics),
        "Print" => Some(print),
        "Range" => Some(range),
        "Reshape" => Some(reshape),
        "ControlTrigger" => Some(control_trigger),
        "ToBool" => Some(to_bool),
        "Identity" => Some(same),
        "LoopCond" | "Snapshot" | "GuaranteeConst" | "DeepCopy" => Some(identity),
        "Switch" | "RefSwitch" | "Merge" | "RefMerge" | "Enter" | "RefEnter" | "Exit" | "RefExit"
        | "NextIteration" | "RefNextIteration" => Some(misplaced),
        _ => None,
    }
}

/// Control flow is made from what stands around these nodes, not from them.
fn misplaced(_: &mut Importer, cx: &NodeCx) -> Result<Made> {
    Err(Error::internal(format!("a {} is made by itself", cx.def.op)))
}

fn constant(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let Some(Value::Tensor(proto)) = cx.attrs.get("value") else {
        return Err(Error::invalid("attribute `value` (tensor) is missing"));
    };
    let dtype = cx.attrs.dtype("dtype")?;
    if dtype != proto.dtype {
        return Err(Error::invalid(format!(
            "attribute `dtype` is {}, but the value is {}",
            dtype::name(dtype),
            dtype::name(proto.dtype)
        )));
    }
    if dtype == DataType::DtString as i32 {
        let text: Vec<String> =
            proto.string_val.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect();
        let outputs = SmallVec::from_iter([Val::Strings(text.into())]);
        // What export wrote beside a node stands for nothing by itself.
        let operation = match cx.attrs.get(PART) {
            Some(_) => None,
            None => Some(importer.add(cx, Arc::new(ops::NoOp), &[])?),
        };
        return Ok(Made { outputs, operation });
    }
    let value = tensor::value_from_proto(proto)?;
    Ok(importer.add(cx, Arc::new(ops::Const { value }), &[])?.into())
}

/// Before version 24 a shape of rank 0 meant an unknown one.
fn placeholder(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let dtype = dtype::from_proto(cx.attrs.dtype("dtype")?)?;
    let shape = match cx.attrs.get("shape") {
        Some(Value::Shape(shape)) => tensor::shape_from_proto(shape)?,
        _ => PartialShape::unknown(),
    };
    let legacy = importer.producer < 24 && shape.rank() == Some(0);
    let shape = if legacy { PartialShape::unknown() } else { shape };
    Ok(importer.add(cx, Arc::new(ops::Placeholder { dtype, shape }), &[])?.into())
}

/// The strings among the data become the message.
fn assert(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let (message, inputs) = shown(cx)?;
    let op = ops::Assert { summarize: cx.attrs.int("summarize")?, message: message.join(" ") };
    Ok(importer.add(cx, Arc::new(op), &inputs)?.into())
}

/// The strings among the data stand behind the message.
fn print(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let (strings, inputs) = shown(cx)?;
    let message = std::iter::once(cx.attrs.string("message")?).chain(strings).collect::<Vec<_>>().join(" ");
    let (first_n, summarize) = (cx.attrs.int("first_n")?, cx.attrs.int("summarize")?);
    let op = ops::Print { message: message.trim_end().to_owned(), first_n, summarize };
    Ok(importer.add(cx, Arc::new(op), &inputs)?.into())
}

/// A bound may turn out to be a vector of one number, if the graph does not say that it is a scalar.
fn range(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let bounds: Vec<Tensor> =
        (0..3).map(|i| importer.of_rank(cx, cx.tensor(i)?, &[])).collect::<Result<_>>()?;
    Ok(importer.add(cx, Arc::new(ops::Range), &bounds)?.into())
}

/// The shape may turn out to be a single number, if the graph does not say that it is a vector.
fn reshape(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let shape = importer.of_rank(cx, cx.tensor(1)?, &[-1])?;
    Ok(importer.add(cx, Arc::new(ops::Reshape), &[cx.tensor(0)?, shape])?.into())
}

/// The strings and the tensors among the inputs.
fn shown<'n>(cx: &'n NodeCx) -> Result<(Vec<&'n str>, Vec<Tensor>)> {
    let (mut strings, mut tensors) = (vec![], vec![]);
    for val in &cx.inputs {
        match val {
            Val::Strings(text) => strings.extend(text.iter().map(String::as_str)),
            Val::Tensor(t) => tensors.push(*t),
            other => return Err(Error::unimplemented(format!("it shows {}", other.describe()))),
        }
    }
    Ok((strings, tensors))
}

fn check_numerics(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let op = ops::CheckNumerics { message: cx.attrs.string("message")?.to_owned() };
    Ok(importer.add(cx, Arc::new(op), &[cx.tensor(0)?])?.into())
}

fn control_trigger(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    Ok(importer.add(cx, Arc::new(ops::NoOp), &[])?.into())
}

fn identity(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    Ok(importer.add(cx, Arc::new(ops::Identity {}), &[cx.tensor(0)?])?.into())
}

/// The handle of a variable is the same one.
fn same(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    match &cx.inputs[..] {
        [val @ Val::Variable(_)] => Ok(Made::value(val.clone())),
        _ => identity(importer, cx),
    }
}

fn to_bool(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let truth = importer.truth(cx, &cx.inputs[0])?;
    Ok(importer.add(cx, Arc::new(ops::Identity {}), &[truth])?.into())
}

impl Importer<'_> {
    /// A tensor of unknown rank in this shape; of any other, itself.
    fn of_rank(&mut self, cx: &NodeCx, tensor: Tensor, shape: &[i32]) -> Result<Tensor> {
        if tensor.shape().rank().is_some() {
            return Ok(tensor);
        }
        let value = tidemill_core::Value::from(shape);
        let shape = self.helper(cx, "shape", Arc::new(ops::Const { value }), &[])?.output(0);
        Ok(self.helper(cx, "of_rank", Arc::new(ops::Reshape), &[tensor, shape])?.output(0))
    }

    /// Whether a value counts as true: a scalar that is not zero, any other tensor that is not empty.
    pub(super) fn truth(&mut self, cx: &NodeCx, value: &Val) -> Result<Tensor> {
        let tensor = match value {
            Val::Tensor(t) => self.read(*t)?,
            other => return Err(Error::unimplemented(format!("whether {} is true", other.describe()))),
        };
        let ty = tensor.ty();
        let op: OpRef = match (ty.shape.rank(), ty.dtype) {
            (Some(0), DType::Bool) => return Ok(tensor),
            // Unknown ranks are taken for scalars, as conditions are.
            (None, DType::Bool) => return Ok(tensor),
            (Some(0) | None, _) => Arc::new(ops::Cast { dst: DType::Bool }),
            (Some(_), _) => {
                let size =
                    self.helper(cx, "size", Arc::new(ops::Size { out_type: DType::I64 }), &[tensor])?;
                let op = Arc::new(ops::Cast { dst: DType::Bool });
                return Ok(self.helper(cx, "truth", op, &[size.output(0)])?.output(0));
            }
        };
        Ok(self.helper(cx, "truth", op, &[tensor])?.output(0))
    }
}
