//! Graph files of all forms.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use tidemill_core::{Error, Graph, OpSet, Operation, Result, Tensor};
use tidemill_graphdef::{
    ImportOptions, Imported, ModelGraph, SavedModel, import_graph_def, proto, read_graph_def,
};

use crate::of_file;

/// Which graph is meant.
#[derive(Args)]
pub(crate) struct Source {
    /// The graph: a GraphDef, the directory of a SavedModel, or a text form (*.txt).
    graph: PathBuf,
    /// The tags of the graph in a SavedModel; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

/// A graph as its file holds it.
pub(crate) enum Model {
    Def(Box<proto::GraphDef>),
    Saved(Box<ModelGraph>),
    Text(Graph),
}

impl Source {
    pub(crate) fn path(&self) -> &Path {
        &self.graph
    }

    /// Reads the file.
    pub(crate) fn read(&self) -> Result<Model> {
        let path = &self.graph;
        if path.is_dir() {
            let model = SavedModel::load(path)?;
            let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
            let graph = match (&tags[..], model.graphs()) {
                ([], [only]) => only,
                ([], _) => model.graph(&["serve"])?,
                _ => model.graph(&tags)?,
            };
            return Ok(Model::Saved(Box::new(graph.clone())));
        }
        if !self.tags.is_empty() {
            return Err(of_file(path, "only the graphs of a SavedModel, which is a directory, have tags"));
        }
        let bytes = fs::read(path).map_err(|e| of_file(path, e))?;
        if path.extension().is_some_and(|e| e == "txt") {
            let text = String::from_utf8(bytes).map_err(|e| of_file(path, e))?;
            let graph = Graph::from_text(&text, &OpSet::standard());
            return graph.map(Model::Text).map_err(|e| about(path, e));
        }
        read_graph_def(&bytes).map(|def| Model::Def(Box::new(def))).map_err(|e| about(path, e))
    }
}

fn about(path: &Path, error: Error) -> Error {
    Error::new(error.kind(), format!("{}: {}", path.display(), error.message()))
}

/// A graph, and how its tensors are found.
pub(crate) struct Loaded {
    pub(crate) graph: Graph,
    imported: Option<Imported>,
}

impl Model {
    pub(crate) fn def(&self) -> Option<&proto::GraphDef> {
        match self {
            Model::Def(def) => Some(def),
            Model::Saved(saved) => Some(&saved.graph_def),
            Model::Text(_) => None,
        }
    }

    /// The graph, as far as `wanted` needs it; all of it when that is empty.
    pub(crate) fn load(&self, path: &Path, wanted: &[String]) -> Result<Loaded> {
        let Some(def) = self.def() else {
            let Model::Text(graph) = self else { return Err(Error::internal("there is no graph")) };
            return Ok(Loaded { graph: graph.clone(), imported: None });
        };
        let mut options = ImportOptions::new().file(path.display().to_string());
        if !wanted.is_empty() {
            options = options.only(wanted);
        }
        let graph = Graph::new();
        let imported = Some(import_graph_def(&graph, def, &options)?);
        Ok(Loaded { graph, imported })
    }
}

impl Loaded {
    pub(crate) fn tensor(&self, name: &str) -> Result<Tensor> {
        match &self.imported {
            Some(imported) => imported.tensor(name),
            None => self.graph.tensor(name),
        }
    }

    pub(crate) fn operation(&self, name: &str) -> Result<Operation> {
        match &self.imported {
            Some(imported) => imported.operation(name),
            None => self.graph.operation(name),
        }
    }
}

/// Writes to standard output; that nobody reads on is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::invalid(format!("standard output: {e}")))
        }
        _ => Ok(()),
    }
}
