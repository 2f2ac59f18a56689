//! Variable scopes: prefixes, sharing and defaults for `get_variable`, with TensorFlow's rules.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidemill_tensor::{DType, Shape};

use crate::error::or_panic;
use crate::graph::{Context, Graph, Restore, join};
use crate::handle::Tensor;
use crate::init::Initializer;
use crate::variable::{Regularizer, Variable, VariableOptions};

/// Whether `get_variable` makes variables or shares them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reuse {
    /// Makes them; one that exists is an error.
    #[default]
    No,
    /// Shares them; one that is absent is an error.
    Yes,
    /// `tf.AUTO_REUSE`: shares those that exist, makes the others.
    Auto,
}

#[derive(Clone, Default)]
pub(crate) struct ScopeState {
    pub(crate) name: String,
    pub(crate) reuse: Reuse,
    pub(crate) initializer: Option<Arc<dyn Initializer>>,
    pub(crate) regularizer: Option<Regularizer>,
    pub(crate) dtype: Option<DType>,
}

/// An open variable scope.
pub struct VariableScope {
    graph: Graph,
    state: ScopeState,
}

impl VariableScope {
    /// The prefix of its variables, without the last slash; empty at the root.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Whether it shares variables.
    pub fn reuse(&self) -> Reuse {
        self.state.reuse
    }

    /// The graph it belongs to.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// See [`Graph::get_variable`].
    #[track_caller]
    pub fn get_variable(&self, name: &str, shape: impl Into<Shape>) -> Variable {
        self.graph.get_variable(name, shape)
    }

    /// See [`Graph::get_variable_with`].
    #[track_caller]
    pub fn get_variable_with(
        &self,
        name: &str,
        shape: impl Into<Shape>,
        options: impl Into<VariableOptions>,
    ) -> Variable {
        self.graph.get_variable_with(name, shape, options)
    }
}

/// A variable scope about to be entered.
#[must_use = "call .enter(|vs| ...)"]
pub struct VariableScopeBuilder {
    graph: Graph,
    state: ScopeState,
    name_scope: Option<String>,
    /// Whether the scope was open before: then what is opened in it now does not count afterwards.
    again: bool,
}

impl VariableScopeBuilder {
    /// Variables inside are shared; one that does not exist is an error.
    pub fn reuse(mut self) -> Self {
        self.state.reuse = Reuse::Yes;
        self
    }

    /// Variables inside are shared if they exist, and made if not.
    pub fn auto_reuse(mut self) -> Self {
        if self.state.reuse == Reuse::No {
            self.state.reuse = Reuse::Auto;
        }
        self
    }

    /// Shares or not, as told. Inside a scope that reuses, every scope does.
    pub fn with_reuse(self, reuse: Reuse) -> Self {
        match reuse {
            Reuse::No => self,
            Reuse::Yes => self.reuse(),
            Reuse::Auto => self.auto_reuse(),
        }
    }

    /// The initializer of variables that name none.
    pub fn initializer(mut self, initializer: impl Initializer) -> Self {
        self.state.initializer = Some(Arc::new(initializer));
        self
    }

    /// The regularizer of variables that name none.
    pub fn regularizer(mut self, f: impl Fn(Tensor) -> Tensor + Send + Sync + 'static) -> Self {
        self.state.regularizer = Some(Arc::new(f));
        self
    }

    /// The dtype of variables that name none.
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.state.dtype = Some(dtype);
        self
    }

    /// Opens no name scope: operations inside are named as outside. TensorFlow: `auxiliary_name_scope=False`.
    pub fn without_name_scope(mut self) -> Self {
        self.name_scope = None;
        self
    }

    /// Runs `f` in the scope; the scope closes when `f` returns or panics.
    #[track_caller]
    pub fn enter<R>(self, f: impl FnOnce(&VariableScope) -> R) -> R {
        let VariableScopeBuilder { graph, state, name_scope, again } = self;
        let scope = VariableScope { graph: graph.clone(), state: state.clone() };
        let run = || {
            let mut locked = graph.write();
            let context = &mut locked.context;
            context.unique_scopes.insert(state.name.clone());
            let kept = if again { below(&context.unique_scopes, &state.name) } else { vec![] };
            let saved = Some((state.name.clone(), kept));
            context.variable_scopes.push(state);
            drop(locked);
            let close = |cx: &mut Context, (name, kept): (String, Vec<String>)| {
                cx.variable_scopes.pop();
                for inside in below(&cx.unique_scopes, &name) {
                    cx.unique_scopes.remove(&inside);
                }
                cx.unique_scopes.extend(kept);
            };
            let _guard = Restore { graph: &graph, restore: close, saved };
            f(&scope)
        };
        match name_scope {
            Some(name) => graph.name_scope(&name).enter(run),
            None => run(),
        }
    }
}

impl Graph {
    /// A variable scope: inside, `get_variable("W", ..)` means the variable `name/W`, and names of operations start with
    /// `name/` too (with a suffix from the second time on; variables get none).
    ///
    /// ```
    /// use tidemill_core::Graph;
    /// let g = Graph::new();
    /// let a = g.variable_scope("cell").enter(|vs| vs.get_variable("W", [2, 2]));
    /// let b = g.variable_scope("cell").reuse().enter(|vs| vs.get_variable("W", [2, 2]));
    /// assert_eq!(a, b);
    /// assert_eq!(a.name(), "cell/W:0");
    /// ```
    pub fn variable_scope(&self, name: &str) -> VariableScopeBuilder {
        let mut state = self.read().context.variable_scopes.last().cloned().unwrap_or_default();
        state.name = join(&state.name, name);
        VariableScopeBuilder { graph: self.clone(), state, name_scope: Some(name.to_owned()), again: false }
    }

    /// A variable scope whose name is unique among the scopes that were opened since the one around it was: `default`, then `default_1`. For layers that hold
    /// variables and may be used several times. Entering the scope around it anew starts from `default` again, so that a scope that reuses finds
    /// the variables of all its layers.
    ///
    /// ```
    /// use tidemill_core::Graph;
    /// let g = Graph::new();
    /// let layer = || g.unique_variable_scope("layer").enter(|vs| vs.get_variable("w", [2]));
    /// let (a, b) = g.variable_scope("net").enter(|_| (layer(), layer()));
    /// assert_eq!(b.name(), "net/layer_1/w:0");
    /// assert_eq!(g.variable_scope("net").reuse().enter(|_| (layer(), layer())), (a, b));
    /// ```
    pub fn unique_variable_scope(&self, default: &str) -> VariableScopeBuilder {
        let state = self.read();
        let outer = state.context.variable_scopes.last().map_or("", |s| s.name.as_str());
        let mut unique = default.to_owned();
        let mut i = 0;
        while state.context.unique_scopes.contains(&join(outer, &unique)) {
            i += 1;
            unique = format!("{default}_{i}");
        }
        drop(state);
        self.variable_scope(&unique)
    }

    /// Enters a scope again that was open before, with its name, reuse and defaults.
    pub fn reenter_variable_scope(&self, scope: &VariableScope) -> VariableScopeBuilder {
        let last = scope.name().rsplit('/').next().unwrap_or_default().to_owned();
        let name_scope = (!last.is_empty()).then_some(last);
        VariableScopeBuilder { graph: self.clone(), state: scope.state.clone(), name_scope, again: true }
    }

    /// The variable scope that is open.
    pub fn current_variable_scope(&self) -> VariableScope {
        let state = self.read().context.variable_scopes.last().cloned().unwrap_or_default();
        VariableScope { graph: self.clone(), state }
    }

    /// Adds the penalties in `regularization_losses`; `None` when there are none.
    #[track_caller]
    pub fn regularization_loss(&self) -> Option<Tensor> {
        let penalties = self.tensors_in(crate::graph::keys::REGULARIZATION_LOSSES);
        (!penalties.is_empty()).then(|| crate::ops::add_n(penalties))
    }
}

/// Those of the scopes that are inside of the one of this name.
fn below(scopes: &BTreeSet<String>, name: &str) -> Vec<String> {
    let prefix = join(name, "");
    let inside = scopes.range(prefix.clone()..).take_while(|scope| scope.starts_with(&prefix));
    inside.cloned().collect()
}

impl VariableScope {
    /// Turns on sharing from here to the end of the scope, as `scope.reuse_variables()` does.
    #[track_caller]
    pub fn reuse_variables(&self) {
        let mut state = self.graph.write();
        let open = state.context.variable_scopes.iter_mut().rev().find(|s| s.name == self.state.name);
        match open {
            Some(open) => open.reuse = Reuse::Yes,
            None => or_panic(Err(crate::Error::precondition(format!(
                "variable scope \"{}\" is not open",
                self.state.name
            )))),
        }
    }
}
