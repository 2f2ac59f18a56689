//! Collections: named lists by which parts of a program find things in the graph.

use indexmap::IndexMap;

use super::Graph;
use crate::handle::{Operation, Tensor};
use crate::variable::Variable;

/// The names of the collections that this library fills and reads, as TensorFlow names them.
pub mod keys {
    /// Every variable.
    pub const GLOBAL_VARIABLES: &str = "variables";
    /// Variables that optimizers train by default.
    pub const TRAINABLE_VARIABLES: &str = "trainable_variables";
    /// Penalties made by regularizers.
    pub const REGULARIZATION_LOSSES: &str = "regularization_losses";
    /// The step counter of the graph.
    pub const GLOBAL_STEP: &str = "global_step";
    /// Losses that were added.
    pub const LOSSES: &str = "losses";
}

/// Something in a collection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CollectionItem {
    /// A tensor.
    Tensor(Tensor),
    /// An operation.
    Operation(Operation),
    /// A variable.
    Variable(Variable),
}

impl From<Tensor> for CollectionItem {
    fn from(t: Tensor) -> Self {
        CollectionItem::Tensor(t)
    }
}

impl From<Operation> for CollectionItem {
    fn from(op: Operation) -> Self {
        CollectionItem::Operation(op)
    }
}

impl From<Variable> for CollectionItem {
    fn from(v: Variable) -> Self {
        CollectionItem::Variable(v)
    }
}

pub(super) type Collections = IndexMap<String, Vec<CollectionItem>>;

impl Graph {
    /// Appends to the collection `name`.
    pub fn add_to_collection(&self, name: &str, item: impl Into<CollectionItem>) {
        self.write().collections.entry(name.to_owned()).or_default().push(item.into());
    }

    /// What is in the collection `name`, in the order it was added; empty when there is none.
    pub fn collection(&self, name: &str) -> Vec<CollectionItem> {
        self.read().collections.get(name).cloned().unwrap_or_default()
    }

    /// The names of all collections.
    pub fn collection_names(&self) -> Vec<String> {
        self.read().collections.keys().cloned().collect()
    }

    /// The variables in the collection `name`.
    pub fn variables_in(&self, name: &str) -> Vec<Variable> {
        let only_variables = |item| match item {
            CollectionItem::Variable(v) => Some(v),
            _ => None,
        };
        self.collection(name).into_iter().filter_map(only_variables).collect()
    }

    /// The tensors in the collection `name`.
    pub fn tensors_in(&self, name: &str) -> Vec<Tensor> {
        let only_tensors = |item| match item {
            CollectionItem::Tensor(t) => Some(t),
            _ => None,
        };
        self.collection(name).into_iter().filter_map(only_tensors).collect()
    }

    /// Every variable of the graph.
    pub fn global_variables(&self) -> Vec<Variable> {
        self.variables_in(keys::GLOBAL_VARIABLES)
    }

    /// The variables that optimizers train by default.
    pub fn trainable_variables(&self) -> Vec<Variable> {
        self.variables_in(keys::TRAINABLE_VARIABLES)
    }
}
