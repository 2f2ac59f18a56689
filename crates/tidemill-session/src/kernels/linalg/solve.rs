//! Kernels of `ops::linalg::solve`.

use tidemill_core::ops::{
    BandedTriangularSolve, Cholesky, CholeskyGrad, LogMatrixDeterminant, MatrixDeterminant, MatrixInverse,
    MatrixSolve, MatrixSolveLs, MatrixTriangularSolve, TridiagonalMatMul, TridiagonalSolve,
};
use tidemill_core::{Error, Result};

use super::super::{CompileCx, Compiled, KernelTable};
use super::decompose::{self, invertible, lu, lu_solve, triangular_solve};
use super::matrix::{C, Matrix, batched, epsilon};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Cholesky>(|_, cx| batched(cx, |[a]| Ok(vec![positive_root(a)?])));
    table.compiled::<CholeskyGrad>(|_, cx| batched(cx, |[l, dl]| Ok(vec![cholesky_grad(l, dl)])));
    table.compiled::<MatrixInverse>(|op, cx| {
        let adjoint = op.adjoint;
        batched(cx, move |[a]| {
            let (factors, p) = factors(a, adjoint, "Input is not invertible.")?;
            Ok(vec![lu_solve(&factors, &p, &Matrix::identity(a.rows))])
        })
    });
    table.compiled::<MatrixDeterminant>(|_, cx| {
        batched(cx, |[a]| {
            let (sign, log) = determinant(a);
            // A product of all pivots may overflow where this does not.
            Ok(vec![Matrix::scalar(if sign == C::ZERO { sign } else { sign * log.exp() })])
        })
    });
    table.compiled::<LogMatrixDeterminant>(|_, cx| {
        batched(cx, |[a]| {
            let (sign, log) = determinant(a);
            Ok(vec![Matrix::scalar(sign), Matrix::scalar(log.into())])
        })
    });
    table.compiled::<MatrixSolve>(|op, cx| {
        let adjoint = op.adjoint;
        fitting(cx, move |[a, b]| {
            let (factors, p) = factors(a, adjoint, "Input matrix is not invertible.")?;
            Ok(vec![lu_solve(&factors, &p, b)])
        })
    });
    table.compiled::<MatrixTriangularSolve>(|op, cx| {
        let op = op.clone();
        fitting(cx, move |[a, b]| Ok(vec![triangular(a, b, op.lower, op.adjoint)?]))
    });
    table.compiled::<BandedTriangularSolve>(banded);
    table.compiled::<MatrixSolveLs>(least_squares);
    table.compiled::<TridiagonalSolve>(|op, cx| {
        let (pivoting, perturb) = (op.partial_pivoting, op.perturb_singular.unwrap_or(false));
        let eps = epsilon(cx.dtype(0));
        fitting_of(cx, 1, move |[d, b]| Ok(vec![tridiagonal_solve(d, b, pivoting, perturb.then_some(eps))?]))
    });
    table.compiled::<TridiagonalMatMul>(|_, cx| {
        batched(cx, |[above, main, below, x]| {
            let n = x.rows;
            Ok(vec![Matrix::from_fn(n, x.columns, |i, j| {
                let mut sum = main.data[i] * x[[i, j]];
                if i + 1 < n {
                    sum += above.data[i] * x[[i + 1, j]];
                }
                if i > 0 {
                    sum += below.data[i] * x[[i - 1, j]];
                }
                sum
            })])
        })
    });
}

/// [`batched`] of a matrix and a right-hand side of as many rows, which a node that is typed in the run has not been checked for.
fn fitting(
    cx: &CompileCx,
    f: impl Fn(&[Matrix; 2]) -> Result<Vec<Matrix>> + Send + Sync + 'static,
) -> Result<Compiled> {
    fitting_of(cx, 0, f)
}

/// The same, where the matrix's size is that of its last axis or, for `axis` 0, the one before.
fn fitting_of(
    cx: &CompileCx,
    axis: usize,
    f: impl Fn(&[Matrix; 2]) -> Result<Vec<Matrix>> + Send + Sync + 'static,
) -> Result<Compiled> {
    let (a, b) = (cx.shape(0), cx.shape(1));
    let size = |shape: &tidemill_core::Shape, back: usize| shape.iter().rev().nth(back).copied();
    if size(&a, 1 - axis) != size(&b, 1) {
        return Err(Error::invalid(format!("the matrix of shape {a} and `rhs` of shape {b} do not fit")));
    }
    batched(cx, f)
}

fn positive_root(a: &Matrix) -> Result<Matrix> {
    decompose::cholesky(a).ok_or_else(|| {
        Error::invalid("Cholesky decomposition was not successful. The input might not be valid.")
    })
}

/// Iain Murray, "Differentiation of the Cholesky decomposition" (2016).
fn cholesky_grad(l: &Matrix, dl: &Matrix) -> Matrix {
    let n = l.rows;
    let lower = Matrix::from_fn(n, n, |i, j| if i >= j { dl[[i, j]] } else { C::ZERO });
    let mut middle = l.adjoint().times(&lower);
    for i in 0..n {
        middle[[i, i]] *= 0.5;
        (i + 1..n).for_each(|j| middle[[i, j]] = C::ZERO);
    }
    // l⁻ᴴ middle l⁻¹
    let upper = l.adjoint();
    let left = triangular_solve(&upper, &middle, false, false);
    let both = triangular_solve(&upper, &left.adjoint(), false, false).adjoint();
    Matrix::from_fn(n, n, |i, j| (both[[i, j]] + both[[j, i]].conj()) * 0.5)
}

/// The factors of a matrix that must have an inverse.
fn factors(a: &Matrix, adjoint: bool, message: &str) -> Result<(Matrix, Vec<usize>)> {
    let mut factors = if adjoint { a.adjoint() } else { a.clone() };
    let (p, _) = lu(&mut factors);
    if invertible(&factors) { Ok((factors, p)) } else { Err(Error::invalid(message)) }
}

/// The determinant as a number of modulus 1, or 0, and the logarithm of its modulus.
fn determinant(a: &Matrix) -> (C, f64) {
    let mut factors = a.clone();
    let (_, sign) = lu(&mut factors);
    let (mut phase, mut log) = (C::from(sign), 0.0);
    for i in 0..a.rows {
        let pivot = factors[[i, i]];
        let modulus = pivot.norm();
        if modulus == 0.0 {
            return (C::ZERO, f64::NEG_INFINITY);
        }
        phase *= pivot / modulus;
        log += modulus.ln();
    }
    (phase, log)
}

fn triangular(a: &Matrix, b: &Matrix, lower: bool, adjoint: bool) -> Result<Matrix> {
    if (0..a.rows).any(|i| a[[i, i]] == C::ZERO) {
        return Err(Error::invalid("Input matrix is not invertible."));
    }
    Ok(match adjoint {
        true => triangular_solve(&a.adjoint(), b, !lower, false),
        false => triangular_solve(a, b, lower, false),
    })
}

fn banded(op: &BandedTriangularSolve, cx: &CompileCx) -> Result<Compiled> {
    let op = op.clone();
    fitting_of(cx, 1, move |[bands, b]| {
        let (k, m) = (bands.rows, bands.columns);
        if k == 0 || k > m.max(1) {
            return Err(Error::invalid(format!("there must be 1 to {m} bands, not {k}")));
        }
        let a = Matrix::from_fn(m, m, |i, j| match op.lower {
            // Below the main diagonal bands are filled up at the left, above it at the right.
            true if i >= j && i - j < k => bands[[i - j, i]],
            false if j >= i && j - i < k => bands[[k - 1 - (j - i), i]],
            _ => C::ZERO,
        });
        Ok(vec![triangular(&a, b, op.lower, op.adjoint)?])
    })
}

fn least_squares(op: &MatrixSolveLs, cx: &CompileCx) -> Result<Compiled> {
    let Some(l2) = cx.value(2).and_then(|v| v.get_f64(0)) else { return Ok(Compiled::Deferred) };
    if op.fast && l2 < 0.0 {
        return Err(Error::invalid("l2_regularizer must be >= 0"));
    }
    let (fast, complex, eps) = (op.fast, cx.dtype(0).is_complex(), epsilon(cx.dtype(0)));
    fitting(cx, move |[a, b]| {
        let adjoint = a.adjoint();
        if !fast {
            let found = decompose::svd(a, eps, complex);
            let (s, u, v) = found.ok_or_else(|| Error::invalid("the input might not be valid"))?;
            let least = eps * a.rows.max(a.columns) as f64 * s.first().copied().unwrap_or(0.0);
            let mut y = u.first_columns(s.len()).adjoint().times(b);
            for (i, s) in s.iter().enumerate() {
                (0..y.columns).for_each(|j| y[[i, j]] = if *s > least { y[[i, j]] / *s } else { C::ZERO });
            }
            return Ok(vec![v.first_columns(s.len()).times(&y)]);
        }
        let tall = a.rows >= a.columns;
        let mut square = if tall { adjoint.times(a) } else { a.times(&adjoint) };
        (0..square.rows).for_each(|i| square[[i, i]] += l2);
        let l = positive_root(&square)?;
        let solve =
            |b: &Matrix| triangular_solve(&l.adjoint(), &triangular_solve(&l, b, true, false), false, false);
        Ok(vec![if tall { solve(&adjoint.times(b)) } else { adjoint.times(&solve(b)) }])
    })
}

/// Gauss's elimination on three diagonals, with a fourth that pivoting fills.
fn tridiagonal_solve(d: &Matrix, b: &Matrix, pivoting: bool, perturb: Option<f64>) -> Result<Matrix> {
    let n = d.columns;
    // Row i of the triangle: at i, i + 1 and i + 2.
    let mut rows: Vec<[C; 3]> =
        (0..n).map(|i| [d[[1, i]], if i + 1 < n { d[[0, i]] } else { C::ZERO }, C::ZERO]).collect();
    let mut x = b.clone();
    let largest = d.largest();
    let checked = |rows: &mut Vec<[C; 3]>, i: usize| match (rows[i][0] == C::ZERO, perturb) {
        (false, _) => Ok(()),
        (true, Some(eps)) => {
            rows[i][0] = C::from(eps * largest.max(f64::MIN_POSITIVE));
            Ok(())
        }
        (true, None) => Err(Error::invalid("the matrix is not invertible, or needs pivoting")),
    };
    for i in 0..n.saturating_sub(1) {
        let mut below = [d[[2, i + 1]], rows[i + 1][0], rows[i + 1][1]];
        if pivoting && below[0].norm() > rows[i][0].norm() {
            std::mem::swap(&mut below, &mut rows[i]);
            x.exchange_rows(i, i + 1);
        }
        checked(&mut rows, i)?;
        let factor = below[0] / rows[i][0];
        rows[i + 1] = [below[1] - factor * rows[i][1], below[2] - factor * rows[i][2], C::ZERO];
        for j in 0..x.columns {
            let step = factor * x[[i, j]];
            x[[i + 1, j]] -= step;
        }
    }
    if n > 0 {
        checked(&mut rows, n - 1)?;
    }
    for i in (0..n).rev() {
        for j in 0..x.columns {
            let mut rest = x[[i, j]];
            for ahead in 1..3 {
                if i + ahead < n {
                    rest -= rows[i][ahead] * x[[i + ahead, j]];
                }
            }
            x[[i, j]] = rest / rows[i][0];
        }
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use tidemill_core::{Op, Value};

    use super::super::super::testing::{eval, try_eval};
    use super::*;

    #[track_caller]
    fn check(op: impl Op, inputs: &[Value], want: impl Into<Value>) {
        let (got, want) = (&eval(op, inputs)[0], want.into());
        assert!(got.allclose(&want, 1e-12, 1e-12), "{got} is not {want}");
    }

    #[test]
    fn solves() {
        let a = || Value::from([[2.0, 1.0], [1.0, 3.0]]);
        let b = || Value::from([[3.0], [5.0]]);
        check(MatrixSolve { adjoint: false }, &[a(), b()], [[0.8], [1.4]]);
        check(MatrixInverse { adjoint: false }, &[a()], [[0.6, -0.2], [-0.2, 0.4]]);
        check(MatrixDeterminant, &[a()], 5.0);
        check(Cholesky, &[[[4.0, 9.0], [2.0, 5.0]].into()], [[2.0, 0.0], [1.0, 2.0]]);
        let lower = MatrixTriangularSolve { lower: true, adjoint: false };
        check(
            lower,
            &[[[2.0, 9.0], [1.0, 4.0]].into(), [[[2.0], [9.0]], [[4.0], [2.0]]].into()],
            [[[1.0], [2.0]], [[2.0], [0.0]]],
        );
        let bands = Value::from([[2.0, 4.0], [0.0, 1.0]]);
        check(
            BandedTriangularSolve { lower: true, adjoint: false },
            &[bands, [[2.0], [9.0]].into()],
            [[1.0], [2.0]],
        );
        let diagonals = Value::from([[1.0, 1.0, 0.0], [0.0, 2.0, 3.0], [0.0, 4.0, 1.0]]);
        let x = Value::from([[1.0], [2.0], [3.0]]);
        let product = Value::from([[2.0], [11.0], [11.0]]);
        let op = |partial_pivoting| TridiagonalSolve { partial_pivoting, perturb_singular: None };
        check(op(true), &[diagonals.clone(), product.clone()], x);
        assert!(try_eval(op(false), &[diagonals, product]).is_err());
    }

    #[test]
    fn least_squares() {
        let a = || Value::from([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]);
        let b = || Value::from([[1.0], [2.0], [4.0]]);
        for fast in [false, true] {
            check(MatrixSolveLs { fast }, &[a(), b(), 0.0.into()], [[1.0], [3.0]]);
        }
    }

    #[test]
    fn singular_matrices_are_refused() {
        let singular = || Value::from([[1.0, 2.0], [2.0, 4.0]]);
        assert!(try_eval(MatrixInverse { adjoint: false }, &[singular()]).is_err());
        assert!(try_eval(Cholesky, &[[[-1.0]].into()]).is_err());
        check(MatrixDeterminant, &[singular()], 0.0);
    }
}
