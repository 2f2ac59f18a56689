//! Arrays of tensors in loops.

use std::time::Duration;

use tf::ops::TensorArray;
use tf::{ErrorKind, RunOptions, Tensor, feed};
use tidemill as tf;

use crate::setup::{C, X, setup};

#[test]
fn an_array_is_filled_and_read_in_loops() {
    let s = setup();
    let (_, _, powers) = tf::while_loop(
        |(i, _, _)| i.lt(4),
        |(i, y, powers): (_, _, TensorArray)| (i + 1, y * s.c, powers.write(i, y)),
        (s.int(0), s.x, TensorArray::new(&s.g, tf::f64, 4, [2])),
    );
    let want: Vec<f64> = (0..4).flat_map(|p| X.iter().zip(C).map(move |(x, c)| x * c.powi(p))).collect();
    s.check(powers.stack(), &want);
    let (_, sum) = tf::while_loop(
        |(i, _)| i.lt(4),
        |(i, sum)| (i + 1, tf::sin(sum * powers.read(i))),
        (s.int(1), powers.read(0)),
    );
    s.gradients(sum, 2);
    s.check(powers.gather([3, 1]), &[want[6], want[7], want[2], want[3]]);
    s.check(
        powers.scatter([2, 0], tf::stack([s.x, s.c], 0)).concat(),
        &[C[0], C[1], want[2], want[3], X[0], X[1], want[6], want[7]],
    );
    s.check(TensorArray::split(powers.stack(), 2).read(1), &want[4..]);
    s.check(TensorArray::unstack(powers.stack()).write(0, s.c).read(0), &C);
}

#[test]
fn an_array_grows_as_it_is_written() {
    let s = setup();
    let limit = s.g.placeholder(tf::i32, ());
    let (_, _, grown) = tf::while_loop(
        move |(i, _, _)| i.lt(limit),
        |(i, y, grown): (_, _, TensorArray)| (i + 1, tf::sin(y) * s.c, grown.write(i * 2, y)),
        (s.int(0), s.x, TensorArray::like(s.x, 0).dynamic_size()),
    );
    let feeds = feed! { s.x => X, s.c => C, limit => 3 };
    let sess = tf::Session::new(&s.g);
    let (all, size) = sess.run((grown.stack(), grown.size()), &feeds).unwrap();
    assert_eq!((all.shape().dims(), size.to_scalar::<i32>().unwrap()), (&[5, 2][..], 5));
    assert_eq!(all.to_vec::<f64>().unwrap()[2..4], [0.0, 0.0], "never written");
    tidemill_conformance::check_gradients(&sess, &[grown.stack()], &[s.x, s.c], &feeds, 2).unwrap();
}

#[test]
fn arrays_in_conditionals_and_nested_loops() {
    let s = setup();
    let rows = TensorArray::new(&s.g, tf::f64, 3, [2]);
    let (_, rows) = tf::while_loop(
        |(i, _)| i.lt(3),
        |(i, rows): (_, TensorArray)| {
            let (_, inner) = tf::while_loop(
                |(j, _)| j.lt(3),
                |(j, inner): (_, TensorArray)| {
                    let before = inner.read(tf::maximum(j - 1, 0));
                    (j + 1, inner.write(j, tf::sin(before + s.x)))
                },
                (s.int(0), rows.clone()),
            );
            let last = inner.read(2) * s.c;
            (i + 1, tf::cond(tf::equal(i, 1), || rows.write(i, last), || rows.write(i, s.x)))
        },
        (s.int(0), rows),
    );
    s.gradients(rows.stack(), 2);
}

#[test]
fn indices_are_checked() {
    let s = setup();
    let i = s.g.placeholder(tf::i32, ());
    let array = TensorArray::new(&s.g, tf::f64, 2, [2]);
    let sess = tf::Session::new(&s.g);
    for at in [-1, 2, i32::MIN, i32::MAX] {
        for y in [array.read(i), array.write(i, s.x).stack()] {
            let error = sess.run(y, feed! { i => at, s.x => X }).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
    let grown = array.dynamic_size().write(i, s.x).size();
    assert!(sess.run(grown, feed! { i => i32::MAX, s.x => X }).is_err(), "more than there is room for");
}

/// A turn that copied the array would move hundreds of gigabytes here.
#[test]
fn a_turn_costs_what_its_element_does() {
    const TURNS: i32 = 50_000;
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [64]);
    let fill = |array: TensorArray| {
        let (_, array) = tf::while_loop(
            |(i, _)| i.lt(TURNS),
            |(i, array): (_, TensorArray)| (i + 1, array.write(i, x * 2.0)),
            (g.constant(0i32), array),
        );
        array
    };
    let sums = |array: &TensorArray| {
        let array = array.clone();
        let (_, sum) = tf::while_loop(
            |(i, _)| i.lt(TURNS),
            move |(i, sum)| (i + 1, sum + array.read(i)),
            (g.constant(0i32), g.zeros(tf::f32, [64])),
        );
        tf::reduce_sum(sum)
    };
    let (fixed, grown) = (
        fill(TensorArray::new(&g, tf::f32, TURNS, [64])),
        fill(TensorArray::new(&g, tf::f32, 0, [64]).dynamic_size()),
    );
    let sess = tf::Session::new(&g);
    for array in [fixed, grown] {
        let sum: Tensor = sums(&array);
        let dx = tf::gradients([sum], [x])[0].unwrap();
        let limit = RunOptions::new().timeout(Duration::from_secs(60));
        let dx = sess.run_with(dx, feed! { x => vec![0.5f32; 64] }, limit).unwrap();
        assert_eq!(dx.to_vec::<f32>().unwrap(), [2.0 * TURNS as f32; 64]);
    }
}
