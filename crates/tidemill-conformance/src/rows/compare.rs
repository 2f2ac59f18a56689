use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    self, Equal, Greater, GreaterEqual, Less, LessEqual, LogicalAnd, LogicalNot, LogicalOr, NotEqual, Select,
    SelectV2,
};

use crate::row::{Input, Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let (t, f) = (true, false);
    let nan = f64::NAN;
    let a = || value([1.0, 2.0, 3.0, nan, nan]);
    let b = || value([2.0, 2.0, 2.0, 2.0, nan]);
    let cond = || value([[t, f, t], [f, t, f]]);
    let both: fn() -> [Input; 2] = || [value([true, true, false, false]), value([true, false, true, false])];
    vec![
        row(Equal, [x([2, 3]), x([3])]),
        row(Equal, [a(), b()]).expect([f, t, f, f, f]),
        row(Equal, [value([t, f]), value(t)]).expect([t, f]),
        row(NotEqual, [x([2, 3]), x([3])]),
        row(NotEqual, [a(), b()]).expect([t, f, t, t, t]),
        row(Less, [x([2, 3]), x([3])]),
        row(Less, [a(), b()]).expect([t, f, f, f, f]),
        row(LessEqual, [x([2, 3]), x([2, 1])]),
        row(LessEqual, [a(), b()]).expect([t, t, f, f, f]),
        row(Greater, [x([2, 3]), x([])]),
        row(Greater, [a(), b()]).expect([f, f, t, f, f]),
        row(GreaterEqual, [x([3]), x([2, 3])]),
        row(GreaterEqual, [a(), b()]).expect([f, t, t, f, f]),
        row(Less, [x([2]), x([3])]).fails(InvalidArgument),
        row(LogicalAnd, both()).expect([t, f, f, f]),
        row(LogicalOr, both()).expect([t, t, t, f]),
        row(LogicalNot, [value([t, f])]).expect([f, t]),
        row_of::<LogicalAnd>(|t| vec![ops::logical_xor(t[0], t[1])], both()).expect([f, t, t, f]),
        row(SelectV2, [cond(), x([2, 3]), x([2, 3])]),
        row(SelectV2, [value([t, f, t]), x([2, 1]), x([])]),
        row(SelectV2, [value([[t], [f]]), x([3]), x([2, 3])]),
        row(SelectV2, [value([t, f]), value([1, 2]), value([3, 4])]).expect([1, 4]),
        row(SelectV2, [value([t, f]), x([3]), x([3])]).fails(InvalidArgument),
        row(Select, [cond(), x([2, 3]), x([2, 3])]),
        row(Select, [value([t, f]), x([2, 3]), x([2, 3])]),
        row(Select, [value(f), x([2, 3]), x([2, 3])]),
        row(Select, [value([t, f]), value([[1, 2], [3, 4]]), value([[5, 6], [7, 8]])])
            .expect([[1, 2], [7, 8]]),
        row(Select, [value([t, f, t]), x([2, 3]), x([2, 3])]).fails(InvalidArgument),
    ]
}
