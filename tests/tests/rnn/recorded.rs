//! What TensorFlow computed: each recorded network's outputs and states, loss, gradients, and two steps of training.

use tf::nn::DynamicRnn;
use tf::nn::rnn_cell::BasicRNNCell;
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
    ("dynamic_basic", |i| {
        let (outputs, state) = DynamicRnn::new(&BasicRNNCell::new(5)).build(i.x);
        vec![outputs, state]
    }),
    ("dynamic_relu", |i| {
        let cell = BasicRNNCell::new(5).activation(|x| tf::nn::relu(x));
        let (outputs, state) = DynamicRnn::new(&cell).build(i.x);
        vec![outputs, state]
    }),
];

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
    let results = build(&inputs);
    let loss = results.iter().map(|&y| tf::reduce_sum(tf::square(y) + y)).reduce(|a, b| a + b).unwrap();
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
fn network(name: &str) -> Option<Build> {
    let found = NETWORKS.iter().filter(|(network, _)| name.starts_with(network));
    found.max_by_key(|(network, _)| network.len()).map(|(_, build)| *build)
}

#[test]
fn one_of_each_kind() {
    for name in golden_folder("rnn") {
        let Some(build) = network(&name) else { continue };
        let case = Case::golden(&format!("rnn/{name}"));
        replay(&name, &case, build, true);
        replay(&name, &case, build, false);
    }
}

#[test]
fn all_of_the_corpus() {
    for name in corpus_folder("rnn/generated/rnn") {
        let Some(build) = network(&name) else { continue };
        if let Some(case) = Case::corpus(&format!("rnn/generated/rnn/{name}")) {
            replay(&name, &case, build, true);
            replay(&name, &case, build, false);
        }
    }
}
