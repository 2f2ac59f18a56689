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

impl<A: RnnState, B: RnnState> RnnState for (A, B) {
    type Size = (A::Size, B::Size);

    #[track_caller]
    fn zeros(graph: &Graph, batch: BatchSize, size: &Self::Size, dtype: DType) -> Self {
        (A::zeros(graph, batch, &size.0, dtype), B::zeros(graph, batch, &size.1, dtype))
    }
}

impl<S: RnnState> RnnState for Vec<S> {
    type Size = Vec<S::Size>;

    #[track_caller]
    fn zeros(graph: &Graph, batch: BatchSize, size: &Self::Size, dtype: DType) -> Self {
        size.iter().map(|size| S::zeros(graph, batch, size, dtype)).collect()
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
