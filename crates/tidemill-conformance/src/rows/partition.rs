use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{DynamicPartition, DynamicStitch, ParallelDynamicStitch};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let partition = |num_partitions| DynamicPartition { num_partitions };
    vec![
        row(partition(2), [x([4, 3]), value([1, 0, 0, 1])]),
        row(partition(3), [x([2, 2]), value([[2, 0], [0, 2]])]),
        row(partition(2), [value([10, 20, 30]), value([1, 1, 0])]).expect([30]).expect([10, 20]),
        row(partition(2), [x([3]), value([0, 1, 2])]).fails(InvalidArgument),
        row(partition(2), [x([3]), value([0, 1])]).fails(InvalidArgument),
        row(DynamicStitch, [value([0, 2]), value(1), x([2, 3]), x([3])]),
        row(DynamicStitch, [value([0, 1]), value([1, 3]), value([1, 2]), value([8, 9])]).expect([1, 8, 0, 9]),
        row(DynamicStitch, [value([0, 1]), value([-1]), x([2]), x([1])]).fails(InvalidArgument),
        row(DynamicStitch, [value([0, 1]), value([2]), x([2, 3]), x([1, 4])]).fails(InvalidArgument),
        row(ParallelDynamicStitch, [value([[3, 1], [0, 2]]), x([2, 2, 2])]),
        row(ParallelDynamicStitch, [value([1]), value([0]), value([1.5]), value([2.5])]).expect([2.5, 1.5]),
    ]
}
