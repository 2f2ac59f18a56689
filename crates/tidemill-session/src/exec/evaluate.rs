//! Running one op on values: for folding, for steps whose shapes depend on data, and for tests of kernels.

use smallvec::{SmallVec, smallvec};
use tidemill_core::ops::known_elements;
use tidemill_core::{
    AnyOp, Error, InferCx, KnownValues, NodeId, PartialValue, Result, Shape, TensorType, Value,
};

use crate::kernels::args::{Args, RawBuf};
use crate::kernels::{CompileCx, Compiled, KernelTable, NodeStates};

/// The values of operands that are at hand.
struct AtHand<'a>(&'a [Value]);

impl KnownValues for AtHand<'_> {
    fn known(&self, i: usize) -> Option<PartialValue> {
        known_elements(&self.0[i])
    }
}

/// Runs a pure op on values; `declared` are its output types as far as they are known.
pub(crate) fn evaluate(
    kernels: &KernelTable,
    op: &dyn AnyOp,
    node: NodeId,
    inputs: &[Value],
    declared: &[TensorType],
) -> Result<SmallVec<[Value; 2]>> {
    let types: SmallVec<[TensorType; 4]> =
        inputs.iter().map(|v| TensorType::new(v.dtype(), v.shape())).collect();
    evaluate_in(kernels, &NodeStates::default(), op, node, inputs, &types, declared, &mut [])
}

/// Runs an op on values. `types` are theirs, with references marked; the op may write `variables`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn evaluate_in(
    kernels: &KernelTable,
    states: &NodeStates,
    op: &dyn AnyOp,
    node: NodeId,
    inputs: &[Value],
    types: &[TensorType],
    declared: &[TensorType],
    variables: &mut [&mut Option<Value>],
) -> Result<SmallVec<[Value; 2]>> {
    let inferred = op.checked_infer(&InferCx::new(types, &AtHand(inputs)))?;
    if inferred.len() != declared.len() {
        return Err(Error::internal(format!(
            "the op has {} outputs, not {}",
            inferred.len(),
            declared.len()
        )));
    }
    let values = |i: usize| inputs.get(i).cloned();
    let cx = CompileCx { node, inputs: types, outputs: &inferred, values: &values, states };
    let compiled = kernels.compile(op, &cx)?;
    let outputs = match compiled {
        Compiled::Nothing => SmallVec::new(),
        Compiled::Alias(i) => {
            let shape = known_shape(&inferred[0])?;
            smallvec![inputs[i].reshape(shape)?]
        }
        Compiled::Values(run) => SmallVec::from_vec(run(inputs)?),
        Compiled::Deferred => return Err(Error::internal("the kernel wants values that it has")),
        Compiled::Step(step) => with_args(inputs, &inferred, |args| (step.run)(args))?,
        Compiled::Variable(run) => with_args(inputs, &inferred, |args| run(variables, args))?,
    };
    for (i, (value, ty)) in outputs.iter().zip(&inferred).enumerate() {
        if !ty.is_ref && !crate::plan::fits(value, ty) {
            return Err(Error::internal(format!(
                "the kernel gives a {}{} for output {i}, which is {ty}",
                value.dtype(),
                value.shape()
            )));
        }
    }
    Ok(outputs)
}

fn known_shape(ty: &TensorType) -> Result<Shape> {
    ty.shape
        .as_known()
        .ok_or_else(|| Error::internal(format!("the shape of an output is still {}", ty.shape)))
}

/// Calls `run` with buffers for the inputs and fresh outputs, and returns the outputs (none for a reference).
fn with_args(
    inputs: &[Value],
    outputs: &[TensorType],
    run: impl FnOnce(&mut Args) -> Result<()>,
) -> Result<SmallVec<[Value; 2]>> {
    let mut made: SmallVec<[Value; 2]> = outputs
        .iter()
        .map(|ty| {
            let shape = if ty.is_ref { Shape::from([0]) } else { known_shape(ty)? };
            Ok(Value::zeros(ty.dtype, shape)?)
        })
        .collect::<Result<_>>()?;
    let mut table: SmallVec<[RawBuf; 6]> = inputs
        .iter()
        .map(|v| RawBuf { ptr: v.bytes().as_ptr().cast_mut(), bytes: v.num_bytes(), dtype: v.dtype() })
        .collect();
    for value in &mut made {
        let dtype = value.dtype();
        let bytes = value.bytes_mut();
        table.push(RawBuf { ptr: bytes.as_mut_ptr(), bytes: bytes.len(), dtype });
    }
    let slots: SmallVec<[u32; 6]> = (0..table.len() as u32).collect();
    // SAFETY: each buffer is the memory of a value of its dtype and length that outlives the call; the outputs are fresh, so they
    // overlap nothing.
    let mut args = unsafe { Args::new(&table, &slots, inputs.len()) };
    run(&mut args)?;
    Ok(made)
}
