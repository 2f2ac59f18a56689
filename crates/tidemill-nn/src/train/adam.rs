//! Adam.

use tidemill_core::ops::{self, ApplyAdam, Assign, ScatterAdd};
use tidemill_core::{DType, Error, IndexedSlices, Operation, Result, Tensor, Variable};

use super::{Hyper, Optimizer, Slots, Update};
use crate::init;

/// `m = beta1 * m + (1 - beta1) * g; s = beta2 * s + (1 - beta2) * g²;
/// v -= lr * √(1 - beta2ᵗ) / (1 - beta1ᵗ) * m / (√s + epsilon)` in step `t`, with the slots `m` and `v` for `m` and `s`
/// (Kingma and Ba, 2015). TensorFlow: `tf.train.AdamOptimizer`.
///
/// A sparse gradient moves all rows, since the slots of all of them decay, as in TensorFlow.
///
/// ```
/// use tidemill_core::{Graph, ops};
/// use tidemill_nn::train::{AdamOptimizer, Optimizer};
/// let g = Graph::new();
/// let w = g.get_variable("w", [3]);
/// let optimizer = AdamOptimizer::new(0.001).beta1(0.8);
/// let train_step = optimizer.minimize(ops::reduce_sum(w * w));
/// assert_eq!(optimizer.get_slot(w, "v").unwrap().name(), "w/Adam_1:0");
/// ```
#[derive(Debug)]
pub struct AdamOptimizer {
    learning_rate: Hyper,
    beta1: Hyper,
    beta2: Hyper,
    epsilon: Hyper,
    name: String,
    slots: Slots,
}

impl AdamOptimizer {
    /// With this learning rate, a number or a scalar tensor, and the authors' `beta1 = 0.9`, `beta2 = 0.999` and
    /// `epsilon = 1e-8`.
    pub fn new(learning_rate: impl Into<Hyper>) -> Self {
        Self {
            learning_rate: learning_rate.into(),
            beta1: Hyper::Number(0.9),
            beta2: Hyper::Number(0.999),
            epsilon: Hyper::Number(1e-8),
            name: "Adam".to_owned(),
            slots: Slots::new(),
        }
    }

    /// How much of the mean gradient stays from step to step. A number: its powers start from it.
    pub fn beta1(mut self, beta1: f64) -> Self {
        self.beta1 = beta1.into();
        self
    }

    /// How much of the mean squared gradient stays from step to step. A number: its powers start from it.
    pub fn beta2(mut self, beta2: f64) -> Self {
        self.beta2 = beta2.into();
        self
    }

    /// What keeps the denominator from 0.
    pub fn epsilon(mut self, epsilon: impl Into<Hyper>) -> Self {
        self.epsilon = epsilon.into();
        self
    }

    /// Under another name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// The powers of `beta1` and `beta2`, as this dtype.
    fn powers(&self, update: &Update, dtype: DType) -> Result<[Tensor; 2]> {
        let power = |name| Ok::<_, Error>(ops::cast(update.accumulator(name)?.value(), dtype));
        Ok([power("beta1_power")?, power("beta2_power")?])
    }
}

impl Optimizer for AdamOptimizer {
    fn name(&self) -> &str {
        &self.name
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }

    fn hyperparameters(&self) -> Vec<(&'static str, Hyper)> {
        vec![
            ("learning_rate", self.learning_rate),
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("epsilon", self.epsilon),
        ]
    }

    fn create_slots(&self, variables: &[Variable]) -> Result<()> {
        let Some(first) = variables.first() else { return Ok(()) };
        for (name, beta) in [("beta1_power", self.beta1), ("beta2_power", self.beta2)] {
            if let Hyper::Number(beta) = beta {
                self.slots.make_accumulator(&first.graph(), name, beta as f32);
            }
        }
        variables.iter().try_for_each(|v| {
            self.slots.make(*v, "m", &self.name, init::zeros())?;
            self.slots.make(*v, "v", &self.name, init::zeros())
        })
    }

    fn apply_dense(&self, update: &Update, variable: Variable, gradient: Tensor) -> Result<Operation> {
        let [m, v] = [update.slot(variable, "m")?, update.slot(variable, "v")?].map(Variable::reference);
        let [beta1_power, beta2_power] = self.powers(update, variable.dtype())?;
        let [rate, beta1, beta2, epsilon] = [0, 1, 2, 3].map(|i| update.hyper(i, variable.dtype()));
        let op = ApplyAdam { use_locking: false, use_nesterov: false };
        let inputs =
            [variable.reference(), m, v, beta1_power, beta2_power, rate, beta1, beta2, epsilon, gradient];
        update.graph().op(op).inputs(&inputs).try_build()
    }

    fn apply_sparse(
        &self,
        update: &Update,
        variable: Variable,
        gradient: IndexedSlices,
    ) -> Result<Operation> {
        let graph = update.graph();
        let [beta1_power, beta2_power] = self.powers(update, variable.dtype())?;
        let [rate, beta1, beta2, epsilon] = [0, 1, 2, 3].map(|i| update.hyper(i, variable.dtype()));
        let rate = rate * ops::sqrt(1.0 - beta2_power) / (1.0 - beta1_power);
        // A slot after it has decayed, and the rows named have got their share.
        let decayed = |slot: Variable, decay: Tensor, share: Tensor| -> Result<Tensor> {
            let op = Assign { validate_shape: true, use_locking: false };
            let decayed = graph.op(op).input(slot.reference()).input(slot.value() * decay).try_build()?;
            graph.control_dependencies([decayed]).enter(|| {
                let op = ScatterAdd { use_locking: false };
                let inputs = [slot.reference(), gradient.indices, share];
                Ok(graph.op(op).inputs(&inputs).try_build()?.output(0))
            })
        };
        let share = gradient.values * (1.0 - beta1);
        let m = decayed(update.slot(variable, "m")?, beta1, share)?;
        let squares = gradient.values * gradient.values;
        let v = decayed(update.slot(variable, "v")?, beta2, squares * (1.0 - beta2))?;
        let root = ops::sqrt(v);
        let moved = ops::assign_sub(variable, rate * m / (root + epsilon));
        Ok(ops::group([moved, m, v]))
    }

    fn finish(&self, update: &Update, mut updates: Vec<Operation>) -> Result<Vec<Operation>> {
        let graph = update.graph();
        let step: Result<Vec<Operation>> = graph.control_dependencies(updates.iter().copied()).enter(|| {
            let grown = |(name, i): (&str, usize)| {
                let power = update.accumulator(name)?;
                let grown = power.value() * update.hyper(i, power.dtype());
                let op = Assign { validate_shape: true, use_locking: false };
                graph.op(op).input(power.reference()).input(grown).try_build()
            };
            [("beta1_power", 1), ("beta2_power", 2)].into_iter().map(grown).collect()
        });
        updates.extend(step?);
        Ok(updates)
    }
}
