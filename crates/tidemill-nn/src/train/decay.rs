//! Learning rates that change with the step.
//!
//! Each function gives a scalar of the dtype of the rate it starts from (`f32` for a number) to be handed to an optimizer. `global_step` is a scalar, usually
//! [`get_or_create_global_step`](super::get_or_create_global_step).
//!
//! ```
//! use tidemill_core::{Graph, ops};
//! use tidemill_nn::train::{self, LearningRateDecay, MinimizeOptions};
//! let g = Graph::new();
//! let w = g.get_variable("w", [3]);
//! let step = train::get_or_create_global_step(&g);
//! let rate = train::exponential_decay(0.1, step, LearningRateDecay { steps: 1000.0, rate: 0.96, staircase: true });
//! let options = MinimizeOptions::new().global_step(step);
//! train::GradientDescentOptimizer::new(rate).minimize_with(ops::reduce_sum(w * w), options);
//! ```

use std::f64::consts::PI;

use tidemill_core::{Error, Origin, Tensor, Value, ops};

use super::Hyper;
use crate::or_panic;

/// How fast a rate falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRateDecay {
    /// After how many steps it has fallen by `rate`.
    pub steps: f64,
    /// By what.
    pub rate: f64,
    /// Whether it falls at once after so many steps, rather than a little at each.
    pub staircase: bool,
}

/// What a schedule computes with: the rate it starts from, and the step as a number of the same dtype.
struct Schedule {
    rate: Tensor,
    step: Tensor,
}

#[track_caller]
fn schedule(name: &str, rate: Hyper, global_step: Tensor, build: impl FnOnce(&Schedule) -> Tensor) -> Tensor {
    let graph = global_step.graph();
    graph.with_origin(Origin::here(), || {
        graph.name_scope(name).enter(|| {
            let rate = match rate {
                Hyper::Number(number) => graph.constant(number as f32),
                Hyper::Tensor(tensor) => tensor,
            };
            build(&Schedule { rate, step: ops::cast(global_step, rate.dtype()) })
        })
    })
}

impl Schedule {
    /// `step / steps`, at a staircase's landing if `staircase`.
    fn progress(&self, decay: &LearningRateDecay) -> Tensor {
        let progress = self.step / decay.steps;
        if decay.staircase { ops::floor(progress) } else { progress }
    }

    /// `min(step, steps) / steps`
    fn completed(&self, steps: f64) -> Tensor {
        ops::minimum(self.step, steps) / steps
    }
}

/// `learning_rate * rate ^ (global_step / steps)`. TensorFlow: `tf.train.exponential_decay`.
#[track_caller]
pub fn exponential_decay(
    learning_rate: impl Into<Hyper>,
    global_step: impl Into<Tensor>,
    decay: LearningRateDecay,
) -> Tensor {
    schedule("ExponentialDecay", learning_rate.into(), global_step.into(), |s| {
        s.rate * ops::pow(decay.rate, s.progress(&decay))
    })
}

/// `learning_rate * exp(-rate * global_step / steps)`. TensorFlow: `tf.train.natural_exp_decay`.
#[track_caller]
pub fn natural_exp_decay(
    learning_rate: impl Into<Hyper>,
    global_step: impl Into<Tensor>,
    decay: LearningRateDecay,
) -> Tensor {
    schedule("NaturalExpDecay", learning_rate.into(), global_step.into(), |s| {
        s.rate * ops::exp(s.progress(&decay) * -decay.rate)
    })
}

/// `learning_rate / (1 + rate * global_step / steps)`. TensorFlow: `tf.train.inverse_time_decay`.
#[track_caller]
pub fn inverse_time_decay(
    learning_rate: impl Into<Hyper>,
    global_step: impl Into<Tensor>,
    decay: LearningRateDecay,
) -> Tensor {
    schedule("InverseTimeDecay", learning_rate.into(), global_step.into(), |s| {
        s.rate / (1.0 + s.progress(&decay) * decay.rate)
    })
}

/// `values[i]`, where `i` counts the `boundaries` that `x` is above. TensorFlow: `tf.train.piecewise_constant`.
///
/// # Panics
/// Unless there is one value more than there are boundaries, or when these do not rise.
///
/// ```
/// use tidemill_nn::train;
/// let g = tidemill_core::Graph::new();
/// let step = train::get_or_create_global_step(&g);
/// let rate = train::piecewise_constant(step, &[100_000, 110_000], &[1.0, 0.5, 0.1]);
/// assert_eq!(rate.ty().to_string(), "f32[]");
/// ```
#[track_caller]
pub fn piecewise_constant(x: impl Into<Tensor>, boundaries: &[i64], values: &[f32]) -> Tensor {
    let x = x.into();
    let graph = x.graph();
    let Some((last, before)) = values.split_last().filter(|(_, before)| before.len() == boundaries.len())
    else {
        let message = format!("{} boundaries need one value more, not {}", boundaries.len(), values.len());
        or_panic(Err(Error::invalid(message).with_origin(Origin::here())))
    };
    if !boundaries.is_sorted_by(|a, b| a < b) {
        or_panic(Err(Error::invalid("boundaries must rise").with_origin(Origin::here())))
    }
    graph.with_origin(Origin::here(), || {
        graph.name_scope("PiecewiseConstant").enter(|| {
            let boundary = |b: i64| graph.constant(Value::scalar(b).cast(x.dtype()));
            let pieces = boundaries.iter().zip(before).rev();
            pieces.fold(graph.constant(*last), |rest, (b, value)| {
                ops::select(x.le(boundary(*b)), graph.constant(*value), rest)
            })
        })
    })
}

/// `(learning_rate - end) * (1 - min(global_step, steps) / steps) ^ power + end`; with `cycle`, `steps` is replaced by its next multiple that
/// `global_step` has not passed. TensorFlow: `tf.train.polynomial_decay`, which has 0.0001 for `end` and 1 for `power` unless told otherwise.
#[track_caller]
pub fn polynomial_decay(
    learning_rate: impl Into<Hyper>,
    global_step: impl Into<Tensor>,
    steps: f64,
    end: f64,
    power: f64,
    cycle: bool,
) -> Tensor {
    schedule("PolynomialDecay", learning_rate.into(), global_step.into(), |s| {
        let completed = if cycle {
            let turns = ops::select(ops::equal(s.step, 0.0), 1.0, ops::ceil(s.step / steps));
            s.step / (turns * steps)
        } else {
            s.completed(steps)
        };
        (s.rate - end) * ops::pow(1.0 - completed, power) + end
    })
}

/// `learning_rate * ((1 - alpha) * (1 + cos(π * min(global_step, steps) / steps)) / 2 + alpha)` (Loshchilov and Hutter, 2017). TensorFlow:
/// `tf.train.cosine_decay`.
#[track_caller]
pub fn cosine_decay(
    learning_rate: impl Into<Hyper>,
    global_step: impl Into<Tensor>,
    steps: f64,
    alpha: f64,
) -> Tensor {
    schedule("CosineDecay", learning_rate.into(), global_step.into(), |s| {
        s.rate * ((1.0 - alpha) * half_cosine(s.completed(steps)) + alpha)
    })
}

/// `(1 + cos(π x)) / 2`
fn half_cosine(x: Tensor) -> Tensor {
    0.5 * (1.0 + ops::cos(x * PI))
}

/// [`cosine_decay`] that begins anew after `first_decay_steps`, each time with `t_mul` times as many steps and `m_mul` times the rate. TensorFlow:
/// `tf.train.cosine_decay_restarts`, which has 2 for `t_mul`, 1 for `m_mul` and 0 for `alpha` unless told otherwise.
#[track_caller]
pub fn cosine_decay_restarts(
    learning_rate: impl Into<Hyper>,
    global_step: impl Into<Tensor>,
    first_decay_steps: f64,
    t_mul: f64,
    m_mul: f64,
    alpha: f64,
) -> Tensor {
    schedule("SGDRDecay", learning_rate.into(), global_step.into(), |s| {
        let completed = s.step / first_decay_steps;
        let (restarts, completed) = if t_mul == 1.0 {
            let restarts = ops::floor(completed);
            (restarts, completed - restarts)
        } else {
            let restarts = ops::floor(ops::log(1.0 - completed * (1.0 - t_mul)) / t_mul.ln());
            let longer = ops::pow(t_mul, restarts);
            (restarts, (completed - (1.0 - longer) / (1.0 - t_mul)) / longer)
        };
        let cosine = ops::pow(m_mul, restarts) * half_cosine(completed);
        s.rate * ((1.0 - alpha) * cosine + alpha)
    })
}

/// `learning_rate * ((alpha + 1 - p) * (1 + cos(2π * num_periods * p)) / 2 + beta)` with `p = min(global_step, steps) / steps` (Bello et al., 2017).
/// TensorFlow: `tf.train.linear_cosine_decay`, which has 0.5 for `num_periods`, 0 for `alpha` and 0.001 for `beta` unless told otherwise.
#[track_caller]
pub fn linear_cosine_decay(
    learning_rate: impl Into<Hyper>,
    global_step: impl Into<Tensor>,
    steps: f64,
    num_periods: f64,
    alpha: f64,
    beta: f64,
) -> Tensor {
    schedule("LinearCosineDecay", learning_rate.into(), global_step.into(), |s| {
        let completed = s.completed(steps);
        s.rate * ((alpha + (1.0 - completed)) * half_cosine(completed * (2.0 * num_periods)) + beta)
    })
}

/// The noise of [`noisy_linear_cosine_decay`]; the default is TensorFlow's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoisyLinearCosine {
    /// The variance of the noise at step 0.
    pub initial_variance: f64,
    /// The power of `1 + global_step` by which it falls.
    pub variance_decay: f64,
    /// As for [`linear_cosine_decay`].
    pub num_periods: f64,
    /// As for [`linear_cosine_decay`].
    pub alpha: f64,
    /// As for [`linear_cosine_decay`].
    pub beta: f64,
    /// The op-level seed of the noise.
    pub seed: Option<i64>,
}

impl Default for NoisyLinearCosine {
    fn default() -> Self {
        let (initial_variance, variance_decay) = (1.0, 0.55);
        NoisyLinearCosine {
            initial_variance,
            variance_decay,
            num_periods: 0.5,
            alpha: 0.0,
            beta: 0.001,
            seed: None,
        }
    }
}

/// [`linear_cosine_decay`] with normal noise of the variance `initial_variance / (1 + global_step) ^ variance_decay` added to its linear part
/// (Bello et al., 2017). TensorFlow: `tf.train.noisy_linear_cosine_decay`.
#[track_caller]
pub fn noisy_linear_cosine_decay(
    learning_rate: impl Into<Hyper>,
    global_step: impl Into<Tensor>,
    steps: f64,
    of: NoisyLinearCosine,
) -> Tensor {
    schedule("NoisyLinearCosineDecay", learning_rate.into(), global_step.into(), |s| {
        let completed = s.completed(steps);
        let step = ops::minimum(s.step, steps);
        let variance = of.initial_variance / ops::pow(1.0 + step, of.variance_decay);
        let graph = s.step.graph();
        let noise = graph.random_normal_with(s.rate.dtype(), (), ops::Normal::new(0.0, 1.0).seed(of.seed));
        let linear = (1.0 - completed) + noise * ops::sqrt(variance);
        s.rate * ((of.alpha + linear) * half_cosine(completed * (2.0 * of.num_periods)) + of.beta)
    })
}
