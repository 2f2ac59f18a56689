use tidemill_core::ErrorKind::{FailedPrecondition, InvalidArgument};
use tidemill_core::ops::{
    InplaceAdd, InplaceSub, InplaceUpdate, ScatterNdAdd, ScatterNdMax, ScatterNdMin, ScatterNdNonAliasingAdd,
    ScatterNdSub, ScatterNdUpdate, StridedSliceAssign, TensorScatterAdd, TensorScatterMax, TensorScatterMin,
    TensorScatterSub, TensorScatterUpdate, TensorStridedSliceUpdate,
};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let use_locking = false;
    let (rows, twice) = (|| value([[2], [0]]), || value([[1, 0], [1, 0]]));
    let v = || value([[1, 2], [3, 4], [5, 6]]).variable();
    let updates = || value([[7, 0], [0, 9]]);
    let slice = || TensorStridedSliceUpdate { end_mask: 1, ..TensorStridedSliceUpdate::default() };
    let entries = || [value([0, 0]), value([0, 1]), value([2, 1])];
    vec![
        row(TensorScatterUpdate, [x([3, 2]), rows(), x([2, 2])]),
        row(TensorScatterUpdate, [value([1, 2, 3]), value([[1i64], [1]]), value([8, 9])]).expect([1, 9, 3]),
        row(TensorScatterUpdate, [x([3, 2]), value([[3]]), x([1, 2])]).fails(InvalidArgument),
        row(TensorScatterUpdate, [x([3, 2]), rows(), x([2, 3])]).fails(InvalidArgument),
        row(TensorScatterAdd, [x([3, 2]), twice(), x([2])]),
        row(TensorScatterAdd, [value([1, 2, 3]), value([[1], [1]]), value([8, 9])]).expect([1, 19, 3]),
        row(TensorScatterSub, [x([3, 2]), rows(), x([2, 2])]),
        row(TensorScatterMax, [x([3, 2]), rows(), x([2, 2])]),
        row(TensorScatterMax, [value([1, 2, 3]), value([[1], [2]]), value([8, 0])]).expect([1, 8, 3]),
        row(TensorScatterMin, [x([3, 2]), rows(), x([2, 2])]),
        row(ScatterNdNonAliasingAdd, [x([3, 2]), twice(), x([2])]),
        row(ScatterNdUpdate { use_locking }, [v(), rows(), updates()]).leaves([[0, 9], [3, 4], [7, 0]]),
        row(ScatterNdAdd { use_locking }, [v(), rows(), updates()]).leaves([[1, 11], [3, 4], [12, 6]]),
        row(ScatterNdSub { use_locking }, [v(), rows(), updates()]).leaves([[1, -7], [3, 4], [-2, 6]]),
        row(ScatterNdMax { use_locking }, [v(), rows(), updates()]).leaves([[1, 9], [3, 4], [7, 6]]),
        row(ScatterNdMin { use_locking }, [v(), rows(), updates()]).leaves([[0, 2], [3, 4], [5, 0]]),
        row(ScatterNdAdd { use_locking }, [v(), value([[3]]), value([[1, 1]])]).fails(InvalidArgument),
        row(ScatterNdAdd { use_locking }, [v().uninitialised(), rows(), updates()]).fails(FailedPrecondition),
        row(InplaceUpdate, [x([3, 2]), value([2, 0]), x([2, 2])]).no_gradient(),
        row(InplaceUpdate, [value([1, 2, 3]), value([1]), value([9])]).expect([1, 9, 3]),
        row(InplaceAdd, [value([[1, 2], [3, 4]]), value([1]), value([[1, 1]])]).expect([[1, 2], [4, 5]]),
        row(InplaceSub, [value([[1, 2], [3, 4]]), value(1), value([1, 1])]).expect([[1, 2], [2, 3]]),
        row(InplaceSub, [x([3, 2]), value([1]), x([2, 2])]).fails(InvalidArgument),
        row(slice(), [x([3, 2])].into_iter().chain(entries()).chain([x([2, 1])])),
        row(slice(), [x([3, 2])].into_iter().chain(entries()).chain([x([])])),
        row(slice(), [x([3, 2])].into_iter().chain(entries()).chain([x([3, 1])])).fails(InvalidArgument),
        row(
            StridedSliceAssign { end_mask: 1, ..StridedSliceAssign::default() },
            [v()].into_iter().chain(entries()).chain([value([[8], [9]])]),
        )
        .leaves([[8, 2], [3, 4], [9, 6]]),
    ]
}
