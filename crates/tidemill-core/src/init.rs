//! What a variable starts from: the contract, and the two initializers that `get_variable` falls back on.

use std::fmt::Debug;

use tidemill_tensor::{DType, Shape};

use crate::graph::Graph;
use crate::handle::Tensor;
use crate::ops;

/// Builds the initial value of a variable.
pub trait Initializer: Debug + Send + Sync + 'static {
    /// A tensor of this shape and dtype. Called in the name scope `<variable>/Initializer`, without control dependencies.
    #[track_caller]
    fn build(&self, graph: &Graph, shape: &Shape, dtype: DType) -> Tensor;
}

/// All zeros (false for bools).
#[derive(Debug, Clone, Copy, Default)]
pub struct Zeros;

impl Initializer for Zeros {
    fn build(&self, graph: &Graph, shape: &Shape, dtype: DType) -> Tensor {
        graph.zeros(dtype, shape.clone())
    }
}

/// Uniform in `±sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010): the default of `get_variable`.
///
/// `fan_in` and `fan_out` are the last two dimensions, each times the product of the ones before (the receptive field of a
/// convolution); a vector has both equal to its length, a scalar 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct GlorotUniform {
    /// The op-level seed.
    pub seed: Option<i64>,
}

impl Initializer for GlorotUniform {
    fn build(&self, graph: &Graph, shape: &Shape, dtype: DType) -> Tensor {
        let (fan_in, fan_out) = fans(shape);
        let limit = (3.0 / ((fan_in + fan_out) / 2.0).max(1.0)).sqrt();
        ops::random_uniform_between(graph, shape, dtype, -limit, limit, self.seed)
    }
}

/// Fan-in and fan-out of a weight of this shape.
pub fn fans(shape: &Shape) -> (f64, f64) {
    match shape.dims() {
        [] => (1.0, 1.0),
        [n] => (*n as f64, *n as f64),
        [field @ .., fan_in, fan_out] => {
            let field: f64 = field.iter().map(|d| *d as f64).product();
            (*fan_in as f64 * field, *fan_out as f64 * field)
        }
    }
}
