//! What cells hand on from step to step.

use tidemill_core::ops::{self, Nest, Pack};
use tidemill_core::{DType, Graph, Tensor, Value};

/// What a cell hands on from step to step: a tensor `[batch, size]`, or several of them, nested.
pub trait RnnState: Nest {
    /// The sizes of the tensors, nested alike.
    type Size: Clone;

    /// Zeros for `batch` sequences.
    #[track_caller]
    fn zeros(graph: &Graph, batch: BatchSize, size: &Self::Size, dtype: DType) -> Self;

    /// Whether [`DropoutWrapper`](super::DropoutWrapper) may drop elements of each tensor: of all but the memory `c` of an [`LSTMStateTuple`].
    fn droppable(&self) -> Vec<bool> {
        vec![true; self.flatten().len()]
    }
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
}

macro_rules! tuple_state {
    ($($name:ident $i:tt)*) => {
        impl<$($name: RnnState),*> RnnState for ($($name,)*) {
            type Size = ($($name::Size,)*);

            #[track_caller]
            fn zeros(graph: &Graph, batch: BatchSize, size: &Self::Size, dtype: DType) -> Self {
                ($($name::zeros(graph, batch, &size.$i, dtype),)*)
            }

            fn droppable(&self) -> Vec<bool> {
                [$(self.$i.droppable()),*].concat()
            }
        }
    };
}
tuple_state!(A 0);
tuple_state!(A 0 B 1);
tuple_state!(A 0 B 1 C 2);
tuple_state!(A 0 B 1 C 2 D 3);
tuple_state!(A 0 B 1 C 2 D 3 E 4);
tuple_state!(A 0 B 1 C 2 D 3 E 4 F 5);
tuple_state!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
tuple_state!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);

impl<S: RnnState> RnnState for Vec<S> {
    type Size = Vec<S::Size>;

    #[track_caller]
    fn zeros(graph: &Graph, batch: BatchSize, size: &Self::Size, dtype: DType) -> Self {
        size.iter().map(|size| S::zeros(graph, batch, size, dtype)).collect()
    }

    fn droppable(&self) -> Vec<bool> {
        self.iter().flat_map(S::droppable).collect()
    }
}

/// The state of a long short-term memory, and its size. TensorFlow: `tf.nn.rnn_cell.LSTMStateTuple`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LSTMStateTuple<T = Tensor> {
    /// The memory, `[batch, units]`.
    pub c: T,
    /// The output of the step before, `[batch, output_size]`.
    pub h: T,
}

impl Nest for LSTMStateTuple {
    fn flatten(&self) -> Vec<Tensor> {
        vec![self.c, self.h]
    }
    fn rebuild(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
        LSTMStateTuple { c: self.c.rebuild(tensors), h: self.h.rebuild(tensors) }
    }
}

impl RnnState for LSTMStateTuple {
    type Size = LSTMStateTuple<usize>;

    #[track_caller]
    fn zeros(graph: &Graph, batch: BatchSize, size: &Self::Size, dtype: DType) -> Self {
        LSTMStateTuple {
            c: Tensor::zeros(graph, batch, &size.c, dtype),
            h: Tensor::zeros(graph, batch, &size.h, dtype),
        }
    }

    fn droppable(&self) -> Vec<bool> {
        vec![false, true]
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
