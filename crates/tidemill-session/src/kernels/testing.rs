//! Runs one kernel by itself, for unit tests.

use tidemill_core::ops::known_elements;
use tidemill_core::{
    AnyOp, DType, InferCx, KnownValues, NodeId, Op, PartialValue, Result, TensorType, Value,
};

use super::args::RawBuf;
use super::{Args, CompileCx, Compiled, KernelTable, NodeStates};

/// The outputs of `op`'s kernel on `inputs`. Steps that may work in place are run in every such way too, and must agree.
#[track_caller]
pub(super) fn eval(op: impl Op, inputs: &[Value]) -> Vec<Value> {
    try_eval(op, inputs).unwrap_or_else(|e| panic!("{e}"))
}

/// Compares output 0 of `op` with `want`, in every float dtype and on both sides of where vectors end.
#[track_caller]
pub(super) fn check_floats(op: impl Op, inputs: &[&[f64]], want: &[f64]) {
    let tolerances = [(DType::F64, 1e-14), (DType::F32, 5e-7), (DType::F16, 2e-3), (DType::BF16, 1.6e-2)];
    let inputs: Vec<Value> = inputs.iter().map(|x| Value::from(x.repeat(13))).collect();
    for (dtype, tolerance) in tolerances {
        let inputs: Vec<Value> = inputs.iter().map(|x| x.cast(dtype)).collect();
        let got = &eval(op.clone(), &inputs)[0];
        assert_eq!((got.dtype(), got.num_elements()), (dtype, 13 * want.len()));
        for (got, want) in got.iter_f64().zip(want.repeat(13)) {
            let close = (got - want).abs() <= tolerance * want.abs();
            assert!(
                close || got == want || got.is_nan() && want.is_nan(),
                "{dtype}: {got} instead of {want}"
            );
        }
    }
}

/// [`eval`] of what may fail.
#[track_caller]
pub(super) fn try_eval(op: impl Op, inputs: &[Value]) -> Result<Vec<Value>> {
    Node::new(op).run(inputs)
}

/// Runs a kernel that reads or writes variables: one for each `&` operand; `inputs` are the other operands.
#[track_caller]
pub(super) fn update(op: impl Op, variables: &mut [Option<Value>], inputs: &[Value]) -> Result<Vec<Value>> {
    Node::new(op).update(variables, inputs)
}

/// A node whose state (a random generator) outlives a run.
pub(super) struct Node<O> {
    op: O,
    states: NodeStates,
}

struct Known<'a>(&'a [Option<&'a Value>]);

impl KnownValues for Known<'_> {
    fn known(&self, i: usize) -> Option<PartialValue> {
        known_elements(self.0[i]?)
    }
}

impl<O: Op> Node<O> {
    pub(super) fn new(op: O) -> Node<O> {
        Node { op, states: NodeStates::default() }
    }

    #[track_caller]
    pub(super) fn run(&self, inputs: &[Value]) -> Result<Vec<Value>> {
        self.update(&mut [], inputs)
    }

    #[track_caller]
    pub(super) fn update(&self, variables: &mut [Option<Value>], inputs: &[Value]) -> Result<Vec<Value>> {
        let op: &dyn AnyOp = &self.op;
        let count = variables.len() + inputs.len();
        let is_ref: Vec<bool> = op.signature().spread(count)?.iter().map(|spec| spec.reference).collect();
        assert_eq!(
            is_ref.iter().filter(|r| **r).count(),
            variables.len(),
            "one variable for each `&` operand"
        );
        let (mut refs, mut rest) = (variables.iter(), inputs.iter());
        // The declared type of an uninitialised variable does not matter here.
        let operands: Vec<Option<&Value>> = is_ref
            .iter()
            .map(|r| if *r { refs.next().and_then(Option::as_ref) } else { rest.next() })
            .collect();
        let types: Vec<TensorType> = operands
            .iter()
            .zip(&is_ref)
            .map(|(value, is_ref)| {
                let value = value.expect("a variable of the test is not initialised");
                TensorType { is_ref: *is_ref, ..TensorType::new(value.dtype(), value.shape()) }
            })
            .collect();
        let outputs = op.checked_infer(&InferCx::new(&types, &Known(&operands)))?;
        let values = |i: usize| operands[i].cloned();
        let cx = CompileCx {
            node: NodeId(0),
            inputs: &types,
            outputs: &outputs,
            values: &values,
            states: &self.states,
            on_values: false,
        };
        let compiled = KernelTable::standard().compile(op, &cx)?;
        let mut results: Vec<Value> = outputs
            .iter()
            .map(|ty| match ty.shape.as_known() {
                Some(shape) if !ty.is_ref => {
                    Value::zeros(ty.dtype, shape).expect("an output that fits into memory")
                }
                _ => Value::scalar(0u8),
            })
            .collect();
        let mut buffers: Vec<RawBuf> = operands.iter().map(|v| v.map_or(RawBuf::EMPTY, read)).collect();
        is_ref.iter().zip(&mut buffers).filter(|(r, _)| **r).for_each(|(_, buffer)| *buffer = RawBuf::EMPTY);
        buffers.extend(results.iter_mut().map(write));
        let slots: Vec<u32> = (0..buffers.len() as u32).collect();
        match compiled {
            Compiled::Step(step) => {
                // SAFETY: every buffer belongs to a value that lives on, of the type that was inferred; outputs are apart.
                (step.run)(&mut unsafe { Args::new(&buffers, &slots, count) })?;
                for &operand in &step.in_place {
                    let mut shared = operands[operand].expect("an operand to work in place of").clone();
                    let mut buffers = buffers.clone();
                    buffers[operand] = write(&mut shared);
                    buffers[count] = RawBuf { dtype: outputs[0].dtype, ..buffers[operand] };
                    // SAFETY: as above, but that output 0 is the buffer of an operand, as the step allows.
                    (step.run)(&mut unsafe { Args::new(&buffers, &slots, count) })?;
                    let same = shared.bytes() == results[0].bytes();
                    assert!(same, "in place of operand {operand}: {shared} instead of {}", results[0]);
                }
                Ok(results)
            }
            Compiled::Alias(i) => {
                let shape = outputs[0].shape.as_known().expect("the shape of an alias");
                Ok(vec![operands[i].expect("an aliased value").reshape(shape)?])
            }
            Compiled::Aliases => Ok(operands.iter().map(|v| v.expect("an aliased value").clone()).collect()),
            Compiled::Nothing => Ok(vec![]),
            Compiled::Deferred => panic!("{} is deferred although all values are known", op.name()),
            Compiled::Values(f) => f(inputs.to_vec()),
            Compiled::Variable(f) => {
                drop(operands);
                let mut variables: Vec<&mut Option<Value>> = variables.iter_mut().collect();
                // SAFETY: as for steps; the variables' values are not among the buffers.
                f(&mut variables, &mut unsafe { Args::new(&buffers, &slots, count) })?;
                Ok(results)
            }
        }
    }
}

/// A buffer that is only read.
fn read(value: &Value) -> RawBuf {
    let bytes = value.bytes();
    RawBuf { ptr: bytes.as_ptr().cast_mut(), bytes: bytes.len(), dtype: value.dtype() }
}

fn write(value: &mut Value) -> RawBuf {
    let dtype = value.dtype();
    let bytes = value.bytes_mut();
    RawBuf { ptr: bytes.as_mut_ptr(), bytes: bytes.len(), dtype }
}
