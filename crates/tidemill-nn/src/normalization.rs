//! Moments, and normalisation by them.

use tidemill_core::ops::{self, Reduce};
use tidemill_core::{Operand, Origin, Tensor};

/// The mean and the variance `mean((x - mean)²)` over some axes (see [`Reduce`]). TensorFlow: `tf.nn.moments`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops::Reduce};
/// use tidemill_nn::normalization::moments;
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(4)]);
/// let (mean, variance) = moments(x, Reduce::over(-1).keep_dims());
/// assert_eq!(mean.ty().to_string(), "f32[?,1]");
/// assert_eq!(variance.ty().to_string(), "f32[?,1]");
/// ```
///
/// # Panics
/// When an axis is out of range or named twice.
#[track_caller]
pub fn moments(x: impl Into<Tensor>, over: impl Into<Reduce>) -> (Tensor, Tensor) {
    let (x, over) = (x.into(), over.into());
    let graph = x.graph();
    graph.with_origin(Origin::here(), || {
        graph.name_scope("moments").enter(|| {
            let mean = ops::reduce_mean_with(x, over.clone().keep_dims());
            // The variance does not change with the mean, to first order: nothing flows back there.
            let deviation = ops::squared_difference(x, ops::stop_gradient(mean));
            (ops::reduce_mean_with(x, over.clone()), ops::reduce_mean_with(deviation, over))
        })
    })
}

/// `(x - mean) · scale / √(variance + epsilon) + offset`; everything broadcasts with `x`. TensorFlow: `tf.nn.batch_normalization`.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::normalization::{batch_normalization, moments};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(4)]);
/// let (mean, variance) = moments(x, 0);
/// let (offset, scale) = (g.get_variable("offset", [4]), g.get_variable("scale", [4]));
/// let normal = batch_normalization(x, mean, variance, offset, scale, 1e-3);
/// assert_eq!(normal.ty().to_string(), "f32[?,4]");
/// ```
///
/// # Panics
/// When dtypes differ or shapes do not broadcast.
#[track_caller]
pub fn batch_normalization(
    x: impl Into<Tensor>,
    mean: impl Into<Tensor>,
    variance: impl Into<Tensor>,
    offset: impl Operand,
    scale: impl Operand,
    epsilon: f64,
) -> Tensor {
    let x = x.into();
    let graph = x.graph();
    graph.with_origin(Origin::here(), || {
        graph.name_scope("batchnorm").enter(|| {
            let factor = ops::rsqrt(variance.into() + epsilon) * scale;
            x * factor + ops::sub(offset, mean.into() * factor)
        })
    })
}
