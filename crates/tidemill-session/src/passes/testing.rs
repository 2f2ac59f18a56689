//! Tests of passes: the text of a graph in, the text of the program after some passes out.

use tidemill_core::{Graph, OpSet, Output, TensorType, ops};

use super::{PassCx, run};
use crate::kernels::KernelTable;
use crate::program::Program;

/// The text of the program that fetches `fetches` of a graph and feeds its placeholders, after the last run of `pass`,
/// with fuel for so many patches.
#[track_caller]
pub(super) fn after(pass: &str, graph: &str, fetches: &[Output], fuel: u64) -> String {
    let graph = Graph::from_text(graph, &OpSet::standard()).unwrap_or_else(|e| panic!("{e}"));
    after_of(pass, &graph, fetches, fuel)
}

/// As in [`after`], of a graph that has no text form to be read from, because it loops.
#[track_caller]
pub(super) fn after_of(pass: &str, graph: &Graph, fetches: &[Output], fuel: u64) -> String {
    let nodes = graph.nodes();
    let placeholders = nodes.iter().enumerate().filter(|(_, node)| node.op.is::<ops::Placeholder>());
    let feeds: Vec<(Output, TensorType)> = placeholders
        .map(|(i, node)| (Output::new(tidemill_core::NodeId(i as u32), 0), node.outputs[0].clone()))
        .collect();
    let mut program = Program::build(graph, fetches, &[], &feeds).unwrap_or_else(|e| panic!("{e}"));
    let kernels = KernelTable::standard();
    let mut seen = String::new();
    run(&mut program, &PassCx::new(&kernels, true, fuel), |name, program| {
        if name == pass {
            seen = program.to_string();
        }
    })
    .unwrap_or_else(|e| panic!("{e}"));
    seen
}

/// Output 0 of node `n`.
pub(super) fn out(n: u32) -> Output {
    Output::new(tidemill_core::NodeId(n), 0)
}
