//! What users see when something is wrong. Line numbers are replaced, so that edits above do not break the expectations.
#![allow(missing_docs)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use expect_test::{Expect, expect};
use tf::feed;
use tidemill as tf;

/// `file.rs:12:34` becomes `file.rs:LINE`.
fn normal(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split(".rs:").enumerate() {
        if i == 0 {
            out.push_str(part);
            continue;
        }
        out.push_str(".rs:LINE");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':'));
    }
    out
}

#[track_caller]
fn check(error: tf::Error, want: Expect) {
    want.assert_eq(&normal(&error.to_string()));
}

/// What a panic of graph-building sugar says.
#[track_caller]
fn panics(build: impl FnOnce(), want: Expect) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let outcome = catch_unwind(AssertUnwindSafe(build));
    std::panic::set_hook(hook);
    let panic = outcome.expect_err("a mistake");
    let said = panic.downcast_ref::<String>().expect("a message");
    want.assert_eq(&normal(said));
}

/// One test, since the panic hook is the process's.
#[test]
fn building() {
    let g = tf::Graph::new();
    let a = g.placeholder(tf::f32, [200, 14]).named("a");
    let b = g.placeholder(tf::f32, [12, 4]).named("b");
    let whole = g.placeholder(tf::i32, [3]).named("whole");
    panics(
        || drop(tf::matmul(a, b).name()),
        expect![[r#"
            MatMul "MatMul": inner dimensions differ, 14 and 12
              --> tests/tests/errors.rs:LINE
               a: f32[200,14] "a"   tests/tests/errors.rs:LINE
               b: f32[12,4]   "b"   tests/tests/errors.rs:LINE"#]],
    );
    panics(
        || drop((a + b).name()),
        expect![[r#"
        AddV2 "add": shapes [200,14] and [12,4] do not broadcast
          --> tests/tests/errors.rs:LINE
           x: f32[200,14] "a"   tests/tests/errors.rs:LINE
           y: f32[12,4]   "b"   tests/tests/errors.rs:LINE
           help: dimensions must be equal, or one of them 1, counted from the last"#]],
    );
    panics(
        || drop((a + whole).name()),
        expect![[r#"
        AddV2 "add": `y` is i32, but `x` is f32
          --> tests/tests/errors.rs:LINE
           x: f32[200,14] "a"       tests/tests/errors.rs:LINE
           y: i32[3]      "whole"   tests/tests/errors.rs:LINE
           help: cast one of them: tf::cast(x, tf::f32)"#]],
    );
    panics(
        || drop((whole + 1.5).name()),
        expect![[r#"
        the number 1.5 cannot be a i32
           help: cast the tensor first: tf::cast(x, tf::f64)"#]],
    );
    g.variable_scope("cell").enter(|vs| vs.get_variable("W", [2, 2]));
    panics(
        || drop(g.variable_scope("cell").enter(|vs| vs.get_variable("W", [2, 2])).name()),
        expect![[r#"
        variable cell/W already exists, first defined at tests/tests/errors.rs:LINE
          --> tests/tests/errors.rs:LINE
           help: open the scope with .reuse() to share it, or .auto_reuse() to share it if it exists"#]],
    );
    let reused = |name: &'static str, rows: usize| {
        g.variable_scope("cell").reuse().enter(|vs| vs.get_variable(name, [rows, 2])).name()
    };
    panics(
        || drop(reused("V", 2)),
        expect![[r#"
        variable cell/V does not exist, or was not made with get_variable
          --> tests/tests/errors.rs:LINE
           help: did you mean cell/W? .auto_reuse() makes a variable that is absent"#]],
    );
    panics(
        || drop(reused("W", 3)),
        expect![[r#"
        variable cell/W is shared with shape [3,2], but was defined with shape [2,2] at tests/tests/errors.rs:LINE
          --> tests/tests/errors.rs:LINE"#]],
    );
    let escaped = std::cell::Cell::new(None);
    tf::while_loop(
        |x| tf::reduce_sum(x).lt(9.0),
        |x| {
            escaped.set(Some(x));
            x * 2.0
        },
        g.ones(tf::f32, [2]),
    );
    panics(
        || drop((escaped.get().unwrap() + 1.0).name()),
        expect![[r#"
            AddV2 "add": "Param_1", made at tests/tests/errors.rs:LINE, is a tensor of the body of a loop or conditional and cannot be used outside of it
              --> tests/tests/errors.rs:LINE
               help: return it from the body, and use the result"#]],
    );
    panics(
        || {
            tf::while_loop(|x| tf::reduce_sum(x).lt(9.0), |x| tf::concat([x, x], 0), g.ones(tf::f32, [2]));
        },
        expect![[r#"
            loop variable 0 goes into a turn as f32[2], and comes out as f32[4]
              --> tests/tests/errors.rs:LINE
               help: keep dtype and shape, or give the loop a shape invariant that covers both"#]],
    );
    panics(
        || {
            let x = g.placeholder(tf::f32, [2]);
            let _ = x + 1.0;
            let _ = x.named("late");
        },
        expect![[r#"
            "Placeholder" cannot be renamed to "late": other operations were added since
               help: call .named() on the operation as it is made, or build it in a name scope"#]],
    );
    g.finalize();
    panics(
        || drop((a * 2.0).name()),
        expect![[r#"
        Mul "mul": the graph is finalized and cannot grow
          --> tests/tests/errors.rs:LINE
           help: build the whole graph before the run loop"#]],
    );
}

#[test]
fn running() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [None, Some(2)]).named("x");
    let w = g.get_variable("w", [2, 3]);
    let y = tf::matmul(x, w).named("y");
    let sess = tf::Session::new(&g);
    let xs = [[1f32, 2.0]];
    check(
        sess.run(y, feed! { x => xs }).unwrap_err(),
        expect![[r#"
        Read "w/read": the variable "w" is not initialised
          --> tests/tests/errors.rs:LINE
           help: run its initializer first: sess.run(graph.global_variables_initializer(), feed! {})"#]],
    );
    sess.run(g.global_variables_initializer(), feed! {}).unwrap();
    check(
        sess.run(y, feed! {}).unwrap_err(),
        expect![[r#"
        Placeholder "x": the placeholder must be fed with a f32[?,2]
          --> tests/tests/errors.rs:LINE
           help: add it to the feeds, by its tensor or its name: feed! { "x:0" => .. }"#]],
    );
    check(
        sess.run(y, feed! { x => [[1f64, 2.0]] }).unwrap_err(),
        expect![[r#"
        Placeholder "x": "x:0" is f32[?,2], but is fed a f64[1,2]
          --> tests/tests/errors.rs:LINE
           help: convert the value: value.cast(tf::f32)"#]],
    );
    check(
        sess.run(y, feed! { x => [1f32, 2.0] }).unwrap_err(),
        expect![[r#"
        Placeholder "x": "x:0" has shape [?,2], but is fed a f32[2] (rank 2, not 1)
          --> tests/tests/errors.rs:LINE"#]],
    );
    check(
        sess.run(y, feed! { x => [[1f32, 2.0, 3.0]] }).unwrap_err(),
        expect![[r#"
        Placeholder "x": "x:0" has shape [?,2], but is fed a f32[1,3]
          --> tests/tests/errors.rs:LINE"#]],
    );
    check(
        sess.run(y, feed! { x => vec![vec![1f32], vec![]] }).unwrap_err(),
        expect![[
            r#"the value fed to "x:0" is no array: ragged nested list: at depth 0, item 1 has shape [0], but item 0 has shape [1]"#
        ]],
    );
    check(sess.run(y, feed! { x => xs, "x:0" => xs }).unwrap_err(), expect![[r#""x:0" is fed twice"#]]);
    check(sess.run("z:0", feed! {}).unwrap_err(), expect![[r#"there is no operation "z" in the graph"#]]);
    check(
        sess.run("y:3", feed! {}).unwrap_err(),
        expect![[r#"operation "y" has 1 outputs, there is no "y:3""#]],
    );
    let other = tf::Graph::new();
    let foreign = other.zeros(tf::f32, [2]);
    check(
        sess.run(foreign, feed! {}).unwrap_err(),
        expect!["a fetched tensor belongs to another graph than the session"],
    );
    let checked = tf::assert_that(tf::reduce_all(x.gt(0.0)), &[x], "x must be positive");
    check(
        sess.run(checked, feed! { x => [[1f32, -2.0]] }).unwrap_err(),
        expect![[r#"
        Assert "Assert": x must be positive [1 -2]
          --> tests/tests/errors.rs:LINE"#]],
    );
    // After every error the session works on.
    assert_eq!(sess.run(y, feed! { x => xs }).unwrap().shape().dims(), [1, 3]);
    sess.close();
    check(sess.run(y, feed! { x => xs }).unwrap_err(), expect!["the session is closed"]);
}

/// An op whose kernel may panic, and that has no gradient.
#[derive(Debug, Clone, PartialEq)]
struct Fragile;
tf::attrs!(Fragile {});

impl tf::Op for Fragile {
    const SCHEMA: tf::Schema = tf::Schema::new("Fragile", "(x: T) -> (y: T) where T: Float");
    fn infer(&self, cx: &tf::InferCx) -> tf::Result<Vec<tf::TensorType>> {
        cx.same_as_input(0)
    }
}

impl tf::CpuKernel for Fragile {
    fn run(&self, cx: &mut tf::KernelCx) -> tf::Result<()> {
        assert!(cx.input::<f32>(0)?[0] > 0.0, "not positive");
        cx.map(|x| x)
    }
}

#[test]
fn ops_of_ones_own() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [2]).named("x");
    let y = g.add(Fragile, &[x]).named("fragile");
    check(
        tf::try_gradients([y], [x]).unwrap_err(),
        expect![[r#"
        Fragile "fragile": op Fragile has no gradient
          --> tests/tests/errors.rs:LINE
           help: wrap the path in tf::stop_gradient, or define Op::grad"#]],
    );
    check(
        tf::Session::new(&g).run(y, feed! { x => [1f32, 1.0] }).unwrap_err(),
        expect![[r#"
        Fragile "fragile": op Fragile has no CPU kernel in this session
          --> tests/tests/errors.rs:LINE
           help: register one: Session::builder(&graph).kernel::<TheOp>().build()"#]],
    );
    let sess = tf::Session::builder(&g).kernel::<Fragile>().build();
    check(
        sess.run(y, feed! { x => [-1f32, 1.0] }).unwrap_err(),
        expect![[r#"
        Fragile "fragile": the kernel panicked: not positive
          --> tests/tests/errors.rs:LINE"#]],
    );
    assert_eq!(sess.run(y, feed! { x => [1f32, 2.0] }).unwrap(), [1f32, 2.0].into());
}

#[test]
fn a_gradient_shows_the_forward_line() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, tf::PartialShape::unknown()).named("x");
    let y = tf::reshape(x, [2, 2]);
    let dx = tf::gradients([tf::reduce_sum(y * y)], [x])[0].unwrap();
    let sess = tf::Session::new(&g);
    check(
        sess.run(dx, feed! { x => [1f32, 2.0, 3.0] }).unwrap_err(),
        expect![[r#"
        Reshape "Reshape": cannot reshape [3] (3 elements) to [2,2], which takes 4
          --> tests/tests/errors.rs:LINE"#]],
    );
}
