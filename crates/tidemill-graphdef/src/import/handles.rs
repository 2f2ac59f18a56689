//! Stacks and tensor arrays as old files write them: their handles are strings, and some operands and attributes are missing.

use std::sync::Arc;

use smallvec::SmallVec;
use tidemill_core::{AttrValue, DType, Error, Result, Tensor, Value, ops};

use super::build::{Importer, NodeCx, Translate, core_attrs};
use super::value::{Made, Val};
use crate::proto::DataType;

/// The op that took the place of an old one.
fn newer(op: &str) -> Option<&'static str> {
    const NEWER: [(&str, &str); 14] = [
        ("Stack", "StackV2"),
        ("StackPush", "StackPushV2"),
        ("StackPop", "StackPopV2"),
        ("StackClose", "StackCloseV2"),
        ("TensorArrayV2", "TensorArrayV3"),
        ("TensorArrayGradV2", "TensorArrayGradV3"),
        ("TensorArrayWriteV2", "TensorArrayWriteV3"),
        ("TensorArrayReadV2", "TensorArrayReadV3"),
        ("TensorArrayGatherV2", "TensorArrayGatherV3"),
        ("TensorArrayScatterV2", "TensorArrayScatterV3"),
        ("TensorArrayConcatV2", "TensorArrayConcatV3"),
        ("TensorArraySplitV2", "TensorArraySplitV3"),
        ("TensorArraySizeV2", "TensorArraySizeV3"),
        ("TensorArrayCloseV2", "TensorArrayCloseV3"),
    ];
    NEWER.iter().find(|(old, _)| *old == op).map(|(_, new)| *new)
}

pub(super) fn translation(op: &str) -> Option<Translate> {
    newer(op).map(|_| old as Translate)
}

/// Whether a value may stand where a file says that a value of the dtype `want` is: an old handle is a string.
pub(super) fn stands_for(have: &Val, want: i32) -> bool {
    want == DataType::DtString as i32 && matches!(have, Val::Tensor(t) if t.dtype() == DType::Resource)
}

fn old(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let Some(name) = newer(&cx.def.op) else { return Err(Error::internal("no newer op is known")) };
    let mut attrs = core_attrs(&cx.attrs).0;
    if name == "TensorArrayV3" {
        attrs.insert("identical_element_shapes", AttrValue::Bool(false));
    }
    let mut inputs: SmallVec<[Tensor; 4]> =
        (0..cx.inputs.len()).map(|i| cx.tensor(i)).collect::<Result<_>>()?;
    if name == "StackV2" {
        let any = Arc::new(ops::Const { value: Value::scalar(-1i32) });
        inputs.push(importer.helper(cx, "max_size", any, &[])?.output(0));
    }
    let op = importer.ops.make(name, &attrs)?;
    Ok(importer.add(cx, op, &inputs)?.into())
}
