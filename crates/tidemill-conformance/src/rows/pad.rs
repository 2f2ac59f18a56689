use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{MirrorPad, MirrorPadGrad, Pad, PadV2, Tile};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let mirror = |mode: &str| MirrorPad { mode: mode.to_owned() };
    let back = |mode: &str| MirrorPadGrad { mode: mode.to_owned() };
    let pads = || value([[1, 0], [2, 1]]);
    vec![
        row(Tile, [x([2, 3]), value([2, 1])]),
        row(Tile, [x([2, 3]), value([3, 2])]),
        row(Tile, [x([2, 3]), value([0, 2])]),
        row(Tile, [value([1, 2]), value([2i64])]).expect([1, 2, 1, 2]),
        row(Tile, [x([2, 3]), value([2])]).fails(InvalidArgument),
        row(Tile, [x([2]), value([-1])]).fails(InvalidArgument),
        row(Pad, [x([2, 3]), pads()]),
        row(Pad, [value([1, 2]), value([[1i64, 2]])]).expect([0, 1, 2, 0, 0]),
        row(Pad, [x([2]), value([[-1, 0]])]).fails(InvalidArgument),
        row(PadV2, [x([2, 3]), pads(), x([])]).no_grad([2]),
        row(PadV2, [value([1, 2]), value([[1, 2]]), value(7)]).expect([7, 1, 2, 7, 7]),
        row(PadV2, [x([2, 3]), value([[1, 0]]), x([])]).fails(InvalidArgument),
        row(mirror("REFLECT"), [x([2, 3]), pads()]),
        row(mirror("SYMMETRIC"), [x([2, 3]), value([[2, 1], [0, 3]])]),
        row(mirror("REFLECT"), [value([1, 2, 3]), value([[2, 1]])]).expect([3, 2, 1, 2, 3, 2]),
        row(mirror("SYMMETRIC"), [value([1, 2, 3]), value([[2, 1]])]).expect([2, 1, 1, 2, 3, 3]),
        row(mirror("REFLECT"), [x([2]), value([[2, 0]])]).fails(InvalidArgument),
        row(back("REFLECT"), [x([3, 6]), pads()]),
        row(back("SYMMETRIC"), [x([5, 6]), value([[2, 1], [0, 3]])]),
        row(back("REFLECT"), [value([1, 2, 3, 4, 5, 6]), value([[2, 1]])]).expect([3, 12, 6]),
        row(back("REFLECT"), [x([3]), value([[2, 0]])]).fails(InvalidArgument),
    ]
}
