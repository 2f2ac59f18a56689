//! The plain long short-term memory.

use tidemill_core::{Tensor, Value, ops};

use super::RnnCell;
use super::layer::{Activation, Layer, cell_options};
use crate::init;
use crate::rnn::LSTMStateTuple;

/// Long short-term memory without peepholes, clipping or projection. With
/// `[i, j, f, o] = [inputs, h] · kernel + bias`,
///
/// ```text
/// c' = c · sigmoid(f + forget_bias) + sigmoid(i) · tanh(j)
/// h' = tanh(c') · sigmoid(o)
/// ```
///
/// and the output is `h'`. TensorFlow: `tf.nn.rnn_cell.BasicLSTMCell`.
///
/// Its variables are `basic_lstm_cell/kernel` of shape `[depth + units, 4 · units]`, initialised as the variable scope says (Glorot uniform by default),
/// and `basic_lstm_cell/bias` of shape `[4 · units]`, initialised to zeros; both have the gates in the order input, new input, forget, output.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{BasicLSTMCell, dynamic_rnn, RnnCell};
/// let g = Graph::new();
/// let cell = BasicLSTMCell::new(4);
/// let x = g.placeholder(DType::F32, [8, 20, 2]);
/// let (outputs, state) = dynamic_rnn(&cell, x, cell.zero_state(&g, 8, DType::F32));
/// assert_eq!(outputs.ty().to_string(), "f32[8,20,4]");
/// assert_eq!(state.c.ty().to_string(), "f32[8,4]");
/// assert_eq!(g.trainable_variables()[0].name(), "rnn/basic_lstm_cell/kernel:0");
/// ```
#[derive(Debug, Clone)]
pub struct BasicLSTMCell {
    units: usize,
    forget_bias: f64,
    activation: Activation,
    layer: Layer,
}
cell_options!(BasicLSTMCell);

impl BasicLSTMCell {
    /// With this many units: the size of the output and of both parts of the state.
    pub fn new(units: usize) -> BasicLSTMCell {
        BasicLSTMCell {
            units,
            forget_bias: 1.0,
            activation: Activation::default(),
            layer: Layer::new("basic_lstm_cell"),
        }
    }

    /// What is added to the forget gate before the sigmoid; 1 unless told, so that little is forgotten in the beginning of training.
    pub fn forget_bias(mut self, forget_bias: f64) -> Self {
        self.forget_bias = forget_bias;
        self
    }
}

impl RnnCell for BasicLSTMCell {
    type State = LSTMStateTuple;

    fn state_size(&self) -> LSTMStateTuple<usize> {
        LSTMStateTuple { c: self.units, h: self.units }
    }

    fn output_size(&self) -> usize {
        self.units
    }

    #[track_caller]
    fn call(&self, inputs: Tensor, state: LSTMStateTuple) -> (Tensor, LSTMStateTuple) {
        let n = self.units;
        self.layer.call(inputs, |vs, depth| {
            let kernel = vs.get_variable("kernel", [depth + n, 4 * n]);
            let bias = vs.get_variable_with("bias", [4 * n], init::zeros());
            // Nodes are named as TensorFlow's functions `tf.add` and `tf.multiply` name them.
            let g = inputs.graph();
            let add = |x, y| g.op(ops::AddV2).name("Add").input(x).input(y).tensor();
            let axis = g.constant(1i32);
            let product = ops::matmul(ops::concat([inputs, state.h], 1), kernel);
            let gates = ops::bias_add(product, bias);
            let gates = g.op(ops::Split { num_split: 4 }).name("split").input(axis).input(gates).tensors();
            let (i, j, f, o) = (gates[0], gates[1], gates[2], gates[3]);
            let forget_bias = g.constant(Value::scalar(self.forget_bias).cast(f.dtype()));
            let kept = ops::multiply(state.c, ops::sigmoid(add(f, forget_bias)));
            let c = add(kept, ops::multiply(ops::sigmoid(i), self.activation.apply(j)));
            let h = ops::multiply(self.activation.apply(c), ops::sigmoid(o));
            (h, LSTMStateTuple { c, h })
        })
    }
}
