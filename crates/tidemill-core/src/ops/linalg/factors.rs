//! Factors of matrices, and functions of matrices that are made of them.

use tidemill_tensor::{DType, Dim, PartialShape};

use super::super::{
    Ix, add, cast, div, equal, expand_dims, index, mul, ones_like, real, reciprocal, select, square, sub,
    unary, zeros_like,
};
use super::{
    Matrices, MatrixTriangularSolve, adjoint, adjoint_product, expect_known_rank, matrix_band_part,
    matrix_diag, matrix_diag_part, matrix_set_diag, product, product_adjoint,
};
use crate::autodiff::{GradCx, Grads};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Eig>()
        .with::<Lu>()
        .with::<MatrixLogarithm>()
        .with::<MatrixSquareRoot>()
        .with::<Qr>()
        .with::<SelfAdjointEigV2>()
        .with::<Svd>()
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
    const SCHEMA: Schema = Schema::new("Qr", "(input: T) -> (q: T, r: T) where T: f16|f32|f64|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let dtype = cx.dtype(0);
        let Some(matrices) = Matrices::of(cx, 0)? else {
            return Ok(vec![TensorType::new(dtype, PartialShape::unknown()); 2]);
        };
        let (m, n) = (matrices.rows, matrices.columns);
        let p = if self.full_matrices { m } else { least(m, n) };
        Ok(vec![TensorType::new(dtype, matrices.with([m, p])), TensorType::new(dtype, matrices.with([p, n]))])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let shape = cx.x_type(0).shape;
        let Some((m, n)) = shape.rank().and_then(|r| shape.dim(r - 2).zip(shape.dim(r - 1))) else {
            return Err(Error::unimplemented("the gradient of Qr needs to know the sizes of the matrices"));
        };
        if m < n || (self.full_matrices && m != n) {
            return Err(Error::unimplemented(format!(
                "the gradient of Qr is known for matrices with at least as many rows as columns, and q as large, not {shape}"
            )));
        }
        let (q, r, dq, dr) = (cx.y(0), cx.y(1), cx.dy(0), cx.dy(1));
        // Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2010).
        let (qdq, rdr) = (adjoint_product(q, dq), product_adjoint(r, dr));
        let skew = |x: Tensor| sub(x, adjoint(x));
        // x r⁻ᴴ
        let by_r = |x: Tensor| {
            let op = MatrixTriangularSolve { lower: false, adjoint: false };
            adjoint(cx.graph().add(op, &[r, adjoint(x)]))
        };
        let tril = matrix_band_part(add(skew(qdq), skew(rdr)), -1, 0);
        let mut da = add(product(q, add(dr, by_r(tril))), by_r(sub(dq, product(q, qdq))));
        if q.dtype().is_complex() {
            // The diagonal of r stays real, and that of qᴴdq is imaginary.
            let diagonal = matrix_diag(matrix_diag_part(sub(rdr, adjoint(qdq))));
            let imaginary = sub(diagonal, cast(real(diagonal), diagonal.dtype()));
            da = add(da, by_r(product(q, adjoint(imaginary))));
        }
        Ok(grads![da])
    }
}

fn least(m: Dim, n: Dim) -> Dim {
    m.zip(n).map(|(m, n)| m.min(n))
}

/// `input = u · diag(s) · vᴴ` for each matrix `[..., m, n]`: the singular values `s`, largest first, and orthonormal columns `u` and `v`.
///
/// With `p = min(m, n)`, `s` is `[..., p]`, `u` `[..., m, p]` and `v` `[..., n, p]`; with `full_matrices`, `u` and `v` are square. Without
/// `compute_uv` they are empty. The sign of each pair of columns is arbitrary.
#[derive(Debug, Clone, PartialEq)]
pub struct Svd {
    /// Whether `u` and `v` are wanted.
    pub compute_uv: bool,
    /// Whether they are square.
    pub full_matrices: bool,
}
attrs!(Svd { compute_uv, full_matrices });

impl Op for Svd {
    const SCHEMA: Schema =
        Schema::new("Svd", "(input: T) -> (s: T, u: T, v: T) where T: f16|f32|f64|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let ty = |shape: PartialShape| TensorType::new(cx.dtype(0), shape);
        let empty = || ty(PartialShape::from([0]));
        let Some(matrices) = Matrices::of(cx, 0)? else {
            let unknown = || ty(PartialShape::unknown());
            return Ok(match self.compute_uv {
                true => vec![unknown(), unknown(), unknown()],
                false => vec![unknown(), empty(), empty()],
            });
        };
        let (m, n) = (matrices.rows, matrices.columns);
        let p = least(m, n);
        let s = ty(matrices.with([p]));
        Ok(match (self.compute_uv, self.full_matrices) {
            (false, _) => vec![s, empty(), empty()],
            (true, false) => vec![s, ty(matrices.with([m, p])), ty(matrices.with([n, p]))],
            (true, true) => vec![s, ty(matrices.with([m, m])), ty(matrices.with([n, n]))],
        })
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let a = cx.x(0);
        let shape = a.shape();
        let Some((m, n)) = shape.rank().and_then(|r| shape.dim(r - 2).zip(shape.dim(r - 1))) else {
            return Err(Error::unimplemented("the gradient of Svd needs to know the sizes of the matrices"));
        };
        if !self.compute_uv {
            // The singular vectors are needed all the same.
            let again = cx.graph().op(Svd { compute_uv: true, full_matrices: false }).input(a).build();
            let (u, v) = (again.output(1), again.output(2));
            return Ok(grads![product_adjoint(mul(u, expand_dims(cx.dy(0), -2)), v)]);
        }
        if a.dtype().is_complex() {
            return Err(Error::unimplemented("the gradient of the singular vectors of complex matrices"));
        }
        if self.full_matrices && m.abs_diff(n) > 1 {
            return Err(Error::unimplemented(
                "the gradient of Svd with full matrices is known where sizes differ by 1 at most",
            ));
        }
        let (s, ds) = (cx.y(0), cx.dy(0));
        // Work with at least as many rows as columns.
        let (u, v, du, dv) = match m >= n {
            true => (cx.y(1), cx.y(2), cx.dy(1), cx.dy(2)),
            false => (cx.y(2), cx.y(1), cx.dy(2), cx.dy(1)),
        };
        let p = m.min(n) as i64;
        let first = |x: Tensor| index(x, (Ix::Ellipsis, Ix::Range(None, Some(p), 1)));
        let (u1, du1) = (first(u), first(du));
        // Giles, "An extended collection of matrix derivative results" (2008); Townsend, "Differentiating the singular value
        // decomposition" (2016).
        let squares = square(s);
        let f = reciprocal_or_zero(sub(expand_dims(squares, -2), expand_dims(squares, -1)));
        let s_row = expand_dims(s, -2);
        let udu = mul(f, adjoint_product(u1, du1));
        let vdv = mul(f, adjoint_product(v, dv));
        let symmetric = |x: Tensor| add(x, adjoint(x));
        let inner =
            add(matrix_diag(ds), add(mul(symmetric(udu), s_row), mul(expand_dims(s, -1), symmetric(vdv))));
        let mut da = product_adjoint(product(u1, inner), v);
        if m != n {
            // What of du lies outside of the space of the columns of u.
            let outside = match self.full_matrices {
                false => sub(du1, product(u1, adjoint_product(u1, du1))),
                true => {
                    let rest = |x: Tensor| index(x, (Ix::Ellipsis, Ix::Range(Some(p), None, 1)));
                    let (u2, du2) = (rest(u), rest(du));
                    let kept = sub(du1, product(u1, adjoint_product(u1, du1)));
                    sub(kept, product(u2, adjoint_product(du2, u1)))
                }
            };
            da = add(da, product_adjoint(div(outside, s_row), v));
        }
        Ok(grads![if m >= n { da } else { adjoint(da) }])
    }
}

/// `1 / x`, but 0 where that is infinite.
fn reciprocal_or_zero(x: Tensor) -> Tensor {
    let zero = equal(x, 0);
    let safe = select(zero, ones_like(x), x);
    select(zero, zeros_like(x), reciprocal(safe))
}

/// `input = v · diag(e) · vᴴ` for each Hermitian matrix, of which only the lower triangle is read: the eigenvalues `e`, smallest first, and
/// orthonormal eigenvectors, the columns of `v`, whose phases are arbitrary. Without `compute_v`, `v` is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfAdjointEigV2 {
    /// Whether `v` is wanted.
    pub compute_v: bool,
}
attrs!(SelfAdjointEigV2 { compute_v });

/// The types of eigenvalues and eigenvectors.
fn eigen(cx: &InferCx, dtype: DType, vectors: bool) -> Result<Vec<TensorType>> {
    let (e, v) = match Matrices::square(cx, 0)? {
        Some(m) => (m.with([m.rows]), m.with([m.rows, m.rows])),
        None => (PartialShape::unknown(), PartialShape::unknown()),
    };
    let v = if vectors { v } else { PartialShape::from([0]) };
    Ok(vec![TensorType::new(dtype, e), TensorType::new(dtype, v)])
}

impl Op for SelfAdjointEigV2 {
    const SCHEMA: Schema =
        Schema::new("SelfAdjointEigV2", "(input: T) -> (e: T, v: T) where T: f16|f32|f64|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        eigen(cx, cx.dtype(0), self.compute_v)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (e, v, de) = (cx.y(0), cx.y(1), cx.dy(0));
        expect_known_rank(cx.x(0))?;
        let da = if self.compute_v {
            let f = reciprocal_or_zero(sub(expand_dims(e, -2), expand_dims(e, -1)));
            let inner = add(matrix_diag(de), mul(f, adjoint_product(v, cx.dy(1))));
            product(v, product_adjoint(inner, v))
        } else {
            let again = cx.graph().op(SelfAdjointEigV2 { compute_v: true }).input(cx.x(0)).build();
            let v = again.output(1);
            product_adjoint(mul(v, expand_dims(de, -2)), v)
        };
        // Only the lower triangle is read: what would flow into the upper one goes there.
        let da = matrix_band_part(add(da, adjoint(da)), -1, 0);
        Ok(grads![matrix_set_diag(da, matrix_diag_part(da) * 0.5)])
    }
}

/// `input · v = v · diag(e)` for each square matrix: the eigenvalues `e`, and eigenvectors, the columns of `v`, of length 1. Without `compute_v`,
/// `v` is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Eig {
    /// Whether `v` is wanted.
    pub compute_v: bool,
}
attrs!(Eig { compute_v });

impl Op for Eig {
    const SCHEMA: Schema =
        Schema::new("Eig", "(input: T) -> (e: Tout, v: Tout) where T: f32|f64|Complex, Tout: Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let dtype = cx.dtype(0);
        eigen(cx, dtype.complex().unwrap_or(dtype), self.compute_v)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (a, e, v, de) = (cx.x(0), cx.y(0), cx.y(1), cx.dy(0));
        expect_known_rank(a)?;
        if !self.compute_v {
            return Err(Error::unimplemented("the gradient of Eig needs the eigenvectors")
                .with_help("ask for them: Eig { compute_v: true }"));
        }
        // Columns of length 1, so that the gradient has nothing along them.
        let f = super::super::conj(reciprocal_or_zero(sub(expand_dims(e, -2), expand_dims(e, -1))));
        let vtgv = adjoint_product(v, cx.dy(1));
        let diagonal = matrix_diag_part(vtgv);
        let along = mul(adjoint_product(v, v), expand_dims(cast(real(diagonal), diagonal.dtype()), -2));
        let inner = add(matrix_diag(de), mul(f, sub(vtgv, along)));
        // v⁻ᴴ inner vᴴ
        let solve = super::MatrixSolve { adjoint: true };
        let da = cx.graph().add(solve, &[v, product_adjoint(inner, v)]);
        Ok(grads![if a.dtype().is_complex() { da } else { real(da) }])
    }
}

/// `input[p] = l · u` for each square matrix, with the rows in the order `p`: `lu` holds `u` on and above the diagonal, and below it `l`, whose
/// diagonal is 1. A matrix without an inverse fails the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Lu {
    /// The dtype of `p`.
    pub output_idx_type: DType,
}
attrs!(Lu { output_idx_type });

impl Op for Lu {
    const SCHEMA: Schema = Schema::new(
        "Lu",
        "(input: T) -> (lu: T, p: output_idx_type) where T: f16|f32|f64|Complex, output_idx_type: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let square = Matrices::square(cx, 0)?;
        let p = square.as_ref().map_or_else(PartialShape::unknown, |m| m.with([m.rows]));
        let lu = square.map_or_else(PartialShape::unknown, |m| m.with([m.rows, m.rows]));
        Ok(vec![TensorType::new(cx.dtype(0), lu), TensorType::new(self.output_idx_type, p)])
    }
}

/// The square root of each matrix: the one whose eigenvalues have real parts that are not negative.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSquareRoot;
attrs!(MatrixSquareRoot {});

impl Op for MatrixSquareRoot {
    const SCHEMA: Schema =
        Schema::new("MatrixSquareRoot", "(input: T) -> (output: T) where T: f16|f32|f64|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Matrices::square(cx, 0)?;
        cx.same_as_input(0)
    }
}

/// The principal logarithm of each matrix: `l` with `exp(l) = input`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixLogarithm;
attrs!(MatrixLogarithm {});

impl Op for MatrixLogarithm {
    const SCHEMA: Schema = Schema::new("MatrixLogarithm", "(input: T) -> (output: T) where T: Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Matrices::square(cx, 0)?;
        cx.same_as_input(0)
    }
}

/// The factors `q` and `r` of each matrix `[..., m, n]` of `x`: see [`Qr`]. TensorFlow: `tf.qr`.
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

/// The singular values and vectors `(s, u, v)` of each matrix `[..., m, n]`: see [`Svd`]. TensorFlow: `tf.svd`.
///
/// # Panics
/// When `x` has less than two axes.
#[track_caller]
pub fn svd(x: impl Into<Tensor>) -> (Tensor, Tensor, Tensor) {
    let x = x.into();
    let factors = x.graph().op(Svd { compute_uv: true, full_matrices: false }).input(x).build();
    (factors.output(0), factors.output(1), factors.output(2))
}

/// The eigenvalues and eigenvectors `(e, v)` of each Hermitian matrix `[..., n, n]`: see [`SelfAdjointEigV2`].
/// TensorFlow: `tf.self_adjoint_eig`.
///
/// # Panics
/// When the matrices are not square.
#[track_caller]
pub fn self_adjoint_eig(x: impl Into<Tensor>) -> (Tensor, Tensor) {
    let x = x.into();
    let factors =
        x.graph().op(SelfAdjointEigV2 { compute_v: true }).name("SelfAdjointEigV2").input(x).build();
    (factors.output(0), factors.output(1))
}

/// The eigenvalues and eigenvectors `(e, v)` of each square matrix `[..., n, n]`, as complex numbers: see [`Eig`].
/// TensorFlow: `tf.linalg.eig`.
///
/// # Panics
/// When the matrices are not square.
#[track_caller]
pub fn eig(x: impl Into<Tensor>) -> (Tensor, Tensor) {
    let x = x.into();
    let factors = x.graph().op(Eig { compute_v: true }).input(x).build();
    (factors.output(0), factors.output(1))
}

/// The factors `lu` and the order `p` of the rows (as `i32`) of each square matrix `[..., n, n]`: see [`Lu`]. They have no gradient.
/// TensorFlow: `tf.linalg.lu`.
///
/// # Panics
/// When the matrices are not square.
#[track_caller]
pub fn lu(x: impl Into<Tensor>) -> (Tensor, Tensor) {
    let x = x.into();
    let factors = x.graph().op(Lu { output_idx_type: DType::I32 }).input(x).build();
    (factors.output(0), factors.output(1))
}

/// The square root of each matrix `[..., n, n]`: see [`MatrixSquareRoot`]. It has no gradient. TensorFlow: `tf.linalg.sqrtm`.
///
/// # Panics
/// When the matrices are not square.
#[track_caller]
pub fn sqrtm(x: impl Into<Tensor>) -> Tensor {
    unary(MatrixSquareRoot, "MatrixSquareRoot", x)
}

/// The principal logarithm of each complex matrix `[..., n, n]`. It has no gradient. TensorFlow: `tf.linalg.logm`.
///
/// # Panics
/// When the matrices are not square or not complex.
#[track_caller]
pub fn logm(x: impl Into<Tensor>) -> Tensor {
    unary(MatrixLogarithm, "MatrixLogarithm", x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::AnyOp;
    use crate::ops::DiagPart;

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
        check(&Svd { compute_uv: true, full_matrices: false }, [2, 5, 3], "f64[2,3] f64[2,5,3] f64[2,3,3]");
        check(&Svd { compute_uv: false, full_matrices: false }, [5, 3], "f64[3] f64[0] f64[0]");
        check(&Eig { compute_v: true }, [Some(4), None, Some(3)], "c128[4,3] c128[4,3,3]");
        check(&Eig { compute_v: true }, [2, 3], "matrices must be square, but the shape is [2,3]");
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
}
