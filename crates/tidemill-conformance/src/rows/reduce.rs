use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{self, All, Any, ArgMax, ArgMin, EuclideanNorm, Max, Mean, Min, Prod, Sum};

use super::slopes;
use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let none = || value(Vec::<i32>::new());
    let table = || value([[1, 5, 3], [4, 2, 6]]);
    let bools = || value([[true, false], [true, true]]);
    let zero = |n: usize| value([[1.5, if n > 0 { 0.0 } else { 2.0 }, -1.0, if n > 1 { 0.0 } else { 0.5 }]]);
    let ties = || [value([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0]])];
    vec![
        row(EuclideanNorm { keep_dims: false }, [x([2, 3, 4]), value([0, 2])]),
        row(EuclideanNorm { keep_dims: true }, [x([7, 65]), value([1])]),
        row(EuclideanNorm { keep_dims: false }, [value([[3, 4], [0, 0]]), value(1)]).expect([5, 0]),
        row(Sum { keep_dims: false }, [x([2, 3, 4]), value([0, 2])]),
        row(Sum { keep_dims: true }, [x([2, 3, 4]), value([0, -1])]),
        row(Sum { keep_dims: false }, [x([2, 3]), value(1)]),
        row(Sum { keep_dims: false }, [x([7, 65]), value([0, 1])]),
        row(Sum { keep_dims: false }, [x([7, 65]), value([0])]),
        row(Sum { keep_dims: false }, [x([7, 65]), value([1])]),
        row(Sum { keep_dims: false }, [x([3, 2, 2, 5]), value([1, 3])]),
        row(Sum { keep_dims: false }, [x([]), none()]),
        row(Sum { keep_dims: false }, [x([2, 3]), none()]),
        row(Sum { keep_dims: false }, [x([2, 0]), value([1])]).expect([0.0, 0.0]),
        row(Sum { keep_dims: false }, [table(), value([0i64])]).expect([5, 7, 9]),
        row(Sum { keep_dims: false }, [x([2, 3]), value([2])]).fails(InvalidArgument),
        row(Sum { keep_dims: false }, [x([2, 3]), value([1, -1])]).fails(InvalidArgument),
        row(Mean { keep_dims: false }, [x([2, 3, 4]), value([1])]),
        row(Mean { keep_dims: true }, [x([2, 3]), value([0, 1])]),
        row(Mean { keep_dims: false }, [value([[-1, -2], [4, 0]]), value(1)]).expect([-1, 2]),
        row(Max { keep_dims: false }, [x([2, 3, 2]), value([1])]),
        row(Max { keep_dims: false }, [x([7, 65]), value([0])]),
        row(Max { keep_dims: true }, [x([2, 3]), value([0, 1])]),
        row(Max { keep_dims: false }, [table(), value(1)]).expect([5, 6]),
        slopes::<Max>(|t| ops::reduce_max_with(t[0], 1), ties()).expect([[0.0, 0.5, 0.5], [0.5, 0.5, 0.0]]),
        slopes::<Min>(|t| ops::reduce_min_with(t[0], 1), ties()).expect([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        row(Min { keep_dims: false }, [x([2, 3, 2]), value([0, 2])]),
        row(Min { keep_dims: false }, [table(), value(0)]).expect([1, 2, 3]),
        row(Prod { keep_dims: false }, [x([2, 3, 2]), value([1])]),
        row(Prod { keep_dims: false }, [x([0, 3]), value([0])]).expect([1.0; 3]),
        row(Prod { keep_dims: true }, [x([2, 3]), value([0, 1])]),
        row(Prod { keep_dims: false }, [zero(0), value(1)]),
        row(Prod { keep_dims: false }, [zero(1), value(1)]),
        row(Prod { keep_dims: false }, [zero(2), value(1)]),
        row(Prod { keep_dims: false }, [table(), value(1)]).expect([15, 48]),
        row(All { keep_dims: false }, [bools(), value(0)]).expect([true, false]),
        row(All { keep_dims: true }, [bools(), value([0, 1])]).expect([[false]]),
        row(Any { keep_dims: false }, [bools(), value(1)]).expect([true, true]),
        row(ArgMax { output_type: DType::I64 }, [x([2, 3]), value(1)]),
        row(ArgMax { output_type: DType::I32 }, [value([[1, 5, 5], [4, 2, 3]]), value(-1)]).expect([1, 0]),
        row(ArgMax { output_type: DType::I64 }, [x([2, 3]), value(2)]).fails(InvalidArgument),
        row(ArgMin { output_type: DType::I32 }, [x([2, 3, 2]), value(0)]),
        row(ArgMin { output_type: DType::I64 }, [table(), value(1i64)]).expect([0i64, 1]),
    ]
}
