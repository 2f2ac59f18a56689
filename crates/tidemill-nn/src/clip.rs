//! Clipping of tensors and gradients.
//!
//! Norms are Euclidean. All functions take dense and sparse gradients; of a sparse one the values count, without adding up rows that
//! are named twice, as in TensorFlow.
//!
//! ```
//! use tidemill_core::Graph;
//! use tidemill_nn::{clip, train::{GradientDescentOptimizer, Optimizer}};
//! let g = Graph::new();
//! let w = g.get_variable("w", [3]);
//! let loss = tidemill_core::ops::reduce_sum(w * w);
//! let optimizer = GradientDescentOptimizer::new(0.1);
//! let (gradients, variables): (Vec<_>, Vec<_>) = optimizer.compute_gradients(loss).into_iter().unzip();
//! let (clipped, norm) = clip::clip_by_global_norm(gradients, 5.0);
//! let pairs: Vec<_> = clipped.into_iter().zip(variables).collect();
//! let train_step = optimizer.apply_gradients(&pairs);
//! ```

use tidemill_core::ops::{self, Reduce};
use tidemill_core::{Error, Gradient, IndexedSlices, Operand, Origin, Result, Tensor};

use crate::{exact_scope, or_panic};

/// A tensor, or a gradient that may be sparse.
pub trait Clip: Copy {
    /// The numbers it consists of.
    fn values(self) -> Tensor;
    /// The same with other numbers, of the same shape.
    fn with_values(self, values: Tensor) -> Self;
}

impl Clip for Tensor {
    fn values(self) -> Tensor {
        self
    }
    fn with_values(self, values: Tensor) -> Self {
        values
    }
}

impl Clip for IndexedSlices {
    fn values(self) -> Tensor {
        self.values
    }
    fn with_values(self, values: Tensor) -> Self {
        IndexedSlices { values, ..self }
    }
}

impl Clip for Gradient {
    fn values(self) -> Tensor {
        Gradient::values(self)
    }
    fn with_values(self, values: Tensor) -> Self {
        self.map(|_| values)
    }
}

/// `min(max(x, min), max)`, element by element; the bounds broadcast. TensorFlow: `tf.clip_by_value`.
///
/// # Panics
/// When a bound is of another dtype, or does not broadcast to the shape of `x`.
#[track_caller]
pub fn clip_by_value<T: Clip>(x: T, min: impl Operand, max: impl Operand) -> T {
    let values = x.values();
    let graph = values.graph();
    let build = || {
        let exact = exact_scope(&graph);
        let below = ops::minimum(values, max);
        let bound = min.resolve(values.dtype())?;
        let clipped = graph.op(ops::Maximum).name(exact).input(below);
        let clipped = match bound {
            tidemill_core::Resolved::Tensor(t) => clipped.input(t),
            tidemill_core::Resolved::Value(v) => clipped.constant("y", v),
        };
        let clipped = clipped.try_build()?.output(0);
        same_shape("bounds", values, clipped)
    };
    let clipped = graph.with_origin(Origin::here(), || graph.name_scope("clip_by_value").enter(build));
    x.with_values(or_panic(clipped))
}

/// `x` scaled down, if necessary, so that its norm is at most `clip_norm`. TensorFlow: `tf.clip_by_norm`.
///
/// # Panics
/// When `clip_norm` is of another dtype or no scalar.
#[track_caller]
pub fn clip_by_norm<T: Clip>(x: T, clip_norm: impl Operand + Copy) -> T {
    let values = x.values();
    let graph = values.graph();
    let build = || {
        let exact = exact_scope(&graph);
        let sum = ops::reduce_sum_with(values * values, Reduce::all().keep_dims());
        let positive = sum.gt(0.0);
        let choose = |yes: Tensor, no: Tensor| graph.add(ops::Select, &[positive, yes, no]);
        // The root is never taken of 0, where its gradient is infinite.
        let safe = choose(sum, ops::ones_like(sum));
        let norm = choose(ops::sqrt(safe), sum);
        let scaled = same_shape("clip_norm", values, values * clip_norm)?;
        let clipped = scaled / ops::maximum(norm, clip_norm);
        Ok(graph.op(ops::Identity {}).name(exact).input(clipped).try_build()?.output(0))
    };
    let clipped = graph.with_origin(Origin::here(), || graph.name_scope("clip_by_norm").enter(build));
    x.with_values(or_panic(clipped))
}

/// The norm of all `gradients` together: `√Σ ‖x‖²`. TensorFlow: `tf.global_norm`.
///
/// # Panics
/// When there are none, or they are all `None`.
#[track_caller]
pub fn global_norm<T: Clip>(gradients: impl IntoIterator<Item = Option<T>>) -> Tensor {
    let values: Vec<Tensor> = gradients.into_iter().flatten().map(T::values).collect();
    let Some(first) = values.first() else {
        panic!("{}", Error::invalid("global_norm needs at least one gradient"))
    };
    let graph = first.graph();
    graph.with_origin(Origin::here(), || {
        graph.name_scope("global_norm").enter(|| {
            let half_squares: Vec<Tensor> = values.iter().map(|v| ops::l2_loss(*v)).collect();
            let half = ops::reduce_sum(ops::stack(half_squares, 0));
            let two = graph.constant(tidemill_core::Value::scalar(2.0).cast(half.dtype()));
            ops::sqrt(half * two).named("global_norm")
        })
    })
}

/// `gradients` scaled down, if necessary, by one factor so that their [`global_norm`] is at most `clip_norm`; and that norm before
/// clipping. Where the norm is infinite or NaN, so are all results. TensorFlow: `tf.clip_by_global_norm` (Pascanu et al., 2012).
///
/// # Panics
/// As [`global_norm`].
#[track_caller]
pub fn clip_by_global_norm<T: Clip>(
    gradients: impl IntoIterator<Item = Option<T>>,
    clip_norm: f64,
) -> (Vec<Option<T>>, Tensor) {
    let gradients: Vec<Option<T>> = gradients.into_iter().collect();
    let norm = global_norm(gradients.iter().copied());
    let graph = norm.graph();
    let dtype = norm.dtype();
    let clipped = graph.with_origin(Origin::here(), || {
        graph.name_scope("clip_by_global_norm").enter(|| {
            let inverse = 1.0 / norm;
            let one = graph.constant(tidemill_core::Value::scalar(1.0).cast(dtype));
            let scale = clip_norm * ops::minimum(inverse, one / clip_norm);
            // norm - norm is 0, or NaN if the norm is not finite: then nothing is to look sound.
            #[allow(clippy::eq_op)] // 0, or NaN where the norm is not finite
            let scale = scale + (norm - norm);
            let clip = |(i, gradient): (usize, &Option<T>)| {
                gradient.map(|gradient| {
                    let scaled = gradient.values() * scale;
                    let name = format!("clip_by_global_norm/_{i}");
                    gradient.with_values(graph.op(ops::Identity {}).name(name).input(scaled).tensor())
                })
            };
            gradients.iter().enumerate().map(clip).collect()
        })
    });
    (clipped, norm)
}

/// `result`, which must not have been broadcast beyond the shape of `x`.
fn same_shape(what: &str, x: Tensor, result: Tensor) -> Result<Tensor> {
    if result.shape().is_compatible_with(&x.shape()) {
        Ok(result)
    } else {
        Err(Error::invalid(format!(
            "{what} must broadcast to shape {}, but the result has {}",
            x.shape(),
            result.shape()
        )))
    }
}
