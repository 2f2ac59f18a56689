//! Any bytes as a GraphDef: import says no, or gives a graph that export writes and import reads again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidemill_core::Graph;
use tidemill_graphdef::{ImportOptions, export_graph_def, import_graph_def, read_graph_def};

fuzz_target!(|bytes: &[u8]| {
    let Ok(def) = read_graph_def(bytes) else { return };
    let graph = Graph::new();
    if import_graph_def(&graph, &def, &ImportOptions::new()).is_err() {
        assert!(graph.is_empty(), "an import that fails leaves nothing behind");
        return;
    }
    let Ok(def) = export_graph_def(&graph) else { return };
    let again = Graph::new();
    if let Err(e) = import_graph_def(&again, &def, &ImportOptions::new()) {
        panic!("what was written is not read: {e}");
    }
});
