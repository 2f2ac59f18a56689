//! Masks and losses of sequences of different lengths.

use tidemill_core::{DType, Error, Graph, Origin, Tensor, ops};

use crate::or_panic;

/// Which places of a sequence are inside its length: `mask[i, .., j] = j < lengths[i, ..]`, of shape `lengths.shape + [maxlen]`; the longest length
/// where `maxlen` is `None`. TensorFlow: `tf.sequence_mask`.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::sequence::sequence_mask;
/// let g = Graph::new();
/// let lengths = g.placeholder(DType::I32, [None]);
/// assert_eq!(sequence_mask(lengths, Some(5), DType::F32).ty().to_string(), "f32[?,5]");
/// assert_eq!(sequence_mask(lengths, None, DType::Bool).ty().to_string(), "bool[?,?]");
/// ```
///
/// # Panics
/// When `lengths` are no integers.
#[track_caller]
pub fn sequence_mask(lengths: impl Into<Tensor>, maxlen: Option<usize>, dtype: DType) -> Tensor {
    let lengths = lengths.into();
    let graph = lengths.graph();
    let build = || {
        if !lengths.dtype().is_integer() {
            return Err(Error::invalid(format!("the lengths must be integers, not {}", lengths.ty())));
        }
        let zero = graph.constant(0i32);
        let one = graph.constant(1i32);
        let limit = match maxlen {
            Some(n) => graph.constant(i32::try_from(n).map_err(|_| Error::invalid("maxlen is too large"))?),
            None => ops::maximum(ops::cast(ops::reduce_max(lengths), DType::I32), 0),
        };
        let places = ops::cast(graph.range(zero, limit, one), lengths.dtype());
        let mask = ops::less(places, ops::expand_dims(lengths, -1));
        Ok(if dtype == DType::Bool { mask } else { ops::cast(mask, dtype) })
    };
    let origin = Origin::here();
    let mask = graph.with_origin(origin.clone(), || graph.name_scope("SequenceMask").enter(build));
    or_panic(mask.map_err(|e| e.with_origin(origin)))
}

/// The weighted cross-entropy of sequences of logits `[batch, time, classes]` against `targets` `[batch, time]`, with weights `[batch, time]` of the
/// logits' dtype, which mask what is not to count. TensorFlow: `tf.contrib.seq2seq.sequence_loss`.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_nn::sequence::SequenceLoss;
/// let g = Graph::new();
/// let logits = g.placeholder(DType::F32, [8, 5, 10]);
/// let targets = g.placeholder(DType::I32, [8, 5]);
/// let weights = g.placeholder(DType::F32, [8, 5]);
/// let loss = SequenceLoss::new();
/// assert_eq!(loss.of(logits, targets, weights).ty().to_string(), "f32[]");
/// assert_eq!(loss.average_across_batch(false).of(logits, targets, weights).ty().to_string(), "f32[8]");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SequenceLoss {
    timesteps: bool,
    batch: bool,
}

impl Default for SequenceLoss {
    fn default() -> Self {
        SequenceLoss::new()
    }
}

impl SequenceLoss {
    /// Averaged across time steps and across the batch: a scalar.
    pub fn new() -> SequenceLoss {
        SequenceLoss { timesteps: true, batch: true }
    }

    /// Whether the loss is divided by the sum of the weights along time.
    pub fn average_across_timesteps(mut self, average: bool) -> Self {
        self.timesteps = average;
        self
    }

    /// Whether the loss is divided by the sum of the weights along the batch.
    pub fn average_across_batch(mut self, average: bool) -> Self {
        self.batch = average;
        self
    }

    /// The loss: a scalar, `[batch]`, `[time]` or `[batch, time]`, as averages are taken or not.
    ///
    /// # Panics
    /// When shapes do not fit each other.
    #[track_caller]
    pub fn of(
        self,
        logits: impl Into<Tensor>,
        targets: impl Into<Tensor>,
        weights: impl Into<Tensor>,
    ) -> Tensor {
        let (logits, targets, weights) = (logits.into(), targets.into(), weights.into());
        let graph: Graph = logits.graph();
        let build = || {
            let ranks = [(logits, 3, "logits"), (targets, 2, "targets"), (weights, 2, "weights")];
            for (tensor, rank, name) in ranks {
                if tensor.shape().rank().is_some_and(|r| r != rank) {
                    return Err(Error::invalid(format!(
                        "the {name} must have {rank} dimensions, not {}",
                        tensor.ty()
                    )));
                }
            }
            let losses = ops::sparse_softmax_cross_entropy_with_logits(targets, logits);
            let weighted = losses * weights;
            // As TensorFlow: nothing is divided by zero where all weights are.
            let tiny = 1e-12;
            Ok(match (self.timesteps, self.batch) {
                (true, true) => ops::reduce_sum(weighted) / (ops::reduce_sum(weights) + tiny),
                (false, false) => weighted,
                (timesteps, _) => {
                    let axis = if timesteps { 1 } else { 0 };
                    ops::reduce_sum_with(weighted, axis) / (ops::reduce_sum_with(weights, axis) + tiny)
                }
            })
        };
        let origin = Origin::here();
        let loss = graph.with_origin(origin.clone(), || graph.name_scope("sequence_loss").enter(build));
        or_panic(loss.map_err(|e| e.with_origin(origin)))
    }
}
