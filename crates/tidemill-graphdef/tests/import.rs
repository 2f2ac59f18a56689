//! What import promises of any file: options, errors, and time.
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use tidemill_core::{DType, ErrorKind, Graph, ops};
use tidemill_graphdef::{ImportOptions, export_graph_def, import_graph_def, proto};

/// `y = tanh(x)`, `z = x + y`.
fn small() -> proto::GraphDef {
    let g = Graph::new();
    let x = g.placeholder(DType::F32, [2]).named("x");
    let y = ops::tanh(x).named("y");
    let _ = ops::add(x, y).named("z");
    export_graph_def(&g).unwrap()
}

#[test]
fn nodes_go_under_a_prefix() {
    let g = Graph::new();
    let options = ImportOptions::new().prefix("a/b").returning(["z:0", "x"]);
    let imported = import_graph_def(&g, &small(), &options).unwrap();
    let names: Vec<String> = imported.returned().iter().map(|t| t.name()).collect();
    assert_eq!(names, ["a/b/z:0", "a/b/x:0"]);
    // The same names once more are an error, and the graph is as it was.
    let len = g.len();
    let error = import_graph_def(&g, &small(), &options).unwrap_err();
    assert_eq!((error.kind(), g.len()), (ErrorKind::AlreadyExists, len));
    import_graph_def(&g, &small(), &ImportOptions::new().prefix("c")).unwrap();
}

#[test]
fn inputs_are_replaced() {
    let g = Graph::new();
    let mine = g.placeholder(DType::F32, [2]).named("mine");
    let imported = import_graph_def(&g, &small(), &ImportOptions::new().map_input("y:0", mine)).unwrap();
    let z = g.node(imported.operation("z").unwrap().id());
    assert_eq!(z.inputs[1], mine.output());
    assert_eq!(g.handle(z.inputs[0]).name(), "x:0");
}

#[track_caller]
fn refused(options: ImportOptions, graph: &Graph, kind: ErrorKind, part: &str) {
    let len = graph.len();
    let error = import_graph_def(graph, &small(), &options).unwrap_err();
    assert!(error.kind() == kind && error.to_string().contains(part), "{}: {error}", error.kind());
    assert_eq!(graph.len(), len, "nothing is left behind");
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let g = Graph::new();
    let x = g.placeholder(DType::I32, [2]).named("ints");
    refused(ImportOptions::new().map_input("no:0", x), &g, ErrorKind::InvalidArgument, "\"no:0\"");
    refused(ImportOptions::new().map_input("y", x), &g, ErrorKind::InvalidArgument, "\"z\"");
    refused(ImportOptions::new().returning(["no:0"]), &g, ErrorKind::NotFound, "\"no:0\"");
    refused(ImportOptions::new().returning(["z:1"]), &g, ErrorKind::NotFound, "\"z:1\"");
    let other = Graph::new();
    let foreign = other.placeholder(DType::F32, [2]);
    refused(ImportOptions::new().map_input("y", foreign), &g, ErrorKind::InvalidArgument, "another graph");
}

#[test]
fn every_unsupported_op_is_listed_at_once() {
    let node =
        |name: &str, op: &str| proto::NodeDef { name: name.into(), op: op.into(), ..Default::default() };
    let node = ["a", "b", "c"].map(|name| node(name, if name == "b" { "OneThing" } else { "Another" }));
    let def = proto::GraphDef { node: node.to_vec(), ..Default::default() };
    let error = import_graph_def(&Graph::new(), &def, &ImportOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unimplemented);
    assert!(error.to_string().contains("Another (\"a\", \"c\"), OneThing (\"b\")"), "{error}");
}

#[test]
fn newer_files_are_refused() {
    let mut def = small();
    def.versions = Some(proto::VersionDef { min_consumer: 1 << 20, ..Default::default() });
    let error = import_graph_def(&Graph::new(), &def, &ImportOptions::new()).unwrap_err();
    assert!(error.to_string().contains("1048576"), "{error}");
}

/// How long the import of a chain of so many nodes takes.
fn time(nodes: usize) -> Duration {
    let g = Graph::new();
    let mut x = g.placeholder(DType::F32, [2]);
    for _ in 1..nodes {
        x = ops::neg(x);
    }
    let def = export_graph_def(&g).unwrap();
    assert_eq!(def.node.len(), nodes);
    let again = Graph::new();
    let start = Instant::now();
    import_graph_def(&again, &def, &ImportOptions::new()).unwrap();
    let took = start.elapsed();
    assert_eq!(again.len(), nodes);
    took
}

#[test]
fn time_grows_with_the_graph_and_no_faster() {
    // The best of a few, for the machine does other things too.
    let best = |nodes| (0..3).map(|_| time(nodes)).min().unwrap();
    let (some, many) = (best(12_500), best(100_000));
    println!("12 500 nodes in {some:?}, 100 000 in {many:?}");
    assert!(many < some * 8 * 4, "12 500 nodes take {some:?}, 100 000 take {many:?}");
    if !cfg!(debug_assertions) {
        assert!(many < Duration::from_secs(1), "100 000 nodes take {many:?}");
    }
}
