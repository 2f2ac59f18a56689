//! Moving averages of variables.

use tidemill_core::{
    DType, Error, Graph, Initializer, Operation, Origin, Result, Shape, Tensor, Value, Variable, ops,
};

use super::{Hyper, Slots};
use crate::or_panic;

/// Averages of variables that move a little towards them at each step: `average -= (1 - decay) * (average - variable)`. TensorFlow:
/// `tf.train.ExponentialMovingAverage`.
///
/// An average is a variable too, `<variable>/ExponentialMovingAverage`; it starts from what its variable starts from.
///
/// ```
/// use tidemill_core::{Graph, ops};
/// use tidemill_nn::train::{ExponentialMovingAverage, GradientDescentOptimizer};
/// let g = Graph::new();
/// let w = g.get_variable("w", [3]);
/// let step = GradientDescentOptimizer::new(0.1).minimize(ops::reduce_sum(w * w));
/// let averages = ExponentialMovingAverage::new(0.999);
/// let train_step = g.control_dependencies([step]).enter(|| averages.apply(&[w]));
/// assert_eq!(averages.average(w).unwrap().name(), "w/ExponentialMovingAverage:0");
/// ```
#[derive(Debug)]
pub struct ExponentialMovingAverage {
    decay: Hyper,
    num_updates: Option<Tensor>,
    name: String,
    slots: Slots,
}

/// The name of the one slot.
const AVERAGE: &str = "average";

impl ExponentialMovingAverage {
    /// With this decay: a number or a scalar tensor, below 1 and near it.
    pub fn new(decay: impl Into<Hyper>) -> Self {
        let name = "ExponentialMovingAverage".to_owned();
        Self { decay: decay.into(), num_updates: None, name, slots: Slots::new() }
    }

    /// The number `n` of steps so far, by which averages move faster at first: the decay is at most `(1 + n) / (10 + n)`.
    pub fn num_updates(mut self, num_updates: impl Into<Tensor>) -> Self {
        self.num_updates = Some(num_updates.into());
        self
    }

    /// Under another name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// An operation that moves the averages of these variables, which are made the first time. To take the values after a training step, add it
    /// under a control dependency on that.
    ///
    /// # Panics
    /// When there are no variables, or one of them is no float.
    #[track_caller]
    pub fn apply(&self, variables: &[Variable]) -> Operation {
        or_panic(self.try_apply(variables).map_err(|e| e.with_origin(Origin::here())))
    }

    #[track_caller]
    fn try_apply(&self, variables: &[Variable]) -> Result<Operation> {
        let Some(first) = variables.first() else {
            return Err(Error::invalid("no variables to average"));
        };
        let graph = first.graph();
        for variable in variables {
            if !variable.dtype().is_float() {
                return Err(Error::invalid(format!("{} is {}, no float", variable.name(), variable.dtype())));
            }
            let initial = InitialValueOf(*variable);
            graph.clear_control_dependencies().enter(|| {
                graph.root_name_scope().enter(|| self.slots.make(*variable, AVERAGE, &self.name, initial))
            })?;
        }
        let moved = graph.with_origin(Origin::here(), || {
            graph.name_scope(&self.name).enter(|| {
                let decay = self.decay(&graph);
                let moves = variables.iter().map(|variable| -> Result<Tensor> {
                    let average = self.slots.expect(*variable, AVERAGE)?;
                    let rest = ops::cast(1.0 - decay, variable.dtype());
                    Ok(ops::assign_sub(average, (average.value() - variable.value()) * rest))
                });
                moves.collect::<Result<Vec<Tensor>>>().map(ops::group)
            })
        })?;
        Ok(moved)
    }

    fn decay(&self, graph: &Graph) -> Tensor {
        let decay = match self.decay {
            Hyper::Number(number) => graph.constant(Value::scalar(number as f32)).named("decay"),
            Hyper::Tensor(tensor) => tensor,
        };
        match self.num_updates {
            None => decay,
            Some(n) => {
                let n = ops::cast(n, decay.dtype());
                ops::minimum(decay, (1.0 + n) / (10.0 + n))
            }
        }
    }

    /// The average of a variable, if it has one.
    pub fn average(&self, variable: Variable) -> Option<Variable> {
        self.slots.get(variable, AVERAGE)
    }

    /// The name that the average of a variable has, or would have.
    pub fn average_name(&self, variable: Variable) -> String {
        match self.average(variable) {
            Some(average) => average.op().name(),
            None => format!("{}/{}", variable.op().name(), self.name),
        }
    }
}

/// What a variable starts from.
#[derive(Debug)]
struct InitialValueOf(Variable);

impl Initializer for InitialValueOf {
    fn build(&self, _: &Graph, _: &Shape, _: DType) -> Tensor {
        self.0.initial_value()
    }
}
