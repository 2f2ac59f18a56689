use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    RandomShuffle, RandomStandardNormal, RandomUniform, RandomUniformInt, TruncatedNormal,
};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let (seed, seed2) = (87_654_321, 7);
    let uniform = |dtype| RandomUniform { seed, seed2, dtype };
    let int = || RandomUniformInt { seed, seed2 };
    let shuffle = || RandomShuffle { seed, seed2 };
    let mut rows = vec![
        row(uniform(DType::F32), [value([-1])]).fails(InvalidArgument),
        row(int(), [value([40]), value(-3), value(5)]).within(-3.0, 4.0),
        row(int(), [value([4i64, 10]), value(1i64 << 40), value((1i64 << 40) + 9)]),
        row(int(), [value([4]), value(3), value(3)]).fails(InvalidArgument),
        row(shuffle(), [x([20])]).no_gradient(),
        row(shuffle(), [x([9, 2])]).no_gradient(),
        row(shuffle(), [value([4, 4, 4, 4, 4, 5, 6, 7, 8, 9])]).within(4.0, 9.0),
    ];
    for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
        rows.push(row(uniform(dtype), [value([10, 4])]).within(0.0, 1.0));
        rows.push(row(RandomStandardNormal { seed, seed2, dtype }, [value([10i64])]).within(-6.0, 6.0));
        rows.push(row(TruncatedNormal { seed, seed2, dtype }, [value([10, 4])]).within(-2.0, 2.0));
    }
    rows
}
