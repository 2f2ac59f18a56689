use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{ListDiff, Unique, UniqueV2, UniqueWithCounts, UniqueWithCountsV2};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let op = |out_idx| Unique { out_idx };
    let table = || value([[1, 0, 1], [2, 0, 2]]);
    vec![
        row(op(DType::I32), [value([4, 4, 1, 7, 4, 1])]).expect([4, 1, 7]).expect([0, 0, 1, 2, 0, 1]),
        row(op(DType::I64), [value([2.5, -1.0, 2.5])]).expect([2.5, -1.0]).expect([0i64, 1, 0]).no_gradient(),
        row(op(DType::I32), [x([2, 2])]).fails(InvalidArgument),
        row(UniqueV2 { out_idx: DType::I32 }, [table(), value([1i64])])
            .expect([[1, 0], [2, 0]])
            .expect([0, 1, 0]),
        row(UniqueV2 { out_idx: DType::I64 }, [table(), value([-2])])
            .expect([[1, 0, 1], [2, 0, 2]])
            .expect([0i64, 1]),
        row(UniqueV2 { out_idx: DType::I32 }, [value([3, 3]), value(Vec::<i64>::new())])
            .expect([3])
            .expect([0, 0]),
        row(UniqueV2 { out_idx: DType::I32 }, [table(), value(Vec::<i64>::new())]).fails(InvalidArgument),
        row(UniqueV2 { out_idx: DType::I32 }, [table(), value([2])]).fails(InvalidArgument),
        row(UniqueWithCounts { out_idx: DType::I32 }, [value([1, 1, 2, 4, 4, 4])])
            .expect([1, 2, 4])
            .expect([0, 0, 1, 2, 2, 2])
            .expect([2, 1, 3]),
        row(UniqueWithCountsV2 { out_idx: DType::I32 }, [table(), value([1])])
            .expect([[1, 0], [2, 0]])
            .expect([0, 1, 0])
            .expect([2, 1]),
        row(ListDiff { out_idx: DType::I32 }, [value([1, 2, 3, 4, 5, 6]), value([1, 3, 5])])
            .expect([2, 4, 6])
            .expect([1, 3, 5]),
        row(ListDiff { out_idx: DType::I64 }, [value([1.5, 1.5]), value([0.0])])
            .expect([1.5, 1.5])
            .expect([0i64, 1])
            .no_gradient(),
        row(ListDiff { out_idx: DType::I32 }, [value(1), value([1])]).fails(InvalidArgument),
    ]
}
