//! What users see when networks over time are given the wrong things.

use std::panic::{AssertUnwindSafe, catch_unwind};

use expect_test::{Expect, expect};
use tf::nn::rnn_cell::{BasicRNNCell, RawOutput, RawStep, RnnCell};
use tf::nn::{BidirectionalRnn, DynamicRnn, StaticRnn, raw_rnn};
use tf::ops::Nest;
use tf::{ErrorKind, Tensor, feed};
use tidemill as tf;

use crate::{session, waves};

/// The first line of what the panic of graph-building sugar says, without the place of something else.
#[track_caller]
fn panics<T>(build: impl FnOnce() -> T, want: Expect) {
    let panic = catch_unwind(AssertUnwindSafe(build)).err().expect("a mistake");
    let said = panic.downcast_ref::<String>().expect("a message");
    assert!(said.contains("mistakes.rs"), "{said}");
    let line = said.lines().next().unwrap_or_default();
    want.assert_eq(line.split(" at tests/").next().unwrap_or_default());
}

#[test]
fn building() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [Some(3), None, Some(2)]);
    let cell = BasicRNNCell::new(4);
    let dynamic = || DynamicRnn::new(&cell);
    let flat = g.placeholder(tf::f32, [3, 2]);
    panics(
        || dynamic().build(flat),
        expect!["the inputs of dynamic_rnn must be [batch, time, depth], but their shape is [3,2]"],
    );
    let four = g.placeholder(tf::i32, [4]);
    panics(
        || dynamic().sequence_length(four).build(x),
        expect!["sequence_length must be a vector of integers of length batch_size, [3], but is i32[4]"],
    );
    let floats = g.placeholder(tf::f32, [3]);
    panics(
        || dynamic().sequence_length(floats).build(x),
        expect!["sequence_length must be a vector of integers of length batch_size, [3], but is f32[3]"],
    );
    let matrix = g.placeholder(tf::i32, [3, 1]);
    panics(
        || StaticRnn::new(&cell).sequence_length(matrix).build([flat]),
        expect!["sequence_length must be a vector of integers of length batch_size, [3], but is i32[3,1]"],
    );
    panics(
        || StaticRnn::new(&cell).build(Vec::<Tensor>::new()),
        expect!["static_rnn needs at least one time step"],
    );
    panics(
        || BidirectionalRnn::new(&cell, &cell).unrolled(Vec::<Tensor>::new()),
        expect!["an unrolled network needs at least one time step"],
    );
    let narrow = g.placeholder(tf::f32, [3, 5]);
    panics(
        || dynamic().initial_state(narrow).build(x),
        expect![[r#"MatMul "rnn_4/basic_rnn_cell/MatMul": inner dimensions differ, 7 and 6"#]],
    );
    let other_batch = cell.zero_state(&g, 2, tf::f32);
    panics(
        || dynamic().initial_state(other_batch).build(x),
        expect![[
            r#"ConcatV2 "rnn_4/basic_rnn_cell/concat": values[1] has shape [2,4], the values before it [3,?]: they may differ along axis 1 only"#
        ]],
    );
    let wrong_type = cell.zero_state(&g, 3, tf::f64);
    panics(
        || dynamic().initial_state(wrong_type).build(x),
        expect![[r#"ConcatV2 "rnn_4/basic_rnn_cell/concat": `values` is f64, but `values` is f32"#]],
    );
    let depth = g.placeholder(tf::f32, [3, 5, 7]);
    dynamic().build(x);
    panics(
        || dynamic().build(depth),
        expect![
            "variable rnn/basic_rnn_cell/kernel is shared with shape [11,4], but was defined with shape [6,4]"
        ],
    );
}

/// What a loop function gives out first, and then.
#[track_caller]
fn gives_out<E: Nest>(first: impl Fn(Tensor) -> E, then: impl Fn(Tensor) -> E, want: Expect) {
    let g = tf::Graph::new();
    let cell = BasicRNNCell::new(4);
    let x = g.zeros(tf::f32, [3, 2]);
    let step = |time: Tensor, before: Option<RawOutput<Tensor, ()>>| RawStep {
        finished: tf::greater_equal(time + tf::zeros_like(g.constant([0, 0, 0])), 5),
        input: x,
        emit: before.as_ref().map_or_else(|| first(x), |last| then(last.output)),
        state: before.map_or_else(|| cell.zero_state(&g, 3, tf::f32), |last| last.state),
        loop_state: (),
    };
    panics(|| raw_rnn(&cell, &g, step), want);
}

#[test]
fn raw_networks() {
    gives_out(|x| vec![x], |y| vec![y, y], expect!["loop_fn gives out 1 tensors at time 0, but 2 later"]);
    gives_out(
        |x| x,
        |y| y,
        expect![[r#"Select "rnn/Select": `t` has shape [3,4], but `e` has shape [3,2]"#]],
    );
    gives_out(
        |x| x,
        |y| tf::cast(tf::split(y, 2, 1)[0], tf::f64),
        expect![[r#"Select "rnn/Select": `e` is f32, but `t` is f64"#]],
    );
}

#[test]
fn running() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, None, Some(2)]);
    let seq = g.placeholder(tf::i32, tf::PartialShape::unknown());
    let cell = BasicRNNCell::new(4);
    let (dynamic, _) = DynamicRnn::new(&cell).sequence_length(seq).build(x);
    let (steps, _) = StaticRnn::new(&cell).sequence_length(seq).build(tf::unstack_num(x, 3, 1));
    let ((_, back), _) = BidirectionalRnn::new(&cell, &cell).sequence_length(seq).dynamic(x);
    let sess = session(&g, true);
    let wrong: [tf::Value; 4] = [[1, 2].into(), [1, 2, 3, 4].into(), 2.into(), [[1, 2, 3]].into()];
    for lengths in wrong.iter().chain([&[1].into()]) {
        for y in [dynamic, steps[1], back] {
            let error = sess.run(y, feed! { x => waves(&[3, 3, 2]), seq => lengths }).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
    for lengths in [[-1, 0, 0], [0, 4, 0]] {
        let error = sess.run(back, feed! { x => waves(&[3, 3, 2]), seq => lengths }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    sess.run((dynamic, &steps, back), feed! { x => waves(&[3, 3, 2]), seq => [0, 1, 3] }).unwrap();
}
