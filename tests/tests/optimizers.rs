//! Six steps of each optimizer against TensorFlow: losses, gradients, variables and slots, dense and by rows.
#![allow(missing_docs)]

use serde_json::Value as Json;
use tf::feed;
use tf::tensor::IntoValue;
use tf::train::{
    AdadeltaOptimizer, AdagradDAOptimizer, AdagradOptimizer, AdamOptimizer, FtrlOptimizer,
    GradientDescentOptimizer, MomentumOptimizer, ProximalAdagradOptimizer, ProximalGradientDescentOptimizer,
    RMSPropOptimizer,
};
use tidemill as tf;
use tidemill_tests::golden::{Case, assert_close};

type Pairs = Vec<(Option<tf::Gradient>, tf::Variable)>;

/// The gradients of the loss, and the step that applies them.
fn update(run: &Json, loss: tf::Tensor) -> (Pairs, tf::Operation) {
    let argument = |name: &str| run["arguments"][name].as_f64().unwrap();
    let rate = argument("learning_rate");
    macro_rules! apply {
        ($optimizer:expr) => {{
            let optimizer = $optimizer;
            let pairs = optimizer.compute_gradients(loss);
            let step = optimizer.apply_gradients(&pairs);
            (pairs, step)
        }};
    }
    match run["optimizer"].as_str().unwrap() {
        "GradientDescentOptimizer" => apply!(GradientDescentOptimizer::new(rate)),
        "MomentumOptimizer" => apply!(
            MomentumOptimizer::new(rate, argument("momentum"))
                .use_nesterov(run["arguments"]["use_nesterov"] == true)
        ),
        "AdagradOptimizer" => apply!(
            AdagradOptimizer::new(rate).initial_accumulator_value(argument("initial_accumulator_value"))
        ),
        "AdamOptimizer" => apply!(
            AdamOptimizer::new(rate)
                .beta1(argument("beta1"))
                .beta2(argument("beta2"))
                .epsilon(argument("epsilon"))
        ),
        "RMSPropOptimizer" => apply!(
            RMSPropOptimizer::new(rate)
                .decay(argument("decay"))
                .momentum(argument("momentum"))
                .epsilon(argument("epsilon"))
                .centered(run["arguments"]["centered"] == true)
        ),
        "AdadeltaOptimizer" => {
            apply!(AdadeltaOptimizer::new(rate).rho(argument("rho")).epsilon(argument("epsilon")))
        }
        "FtrlOptimizer" => {
            let ftrl = FtrlOptimizer::new(rate)
                .learning_rate_power(argument("learning_rate_power"))
                .initial_accumulator_value(argument("initial_accumulator_value"))
                .l1_regularization_strength(argument("l1_regularization_strength"))
                .l2_regularization_strength(argument("l2_regularization_strength"));
            match run["arguments"]["l2_shrinkage_regularization_strength"].as_f64() {
                Some(shrinkage) => apply!(ftrl.l2_shrinkage_regularization_strength(shrinkage)),
                None => apply!(ftrl),
            }
        }
        "ProximalGradientDescentOptimizer" => apply!(
            ProximalGradientDescentOptimizer::new(rate)
                .l1_regularization_strength(argument("l1_regularization_strength"))
                .l2_regularization_strength(argument("l2_regularization_strength"))
        ),
        "ProximalAdagradOptimizer" => apply!(
            ProximalAdagradOptimizer::new(rate)
                .initial_accumulator_value(argument("initial_accumulator_value"))
                .l1_regularization_strength(argument("l1_regularization_strength"))
                .l2_regularization_strength(argument("l2_regularization_strength"))
        ),
        "AdagradDAOptimizer" => {
            let step = loss.graph().constant(argument("global_step") as i64);
            apply!(
                AdagradDAOptimizer::new(rate, step)
                    .initial_gradient_squared_accumulator_value(argument(
                        "initial_gradient_squared_accumulator_value"
                    ))
                    .l1_regularization_strength(argument("l1_regularization_strength"))
                    .l2_regularization_strength(argument("l2_regularization_strength"))
            )
        }
        other => panic!("{other}"),
    }
}

/// Row `i` of a recorded array.
fn row(of: &tf::Value, i: usize) -> tf::Value {
    let dims = of.shape().dims();
    let bytes = of.num_bytes() / dims[0];
    tf::Value::from_bytes(of.dtype(), &dims[1..], &of.bytes()[i * bytes..][..bytes]).unwrap()
}

#[test]
fn steps_are_those_of_tensorflow() {
    let golden = Case::golden("optimizers");
    let rows = |name: &str| -> Vec<Vec<f64>> { serde_json::from_value(golden.script[name].clone()).unwrap() };
    let (initial, scale) = (rows("initial"), rows("scale"));
    let target = golden.script["target"].as_f64().unwrap();
    let steps = golden.script["steps"].as_u64().unwrap() as usize;
    let mut replayed = 0;
    for run in golden.script["runs"].as_array().unwrap() {
        let name = run["run"].as_str().unwrap();
        let dtype: tf::DType = run["dtype"].as_str().unwrap().parse().unwrap();
        let g = tf::Graph::new();
        let v = g.variable(initial.clone().into_value().unwrap().cast(dtype)).named("v");
        let mut a = g.constant(scale.clone().into_value().unwrap().cast(dtype));
        let mut of_v = v.value();
        if let Some(indices) = run["indices"].as_array() {
            let indices: Vec<i32> = indices.iter().map(|i| i.as_i64().unwrap() as i32).collect();
            let indices = g.constant(indices);
            (a, of_v) = (tf::gather(a, indices), tf::gather(of_v, indices));
        }
        let loss = tf::reduce_sum(a * tf::square(of_v - target));
        let (pairs, step) = update(run, loss);
        let gradient = match pairs[..] {
            [(Some(tf::Gradient::Dense(gradient)), _)] => gradient,
            [(Some(tf::Gradient::Sparse(slices)), _)] => slices.values,
            _ => panic!("{name}: one gradient"),
        };
        let recorded = run["variables"].as_object().unwrap();
        let variables: Vec<tf::Variable> = recorded
            .keys()
            .map(|name| g.global_variables().into_iter().find(|v| v.op().name() == *name).expect(name))
            .collect();
        assert_eq!(variables.len(), g.global_variables().len(), "{name}");
        let sess = tf::Session::new(&g);
        sess.run(g.global_variables_initializer(), feed! {}).unwrap();
        let tolerance = if dtype == tf::f32 { 3e-6 } else { 1e-12 };
        for i in 0..=steps {
            for (variable, (key, member)) in variables.iter().zip(recorded) {
                let got = sess.run(*variable, feed! {}).unwrap();
                let want = row(&golden.array(member), i);
                assert_close(&format!("{name}: {key} after {i}"), &got, &want, tolerance, tolerance);
            }
            if i < steps {
                let (loss, gradient) = sess.run((loss, gradient), feed! {}).unwrap();
                let check = |what: &str, got: tf::Value| {
                    let want = row(&golden.array(&run[what]), i);
                    assert_close(&format!("{name}: {what} {i}"), &got, &want, tolerance, tolerance);
                };
                check("loss", loss);
                check("gradient", gradient);
                sess.run(step, feed! {}).unwrap();
            }
        }
        replayed += 1;
    }
    assert_eq!(replayed, 48);
}
