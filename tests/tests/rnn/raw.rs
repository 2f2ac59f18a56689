//! `raw_rnn`: what a loop function can decide.

use tf::nn::rnn_cell::{BasicRNNCell, BatchSize, RawStep, RnnCell};
use tf::nn::{DynamicRnn, raw_rnn};
use tf::{Tensor, feed};
use tidemill as tf;
use tidemill_conformance::check_gradients;

use crate::{gradients, same, session, variables, waves};

/// `dynamic_rnn` written with `raw_rnn`, as its documentation in TensorFlow shows.
#[test]
fn it_can_do_what_dynamic_rnn_does() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, None, Some(2)]);
    let seq = g.placeholder(tf::i32, [None]);
    let cell = BasicRNNCell::new(4);
    let by_time = tf::transpose_perm(x, [1, 0, 2]);
    let steps = tf::index(tf::shape(by_time), 0);
    let input = |time: Tensor, over: Tensor| {
        let zeros = tf::zeros_like(tf::reduce_sum_with(x, 1));
        tf::cond(
            tf::reduce_all(over),
            || zeros,
            || tf::ensure_shape(tf::gather(by_time, time), [None, Some(2)]),
        )
    };
    let (outputs, state, ()) = raw_rnn(&cell, &g, |time, before| {
        let finished = tf::greater_equal(time, tf::minimum(seq, steps));
        let (state, emit) = match before {
            None => {
                let zero = cell.zero_state(&g, BatchSize::of(x), tf::f64);
                (zero, zero)
            }
            Some(last) => (last.state, last.output),
        };
        RawStep { finished, input: input(time, finished), state, emit, loop_state: () }
    });
    let outputs = tf::transpose_perm(outputs, [1, 0, 2]);
    let (want, last) = DynamicRnn::new(&cell).sequence_length(seq).build(x);
    assert_eq!(g.trainable_variables().len(), 2);
    let mut xs = variables(&g);
    xs.push(x);
    let mut pairs = vec![(outputs, want), (state, last)];
    pairs.extend(gradients(&[outputs, state], &xs).into_iter().zip(gradients(&[want, last], &xs)));
    let feeds = feed! { x => waves(&[3, 5, 2]), seq => [2, 0, 5] };
    same(&g, &pairs, &feeds);
    check_gradients(&session(&g, true), &[outputs, state], &xs, feeds, 1).unwrap();
}

/// Goes on until each sequence has had so much, feeding outputs back; gives out pairs, and counts the steps of each sequence.
#[test]
fn the_end_may_depend_on_the_outputs() {
    let g = tf::Graph::new();
    let start = g.placeholder(tf::f64, [None, Some(2)]);
    let limit = g.placeholder(tf::f64, ());
    let cell = BasicRNNCell::new(2).activation(|x| tf::sigmoid(x));
    let zero = cell.zero_state(&g, BatchSize::of(start), tf::f64);
    let none = tf::reduce_sum_with(tf::zeros_like(start), 1);
    let ((outputs, sums), state, (sum, count)) = raw_rnn(&cell, &g, |_, before| match before {
        None => RawStep {
            finished: tf::greater_equal(none, limit),
            input: start,
            state: zero,
            emit: (zero, none),
            loop_state: (none, tf::cast(none, tf::i32)),
        },
        Some(last) => {
            let (sum, count) = last.loop_state;
            let sum = sum + tf::reduce_sum_with(last.output, 1);
            RawStep {
                finished: tf::greater_equal(sum, limit),
                input: last.output,
                state: last.state,
                emit: (last.output, sum),
                loop_state: (sum, count + 1),
            }
        }
    });
    assert_eq!(outputs.ty().to_string(), "f64[?,?,2]");
    let sess = session(&g, true);
    let feeds = feed! { start => waves(&[3, 2]), limit => 4.0 };
    let (out, sums, last, total, steps) = sess.run((outputs, sums, state, sum, count), &feeds).unwrap();
    let time = out.shape()[0];
    assert_eq!(steps.to_vec::<i32>().unwrap(), [time as i32; 3], "the loop state goes on for all");
    let (out, sums, last) =
        (out.view::<f64>().unwrap(), sums.view::<f64>().unwrap(), last.view::<f64>().unwrap());
    assert!(total.iter_f64().all(|sum| sum >= 4.0));
    for row in 0..3 {
        let mut sum = 0.0;
        let mut end = 0;
        while sum < 4.0 {
            sum += out[[end, row, 0]] + out[[end, row, 1]];
            assert!((sums[[end, row]] - sum).abs() < 1e-12, "row {row}, time {end}");
            end += 1;
        }
        assert_eq!([last[[row, 0]], last[[row, 1]]], [out[[end - 1, row, 0]], out[[end - 1, row, 1]]]);
        assert!(
            (end..time).all(|t| out[[t, row, 0]] == 0.0 && sums[[t, row]] == 0.0),
            "row {row} ends at {end}"
        );
    }
    let mut xs = variables(&g);
    xs.push(start);
    check_gradients(&sess, &[outputs, state], &xs, feeds, 1).unwrap();

    let never = sess.run((outputs, state), feed! { start => waves(&[3, 2]), limit => 0.0 }).unwrap();
    assert_eq!(never.0.shape(), &tf::Shape::from([0, 3, 2]));
    assert!(never.1.iter_f64().all(|v| v == 0.0));
}
