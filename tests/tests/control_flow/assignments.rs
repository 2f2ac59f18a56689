//! Variables assigned inside of bodies.

use tf::ops::While;
use tf::{FeedDict, PartialShape, Tensor, Variable, feed};
use tidemill as tf;

/// A counter that starts with 10, and a number of turns that is fed.
struct Counter {
    g: tf::Graph,
    v: Variable,
    turns: Tensor,
}

fn counter() -> Counter {
    let g = tf::Graph::new();
    let v = g.get_variable_with("v", (), tf::init::constant(10.0));
    let turns = g.placeholder(tf::i32, ());
    Counter { g, v, turns }
}

impl Counter {
    /// So many turns of `f`, on a number that starts with 0.
    fn repeat(&self, f: impl FnOnce(Tensor) -> Tensor) -> Tensor {
        let vars = (self.g.constant(0i32), self.g.constant(0f32));
        tf::while_loop(|(i, _)| i.lt(self.turns), |(i, y)| (i + 1, f(y)), vars).1
    }

    /// What `y` is, and the variable afterwards, when there are three turns, optimised or not.
    #[track_caller]
    fn check(&self, y: Tensor, want: f32, afterwards: f32) {
        for optimise in [true, false] {
            let sess = tf::Session::builder(&self.g).optimise(optimise).build();
            sess.run(self.g.global_variables_initializer(), feed! {}).unwrap();
            let number = |y: Tensor, feeds: FeedDict| sess.run(y, feeds).unwrap().to_scalar::<f32>().unwrap();
            let y = number(y, feed! { self.turns => 3i32 });
            assert_eq!((y, number(self.v.value(), feed! {})), (want, afterwards), "optimise: {optimise}");
        }
    }
}

#[test]
fn every_turn_assigns() {
    let c = counter();
    // The result of an assignment is the variable as it is then.
    c.check(c.repeat(|y| y + c.v.assign_add(1.0)), 11.0 + 12.0 + 13.0, 13.0);
    c.check(c.repeat(|y| y * 2.0 + c.v.assign(y + 5.0)), 65.0, 25.0);
    // What is not needed does not run; what a result waits for does.
    let drop_it = |y: Tensor| {
        c.v.assign_add(1.0);
        y + 1.0
    };
    c.check(c.repeat(drop_it), 3.0, 10.0);
    c.check(c.repeat(|y| c.g.control_dependencies([c.v.assign_sub(1.0)]).enter(|| y + 1.0)), 3.0, 7.0);
}

#[test]
fn reads_outside_of_the_loop_keep_what_they_saw() {
    let c = counter();
    // The value as a formula uses it was read before the loop.
    c.check(c.repeat(|y| y + c.v.assign_add(1.0) * 0.0 + c.v), 30.0, 13.0);
    let changed = c.repeat(|y| y + c.v.assign_add(1.0));
    c.check(changed * 0.0 + c.v, 10.0, 13.0);
    // What waits for the loop sees what it did.
    let afterwards = c.g.control_dependencies([changed.op()]).enter(|| tf::identity(c.v.reference()));
    c.check(afterwards, 13.0, 13.0);
    // In a turn, a read sees what was before the turn's assignments, or what it waits for.
    let read = || tf::identity(c.v.reference());
    let both = |y: Tensor| {
        let before = read();
        let set = c.v.assign_add(1.0);
        let after = c.g.control_dependencies([set]).enter(read);
        y + before + after * 100.0
    };
    c.check(c.repeat(both), 10.0 + 11.0 + 12.0 + 100.0 * (11.0 + 12.0 + 13.0), 13.0);
    // Loops that assign the same one after the other.
    let first = c.repeat(|y| y + c.v.assign_add(1.0));
    let second = c.repeat(|y| y + c.v.assign_add(first));
    c.check(second, (13.0 + 36.0) + (13.0 + 72.0) + (13.0 + 108.0), 121.0);
}

#[test]
fn conditions_and_branches_assign() {
    let c = counter();
    let three = c.turns.gt(2);
    let branch = |taken: Tensor| tf::cond(taken, || c.v.assign_add(1.0) + 0.0, || c.v.assign_sub(1.0) + 0.0);
    c.check(branch(three), 11.0, 11.0);
    c.check(branch(tf::logical_not(three)), 9.0, 9.0);
    c.check(tf::cond(three, || c.g.constant(1f32), || c.v.assign_add(1.0) + 0.0), 1.0, 10.0);
    // In a loop, in a branch, in a loop.
    let inner = |y: Tensor| y + c.repeat(|z| z + c.v.assign_add(1.0));
    let odd = |y: Tensor| tf::cond(y.lt(30.0), || inner(y), || y + 1.0);
    c.check(c.repeat(odd), 11.0 + 12.0 + 13.0 + 1.0 + 1.0, 13.0);
    // As long as the variable is small.
    let small = |_: Tensor| (c.v.assign_add(1.0) + 0.0).lt(15.0);
    c.check(tf::while_loop(small, |y| y + 1.0, c.g.constant(0f32)), 4.0, 15.0);
}

#[test]
fn shapes_may_change_from_turn_to_turn() {
    let c = counter();
    let grow =
        |(i, y): (Tensor, Tensor)| (i + 1, tf::concat([y, tf::expand_dims(c.v.assign_add(1.0), 0)], 0));
    let (_, all) = While::new((c.g.constant(0i32), c.g.zeros(tf::f32, [1])))
        .shape_invariants([None, Some(PartialShape::from([None]))])
        .run(|(i, _)| i.lt(c.turns), grow);
    c.check(tf::reduce_sum(all), 11.0 + 12.0 + 13.0, 13.0);
}

#[test]
fn a_gradient_assigns_no_second_time() {
    let c = counter();
    let x = c.g.placeholder_with_default(c.g.constant(2f32), ());
    let vars = (c.g.constant(0i32), x);
    let step = |(i, y): (Tensor, Tensor)| (i + 1, y * y * c.v.assign_add(1.0));
    let (_, y) = tf::while_loop(|(i, _)| i.lt(2), step, vars);
    // y = (x² 11)² 12, dy/dx = 4 x³ 11² 12.
    c.check(y, 16.0 * 121.0 * 12.0, 12.0);
    let dx = tf::gradients([y], [x])[0].unwrap();
    c.check(dx, 32.0 * 121.0 * 12.0, 12.0);
    c.check(dx + y * 0.0, 32.0 * 121.0 * 12.0, 12.0);
    // No gradient flows into what an assignment takes.
    let dv = tf::gradients([y], [c.v.reference()])[0].unwrap_or_else(|| c.g.constant(0f32));
    c.check(dv + y * 0.0, 0.0, 12.0);
}

#[test]
fn a_variable_without_a_value_is_named() {
    let c = counter();
    let y = c.repeat(|y| y + c.v.assign_add(1.0));
    let error = tf::Session::new(&c.g).run(y, feed! { c.turns => 3i32 }).unwrap_err();
    assert!(error.message().starts_with("the variable \"v\" is not initialised"), "{error}");
}
