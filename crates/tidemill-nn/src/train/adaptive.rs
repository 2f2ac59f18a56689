//! Adadelta and RMSProp.

use tidemill_core::ops::{
    ApplyAdadelta, ApplyCenteredRMSProp, ApplyRMSProp, SparseApplyAdadelta, SparseApplyCenteredRMSProp,
    SparseApplyRMSProp,
};
use tidemill_core::{IndexedSlices, Operation, Result, Tensor, Variable};

use super::family::{apply, optimizers};
use super::{Hyper, Optimizer, Slots, Update};
use crate::init;

optimizers! {
    /// `a = rho * a + (1 - rho) * g²; u = √(b + epsilon) / √(a + epsilon) * g; b = rho * b + (1 - rho) * u²; v -= lr * u`, with the slots `accum` and
    /// `accum_update` for `a` and `b` (Zeiler, 2012). TensorFlow: `tf.train.AdadeltaOptimizer`, whose default for the learning rate is 0.001.
    ///
    /// ```
    /// use tidemill_core::{Graph, ops};
    /// use tidemill_nn::train::{AdadeltaOptimizer, Optimizer};
    /// let g = Graph::new();
    /// let w = g.get_variable("w", [3]);
    /// let optimizer = AdadeltaOptimizer::new(1.0).rho(0.9);
    /// let train_step = optimizer.minimize(ops::reduce_sum(w * w));
    /// assert_eq!(optimizer.get_slot(w, "accum_update").unwrap().name(), "w/Adadelta_1:0");
    /// ```
    AdadeltaOptimizer "Adadelta",
    hyperparameters {
        /// How much of the mean squares stays from step to step; 0.95 unless given.
        rho = 0.95;
        /// What keeps numerator and denominator from 0; 1e-8 unless given.
        epsilon = 1e-8;
    }
    slots |_this| [("accum", 0.0), ("accum_update", 0.0)],
    steps |_this, graph, operands|
        apply(graph, ApplyAdadelta { use_locking: false }, operands),
        apply(graph, SparseApplyAdadelta { use_locking: false }, operands),
    operands |of| ["accum", "accum_update"], vec![of(0), of(1), of(2)], gradient, vec![];

    /// `r = decay * r + (1 - decay) * g²; m = momentum * m + lr * g / √(r + epsilon); v -= m`, with the slots `rms`, at first 1, and `momentum` for
    /// `r` and `m` (Tieleman and Hinton, 2012). TensorFlow: `tf.train.RMSPropOptimizer`.
    ///
    /// Of a sparse gradient only the rows it names move, and only their slots decay, as in TensorFlow.
    ///
    /// ```
    /// use tidemill_core::{Graph, ops};
    /// use tidemill_nn::train::{Optimizer, RMSPropOptimizer};
    /// let g = Graph::new();
    /// let w = g.get_variable("w", [3]);
    /// let optimizer = RMSPropOptimizer::new(0.01).momentum(0.9).centered(true);
    /// let train_step = optimizer.minimize(ops::reduce_sum(w * w));
    /// assert_eq!(optimizer.get_slot_names(), ["mg", "momentum", "rms"]);
    /// ```
    RMSPropOptimizer "RMSProp",
    hyperparameters {
        /// How much of the mean square stays from step to step; 0.9 unless given.
        decay = 0.9;
        /// How much of the last step stays; 0 unless given.
        momentum = 0.0;
        /// What keeps the denominator from 0; 1e-10 unless given.
        epsilon = 1e-10;
    }
    fields {
        /// Whether the variance of the gradient stands for its mean square: `r - a²`, with the slot `mg` for the mean `a` of the gradient.
        centered: bool = false;
    }
    slots |this| match this.centered {
        true => vec![("rms", 1.0), ("mg", 0.0), ("momentum", 0.0)],
        false => vec![("rms", 1.0), ("momentum", 0.0)],
    },
    steps |this, graph, operands|
        match this.centered {
            true => apply(graph, ApplyCenteredRMSProp { use_locking: false }, operands),
            false => apply(graph, ApplyRMSProp { use_locking: false }, operands),
        },
        match this.centered {
            true => apply(graph, SparseApplyCenteredRMSProp { use_locking: false }, operands),
            false => apply(graph, SparseApplyRMSProp { use_locking: false }, operands),
        },
    operands |of| if this.centered { vec!["mg", "rms", "momentum"] } else { vec!["rms", "momentum"] },
        vec![of(0), of(1), of(2), of(3)], gradient, vec![];
}
