//! Loops of one kind.

use tf::ops::{ScanOptions, While};
use tf::{PartialShape, Tensor, feed};
use tidemill as tf;
use tidemill_conformance::check_gradients;

use crate::setup::{C, X, each, repeat, setup};

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
    s.check(y, &each(|x, c| (0..3).fold(c, |y, i| repeat(i, y, |y| y.sin() + c) * x)));
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
    s.check(all, &want);
}

/// Two loops, one in the other, in which a variable grows.
#[test]
fn variables_that_grow_in_a_loop_in_a_loop() {
    let s = setup();
    let any = Some(PartialShape::from([None]));
    let more = |v: Tensor| tf::concat([v, tf::reduce_sum(tf::sin(v)) * s.c], 0);
    let inner = |n: Tensor, v: Tensor| {
        let shapes = [None, any.clone()];
        While::new((s.int(0), v)).shape_invariants(shapes).run(|(i, _)| i.lt(n), |(i, v)| (i + 1, more(v))).1
    };
    let (_, all) = While::new((s.int(0), s.x))
        .shape_invariants([None, any.clone()])
        .run(|(n, _)| n.lt(3), |(n, v)| (n + 1, tf::concat([inner(n, v) * tf::index(s.x, 0), s.c], 0)));
    let mut want = X.to_vec();
    for n in 0..3 {
        for _ in 0..n {
            let sum: f64 = want.iter().map(|v| v.sin()).sum();
            want.extend(C.map(|c| sum * c));
        }
        want.iter_mut().for_each(|v| *v *= X[0]);
        want.extend(C);
    }
    s.check(all, &want);
}

#[test]
fn results_of_different_shapes_cannot_be_stacked() {
    let s = setup();
    let (_, ys) =
        While::new(s.int(0)).scan(|i| i.lt(3), |i| (i + 1, s.g.zeros(tf::f64, tf::expand_dims(i, 0))));
    let error = tf::Session::new(&s.g).run(ys, feed! {}).unwrap_err();
    assert!(error.message().contains("one turn gives [0] and another [1]"), "{error}");
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

#[test]
fn what_an_inner_loop_draws_is_drawn_once() {
    let s = setup();
    let inner = |y: Tensor| {
        let step = |y: Tensor, _: Tensor| {
            let noise = s.g.random_uniform(tf::f64, [2]);
            (y * noise, noise)
        };
        tf::scan(step, y, s.g.zeros(tf::f32, [2]), ScanOptions::default())
    };
    let (y, noise) = tf::scan(|y, _: Tensor| inner(y), s.x, s.g.zeros(tf::f32, [3]), ScanOptions::default());
    let dx = tf::gradients([y], [s.x])[0].unwrap();
    let product = tf::reduce_prod_with(noise, tf::ops::Reduce::over([0, 1]));
    let (dx, product) = tf::Session::new(&s.g).run((dx, product), &s.feeds).unwrap();
    assert!(dx.allclose(&product, 1e-12, 0.0), "{dx} {product}");
}

#[test]
fn what_is_the_same_in_every_turn_is_not_kept_for_each() {
    let memory = |turns: usize| {
        let g = tf::Graph::new();
        let (x, c) = (g.placeholder(tf::f64, [1000]), g.placeholder(tf::f64, [1000]));
        // The gradient needs tanh(c) * 2, and what each turn starts from.
        let step = |y: Tensor, _: Tensor| (tf::sin(y) * (tf::tanh(c) * 2.0), ());
        let (y, ()) = tf::scan(step, x, g.zeros(tf::f32, [turns]), ScanOptions::default());
        let dx = tf::gradients([y], [x])[0].unwrap();
        let feeds = feed! { x => vec![1.0; 1000], c => vec![1.0; 1000] };
        tf::Session::new(&g).memory_report(dx, feeds).unwrap().total()
    };
    assert_eq!((memory(200) - memory(100)) / 100 / 8000, 1);

    let s = setup();
    let step = |(i, y): (Tensor, Tensor)| (i + 1, tf::sin(y) * (tf::tanh(s.c) * 2.0) + tf::exp(s.x));
    let (_, y) = tf::while_loop(|(i, _)| i.lt(3), step, (s.int(0), s.x));
    s.check(y, &each(|x, c| repeat(3, x, |y| y.sin() * c.tanh() * 2.0 + x.exp())));
    // Where there is no turn, what is the same in every turn is not computed, and cannot fail.
    let rows = tf::stack([s.x, s.c], 0);
    let seven = s.g.placeholder(tf::i32, ());
    let step = |(i, y): (Tensor, Tensor)| (i + 1, y * tf::sin(tf::gather(rows, seven)));
    let (_, y) = tf::while_loop(|(i, _)| i.lt(0), step, (s.int(0), s.x));
    let feeds = s.feeds.clone().with(seven, 7i32);
    s.value(y, &feeds, &X);
    s.value(tf::gradients([y], [s.x])[0].unwrap(), &feeds, &[1.0, 1.0]);
}
