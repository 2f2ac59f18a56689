use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    self, Add, AddN, AddV2, Atan2, Div, FloorDiv, FloorMod, Maximum, Minimum, Mod, Mul, NextAfter, Pow,
    RealDiv, SquaredDifference, Sub, TruncateDiv, TruncateMod,
};

use super::slopes;
use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let positive = |shape: &[usize]| x(shape).range(0.5, 2.0);
    let (sevens, threes) = (|| value([7, 7, -7, -7]), || value([3, -3, 3, -3]));
    let ties = || [value([1.0, 2.0, 3.0]), value([2.0, 2.0, 2.0])];
    let nan = f64::NAN;
    vec![
        row(AddV2, [x([5, 13]), x([5, 13])]),
        row(AddV2, [x([2, 37]), x([37])]),
        row(AddV2, [x([2, 1]), x([1, 37])]),
        row(AddV2, [x([2, 1, 3]), x([4, 1])]),
        row(AddV2, [x([]), x([2, 3])]),
        row(AddV2, [x([0, 3]), x([3])]),
        row(AddV2, [value([i32::MAX, 1]), value(1)]).expect([i32::MIN, 2]),
        row(AddV2, [x([2, 3]), x([2])]).fails(InvalidArgument),
        row(Add, [x([2, 3]), x([2, 3])]),
        row(Sub, [x([2, 37]), x([2, 1])]),
        row(Sub, [value([1u8]), value([2u8])]).expect([255u8]),
        row(Mul, [x([5, 13]), x([5, 13])]),
        row(Mul, [x([2, 1, 3]), x([4, 1])]),
        row(Mul, [x([]), x([])]),
        row(Mul, [value([2, 3]), value([4, 5])]).expect([8, 15]),
        row(RealDiv, [x([2, 3]), positive(&[3])]),
        row(RealDiv, [value([1.0, -1.0, 0.0]), value(0.0)])
            .expect([f64::INFINITY, -f64::INFINITY, nan])
            .values_only(),
        row_of::<RealDiv>(|t| vec![t[0] / t[1]], [value([1, -7]), value([2, 2])]).expect([0.5, -3.5]),
        row(Div, [x([2, 3]), positive(&[2, 1])]),
        row(Div, [sevens(), threes()]).expect([2, -2, -2, 2]),
        row(Div, [value([1]), value([0])]).fails(InvalidArgument),
        row(FloorDiv, [x([2, 3]).range(-9.0, 9.0), positive(&[3])]),
        row(FloorDiv, [sevens(), threes()]).expect([2, -3, -3, 2]),
        row(FloorDiv, [value([1]), value([0])]).fails(InvalidArgument),
        row(FloorMod, [x([2, 3]).range(-9.0, 9.0), positive(&[3])]),
        row(FloorMod, [sevens(), threes()]).expect([1, -2, 2, -1]),
        row(FloorMod, [value([1]), value([0])]).fails(InvalidArgument),
        row(TruncateDiv, [x([2, 3]).range(-9.0, 9.0), positive(&[3])]),
        row(TruncateDiv, [sevens(), threes()]).expect([2, -2, -2, 2]),
        row(TruncateDiv, [value([1]), value([0])]).fails(InvalidArgument),
        row(TruncateMod, [x([2, 3]).range(-9.0, 9.0), positive(&[3])]).no_gradient(),
        row(TruncateMod, [sevens(), threes()]).expect([1, 1, -1, -1]),
        row(TruncateMod, [value([1]), value([0])]).fails(InvalidArgument),
        row(Mod, [sevens(), threes()]).expect([1, 1, -1, -1]),
        row(Mod, [value([1]), value([0])]).fails(InvalidArgument),
        row(Atan2, [positive(&[2, 3]), x([3])]),
        row(Atan2, [value([0.0, -1.0]), value([-1.0, -1.0])])
            .expect([std::f64::consts::PI, -0.75 * std::f64::consts::PI])
            .values_only(),
        row(NextAfter, [x([2, 3]), x([3])]).values_only(),
        row(NextAfter, [value([1f32, 0.0]), value([0f32, 1.0])])
            .expect([0.999_999_94f32, 1e-45])
            .values_only(),
        slopes::<NextAfter>(|t| ops::nextafter(t[0], t[1]), ties())
            .expect([1.0, 1.0, 1.0])
            .expect([0.0, 0.0, 0.0]),
        row(Maximum, [x([2, 3]), x([3])]),
        row(Maximum, [value([1.0, nan, 2.0]), value([2.0, 1.0, nan])]).expect([2.0, nan, nan]).values_only(),
        slopes::<Maximum>(|t| ops::maximum(t[0], t[1]), ties())
            .expect([0.0, 1.0, 1.0])
            .expect([1.0, 0.0, 0.0]),
        row(Minimum, [x([2, 3]), x([2, 1])]),
        slopes::<Minimum>(|t| ops::minimum(t[0], t[1]), ties())
            .expect([1.0, 1.0, 0.0])
            .expect([0.0, 0.0, 1.0]),
        row(Minimum, [value([1, 5]), value(3)]).expect([1, 3]),
        row(Pow, [positive(&[2, 3]), x([3])]),
        row(Pow, [positive(&[]), x([2, 1])]),
        slopes::<Pow>(|t| ops::pow(t[0], t[1]), [value([-2.0, 0.0, 2.0]), value([2.0, 2.0, 3.0])])
            .expect([-4.0, 0.0, 12.0])
            .expect([0.0, 0.0, 8.0 * std::f64::consts::LN_2]),
        row(Pow, [value([2, -3]), value([10, 3])]).expect([1024, -27]),
        row(Pow, [value([2]), value([-1])]).fails(InvalidArgument),
        row(SquaredDifference, [x([2, 3]), x([3])]).real_gradient(),
        row(SquaredDifference, [value([5, 1]), value([2, 3])]).expect([9, 4]),
        row(AddN, [x([5, 13]), x([5, 13]), x([5, 13])]),
        row(AddN, [x([2, 3])]),
        row(AddN, [value([1, 2]), value([3, 4])]).expect([4, 6]),
        row(AddN, [x([2]), x([3])]).fails(InvalidArgument),
    ]
}
