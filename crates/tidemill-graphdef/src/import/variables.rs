//! Resource variables: a handle is the reference of one of the core's variables, and each op on handles is the core's op on references.
//!
//! | TensorFlow | core |
//! |---|---|
//! | `VarHandleOp` | `VariableV2` |
//! | `ReadVariableOp` | `Identity` of the reference |
//! | `AssignVariableOp`, `AssignAddVariableOp`, ... | `Assign`, `AssignAdd`, ... |
//! | `ResourceApplyAdam`, `ResourceScatterAdd`, ... | `ApplyAdam`, `ScatterAdd`, ... |
//! | `ResourceGather` | `GatherV2` of the reference |

use std::sync::Arc;

use smallvec::SmallVec;
use tidemill_core::{AttrValue, DType, Error, OpRef, PartialShape, Result, Tensor, ops};

use super::build::{Importer, NodeCx, Translate, core_attrs};
use super::value::{Made, Val};
use crate::proto::attr_value::Value as ProtoValue;
use crate::{dtype, tensor};

pub(super) fn translation(op: &str) -> Option<Translate> {
    match op {
        "VarHandleOp" => Some(handle),
        "Variable" | "TemporaryVariable" => Some(reference),
        "DestroyTemporaryVariable" | "ReadVariableOp" | "RefIdentity" => Some(read),
        "AssignVariableOp" => Some(assign),
        "VarIsInitializedOp" => Some(is_initialized),
        "VariableShape" => Some(shape),
        "ResourceGather" => Some(gather),
        _ => update_of(op).map(|_| update as Translate),
    }
}

/// The op on references that does what an op on handles does.
fn update_of(op: &str) -> Option<&'static str> {
    const UPDATES: [(&str, &str); 24] = [
        ("AssignAddVariableOp", "AssignAdd"),
        ("AssignSubVariableOp", "AssignSub"),
        ("ResourceApplyAdadelta", "ApplyAdadelta"),
        ("ResourceApplyAdagrad", "ApplyAdagrad"),
        ("ResourceApplyAdagradDA", "ApplyAdagradDA"),
        ("ResourceApplyAdam", "ApplyAdam"),
        ("ResourceApplyCenteredRMSProp", "ApplyCenteredRMSProp"),
        ("ResourceApplyFtrl", "ApplyFtrl"),
        ("ResourceApplyFtrlV2", "ApplyFtrlV2"),
        ("ResourceApplyGradientDescent", "ApplyGradientDescent"),
        ("ResourceApplyMomentum", "ApplyMomentum"),
        ("ResourceApplyProximalAdagrad", "ApplyProximalAdagrad"),
        ("ResourceApplyProximalGradientDescent", "ApplyProximalGradientDescent"),
        ("ResourceApplyRMSProp", "ApplyRMSProp"),
        ("ResourceSparseApplyAdagrad", "SparseApplyAdagrad"),
        ("ResourceSparseApplyFtrl", "SparseApplyFtrl"),
        ("ResourceSparseApplyMomentum", "SparseApplyMomentum"),
        ("ResourceScatterAdd", "ScatterAdd"),
        ("ResourceScatterSub", "ScatterSub"),
        ("ResourceScatterMul", "ScatterMul"),
        ("ResourceScatterDiv", "ScatterDiv"),
        ("ResourceScatterMax", "ScatterMax"),
        ("ResourceScatterMin", "ScatterMin"),
        ("ResourceScatterUpdate", "ScatterUpdate"),
    ];
    UPDATES.iter().find(|(resource, _)| *resource == op).map(|(_, reference)| *reference)
}

fn variable(cx: &NodeCx) -> Result<ops::VariableV2> {
    let shape = match cx.attrs.get("shape") {
        Some(ProtoValue::Shape(shape)) => tensor::shape_from_proto(shape)?,
        _ => PartialShape::unknown(),
    };
    let text = |name: &str| cx.attrs.string(name).unwrap_or_default().to_owned();
    Ok(ops::VariableV2 {
        shape,
        dtype: dtype::from_proto(cx.attrs.dtype("dtype")?)?,
        container: text("container"),
        shared_name: text("shared_name"),
    })
}

fn handle(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    let operation = importer.add(cx, Arc::new(variable(cx)?), &[])?;
    Ok(Made {
        outputs: SmallVec::from_iter([Val::Variable(operation.output(0))]),
        operation: Some(operation),
    })
}

fn reference(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    Ok(importer.add(cx, Arc::new(variable(cx)?), &[])?.into())
}

fn read(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    Ok(importer.add(cx, Arc::new(ops::Identity {}), &[cx.variable(0)?])?.into())
}

fn assign(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    let op = ops::Assign { validate_shape: true, use_locking: true };
    effect(importer, cx, Arc::new(op), &[cx.variable(0)?, cx.tensor(1)?])
}

fn is_initialized(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    Ok(importer.add(cx, Arc::new(ops::IsVariableInitialized), &[cx.variable(0)?])?.into())
}

fn shape(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    let op = ops::Shape { out_type: dtype::from_proto(cx.attrs.dtype("out_type")?)? };
    Ok(importer.add(cx, Arc::new(op), &[cx.variable(0)?])?.into())
}

/// The axis is the number of batch dimensions.
fn gather(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    let batch_dims = cx.attrs.int("batch_dims")?;
    let axis = importer.helper(cx, "axis", Arc::new(ops::Const { value: batch_dims.into() }), &[])?;
    let mut attrs = core_attrs(&cx.attrs).0;
    attrs.insert("batch_dims", AttrValue::Int(batch_dims));
    attrs.insert("Taxis", AttrValue::Type(DType::I64));
    let op = importer.ops.make("GatherV2", &attrs)?;
    Ok(importer.add(cx, op, &[cx.variable(0)?, cx.tensor(1)?, axis.output(0)])?.into())
}

fn update(importer: &Importer, cx: &NodeCx) -> Result<Made> {
    let Some(name) = update_of(&cx.def.op) else {
        return Err(Error::internal("no update is known"));
    };
    let mut attrs = core_attrs(&cx.attrs).0;
    if cx.attrs.get("use_locking").is_none() {
        attrs.insert("use_locking", AttrValue::Bool(true));
    }
    let op = importer.ops.make(name, &attrs)?;
    let inputs: SmallVec<[Tensor; 4]> = (0..cx.inputs.len()).map(|i| cx.either(i)).collect::<Result<_>>()?;
    effect(importer, cx, op, &inputs)
}

/// An operation whose results nobody sees.
fn effect(importer: &Importer, cx: &NodeCx, op: OpRef, inputs: &[Tensor]) -> Result<Made> {
    let operation = importer.add(cx, op, inputs)?;
    Ok(Made { outputs: SmallVec::new(), operation: Some(operation) })
}

impl NodeCx<'_> {
    /// Input `i`, which must be a variable: a handle, or a reference.
    fn variable(&self, i: usize) -> Result<Tensor> {
        match self.inputs.get(i) {
            Some(Val::Variable(t) | Val::Tensor(t)) => Ok(*t),
            Some(other) => Err(Error::invalid(format!("input {i} is {}, not a variable", other.describe()))),
            None => Err(Error::invalid(format!("there is no input {i}"))),
        }
    }

    /// Input `i`, a tensor or a variable.
    fn either(&self, i: usize) -> Result<Tensor> {
        match self.inputs.get(i) {
            Some(Val::Variable(t)) => Ok(*t),
            _ => self.tensor(i),
        }
    }
}
