//! Optimizers that shrink variables towards 0: proximal steps, dual averaging, and following the regularised leader.

use tidemill_core::ops::{
    self, ApplyAdagradDA, ApplyFtrl, ApplyFtrlV2, ApplyProximalAdagrad, ApplyProximalGradientDescent,
    SparseApplyAdagradDA, SparseApplyFtrl, SparseApplyFtrlV2, SparseApplyProximalAdagrad,
    SparseApplyProximalGradientDescent,
};
use tidemill_core::{DType, IndexedSlices, Operation, Result, Tensor, Variable};

use super::family::{apply, optimizers};
use super::{Hyper, Optimizer, Slots, Update};
use crate::init;

optimizers! {
    /// `p = v - lr * g; v = sign(p) * max(|p| - lr * l1, 0) / (1 + lr * l2)` (Duchi and Singer, 2009). TensorFlow:
    /// `tf.train.ProximalGradientDescentOptimizer`.
    ///
    /// ```
    /// use tidemill_core::{Graph, ops};
    /// use tidemill_nn::train::ProximalGradientDescentOptimizer;
    /// let g = Graph::new();
    /// let w = g.get_variable("w", [3]);
    /// let optimizer = ProximalGradientDescentOptimizer::new(0.1).l1_regularization_strength(0.01);
    /// let train_step = optimizer.minimize(ops::reduce_sum(w * w));
    /// ```
    ProximalGradientDescentOptimizer "ProximalGradientDescent",
    hyperparameters {
        /// `l1` of the formula, at least 0; 0 unless given.
        l1_regularization_strength = 0.0;
        /// `l2` of the formula, at least 0; 0 unless given.
        l2_regularization_strength = 0.0;
    }
    slots |_this| [("", 0.0); 0],
    steps |_this, graph, operands|
        apply(graph, ApplyProximalGradientDescent { use_locking: false }, operands),
        apply(graph, SparseApplyProximalGradientDescent { use_locking: false }, operands),
    operands |of| [""; 0], vec![of(0), of(1), of(2)], gradient, vec![];

    /// `a += g²`, and the step of [`ProximalGradientDescentOptimizer`] with the rate `lr / √a`, with the slot `accumulator` for `a`. TensorFlow:
    /// `tf.train.ProximalAdagradOptimizer`.
    ProximalAdagradOptimizer "ProximalAdagrad",
    hyperparameters {
        /// `l1` of the formula, at least 0; 0 unless given.
        l1_regularization_strength = 0.0;
        /// `l2` of the formula, at least 0; 0 unless given.
        l2_regularization_strength = 0.0;
    }
    fields {
        /// What accumulators start from; 0.1 unless given.
        initial_accumulator_value: f64 = 0.1;
    }
    slots |this| [("accumulator", this.initial_accumulator_value)],
    steps |_this, graph, operands|
        apply(graph, ApplyProximalAdagrad { use_locking: false }, operands),
        apply(graph, SparseApplyProximalAdagrad { use_locking: false }, operands),
    operands |of| ["accumulator"], vec![of(0), of(1), of(2)], gradient, vec![];

    /// Adagrad by dual averaging: `s += g; a += g²; v = -lr * sign(s) * max(|s| - l1 * step, 0) / (l2 * step * lr + √a)`, with the slots
    /// `gradient_accumulator` and `gradient_squared_accumulator` for `s` and `a` (Duchi et al., 2011), where
    /// `step` is `global_step + 1`: `global_step` counts the steps before this one.
    /// TensorFlow: `tf.train.AdagradDAOptimizer`.
    AdagradDAOptimizer "AdagradDA",
    hyperparameters {
        /// `l1` of the formula, at least 0; 0 unless given.
        l1_regularization_strength = 0.0;
        /// `l2` of the formula, at least 0; 0 unless given.
        l2_regularization_strength = 0.0;
    }
    new(global_step: Tensor),
    fields {
        /// What sums of squares start from; 0.1 unless given.
        initial_gradient_squared_accumulator_value: f64 = 0.1;
    }
    slots |this| [
        ("gradient_accumulator", 0.0),
        ("gradient_squared_accumulator", this.initial_gradient_squared_accumulator_value),
    ],
    steps |_this, graph, operands|
        apply(graph, ApplyAdagradDA { use_locking: false }, operands),
        apply(graph, SparseApplyAdagradDA { use_locking: false }, operands),
    operands |of| ["gradient_accumulator", "gradient_squared_accumulator"],
        vec![], gradient, vec![of(0), of(1), of(2), ops::cast(this.global_step, DType::I64) + 1];

    /// "Follow the regularised leader": `n = a + g²; z += g + 2 * l2_shrinkage * v - (n^-p - a^-p) / lr * v; a = n`, and `v` becomes
    /// `(sign(z) * l1 - z) / (n^-p / lr + 2 * l2)` where `|z| > l1`, 0 elsewhere; with `p` for the power, and the slots `accum` and `linear` for `a` and
    /// `z` (McMahan et al., 2013). TensorFlow: `tf.train.FtrlOptimizer`.
    ///
    /// ```
    /// use tidemill_core::{Graph, ops};
    /// use tidemill_nn::train::{FtrlOptimizer, Optimizer};
    /// let g = Graph::new();
    /// let w = g.get_variable("w", [3]);
    /// let optimizer = FtrlOptimizer::new(0.1).l1_regularization_strength(0.01);
    /// let train_step = optimizer.minimize(ops::reduce_sum(w * w));
    /// assert_eq!(optimizer.get_slot(w, "linear").unwrap().name(), "w/Ftrl_1:0");
    /// ```
    FtrlOptimizer "Ftrl",
    hyperparameters {
        /// `l1` of the formula, at least 0; 0 unless given.
        l1_regularization_strength = 0.0;
        /// `l2` of the formula, at least 0; 0 unless given.
        l2_regularization_strength = 0.0;
        /// `l2_shrinkage` of the formula, at least 0; 0 unless given.
        l2_shrinkage_regularization_strength = 0.0;
        /// The power, at most 0; -0.5 unless given.
        learning_rate_power = -0.5;
    }
    fields {
        /// What accumulators start from; 0.1 unless given.
        initial_accumulator_value: f64 = 0.1;
    }
    slots |this| [("accum", this.initial_accumulator_value), ("linear", 0.0)],
    steps |this, graph, operands|
        match this.shrinks() {
            true => apply(graph, ApplyFtrlV2 { use_locking: false, multiply_linear_by_lr: false }, operands),
            false => apply(graph, ApplyFtrl { use_locking: false, multiply_linear_by_lr: false }, operands),
        },
        match this.shrinks() {
            true => apply(graph, SparseApplyFtrlV2 { use_locking: false, multiply_linear_by_lr: false }, operands),
            false => apply(graph, SparseApplyFtrl { use_locking: false, multiply_linear_by_lr: false }, operands),
        },
    operands |of| ["accum", "linear"],
        vec![], gradient,
        match this.shrinks() {
            true => vec![of(0), of(1), of(2), of(3), of(4)],
            false => vec![of(0), of(1), of(2), of(4)],
        };
}

impl FtrlOptimizer {
    fn shrinks(&self) -> bool {
        self.l2_shrinkage_regularization_strength != Hyper::Number(0.0)
    }
}
