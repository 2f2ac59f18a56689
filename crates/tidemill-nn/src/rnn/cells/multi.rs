//! Cells one above the other.

use tidemill_core::{DType, Error, Graph, Origin, Tensor};

use super::layer::Layer;
use super::{RnnCell, zeros_within};
use crate::or_panic;
use crate::rnn::{BatchSize, RnnState};

/// Cells one above the other: each reads the output of the one below. The state holds theirs. TensorFlow: `tf.nn.rnn_cell.MultiRNNCell`.
///
/// Cells of one type stand in a vector, and the state is a vector too. Others stand in a tuple, or in a vector of boxes if their states are of one type.
/// The variables are in the scopes `multi_rnn_cell/cell_0`, `multi_rnn_cell/cell_1`, ...
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::rnn::{BasicLSTMCell, BasicRNNCell, GRUCell, MultiRNNCell, RnnCell};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [3, 2]);
///
/// let deep = MultiRNNCell::new(vec![BasicLSTMCell::new(8), BasicLSTMCell::new(4)]);
/// let (output, state) = deep.call(x, deep.zero_state(&g, 3, DType::F32));
/// assert_eq!(output, state[1].h);
/// assert_eq!(g.trainable_variables()[0].name(), "multi_rnn_cell/cell_0/basic_lstm_cell/kernel:0");
///
/// let mixed = MultiRNNCell::new((BasicLSTMCell::new(8), GRUCell::new(4)));
/// let (output, (lstm, gru)) = mixed.call(x, mixed.zero_state(&g, 3, DType::F32));
/// assert_eq!((output, lstm.c.ty().to_string()), (gru, "f32[3,8]".to_owned()));
///
/// let boxed: Vec<Box<dyn RnnCell<State = _>>> = vec![Box::new(GRUCell::new(8)), Box::new(BasicRNNCell::new(4))];
/// assert_eq!(MultiRNNCell::new(boxed).state_size(), [8, 4]);
/// ```
#[derive(Debug, Clone)]
pub struct MultiRNNCell<C: Cells> {
    cells: C,
    layer: Layer,
}

impl<C: Cells> MultiRNNCell<C> {
    /// Of these cells, the lowest first.
    ///
    /// # Panics
    /// When there are none.
    #[track_caller]
    pub fn new(cells: C) -> Self {
        if cells.output_size().is_none() {
            or_panic(Err(Error::invalid("MultiRNNCell needs at least one cell").with_origin(Origin::here())))
        }
        MultiRNNCell { cells, layer: Layer::new("multi_rnn_cell") }
    }
}

impl<C: Cells> RnnCell for MultiRNNCell<C> {
    type State = C::State;

    fn state_size(&self) -> <C::State as RnnState>::Size {
        self.cells.state_size()
    }

    fn output_size(&self) -> usize {
        self.cells.output_size().unwrap_or_default()
    }

    #[track_caller]
    fn call(&self, inputs: Tensor, state: C::State) -> (Tensor, C::State) {
        self.layer.enter(inputs, |_| self.cells.call(inputs, state))
    }

    #[track_caller]
    fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> C::State {
        zeros_within("MultiRNNCell", graph, || self.cells.zeros(graph, batch, dtype))
    }
}

/// What a [`MultiRNNCell`] is made of: a vector of cells, or a tuple of up to eight.
pub trait Cells {
    /// The states of all.
    type State: RnnState;
    /// The sizes of the states.
    fn state_size(&self) -> <Self::State as RnnState>::Size;
    /// The size of the last one's output; `None` when there are no cells.
    fn output_size(&self) -> Option<usize>;
    /// Calls one after the other.
    #[track_caller]
    fn call(&self, inputs: Tensor, state: Self::State) -> (Tensor, Self::State);
    /// States of zeros.
    #[track_caller]
    fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> Self::State;
}

/// Calls the cell at place `i` in its scope.
#[track_caller]
fn call_at<C: RnnCell>(i: usize, cell: &C, inputs: Tensor, state: C::State) -> (Tensor, C::State) {
    let graph = inputs.graph();
    graph.with_origin(Origin::here(), || {
        graph.variable_scope(&format!("cell_{i}")).enter(|_| cell.call(inputs, state))
    })
}

impl<C: RnnCell> Cells for Vec<C> {
    type State = Vec<C::State>;

    fn state_size(&self) -> Vec<<C::State as RnnState>::Size> {
        self.iter().map(C::state_size).collect()
    }

    fn output_size(&self) -> Option<usize> {
        self.last().map(C::output_size)
    }

    #[track_caller]
    fn call(&self, mut inputs: Tensor, state: Self::State) -> (Tensor, Self::State) {
        if state.len() != self.len() {
            let message = format!("a state of {} parts for {} cells", state.len(), self.len());
            or_panic(Err(Error::invalid(message).with_origin(inputs.graph().origin())))
        }
        let mut states = Vec::with_capacity(self.len());
        for (i, (cell, state)) in self.iter().zip(state).enumerate() {
            let (output, next) = call_at(i, cell, inputs, state);
            inputs = output;
            states.push(next);
        }
        (inputs, states)
    }

    #[track_caller]
    fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> Self::State {
        self.iter().map(|cell| cell.zeros(graph, batch, dtype)).collect()
    }
}

macro_rules! tuple_cells {
    ($($cell:ident $i:tt)* ; $last:tt) => {
        impl<$($cell: RnnCell),*> Cells for ($($cell,)*) {
            type State = ($($cell::State,)*);

            fn state_size(&self) -> <Self::State as RnnState>::Size {
                ($(self.$i.state_size(),)*)
            }

            fn output_size(&self) -> Option<usize> {
                Some(self.$last.output_size())
            }

            #[track_caller]
            fn call(&self, mut inputs: Tensor, state: Self::State) -> (Tensor, Self::State) {
                let states = ($({
                    let (output, next) = call_at($i, &self.$i, inputs, state.$i);
                    inputs = output;
                    next
                },)*);
                (inputs, states)
            }

            #[track_caller]
            fn zeros(&self, graph: &Graph, batch: BatchSize, dtype: DType) -> Self::State {
                ($(self.$i.zeros(graph, batch, dtype),)*)
            }
        }
    };
}
tuple_cells!(A 0; 0);
tuple_cells!(A 0 B 1; 1);
tuple_cells!(A 0 B 1 C 2; 2);
tuple_cells!(A 0 B 1 C 2 D 3; 3);
tuple_cells!(A 0 B 1 C 2 D 3 E 4; 4);
tuple_cells!(A 0 B 1 C 2 D 3 E 4 F 5; 5);
tuple_cells!(A 0 B 1 C 2 D 3 E 4 F 5 G 6; 6);
tuple_cells!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7; 7);
