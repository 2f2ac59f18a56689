//! Kernels of `ops::sets`.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_core::ops::{
    DenseToDenseSetOperation, DenseToSparseSetOperation, SetOperation, SetSize, SparseToSparseSetOperation,
};
use tidemill_core::{DType, Error, Result, Shape, Value};

use super::values::{integers, ints, sizes, values};
use super::{Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<DenseToDenseSetOperation>(|op, _| {
        let what = op.operation()?;
        values(move |inputs| {
            combined(what, Sets::dense(&inputs[0]), Sets::dense(&inputs[1]), inputs[0].dtype())
        })
    });
    table.compiled::<DenseToSparseSetOperation>(|op, _| {
        let (what, check) = (op.operation()?, op.validate_indices);
        values(move |inputs| {
            combined(what, Sets::dense(&inputs[0]), Sets::sparse(&inputs[1..4], check)?, inputs[0].dtype())
        })
    });
    table.compiled::<SparseToSparseSetOperation>(|op, _| {
        let (what, check) = (op.operation()?, op.validate_indices);
        values(move |inputs| {
            let (a, b) = (Sets::sparse(&inputs[..3], check)?, Sets::sparse(&inputs[3..6], check)?);
            combined(what, a, b, inputs[1].dtype())
        })
    });
    table.compiled::<SetSize>(|op, _| set_size(op.validate_indices));
}

/// The sets of a tensor by the coordinates of the row they stand in; rows without elements are left out.
struct Sets {
    outer: Vec<usize>,
    rows: BTreeMap<Vec<usize>, BTreeSet<i64>>,
}

impl Sets {
    fn dense(x: &Value) -> Sets {
        let dims = x.shape().dims();
        let (outer, last) = (&dims[..dims.len() - 1], dims[dims.len() - 1]);
        let strides = Shape::new(outer).strides();
        let row = |i: usize| -> Vec<usize> { strides.iter().zip(outer).map(|(s, n)| i / s % n).collect() };
        let rows = ints(x)
            .chunks_exact(last.max(1))
            .enumerate()
            .map(|(i, set)| (row(i), set.iter().copied().collect()))
            .collect();
        Sets { outer: outer.to_vec(), rows }
    }

    fn sparse(inputs: &[Value], check: bool) -> Result<Sets> {
        let (indices, elements, shape) = (&inputs[0], ints(&inputs[1]), sizes(&inputs[2])?);
        let rank = shape.rank();
        if indices.shape().dims() != [elements.len(), rank] || rank == 0 {
            return Err(Error::invalid(format!(
                "indices of shape {} for {} values of a sparse tensor of shape {shape}",
                indices.shape(),
                elements.len()
            )));
        }
        let places = ints(indices);
        let mut rows: BTreeMap<Vec<usize>, BTreeSet<i64>> = BTreeMap::new();
        let mut before: Option<&[i64]> = None;
        for (at, element) in places.chunks_exact(rank).zip(elements) {
            if let Some((i, n)) = at.iter().zip(shape.iter()).find(|(i, n)| **i < 0 || **i >= **n as i64) {
                return Err(Error::invalid(format!("index {i} is not in [0, {n})")));
            }
            if check && before.is_some_and(|before| before >= at) {
                return Err(Error::invalid("indices are out of order, or stand twice"));
            }
            before = Some(at);
            let row = at[..rank - 1].iter().map(|i| *i as usize).collect();
            rows.entry(row).or_default().insert(element);
        }
        Ok(Sets { outer: shape.dims()[..rank - 1].to_vec(), rows })
    }
}

fn combined(what: SetOperation, a: Sets, b: Sets, dtype: DType) -> Result<Vec<Value>> {
    if a.outer != b.outer {
        return Err(Error::invalid(format!(
            "both tensors of sets must have the same shape before the last axis, not {:?} and {:?}",
            a.outer, b.outer
        )));
    }
    let none = BTreeSet::new();
    let rows: BTreeSet<&Vec<usize>> = a.rows.keys().chain(b.rows.keys()).collect();
    let (mut indices, mut elements, mut longest) = (vec![], vec![], 0);
    for row in rows {
        let (a, b) = (a.rows.get(row).unwrap_or(&none), b.rows.get(row).unwrap_or(&none));
        let set: Vec<i64> = match what {
            SetOperation::AMinusB => a.difference(b).copied().collect(),
            SetOperation::BMinusA => b.difference(a).copied().collect(),
            SetOperation::Intersection => a.intersection(b).copied().collect(),
            SetOperation::Union => a.union(b).copied().collect(),
        };
        longest = longest.max(set.len());
        for (i, element) in set.into_iter().enumerate() {
            indices.extend(row.iter().map(|i| *i as i64).chain([i as i64]));
            elements.push(element);
        }
    }
    let shape: Vec<i64> = a.outer.iter().chain([&longest]).map(|n| *n as i64).collect();
    let indices = Value::from_vec([elements.len(), shape.len()], indices)?;
    Ok(vec![indices, integers(elements, dtype), shape.into()])
}

fn set_size(check: bool) -> Result<Compiled> {
    values(move |inputs| {
        let sets = Sets::sparse(inputs, check)?;
        let shape = Shape::new(&sets.outer);
        let mut out = Value::zeros(DType::I32, &sets.outer)?;
        let counts = out.as_mut_slice::<i32>()?;
        for (row, set) in &sets.rows {
            let at: usize = row.iter().zip(shape.strides()).map(|(i, stride)| i * stride).sum();
            counts[at] = set.len() as i32;
        }
        Ok(vec![out])
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::eval;
    use super::*;

    #[test]
    fn of_two_dense_sets() {
        let inputs = [Value::from([[3, 1, 1], [5, 5, 5]]), Value::from([[1, 9], [5, 5]])];
        let op =
            |what: &str| DenseToDenseSetOperation { set_operation: what.to_owned(), validate_indices: true };
        let got = eval(op("union"), &inputs);
        let indices = Value::from([[0i64, 0], [0, 1], [0, 2], [1, 0]]);
        assert_eq!(got, [indices, Value::from([1, 3, 9, 5]), Value::from([2i64, 3])]);
        assert_eq!(eval(op("a-b"), &inputs)[1], Value::from([3]));
        assert_eq!(eval(op("intersection"), &inputs)[1], Value::from([1, 5]));
    }
}
