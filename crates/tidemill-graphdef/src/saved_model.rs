//! TensorFlow's SavedModel: a directory with graphs, and the names by which programs call them.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use tidemill_core::{Error, ErrorKind, PartialShape, Result};

use crate::proto::tensor_info::Encoding;
use crate::proto::{GraphDef, MetaGraphDef, TensorInfo};
use crate::tensor;

/// The file in the directory that is read; no other is.
const FILE: &str = "saved_model.pb";

/// A SavedModel. Values of variables are in other files, which are not read.
#[derive(Clone, Debug)]
pub struct SavedModel {
    graphs: Vec<ModelGraph>,
}

/// One graph of a [`SavedModel`].
#[derive(Clone, Debug)]
pub struct ModelGraph {
    /// What it is for: `serve`, `train`, `gpu`.
    pub tags: Vec<String>,
    /// The graph.
    pub graph_def: GraphDef,
    /// What can be computed with it, by name: `serving_default`.
    pub signatures: BTreeMap<String, ModelSignature>,
}

/// What a graph takes and gives for one purpose.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSignature {
    /// The kind of purpose, such as `tensorflow/serving/predict`.
    pub method_name: String,
    /// What is fed, by the names that callers use.
    pub inputs: BTreeMap<String, ModelTensor>,
    /// What is fetched, by the names that callers use.
    pub outputs: BTreeMap<String, ModelTensor>,
}

/// A tensor of a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelTensor {
    /// Its name in the graph: `node:output`.
    pub name: String,
    /// What is known of its shape.
    pub shape: PartialShape,
}

impl SavedModel {
    /// Reads the model in a directory.
    ///
    /// ```no_run
    /// use tidemill_core::Graph;
    /// use tidemill_graphdef::{ImportOptions, SavedModel, import_graph_def};
    /// let model = SavedModel::load("model/1")?;
    /// let serve = model.graph(&["serve"])?;
    /// let graph = Graph::new();
    /// let imported = import_graph_def(&graph, &serve.graph_def, &ImportOptions::new())?;
    /// let signature = serve.signature("serving_default")?;
    /// for (name, tensor) in &signature.outputs {
    ///     println!("{name} is {:?}", imported.tensor(&tensor.name)?);
    /// }
    /// # Ok::<(), tidemill_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotFound` when the directory holds no `saved_model.pb`; as [`from_bytes`](SavedModel::from_bytes).
    pub fn load(dir: impl AsRef<Path>) -> Result<SavedModel> {
        let file = dir.as_ref().join(FILE);
        let bytes = std::fs::read(&file).map_err(|e| Error::not_found(format!("{}: {e}", file.display())))?;
        Self::from_bytes(&bytes)
            .map_err(|e| Error::new(e.kind(), format!("{}: {}", file.display(), e.message())))
    }

    /// The model that the bytes of a `saved_model.pb` hold.
    ///
    /// # Errors
    /// `DataLoss` when they are not a SavedModel; `InvalidArgument` when a graph or a name is missing; `Unimplemented` for signatures of
    /// sparse and composite tensors.
    pub fn from_bytes(bytes: &[u8]) -> Result<SavedModel> {
        let model = crate::proto::SavedModel::decode(bytes)
            .map_err(|e| Error::new(ErrorKind::DataLoss, format!("the bytes are not a SavedModel: {e}")))?;
        let graphs = model.meta_graphs.into_iter().map(ModelGraph::new).collect::<Result<Vec<_>>>()?;
        match graphs.is_empty() {
            true => Err(Error::invalid("the SavedModel holds no graph")),
            false => Ok(SavedModel { graphs }),
        }
    }

    /// All graphs.
    pub fn graphs(&self) -> &[ModelGraph] {
        &self.graphs
    }

    /// The graph that has exactly these tags.
    ///
    /// # Errors
    /// `NotFound`, with the tags that there are.
    pub fn graph(&self, tags: &[&str]) -> Result<&ModelGraph> {
        let same = |graph: &&ModelGraph| {
            graph.tags.len() == tags.len() && tags.iter().all(|tag| graph.tags.iter().any(|t| t == tag))
        };
        self.graphs.iter().find(same).ok_or_else(|| {
            let all: Vec<String> = self.graphs.iter().map(|g| format!("{:?}", g.tags)).collect();
            Error::not_found(format!(
                "no graph of the model has the tags {tags:?}; there are {}",
                all.join(", ")
            ))
        })
    }
}

impl ModelGraph {
    fn new(meta: MetaGraphDef) -> Result<ModelGraph> {
        let tags = meta.meta_info_def.map(|info| info.tags).unwrap_or_default();
        let Some(graph_def) = meta.graph_def else {
            return Err(Error::invalid(format!("the graph with the tags {tags:?} is not there")));
        };
        let tensors = |all: BTreeMap<String, TensorInfo>| -> Result<BTreeMap<String, ModelTensor>> {
            let one = |(name, info)| {
                let tensor = ModelTensor::new(info).map_err(|e: Error| {
                    Error::new(e.kind(), format!("\"{name}\" of a signature: {}", e.message()))
                })?;
                Ok((name, tensor))
            };
            all.into_iter().map(one).collect()
        };
        let mut signatures = BTreeMap::new();
        for (name, def) in meta.signature_def {
            let (inputs, outputs) = (tensors(def.inputs)?, tensors(def.outputs)?);
            signatures.insert(name, ModelSignature { method_name: def.method_name, inputs, outputs });
        }
        Ok(ModelGraph { tags, graph_def, signatures })
    }

    /// The signature of this name.
    ///
    /// # Errors
    /// `NotFound`, with the names that there are.
    pub fn signature(&self, name: &str) -> Result<&ModelSignature> {
        self.signatures.get(name).ok_or_else(|| {
            let all: Vec<&str> = self.signatures.keys().map(String::as_str).collect();
            Error::not_found(format!("there is no signature \"{name}\"; there are {}", all.join(", ")))
        })
    }
}

impl ModelTensor {
    fn new(info: TensorInfo) -> Result<ModelTensor> {
        let name = match info.encoding {
            Some(Encoding::Name(name)) => name,
            Some(_) => return Err(Error::unimplemented("a sparse or composite tensor")),
            None => return Err(Error::invalid("it has no name")),
        };
        let shape = match &info.tensor_shape {
            Some(shape) => tensor::shape_from_proto(shape)?,
            None => PartialShape::unknown(),
        };
        Ok(ModelTensor { name, shape })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::meta_graph_def::MetaInfoDef;
    use crate::proto::{self, SignatureDef};

    fn model() -> proto::SavedModel {
        let named = |name: &str| TensorInfo {
            encoding: Some(Encoding::Name(name.to_owned())),
            ..TensorInfo::default()
        };
        let signature = SignatureDef {
            inputs: [("x".to_owned(), named("input:0"))].into(),
            outputs: [("y".to_owned(), named("output:1"))].into(),
            method_name: "predict".to_owned(),
            ..SignatureDef::default()
        };
        let meta = MetaGraphDef {
            meta_info_def: Some(MetaInfoDef { tags: vec!["serve".to_owned()], ..MetaInfoDef::default() }),
            graph_def: Some(GraphDef::default()),
            signature_def: [("serving_default".to_owned(), signature)].into(),
            ..MetaGraphDef::default()
        };
        proto::SavedModel { saved_model_schema_version: 1, meta_graphs: vec![meta] }
    }

    #[test]
    fn signatures_are_found_by_name() {
        let model = SavedModel::from_bytes(&model().encode_to_vec()).unwrap();
        let signature = model.graph(&["serve"]).unwrap().signature("serving_default").unwrap();
        assert_eq!(signature.inputs["x"].name, "input:0");
        assert_eq!(signature.outputs["y"].name, "output:1");
        let error = model.graph(&["train"]).unwrap_err().to_string();
        assert!(error.contains(r#"["serve"]"#), "{error}");
        let error = model.graphs()[0].signature("other").unwrap_err().to_string();
        assert!(error.contains("serving_default"), "{error}");
    }

    #[test]
    fn what_is_no_model_is_refused() {
        assert_eq!(SavedModel::from_bytes(&[0xff; 9]).unwrap_err().kind(), ErrorKind::DataLoss);
        assert_eq!(SavedModel::from_bytes(&[]).unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(SavedModel::load("no/such/directory").unwrap_err().kind(), ErrorKind::NotFound);
    }
}
