//! Variable scopes: the same variables wherever they are asked for, once each in training.
#![allow(missing_docs)]

use tf::feed;
use tidemill as tf;

fn names(g: &tf::Graph) -> Vec<String> {
    g.global_variables().iter().map(|v| v.op().name()).collect()
}

#[test]
fn a_cell_called_twice_shares_its_weights() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [None, Some(2)]).named("x");
    let cell = |x: tf::Tensor| {
        g.variable_scope("cell").auto_reuse().enter(|vs| {
            let w = vs.get_variable_with("W", [2, 2], tf::init::constant(0.5));
            tf::matmul(x, w)
        })
    };
    let y = cell(cell(x));
    assert_eq!(names(&g), ["cell/W"]);
    let sess = tf::Session::new(&g);
    sess.run(g.global_variables_initializer(), feed! {}).unwrap();
    let y = sess.run(y, feed! { x => [[1f32, 3.0]] }).unwrap();
    assert_eq!(y, [[2f32, 2.0]].into());
}

#[test]
fn a_shared_weight_gets_the_sum_of_its_gradients() {
    let g = tf::Graph::new();
    let w = || {
        g.variable_scope("s")
            .auto_reuse()
            .enter(|vs| vs.get_variable_with("w", (), tf::init::constant(3.0)).value())
    };
    let loss = w() * w() * 2.0;
    let train = tf::train::GradientDescentOptimizer::new(0.25).minimize(loss);
    let sess = tf::Session::new(&g);
    sess.run(g.global_variables_initializer(), feed! {}).unwrap();
    sess.run(train, feed! {}).unwrap();
    // d(2 w^2)/dw = 4 w = 12, and 3 - 0.25 * 12 = 0.
    let after: f32 = sess.run("s/w:0", feed! {}).unwrap().to_scalar().unwrap();
    assert_eq!(after, 0.0);
}

#[test]
fn scopes_nest_and_inherit_reuse() {
    let g = tf::Graph::new();
    let build = |reuse: bool| {
        let outer = g.variable_scope("outer");
        let outer = if reuse { outer.reuse() } else { outer };
        outer.enter(|_| {
            g.variable_scope("inner").enter(|vs| {
                assert_eq!(vs.name(), "outer/inner");
                vs.get_variable("v", [3])
            })
        })
    };
    let (a, b) = (build(false), build(true));
    assert_eq!((a, a.op().name()), (b, "outer/inner/v".to_owned()));
    assert_eq!(names(&g), ["outer/inner/v"]);
}

#[test]
fn variables_take_the_scope_of_variables_and_ops_that_of_names() {
    let g = tf::Graph::new();
    let (v, y) = g.name_scope("names").enter(|| {
        g.variable_scope("vars").enter(|vs| {
            let v = vs.get_variable("v", [2]);
            (v, (v.value() + 1.0))
        })
    });
    assert_eq!(v.op().name(), "vars/v");
    assert_eq!(y.op().name(), "names/vars/add");
    let again = g.variable_scope("vars").reuse().enter(|vs| {
        let v = vs.get_variable("v", [2]);
        (v, v.value() + 1.0)
    });
    assert_eq!(again.0, v);
    assert_eq!(again.1.op().name(), "vars/add", "the second opening has a name scope of its own");
}

#[test]
fn unique_scopes_never_share() {
    let g = tf::Graph::new();
    for _ in 0..3 {
        g.unique_variable_scope("layer").enter(|vs| vs.get_variable("W", [1]));
    }
    assert_eq!(names(&g), ["layer/W", "layer_1/W", "layer_2/W"]);
}

#[test]
fn what_a_scope_says_holds_inside() {
    let g = tf::Graph::new();
    let scope = g.variable_scope("s").dtype(tf::f64).initializer(tf::init::constant(7.0));
    let v = scope.enter(|_| g.variable_scope("t").enter(|vs| vs.get_variable("v", [2])));
    assert_eq!(v.dtype(), tf::f64);
    let sess = tf::Session::new(&g);
    sess.run(v.initializer(), feed! {}).unwrap();
    assert_eq!(sess.run(v, feed! {}).unwrap(), [7f64, 7.0].into());
    assert_eq!(g.get_variable("outside", [1]).dtype(), tf::f32);
}

#[test]
fn a_scope_ends_even_when_its_closure_panics() {
    let g = tf::Graph::new();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        g.variable_scope("s").enter(|_| g.name_scope("n").enter(|| panic!("in between")))
    }));
    assert!(outcome.is_err());
    assert_eq!(g.get_variable("v", [1]).op().name(), "v");
    assert_eq!(g.current_name_scope(), "");
}
