//! The tutorial's networks, exported to GraphDef: what TensorFlow lost when it trained them (`golden/check_export.py`) is lost here too, by the graph
//! imported again.
#![allow(missing_docs)]

use serde_json::Value as Json;
use tidemill as tf;
use tidemill_graphdef::{ImportOptions, export_graph_def, import_graph_def, read_graph_def, write_graph_def};
use tidemill_tests::golden::Case;
use tidemill_tests::tutorial::{MODELS, Model};

fn train_again(model: &Model) {
    let (graph, net) = model.build();
    let bytes = write_graph_def(&export_graph_def(&graph).unwrap()).unwrap();
    let g = tf::Graph::new();
    import_graph_def(&g, &read_graph_def(&bytes).unwrap(), &ImportOptions::new()).unwrap();
    let again = |t: tf::Tensor| g.tensor(&t.name()).unwrap();
    let (loss, train_step) = (again(net.total_loss), g.operation(&net.train_step.name()).unwrap());

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/export.json");
    let record: Json = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let want: Vec<f64> =
        record[model.name]["losses"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let case = Case::golden(model.case);
    let sess = tf::Session::new(&g);
    let mut got = vec![];
    for step in case.steps() {
        if step.kind() == "set_variables" {
            for (name, value) in step.values("values") {
                let assign = g.operation(&format!("{name}/Assign")).unwrap();
                let fed = g.handle(g.node(assign.id()).inputs[1]);
                sess.run(assign, tf::FeedDict::new().with(fed, value)).unwrap();
            }
        } else if step.names("fetches").first().is_some_and(|name| name.contains("CrossEntropy")) {
            let mut feeds = tf::FeedDict::new();
            for (name, value) in step.values("feeds") {
                let fed =
                    if name == "init_state:0" { again(net.init_state) } else { g.tensor(&name).unwrap() };
                feeds.insert(fed, value);
            }
            let (loss, ()) = sess.run((loss, train_step), feeds).unwrap();
            got.push(f64::from(loss.to_scalar::<f32>().unwrap()));
        }
    }
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        assert!((got - want).abs() <= 1e-5 * want.abs(), "{}, step {i}: {got}, not {want}", model.name);
    }
}

#[test]
fn exported_networks_train_as_they_did_in_tensorflow() {
    MODELS.iter().for_each(train_again);
}
