use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::MatMul;

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let op = |transpose_a, transpose_b| MatMul { transpose_a, transpose_b };
    vec![
        row(op(false, false), [x([2, 3]), x([3, 4])]),
        row(op(true, false), [x([3, 2]), x([3, 4])]),
        row(op(false, true), [x([2, 3]), x([4, 3])]),
        row(op(true, true), [x([3, 2]), x([4, 3])]),
        row(op(false, false), [x([17, 33]), x([33, 9])]),
        row(op(true, true), [x([33, 17]), x([9, 33])]),
        row(op(false, false), [x([0, 2]), x([2, 3])]),
        row(op(false, false), [x([2, 0]), x([0, 3])]).expect([[0.0; 3]; 2]),
        row(op(false, false), [value([[1, 2], [3, 4]]), value([[5], [6]])]).expect([[17], [39]]),
        row(op(false, false), [x([2, 3]), x([2, 3])]).fails(InvalidArgument),
        row(op(false, false), [x([2, 3]), x([3])]).fails(InvalidArgument),
    ]
}
