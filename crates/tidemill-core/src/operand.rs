//! Things that can stand where a tensor is expected: tensors, variables, scalars and arrays.

use tidemill_tensor::{DType, IntoValue, Value};

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::handle::Tensor;
use crate::ops::Const;
use crate::variable::Variable;

/// A tensor, a variable, or a Rust number or array that becomes a constant.
///
/// A bare number takes the dtype of the tensor beside it (`x + 1.0` for an `f32` or `f64` tensor `x`), if it can be
/// represented exactly enough: `x + 1.5` on an integer tensor is an error.
pub trait Operand {
    /// The operand as a tensor of `graph`; a constant made for it is named `name`.
    ///
    /// # Errors
    /// `InvalidArgument` when it belongs to another graph or is no array.
    fn in_graph(self, graph: &Graph, name: &str) -> Result<Tensor>;

    /// The operand as a value that takes the dtype `like`, or the tensor it already is.
    ///
    /// # Errors
    /// `InvalidArgument` when a number cannot be a `like`.
    fn resolve(self, like: DType) -> Result<Resolved>;

    /// The operand with the dtype that its Rust type has by itself.
    ///
    /// # Errors
    /// `InvalidArgument` when it is no array.
    fn natural(self) -> Result<Resolved>;

    /// The tensor it is, if it is one already.
    fn as_tensor(&self) -> Option<Tensor> {
        None
    }
}

/// An [`Operand`] looked at.
#[derive(Debug, Clone)]
pub enum Resolved {
    /// It is a tensor.
    Tensor(Tensor),
    /// It becomes a constant.
    Value(Value),
}

macro_rules! tensor_operand {
    ($($ty:ty)*) => {$(
        impl Operand for $ty {
            fn in_graph(self, _: &Graph, _: &str) -> Result<Tensor> {
                Ok(self.into())
            }
            fn resolve(self, _: DType) -> Result<Resolved> {
                Ok(Resolved::Tensor(self.into()))
            }
            fn natural(self) -> Result<Resolved> {
                Ok(Resolved::Tensor(self.into()))
            }
            fn as_tensor(&self) -> Option<Tensor> {
                Some(Tensor::from(self.clone()))
            }
        }
    )*};
}
tensor_operand!(Tensor &Tensor Variable &Variable);

macro_rules! scalar_operand {
    ($($ty:ty)*) => {$(
        impl Operand for $ty {
            #[track_caller]
            fn in_graph(self, graph: &Graph, name: &str) -> Result<Tensor> {
                constant(graph, name, Value::scalar(self))
            }
            fn natural(self) -> Result<Resolved> {
                Ok(Resolved::Value(Value::scalar(self)))
            }
            fn resolve(self, like: DType) -> Result<Resolved> {
                let value = Value::scalar(self);
                let cast = value.cast(like);
                let fits = value.dtype() == like
                    || like.is_inexact()
                    || (like.is_integer() && cast.get_f64(0) == value.get_f64(0));
                if fits {
                    Ok(Resolved::Value(cast))
                } else {
                    Err(Error::invalid(format!("the number {self} cannot be a {like}"))
                        .with_help(format!("cast the tensor first: tf::cast(x, tf::{})", value.dtype())))
                }
            }
        }
    )*};
}
scalar_operand!(f32 f64 i32 i64 u8 u32 u64 bool);

impl Operand for Value {
    #[track_caller]
    fn in_graph(self, graph: &Graph, name: &str) -> Result<Tensor> {
        constant(graph, name, self)
    }
    fn resolve(self, _: DType) -> Result<Resolved> {
        Ok(Resolved::Value(self))
    }
    fn natural(self) -> Result<Resolved> {
        Ok(Resolved::Value(self))
    }
}

macro_rules! array_operand {
    ($([$($generics:tt)*] $ty:ty;)*) => {$(
        impl<$($generics)*> Operand for $ty
        where
            $ty: IntoValue,
        {
            #[track_caller]
            fn in_graph(self, graph: &Graph, name: &str) -> Result<Tensor> {
                constant(graph, name, self.into_value()?)
            }
            fn resolve(self, _: DType) -> Result<Resolved> {
                self.natural()
            }
            fn natural(self) -> Result<Resolved> {
                Ok(Resolved::Value(self.into_value()?))
            }
        }
    )*};
}
array_operand! {
    [T] Vec<T>;
    [T, const N: usize] [T; N];
}

#[track_caller]
fn constant(graph: &Graph, name: &str, value: Value) -> Result<Tensor> {
    Ok(graph.op(Const { value }).name(name).try_build()?.output(0))
}

/// A shape argument: known numbers (`-1` where an op allows one dimension to be derived), or a tensor that carries them.
#[derive(Debug, Clone)]
pub enum ShapeArg {
    /// Known dimensions.
    Known(Vec<i64>),
    /// An integer vector.
    Tensor(Tensor),
}

macro_rules! shape_arg {
    ($($ty:ty)*) => {$(
        impl<const N: usize> From<[$ty; N]> for ShapeArg {
            fn from(dims: [$ty; N]) -> Self {
                ShapeArg::Known(dims.iter().map(|d| *d as i64).collect())
            }
        }
        impl From<&[$ty]> for ShapeArg {
            fn from(dims: &[$ty]) -> Self {
                ShapeArg::Known(dims.iter().map(|d| *d as i64).collect())
            }
        }
        impl From<Vec<$ty>> for ShapeArg {
            fn from(dims: Vec<$ty>) -> Self {
                ShapeArg::from(&dims[..])
            }
        }
    )*};
}
shape_arg!(i32 i64 usize);

impl From<()> for ShapeArg {
    fn from(_: ()) -> Self {
        ShapeArg::Known(vec![])
    }
}

impl From<tidemill_tensor::Shape> for ShapeArg {
    fn from(shape: tidemill_tensor::Shape) -> Self {
        ShapeArg::from(shape.dims())
    }
}

impl From<&tidemill_tensor::Shape> for ShapeArg {
    fn from(shape: &tidemill_tensor::Shape) -> Self {
        ShapeArg::from(shape.dims())
    }
}

impl From<Tensor> for ShapeArg {
    fn from(tensor: Tensor) -> Self {
        ShapeArg::Tensor(tensor)
    }
}

impl ShapeArg {
    /// As an `i32` vector, TensorFlow's choice for shapes that fit.
    ///
    /// # Errors
    /// The tensor itself when it is one already.
    pub(crate) fn value(&self) -> std::result::Result<Value, Tensor> {
        match self {
            ShapeArg::Tensor(t) => Err(*t),
            ShapeArg::Known(dims) => {
                Ok(match dims.iter().map(|d| i32::try_from(*d)).collect::<Result<Vec<_>, _>>() {
                    Ok(dims) => Value::from(dims),
                    Err(_) => Value::from(dims.clone()),
                })
            }
        }
    }
}

/// Several axes or one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axes(pub Vec<i32>);

impl From<i32> for Axes {
    fn from(axis: i32) -> Self {
        Axes(vec![axis])
    }
}

impl<const N: usize> From<[i32; N]> for Axes {
    fn from(axes: [i32; N]) -> Self {
        Axes(axes.to_vec())
    }
}

impl From<&[i32]> for Axes {
    fn from(axes: &[i32]) -> Self {
        Axes(axes.to_vec())
    }
}

impl From<Vec<i32>> for Axes {
    fn from(axes: Vec<i32>) -> Self {
        Axes(axes)
    }
}
