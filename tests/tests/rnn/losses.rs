//! Masks and losses of sequences.

use tf::{SequenceLoss, Tensor, feed, sequence_mask};
use tidemill as tf;

use crate::waves;

#[track_caller]
fn value(y: Tensor, feeds: impl Into<tf::FeedDict>) -> tf::Value {
    tf::Session::new(&y.graph()).run(y, feeds).unwrap()
}

#[test]
fn masks() {
    let g = tf::Graph::new();
    let lengths = g.placeholder(tf::i64, [None]);
    let up_to_three = [[true, false, false], [false, false, false], [true, true, true]];
    let feeds = feed! { lengths => [1i64, 0, 3] };
    assert_eq!(value(sequence_mask(lengths, Some(3), tf::bool), &feeds), up_to_three.into());
    assert_eq!(value(sequence_mask(lengths, None, tf::bool), &feeds), up_to_three.into());
    let numbers = [[1f32, 0.0], [0.0, 0.0], [1.0, 1.0]];
    assert_eq!(value(sequence_mask(lengths, Some(2), tf::f32), &feeds), numbers.into());
    let none = value(sequence_mask(lengths, None, tf::f32), feed! { lengths => [0i64, -2] });
    assert_eq!(none.shape(), &tf::Shape::from([2, 0]));
    let matrix = g.constant([[1i32, 2], [0, 3]]);
    let want = [[[true, false, false], [true, true, false]], [[false, false, false], [true, true, true]]];
    assert_eq!(value(sequence_mask(matrix, None, tf::bool), feed! {}), want.into());
}

#[test]
fn losses() {
    let g = tf::Graph::new();
    let logits = g.placeholder(tf::f64, [None, None, Some(3)]);
    let (targets, lengths) = (g.placeholder(tf::i32, [None, None]), g.placeholder(tf::i32, [None]));
    let weights = sequence_mask(lengths, None, tf::f64) * 0.5;
    let feeds =
        feed! { logits => waves(&[2, 4, 3]), targets => [[0, 2, 1, 1], [2, 0, 0, 1]], lengths => [4, 1] };

    let rows = waves(&[8, 3]);
    let (rows, labels) = (rows.view::<f64>().unwrap(), [0, 2, 1, 1, 2, 0, 0, 1]);
    let each: Vec<f64> = (0..8)
        .map(|i| {
            let sum: f64 = (0..3).map(|c| rows[[i, c]].exp()).sum();
            let weight = if i < 5 { 0.5 } else { 0.0 };
            weight * (sum.ln() - rows[[i, labels[i]]])
        })
        .collect();
    let check = |time: bool, batch: bool, want: &[f64]| {
        let loss = SequenceLoss::new().average_across_timesteps(time).average_across_batch(batch);
        let got = value(loss.of(logits, targets, weights), &feeds);
        assert_eq!(got.num_elements(), want.len());
        for (got, want) in got.iter_f64().zip(want) {
            assert!((got - want).abs() < 1e-10, "{got}, not {want}");
        }
    };
    check(false, false, &each);
    check(true, true, &[each.iter().sum::<f64>() / 2.5]);
    check(true, false, &[each[..4].iter().sum::<f64>() / 2.0, each[4] / 0.5]);
    // Where no weight is, nothing is divided by zero.
    check(false, true, &[each[0] + each[4], each[1] / 0.5, each[2] / 0.5, each[3] / 0.5]);
}
