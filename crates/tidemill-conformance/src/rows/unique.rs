use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::Unique;

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let op = |out_idx| Unique { out_idx };
    vec![
        row(op(DType::I32), [value([4, 4, 1, 7, 4, 1])]).expect([4, 1, 7]).expect([0, 0, 1, 2, 0, 1]),
        row(op(DType::I64), [value([2.5, -1.0, 2.5])]).expect([2.5, -1.0]).expect([0i64, 1, 0]).no_gradient(),
        row(op(DType::I32), [x([2, 2])]).fails(InvalidArgument),
    ]
}
