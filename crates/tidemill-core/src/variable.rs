//! Variables: state that a session keeps between runs.
//!
//! A variable is four nodes, as in TensorFlow: `W` (`VariableV2`, the reference), `W/Initializer/...`, `W/Assign` and
//! `W/read`. Within one run every read sees the value from before the run's updates, unless a control dependency orders the
//! read after a write.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use tidemill_tensor::{DType, PartialShape, Shape};

use crate::error::{Error, Origin, Result, or_panic};
use crate::graph::{Graph, keys};
use crate::handle::{Operation, Tensor};
use crate::init::{GlorotUniform, Initializer, Zeros};
use crate::operand::Operand;
use crate::ops::{self, VariableV2};
use crate::scope::Reuse;

/// A variable of a graph. Used in a formula it stands for its value.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let w = g.get_variable("w", [2, 3]);
/// let x = g.placeholder(DType::F32, [4, 2]);
/// let y = ops::matmul(x, w);
/// assert_eq!(y.ty().to_string(), "f32[4,3]");
/// assert_eq!(w.name(), "w:0");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variable {
    reference: Tensor,
    value: Tensor,
    initial_value: Tensor,
    initializer: Operation,
}

impl Variable {
    /// The reference, which assignments take.
    pub fn reference(self) -> Tensor {
        self.reference
    }

    /// The value as a tensor: what a formula uses.
    pub fn value(self) -> Tensor {
        self.value
    }

    /// The tensor that the initializer assigns.
    pub fn initial_value(self) -> Tensor {
        self.initial_value
    }

    /// The operation that initialises it.
    pub fn initializer(self) -> Operation {
        self.initializer
    }

    /// The graph it belongs to.
    #[track_caller]
    pub fn graph(self) -> Graph {
        self.reference.graph()
    }

    /// The operation that holds it.
    pub fn op(self) -> Operation {
        self.reference.op()
    }

    /// TensorFlow's name, `W:0`.
    #[track_caller]
    pub fn name(self) -> String {
        self.reference.name()
    }

    /// Element type.
    #[track_caller]
    pub fn dtype(self) -> DType {
        self.reference.dtype()
    }

    /// Shape.
    #[track_caller]
    pub fn shape(self) -> PartialShape {
        self.reference.shape()
    }

    /// Sets it to `value`. The result is the reference after the assignment.
    #[track_caller]
    pub fn assign(self, value: impl Operand) -> Tensor {
        ops::assign(self, value)
    }

    /// Adds `value` to it.
    #[track_caller]
    pub fn assign_add(self, value: impl Operand) -> Tensor {
        ops::assign_add(self, value)
    }

    /// Subtracts `value` from it.
    #[track_caller]
    pub fn assign_sub(self, value: impl Operand) -> Tensor {
        ops::assign_sub(self, value)
    }

    /// Renames the variable just made by [`Graph::variable`]; see [`Tensor::named`].
    #[track_caller]
    pub fn named(self, name: &str) -> Variable {
        let _ = self.reference.named(name);
        self
    }
}

impl From<Variable> for Tensor {
    fn from(v: Variable) -> Tensor {
        v.value
    }
}

impl From<&Variable> for Tensor {
    fn from(v: &Variable) -> Tensor {
        v.value
    }
}

impl From<Variable> for Operation {
    fn from(v: Variable) -> Operation {
        v.op()
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable({:?})", self.reference)
    }
}

/// A penalty on a variable's value.
pub type Regularizer = Arc<dyn Fn(Tensor) -> Tensor + Send + Sync>;

/// What `get_variable` is told beside name and shape. Anything left out comes from the variable scope.
///
/// An initializer alone converts: `vs.get_variable_with("b", [4], init::constant(0.0))`.
#[derive(Clone, Default)]
pub struct VariableOptions {
    pub(crate) dtype: Option<DType>,
    pub(crate) initializer: Option<Arc<dyn Initializer>>,
    pub(crate) regularizer: Option<Regularizer>,
    pub(crate) not_trainable: bool,
}

impl VariableOptions {
    /// Everything from the scope.
    pub fn new() -> VariableOptions {
        VariableOptions::default()
    }

    /// The element type; `f32` unless the scope has another.
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// How it is initialised; unless the scope says otherwise, Glorot uniform for floats and zeros for integers and bools.
    pub fn initializer(mut self, initializer: impl Initializer) -> Self {
        self.initializer = Some(Arc::new(initializer));
        self
    }

    /// A penalty added to the collection `regularization_losses`.
    pub fn regularizer(mut self, f: impl Fn(Tensor) -> Tensor + Send + Sync + 'static) -> Self {
        self.regularizer = Some(Arc::new(f));
        self
    }

    /// Whether optimizers train it by default; they do unless told.
    pub fn trainable(mut self, trainable: bool) -> Self {
        self.not_trainable = !trainable;
        self
    }
}

impl fmt::Debug for VariableOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VariableOptions")
            .field("dtype", &self.dtype)
            .field("initializer", &self.initializer)
            .field("regularizer", &self.regularizer.as_ref().map(|_| ".."))
            .field("trainable", &!self.not_trainable)
            .finish()
    }
}

impl<I: Initializer> From<I> for VariableOptions {
    fn from(initializer: I) -> Self {
        VariableOptions::new().initializer(initializer)
    }
}

/// The variables made by `get_variable`, by full name.
#[derive(Default)]
pub(crate) struct VariableStore {
    pub(crate) by_name: IndexMap<String, (Variable, Origin)>,
}

impl Graph {
    /// The variable `name` of the current variable scope: made if it is new, shared if the scope reuses. With an empty name,
    /// the variable that has the scope's own.
    /// See [`Graph::variable_scope`].
    #[track_caller]
    pub fn get_variable(&self, name: &str, shape: impl Into<Shape>) -> Variable {
        or_panic(self.try_get_variable(name, shape.into(), VariableOptions::new()))
    }

    /// [`get_variable`](Graph::get_variable) with an initializer or other [`VariableOptions`].
    #[track_caller]
    pub fn get_variable_with(
        &self,
        name: &str,
        shape: impl Into<Shape>,
        options: impl Into<VariableOptions>,
    ) -> Variable {
        or_panic(self.try_get_variable(name, shape.into(), options.into()))
    }

    #[track_caller]
    pub(crate) fn try_get_variable(
        &self,
        name: &str,
        shape: Shape,
        options: VariableOptions,
    ) -> Result<Variable> {
        let state = self.read();
        let origin = state.context.origin(Origin::here());
        let scope = state.context.variable_scopes.last().cloned().unwrap_or_default();
        // Without a name of its own the variable has the scope's, exactly: the slots of optimizers are made so.
        let full = if name.is_empty() { scope.name.clone() } else { crate::graph::join(&scope.name, name) };
        let node = if name.is_empty() { format!("{full}/") } else { full.clone() };
        let existing = state.variables.by_name.get(&full).cloned();
        drop(state);
        let dtype = options.dtype.or(scope.dtype).unwrap_or(DType::F32);
        let wrong = |message: String| Error::invalid(message).with_origin(origin.clone());
        match (existing, scope.reuse) {
            (Some((_, first)), Reuse::No) => Err(Error::new(
                crate::error::ErrorKind::AlreadyExists,
                format!("variable {full} already exists, first defined at {first}"),
            )
            .with_origin(origin.clone())
            .with_help(
                "open the scope with .reuse() to share it, or .auto_reuse() to share it if it exists",
            )),
            (Some((variable, first)), _) => {
                if !variable.shape().accepts(&shape) {
                    return Err(wrong(format!(
                        "variable {full} is shared with shape {shape}, but was defined with shape {} at {first}",
                        variable.shape()
                    )));
                }
                if variable.dtype() != dtype {
                    return Err(wrong(format!(
                        "variable {full} is shared with dtype {dtype}, but was defined with dtype {} at {first}",
                        variable.dtype()
                    )));
                }
                Ok(variable)
            }
            (None, Reuse::Yes) => {
                let state = self.read();
                let near = crate::graph::nearest(&full, state.variables.by_name.keys().map(String::as_str));
                Err(Error::not_found(format!(
                    "variable {full} does not exist, or was not made with get_variable"
                ))
                .with_origin(origin.clone())
                .with_help(match near {
                    Some(near) => {
                        format!("did you mean {near}? .auto_reuse() makes a variable that is absent")
                    }
                    None => "make it first in a scope without .reuse(), or open the scope with .auto_reuse()"
                        .into(),
                }))
            }
            (None, _) => {
                let initializer = options.initializer.clone().or(scope.initializer).unwrap_or_else(|| {
                    if dtype.is_float() { Arc::new(GlorotUniform::default()) } else { Arc::new(Zeros) }
                });
                let variable = self.outside_of_bodies(|| {
                    self.root_name_scope().enter(|| {
                        let initial = self
                            .name_scope(&format!("{full}/Initializer/"))
                            .enter(|| initializer.build(self, &shape, dtype));
                        let trainable = !options.not_trainable;
                        self.make_variable(&node, initial, &shape, dtype, trainable, origin.clone())
                    })
                })?;
                self.write().variables.by_name.insert(full.clone(), (variable, origin));
                if let Some(regularizer) = options.regularizer.or(scope.regularizer) {
                    let penalty = self.root_name_scope().enter(|| {
                        self.name_scope(&format!("{full}/Regularizer/"))
                            .enter(|| regularizer(variable.value()))
                    });
                    self.add_to_collection(keys::REGULARIZATION_LOSSES, penalty);
                }
                Ok(variable)
            }
        }
    }

    /// A variable that is always new: `tf.Variable(initial_value)`. Named in the current *name* scope (`Variable`, then
    /// `Variable_1`, unless [`named`](Variable::named)), and not shared by `get_variable`.
    ///
    /// ```
    /// use tidemill_core::Graph;
    /// let g = Graph::new();
    /// let step = g.variable(0i64).named("step");
    /// assert_eq!(step.name(), "step:0");
    /// ```
    #[track_caller]
    pub fn variable(&self, initial_value: impl Operand) -> Variable {
        self.new_variable(initial_value, true)
    }

    /// [`variable`](Graph::variable), left alone by optimizers.
    #[track_caller]
    pub fn untrained_variable(&self, initial_value: impl Operand) -> Variable {
        self.new_variable(initial_value, false)
    }

    #[track_caller]
    fn new_variable(&self, initial_value: impl Operand, trainable: bool) -> Variable {
        let origin = self.origin();
        let variable = self.outside_of_bodies(|| {
            self.name_scope("Variable").enter(|| {
                let scope = self.current_name_scope();
                let initial = initial_value.in_graph(self, "initial_value")?;
                let shape = initial.shape().as_known().ok_or_else(|| {
                    Error::invalid(format!(
                        "a variable's shape must be fully known, but it is {}",
                        initial.shape()
                    ))
                    .with_origin(origin.clone())
                })?;
                self.make_variable(&format!("{scope}/"), initial, &shape, initial.dtype(), trainable, origin)
            })
        });
        or_panic(variable)
    }

    /// The nodes of a variable. `name` is relative to the open name scope, or exact when it ends in a slash.
    fn make_variable(
        &self,
        name: &str,
        initial_value: Tensor,
        shape: &Shape,
        dtype: DType,
        trainable: bool,
        origin: Origin,
    ) -> Result<Variable> {
        let op =
            VariableV2 { shape: shape.into(), dtype, container: String::new(), shared_name: String::new() };
        let reference = self.op(op).name(name).origin(origin.clone()).try_build()?.output(0);
        let full = reference.op().name();
        let (initializer, value) = self.name_scope(&format!("{full}/")).enter(|| -> Result<_> {
            let assign = self
                .op(ops::Assign { validate_shape: true, use_locking: true })
                .input(reference)
                .input(initial_value)
                .origin(origin.clone())
                .try_build()?;
            let value = self.op(ops::Identity {}).name("read").input(reference).origin(origin).try_build()?;
            Ok((assign, value.output(0)))
        })?;
        let variable = Variable { reference, value, initial_value, initializer };
        self.add_to_collection(keys::GLOBAL_VARIABLES, variable);
        if trainable {
            self.add_to_collection(keys::TRAINABLE_VARIABLES, variable);
        }
        Ok(variable)
    }

    /// The operation that initialises every variable made so far (`init`).
    #[track_caller]
    pub fn global_variables_initializer(&self) -> Operation {
        self.variables_initializer(&self.global_variables())
    }

    /// The operation that initialises these variables.
    #[track_caller]
    pub fn variables_initializer(&self, variables: &[Variable]) -> Operation {
        let initializers: Vec<Operation> = variables.iter().map(|v| v.initializer()).collect();
        ops::group_in(self, "init", &initializers)
    }
}
