//! Conditionals.

use tf::Tensor;
use tidemill as tf;

use crate::setup::{C, each, setup};

#[test]
fn branches() {
    let s = setup();
    let above = |limit: f64| {
        tf::cond(tf::reduce_sum(s.x).gt(limit), || (tf::sin(s.x) * s.c, s.c), || (tf::exp(s.x), s.x * s.x))
    };
    let (y, z) = above(-10.0);
    s.check(y, &each(|x, c| x.sin() * c));
    s.check(z, &C);
    let (y, z) = above(10.0);
    s.check(y, &each(|x, _| x.exp()));
    s.check(z, &each(|x, _| x * x));
    let which = |limit: f64| {
        let sum = tf::reduce_sum(s.x);
        tf::case(
            vec![
                (sum.gt(limit), Box::new(move || s.x * 2.0) as Box<dyn FnOnce() -> Tensor>),
                (sum.gt(limit - 1.0), Box::new(move || s.x * s.c)),
            ],
            move || s.c,
        )
    };
    s.check(which(-1.0), &each(|x, _| x * 2.0));
    s.check(which(0.0), &each(|x, c| x * c));
    s.check(which(5.0), &C);
}

#[test]
fn only_the_branch_taken_runs() {
    let s = setup();
    let guarded = |y: Tensor, ok: bool| {
        let check = tf::assert_that(s.g.constant(ok), &[y], "taken");
        s.g.control_dependencies([check]).enter(|| y * 2.0)
    };
    let y = tf::cond(tf::reduce_sum(s.x).lt(10.0), || guarded(s.x, true), || guarded(s.c, false));
    s.value(y, &s.feeds, &each(|x, _| x * 2.0));
    let fails = s.feeds.clone().without(s.x).with(s.x, [10f64, 10.0]);
    let error = tf::Session::new(&s.g).run(y, fails).unwrap_err();
    assert_eq!(error.kind(), tf::ErrorKind::InvalidArgument);
    assert!(error.message().starts_with("taken"), "{error}");
}

#[test]
fn what_a_branch_draws_is_drawn_once() {
    let s = setup();
    let noisy = || {
        let noise = s.g.random_uniform(tf::f64, [2]);
        (s.x * noise * s.c, noise)
    };
    let (y, noise) = tf::cond(tf::reduce_sum(s.x).lt(10.0), noisy, || (s.x, s.c));
    // The gradient is that of the same numbers, also where a loop is around.
    let dx = tf::gradients([y], [s.x])[0].unwrap();
    let sess = tf::Session::new(&s.g);
    for _ in 0..2 {
        let (noise, dx) = sess.run((noise, dx), &s.feeds).unwrap();
        let want: Vec<f64> = noise.iter_f64().zip(C).map(|(n, c)| n * c).collect();
        assert_eq!(dx.to_vec::<f64>().unwrap(), want);
    }
}
