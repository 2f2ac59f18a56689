//! Moments, and normalisation by them.

use tidemill_core::ops::{self, Mean};
use tidemill_core::{Axes, Operand, Origin, Tensor};

/// The mean and the variance `mean((x - mean)²)` over some axes, which the results lack, or have with size 1 if `keep_dims`. TensorFlow: `tf.nn.moments`.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::normalization::moments;
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(4)]);
/// assert_eq!(moments(x, 0, false).0.ty().to_string(), "f32[4]");
/// assert_eq!(moments(x, 1, true).1.ty().to_string(), "f32[?,1]");
/// ```
///
/// # Panics
/// When `x` is no number, or an axis is out of range or named twice.
#[track_caller]
pub fn moments(x: impl Into<Tensor>, axes: impl Into<Axes>, keep_dims: bool) -> (Tensor, Tensor) {
    let (x, Axes(axes)) = (x.into(), axes.into());
    let graph = x.graph();
    let mean_of = |x, name| {
        let mean = graph.op(Mean { keep_dims: true }).name(name).input(x);
        mean.constant("reduction_indices", axes.clone()).tensor()
    };
    graph.with_origin(Origin::here(), || {
        graph.name_scope("moments").enter(|| {
            let mean = mean_of(x, "mean");
            // The variance does not change with the mean, to first order: nothing flows back there.
            let variance = mean_of(ops::squared_difference(x, ops::stop_gradient(mean)), "variance");
            match keep_dims {
                true => (mean, variance),
                false => (ops::squeeze_axes(mean, axes.clone()), ops::squeeze_axes(variance, axes.clone())),
            }
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
/// let (mean, variance) = moments(x, 0, false);
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
