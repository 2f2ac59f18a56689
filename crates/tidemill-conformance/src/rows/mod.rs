//! The rows of the standard ops; a file stands for the file of the same name in `tidemill-core/src/ops`.
//!
//! Expected values are TensorFlow's.

mod activation;
mod array;
mod broadcast;
mod compare;
mod constant;
mod control;
mod control_flow;
mod gather;
mod index;
mod join;
mod linalg;
mod list;
mod lstm_block;
mod math;
mod matmul;
mod nn;
mod optional;
mod pad;
mod random;
mod reduce;
mod sequence;
mod stack;
mod state;
mod tensor_array;
mod tensor_array_v3;
mod training;
mod unary;
mod unique;

use tidemill_core::{Op, Tensor, gradients};

use crate::row::{Input, Row, row_of};

/// A row of the gradients of `f` with respect to its operands, to expect what they are where differences cannot tell: on kinks, and
/// where floats overflow.
#[track_caller]
fn slopes<O: Op>(f: fn(&[Tensor]) -> Tensor, inputs: impl IntoIterator<Item = Input>) -> Row {
    row_of::<O>(move |t| gradients([f(t)], t).into_iter().flatten().collect(), inputs).values_only()
}

pub(crate) fn standard() -> Vec<Row> {
    [
        activation::rows(),
        array::rows(),
        broadcast::rows(),
        compare::rows(),
        constant::rows(),
        control::rows(),
        control_flow::rows(),
        gather::rows(),
        index::rows(),
        join::rows(),
        linalg::rows(),
        list::rows(),
        lstm_block::rows(),
        math::rows(),
        matmul::rows(),
        nn::rows(),
        optional::rows(),
        pad::rows(),
        random::rows(),
        reduce::rows(),
        sequence::rows(),
        stack::rows(),
        state::rows(),
        tensor_array::rows(),
        tensor_array_v3::rows(),
        training::rows(),
        unary::rows(),
        unique::rows(),
    ]
    .concat()
}
