//! Resource variables: a handle is the reference of one of the core's variables, and each op on handles is the core's op on references.
//!
//! | TensorFlow | core |
//! |---|---|
//! | `VarHandleOp` | `VariableV2` |
//! | `ReadVariableOp` | `Identity` of the reference |
//! | `AssignVariableOp`, `AssignAddVariableOp`, ... | `Assign`, `AssignAdd`, ... |
//! | `ResourceApplyAdam`, `ResourceScatterAdd`, ... | `ApplyAdam`, `ScatterAdd`, ... |
//! | `ResourceGather`, `ResourceGatherNd` | `GatherV2`, `GatherNd` of the reference |

use std::sync::Arc;

use smallvec::SmallVec;
use tidemill_core::{
    AttrValue, DType, Error, ErrorKind, OpRef, Operation, PartialShape, Result, Tensor, ops,
};

use super::build::{Importer, NodeCx, Translate, core_attrs};
use super::value::{Made, Val};
use crate::proto::attr_value::Value as ProtoValue;
use crate::{dtype, tensor};

pub(super) fn translation(op: &str) -> Option<Translate> {
    match op {
        "VarHandleOp" => Some(handle),
        "Variable" => Some(reference),
        "TemporaryVariable" => Some(temporary),
        "DestroyTemporaryVariable" => Some(destroy_temporary),
        "ReadVariableOp" => Some(read),
        "RefIdentity" => Some(same_reference),
        "AssignVariableOp" | "Assign" => Some(assign),
        "AssignAdd" | "AssignSub" | "AssignAddVariableOp" | "AssignSubVariableOp" => Some(assign_more),
        "IsVariableInitialized" => Some(is_initialized),
        "VarIsInitializedOp" => Some(is_initialized),
        "VariableShape" => Some(shape),
        "CountUpTo" | "ResourceCountUpTo" => Some(count_up_to),
        "ResourceGather" => Some(gather),
        "ResourceGatherNd" => Some(gather_nd),
        _ => update_of(op).map(|_| update as Translate),
    }
}

/// The op on references that does what an op on handles does.
fn update_of(op: &str) -> Option<&'static str> {
    const UPDATES: &[(&str, &str)] = &[
        ("ResourceApplyAdaMax", "ApplyAdaMax"),
        ("ResourceApplyAdadelta", "ApplyAdadelta"),
        ("ResourceApplyAdagrad", "ApplyAdagrad"),
        ("ResourceApplyAdagradDA", "ApplyAdagradDA"),
        ("ResourceApplyAdagradV2", "ApplyAdagradV2"),
        ("ResourceApplyAdam", "ApplyAdam"),
        ("ResourceApplyAddSign", "ApplyAddSign"),
        ("ResourceApplyCenteredRMSProp", "ApplyCenteredRMSProp"),
        ("ResourceApplyFtrl", "ApplyFtrl"),
        ("ResourceApplyFtrlV2", "ApplyFtrlV2"),
        ("ResourceApplyGradientDescent", "ApplyGradientDescent"),
        ("ResourceApplyMomentum", "ApplyMomentum"),
        ("ResourceApplyPowerSign", "ApplyPowerSign"),
        ("ResourceApplyProximalAdagrad", "ApplyProximalAdagrad"),
        ("ResourceApplyProximalGradientDescent", "ApplyProximalGradientDescent"),
        ("ResourceApplyRMSProp", "ApplyRMSProp"),
        ("ResourceSparseApplyAdadelta", "SparseApplyAdadelta"),
        ("ResourceSparseApplyAdagrad", "SparseApplyAdagrad"),
        ("ResourceSparseApplyAdagradDA", "SparseApplyAdagradDA"),
        ("ResourceSparseApplyAdagradV2", "SparseApplyAdagradV2"),
        ("ResourceSparseApplyCenteredRMSProp", "SparseApplyCenteredRMSProp"),
        ("ResourceSparseApplyFtrl", "SparseApplyFtrl"),
        ("ResourceSparseApplyFtrlV2", "SparseApplyFtrlV2"),
        ("ResourceSparseApplyMomentum", "SparseApplyMomentum"),
        ("ResourceSparseApplyProximalAdagrad", "SparseApplyProximalAdagrad"),
        ("ResourceSparseApplyProximalGradientDescent", "SparseApplyProximalGradientDescent"),
        ("ResourceSparseApplyRMSProp", "SparseApplyRMSProp"),
        ("ResourceScatterAdd", "ScatterAdd"),
        ("ResourceScatterSub", "ScatterSub"),
        ("ResourceScatterMul", "ScatterMul"),
        ("ResourceScatterDiv", "ScatterDiv"),
        ("ResourceScatterMax", "ScatterMax"),
        ("ResourceScatterMin", "ScatterMin"),
        ("ResourceScatterUpdate", "ScatterUpdate"),
        ("ResourceScatterNdAdd", "ScatterNdAdd"),
        ("ResourceScatterNdSub", "ScatterNdSub"),
        ("ResourceScatterNdMax", "ScatterNdMax"),
        ("ResourceScatterNdMin", "ScatterNdMin"),
        ("ResourceScatterNdUpdate", "ScatterNdUpdate"),
        ("ResourceStridedSliceAssign", "StridedSliceAssign"),
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

fn handle(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let operation = importer.add(cx, Arc::new(variable(cx)?), &[])?;
    Ok(Made {
        outputs: SmallVec::from_iter([Val::Variable(operation.output(0))]),
        operation: Some(operation),
    })
}

fn reference(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    Ok(importer.add(cx, Arc::new(variable(cx)?), &[])?.into())
}

/// A variable under a name of its own, which is free again once it is destroyed.
fn temporary(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let name = temporary_name(cx)?;
    if importer.temporaries.contains_key(&name) {
        let what = format!("there is a temporary variable \"{name}\" already");
        return Err(Error::new(ErrorKind::AlreadyExists, what));
    }
    let mut op = variable(cx)?;
    op.shared_name.clear();
    let made = importer.add(cx, Arc::new(op), &[])?;
    importer.temporaries.insert(name, made.output(0));
    Ok(made.into())
}

fn temporary_name(cx: &NodeCx) -> Result<String> {
    Ok(match cx.attrs.string("var_name")? {
        "" => cx.def.name.clone(),
        name => name.to_owned(),
    })
}

fn destroy_temporary(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let name = temporary_name(cx)?;
    if importer.temporaries.remove(&name).is_none() {
        return Err(Error::not_found(format!("there is no temporary variable \"{name}\"")));
    }
    read(importer, cx)
}

fn read(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    Ok(importer.add(cx, Arc::new(ops::Identity {}), &[cx.variable(0)?])?.into())
}

/// Outside of bodies what uses the reference waits for what the node waits for.
fn same_reference(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let variable = cx.variable(0)?;
    if !importer.regions.is_empty() || !variable.ty().is_ref {
        return Ok(Made::value(Val::Tensor(variable)));
    }
    Ok(importer.add(cx, Arc::new(ops::RefIdentity), &[variable])?.into())
}

fn count_up_to(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    if !importer.regions.is_empty() {
        return Err(Error::unimplemented("in the body of a loop or conditional"));
    }
    let op = ops::CountUpTo { limit: cx.attrs.int("limit")? };
    Ok(importer.add(cx, Arc::new(op), &[cx.variable(0)?])?.into())
}

fn assign(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let (variable, value) = (cx.variable(0)?, cx.tensor(1)?);
    if !importer.regions.is_empty() {
        let value = importer.add(cx, Arc::new(ops::Identity {}), &[value])?;
        return written(importer, cx, variable, value);
    }
    // Handles need not say whether the shape may change; the variable's own shape does.
    let fixed = variable.shape().is_fully_known();
    let validate_shape = match cx.attrs.bool("validate_shape") {
        Ok(validate) if is_reference(cx) => validate,
        Ok(validate) => validate || fixed,
        Err(_) => fixed,
    };
    let op = ops::Assign { validate_shape, use_locking: true };
    effect(importer, cx, Arc::new(op), &[variable, value])
}

fn assign_more(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let (variable, delta) = (cx.variable(0)?, cx.tensor(1)?);
    let adds = cx.def.op.starts_with("AssignAdd");
    let op: OpRef = match (importer.regions.is_empty(), adds) {
        (true, true) => Arc::new(ops::AssignAdd { use_locking: true }),
        (true, false) => Arc::new(ops::AssignSub { use_locking: true }),
        (false, true) => Arc::new(ops::AddV2),
        (false, false) => Arc::new(ops::Sub),
    };
    if importer.regions.is_empty() {
        return effect(importer, cx, op, &[variable, delta]);
    }
    let value = importer.add(cx, op, &[variable, delta])?;
    written(importer, cx, variable, value)
}

/// In a body a variable is written by giving it another value.
fn written(importer: &mut Importer, cx: &NodeCx, variable: Tensor, value: Operation) -> Result<Made> {
    importer.write(variable, value.output(0))?;
    let outputs =
        if is_reference(cx) { SmallVec::from_iter([Val::Tensor(variable)]) } else { SmallVec::new() };
    Ok(Made { outputs, operation: Some(value) })
}

/// Whether the node's variable is a reference, not a handle; then its result is that reference.
fn is_reference(cx: &NodeCx) -> bool {
    matches!(cx.inputs.first(), Some(Val::Tensor(_)))
}

fn is_initialized(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let variable = cx.variable(0)?;
    let op = ops::IsVariableInitialized;
    if importer.regions.is_empty() {
        return Ok(importer.add(cx, Arc::new(op), &[variable])?.into());
    }
    let graph = importer.graph;
    let answer = graph.outside_of_bodies(|| {
        let builder = graph.op(op).name(format!("{}/is_initialized", cx.name.text())).input(variable);
        importer.outer_controls.iter().fold(builder, |b, control| b.control(*control)).try_build()
    })?;
    Ok(importer.add(cx, Arc::new(ops::Identity {}), &[answer.output(0)])?.into())
}

fn shape(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let op = ops::Shape { out_type: dtype::from_proto(cx.attrs.dtype("out_type")?)? };
    Ok(importer.add(cx, Arc::new(op), &[cx.variable(0)?])?.into())
}

/// The axis is the number of batch dimensions.
fn gather(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let batch_dims = cx.attrs.int("batch_dims")?;
    let axis = importer.helper(cx, "axis", Arc::new(ops::Const { value: batch_dims.into() }), &[])?;
    let mut attrs = core_attrs(&cx.attrs).0;
    attrs.insert("batch_dims", AttrValue::Int(batch_dims));
    attrs.insert("Taxis", AttrValue::Type(DType::I64));
    let op = importer.ops.make("GatherV2", &attrs)?;
    Ok(importer.add(cx, op, &[cx.variable(0)?, cx.tensor(1)?, axis.output(0)])?.into())
}

fn gather_nd(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    Ok(importer.add(cx, Arc::new(ops::GatherNd), &[cx.variable(0)?, cx.tensor(1)?])?.into())
}

fn update(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let Some(name) = update_of(&cx.def.op) else {
        return Err(Error::internal("no update is known"));
    };
    if !importer.regions.is_empty() {
        return Err(Error::unimplemented("in the body of a loop or conditional"));
    }
    let mut attrs = core_attrs(&cx.attrs).0;
    if cx.attrs.get("use_locking").is_none() {
        attrs.insert("use_locking", AttrValue::Bool(true));
    }
    let op = importer.ops.make(name, &attrs)?;
    let inputs: SmallVec<[Tensor; 4]> = (0..cx.inputs.len()).map(|i| cx.either(i)).collect::<Result<_>>()?;
    effect(importer, cx, op, &inputs)
}

/// An operation on a variable. On a handle it has no result.
fn effect(importer: &mut Importer, cx: &NodeCx, op: OpRef, inputs: &[Tensor]) -> Result<Made> {
    let operation = importer.add(cx, op, inputs)?;
    Ok(match is_reference(cx) {
        true => operation.into(),
        false => Made { outputs: SmallVec::new(), operation: Some(operation) },
    })
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
