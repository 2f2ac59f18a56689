//! From Rust data to values, and back.
//!
//! [`From`] is for what cannot fail; [`IntoValue`] is for that and for nested vectors, which may be ragged.

use ndarray::{ArcArray, Array, ArrayD, ArrayView, ArrayViewMut, CowArray, Dimension};

use crate::{Element, Result, Shape, TensorError, Value};

/// What a [`Value`] can be made of: values, scalars, arrays, slices, vectors, nested vectors and `ndarray` arrays.
///
/// `feed!` takes anything of this trait. Nested vectors whose lengths differ fail with
/// [`Ragged`](TensorError::Ragged).
///
/// ```
/// use tidemill_tensor::IntoValue;
///
/// assert_eq!(vec![vec![1, 2], vec![3, 4]].into_value()?.to_string(), "i32[2,2] [[1, 2], [3, 4]]");
/// let error = vec![vec![1, 2], vec![3]].into_value().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "ragged nested list: at depth 0, item 1 has shape [1], but item 0 has shape [2]",
/// );
/// # Ok::<(), tidemill_tensor::TensorError>(())
/// ```
pub trait IntoValue {
    /// The value.
    fn into_value(self) -> Result<Value>;
}

impl IntoValue for Value {
    fn into_value(self) -> Result<Value> {
        Ok(self)
    }
}

/// For closures that compute what is fed.
impl<T: IntoValue> IntoValue for Result<T> {
    fn into_value(self) -> Result<Value> {
        self?.into_value()
    }
}

/// Writes `From` and the `IntoValue` that follows from it.
macro_rules! from {
    ($([$($generics:tt)*] $source:ty, |$value:ident| $body:expr;)*) => {$(
        impl<$($generics)*> From<$source> for Value {
            fn from($value: $source) -> Value {
                $body
            }
        }

        impl<$($generics)*> IntoValue for $source {
            fn into_value(self) -> Result<Value> {
                Ok(self.into())
            }
        }
    )*};
}

from! {
    [] &Value, |value| value.clone();
    [T: Element] T, |value| Value::scalar(value);
    [T: Element] Vec<T>, |value| Value::from_checked_vec(Shape::from([value.len()]), value);
    [T: Element] &Vec<T>, |value| value.as_slice().into();
    [T: Element] Box<[T]>, |value| value.into_vec().into();
    [T: Element] &[T], |value| Value::copied(Shape::from([value.len()]), value);
    [T: Element, const N: usize] Vec<[T; N]>, |value| nested([value.len(), N], value.as_flattened());
    [T: Element, const N: usize] &Vec<[T; N]>, |value| nested([value.len(), N], value.as_flattened());
    [T: Element, const N: usize] &[[T; N]], |value| nested([value.len(), N], value.as_flattened());

    [T: Element, D: Dimension] Array<T, D>, |value| Value::from_array(value);
    [T: Element, D: Dimension] &Array<T, D>, |value| Value::from_view(value.view());
    [T: Element, D: Dimension] ArrayView<'_, T, D>, |value| Value::from_view(value);
    [T: Element, D: Dimension] &ArrayView<'_, T, D>, |value| Value::from_view(value.view());
    [T: Element, D: Dimension] ArrayViewMut<'_, T, D>, |value| Value::from_view(value.view());
    [T: Element, D: Dimension] ArcArray<T, D>, |value| Value::from_view(value.view());
    [T: Element, D: Dimension] &ArcArray<T, D>, |value| Value::from_view(value.view());
    [T: Element, D: Dimension] CowArray<'_, T, D>, |value| Value::from_array(value.into_owned());
}

/// Arrays of arrays, by value and by reference.
macro_rules! from_arrays {
    ($([$($n:ident)*] $source:ty, $($flatten:ident)*;)*) => {$(
        from! {
            [T: Element, $(const $n: usize),*] $source, |value| nested([$($n),*], value$(.$flatten())*);
            [T: Element, $(const $n: usize),*] &$source, |value| nested([$($n),*], value$(.$flatten())*);
        }
    )*};
}

from_arrays! {
    [A] [T; A], as_slice;
    [A B] [[T; B]; A], as_flattened;
    [A B C] [[[T; C]; B]; A], as_flattened as_flattened;
    [A B C D] [[[[T; D]; C]; B]; A], as_flattened as_flattened as_flattened;
    [A B C D E] [[[[[T; E]; D]; C]; B]; A], as_flattened as_flattened as_flattened as_flattened;
}

fn nested<T: Element, const R: usize>(shape: [usize; R], elements: &[T]) -> Value {
    Value::copied(Shape::from(shape), elements)
}

/// A list whose items are lists, to any depth.
trait Nested {
    type Item: Element;

    /// Appends the elements in row-major order and gives the shape; `depth` is that of this list.
    fn flatten(&self, depth: usize, elements: &mut Vec<Self::Item>) -> Result<Shape>;
}

/// Flattens the `items` of a list at `depth`.
fn flatten_items<N: Nested>(items: &[N], depth: usize, elements: &mut Vec<N::Item>) -> Result<Shape> {
    let mut first: Option<Shape> = None;
    for (index, item) in items.iter().enumerate() {
        let got = item.flatten(depth + 1, elements)?;
        match &first {
            None => first = Some(got),
            Some(want) if *want == got => {}
            Some(want) => return Err(TensorError::Ragged { depth, index, want: want.clone(), got }),
        }
    }
    Ok(std::iter::once(items.len()).chain(first.unwrap_or(Shape::from([0])).iter().copied()).collect())
}

macro_rules! nested_leaf {
    ($([$($generics:tt)*] $list:ty;)*) => {$(
        impl<$($generics)*> Nested for $list {
            type Item = T;

            fn flatten(&self, _depth: usize, elements: &mut Vec<T>) -> Result<Shape> {
                elements.extend_from_slice(self);
                Ok(Shape::from([self.len()]))
            }
        }
    )*};
}
nested_leaf! {
    [T: Element] Vec<T>;
    [T: Element] &[T];
    [T: Element] &Vec<T>;
}

impl<T: Element> Nested for Vec<Vec<T>> {
    type Item = T;

    fn flatten(&self, depth: usize, elements: &mut Vec<T>) -> Result<Shape> {
        flatten_items(self, depth, elements)
    }
}

impl<T: Element> Nested for Vec<Vec<Vec<T>>> {
    type Item = T;

    fn flatten(&self, depth: usize, elements: &mut Vec<T>) -> Result<Shape> {
        flatten_items(self, depth, elements)
    }
}

macro_rules! into_nested {
    ($($list:ty),*) => {$(
        impl<T: Element> IntoValue for $list {
            fn into_value(self) -> Result<Value> {
                let mut elements = Vec::new();
                let shape = flatten_items(&self, 0, &mut elements)?;
                Value::from_vec(shape, elements)
            }
        }
    )*};
}
into_nested!(
    Vec<Vec<T>>,
    &Vec<Vec<T>>,
    &[Vec<T>],
    Vec<&[T]>,
    &[&[T]],
    Vec<&Vec<T>>,
    Vec<Vec<Vec<T>>>,
    &Vec<Vec<Vec<T>>>,
    Vec<Vec<Vec<Vec<T>>>>,
    &Vec<Vec<Vec<Vec<T>>>>
);

macro_rules! scalar_from_value {
    ($($t:ty),*) => {$(
        /// [`Value::to_scalar`].
        impl TryFrom<Value> for $t {
            type Error = TensorError;

            fn try_from(value: Value) -> Result<Self> {
                value.to_scalar()
            }
        }

        /// [`Value::to_scalar`].
        impl TryFrom<&Value> for $t {
            type Error = TensorError;

            fn try_from(value: &Value) -> Result<Self> {
                value.to_scalar()
            }
        }
    )*};
}
scalar_from_value!(half::f16, half::bf16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, bool);

/// [`Value::into_vec`]: the elements in row-major order, whatever the rank.
impl<T: Element> TryFrom<Value> for Vec<T> {
    type Error = TensorError;

    fn try_from(value: Value) -> Result<Self> {
        value.into_vec()
    }
}

/// [`Value::to_vec`]: the elements in row-major order, whatever the rank.
impl<T: Element> TryFrom<&Value> for Vec<T> {
    type Error = TensorError;

    fn try_from(value: &Value) -> Result<Self> {
        value.to_vec()
    }
}

/// [`Value::into_array`].
impl<T: Element> TryFrom<Value> for ArrayD<T> {
    type Error = TensorError;

    fn try_from(value: Value) -> Result<Self> {
        value.into_array()
    }
}

/// [`Value::to_array`].
impl<T: Element> TryFrom<&Value> for ArrayD<T> {
    type Error = TensorError;

    fn try_from(value: &Value) -> Result<Self> {
        value.to_array()
    }
}
