//! What is checked of every row: one file, one check. A check returns the first thing it finds wrong.

mod attributes;
mod dtypes;
mod failure;
mod gradient;
mod graphdef;
mod text;
mod types;
mod values;

use tidemill_core::{DType, Error, Result, Value};

use crate::battery::Battery;
use crate::row::Row;
use crate::setup::{Mode, Outcome, Setup};

type Check = fn(&Bench) -> Result<(), String>;

/// A check and its name.
pub(crate) type Named = (&'static str, Check);

/// The checks of a row.
pub(crate) const OF_ROWS: &[Named] = &[
    ("types", types::check),
    ("attributes", attributes::check),
    ("values", values::check),
    ("gradient", gradient::check),
    ("text", text::check),
    ("dtypes", dtypes::check),
];

/// The check of a row that has passed all of these.
pub(crate) const OF_RIGHT_ROWS: Named = ("graphdef", graphdef::check);

/// The checks of a row that is wrong on purpose.
pub(crate) const OF_WRONG_ROWS: &[Named] = &[("failure", failure::check)];

/// A row on the bench.
pub(crate) struct Bench<'a> {
    battery: &'a Battery,
    row: &'a Row,
    /// The operands' values.
    values: Vec<Value>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(battery: &'a Battery, row: &'a Row) -> Result<Bench<'a>> {
        if battery.ops().schema(row.schema().name).is_none() {
            return Err(Error::not_found("the row is of an op that is not in the battery"));
        }
        Ok(Bench { battery, row, values: row.draw()? })
    }

    /// One run. Outputs must be of the types that the graph declares.
    fn outcome(&self, values: &[Value], mode: Mode, optimise: bool) -> Result<Outcome> {
        let setup = Setup::new(self.row, values, mode)?;
        let outcome = setup.run(&self.battery.session(&setup.graph, optimise))?;
        for (i, (tensor, value)) in setup.outputs.iter().zip(&outcome.outputs).enumerate() {
            let ty = tensor.ty();
            if value.dtype() != ty.dtype || !ty.shape.accepts(value.shape()) {
                let (dtype, shape) = (value.dtype(), value.shape());
                return Err(Error::internal(format!(
                    "output {i} is inferred as {ty}, but is {dtype}{shape}"
                )));
            }
        }
        Ok(outcome)
    }

    /// What all other runs are compared with.
    fn reference(&self) -> Result<Outcome, String> {
        self.outcome(&self.values, Mode::Literal, false).map_err(|e| e.to_string())
    }

    /// The operands with floats converted to `dtype`, and complex numbers to those with parts of it; `None` when there are none, the signature forbids it, or what is fed in
    /// place of the output would not fit.
    fn as_floats(&self, dtype: DType) -> Option<Vec<Value>> {
        if self.row.fixed_dtypes
            || self.row.fed.is_some()
            || !self.values.iter().any(|v| v.dtype().is_inexact())
        {
            return None;
        }
        let convert = |v: &Value| match v.dtype() {
            own if own.is_float() => Some(v.cast(dtype)),
            own if own.is_complex() => dtype.complex().map(|complex| v.cast(complex)),
            _ => Some(v.clone()),
        };
        let values: Vec<Value> = self.values.iter().map(convert).collect::<Option<_>>()?;
        let fits = match self.row.op() {
            Some(op) => op.signature().check_inputs(&self.types(&values)).is_ok(),
            None => matches!(dtype, DType::F32 | DType::F64),
        };
        fits.then_some(values)
    }

    fn types(&self, values: &[Value]) -> Vec<tidemill_core::TensorType> {
        let ty = |(v, input): (&Value, &crate::Input)| tidemill_core::TensorType {
            dtype: v.dtype(),
            shape: v.shape().into(),
            is_ref: input.variable,
        };
        values.iter().zip(&self.row.inputs).map(ty).collect()
    }

    /// Whether `got` is `want` up to `roundings` times the rounding errors of `dtype`.
    fn close(&self, got: &Value, want: &Value, dtype: DType, roundings: f64) -> bool {
        let precision = match dtype {
            DType::F64 | DType::C128 => 1e-12,
            DType::F32 | DType::C64 => 2e-6,
            DType::F16 => 2e-3,
            DType::BF16 => 1.6e-2,
            _ => 0.0,
        };
        let tolerance = precision * roundings * self.row.tolerance;
        // What cancels has lost digits relative to the largest elements.
        let largest = want.iter_f64().map(f64::abs).filter(|v| v.is_finite()).fold(0.0, f64::max);
        got.allclose(want, tolerance, tolerance * largest)
    }
}
