//! What neural networks are built and trained with: initialisers, optimizers, clipping, dropout, normalisation and recurrent cells.
//!
//! | Module | TensorFlow |
//! |---|---|
//! | [`init`] | `tf.initializers` |
//! | [`train`] | `tf.train`: optimizers, learning rates that change, moving averages and the global step |
//! | [`clip`] | `tf.clip_by_value`, `tf.clip_by_norm`, `tf.clip_by_global_norm` |
//! | [`dropout`] | `tf.nn.dropout` |
//! | [`normalization`] | `tf.nn.moments`, `tf.nn.batch_normalization` |
//! | [`rnn`] | `tf.nn.rnn_cell`, `tf.nn.static_rnn`, `tf.nn.dynamic_rnn` |
//! | [`sequence`] | `tf.sequence_mask`, `tf.contrib.seq2seq.sequence_loss` |
//!
//! Everything here is written against the public interface of `tidemill-core`, and can be taken as a pattern for one's own.
#![forbid(unsafe_code)]

pub mod clip;
pub mod dropout;
pub mod init;
pub mod normalization;
pub mod rnn;
pub mod sequence;
pub mod train;

/// The value, or a panic with the rendered error at the caller's line.
#[track_caller]
pub(crate) fn or_panic<T>(result: tidemill_core::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// The name of the open name scope, for the node that is the scope's result.
pub(crate) fn exact_scope(graph: &tidemill_core::Graph) -> String {
    format!("{}/", graph.current_name_scope())
}
