use tidemill_core::ops::{self, DivNoNan, MulNoNan, Xdivy, Xlog1py, Xlogy};

use super::slopes;
use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let positive = |shape: &[usize]| x(shape).range(0.5, 2.0);
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    vec![
        row(DivNoNan, [x([2, 3]), positive(&[3])]),
        row(DivNoNan, [value([1.0, nan, 6.0]), value([0.0, 0.0, 3.0])]).expect([0.0, 0.0, 2.0]).values_only(),
        slopes::<DivNoNan>(|t| ops::div_no_nan(t[0], t[1]), [value([1.0, 6.0]), value([0.0, 2.0])])
            .expect([0.0, 0.5])
            .expect([0.0, -1.5]),
        row(MulNoNan, [x([2, 3]), positive(&[2, 1])]),
        row(MulNoNan, [value([inf, nan, 6.0]), value([0.0, 0.0, 3.0])])
            .expect([0.0, 0.0, 18.0])
            .values_only(),
        row(Xdivy, [positive(&[2, 3]), positive(&[3])]),
        row(Xdivy, [value([0.0, 1.0]), value([0.0, 2.0])]).expect([0.0, 0.5]).values_only(),
        row(Xlogy, [positive(&[2, 3]), positive(&[3])]),
        row(Xlogy, [value([0.0, 1.0]), value([0.0, 1.0])]).expect([0.0, 0.0]).values_only(),
        slopes::<Xlogy>(|t| ops::xlogy(t[0], t[1]), [value([0.0, 3.0]), value([0.0, 1.0])])
            .expect([0.0, 0.0])
            .expect([0.0, 3.0]),
        row(Xlog1py, [positive(&[2, 3]), positive(&[3])]),
        row(Xlog1py, [value([0.0, 1.0]), value([-1.0, 0.0])]).expect([0.0, 0.0]).values_only(),
    ]
}
