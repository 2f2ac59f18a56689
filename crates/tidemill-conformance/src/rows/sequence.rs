use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::ReverseSequence;

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let op = |seq_dim, batch_dim| ReverseSequence { seq_dim, batch_dim };
    vec![
        row(op(1, 0), [value([[1, 2, 3], [4, 5, 6]]), value([2, 3])]).expect([[2, 1, 3], [6, 5, 4]]),
        row(op(0, 1), [value([[1, 2], [3, 4], [5, 6]]), value([0i64, 3])]).expect([[1, 6], [3, 4], [5, 2]]),
        row(op(1, 0), [x([2, 4, 3]), value([4, 1])]),
        row(op(0, 2), [x([3, 2, 2]), value([3i64, 2])]),
        row(op(2, 0), [x([2, 2, 3]), value([1, 2])]),
        row(op(1, 0), [x([2, 3]), value([4, 1])]).fails(InvalidArgument),
        row(op(1, 0), [x([2, 3]), value([-1, 1])]).fails(InvalidArgument),
        row(op(1, 1), [x([2, 3]), value([1, 1, 1])]).fails(InvalidArgument),
        row(op(1, 0), [x([2, 3]), value([1, 1, 1])]).fails(InvalidArgument),
        row(op(2, 0), [x([2, 3]), value([1, 1])]).fails(InvalidArgument),
    ]
}
