//! The nodes that this crate builds, against those that TensorFlow's Python builds (`tests/golden/names`).
#![allow(dropping_copy_types)] // what a function makes is looked at in the graph

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tidemill_core::ops::{self, Reduce};
use tidemill_core::{DType, Gradient, Graph, Initializer, Tensor, VariableOptions};
use tidemill_nn::train::{
    self, AdagradOptimizer, AdamOptimizer, GradientDescentOptimizer, MinimizeOptions, MomentumOptimizer,
    Optimizer,
};
use tidemill_nn::{clip, dropout, init, normalization, rnn};

/// Op type and inputs of each node, by name. Nodes of gradients are left out, and stand as `gradients` where they are inputs:
/// they are compared elsewhere.
type Nodes = BTreeMap<String, (String, Vec<String>)>;

fn normal(name: &str) -> String {
    if name.split('/').any(|part| part.starts_with("gradients")) {
        return "gradients".to_owned();
    }
    // The recorded variables start from arrays; `get_variable` takes no array here, but the initialiser of one.
    match name {
        "v/initial_value" | "w/initial_value" | "s/v/initial_value" => {
            name.replace("initial_value", "Initializer/Const")
        }
        _ => name.to_owned(),
    }
}

fn golden(file: &str, case: &str) -> Nodes {
    let path = format!("{}/../../tests/golden/names/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let all: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let nodes = match all["cases"].as_array() {
        Some(cases) => {
            &cases.iter().find(|c| c["case"] == case).unwrap_or_else(|| panic!("no case {case}"))["nodes"]
        }
        None => &all["nodes"],
    };
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|n| {
            (
                normal(&text(&n[0])),
                (text(&n[1]), n[2].as_array().unwrap().iter().map(|i| normal(&text(i))).collect()),
            )
        })
        .filter(|(name, _)| name != "gradients")
        .collect()
}

fn built(graph: &Graph) -> Nodes {
    let nodes = graph.nodes();
    let node = |n: &tidemill_core::Node| {
        let data = n.inputs.iter().map(|o| {
            let name = &nodes[o.node.0 as usize].name;
            if o.index == 0 { normal(name) } else { normal(&format!("{name}:{}", o.index)) }
        });
        let controls = n.controls.iter().map(|c| format!("^{}", nodes[c.0 as usize].name));
        (normal(&n.name), (n.op.name().to_owned(), data.chain(controls).collect()))
    };
    nodes.iter().map(|n| node(n)).filter(|(name, _)| name != "gradients").collect()
}

#[track_caller]
fn check(file: &str, case: &str, build: impl FnOnce(&Graph)) {
    check_but(file, case, &[], build);
}

/// [`check`] without the nodes whose names begin so: helpers that TensorFlow makes in another way.
#[track_caller]
fn check_but(file: &str, case: &str, helpers: &[&str], build: impl FnOnce(&Graph)) {
    let graph = Graph::new();
    build(&graph);
    let (want, have) = (golden(file, case), built(&graph));
    let mut wrong = vec![];
    for (name, node) in &want {
        match have.get(name) {
            None => wrong.push(format!("missing {name}: {node:?}")),
            Some(other) if other != node => wrong.push(format!("{name}: {other:?} instead of {node:?}")),
            Some(_) => {}
        }
    }
    wrong.extend(
        have.keys()
            .filter(|name| !want.contains_key(*name))
            .map(|name| format!("too much: {name} {:?}", have[name])),
    );
    wrong.retain(|line| {
        let line = line.trim_start_matches("missing ").trim_start_matches("too much: ");
        !helpers.iter().any(|helper| line.starts_with(helper))
    });
    assert!(wrong.is_empty(), "{case}:\n{}", wrong.join("\n"));
}

fn starting_from(value: impl tidemill_tensor::IntoValue) -> VariableOptions {
    init::constant(value).into()
}

/// `v = [1, 2]`, `w = 3`, and `Σ v² · w`. Variables start from a `Const` there, here from `Initializer/Const`.
fn quadratic(g: &Graph) -> Tensor {
    let v = g.get_variable_with("v", [2], starting_from([1f32, 2.0]));
    let w = g.get_variable_with("w", (), starting_from(3f32));
    ops::reduce_sum(v * v) * w
}

fn with_step(g: &Graph) -> MinimizeOptions {
    MinimizeOptions::new().global_step(train::get_or_create_global_step(g))
}

#[test]
fn optimizers_on_dense_gradients() {
    let optimizer = |case: &str, optimizer: &dyn Optimizer| {
        check("optimizers", case, |g| {
            let loss = quadratic(g);
            optimizer.minimize_with(loss, with_step(g));
        });
    };
    optimizer("GradientDescent_quadratic", &GradientDescentOptimizer::new(0.1));
    optimizer("Momentum_quadratic", &MomentumOptimizer::new(0.1, 0.9));
    optimizer("Nesterov_quadratic", &MomentumOptimizer::new(0.1, 0.9).use_nesterov(true));
    optimizer("Adagrad_quadratic", &AdagradOptimizer::new(0.1));
    optimizer("Adam_quadratic", &AdamOptimizer::new(0.1));
}

#[test]
fn optimizers_on_sparse_gradients() {
    for dtype in [DType::F32, DType::F64] {
        let optimizer = |case: &str, optimizer: &dyn Optimizer| {
            let case = if dtype == DType::F32 { case.to_owned() } else { format!("{case}_float64") };
            check("optimizers", &case, |g| {
                let v = g.get_variable_with(
                    "v",
                    [3, 2],
                    starting_from([[1f32, 2.0], [3.0, 4.0], [5.0, 6.0]]).dtype(dtype),
                );
                let loss = ops::reduce_sum(ops::square(ops::gather(v, [0, 2, 2])));
                let options = if dtype == DType::F32 { with_step(g) } else { MinimizeOptions::new() };
                optimizer.minimize_with(loss, options);
            });
        };
        optimizer("GradientDescent_gather", &GradientDescentOptimizer::new(0.1));
        optimizer("Momentum_gather", &MomentumOptimizer::new(0.1, 0.9));
        optimizer("Nesterov_gather", &MomentumOptimizer::new(0.1, 0.9).use_nesterov(true));
        optimizer("Adagrad_gather", &AdagradOptimizer::new(0.1));
        optimizer("Adam_gather", &AdamOptimizer::new(0.1));
    }
}

#[test]
fn optimizers_of_doubles() {
    let optimizer = |case: &str, optimizer: &dyn Optimizer| {
        check("optimizers", case, |g| {
            let v = g.get_variable_with("v", [2], starting_from([1f32, 2.0]).dtype(DType::F64));
            let w = g.get_variable_with("w", (), starting_from(3f32).dtype(DType::F64));
            optimizer.minimize(ops::reduce_sum(v * v) * w);
        });
    };
    optimizer("GradientDescent_float64", &GradientDescentOptimizer::new(0.1));
    optimizer("Momentum_float64", &MomentumOptimizer::new(0.1, 0.9));
    optimizer("Nesterov_float64", &MomentumOptimizer::new(0.1, 0.9).use_nesterov(true));
    optimizer("Adagrad_float64", &AdagradOptimizer::new(0.1));
    optimizer("Adam_float64", &AdamOptimizer::new(0.1));
}

#[test]
fn optimizers_in_particular_situations() {
    let adagrad = || AdagradOptimizer::new(0.1);
    check("optimizers", "no_global_step", |g| drop(adagrad().minimize(quadratic(g))));
    check("optimizers", "one_variable", |g| {
        let v = g.get_variable_with("v", [2], starting_from([1f32, 2.0]));
        adagrad().minimize(ops::reduce_sum(v * v));
    });
    check("optimizers", "named", |g| {
        let options = MinimizeOptions::new().name("train_step");
        adagrad().named("my_adagrad").minimize_with(quadratic(g), options);
    });
    check("optimizers", "var_list", |g| {
        let loss = quadratic(g);
        let w = g.trainable_variables()[1];
        adagrad().minimize_with(loss, MinimizeOptions::new().var_list([w]));
    });
    check("optimizers", "two_optimizers", |g| {
        let loss = quadratic(g);
        adagrad().minimize(loss);
        AdagradOptimizer::new(0.2).minimize(loss);
    });
    check("optimizers", "same_optimizer_twice", |g| {
        let loss = quadratic(g);
        let optimizer = MomentumOptimizer::new(0.1, 0.9);
        optimizer.minimize(loss);
        optimizer.minimize(loss * 2.0);
    });
    check("optimizers", "learning_rate_tensor", |g| {
        let loss = quadratic(g);
        let rate = g.placeholder(DType::F32, ()).named("lr");
        GradientDescentOptimizer::new(rate).minimize(loss);
    });
    check("optimizers", "inside_name_scope", |g| {
        let loss = quadratic(g);
        g.name_scope("train").enter(|| drop(adagrad().minimize(loss)));
    });
    check("optimizers", "inside_variable_scope", |g| {
        let loss = quadratic(g);
        g.variable_scope("train").enter(|_| drop(adagrad().minimize(loss)));
    });
    check("optimizers", "variables_in_scope", |g| {
        let v = g.variable_scope("s").enter(|vs| vs.get_variable_with("v", [2], starting_from([1f32, 2.0])));
        AdamOptimizer::new(0.1).minimize(ops::reduce_sum(v * v));
    });
    check("optimizers", "clipped", |g| {
        let loss = quadratic(g);
        let optimizer = adagrad();
        let (gradients, variables): (Vec<_>, Vec<_>) = optimizer.compute_gradients(loss).into_iter().unzip();
        let (clipped, _) = clip::clip_by_global_norm(gradients, 5.0);
        let pairs: Vec<(Option<Gradient>, _)> = clipped.into_iter().zip(variables).collect();
        optimizer.apply_gradients(&pairs);
    });
    check("optimizers", "random_initialized_variable", |g| {
        let v = g.get_variable("v", [3, 2]);
        adagrad().minimize(ops::reduce_sum(v * v));
    });
    check("variables", "global_step", |g| {
        assert_eq!(train::get_or_create_global_step(g), train::get_or_create_global_step(g));
    });
}

#[test]
fn initializers() {
    let made = |case: &str, initializer: Box<dyn Fn() -> VariableOptions>| {
        check("variables", &format!("get_variable_{case}"), |g| {
            drop(g.get_variable_with("v", [3, 2], initializer()))
        });
    };
    fn of(initializer: impl Initializer + Clone) -> Box<dyn Fn() -> VariableOptions> {
        Box::new(move || initializer.clone().into())
    }
    made("zeros", of(init::zeros()));
    made("ones", of(init::ones()));
    made("constant", of(init::constant(0.5)));
    made("constant_list", of(init::constant([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])));
    made("random_uniform", of(init::random_uniform(-0.1, 0.1).seed(5)));
    made("random_normal", of(init::random_normal(0.0, 0.5).seed(5)));
    made("truncated_normal", of(init::truncated_normal(0.0, 0.5).seed(5)));
    use init::{Distribution, Mode, variance_scaling};
    made("variance_scaling", of(variance_scaling(1.0, Mode::FanIn, Distribution::TruncatedNormal).seed(5)));
    let uniform = variance_scaling(2.0, Mode::FanAvg, Distribution::Uniform).seed(5);
    made("variance_scaling_uniform_fan_avg", of(uniform));
    let untruncated = variance_scaling(2.0, Mode::FanOut, Distribution::UntruncatedNormal).seed(5);
    made("variance_scaling_untruncated", of(untruncated));
    made("glorot_uniform", of(init::glorot_uniform().seed(5)));
    made("glorot_normal", of(init::glorot_normal().seed(5)));
    made("he_normal", of(init::he_normal().seed(5)));
    made("he_uniform", of(init::he_uniform().seed(5)));
    made("lecun_normal", of(init::lecun_normal().seed(5)));
    made("orthogonal", of(init::orthogonal(1.0).seed(5)));
}

#[test]
fn clipping() {
    let xy = |g: &Graph| ["x", "y"].map(|name| g.placeholder(DType::F32, [2, 3]).named(name));
    let x = |g: &Graph| g.placeholder(DType::F32, [2, 3]).named("x");
    check("forward", "clip_by_value", |g| drop(clip::clip_by_value(x(g), -1.0, 1.0)));
    check_but("forward", "clip_by_norm", &["clip_by_norm/ones_like"], |g| {
        drop(clip::clip_by_norm(x(g), 5.0))
    });
    check("forward", "global_norm", |g| drop(clip::global_norm(xy(g).map(Some))));
    check("forward", "clip_by_global_norm", |g| drop(clip::clip_by_global_norm(xy(g).map(Some), 5.0)));
}

#[test]
fn cross_entropies() {
    let inputs = |g: &Graph, labels: DType, shapes: [&[usize]; 2]| {
        let first = if labels == DType::I32 { "i" } else { "y" };
        let placeholder = |name, dtype, shape: &[usize]| {
            let dims: Vec<Option<usize>> = shape.iter().map(|d| Some(*d)).collect();
            g.placeholder(dtype, dims).named(name)
        };
        if labels == DType::I32 {
            let labels = placeholder(first, labels, shapes[0]);
            (labels, placeholder("x", DType::F32, shapes[1]))
        } else {
            let logits = placeholder("x", DType::F32, shapes[1]);
            (placeholder(first, labels, shapes[0]), logits)
        }
    };
    type Loss = fn(Tensor, Tensor) -> Tensor;
    let dense: [(&str, Loss, &[usize]); 4] = [
        ("softmax_cross_entropy_with_logits", |l, x| ops::softmax_cross_entropy_with_logits(l, x), &[2, 3]),
        (
            "softmax_cross_entropy_with_logits_v2",
            |l, x| ops::softmax_cross_entropy_with_logits_v2(l, x),
            &[2, 3],
        ),
        (
            "softmax_cross_entropy_with_logits_v2_rank_3",
            |l, x| ops::softmax_cross_entropy_with_logits_v2(l, x),
            &[2, 3, 4],
        ),
        ("sigmoid_cross_entropy_with_logits", |l, x| ops::sigmoid_cross_entropy_with_logits(l, x), &[2, 3]),
    ];
    for (case, loss, shape) in dense {
        check("forward", case, |g| {
            let (labels, logits) = inputs(g, DType::F32, [shape, shape]);
            loss(labels, logits);
        });
    }
    for (case, labels, logits) in [
        ("sparse_softmax_cross_entropy_with_logits", &[2][..], &[2, 3][..]),
        ("sparse_softmax_cross_entropy_with_logits_rank_3", &[2, 3], &[2, 3, 4]),
    ] {
        check("forward", case, |g| {
            let (labels, logits) = inputs(g, DType::I32, [labels, logits]);
            ops::sparse_softmax_cross_entropy_with_logits(labels, logits);
        });
    }
}

#[test]
fn dropout_and_normalisation() {
    let x = |g: &Graph| g.placeholder(DType::F32, [2, 3]).named("x");
    check("forward", "moments", |g| drop(normalization::moments(x(g), 0, false)));
    check("forward", "dropout", |g| drop(dropout::dropout_with(x(g), dropout::Dropout::new(0.5).seed(1))));
}

#[test]
fn unrolled_networks() {
    // Zeros of a known shape are one constant here.
    let zeros = ["one/BasicRNNCellZeroState/", "two/BasicRNNCellZeroState/", "add "];
    check_but("scopes", "static_rnn_twice", &zeros, |g| {
        let xs = vec![g.placeholder(DType::F32, [2, 3]).named("x"); 2];
        let cell = rnn::BasicRNNCell::new(4);
        let (a, _) = rnn::StaticRnn::new(&cell).scope("one").build(xs.clone());
        let (b, _) = rnn::StaticRnn::new(&cell).scope("two").build(xs);
        let _ = a[0] + b[0];
    });
    check_but("scopes", "static_rnn_lstm", &["rnn/BasicLSTMCellZeroState/"], |g| {
        let xs = vec![g.placeholder(DType::F32, [2, 3]).named("x"); 2];
        let _ = rnn::StaticRnn::new(&rnn::BasicLSTMCell::new(4)).build(xs);
    });
    check_but("scopes", "static_rnn_gru", &["rnn/GRUCellZeroState/"], |g| {
        let xs = vec![g.placeholder(DType::F32, [2, 3]).named("x"); 2];
        let _ = rnn::StaticRnn::new(&rnn::GRUCell::new(4)).build(xs);
    });
}

/// The whole tutorial, but for what differentiates it.
#[test]
fn the_tutorial_with_static_rnn() {
    // The list of losses is packed by name here, and by the mean itself there.
    let mean = ["Mean", "Rank", "range", "stack", "Const"];
    check_but("tutorial_static_rnn", "", &mean, |g| {
        let x = g.placeholder(DType::I32, [200, 5]).named("input_placeholder");
        let y = g.placeholder(DType::I32, [200, 5]).named("labels_placeholder");
        let init_state = g.zeros(DType::F32, [200, 4]);
        let inputs = ops::unstack(ops::one_hot(x, 2), 1);
        let (outputs, _) = rnn::static_rnn(&rnn::BasicRNNCell::new(4), inputs, init_state);
        let (w, b) = g
            .variable_scope("softmax")
            .enter(|vs| (vs.get_variable("W", [4, 2]), vs.get_variable_with("b", [2], init::constant(0.0))));
        let logits: Vec<Tensor> = outputs.iter().map(|out| ops::matmul(out, w) + b).collect();
        logits.iter().for_each(|logit| drop(ops::softmax(logit)));
        let labels = ops::unstack(y, 1);
        let losses: Vec<Tensor> = logits
            .iter()
            .zip(labels)
            .map(|(logit, label)| ops::sparse_softmax_cross_entropy_with_logits(label, logit))
            .collect();
        let total_loss = ops::reduce_mean_with(ops::stack(losses, 0), Reduce::all());
        AdagradOptimizer::new(0.1).minimize(total_loss);
        g.global_variables_initializer();
    });
}
