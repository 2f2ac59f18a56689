//! Recurrent cells, and networks that unroll them in time.
//!
//! ```
//! use tidemill_core::{DType, Graph, ops};
//! use tidemill_nn::rnn::{BasicRNNCell, static_rnn};
//! let g = Graph::new();
//! let x = g.placeholder(DType::F32, [200, 5, 2]);
//! let init_state = g.zeros(DType::F32, [200, 4]);
//! let cell = BasicRNNCell::new(4);
//! let (outputs, final_state) = static_rnn(&cell, ops::unstack(x, 1), init_state);
//! assert_eq!(outputs.len(), 5);
//! assert_eq!(final_state.ty().to_string(), "f32[200,4]");
//! assert_eq!(g.trainable_variables()[0].name(), "rnn/basic_rnn_cell/kernel:0");
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::ops::{self, Pack};
use tidemill_core::{DType, Error, Graph, GraphId, Origin, Result, Tensor, Value, Variable};

use crate::{init, or_panic};

/// What a cell hands on from step to step: a tensor `[batch, size]`, or several of them, nested.
pub trait RnnState: Clone {
    /// The sizes of the tensors, nested alike.
    type Size: Clone;

    /// Zeros for `batch` sequences.
    #[track_caller]
    fn zeros(graph: &Graph, batch: BatchSize, size: &Self::Size, dtype: DType) -> Self;

    /// The tensors, in order.
    fn tensors(&self) -> Vec<Tensor>;

    /// A state nested as this one, of the next tensors of `tensors`; `None` when there are too few.
    fn with_tensors(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Option<Self>;
}

impl RnnState for Tensor {
    type Size = usize;

    #[track_caller]
    fn zeros(graph: &Graph, batch: BatchSize, size: &usize, dtype: DType) -> Tensor {
        match batch {
            BatchSize::Known(batch) => graph.zeros(dtype, [batch, *size]),
            BatchSize::Tensor(batch) => {
                let size = Value::scalar(*size as i64).cast(batch.dtype());
                graph.zeros(
                    dtype,
                    graph.op(Pack { axis: 0 }).name("shape").input(batch).constant("1", size).tensor(),
                )
            }
        }
    }

    fn tensors(&self) -> Vec<Tensor> {
        vec![*self]
    }

    fn with_tensors(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Option<Tensor> {
        tensors.next()
    }
}

impl<A: RnnState, B: RnnState> RnnState for (A, B) {
    type Size = (A::Size, B::Size);

    #[track_caller]
    fn zeros(graph: &Graph, batch: BatchSize, size: &Self::Size, dtype: DType) -> Self {
        (A::zeros(graph, batch, &size.0, dtype), B::zeros(graph, batch, &size.1, dtype))
    }

    fn tensors(&self) -> Vec<Tensor> {
        [self.0.tensors(), self.1.tensors()].concat()
    }

    fn with_tensors(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Option<Self> {
        Some((self.0.with_tensors(tensors)?, self.1.with_tensors(tensors)?))
    }
}

impl<S: RnnState> RnnState for Vec<S> {
    type Size = Vec<S::Size>;

    #[track_caller]
    fn zeros(graph: &Graph, batch: BatchSize, size: &Self::Size, dtype: DType) -> Self {
        size.iter().map(|size| S::zeros(graph, batch, size, dtype)).collect()
    }

    fn tensors(&self) -> Vec<Tensor> {
        self.iter().flat_map(S::tensors).collect()
    }

    fn with_tensors(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Option<Self> {
        self.iter().map(|state| state.with_tensors(tensors)).collect()
    }
}

/// How many sequences are worked on at once: known, or a scalar integer tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BatchSize {
    /// A number.
    Known(usize),
    /// A tensor.
    Tensor(Tensor),
}

impl From<usize> for BatchSize {
    fn from(size: usize) -> Self {
        BatchSize::Known(size)
    }
}

impl From<Tensor> for BatchSize {
    fn from(size: Tensor) -> Self {
        BatchSize::Tensor(size)
    }
}

impl BatchSize {
    /// The first dimension of `x`: its number if that is known.
    #[track_caller]
    pub fn of(x: Tensor) -> BatchSize {
        match x.shape().dim(0) {
            Some(size) => BatchSize::Known(size),
            None => BatchSize::Tensor(ops::index(ops::shape(x), 0)),
        }
    }
}

/// One step of a recurrent network.
///
/// A cell makes its variables when it is first called, in the variable scope that is open then, and shares them in all later
/// calls.
pub trait RnnCell {
    /// What it hands on.
    type State: RnnState;

    /// The size of the state.
    fn state_size(&self) -> <Self::State as RnnState>::Size;

    /// The size of the output: the last dimension of what [`call`](RnnCell::call) returns.
    fn output_size(&self) -> usize;

    /// The output `[batch, output_size]` and the next state, from inputs `[batch, depth]` and a state.
    #[track_caller]
    fn call(&self, inputs: Tensor, state: Self::State) -> (Tensor, Self::State);

    /// A state of zeros. TensorFlow: `cell.zero_state`.
    #[track_caller]
    fn zero_state(&self, graph: &Graph, batch_size: impl Into<BatchSize>, dtype: DType) -> Self::State {
        let batch = batch_size.into();
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        let scope = format!("{}ZeroState", path.rsplit("::").next().unwrap_or(path));
        graph.with_origin(Origin::here(), || {
            graph.name_scope(&scope).enter(|| RnnState::zeros(graph, batch, &self.state_size(), dtype))
        })
    }
}

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

/// The outputs of `cell` for each of `inputs` (`[batch, depth]`, one for each time step), and the last state; unrolled, so that each
/// step has its own nodes. The cell's variables are made in the variable scope `rnn`. TensorFlow: `tf.nn.static_rnn`.
///
/// # Panics
/// When there are no inputs, or they do not fit the cell.
#[track_caller]
pub fn static_rnn<C: RnnCell>(
    cell: &C,
    inputs: impl IntoIterator<Item = impl Into<Tensor>>,
    initial_state: C::State,
) -> (Vec<Tensor>, C::State) {
    StaticRnn::new(cell).initial_state(initial_state).build(inputs)
}

/// [`static_rnn`] with options.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{BasicRNNCell, StaticRnn};
/// let g = Graph::new();
/// let steps = vec![g.placeholder(DType::F32, [None, Some(2)]); 3];
/// let (outputs, _) = StaticRnn::new(&BasicRNNCell::new(4)).scope("encoder").build(steps);
/// assert_eq!(outputs[2].name(), "encoder/basic_rnn_cell/Tanh_2:0");
/// ```
#[derive(Debug)]
pub struct StaticRnn<'c, C: RnnCell> {
    cell: &'c C,
    initial_state: Option<C::State>,
    scope: String,
}

impl<'c, C: RnnCell> StaticRnn<'c, C> {
    /// From a state of zeros, in the variable scope `rnn`.
    pub fn new(cell: &'c C) -> Self {
        StaticRnn { cell, initial_state: None, scope: "rnn".to_owned() }
    }

    /// The state to start from.
    pub fn initial_state(mut self, state: C::State) -> Self {
        self.initial_state = Some(state);
        self
    }

    /// The variable scope of the cell.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = scope.to_owned();
        self
    }

    /// Unrolls the cell over `inputs`: the outputs, and the last state.
    ///
    /// # Panics
    /// As [`static_rnn`].
    #[track_caller]
    pub fn build(self, inputs: impl IntoIterator<Item = impl Into<Tensor>>) -> (Vec<Tensor>, C::State) {
        let inputs: Vec<Tensor> = inputs.into_iter().map(Into::into).collect();
        let Some(&first) = inputs.first() else {
            or_panic(Err(
                Error::invalid("static_rnn needs at least one time step").with_origin(Origin::here())
            ))
        };
        let graph = first.graph();
        graph.with_origin(Origin::here(), || {
            graph.variable_scope(&self.scope).enter(|vs| {
                let zeros = || self.cell.zero_state(&graph, BatchSize::of(first), first.dtype());
                let mut state = self.initial_state.unwrap_or_else(zeros);
                let mut outputs = Vec::with_capacity(inputs.len());
                for (time, input) in inputs.into_iter().enumerate() {
                    if time > 0 {
                        vs.reuse_variables();
                    }
                    let (output, next) = self.cell.call(input, state);
                    outputs.push(output);
                    state = next;
                }
                (outputs, state)
            })
        })
    }
}
