//! Typed ids.
//!
//! Nodes refer to each other by id, not by reference: ids are `Copy`, print exactly as the text form of a graph
//! shows them (`n7`), and let passes and importers work on plain tables.

use std::fmt;

/// Names one node of one graph; prints as `n7`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The node's position in the graph's arena.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One output of one node; prints as `n7`, or `n7:1` for an output other than the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Output {
    /// The node that computes the value.
    pub node: NodeId,
    /// Which of the node's outputs.
    pub index: u32,
}

impl Output {
    /// Output `index` of `node`.
    pub fn new(node: NodeId, index: u32) -> Output {
        Output { node, index }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => write!(f, "{}", self.node),
            i => write!(f, "{}:{i}", self.node),
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names one graph of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GraphId(pub(crate) u32);
