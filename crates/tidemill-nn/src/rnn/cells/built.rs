//! What cells share: variables that are made at the first call, an activation, and the options about both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::{DType, Error, Graph, GraphId, Origin, Result, Tensor, VariableScope, ops};

use crate::or_panic;

/// A function of one tensor.
#[derive(Clone)]
pub(super) struct Activation(pub(super) Arc<dyn Fn(Tensor) -> Tensor + Send + Sync>);

impl Activation {
    #[track_caller]
    pub(super) fn apply(&self, x: Tensor) -> Tensor {
        (self.0)(x)
    }
}

impl Default for Activation {
    fn default() -> Self {
        Activation(Arc::new(|x| ops::tanh(x)))
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// The variables `V` of a cell: made at its first call, in a variable scope of the cell's name inside of the one that is open then, and shared by
/// later calls and by clones.
#[derive(Clone)]
pub(super) struct Layer<V> {
    pub(super) name: String,
    pub(super) reuse: bool,
    built: Arc<Mutex<Option<Built<V>>>>,
}

#[derive(Clone)]
struct Built<V> {
    graph: GraphId,
    scope: Arc<VariableScope>,
    name_scope: String,
    variables: V,
}

impl<V: Clone> Layer<V> {
    pub(super) fn new(name: &str) -> Layer<V> {
        Layer { name: name.to_owned(), reuse: false, built: Arc::default() }
    }

    /// `formula` of the variables, which `make` makes from the inputs' depth.
    ///
    /// # Panics
    /// Unless the inputs are floats `[batch, depth]` with a known depth.
    #[track_caller]
    pub(super) fn call<R>(
        &self,
        inputs: Tensor,
        make: impl FnOnce(&VariableScope, usize) -> V,
        formula: impl FnOnce(V) -> R,
    ) -> R {
        self.enter(inputs, |vs| Ok(make(vs, self.depth(inputs)?)), formula)
    }

    /// `formula` of what `make` makes, in the layer's variable scope: there, variables have the dtype of the inputs, and exist from the second
    /// call on.
    #[track_caller]
    pub(super) fn enter<R>(
        &self,
        inputs: Tensor,
        make: impl FnOnce(&VariableScope) -> Result<V>,
        formula: impl FnOnce(V) -> R,
    ) -> R {
        let (graph, origin) = (inputs.graph(), Origin::here());
        let result = graph.with_origin(origin.clone(), || {
            let (built, first) = self.built(&graph, inputs.dtype(), make)?;
            let scope = graph.reenter_variable_scope(&built.scope).without_name_scope();
            let scope = if first { scope } else { scope.reuse() };
            let exact = format!("{}/", built.name_scope);
            Ok(scope.enter(|_| graph.name_scope(&exact).enter(|| formula(built.variables))))
        });
        or_panic(result.map_err(|e: Error| e.with_origin(origin)))
    }

    /// What is built in `graph`, and whether this call did.
    fn built(
        &self,
        graph: &Graph,
        dtype: DType,
        make: impl FnOnce(&VariableScope) -> Result<V>,
    ) -> Result<(Built<V>, bool)> {
        let mut slot = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(built) = slot.as_ref().filter(|built| built.graph == graph.id()) {
            return Ok((built.clone(), false));
        }
        let scope = match self.reuse {
            true => graph.variable_scope(&self.name).reuse(),
            false => graph.unique_variable_scope(&self.name),
        };
        let built: Result<_> = scope.dtype(dtype).enter(|vs| {
            let scope = Arc::new(graph.current_variable_scope());
            let name_scope = graph.current_name_scope();
            Ok(Built { graph: graph.id(), scope, name_scope, variables: make(vs)? })
        });
        Ok((slot.insert(built?).clone(), true))
    }

    fn depth(&self, inputs: Tensor) -> Result<usize> {
        let ty = inputs.ty();
        match (ty.dtype.is_float(), ty.shape.rank(), ty.shape.dim(1)) {
            (true, Some(2), Some(depth)) => Ok(depth),
            _ => Err(Error::invalid(format!(
                "the inputs of {} must be floats [batch, depth] with a known depth, but are {ty}",
                self.name
            ))),
        }
    }
}

impl<V> fmt::Debug for Layer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)
    }
}

/// The options of a cell with a `layer` and an `activation`.
macro_rules! cell_options {
    ($cell:ident) => {
        impl $cell {
            /// With another function than `tanh`.
            pub fn activation(
                mut self,
                f: impl Fn(tidemill_core::Tensor) -> tidemill_core::Tensor + Send + Sync + 'static,
            ) -> Self {
                self.activation = $crate::rnn::cells::built::Activation(std::sync::Arc::new(f));
                self
            }

            /// With another name for its variable scope.
            pub fn named(mut self, name: &str) -> Self {
                self.layer.name = name.to_owned();
                self
            }

            /// Shares the variables that another cell of the same name has made in the same variable scope.
            pub fn reuse(mut self) -> Self {
                self.layer.reuse = true;
                self
            }
        }
    };
}
pub(super) use cell_options;
