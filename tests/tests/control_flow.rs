//! Loops and conditionals: what they compute, and their gradients to second order against differences.
#![allow(missing_docs)]

use proptest::prelude::*;
use tf::ops::{ScanOptions, While};
use tf::{FeedDict, PartialShape, Tensor, feed};
use tidemill as tf;
use tidemill_conformance::check_gradients;

const X: [f64; 2] = [0.5, -1.25];
const C: [f64; 2] = [0.8, 1.1];

/// A graph with two vectors to differentiate with respect to.
struct Setup {
    g: tf::Graph,
    x: Tensor,
    c: Tensor,
    feeds: FeedDict,
}

fn setup() -> Setup {
    let g = tf::Graph::new();
    let (x, c) = (g.placeholder(tf::f64, [2]).named("x"), g.placeholder(tf::f64, [2]).named("c"));
    Setup { g, x, c, feeds: feed! { x => X, c => C } }
}

impl Setup {
    fn int(&self, value: i32) -> Tensor {
        self.g.constant(value)
    }

    /// The value of `y`, with and without optimisation, and its gradients to second order.
    #[track_caller]
    fn check(&self, y: Tensor, want: &[f64]) {
        self.value(y, &self.feeds, want);
        self.gradients(y, 2);
    }

    #[track_caller]
    fn gradients(&self, y: Tensor, order: usize) {
        check_gradients(&tf::Session::new(&self.g), &[y], &[self.x, self.c], &self.feeds, order).unwrap();
    }

    #[track_caller]
    fn value(&self, y: Tensor, feeds: &FeedDict, want: &[f64]) {
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
fn each(f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    X.iter().zip(C).map(|(x, c)| f(*x, c)).collect()
}

fn repeat(turns: usize, start: f64, f: impl Fn(f64) -> f64) -> f64 {
    (0..turns).fold(start, |y, _| f(y))
}

#[test]
fn a_loop_with_captures() {
    let s = setup();
    let (_, y) = tf::while_loop(|(i, _)| i.lt(3), |(i, y)| (i + 1, tf::sin(y) * s.c + s.x), (s.int(0), s.x));
    s.check(y, &each(|x, c| repeat(3, x, |y| y.sin() * c + x)));
}

#[test]
fn a_loop_without_turns() {
    let s = setup();
    let (_, y) = tf::while_loop(|(i, _)| i.lt(0), |(i, y)| (i + 1, tf::sin(y) * s.c), (s.int(0), s.x));
    s.check(y, &X);
}

#[test]
fn the_number_of_turns_may_be_fed() {
    let s = setup();
    let n = s.g.placeholder(tf::i32, ());
    let (_, y) = tf::while_loop(|(i, _)| i.lt(n), |(i, y)| (i + 1, tf::tanh(y) * s.c), (s.int(0), s.x));
    for turns in [0, 1, 5] {
        let feeds = s.feeds.clone().with(n, turns as i32);
        s.value(y, &feeds, &each(|x, c| repeat(turns, x, |y| y.tanh() * c)));
        check_gradients(&tf::Session::new(&s.g), &[y], &[s.x, s.c], feeds, 2).unwrap();
    }
}

#[test]
fn turns_may_depend_on_what_is_differentiated() {
    let s = setup();
    let y = tf::while_loop(|y| tf::reduce_max(tf::abs(y)).lt(20.0), |y| y * 1.7 + tf::sin(y) * s.c, s.x);
    let mut want = X;
    while want.iter().fold(0.0, |m: f64, y| m.max(y.abs())) < 20.0 {
        want = [0, 1].map(|i| want[i] * 1.7 + want[i].sin() * C[i]);
    }
    s.check(y, &want);
}

#[test]
fn a_limit_of_turns() {
    let s = setup();
    let limit = s.g.placeholder(tf::i32, ());
    let y =
        While::new(s.x).maximum_iterations(limit).run(|y| tf::reduce_sum(y).lt(1e9), |y| tf::sin(y) * s.c);
    for turns in [0, 4] {
        let feeds = s.feeds.clone().with(limit, turns as i32);
        s.value(y, &feeds, &each(|x, c| repeat(turns, x, |y| y.sin() * c)));
        check_gradients(&tf::Session::new(&s.g), &[y], &[s.x, s.c], feeds, 2).unwrap();
    }
}

#[test]
fn loops_in_loops() {
    let s = setup();
    let inner = |turns: Tensor, y: Tensor| {
        tf::while_loop(|(j, _)| j.lt(turns), |(j, y)| (j + 1, tf::sin(y) + s.c), (s.int(0), y)).1
    };
    let (_, y) = tf::while_loop(|(i, _)| i.lt(3), |(i, y)| (i + 1, inner(i, y) * s.x), (s.int(0), s.c));
    s.value(y, &s.feeds, &each(|x, c| (0..3).fold(c, |y, i| repeat(i, y, |y| y.sin() + c) * x)));
    s.gradients(y, 1);
}

#[test]
fn a_loop_in_a_branch_in_a_loop() {
    let s = setup();
    let step = |i: Tensor, y: Tensor| {
        tf::cond(
            tf::equal(tf::floormod(i, 2), 0),
            || tf::while_loop(|(j, _)| j.lt(i), |(j, y)| (j + 1, tf::tanh(y) * s.c + s.x), (s.int(0), y)).1,
            || y * y * s.c,
        )
    };
    let (_, y) = tf::while_loop(|(i, _)| i.lt(4), |(i, y)| (i + 1, step(i, y)), (s.int(1), s.x));
    let want = |x: f64, c: f64| {
        (1..4).fold(x, |y, i| if i % 2 == 0 { repeat(i, y, |y| y.tanh() * c + x) } else { y * y * c })
    };
    s.check(y, &each(want));
}

#[test]
fn a_variable_that_grows() {
    let s = setup();
    let (_, all) = While::new((s.int(0), s.x))
        .shape_invariants([None, Some(PartialShape::from([None]))])
        .run(|(i, _)| i.lt(3), |(i, v)| (i + 1, tf::concat([v, tf::reduce_sum(tf::sin(v)) * s.c], 0)));
    assert_eq!(all.shape().to_string(), "[?]");
    let mut want = X.to_vec();
    for _ in 0..3 {
        let sum: f64 = want.iter().map(|v| v.sin()).sum();
        want.extend(C.map(|c| sum * c));
    }
    s.value(all, &s.feeds, &want);
}

#[test]
fn carries_that_do_not_matter() {
    let s = setup();
    let vars = (s.int(0), s.x, s.c, s.g.constant(1i64));
    let (_, y, z, count) =
        tf::while_loop(|(i, ..)| i.lt(3), |(i, y, z, n)| (i + 1, tf::sin(y), z * z, n * 2), vars);
    s.value(count, &s.feeds, &[8.0]);
    s.check(y, &each(|x, _| repeat(3, x, f64::sin)));
    s.check(z, &each(|_, c| repeat(3, c, |z| z * z)));
    // No path leads from x to z.
    let dx = tf::gradients([z], [s.x])[0].unwrap_or_else(|| tf::zeros_like(s.x));
    s.value(dx, &s.feeds, &[0.0, 0.0]);
}

#[test]
fn carries_that_swap() {
    let s = setup();
    let (_, a, b) =
        tf::while_loop(|(i, ..)| i.lt(3), |(i, a, b)| (i + 1, b, tf::sin(a) * b), (s.int(0), s.x, s.c));
    let pair = |x: f64, c: f64| (0..3).fold((x, c), |(a, b), _| (b, a.sin() * b));
    s.check(a, &each(|x, c| pair(x, c).0));
    s.check(b, &each(|x, c| pair(x, c).1));
}

#[test]
fn stopped_gradients() {
    let s = setup();
    let (_, y) =
        tf::while_loop(|(i, _)| i.lt(2), |(i, y)| (i + 1, tf::stop_gradient(y) * y * s.c), (s.int(0), s.x));
    s.value(y, &s.feeds, &each(|x, c| repeat(2, x, |y| y * y * c)));
    // y1 = stop(x) x c, y2 = stop(y1) y1 c: dy2/dx = y1 c x c.
    let dx = tf::gradients([y], [s.x])[0].unwrap();
    s.value(dx, &s.feeds, &each(|x, c| x * x * c * c * x * c));
}

#[test]
fn gradients_taken_inside_of_a_loop() {
    let s = setup();
    // Newton's method for y^2 = c, with the derivative taken in the body.
    let newton = |(i, y): (Tensor, Tensor)| {
        let f = y * y - s.c;
        (i + 1, y - f / tf::gradients([f], [y])[0].unwrap())
    };
    let (_, root) = tf::while_loop(|(i, _)| i.lt(3), newton, (s.int(0), tf::exp(s.x)));
    s.check(root, &each(|x, c| repeat(3, x.exp(), |y| y - (y * y - c) / (2.0 * y))));
}

#[test]
fn variables_inside_of_bodies() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [1, 2]);
    let cell = |h: Tensor| {
        g.variable_scope("cell").auto_reuse().dtype(tf::f64).enter(|vs| {
            tf::tanh(tf::matmul(h, vs.get_variable_with("W", [2, 2], tf::init::constant(0.3))) + x)
        })
    };
    let (_, h) = tf::while_loop(|(i, _)| i.lt(3), |(i, h)| (i + 1, cell(h)), (g.constant(0i32), x));
    let unrolled = cell(cell(cell(x)));
    assert_eq!(g.global_variables().len(), 1);
    let w = g.global_variables()[0];
    let gradient = |of: Tensor| tf::gradients([of], [w.value()])[0].unwrap();
    let sess = tf::Session::new(&g);
    sess.run(g.global_variables_initializer(), feed! {}).unwrap();
    let fetches = ((h, gradient(h)), (unrolled, gradient(unrolled)));
    let (dynamic, fixed) = sess.run(fetches, feed! { x => [X] }).unwrap();
    assert!(dynamic.0.allclose(&fixed.0, 1e-12, 0.0), "{} {}", dynamic.0, fixed.0);
    assert!(dynamic.1.allclose(&fixed.1, 1e-12, 0.0), "{} {}", dynamic.1, fixed.1);
}

#[test]
fn scans_over_any_length() {
    let s = setup();
    let xs = s.g.placeholder(tf::f64, [None, Some(2)]);
    for reverse in [false, true] {
        let step = |h: Tensor, x: Tensor| {
            let h = tf::tanh(h * s.c + x);
            (h, h * x)
        };
        let (last, ys) = tf::scan(step, s.x, xs, ScanOptions { reverse });
        for length in [0, 1, 4] {
            let rows: Vec<f64> = (0..2 * length).map(|i| (i as f64 * 0.7).sin()).collect();
            let mut want = vec![0.0; 2 * length];
            let mut h = X;
            for turn in 0..length {
                let t = if reverse { length - 1 - turn } else { turn };
                h = [0, 1].map(|k| (h[k] * C[k] + rows[2 * t + k]).tanh());
                (0..2).for_each(|k| want[2 * t + k] = h[k] * rows[2 * t + k]);
            }
            let rows = tf::Value::from_vec([length, 2], rows).unwrap();
            let feeds = s.feeds.clone().with(xs, rows);
            s.value(ys, &feeds, &want);
            s.value(last, &feeds, &h);
            let sess = tf::Session::new(&s.g);
            check_gradients(&sess, &[ys, last], &[s.x, s.c, xs], feeds, 2).unwrap();
        }
    }
}

#[test]
fn folds_and_maps() {
    let s = setup();
    let pair = tf::stack([s.x, s.c], 0);
    s.check(
        tf::map_fn(|row: Tensor| tf::sin(row) * s.c, pair),
        &[each(|x, c| x.sin() * c), each(|_, c| c.sin() * c)].concat(),
    );
    s.check(
        tf::foldl(|sum, row| sum * 0.5 + row * row, pair, s.x),
        &each(|x, c| (x * 0.5 + x * x) * 0.5 + c * c),
    );
    s.check(
        tf::foldr(|sum, row| sum * 0.5 + row * row, pair, s.x),
        &each(|x, c| (x * 0.5 + c * c) * 0.5 + x * x),
    );
    let (a, b) = tf::map_fn(|(a, b): (Tensor, Tensor)| (a * b, a - b), (s.x, s.c));
    s.check(a, &each(|x, c| x * c));
    s.check(b, &each(|x, c| x - c));
}

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
fn dependencies_inside_of_bodies() {
    let s = setup();
    let checked = |(i, y): (Tensor, Tensor)| {
        let small = tf::assert_that(tf::reduce_all(y.lt(3.0)), &[y], "too large");
        s.g.control_dependencies([small]).enter(|| (i + 1, y + 1.0))
    };
    let up_to = |n: i32| tf::while_loop(|(i, _)| i.lt(n), checked, (s.int(0), s.x)).1;
    let (short, long) = (up_to(3), up_to(4));
    s.check(short, &each(|x, _| x + 3.0));
    let error = tf::Session::new(&s.g).run(long, &s.feeds).unwrap_err();
    assert!(error.message().starts_with("too large"), "{error}");
}

#[test]
fn a_loop_waits_for_what_its_body_must_wait_for() {
    let g = tf::Graph::new();
    let v = g.get_variable_with("v", (), tf::init::zeros());
    let set = v.assign_add(5.0);
    let y = g.control_dependencies([set]).enter(|| {
        tf::while_loop(|(i, _)| i.lt(3), |(i, y)| (i + 1, y + v), (g.constant(0i32), g.constant(0f32))).1
    });
    let sess = tf::Session::new(&g);
    sess.run(v.initializer(), feed! {}).unwrap();
    sess.run(y, feed! {}).unwrap();
    assert_eq!(sess.run(v, feed! {}).unwrap().to_scalar::<f32>().unwrap(), 5.0, "the update ran, once");
}

#[test]
fn every_turn_draws_anew() {
    let g = tf::Graph::new();
    g.set_random_seed(1);
    let rows = tf::map_fn(|_: Tensor| g.random_uniform(tf::f64, [4]), g.zeros(tf::f32, [3]));
    let drawn = tf::Session::new(&g).run(rows, feed! {}).unwrap().to_vec::<f64>().unwrap();
    assert_eq!(drawn.len(), 12);
    assert!((0..12).all(|i| !drawn[..i].contains(&drawn[i])), "{drawn:?}");
}

/// A piece of a program over one vector, written with control flow or without.
#[derive(Debug, Clone)]
enum Piece {
    Sin,
    TimesC,
    PlusX,
    Gate,
    /// So many turns, the number fed or known.
    Loop(i32, bool, Vec<Piece>),
    /// On whether the elements sum up to more than this.
    Branch(f64, Vec<Piece>, Vec<Piece>),
    /// Each turn adds a row and goes on.
    Scan(bool, Vec<Piece>),
}

/// What pieces use from outside.
struct Outside {
    x: Tensor,
    c: Tensor,
    /// `[3, 2]`
    rows: Tensor,
    /// Feeds for numbers of turns: 0 to 3.
    turns: [Tensor; 4],
}

impl Outside {
    fn all(&self, y: Tensor, pieces: &[Piece], unroll: bool) -> Tensor {
        pieces.iter().fold(y, |y, piece| self.one(y, piece, unroll))
    }

    fn one(&self, y: Tensor, piece: &Piece, unroll: bool) -> Tensor {
        let all = |y, pieces: &[Piece]| self.all(y, pieces, unroll);
        match piece {
            Piece::Sin => tf::sin(y),
            Piece::TimesC => y * self.c,
            Piece::PlusX => y + self.x,
            Piece::Gate => tf::tanh(y) * y,
            Piece::Loop(turns, _, body) if unroll => (0..*turns).fold(y, |y, _| all(y, body)),
            Piece::Loop(turns, fed, body) => {
                let zero = y.graph().constant(0i32);
                let limit = if *fed { self.turns[*turns as usize] } else { y.graph().constant(*turns) };
                tf::while_loop(|(i, _)| i.lt(limit), |(i, y)| (i + 1, all(y, body)), (zero, y)).1
            }
            Piece::Branch(limit, then, orelse) => {
                let above = tf::reduce_sum(y).gt(*limit);
                match unroll {
                    true => tf::where_(above, all(y, then), all(y, orelse)),
                    false => tf::cond(above, || all(y, then), || all(y, orelse)),
                }
            }
            Piece::Scan(reverse, body) if unroll => {
                let mut rows = tf::unstack(self.rows, 0);
                if *reverse {
                    rows.reverse();
                }
                rows.into_iter().fold(y, |y, row| all(tf::sin(y + row), body))
            }
            Piece::Scan(reverse, body) => {
                let step = |y: Tensor, row: Tensor| {
                    let y = all(tf::sin(y + row), body);
                    (y, y)
                };
                tf::scan(step, y, self.rows, ScanOptions { reverse: *reverse }).0
            }
        }
    }
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let leaf = prop_oneof![Just(Piece::Sin), Just(Piece::TimesC), Just(Piece::PlusX), Just(Piece::Gate)];
    let piece = leaf.prop_recursive(3, 10, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            (0..4i32, any::<bool>(), some()).prop_map(|(n, fed, body)| Piece::Loop(n, fed, body)),
            (-1.0..1.0f64, some(), some()).prop_map(|(t, a, b)| Piece::Branch(t, a, b)),
            (any::<bool>(), some()).prop_map(|(reverse, body)| Piece::Scan(reverse, body)),
        ]
    });
    prop::collection::vec(piece, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    /// Random nests of loops, scans and branches: values and gradients to second order are those of the program written out.
    #[test]
    fn nests_equal_what_they_unroll_to(program in pieces()) {
        let s = setup();
        let rows = s.g.constant([[0.3, -0.7], [1.2, 0.1], [-0.4, 0.9]]);
        let turns = [0, 1, 2, 3].map(|n: i32| s.g.placeholder_with_default(s.g.constant(n), ()));
        let outside = Outside { x: s.x, c: s.c, rows, turns };
        let [rolled, unrolled] = [false, true].map(|unroll| {
            let y = outside.all(s.x * s.c, &program, unroll);
            let mut all = vec![y];
            let mut of = tf::reduce_sum(tf::sin(y));
            for _ in 0..2 {
                let found = tf::gradients([of], [s.x, s.c]);
                let found: Vec<Tensor> = found.iter().map(|d| d.unwrap_or_else(|| tf::zeros_like(s.x))).collect();
                of = tf::reduce_sum(tf::square(found[0]) + tf::square(found[1]) * s.x);
                all.extend(found);
            }
            all
        });
        for optimise in [true, false] {
            let sess = tf::Session::builder(&s.g).optimise(optimise).build();
            let got = sess.run(&rolled, &s.feeds).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let want = sess.run(&unrolled, &s.feeds).map_err(|e| TestCaseError::fail(e.to_string()))?;
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                let scale = want.iter_f64().fold(1.0, |m: f64, v| m.max(v.abs()));
                prop_assert!(got.allclose(want, 1e-9, 1e-9 * scale), "result {i}: {got}, not {want}");
            }
        }
    }
}
