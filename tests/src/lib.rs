//! What the whole-system tests share: golden data recorded from TensorFlow, and the networks that some of it is of.
#![forbid(unsafe_code)]

pub mod golden;
pub mod tutorial;
