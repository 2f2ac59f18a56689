//! Factors and diagonals of matrices.

use tidemill_tensor::{Dim, PartialShape};

use crate::attrs;
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Qr>().with::<DiagPart>()
}

/// `input = q · r` for each matrix `[..., m, n]`: `q` with orthonormal columns, `r` upper triangular.
///
/// With `p = min(m, n)`, `q` is `[..., m, p]` and `r` `[..., p, n]`; with `full_matrices`, `[..., m, m]` and `[..., m, n]`. The
/// signs on the diagonal of `r` are as Householder's method leaves them.
#[derive(Debug, Clone, PartialEq)]
pub struct Qr {
    /// Whether `q` is square.
    pub full_matrices: bool,
}
attrs!(Qr { full_matrices });

impl Op for Qr {
    const SCHEMA: Schema = Schema::new("Qr", "(input: T) -> (q: T, r: T) where T: f32|f64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let dtype = cx.dtype(0);
        let Some(dims) = cx.shape(0).dims() else {
            return Ok(vec![TensorType::new(dtype, PartialShape::unknown()); 2]);
        };
        let [batch @ .., m, n] = dims else {
            return Err(Error::invalid(format!("needs at least rank 2, but the shape is {}", cx.shape(0))));
        };
        let p = if self.full_matrices { *m } else { m.zip(*n).map(|(m, n)| m.min(n)) };
        let matrices = |rows: Dim, columns: Dim| {
            let dims: Vec<Dim> = batch.iter().copied().chain([rows, columns]).collect();
            TensorType::new(dtype, PartialShape::from(dims))
        };
        Ok(vec![matrices(*m, p), matrices(p, *n)])
    }
}

/// The elements `[i, ..., i, ...]` of a tensor of shape `[d1, ..., dk, d1, ..., dk]`: the diagonal of a square matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct DiagPart;
attrs!(DiagPart {});

impl Op for DiagPart {
    const SCHEMA: Schema = Schema::new("DiagPart", "(input: T) -> (diagonal: T) where T: Num");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let Some(dims) = cx.shape(0).dims() else { return cx.output(cx.dtype(0), PartialShape::unknown()) };
        let (rows, columns) = dims.split_at(dims.len() / 2);
        let diagonal = match (dims.len() % 2, rows.is_empty()) {
            (0, false) => PartialShape::from(rows).merge(&PartialShape::from(columns)),
            _ => None,
        };
        match diagonal {
            Some(shape) => cx.output(cx.dtype(0), shape),
            None => Err(Error::invalid(format!(
                "the second half of the dimensions must equal the first, but the shape is {}",
                cx.shape(0)
            ))),
        }
    }
}

/// The factors `q` and `r` of each matrix `[..., m, n]` of `x`: see [`Qr`]. They have no gradient. TensorFlow: `tf.qr`.
///
/// # Panics
/// When `x` has less than two axes.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [5, 3]);
/// let (q, r) = ops::qr(x);
/// assert_eq!((q.ty().to_string(), r.ty().to_string()), ("f32[5,3]".into(), "f32[3,3]".into()));
/// ```
#[track_caller]
pub fn qr(x: impl Into<Tensor>) -> (Tensor, Tensor) {
    let x = x.into();
    let factors = x.graph().op(Qr { full_matrices: false }).input(x).build();
    (factors.output(0), factors.output(1))
}

/// The diagonal of a square matrix. It has no gradient. TensorFlow: `tf.diag_part`.
///
/// # Panics
/// When `x` is not square.
#[track_caller]
pub fn diag_part(x: impl Into<Tensor>) -> Tensor {
    super::unary(DiagPart, "DiagPart", x)
}

#[cfg(test)]
mod tests {
    use tidemill_tensor::DType;

    use super::*;
    use crate::Graph;
    use crate::op::AnyOp;

    #[track_caller]
    fn check(op: &dyn AnyOp, shape: impl Into<PartialShape>, expected: &str) {
        let types = [TensorType::new(DType::F64, shape)];
        let got = match op.checked_infer(&InferCx::new(&types, &crate::NothingKnown)) {
            Ok(outputs) => outputs.iter().map(TensorType::to_string).collect::<Vec<_>>().join(" "),
            Err(e) => e.message().to_owned(),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn factors() {
        let thin = Qr { full_matrices: false };
        check(&thin, [5, 3], "f64[5,3] f64[3,3]");
        check(&thin, [3, 5], "f64[3,3] f64[3,5]");
        check(&thin, [Some(7), None, Some(5)], "f64[7,?,?] f64[7,?,5]");
        check(&thin, PartialShape::unknown(), "f64? f64?");
        check(&thin, [3], "needs at least rank 2, but the shape is [3]");
        check(&Qr { full_matrices: true }, [5, 3], "f64[5,5] f64[5,3]");
    }

    #[test]
    fn diagonals() {
        check(&DiagPart, [3, 3], "f64[3]");
        check(&DiagPart, [Some(3), None], "f64[3]");
        check(&DiagPart, [2, 3, 2, 3], "f64[2,3]");
        check(&DiagPart, PartialShape::unknown(), "f64?");
        let wrong = "the second half of the dimensions must equal the first, but the shape is ";
        check(&DiagPart, [3, 4], &format!("{wrong}[3,4]"));
        check(&DiagPart, [3], &format!("{wrong}[3]"));
        check(&DiagPart, (), &format!("{wrong}[]"));
    }

    #[test]
    fn there_is_no_gradient_and_the_error_says_so() {
        let g = Graph::new();
        let x = g.placeholder(DType::F32, [3, 3]);
        let error = crate::try_gradients([qr(x).0], [x]).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Unimplemented);
    }
}
