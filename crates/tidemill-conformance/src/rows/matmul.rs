use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{self, BatchMatMul, BatchMatMulV2, BatchMatMulV3, MatMul};

use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let op = |transpose_a, transpose_b| MatMul { transpose_a, transpose_b };
    let batch = |adj_x, adj_y| BatchMatMulV2 { adj_x, adj_y };
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
        row(BatchMatMul { adj_x: false, adj_y: true }, [x([2, 2, 3]), x([2, 4, 3])]),
        row(BatchMatMul { adj_x: false, adj_y: false }, [x([2, 2, 3]), x([3, 3, 4])]).fails(InvalidArgument),
        row(batch(false, false), [x([2, 1, 2, 3]), x([3, 3, 4])]),
        row(batch(true, false), [x([2, 3, 2]), x([3, 4])]),
        row(batch(false, true), [x([2, 3]), x([2, 4, 3])]),
        row(batch(true, true), [x([2, 3, 2]), x([2, 4, 3])]),
        row(batch(false, false), [x([2, 2, 0]), x([0, 3])]).expect([[[0.0; 3]; 2]; 2]),
        row(batch(false, false), [x([3]), x([3, 2])]).fails(InvalidArgument),
        row(BatchMatMulV3 { tout: DType::F64, adj_x: false, adj_y: false }, [x([2, 2, 3]), x([3, 4])]),
        row_of::<BatchMatMulV2>(|t| vec![ops::matmul(t[0], t[1])], [x([2, 2, 3]), x([3, 4])]),
        row(op(false, false), [x([2, 3]), x([2, 3])]).fails(InvalidArgument),
        row(op(false, false), [x([2, 3]), x([3])]).fails(InvalidArgument),
    ]
}
