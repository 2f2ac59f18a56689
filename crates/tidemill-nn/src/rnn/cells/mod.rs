//! Recurrent cells: one step each.

mod basic;
mod basic_lstm;
mod gru;
mod layer;
mod lstm;

use tidemill_core::{DType, Graph, Origin, Tensor};

pub use basic::BasicRNNCell;
pub use basic_lstm::BasicLSTMCell;
pub use gru::GRUCell;
pub use layer::Layer;
pub use lstm::LSTMCell;

use super::{BatchSize, RnnState};

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
    fn zero_state(&self, graph: &Graph, batch_size: impl Into<BatchSize>, dtype: DType) -> Self::State
    where
        Self: Sized,
    {
        self.zeros(graph, batch_size.into(), dtype)
    }

    /// [`zero_state`](RnnCell::zero_state) for cells behind a `dyn RnnCell`; wrappers hand it on.
    #[track_caller]
    fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> Self::State {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        let scope = format!("{}ZeroState", path.rsplit("::").next().unwrap_or(path));
        graph.with_origin(Origin::here(), || {
            graph.name_scope(&scope).enter(|| RnnState::zeros(graph, batch, &self.state_size(), dtype))
        })
    }
}
