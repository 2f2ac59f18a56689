//! The plain recurrent cell.

use tidemill_core::{Tensor, ops};

use super::RnnCell;
use super::layer::{Activation, Layer, cell_options};
use crate::init;

/// The plain recurrent cell: `output = state' = tanh([inputs, state] · kernel + bias)`.
/// TensorFlow: `tf.nn.rnn_cell.BasicRNNCell`.
///
/// Its variables are `basic_rnn_cell/kernel` of shape `[depth + units, units]` and `basic_rnn_cell/bias` of shape `[units]`, the
/// first initialised as the variable scope says (Glorot uniform by default), the second to zeros.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{BasicRNNCell, RnnCell};
/// let g = Graph::new();
/// let cell = BasicRNNCell::new(4);
/// let x = g.placeholder(DType::F32, [None, Some(2)]);
/// let state = g.placeholder(DType::F32, [None, Some(4)]);
/// let (output, next) = cell.call(x, state);
/// assert_eq!(output, next);
/// assert_eq!(output.name(), "basic_rnn_cell/Tanh:0");
/// ```
#[derive(Debug, Clone)]
pub struct BasicRNNCell {
    units: usize,
    activation: Activation,
    layer: Layer,
}
cell_options!(BasicRNNCell);

impl BasicRNNCell {
    /// With this many units: the size of state and output.
    pub fn new(units: usize) -> BasicRNNCell {
        BasicRNNCell { units, activation: Activation::default(), layer: Layer::new("basic_rnn_cell") }
    }
}

impl RnnCell for BasicRNNCell {
    type State = Tensor;

    fn state_size(&self) -> usize {
        self.units
    }

    fn output_size(&self) -> usize {
        self.units
    }

    #[track_caller]
    fn call(&self, inputs: Tensor, state: Tensor) -> (Tensor, Tensor) {
        let n = self.units;
        self.layer.call(inputs, |vs, depth| {
            let kernel = vs.get_variable("kernel", [depth + n, n]);
            let bias = vs.get_variable_with("bias", [n], init::zeros());
            let product = ops::matmul(ops::concat([inputs, state], 1), kernel);
            let output = self.activation.apply(ops::bias_add(product, bias));
            (output, output)
        })
    }
}
