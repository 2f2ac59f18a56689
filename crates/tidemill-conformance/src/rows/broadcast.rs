use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::BroadcastGradientArgs;

use crate::row::{Row, row, value};

pub(super) fn rows() -> Vec<Row> {
    let none = || value(Vec::<i32>::new());
    vec![
        row(BroadcastGradientArgs, [value([2, 3]), value([3])]).expect(Vec::<i32>::new()).expect([0]),
        row(BroadcastGradientArgs, [value([2, 1]), value([1, 3])]).expect([1]).expect([0]),
        row(BroadcastGradientArgs, [value([4i64, 1, 3]), value([2i64, 1])]).expect([1i64]).expect([0i64, 2]),
        row(BroadcastGradientArgs, [none(), value([2])]).expect([0]).expect(Vec::<i32>::new()),
        row(BroadcastGradientArgs, [value([2]), value([3])]).fails(InvalidArgument),
    ]
}
