//! The shape rule, on all that can be known of the operands and on less.

use tidemill_core::ops::known_elements;
use tidemill_core::{InferCx, KnownValues, PartialShape, PartialValue, TensorType, Value};

use super::Bench;

/// What is known of the operands.
#[derive(Clone)]
struct Knowledge {
    types: Vec<TensorType>,
    values: Vec<Option<PartialValue>>,
}

impl KnownValues for Knowledge {
    fn known(&self, i: usize) -> Option<PartialValue> {
        self.values[i].clone()
    }
}

impl Knowledge {
    fn full(bench: &Bench) -> Knowledge {
        let known =
            |(v, input): (&Value, &crate::Input)| if input.variable { None } else { known_elements(v) };
        let values = bench.values.iter().zip(&bench.row.inputs).map(known).collect();
        Knowledge { types: bench.types(&bench.values), values }
    }

    /// The same with less known of the shape of operand `i`, and so nothing of its elements.
    fn with_shape(&self, i: usize, shape: PartialShape) -> Knowledge {
        let mut less = self.with_value(i, None);
        less.types[i].shape = shape;
        less
    }

    fn with_value(&self, i: usize, value: Option<PartialValue>) -> Knowledge {
        let mut less = self.clone();
        less.values[i] = value;
        less
    }

    /// Everything less that is worth asking about.
    fn less(&self) -> Vec<Knowledge> {
        let mut all = vec![];
        let (mut floats, mut ranks, mut nothing) = (self.clone(), self.clone(), self.clone());
        for (i, ty) in self.types.iter().enumerate() {
            let dims = ty.shape.dims().unwrap_or_default();
            for axis in 0..dims.len() {
                let mut dims = dims.to_vec();
                dims[axis] = None;
                all.push(self.with_shape(i, dims.into()));
            }
            let rank = PartialShape::with_rank(dims.len());
            all.push(self.with_shape(i, rank.clone()));
            all.push(self.with_shape(i, PartialShape::unknown()));
            if ty.dtype.is_inexact() {
                floats = floats.with_shape(i, PartialShape::unknown());
            }
            ranks = ranks.with_shape(i, rank);
            nothing = nothing.with_shape(i, PartialShape::unknown());
            let Some(value) = &self.values[i] else { continue };
            all.push(self.with_value(i, None));
            for element in 0..value.len() {
                let mut value = value.clone();
                value[element] = None;
                all.push(self.with_value(i, Some(value)));
            }
        }
        let values = Knowledge { values: vec![None; self.values.len()], ..self.clone() };
        all.extend([floats, ranks, nothing, values]);
        all
    }
}

pub(super) fn check(bench: &Bench) -> Result<(), String> {
    let Some(op) = bench.row.op() else { return Ok(()) };
    let outcome = bench.reference()?;
    let infer = |known: &Knowledge| {
        let shown = || {
            let operand = |(ty, value): (&TensorType, &Option<PartialValue>)| match value {
                Some(value) => format!("{ty} {:?}", value.as_slice()),
                None => ty.to_string(),
            };
            known.types.iter().zip(&known.values).map(operand).collect::<Vec<_>>().join(", ")
        };
        let outputs = op
            .checked_infer(&InferCx::new(&known.types, known))
            .map_err(|e| format!("the shape rule fails on ({}): {e}", shown()))?;
        if outputs.len() != outcome.outputs.len() {
            let (inferred, run) = (outputs.len(), outcome.outputs.len());
            return Err(format!("on ({}) it infers {inferred} outputs, but the run gives {run}", shown()));
        }
        for (i, (ty, value)) in outputs.iter().zip(&outcome.outputs).enumerate() {
            if ty.dtype != value.dtype() || !ty.shape.accepts(value.shape()) {
                let (dtype, shape) = (value.dtype(), value.shape());
                return Err(format!(
                    "on ({}) it infers {ty} for output {i}, but the run gives {dtype}{shape}",
                    shown()
                ));
            }
            let Some(elements) = op.constant_value(&InferCx::new(&known.types, known).asking(i)) else {
                continue;
            };
            let right = elements.len() == value.num_elements()
                && elements
                    .iter()
                    .zip(value.cast(tidemill_core::DType::I64).to_vec::<i64>().unwrap_or_default())
                    .all(|(element, run)| element.is_none_or(|element| element == run));
            if !right {
                let elements = elements.as_slice();
                return Err(format!(
                    "on ({}) it knows output {i} as {elements:?}, but the run gives {value}",
                    shown()
                ));
            }
        }
        Ok(outputs)
    };
    let full = Knowledge::full(bench);
    let types = infer(&full)?;
    for less in full.less() {
        for (i, (ty, full)) in infer(&less)?.iter().zip(&types).enumerate() {
            if ty.shape.merge(&full.shape).as_ref() != Some(&full.shape) {
                return Err(format!("knowing less, it infers {ty} for output {i}; knowing all, only {full}"));
            }
        }
    }
    Ok(())
}
