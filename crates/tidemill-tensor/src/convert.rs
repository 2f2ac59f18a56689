//! From Rust data to values, and back.
//!
//! [`From`] is for what cannot fail; [`IntoValue`] is for that and for nested vectors, which may be ragged.

use ndarray::{ArcArray, Array, ArrayD, ArrayView, ArrayViewMut, CowArray, Dimension};
use num_complex::Complex;

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
    /// The value; for an example see the trait.
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

    /// How deep the lists nest.
    const RANK: usize;

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
    // A list without items leaves the sizes within it open; they are 0.
    let inner = first.unwrap_or_else(|| Shape::from(vec![0; N::RANK]));
    Ok(std::iter::once(items.len()).chain(inner.iter().copied()).collect())
}

macro_rules! nested_leaf {
    ($([$($generics:tt)*] $list:ty;)*) => {$(
        impl<$($generics)*> Nested for $list {
            type Item = T;
            const RANK: usize = 1;

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
    const RANK: usize = 1 + <Vec<T> as Nested>::RANK;

    fn flatten(&self, depth: usize, elements: &mut Vec<T>) -> Result<Shape> {
        flatten_items(self, depth, elements)
    }
}

impl<T: Element> Nested for Vec<Vec<Vec<T>>> {
    type Item = T;
    const RANK: usize = 1 + <Vec<Vec<T>> as Nested>::RANK;

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
scalar_from_value!(
    half::f16,
    half::bf16,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
    bool,
    Complex<f32>,
    Complex<f64>
);

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use ndarray::{arr1, arr2, array};

    #[track_caller]
    fn check(from: impl IntoValue, want: &str) {
        assert_eq!(from.into_value().unwrap().to_string(), want);
    }

    #[test]
    #[allow(clippy::needless_borrows_for_generic_args, reason = "the borrows are what is tested")]
    fn scalars_and_lists() {
        check(1.5_f32, "f32[] 1.5");
        check(true, "bool[] true");
        check(vec![1_u8, 2], "u8[2] [1, 2]");
        check(&vec![1_u8, 2], "u8[2] [1, 2]");
        check(&[1_u8, 2][..], "u8[2] [1, 2]");
        check([1_u8, 2], "u8[2] [1, 2]");
        check(&[1_u8, 2], "u8[2] [1, 2]");
        check([[1, 2], [3, 4]], "i32[2,2] [[1, 2], [3, 4]]");
        check(&[[1, 2], [3, 4]], "i32[2,2] [[1, 2], [3, 4]]");
        check(vec![[1, 2], [3, 4]], "i32[2,2] [[1, 2], [3, 4]]");
        check([[[1_i64], [2]]], "i64[1,2,1] [[[1], [2]]]");
        check([[[[[0.5]]]]], "f64[1,1,1,1,1] [[[[[0.5]]]]]");
        check([[0.0_f32; 3]; 0], "f32[0,3] []");
        check(Vec::<f32>::new(), "f32[0] []");
        check(Value::from(1), "i32[] 1");
        check(&Value::from(1), "i32[] 1");
        check(Value::zeros(DType::F32, [1]), "f32[1] [0]");
    }

    #[test]
    fn arrays_of_ndarray() {
        let two = arr2(&[[1, 2], [3, 4]]);
        check(&two, "i32[2,2] [[1, 2], [3, 4]]");
        check(two.view(), "i32[2,2] [[1, 2], [3, 4]]");
        check(two.t(), "i32[2,2] [[1, 3], [2, 4]]");
        check(two.row(1), "i32[2] [3, 4]");
        check(two.to_shared(), "i32[2,2] [[1, 2], [3, 4]]");
        check(two.clone().into_dyn(), "i32[2,2] [[1, 2], [3, 4]]");
        check(two.as_standard_layout(), "i32[2,2] [[1, 2], [3, 4]]");
        check(two, "i32[2,2] [[1, 2], [3, 4]]");
        check(arr1(&[1.5]), "f64[1] [1.5]");
        check(ndarray::arr0(7_u8), "u8[] 7");
    }

    #[test]
    #[allow(clippy::needless_borrows_for_generic_args, reason = "the borrows are what is tested")]
    fn nested_vectors() {
        check(vec![vec![1, 2], vec![3, 4]], "i32[2,2] [[1, 2], [3, 4]]");
        check(&vec![vec![1, 2], vec![3, 4]], "i32[2,2] [[1, 2], [3, 4]]");
        check(vec![&[1, 2][..], &[3, 4]], "i32[2,2] [[1, 2], [3, 4]]");
        check(vec![vec![vec![1], vec![2]]], "i32[1,2,1] [[[1], [2]]]");
        check(vec![vec![vec![vec![1.0_f32]]]], "f32[1,1,1,1] [[[[1]]]]");
        check(vec![Vec::<f32>::new(), Vec::new()], "f32[2,0] []");
        check(Vec::<Vec<f32>>::new(), "f32[0,0] []");
        check(Vec::<Vec<Vec<f32>>>::new(), "f32[0,0,0] []");
    }

    #[track_caller]
    fn check_ragged(from: impl IntoValue, want: &str) {
        assert_eq!(
            from.into_value().unwrap_err().to_string(),
            format!("ragged nested list: at depth {want}")
        );
    }

    #[test]
    fn ragged_vectors_are_errors() {
        check_ragged(vec![vec![1, 2], vec![3]], "0, item 1 has shape [1], but item 0 has shape [2]");
        check_ragged(
            vec![vec![vec![1], vec![2]], vec![vec![3], vec![]]],
            "1, item 1 has shape [0], but item 0 has shape [1]",
        );
        check_ragged(
            vec![vec![vec![1], vec![2]], vec![vec![3]]],
            "0, item 1 has shape [1,1], but item 0 has shape [2,1]",
        );
    }

    #[test]
    fn back_to_rust() {
        let value = Value::from([[1.0_f32, 2.0]]);
        assert_eq!(Vec::<f32>::try_from(&value).unwrap(), [1.0, 2.0]);
        assert_eq!(ArrayD::<f32>::try_from(&value).unwrap(), array![[1.0, 2.0]].into_dyn());
        assert_eq!(ArrayD::<f32>::try_from(value.clone()).unwrap(), array![[1.0, 2.0]].into_dyn());
        assert_eq!(Vec::<f32>::try_from(value.clone()).unwrap(), [1.0, 2.0]);
        assert!(f32::try_from(value).is_err());
        let loss: f32 = Value::from([0.25_f32]).try_into().unwrap();
        assert_eq!(loss, 0.25);
        assert!(bool::try_from(&Value::from(true)).unwrap());
    }
}
