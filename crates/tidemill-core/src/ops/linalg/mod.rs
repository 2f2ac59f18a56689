//! Linear algebra: diagonals, factors, systems of equations. An op works on each matrix `[..., m, n]` of a batch.

mod diagonal;
mod factors;
mod functions;
mod solve;

use tidemill_tensor::{Dim, PartialShape};

pub use diagonal::*;
pub use factors::*;
pub use functions::*;
pub use solve::*;

use super::matmul::batch_matmul;
use super::{conj, expand_dims, matrix_transpose};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::InferCx;
use crate::op::OpSet;

pub(super) fn register(set: OpSet) -> OpSet {
    solve::register(factors::register(diagonal::register(set.with::<Cross>())))
}

/// The type of a batch of matrices: the batch, and the sizes of a matrix.
struct Matrices {
    batch: PartialShape,
    rows: Dim,
    columns: Dim,
}

impl Matrices {
    /// The shape of operand `i`; `None` while its rank is unknown.
    ///
    /// # Errors
    /// `InvalidArgument` when it has less than two axes.
    fn of(cx: &InferCx, i: usize) -> Result<Option<Matrices>> {
        match cx.shape(i).dims() {
            None => Ok(None),
            Some([batch @ .., rows, columns]) => {
                Ok(Some(Matrices { batch: PartialShape::from(batch), rows: *rows, columns: *columns }))
            }
            Some(_) => {
                Err(Error::invalid(format!("needs at least rank 2, but the shape is {}", cx.shape(i))))
            }
        }
    }

    /// [`of`](Matrices::of) square matrices.
    ///
    /// # Errors
    /// `InvalidArgument` when they are not square.
    fn square(cx: &InferCx, i: usize) -> Result<Option<Matrices>> {
        let Some(mut matrices) = Matrices::of(cx, i)? else { return Ok(None) };
        match (matrices.rows, matrices.columns) {
            (Some(m), Some(n)) if m != n => {
                return Err(Error::invalid(format!(
                    "matrices must be square, but the shape is {}",
                    cx.shape(i)
                )));
            }
            (m, n) => {
                matrices.rows = m.or(n);
                matrices.columns = matrices.rows;
            }
        }
        Ok(Some(matrices))
    }

    /// The shape of other matrices in the same batch.
    fn with(&self, sizes: impl IntoIterator<Item = Dim>) -> PartialShape {
        self.batch.concatenate(&sizes.into_iter().collect())
    }
}

/// `a · b`, for rules.
fn product(a: Tensor, b: Tensor) -> Tensor {
    batch_matmul(a, b, false, false)
}

/// `aᴴ · b`, for rules.
fn adjoint_product(a: Tensor, b: Tensor) -> Tensor {
    batch_matmul(a, b, true, false)
}

/// `a · bᴴ`, for rules.
fn product_adjoint(a: Tensor, b: Tensor) -> Tensor {
    batch_matmul(a, b, false, true)
}

/// `aᴴ` of each matrix, for rules; ranks are known.
fn adjoint(a: Tensor) -> Tensor {
    conj(matrix_transpose(a))
}

/// One number for each matrix, as something that broadcasts with the matrices.
fn beside_matrices(x: Tensor) -> Tensor {
    expand_dims(expand_dims(x, -1), -1)
}

/// Whether the rank of a tensor is known, which some rules need.
///
/// # Errors
/// `Unimplemented` when it is not.
fn expect_known_rank(x: Tensor) -> Result<()> {
    match x.shape().rank() {
        Some(_) => Ok(()),
        None => Err(Error::unimplemented("this gradient needs to know the rank of its operand")
            .with_help("give the placeholder a shape, or use tf::ensure_shape")),
    }
}
