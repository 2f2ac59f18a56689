//! Cells with a projection above.

use tidemill_core::{DType, Graph, Tensor, ops};

use super::layer::{Activation, Layer};
use super::{RnnCell, zeros_within};
use crate::init;
use crate::rnn::{BatchSize, RnnState};

/// A cell with the projection `output · kernel + bias` above; the state is the cell's. TensorFlow: `tf.contrib.rnn.OutputProjectionWrapper`. Where there are
/// many steps, it is faster to project all outputs at once, after the network.
///
/// Its variables are `output_projection_wrapper/kernel` of shape `[cell.output_size(), output_size]`, initialised as the variable scope says, and
/// `output_projection_wrapper/bias` of shape `[output_size]`, initialised to zeros. The cell's are in the same scope.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{BasicLSTMCell, OutputProjectionWrapper, RnnCell};
/// let g = Graph::new();
/// let cell = OutputProjectionWrapper::new(BasicLSTMCell::new(8), 3);
/// let x = g.placeholder(DType::F32, [5, 2]);
/// let (output, state) = cell.call(x, cell.zero_state(&g, 5, DType::F32));
/// assert_eq!(output.ty().to_string(), "f32[5,3]");
/// assert_eq!(state.h.ty().to_string(), "f32[5,8]");
/// ```
#[derive(Debug, Clone)]
pub struct OutputProjectionWrapper<C> {
    cell: C,
    output_size: usize,
    activation: Option<Activation>,
    layer: Layer,
}

impl<C: RnnCell> OutputProjectionWrapper<C> {
    /// Projects the outputs of `cell` to `output_size`.
    pub fn new(cell: C, output_size: usize) -> Self {
        let layer = Layer::new("output_projection_wrapper");
        OutputProjectionWrapper { cell, output_size, activation: None, layer }
    }

    /// With a function of the projection.
    pub fn activation(mut self, f: impl Fn(Tensor) -> Tensor + Send + Sync + 'static) -> Self {
        self.activation = Some(Activation::new(f));
        self
    }
}

impl<C: RnnCell> RnnCell for OutputProjectionWrapper<C> {
    type State = C::State;

    fn state_size(&self) -> <C::State as RnnState>::Size {
        self.cell.state_size()
    }

    fn output_size(&self) -> usize {
        self.output_size
    }

    #[track_caller]
    fn call(&self, inputs: Tensor, state: C::State) -> (Tensor, C::State) {
        self.layer.enter(inputs, |vs| {
            let (output, next) = self.cell.call(inputs, state);
            let kernel = vs.get_variable("kernel", [self.cell.output_size(), self.output_size]);
            let bias = vs.get_variable_with("bias", [self.output_size], init::zeros());
            let projected = ops::bias_add(ops::matmul(output, kernel), bias);
            (self.activation.as_ref().map_or(projected, |f| f.apply(projected)), next)
        })
    }

    #[track_caller]
    fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> C::State {
        zeros_within("OutputProjectionWrapper", graph, || self.cell.zeros(graph, batch, dtype))
    }
}
