//! Adagrad.

use tidemill_core::ops::{ApplyAdagrad, SparseApplyAdagrad};
use tidemill_core::{IndexedSlices, Operation, Result, Tensor, Variable};

use super::{Hyper, Optimizer, Slots, Update};
use crate::init;

/// `a += g²; v -= lr * g / √a`, with the slot `accumulator` for `a` (Duchi et al., 2011).
/// TensorFlow: `tf.train.AdagradOptimizer`.
///
/// ```
/// use tidemill_core::{Graph, ops};
/// use tidemill_nn::train::{AdagradOptimizer, Optimizer};
/// let g = Graph::new();
/// let w = g.get_variable("w", [3]);
/// let train_step = AdagradOptimizer::new(0.1).minimize(ops::reduce_sum(w * w));
/// assert!(g.operation("Adagrad/update_w/ApplyAdagrad").is_ok());
/// ```
#[derive(Debug)]
pub struct AdagradOptimizer {
    learning_rate: Hyper,
    initial_accumulator_value: f64,
    name: String,
    slots: Slots,
}

impl AdagradOptimizer {
    /// With this learning rate: a number or a scalar tensor.
    pub fn new(learning_rate: impl Into<Hyper>) -> Self {
        Self {
            learning_rate: learning_rate.into(),
            initial_accumulator_value: 0.1,
            name: "Adagrad".to_owned(),
            slots: Slots::new(),
        }
    }

    /// What accumulators start from; 0.1 unless given.
    ///
    /// # Panics
    /// When it is not above 0: the first step would be infinite.
    #[track_caller]
    pub fn initial_accumulator_value(mut self, value: f64) -> Self {
        assert!(value > 0.0, "initial_accumulator_value must be positive, not {value}");
        self.initial_accumulator_value = value;
        self
    }

    /// Under another name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }
}

impl Optimizer for AdagradOptimizer {
    fn name(&self) -> &str {
        &self.name
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    fn hyperparameters(&self) -> Vec<(&'static str, Hyper)> {
        vec![("learning_rate", self.learning_rate)]
    }

    fn create_slots(&self, variables: &[Variable]) -> Result<()> {
        let initial = || init::constant(self.initial_accumulator_value);
        variables.iter().try_for_each(|v| self.slots.make(*v, "accumulator", &self.name, initial()))
    }

    fn apply_dense(&self, update: &Update, variable: Variable, gradient: Tensor) -> Result<Operation> {
        let rate = update.hyper(0, variable.dtype());
        let accum = update.slot(variable, "accumulator")?.reference();
        let op = ApplyAdagrad { use_locking: false, update_slots: true };
        update.graph().op(op).inputs(&[variable.reference(), accum, rate, gradient]).try_build()
    }

    fn apply_sparse(
        &self,
        update: &Update,
        variable: Variable,
        gradient: IndexedSlices,
    ) -> Result<Operation> {
        let rate = update.hyper(0, variable.dtype());
        let accum = update.slot(variable, "accumulator")?.reference();
        let op = SparseApplyAdagrad { use_locking: false, update_slots: true };
        let inputs = [variable.reference(), accum, rate, gradient.values, gradient.indices];
        update.graph().op(op).inputs(&inputs).try_build()
    }
}
