//! What the tests have in common: two vectors, and checks of values and gradients.

use tf::{FeedDict, Tensor, feed};
use tidemill as tf;
use tidemill_conformance::check_gradients;

pub const X: [f64; 2] = [0.5, -1.25];
pub const C: [f64; 2] = [0.8, 1.1];

/// A graph with two vectors to differentiate with respect to.
pub struct Setup {
    pub g: tf::Graph,
    pub x: Tensor,
    pub c: Tensor,
    pub feeds: FeedDict,
}

pub fn setup() -> Setup {
    let g = tf::Graph::new();
    let (x, c) = (g.placeholder(tf::f64, [2]).named("x"), g.placeholder(tf::f64, [2]).named("c"));
    Setup { g, x, c, feeds: feed! { x => X, c => C } }
}

impl Setup {
    pub fn int(&self, value: i32) -> Tensor {
        self.g.constant(value)
    }

    /// The value of `y`, with and without optimisation, and its gradients to second order.
    #[track_caller]
    pub fn check(&self, y: Tensor, want: &[f64]) {
        self.value(y, &self.feeds, want);
        self.gradients(y, 2);
    }

    #[track_caller]
    pub fn gradients(&self, y: Tensor, order: usize) {
        check_gradients(&tf::Session::new(&self.g), &[y], &[self.x, self.c], &self.feeds, order).unwrap();
    }

    #[track_caller]
    pub fn value(&self, y: Tensor, feeds: &FeedDict, want: &[f64]) {
        for optimise in [true, false] {
            let sess = tf::Session::builder(&self.g).optimise(optimise).build();
            let got: Vec<f64> = sess.run(y, feeds).unwrap().iter_f64().collect();
            assert_eq!(got.len(), want.len(), "optimise: {optimise}");
            for (got, want) in got.iter().zip(want) {
                assert!(
                    (got - want).abs() <= 1e-12 * want.abs().max(1.0),
                    "{got}, not {want}; optimise: {optimise}"
                );
            }
        }
    }
}

/// `f` of each pair of elements of x and c.
pub fn each(f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    X.iter().zip(C).map(|(x, c)| f(*x, c)).collect()
}

pub fn repeat(turns: usize, start: f64, f: impl Fn(f64) -> f64) -> f64 {
    (0..turns).fold(start, |y, _| f(y))
}
