//! The long short-term memory with layer normalisation.

use tidemill_core::{DType, Operand, Tensor, VariableScope, ops};

use super::RnnCell;
use super::keep::KeepProb;
use super::layer::{Activation, Layer, cell_options};
use crate::init;
use crate::normalization::{batch_normalization, moments};
use crate::rnn::LSTMStateTuple;

/// Long short-term memory with layer normalisation and recurrent dropout. With `[i, j, f, o] = [inputs, h] · kernel`,
///
/// ```text
/// c' = norm(c · sigmoid(norm(f) + forget_bias) + sigmoid(norm(i)) · dropout(tanh(norm(j))))
/// h' = tanh(c') · sigmoid(norm(o))
/// ```
///
/// where `norm(x) = gamma · (x - mean) / √variance + beta` over the units, with a gain and a shift of each place's own. TensorFlow:
/// `tf.contrib.rnn.LayerNormBasicLSTMCell` (Ba et al., 2016; Semeniuta et al., 2016).
///
/// Its variables are `layer_norm_basic_lstm_cell/kernel` of shape `[depth + units, 4 · units]`, initialised as the variable scope says, and `gamma` and `beta` of
/// shape `[units]` in each of the scopes `input`, `transform`, `forget`, `output` and `state` there; without layer normalisation `bias` of shape `[4 · units]`
/// instead, initialised like the kernel.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{LayerNormBasicLSTMCell, RnnCell};
/// let g = Graph::new();
/// let cell = LayerNormBasicLSTMCell::new(4).dropout_keep_prob(0.9).seed(1);
/// let x = g.placeholder(DType::F32, [None, Some(2)]);
/// let (output, _) = cell.call(x, cell.zero_state(&g, 3, DType::F32));
/// assert_eq!(output.ty().to_string(), "f32[3,4]");
/// assert_eq!(g.trainable_variables()[1].name(), "layer_norm_basic_lstm_cell/input/gamma:0");
/// ```
#[derive(Debug, Clone)]
pub struct LayerNormBasicLSTMCell {
    units: usize,
    forget_bias: f64,
    layer_norm: bool,
    norm_gain: f64,
    norm_shift: f64,
    dropout_keep_prob: KeepProb,
    seed: Option<i64>,
    activation: Activation,
    layer: Layer,
}
cell_options!(LayerNormBasicLSTMCell);

impl LayerNormBasicLSTMCell {
    /// With this many units: the size of the output and of both parts of the state.
    pub fn new(units: usize) -> LayerNormBasicLSTMCell {
        LayerNormBasicLSTMCell {
            units,
            forget_bias: 1.0,
            layer_norm: true,
            norm_gain: 1.0,
            norm_shift: 0.0,
            dropout_keep_prob: KeepProb::ALL,
            seed: None,
            activation: Activation::default(),
            layer: Layer::new("layer_norm_basic_lstm_cell"),
        }
    }

    /// What is added to the forget gate before the sigmoid; 1 unless told.
    pub fn forget_bias(mut self, forget_bias: f64) -> Self {
        self.forget_bias = forget_bias;
        self
    }

    /// Whether to normalise; it does unless told.
    pub fn layer_norm(mut self, layer_norm: bool) -> Self {
        self.layer_norm = layer_norm;
        self
    }

    /// What `gamma` starts from; 1 unless told.
    pub fn norm_gain(mut self, gain: f64) -> Self {
        self.norm_gain = gain;
        self
    }

    /// What `beta` starts from; 0 unless told.
    pub fn norm_shift(mut self, shift: f64) -> Self {
        self.norm_shift = shift;
        self
    }

    /// The probability with which an element of the candidate memory is kept: a number in `(0, 1]` or a scalar tensor.
    ///
    /// # Panics
    /// When it is a number that is no probability.
    #[track_caller]
    pub fn dropout_keep_prob(mut self, keep_prob: impl Operand) -> Self {
        self.dropout_keep_prob = KeepProb::new("dropout_keep_prob", keep_prob);
        self
    }

    /// The op-level seed of the dropout.
    pub fn seed(mut self, seed: impl Into<Option<i64>>) -> Self {
        self.seed = seed.into();
        self
    }

    #[track_caller]
    fn norm(&self, vs: &VariableScope, x: Tensor, name: &str) -> Tensor {
        if !self.layer_norm {
            return x;
        }
        // What keeps rows of equal elements finite.
        let epsilon = if x.dtype() == DType::F16 { 1e-3 } else { 1e-12 };
        vs.graph().variable_scope(name).enter(|vs| {
            let gamma = vs.get_variable_with("gamma", [self.units], init::constant(self.norm_gain));
            let beta = vs.get_variable_with("beta", [self.units], init::constant(self.norm_shift));
            let (mean, variance) = moments(x, 1, true);
            batch_normalization(x, mean, variance, beta, gamma, epsilon)
        })
    }
}

impl RnnCell for LayerNormBasicLSTMCell {
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
            let product = ops::matmul(ops::concat([inputs, state.h], 1), kernel);
            let gates = match self.layer_norm {
                true => product,
                false => ops::bias_add(product, vs.get_variable("bias", [4 * n])),
            };
            let gates = ops::split(gates, 4, 1);
            let i = self.norm(vs, gates[0], "input");
            let j = self.norm(vs, gates[1], "transform");
            let f = self.norm(vs, gates[2], "forget");
            let o = self.norm(vs, gates[3], "output");
            let candidate = self.dropout_keep_prob.dropout(self.activation.apply(j), self.seed);
            let c = state.c * ops::sigmoid(f + self.forget_bias) + ops::sigmoid(i) * candidate;
            let c = self.norm(vs, c, "state");
            let h = self.activation.apply(c) * ops::sigmoid(o);
            (h, LSTMStateTuple { c, h })
        })
    }
}
