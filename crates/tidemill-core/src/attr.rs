//! Attributes: the compile-time arguments of an op, as TensorFlow names and encodes them.

use std::collections::BTreeMap;
use std::fmt;

use tidemill_tensor::{DType, PartialShape, Shape, Value};

use crate::error::{Error, Result};
use crate::schema::Signature;

/// One attribute, in the encodings of a GraphDef.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum AttrValue {
    /// `int`
    Int(i64),
    /// `float`
    Float(f32),
    /// `bool`
    Bool(bool),
    /// `string`
    Str(String),
    /// `type`
    Type(DType),
    /// `shape`
    Shape(PartialShape),
    /// `tensor`
    Tensor(Value),
    /// `list(...)`
    List(Vec<AttrValue>),
}

/// A type that can be an attribute.
pub trait Attr: Sized {
    /// The attribute's encoding; `None` leaves it out.
    fn to_attr(&self) -> Option<AttrValue>;
    /// Decodes it; `None` when the attribute is absent.
    fn from_attr(value: Option<&AttrValue>) -> Option<Self>;
    /// What is expected, for messages.
    const KIND: &'static str;
}

macro_rules! attr_type {
    ($($ty:ty, $kind:literal, $to:expr, $pattern:pat => $from:expr;)*) => {$(
        impl Attr for $ty {
            const KIND: &'static str = $kind;
            fn to_attr(&self) -> Option<AttrValue> {
                let to: fn(&$ty) -> AttrValue = $to;
                Some(to(self))
            }
            fn from_attr(value: Option<&AttrValue>) -> Option<Self> {
                match value? {
                    $pattern => $from,
                    _ => None,
                }
            }
        }
    )*};
}

attr_type! {
    i64, "int", |v| AttrValue::Int(*v), AttrValue::Int(v) => Some(*v);
    i32, "int", |v| AttrValue::Int((*v).into()), AttrValue::Int(v) => (*v).try_into().ok();
    usize, "int", |v| AttrValue::Int(*v as i64), AttrValue::Int(v) => (*v).try_into().ok();
    f32, "float", |v| AttrValue::Float(*v), AttrValue::Float(v) => Some(*v);
    bool, "bool", |v| AttrValue::Bool(*v), AttrValue::Bool(v) => Some(*v);
    String, "string", |v| AttrValue::Str(v.clone()), AttrValue::Str(v) => Some(v.clone());
    DType, "type", |v| AttrValue::Type(*v), AttrValue::Type(v) => Some(*v);
    PartialShape, "shape", |v| AttrValue::Shape(v.clone()), AttrValue::Shape(v) => Some(v.clone());
    Shape, "known shape", |v| AttrValue::Shape(v.into()), AttrValue::Shape(v) => v.as_known();
    Value, "tensor", |v| AttrValue::Tensor(v.clone()), AttrValue::Tensor(v) => Some(v.clone());
}

impl<T: Attr> Attr for Vec<T> {
    const KIND: &'static str = "list";
    fn to_attr(&self) -> Option<AttrValue> {
        Some(AttrValue::List(self.iter().filter_map(T::to_attr).collect()))
    }
    fn from_attr(value: Option<&AttrValue>) -> Option<Self> {
        match value? {
            AttrValue::List(items) => items.iter().map(|item| T::from_attr(Some(item))).collect(),
            _ => None,
        }
    }
}

impl<T: Attr> Attr for Option<T> {
    const KIND: &'static str = T::KIND;
    fn to_attr(&self) -> Option<AttrValue> {
        self.as_ref().and_then(T::to_attr)
    }
    fn from_attr(value: Option<&AttrValue>) -> Option<Self> {
        match value {
            None => Some(None),
            value => T::from_attr(value).map(Some),
        }
    }
}

/// The attributes of one op by TensorFlow's names, in alphabetical order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AttrMap(BTreeMap<String, AttrValue>);

impl AttrMap {
    /// No attributes.
    pub fn new() -> AttrMap {
        AttrMap::default()
    }

    /// Sets `name`; a `None` option is left out.
    pub fn set(&mut self, name: &str, value: &impl Attr) {
        if let Some(value) = value.to_attr() {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// Sets `name` to an encoded value.
    pub fn insert(&mut self, name: impl Into<String>, value: AttrValue) {
        self.0.insert(name.into(), value);
    }

    /// The attribute `name`, decoded.
    ///
    /// # Errors
    /// `InvalidArgument` when it is absent or of another kind.
    pub fn get<T: Attr>(&self, name: &str) -> Result<T> {
        let value = self.0.get(name);
        T::from_attr(value).ok_or_else(|| match value {
            None => Error::invalid(format!("attribute `{name}` ({}) is missing", T::KIND)),
            Some(v) => Error::invalid(format!("attribute `{name}` must be of kind {}, not {v}", T::KIND)),
        })
    }

    /// Name and value of each attribute.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AttrValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for AttrValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttrValue::Int(v) => write!(f, "{v}"),
            AttrValue::Float(v) => write!(f, "{v:?}"),
            AttrValue::Bool(v) => write!(f, "{v}"),
            AttrValue::Str(v) => write!(f, "{v:?}"),
            AttrValue::Type(v) => write!(f, "{v}"),
            AttrValue::Shape(v) => write!(f, "shape {v}"),
            AttrValue::Tensor(v) => write!(f, "{v}"),
            AttrValue::List(items) => {
                write!(f, "[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                write!(f, "]")
            }
        }
    }
}

/// To and from the attribute map; written by [`attrs!`](crate::attrs), never by hand.
pub trait Attributes: Sized {
    /// The fields as attributes.
    fn to_attrs(&self) -> AttrMap;
    /// The op with these attributes; attributes it does not know are ignored, as TensorFlow's own evolve.
    ///
    /// # Errors
    /// `InvalidArgument` when one is absent or of another kind.
    fn from_attrs(attrs: &AttrMap) -> Result<Self>;
    /// The op's parsed signature (parsed once).
    fn signature() -> &'static Signature;
}

/// Derives [`Attributes`] for an op: `attrs!(MatMul { transpose_a, transpose_b })`. A field whose attribute has
/// another name in TensorFlow gives it: `attrs!(Cast { to: "DstT" })`. An op without attributes: `attrs!(Tanh {})`.
#[macro_export]
macro_rules! attrs {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    ($op:ident { $($field:ident $(: $name:literal)?),* $(,)? }) => {
        impl $crate::Attributes for $op {
            fn to_attrs(&self) -> $crate::AttrMap {
                #[allow(unused_mut)]
                let mut attrs = $crate::AttrMap::new();
                $(attrs.set($crate::attrs!(@name $field $($name)?), &self.$field);)*
                attrs
            }
            fn from_attrs(#[allow(unused_variables)] attrs: &$crate::AttrMap) -> $crate::Result<Self> {
                Ok($op { $($field: attrs.get($crate::attrs!(@name $field $($name)?))?),* })
            }
            fn signature() -> &'static $crate::Signature {
                static PARSED: std::sync::OnceLock<$crate::Signature> = std::sync::OnceLock::new();
                PARSED.get_or_init(|| $crate::Signature::parse(&<$op as $crate::Op>::SCHEMA))
            }
        }
    };
}
