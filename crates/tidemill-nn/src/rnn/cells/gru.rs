//! The gated recurrent unit.

use tidemill_core::{Initializer, Tensor, VariableOptions, ops};

use super::RnnCell;
use super::layer::{Activation, Layer, cell_options};
use crate::init;

/// Gated recurrent unit. With `[r, u] = sigmoid([inputs, h] · gates/kernel + gates/bias)`,
///
/// ```text
/// c  = tanh([inputs, r · h] · candidate/kernel + candidate/bias)
/// h' = u · h + (1 - u) · c
/// ```
///
/// and the output is `h'`. TensorFlow: `tf.nn.rnn_cell.GRUCell` (Cho et al., 2014).
///
/// Its variables are `gru_cell/gates/kernel` of shape `[depth + units, 2 · units]` and `gru_cell/candidate/kernel` of shape `[depth + units, units]`,
/// initialised as the variable scope says (Glorot uniform by default), `gru_cell/gates/bias` of shape `[2 · units]`, initialised to ones, and
/// `gru_cell/candidate/bias` of shape `[units]`, initialised to zeros.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{GRUCell, RnnCell};
/// let g = Graph::new();
/// let cell = GRUCell::new(4);
/// let x = g.placeholder(DType::F32, [None, Some(2)]);
/// let (output, _) = cell.call(x, cell.zero_state(&g, 3, DType::F32));
/// assert_eq!(output.name(), "gru_cell/add:0");
/// assert_eq!(g.trainable_variables()[0].name(), "gru_cell/gates/kernel:0");
/// ```
#[derive(Debug, Clone)]
pub struct GRUCell {
    units: usize,
    kernel: VariableOptions,
    bias: Option<VariableOptions>,
    activation: Activation,
    layer: Layer,
}
cell_options!(GRUCell);

impl GRUCell {
    /// With this many units: the size of state and output.
    pub fn new(units: usize) -> GRUCell {
        GRUCell {
            units,
            kernel: VariableOptions::new(),
            bias: None,
            activation: Activation::default(),
            layer: Layer::new("gru_cell"),
        }
    }

    /// What both kernels start from.
    pub fn kernel_initializer(mut self, initializer: impl Initializer) -> Self {
        self.kernel = initializer.into();
        self
    }

    /// What both biases start from, instead of ones and zeros.
    pub fn bias_initializer(mut self, initializer: impl Initializer) -> Self {
        self.bias = Some(initializer.into());
        self
    }
}

impl RnnCell for GRUCell {
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
            let kernel = |name, size| vs.get_variable_with(name, [depth + n, size], self.kernel.clone());
            let bias = |name, size, default: VariableOptions| {
                vs.get_variable_with(name, [size], self.bias.clone().unwrap_or(default))
            };
            let gate_kernel = kernel("gates/kernel", 2 * n);
            let gate_bias = bias("gates/bias", 2 * n, init::constant(1.0).into());
            let candidate_kernel = kernel("candidate/kernel", n);
            let candidate_bias = bias("candidate/bias", n, init::zeros().into());

            let product = ops::matmul(ops::concat([inputs, state], 1), gate_kernel);
            let gates = ops::split(ops::sigmoid(ops::bias_add(product, gate_bias)), 2, 1);
            let (r, u) = (gates[0], gates[1]);
            let product = ops::matmul(ops::concat([inputs, r * state], 1), candidate_kernel);
            let c = self.activation.apply(ops::bias_add(product, candidate_bias));
            let h = u * state + (1.0 - u) * c;
            (h, h)
        })
    }
}
