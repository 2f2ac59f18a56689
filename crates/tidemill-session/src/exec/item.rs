//! What passes between steps whose shapes are known only during the run.

use std::sync::Arc;

use tidemill_core::{DType, Error, PartialShape, Result, Shape, Value};

/// A value, or the results of a loop's turns that differ in shape, or are objects, and so are no one value: what a loop keeps of them for the loop
/// that goes through them again.
#[derive(Clone)]
pub(crate) enum Item {
    Value(Value),
    Turns(Arc<[Item]>),
}

impl Item {
    /// The results of turns, stacked along a new axis 0 if they have one shape. `dtype` and `shape` are what is known of each.
    pub(super) fn stack(turns: Vec<Item>, dtype: DType, shape: &PartialShape) -> Result<Item> {
        let element = match turns.first() {
            Some(first) => first.shape().cloned(),
            // No turn has told; unknown dimensions of nothing are nothing.
            None => Some(shape.dims().unwrap_or(&[]).iter().map(|d| d.unwrap_or(0)).collect()),
        };
        let same = |element: &Shape| !dtype.is_object() && turns.iter().all(|t| t.shape() == Some(element));
        let Some(element) = element.filter(same) else { return Ok(Item::Turns(turns.into())) };
        let values = turns.iter().filter_map(|t| match t {
            Item::Value(v) => Some(v),
            Item::Turns(_) => None,
        });
        let bytes: Vec<u8> = values.flat_map(|v| v.bytes()).copied().collect();
        let shape: Shape = [turns.len()].into_iter().chain(element.iter().copied()).collect();
        Ok(Item::Value(Value::from_bytes(dtype, shape, &bytes)?))
    }

    /// Its shape; `None` when it is no one value.
    pub(super) fn shape(&self) -> Option<&Shape> {
        match self {
            Item::Value(value) => Some(value.shape()),
            Item::Turns(_) => None,
        }
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Item::Value(value) => crate::kernels::held_bytes(value),
            Item::Turns(turns) => turns.iter().map(Item::bytes).fold(0, usize::saturating_add),
        }
    }

    /// As one value.
    ///
    /// # Errors
    /// `InvalidArgument` when it is none.
    pub(super) fn value(&self) -> Result<&Value> {
        match self {
            Item::Value(value) => Ok(value),
            Item::Turns(turns) => {
                let shapes: Vec<String> =
                    turns.iter().map(|t| t.shape().map_or("several".to_owned(), Shape::to_string)).collect();
                let other = shapes.iter().find(|s| **s != shapes[0]).unwrap_or(&shapes[0]);
                Err(Error::invalid(format!(
                    "a loop stacks results of one shape, but one turn gives {} and another {other}",
                    shapes[0]
                )))
            }
        }
    }

    /// How many slices there are along axis 0; `None` of a scalar.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Item::Value(value) => value.shape().first().copied(),
            Item::Turns(turns) => Some(turns.len()),
        }
    }

    /// Slice `at` along axis 0, which must be there.
    pub(super) fn slice(&self, at: usize) -> Result<Item> {
        match self {
            Item::Turns(turns) => Ok(turns[at].clone()),
            Item::Value(value) => {
                let rest: Shape = value.shape().iter().skip(1).copied().collect();
                let bytes = rest.num_bytes(value.dtype()).unwrap_or(0);
                let slice = &value.bytes()[at * bytes..(at + 1) * bytes];
                Ok(Item::Value(Value::from_bytes(value.dtype(), rest, slice)?))
            }
        }
    }
}
