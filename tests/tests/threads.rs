//! Results do not depend on how many threads work on a run, and runs stop in time however large their steps are.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tf::{ErrorKind, RunOptions, feed};
use tidemill as tf;

/// Numbers that look random.
fn numbers(shape: [usize; 2], seed: u32) -> tf::Value {
    let number = |i: usize| {
        let hash = (i as u32 ^ seed).wrapping_mul(0x9E37_79B9).rotate_left(13).wrapping_mul(0x85EB_CA6B);
        (hash >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    tf::Value::from_vec(shape, (0..shape[0] * shape[1]).map(number).collect()).unwrap()
}

/// Trains a classifier that is large enough for every kernel to share its work, and gives its losses, variables and some intermediate values.
fn train(threads: usize) -> Vec<tf::Value> {
    let (batch, inputs, hidden, classes) = (150, 300, 400, 700);
    let g = tf::Graph::new();
    g.set_random_seed(7);
    let x = g.placeholder(tf::f32, [batch, inputs]);
    let y = g.placeholder(tf::i32, [batch]);
    let w1 = g.get_variable("w1", [inputs, hidden]);
    let b1 = g.get_variable_with("b1", [hidden], tf::init::constant(0.1));
    let w2 = g.get_variable("w2", [hidden, classes]);
    let h = tf::tanh(tf::matmul(x, w1) + b1) * tf::sigmoid(tf::matmul(x, w1));
    let logits = tf::matmul(h, w2);
    let loss = tf::reduce_mean(tf::nn::sparse_softmax_cross_entropy_with_logits(y, logits))
        + 1e-3 * (tf::nn::l2_loss(w1) + tf::reduce_sum(tf::square(w2)));
    let train = tf::train::AdamOptimizer::new(0.01).minimize(loss);
    let spread = (tf::reduce_sum_with(logits, [0]), tf::reduce_max_with(logits, [1]));

    let sess = tf::Session::builder(&g).threads(NonZero::new(threads).unwrap()).build();
    sess.run(g.global_variables_initializer(), feed! {}).unwrap();
    let labels: Vec<i32> = (0..batch).map(|i| (i * 37 % classes) as i32).collect();
    let mut seen = vec![];
    for step in 0..3 {
        let (loss, spread, ()) = sess
            .run((loss, spread, train), feed! { x => numbers([batch, inputs], step), y => labels.clone() })
            .unwrap();
        seen.extend([loss, spread.0, spread.1]);
    }
    let (w1, b1, w2) = sess.run((w1.value(), b1.value(), w2.value()), feed! {}).unwrap();
    seen.extend([w1, b1, w2]);
    seen
}

#[test]
fn results_do_not_depend_on_threads() {
    let one = train(1);
    for threads in [2, 3, 8] {
        assert!(train(threads) == one, "{threads} threads");
    }
}

/// Runs `y`, which takes long, and raises a flag meanwhile; how long it went on after that.
fn time_to_stop(y: tf::Tensor, x: (tf::Tensor, tf::Value)) -> Duration {
    let sess = tf::Session::new(&y.graph());
    let flag = AtomicBool::new(false);
    let (error, raised) = std::thread::scope(|scope| {
        let raiser = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            flag.store(true, Ordering::Relaxed);
            Instant::now()
        });
        let run = sess.run_with(y, feed! { x.0 => x.1 }, RunOptions::new().cancel_flag(&flag));
        let ended = Instant::now();
        (run.unwrap_err(), ended.saturating_duration_since(raiser.join().unwrap()))
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    raised
}

/// A product that takes most of a minute stops within a moment.
#[test]
fn large_products_stop_in_time() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [4000, 4000]);
    let y = (0..40).fold(x, |y, _| tf::matmul(y, x));
    let took = time_to_stop(tf::reduce_sum(y), (x, numbers([4000, 4000], 1)));
    // A tenth of a second is the aim; a machine that is busy with other things gets more.
    assert!(took < Duration::from_secs(2), "{took:?}");
}
