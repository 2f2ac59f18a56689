//! Attempts: what fails half way leaves nothing behind.

use super::{Graph, State};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::CollectionItem;

/// How far the graph had grown.
struct Mark {
    nodes: usize,
    regions: usize,
    names: usize,
    seeds: i64,
}

impl Graph {
    /// Keeps names for operations that will have exactly these (see [`OpBuilder::name`](super::OpBuilder::name)): no other is called so. For importers.
    ///
    /// # Errors
    /// `AlreadyExists` when an operation has one of them.
    pub fn reserve_names<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let mut state = self.write();
        for name in names {
            if state.by_name.contains_key(name) {
                return Err(Error::new(ErrorKind::AlreadyExists, format!("\"{name}\" already exists")));
            }
            state.names.claim_exactly(name);
        }
        Ok(())
    }

    /// Whether an operation has this name.
    pub fn contains(&self, name: &str) -> bool {
        self.read().by_name.contains_key(name)
    }

    /// Runs `f`; when it gives an error, everything that it made is gone and its names are free again. Handles of what is gone must not be used. For
    /// importers, which add many nodes or none.
    ///
    /// ```
    /// use tidemill_core::{DType, Error, Graph, Result};
    /// let g = Graph::new();
    /// let failed: Result<()> = g.attempt(|| {
    ///     g.placeholder(DType::F32, [2]).named("x");
    ///     Err(Error::invalid("no"))
    /// });
    /// assert!(failed.is_err() && g.is_empty());
    /// assert_eq!(g.placeholder(DType::F32, [2]).named("x").name(), "x:0");
    /// ```
    ///
    /// # Errors
    /// Those of `f`.
    pub fn attempt<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        let mark = self.write().mark();
        let result = f();
        let mut state = self.write();
        if result.is_err() {
            state.go_back(&mark);
        }
        state.names.stop_journal(mark.names);
        result
    }
}

impl State {
    fn mark(&mut self) -> Mark {
        Mark {
            nodes: self.nodes.len(),
            regions: self.regions.len(),
            names: self.names.start_journal(),
            seeds: self.seeds_derived,
        }
    }

    fn go_back(&mut self, mark: &Mark) {
        let kept = |node: crate::ids::NodeId| node.index() < mark.nodes;
        for node in self.nodes.drain(mark.nodes..) {
            self.by_name.remove(&node.name);
        }
        self.regions.truncate(mark.regions);
        for region in &mut self.regions {
            region.keep(kept);
        }
        self.names.go_back(mark.names);
        self.seeds_derived = mark.seeds;
        self.last_group = None;
        self.variables.by_name.retain(|_, (variable, _)| kept(variable.op().id()));
        for items in self.collections.values_mut() {
            items.retain(|item| match item {
                CollectionItem::Tensor(t) => kept(t.node),
                CollectionItem::Operation(op) => kept(op.node),
                CollectionItem::Variable(v) => kept(v.op().id()),
            });
        }
    }
}
