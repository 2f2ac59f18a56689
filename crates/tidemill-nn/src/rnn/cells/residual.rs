//! Cells whose inputs go around them too.

use std::fmt;
use std::sync::Arc;

use tidemill_core::{DType, Error, Graph, Origin, Tensor};

use super::{RnnCell, zeros_within};
use crate::or_panic;
use crate::rnn::{BatchSize, RnnState};

/// A cell whose inputs are added to its outputs. It has no variables of its own. TensorFlow: `tf.nn.rnn_cell.ResidualWrapper`.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{GRUCell, MultiRNNCell, ResidualWrapper, RnnCell};
/// let g = Graph::new();
/// let layers = (0..4).map(|_| ResidualWrapper::new(GRUCell::new(16))).collect::<Vec<_>>();
/// let cell = MultiRNNCell::new(layers);
/// let x = g.placeholder(DType::F32, [None, Some(16)]);
/// let (output, _) = cell.call(x, cell.zero_state(&g, 3, DType::F32));
/// assert_eq!(output.ty().to_string(), "f32[3,16]");
/// ```
#[derive(Clone)]
pub struct ResidualWrapper<C> {
    cell: C,
    residual: Option<Arc<dyn Fn(Tensor, Tensor) -> Tensor + Send + Sync>>,
}

impl<C: RnnCell> ResidualWrapper<C> {
    /// Around this cell, whose inputs must have the shape of its outputs.
    pub fn new(cell: C) -> Self {
        ResidualWrapper { cell, residual: None }
    }

    /// With another function of inputs and outputs than their sum; what it gives must have the outputs' size.
    pub fn residual_fn(mut self, f: impl Fn(Tensor, Tensor) -> Tensor + Send + Sync + 'static) -> Self {
        self.residual = Some(Arc::new(f));
        self
    }
}

impl<C: fmt::Debug> fmt::Debug for ResidualWrapper<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResidualWrapper").field("cell", &self.cell).finish_non_exhaustive()
    }
}

impl<C: RnnCell> RnnCell for ResidualWrapper<C> {
    type State = C::State;

    fn state_size(&self) -> <C::State as RnnState>::Size {
        self.cell.state_size()
    }

    fn output_size(&self) -> usize {
        self.cell.output_size()
    }

    #[track_caller]
    fn call(&self, inputs: Tensor, state: C::State) -> (Tensor, C::State) {
        let (output, next) = self.cell.call(inputs, state);
        let summed = match &self.residual {
            Some(f) => inputs.graph().with_origin(Origin::here(), || f(inputs, output)),
            None if inputs.shape().is_compatible_with(&output.shape()) => inputs + output,
            None => or_panic(Err(Error::invalid(format!(
                "ResidualWrapper adds inputs and outputs, but their shapes are {} and {}",
                inputs.shape(),
                output.shape()
            ))
            .with_origin(inputs.graph().origin()))),
        };
        (summed, next)
    }

    #[track_caller]
    fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> C::State {
        zeros_within("ResidualWrapper", graph, || self.cell.zeros(graph, batch, dtype))
    }
}
