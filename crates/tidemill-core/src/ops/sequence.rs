//! Sequences of different lengths in one tensor.

use crate::attrs;
use crate::autodiff::{GradCx, Grads};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{NoGrad, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<ReverseSequence>()
}

/// The operand with the first `seq_lengths[i]` slices along `seq_dim` in reverse order, for each `i` along `batch_dim`; the rest as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ReverseSequence {
    /// The axis that is reversed.
    pub seq_dim: i64,
    /// The axis along which the lengths stand.
    pub batch_dim: i64,
}
attrs!(ReverseSequence { seq_dim, batch_dim });

impl Op for ReverseSequence {
    const SCHEMA: Schema =
        Schema::new("ReverseSequence", "(input: T, seq_lengths: Tlen) -> (output: T) where Tlen: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        let axes = [(self.seq_dim, "seq_dim"), (self.batch_dim, "batch_dim")];
        if self.seq_dim == self.batch_dim {
            return Err(Error::invalid(format!("seq_dim and batch_dim are both {}", self.seq_dim)));
        }
        if let Some((axis, name)) = axes.iter().find(|(axis, _)| *axis < 0) {
            return Err(Error::invalid(format!("{name} is {axis}, but must not be negative")));
        }
        let Some(dims) = cx.shape(0).dims() else { return cx.same_as_input(0) };
        for (axis, name) in axes {
            if axis >= dims.len() as i64 {
                return Err(Error::invalid(format!(
                    "{name} is {axis}, but the input has shape {}",
                    cx.shape(0)
                )));
            }
        }
        let (batch, lengths) = (dims[self.batch_dim as usize], cx.shape(1).dim(0));
        if let (Some(batch), Some(lengths)) = (batch, lengths)
            && batch != lengths
        {
            return Err(Error::invalid(format!("there are {lengths} lengths for a batch of {batch}")));
        }
        let mut out = dims.to_vec();
        out[self.batch_dim as usize] = batch.or(lengths);
        cx.output(cx.dtype(0), out)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(self.clone(), &[cx.dy(0), cx.x(1)]), NoGrad])
    }
}

/// `x` with the first `lengths[i]` slices along `seq_axis` in reverse order, for each `i` along `batch_axis`; what comes after stays. TensorFlow:
/// `tf.reverse_sequence`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(5), Some(2)]);
/// let lengths = g.placeholder(DType::I32, [None]);
/// assert_eq!(ops::reverse_sequence(x, lengths, 1, 0).ty().to_string(), "f32[?,5,2]");
/// ```
///
/// # Panics
/// When the axes are equal or out of range, or the lengths are not one integer for each `i`.
#[track_caller]
pub fn reverse_sequence(
    x: impl Into<Tensor>,
    lengths: impl Into<Tensor>,
    seq_axis: i32,
    batch_axis: i32,
) -> Tensor {
    let x = x.into();
    let op = ReverseSequence { seq_dim: i64::from(seq_axis), batch_dim: i64::from(batch_axis) };
    x.graph().op(op).input(x).input(lengths.into()).tensor()
}
