//! Sizes that are fully known.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use smallvec::SmallVec;

use crate::{DType, Result, TensorError};

/// The sizes of a tensor along each axis, outermost first. It derefs to `[usize]`, and prints as `[200,4]`.
///
/// Up to four sizes are held inline.
///
/// ```
/// use tidemill_tensor::Shape;
///
/// let shape = Shape::from([200, 4]);
/// assert_eq!(shape.rank(), 2);
/// assert_eq!(shape[1], 4);
/// assert_eq!(shape.num_elements(), 800);
/// assert_eq!(shape.to_string(), "[200,4]");
/// assert_eq!(Shape::scalar().to_string(), "[]");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Shape {
    /// The shape of these sizes.
    ///
    /// ```
    /// use tidemill_tensor::Shape;
    /// assert_eq!(Shape::new(&[2, 3]), Shape::from([2, 3]));
    /// ```
    pub fn new(dims: &[usize]) -> Self {
        Shape(SmallVec::from_slice(dims))
    }

    /// The shape of rank 0, which has one element.
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::Shape::scalar().num_elements(), 1);
    /// ```
    pub fn scalar() -> Self {
        Shape::default()
    }

    /// The number of axes.
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::Shape::from([2, 3]).rank(), 2);
    /// ```
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The sizes, outermost first.
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::Shape::from([2, 3]).dims(), [2, 3]);
    /// ```
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// The number of elements: the product of the sizes, or `usize::MAX` where that overflows.
    ///
    /// ```
    /// use tidemill_tensor::Shape;
    /// assert_eq!(Shape::from([2, 0, 3]).num_elements(), 0);
    /// assert_eq!(Shape::from([usize::MAX, 2]).num_elements(), usize::MAX);
    /// ```
    pub fn num_elements(&self) -> usize {
        self.checked_num_elements().unwrap_or(usize::MAX)
    }

    /// The number of elements, or `None` where the product of the sizes overflows. A zero among the sizes gives
    /// `Some(0)` whatever the others are.
    ///
    /// ```
    /// use tidemill_tensor::Shape;
    /// assert_eq!(Shape::from([usize::MAX, 2]).checked_num_elements(), None);
    /// assert_eq!(Shape::from([usize::MAX, 2, 0]).checked_num_elements(), Some(0));
    /// ```
    pub fn checked_num_elements(&self) -> Option<usize> {
        if self.contains(&0) {
            return Some(0);
        }
        self.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim))
    }

    /// The bytes that an array of this shape takes, or `None` where that overflows.
    ///
    /// ```
    /// use tidemill_tensor::{DType, Shape};
    /// assert_eq!(Shape::from([2, 3]).num_bytes(DType::F32), Some(24));
    /// ```
    pub fn num_bytes(&self, dtype: DType) -> Option<usize> {
        self.checked_num_elements()?.checked_mul(dtype.size())
    }

    /// Row-major strides in elements: how far apart neighbours along each axis lie. Saturating.
    ///
    /// ```
    /// use tidemill_tensor::Shape;
    /// assert_eq!(Shape::from([2, 3, 4]).strides()[..], [12, 4, 1]);
    /// ```
    pub fn strides(&self) -> SmallVec<[usize; 4]> {
        let mut strides = SmallVec::<[usize; 4]>::from_elem(1, self.rank());
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = strides[axis].saturating_mul(self[axis]);
        }
        strides
    }

    /// The shape to which both shapes broadcast, or `None` where they do not.
    ///
    /// NumPy's rule: align the axes at the innermost; two sizes agree where they are equal or one of them is 1.
    ///
    /// ```
    /// use tidemill_tensor::Shape;
    /// let a = Shape::from([8, 1, 6]);
    /// assert_eq!(a.broadcast(&Shape::from([7, 1])), Some(Shape::from([8, 7, 6])));
    /// assert_eq!(a.broadcast(&Shape::from([2, 5])), None);
    /// ```
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let dim = |shape: &Shape, axis: usize| match (axis + shape.rank()).checked_sub(rank) {
            Some(own_axis) => shape[own_axis],
            None => 1,
        };
        (0..rank)
            .map(|axis| match (dim(self, axis), dim(other, axis)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect()
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, dim) in self.iter().enumerate() {
            let comma = if axis == 0 { "" } else { "," };
            write!(f, "{comma}{dim}")?;
        }
        f.write_str("]")
    }
}

/// As [`Display`](fmt::Display).
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what [`Display`](fmt::Display) prints; spaces around sizes are allowed.
impl FromStr for Shape {
    type Err = TensorError;

    fn from_str(text: &str) -> Result<Self> {
        parse_dims(text, |dim| dim.parse().ok())
    }
}

/// Reads `[a,b,c]` with `parse_dim` for each of the items.
pub(crate) fn parse_dims<D, C: FromIterator<D>>(
    text: &str,
    parse_dim: impl Fn(&str) -> Option<D>,
) -> Result<C> {
    let error = |reason: &str| TensorError::InvalidShape { text: text.to_owned(), reason: reason.to_owned() };
    let inner = text
        .trim()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(|| error("want sizes between `[` and `]`, as in `[200,4]`"))?;
    if inner.trim().is_empty() {
        return Ok(C::from_iter([]));
    }
    inner
        .split(',')
        .map(|dim| parse_dim(dim.trim()).ok_or_else(|| error(&format!("`{}` is not a size", dim.trim()))))
        .collect()
}

impl From<()> for Shape {
    fn from((): ()) -> Self {
        Shape::scalar()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape::new(&dims)
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(dims: &[usize; N]) -> Self {
        Shape::new(dims)
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape::new(dims)
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape::new(&dims)
    }
}

impl From<&Vec<usize>> for Shape {
    fn from(dims: &Vec<usize>) -> Self {
        Shape::new(dims)
    }
}

impl From<SmallVec<[usize; 4]>> for Shape {
    fn from(dims: SmallVec<[usize; 4]>) -> Self {
        Shape(dims)
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(dims: I) -> Self {
        Shape(dims.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_broadcast<const A: usize, const B: usize>(a: [usize; A], b: [usize; B], want: Option<&[usize]>) {
        assert_eq!(Shape::from(a).broadcast(&Shape::from(b)), want.map(Shape::from));
    }

    #[test]
    fn broadcasts_as_numpy_does() {
        check_broadcast([], [], Some(&[]));
        check_broadcast([2, 3], [], Some(&[2, 3]));
        check_broadcast([2, 3], [3], Some(&[2, 3]));
        check_broadcast([2, 1], [1, 3], Some(&[2, 3]));
        check_broadcast([0], [1], Some(&[0]));
        check_broadcast([0], [2], None);
        check_broadcast([2, 3], [2], None);
    }

    #[test]
    fn prints_and_parses() {
        for (shape, text) in
            [(Shape::scalar(), "[]"), (Shape::from([7]), "[7]"), (Shape::from([200, 4]), "[200,4]")]
        {
            assert_eq!(shape.to_string(), text);
            assert_eq!(text.parse::<Shape>().unwrap(), shape);
        }
        assert_eq!(" [ 2 , 3 ] ".parse::<Shape>().unwrap(), Shape::from([2, 3]));
    }

    #[test]
    fn what_is_no_shape_does_not_parse() {
        for text in ["", "2", "[2", "[2,]", "[,]", "[-1]", "[?]", "?", "[99999999999999999999]", "[2 3]"] {
            let error = text.parse::<Shape>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot read `{text}` as a shape: ")), "{error}");
        }
    }

    #[test]
    fn sizes_saturate() {
        let far = Shape::from([usize::MAX, usize::MAX, 2]);
        assert_eq!(far.num_elements(), usize::MAX);
        assert_eq!(far.num_bytes(DType::U8), None);
        assert_eq!(far.strides()[..], [usize::MAX, 2, 1]);
        assert_eq!(Shape::from([usize::MAX / 2]).num_bytes(DType::F32), None);
        assert!(Shape::scalar().strides().is_empty());
    }

    fn shapes() -> impl Strategy<Value = Shape> {
        proptest::collection::vec(0_usize..4, 0..5).prop_map(Shape::from)
    }

    proptest! {
        #[test]
        fn text_round_trips(shape in shapes()) {
            prop_assert_eq!(shape.to_string().parse::<Shape>().unwrap(), shape);
        }

        #[test]
        fn broadcast_is_commutative_with_the_scalar_as_unit(a in shapes(), b in shapes()) {
            prop_assert_eq!(a.broadcast(&b), b.broadcast(&a));
            prop_assert_eq!(a.broadcast(&a), Some(a.clone()));
            prop_assert_eq!(a.broadcast(&Shape::scalar()), Some(a));
        }

        #[test]
        fn broadcast_is_associative(a in shapes(), b in shapes(), c in shapes()) {
            let left = a.broadcast(&b).and_then(|ab| ab.broadcast(&c));
            let right = b.broadcast(&c).and_then(|bc| a.broadcast(&bc));
            prop_assert_eq!(left, right);
        }

        #[test]
        fn broadcast_agrees_with_ndarray(a in shapes(), b in shapes()) {
            // ndarray broadcasts one way only: to the common shape, where there is one.
            if let Some(common) = a.broadcast(&b) {
                for shape in [&a, &b] {
                    let array = ndarray::ArrayD::<u8>::zeros(ndarray::IxDyn(shape));
                    prop_assert!(array.broadcast(ndarray::IxDyn(&common)).is_some());
                }
            }
        }

        #[test]
        fn strides_are_those_of_standard_layout(shape in shapes()) {
            prop_assume!(!shape.contains(&0));
            let array = ndarray::ArrayD::<u8>::zeros(ndarray::IxDyn(&shape));
            let strides = shape.strides();
            for (axis, &dim) in shape.iter().enumerate() {
                prop_assert!(dim == 1 || array.strides()[axis] == strides[axis] as isize);
            }
        }
    }
}
