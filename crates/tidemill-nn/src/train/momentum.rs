//! Momentum.

use tidemill_core::ops::{ApplyMomentum, SparseApplyMomentum};
use tidemill_core::{IndexedSlices, Operation, Result, Tensor, Variable};

use super::{Hyper, Optimizer, Slots, Update};
use crate::init;

/// `a = momentum * a + g; v -= lr * a`, with the slot `momentum` for `a`. TensorFlow: `tf.train.MomentumOptimizer`.
///
/// Of a sparse gradient only the rows it names move; the accumulators of the others do not decay, as in TensorFlow.
///
/// ```
/// use tidemill_core::{Graph, ops};
/// use tidemill_nn::train::{MomentumOptimizer, Optimizer};
/// let g = Graph::new();
/// let w = g.get_variable("w", [3]);
/// let train_step = MomentumOptimizer::new(0.1, 0.9).use_nesterov(true).minimize(ops::reduce_sum(w * w));
/// assert!(g.operation("w/Momentum").is_ok());
/// ```
#[derive(Debug)]
pub struct MomentumOptimizer {
    learning_rate: Hyper,
    momentum: Hyper,
    use_nesterov: bool,
    name: String,
    slots: Slots,
}

impl MomentumOptimizer {
    /// With this learning rate and momentum: numbers or scalar tensors.
    pub fn new(learning_rate: impl Into<Hyper>, momentum: impl Into<Hyper>) -> Self {
        Self {
            learning_rate: learning_rate.into(),
            momentum: momentum.into(),
            use_nesterov: false,
            name: "Momentum".to_owned(),
            slots: Slots::new(),
        }
    }

    /// Whether to take the step from where the momentum leads (Sutskever et al., 2013):
    /// `v -= lr * (g + momentum * a)`.
    pub fn use_nesterov(mut self, use_nesterov: bool) -> Self {
        self.use_nesterov = use_nesterov;
        self
    }

    /// Under another name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }
}

impl Optimizer for MomentumOptimizer {
    fn name(&self) -> &str {
        &self.name
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    fn hyperparameters(&self) -> Vec<(&'static str, Hyper)> {
        vec![("learning_rate", self.learning_rate), ("momentum", self.momentum)]
    }

    fn create_slots(&self, variables: &[Variable]) -> Result<()> {
        variables.iter().try_for_each(|v| self.slots.make(*v, "momentum", &self.name, init::zeros()))
    }

    fn apply_dense(&self, update: &Update, variable: Variable, gradient: Tensor) -> Result<Operation> {
        let [rate, momentum] = [0, 1].map(|i| update.hyper(i, variable.dtype()));
        let accum = update.slot(variable, "momentum")?.reference();
        let op = ApplyMomentum { use_locking: false, use_nesterov: self.use_nesterov };
        update.graph().op(op).inputs(&[variable.reference(), accum, rate, gradient, momentum]).try_build()
    }

    fn apply_sparse(
        &self,
        update: &Update,
        variable: Variable,
        gradient: IndexedSlices,
    ) -> Result<Operation> {
        let [rate, momentum] = [0, 1].map(|i| update.hyper(i, variable.dtype()));
        let accum = update.slot(variable, "momentum")?.reference();
        let op = SparseApplyMomentum { use_locking: false, use_nesterov: self.use_nesterov };
        let inputs = [variable.reference(), accum, rate, gradient.values, gradient.indices, momentum];
        update.graph().op(op).inputs(&inputs).try_build()
    }
}
