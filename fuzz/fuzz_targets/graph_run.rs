//! Any bytes as a GraphDef whose tensors are all run, for a moment: values or errors, none of them `Internal`.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tidemill_core::{ErrorKind, Graph, RegionId};
use tidemill_graphdef::{ImportOptions, import_graph_def, read_graph_def};
use tidemill_session::{FeedDict, RunOptions, Session};

fuzz_target!(|bytes: &[u8]| {
    let Ok(def) = read_graph_def(bytes) else { return };
    let graph = Graph::new();
    if import_graph_def(&graph, &def, &ImportOptions::new()).is_err() {
        return;
    }
    let session = Session::new(&graph);
    for operation in graph.operations().into_iter().take(64) {
        if graph.node(operation.id()).region != RegionId::ROOT {
            continue;
        }
        let options = RunOptions::new().timeout(Duration::from_millis(200));
        if let Err(e) = session.run_with(operation, FeedDict::new(), options) {
            assert_ne!(e.kind(), ErrorKind::Internal, "{e}");
        }
    }
});
