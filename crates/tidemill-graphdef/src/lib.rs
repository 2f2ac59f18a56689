//! TensorFlow's GraphDef: graphs that TensorFlow wrote become graphs of Tidemill, and the other way round.
//!
//! ```
//! use tidemill_core::Graph;
//! use tidemill_graphdef::{ImportOptions, import_graph_def, proto};
//!
//! let mut def = proto::GraphDef::default();
//! let mut x = proto::NodeDef { name: "x".into(), op: "Placeholder".into(), ..Default::default() };
//! let float = proto::attr_value::Value::Type(proto::DataType::DtFloat as i32);
//! x.attr.insert("dtype".into(), proto::AttrValue { value: Some(float) });
//! def.node.push(x);
//!
//! let graph = Graph::new();
//! let imported = import_graph_def(&graph, &def, &ImportOptions::new())?;
//! assert_eq!(imported.tensor("x:0")?.ty().to_string(), "f32?");
//! # Ok::<(), tidemill_core::Error>(())
//! ```
//!
//! Nothing in a file makes this crate panic, loop or take memory without bound; every error names the node at fault.
#![forbid(unsafe_code)]

/// The version of GraphDef that is understood and written, which is TensorFlow 2.21's.
const VERSION: i32 = 2474;

mod attr;
mod dtype;
mod export;
mod import;
mod op_defs;
pub mod proto;
mod saved_model;
mod tensor;

pub use export::{export_graph_def, write_graph_def};
pub use import::{
    ImportOptions, Imported, UnsupportedOp, import_graph_def, read_graph_def, translated_ops, unsupported_ops,
};
pub use op_defs::find as tensorflow_op;
pub use saved_model::{ModelGraph, ModelSignature, ModelTensor, SavedModel};

/// The code in the guide, compiled as documentation tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../docs/graphdef.md")]
    struct GraphDef;
}
