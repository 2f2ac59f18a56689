//! Networks both ways against two networks one way.

use tf::nn::rnn_cell::BasicRNNCell;
use tf::nn::{BidirectionalRnn, DynamicRnn};
use tf::{Tensor, feed};
use tidemill as tf;

use crate::{gradients, same, variables, waves};

fn check(lengths: Option<[i32; 3]>, time_major: bool) {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, None, Some(2)]);
    let seq = g.placeholder(tf::i32, [None]);
    let mut feeds = feed! { x => waves(&[3, 5, 2]) };
    let (fw, bw) = (BasicRNNCell::new(4), BasicRNNCell::new(3));
    let swap = |x: Tensor| if time_major { tf::transpose_perm(x, [1, 0, 2]) } else { x };
    let (mut dynamic, mut unrolled) = (BidirectionalRnn::new(&fw, &bw), BidirectionalRnn::new(&fw, &bw));
    if let Some(lengths) = lengths {
        (dynamic, unrolled) = (dynamic.sequence_length(seq), unrolled.sequence_length(seq));
        feeds.insert(seq, lengths);
    }
    let ((ahead, back), (last, first)) = dynamic.time_major(time_major).dynamic(swap(x));
    let (ahead, back) = (swap(ahead), swap(back));
    let names: Vec<String> = g.trainable_variables().iter().map(|v| v.op().name()).collect();
    assert_eq!(names[0], "bidirectional_rnn/fw/basic_rnn_cell/kernel");
    assert_eq!(names[2], "bidirectional_rnn/bw/basic_rnn_cell/kernel");

    let (steps, (unrolled_last, unrolled_first)) = unrolled.unrolled(tf::unstack_num(x, 5, 1));
    let (steps, both) = (tf::stack(&steps, 1), tf::concat([ahead, back], 2));

    let turn = |x: Tensor| match lengths {
        Some(_) => tf::reverse_sequence(x, seq, 1, 0),
        None => tf::reverse(x, [1]),
    };
    let one_way = |cell, x| match lengths {
        Some(_) => DynamicRnn::new(cell).sequence_length(seq).build(x),
        None => DynamicRnn::new(cell).build(x),
    };
    let (by_hand_ahead, by_hand_last) = one_way(&fw, x);
    let (by_hand_back, by_hand_first) = one_way(&bw, turn(x));
    assert_eq!(g.trainable_variables().len(), 4, "all share the cells'");

    let mut xs = variables(&g);
    xs.push(x);
    let mut pairs = vec![
        (both, steps),
        (last, unrolled_last),
        (first, unrolled_first),
        (ahead, by_hand_ahead),
        (last, by_hand_last),
        (back, turn(by_hand_back)),
        (first, by_hand_first),
    ];
    pairs.extend(gradients(&[both, last], &xs).into_iter().zip(gradients(&[steps, unrolled_last], &xs)));
    same(&g, &pairs, &feeds);
}

#[test]
fn both_ways() {
    for time_major in [false, true] {
        check(None, time_major);
        check(Some([5, 0, 2]), time_major);
    }
}

#[test]
fn from_given_states() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, None, Some(2)]);
    let (a, b) = (g.placeholder(tf::f64, [None, Some(4)]), g.placeholder(tf::f64, [None, Some(3)]));
    let (fw, bw) = (BasicRNNCell::new(4), BasicRNNCell::new(3));
    let both = || BidirectionalRnn::new(&fw, &bw).initial_states(a, b).scope("both");
    let ((ahead, back), (last, first)) = both().dynamic(x);
    let (steps, states) = both().unrolled(tf::unstack_num(x, 4, 1));
    let pairs = [(tf::concat([ahead, back], 2), tf::stack(&steps, 1)), (last, states.0), (first, states.1)];
    same(&g, &pairs, &feed! { x => waves(&[2, 4, 2]), a => waves(&[2, 4]), b => waves(&[2, 3]) });
}
