//! Dropout.

use tidemill_core::ops::{self, Uniform};
use tidemill_core::{Error, Operand, Resolved, Result, ShapeArg, Tensor, Value};

use crate::or_panic;

/// `x / (1 - rate)` with each element set to zero with probability `rate`, anew in each run, so that the expectation stays (Srivastava et al., 2014).
/// The rate is a number in `[0, 1)`, where 0 gives `x` itself, or a scalar tensor of the dtype of `x`, for instance a placeholder with which training and
/// evaluation differ. TensorFlow: `tf.nn.dropout(x, rate=rate)`; of a `keep_prob` the rate is `1 - keep_prob`.
///
/// [`dropout_with`] takes a seed, and shapes of noise that drop rows or columns as a whole.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::dropout::dropout;
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(4)]);
/// let rate = g.placeholder_with_default(0f32, ());
/// assert_eq!(dropout(x, rate).ty().to_string(), "f32[?,4]");
/// ```
///
/// # Panics
/// When `x` is no float, or the rate is out of range, no scalar, or a tensor of another dtype.
#[track_caller]
pub fn dropout(x: impl Into<Tensor>, rate: impl Operand) -> Tensor {
    dropout_with(x, Dropout::new(rate))
}

/// [`dropout`] with a seed or a shape of its noise.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::dropout::{Dropout, dropout_with};
/// let g = Graph::new();
/// let images = g.placeholder(DType::F32, [8, 28, 28, 3]);
/// // Whole channels are dropped.
/// let dropped = dropout_with(images, Dropout::new(0.2).noise_shape([8, 1, 1, 3]).seed(1));
/// assert_eq!(dropped.shape(), images.shape());
/// ```
///
/// # Panics
/// As [`dropout`], and when the noise does not broadcast to the shape of `x`.
#[track_caller]
pub fn dropout_with(x: impl Into<Tensor>, of: Dropout) -> Tensor {
    let x = x.into();
    let graph = x.graph();
    let origin = graph.origin();
    let dropped = graph.with_origin(origin.clone(), || graph.name_scope("dropout").enter(|| of.apply(x)));
    or_panic(dropped.map_err(|e| e.with_origin(origin)))
}

/// What [`dropout_with`] does.
#[derive(Debug, Clone)]
pub struct Dropout {
    rate: Resolved,
    seed: Option<i64>,
    noise_shape: Option<ShapeArg>,
}

impl Dropout {
    /// With this rate, by element.
    ///
    /// # Panics
    /// When the rate is neither a number nor a tensor.
    #[track_caller]
    pub fn new(rate: impl Operand) -> Dropout {
        Dropout { rate: or_panic(rate.natural()), seed: None, noise_shape: None }
    }

    /// The op-level seed; see [`Graph::seeds`](tidemill_core::Graph::seeds).
    pub fn seed(mut self, seed: impl Into<Option<i64>>) -> Self {
        self.seed = seed.into();
        self
    }

    /// The shape of the noise, which broadcasts to that of `x`: elements along an axis of size 1 are dropped together.
    pub fn noise_shape(mut self, shape: impl Into<ShapeArg>) -> Self {
        self.noise_shape = Some(shape.into());
        self
    }

    fn apply(self, x: Tensor) -> Result<Tensor> {
        let (graph, dtype) = (x.graph(), x.dtype());
        if !dtype.is_float() {
            return Err(Error::invalid(format!("dropout takes floats, but x is {}", x.ty())));
        }
        let number = |n: f64| graph.constant(Value::scalar(n).cast(dtype));
        let noise = || {
            let shape = self.noise_shape.unwrap_or_else(|| ops::shape(x).into());
            graph.random_uniform_with(dtype, shape, Uniform::new(0, 1).seed(self.seed))
        };
        let (scaled, kept) = match self.rate {
            Resolved::Tensor(rate) if rate.shape().rank().is_none_or(|rank| rank == 0) => {
                (x / (1.0 - rate), noise().ge(rate))
            }
            Resolved::Tensor(rate) => {
                return Err(Error::invalid(format!("the rate must be a scalar, but is {}", rate.ty())));
            }
            Resolved::Value(value) => match number_in(&value) {
                Some(0.0) => return Ok(x),
                Some(rate) if (0.0..1.0).contains(&rate) => {
                    (ops::multiply(x, number(1.0 / (1.0 - rate))), noise().ge(rate))
                }
                _ => {
                    return Err(Error::invalid(format!(
                        "the rate must be a number in [0, 1), but is {value}"
                    )));
                }
            },
        };
        let dropped = ops::select(kept, scaled, number(0.0));
        if !dropped.shape().is_compatible_with(&x.shape()) {
            let (noise, x) = (kept.shape(), x.shape());
            return Err(Error::invalid(format!("the noise must broadcast to {x}, but its shape is {noise}")));
        }
        Ok(dropped)
    }
}

/// The number that a scalar is.
pub(crate) fn number_in(value: &Value) -> Option<f64> {
    if value.shape().rank() == 0 { value.get_f64(0) } else { None }
}
