//! Networks unrolled in time.

use tidemill_core::{Error, Origin, Tensor, ops};

use super::lengths::{copy_through, goes_on, lengths};
use super::{BatchSize, RnnCell};
use crate::or_panic;

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
    sequence_length: Option<Tensor>,
    scope: String,
}

impl<'c, C: RnnCell> StaticRnn<'c, C> {
    /// From a state of zeros, in the variable scope `rnn`.
    pub fn new(cell: &'c C) -> Self {
        StaticRnn { cell, initial_state: None, sequence_length: None, scope: "rnn".to_owned() }
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
        let origin = Origin::here();
        let built = graph.with_origin(origin.clone(), || {
            graph.variable_scope(&self.scope).enter(|vs| {
                let batch = first.shape().dims().and_then(|dims| dims.first().copied().flatten());
                let lengths = self.sequence_length.map(|each| lengths(each, batch)).transpose()?;
                let zeros = || self.cell.zero_state(&graph, BatchSize::of(first), first.dtype());
                let mut state = self.initial_state.unwrap_or_else(zeros);
                let mut outputs = Vec::with_capacity(inputs.len());
                for (time, input) in inputs.into_iter().enumerate() {
                    if time > 0 {
                        vs.reuse_variables();
                    }
                    let (output, next) = self.cell.call(input, state.clone());
                    let (output, next) = match lengths {
                        Some(lengths) => {
                            let goes_on = goes_on(time as i32, lengths);
                            let zero = ops::zeros_like(output);
                            (copy_through(goes_on, &output, &zero), copy_through(goes_on, &next, &state))
                        }
                        None => (output, next),
                    };
                    outputs.push(output);
                    state = next;
                }
                Ok((outputs, state))
            })
        });
        or_panic(built.map_err(|e: Error| e.with_origin(origin)))
    }
}
