//! A graph with the node and its gradients survives the way through TensorFlow's GraphDef, and computes the same.

use tidemill_core::{ErrorKind, Gradients, Graph, OpSet, Result};
use tidemill_graphdef::{ImportOptions, export_graph_def, import_graph_def};

use super::{Bench, gradient, values};
use crate::setup::{Mode, Setup};

/// How export and import say that an op of TensorFlow's is smaller than ours of the name.
const BEYOND_TENSORFLOW: [&str; 3] = ["which the op does not take", "below its minimum", "has no attribute"];

pub(super) fn check(bench: &Bench) -> Result<(), String> {
    let reference = bench.reference()?;
    for mode in [Mode::Literal, Mode::Unknown] {
        let setup = Setup::new(bench.row, &bench.values, mode).map_err(|e| e.to_string())?;
        let ys = gradient::differentiated(bench, &setup);
        if bench.row.order > 0 && !ys.is_empty() {
            // For their nodes; whether they are right is looked at elsewhere.
            let _ = Gradients::of(&ys).with_respect_to(gradient::operands(bench, &setup, false));
        }
        let own = OpSet::standard().schema(bench.row.schema().name).is_none();
        let there_and_back = |graph: &Graph| -> Result<Graph> {
            let def = export_graph_def(graph)?;
            let back = Graph::new();
            import_graph_def(&back, &def, &ImportOptions::new().ops(bench.battery.ops().clone()))?;
            Ok(back)
        };
        let once = match there_and_back(&setup.graph) {
            Ok(once) => once,
            // It is called like an op of TensorFlow, but is another.
            Err(e) if own && e.kind() == ErrorKind::Unimplemented => return Ok(()),
            // TensorFlow's op takes fewer dtypes, operands or attributes than this one, so that its files cannot hold it.
            Err(e) if BEYOND_TENSORFLOW.iter().any(|beyond| e.message().contains(beyond)) => return Ok(()),
            Err(e) => return Err(format!("{mode:?}: {e}\nwritten of\n{}", setup.graph.to_text())),
        };
        let text = once.to_text();
        let again =
            there_and_back(&once).map_err(|e| format!("{mode:?}: {e}\nwritten of\n{text}"))?.to_text();
        if text != again {
            let differ = |(line, other): &(&str, &str)| line != other;
            let found = text.lines().zip(again.lines()).find(differ);
            return Err(format!("{mode:?}: the graph changes: {found:?}\n{text}\nis then\n{again}"));
        }
        let run = || setup.by_name(&once)?.run(&bench.battery.session(&once, true));
        let outcome = run().map_err(|e| format!("{mode:?}: imported, {e}\n{text}"))?;
        values::same(bench, &outcome, &reference).map_err(|e| format!("{mode:?}: imported, {e}"))?;
    }
    Ok(())
}
