use tidemill_core::ops::{BitwiseAnd, BitwiseOr, BitwiseXor, Invert, LeftShift, RightShift};

use crate::row::{Row, row, value};

pub(super) fn rows() -> Vec<Row> {
    let pair = || [value([[0b1100, -1], [7, 1 << 20]]), value([0b1010, 16])];
    vec![
        row(BitwiseAnd, pair()).expect([[8, 16], [2, 0]]),
        row(BitwiseOr, pair()).expect([[14, -1], [15, (1 << 20) + 16]]),
        row(BitwiseXor, pair()).expect([[6, -17], [13, (1 << 20) + 16]]),
        row(BitwiseAnd, [value([12u8, 255]), value([10u8, 16])]).expect([8u8, 16]),
        row(Invert, [value([0, -1, 5])]).expect([-1, 0, -6]),
        row(LeftShift, [value([1i8, 1, 3]), value([3i8, 100, -5])]).expect([8i8, -128, 3]),
        row(RightShift, [value([-8, 64, -1]), value([1, 6, 100])]).expect([-4, 1, -1]),
    ]
}
