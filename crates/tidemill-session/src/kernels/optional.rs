//! Kernels of `ops::optional`.

use tidemill_core::ops::{OptionalFromValue, OptionalGetValue, OptionalHasValue, OptionalNone};
use tidemill_core::{Error, Result, Value};

use super::KernelTable;
use super::list::operands;
use super::objects::{self, look, variant};

/// Tensors, or nothing.
#[derive(Clone)]
pub(super) struct Optional(Option<Vec<Value>>);

impl Optional {
    pub(super) fn add(self, other: &Optional) -> Result<Optional> {
        match (self.0, &other.0) {
            (Some(a), Some(b)) if a.len() == b.len() => {
                let sums = a.into_iter().zip(b).map(|(a, b)| objects::add(a, b)).collect::<Result<_>>()?;
                Ok(Optional(Some(sums)))
            }
            (None, None) => Ok(Optional(None)),
            _ => Err(Error::invalid("optionals that hold different things cannot be added")),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().flatten().map(objects::held_bytes).sum()
    }

    pub(super) fn zeros(&self) -> Result<Optional> {
        let zeros = |held: &Vec<Value>| held.iter().map(objects::zeros_like).collect();
        Ok(Optional(self.0.as_ref().map(zeros).transpose()?))
    }
}

const OPTIONAL: &str = "an optional";

pub(super) fn register(table: &mut KernelTable) {
    table.values::<OptionalFromValue>(|_, inputs| Ok(vec![variant(Optional(Some(inputs)))?]));
    table.values::<OptionalNone>(|_, _| Ok(vec![variant(Optional(None))?]));
    table.values::<OptionalHasValue>(|_, inputs| {
        let [optional] = operands(inputs)?;
        Ok(vec![Value::scalar(look::<Optional>(&optional, OPTIONAL)?.0.is_some())])
    });
    table.values::<OptionalGetValue>(|op, inputs| {
        let [optional] = operands(inputs)?;
        let Some(held) = &look::<Optional>(&optional, OPTIONAL)?.0 else {
            return Err(Error::invalid("the optional holds nothing"));
        };
        let fits = |(value, (dtype, shape)): (&Value, (&_, &tidemill_core::PartialShape))| {
            value.dtype() == *dtype && shape.accepts(value.shape())
        };
        let wanted = op.output_types.iter().zip(&op.output_shapes);
        if held.len() != op.output_types.len() || !held.iter().zip(wanted).all(fits) {
            return Err(Error::invalid("the optional holds tensors of other dtypes or shapes"));
        }
        Ok(held.clone())
    });
}
