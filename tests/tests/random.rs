//! Seeded random numbers are TensorFlow's, from run to run.
#![allow(missing_docs)]

use serde_json::Value as Json;
use tf::feed;
use tf::ops::{Normal, Uniform};
use tidemill as tf;
use tidemill_tests::golden::{Case, assert_close};

/// What the recorded line of Python draws.
fn draw(g: &tf::Graph, case: &Json) -> tf::Tensor {
    let code = case["code"].as_str().unwrap();
    let dtype = case["dtype"].as_str().unwrap().parse().unwrap();
    let shape: Vec<i64> = serde_json::from_value(case["shape"].clone()).unwrap();
    let seed = case["op_seed"].as_i64();
    let integers = |min: i64, max: i64| {
        let bounds = Uniform::new(min, max).seed(seed);
        g.random_uniform_with(dtype, shape.clone(), bounds)
    };
    match code.split_once("(shape, ").unwrap() {
        ("tf.random_normal", _) => g.random_normal_with(dtype, shape, Normal::new(0.0, 1.0).seed(seed)),
        ("tf.truncated_normal", _) => g.truncated_normal_with(dtype, shape, Normal::new(0.0, 1.0).seed(seed)),
        (_, bounds) if bounds.starts_with("0, 10,") => integers(0, 10),
        (_, bounds) if bounds.starts_with("-5, 1000003,") => integers(-5, 1_000_003),
        (_, bounds) if bounds.starts_with("-5, 1 << 40,") => integers(-5, 1 << 40),
        (_, bounds) => {
            assert!(bounds.starts_with("dtype="), "{code}");
            g.random_uniform_with(dtype, shape, Uniform::new(0.0, 1.0).seed(seed))
        }
    }
}

/// Of long vectors the first 16 and the last 4 values are recorded.
fn ends(value: tf::Value, recorded: usize) -> tf::Value {
    if value.num_elements() == recorded {
        return value;
    }
    let g = tf::Graph::new();
    let all = g.constant(&value);
    let kept =
        tf::concat([tf::slice(all, [0], [16]), tf::slice(all, [value.num_elements() as i32 - 4], [4])], 0);
    tf::Session::new(&g).run(kept, feed! {}).unwrap()
}

#[test]
fn streams_are_those_of_tensorflow() {
    let golden = Case::golden("random");
    let cases = golden.script["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 198);
    for case in cases {
        let name = case["case"].as_str().unwrap();
        let g = tf::Graph::new();
        if let Some(seed) = case["graph_seed"].as_i64() {
            g.set_random_seed(seed);
        }
        let x = draw(&g, case);
        let sess = tf::Session::new(&g);
        for (run, member) in case["runs"].as_array().unwrap().iter().enumerate() {
            let want = golden.array(member);
            let got = ends(sess.run(x, feed! {}).unwrap(), want.num_elements());
            if name.contains("normal_float32") {
                // The last places depend on the library's log, sin and cos.
                assert_close(name, &got, &want, 1e-5, 1e-6);
            } else {
                assert!(got.bitwise_eq(&want), "{name}, run {run}: got {got}, want {want}");
            }
        }
    }
}

#[test]
fn seeds_start_anew_in_each_session_and_go_on_in_each_run() {
    let g = tf::Graph::new();
    g.set_random_seed(3);
    let x = g.random_uniform(tf::f32, [8]);
    let y = g.random_uniform(tf::f32, [8]);
    let draws = |n: usize| -> Vec<(tf::Value, tf::Value)> {
        let sess = tf::Session::new(&g);
        (0..n).map(|_| sess.run((x, y), feed! {}).unwrap()).collect()
    };
    let (a, b) = (draws(3), draws(3));
    assert_eq!(a, b, "the same numbers in another session");
    assert_ne!(a[0].0, a[1].0, "other numbers in the next run");
    assert_ne!(a[0].0, a[0].1, "each op has a stream of its own");
}

#[test]
fn without_seeds_sessions_differ() {
    let g = tf::Graph::new();
    let x = g.random_uniform(tf::f64, [8]);
    let first = |g: &tf::Graph| tf::Session::new(g).run(x, feed! {}).unwrap();
    assert_ne!(first(&g), first(&g));
}

#[test]
fn one_node_fetched_twice_is_drawn_once() {
    let g = tf::Graph::new();
    let x = g.random_uniform(tf::f32, [8]);
    let (a, b, difference) = tf::Session::new(&g).run((x, x, x - x), feed! {}).unwrap();
    assert_eq!(a, b);
    assert!(difference.iter_f64().all(|d| d == 0.0));
}

#[test]
fn a_shuffle_keeps_the_rows() {
    let g = tf::Graph::new();
    let rows = tf::random_shuffle(g.range(0i32, 100i32, 1i32), 5);
    let sess = tf::Session::new(&g);
    let (first, second) = (sess.run(rows, feed! {}).unwrap(), sess.run(rows, feed! {}).unwrap());
    assert_ne!(first, second);
    for order in [first, second] {
        let mut order = order.to_vec::<i32>().unwrap();
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
