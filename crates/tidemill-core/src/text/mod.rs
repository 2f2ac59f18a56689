//! The text form of a graph, and its picture.
//!
//! ```text
//! n0 = Placeholder {dtype=f32, shape=shape [200,6]} : f32[200,6]  "x"
//! n1 = VariableV2 {container="", dtype=f32, shape=shape [6,4], shared_name=""} : &f32[6,4]  "W"
//! n2 = Identity (n1) : f32[6,4]  "W/read"
//! n3 = MatMul {transpose_a=false, transpose_b=false} (n0, n2) ^n1 : f32[200,4]  "MatMul"
//! ```
//!
//! One node a line: its id, op, attributes, operands, control inputs, types and name. Reading it back gives the same nodes; collections, seeds and
//! which variables there are for `get_variable` are not part of it. Loops and conditionals are shown, with the region of each node of a body,
//! but cannot be read back.

mod dot;
mod parse;
mod print;

use crate::error::Result;
use crate::graph::Graph;
use crate::op::OpSet;

impl Graph {
    /// The graph as text; see [`from_text`](Graph::from_text).
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, OpSet, ops};
    /// let g = Graph::new();
    /// let x = g.placeholder(DType::F32, [2]).named("x");
    /// let _ = ops::tanh(x);
    /// let text = g.to_text();
    /// assert_eq!(text, "n0 = Placeholder {dtype=f32, shape=shape [2]} : f32[2]  \"x\"\nn1 = Tanh (n0) : f32[2]  \"Tanh\"\n");
    /// assert_eq!(Graph::from_text(&text, &OpSet::standard())?.to_text(), text);
    /// # Ok::<(), tidemill_core::Error>(())
    /// ```
    pub fn to_text(&self) -> String {
        print::graph(self)
    }

    /// The graph that a text describes.
    ///
    /// # Errors
    /// `InvalidArgument` with line and column where the text does not follow the form, names a node that does not stand before, or says other
    /// types than the ops infer; `Unimplemented` listing every op that is not in `ops`, and for loops and conditionals.
    pub fn from_text(text: &str, ops: &OpSet) -> Result<Graph> {
        parse::graph(text, ops)
    }

    /// The graph for Graphviz: name scopes as nested boxes, control dependencies dashed.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph};
    /// let g = Graph::new();
    /// g.name_scope("layer").enter(|| g.placeholder(DType::F32, [2]).named("x"));
    /// assert!(g.to_dot().contains("subgraph"));
    /// ```
    pub fn to_dot(&self) -> String {
        dot::graph(self)
    }
}
