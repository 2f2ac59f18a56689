//! Recurrent cells: what each computes, against TensorFlow, and what all have in common.
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use expect_test::{Expect, expect};
use serde_json::Value as Json;
use tf::nn::rnn_cell::{
    BasicLSTMCell, BasicRNNCell, BatchSize, DropoutWrapper, GRUCell, LSTMCell, LayerNormBasicLSTMCell,
    MultiRNNCell, OutputProjectionWrapper, ResidualWrapper, RnnCell,
};
use tf::nn::{DynamicRnn, StaticRnn};
use tf::ops::Nest;
use tf::{FeedDict, Tensor, feed};
use tidemill as tf;
use tidemill_tests::golden::{Case, assert_close};

/// What is done with each cell.
trait Visit {
    fn visit<C: RnnCell>(&self, name: &str, make: impl Fn() -> C);
}

fn dropout<C: RnnCell>(cell: C) -> DropoutWrapper<C> {
    DropoutWrapper::new(cell).input_keep_prob(0.5).state_keep_prob(0.625).output_keep_prob(0.75).seed(11)
}

/// Every cell, with its options, by the names of the recording: for inputs of depth 2.
fn all_cells(v: &impl Visit) {
    v.visit("basic_rnn", || BasicRNNCell::new(4));
    v.visit("basic_rnn_relu", || BasicRNNCell::new(4).activation(|x| tf::nn::relu(x)));
    v.visit("basic_lstm", || BasicLSTMCell::new(4));
    v.visit("basic_lstm_options", || {
        BasicLSTMCell::new(4).forget_bias(0.25).activation(|x| tf::sigmoid(x)).named("memory")
    });
    v.visit("lstm", || LSTMCell::new(4));
    v.visit("lstm_peepholes", || LSTMCell::new(4).use_peepholes().forget_bias(0.5));
    v.visit("lstm_projection", || LSTMCell::new(4).num_proj(3));
    v.visit("lstm_all", || {
        let cell = LSTMCell::new(4).use_peepholes().cell_clip(0.4).num_proj(3).proj_clip(0.25);
        cell.initializer(tf::init::constant(0.1))
    });
    v.visit("gru", || GRUCell::new(4));
    v.visit("gru_options", || {
        let cell = GRUCell::new(4).activation(|x| tf::nn::relu(x));
        cell.kernel_initializer(tf::init::constant(0.1)).bias_initializer(tf::init::constant(0.2))
    });
    v.visit("layer_norm", || LayerNormBasicLSTMCell::new(4).norm_gain(0.5).norm_shift(0.25));
    v.visit("layer_norm_off", || LayerNormBasicLSTMCell::new(4).layer_norm(false));
    v.visit("layer_norm_dropout", || LayerNormBasicLSTMCell::new(4).dropout_keep_prob(0.6).seed(7));
    v.visit("multi", || MultiRNNCell::new(vec![BasicLSTMCell::new(4), BasicLSTMCell::new(3)]));
    v.visit("multi_mixed", || {
        MultiRNNCell::new((BasicLSTMCell::new(4), GRUCell::new(4), BasicRNNCell::new(2)))
    });
    v.visit("multi_wrapped", || {
        let layer = || Box::new(ResidualWrapper::new(GRUCell::new(2))) as Box<dyn RnnCell<State = Tensor>>;
        MultiRNNCell::new(vec![layer(), layer(), layer()])
    });
    v.visit("dropout", || dropout(BasicLSTMCell::new(4)));
    v.visit("dropout_outputs", || DropoutWrapper::new(GRUCell::new(4)).output_keep_prob(0.5).seed(11));
    v.visit("dropout_variational", || dropout(BasicLSTMCell::new(4)).variational_recurrent());
    v.visit("dropout_multi", || dropout(MultiRNNCell::new((BasicLSTMCell::new(4), GRUCell::new(3)))));
    v.visit("residual", || ResidualWrapper::new(BasicLSTMCell::new(2)));
    v.visit("residual_fn", || ResidualWrapper::new(GRUCell::new(2)).residual_fn(|i, o| 0.5 * i * o));
    v.visit("output_projection", || OutputProjectionWrapper::new(BasicLSTMCell::new(4), 3));
    v.visit("output_projection_relu", || {
        OutputProjectionWrapper::new(GRUCell::new(4), 3).activation(|x| tf::nn::relu(x))
    });
}

/// The k-th array of a case.
fn waves(k: usize, shape: &[usize], dtype: tf::DType) -> tf::Value {
    let n = shape.iter().product::<usize>();
    let all = (0..n).map(|i| (1.7 * i as f64 + 0.3 * k as f64 + 0.5).sin()).collect();
    tf::Value::from_vec(shape, all).unwrap().cast(dtype)
}

fn shape_of(x: Tensor) -> Vec<usize> {
    x.shape().as_known().unwrap().dims().to_vec()
}

/// Replays the recorded steps of a cell.
struct Recorded(Case);

impl Visit for Recorded {
    fn visit<C: RnnCell>(&self, name: &str, make: impl Fn() -> C) {
        let cases = self.0.script["cases"].as_array().unwrap().iter().filter(|case| case["case"] == name);
        let mut replayed = 0;
        for case in cases {
            self.replay(name, case, &make());
            replayed += 1;
        }
        assert_eq!(replayed, 2, "{name}");
    }
}

impl Recorded {
    fn replay<C: RnnCell>(&self, name: &str, case: &Json, cell: &C) {
        let dtype: tf::DType = case["dtype"].as_str().unwrap().parse().unwrap();
        let g = tf::Graph::new();
        let xs = [(); 2].map(|()| g.placeholder(dtype, [3, 2]));
        let start = cell.zero_state(&g, 3, dtype);
        let (first, state) = cell.call(xs[0], start.clone());
        let names: Vec<String> = [first].into_iter().chain(state.flatten()).map(Tensor::name).collect();
        // Of contrib's cells there are formulas only.
        if !name.starts_with("layer_norm") && !name.starts_with("output_projection") {
            assert_eq!(Json::from(names), case["names"], "{name}");
        }
        let (second, state) = cell.call(xs[1], state);
        let results: Vec<Tensor> = [first, second].into_iter().chain(state.flatten()).collect();
        let weighed = |(k, &r): (usize, &Tensor)| tf::reduce_sum(r * waves(k, &shape_of(r), dtype));
        let loss = tf::add_n(results.iter().enumerate().map(weighed).collect::<Vec<_>>());

        let variables = g.trainable_variables();
        let starts = start.flatten();
        let made: Vec<Json> = variables
            .iter()
            .zip(case["variables"].as_array().unwrap())
            .map(|(v, want)| serde_json::json!([v.op().name(), shape_of(v.value()), want[2]]))
            .collect();
        assert_eq!(Json::from(made), case["variables"], "{name}");
        let shapes: Vec<Vec<usize>> = starts.iter().map(|&s| shape_of(s)).collect();
        assert_eq!(serde_json::json!(shapes), case["state"], "{name}");

        let sess = tf::Session::new(&g);
        sess.run(g.global_variables_initializer(), feed! {}).unwrap();
        for (variable, recorded) in variables.iter().zip(case["variables"].as_array().unwrap()) {
            if let Some(element) = recorded[2].as_f64() {
                let initial = sess.run(*variable, feed! {}).unwrap();
                assert!(initial.iter_f64().all(|v| (v - element).abs() < 1e-7), "{name}: {initial}");
            }
        }
        let inputs: Vec<Tensor> =
            xs.into_iter().chain(starts).chain(variables.iter().map(|v| v.value())).collect();
        let mut feeds = FeedDict::new();
        for (k, &input) in inputs.iter().enumerate() {
            let value = waves(k, &shape_of(input), dtype);
            match k.checked_sub(inputs.len() - variables.len()) {
                Some(v) => sess.load(variables[v], value).unwrap(),
                None => {
                    feeds.insert(input, value);
                }
            }
        }
        let gradients = tf::gradients([loss], inputs.iter().copied()).into_iter().map(Option::unwrap);
        let fetches: Vec<Tensor> = results.into_iter().chain(gradients).collect();
        let want: Vec<f64> = self.0.array(&case["values"]).iter_f64().collect();
        let mut want = &want[..];
        for run in 0..2 {
            for (i, got) in sess.run(&fetches, &feeds).unwrap().into_iter().enumerate() {
                let (these, rest) = want.split_at(got.num_elements());
                want = rest;
                let these = tf::Value::from_vec(got.shape().dims(), these.to_vec()).unwrap().cast(dtype);
                // Elements near zero are differences of larger ones: they agree relative to those.
                let scale = these.iter_f64().fold(0.0, |m: f64, v| m.max(v.abs()));
                let tolerance = if dtype == tf::f64 { 1e-9 } else { 1e-5 };
                assert_close(
                    &format!("{name}, {dtype}, run {run}: {i}"),
                    &got,
                    &these,
                    0.0,
                    tolerance * scale,
                );
            }
        }
        assert!(want.is_empty(), "{name}");
    }
}

#[test]
fn cells_compute_what_tensorflow_computes() {
    let golden = Recorded(Case::golden("cells"));
    all_cells(&golden);
    struct Names(std::cell::RefCell<BTreeSet<String>>);
    impl Visit for Names {
        fn visit<C: RnnCell>(&self, name: &str, _: impl Fn() -> C) {
            self.0.borrow_mut().insert(name.to_owned());
        }
    }
    let names = Names(Default::default());
    all_cells(&names);
    let recorded = golden.0.script["cases"].as_array().unwrap().iter();
    let recorded: BTreeSet<String> = recorded.map(|case| case["case"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.0.into_inner(), recorded);
}

/// A property that holds for every cell.
macro_rules! property {
    ($(#[$doc:meta])* $test:ident, |$name:ident, $make:ident| $body:block) => {
        $(#[$doc])*
        #[test]
        fn $test() {
            struct Property;
            impl Visit for Property {
                fn visit<C: RnnCell>(&self, $name: &str, $make: impl Fn() -> C) $body
            }
            all_cells(&Property);
        }
    };
}

fn variables(g: &tf::Graph) -> Vec<String> {
    g.global_variables().iter().map(|v| v.op().name()).collect()
}

property! {
    zero_states_have_the_sizes_of_the_state, |name, make| {
        let g = tf::Graph::new();
        let batch = g.placeholder(tf::i32, ());
        let known = make().zero_state(&g, 5, tf::f64).flatten();
        let unknown = make().zero_state(&g, batch, tf::f64).flatten();
        let sess = tf::Session::new(&g);
        let values = sess.run((&known, &unknown), feed! { batch => 5 }).unwrap();
        assert_eq!(values.0, values.1, "{name}");
        for (value, tensor) in values.0.iter().zip(&known) {
            assert!(value.iter_f64().all(|v| v == 0.0), "{name}");
            assert_eq!(value.shape().dims(), shape_of(*tensor), "{name}");
        }
        assert!(known[0].name().ends_with("ZeroState/zeros:0"), "{}", known[0].name());
    }
}

property! {
    any_batch_goes_in, |name, make| {
        let g = tf::Graph::new();
        let x = g.placeholder(tf::f32, [None, Some(2)]);
        let cell = make();
        let (output, state) = cell.call(x, cell.zero_state(&g, BatchSize::of(x), tf::f32));
        assert_eq!(output.ty().to_string(), format!("f32[?,{}]", cell.output_size()), "{name}");
        let sess = tf::Session::new(&g);
        sess.run(g.global_variables_initializer(), feed! {}).unwrap();
        for batch in [0, 1, 7] {
            let fed = feed! { x => waves(0, &[batch, 2], tf::f32) };
            let (value, states) = sess.run((output, state.flatten()), fed).unwrap();
            assert_eq!(value.shape().dims(), [batch, cell.output_size()], "{name}");
            assert!(states.iter().all(|s| s.shape().dims()[0] == batch), "{name}");
        }
    }
}

property! {
    a_cell_shares_its_variables_and_two_cells_do_not, |name, make| {
        let g = tf::Graph::new();
        let x = g.placeholder(tf::f64, [3, 2]);
        let call = |cell: &C| cell.call(x, cell.zero_state(&g, 3, tf::f64)).0;
        let cell = make();
        call(&cell);
        let made = variables(&g);
        assert!(!made.is_empty(), "{name}");
        assert!(g.global_variables().iter().all(|v| v.dtype() == tf::f64), "{name}");
        call(&cell);
        g.variable_scope("elsewhere").enter(|_| call(&cell));
        assert_eq!(variables(&g), made, "{name}");
        call(&make());
        assert_eq!(variables(&g).len(), 2 * made.len(), "{name}");
        let other = tf::Graph::new();
        let x = other.placeholder(tf::f64, [3, 2]);
        cell.call(x, cell.zero_state(&other, 3, tf::f64));
        assert_eq!(variables(&other), made, "{name}");
    }
}

property! {
    /// `with tf.variable_scope('s')`, and again with `reuse=True`.
    cells_in_a_scope_that_reuses_share, |name, make| {
        let g = tf::Graph::new();
        let x = g.placeholder(tf::f64, [3, 2]);
        let call = |cell: &C| cell.call(x, cell.zero_state(&g, 3, tf::f64)).0;
        let one = g.variable_scope("s").enter(|_| call(&make()));
        let made = variables(&g);
        let other = g.variable_scope("s").reuse().enter(|_| call(&make()));
        assert_eq!(variables(&g), made, "{name}");
        let sess = tf::Session::new(&g);
        sess.run(g.global_variables_initializer(), feed! {}).unwrap();
        let (one, other) = sess.run((one, other), feed! { x => waves(0, &[3, 2], tf::f64) }).unwrap();
        assert_eq!(one, other, "{name}");
    }
}

property! {
    loops_and_unrolled_networks_agree, |name, make| {
        // Of these, each step of an unrolled network draws its own numbers.
        if ["layer_norm_dropout", "dropout", "dropout_outputs", "dropout_multi"].contains(&name) {
            return;
        }
        let g = tf::Graph::new();
        let x = g.placeholder(tf::f64, [3, 4, 2]);
        let cell = make();
        let (unrolled, last) = StaticRnn::new(&cell).build(tf::unstack(x, 1));
        let (dynamic, end) = DynamicRnn::new(&cell).build(x);
        let xs: Vec<Tensor> = g.trainable_variables().iter().map(|v| v.value()).chain([x]).collect();
        let with_gradients = |outputs: Tensor, states: Vec<Tensor>| {
            let all: Vec<Tensor> = [outputs].into_iter().chain(states).collect();
            let squares: Vec<Tensor> = all.iter().map(|&y| tf::reduce_sum(tf::square(y))).collect();
            let gradients = tf::gradients([tf::add_n(squares)], xs.iter().copied());
            all.into_iter().chain(gradients.into_iter().map(Option::unwrap)).collect::<Vec<_>>()
        };
        let unrolled = with_gradients(tf::stack(unrolled, 1), last.flatten());
        let dynamic = with_gradients(dynamic, end.flatten());
        let sess = tf::Session::new(&g);
        sess.run(g.global_variables_initializer(), feed! {}).unwrap();
        let (a, b) = sess.run((unrolled, dynamic), feed! { x => waves(0, &[3, 4, 2], tf::f64) }).unwrap();
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            assert!(a.allclose(b, 1e-10, 1e-12), "{name}, {i}: {a}\nand {b}");
        }
    }
}

/// Cells that are told to reuse share the variables of the one of that name.
#[test]
fn told_to_reuse() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f32, [3, 2]);
    macro_rules! shares {
        ($($cell:expr;)*) => {$({
            let call = |cell: &dyn RnnCell<State = _>| cell.call(x, cell.zeros(&g, 3.into(), tf::f32)).0;
            call(&$cell);
            let made = variables(&g);
            call(&$cell.reuse());
            assert_eq!(variables(&g), made);
        })*};
    }
    shares! {
        BasicRNNCell::new(4);
        BasicLSTMCell::new(4);
        BasicLSTMCell::new(4).named("memory");
        LSTMCell::new(4).use_peepholes().num_proj(3);
        GRUCell::new(4);
        LayerNormBasicLSTMCell::new(4);
    }
}

/// Dropout by a probability that is fed: at 1 nothing changes, and between, kept elements are scaled up.
#[test]
fn keep_probabilities_may_be_fed() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [3, 2]);
    let keep = g.placeholder(tf::f64, ());
    let plain = BasicLSTMCell::new(50);
    for variational in [false, true] {
        let cell = DropoutWrapper::new(&plain).output_keep_prob(keep).state_keep_prob(keep);
        let cell = if variational { cell.variational_recurrent() } else { cell };
        let start = plain.zero_state(&g, 3, tf::f64);
        let (want, state) = plain.call(x, start);
        let (got, dropped) = cell.call(x, start);
        let sess = tf::Session::new(&g);
        sess.run(g.global_variables_initializer(), feed! {}).unwrap();
        let x_fed = waves(0, &[3, 2], tf::f64);
        let (a, b) = sess.run((want, got), feed! { x => &x_fed, keep => 1.0 }).unwrap();
        assert_eq!(a, b);
        let fetches = ([want, state.c], [got, dropped.h, dropped.c]);
        let ([want, c], [got, h, kept_c]) = sess.run(fetches, feed! { x => &x_fed, keep => 0.5 }).unwrap();
        assert_eq!(c, kept_c, "the memory is never dropped");
        for dropped in [&got, &h] {
            let kept = dropped.iter_f64().filter(|v| *v != 0.0).count();
            assert!((30..120).contains(&kept), "{kept} of 150");
            let scaled = |(d, w): (f64, f64)| d == 0.0 || (d - 2.0 * w).abs() < 1e-12;
            assert!(dropped.iter_f64().zip(want.iter_f64()).all(scaled));
        }
        let rows: Vec<Vec<bool>> =
            got.iter_f64().map(|v| v == 0.0).collect::<Vec<_>>().chunks(50).map(<[bool]>::to_vec).collect();
        assert_eq!(rows[0] == rows[1] && rows[1] == rows[2], variational);
    }
}

#[track_caller]
fn fails(build: impl FnOnce(&tf::Graph), want: Expect) {
    let g = tf::Graph::new();
    let panic = catch_unwind(AssertUnwindSafe(|| build(&g))).expect_err("it must fail");
    let message = panic.downcast_ref::<String>().expect("a message");
    // Line numbers would tie this file to itself.
    let lines = message.lines().map(|line| match line.split_once("cells.rs:") {
        Some((before, _)) => format!("{before}cells.rs"),
        None => line.to_owned(),
    });
    want.assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn mistakes_are_shown_at_the_users_line() {
    let call = |cell: &dyn RnnCell<State = Tensor>, x: Tensor| {
        cell.call(x, cell.zeros(&x.graph(), 3.into(), tf::f32));
    };
    fails(
        |g| call(&GRUCell::new(4), g.placeholder(tf::f32, [3, 2, 2])),
        expect![[r#"
        the inputs of gru_cell must be floats [batch, depth] with a known depth, but are f32[3,2,2]
          --> tests/tests/cells.rs"#]],
    );
    fails(
        |g| call(&BasicRNNCell::new(4), g.placeholder(tf::f32, [Some(3), None])),
        expect![[r#"
        the inputs of basic_rnn_cell must be floats [batch, depth] with a known depth, but are f32[3,?]
          --> tests/tests/cells.rs"#]],
    );
    fails(
        |g| call(&BasicRNNCell::new(4), g.placeholder(tf::i32, [3, 2])),
        expect![[r#"
        the inputs of basic_rnn_cell must be floats [batch, depth] with a known depth, but are i32[3,2]
          --> tests/tests/cells.rs"#]],
    );
    fails(
        |g| {
            let x = g.placeholder(tf::f32, [3, 2]);
            BasicLSTMCell::new(4).call(x, BasicLSTMCell::new(5).zero_state(g, 3, tf::f32));
        },
        expect![[r#"
            MatMul "basic_lstm_cell/MatMul": inner dimensions differ, 7 and 6
              --> tests/tests/cells.rs
               a: f32[3,7]  "basic_lstm_cell/concat"        tests/tests/cells.rs
               b: f32[6,16] "basic_lstm_cell/kernel/read"   tests/tests/cells.rs"#]],
    );
    fails(
        |g| {
            let x = g.placeholder(tf::f32, [3, 2]);
            GRUCell::new(4).call(x, GRUCell::new(4).zero_state(g, 2, tf::f32));
        },
        expect![[r#"
            ConcatV2 "gru_cell/concat": values[1] has shape [2,4], the values before it [3,?]: they may differ along axis 1 only
              --> tests/tests/cells.rs
               values[0]: f32[3,2] "Placeholder"              tests/tests/cells.rs
               values[1]: f32[2,4] "GRUCellZeroState/zeros"   tests/tests/cells.rs
               axis:      i32[]    "axis"                     tests/tests/cells.rs"#]],
    );
    fails(
        |g| call(&ResidualWrapper::new(GRUCell::new(4)), g.placeholder(tf::f32, [3, 2])),
        expect![[r#"
        ResidualWrapper adds inputs and outputs, but their shapes are [3,2] and [3,4]
          --> tests/tests/cells.rs"#]],
    );
    fails(
        |_| drop(MultiRNNCell::new(Vec::<GRUCell>::new())),
        expect![[r#"
        MultiRNNCell needs at least one cell
          --> tests/tests/cells.rs"#]],
    );
    fails(
        |g| {
            let x = g.placeholder(tf::f32, [3, 2]);
            let cell = MultiRNNCell::new(vec![GRUCell::new(4), GRUCell::new(4)]);
            cell.call(x, vec![g.zeros(tf::f32, [3, 4])]);
        },
        expect![[r#"
            a state of 1 parts for 2 cells
              --> tests/tests/cells.rs"#]],
    );
    fails(
        |_| drop(DropoutWrapper::new(GRUCell::new(4)).input_keep_prob(1.5)),
        expect![[r#"
            input_keep_prob must be a number between 0 and 1, but is f64[] 1.5
              --> tests/tests/cells.rs"#]],
    );
    fails(
        |g| {
            let x = g.placeholder(tf::f32, [3, 2]);
            call(&DropoutWrapper::new(GRUCell::new(4)).output_keep_prob(0.0), x);
        },
        expect![[r#"
            the rate must be a number in [0, 1), but is f64[] 1
              --> tests/tests/cells.rs"#]],
    );
    fails(
        |g| {
            let x = g.placeholder(tf::f32, [Some(3), None]);
            call(&DropoutWrapper::new(GRUCell::new(4)).input_keep_prob(0.5).variational_recurrent(), x);
        },
        expect![[r#"
            variational_recurrent needs known sizes, but a shape is [3,?]
              --> tests/tests/cells.rs"#]],
    );
}
