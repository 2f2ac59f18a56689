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

mod bidirectional;
mod cells;
mod dynamic_rnn;
mod lengths;
mod raw_rnn;
mod state;
mod static_rnn;

pub use bidirectional::BidirectionalRnn;
pub use cells::{
    BasicLSTMCell, BasicRNNCell, Cells, DropoutWrapper, GRUCell, LSTMCell, Layer, LayerNormBasicLSTMCell,
    MultiRNNCell, OutputProjectionWrapper, ResidualWrapper, RnnCell,
};
pub use dynamic_rnn::{DynamicRnn, dynamic_rnn};
pub use raw_rnn::{RawOutput, RawStep, raw_rnn};
pub use state::{BatchSize, LSTMStateTuple, RnnState};
pub use static_rnn::{StaticRnn, static_rnn};
