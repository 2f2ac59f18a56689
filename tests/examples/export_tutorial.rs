//! Writes the tutorial's three graphs as GraphDefs, for `golden/check_export.py`: `cargo run -p tidemill-tests --example export_tutorial -- DIR`.

use std::error::Error;
use std::path::PathBuf;

use tidemill_graphdef::{export_graph_def, write_graph_def};
use tidemill_tests::tutorial;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("which directory?")?);
    for model in tutorial::MODELS {
        let (graph, net) = model.build();
        let bytes = write_graph_def(&export_graph_def(&graph)?)?;
        std::fs::write(dir.join(format!("{}.pb", model.name)), bytes)?;
        let names = serde_json::json!({
            "init_state": net.init_state.name(),
            "total_loss": net.total_loss.name(),
            "train_step": net.train_step.name(),
        });
        std::fs::write(dir.join(format!("{}.json", model.name)), names.to_string())?;
    }
    Ok(())
}
