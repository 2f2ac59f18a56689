//! The ops of TensorFlow that this library knows, and the functions that add them to a graph.
//!
//! One op is one struct with its schema, shape rule and gradient, in the file of its family; its kernel stands in the file
//! of the same name in `tidemill-session`. Functions carry TensorFlow's Python names, and name their nodes as those do
//! (`a + b` makes an `AddV2` named `add`).

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
mod elementwise;
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
mod table;
mod tensor_array;
mod tensor_array_v3;
mod training;
mod trigonometry;
mod unary;
mod unique;
mod updates;
mod window;

pub use activation::*;
pub use array::*;
pub use bitwise::*;
pub use broadcast::*;
pub use clip::*;
pub use compare::*;
pub use complex::*;
pub use constant::*;
pub use control::*;
pub use control_flow::*;
pub use conv::*;
pub use count::*;
pub use einsum::*;
pub use fft::*;
pub use gather::*;
pub use image::*;
pub use in_top_k::*;
pub use index::*;
pub use join::*;
pub use linalg::*;
pub use list::*;
pub use lstm_block::*;
pub use math::*;
pub use matmul::*;
pub use nn::*;
pub use no_nan::*;
pub use norm::*;
pub use optional::*;
pub use pad::*;
pub use partition::*;
pub use pool::*;
pub use ragged::*;
pub use random::*;
pub use rearrange::*;
pub use reduce::*;
pub use scan::*;
pub use scatter::*;
pub use search::*;
pub use segment::*;
pub use sequence::*;
pub use sets::*;
pub use space::*;
pub use sparse::*;
pub use sparse_segment::*;
pub use special::*;
pub use stack::*;
pub use state::*;
pub use tensor_array::*;
pub use tensor_array_v3::*;
pub use training::*;
pub use trigonometry::*;
pub use unary::*;
pub use unique::*;
pub use updates::*;
pub use window::{AxisPadding, Layout, Motion};

use crate::error::{Error, or_panic};
use crate::graph::{Graph, OpBuilder};
use crate::handle::Tensor;
use crate::op::{Op, OpSet};
use crate::operand::{Operand, Resolved, ShapeArg};

/// Every op of this crate.
pub(crate) fn standard() -> OpSet {
    let families: &[fn(OpSet) -> OpSet] = &[
        activation::register,
        array::register,
        bitwise::register,
        broadcast::register,
        clip::register,
        compare::register,
        complex::register,
        constant::register,
        control::register,
        control_flow::register,
        conv::register,
        count::register,
        einsum::register,
        fft::register,
        gather::register,
        image::register,
        in_top_k::register,
        index::register,
        join::register,
        linalg::register,
        list::register,
        lstm_block::register,
        math::register,
        matmul::register,
        nn::register,
        no_nan::register,
        norm::register,
        optional::register,
        pad::register,
        partition::register,
        pool::register,
        ragged::register,
        random::register,
        rearrange::register,
        reduce::register,
        scan::register,
        scatter::register,
        search::register,
        segment::register,
        sequence::register,
        sets::register,
        space::register,
        sparse::register,
        sparse_segment::register,
        special::register,
        stack::register,
        state::register,
        tensor_array::register,
        tensor_array_v3::register,
        training::register,
        trigonometry::register,
        unary::register,
        unique::register,
        updates::register,
    ];
    families.iter().fold(OpSet::new(), |set, family| family(set))
}

/// One operand, one result.
#[track_caller]
pub(crate) fn unary(op: impl Op, name: &str, x: impl Into<Tensor>) -> Tensor {
    let x = x.into();
    x.graph().op(op).name(name).input(x).tensor()
}

/// Two operands named `x` and `y`, of which at least one is a tensor; a number takes the other's dtype.
#[track_caller]
pub(crate) fn binary(op: impl Op, name: &str, x: impl Operand, y: impl Operand) -> Tensor {
    let Some(known) = x.as_tensor().or(y.as_tensor()) else {
        or_panic(Err(Error::invalid(format!("{name} needs a tensor among its operands"))))
    };
    let like = known.dtype();
    let builder = known.graph().op(op).name(name);
    let builder = resolved(builder, "x", or_panic(x.resolve(like)));
    resolved(builder, "y", or_panic(y.resolve(like))).tensor()
}

/// Adds an operand; one that is not a tensor yet becomes the constant `node/arg`.
pub(crate) fn resolved(builder: OpBuilder, arg: &'static str, operand: Resolved) -> OpBuilder {
    match operand {
        Resolved::Tensor(t) => builder.input(t),
        Resolved::Value(v) => builder.constant(arg, v),
    }
}

/// Adds a shape operand; known dimensions become the constant `node/arg`.
pub(crate) fn shape_operand(builder: OpBuilder, arg: &'static str, shape: impl Into<ShapeArg>) -> OpBuilder {
    match shape.into().value() {
        Ok(value) => builder.constant(arg, value),
        Err(tensor) => builder.input(tensor),
    }
}

/// The tensors of a list, and the graph they belong to.
///
/// # Panics
/// When the list is empty: there is no graph to add to.
#[track_caller]
pub(crate) fn list<I: IntoIterator<Item: Into<Tensor>>>(tensors: I) -> (Graph, Vec<Tensor>) {
    let tensors: Vec<Tensor> = tensors.into_iter().map(Into::into).collect();
    (crate::graph::graph_of(&tensors), tensors)
}
