//! Writes anew what is checked in and made by a program.
//!
//! | command | writes |
//! |---|---|
//! | `cargo run -p xtask -- protos` | the protobuf types of `tidemill-graphdef` |
//! | `cargo run -p xtask -- ops-doc` | `docs/ops.md` |
//!
//! The protobuf types come from a descriptor set that the Python package of TensorFlow 2.21 was asked for, so neither `protoc` nor `.proto` files are needed.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::path::Path;

use prost::Message;
use prost_types::FileDescriptorSet;

/// What is read and written; the types of all files that these import come along.
const ROOTS: [&str; 1] = ["tensorflow/core/protobuf/saved_model.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("protos") => protos(),
        Some("ops-doc") => {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ops.md");
            Ok(fs::write(file, tidemill_conformance::ops_document())?)
        }
        _ => Err("which? protos, or ops-doc".into()),
    }
}

fn protos() -> Result<(), Box<dyn Error>> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/tidemill-graphdef");
    let mut all = FileDescriptorSet::decode(&fs::read(home.join("data/tensorflow-protos.fds"))?[..])?;
    drop_object_graph(&mut all);
    let mut config = prost_build::Config::new();
    config.out_dir(home.join("src/proto"));
    // An attribute's value is 40 bytes with its large variants boxed, which makes decoding several times faster.
    for variant in ["tensor", "list", "func", "shape"] {
        config.boxed(format!(".tensorflow.AttrValue.value.{variant}"));
    }
    // Sorted, so that what is written depends on nothing but the graph.
    config.btree_map(["."]);
    // Nothing here reads one; what it holds is skipped.
    config.extern_path(".google.protobuf.Any", "()");
    config.compile_fds(closure(all)?)?;
    Ok(())
}

/// Takes out of `MetaGraphDef` how Python objects hang together, which would bring half as many types again.
fn drop_object_graph(all: &mut FileDescriptorSet) {
    for file in &mut all.file {
        file.dependency.retain(|name| !name.ends_with("saved_object_graph.proto"));
        for message in file.message_type.iter_mut().filter(|m| m.name() == "MetaGraphDef") {
            message.field.retain(|field| field.name() != "object_graph_def");
        }
    }
}

/// The files of `all` that [`ROOTS`] need, without their comments.
fn closure(all: FileDescriptorSet) -> Result<FileDescriptorSet, Box<dyn Error>> {
    let mut wanted: Vec<String> = ROOTS.map(str::to_owned).to_vec();
    let mut next = 0;
    while let Some(name) = wanted.get(next).cloned() {
        let file = all.file.iter().find(|f| f.name() == name).ok_or(format!("no descriptor of {name}"))?;
        for import in &file.dependency {
            if !wanted.contains(import) {
                wanted.push(import.clone());
            }
        }
        next += 1;
    }
    Ok(FileDescriptorSet {
        file: all.file.into_iter().filter(|f| wanted.iter().any(|w| w == f.name())).collect(),
    })
}
