//! Systems of linear equations, inverses and determinants.

use tidemill_tensor::PartialShape;

use super::super::broadcast::{Span, unbroadcast_span};
use super::super::{add, cast, conj, index, mul, multiply, reduce_sum_with, stack, unary, zeros_like};
use super::{
    Matrices, adjoint, adjoint_product, beside_matrices, expect_known_rank, matrix_band_part,
    matrix_diag_part, matrix_set_diag, product, product_adjoint,
};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::ops::{Ix, matrix_transpose};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<BandedTriangularSolve>()
        .with::<Cholesky>()
        .with::<CholeskyGrad>()
        .with::<LogMatrixDeterminant>()
        .with::<MatrixDeterminant>()
        .with::<MatrixInverse>()
        .with::<MatrixSolve>()
        .with::<MatrixSolveLs>()
        .with::<MatrixTriangularSolve>()
        .with::<TridiagonalMatMul>()
        .with::<TridiagonalSolve>()
}

/// The type of `x` in `a x = rhs`, where `a` has these sizes as far as it is a matrix: `[..., n, k]` for `rhs: [..., m, k]`.
fn solution(cx: &InferCx, a: Option<Matrices>, broadcasts: bool) -> Result<Vec<TensorType>> {
    let (Some(a), Some(rhs)) = (a, Matrices::of(cx, 1)?) else {
        return cx.output(cx.dtype(0), PartialShape::unknown());
    };
    if matches!((a.rows, rhs.rows), (Some(m), Some(n)) if m != n) {
        let (a, b) = (cx.shape(0), cx.shape(1));
        return Err(Error::invalid(format!("the matrix of shape {a} and `rhs` of shape {b} differ in rows")));
    }
    let batch = if broadcasts { a.batch.broadcast(&rhs.batch) } else { a.batch.merge(&rhs.batch) };
    match batch {
        Some(batch) => {
            cx.output(cx.dtype(0), batch.concatenate(&PartialShape::from([a.columns, rhs.columns])))
        }
        None => Err(Error::invalid(format!("the batches {} and {} do not fit together", a.batch, rhs.batch))),
    }
}

/// The lower triangular `l` with `l lᴴ = input`, for each Hermitian positive definite matrix, of which only the lower triangle is read.
/// Any other fails the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Cholesky;
attrs!(Cholesky {});

impl Op for Cholesky {
    const SCHEMA: Schema = Schema::new("Cholesky", "(input: T) -> (output: T) where T: f16|f32|f64|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Matrices::square(cx, 0)?;
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (l, dl) = (cx.y(0), cx.dy(0));
        expect_known_rank(l)?;
        // Iain Murray, "Differentiation of the Cholesky decomposition" (2016), by symbols.
        let inverse = cx.graph().add(MatrixInverse { adjoint: false }, &[l]);
        let middle = adjoint_product(l, dl);
        let middle = matrix_set_diag(middle, matrix_diag_part(middle) * 0.5);
        let middle = matrix_band_part(middle, -1, 0);
        let da = product(adjoint_product(inverse, middle), inverse);
        Ok(grads![add(da, adjoint(da)) * 0.5])
    }
}

/// The gradient of [`Cholesky`] by its result `l` and what flows into that, as one op: of graph files of old.
#[derive(Debug, Clone, PartialEq)]
pub struct CholeskyGrad;
attrs!(CholeskyGrad {});

impl Op for CholeskyGrad {
    const SCHEMA: Schema = Schema::new("CholeskyGrad", "(l: T, grad: T) -> (output: T) where T: f16|f32|f64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Matrices::square(cx, 0)?;
        cx.output(cx.dtype(0), cx.merged()?)
    }
}

/// The inverse of each matrix. One that has none fails the run.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixInverse {
    /// Invert the conjugate transposes.
    pub adjoint: bool,
}
attrs!(MatrixInverse { adjoint });

impl Op for MatrixInverse {
    const SCHEMA: Schema =
        Schema::new("MatrixInverse", "(input: T) -> (output: T) where T: f16|f32|f64|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Matrices::square(cx, 0)?;
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (inverse, dy) = (cx.y(0), cx.dy(0));
        if self.adjoint {
            // y = (x⁻¹)ᴴ
            return Ok(grads![-product(product_adjoint(inverse, dy), inverse)]);
        }
        Ok(grads![-adjoint_product(inverse, product_adjoint(dy, inverse))])
    }
}

/// The determinant of each matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixDeterminant;
attrs!(MatrixDeterminant {});

impl Op for MatrixDeterminant {
    const SCHEMA: Schema =
        Schema::new("MatrixDeterminant", "(input: T) -> (output: T) where T: f16|f32|f64|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = Matrices::square(cx, 0)?.map_or_else(PartialShape::unknown, |m| m.batch);
        cx.output(cx.dtype(0), shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let inverse = cx.graph().add(MatrixInverse { adjoint: true }, &[cx.x(0)]);
        Ok(grads![beside_matrices(multiply(cx.dy(0), conj(cx.y(0)))) * inverse])
    }
}

/// The determinant of each matrix as `sign · exp(log_abs_determinant)`. Where it is 0, `sign` is 0 and the logarithm -∞.
#[derive(Debug, Clone, PartialEq)]
pub struct LogMatrixDeterminant;
attrs!(LogMatrixDeterminant {});

impl Op for LogMatrixDeterminant {
    const SCHEMA: Schema = Schema::new(
        "LogMatrixDeterminant",
        "(input: T) -> (sign: T, log_abs_determinant: T) where T: f16|f32|f64|Complex",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = Matrices::square(cx, 0)?.map_or_else(PartialShape::unknown, |m| m.batch);
        Ok(vec![TensorType::new(cx.dtype(0), shape); 2])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let inverse = cx.graph().add(MatrixInverse { adjoint: true }, &[cx.x(0)]);
        Ok(grads![beside_matrices(cx.dy(1)) * inverse])
    }
}

/// `x` with `matrix · x = rhs`. A matrix without an inverse fails the run.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSolve {
    /// Solve with the conjugate transposes of the matrices.
    pub adjoint: bool,
}
attrs!(MatrixSolve { adjoint });

impl Op for MatrixSolve {
    const SCHEMA: Schema =
        Schema::new("MatrixSolve", "(matrix: T, rhs: T) -> (output: T) where T: f16|f32|f64|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        solution(cx, Matrices::square(cx, 0)?, false)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (a, x, dx) = (cx.x(0), cx.y(0), cx.dy(0));
        let db = cx.graph().add(MatrixSolve { adjoint: !self.adjoint }, &[a, dx]);
        let da = cx.wanted(0, || match self.adjoint {
            true => -product_adjoint(x, db),
            false => -product_adjoint(db, x),
        });
        Ok(grads![da, db])
    }
}

/// `x` with `matrix · x = rhs` for triangular matrices, of which the other triangle is not read; batches broadcast. A zero on the
/// diagonal fails the run.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixTriangularSolve {
    /// Whether the lower triangle is the matrix, or the upper.
    pub lower: bool,
    /// Solve with the conjugate transposes of the matrices.
    pub adjoint: bool,
}
attrs!(MatrixTriangularSolve { lower, adjoint });

impl Op for MatrixTriangularSolve {
    const SCHEMA: Schema =
        Schema::new("MatrixTriangularSolve", "(matrix: T, rhs: T) -> (output: T) where T: Float|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        solution(cx, Matrices::square(cx, 0)?, true)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (a, b, x) = (cx.x(0), cx.x(1), cx.y(0));
        let op = MatrixTriangularSolve { lower: self.lower, adjoint: !self.adjoint };
        let db = cx.graph().add(op, &[a, cx.dy(0)]);
        let da = cx.wanted(0, || {
            let da = if self.adjoint { -product_adjoint(x, db) } else { -product_adjoint(db, x) };
            let da = if self.lower { matrix_band_part(da, -1, 0) } else { matrix_band_part(da, 0, -1) };
            unbroadcast_span(da, Span::batch(a), Span::batch(b))
        });
        Ok(grads![da, cx.wanted(1, || unbroadcast_span(db, Span::batch(b), Span::batch(a)))])
    }
}

/// [`MatrixTriangularSolve`] of matrices given by their `k` diagonals, `bands: [..., k, m]`: of lower triangles the main diagonal is the first
/// row, of upper ones the last; diagonals above are filled up at the right, those below at the left.
#[derive(Debug, Clone, PartialEq)]
pub struct BandedTriangularSolve {
    /// Whether the matrices are lower triangular.
    pub lower: bool,
    /// Solve with the conjugate transposes of the matrices.
    pub adjoint: bool,
}
attrs!(BandedTriangularSolve { lower, adjoint });

impl Op for BandedTriangularSolve {
    const SCHEMA: Schema = Schema::new(
        "BandedTriangularSolve",
        "(matrix: T, rhs: T) -> (output: T) where T: f16|f32|f64|Complex",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let bands = Matrices::of(cx, 0)?;
        if let Some(Matrices { rows: Some(k), columns: Some(m), .. }) = &bands
            && (*k == 0 || k > m)
        {
            return Err(Error::invalid(format!("there must be 1 to {m} bands, not {k}")));
        }
        solution(cx, bands.map(|m| Matrices { rows: m.columns, ..m }), true)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (a, b, x) = (cx.x(0), cx.x(1), cx.y(0));
        let op = BandedTriangularSolve { lower: self.lower, adjoint: !self.adjoint };
        let db = cx.graph().add(op, &[a, cx.dy(0)]);
        let da = match cx.needs(0) {
            false => None,
            true => {
                let Some(k) = a.shape().rank().and_then(|rank| a.shape().dim(rank - 2)) else {
                    return Err(Error::unimplemented("this gradient needs to know the number of bands"));
                };
                let da = if self.adjoint { -product_adjoint(x, db) } else { -product_adjoint(db, x) };
                let k = k as i32 - 1;
                let diagonals = if self.lower { [-k, 0] } else { [0, k] };
                let part =
                    cx.graph().op(super::MatrixDiagPartV3 { align: "LEFT_RIGHT".to_owned() }).input(da);
                let padding = tidemill_tensor::Value::scalar(0.0).cast(da.dtype());
                let bands = part.constant("k", diagonals).constant("padding_value", padding).tensor();
                // One band is a vector to the op, and a row to this one.
                let bands = if k == 0 { super::expand_dims(bands, -2) } else { bands };
                Some(unbroadcast_span(bands, Span::batch(a), Span::batch(b)))
            }
        };
        Ok(grads![da, cx.wanted(1, || unbroadcast_span(db, Span::batch(b), Span::batch(a)))])
    }
}

/// The `x` that makes `|matrix · x - rhs|² + l2_regularizer |x|²` least; of several, if not `fast`, the shortest.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSolveLs {
    /// Solve the normal equations; otherwise, decompose the matrix and disregard the regulariser.
    pub fast: bool,
}
attrs!(MatrixSolveLs { fast });

impl Op for MatrixSolveLs {
    const SCHEMA: Schema = Schema::new(
        "MatrixSolveLs",
        "(matrix: T, rhs: T, l2_regularizer: f64) -> (output: T) where T: f16|f32|f64|Complex",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(2, 0)?;
        solution(cx, Matrices::of(cx, 0)?, false)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        if !self.fast {
            return Err(Error::unimplemented("the gradient of least squares is known for fast = true only"));
        }
        let (a, b, l2, x, dx) = (cx.x(0), cx.x(1), cx.x(2), cx.y(0), cx.dy(0));
        let shape = a.shape();
        let sizes: Option<(usize, usize)> = shape.rank().and_then(|r| shape.dim(r - 2).zip(shape.dim(r - 1)));
        let Some((m, n)) = sizes else {
            return Err(Error::unimplemented("this gradient needs to know the sizes of the matrices"));
        };
        let l2 = cast(l2, a.dtype());
        // C = aᴴa + l2 or aaᴴ + l2, whichever is smaller, and its inverse times something.
        let regularised = |c: Tensor| matrix_set_diag(c, add(matrix_diag_part(c), l2));
        let solve = |c: Tensor, rhs: Tensor| cx.graph().add(MatrixSolve { adjoint: false }, &[c, rhs]);
        let (da, db) = if m >= n {
            let z = solve(regularised(adjoint_product(a, a)), dx);
            let xzt = product_adjoint(x, z);
            let da = product(a, -(xzt + product_adjoint(z, x))) + product_adjoint(b, z);
            (da, product(a, z))
        } else {
            // x = aᴴ w with (a aᴴ + l2) w = b.
            let c = regularised(product_adjoint(a, a));
            let (w, db) = (solve(c, b), solve(c, product(a, dx)));
            let da = product_adjoint(w, dx - adjoint_product(a, db)) - product_adjoint(db, x);
            (da, db)
        };
        Ok(grads![da, db, NoGrad])
    }
}

/// `x` with `a x = rhs: [..., m, k]` for tridiagonal matrices `a`, given as `diagonals: [..., 3, m]`: above the main one (whose last element is not
/// read), the main one, below it (whose first element is not read).
#[derive(Debug, Clone, PartialEq)]
pub struct TridiagonalSolve {
    /// Exchange rows where that loses fewer digits.
    pub partial_pivoting: bool,
    /// Disturb singular matrices slightly instead of failing.
    pub perturb_singular: Option<bool>,
}
attrs!(TridiagonalSolve { partial_pivoting, perturb_singular });

impl Op for TridiagonalSolve {
    const SCHEMA: Schema =
        Schema::new("TridiagonalSolve", "(diagonals: T, rhs: T) -> (output: T) where T: f32|f64|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let diagonals = Matrices::of(cx, 0)?;
        if let Some(Matrices { rows: Some(rows), .. }) = &diagonals
            && *rows != 3
        {
            return Err(Error::invalid(format!("`diagonals` must have 3 rows, not {rows}")));
        }
        solution(cx, diagonals.map(|d| Matrices { rows: d.columns, ..d }), false)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (diagonals, x) = (cx.x(0), cx.y(0));
        expect_known_rank(x)?;
        let transposed = {
            // Of the transpose, the diagonal above is that below, moved one on.
            let [above, main, below] = rows(diagonals);
            stack([shifted(below, 1), main, shifted(above, -1)], -2)
        };
        let db = cx.graph().add(self.clone(), &[conj(transposed), cx.dy(0)]);
        let da = cx.wanted(0, || {
            let along = |a: Tensor, b: Tensor| reduce_sum_with(mul(a, conj(b)), -1);
            let above = along(db, shifted_rows(x, 1));
            let below = along(db, shifted_rows(x, -1));
            -stack([above, along(db, x), below], -2)
        });
        Ok(grads![da, db])
    }
}

/// The rows of a batch of matrices with three of them.
fn rows(x: Tensor) -> [Tensor; 3] {
    [0, 1, 2].map(|i| index(x, (Ix::Ellipsis, Ix::At(i), Ix::All)))
}

/// Each vector `v` as `v[i + by]`, 0 where there is none.
fn shifted(x: Tensor, by: i64) -> Tensor {
    let zero = zeros_like(index(x, (Ix::Ellipsis, Ix::Range(None, Some(1), 1))));
    match by {
        1 => super::super::concat([index(x, (Ix::Ellipsis, Ix::Range(Some(1), None, 1))), zero], -1),
        _ => super::super::concat([zero, index(x, (Ix::Ellipsis, Ix::Range(None, Some(-1), 1)))], -1),
    }
}

/// The same of the rows of each matrix.
fn shifted_rows(x: Tensor, by: i64) -> Tensor {
    matrix_transpose(shifted(matrix_transpose(x), by))
}

/// The product of a tridiagonal matrix, given by its diagonals `[..., 1, m]`, and `rhs: [..., m, n]`. The last element of `superdiag` and the
/// first of `subdiag` are not read.
#[derive(Debug, Clone, PartialEq)]
pub struct TridiagonalMatMul;
attrs!(TridiagonalMatMul {});

impl Op for TridiagonalMatMul {
    const SCHEMA: Schema = Schema::new(
        "TridiagonalMatMul",
        "(superdiag: T, maindiag: T, subdiag: T, rhs: T) -> (output: T) where T: f32|f64|Complex",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let rhs = Matrices::of(cx, 3)?;
        for i in 0..3 {
            let (Some(diagonal), Some(rhs)) = (Matrices::of(cx, i)?, &rhs) else { continue };
            let row = diagonal.with([diagonal.rows, diagonal.columns]);
            if rhs.with([Some(1), rhs.rows]).merge(&row).is_none() {
                let (have, rhs) = (cx.shape(i), cx.shape(3));
                return Err(Error::invalid(format!(
                    "a diagonal of shape {have} does not fit `rhs` of shape {rhs}"
                )));
            }
        }
        cx.same_as_input(3)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let [above, main, below, rhs] = [0, 1, 2, 3].map(|i| cx.x(i));
        let dz = cx.dy(0);
        expect_known_rank(rhs)?;
        let along = |x: Tensor| super::expand_dims(reduce_sum_with(mul(dz, conj(x)), -1), -2);
        Ok(grads![
            cx.wanted(0, || along(shifted_rows(rhs, 1))),
            cx.wanted(1, || along(rhs)),
            cx.wanted(2, || along(shifted_rows(rhs, -1))),
            cx.wanted(3, || {
                let transposed = [shifted(below, 1), main, shifted(above, -1)].map(conj);
                cx.graph().add(TridiagonalMatMul, &[transposed[0], transposed[1], transposed[2], dz])
            })
        ])
    }
}

/// A row: documentation, function, op and the name of its node in TensorFlow.
macro_rules! of_matrices {
    ($($(#[$doc:meta])* $function:ident $op:expr, $name:literal, $tf:literal;)*) => {$(
        $(#[$doc])*
        #[doc = concat!(" TensorFlow: `", $tf, "`.")]
        ///
        /// # Panics
        /// When the matrices are not square.
        #[track_caller]
        pub fn $function(input: impl Into<Tensor>) -> Tensor {
            unary($op, $name, input)
        }
    )*};
}

of_matrices! {
    /// The lower triangular `l` with `l lᴴ = input`, for each Hermitian positive definite matrix `[..., n, n]`.
    cholesky Cholesky, "Cholesky", "tf.cholesky";
    /// The inverse of each matrix `[..., n, n]`. One that has none fails the run.
    matrix_inverse MatrixInverse { adjoint: false }, "MatrixInverse", "tf.matrix_inverse";
    /// The determinant of each matrix `[..., n, n]`: of shape `[...]`.
    matrix_determinant MatrixDeterminant, "MatrixDeterminant", "tf.matrix_determinant";
}

/// The `x: [..., n, k]` with `matrix · x = rhs`, for each matrix `[..., n, n]` and `rhs: [..., n, k]`. A matrix without an inverse fails
/// the run. TensorFlow: `tf.matrix_solve`.
///
/// # Panics
/// When the matrices are not square, or `rhs` does not fit.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let a = g.placeholder(DType::F64, [3, 3]);
/// let b = g.placeholder(DType::F64, [3, 1]);
/// assert_eq!(ops::matrix_solve(a, b).ty().to_string(), "f64[3,1]");
/// ```
#[track_caller]
pub fn matrix_solve(matrix: impl Into<Tensor>, rhs: impl Into<Tensor>) -> Tensor {
    let matrix = matrix.into();
    matrix.graph().op(MatrixSolve { adjoint: false }).input(matrix).input(rhs).tensor()
}

/// [`matrix_solve`] of triangular matrices, the lower triangle or the upper. TensorFlow: `tf.matrix_triangular_solve`.
///
/// # Panics
/// When the matrices are not square, or `rhs` does not fit.
#[track_caller]
pub fn matrix_triangular_solve(matrix: impl Into<Tensor>, rhs: impl Into<Tensor>, lower: bool) -> Tensor {
    let matrix = matrix.into();
    matrix.graph().op(MatrixTriangularSolve { lower, adjoint: false }).input(matrix).input(rhs).tensor()
}

/// Sign and logarithm of the modulus of the determinant of each matrix: see [`LogMatrixDeterminant`].
/// TensorFlow: `tf.linalg.slogdet`.
///
/// # Panics
/// When the matrices are not square.
#[track_caller]
pub fn slogdet(input: impl Into<Tensor>) -> (Tensor, Tensor) {
    let input = input.into();
    let both = input.graph().op(LogMatrixDeterminant).input(input).build();
    (both.output(0), both.output(1))
}
