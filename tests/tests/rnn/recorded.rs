//! What TensorFlow computed: each recorded network's outputs and states, loss, gradients, and two steps of training.

use tf::nn::rnn_cell::{
    BasicLSTMCell, BasicRNNCell, BatchSize, GRUCell, LSTMCell, MultiRNNCell, RawStep, RnnCell,
};
use tf::nn::{BidirectionalRnn, DynamicRnn, StaticRnn, raw_rnn};
use tf::ops::Nest;
use tf::{FeedDict, Tensor};
use tidemill as tf;
use tidemill_tests::golden::{Case, Step, assert_close, corpus_folder, golden_folder};

/// What a recorded network is made of.
struct Inputs {
    x: Tensor,
    lengths: Tensor,
}

/// Outputs and last states, in the order of the recording.
type Build = fn(&Inputs) -> Vec<Tensor>;

const NETWORKS: &[(&str, Build)] = &[
    ("dynamic_basic", |i| dynamic(i, BasicRNNCell::new(5))),
    ("dynamic_relu", |i| dynamic(i, BasicRNNCell::new(5).activation(|x| tf::nn::relu(x)))),
    ("dynamic_gru", |i| dynamic(i, GRUCell::new(5))),
    ("dynamic_lstm_peephole", |i| dynamic(i, LSTMCell::new(5).use_peepholes().cell_clip(2.0))),
    ("dynamic_multi_gru", |i| dynamic(i, two_grus())),
    ("dynamic_seqlen_gru", |i| dynamic_with_lengths(i, GRUCell::new(5), false)),
    ("dynamic_seqlen_time_major_gru", |i| dynamic_with_lengths(i, GRUCell::new(5), true)),
    ("dynamic_seqlen_basic_lstm", |i| dynamic_with_lengths(i, basic_lstm(5), false)),
    ("dynamic_seqlen_multi_lstm", |i| {
        dynamic_with_lengths(i, MultiRNNCell::new((LSTMCell::new(5), LSTMCell::new(6))), false)
    }),
    ("dynamic_bidir_multi_gru", |i| {
        let ((ahead, back), states) = BidirectionalRnn::new(&two_grus(), &two_grus()).dynamic(i.x);
        (ahead, back, states).flatten()
    }),
    ("dynamic_seqlen_bidir_gru", |i| {
        let (fw, bw) = (GRUCell::new(5), GRUCell::new(5));
        let both = BidirectionalRnn::new(&fw, &bw).sequence_length(i.lengths);
        both.dynamic(i.x).flatten()
    }),
    ("dynamic_raw_gru", raw),
    ("static_basic_lstm", |i| fixed(i, basic_lstm(5))),
    ("static_multi_basic_lstm", |i| fixed(i, MultiRNNCell::new((basic_lstm(5), basic_lstm(6))))),
    ("static_multi_gru", |i| fixed(i, two_grus())),
    ("static_seqlen_bidir_gru", |i| {
        let (fw, bw) = (GRUCell::new(5), GRUCell::new(5));
        let both = BidirectionalRnn::new(&fw, &bw).sequence_length(i.lengths);
        both.unrolled(tf::unstack_num(i.x, 6, 1)).flatten()
    }),
];

fn two_grus() -> MultiRNNCell<(GRUCell, GRUCell)> {
    MultiRNNCell::new((GRUCell::new(5), GRUCell::new(6)))
}

fn basic_lstm(units: usize) -> BasicLSTMCell {
    BasicLSTMCell::new(units).forget_bias(0.5)
}

fn dynamic(inputs: &Inputs, cell: impl RnnCell) -> Vec<Tensor> {
    DynamicRnn::new(&cell).build(inputs.x).flatten()
}

fn dynamic_with_lengths(inputs: &Inputs, cell: impl RnnCell, time_major: bool) -> Vec<Tensor> {
    let network = DynamicRnn::new(&cell).sequence_length(inputs.lengths).time_major(time_major);
    network.build(inputs.x).flatten()
}

fn fixed(inputs: &Inputs, cell: impl RnnCell) -> Vec<Tensor> {
    StaticRnn::new(&cell).build(tf::unstack_num(inputs.x, 6, 1)).flatten()
}

/// All six steps, by a loop function.
fn raw(inputs: &Inputs) -> Vec<Tensor> {
    let (g, cell) = (inputs.x.graph(), GRUCell::new(5));
    let by_time = tf::transpose_perm(inputs.x, [1, 0, 2]);
    let nothing = tf::zeros_like(tf::index(by_time, 0));
    let (outputs, state, ()) = raw_rnn(&cell, &g, |time, before| {
        let over = tf::greater_equal(time, 6);
        let finished = tf::not_equal(tf::reduce_sum_with(nothing, 1), 0.0);
        let (state, emit) = match before {
            None => {
                let zero = cell.zero_state(&g, BatchSize::of(inputs.x), inputs.x.dtype());
                (zero, zero)
            }
            Some(last) => (last.state, last.output),
        };
        RawStep {
            finished: tf::logical_or(finished, over),
            input: tf::cond(over, || nothing, || tf::gather(by_time, time)),
            state,
            emit,
            loop_state: (),
        }
    });
    vec![outputs, state]
}

/// Every recording is the same script on another network: variables are set; then, twice, outputs and states, then the loss and its
/// gradients with respect to the variables and x, then a step of gradient descent that tells the loss; at last the variables. The loss is the sum of `y + y^2`
/// over all elements of outputs and states.
fn replay(name: &str, case: &Case, build: Build, known: bool) {
    let feeds = |step: &Step| step.values("feeds");
    let (_, x) = case.steps().flat_map(|s| feeds(&s)).find(|(name, _)| name == "x:0").expect("x is fed");
    let g = tf::Graph::new();
    let shape: Vec<Option<usize>> =
        x.shape().iter().enumerate().map(|(i, d)| (known || i == 2).then_some(*d)).collect();
    let inputs = Inputs { x: g.placeholder(x.dtype(), shape), lengths: g.placeholder(tf::i32, [None]) };
    let mut results = build(&inputs);
    let terms: Vec<Tensor> = results.iter().map(|&y| tf::reduce_sum(tf::square(y) + y)).collect();
    let loss = tf::add_n(&terms);
    // What is an output and a state too was fetched once.
    let mut seen = vec![];
    results.retain(|y| {
        !seen.contains(y) && {
            seen.push(*y);
            true
        }
    });
    let variables = g.trainable_variables();
    let xs = variables.iter().map(|v| v.value()).chain([inputs.x]);
    let gradients = tf::gradients([loss], xs).into_iter().map(|d| d.expect("a gradient"));
    let with_gradients: Vec<Tensor> = [loss].into_iter().chain(gradients).collect();
    let train_step = tf::train::GradientDescentOptimizer::new(0.01).minimize(loss);

    let sess = tf::Session::new(&g);
    let mut runs = 0;
    for step in case.steps() {
        if step.kind() == "set_variables" {
            let values = step.values("values");
            assert_eq!(values.len(), variables.len(), "{name}");
            for (variable, value) in values {
                let found = variables.iter().find(|v| v.op().name() == variable);
                sess.load(*found.unwrap_or_else(|| panic!("{name}: no variable {variable}")), value).unwrap();
            }
            continue;
        }
        let mut fed = FeedDict::new();
        for (tensor, value) in feeds(&step) {
            fed.insert(if tensor == "x:0" { inputs.x } else { inputs.lengths }, value);
        }
        let (what, got) = match runs {
            0 | 3 => ("results", sess.run(&results, fed).unwrap()),
            1 | 4 => ("loss and gradients", sess.run(&with_gradients, fed).unwrap()),
            2 | 5 => ("loss", vec![sess.run((loss, train_step), fed).unwrap().0]),
            _ => ("variables", sess.run(&variables, fed).unwrap()),
        };
        let want = step.results();
        assert_eq!(got.len(), want.len(), "{name}: {what}");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            // Elements near zero are differences of larger ones: they agree relative to those.
            let scale = want.iter_f64().fold(0.0, |m: f64, v| m.max(v.abs()));
            let tolerance = if want.dtype() == tf::f64 { 1e-9 } else { 1e-5 };
            assert_close(&format!("{name}: run {runs}, {what} {i}"), got, want, 0.0, tolerance * scale);
        }
        runs += 1;
    }
    assert_eq!(runs, 7, "{name}");
}

/// The network of a recording, by the beginning of its name.
fn network(name: &str) -> Build {
    let found = NETWORKS.iter().filter(|(network, _)| name.starts_with(network));
    found.max_by_key(|(network, _)| network.len()).unwrap_or_else(|| panic!("what is {name}?")).1
}

#[test]
fn one_of_each_kind() {
    for name in golden_folder("rnn") {
        let case = Case::golden(&format!("rnn/{name}"));
        replay(&name, &case, network(&name), true);
        replay(&name, &case, network(&name), false);
    }
}

#[test]
fn all_of_the_corpus() {
    for name in corpus_folder("rnn/generated/rnn") {
        if let Some(case) = Case::corpus(&format!("rnn/generated/rnn/{name}")) {
            replay(&name, &case, network(&name), true);
            replay(&name, &case, network(&name), false);
        }
    }
}
