//! What the whole-system tests share: reading golden data recorded from TensorFlow.
#![forbid(unsafe_code)]

pub mod golden;
