use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{self, Ix, Slice, StridedSlice, StridedSliceGrad};

use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let plain = StridedSlice::default;
    let masks = || StridedSlice {
        begin_mask: 0b1,
        end_mask: 0b1,
        new_axis_mask: 0b100,
        shrink_axis_mask: 0b1000,
        ..plain()
    };
    let ellipsis = || StridedSlice { ellipsis_mask: 0b1, shrink_axis_mask: 0b10, ..plain() };
    let into = || StridedSliceGrad { begin_mask: 0b1, shrink_axis_mask: 0b10, ..StridedSliceGrad::default() };
    vec![
        row(Slice, [x([4, 5]), value([1, 2]), value([2, -1])]),
        row(Slice, [x([3]), value([3]), value([0])]),
        row(Slice, [value([1, 2, 3, 4]), value([1i64]), value([2i64])]).expect([2, 3]),
        row(Slice, [x([4, 5]), value([1, 2]), value([4, 1])]).fails(InvalidArgument),
        row(plain(), [x([4, 5]), value([1, 0]), value([3, 5]), value([1, 2])]),
        row(plain(), [x([4, 5]), value([-1]), value([-4]), value([-2])]),
        row(masks(), [x([4, 5, 3]), value([0, 1, 0, 2]), value([0, 3, 0, 0]), value([2, 1, 1, 1])]),
        row(ellipsis(), [x([2, 3, 4]), value([0i64, -1]), value([0i64, 0]), value([1i64, 1])]),
        row(plain(), [value([0, 1, 2, 3, 4, 5]), value([7]), value([0]), value([-2])]).expect([5, 3, 1]),
        row(plain(), [x([4]), value([0]), value([4]), value([0])]).fails(InvalidArgument),
        row_of::<StridedSlice>(
            |t| vec![ops::index(t[0], (1.., Ix::NewAxis, Ix::Ellipsis, -1)), ops::index(t[0], t[1])],
            [x([3, 2, 4]), value(2)],
        ),
        row_of::<StridedSlice>(|t| vec![ops::index(t[0], (Ix::by(.., -2), 1..3))], [x([5, 4])]),
        row(into(), [value([4, 3]), value([0, 1]), value([3, 2]), value([2, 1]), x([2])]),
        row(into(), [value([4, 3]), value([0, 1]), value([3, 2]), value([2, 1]), x([3])])
            .fails(InvalidArgument),
    ]
}
