//! The tutorial's networks against TensorFlow: names, and twenty training steps.
#![allow(missing_docs)]

use rnn_tutorial::model::{self, Config, Network};
use serde_json::Value as Json;
use tidemill as tf;
use tidemill_tests::golden::{Case, assert_close};

type Build = fn(&tf::Graph, Config) -> Network;

/// Replays twenty recorded steps: gradients, losses, states, then the variables and Adagrad's slots.
fn replay(case: &Case, build: Build, batch_size: usize) {
    let g = tf::Graph::new();
    // As the recorded states tell.
    let state_size = case.steps().flat_map(|s| s.values("feeds")).find(|(name, _)| name == "init_state:0");
    let state_size = state_size.expect("a state is fed").1.shape()[1];
    let num_steps = if state_size == 4 { 5 } else { 10 };
    let config = Config { batch_size, num_steps, state_size, learning_rate: 0.1 };
    let net = build(&g, config);
    // The recorded variables in the order of the recorded gradients.
    let variables = g.trainable_variables();
    let gradients: Vec<tf::Tensor> = tf::gradients([net.total_loss], variables.iter().map(|v| v.value()))
        .into_iter()
        .map(Option::unwrap)
        .collect();
    let sess = tf::Session::new(&g);
    let (mut trained, mut checked) = (0, 0);
    for step in case.steps() {
        if step.kind() == "set_variables" {
            for (name, value) in step.values("values") {
                let variable = g.global_variables().into_iter().find(|v| v.op().name() == name);
                sess.load(variable.unwrap_or_else(|| panic!("no variable {name}")), value).unwrap();
            }
            continue;
        }
        let mut feeds = tf::FeedDict::new();
        for (name, value) in step.values("feeds") {
            let tensor = if name == "init_state:0" { net.init_state } else { g.tensor(&name).unwrap() };
            feeds.insert(tensor, value);
        }
        let want = step.results();
        let (kind, got) = match step.names("fetches").first().copied().unwrap_or_default() {
            name if name.starts_with("gradients") => ("gradients", sess.run(&gradients, feeds).unwrap()),
            name if name.contains("CrossEntropy") => {
                let (mut losses, total, state, ()) =
                    sess.run((&net.losses, net.total_loss, net.final_state, net.train_step), feeds).unwrap();
                losses.extend([total, state]);
                trained += 1;
                ("losses and state", losses)
            }
            name if name.starts_with("Softmax") => {
                let (mut predictions, total) = sess.run((&net.predictions, net.total_loss), feeds).unwrap();
                predictions.push(total);
                ("predictions", predictions)
            }
            _ => {
                let slots = want.len() == variables.len() && checked > 0;
                checked += 1;
                let of = |v: &tf::Variable| match slots {
                    true => g.tensor(&format!("{}/Adagrad/read:0", v.op().name())).unwrap(),
                    false => v.value(),
                };
                let fetches: Vec<tf::Tensor> = variables.iter().map(of).collect();
                (if slots { "slots" } else { "variables" }, sess.run(&fetches, feeds).unwrap())
            }
        };
        assert_eq!(got.len(), want.len(), "{kind}");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            // Elements near zero are differences of larger ones: they agree relative to those.
            let scale = want.iter_f64().fold(0.0, |m: f64, v| m.max(v.abs()));
            // A bias's gradient is the sum of a thousand terms that cancel; what they round to does not shrink with it.
            let rounding = if kind == "gradients" { f64::from(f32::EPSILON) / 4.0 } else { 0.0 };
            assert_close(&format!("step {trained}: {kind} {i}"), got, want, 1e-5, 1e-5 * scale + rounding);
        }
    }
    assert_eq!((trained, checked), (20, 2));
}

#[test]
fn manual_trains_as_tensorflow_does() {
    replay(&Case::golden("tutorial/manual_T5_N4_batch8"), model::manual, 8);
}

#[test]
fn static_rnn_trains_as_tensorflow_does() {
    replay(&Case::golden("tutorial/static_rnn_T5_N4_batch8"), model::with_static_rnn, 8);
}

#[test]
fn dynamic_rnn_trains_as_tensorflow_does() {
    replay(&Case::golden("tutorial/dynamic_rnn_T10_N16_batch8"), model::with_dynamic_rnn, 8);
}

#[test]
fn whole_batches_train_as_tensorflow_does() {
    let cases: [(&str, Build, usize); 4] = [
        ("tutorial/generated/tutorial/manual_T5_N4_batch200_ref.zip", model::manual, 200),
        ("tutorial/generated/tutorial/static_rnn_T5_N4_batch200_ref.zip", model::with_static_rnn, 200),
        ("tutorial/generated/tutorial/dynamic_rnn_T10_N16_batch32_ref.zip", model::with_dynamic_rnn, 32),
        (
            "tutorial/generated/tutorial/dynamic_rnn_T10_N16_batch8_resource_cf2.zip",
            model::with_dynamic_rnn,
            8,
        ),
    ];
    for (path, build, batch_size) in cases {
        if let Some(case) = Case::corpus(path) {
            replay(&case, build, batch_size);
        }
    }
}

/// Name and op type of every node that TensorFlow makes for the tutorial, without what Tidemill leaves out by design: the gates that
/// `minimize` puts behind gradients, and how TensorFlow packs the list of losses for their mean.
fn recorded_nodes(file: &str) -> Vec<(String, String)> {
    let path = format!("{}/golden/names/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let json: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |v: &Json| v.as_str().unwrap().to_owned();
    json["nodes"].as_array().unwrap().iter().map(|n| (text(&n[0]), text(&n[1]))).collect()
}

/// The nodes are TensorFlow's: up to the losses by name, type and order; everything the user named, and all the optimizer makes, by name and
/// type.
fn check_names(file: &str, build: Build) {
    let g = tf::Graph::new();
    build(&g, Config { batch_size: 200, num_steps: 5, state_size: 4, learning_rate: 0.1 });
    let _ = g.global_variables_initializer();
    let ours: Vec<(String, String)> =
        g.operations().iter().map(|op| (op.name(), op.op_type().to_owned())).collect();
    let theirs = recorded_nodes(file);
    let forward =
        theirs.iter().position(|(name, _)| name.starts_with("Rank")).expect("the mean begins with a rank");
    // One-hot's constants are made in another order; apart from that the nodes stand in the same order too.
    let sorted = |nodes: &[(String, String)]| {
        let mut nodes = nodes.to_vec();
        nodes.sort();
        nodes
    };
    assert_eq!(sorted(&ours[..forward]), sorted(&theirs[..forward]));
    let missing: Vec<&(String, String)> = theirs[forward..]
        .iter()
        .filter(|(name, _)| {
            let mean = ["Rank", "range", "Mean/", "gradients/Mean"].iter().any(|p| name.starts_with(p));
            // TensorFlow also differentiates with respect to what no variable stands behind (inputs, the initial state, the unused
            // second output of the cross-entropy); Tidemill leaves that out.
            let unasked = name.contains("zeros_like")
                || name.ends_with("gradients/MatMul_grad/MatMul")
                || name == "gradients/rnn/basic_rnn_cell/MatMul_grad/MatMul"
                || name.contains("concat")
                    && ["/mod", "/Slice", "/Slice_1"].iter().any(|p| name.ends_with(p));
            !name.contains("/tuple/") && !mean && !unasked
        })
        .filter(|node| !ours.contains(node))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn manual_is_named_as_in_tensorflow() {
    check_names("tutorial_manual", model::manual);
}

#[test]
fn static_rnn_is_named_as_in_tensorflow() {
    check_names("tutorial_static_rnn", model::with_static_rnn);
}
