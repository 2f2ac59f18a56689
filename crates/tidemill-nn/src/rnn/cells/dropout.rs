//! Cells with dropout.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::ops::{Nest, Uniform};
use tidemill_core::{DType, Error, Graph, Operand, Result, Tensor};

use super::keep::KeepProb;
use super::{RnnCell, zeros_within};
use crate::or_panic;
use crate::rnn::{BatchSize, RnnState};

/// A cell with dropout of its inputs, its outputs and the states it hands on, but for the memory `c` of an
/// [`LSTMStateTuple`](crate::rnn::LSTMStateTuple) (see [`RnnState::droppable`]). What is dropped differs from step to step, unless it is
/// [`variational_recurrent`](DropoutWrapper::variational_recurrent). It has no variables of its own. TensorFlow: `tf.nn.rnn_cell.DropoutWrapper`.
///
/// Probabilities are numbers in `(0, 1]`, or scalar tensors of the cell's dtype, for instance a placeholder with which training and evaluation differ.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{BasicLSTMCell, DropoutWrapper, RnnCell};
/// let g = Graph::new();
/// let keep = g.placeholder_with_default(1f32, ());
/// let cell = DropoutWrapper::new(BasicLSTMCell::new(4)).output_keep_prob(keep).seed(1);
/// let x = g.placeholder(DType::F32, [3, 2]);
/// let (output, state) = cell.call(x, cell.zero_state(&g, 3, DType::F32));
/// assert_ne!(output, state.h);
/// ```
#[derive(Debug, Clone)]
pub struct DropoutWrapper<C> {
    cell: C,
    input: KeepProb,
    state: KeepProb,
    output: KeepProb,
    seed: Option<i64>,
    /// If it is variational: what decides in all steps, for each place.
    noise: Option<Arc<Mutex<BTreeMap<String, Tensor>>>>,
}

impl<C: RnnCell> DropoutWrapper<C> {
    /// Around this cell, dropping nothing yet.
    pub fn new(cell: C) -> Self {
        let all = KeepProb::ALL;
        DropoutWrapper { cell, input: all, state: all, output: all, seed: None, noise: None }
    }

    /// The probability with which an element of the inputs is kept.
    ///
    /// # Panics
    /// When it is a number that is no probability.
    #[track_caller]
    pub fn input_keep_prob(mut self, prob: impl Operand) -> Self {
        self.input = KeepProb::new("input_keep_prob", prob);
        self
    }

    /// The probability with which an element of the outputs is kept.
    ///
    /// # Panics
    /// When it is a number that is no probability.
    #[track_caller]
    pub fn output_keep_prob(mut self, prob: impl Operand) -> Self {
        self.output = KeepProb::new("output_keep_prob", prob);
        self
    }

    /// The probability with which an element of the state that is handed on is kept.
    ///
    /// # Panics
    /// When it is a number that is no probability.
    #[track_caller]
    pub fn state_keep_prob(mut self, prob: impl Operand) -> Self {
        self.state = KeepProb::new("state_keep_prob", prob);
        self
    }

    /// Drops the same units in all steps of a run and in all sequences of a batch (Gal and Ghahramani, 2016). The sizes of inputs, states and outputs
    /// must be known.
    pub fn variational_recurrent(mut self) -> Self {
        self.noise = Some(Arc::default());
        self
    }

    /// The seed from which the op-level seeds are derived, each place's own.
    pub fn seed(mut self, seed: impl Into<Option<i64>>) -> Self {
        self.seed = seed.into();
        self
    }

    /// `x` after dropout at a place: `input_0`, `output_0`, or `state_1` for the second tensor of the state.
    fn dropout(&self, keep: KeepProb, x: Tensor, place: String) -> Result<Tensor> {
        if !keep.drops() {
            return Ok(x);
        }
        let seed = self.seed.map(|seed| {
            let digest = md5::compute(format!("{seed}{place}"));
            i64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) & 0x7fff_ffff)
        });
        match &self.noise {
            None => Ok(keep.dropout(x, seed)),
            Some(noise) => {
                let mut noise = noise.lock().unwrap_or_else(PoisonError::into_inner);
                noise.retain(|_, noise| noise.graph_id() == x.graph_id());
                let noise = match noise.get(&place) {
                    Some(noise) => *noise,
                    None => *noise.entry(place).or_insert(noise_for(x, seed)?),
                };
                Ok(keep.dropout_by(x, noise))
            }
        }
    }
}

/// Noise for all rows of `x`, made once for all steps.
fn noise_for(x: Tensor, seed: Option<i64>) -> Result<Tensor> {
    let shape = x.shape();
    let sizes = shape.dims().and_then(|dims| dims.iter().skip(1).copied().collect::<Option<Vec<usize>>>());
    let Some(sizes) = sizes else {
        let message = format!("variational_recurrent needs known sizes, but a shape is {shape}");
        return Err(Error::invalid(message));
    };
    let graph = x.graph();
    let one_row: Vec<usize> = [1].into_iter().chain(sizes).collect();
    let uniform = Uniform::new(0, 1).seed(seed);
    Ok(graph.outside_of_bodies(|| graph.random_uniform_with(x.dtype(), one_row, uniform)))
}

impl<C: RnnCell> RnnCell for DropoutWrapper<C> {
    type State = C::State;

    fn state_size(&self) -> <C::State as RnnState>::Size {
        self.cell.state_size()
    }

    fn output_size(&self) -> usize {
        self.cell.output_size()
    }

    #[track_caller]
    fn call(&self, inputs: Tensor, state: C::State) -> (Tensor, C::State) {
        let graph = inputs.graph();
        let origin = graph.origin();
        let called = graph.with_origin(origin.clone(), || {
            let inputs = self.dropout(self.input, inputs, "input_0".to_owned())?;
            let (output, next) = self.cell.call(inputs, state);
            let tensors = next.flatten().into_iter().zip(next.droppable()).enumerate();
            let dropped: Vec<Tensor> = tensors
                .map(|(i, (x, droppable))| match droppable {
                    true => self.dropout(self.state, x, format!("state_{i}")),
                    false => Ok(x),
                })
                .collect::<Result<_>>()?;
            let output = self.dropout(self.output, output, "output_0".to_owned())?;
            Ok((output, next.rebuild(&mut dropped.into_iter())))
        });
        or_panic(called.map_err(|e: Error| e.with_origin(origin)))
    }

    #[track_caller]
    fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> C::State {
        zeros_within("DropoutWrapper", graph, || self.cell.zeros(graph, batch, dtype))
    }
}
