use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    EditDistance, SparseFillEmptyRows, SparseFillEmptyRowsGrad, SparseReshape, SparseSlice,
    SparseTensorDenseMatMul, SparseToDense,
};

use crate::row::{Input, Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let dense = |validate_indices| SparseToDense { validate_indices };
    let places = || value([[0i64, 1], [1, 0], [1, 2]]);
    let sequence = |values: Vec<i32>| -> Vec<Input> {
        let at: Vec<[i64; 2]> = (0..values.len() as i64).map(|i| [0, i]).collect();
        vec![value(at), value(values), value([1i64, 5])]
    };
    vec![
        row(dense(true), [places(), value([2i64, 3]), x([3]), x([])]).static_gradient(),
        row(dense(true), [value([1, 3]), value([5]), x([2]), x([])]).static_gradient(),
        row(dense(false), [value([3, 1]), value([4]), value(9), value(0)]).expect([0, 9, 0, 9]),
        row(dense(true), [value([3, 1]), value([4]), value([9, 8]), value(0)]).fails(InvalidArgument),
        row(dense(false), [value([4]), value([4]), value([9]), value(0)]).fails(InvalidArgument),
        row(SparseReshape, [places(), value([2i64, 3]), value([3i64, -1])])
            .expect([[0i64, 1], [1, 1], [2, 1]])
            .expect([3i64, 2]),
        row(SparseReshape, [places(), value([2i64, 3]), value([4i64, -1])]).fails(InvalidArgument),
        row(SparseReshape, [places(), value([2i64, 3]), value([7i64])]).fails(InvalidArgument),
        row(SparseSlice, [places(), value([1, 2, 3]), value([2i64, 3]), value([1i64, 0]), value([1i64, 2])])
            .expect([[0i64, 0]])
            .expect([2])
            .expect([1i64, 2]),
        row(SparseFillEmptyRows, [value([[1i64, 0], [1, 2]]), x([2]), value([3i64, 3]), x([])])
            .of([1])
            .first_order(),
        row(SparseFillEmptyRows, [value([[1i64, 0], [1, 2]]), value([4, 5]), value([3i64, 3]), value(-1)])
            .expect([[0i64, 0], [1, 0], [1, 2], [2, 0]])
            .expect([-1, 4, 5, -1])
            .expect([true, false, true])
            .expect([1i64, 2]),
        row(SparseFillEmptyRows, [value([[3i64, 0]]), value([4]), value([3i64, 3]), value(-1)])
            .fails(InvalidArgument),
        row(SparseFillEmptyRowsGrad, [value([1i64, 2]), value([1.0, 2.0, 3.0, 4.0])])
            .expect([2.0, 3.0])
            .expect(5.0)
            .no_gradient(),
        row(
            SparseTensorDenseMatMul { adjoint_a: false, adjoint_b: false },
            [places(), x([3]), value([2i64, 3]), x([3, 4])],
        ),
        row(
            SparseTensorDenseMatMul { adjoint_a: true, adjoint_b: true },
            [places(), x([3]), value([2i64, 3]), x([4, 2])],
        ),
        row(
            SparseTensorDenseMatMul { adjoint_a: false, adjoint_b: false },
            [places(), x([3]), value([2i64, 3]), x([2, 4])],
        )
        .fails(InvalidArgument),
        row(
            EditDistance { normalize: true },
            sequence(vec![1, 2, 3]).into_iter().chain(sequence(vec![1, 3, 4, 5])),
        )
        .expect([0.75f32]),
        row(EditDistance { normalize: false }, sequence(vec![1, 2]).into_iter().chain(sequence(vec![])))
            .expect([2f32]),
    ]
}
