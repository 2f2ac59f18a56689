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
