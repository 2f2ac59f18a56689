use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{RaggedGather, RaggedRange, RaggedTensorToSparse, RaggedTensorToTensor};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let range = || RaggedRange { splits: DType::I64 };
    let gather = |output_ragged_rank| RaggedGather { output_ragged_rank };
    let dense = |types: &[&str]| RaggedTensorToTensor {
        row_partition_types: types.iter().map(|ty| (*ty).to_owned()).collect(),
    };
    let splits = || value([0i64, 2, 2, 5]);
    vec![
        row(range(), [value([0, 5, 8]), value([3, 5, 12]), value(1)])
            .expect([0i64, 3, 3, 7])
            .expect([0, 1, 2, 8, 9, 10, 11]),
        row(range(), [value(0.0), value([1.0, -1.0]), value([0.4, -0.5])])
            .expect([0i64, 3, 5])
            .expect([0.0, 0.4, 0.8, 0.0, -0.5])
            .values_only(),
        row(range(), [value([0]), value([3]), value([0])]).fails(InvalidArgument),
        row(range(), [value([0, 1]), value([3]), value([1])]).fails(InvalidArgument),
        row(gather(1), [splits(), x([5, 2]), value([2, 0, 2, 1])]),
        row(gather(2), [splits(), value([1, 2, 3, 4, 5]), value([[2], [0]])])
            .expect([0i64, 1, 2])
            .expect([0i64, 3, 5])
            .expect([3, 4, 5, 1, 2]),
        row(gather(1), [splits(), x([5]), value([3])]).fails(InvalidArgument),
        row(gather(1), [value([0i64, 7]), x([5]), value([0])]).fails(InvalidArgument),
        row(dense(&["ROW_SPLITS"]), [value([-1, -1]), x([5]), x([]), splits()]).static_gradient(),
        row(dense(&["ROW_SPLITS"]), [value([2, 4, -1]), x([5, 2]), x([2]), splits()]).static_gradient(),
        row(dense(&["ROW_SPLITS"]), [value([2, 4, 2]), x([5, 2]), x([1]), splits()]).static_gradient(),
        row(
            dense(&["ROW_SPLITS", "ROW_SPLITS"]),
            [value([-1i64, -1, -1]), value([1, 2, 3, 4, 5]), value(9), value([0i64, 1, 3]), splits()],
        )
        .expect([[[1, 2, 9], [9, 9, 9]], [[9, 9, 9], [3, 4, 5]]]),
        row(
            dense(&["FIRST_DIM_SIZE", "VALUE_ROWIDS"]),
            [value([-1, 2]), value([1, 2, 3, 4, 5]), value(9), value(3i64), value([0i64, 0, 2, 2, 2])],
        )
        .expect([[1, 2], [9, 9], [3, 4]]),
        row(dense(&["ROW_SPLITS"]), [value([-1, -1]), x([4]), x([]), splits()]).fails(InvalidArgument),
        row(dense(&["ROW_SPLITS"]), [value([-1]), x([5]), x([]), splits()]).fails(InvalidArgument),
        row(RaggedTensorToSparse, [splits(), x([5])]).of([1]),
        row(RaggedTensorToSparse, [value([0i64, 2, 2]), value([[1, 2], [3, 4]])])
            .expect([[0i64, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]])
            .expect([1, 2, 3, 4])
            .expect([2i64, 2, 2]),
    ]
}
