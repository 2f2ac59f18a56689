use tidemill_core::ops::{
    self, BroadcastTo, ConjugateTranspose, EnsureShape, ExpandDims, InvertPermutation, Rank, Reshape,
    ReverseV2, Shape, ShapeN, Size, Squeeze, Transpose,
};
use tidemill_core::{DType, ErrorKind::InvalidArgument, PartialShape};

use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let none = || value(Vec::<i32>::new());
    vec![
        row(ConjugateTranspose, [x([2, 3, 4]), value([1, 2, 0])]),
        row(ConjugateTranspose, [x([2, 3]), value([0, 1])]),
        row(Shape { out_type: DType::I32 }, [x([2, 3])]).expect([2, 3]),
        row(Shape { out_type: DType::I64 }, [x([])]).expect(Vec::<i64>::new()),
        row(ShapeN { out_type: DType::I32 }, [x([2, 3]), x([4])]).expect([2, 3]).expect([4]),
        row(Size { out_type: DType::I32 }, [x([2, 3])]).expect(6),
        row(Size { out_type: DType::I64 }, [x([2, 0])]).expect(0i64),
        row(Rank, [x([2, 3])]).expect(2),
        row(EnsureShape { shape: PartialShape::from([None, Some(3)]) }, [x([2, 3])]),
        row(EnsureShape { shape: PartialShape::from([None, Some(4)]) }, [x([2, 3])]).fails(InvalidArgument),
        row(Reshape, [x([2, 6]), value([3, -1])]),
        row(Reshape, [x([2, 3]), value([6i64])]),
        row(Reshape, [x([1, 1]), none()]),
        row(Reshape, [x([0, 3]), value([3, 0])]),
        row(Reshape, [x([0, 6]), value([0, -1, 3])]),
        row(Reshape, [x([2, 3]), value([0, -1])]).fails(InvalidArgument),
        row(Reshape, [value([1, 2, 3, 4]), value([2, 2])]).expect([[1, 2], [3, 4]]),
        row(Reshape, [x([2, 3]), value([4])]).fails(InvalidArgument),
        row(ExpandDims, [x([2, 3]), value(1)]),
        row(ExpandDims, [x([2, 3]), value(-1)]),
        row(ExpandDims, [value([5, 6]), value(0)]).expect([[5, 6]]),
        row(ExpandDims, [x([2, 3]), value(3)]).fails(InvalidArgument),
        row(Squeeze { squeeze_dims: vec![] }, [x([1, 3, 1])]),
        row(Squeeze { squeeze_dims: vec![-1] }, [x([1, 3, 1])]),
        row(Squeeze { squeeze_dims: vec![1] }, [x([1, 3])]).fails(InvalidArgument),
        row(Transpose, [x([2, 3]), value([1, 0])]),
        row(Transpose, [x([2, 3, 4]), value([2, 0, 1])]),
        row(Transpose, [x([9, 17]), value([1, 0])]),
        row(Transpose, [x([2, 3, 4, 5]), value([0, 3, 1, 2])]),
        row(Transpose, [x([0, 3]), value([1, 0])]),
        row(Transpose, [x([]), none()]),
        row(Transpose, [value([[1, 2, 3], [4, 5, 6]]), value([1, 0])]).expect([[1, 4], [2, 5], [3, 6]]),
        row(Transpose, [x([2, 3]), value([0, 0])]).fails(InvalidArgument),
        row_of::<Transpose>(|t| vec![ops::transpose(t[0])], [x([2, 3, 4])]),
        row_of::<Transpose>(
            |t| vec![ops::matrix_transpose(ops::ensure_shape(t[0], [None, None, None]))],
            [x([2, 3, 4])],
        ),
        row(InvertPermutation, [value([2, 0, 1])]).expect([1, 2, 0]),
        row(InvertPermutation, [value([2, 0, 2])]).fails(InvalidArgument),
        row(ReverseV2, [x([2, 3]), value([1])]),
        row(ReverseV2, [x([2, 3, 2]), value([0, -1])]),
        row(ReverseV2, [value([1, 2, 3]), value([0])]).expect([3, 2, 1]),
        row(ReverseV2, [x([2, 3]), value([2])]).fails(InvalidArgument),
        row(BroadcastTo, [x([3, 1]), value([2, 3, 4])]),
        row(BroadcastTo, [x([]), value([2, 2])]),
        row(BroadcastTo, [x([1]), value([5])]),
        row(BroadcastTo, [value([7, 8]), value([2, 2])]).expect([[7, 8], [7, 8]]),
        row(BroadcastTo, [x([2]), value([3])]).fails(InvalidArgument),
    ]
}
