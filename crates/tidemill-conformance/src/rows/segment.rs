use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    SegmentMax, SegmentMean, SegmentMin, SegmentProd, SegmentSum, UnsortedSegmentMax, UnsortedSegmentMin,
    UnsortedSegmentProd, UnsortedSegmentSum,
};

use super::slopes;
use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let ids = || value([0, 0, 2, 2]);
    let table = || value([[1, 2, 3, 4], [4, 3, 2, 1], [5, 6, 7, 8]]);
    let unsorted = || value([2, 0, 2, -1]);
    let full = || value([1, 0, 1, -1]);
    let ties = || [value([1.0, 1.0, 0.5]), value([0, 0, 0])];
    vec![
        row(SegmentSum, [x([4, 2]), ids()]),
        row(SegmentSum, [table(), value([0i64, 0, 1])]).expect([[5, 5, 5, 5], [5, 6, 7, 8]]),
        row(SegmentSum, [x([3]), value([1, 0, 1])]).fails(InvalidArgument),
        row(SegmentSum, [x([3]), value([-1, 0, 1])]).fails(InvalidArgument),
        row(SegmentSum, [x([3]), value([0, 1])]).fails(InvalidArgument),
        row(SegmentSum, [x([0, 2]), value(Vec::<i32>::new())]),
        row(SegmentMean, [x([4, 2]), ids()]),
        row(SegmentMean, [table(), value([0, 0, 1])]).expect([[2, 2, 2, 2], [5, 6, 7, 8]]),
        row(SegmentProd, [x([4, 2]), ids()]),
        row(SegmentProd, [table(), value([0, 0, 1])]).expect([[4, 6, 6, 4], [5, 6, 7, 8]]),
        row(SegmentMax, [x([4, 2]), ids()]),
        row(SegmentMax, [table(), value([0, 0, 1])]).expect([[4, 3, 3, 4], [5, 6, 7, 8]]),
        row(SegmentMin, [x([4, 2]), ids()]),
        row(SegmentMin, [table(), value([0, 0, 1])]).expect([[1, 2, 2, 1], [5, 6, 7, 8]]),
        slopes::<SegmentMax>(|t| tidemill_core::ops::segment_max(t[0], t[1]), ties()).expect([0.5, 0.5, 0.0]),
        row(UnsortedSegmentSum, [x([4, 2]), unsorted(), value(3)]),
        row(UnsortedSegmentSum, [x([2, 2, 3]), value([[1, 0], [1, 1]]), value(2)]),
        row(UnsortedSegmentSum, [value([1, 2, 3]), value([1i64, 1, 0]), value(3)]).expect([3, 3, 0]),
        row(UnsortedSegmentSum, [x([2, 2]), value([0, 3]), value(3)]).fails(InvalidArgument),
        row(UnsortedSegmentProd, [x([4, 2]), unsorted(), value(3)]),
        row(UnsortedSegmentProd, [value([2, 3, 4]), value([2, 2, -1]), value(3)]).expect([1, 1, 6]),
        row(UnsortedSegmentMax, [x([4, 2]), full(), value(2)]),
        row(UnsortedSegmentMax, [value([2u8, 3]), value([1, 1]), value(2)]).expect([0u8, 3]),
        row(UnsortedSegmentMin, [x([4, 2]), full(), value(2)]),
        row(UnsortedSegmentMin, [value([2, 3]), value([1, 1]), value(2)]).expect([i32::MAX, 2]),
        row(UnsortedSegmentMin, [x([2]), value([0, 1]), value(-1)]).fails(InvalidArgument),
    ]
}
