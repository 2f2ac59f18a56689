//! What nodes made now inherit: the name scope, control dependencies, and whose gradient they are.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use super::{Graph, Group, RegionId, names};
use crate::error::{Error, Origin, Result, or_panic};
use crate::handle::Operation;
use crate::ids::{NodeId, Output};
use crate::scope::ScopeState;

#[derive(Default)]
pub(crate) struct Context {
    /// `a/b`, without the last slash; empty at the root.
    pub(crate) name_scope: String,
    controls: Vec<ControlFrame>,
    /// The forward node whose gradient is being built.
    pub(crate) gradient_of: Option<(String, Origin)>,
    /// The line that asked for what is being built, if it is not the one that builds.
    caller: Option<Origin>,
    /// The body that nodes are added to.
    pub(crate) region: RegionId,
    /// Open variable scopes, innermost last.
    pub(crate) variable_scopes: Vec<ScopeState>,
    /// The full names of the variable scopes that were opened since the ones around them were: what unique names must differ from.
    pub(crate) unique_scopes: BTreeSet<String>,
}

struct ControlFrame {
    controls: SmallVec<[NodeId; 2]>,
    /// Nodes made inside: they carry the dependency already, and so does what consumes them.
    seen: FxHashSet<NodeId>,
    /// `control_dependencies(None)`: hides the frames outside.
    clears: bool,
}

impl Context {
    pub(crate) fn origin(&self, at: Origin) -> Origin {
        match &self.gradient_of {
            Some((node, forward)) => Origin::GradientOf(node.clone(), Box::new(forward.clone())),
            None => self.caller.clone().unwrap_or(at),
        }
    }

    /// The control inputs of a node made now with these operands, as TensorFlow prunes them.
    pub(super) fn control_inputs(&self, inputs: &[Output]) -> SmallVec<[NodeId; 2]> {
        let mut all = SmallVec::new();
        for frame in self.controls.iter().rev() {
            let dominated = inputs.iter().any(|i| frame.seen.contains(&i.node));
            if !dominated {
                for &control in &frame.controls {
                    if !all.contains(&control) && !inputs.iter().any(|i| i.node == control) {
                        all.push(control);
                    }
                }
            }
            if frame.clears {
                break;
            }
        }
        all
    }

    pub(super) fn record(&mut self, node: NodeId) {
        for frame in &mut self.controls {
            frame.seen.insert(node);
        }
    }
}

/// `a/b`, or `b` at the root.
pub(crate) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}/{name}") }
}

/// A name scope about to be entered.
#[must_use = "call .enter(|| ...)"]
pub struct NameScope<'g> {
    graph: &'g Graph,
    name: String,
    root: bool,
}

impl NameScope<'_> {
    /// Runs `f` with the scope open; the scope closes when `f` returns or panics.
    #[track_caller]
    pub fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        let mut state = self.graph.write();
        let outer = state.context.name_scope.clone();
        let start = state.nodes.len();
        let mut claim = None;
        state.context.name_scope = if self.root {
            String::new()
        } else if let Some(absolute) = self.name.strip_suffix('/') {
            absolute.to_owned()
        } else {
            or_panic(names::check_name(&self.name, !outer.is_empty()));
            let (name, made) = state.names.claim(join(&outer, &self.name));
            claim = Some((name.clone(), made));
            name
        };
        drop(state);
        let guard =
            Restore { graph: self.graph, restore: |cx, outer| cx.name_scope = outer, saved: Some(outer) };
        let result = f();
        drop(guard);
        let mut state = self.graph.write();
        let end = state.nodes.len();
        state.last_group = claim.map(|(name, claim)| Group { start, end, name, claim });
        result
    }
}

/// Puts a part of the context back, also when the closure panics.
pub(crate) struct Restore<'g, T> {
    pub(crate) graph: &'g Graph,
    pub(crate) restore: fn(&mut Context, T),
    pub(crate) saved: Option<T>,
}

impl<T> Drop for Restore<'_, T> {
    fn drop(&mut self) {
        if let Some(saved) = self.saved.take() {
            (self.restore)(&mut self.graph.write().context, saved);
        }
    }
}

/// Control dependencies about to be entered.
#[must_use = "call .enter(|| ...)"]
pub struct ControlDependencies<'g> {
    graph: &'g Graph,
    controls: SmallVec<[NodeId; 2]>,
    clears: bool,
}

impl ControlDependencies<'_> {
    /// Runs `f`; what it makes runs after the operations given.
    pub fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        let frame = ControlFrame { controls: self.controls, seen: FxHashSet::default(), clears: self.clears };
        self.graph.write().context.controls.push(frame);
        let _guard =
            Restore { graph: self.graph, restore: |cx, ()| drop(cx.controls.pop()), saved: Some(()) };
        f()
    }
}

impl Graph {
    /// A name scope: inside, names start with `name/`. A name used before gets a suffix; a name that ends in a slash enters
    /// that scope exactly, again.
    ///
    /// ```
    /// # use tidemill_core::{Graph, DType};
    /// let g = Graph::new();
    /// let x = g.name_scope("layer").enter(|| g.placeholder(DType::F32, ()).named("x"));
    /// assert_eq!(x.name(), "layer/x:0");
    /// ```
    pub fn name_scope(&self, name: &str) -> NameScope<'_> {
        NameScope { graph: self, name: name.to_owned(), root: false }
    }

    /// The scope of names without prefix.
    pub fn root_name_scope(&self) -> NameScope<'_> {
        NameScope { graph: self, name: String::new(), root: true }
    }

    /// The name scope that is open, without the last slash; empty at the root.
    pub fn current_name_scope(&self) -> String {
        self.read().context.name_scope.clone()
    }

    /// Operations made inside run after all of `operations`.
    ///
    /// # Panics
    /// When one belongs to another graph.
    #[track_caller]
    pub fn control_dependencies<I>(&self, operations: I) -> ControlDependencies<'_>
    where
        I: IntoIterator<Item: Into<Operation>>,
    {
        let controls: Result<_> = operations
            .into_iter()
            .map(|op| {
                let op = op.into();
                if op.graph == self.id() {
                    Ok(op.node)
                } else {
                    Err(Error::invalid("a control dependency on an operation of another graph"))
                }
            })
            .collect();
        ControlDependencies { graph: self, controls: or_panic(controls), clears: false }
    }

    /// Operations made inside forget all control dependencies around them.
    pub fn clear_control_dependencies(&self) -> ControlDependencies<'_> {
        ControlDependencies { graph: self, controls: SmallVec::new(), clears: true }
    }

    /// Runs `f`; what it makes comes from `origin`, unless a call of this around it says otherwise. For functions that
    /// build in closures, through which `#[track_caller]` does not reach.
    ///
    /// ```
    /// # use tidemill_core::{DType, Graph, Origin, ops};
    /// #[track_caller]
    /// fn layer(x: tidemill_core::Tensor) -> tidemill_core::Tensor {
    ///     let g = x.graph();
    ///     g.with_origin(Origin::here(), || g.name_scope("layer").enter(|| ops::tanh(x)))
    /// }
    /// ```
    pub fn with_origin<R>(&self, origin: Origin, f: impl FnOnce() -> R) -> R {
        let saved = self.write().context.caller.clone();
        // In a statement of its own: the lock must be free again while `f` runs.
        self.write().context.caller.get_or_insert(origin);
        let _guard = Restore { graph: self, restore: |cx, saved| cx.caller = saved, saved: Some(saved) };
        f()
    }

    /// The line that errors name for what is built now: the one that [`with_origin`](Graph::with_origin) was given, or the caller's.
    #[track_caller]
    pub fn origin(&self) -> Origin {
        self.read().context.origin(Origin::here())
    }

    /// Runs `f`; what it makes is the gradient of the forward node `name`, and errors in it show that node's line.
    pub(crate) fn as_gradient_of<R>(&self, name: &str, origin: &Origin, f: impl FnOnce() -> R) -> R {
        let saved = self.write().context.gradient_of.replace((name.to_owned(), origin.clone()));
        let _guard = Restore { graph: self, restore: |cx, saved| cx.gradient_of = saved, saved: Some(saved) };
        f()
    }
}
