//! Kernels of `ops::partition`.

use tidemill_core::ops::{DynamicPartition, DynamicStitch, ParallelDynamicStitch};
use tidemill_core::{Error, Result, Value};

use super::KernelTable;
use super::values::{row_bytes, take, values, with_first};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<DynamicPartition>(|op, _| {
        let count = op.num_partitions;
        values(move |inputs| partition(&inputs[0], &inputs[1], count))
    });
    table.compiled::<DynamicStitch>(|_, _| values(stitch));
    table.compiled::<ParallelDynamicStitch>(|_, _| values(stitch));
}

fn partition(data: &Value, partitions: &Value, count: usize) -> Result<Vec<Value>> {
    let axes = partitions.rank();
    let mut places = vec![vec![]; count];
    for (i, p) in partitions.as_slice::<i32>()?.iter().enumerate() {
        let part = usize::try_from(*p).ok().and_then(|p| places.get_mut(p));
        part.ok_or_else(|| Error::invalid(format!("partitions[{i}] = {p} is not in [0, {count})")))?.push(i);
    }
    let row = &data.shape().dims()[axes..];
    let bytes = row_bytes(data, axes);
    places.iter().map(|places| take(data, bytes, places, with_first(places.len(), row))).collect()
}

fn stitch(inputs: &[Value]) -> Result<Vec<Value>> {
    let n = inputs.len() / 2;
    let (indices, data) = inputs.split_at(n);
    let mut largest = -1;
    for index in indices {
        let index = index.as_slice::<i32>()?;
        if let Some(negative) = index.iter().find(|i| **i < 0) {
            return Err(Error::invalid(format!("index {negative} is negative")));
        }
        largest = index.iter().copied().fold(largest, i32::max);
    }
    let axes = indices[0].rank();
    let row = data[0].shape().dims()[axes..].to_vec();
    let bytes = row_bytes(&data[0], axes);
    let mut merged = Value::zeros(data[0].dtype(), with_first((largest + 1) as usize, &row))?;
    let to = merged.bytes_mut();
    for (index, data) in indices.iter().zip(data) {
        let from = data.bytes();
        for (i, at) in index.as_slice::<i32>()?.iter().enumerate() {
            let at = *at as usize * bytes;
            to[at..at + bytes].copy_from_slice(&from[i * bytes..(i + 1) * bytes]);
        }
    }
    Ok(vec![merged])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;

    #[test]
    fn partitions_are_stitched_together_again() {
        let x = Value::from([[1, 2], [3, 4], [5, 6]]);
        let parts = eval(DynamicPartition { num_partitions: 3 }, &[x.clone(), [2, 0, 2].into()]);
        let none = Value::zeros(tidemill_core::DType::I32, [0, 2]).unwrap();
        assert_eq!(parts, [Value::from([[3, 4]]), none, Value::from([[1, 2], [5, 6]])]);
        let back = eval(DynamicStitch, &[[1].into(), [0, 2].into(), parts[0].clone(), parts[2].clone()]);
        assert_eq!(back, [x]);
    }

    #[test]
    fn the_last_of_a_place_stays() {
        let got = eval(DynamicStitch, &[[0, 3].into(), 0.into(), [1f32, 2.0].into(), 9f32.into()]);
        assert_eq!(got, [Value::from([9f32, 0.0, 0.0, 2.0])]);
        assert!(try_eval(DynamicStitch, &[[-1].into(), [1].into()]).is_err());
    }
}
