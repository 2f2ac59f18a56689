use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{self, Bucketize, LowerBound, NthElement, Side, TopK, TopKV2, UpperBound, Where};

use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let top = |index_type| TopKV2 { sorted: true, index_type };
    let (sorted, wanted) = (|| value([[0, 3, 9, 9, 10], [1, 2, 3, 4, 5]]), || value([[2, 4, 9], [0, 2, 6]]));
    vec![
        row(Where, [value([[true, false], [true, true]])]).expect([[0i64, 0], [1, 0], [1, 1]]),
        row(Where, [value([0.0, 2.0, -1.0])]).expect([[1i64], [2]]).values_only(),
        row(Where, [value([0u8, 0])]),
        row_of::<Where>(|t| vec![ops::gather_nd(t[0], ops::where_indices(t[0].gt(0.0)))], [x([3, 4])]),
        row_of::<Where>(
            |t| vec![ops::boolean_mask(t[0], t[0].graph().constant([true, false, true]))],
            [x([3, 2])],
        ),
        row(LowerBound { out_type: DType::I32 }, [sorted(), wanted()]).expect([[1, 2, 2], [0, 1, 5]]),
        row(UpperBound { out_type: DType::I64 }, [sorted(), wanted()]).expect([[1i64, 2, 4], [0, 2, 5]]),
        row(LowerBound { out_type: DType::I32 }, [x([2, 3]), x([3, 3])]).fails(InvalidArgument),
        row(UpperBound { out_type: DType::I32 }, [x([3]), x([3])]).fails(InvalidArgument),
        row_of::<UpperBound>(
            |t| vec![ops::searchsorted(t[0], t[1], Side::Right)],
            [value([0.0, 1.0, 2.0]), value([1.0, -1.0])],
        )
        .expect([2, 0])
        .values_only(),
        row(Bucketize { boundaries: vec![0.0, 10.0, 100.0] }, [value([[-5, 10_000], [150, 10], [5, 100]])])
            .expect([[0, 3], [3, 2], [1, 3]]),
        row(Bucketize { boundaries: vec![1.0, 0.0] }, [value([1.0])]).fails(InvalidArgument),
        row(top(DType::I32), [x([3, 5]), value(2)]).static_gradient(),
        row(top(DType::I64), [x([2, 2, 4]), value(3)]).static_gradient(),
        row(top(DType::I32), [value([3, 1, 3, 2]), value(3i64)]).expect([3, 3, 2]).expect([0, 2, 3]),
        row(top(DType::I32), [x([3]), value(0)]).static_gradient(),
        row(top(DType::I32), [x([3]), value(4)]).fails(InvalidArgument),
        row(top(DType::I32), [x([3]), value(-1)]).fails(InvalidArgument),
        row(TopK { k: 2, sorted: true }, [x([4])]),
        row(TopK { k: 2, sorted: true }, [x([])]).fails(InvalidArgument),
        row(NthElement { reverse: false }, [x([3, 5]), value(1)]),
        row(NthElement { reverse: true }, [value([[5, 1, 4], [2, 9, 2]]), value(0)]).expect([5, 9]),
        row(NthElement { reverse: false }, [x([3]), value(3)]).fails(InvalidArgument),
    ]
}
