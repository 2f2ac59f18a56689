//! Kernels of `ops::linalg::factors`.

use tidemill_core::ops::{Eig, Lu, MatrixLogarithm, MatrixSquareRoot, Qr, SelfAdjointEigV2, Svd};
use tidemill_core::{Error, Result};

use super::super::{CompileCx, Compiled, KernelTable};
use super::decompose;
use super::matrix::{C, Matrix, batched, epsilon};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Eig>(|_, cx| {
        let eps = epsilon(cx.dtype(0));
        batched(cx, move |[a]| {
            let (e, v) = decompose::eigen(a, eps).ok_or_else(diverged)?;
            Ok(vec![Matrix::vector(e), v])
        })
    });
    table.compiled::<Lu>(|_, cx| {
        batched(cx, |[a]| {
            let mut lu = a.clone();
            let (p, _) = decompose::lu(&mut lu);
            if !decompose::invertible(&lu) {
                return Err(Error::invalid("Input is not invertible."));
            }
            Ok(vec![lu, Matrix::vector(p.into_iter().map(|i| C::from(i as f64)).collect())])
        })
    });
    table.compiled::<MatrixLogarithm>(|_, cx| function(cx, decompose::triangular_logarithm));
    table.compiled::<MatrixSquareRoot>(|_, cx| function(cx, decompose::triangular_root));
    table.compiled::<Qr>(|op, cx| {
        let full = op.full_matrices;
        batched(cx, move |[a]| {
            let (q, r) = decompose::qr(a);
            if full {
                return Ok(vec![q, r]);
            }
            let p = a.rows.min(a.columns);
            Ok(vec![q.first_columns(p), Matrix::from_fn(p, a.columns, |i, j| r[[i, j]])])
        })
    });
    table.compiled::<SelfAdjointEigV2>(|_, cx| {
        let eps = epsilon(cx.dtype(0));
        batched(cx, move |[a]| {
            let (e, v) = decompose::hermitian_eigen(a, eps).ok_or_else(diverged)?;
            Ok(vec![Matrix::vector(e.into_iter().map(C::from).collect()), v])
        })
    });
    table.compiled::<Svd>(|op, cx| {
        let (full, complex, eps) = (op.full_matrices, cx.dtype(0).is_complex(), epsilon(cx.dtype(0)));
        batched(cx, move |[a]| {
            let (s, u, v) = decompose::svd(a, eps, complex).ok_or_else(diverged)?;
            let p = s.len();
            let (u, v) = if full { (u, v) } else { (u.first_columns(p), v.first_columns(p)) };
            Ok(vec![Matrix::vector(s.into_iter().map(C::from).collect()), u, v])
        })
    });
}

fn diverged() -> Error {
    Error::invalid("the decomposition did not converge; the input might not be valid")
}

/// A function of matrices by that of upper triangular ones.
fn function(cx: &CompileCx, of_triangle: fn(&Matrix) -> Matrix) -> Result<Compiled> {
    let eps = epsilon(tidemill_core::DType::F64);
    batched(cx, move |[a]| {
        let (t, u) = decompose::schur(a, eps).ok_or_else(diverged)?;
        Ok(vec![u.times(&of_triangle(&t)).times(&u.adjoint())])
    })
}

#[cfg(test)]
mod tests {
    use tidemill_core::Value;

    use super::super::super::testing::{eval, try_eval};
    use super::*;

    #[track_caller]
    fn check(got: &Value, want: impl Into<Value>) {
        let want = want.into();
        assert!(got.allclose(&want, 1e-12, 1e-12), "{got} is not {want}");
    }

    #[test]
    fn small_factors() {
        let a = Value::from([[3.0, 1.0], [4.0, 2.0]]);
        let qr = eval(Qr { full_matrices: false }, std::slice::from_ref(&a));
        check(&qr[0], [[-0.6, -0.8], [-0.8, 0.6]]);
        check(&qr[1], [[-5.0, -2.2], [0.0, 0.4]]);
        let lu = eval(Lu { output_idx_type: tidemill_core::DType::I32 }, &[a]);
        check(&lu[0], [[4.0, 2.0], [0.75, -0.5]]);
        check(&lu[1], [1, 0]);
        let symmetric = Value::from([[[2.0, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, -1.0]]]);
        let e = eval(SelfAdjointEigV2 { compute_v: true }, std::slice::from_ref(&symmetric));
        check(&e[0], [[1.0, 3.0], [-1.0, 1.0]]);
        let s = eval(Svd { compute_uv: false, full_matrices: false }, &[symmetric]);
        check(&s[0], [[3.0, 1.0], [1.0, 1.0]]);
        let root = eval(MatrixSquareRoot, &[[[4.0, 0.0], [0.0, 9.0]].into()]);
        check(&root[0], [[2.0, 0.0], [0.0, 3.0]]);
        let singular = Value::from([[1.0, 2.0], [2.0, 4.0]]);
        assert!(try_eval(Lu { output_idx_type: tidemill_core::DType::I32 }, &[singular]).is_err());
    }

    #[test]
    fn empty_matrices() {
        let empty = Value::zeros(tidemill_core::DType::F32, [2, 0, 3]).unwrap();
        let qr = eval(Qr { full_matrices: true }, std::slice::from_ref(&empty));
        assert_eq!((qr[0].shape().dims(), qr[1].shape().dims()), (&[2, 0, 0][..], &[2, 0, 3][..]));
        let s = eval(Svd { compute_uv: true, full_matrices: true }, &[empty]);
        check(
            &s[2].cast(tidemill_core::DType::F64),
            [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]; 2],
        );
    }
}
