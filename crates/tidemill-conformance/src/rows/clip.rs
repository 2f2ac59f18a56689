use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{ApproximateEqual, CheckNumerics, ClipByValue};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let numbers = || value([-3.0, -0.5, 0.5, 3.0]);
    vec![
        row(ClipByValue, [numbers(), value(-1.0), value(1.0)]).expect([-1.0, -0.5, 0.5, 1.0]),
        row(ClipByValue, [numbers(), value([-4.0, 0.0, 0.0, 0.0]), value([4.0, 4.0, 0.25, 2.0])])
            .expect([-3.0, 0.0, 0.25, 2.0])
            .static_gradient(),
        row(ClipByValue, [value([1u8, 9]), value(2u8), value(5u8)]).expect([2u8, 5]),
        row(ClipByValue, [numbers(), value([1.0, 2.0]), value(1.0)]).fails(InvalidArgument),
        row(ApproximateEqual { tolerance: 0.25 }, [value([1.0, 1.0, 1.0]), value([1.0, 1.2, 0.7])])
            .expect([true, true, false]),
        row(ApproximateEqual { tolerance: 2.0 }, [value([1, 1]), value([2, 3])]).expect([true, false]),
        row(ApproximateEqual { tolerance: 1.0 }, [x([2]), x([3])]).fails(InvalidArgument),
        row(CheckNumerics { message: "all".into() }, [x([2, 3])]),
        row(CheckNumerics { message: "not this".into() }, [value([1.0, f64::NAN])]).fails(InvalidArgument),
        row(CheckNumerics { message: "not this".into() }, [value([1.0, f64::INFINITY])])
            .fails(InvalidArgument),
    ]
}
