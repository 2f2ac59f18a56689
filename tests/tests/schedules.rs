//! Learning-rate schedules against TensorFlow, and moving averages by their formula.
#![allow(missing_docs)]

use serde_json::Value as Json;
use tf::feed;
use tf::train::{self, ExponentialMovingAverage, LearningRateDecay, NoisyLinearCosine};
use tidemill as tf;

/// The schedule that was recorded.
fn schedule(recorded: &Json, rate: f64, step: tf::Tensor) -> tf::Tensor {
    let arguments = &recorded["arguments"];
    let number = |name: &str| arguments[name].as_f64().unwrap_or_else(|| panic!("{recorded}"));
    let decay = || LearningRateDecay {
        steps: number("decay_steps"),
        rate: number("decay_rate"),
        staircase: arguments["staircase"] == true,
    };
    match recorded["schedule"].as_str().unwrap() {
        "exponential_decay" => train::exponential_decay(rate, step, decay()),
        "natural_exp_decay" => train::natural_exp_decay(rate, step, decay()),
        "inverse_time_decay" => train::inverse_time_decay(rate, step, decay()),
        "piecewise_constant" => {
            let boundaries: Vec<i64> = serde_json::from_value(arguments["boundaries"].clone()).unwrap();
            let values: Vec<f32> = serde_json::from_value(arguments["values"].clone()).unwrap();
            train::piecewise_constant(step, &boundaries, &values)
        }
        "polynomial_decay" => train::polynomial_decay(
            rate,
            step,
            number("decay_steps"),
            number("end_learning_rate"),
            number("power"),
            arguments["cycle"] == true,
        ),
        "cosine_decay" => train::cosine_decay(rate, step, number("decay_steps"), number("alpha")),
        "cosine_decay_restarts" => train::cosine_decay_restarts(
            rate,
            step,
            number("first_decay_steps"),
            number("t_mul"),
            number("m_mul"),
            number("alpha"),
        ),
        "linear_cosine_decay" => train::linear_cosine_decay(
            rate,
            step,
            number("decay_steps"),
            number("num_periods"),
            number("alpha"),
            number("beta"),
        ),
        "noisy_linear_cosine_decay" => train::noisy_linear_cosine_decay(
            rate,
            step,
            number("decay_steps"),
            NoisyLinearCosine {
                initial_variance: number("initial_variance"),
                ..NoisyLinearCosine::default()
            },
        ),
        other => panic!("{other}"),
    }
}

#[test]
fn rates_are_those_of_tensorflow() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/schedules.json");
    let golden: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let steps: Vec<i64> = serde_json::from_value(golden["steps"].clone()).unwrap();
    let rate = golden["learning_rate"].as_f64().unwrap();
    let recorded = golden["schedules"].as_array().unwrap();
    assert_eq!(recorded.len(), 14);
    for recorded in recorded {
        let g = tf::Graph::new();
        let step = g.placeholder(tf::i64, ());
        let out = schedule(recorded, rate, step);
        let sess = tf::Session::new(&g);
        for (n, want) in steps.iter().zip(recorded["values"].as_array().unwrap()) {
            let got: f32 = sess.run(out, feed! { step => *n }).unwrap().to_scalar().unwrap();
            let want = want.as_f64().unwrap();
            assert!(
                (f64::from(got) - want).abs() <= 2e-6 * want.abs() + 1e-9,
                "{recorded} at {n}: {got}, not {want}"
            );
        }
    }
}

#[test]
fn noise_changes_the_rate() {
    let g = tf::Graph::new();
    let step = g.placeholder(tf::i64, ());
    let of = NoisyLinearCosine { seed: Some(1), ..NoisyLinearCosine::default() };
    let rate = train::noisy_linear_cosine_decay(0.1, step, 10.0, of);
    let sess = tf::Session::new(&g);
    let draw = || -> f32 { sess.run(rate, feed! { step => 3i64 }).unwrap().to_scalar().unwrap() };
    assert_ne!(draw(), draw());
}

#[test]
fn averages_follow_their_variables() {
    let g = tf::Graph::new();
    let v = g.variable([1f32, 2.0]).named("v");
    let updates = g.placeholder(tf::i32, ());
    let plain = ExponentialMovingAverage::new(0.9);
    let early = ExponentialMovingAverage::new(0.9).num_updates(updates).named("Early");
    let change = v.assign([3f32, 2.0]);
    let moves = [plain.apply(&[v]), early.apply(&[v])];
    let (plain_average, early_average) = (plain.average(v).unwrap(), early.average(v).unwrap());
    assert_eq!(plain_average.name(), "v/ExponentialMovingAverage:0");
    assert_eq!(early.average_name(v), "v/Early");
    assert_eq!(g.trainable_variables(), [v]);

    let sess = tf::Session::new(&g);
    sess.run(g.global_variables_initializer(), feed! {}).unwrap();
    sess.run(change, feed! {}).unwrap();
    let check = |average: tf::Variable, want: f32| {
        let got = sess.run(average, feed! {}).unwrap().to_vec::<f32>().unwrap();
        assert!((got[0] - want).abs() < 1e-6 && got[1] == 2.0, "{got:?} instead of {want}");
    };
    check(plain_average, 1.0);
    sess.run((moves[0], moves[1]), feed! { updates => 4 }).unwrap();
    check(plain_average, 1.0 + 0.1 * 2.0);
    // The decay is (1 + 4) / (10 + 4) at first.
    check(early_average, 1.0 + 9.0 / 14.0 * 2.0);
    sess.run(moves[0], feed! {}).unwrap();
    check(plain_average, 1.2 + 0.1 * 1.8);
}
