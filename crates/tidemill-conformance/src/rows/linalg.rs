use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{DiagPart, Qr};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let qr = |full_matrices| Qr { full_matrices };
    let a = || value([[3.0, 1.0], [4.0, 2.0]]);
    vec![
        row(qr(false), [x([4, 3])]).no_gradient(),
        row(qr(false), [x([2, 3, 4])]).no_gradient(),
        row(qr(true), [x([4, 2])]).no_gradient(),
        row(qr(false), [a()])
            .no_gradient()
            .expect([[-0.6, -0.8], [-0.8, 0.6]])
            .expect([[-5.0, -2.2], [0.0, 0.4]]),
        row(qr(false), [x([3])]).fails(InvalidArgument),
        row(DiagPart, [x([3, 3])]).no_gradient(),
        row(DiagPart, [x([2, 3, 2, 3])]).no_gradient(),
        row(DiagPart, [value([[1, 2], [3, 4]])]).expect([1, 4]),
        row(DiagPart, [x([2, 3])]).fails(InvalidArgument),
    ]
}
