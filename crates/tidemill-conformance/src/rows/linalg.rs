use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    self, BandedTriangularSolve, Cholesky, CholeskyGrad, Cross, Diag, DiagPart, Eig, LogMatrixDeterminant,
    Lu, MatrixBandPart, MatrixDeterminant, MatrixDiag, MatrixDiagPart, MatrixDiagPartV2, MatrixDiagPartV3,
    MatrixDiagV2, MatrixDiagV3, MatrixInverse, MatrixLogarithm, MatrixSetDiag, MatrixSetDiagV2,
    MatrixSetDiagV3, MatrixSolve, MatrixSolveLs, MatrixSquareRoot, MatrixTriangularSolve, Qr,
    SelfAdjointEigV2, Svd, TridiagonalMatMul, TridiagonalSolve,
};
use tidemill_tensor::Complex;

use crate::row::{Input, Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    [diagonals(), systems(), factors()].concat()
}

fn diagonals() -> Vec<Row> {
    let align = |text: &str| text.to_owned();
    let diag = |text: &str| MatrixDiagV3 { align: align(text) };
    let part = |text: &str| MatrixDiagPartV3 { align: align(text) };
    let set = |text: &str| MatrixSetDiagV3 { align: align(text) };
    let sizes = |m: i32, n: i32| [value(m), value(n)];
    let with = |x: Input, k: Input, [m, n]: [Input; 2], padding: Input| [x, k, m, n, padding];
    let padding = || x(()).range(1.0, 2.0);
    vec![
        row(Diag, [x([2, 2])]),
        row(Diag, [value([1, 2])]).expect([[1, 0], [0, 2]]),
        row(DiagPart, [x([3, 3])]),
        row(DiagPart, [x([2, 3, 2, 3])]),
        row(DiagPart, [value([[1, 2], [3, 4]])]).expect([1, 4]),
        row(DiagPart, [x([2, 3])]).fails(InvalidArgument),
        row(MatrixDiag, [x([2, 3])]),
        row(MatrixDiagPart, [x([2, 3, 3])]),
        row(MatrixDiagPart, [x([2, 3])]),
        row(MatrixSetDiag, [x([2, 3, 4]), x([2, 3])]),
        row(MatrixSetDiag, [x([3, 4]), x([4])]).fails(InvalidArgument),
        row(MatrixDiagV2, with(x([2, 3]), value(1), sizes(-1, -1), padding())),
        row(MatrixDiagV3 { align: align("RIGHT_LEFT") }, with(x([2, 3]), value(1), sizes(3, 4), padding())),
        row(diag("LEFT_RIGHT"), with(x([2, 3, 3]), value([-1, 1]), sizes(-1, -1), padding())),
        row(diag("RIGHT_LEFT"), with(value([1, 2]), value(1), sizes(-1, -1), value(9))).expect([
            [9, 1, 9],
            [9, 9, 2],
            [9, 9, 9],
        ]),
        row(diag("RIGHT_LEFT"), with(x([3]), value(1), sizes(2, 2), padding())).fails(InvalidArgument),
        row(diag("UP_DOWN"), with(x([3]), value(1), sizes(-1, -1), padding())).fails(InvalidArgument),
        row(MatrixDiagPartV2, [x([2, 3, 4]), value([-1, 2]), padding()]),
        row(part("RIGHT_LEFT"), [x([2, 3, 4]), value([-2, 1]), padding()]),
        row(part("RIGHT_RIGHT"), [x([4, 3]), value(-1), padding()]),
        row(part("LEFT_RIGHT"), [value([[1, 2, 3], [4, 5, 6]]), value([-1, 1]), value(0)]).expect([
            [2, 6],
            [1, 5],
            [0, 4],
        ]),
        row(part("RIGHT_LEFT"), [x([2, 2]), value(5), padding()]).fails(InvalidArgument),
        row(part("RIGHT_LEFT"), [x([2, 2]), value([1, 0]), padding()]).fails(InvalidArgument),
        row(MatrixSetDiagV2, [x([3, 4]), x([3]), value(1)]),
        row(set("RIGHT_LEFT"), [x([2, 3, 4]), x([2, 2, 3]), value([0, 1])]),
        row(set("LEFT_LEFT"), [x([3, 3]), x([3]), value(1)]).fails(InvalidArgument),
        row(MatrixBandPart, [x([2, 3, 4]), value(1i64), value(0i64)]),
        row(MatrixBandPart, [x([3, 3]), value(0), value(-1)]),
        row(MatrixBandPart, [x([2, 2]), value(3), value(0)]).fails(InvalidArgument),
        row(Cross, [x([2, 3]), x([2, 3])]),
        row(Cross, [value([1, 0, 0]), value([0, 1, 0])]).expect([0, 0, 1]),
        row(Cross, [x([2]), x([2])]).fails(InvalidArgument),
        row_of::<MatrixDiagPart>(|t| vec![ops::trace(t[0])], [x([2, 3, 3])]),
    ]
}

/// Matrices far from singular.
fn regular() -> Input {
    value([
        [[4.0, 1.0, -0.5], [0.25, 3.0, 1.0], [-1.0, 0.5, 5.0]],
        [[2.0, 0.5, 0.0], [0.25, -3.0, 0.75], [0.5, 0.0, 4.0]],
    ])
}

fn systems() -> Vec<Row> {
    let solve = |adjoint| MatrixSolve { adjoint };
    let triangular = |lower, adjoint| MatrixTriangularSolve { lower, adjoint };
    let banded = |lower, adjoint| BandedTriangularSolve { lower, adjoint };
    let tridiagonal = |partial_pivoting| TridiagonalSolve { partial_pivoting, perturb_singular: None };
    let three = || value([[1.0, -0.5, 0.25, 7.0], [4.0, 3.0, -5.0, 2.5], [7.0, 0.5, 1.0, -0.75]]);
    let bands = || value([[2.0, 3.0, 4.0], [0.5, -1.0, 0.75]]);
    vec![
        row_of::<Cholesky>(
            |t| vec![ops::cholesky(ops::einsum("ij,kj->ik", &[t[0], t[0]]))],
            [value([[2.0, 0.5, 0.25], [0.3, 3.0, 0.1], [0.2, -0.4, 1.5]])],
        )
        .static_gradient(),
        row(Cholesky, [value([[4.0, 9.0], [2.0, 5.0]])]).expect([[2.0, 0.0], [1.0, 2.0]]).values_only(),
        row(Cholesky, [value([[1.0, 0.0], [0.0, -1.0]])]).fails(InvalidArgument),
        row(Cholesky, [x([2, 3])]).fails(InvalidArgument),
        row(CholeskyGrad, [value([[2.0, 0.0], [1.0, 3.0]]), x([2, 2])]).no_gradient(),
        row(MatrixInverse { adjoint: false }, [regular()]),
        row(MatrixInverse { adjoint: true }, [regular()]).static_gradient(),
        row(MatrixInverse { adjoint: false }, [value([[1.0, 2.0], [2.0, 4.0]])]).fails(InvalidArgument),
        row(MatrixDeterminant, [regular()]),
        row(MatrixDeterminant, [value([[2.0, 1.0], [1.0, 3.0]])]).expect(5.0),
        row(LogMatrixDeterminant, [regular()]).of([1]).real_gradient(),
        row(solve(false), [regular(), x([2, 3, 2])]),
        row(solve(true), [regular(), x([2, 3, 2])]),
        row(solve(false), [regular(), x([2, 2, 2])]).fails(InvalidArgument),
        row(triangular(true, false), [regular(), x([2, 3, 2])]),
        row(triangular(false, true), [regular(), x([3, 2])]),
        row(triangular(true, true), [regular(), x([3, 2])]),
        row(triangular(true, false), [value([[0.0]]), x([1, 1])]).fails(InvalidArgument),
        row(banded(true, false), [bands(), x([3, 2])]).static_gradient(),
        row(banded(true, true), [bands(), x([2, 3, 2])]).static_gradient(),
        row(banded(false, false), [value([[0.5, -1.0, 0.75], [2.0, 3.0, 4.0]]), x([3, 2])]).static_gradient(),
        row(banded(false, false), [value([[2.0, 3.0, 4.0]]), x([3, 2])]).static_gradient(),
        row(MatrixSolveLs { fast: true }, [x([4, 2]).range(0.5, 2.0), x([4, 3]), value(0.5)])
            .no_grad([2])
            .static_gradient(),
        row(MatrixSolveLs { fast: true }, [x([2, 4]).range(0.5, 2.0), x([2, 3]), value(0.5)])
            .no_grad([2])
            .static_gradient(),
        row(MatrixSolveLs { fast: false }, [x([4, 2]).range(0.5, 2.0), x([4, 3]), value(0.0)]).no_gradient(),
        row(tridiagonal(true), [three(), x([4, 2])]).static_gradient(),
        row(tridiagonal(false), [three(), x([4, 2])]).static_gradient(),
        row(tridiagonal(true), [x([2, 4]), x([4, 2])]).fails(InvalidArgument),
        row(TridiagonalMatMul, [x([1, 4]), x([1, 4]), x([1, 4]), x([4, 2])]).static_gradient(),
        row(TridiagonalMatMul, [x([2, 1, 3]), x([2, 1, 3]), x([2, 1, 3]), x([2, 3, 2])]).static_gradient(),
        row(TridiagonalMatMul, [x([1, 3]), x([1, 4]), x([1, 4]), x([4, 2])]).fails(InvalidArgument),
    ]
}

fn factors() -> Vec<Row> {
    let qr = |full_matrices| Qr { full_matrices };
    let svd = |compute_uv, full_matrices| Svd { compute_uv, full_matrices };
    let a = || value([[3.0, 1.0], [4.0, 2.0]]);
    let tall = || value([[3.0, 1.0], [-0.5, 2.0], [0.25, 0.75]]);
    let symmetric = || value([[2.0, 0.5, 0.25], [0.5, -1.0, 0.75], [0.25, 0.75, 4.0]]);
    let c = |re: f64, im: f64| Complex::new(re, im);
    vec![
        row(qr(false), [regular()]).static_gradient().tolerance(10.0),
        row(qr(false), [tall()]).static_gradient().tolerance(10.0),
        row(qr(false), [x([2, 3, 4])]).no_gradient().real_gradient().tolerance(10.0),
        row(qr(true), [x([4, 2])]).no_gradient().real_gradient().tolerance(10.0),
        row(qr(false), [a()])
            .values_only()
            .expect([[-0.6, -0.8], [-0.8, 0.6]])
            .expect([[-5.0, -2.2], [0.0, 0.4]]),
        row(qr(false), [x([3])]).fails(InvalidArgument),
        row(svd(true, false), [tall()]).of([0]).static_gradient().real_gradient().tolerance(10.0),
        row(svd(false, false), [regular()]).of([0]).static_gradient().real_gradient().tolerance(10.0),
        row_of::<Svd>(
            |t| {
                let (s, u, v) = ops::svd(t[0]);
                vec![s, ops::square(u), ops::square(v)]
            },
            [tall()],
        )
        .static_gradient()
        .tolerance(10.0),
        row_of::<Svd>(
            |t| {
                let (s, u, v) = ops::svd(ops::einsum("ij->ji", &[t[0]]));
                vec![s, ops::square(u), ops::square(v)]
            },
            [tall()],
        )
        .static_gradient()
        .tolerance(10.0),
        row(svd(true, true), [x([2, 4])]).values_only().tolerance(10.0),
        row(SelfAdjointEigV2 { compute_v: false }, [symmetric()]).of([0]).static_gradient().real_gradient(),
        row_of::<SelfAdjointEigV2>(
            |t| {
                let (e, v) = ops::self_adjoint_eig(t[0]);
                vec![e, ops::square(v)]
            },
            [symmetric()],
        )
        .static_gradient()
        .tolerance(10.0),
        row_of::<Eig>(|t| vec![ops::eig(t[0]).0], [symmetric()]).static_gradient().tolerance(100.0),
        row(Eig { compute_v: false }, [symmetric()]).no_gradient().tolerance(100.0),
        row(Eig { compute_v: true }, [x([2, 3])]).fails(InvalidArgument),
        row(Lu { output_idx_type: DType::I32 }, [regular()]).no_gradient(),
        row(Lu { output_idx_type: DType::I64 }, [a()])
            .no_gradient()
            .expect([[4.0, 2.0], [0.75, -0.5]])
            .expect([1i64, 0]),
        row(Lu { output_idx_type: DType::I32 }, [value([[1.0, 2.0], [2.0, 4.0]])]).fails(InvalidArgument),
        row(MatrixSquareRoot, [value([[4.0, 1.0], [0.5, 9.0]])]).no_gradient().tolerance(10.0),
        row(MatrixSquareRoot, [value([[4.0, 0.0], [0.0, 9.0]])])
            .no_gradient()
            .expect([[2.0, 0.0], [0.0, 3.0]]),
        row(MatrixLogarithm, [value([[c(1.0, 0.0), c(0.5, 0.5)], [c(0.0, 0.25), c(2.0, -1.0)]])])
            .no_gradient()
            .tolerance(10.0),
        row(MatrixLogarithm, [value([[c(1.0, 0.0)]])]).no_gradient().expect([[c(0.0, 0.0)]]),
    ]
}
