use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{GatherNd, GatherV2, OneHot, ScatterNd};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let gather = |batch_dims| GatherV2 { batch_dims };
    let one_hot = |axis| OneHot { axis };
    vec![
        row(gather(0), [x([4, 3]), value([2, 0, 2]), value(0)]).static_gradient(),
        row(gather(0), [x([4, 3]), value([[3, 1], [1, 1]]), value(0)]).static_gradient(),
        row(gather(0), [x([4, 3]), value(2i64), value(0)]).static_gradient(),
        row(gather(0), [x([4, 3]), value(Vec::<i32>::new()), value(0)]).static_gradient(),
        row(gather(0), [x([2, 4, 3]), value([[3, 0]]), value(1)]).static_gradient(),
        row(gather(0), [x([2, 4]), value([3, 0, 3]), value(-1)]).static_gradient(),
        row(gather(1), [x([2, 4, 3]), value([[3, 0], [1, 1]]), value(1)]).static_gradient(),
        row(gather(1), [x([2, 3, 4]), value([[3, 0], [1, 1]]), value(2)]).static_gradient(),
        row(gather(-1), [x([2, 4]), value([[3, 0], [1, 1]]), value(1)]).static_gradient(),
        row(gather(0), [value([10, 20, 30]), value([2, 0]), value(0)]).expect([30, 10]),
        row(gather(0), [x([4, 3]), value([4]), value(0)]).fails(InvalidArgument),
        row(gather(0), [x([4, 3]), value([-1]), value(0)]).fails(InvalidArgument),
        row(GatherNd, [x([3, 4]), value([[0, 1], [2, 3], [0, 1]])]),
        row(GatherNd, [x([3, 4]), value([[0], [2]])]),
        row(GatherNd, [x([3, 4, 2]), value([[[0, 1]], [[2, 3]]])]),
        row(GatherNd, [value([[1, 2], [3, 4]]), value([[1, 0]])]).expect([3]),
        row(GatherNd, [x([3, 4]), value([[0, 4]])]).fails(InvalidArgument),
        row(ScatterNd, [value([[4], [3], [4]]), x([3, 2]), value([6, 2])]),
        row(ScatterNd, [value([[0, 1], [2, 3]]), x([2]), value([3, 4])]),
        row(ScatterNd, [value([[1], [3], [1]]), value([9, 10, 11]), value([5])]).expect([0, 20, 0, 10, 0]),
        row(ScatterNd, [value([[6]]), x([1, 2]), value([6, 2])]).fails(InvalidArgument),
        row(one_hot(-1), [value([0, 2, -1, 3]), value(3), x([]), x([])]).no_gradient(),
        row(one_hot(0), [value([[0, 2], [1, 1]]), value(3), x([]), x([])]).no_gradient(),
        row(one_hot(-1), [value([1u8, 0]), value(2), value(5), value(-1)]).expect([[-1, 5], [5, -1]]),
        row(one_hot(-1), [value([1, 0]), value(-1), x([]), x([])]).fails(InvalidArgument),
    ]
}
