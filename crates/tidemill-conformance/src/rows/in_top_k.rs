use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{InTopK, InTopKV2};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let predictions = || value([[0.1f32, 0.3, 0.2, 0.4], [0.1, 0.2, 0.3, 0.4], [0.5, 0.5, f32::NAN, 0.1]]);
    vec![
        row(InTopK { k: 2 }, [predictions(), value([3, 1, 0])]).expect([true, false, false]),
        row(InTopKV2, [predictions(), value([1i64, 9, -1]), value(2i64)]).expect([true, false, false]),
        row(InTopKV2, [value([[1f32, 1.0, 1.0]]), value([2]), value(1)]).expect([true]),
        row(InTopK { k: 2 }, [x([2, 3]).dtype(tidemill_core::DType::F32), value([3, 1, 0])])
            .fails(InvalidArgument),
    ]
}
