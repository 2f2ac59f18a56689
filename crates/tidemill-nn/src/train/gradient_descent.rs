//! Gradient descent.

use tidemill_core::ops::{self, ApplyGradientDescent};
use tidemill_core::{IndexedSlices, Operation, Result, Tensor, Variable};

use super::{Hyper, Optimizer, Slots, Update};

/// `v -= lr * g`. TensorFlow: `tf.train.GradientDescentOptimizer`.
///
/// ```
/// use tidemill_core::{Graph, ops};
/// use tidemill_nn::train::{GradientDescentOptimizer, Optimizer};
/// let g = Graph::new();
/// let w = g.get_variable("w", [3]);
/// let train_step = GradientDescentOptimizer::new(0.5).minimize(ops::reduce_sum(w * w));
/// ```
#[derive(Debug)]
pub struct GradientDescentOptimizer {
    learning_rate: Hyper,
    name: String,
    slots: Slots,
}

impl GradientDescentOptimizer {
    /// With this learning rate: a number or a scalar tensor.
    pub fn new(learning_rate: impl Into<Hyper>) -> Self {
        Self { learning_rate: learning_rate.into(), name: "GradientDescent".to_owned(), slots: Slots::new() }
    }

    /// Under another name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }
}

impl Optimizer for GradientDescentOptimizer {
    fn name(&self) -> &str {
        &self.name
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    fn hyperparameters(&self) -> Vec<(&'static str, Hyper)> {
        vec![("learning_rate", self.learning_rate)]
    }

    fn apply_dense(&self, update: &Update, variable: Variable, gradient: Tensor) -> Result<Operation> {
        let rate = update.hyper(0, variable.dtype());
        let op = ApplyGradientDescent { use_locking: false };
        update.graph().op(op).inputs(&[variable.reference(), rate, gradient]).try_build()
    }

    fn apply_sparse(
        &self,
        update: &Update,
        variable: Variable,
        gradient: IndexedSlices,
    ) -> Result<Operation> {
        let rate = update.hyper(0, variable.dtype());
        Ok(ops::scatter_sub(variable, gradient.indices, gradient.values * rate).op())
    }

    fn takes_duplicates(&self) -> bool {
        true
    }
}
