use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    BatchToSpace, BatchToSpaceND, DataFormatDimMap, DataFormatVecPermute, DepthToSpace, SpaceToBatch,
    SpaceToBatchND, SpaceToDepth,
};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let depth = |block_size, format: &str| SpaceToDepth { block_size, data_format: format.to_owned() };
    let space = |block_size, format: &str| DepthToSpace { block_size, data_format: format.to_owned() };
    let map =
        |from: &str, to: &str| DataFormatDimMap { src_format: from.to_owned(), dst_format: to.to_owned() };
    let permute = |from: &str, to: &str| DataFormatVecPermute {
        src_format: from.to_owned(),
        dst_format: to.to_owned(),
    };
    vec![
        row(SpaceToBatchND, [x([2, 3, 4, 2]), value([2, 2]), value([[1, 0], [0, 2]])]),
        row(SpaceToBatchND, [x([2, 6]), value([3]), value([[0, 0]])]),
        row(SpaceToBatchND, [value([[[[1], [2]], [[3], [4]]]]), value([2, 2]), value([[0, 0], [0, 0]])])
            .expect([[[[1]]], [[[2]]], [[[3]]], [[[4]]]]),
        row(SpaceToBatchND, [x([2, 5]), value([3]), value([[0, 0]])]).fails(InvalidArgument),
        row(SpaceToBatchND, [x([2, 6]), value([0]), value([[0, 0]])]).fails(InvalidArgument),
        row(SpaceToBatchND, [x([2, 6]), value([2]), value([[-1, 1]])]).fails(InvalidArgument),
        row(BatchToSpaceND, [x([8, 2, 3, 2]), value([2, 2]), value([[1, 0], [0, 2]])]),
        row(BatchToSpaceND, [x([6, 2]), value([3i64]), value([[2i64, 0]])]),
        row(BatchToSpaceND, [x([5, 2]), value([3]), value([[0, 0]])]).fails(InvalidArgument),
        row(BatchToSpaceND, [x([6, 2]), value([3]), value([[4, 3]])]).fails(InvalidArgument),
        row(SpaceToBatch { block_size: 2 }, [x([1, 4, 3, 2]), value([[0, 0], [1, 0]])]),
        row(SpaceToBatch { block_size: 1 }, [x([1, 4, 3, 2]), value([[0, 0], [0, 0]])])
            .fails(InvalidArgument),
        row(BatchToSpace { block_size: 2 }, [x([4, 2, 2, 1]), value([[0, 1], [1, 0]])]),
        row(depth(2, "NHWC"), [x([2, 4, 6, 3])]),
        row(depth(2, "NCHW"), [x([2, 3, 4, 2])]),
        row(depth(2, "NHWC"), [value([[[[1], [2]], [[3], [4]]]])]).expect([[[[1, 2, 3, 4]]]]),
        row(depth(2, "NHWC"), [x([2, 3, 2, 1])]).fails(InvalidArgument),
        row(space(2, "NHWC"), [x([2, 2, 3, 8])]),
        row(space(3, "NCHW"), [x([1, 9, 1, 2])]),
        row(space(2, "NHWC"), [x([2, 2, 3, 6])]).fails(InvalidArgument),
        row(map("NHWC", "NCHW"), [value([[0, 1, 2, 3], [-4, -3, -2, -1]])])
            .expect([[0, 2, 3, 1], [0, 2, 3, 1]]),
        row(map("NHWC", "NCHW"), [value([4])]).fails(InvalidArgument),
        row(map("NHWC", "NCHX"), [value([1])]).fails(InvalidArgument),
        row(permute("NHWC", "NCHW"), [value([7, 4, 9, 3])]).expect([7, 3, 4, 9]),
        row(permute("NHWC", "HWNC"), [value([[7i64, 4], [9, 3], [4, 5], [5, 1]])]).expect([
            [9i64, 3],
            [4, 5],
            [7, 4],
            [5, 1],
        ]),
        row(permute("NHWC", "NCHW"), [value([4, 9])]).expect([4, 9]),
        row(permute("NHWC", "NCHW"), [value([4, 9, 1])]).fails(InvalidArgument),
    ]
}
