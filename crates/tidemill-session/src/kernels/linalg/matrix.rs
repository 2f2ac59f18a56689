//! Small dense matrices of complex numbers in double precision, in which all factorisations are computed whatever the dtype; and how
//! kernels take them from batches and put them back.

use std::ops::{Index, IndexMut};

use tidemill_core::{DType, Error, Result, Shape};
use tidemill_tensor::{Complex, Element, dispatch_arith};

use super::super::elementwise::Walk;
use super::super::{Args, CompileCx, Compiled};

pub(super) type C = Complex<f64>;

/// A matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) data: Vec<C>,
}

impl Index<[usize; 2]> for Matrix {
    type Output = C;
    #[inline]
    fn index(&self, [i, j]: [usize; 2]) -> &C {
        &self.data[i * self.columns + j]
    }
}

impl IndexMut<[usize; 2]> for Matrix {
    #[inline]
    fn index_mut(&mut self, [i, j]: [usize; 2]) -> &mut C {
        &mut self.data[i * self.columns + j]
    }
}

impl Matrix {
    pub(super) fn zeros(rows: usize, columns: usize) -> Matrix {
        Matrix { rows, columns, data: vec![C::ZERO; rows * columns] }
    }

    pub(super) fn identity(n: usize) -> Matrix {
        Matrix::from_fn(n, n, |i, j| if i == j { C::ONE } else { C::ZERO })
    }

    pub(super) fn from_fn(rows: usize, columns: usize, f: impl Fn(usize, usize) -> C) -> Matrix {
        let f = &f;
        let data = (0..rows).flat_map(|i| (0..columns).map(move |j| f(i, j))).collect();
        Matrix { rows, columns, data }
    }

    /// A column.
    pub(super) fn vector(data: Vec<C>) -> Matrix {
        Matrix { rows: data.len(), columns: 1, data }
    }

    pub(super) fn scalar(value: C) -> Matrix {
        Matrix { rows: 1, columns: 1, data: vec![value] }
    }

    pub(super) fn adjoint(&self) -> Matrix {
        Matrix::from_fn(self.columns, self.rows, |i, j| self[[j, i]].conj())
    }

    pub(super) fn times(&self, other: &Matrix) -> Matrix {
        let mut product = Matrix::zeros(self.rows, other.columns);
        for i in 0..self.rows {
            for l in 0..self.columns {
                let x = self[[i, l]];
                for j in 0..other.columns {
                    product[[i, j]] += x * other[[l, j]];
                }
            }
        }
        product
    }

    pub(super) fn map(&self, f: impl Fn(C) -> C) -> Matrix {
        Matrix { data: self.data.iter().map(|z| f(*z)).collect(), ..*self }
    }

    /// The first columns.
    pub(super) fn first_columns(&self, count: usize) -> Matrix {
        Matrix::from_fn(self.rows, count, |i, j| self[[i, j]])
    }

    /// The largest modulus of an element.
    pub(super) fn largest(&self) -> f64 {
        self.data.iter().map(|z| z.norm()).fold(0.0, f64::max)
    }

    pub(super) fn exchange_columns(&mut self, a: usize, b: usize) {
        for i in 0..self.rows {
            self.data.swap(i * self.columns + a, i * self.columns + b);
        }
    }

    pub(super) fn exchange_rows(&mut self, a: usize, b: usize) {
        for j in 0..self.columns {
            self.data.swap(a * self.columns + j, b * self.columns + j);
        }
    }
}

/// The distance from 1 to the next number of a dtype, or of its parts.
pub(super) fn epsilon(dtype: DType) -> f64 {
    match dtype.real() {
        DType::F64 => f64::EPSILON,
        DType::F32 => f64::from(f32::EPSILON),
        _ => f64::exp2(-10.0),
    }
}

/// One operand or result of a kernel over batches: the sizes of a matrix, and its dtype.
#[derive(Debug, Clone, Copy)]
struct Part {
    rows: usize,
    columns: usize,
    dtype: DType,
}

impl Part {
    fn len(&self) -> usize {
        self.rows * self.columns
    }
}

/// A step that computes, for each matrix of the batches of the first `N` operands, which broadcast, the results' matrices. What an operand or a
/// result has for each matrix may be a matrix, a vector or a number: it is whatever is left of the shape behind the batch.
///
/// Unlike other kernels this one allocates as it runs: matrices are few or small.
pub(super) fn batched<const N: usize>(
    cx: &CompileCx,
    f: impl Fn(&[Matrix; N]) -> Result<Vec<Matrix>> + Send + Sync + 'static,
) -> Result<Compiled> {
    let split = |shape: &Shape| -> Result<(Shape, [usize; 2])> {
        match shape.dims() {
            [batch @ .., m, n] => Ok((Shape::from(batch), [*m, *n])),
            _ => Err(Error::internal("matrices have two axes")),
        }
    };
    let mut batch = Shape::scalar();
    let mut batches: Vec<Shape> = vec![];
    let mut inputs: Vec<Part> = vec![];
    for i in 0..N {
        let (own, [rows, columns]) = split(&cx.shape(i))?;
        batch = batch.broadcast(&own).ok_or_else(|| {
            Error::invalid(format!("the batches of shapes {} and {} do not fit", cx.shape(0), cx.shape(i)))
        })?;
        batches.push(own);
        inputs.push(Part { rows, columns, dtype: cx.dtype(i) });
    }
    let count = batch.num_elements();
    let outputs: Vec<Part> = (0..cx.num_outputs())
        .map(|i| {
            let shape = cx.output_shape(i);
            let columns: usize = shape.iter().skip(batch.rank()).product();
            // What is not wanted is left empty, and is of no batch.
            let wanted = shape.rank() >= batch.rank() && !(shape.dims() == [0] && count > 0);
            Part { rows: usize::from(wanted), columns, dtype: cx.output_dtype(i) }
        })
        .collect();
    let references: [&Shape; N] = std::array::from_fn(|i| &batches[i]);
    let walk = Walk::new(&batch, references);
    Compiled::step(move |args: &mut Args| {
        let mut at = 0;
        for start in walk.outer.offsets() {
            for k in 0..walk.inner {
                let matrices: [Matrix; N] = std::array::from_fn(|i| {
                    let place = start[i] + if walk.moves[i] { k } else { 0 };
                    load(args, i, inputs[i], place)
                });
                let results = f(&matrices)?;
                for (i, (part, result)) in outputs.iter().zip(&results).enumerate() {
                    if part.rows > 0 {
                        store(args, i, *part, at, result)?;
                    }
                }
                at += 1;
            }
        }
        Ok(())
    })
}

fn load(args: &Args, i: usize, part: Part, place: usize) -> Matrix {
    let start = place * part.len();
    let data = dispatch_arith!(part.dtype, T => {
        args.input::<T>(i)[start..start + part.len()].iter().map(|z| z.to_c128()).collect()
    }, else => vec![C::ZERO; part.len()]);
    Matrix { rows: part.rows, columns: part.columns, data }
}

fn store(args: &mut Args, i: usize, part: Part, place: usize, result: &Matrix) -> Result<()> {
    if result.data.len() != part.len() {
        return Err(Error::internal(format!(
            "output {i} has {} elements, not {}",
            part.len(),
            result.data.len()
        )));
    }
    let start = place * part.len();
    dispatch_arith!(part.dtype, T => {
        let (to, len) = args.output_ptr::<T>(i);
        assert!(start + part.len() <= len, "output {i} is short");
        for (k, z) in result.data.iter().enumerate() {
            // SAFETY: inside of the output (checked above), which is this step's own.
            unsafe { to.add(start + k).write(T::from_c128(*z)) };
        }
    }, else => ());
    Ok(())
}
