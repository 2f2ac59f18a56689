//! Running one op on values: for folding, for steps whose shapes depend on data, and for tests of kernels.

use smallvec::{SmallVec, smallvec};
use tidemill_core::ops::known_elements;
use tidemill_core::{
    AnyOp, DType, Error, ErrorKind, InferCx, KnownValues, NodeId, PartialValue, Result, Shape, TensorType,
    Value,
};

use crate::kernels::args::{Args, RawBuf};
use crate::kernels::{CompileCx, Compiled, KernelTable, NodeStates, held_bytes};

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
    let bench = Bench { kernels, states: &NodeStates::default(), memory_limit: usize::MAX };
    bench.run(op, node, inputs.to_vec(), &types, declared, &mut [])
}

/// What ops run with.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub(super) kernels: &'a KernelTable,
    pub(super) states: &'a NodeStates,
    /// How many bytes the results of an op may have, and what is behind handles that it is given.
    pub(super) memory_limit: usize,
}

impl Bench<'_> {
    /// Runs an op on values, which it may take over. `types` are theirs, with references marked; the op may write `variables`.
    pub(super) fn run(
        self,
        op: &dyn AnyOp,
        node: NodeId,
        inputs: Vec<Value>,
        types: &[TensorType],
        declared: &[TensorType],
        variables: &mut [&mut Option<Value>],
    ) -> Result<SmallVec<[Value; 2]>> {
        let held: SmallVec<[Value; 1]> =
            inputs.iter().filter(|v| v.dtype() == DType::Resource).cloned().collect();
        let inferred = op.checked_infer(&InferCx::new(types, &AtHand(&inputs)))?;
        if inferred.len() != declared.len() {
            return Err(Error::internal(format!(
                "the op has {} outputs, not {}",
                inferred.len(),
                declared.len()
            )));
        }
        let bytes =
            |ty: &TensorType| ty.shape.as_known().map_or(0, |s| s.num_bytes(ty.dtype).unwrap_or(usize::MAX));
        check_memory(inferred.iter().filter(|ty| !ty.is_ref).map(bytes), self.memory_limit)?;
        let values = |i: usize| inputs.get(i).cloned();
        let cx = CompileCx {
            node,
            inputs: types,
            outputs: &inferred,
            values: &values,
            states: self.states,
            on_values: true,
        };
        let compiled = self.kernels.compile(op, &cx)?;
        let outputs = match compiled {
            Compiled::Nothing => SmallVec::new(),
            Compiled::Alias(i) => {
                let shape = known_shape(&inferred[0])?;
                smallvec![inputs[i].reshape(shape)?]
            }
            Compiled::Aliases => SmallVec::from_vec(inputs),
            Compiled::Values(run) => SmallVec::from_vec(run(inputs)?),
            Compiled::Deferred => return Err(Error::internal("the kernel wants values that it has")),
            Compiled::Step(step) => with_args(&inputs, &inferred, |args| (step.run)(args))?,
            Compiled::Variable(run) => with_args(&inputs, &inferred, |args| run(variables, args))?,
        };
        check_memory(outputs.iter().chain(&held).map(held_bytes), self.memory_limit)?;
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
}

/// # Errors
/// `ResourceExhausted` when there are more bytes than may be.
pub(super) fn check_memory(bytes: impl Iterator<Item = usize>, limit: usize) -> Result<()> {
    match bytes.fold(0, usize::saturating_add) {
        bytes if bytes > limit => Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("{bytes} bytes are needed, but a run of this session may have {limit}"),
        )
        .with_help("raise it: Session::builder(&graph).memory_limit(bytes)")),
        _ => Ok(()),
    }
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
