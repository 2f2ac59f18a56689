//! Gradients that compute again what they need: the same numbers, in less memory.
#![allow(missing_docs)]

use tf::ops::ScanOptions;
use tf::{FeedDict, Tensor, feed, recompute_grad};
use tidemill as tf;
use tidemill_conformance::check_gradients;

/// A vector of 100 to differentiate with respect to, and one that formulas use from outside.
struct Setup {
    g: tf::Graph,
    x: Tensor,
    c: Tensor,
    feeds: FeedDict,
}

fn setup(size: usize) -> Setup {
    let g = tf::Graph::new();
    let (x, c) = (g.placeholder(tf::f64, [size]).named("x"), g.placeholder(tf::f64, [size]).named("c"));
    let wave = |rate: f64| (0..size).map(|i| (i as f64 * rate).sin()).collect::<Vec<f64>>();
    let feeds = feed! { x => wave(0.7), c => wave(1.3) };
    Setup { g, x, c, feeds }
}

/// `f`, or `f` to be computed again.
fn maybe(again: bool, f: impl FnOnce(Tensor) -> Tensor, x: Tensor) -> Tensor {
    if again { recompute_grad(f, x) } else { f(x) }
}

impl Setup {
    fn gradients(&self, y: Tensor) -> Vec<Tensor> {
        let found = tf::gradients([y], [self.x, self.c]);
        found.into_iter().map(|d| d.unwrap_or_else(|| tf::zeros_like(self.x))).collect()
    }

    /// Built by `f` with and without computing again, values and gradients are the same, and right to second order.
    #[track_caller]
    fn check(&self, f: impl Fn(bool) -> Tensor) {
        let (again, kept) = (f(true), f(false));
        for optimise in [true, false] {
            let sess = tf::Session::builder(&self.g).optimise(optimise).build();
            let all = |y: Tensor| [vec![y], self.gradients(y)].concat();
            let (got, want) = sess.run((all(again), all(kept)), &self.feeds).unwrap();
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                assert!(got.allclose(want, 1e-12, 1e-14), "{i}: {got}, not {want}; optimise: {optimise}");
            }
        }
        check_gradients(&tf::Session::new(&self.g), &[again], &[self.x, self.c], &self.feeds, 2).unwrap();
    }

    /// What the gradient of the sum takes, in bytes.
    fn memory(&self, y: Tensor) -> usize {
        let dx = tf::gradients([tf::reduce_sum(y)], [self.x])[0].unwrap();
        let report = tf::Session::new(&self.g).memory_report(dx, &self.feeds).unwrap();
        assert_eq!(report.unknown, 0);
        report.total()
    }
}

#[test]
fn the_same_numbers() {
    let s = setup(3);
    let layer = |again: bool, x: Tensor| maybe(again, |x| tf::tanh(tf::sin(x) * s.c + tf::exp(x)) * x, x);
    s.check(|again| layer(again, s.x));
    s.check(|again| layer(again, layer(again, layer(again, s.x))));
    // One in the other.
    s.check(|again| maybe(again, |x| layer(again, tf::sin(layer(again, x))), s.x));
    // What it returns need not be made inside.
    s.check(|again| maybe(again, |_| s.c, s.x) * maybe(again, |x| x, s.x));
}

#[test]
fn several_results_of_which_not_all_matter() {
    let s = setup(3);
    let f = |(a, b): (Tensor, Tensor)| {
        let sum = tf::exp(a) * tf::sin(b);
        (tf::tanh(sum), (tf::argmax(sum, 0), vec![sum * b]))
    };
    let use_all = |(a, (i, b)): (Tensor, (Tensor, Vec<Tensor>))| a * b[0] + tf::gather(b[0], i);
    s.check(|again| use_all(if again { recompute_grad(f, (s.x, s.c)) } else { f((s.x, s.c)) }));
    s.check(|again| if again { recompute_grad(f, (s.x, s.c)) } else { f((s.x, s.c)) }.0);
}

#[test]
fn inside_of_loops_and_branches_and_around_them() {
    let s = setup(3);
    let layer = |again: bool, x: Tensor| maybe(again, |x| tf::tanh(tf::sin(x) * s.c + tf::exp(x)), x);
    let zero = s.g.constant(0i32);
    let repeat = |f: &dyn Fn(Tensor) -> Tensor| {
        tf::while_loop(|(i, _)| i.lt(3), |(i, y)| (i + 1, f(y)), (zero, s.x)).1
    };
    s.check(|again| repeat(&|y| layer(again, y)));
    s.check(|again| maybe(again, |x| repeat(&|y| tf::sin(y) * x), s.x));
    s.check(|again| maybe(again, |_| repeat(&|y| layer(again, y)), s.x));
    let sum = tf::reduce_sum(s.x);
    for limit in [-100.0, 100.0] {
        s.check(|again| tf::cond(sum.gt(limit), || layer(again, s.x), || s.x * s.c));
        s.check(|again| {
            maybe(again, |x| tf::cond(sum.gt(limit), || tf::sin(x) * s.c, || tf::exp(tf::cos(x))), s.x)
        });
    }
    s.check(|again| {
        let rows = tf::stack([s.x, s.c, s.x * s.c], 0);
        let step = |h: Tensor, row: Tensor| {
            let h = maybe(again, |h| tf::tanh(h + tf::sin(row)) * row, h);
            (h, tf::exp(h))
        };
        let (last, all) = tf::scan(step, s.x, rows, ScanOptions { reverse: true });
        last + tf::reduce_sum_with(all, tf::ops::Reduce::over(0))
    });
}

#[test]
fn variables_made_inside_are_trained() {
    let losses = |again: bool, in_loop: bool| {
        let g = tf::Graph::new();
        g.set_random_seed(1);
        let x = g.placeholder(tf::f32, [4, 3]);
        let layer = |h: Tensor| {
            let h = maybe(
                again,
                |h| {
                    g.variable_scope("layer").auto_reuse().enter(|vs| {
                        tf::tanh(tf::matmul(h, vs.get_variable("W", [3, 3])) + vs.get_variable("b", [3]))
                    })
                },
                h,
            );
            h + x
        };
        let y = match in_loop {
            true => tf::while_loop(|(i, _)| i.lt(3), |(i, h)| (i + 1, layer(h)), (g.constant(0i32), x)).1,
            false => layer(layer(layer(x))),
        };
        assert_eq!(g.trainable_variables().len(), 2);
        let loss = tf::reduce_mean(tf::square(y - 0.3));
        let train = tf::train::AdagradOptimizer::new(0.1).minimize(loss);
        let sess = tf::Session::new(&g);
        sess.run(g.global_variables_initializer(), feed! {}).unwrap();
        let data = tf::Value::from_vec([4, 3], (0..12).map(|i| (i as f32 * 0.9).sin()).collect()).unwrap();
        let step = |_| sess.run((loss, train), feed! { x => &data }).unwrap().0.to_scalar::<f32>().unwrap();
        (0..10).map(step).collect::<Vec<f32>>()
    };
    let want = losses(false, false);
    assert!(want[9] < 0.9 * want[0], "it learns: {want:?}");
    for (again, in_loop) in [(true, false), (true, true)] {
        for (got, want) in losses(again, in_loop).iter().zip(&want) {
            assert!((got - want).abs() < 1e-5, "{got}, not {want}; in a loop: {in_loop}");
        }
    }
}

#[test]
fn what_is_random_is_drawn_once() {
    let s = setup(50);
    let noisy = |x: Tensor| tf::exp(x) * s.g.random_uniform(tf::f64, [50]);
    let y = recompute_grad(noisy, s.x);
    // dy/dx = y, if the noise is that of y.
    let dx = tf::gradients([y], [s.x])[0].unwrap();
    let (y, dx) = tf::Session::new(&s.g).run((y, dx), &s.feeds).unwrap();
    assert!(dx.allclose(&y, 1e-12, 0.0), "{dx}, not {y}");

    // Also in the body of a loop that is done again.
    let looped = |x: Tensor| {
        tf::while_loop(
            |(i, _)| i.lt(3),
            |(i, y)| (i + 1, y * s.g.random_uniform(tf::f64, [50])),
            (s.g.constant(0i32), x),
        )
        .1
    };
    let y = recompute_grad(|x| looped(tf::exp(x)), s.x);
    let dx = tf::gradients([y], [s.x])[0].unwrap();
    let (y, dx) = tf::Session::new(&s.g).run((y, dx), &s.feeds).unwrap();
    assert!(dx.allclose(&y, 1e-12, 0.0), "{dx}, not {y}");
}

#[test]
fn a_chain_takes_less_memory() {
    let s = setup(1000);
    let layer = |x: Tensor| (0..10).fold(x, |x, _| tf::tanh(tf::sin(x) * s.c));
    let chain = |again: bool| (0..20).fold(s.x, |x, _| maybe(again, layer, x));
    let (again, kept) = (s.memory(chain(true)), s.memory(chain(false)));
    // The gradients of 200 sines need what those are of. Of 20 layers, only what they start from is kept, and what one of them needs.
    let values = |bytes: usize| bytes as f64 / 8000.0;
    assert!(values(kept) > 195.0, "{}", values(kept));
    assert!(values(again) < 60.0, "{}", values(again));
}

#[test]
fn a_loop_keeps_only_what_each_turn_starts_from() {
    let s = setup(1000);
    let layer = |x: Tensor| (0..10).fold(x, |x, _| tf::tanh(tf::sin(x) * s.c));
    let repeat = |again: bool| {
        tf::scan(
            |y, _: Tensor| (maybe(again, layer, y), ()),
            s.x,
            s.g.zeros(tf::f32, [50]),
            ScanOptions::default(),
        )
        .0
    };
    let (again, kept) = (s.memory(repeat(true)), s.memory(repeat(false)));
    let values = |bytes: usize| bytes as f64 / 8000.0;
    assert!(values(kept) > 50.0 * 10.0, "{}", values(kept));
    assert!(values(again) < 50.0 * 2.0 + 60.0, "{}", values(again));
}

#[test]
fn mistakes() {
    let error = std::panic::catch_unwind(|| recompute_grad(|()| (), ())).unwrap_err();
    let message = error.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(message.contains("recompute_grad needs at least one input"), "{message}");
}
