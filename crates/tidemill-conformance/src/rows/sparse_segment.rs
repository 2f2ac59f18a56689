use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    SparseSegmentMean, SparseSegmentMeanGrad, SparseSegmentMeanGradV2, SparseSegmentMeanWithNumSegments,
    SparseSegmentSqrtN, SparseSegmentSqrtNGrad, SparseSegmentSqrtNGradV2, SparseSegmentSqrtNWithNumSegments,
    SparseSegmentSum, SparseSegmentSumGrad, SparseSegmentSumGradV2, SparseSegmentSumWithNumSegments,
};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let (indices, ids) = (|| value([3, 0, 3, 1]), || value([0, 0, 1, 3]));
    let mut rows = vec![
        row(
            SparseSegmentSum { sparse_gradient: false },
            [value([[1, 2, 3, 4], [-1, -2, -3, -4], [5, 6, 7, 8]]), value([0i64, 1]), value([0i64, 1])],
        )
        .expect([[1, 2, 3, 4], [-1, -2, -3, -4]]),
        row(SparseSegmentSum { sparse_gradient: false }, [x([4, 2]), value([4]), value([0])])
            .fails(InvalidArgument),
        row(SparseSegmentSum { sparse_gradient: false }, [x([4, 2]), value([1, 1]), value([1, 0])])
            .fails(InvalidArgument),
        row(
            SparseSegmentSumWithNumSegments { sparse_gradient: false },
            [x([4, 2]), value([1]), value([3]), value(3)],
        )
        .fails(InvalidArgument),
        row(SparseSegmentMeanGrad, [x([1, 2]), value([4]), value([0]), value(3)]).fails(InvalidArgument),
        row(SparseSegmentMeanGrad, [x([1, 2]), value([0]), value([1]), value(3)]).fails(InvalidArgument),
    ];
    for sparse_gradient in [false, true] {
        rows.extend(
            [
                row(SparseSegmentSum { sparse_gradient }, [x([4, 2]), indices(), ids()]),
                row(SparseSegmentMean { sparse_gradient }, [x([4, 2]), indices(), ids()]),
                row(SparseSegmentSqrtN { sparse_gradient }, [x([4, 2]), indices(), ids()]),
                row(
                    SparseSegmentSumWithNumSegments { sparse_gradient },
                    [x([4, 2]), indices(), ids(), value(5)],
                ),
                row(
                    SparseSegmentMeanWithNumSegments { sparse_gradient },
                    [x([4, 2]), indices(), ids(), value(5)],
                ),
                row(
                    SparseSegmentSqrtNWithNumSegments { sparse_gradient },
                    [x([4, 2]), indices(), ids(), value(5)],
                ),
            ]
            .map(|row| if sparse_gradient { row.first_order() } else { row }),
        );
    }
    rows.extend([
        row(SparseSegmentSumGrad, [x([4, 2]), indices(), ids(), value(5)]),
        row(SparseSegmentMeanGrad, [x([4, 2]), indices(), ids(), value(5)]),
        row(SparseSegmentSqrtNGrad, [x([4, 2]), indices(), ids(), value(5)]),
        row(SparseSegmentSumGradV2, [x([4, 2]), indices(), ids(), value(5)]).no_gradient(),
        row(SparseSegmentMeanGradV2, [value([[3.0], [5.0]]), value([2, 0, 2]), value([0, 0, 1]), value(5)])
            .expect([[1.5], [6.5]])
            .expect([0, 2])
            .no_gradient(),
        row(SparseSegmentSqrtNGradV2, [x([4, 2]), indices(), ids(), value(5)]).no_gradient(),
    ]);
    rows
}
