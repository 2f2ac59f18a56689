//! Networks in a loop over time.

use tidemill_core::ops::{self, Nest};
use tidemill_core::{Error, Graph, Origin, PartialShape, Result, Tensor};

use super::lengths::{copy_through, goes_on, lengths};
use super::{BatchSize, RnnCell};
use crate::or_panic;

/// The outputs `[batch, time, size]` of `cell` along `inputs` `[batch, time, depth]`, and the last state, by one loop: the graph is the same for any
/// number of steps, which may be unknown. The cell's variables are made in the variable scope `rnn`. TensorFlow: `tf.nn.dynamic_rnn`.
///
/// [`DynamicRnn`] has options: the lengths of the sequences, time-major inputs, a state of zeros.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{BasicRNNCell, dynamic_rnn};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, None, Some(2)]);
/// let init_state = g.placeholder(DType::F32, [None, Some(4)]);
/// let (outputs, state) = dynamic_rnn(&BasicRNNCell::new(4), x, init_state);
/// assert_eq!(outputs.ty().to_string(), "f32[?,?,4]");
/// assert_eq!(state.ty().to_string(), "f32[?,4]");
/// assert_eq!(g.trainable_variables()[0].name(), "rnn/basic_rnn_cell/kernel:0");
/// ```
///
/// # Panics
/// When inputs, state and cell do not fit each other.
#[track_caller]
pub fn dynamic_rnn<C: RnnCell>(
    cell: &C,
    inputs: impl Into<Tensor>,
    initial_state: C::State,
) -> (Tensor, C::State) {
    DynamicRnn::new(cell).initial_state(initial_state).build(inputs)
}

/// [`dynamic_rnn`] with options.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{BasicRNNCell, DynamicRnn};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(3), Some(2)]);
/// let lengths = g.placeholder(DType::I32, [None]);
/// let (outputs, _) = DynamicRnn::new(&BasicRNNCell::new(4)).time_major(true).sequence_length(lengths).build(x);
/// assert_eq!(outputs.ty().to_string(), "f32[?,3,4]");
/// ```
#[derive(Debug)]
#[must_use = "call .build(inputs)"]
pub struct DynamicRnn<'c, C: RnnCell> {
    cell: &'c C,
    initial_state: Option<C::State>,
    sequence_length: Option<Tensor>,
    time_major: bool,
    scope: String,
}

impl<'c, C: RnnCell> DynamicRnn<'c, C> {
    /// From a state of zeros, over whole sequences, in the variable scope `rnn`.
    pub fn new(cell: &'c C) -> Self {
        DynamicRnn {
            cell,
            initial_state: None,
            sequence_length: None,
            time_major: false,
            scope: "rnn".to_owned(),
        }
    }

    /// The state to start from.
    pub fn initial_state(mut self, state: C::State) -> Self {
        self.initial_state = Some(state);
        self
    }

    /// The number of steps of each sequence, integers `[batch]`. Past its length a sequence's outputs are zeros, and its state stays.
    pub fn sequence_length(mut self, lengths: impl Into<Tensor>) -> Self {
        self.sequence_length = Some(lengths.into());
        self
    }

    /// Whether inputs and outputs are `[time, batch, ..]` instead of `[batch, time, ..]`, which saves two transpositions.
    pub fn time_major(mut self, time_major: bool) -> Self {
        self.time_major = time_major;
        self
    }

    /// The variable scope of the cell.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = scope.to_owned();
        self
    }

    /// Runs the cell along `inputs`: the outputs, and the last state.
    ///
    /// # Panics
    /// As [`dynamic_rnn`].
    #[track_caller]
    pub fn build(self, inputs: impl Into<Tensor>) -> (Tensor, C::State) {
        let inputs = inputs.into();
        let graph = inputs.graph();
        let origin = Origin::here();
        let built = graph.with_origin(origin.clone(), || {
            let scope = graph.variable_scope(&self.scope);
            scope.enter(|_| self.over_time(&graph, inputs))
        });
        or_panic(built.map_err(|e| e.with_origin(origin)))
    }

    fn over_time(self, graph: &Graph, inputs: Tensor) -> Result<(Tensor, C::State)> {
        let shape = inputs.shape();
        let Some(rank) = shape.rank().filter(|rank| *rank >= 3) else {
            let major = if self.time_major { "[time, batch, depth]" } else { "[batch, time, depth]" };
            return Err(Error::invalid(format!(
                "the inputs of dynamic_rnn must be {major}, but their shape is {shape}"
            )));
        };
        let swap = |x: Tensor, rank: usize| {
            let axes: Vec<i32> = [1, 0].into_iter().chain(2..rank as i32).collect();
            ops::transpose_perm(x, axes)
        };
        let xs = if self.time_major { inputs } else { swap(inputs, rank) };
        let (time, batch) = (xs.shape().dim(0), xs.shape().dim(1));
        let masks = match self.sequence_length {
            Some(each) => {
                let steps = match time {
                    Some(time) => graph.range(0, time as i32, 1),
                    None => graph.range(0, ops::index(ops::shape(xs), 0), 1),
                };
                vec![goes_on(ops::expand_dims(steps, 1), ops::expand_dims(lengths(each, batch)?, 0))]
            }
            None => vec![],
        };
        let start = self.initial_state.unwrap_or_else(|| {
            let batch = match batch {
                Some(batch) => BatchSize::Known(batch),
                None => BatchSize::Tensor(ops::index(ops::shape(xs), 1)),
            };
            self.cell.zero_state(graph, batch, inputs.dtype())
        });
        let step = |state: C::State, (input, masks): (Tensor, Vec<Tensor>)| {
            let (output, next) = self.cell.call(input, state.clone());
            let next = like(&next, &state);
            match masks[..] {
                [mask] => {
                    (copy_through(mask, &next, &state), copy_through(mask, &output, &ops::zeros_like(output)))
                }
                _ => (next, output),
            }
        };
        let (state, outputs) = ops::scan(step, start, (xs, masks), ops::ScanOptions::default());
        let outputs = match (self.time_major, outputs.shape().rank()) {
            (true, _) => outputs,
            (false, Some(rank)) => swap(outputs, rank),
            (false, None) => return Err(Error::invalid("the rank of the cell's outputs is not known")),
        };
        Ok((outputs, state))
    }
}

/// The next state with the shapes of the state before, where those are known better: they are the same from step to step.
#[track_caller]
fn like<N: Nest>(next: &N, before: &N) -> N {
    let mut shaped = next.flatten().into_iter().zip(before.flatten()).map(|(next, before)| {
        let (have, want): (PartialShape, PartialShape) = (next.shape(), before.shape());
        let known = |shape: &PartialShape| shape.dims().map_or(0, |d| d.iter().flatten().count() + 1);
        match have.merge(&want) {
            Some(both) if known(&both) > known(&have) => ops::ensure_shape(next, both),
            _ => next,
        }
    });
    next.rebuild(&mut shaped)
}
