//! Recurrent cells: one step each.

mod basic;
mod basic_lstm;
mod dropout;
mod gru;
mod keep;
mod layer;
mod layer_norm_lstm;
mod lstm;
mod multi;
mod output_projection;
mod residual;

use std::sync::Arc;

use tidemill_core::{DType, Graph, Origin, Tensor};

pub use basic::BasicRNNCell;
pub use basic_lstm::BasicLSTMCell;
pub use dropout::DropoutWrapper;
pub use gru::GRUCell;
pub use layer::Layer;
pub use layer_norm_lstm::LayerNormBasicLSTMCell;
pub use lstm::LSTMCell;
pub use multi::{Cells, MultiRNNCell};
pub use output_projection::OutputProjectionWrapper;
pub use residual::ResidualWrapper;

use super::{BatchSize, RnnState};

/// One step of a recurrent network.
///
/// A cell makes its variables when it is first called, in the variable scope that is open then, and shares them in all later
/// calls. [`Layer`] does so for cells of one's own, and shows one.
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

    /// [`zero_state`](RnnCell::zero_state), for cells behind a `dyn RnnCell` too. Cells around others hand it on.
    #[track_caller]
    fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> Self::State {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        let name = path.rsplit("::").next().unwrap_or(path);
        zeros_within(name, graph, || RnnState::zeros(graph, batch, &self.state_size(), dtype))
    }
}

/// The zeros that `f` makes for a cell of this name.
#[track_caller]
fn zeros_within<S>(name: &str, graph: &Graph, f: impl FnOnce() -> S) -> S {
    graph.with_origin(Origin::here(), || graph.name_scope(&format!("{name}ZeroState")).enter(f))
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<C: RnnCell + ?Sized> RnnCell for $pointer {
            type State = C::State;

            fn state_size(&self) -> <C::State as RnnState>::Size {
                (**self).state_size()
            }

            fn output_size(&self) -> usize {
                (**self).output_size()
            }

            #[track_caller]
            fn call(&self, inputs: Tensor, state: C::State) -> (Tensor, C::State) {
                // A `dyn` cell does not know its caller.
                inputs.graph().with_origin(Origin::here(), || (**self).call(inputs, state))
            }

            #[track_caller]
            fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> C::State {
                graph.with_origin(Origin::here(), || (**self).zeros(graph, batch, dtype))
            }
        }
    )*};
}
forward!(&C, Box<C>, Arc<C>);
