use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    Bitcast, BroadcastArgs, Empty, LinSpace, ParallelConcat, Reverse, Roll, UnravelIndex,
};
use tidemill_core::{DType, Shape};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let concat = |shape: &[usize]| ParallelConcat { shape: Shape::new(shape) };
    vec![
        row(Roll, [x([3, 4, 2]), value([1, -1]), value([0, 1])]),
        row(Roll, [x([5]), value(7i64), value(0i64)]),
        row(Roll, [value([[1, 2, 3], [4, 5, 6]]), value([1, 1]), value([1, 1])])
            .expect([[2, 3, 1], [5, 6, 4]]),
        row(Roll, [x([3]), value([1, 2]), value([0])]).fails(InvalidArgument),
        row(Roll, [x([3]), value(1), value(1)]).fails(InvalidArgument),
        row(Reverse, [x([2, 3, 2]), value([true, false, true])]),
        row(Reverse, [x([2]), value([true, false])]).fails(InvalidArgument),
        row(Bitcast { dtype: DType::F32 }, [value([0x3f80_0000, -0x4000_0000])]).expect([1f32, -2.0]),
        row(Bitcast { dtype: DType::U8 }, [value([0x0102i16])]).expect([[2u8, 1]]),
        row(Bitcast { dtype: DType::I16 }, [value([[2u8, 1]])]).expect([0x0102i16]),
        row(Bitcast { dtype: DType::I32 }, [value([[2u8, 1]])]).fails(InvalidArgument),
        row(BroadcastArgs, [value([3, 1]), value([2, 1, 5])]).expect([2, 3, 5]),
        row(BroadcastArgs, [value([3i64]), value([2i64])]).fails(InvalidArgument),
        row(UnravelIndex, [value([22, 41, 37]), value([7, 6])]).expect([[3, 6, 6], [4, 5, 1]]),
        row(UnravelIndex, [value(1621i64), value([6i64, 7, 8, 9])]).expect([3i64, 1, 4, 1]),
        row(UnravelIndex, [value([42]), value([7, 6])]).fails(InvalidArgument),
        row(concat(&[2, 3]), [x([1, 3]), x([1, 3])]),
        row(concat(&[2, 3]), [x([1, 3]), x([1, 2])]).fails(InvalidArgument),
        row(Empty { dtype: DType::F32, init: true }, [value([2, 1])]).expect([[0f32], [0.0]]),
        row(Empty { dtype: DType::F32, init: true }, [value([-1])]).fails(InvalidArgument),
        row(LinSpace, [value(1.0), value(5.0), value(5)]).expect([1.0, 2.0, 3.0, 4.0, 5.0]).no_gradient(),
        row(LinSpace, [value(1.0), value(5.0), value(1i64)]).expect([1.0]).no_gradient(),
        row(LinSpace, [value(1.0), value(5.0), value(0)]).fails(InvalidArgument),
    ]
}
