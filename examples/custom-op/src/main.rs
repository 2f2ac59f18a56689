//! Learns exclusive or with a hidden layer of [`elu`].
#![forbid(unsafe_code)]

use custom_op::{Elu, elu};
use tidemill::{self as tf, feed};

fn main() -> tf::Result<()> {
    let g = tf::Graph::new();
    g.set_random_seed(1);
    let x = g.placeholder(tf::f32, [4, 2]).named("x");
    let y = g.placeholder(tf::f32, [4, 1]).named("y");
    let (w1, b1) = (g.get_variable("w1", [2, 8]), g.get_variable_with("b1", [8], tf::init::zeros()));
    let (w2, b2) = (g.get_variable("w2", [8, 1]), g.get_variable_with("b2", [1], tf::init::zeros()));
    let hidden = elu(tf::matmul(x, w1) + b1, 1.0);
    let loss = tf::reduce_mean(tf::squared_difference(tf::matmul(hidden, w2) + b2, y));
    let train_step = tf::train::GradientDescentOptimizer::new(0.2).minimize(loss);

    let sess = tf::Session::builder(&g).kernel::<Elu>().build();
    sess.run(g.global_variables_initializer(), feed! {})?;
    let (xs, ys) = ([[0f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[0f32], [1.0], [1.0], [0.0]]);
    for step in 0..=1000 {
        let (loss, ()) = sess.run((loss, train_step), feed! { x => xs, y => ys })?;
        if step % 200 == 0 {
            println!("step {step:4}  loss {:.6}", loss.to_scalar::<f32>()?);
        }
    }
    Ok(())
}
