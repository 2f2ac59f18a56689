//! Attributes, as files encode them.

use tidemill_core::{AttrValue, Error, Result};

use crate::proto::attr_value::{ListValue, Value};
use crate::{dtype, tensor};

/// The attribute that a file holds.
///
/// # Errors
/// `Unimplemented` for functions and dtypes that the core does not know, `InvalidArgument` for what makes no sense.
pub(crate) fn from_value(value: &Value) -> Result<AttrValue> {
    Ok(match value {
        Value::I(v) => AttrValue::Int(*v),
        Value::F(v) => AttrValue::Float(*v),
        Value::B(v) => AttrValue::Bool(*v),
        Value::S(v) => AttrValue::Str(text(v)?),
        Value::Type(v) => AttrValue::Type(dtype::from_proto(*v)?),
        Value::Shape(v) => AttrValue::Shape(tensor::shape_from_proto(v)?),
        Value::Tensor(v) => AttrValue::Tensor(tensor::value_from_proto(v)?),
        Value::List(v) => AttrValue::List(list(v)?),
        Value::Func(v) => return Err(Error::unimplemented(format!("it names the function \"{}\"", v.name))),
        Value::Placeholder(v) => {
            return Err(Error::invalid(format!("it stands for the attribute \"{v}\" of a function")));
        }
    })
}

/// The attribute as a file holds it.
///
/// # Errors
/// `Unimplemented` for dtypes that files do not know.
pub(crate) fn to_value(attr: &AttrValue) -> Result<Value> {
    Ok(match attr {
        AttrValue::Int(v) => Value::I(*v),
        AttrValue::Float(v) => Value::F(*v),
        AttrValue::Bool(v) => Value::B(*v),
        AttrValue::Str(v) => Value::S(v.clone().into_bytes()),
        AttrValue::Type(v) => Value::Type(dtype::to_proto(*v)?),
        AttrValue::Shape(v) => Value::Shape(Box::new(tensor::shape_to_proto(v))),
        AttrValue::Tensor(v) => Value::Tensor(Box::new(tensor::value_to_proto(v)?)),
        AttrValue::List(items) => {
            let mut list = ListValue::default();
            for item in items {
                match to_value(item)? {
                    Value::I(v) => list.i.push(v),
                    Value::F(v) => list.f.push(v),
                    Value::B(v) => list.b.push(v),
                    Value::S(v) => list.s.push(v),
                    Value::Type(v) => list.r#type.push(v),
                    Value::Shape(v) => list.shape.push(*v),
                    Value::Tensor(v) => list.tensor.push(*v),
                    _ => return Err(Error::unimplemented("a list of lists has no form in graph files")),
                }
            }
            Value::List(Box::new(list))
        }
        other => {
            return Err(Error::unimplemented(format!("the attribute {other} has no form in graph files")));
        }
    })
}

fn list(list: &ListValue) -> Result<Vec<AttrValue>> {
    let mut all = vec![];
    all.extend(list.i.iter().map(|v| AttrValue::Int(*v)));
    all.extend(list.f.iter().map(|v| AttrValue::Float(*v)));
    all.extend(list.b.iter().map(|v| AttrValue::Bool(*v)));
    for v in &list.s {
        all.push(AttrValue::Str(text(v)?));
    }
    for v in &list.r#type {
        all.push(AttrValue::Type(dtype::from_proto(*v)?));
    }
    for v in &list.shape {
        all.push(AttrValue::Shape(tensor::shape_from_proto(v)?));
    }
    for v in &list.tensor {
        all.push(AttrValue::Tensor(tensor::value_from_proto(v)?));
    }
    if let Some(f) = list.func.first() {
        return Err(Error::unimplemented(format!("it names the function \"{}\"", f.name)));
    }
    Ok(all)
}

fn text(bytes: &[u8]) -> Result<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Error::invalid("its text is not UTF-8")),
    }
}
