//! Dropout: what is kept, what flows back, and that loops draw anew in each round.
#![allow(missing_docs)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use tf::nn::rnn_cell::{DropoutWrapper, RnnCell};
use tf::nn::{Dropout, DynamicRnn, StaticRnn, dropout, dropout_with};
use tf::{Tensor, feed};
use tidemill as tf;

fn ones(shape: &[usize]) -> tf::Value {
    tf::Value::full(tf::f64, shape, 1.0).unwrap()
}

#[test]
fn the_rest_is_scaled_up_and_so_are_gradients() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, Some(100)]);
    let fed_rate = g.placeholder(tf::f64, ());
    let of_number = dropout(x, 0.2);
    let of_tensor = dropout_with(x, Dropout::new(fed_rate).seed(3));
    assert_eq!(dropout(x, 0.0), x);
    let sess = tf::Session::new(&g);
    for y in [of_number, of_tensor] {
        let dx = tf::gradients([y * y], [x])[0].unwrap();
        let feeds = feed! { x => ones(&[50, 100]), fed_rate => 0.2 };
        let (first, dx) = sess.run((y, dx), &feeds).unwrap();
        let dropped = first.iter_f64().filter(|v| *v == 0.0).count();
        // The standard deviation is 28.
        assert!((860..1140).contains(&dropped), "{dropped} of 5000");
        assert!(first.iter_f64().all(|v| v == 0.0 || (v - 1.25).abs() < 1e-15));
        let want = first.iter_f64().map(|v| 2.0 * v * 1.25);
        assert!(dx.iter_f64().zip(want).all(|(d, w)| (d - w).abs() < 1e-12), "{dx}");
        assert_ne!(sess.run(y, &feeds).unwrap(), first, "each run draws anew");
    }
}

#[test]
fn noise_of_a_shape_drops_rows_or_columns() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, Some(40)]);
    let rows = dropout_with(x, Dropout::new(0.5).noise_shape([40, 1]).seed(1));
    let columns = dropout_with(x, Dropout::new(0.5).noise_shape([1, 40]).seed(2));
    let feeds = feed! { x => ones(&[40, 40]) };
    let (rows, columns) = tf::Session::new(&g).run((rows, tf::transpose(columns)), feeds).unwrap();
    for value in [rows, columns] {
        let all: Vec<f64> = value.iter_f64().collect();
        let firsts: Vec<f64> = all.chunks(40).map(|row| row[0]).collect();
        assert!(all.chunks(40).zip(&firsts).all(|(row, first)| row.iter().all(|v| v == first)));
        assert!(firsts.contains(&0.0) && firsts.contains(&2.0));
    }
}

/// `y = x w`, without a state to speak of.
struct Scale;

impl RnnCell for Scale {
    type State = Tensor;
    fn state_size(&self) -> usize {
        1
    }
    fn output_size(&self) -> usize {
        20
    }
    fn call(&self, inputs: Tensor, state: Tensor) -> (Tensor, Tensor) {
        let scope = inputs.graph().variable_scope("scale").auto_reuse().dtype(inputs.dtype());
        let w = scope.enter(|vs| vs.get_variable_with("w", (), tf::init::constant(3.0)));
        (inputs * w, state)
    }
}

/// In a loop, the gradient must see the same zeros as the outputs, and each step others; if it is variational, all steps the same.
#[test]
fn loops_draw_in_each_round() {
    for (variational, unrolled) in [(false, false), (true, false), (false, true), (true, true)] {
        let g = tf::Graph::new();
        let x = g.placeholder(tf::f64, [Some(4), Some(9), Some(20)]);
        let cell = DropoutWrapper::new(Scale).output_keep_prob(0.5);
        let cell = if variational { cell.variational_recurrent() } else { cell };
        let outputs = match unrolled {
            true => tf::stack(StaticRnn::new(&cell).build(tf::unstack(x, 1)).0, 1),
            false => DynamicRnn::new(&cell).build(x).0,
        };
        let w = g.trainable_variables()[0];
        let gradients = tf::gradients([outputs], [w.value(), x]);
        let (dw, dx) = (gradients[0].unwrap(), gradients[1].unwrap());
        let sess = tf::Session::new(&g);
        sess.run(g.global_variables_initializer(), feed! {}).unwrap();
        let (outputs, dw, dx) = sess.run((outputs, dw, dx), feed! { x => ones(&[4, 9, 20]) }).unwrap();
        let all: Vec<f64> = outputs.iter_f64().collect();
        assert!(all.iter().all(|v| [0.0, 6.0].contains(v)));
        assert_eq!(dx.iter_f64().collect::<Vec<_>>(), all, "d (x w m) / dx = w m, with x = 1");
        assert!((dw.get_f64(0).unwrap() - all.iter().sum::<f64>() / 3.0).abs() < 1e-9);
        let steps: Vec<&[f64]> = all.chunks(20).collect();
        let alike = steps.iter().filter(|step| **step == steps[0]).count();
        assert_eq!(alike, if variational { 36 } else { 1 }, "{variational}, {unrolled}");
    }
}

#[test]
fn what_is_no_rate() {
    let fails = |build: &dyn Fn(&tf::Graph, Tensor) -> Tensor, want: &str| {
        let g = tf::Graph::new();
        let x = g.placeholder(tf::f32, [2, 3]);
        let panic = catch_unwind(AssertUnwindSafe(|| build(&g, x))).expect_err("it must fail");
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains(want) && message.contains("dropout.rs:"), "{message}");
    };
    fails(&|_, x| dropout(x, 1.0), "the rate must be a number in [0, 1), but is f64[] 1");
    fails(&|_, x| dropout(x, -0.1), "the rate must be a number in [0, 1)");
    fails(&|_, x| dropout(x, f64::NAN), "the rate must be a number in [0, 1)");
    fails(&|_, x| dropout(x, [0.5]), "the rate must be a number in [0, 1)");
    fails(&|g, x| dropout(x, g.placeholder(tf::f32, [3])), "the rate must be a scalar, but is f32[3]");
    fails(&|_, x| dropout(tf::cast(x, tf::i32), 0.5), "dropout takes floats, but x is i32[2,3]");
    fails(
        &|_, x| dropout_with(x, Dropout::new(0.5).noise_shape([4, 2, 3])),
        "the noise must broadcast to [2,3], but its shape is [4,2,3]",
    );
}
