//! The plain recurrent cell.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::{Error, Graph, GraphId, Origin, Result, Tensor, Variable, ops};

use super::RnnCell;
use crate::{init, or_panic};

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
#[derive(Clone)]
pub struct BasicRNNCell {
    units: usize,
    activation: Arc<dyn Fn(Tensor) -> Tensor + Send + Sync>,
    name: String,
    reuse: bool,
    built: Arc<Mutex<Option<Built>>>,
}

/// What a cell has made in a graph.
#[derive(Debug, Clone)]
struct Built {
    graph: GraphId,
    scope: String,
    kernel: Variable,
    bias: Variable,
}

impl BasicRNNCell {
    /// With this many units: the size of state and output.
    pub fn new(units: usize) -> BasicRNNCell {
        BasicRNNCell {
            units,
            activation: Arc::new(|x| ops::tanh(x)),
            name: "basic_rnn_cell".to_owned(),
            reuse: false,
            built: Arc::default(),
        }
    }

    /// With another function than `tanh`.
    pub fn activation(mut self, f: impl Fn(Tensor) -> Tensor + Send + Sync + 'static) -> Self {
        self.activation = Arc::new(f);
        self
    }

    /// With another name for its variable scope.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Shares the variables that another cell of the same name has made in the same variable scope.
    pub fn reuse(mut self) -> Self {
        self.reuse = true;
        self
    }

    fn build(&self, graph: &Graph, inputs: Tensor) -> Result<Built> {
        let Some(depth) = inputs.shape().dim(1) else {
            return Err(Error::invalid(format!(
                "{}: the size of the inputs must be known, but their shape is {}",
                self.name,
                inputs.shape()
            )));
        };
        let scope = match self.reuse {
            true => graph.variable_scope(&self.name).reuse(),
            false => graph.unique_variable_scope(&self.name),
        };
        Ok(scope.dtype(inputs.dtype()).enter(|vs| Built {
            graph: graph.id(),
            scope: graph.current_name_scope(),
            kernel: vs.get_variable("kernel", [depth + self.units, self.units]),
            bias: vs.get_variable_with("bias", [self.units], init::zeros()),
        }))
    }
}

impl fmt::Debug for BasicRNNCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicRNNCell")
            .field("units", &self.units)
            .field("name", &self.name)
            .finish_non_exhaustive()
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
        let graph = inputs.graph();
        let output = graph.with_origin(Origin::here(), || {
            let mut slot = self.built.lock().unwrap_or_else(PoisonError::into_inner);
            let built = match slot.take().filter(|built| built.graph == graph.id()) {
                Some(built) => built,
                None => self.build(&graph, inputs)?,
            };
            let built = slot.insert(built).clone();
            drop(slot);
            Ok(graph.name_scope(&format!("{}/", built.scope)).enter(|| {
                let product = ops::matmul(ops::concat([inputs, state], 1), built.kernel);
                (self.activation)(ops::bias_add(product, built.bias))
            }))
        });
        let output = or_panic(output.map_err(|e: Error| e.with_origin(Origin::here())));
        (output, output)
    }
}
