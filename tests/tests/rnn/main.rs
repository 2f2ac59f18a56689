//! Networks over time: what they compute, one way and the other, and against TensorFlow.
#![allow(missing_docs)]

mod bidirectional;
mod dynamic;
mod losses;
mod mistakes;
mod raw;
mod recorded;

use tf::{FeedDict, Tensor};
use tidemill as tf;

/// Numbers in -1..1 that look like nothing in particular.
fn waves(shape: &[usize]) -> tf::Value {
    let n = shape.iter().product::<usize>();
    tf::Value::from_vec(shape, (0..n).map(|i| (1.7 * i as f64 + 0.3).sin()).collect()).unwrap()
}

/// A session whose variables hold [`waves`].
fn session(g: &tf::Graph, optimise: bool) -> tf::Session {
    let sess = tf::Session::builder(g).optimise(optimise).build();
    for variable in g.global_variables() {
        sess.load(variable, waves(&variable.shape().as_known().unwrap())).unwrap();
    }
    sess
}

/// The gradients of the sum of the squares of `ys`, which must depend on each of the `xs`.
fn gradients(ys: &[Tensor], xs: &[Tensor]) -> Vec<Tensor> {
    let squares: Vec<Tensor> = ys.iter().map(|&y| tf::reduce_sum(tf::square(y))).collect();
    tf::gradients([tf::add_n(&squares)], xs.iter().copied()).into_iter().map(Option::unwrap).collect()
}

/// The variables of the graph, as tensors.
fn variables(g: &tf::Graph) -> Vec<Tensor> {
    g.trainable_variables().iter().map(|v| v.value()).collect()
}

/// Fails unless the tensors have the same values in pairs, optimised or not.
#[track_caller]
fn same(g: &tf::Graph, pairs: &[(Tensor, Tensor)], feeds: &FeedDict) {
    for optimise in [true, false] {
        let sess = session(g, optimise);
        for (i, &(one, other)) in pairs.iter().enumerate() {
            let (a, b) = sess.run((one, other), feeds).unwrap();
            assert!(a.allclose(&b, 1e-12, 1e-12), "pair {i}, optimise {optimise}: {a}\nand {b}");
        }
    }
}
