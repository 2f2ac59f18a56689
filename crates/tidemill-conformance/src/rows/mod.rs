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
mod math;
mod matmul;
mod nn;
mod pad;
mod random;
mod reduce;
mod state;
mod training;
mod unary;
mod unique;

use crate::row::Row;

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
        math::rows(),
        matmul::rows(),
        nn::rows(),
        pad::rows(),
        random::rows(),
        reduce::rows(),
        state::rows(),
        training::rows(),
        unary::rows(),
        unique::rows(),
    ]
    .concat()
}
