use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    DenseToDenseSetOperation, DenseToSparseSetOperation, SetSize, SparseToSparseSetOperation,
};

use crate::row::{Input, Row, row, value};

pub(super) fn rows() -> Vec<Row> {
    let dense =
        |what: &str| DenseToDenseSetOperation { set_operation: what.to_owned(), validate_indices: true };
    let (first, second) = (|| value([[3, 1, 1], [5, 5, 6]]), || value([[1, 9], [5, 7]]));
    let sparse =
        || -> [Input; 3] { [value([[0i64, 0], [0, 1], [1, 0]]), value([1, 9, 5]), value([2i64, 2])] };
    vec![
        row(dense("union"), [first(), second()])
            .expect([[0i64, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
            .expect([1, 3, 9, 5, 6, 7])
            .expect([2i64, 3]),
        row(dense("a-b"), [first(), second()]).expect([[0i64, 0], [1, 0]]).expect([3, 6]).expect([2i64, 1]),
        row(dense("b-a"), [first(), second()]).expect([[0i64, 0], [1, 0]]).expect([9, 7]).expect([2i64, 1]),
        row(dense("neither"), [first(), second()]).fails(InvalidArgument),
        row(dense("union"), [first(), value([1, 2])]).fails(InvalidArgument),
        row(dense("union"), [first(), value([[1, 2]])]).fails(InvalidArgument),
        row(
            DenseToSparseSetOperation { set_operation: "intersection".to_owned(), validate_indices: true },
            [first()].into_iter().chain(sparse()),
        )
        .expect([[0i64, 0], [1, 0]])
        .expect([1, 5])
        .expect([2i64, 1]),
        row(
            SparseToSparseSetOperation { set_operation: "union".to_owned(), validate_indices: true },
            sparse().into_iter().chain(sparse()),
        )
        .expect([[0i64, 0], [0, 1], [1, 0]])
        .expect([1, 9, 5])
        .expect([2i64, 2]),
        row(SetSize { validate_indices: true }, sparse()).expect([2, 1]),
        row(
            SetSize { validate_indices: true },
            [value([[0i64, 1], [0, 0]]), value([1, 9]), value([2i64, 2])],
        )
        .fails(InvalidArgument),
        row(SetSize { validate_indices: true }, [value([[0i64, 2]]), value([1]), value([2i64, 2])])
            .fails(InvalidArgument),
    ]
}
