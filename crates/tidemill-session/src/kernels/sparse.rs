//! Kernels of `ops::sparse`.

use tidemill_core::ops::{
    EditDistance, SparseFillEmptyRows, SparseFillEmptyRowsGrad, SparseReshape, SparseSlice,
    SparseTensorDenseMatMul, SparseToDense,
};
use tidemill_core::{DType, Error, Result, Shape, Value};
use tidemill_tensor::{Element, dispatch_arith, dispatch_numeric};

use super::arith::Arith;
use super::values::{ints, sizes, take, values};
use super::{CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<SparseToDense>(|op, _| {
        let check = op.validate_indices;
        values(move |inputs| to_dense(inputs, check))
    });
    table.compiled::<SparseReshape>(|_, _| values(reshape));
    table.compiled::<SparseSlice>(|_, _| values(slice));
    table.compiled::<SparseFillEmptyRows>(|_, _| values(fill_empty_rows));
    table.compiled::<SparseFillEmptyRowsGrad>(|_, cx| fill_empty_rows_grad(cx));
    table.compiled::<SparseTensorDenseMatMul>(matmul);
    table.compiled::<EditDistance>(|op, _| {
        let normalize = op.normalize;
        values(move |inputs| edit_distance(inputs, normalize))
    });
}

/// The coordinates of a sparse tensor's elements, all checked to be inside of its shape.
fn coordinates(indices: &Value, count: usize, shape: &Shape) -> Result<Vec<Vec<usize>>> {
    let rank = shape.rank();
    if indices.num_elements() != count * rank {
        return Err(Error::invalid(format!(
            "indices of shape {} for {count} values of a sparse tensor of shape {shape}",
            indices.shape()
        )));
    }
    let places = ints(indices);
    let inside = |at: &[i64]| -> Result<Vec<usize>> {
        at.iter()
            .zip(shape.iter())
            .map(|(i, n)| {
                usize::try_from(*i)
                    .ok()
                    .filter(|i| i < n)
                    .ok_or_else(|| Error::invalid(format!("indices {at:?} are not inside of shape {shape}")))
            })
            .collect()
    };
    match rank {
        0 => Ok(vec![vec![]; count]),
        rank => places.chunks_exact(rank).map(inside).collect(),
    }
}

fn flat(at: &[usize], shape: &Shape) -> usize {
    at.iter().zip(shape.iter()).fold(0, |place, (i, n)| place * n + i)
}

fn to_dense(inputs: &[Value], check: bool) -> Result<Vec<Value>> {
    let (indices, shape, elements, default) = (&inputs[0], sizes(&inputs[1])?, &inputs[2], &inputs[3]);
    let count = match indices.rank() {
        0 => 1,
        _ => indices.shape()[0],
    };
    let depth = if indices.rank() == 2 { indices.shape()[1] } else { 1 };
    if depth != shape.rank() {
        return Err(Error::invalid(format!("indices of {depth} coordinates for a result of shape {shape}")));
    }
    if elements.rank() > 0 && elements.num_elements() != count {
        return Err(Error::invalid(format!("{} values for {count} indices", elements.num_elements())));
    }
    let places = coordinates(indices, count, &shape)?;
    if check && let Some(pair) = places.windows(2).find(|pair| pair[0] >= pair[1]) {
        let what = if pair[0] == pair[1] { "stand twice" } else { "are out of order" };
        return Err(Error::invalid(format!("indices {:?} {what}", pair[1])));
    }
    let mut dense = Value::zeros(elements.dtype(), &shape)?;
    let (size, from) = (elements.dtype().size(), elements.bytes());
    let to = dense.bytes_mut();
    to.chunks_exact_mut(size).for_each(|to| to.copy_from_slice(default.bytes()));
    for (i, at) in places.iter().enumerate() {
        let i = if elements.rank() == 0 { 0 } else { i };
        let at = flat(at, &shape) * size;
        to[at..at + size].copy_from_slice(&from[i * size..(i + 1) * size]);
    }
    Ok(vec![dense])
}

fn reshape(inputs: &[Value]) -> Result<Vec<Value>> {
    let (indices, from, wanted) = (&inputs[0], sizes(&inputs[1])?, ints(&inputs[2]));
    let elements = from
        .checked_num_elements()
        .ok_or_else(|| Error::invalid(format!("shape {from} has too many elements")))?;
    let known = wanted
        .iter()
        .filter(|n| **n != -1)
        .try_fold(1usize, |product, n| product.checked_mul(usize::try_from(*n).ok()?))
        .ok_or_else(|| Error::invalid(format!("sizes {wanted:?} are negative, or too large")))?;
    let open = wanted.iter().filter(|n| **n == -1).count();
    let rest = match (open, elements.checked_div(known)) {
        (0, _) => 1,
        (1, Some(rest)) if rest * known == elements => rest,
        _ => return Err(Error::invalid(format!("{elements} elements cannot take the sizes {wanted:?}"))),
    };
    if known * rest != elements {
        return Err(Error::invalid(format!("{elements} elements cannot take the sizes {wanted:?}")));
    }
    let to: Shape = wanted.iter().map(|n| if *n == -1 { rest } else { *n as usize }).collect();
    let count = indices.shape()[0];
    let strides = to.strides();
    let mut out = Vec::with_capacity(count * to.rank());
    for at in coordinates(indices, count, &from)? {
        let place = flat(&at, &from);
        out.extend(strides.iter().zip(to.iter()).map(|(stride, n)| (place / stride % n) as i64));
    }
    let shape: Vec<i64> = to.iter().map(|n| *n as i64).collect();
    Ok(vec![Value::from_vec([count, to.rank()], out)?, shape.into()])
}

fn slice(inputs: &[Value]) -> Result<Vec<Value>> {
    let (elements, shape) = (&inputs[1], sizes(&inputs[2])?);
    let (start, size) = (sizes(&inputs[3])?, sizes(&inputs[4])?);
    if start.rank() != shape.rank() || size.rank() != shape.rank() {
        return Err(Error::invalid(format!("start {start} and size {size} for the axes of shape {shape}")));
    }
    let end = |d: usize| start[d].saturating_add(size[d]).min(shape[d]);
    let places = coordinates(&inputs[0], elements.num_elements(), &shape)?;
    let inside = |at: &Vec<usize>| at.iter().enumerate().all(|(d, i)| (start[d]..end(d)).contains(i));
    let kept: Vec<usize> = (0..places.len()).filter(|i| inside(&places[*i])).collect();
    let moved =
        kept.iter().flat_map(|i| places[*i].iter().zip(start.iter()).map(|(i, start)| (i - start) as i64));
    let indices = Value::from_vec([kept.len(), shape.rank()], moved.collect())?;
    let taken = take(elements, elements.dtype().size(), &kept, [kept.len()])?;
    let shape: Vec<i64> = (0..shape.rank()).map(|d| end(d).saturating_sub(start[d]) as i64).collect();
    Ok(vec![indices, taken, shape.into()])
}

fn fill_empty_rows(inputs: &[Value]) -> Result<Vec<Value>> {
    let (elements, shape, default) = (&inputs[1], sizes(&inputs[2])?, &inputs[3]);
    let Some(&rows) = shape.first() else { return Err(Error::invalid("a scalar has no rows")) };
    // Only the first coordinate matters, and only it is checked.
    let (count, rank) = (elements.num_elements(), shape.rank());
    let places = ints(&inputs[0]);
    if places.len() != count * rank {
        return Err(Error::invalid(format!("{count} values, but indices of shape {}", inputs[0].shape())));
    }
    let mut by_row: Vec<usize> = (0..count).collect();
    for at in places.chunks_exact(rank) {
        if !(0..rows as i64).contains(&at[0]) {
            return Err(Error::invalid(format!("row {} is not in [0, {rows})", at[0])));
        }
    }
    // Within a row the order stays.
    by_row.sort_by_key(|i| places[i * rank]);
    // A tensor of the indicator's size bounds what follows.
    let mut empty = Value::full(DType::Bool, [rows], true)?;
    let is_empty = empty.as_mut_slice::<bool>()?;
    by_row.iter().for_each(|i| is_empty[places[i * rank] as usize] = false);
    let total = count + is_empty.iter().filter(|e| **e).count();
    let mut indices = Value::zeros(DType::I64, [total, rank])?;
    let mut out = Value::zeros(elements.dtype(), [total])?;
    let mut back = vec![0i64; count];
    let (size, from) = (elements.dtype().size(), elements.bytes());
    {
        let mut targets = indices.as_mut_slice::<i64>()?.chunks_exact_mut(rank);
        let mut values = out.bytes_mut().chunks_exact_mut(size).enumerate();
        let mut add = |at: &[i64], value: &[u8]| {
            let (Some(target), Some((i, to))) = (targets.next(), values.next()) else { return 0 };
            target.copy_from_slice(at);
            to.copy_from_slice(value);
            i
        };
        let mut rest = by_row.iter().peekable();
        for (row, is_empty) in is_empty.iter().enumerate() {
            if *is_empty {
                let mut at = vec![0i64; rank];
                at[0] = row as i64;
                add(&at, default.bytes());
            }
            while let Some(i) = rest.next_if(|i| places[**i * rank] == row as i64) {
                let at = &places[i * rank..(i + 1) * rank];
                back[*i] = add(at, &from[i * size..(i + 1) * size]) as i64;
            }
        }
    }
    Ok(vec![indices, out, empty, back.into()])
}

fn fill_empty_rows_grad(cx: &CompileCx) -> Result<Compiled> {
    dispatch_arith!(cx.dtype(1), T => values(|inputs| {
        let (places, dy) = (ints(&inputs[0]), inputs[1].as_slice::<T>()?);
        let mut left = vec![true; dy.len()];
        let mut dx: Vec<T> = Vec::with_capacity(places.len());
        for at in places {
            let place = usize::try_from(at).ok().filter(|at| *at < dy.len());
            let place = place.ok_or_else(|| Error::invalid(format!("{at} is not in [0, {})", dy.len())))?;
            left[place] = false;
            dx.push(dy[place]);
        }
        let rest = dy.iter().zip(&left).filter(|(_, left)| **left);
        let rest = rest.fold(T::from_i64(0), |sum, (dy, _)| sum.add(*dy));
        Ok(vec![dx.into(), Value::scalar(rest)])
    }), else => Err(Error::unimplemented("gradients of this dtype")))
}

fn matmul(op: &SparseTensorDenseMatMul, cx: &CompileCx) -> Result<Compiled> {
    let (adjoint_a, adjoint_b) = (op.adjoint_a, op.adjoint_b);
    dispatch_numeric!(cx.dtype(1), T => values(move |inputs| {
        let (a, shape, b) = (inputs[1].as_slice::<T>()?, sizes(&inputs[2])?, &inputs[3]);
        if shape.rank() != 2 {
            return Err(Error::invalid(format!("the sparse tensor must be a matrix, not of shape {shape}")));
        }
        let (rows, inner) = if adjoint_a { (shape[1], shape[0]) } else { (shape[0], shape[1]) };
        let (own, columns) = (b.shape()[usize::from(adjoint_b)], b.shape()[usize::from(!adjoint_b)]);
        if own != inner {
            return Err(Error::invalid(format!("inner dimensions differ, {inner} and {own}")));
        }
        let mut out = Value::zeros(inputs[1].dtype(), [rows, columns])?;
        let (b, y) = (b.as_slice::<T>()?, out.as_mut_slice::<T>()?);
        for (at, a) in coordinates(&inputs[0], a.len(), &shape)?.iter().zip(a) {
            let (row, k) = if adjoint_a { (at[1], at[0]) } else { (at[0], at[1]) };
            for (column, y) in y[row * columns..(row + 1) * columns].iter_mut().enumerate() {
                let b = b[if adjoint_b { column * inner + k } else { k * columns + column }];
                *y = y.add(a.mul(b));
            }
        }
        Ok(vec![out])
    }), else => Err(Error::unimplemented("a sparse product of this dtype")))
}

/// The elements of each sequence of a sparse tensor as bytes, by the coordinates of the sequence.
type Sequences = std::collections::BTreeMap<Vec<usize>, Vec<Vec<u8>>>;

fn sequences(inputs: &[Value]) -> Result<(Shape, Sequences)> {
    let (elements, shape) = (&inputs[1], sizes(&inputs[2])?);
    if shape.rank() < 2 {
        return Err(Error::invalid(format!(
            "a tensor of sequences has a rank of at least 2, not the shape {shape}"
        )));
    }
    let size = elements.dtype().size();
    let mut all = Sequences::new();
    let places = coordinates(&inputs[0], elements.num_elements(), &shape)?;
    for (at, element) in places.iter().zip(elements.bytes().chunks_exact(size)) {
        all.entry(at[..at.len() - 1].to_vec()).or_default().push(element.to_vec());
    }
    Ok((shape, all))
}

fn edit_distance(inputs: &[Value], normalize: bool) -> Result<Vec<Value>> {
    let ((shape, hypotheses), (truth_shape, truths)) = (sequences(&inputs[..3])?, sequences(&inputs[3..6])?);
    if shape.rank() != truth_shape.rank() {
        return Err(Error::invalid(format!("hypothesis of shape {shape}, truth of shape {truth_shape}")));
    }
    let outer = shape.iter().zip(truth_shape.iter()).take(shape.rank() - 1).map(|(a, b)| *a.max(b));
    let outer: Shape = outer.collect();
    let mut out = Value::zeros(DType::F32, &outer)?;
    let distances = out.as_mut_slice::<f32>()?;
    let none = vec![];
    let rows: std::collections::BTreeSet<&Vec<usize>> = hypotheses.keys().chain(truths.keys()).collect();
    for row in rows {
        let (hypothesis, truth) = (hypotheses.get(row).unwrap_or(&none), truths.get(row).unwrap_or(&none));
        let distance = levenshtein(hypothesis, truth) as f32;
        distances[flat(row, &outer)] = match normalize {
            true if truth.is_empty() => f32::INFINITY,
            true => distance / truth.len() as f32,
            false => distance,
        };
    }
    Ok(vec![out])
}

fn levenshtein(a: &[Vec<u8>], b: &[Vec<u8>]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;

    #[test]
    fn dense_again() {
        let op = SparseToDense { validate_indices: true };
        let inputs = [[[0, 1], [1, 0]].into(), [2, 3].into(), [5f32, 7.0].into(), 1f32.into()];
        assert_eq!(eval(op.clone(), &inputs), [Value::from([[1f32, 5.0, 1.0], [7.0, 1.0, 1.0]])]);
        let unordered = [[3, 1].into(), [4].into(), 9.into(), 0.into()];
        assert!(try_eval(op, &unordered).is_err());
        assert_eq!(eval(SparseToDense { validate_indices: false }, &unordered), [Value::from([0, 9, 0, 9])]);
    }

    #[test]
    fn reshapes() {
        let inputs = [[[0i64, 1], [1, 2]].into(), [2i64, 3].into(), [-1i64, 2].into()];
        assert_eq!(eval(SparseReshape, &inputs), [Value::from([[0i64, 1], [2, 1]]), Value::from([3i64, 2])]);
    }

    #[test]
    fn empty_rows_are_filled() {
        let inputs = [[[1i64, 0], [1, 3]].into(), [5, 6].into(), [3i64, 4].into(), (-1).into()];
        let got = eval(SparseFillEmptyRows, &inputs);
        let indices = Value::from([[0i64, 0], [1, 0], [1, 3], [2, 0]]);
        let empty = Value::from([true, false, true]);
        assert_eq!(got, [indices, Value::from([-1, 5, 6, -1]), empty, Value::from([1i64, 2])]);
    }

    #[test]
    fn multiplies() {
        let a: [Value; 3] = [[[0i64, 1], [1, 0]].into(), [2f32, 3.0].into(), [2i64, 2].into()];
        let b = Value::from([[1f32, 10.0], [100.0, 1000.0]]);
        let op = |adjoint_a, adjoint_b| SparseTensorDenseMatMul { adjoint_a, adjoint_b };
        let [i, v, s] = a;
        let inputs = [i, v, s, b];
        assert_eq!(eval(op(false, false), &inputs), [Value::from([[200f32, 2000.0], [3.0, 30.0]])]);
        assert_eq!(eval(op(true, true), &inputs), [Value::from([[30f32, 3000.0], [2.0, 200.0]])]);
    }

    #[test]
    fn distances() {
        let sequence = |values: Vec<i32>| -> [Value; 3] {
            let places: Vec<[i64; 2]> = (0..values.len() as i64).map(|i| [0, i]).collect();
            [places.into(), values.into(), [1i64, 5].into()]
        };
        let inputs = [sequence(vec![1, 2, 3]), sequence(vec![1, 3, 4, 5])].concat();
        assert_eq!(eval(EditDistance { normalize: false }, &inputs), [Value::from([3f32])]);
        assert_eq!(eval(EditDistance { normalize: true }, &inputs), [Value::from([0.75f32])]);
    }
}
