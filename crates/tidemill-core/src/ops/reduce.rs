//! Reductions over axes, and the positions of extremes.

use smallvec::smallvec;
use tidemill_tensor::{DType, Dim, PartialShape, Value};

use super::math::{holds, scalar_like};
use super::{
    Const, broadcast_to, cast, conj, equal, expand_dims, floordiv, maximum, modulo, rank, reshape, select,
    shape, size,
};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::graph::OpBuilder;
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType, normalise_axis};
use crate::op::{Op, OpSet};
use crate::operand::Axes;
use crate::schema::Schema;
use crate::{attrs, grads};

/// Over which axes to reduce, and whether to keep them with size 1.
///
/// An axis or a list of axes converts into it: `reduce_sum_with(x, 1)`, `reduce_sum_with(x, [0, -1])`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops::{self, Reduce}};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2, 3, 4]);
/// assert_eq!(ops::reduce_sum_with(x, [0, -1]).ty().to_string(), "f32[3]");
/// assert_eq!(ops::reduce_sum_with(x, Reduce::over(1).keep_dims()).ty().to_string(), "f32[2,1,4]");
/// assert_eq!(ops::reduce_sum_with(x, Reduce::all().keep_dims()).ty().to_string(), "f32[1,1,1]");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Reduce {
    axes: ReductionAxes,
    keep_dims: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum ReductionAxes {
    All,
    One(i32),
    Many(Vec<i32>),
    Tensor(Tensor),
}

impl Reduce {
    /// Over all axes.
    pub fn all() -> Reduce {
        ReductionAxes::All.into()
    }

    /// Over an axis, a list of axes, or the axes that an integer tensor of rank 0 or 1 names in the run. Negative axes count
    /// from the end.
    pub fn over(axes: impl Into<Reduce>) -> Reduce {
        axes.into()
    }

    /// Keeps the axes, with size 1, so that the result broadcasts with the operand.
    pub fn keep_dims(mut self) -> Reduce {
        self.keep_dims = true;
        self
    }
}

impl From<ReductionAxes> for Reduce {
    fn from(axes: ReductionAxes) -> Self {
        Reduce { axes, keep_dims: false }
    }
}

impl From<i32> for Reduce {
    fn from(axis: i32) -> Self {
        ReductionAxes::One(axis).into()
    }
}

impl From<Axes> for Reduce {
    fn from(axes: Axes) -> Self {
        ReductionAxes::Many(axes.0).into()
    }
}

impl<const N: usize> From<[i32; N]> for Reduce {
    fn from(axes: [i32; N]) -> Self {
        Axes::from(axes).into()
    }
}

impl From<&[i32]> for Reduce {
    fn from(axes: &[i32]) -> Self {
        Axes::from(axes).into()
    }
}

impl From<Vec<i32>> for Reduce {
    fn from(axes: Vec<i32>) -> Self {
        Axes::from(axes).into()
    }
}

impl From<Tensor> for Reduce {
    fn from(axes: Tensor) -> Self {
        ReductionAxes::Tensor(axes).into()
    }
}

/// A row: documentation, op and its operand, functions and their name in TensorFlow, gradient, folding of a known vector.
macro_rules! reductions {
    ($(
        $(#[$doc:meta])*
        $op:ident $signature:literal, $function:ident $function_with:ident $tf:literal,
        grad $grad:expr,
        known $known:expr;
    )*) => {
        pub(super) fn register(set: OpSet) -> OpSet {
            set.with::<ArgMax>().with::<ArgMin>()$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op {
                /// Whether the reduced axes stay, with size 1.
                pub keep_dims: bool,
            }
            attrs!($op { keep_dims });

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    cx.output(cx.dtype(0), reduced_shape(cx, self.keep_dims)?)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let rule: fn(&Reduced) -> Option<Tensor> = $grad;
                    Ok(grads![rule(&Reduced::new(cx, self.keep_dims)), NoGrad])
                }
                fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
                    fold(cx, $known)
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!("Over all axes: a scalar of the dtype of `x`. TensorFlow: `", $tf, "(x)`.")]
            #[track_caller]
            pub fn $function(x: impl Into<Tensor>) -> Tensor {
                $function_with(x, Reduce::all())
            }

            $(#[$doc])*
            ///
            #[doc = concat!(
                "Over some axes (see [`Reduce`]), which the result lacks or has with size 1. TensorFlow: `", $tf,
                "(x, axis, keepdims)`."
            )]
            ///
            /// # Panics
            /// When an axis is out of range or named twice.
            #[track_caller]
            pub fn $function_with(x: impl Into<Tensor>, over: impl Into<Reduce>) -> Tensor {
                let (x, over) = (x.into(), over.into());
                let axes = all_axes(x, &over);
                reduction(x.graph().op($op { keep_dims: over.keep_dims }), x, axes, over.axes)
            }
        )*
    };
}

reductions! {
    /// The sum of the elements; 0 of none.
    Sum "(input: T, reduction_indices: Tidx) -> (output: T) where T: Num|Complex, Tidx: i32|i64",
    reduce_sum reduce_sum_with "tf.reduce_sum",
    grad |g| Some(g.spread()),
    known |elements| elements.iter().try_fold(0i64, |sum, v| sum.checked_add(*v));

    /// The mean of the elements; NaN of none. Integers: the sum divided by their number, rounded towards zero.
    Mean "(input: T, reduction_indices: Tidx) -> (output: T) where T: Num|Complex, Tidx: i32|i64",
    reduce_mean reduce_mean_with "tf.reduce_mean",
    grad |g| {
        let spread = g.spread();
        Some(spread / g.count(spread.dtype()))
    },
    known |_| None;

    /// The largest element, -∞ or the smallest integer of none. The gradient is shared equally among several largest.
    Max "(input: T, reduction_indices: Tidx) -> (output: T) where T: Num, Tidx: i32|i64",
    reduce_max reduce_max_with "tf.reduce_max",
    grad |g| Some(g.share_among_equal()),
    known |elements| elements.iter().max().copied();

    /// The smallest element, +∞ or the largest integer of none. The gradient is shared equally among several smallest.
    Min "(input: T, reduction_indices: Tidx) -> (output: T) where T: Num, Tidx: i32|i64",
    reduce_min reduce_min_with "tf.reduce_min",
    grad |g| Some(g.share_among_equal()),
    known |elements| elements.iter().min().copied();

    /// The product of the elements; 1 of none.
    Prod "(input: T, reduction_indices: Tidx) -> (output: T) where T: Num|Complex, Tidx: i32|i64",
    reduce_prod reduce_prod_with "tf.reduce_prod",
    grad |g| Some(g.product_of_others()),
    known |elements| elements.iter().try_fold(1i64, |product, v| product.checked_mul(*v));

    /// The root of the sum of the squares of the elements; 0 of none. Integers are rounded towards zero.
    EuclideanNorm "(input: T, reduction_indices: Tidx) -> (output: T) where T: Num, Tidx: i32|i64",
    reduce_euclidean_norm reduce_euclidean_norm_with "tf.reduce_euclidean_norm",
    grad |g| {
        let [y, dy] = g.keep_axes([g.y, g.dy]);
        Some(g.x / (y / dy))
    },
    known |_| None;

    /// Whether all elements are true; true of none.
    All "(input: bool, reduction_indices: Tidx) -> (output: bool) where Tidx: i32|i64",
    reduce_all reduce_all_with "tf.reduce_all",
    grad |_| None,
    known |_| None;

    /// Whether any element is true; false of none.
    Any "(input: bool, reduction_indices: Tidx) -> (output: bool) where Tidx: i32|i64",
    reduce_any reduce_any_with "tf.reduce_any",
    grad |_| None,
    known |_| None;
}

/// The axes operand of a reduction over all axes, which TensorFlow makes before the node: a constant, or the range of the rank.
#[track_caller]
fn all_axes(x: Tensor, over: &Reduce) -> Option<Tensor> {
    if over.axes != ReductionAxes::All {
        return None;
    }
    let graph = x.graph();
    Some(match x.shape().rank() {
        Some(rank) if rank > 0 => graph.constant((0..rank as i32).collect::<Vec<_>>()),
        _ => graph.range(0, rank(x), 1),
    })
}

#[track_caller]
fn reduction(builder: OpBuilder, x: Tensor, all: Option<Tensor>, axes: ReductionAxes) -> Tensor {
    let builder = builder.input(x);
    let builder = match (all, axes) {
        (Some(axes), _) | (None, ReductionAxes::Tensor(axes)) => builder.input(axes),
        (None, ReductionAxes::One(axis)) => builder.constant("reduction_indices", axis),
        (None, ReductionAxes::Many(axes)) => builder.constant("reduction_indices", axes),
        (None, ReductionAxes::All) => unreachable!("`all` has them"),
    };
    builder.tensor()
}

/// For each axis of a tensor of this shape, whether `axes` names it.
///
/// # Errors
/// `InvalidArgument` when an axis is out of range or named twice.
fn reduced_axes(shape: &PartialShape, rank: usize, axes: &[i64]) -> Result<Vec<bool>> {
    let mut reduced = vec![false; rank];
    for &axis in axes {
        let at = normalise_axis(axis, rank)
            .map_err(|_| Error::invalid(format!("axis {axis} is out of range for shape {shape}")))?;
        if std::mem::replace(&mut reduced[at], true) {
            return Err(Error::invalid(format!("axis {axis} is named twice, for shape {shape}")));
        }
    }
    Ok(reduced)
}

fn reduced_shape(cx: &InferCx, keep_dims: bool) -> Result<PartialShape> {
    let (input, axes) = (cx.shape(0), cx.shape(1));
    if axes.rank().is_some_and(|rank| rank > 1) {
        return Err(Error::invalid(format!("`reduction_indices` must be a scalar or a vector, not {axes}")));
    }
    let Some(dims) = input.dims() else { return Ok(PartialShape::unknown()) };
    let Some(known) = cx.known_all(1) else {
        // How many axes there are still tells the rank.
        let count = if axes.rank() == Some(0) { Some(1) } else { axes.dim(0) };
        return match count {
            Some(0) => Ok(input.clone()),
            Some(n) if n > dims.len() => {
                Err(Error::invalid(format!("cannot reduce {n} axes of shape {input}")))
            }
            _ if keep_dims => Ok(PartialShape::with_rank(dims.len())),
            Some(n) => Ok(PartialShape::with_rank(dims.len() - n)),
            None => Ok(PartialShape::unknown()),
        };
    };
    let reduced = reduced_axes(input, dims.len(), &known)?;
    Ok(match keep_dims {
        true => kept(dims, &reduced).collect(),
        false => dims.iter().zip(&reduced).filter(|(_, reduced)| !**reduced).map(|(dim, _)| *dim).collect(),
    })
}

fn kept(dims: &[Dim], reduced: &[bool]) -> impl Iterator<Item = Dim> {
    dims.iter().zip(reduced).map(|(dim, reduced)| if *reduced { Some(1) } else { *dim })
}

/// The one element that a known integer vector, reduced over its axis, becomes.
fn fold(cx: &InferCx, f: fn(&[i64]) -> Option<i64>) -> Option<PartialValue> {
    let dtype = cx.dtype(0);
    if !dtype.is_integer() || cx.shape(0).rank() != Some(1) || cx.known_all(1)?.len() != 1 {
        return None;
    }
    Some(smallvec![cx.known_all(0).and_then(|elements| f(&elements)).filter(|v| holds(dtype, *v))])
}

/// What the gradient rule of a reduction sees: `y`, from `x` over `axes`, and `dy`.
struct Reduced {
    x: Tensor,
    axes: Tensor,
    y: Tensor,
    dy: Tensor,
    keep_dims: bool,
    /// For each axis whether it is reduced, when that is known.
    reduced: Option<Vec<bool>>,
}

impl Reduced {
    fn new(cx: &GradCx, keep_dims: bool) -> Reduced {
        let (x, axes) = (cx.x(0), cx.x(1));
        let known = cx.graph().known_value(axes.output());
        let known: Option<Vec<i64>> = known.and_then(|v| v.into_iter().collect());
        let shape = x.shape();
        let reduced = shape.rank().zip(known).and_then(|(rank, axes)| reduced_axes(&shape, rank, &axes).ok());
        Reduced { x, axes, y: cx.y(0), dy: cx.dy(0), keep_dims, reduced }
    }

    /// Tensors of the shape of `y`, in the shape that it has with all axes kept.
    fn keep_axes<const N: usize>(&self, tensors: [Tensor; N]) -> [Tensor; N] {
        if self.keep_dims {
            return tensors;
        }
        let Some(reduced) = &self.reduced else {
            let shape = kept_shape(self.x, self.axes);
            return tensors.map(|t| reshape(t, shape));
        };
        let x = self.x.shape();
        let sizes: Option<Vec<i64>> =
            kept(x.dims().unwrap_or_default(), reduced).map(|dim| dim.map(|n| n as i64)).collect();
        tensors.map(|t| match &sizes {
            Some(sizes) => reshape(t, sizes.clone()),
            None => {
                let axes = reduced.iter().enumerate().filter(|(_, reduced)| **reduced);
                axes.fold(t, |t, (axis, _)| expand_dims(t, axis as i32))
            }
        })
    }

    /// `dy` repeated along the axes that `x` was reduced over.
    fn spread(&self) -> Tensor {
        let everything = self.reduced.as_ref().is_some_and(|reduced| reduced.iter().all(|r| *r));
        let x = self.x.shape();
        let sizes: Option<Vec<i32>> =
            x.as_known().and_then(|s| s.dims().iter().map(|n| i32::try_from(*n).ok()).collect());
        if everything && !self.keep_dims {
            let dy = reshape(self.dy, vec![1i64; x.rank().unwrap_or(0)]);
            let sizes = sizes.map_or_else(|| shape(self.x), |sizes| self.x.graph().constant(sizes));
            return broadcast_to(dy, sizes);
        }
        let [dy] = self.keep_axes([self.dy]);
        match (sizes, &self.reduced) {
            (Some(sizes), Some(_)) => broadcast_to(dy, sizes),
            _ => broadcast_to(dy, shape(self.x)),
        }
    }

    /// How many elements of `x` make one of `y`, as a scalar.
    fn count(&self, dtype: DType) -> Tensor {
        let x = self.x.shape();
        let sizes = x.dims().unwrap_or_default().iter();
        let known: Option<usize> = self.reduced.as_ref().and_then(|reduced| {
            sizes.zip(reduced).filter(|(_, reduced)| **reduced).map(|(n, _)| *n).product()
        });
        match known {
            Some(count) => {
                let value = Value::scalar(count as f64).cast(dtype);
                self.x.graph().op(Const { value }).tensor()
            }
            None => cast(floordiv(size(self.x), maximum(size(self.y), 1)), dtype),
        }
    }

    /// `dy`, divided equally among the elements of `x` that equal `y`.
    fn share_among_equal(&self) -> Tensor {
        let [y, dy] = self.keep_axes([self.y, self.dy]);
        let selected = cast(equal(y, self.x), dy.dtype());
        selected / self.again(Sum { keep_dims: true }, selected) * dy
    }

    /// `dy` times the product of the other elements, which is right where elements are zero, and whose own gradient is too:
    /// the product of the elements that are not zero, times that of the zeros among the others, of which two and more are
    /// replaced by zero.
    fn product_of_others(&self) -> Tensor {
        let [dy] = self.keep_axes([self.dy]);
        let x = self.x;
        let is_zero = equal(x, 0);
        let nonzero = select(is_zero, 1, x);
        let product = self.again(Prod { keep_dims: true }, nonzero);
        let zeros = self.again(Sum { keep_dims: true }, cast(is_zero, x.dtype()));
        // Is zero, but not its derivative.
        let sum_of_zeros = self.again(Sum { keep_dims: true }, select(is_zero, x, 0));
        let (none, one, two) = (equal(zeros, 0), equal(zeros, 1), equal(zeros, 2));
        let one_like = scalar_like(x, "Const", 1.0);
        let others_of_nonzero = product / nonzero * select(none, one_like, select(one, sum_of_zeros, 0));
        let others_of_zero = product * select(one, one_like, select(two, sum_of_zeros - x, 0));
        dy * conj(select(is_zero, others_of_zero, others_of_nonzero))
    }

    /// Another reduction over the same axes.
    fn again(&self, op: impl Op, x: Tensor) -> Tensor {
        x.graph().add(op, &[x, self.axes])
    }
}

/// The shape of `x` with size 1 along `axes`, as a vector, where either is known in the run only.
fn kept_shape(x: Tensor, axes: Tensor) -> Tensor {
    let graph = x.graph();
    let (sizes, rank) = (shape(x), rank(x));
    let axes = cast(reshape(axes, [-1, 1]), DType::I32);
    let axes = modulo(axes + rank, rank);
    let reduced = reduce_any_with(equal(axes, graph.range(0, rank, 1)), 0);
    select(reduced, 1, sizes)
}

/// A row: documentation, op, functions and their name in TensorFlow.
macro_rules! arg_extremes {
    ($($(#[$doc:meta])* $op:ident $signature:literal, $function:ident $function_with:ident $tf:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// The dtype of the positions.
            pub output_type: DType,
        }
        attrs!($op { output_type });

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                cx.output(self.output_type, without_axis(cx)?)
            }
            fn grad(&self, _: &GradCx) -> Result<Grads> {
                Ok(grads![NoGrad, NoGrad])
            }
        }

        $(#[$doc])*
        ///
        #[doc = concat!("Of the shape of `x` without `axis` (negative: from the end), as `i64`. TensorFlow: `", $tf, "`.")]
        ///
        /// # Panics
        /// When the axis is out of range.
        #[track_caller]
        pub fn $function(x: impl Into<Tensor>, axis: i32) -> Tensor {
            $function_with(x, axis, DType::I64)
        }

        #[doc = concat!("[`", stringify!($function), "`] as another integer dtype.")]
        ///
        /// # Panics
        /// When the axis is out of range, or the positions cannot be of that dtype.
        #[track_caller]
        pub fn $function_with(x: impl Into<Tensor>, axis: i32, output_type: DType) -> Tensor {
            let x = x.into();
            x.graph().op($op { output_type }).input(x).constant("dimension", axis).tensor()
        }
    )*};
}

arg_extremes! {
    /// The position of the largest element along an axis, the first of several.
    ArgMax "(input: T, dimension: Tidx) -> (output: output_type) where T: Num|bool, Tidx: i16|i32|i64, output_type: i16|u16|i32|i64",
    argmax argmax_with "tf.argmax";
    /// The position of the smallest element along an axis, the first of several.
    ArgMin "(input: T, dimension: Tidx) -> (output: output_type) where T: Num|bool, Tidx: i32|i64, output_type: i32|i64",
    argmin argmin_with "tf.argmin";
}

fn without_axis(cx: &InferCx) -> Result<PartialShape> {
    let dims = cx.shape(0).dims();
    let axis = cx
        .axis_argument(1, dims.map(<[Dim]>::len))
        .map_err(|e| Error::invalid(format!("{}, of shape {}", e.message(), cx.shape(0))))?;
    Ok(match (dims, axis) {
        (None, _) => PartialShape::unknown(),
        (Some(dims), None) => PartialShape::with_rank(dims.len().saturating_sub(1)),
        (Some(dims), Some(axis)) => {
            dims.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, dim)| *dim).collect()
        }
    })
}
