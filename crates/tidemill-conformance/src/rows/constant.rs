use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{Const, Fill, OnesLike, Placeholder, PlaceholderWithDefault, Range, ZerosLike};
use tidemill_core::{DType, PartialShape, Value};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let numbers = || Value::from([1.5, f64::NAN, -0.0]);
    let placeholder = || Placeholder { dtype: DType::F32, shape: PartialShape::from([None, Some(2)]) };
    let default = || PlaceholderWithDefault { shape: PartialShape::from([None, Some(2)]) };
    vec![
        row(Const { value: numbers() }, []).expect(numbers()),
        row(Const { value: Value::from([[1, 2], [3, 4]]) }, []).expect([[1, 2], [3, 4]]),
        row(Const { value: Value::from(true) }, []).expect(true),
        row(placeholder(), []).fails(InvalidArgument),
        row(placeholder(), []).fed([[1f32, 2.0]]).expect([[1f32, 2.0]]),
        row(default(), [x([3, 2])]),
        row(default(), [x([3, 2])]).fed([[1.0, 2.0]]).expect([[1.0, 2.0]]),
        row(Fill, [value([2, 3]), x([])]),
        row(Fill, [value([2i64]), value(7u8)]).expect([7u8, 7]),
        row(Fill, [value(Vec::<i32>::new()), value(true)]).expect(true),
        row(Fill, [value([-1]), x([])]).fails(InvalidArgument),
        row(Range, [value(2), value(11), value(3)]).expect([2, 5, 8]),
        row(Range, [value(3), value(0), value(-2)]).expect([3, 1]),
        row(Range, [value(3i64), value(3i64), value(1i64)]).expect(Vec::<i64>::new()),
        row(Range, [value(0.5), value(3.0), value(0.75)]).expect([0.5, 1.25, 2.0, 2.75]).no_gradient(),
        row(Range, [value(0), value(5), value(0)]).fails(InvalidArgument),
        row(Range, [value(0), value(5), value(-1)]).fails(InvalidArgument),
        row(ZerosLike, [x([2, 3])]).expect([[0.0; 3]; 2]),
        row(OnesLike, [x([2, 3])]).expect([[1.0; 3]; 2]),
    ]
}
