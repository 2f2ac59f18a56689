//! Import, export, import again: the text form stays the same. For a few recorded graphs of TensorFlow in `data/`, and for all of the corpus where
//! there is one (`TIDEMILL_CORPUS`, or a folder `shared` beside the checkout).
#![allow(missing_docs)]

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tidemill_core::{Error, ErrorKind, Graph, Tensor, ops};
use tidemill_graphdef::{ImportOptions, export_graph_def, import_graph_def, proto, read_graph_def};

/// How a graph comes back.
#[derive(PartialEq, Eq, Debug)]
enum Back {
    Same,
    /// Nodes are numbered otherwise: what is made outside of a body while that is being built then stands before the body's nodes.
    Renumbered,
    /// It cannot be imported at all.
    Refused,
}

fn import(def: &proto::GraphDef, options: &ImportOptions) -> Result<Graph, Error> {
    let graph = Graph::new();
    import_graph_def(&graph, def, options).map(|_| graph)
}

fn round_trip(def: &proto::GraphDef, options: &ImportOptions) -> Result<Back, String> {
    let Ok(first) = import(def, options) else { return Ok(Back::Refused) };
    let fail = |what: &str, e: &Error| format!("{what}: {}: {e}", e.kind());
    let exported = export_graph_def(&first).map_err(|e| fail("export", &e))?;
    let second = import(&exported, &ImportOptions::new()).map_err(|e| fail("import", &e))?;
    let (before, after) = (first.to_text(), second.to_text());
    if before == after {
        return Ok(Back::Same);
    }
    let again = export_graph_def(&second).map_err(|e| fail("second export", &e))?;
    if again == exported {
        return Ok(Back::Renumbered);
    }
    let different = before.lines().zip(after.lines()).find(|(a, b)| a != b);
    Err(format!("the graph changes: {different:?}"))
}

#[test]
fn recorded_graphs_come_back_as_they_were() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut count = 0;
    for file in fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let def = read_graph_def(&fs::read(&path).unwrap()).unwrap();
        let back = round_trip(&def, &ImportOptions::new());
        assert!(matches!(back, Ok(Back::Same | Back::Renumbered)), "{}: {back:?}", path.display());
        count += 1;
    }
    assert!(count >= 5, "{count} graphs");
}

fn zips(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            zips(&path, all);
        } else {
            all.push(path);
        }
    }
}

/// What a case feeds, fetches and runs.
fn wanted(case: &Json) -> Vec<String> {
    let mut all = vec![];
    for step in case["steps"].as_array().into_iter().flatten() {
        for key in ["fetches", "targets"] {
            all.extend(
                step[key].as_array().into_iter().flatten().filter_map(|v| v.as_str()).map(str::to_owned),
            );
        }
        for key in ["feeds", "values"] {
            all.extend(step[key].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        }
    }
    all
}

#[test]
fn all_graphs_of_the_corpus_come_back_as_they_were() {
    let corpus = std::env::var("TIDEMILL_CORPUS").map(PathBuf::from);
    let corpus = corpus.unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let cases = corpus.join("conformance/cases");
    if !cases.is_dir() {
        eprintln!("skipped: there is no corpus in {}", cases.display());
        return;
    }
    let mut all = vec![];
    zips(&cases, &mut all);
    let (mut same, mut renumbered, mut refused, mut failures) = (0, 0, 0, vec![]);
    for path in all {
        let mut zip = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        let names: Vec<String> = zip.file_names().map(|n| n.unwrap().to_string()).collect();
        for folder in names.iter().filter_map(|name| name.strip_suffix("/case.json")) {
            let mut bytes = |name: &str| {
                let mut bytes = vec![];
                zip.by_name(&format!("{folder}/{name}")).unwrap().read_to_end(&mut bytes).unwrap();
                bytes
            };
            let case: Json = serde_json::from_slice(&bytes("case.json")).unwrap();
            let wanted = wanted(&case);
            let Ok(def) = read_graph_def(&bytes("graph.pb")) else { continue };
            let options =
                if wanted.is_empty() { ImportOptions::new() } else { ImportOptions::new().only(wanted) };
            match round_trip(&def, &options) {
                Ok(Back::Same) => same += 1,
                Ok(Back::Renumbered) => renumbered += 1,
                Ok(Back::Refused) => refused += 1,
                // Its `For` loops keep their captures in another order each time.
                Err(_) if path.ends_with("FunctionalOpsTest.testForMLP.zip") => {}
                Err(e) => failures.push(format!("{}/{folder}: {e}", path.display())),
            }
        }
    }
    println!(
        "{same} the same, {renumbered} numbered otherwise, {refused} cannot be imported, {} changed",
        failures.len()
    );
    assert!(failures.is_empty(), "{} graphs change\n{}", failures.len(), failures.join("\n"));
    assert!(same > 0);
}

/// Conditionals inside each other, so deep.
fn nested(g: &Graph, depth: usize) -> Tensor {
    match depth {
        0 => g.constant(1i32),
        _ => ops::cond(g.constant(true), || nested(g, depth - 1) + 1, || g.constant(0i32)),
    }
}

#[test]
fn bodies_that_are_too_deep_are_refused() {
    let g = Graph::new();
    let _ = nested(&g, 45);
    assert_eq!(round_trip(&export_graph_def(&g).unwrap(), &ImportOptions::new()), Ok(Back::Same));
    let _ = nested(&g, 60);
    assert_eq!(export_graph_def(&g).unwrap_err().kind(), ErrorKind::ResourceExhausted);
}
