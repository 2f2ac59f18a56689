use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    Bincount, DenseBincount, DenseCountSparseOutput, HistogramFixedWidth, RaggedBincount,
    RaggedCountSparseOutput, SparseBincount, SparseCountSparseOutput,
};

use crate::row::{Input, Row, row, value};

pub(super) fn rows() -> Vec<Row> {
    let none = || value(Vec::<i32>::new());
    let table = || value([[0, 2, 0], [1, 1, 5]]);
    let dense = |binary_output| DenseBincount { binary_output };
    let sparse =
        || -> [Input; 3] { [value([[0i64, 1], [1, 0], [1, 2]]), value([1, 2, 2]), value([2i64, 3])] };
    let ragged = || -> [Input; 2] { [value([0i64, 2, 2, 4]), value([1, 0, 2, 2])] };
    let rows = |operands: Vec<Input>, more: [Input; 2]| operands.into_iter().chain(more);
    vec![
        row(Bincount, [value([1, 1, 2, 7]), value(4), value(Vec::<f32>::new())])
            .expect([0f32, 2.0, 1.0, 0.0]),
        row(Bincount, [value([1, -1]), value(4), none()]).fails(InvalidArgument),
        row(dense(false), [table(), value(3), none()]).expect([[2, 0, 1], [0, 2, 0]]),
        row(dense(true), [table(), value(3), none()]).expect([[1, 0, 1], [0, 1, 0]]),
        row(dense(false), [value([0i64, 1, 1]), value(2i64), value([0.5, 1.0, 2.0])])
            .expect([0.5, 3.0])
            .values_only(),
        row(dense(false), [value([1]), value(-1), none()]).fails(InvalidArgument),
        row(dense(false), [value([1]), value(2), value([1, 2])]).fails(InvalidArgument),
        row(SparseBincount { binary_output: false }, rows(sparse().to_vec(), [value(3), none()]))
            .expect([[0, 1, 0], [0, 0, 2]]),
        row(RaggedBincount { binary_output: true }, rows(ragged().to_vec(), [value(3), none()])).expect([
            [1, 1, 0],
            [0, 0, 0],
            [0, 0, 1],
        ]),
        row(RaggedBincount { binary_output: true }, [value([0i64, 3]), value([1]), value(2), none()])
            .fails(InvalidArgument),
        row(DenseCountSparseOutput { minlength: -1, maxlength: -1, binary_output: false }, [table(), none()])
            .expect([[0i64, 0], [0, 2], [1, 1], [1, 5]])
            .expect([2, 1, 2, 1])
            .expect([2i64, 6]),
        row(
            DenseCountSparseOutput { minlength: -1, maxlength: 3, binary_output: true },
            [value([1, 1, 7]), none()],
        )
        .expect([[1i64]])
        .expect([1])
        .expect([3i64]),
        row(DenseCountSparseOutput { minlength: -2, maxlength: -1, binary_output: false }, [table(), none()])
            .fails(InvalidArgument),
        row(
            SparseCountSparseOutput { minlength: 4, maxlength: -1, binary_output: false },
            sparse().into_iter().chain([value([0.5f32, 1.0, 2.0])]),
        )
        .expect([[0i64, 1], [1, 2]])
        .expect([0.5f32, 3.0])
        .expect([2i64, 4])
        .values_only(),
        row(
            RaggedCountSparseOutput { minlength: -1, maxlength: -1, binary_output: false },
            ragged().into_iter().chain([none()]),
        )
        .expect([[0i64, 0], [0, 1], [2, 2]])
        .expect([1, 1, 2])
        .expect([3i64, 3]),
        row(
            HistogramFixedWidth { dtype: DType::I32 },
            [value([-1.0, 0.0, 1.5, 2.0, 5.0, 15.0]), value([0.0, 5.0]), value(5)],
        )
        .expect([2, 1, 1, 0, 2])
        .values_only(),
        row(HistogramFixedWidth { dtype: DType::I64 }, [value([3, 4]), value([0, 10]), value(2)])
            .expect([2i64, 0]),
        row(HistogramFixedWidth { dtype: DType::I32 }, [value([3]), value([5, 5]), value(2)])
            .fails(InvalidArgument),
        row(HistogramFixedWidth { dtype: DType::I32 }, [value([3]), value([0, 5]), value(0)])
            .fails(InvalidArgument),
    ]
}
