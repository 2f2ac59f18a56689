//! `tidemill convert`.

use std::fs;
use std::path::PathBuf;

use tidemill_core::Result;
use tidemill_graphdef::{export_graph_def, write_graph_def};

use crate::model::Source;
use crate::of_file;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Where to write it.
    out: PathBuf,
}

pub(crate) fn convert(args: &Args) -> Result<()> {
    let graph = args.source.read()?.load(args.source.path(), &[])?.graph;
    let bytes = match args.out.extension().and_then(|e| e.to_str()) {
        Some("txt") => graph.to_text().into_bytes(),
        Some("dot") => graph.to_dot().into_bytes(),
        _ => write_graph_def(&export_graph_def(&graph)?)?,
    };
    fs::write(&args.out, bytes).map_err(|e| of_file(&args.out, e))
}
