//! The long short-term memory with all options.

use tidemill_core::{Initializer, Tensor, Variable, VariableOptions, ops};

use super::RnnCell;
use super::layer::{Activation, Layer, cell_options};
use crate::clip::clip_by_value;
use crate::init;
use crate::rnn::LSTMStateTuple;

/// Long short-term memory with options for peepholes, clipping and a projection. With
/// `[i, j, f, o] = [inputs, h] · kernel + bias`,
///
/// ```text
/// c' = sigmoid(f + forget_bias + w_f_diag · c) · c + sigmoid(i + w_i_diag · c) · tanh(j)
/// h' = sigmoid(o + w_o_diag · c') · tanh(c')
/// ```
///
/// where the diagonal terms are the [peepholes](LSTMCell::use_peepholes); then `c'` is [clipped](LSTMCell::cell_clip), and `h'`, which is also the output,
/// is [projected](LSTMCell::num_proj) and [clipped](LSTMCell::proj_clip). TensorFlow: `tf.nn.rnn_cell.LSTMCell` (Hochreiter and Schmidhuber, 1997; Sak et
/// al., 2014).
///
/// Its variables are `lstm_cell/kernel` of shape `[depth + output_size, 4 · units]`, `lstm_cell/bias` of shape `[4 · units]`, with the gates in the order
/// input, new input, forget, output; with peepholes `w_f_diag`, `w_i_diag` and `w_o_diag` of shape `[units]`; with a projection `projection/kernel` of shape
/// `[units, num_proj]`. The bias starts from zeros, the others as [`initializer`](LSTMCell::initializer) or the variable scope says.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{LSTMCell, RnnCell};
/// let g = Graph::new();
/// let cell = LSTMCell::new(8).use_peepholes().num_proj(3).proj_clip(1.0);
/// let x = g.placeholder(DType::F32, [None, Some(2)]);
/// let (output, state) = cell.call(x, cell.zero_state(&g, 5, DType::F32));
/// assert_eq!(output.ty().to_string(), "f32[5,3]");
/// assert_eq!(state.c.ty().to_string(), "f32[5,8]");
/// assert_eq!(g.trainable_variables()[5].name(), "lstm_cell/projection/kernel:0");
/// ```
#[derive(Debug, Clone)]
pub struct LSTMCell {
    units: usize,
    use_peepholes: bool,
    cell_clip: Option<f64>,
    num_proj: Option<usize>,
    proj_clip: Option<f64>,
    forget_bias: f64,
    weights: VariableOptions,
    activation: Activation,
    layer: Layer,
}
cell_options!(LSTMCell);

impl LSTMCell {
    /// With this many units, and none of the options.
    pub fn new(units: usize) -> LSTMCell {
        LSTMCell {
            units,
            use_peepholes: false,
            cell_clip: None,
            num_proj: None,
            proj_clip: None,
            forget_bias: 1.0,
            weights: VariableOptions::new(),
            activation: Activation::default(),
            layer: Layer::new("lstm_cell"),
        }
    }

    /// The gates see the memory: input and forget gates the one before, the output gate the new one.
    pub fn use_peepholes(mut self) -> Self {
        self.use_peepholes = true;
        self
    }

    /// Clips the memory to `±clip` before it goes into the output.
    pub fn cell_clip(mut self, clip: f64) -> Self {
        self.cell_clip = Some(clip);
        self
    }

    /// Projects the output to this size.
    pub fn num_proj(mut self, size: usize) -> Self {
        self.num_proj = Some(size);
        self
    }

    /// Clips the projected output to `±clip`; without a projection nothing is clipped.
    pub fn proj_clip(mut self, clip: f64) -> Self {
        self.proj_clip = Some(clip);
        self
    }

    /// What is added to the forget gate before the sigmoid; 1 unless told.
    pub fn forget_bias(mut self, forget_bias: f64) -> Self {
        self.forget_bias = forget_bias;
        self
    }

    /// What the variables but the bias start from.
    pub fn initializer(mut self, initializer: impl Initializer) -> Self {
        self.weights = initializer.into();
        self
    }
}

impl RnnCell for LSTMCell {
    type State = LSTMStateTuple;

    fn state_size(&self) -> LSTMStateTuple<usize> {
        LSTMStateTuple { c: self.units, h: self.output_size() }
    }

    fn output_size(&self) -> usize {
        self.num_proj.unwrap_or(self.units)
    }

    #[track_caller]
    fn call(&self, inputs: Tensor, state: LSTMStateTuple) -> (Tensor, LSTMStateTuple) {
        let n = self.units;
        let clip = |x, bound: Option<f64>| bound.map_or(x, |bound| clip_by_value(x, -bound, bound));
        let peep = |gate: Tensor, w: Option<Variable>, c: Tensor| w.map_or(gate, |w| gate + w * c);
        self.layer.call(inputs, |vs, depth| {
            let weights =
                |name: &str, shape: &[usize]| vs.get_variable_with(name, shape, self.weights.clone());
            let kernel = weights("kernel", &[depth + self.output_size(), 4 * n]);
            let bias = vs.get_variable_with("bias", [4 * n], init::zeros());
            let diagonal = |name| self.use_peepholes.then(|| weights(name, &[n]));
            let (w_f, w_i, w_o) = (diagonal("w_f_diag"), diagonal("w_i_diag"), diagonal("w_o_diag"));
            let projection = self.num_proj.map(|size| weights("projection/kernel", &[n, size]));

            let product = ops::matmul(ops::concat([inputs, state.h], 1), kernel);
            let gates = ops::split(ops::bias_add(product, bias), 4, 1);
            let (i, j, f, o) = (gates[0], gates[1], gates[2], gates[3]);
            let kept = ops::sigmoid(peep(f + self.forget_bias, w_f, state.c)) * state.c;
            let c = kept + ops::sigmoid(peep(i, w_i, state.c)) * self.activation.apply(j);
            let c = clip(c, self.cell_clip);
            let h = ops::sigmoid(peep(o, w_o, c)) * self.activation.apply(c);
            let h = projection.map_or(h, |kernel| clip(ops::matmul(h, kernel), self.proj_clip));
            (h, LSTMStateTuple { c, h })
        })
    }
}
