//! How much memory it takes to train a network in a loop, by the bytes that are allocated. The one test of this file: others would allocate too.
#![allow(missing_docs)]

use peak_alloc::PeakAlloc;
use tf::feed;
use tf::nn::DynamicRnn;
use tf::nn::rnn_cell::BasicRNNCell;
use tidemill as tf;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a network with states of 2 KiB takes to train on so many steps: most of all at once, and after the run.
fn train(steps: usize) -> (usize, usize) {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [None, None, Some(4)]);
    let (outputs, _) = DynamicRnn::new(&BasicRNNCell::new(16)).build(x);
    let loss = tf::reduce_mean(tf::square(outputs));
    let train_step = tf::train::GradientDescentOptimizer::new(0.1).minimize(loss);
    let sess = tf::Session::new(&g);
    sess.run(g.global_variables_initializer(), feed! {}).unwrap();
    let data = tf::Value::zeros(tf::f32, [32, steps, 4]).unwrap();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let loss = sess.run((loss, train_step), feed! { x => data }).unwrap();
    assert_eq!(loss.0.shape(), &tf::Shape::scalar());
    (MEMORY.peak_usage() - before, MEMORY.current_usage() - before)
}

#[test]
fn memory_grows_with_the_steps_and_is_given_back() {
    train(10);
    let before = MEMORY.current_usage();
    let [(few, _), (many, _), (most, kept)] = [500, 1000, 2000].map(train);
    let (first, second) = (many - few, most - many);
    assert!(
        first.abs_diff(second / 2) * 50 < first,
        "500 more steps: {first} bytes, then 1000 more: {second}"
    );
    let states = second / (1000 * 2048);
    assert!((1..=8).contains(&states), "a step takes as much as {states} states");
    assert!(kept <= most, "{kept} of {most}");
    let after = MEMORY.current_usage();
    assert!(after < before + 20_000, "{} bytes are left when graphs and sessions are gone", after - before);

    // One graph takes all lengths.
    let one_graph = || {
        let g = tf::Graph::new();
        let x = g.placeholder(tf::f32, [None, None, Some(4)]);
        let (outputs, _) = DynamicRnn::new(&BasicRNNCell::new(16)).build(x);
        let loss = tf::reduce_mean(tf::square(outputs));
        let train_step = tf::train::GradientDescentOptimizer::new(0.1).minimize(loss);
        let nodes = g.len();
        let sess = tf::Session::new(&g);
        sess.run(g.variables_initializer(&g.global_variables()), feed! {}).unwrap();
        let peaks = [1, 2, 10, 500, 1000, 2000].map(|steps| {
            let data = tf::Value::zeros(tf::f32, [32, steps, 4]).unwrap();
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            sess.run((loss, train_step), feed! { x => data }).unwrap();
            MEMORY.peak_usage() - before
        });
        assert_eq!(g.len(), nodes + 1, "the graph has not grown, but for the initializer");
        let [.., few, many, most] = peaks;
        let (first, second) = (many - few, most - many);
        assert!(
            first.abs_diff(second / 2) * 50 < first,
            "500 more steps: {first} bytes, then 1000: {second}"
        );
    };
    one_graph();
    let left = MEMORY.current_usage().saturating_sub(before);
    assert!(left < 20_000, "{left} bytes are left when the graph and its session are gone");

    // Of plans for other lengths only so many are kept.
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [None, None, Some(1)]);
    let (_, state) = DynamicRnn::new(&BasicRNNCell::new(1)).build(x);
    let sess = tf::Session::new(&g);
    sess.run(g.global_variables_initializer(), feed! {}).unwrap();
    let lengths = |range: std::ops::Range<usize>| {
        for steps in range {
            sess.run(state, feed! { x => tf::Value::zeros(tf::f32, [1, steps, 1]).unwrap() }).unwrap();
        }
        MEMORY.current_usage()
    };
    let (some, twice) = (lengths(0..400), lengths(400..800));
    assert!(twice < some + some / 4, "{some} bytes after 400 lengths, {twice} after 800");
}
