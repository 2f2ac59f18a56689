//! Any bytes as the tensor of a constant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidemill_core::Graph;
use tidemill_graphdef::proto::attr_value::Value;
use tidemill_graphdef::{ImportOptions, import_graph_def, proto, read_graph_def};

fuzz_target!(|bytes: &[u8]| {
    // GraphDef { node: NodeDef { attr: { "value": AttrValue { tensor } } } }, with the bytes as the tensor.
    let field = |tag: u8, content: &[u8]| {
        let (mut out, mut length) = (vec![tag], content.len());
        while length > 127 {
            out.push(length as u8 | 128);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(content);
        out
    };
    let attr = [field(0x0a, b"value"), field(0x12, &field(0x42, bytes))].concat();
    let node = [field(0x0a, b"c"), field(0x12, b"Const"), field(0x2a, &attr)].concat();
    let Ok(mut def) = read_graph_def(&field(0x0a, &node)) else { return };
    let Some(node) = def.node.first_mut() else { return };
    let dtype = match node.attr.get("value").and_then(|v| v.value.as_ref()) {
        Some(Value::Tensor(tensor)) => tensor.dtype,
        _ => return,
    };
    node.attr.insert("dtype".into(), proto::AttrValue { value: Some(Value::Type(dtype)) });
    let _ = import_graph_def(&Graph::new(), &def, &ImportOptions::new());
});
