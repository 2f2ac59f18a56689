//! Initialisers: what variables start from.
//!
//! ```
//! use tidemill_core::{DType, Graph};
//! use tidemill_nn::init;
//! let g = Graph::new();
//! let w = g.get_variable_with("w", [64, 10], init::glorot_normal().seed(1));
//! let b = g.get_variable_with("b", [10], init::constant(0.1));
//! let recurrent = g.get_variable_with("recurrent", [64, 64], init::orthogonal(1.0));
//! assert!(g.operation("w/Initializer/truncated_normal/TruncatedNormal").is_ok());
//! ```
//!
//! An initialiser without a [seed](RandomUniform::seed) takes the graph's; see [`Graph::seeds`].

use tidemill_core::init::fans;
use tidemill_core::ops::{self, Normal, Uniform};
use tidemill_core::{DType, Error, Graph, Initializer, Result, Shape, Tensor, Value};
use tidemill_tensor::IntoValue;

pub use tidemill_core::init::Zeros;

use crate::or_panic;

/// All zeros (false for bools). TensorFlow: `tf.zeros_initializer`.
pub fn zeros() -> Zeros {
    Zeros
}

/// All ones (true for bools). TensorFlow: `tf.ones_initializer`.
pub fn ones() -> Ones {
    Ones
}

/// A number for all elements, or an array with as many elements as the variable, converted to its dtype.
/// TensorFlow: `tf.constant_initializer`.
///
/// # Panics
/// When `value` is no array.
#[track_caller]
pub fn constant(value: impl IntoValue) -> Constant {
    Constant { value: or_panic(value.into_value().map_err(Error::from)) }
}

/// Uniform from `min` up to but without `max`. TensorFlow: `tf.random_uniform_initializer`.
pub fn random_uniform(min: f64, max: f64) -> RandomUniform {
    RandomUniform { min, max, seed: None }
}

/// Normal with this mean and standard deviation. TensorFlow: `tf.random_normal_initializer`.
pub fn random_normal(mean: f64, stddev: f64) -> RandomNormal {
    RandomNormal { mean, stddev, truncated: false, seed: None }
}

/// [`random_normal`] without values more than two standard deviations from the mean.
/// TensorFlow: `tf.truncated_normal_initializer`.
pub fn truncated_normal(mean: f64, stddev: f64) -> RandomNormal {
    RandomNormal { mean, stddev, truncated: true, seed: None }
}

/// Random of variance `scale / n`, where the mode says what `n` is. TensorFlow: `tf.variance_scaling_initializer`.
pub fn variance_scaling(scale: f64, mode: Mode, distribution: Distribution) -> VarianceScaling {
    VarianceScaling { scale, mode, distribution, seed: None }
}

/// Uniform of variance `2 / (fan_in + fan_out)` (Glorot and Bengio, 2010). TensorFlow: `tf.glorot_uniform_initializer`.
pub fn glorot_uniform() -> VarianceScaling {
    variance_scaling(1.0, Mode::FanAvg, Distribution::Uniform)
}

/// Truncated normal of variance `2 / (fan_in + fan_out)` (Glorot and Bengio, 2010).
/// TensorFlow: `tf.glorot_normal_initializer`.
pub fn glorot_normal() -> VarianceScaling {
    variance_scaling(1.0, Mode::FanAvg, Distribution::TruncatedNormal)
}

/// Uniform of variance `2 / fan_in`, for rectified units (He et al., 2015). TensorFlow: `tf.initializers.he_uniform`.
pub fn he_uniform() -> VarianceScaling {
    variance_scaling(2.0, Mode::FanIn, Distribution::Uniform)
}

/// Truncated normal of variance `2 / fan_in`, for rectified units (He et al., 2015).
/// TensorFlow: `tf.initializers.he_normal`.
pub fn he_normal() -> VarianceScaling {
    variance_scaling(2.0, Mode::FanIn, Distribution::TruncatedNormal)
}

/// Uniform of variance `1 / fan_in` (LeCun et al., 1998). TensorFlow: `tf.initializers.lecun_uniform`.
pub fn lecun_uniform() -> VarianceScaling {
    variance_scaling(1.0, Mode::FanIn, Distribution::Uniform)
}

/// Truncated normal of variance `1 / fan_in` (LeCun et al., 1998). TensorFlow: `tf.initializers.lecun_normal`.
pub fn lecun_normal() -> VarianceScaling {
    variance_scaling(1.0, Mode::FanIn, Distribution::TruncatedNormal)
}

/// `gain` times a random matrix with orthonormal columns, or rows if there are fewer of them (Saxe et al., 2014). A variable
/// with more than two axes is seen as a matrix with its last axis for columns. TensorFlow: `tf.orthogonal_initializer`.
pub fn orthogonal(gain: f64) -> Orthogonal {
    Orthogonal { gain, seed: None }
}

/// See [`ones`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Ones;

impl Initializer for Ones {
    #[track_caller]
    fn build(&self, graph: &Graph, shape: &Shape, dtype: DType) -> Tensor {
        graph.ones(dtype, shape)
    }
}

/// See [`constant`].
#[derive(Debug, Clone)]
pub struct Constant {
    value: Value,
}

impl Initializer for Constant {
    #[track_caller]
    fn build(&self, graph: &Graph, shape: &Shape, dtype: DType) -> Tensor {
        graph.constant(or_panic(self.filled(shape, dtype)))
    }
}

impl Constant {
    fn filled(&self, shape: &Shape, dtype: DType) -> Result<Value> {
        let value = self.value.cast(dtype);
        if value.num_elements() == shape.num_elements() {
            return Ok(value.reshape(shape.clone())?);
        }
        if value.num_elements() == 1 {
            return Ok(Value::from_bytes(dtype, shape.clone(), &value.bytes().repeat(shape.num_elements()))?);
        }
        Err(Error::invalid(format!(
            "the constant initializer has {} elements, but a variable of shape {shape} has {}",
            value.num_elements(),
            shape.num_elements()
        )))
    }
}

macro_rules! seeded {
    ($($initializer:ident)*) => {$(
        impl $initializer {
            /// The op-level seed; see [`Graph::seeds`].
            pub fn seed(mut self, seed: impl Into<Option<i64>>) -> Self {
                self.seed = seed.into();
                self
            }
        }
    )*};
}
seeded!(RandomUniform RandomNormal VarianceScaling Orthogonal);

/// See [`random_uniform`].
#[derive(Debug, Clone, Copy)]
pub struct RandomUniform {
    min: f64,
    max: f64,
    seed: Option<i64>,
}

impl Initializer for RandomUniform {
    #[track_caller]
    fn build(&self, graph: &Graph, shape: &Shape, dtype: DType) -> Tensor {
        graph.random_uniform_with(dtype, shape, Uniform::new(self.min, self.max).seed(self.seed))
    }
}

/// See [`random_normal`] and [`truncated_normal`].
#[derive(Debug, Clone, Copy)]
pub struct RandomNormal {
    mean: f64,
    stddev: f64,
    truncated: bool,
    seed: Option<i64>,
}

impl Initializer for RandomNormal {
    #[track_caller]
    fn build(&self, graph: &Graph, shape: &Shape, dtype: DType) -> Tensor {
        let normal = Normal::new(self.mean, self.stddev).seed(self.seed);
        if self.truncated {
            graph.truncated_normal_with(dtype, shape, normal)
        } else {
            graph.random_normal_with(dtype, shape, normal)
        }
    }
}

/// What the variance of [`variance_scaling`] is divided by. See [`fans`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The number of inputs of a unit.
    FanIn,
    /// The number of units that an input feeds.
    FanOut,
    /// The mean of both.
    FanAvg,
}

/// The distribution of [`variance_scaling`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Normal, cut off at two standard deviations and widened so that the variance is right all the same.
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform around 0.
    Uniform,
}

/// See [`variance_scaling`].
#[derive(Debug, Clone, Copy)]
pub struct VarianceScaling {
    scale: f64,
    mode: Mode,
    distribution: Distribution,
    seed: Option<i64>,
}

impl Initializer for VarianceScaling {
    #[track_caller]
    fn build(&self, graph: &Graph, shape: &Shape, dtype: DType) -> Tensor {
        /// The standard deviation of the standard normal distribution cut off at ±2.
        const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;
        let (fan_in, fan_out) = fans(shape);
        let n = match self.mode {
            Mode::FanIn => fan_in,
            Mode::FanOut => fan_out,
            Mode::FanAvg => (fan_in + fan_out) / 2.0,
        };
        let variance = self.scale / n.max(1.0);
        let stddev = variance.sqrt();
        match self.distribution {
            Distribution::TruncatedNormal => {
                truncated_normal(0.0, stddev / TRUNCATED_STDDEV).seed(self.seed).build(graph, shape, dtype)
            }
            Distribution::UntruncatedNormal => {
                random_normal(0.0, stddev).seed(self.seed).build(graph, shape, dtype)
            }
            Distribution::Uniform => {
                let limit = (3.0 * variance).sqrt();
                random_uniform(-limit, limit).seed(self.seed).build(graph, shape, dtype)
            }
        }
    }
}

/// See [`orthogonal`].
#[derive(Debug, Clone, Copy)]
pub struct Orthogonal {
    gain: f64,
    seed: Option<i64>,
}

impl Initializer for Orthogonal {
    #[track_caller]
    fn build(&self, graph: &Graph, shape: &Shape, dtype: DType) -> Tensor {
        let [outer @ .., columns] = shape.dims() else {
            panic!("{}", Error::invalid("the orthogonal initializer makes matrices, not scalars"))
        };
        if outer.is_empty() {
            panic!(
                "{}",
                Error::invalid(format!("the orthogonal initializer makes matrices, not shape {shape}"))
            )
        }
        let rows: usize = outer.iter().product();
        let normal = random_normal(0.0, 1.0).seed(self.seed);
        let tall = normal.build(graph, &Shape::from([rows.max(*columns), rows.min(*columns)]), dtype);
        let (q, r) = ops::qr(tall);
        // With the diagonal of r made positive, the factors are unique, and q is uniformly distributed.
        let q = q * ops::sign(ops::diag_part(r));
        let q = if rows < *columns { ops::matrix_transpose(q) } else { q };
        self.gain * ops::reshape(q, shape)
    }
}
