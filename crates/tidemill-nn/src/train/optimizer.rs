//! What all optimizers share: from a loss to one operation that trains a step.

use std::fmt::Debug;

use tidemill_core::ops::{self, AssignAdd, Const};
use tidemill_core::{
    DType, Error, Gradient, Gradients, Graph, IndexedSlices, Operation, Origin, Result, Tensor, Value,
    Variable,
};

use super::Slots;
use crate::{exact_scope, or_panic};

/// Gradients with the variables that they belong to; `None` where the loss does not depend on the variable.
pub type GradientsAndVariables = Vec<(Option<Gradient>, Variable)>;

/// A hyperparameter: a number, or a scalar tensor that may change from run to run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hyper {
    /// A number; the graph holds it as `f32`, as TensorFlow does.
    Number(f64),
    /// A tensor.
    Tensor(Tensor),
}

impl From<f64> for Hyper {
    fn from(number: f64) -> Self {
        Hyper::Number(number)
    }
}

impl From<f32> for Hyper {
    fn from(number: f32) -> Self {
        Hyper::Number(number.into())
    }
}

impl From<Tensor> for Hyper {
    fn from(tensor: Tensor) -> Self {
        Hyper::Tensor(tensor)
    }
}

impl From<Variable> for Hyper {
    fn from(variable: Variable) -> Self {
        Hyper::Tensor(variable.value())
    }
}

/// One application of an optimizer: what its rules for single variables have at hand.
#[derive(Debug)]
pub struct Update<'o> {
    graph: Graph,
    slots: &'o Slots,
    hyper: Vec<Tensor>,
}

impl Update<'_> {
    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Hyperparameter `i` of [`Optimizer::hyperparameters`], as this dtype.
    pub fn hyper(&self, i: usize, dtype: DType) -> Tensor {
        ops::cast(self.hyper[i], dtype)
    }

    /// The slot of a variable.
    ///
    /// # Errors
    /// `Internal` when [`Optimizer::create_slots`] has not made it.
    pub fn slot(&self, variable: Variable, slot: &str) -> Result<Variable> {
        self.slots.expect(variable, slot)
    }

    /// The value of an accumulator.
    ///
    /// # Errors
    /// `Internal` when [`Optimizer::create_slots`] has not made it.
    pub fn accumulator(&self, name: &str) -> Result<Variable> {
        let missing = || Error::internal(format!("the optimizer has made no accumulator \"{name}\""));
        self.slots.accumulator(&self.graph, name).ok_or_else(missing)
    }
}

/// Options of [`Optimizer::minimize_with`] and the functions that it consists of.
#[derive(Debug, Clone, Default)]
pub struct MinimizeOptions {
    global_step: Option<Variable>,
    variables: Option<Vec<Variable>>,
    grad_loss: Option<Tensor>,
    name: Option<String>,
}

impl MinimizeOptions {
    /// Trains all trainable variables, and counts no step.
    pub fn new() -> MinimizeOptions {
        MinimizeOptions::default()
    }

    /// A variable to be counted up by 1 after the update.
    pub fn global_step(mut self, step: Variable) -> Self {
        self.global_step = Some(step);
        self
    }

    /// The variables to train; unless given, all trainable ones of the graph.
    pub fn var_list(mut self, variables: impl IntoIterator<Item = Variable>) -> Self {
        self.variables = Some(variables.into_iter().collect());
        self
    }

    /// What flows into the loss, of its shape and dtype; ones unless given.
    pub fn grad_loss(mut self, gradient: Tensor) -> Self {
        self.grad_loss = Some(gradient);
        self
    }

    /// The name of the operation; the optimizer's unless given.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }
}

/// A rule by which variables follow their gradients.
///
/// An optimizer of one's own says how one variable is updated ([`apply_dense`](Optimizer::apply_dense) and
/// [`apply_sparse`](Optimizer::apply_sparse)) and gets the rest:
///
/// ```
/// use tidemill_core::{Error, IndexedSlices, Operation, Result, Tensor, Variable, ops};
/// use tidemill_nn::train::{Hyper, Optimizer, Slots, Update};
///
/// /// `v -= lr * sign(g)`
/// #[derive(Debug)]
/// struct SignDescent { learning_rate: Hyper, slots: Slots }
///
/// impl Optimizer for SignDescent {
///     fn name(&self) -> &str { "SignDescent" }
///     fn slots(&self) -> &Slots { &self.slots }
///     fn hyperparameters(&self) -> Vec<(&'static str, Hyper)> { vec![("learning_rate", self.learning_rate)] }
///     fn apply_dense(&self, update: &Update, v: Variable, gradient: Tensor) -> Result<Operation> {
///         Ok(v.assign_sub(update.hyper(0, v.dtype()) * ops::sign(gradient)).op())
///     }
///     fn apply_sparse(&self, update: &Update, v: Variable, gradient: IndexedSlices) -> Result<Operation> {
///         self.apply_dense(update, v, gradient.to_tensor())
///     }
/// }
/// ```
pub trait Optimizer: Debug {
    /// The name of the operation that trains, unless told otherwise.
    fn name(&self) -> &str;

    /// Where its slots are kept.
    fn slots(&self) -> &Slots;

    /// Its hyperparameters by name, in the order in which [`Update::hyper`] numbers them.
    fn hyperparameters(&self) -> Vec<(&'static str, Hyper)>;

    /// Makes what it remembers of these variables ([`Slots::make`]).
    ///
    /// # Errors
    /// `InvalidArgument` when a variable can have no slot.
    fn create_slots(&self, variables: &[Variable]) -> Result<()> {
        let _ = variables;
        Ok(())
    }

    /// The operation that updates a variable.
    ///
    /// # Errors
    /// When the nodes cannot be added.
    fn apply_dense(&self, update: &Update, variable: Variable, gradient: Tensor) -> Result<Operation>;

    /// The operation that updates the rows of a variable which the gradient names. Each is named once, unless
    /// [`takes_duplicates`](Optimizer::takes_duplicates).
    ///
    /// # Errors
    /// When the nodes cannot be added.
    fn apply_sparse(&self, update: &Update, variable: Variable, gradient: IndexedSlices)
    -> Result<Operation>;

    /// Whether [`apply_sparse`](Optimizer::apply_sparse) may be given rows named twice, because it adds them up itself.
    fn takes_duplicates(&self) -> bool {
        false
    }

    /// What a step consists of: the updates of all variables, and what has to follow them.
    ///
    /// # Errors
    /// When the nodes cannot be added.
    fn finish(&self, update: &Update, updates: Vec<Operation>) -> Result<Vec<Operation>> {
        let _ = update;
        Ok(updates)
    }

    /// An operation that trains one step: it moves all trainable variables so that `loss` gets smaller.
    ///
    /// # Panics
    /// With the rendered error: see [`try_minimize`](Optimizer::try_minimize).
    #[track_caller]
    fn minimize(&self, loss: Tensor) -> Operation {
        self.minimize_with(loss, MinimizeOptions::new())
    }

    /// [`minimize`](Optimizer::minimize) with options.
    ///
    /// # Panics
    /// With the rendered error: see [`try_minimize`](Optimizer::try_minimize).
    #[track_caller]
    fn minimize_with(&self, loss: Tensor, options: MinimizeOptions) -> Operation {
        or_panic(self.try_minimize(loss, options))
    }

    /// [`minimize_with`](Optimizer::minimize_with) as a `Result`.
    ///
    /// # Errors
    /// `InvalidArgument` when there are no variables, the loss depends on none of them, or it is no float; `Unimplemented`
    /// when an op on the way has no gradient.
    #[track_caller]
    fn try_minimize(&self, loss: Tensor, options: MinimizeOptions) -> Result<Operation> {
        let pairs = self.try_compute_gradients(loss, &options)?;
        if pairs.iter().all(|(gradient, _)| gradient.is_none()) {
            let message = format!(
                "No gradients provided for any variable: there is no differentiable path between variables {} and loss {loss:?}",
                names(&pairs)
            );
            return Err(Error::invalid(message).with_origin(Origin::here()).with_help(
                "check that the loss is computed from the variables, by ops that have gradients",
            ));
        }
        self.try_apply_gradients(&pairs, &options)
    }

    /// The gradient of `loss` with respect to each trainable variable.
    ///
    /// # Panics
    /// With the rendered error: see [`try_compute_gradients`](Optimizer::try_compute_gradients).
    #[track_caller]
    fn compute_gradients(&self, loss: Tensor) -> GradientsAndVariables {
        or_panic(self.try_compute_gradients(loss, &MinimizeOptions::new()))
    }

    /// [`compute_gradients`](Optimizer::compute_gradients) with options, of which `var_list` and `grad_loss` matter, as a
    /// `Result`.
    ///
    /// # Errors
    /// `InvalidArgument` when there are no variables, or `loss` is no float; `Unimplemented` when an op on the way has no
    /// gradient.
    #[track_caller]
    fn try_compute_gradients(
        &self,
        loss: Tensor,
        options: &MinimizeOptions,
    ) -> Result<GradientsAndVariables> {
        let graph = loss.graph();
        let variables = match &options.variables {
            Some(variables) => variables.clone(),
            None => graph.trainable_variables(),
        };
        if variables.is_empty() {
            let error = Error::invalid("No variables to optimize.").with_origin(Origin::here());
            return Err(error.with_help("make trainable variables in the graph, or name some with var_list"));
        }
        let gradients = graph.with_origin(Origin::here(), || {
            let references = variables.iter().map(|v| v.reference());
            Gradients::of([loss]).grad_ys([options.grad_loss]).with_respect_to(references)
        })?;
        Ok(gradients.into_iter().zip(variables).collect())
    }

    /// An operation that moves variables along these gradients; those without one stay.
    ///
    /// # Panics
    /// With the rendered error: see [`try_apply_gradients`](Optimizer::try_apply_gradients).
    #[track_caller]
    fn apply_gradients(&self, pairs: &[(Option<Gradient>, Variable)]) -> Operation {
        or_panic(self.try_apply_gradients(pairs, &MinimizeOptions::new()))
    }

    /// [`apply_gradients`](Optimizer::apply_gradients) with options, of which `global_step` and `name` matter, as a `Result`.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no gradient, or one does not fit its variable.
    #[track_caller]
    fn try_apply_gradients(
        &self,
        pairs: &[(Option<Gradient>, Variable)],
        options: &MinimizeOptions,
    ) -> Result<Operation> {
        let origin = Origin::here();
        let Some((_, first)) = pairs.iter().find(|(gradient, _)| gradient.is_some()) else {
            let what = if pairs.is_empty() {
                "No variables provided.".to_owned()
            } else {
                format!("No gradients provided for any variable: {}.", names(pairs))
            };
            return Err(Error::invalid(what).with_origin(origin));
        };
        let graph = first.graph();
        let trained: Vec<Variable> = pairs.iter().filter(|(g, _)| g.is_some()).map(|(_, v)| *v).collect();
        let name = options.name.as_deref().unwrap_or(self.name()).to_owned();
        let build = || {
            graph.clear_control_dependencies().enter(|| self.create_slots(&trained))?;
            graph.name_scope(&name).enter(|| self.build_step(&graph, pairs, options.global_step))
        };
        let step = graph.with_origin(origin.clone(), build).map_err(|e| match e.origin() {
            Some(_) => e,
            None => e.with_origin(origin),
        })?;
        graph.add_to_collection("train_op", step);
        Ok(step)
    }

    /// The slot of this name that was made for `variable`, if there is one. TensorFlow: `get_slot`.
    fn get_slot(&self, variable: Variable, name: &str) -> Option<Variable> {
        self.slots().get(variable, name)
    }

    /// The names of its slots, sorted. TensorFlow: `get_slot_names`.
    fn get_slot_names(&self) -> Vec<String> {
        self.slots().names()
    }

    /// All variables that it made. TensorFlow: `variables`.
    fn variables(&self) -> Vec<Variable> {
        self.slots().variables()
    }

    /// The nodes of [`try_apply_gradients`](Optimizer::try_apply_gradients), in the open name scope.
    #[doc(hidden)]
    fn build_step(
        &self,
        graph: &Graph,
        pairs: &[(Option<Gradient>, Variable)],
        global_step: Option<Variable>,
    ) -> Result<Operation> {
        let exact = exact_scope(graph);
        let tensor = |(name, hyper): (&'static str, Hyper)| match hyper {
            Hyper::Tensor(tensor) => Ok(tensor),
            Hyper::Number(number) => {
                let value = Value::scalar(number as f32);
                Ok(graph.op(Const { value }).name(name).try_build()?.output(0))
            }
        };
        let hyper: Result<Vec<Tensor>> = self.hyperparameters().into_iter().map(tensor).collect();
        let update = Update { graph: graph.clone(), slots: self.slots(), hyper: hyper? };
        let mut updates = vec![];
        for (gradient, variable) in pairs {
            let Some(gradient) = *gradient else { continue };
            let scope = format!("update_{}", variable.op().name());
            updates.push(graph.name_scope(&scope).enter(|| match gradient {
                Gradient::Dense(gradient) => self.apply_dense(&update, *variable, gradient),
                Gradient::Sparse(slices) if self.takes_duplicates() => {
                    self.apply_sparse(&update, *variable, slices)
                }
                Gradient::Sparse(slices) => self.apply_sparse(&update, *variable, without_duplicates(slices)),
            })?);
        }
        let all = self.finish(&update, updates)?;
        let Some(step) = global_step else { return Ok(ops::group_in(graph, &exact, &all)) };
        let done = ops::group_in(graph, "update", &all);
        graph.control_dependencies([done]).enter(|| {
            let one = Value::scalar(1i64).cast(step.dtype());
            let count = graph.op(AssignAdd { use_locking: false }).name(exact).input(step.reference());
            count.constant("value", one).try_build()
        })
    }
}

/// The variables' names, as a list.
fn names(pairs: &[(Option<Gradient>, Variable)]) -> String {
    let names: Vec<String> = pairs.iter().map(|(_, v)| format!("{:?}", v.name())).collect();
    format!("[{}]", names.join(", "))
}

/// The same slices with each row named once, in the order of first mention.
fn without_duplicates(slices: IndexedSlices) -> IndexedSlices {
    let (indices, places) = ops::unique(slices.indices);
    let count = ops::index(ops::shape(indices), 0);
    IndexedSlices { values: ops::unsorted_segment_sum(slices.values, places, count), indices, ..slices }
}
