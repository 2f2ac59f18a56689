//! The rows of the standard ops; a file stands for the file of the same name in `tidemill-core/src/ops`.
//!
//! Expected values are TensorFlow's.

mod activation;
mod array;
mod bitwise;
mod broadcast;
mod clip;
mod compare;
mod complex;
mod constant;
mod control;
mod control_flow;
mod conv;
mod count;
mod einsum;
mod fft;
mod gather;
mod image;
mod in_top_k;
mod index;
mod join;
mod linalg;
mod list;
mod lstm_block;
mod math;
mod matmul;
mod nn;
mod no_nan;
mod norm;
mod optional;
mod pad;
mod partition;
mod pool;
mod ragged;
mod random;
mod rearrange;
mod reduce;
mod scan;
mod scatter;
mod search;
mod segment;
mod sequence;
mod sets;
mod space;
mod sparse;
mod sparse_segment;
mod special;
mod stack;
mod state;
mod tensor_array;
mod tensor_array_v3;
mod training;
mod trigonometry;
mod unary;
mod unique;
mod updates;

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
        bitwise::rows(),
        broadcast::rows(),
        clip::rows(),
        compare::rows(),
        complex::rows(),
        constant::rows(),
        control::rows(),
        control_flow::rows(),
        conv::rows(),
        count::rows(),
        einsum::rows(),
        fft::rows(),
        gather::rows(),
        image::rows(),
        in_top_k::rows(),
        index::rows(),
        join::rows(),
        linalg::rows(),
        list::rows(),
        lstm_block::rows(),
        math::rows(),
        matmul::rows(),
        nn::rows(),
        no_nan::rows(),
        norm::rows(),
        optional::rows(),
        pad::rows(),
        partition::rows(),
        pool::rows(),
        ragged::rows(),
        random::rows(),
        rearrange::rows(),
        reduce::rows(),
        scan::rows(),
        scatter::rows(),
        search::rows(),
        segment::rows(),
        sequence::rows(),
        sets::rows(),
        space::rows(),
        sparse::rows(),
        sparse_segment::rows(),
        special::rows(),
        stack::rows(),
        state::rows(),
        tensor_array::rows(),
        tensor_array_v3::rows(),
        training::rows(),
        trigonometry::rows(),
        unary::rows(),
        unique::rows(),
        updates::rows(),
    ]
    .concat()
}
