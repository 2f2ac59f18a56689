//! Networks that go through time both ways.

use tidemill_core::ops;
use tidemill_core::{Error, Origin, Tensor};

use super::{DynamicRnn, RnnCell, StaticRnn};
use crate::or_panic;

/// Two networks along the same inputs, one from the first step to the last and one from the last to the first, both dynamic. Sequences that end
/// early are turned around within their length. TensorFlow: `tf.nn.bidirectional_dynamic_rnn`.
///
/// The cells' variables are made in the variable scopes `bidirectional_rnn/fw` and `bidirectional_rnn/bw`.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{BasicRNNCell, BidirectionalRnn};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(3), Some(2)]);
/// let (fw, bw) = (BasicRNNCell::new(4), BasicRNNCell::new(5));
/// let ((forward, backward), _) = BidirectionalRnn::new(&fw, &bw).dynamic(x);
/// assert_eq!(forward.ty().to_string(), "f32[?,3,4]");
/// assert_eq!(backward.ty().to_string(), "f32[?,3,5]");
/// ```
#[derive(Debug)]
#[must_use = "call .dynamic(inputs) or .unrolled(inputs)"]
pub struct BidirectionalRnn<'c, F: RnnCell, B: RnnCell> {
    cells: (&'c F, &'c B),
    initial_states: (Option<F::State>, Option<B::State>),
    sequence_length: Option<Tensor>,
    time_major: bool,
    scope: String,
}

impl<'c, F: RnnCell, B: RnnCell> BidirectionalRnn<'c, F, B> {
    /// From states of zeros, over whole sequences, in the variable scope `bidirectional_rnn`.
    pub fn new(forward: &'c F, backward: &'c B) -> Self {
        BidirectionalRnn {
            cells: (forward, backward),
            initial_states: (None, None),
            sequence_length: None,
            time_major: false,
            scope: "bidirectional_rnn".to_owned(),
        }
    }

    /// The states to start from: at the first step, and at the last.
    pub fn initial_states(mut self, forward: F::State, backward: B::State) -> Self {
        self.initial_states = (Some(forward), Some(backward));
        self
    }

    /// The number of steps of each sequence, integers `[batch]`.
    pub fn sequence_length(mut self, lengths: impl Into<Tensor>) -> Self {
        self.sequence_length = Some(lengths.into());
        self
    }

    /// Whether inputs and outputs are `[time, batch, ..]`; of dynamic networks only.
    pub fn time_major(mut self, time_major: bool) -> Self {
        self.time_major = time_major;
        self
    }

    /// The variable scope around `fw` and `bw`.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = scope.to_owned();
        self
    }

    /// By two loops over `inputs` `[batch, time, depth]`: the outputs of both, and their last states.
    ///
    /// # Panics
    /// As [`dynamic_rnn`](super::dynamic_rnn).
    #[track_caller]
    pub fn dynamic(self, inputs: impl Into<Tensor>) -> ((Tensor, Tensor), (F::State, B::State)) {
        let inputs = inputs.into();
        let graph = inputs.graph();
        graph.with_origin(Origin::here(), || {
            graph.variable_scope(&self.scope).enter(|_| {
                let (time, batch) = if self.time_major { (0, 1) } else { (1, 0) };
                let turn = |x: Tensor| match self.sequence_length {
                    Some(lengths) => ops::reverse_sequence(x, lengths, time, batch),
                    None => ops::reverse(x, [time]),
                };
                let mut forward = DynamicRnn::new(self.cells.0).scope("fw").time_major(self.time_major);
                let mut backward = DynamicRnn::new(self.cells.1).scope("bw").time_major(self.time_major);
                if let Some(lengths) = self.sequence_length {
                    forward = forward.sequence_length(lengths);
                    backward = backward.sequence_length(lengths);
                }
                if let Some(state) = self.initial_states.0 {
                    forward = forward.initial_state(state);
                }
                if let Some(state) = self.initial_states.1 {
                    backward = backward.initial_state(state);
                }
                let (outputs, state) = forward.build(inputs);
                let (reversed, last) = backward.build(turn(inputs));
                ((outputs, turn(reversed)), (state, last))
            })
        })
    }

    /// Unrolled over `inputs`, one `[batch, depth]` for each step: for each step the outputs of both side by side, and their last states. TensorFlow:
    /// `tf.nn.static_bidirectional_rnn`.
    ///
    /// # Panics
    /// As [`static_rnn`](super::static_rnn).
    #[track_caller]
    pub fn unrolled(
        self,
        inputs: impl IntoIterator<Item = impl Into<Tensor>>,
    ) -> (Vec<Tensor>, (F::State, B::State)) {
        let inputs: Vec<Tensor> = inputs.into_iter().map(Into::into).collect();
        let Some(first) = inputs.first() else {
            or_panic(Err(Error::invalid("an unrolled network needs at least one time step")
                .with_origin(Origin::here())))
        };
        let graph = first.graph();
        graph.with_origin(Origin::here(), || {
            graph.variable_scope(&self.scope).enter(|_| {
                let turn = |steps: Vec<Tensor>| -> Vec<Tensor> {
                    match self.sequence_length {
                        Some(lengths) => {
                            let turned = ops::reverse_sequence(ops::stack(steps, 0), lengths, 0, 1);
                            ops::unstack(turned, 0)
                        }
                        None => steps.into_iter().rev().collect(),
                    }
                };
                let mut forward = StaticRnn::new(self.cells.0).scope("fw");
                let mut backward = StaticRnn::new(self.cells.1).scope("bw");
                if let Some(lengths) = self.sequence_length {
                    forward = forward.sequence_length(lengths);
                    backward = backward.sequence_length(lengths);
                }
                if let Some(state) = self.initial_states.0 {
                    forward = forward.initial_state(state);
                }
                if let Some(state) = self.initial_states.1 {
                    backward = backward.initial_state(state);
                }
                let (outputs, state) = forward.build(inputs.clone());
                let (reversed, last) = backward.build(turn(inputs));
                let both = outputs.into_iter().zip(turn(reversed));
                (both.map(|(fw, bw)| ops::concat([fw, bw], 1)).collect(), (state, last))
            })
        })
    }
}
