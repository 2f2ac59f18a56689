//! Functions that are composed: norms, traces, products over axes; and the cross product.

use super::super::{abs, complex_abs, einsum, pow, reduce_max_with, reduce_sum_with, sqrt, square};
use super::matrix_diag_part;
use crate::attrs;
use crate::autodiff::{GradCx, Grads};
use crate::error::{Error, Result, or_panic};
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType, normalise_axis};
use crate::op::Op;
use crate::operand::Axes;
use crate::ops::Reduce;
use crate::schema::Schema;

/// The cross product of vectors of three elements along the last axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Cross;
attrs!(Cross {});

impl Op for Cross {
    const SCHEMA: Schema = Schema::new("Cross", "(a: T, b: T) -> (product: T) where T: Num");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = cx.merged()?;
        match shape.rank() {
            None => cx.output(cx.dtype(0), shape),
            Some(rank) if rank > 0 && shape.dim(rank - 1).is_none_or(|n| n == 3) => {
                cx.output(cx.dtype(0), shape)
            }
            Some(_) => Err(Error::invalid(format!("vectors must have 3 elements, but the shape is {shape}"))),
        }
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (a, b, dz) = (cx.x(0), cx.x(1), cx.dy(0));
        Ok(grads![cx.wanted(0, || cross(b, dz)), cx.wanted(1, || cross(dz, a))])
    }
}

/// The cross product of vectors of three elements along the last axis; `a` and `b` have one shape. TensorFlow: `tf.cross`.
///
/// # Panics
/// When shapes or dtypes differ, or the last axis is not of size 3.
#[track_caller]
pub fn cross(a: impl Into<Tensor>, b: impl Into<Tensor>) -> Tensor {
    let a = a.into();
    a.graph().op(Cross).input(a).input(b).tensor()
}

/// The sum of the main diagonal of each matrix `[..., m, n]`: of shape `[...]`. TensorFlow: `tf.trace`.
///
/// # Panics
/// When `x` has less than two axes.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [5, 3, 3]);
/// assert_eq!(ops::trace(x).ty().to_string(), "f32[5]");
/// ```
#[track_caller]
pub fn trace(x: impl Into<Tensor>) -> Tensor {
    reduce_sum_with(matrix_diag_part(x), -1)
}

/// Which norm [`norm`] takes of the elements along its axes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Norm {
    /// `√Σ|x|²`: of a vector its length, of a matrix Frobenius' norm.
    Euclidean,
    /// `(Σ|x|ᵖ)^(1/p)` for `p > 0`.
    P(f64),
    /// The largest `|x|`.
    Max,
}

/// The norm of the elements of `x` over some axes (see [`Reduce`]), as a real number. TensorFlow: `tf.norm`, of vectors.
///
/// # Panics
/// When an axis is out of range or named twice, or `x` is of integers.
///
/// ```
/// use tidemill_core::{DType, Graph, ops::{self, Norm}};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [5, 3]);
/// assert_eq!(ops::norm(x, Norm::Euclidean, 1).ty().to_string(), "f32[5]");
/// ```
#[track_caller]
pub fn norm(x: impl Into<Tensor>, which: Norm, over: impl Into<Reduce>) -> Tensor {
    let (x, over) = (x.into(), over.into());
    let modulus = || if x.dtype().is_complex() { complex_abs(x) } else { abs(x) };
    match which {
        Norm::Euclidean if x.dtype().is_complex() => sqrt(reduce_sum_with(square(complex_abs(x)), over)),
        Norm::Euclidean => sqrt(reduce_sum_with(square(x), over)),
        Norm::Max => reduce_max_with(modulus(), over),
        Norm::P(1.0) => reduce_sum_with(modulus(), over),
        Norm::P(p) => pow(reduce_sum_with(pow(modulus(), p), over), 1.0 / p),
    }
}

/// The sum of the products of `a` and `b` over pairs of axes; the result has the other axes of `a`, then those of `b`.
/// TensorFlow: `tf.tensordot`.
///
/// # Panics
/// When the numbers of axes differ, an axis is out of range or named twice, sizes along a pair differ, or a rank is unknown.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let a = g.placeholder(DType::F32, [2, 3, 4]);
/// let b = g.placeholder(DType::F32, [4, 3, 5]);
/// assert_eq!(ops::tensordot(a, b, [1, 2], [1, 0]).ty().to_string(), "f32[2,5]");
/// ```
#[track_caller]
pub fn tensordot(
    a: impl Into<Tensor>,
    b: impl Into<Tensor>,
    axes_a: impl Into<Axes>,
    axes_b: impl Into<Axes>,
) -> Tensor {
    let (a, b) = (a.into(), b.into());
    let equation = or_panic(pairs_equation(a, b, &axes_a.into().0, &axes_b.into().0));
    einsum(&equation, &[a, b])
}

/// The equation of a sum of products over pairs of axes.
fn pairs_equation(a: Tensor, b: Tensor, axes_a: &[i32], axes_b: &[i32]) -> Result<String> {
    let (Some(rank_a), Some(rank_b)) = (a.shape().rank(), b.shape().rank()) else {
        return Err(Error::invalid(format!("tensordot needs known ranks: {a:?}, {b:?}")));
    };
    if axes_a.len() != axes_b.len() || rank_a + rank_b > 52 {
        return Err(Error::invalid(format!("axes {axes_a:?} and {axes_b:?} do not pair up")));
    }
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').collect();
    let labels_a = letters[..rank_a].to_vec();
    let mut labels_b = letters[rank_a..rank_a + rank_b].to_vec();
    let mut paired = vec![];
    for (&i, &j) in axes_a.iter().zip(axes_b) {
        let (i, j) = (normalise_axis(i.into(), rank_a)?, normalise_axis(j.into(), rank_b)?);
        if paired.contains(&labels_a[i]) || labels_a.contains(&labels_b[j]) {
            return Err(Error::invalid(format!("an axis of {axes_a:?} or {axes_b:?} is named twice")));
        }
        labels_b[j] = labels_a[i];
        paired.push(labels_a[i]);
    }
    let left: String = labels_a.iter().chain(&labels_b).filter(|label| !paired.contains(label)).collect();
    let text = |labels: &[char]| labels.iter().collect::<String>();
    Ok(format!("{},{}->{left}", text(&labels_a), text(&labels_b)))
}

#[cfg(test)]
mod tests {
    use tidemill_tensor::DType;

    use super::*;
    use crate::Graph;

    #[test]
    fn pairs_of_axes() {
        let g = Graph::new();
        let (a, b) = (g.placeholder(DType::F32, [2, 3, 4]), g.placeholder(DType::F32, [4, 3, 5]));
        assert_eq!(pairs_equation(a, b, &[1, 2], &[1, 0]).unwrap(), "abc,cbf->af");
        assert_eq!(pairs_equation(a, b, &[-1], &[0]).unwrap(), "abc,cef->abef");
        assert_eq!(pairs_equation(a, b, &[], &[]).unwrap(), "abc,def->abcdef");
        assert!(pairs_equation(a, b, &[1, 1], &[0, 1]).is_err());
        assert!(pairs_equation(a, b, &[1], &[0, 1]).is_err());
        assert!(pairs_equation(a, b, &[3], &[0]).is_err());
    }
}
