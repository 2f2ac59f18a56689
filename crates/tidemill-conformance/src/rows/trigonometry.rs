use tidemill_core::ops::{Acos, Acosh, Asin, Asinh, Atan, Atanh, Cosh, Sinh, Tan};

use crate::row::{Row, row, x};

pub(super) fn rows() -> Vec<Row> {
    let inside = || x([5, 13]).range(-0.9, 0.9);
    vec![
        row(Tan, [x([5, 13]).range(-1.2, 1.2)]),
        row(Asin, [inside()]),
        row(Acos, [inside()]),
        row(Atan, [x([5, 13])]),
        row(Sinh, [x([5, 13])]),
        row(Cosh, [x([5, 13])]),
        row(Asinh, [x([5, 13])]),
        row(Acosh, [x([5, 13]).range(1.2, 3.0)]),
        row(Atanh, [inside()]),
    ]
}
