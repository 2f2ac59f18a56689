//! Sizes that are known in part, as while a graph is built.

use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;

use crate::shape::parse_dims;
use crate::{Result, Shape, TensorError};

/// A size, or `None` where it is unknown.
pub type Dim = Option<usize>;

/// A shape of which the rank may be unknown, or the rank known and some sizes unknown.
///
/// It prints as `[200,?]`, and as `?` where the rank is unknown. A partial shape stands for the set of the
/// shapes it [`accepts`](Self::accepts).
///
/// ```
/// use tidemill_tensor::{PartialShape, Shape};
///
/// let shape = PartialShape::from([Some(200), None]);
/// assert_eq!(shape.to_string(), "[200,?]");
/// assert!(shape.accepts(&Shape::from([200, 5])));
/// assert_eq!("[200,?]".parse::<PartialShape>().unwrap(), shape);
/// assert_eq!(PartialShape::unknown().to_string(), "?");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartialShape(Option<SmallVec<[Dim; 4]>>);

impl PartialShape {
    /// The shape of which nothing is known.
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::PartialShape::unknown().rank(), None);
    /// ```
    pub const fn unknown() -> Self {
        PartialShape(None)
    }

    /// A shape of known rank and unknown sizes.
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::PartialShape::with_rank(2).to_string(), "[?,?]");
    /// ```
    pub fn with_rank(rank: usize) -> Self {
        PartialShape(Some(SmallVec::from_elem(None, rank)))
    }

    /// The shape of a scalar.
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::PartialShape::scalar().rank(), Some(0));
    /// ```
    pub fn scalar() -> Self {
        PartialShape::with_rank(0)
    }

    /// The number of axes, where it is known.
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::PartialShape::from([2, 3]).rank(), Some(2));
    /// ```
    pub fn rank(&self) -> Option<usize> {
        self.0.as_ref().map(|dims| dims.len())
    }

    /// The sizes, where the rank is known.
    ///
    /// ```
    /// use tidemill_tensor::PartialShape;
    /// assert_eq!(PartialShape::from([2, 3]).dims(), Some(&[Some(2), Some(3)][..]));
    /// ```
    pub fn dims(&self) -> Option<&[Dim]> {
        self.0.as_deref()
    }

    /// The size along axis `i`; `None` where the rank or that size is unknown, or there is no such axis.
    ///
    /// ```
    /// use tidemill_tensor::PartialShape;
    /// assert_eq!(PartialShape::from([2, 3]).dim(1), Some(3));
    /// assert_eq!(PartialShape::unknown().dim(1), None);
    /// ```
    pub fn dim(&self, i: usize) -> Dim {
        self.dims()?.get(i).copied().flatten()
    }

    /// Whether the rank and every size are known.
    ///
    /// ```
    /// use tidemill_tensor::PartialShape;
    /// assert!(PartialShape::from([2, 3]).is_fully_known());
    /// assert!(!PartialShape::with_rank(1).is_fully_known());
    /// ```
    pub fn is_fully_known(&self) -> bool {
        self.dims().is_some_and(|dims| dims.iter().all(Option::is_some))
    }

    /// The one shape this stands for, where it is fully known.
    ///
    /// ```
    /// use tidemill_tensor::{PartialShape, Shape};
    /// assert_eq!(PartialShape::from([2, 3]).as_known(), Some(Shape::from([2, 3])));
    /// assert_eq!(PartialShape::with_rank(1).as_known(), None);
    /// ```
    pub fn as_known(&self) -> Option<Shape> {
        self.dims()?.iter().copied().collect()
    }

    /// The number of elements; `None` where the shape is not fully known or the product overflows.
    ///
    /// ```
    /// use tidemill_tensor::PartialShape;
    /// assert_eq!(PartialShape::from([2, 3]).num_elements(), Some(6));
    /// assert_eq!(PartialShape::with_rank(1).num_elements(), None);
    /// ```
    pub fn num_elements(&self) -> Option<usize> {
        self.as_known()?.checked_num_elements()
    }

    /// What both shapes say together: the shapes that both accept. `None` where they contradict each other.
    ///
    /// ```
    /// use tidemill_tensor::PartialShape;
    /// let a = PartialShape::from([Some(2), None]);
    /// assert_eq!(a.merge(&PartialShape::from([None, Some(3)])), Some([2, 3].into()));
    /// assert_eq!(a.merge(&PartialShape::unknown()), Some(a.clone()));
    /// assert_eq!(a.merge(&PartialShape::from([4, 3])), None);
    /// ```
    pub fn merge(&self, other: &PartialShape) -> Option<PartialShape> {
        let (Some(a), Some(b)) = (self.dims(), other.dims()) else {
            return Some(if self.rank().is_some() { self.clone() } else { other.clone() });
        };
        if a.len() != b.len() {
            return None;
        }
        let merged = a.iter().zip(b).map(|pair| match pair {
            (Some(a), Some(b)) => (a == b).then_some(Some(*a)),
            (a, b) => Some(a.or(*b)),
        });
        Some(PartialShape(Some(merged.collect::<Option<_>>()?)))
    }

    /// Whether some shape is accepted by both; the same as `self.merge(other).is_some()`.
    ///
    /// ```
    /// use tidemill_tensor::PartialShape;
    /// assert!(PartialShape::from([2, 3]).is_compatible_with(&PartialShape::with_rank(2)));
    /// ```
    pub fn is_compatible_with(&self, other: &PartialShape) -> bool {
        self.merge(other).is_some()
    }

    /// Whether `shape` has the known rank and the known sizes.
    ///
    /// ```
    /// use tidemill_tensor::{PartialShape, Shape};
    /// let shape = PartialShape::from([None, Some(3)]);
    /// assert!(shape.accepts(&Shape::from([7, 3])));
    /// assert!(!shape.accepts(&Shape::from([7, 4])));
    /// ```
    pub fn accepts(&self, shape: &Shape) -> bool {
        self.dims().is_none_or(|dims| {
            dims.len() == shape.rank()
                && dims.iter().zip(shape.dims()).all(|(want, got)| want.is_none_or(|want| want == *got))
        })
    }

    /// What is known of the shape to which both broadcast, or `None` where no shapes that they accept do.
    ///
    /// TensorFlow's rules: an unknown rank gives an unknown rank; an unknown size against a size of more than 1
    /// gives that size (the unknown one can only be equal or 1); against 0 or 1 it gives an unknown size.
    ///
    /// ```
    /// use tidemill_tensor::PartialShape;
    /// let a = PartialShape::from([None, Some(1), None]);
    /// let b = PartialShape::from([Some(7), None, Some(1)]);
    /// assert_eq!(a.broadcast(&b), Some([Some(7), None, None].into()));
    /// assert_eq!(a.broadcast(&PartialShape::unknown()), Some(PartialShape::unknown()));
    /// assert_eq!(PartialShape::from([2]).broadcast(&PartialShape::from([3])), None);
    /// ```
    pub fn broadcast(&self, other: &PartialShape) -> Option<PartialShape> {
        let (Some(a), Some(b)) = (self.dims(), other.dims()) else {
            return Some(PartialShape::unknown());
        };
        let rank = a.len().max(b.len());
        let dim = |dims: &[Dim], axis: usize| match (axis + dims.len()).checked_sub(rank) {
            Some(own_axis) => dims[own_axis],
            None => Some(1),
        };
        let broadcast = (0..rank).map(|axis| match (dim(a, axis), dim(b, axis)) {
            (Some(a), Some(b)) if a == b => Some(Some(a)),
            (Some(1), b) => Some(b),
            (a, Some(1)) => Some(a),
            (Some(_), Some(_)) => None,
            (Some(n), None) | (None, Some(n)) => Some((n > 1).then_some(n)),
            (None, None) => Some(None),
        });
        Some(PartialShape(Some(broadcast.collect::<Option<_>>()?)))
    }

    /// The sizes of `self` followed by those of `other`; of unknown rank where either is.
    ///
    /// ```
    /// use tidemill_tensor::PartialShape;
    /// let shape = PartialShape::with_rank(1).concatenate(&PartialShape::from([2, 3]));
    /// assert_eq!(shape.to_string(), "[?,2,3]");
    /// ```
    pub fn concatenate(&self, other: &PartialShape) -> PartialShape {
        match (self.dims(), other.dims()) {
            (Some(a), Some(b)) => a.iter().chain(b).copied().collect(),
            _ => PartialShape::unknown(),
        }
    }
}

/// The unknown shape.
impl Default for PartialShape {
    fn default() -> Self {
        PartialShape::unknown()
    }
}

impl fmt::Display for PartialShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(dims) = self.dims() else { return f.write_str("?") };
        f.write_str("[")?;
        for (axis, dim) in dims.iter().enumerate() {
            f.write_str(if axis == 0 { "" } else { "," })?;
            match dim {
                Some(dim) => write!(f, "{dim}")?,
                None => f.write_str("?")?,
            }
        }
        f.write_str("]")
    }
}

/// As [`Display`](fmt::Display).
impl fmt::Debug for PartialShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads what [`Display`](fmt::Display) prints; spaces around sizes are allowed.
impl FromStr for PartialShape {
    type Err = TensorError;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "?" {
            return Ok(PartialShape::unknown());
        }
        parse_dims(text, |dim| if dim == "?" { Some(None) } else { dim.parse().ok().map(Some) })
    }
}

/// A shape of known rank.
impl FromIterator<Dim> for PartialShape {
    fn from_iter<I: IntoIterator<Item = Dim>>(dims: I) -> Self {
        PartialShape(Some(dims.into_iter().collect()))
    }
}

/// A fully known shape.
impl FromIterator<usize> for PartialShape {
    fn from_iter<I: IntoIterator<Item = usize>>(dims: I) -> Self {
        dims.into_iter().map(Some).collect()
    }
}

impl From<()> for PartialShape {
    fn from((): ()) -> Self {
        PartialShape::scalar()
    }
}

// Sizes come as `usize` or `Option<usize>` and as nothing else, so that in `[200, 5]` the type is inferred.
macro_rules! from_lists {
    ($($dim:ty),*) => {$(
        impl<const N: usize> From<[$dim; N]> for PartialShape {
            fn from(dims: [$dim; N]) -> Self {
                dims.into_iter().collect()
            }
        }

        impl<const N: usize> From<&[$dim; N]> for PartialShape {
            fn from(dims: &[$dim; N]) -> Self {
                dims.iter().copied().collect()
            }
        }

        impl From<&[$dim]> for PartialShape {
            fn from(dims: &[$dim]) -> Self {
                dims.iter().copied().collect()
            }
        }

        impl From<Vec<$dim>> for PartialShape {
            fn from(dims: Vec<$dim>) -> Self {
                dims.into_iter().collect()
            }
        }
    )*};
}
from_lists!(usize, Dim);

impl From<Shape> for PartialShape {
    fn from(shape: Shape) -> Self {
        PartialShape::from(shape.dims())
    }
}

impl From<&Shape> for PartialShape {
    fn from(shape: &Shape) -> Self {
        PartialShape::from(shape.dims())
    }
}

impl From<&PartialShape> for PartialShape {
    fn from(shape: &PartialShape) -> Self {
        shape.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> PartialShape {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check_broadcast(a: &str, b: &str, want: Option<&str>) {
        let got = parse(a).broadcast(&parse(b)).map(|shape| shape.to_string());
        assert_eq!(got.as_deref(), want, "{a} with {b}");
        assert_eq!(parse(b).broadcast(&parse(a)).map(|shape| shape.to_string()).as_deref(), want);
    }

    #[test]
    fn broadcasts_as_tensorflow_does() {
        check_broadcast("[?]", "[5]", Some("[5]"));
        check_broadcast("[?]", "[1]", Some("[?]"));
        check_broadcast("[?]", "[0]", Some("[?]"));
        check_broadcast("[?]", "[?]", Some("[?]"));
        check_broadcast("[?]", "[]", Some("[?]"));
        check_broadcast("[?,3]", "[3]", Some("[?,3]"));
        check_broadcast("[200,?]", "[1,4]", Some("[200,4]"));
        check_broadcast("[200,?]", "[3,4]", None);
        check_broadcast("?", "[3,4]", Some("?"));
        check_broadcast("?", "?", Some("?"));
    }

    #[track_caller]
    fn check_merge(a: &str, b: &str, want: Option<&str>) {
        let got = parse(a).merge(&parse(b)).map(|shape| shape.to_string());
        assert_eq!(got.as_deref(), want, "{a} with {b}");
        assert_eq!(parse(a).is_compatible_with(&parse(b)), want.is_some());
    }

    #[test]
    fn merges() {
        check_merge("?", "[2,?]", Some("[2,?]"));
        check_merge("[2,?]", "?", Some("[2,?]"));
        check_merge("[2,?]", "[?,3]", Some("[2,3]"));
        check_merge("[2,?]", "[2]", None);
        check_merge("[2,?]", "[1,?]", None);
        check_merge("[]", "[]", Some("[]"));
    }

    #[test]
    fn literals_infer_their_type() {
        let fed: [PartialShape; 4] =
            [[200, 5].into(), [Some(200), Some(5)].into(), vec![200, 5].into(), Shape::from([200, 5]).into()];
        assert!(fed.iter().all(|shape| shape.to_string() == "[200,5]"));
        assert_eq!(PartialShape::from(()), PartialShape::scalar());
        assert_eq!(PartialShape::default(), PartialShape::unknown());
    }

    #[test]
    fn an_unknown_rank_accepts_all_and_knows_nothing() {
        let unknown = PartialShape::unknown();
        assert!(unknown.accepts(&Shape::scalar()) && unknown.accepts(&Shape::from([0, 9])));
        assert_eq!((unknown.dim(0), unknown.as_known(), unknown.num_elements()), (None, None, None));
        assert_eq!(unknown.concatenate(&PartialShape::from([2])), unknown);
        assert_eq!(PartialShape::from([2]).dim(7), None);
    }

    fn dims() -> impl Strategy<Value = Vec<Dim>> {
        proptest::collection::vec(proptest::option::weighted(0.7, 0_usize..4), 0..4)
    }

    fn partial_shapes() -> impl Strategy<Value = PartialShape> {
        proptest::option::weighted(0.9, dims())
            .prop_map(|dims| dims.map_or(PartialShape::unknown(), PartialShape::from))
    }

    /// A shape, and a partial shape that accepts it.
    fn known_and_partial() -> impl Strategy<Value = (Shape, PartialShape)> {
        proptest::collection::vec((0_usize..4, any::<bool>()), 0..4).prop_map(|dims| {
            let known = dims.iter().map(|(dim, _)| *dim).collect();
            (known, dims.iter().map(|(dim, shown)| shown.then_some(*dim)).collect())
        })
    }

    proptest! {
        #[test]
        fn text_round_trips(shape in partial_shapes()) {
            prop_assert_eq!(shape.to_string().parse::<PartialShape>().unwrap(), shape);
        }

        #[test]
        fn merge_is_a_semilattice(a in partial_shapes(), b in partial_shapes(), c in partial_shapes()) {
            prop_assert_eq!(a.merge(&b), b.merge(&a));
            prop_assert_eq!(a.merge(&a), Some(a.clone()));
            prop_assert_eq!(a.merge(&PartialShape::unknown()), Some(a.clone()));
            let left = a.merge(&b).and_then(|ab| ab.merge(&c));
            let right = b.merge(&c).and_then(|bc| a.merge(&bc));
            prop_assert_eq!(left, right);
        }

        #[test]
        fn merge_accepts_what_both_accept((known, a) in known_and_partial(), b in partial_shapes()) {
            prop_assert!(a.accepts(&known));
            let merged = a.merge(&b).is_some_and(|merged| merged.accepts(&known));
            prop_assert_eq!(merged, b.accepts(&known));
        }

        #[test]
        fn broadcast_is_sound((x, a) in known_and_partial(), (y, b) in known_and_partial()) {
            // Whatever the unknown sizes turn out to be, the result is among those foretold.
            if let Some(known) = x.broadcast(&y) {
                prop_assert!(a.broadcast(&b).unwrap().accepts(&known));
            }
        }

        #[test]
        fn broadcast_is_that_of_shapes_where_all_is_known((x, _) in known_and_partial(), (y, _) in known_and_partial()) {
            let partial = PartialShape::from(&x).broadcast(&PartialShape::from(&y));
            prop_assert_eq!(partial, x.broadcast(&y).map(PartialShape::from));
        }
    }
}
