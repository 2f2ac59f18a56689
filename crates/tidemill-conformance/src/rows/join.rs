use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{ConcatOffset, ConcatV2, Pack, Split, SplitV, Unpack};

use crate::row::{Input, Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let many: Vec<Input> = (1..20).map(|n| x([2, n % 3])).chain([value(1)]).collect();
    vec![
        row(ConcatV2, [x([2, 3]), x([2, 1]), x([2, 2]), value(1)]),
        row(ConcatV2, [x([2, 3]), x([1, 3]), value(-2)]),
        row(ConcatV2, [x([2, 3]), value(0)]),
        row(ConcatV2, [x([0, 3]), x([2, 3]), value(0)]),
        row(ConcatV2, [x([0, 3]), x([0, 2]), value(1)]),
        row(ConcatV2, many),
        row(ConcatV2, [value([[1], [2]]), value([[3, 4], [5, 6]]), value(1)]).expect([[1, 3, 4], [2, 5, 6]]),
        row(ConcatV2, [x([2, 3]), x([3, 3]), value(1)]).fails(InvalidArgument),
        row(ConcatOffset, [value(1), value([2, 3]), value([2, 1]), value([2, 5])])
            .expect([0, 0])
            .expect([0, 3])
            .expect([0, 4]),
        row(ConcatOffset, [value(0), value([2, 3]), value([2, 4])]).fails(InvalidArgument),
        row(Pack { axis: 0 }, [x([2, 3]), x([2, 3])]),
        row(Pack { axis: -1 }, [x([2, 3]), x([2, 3]), x([2, 3])]),
        row(Pack { axis: 0 }, [x([]), x([])]),
        row(Pack { axis: 1 }, [value([1, 2]), value([3, 4])]).expect([[1, 3], [2, 4]]),
        row(Pack { axis: 0 }, [x([2]), x([3])]).fails(InvalidArgument),
        row(Unpack { num: 2, axis: 0 }, [x([2, 3])]),
        row(Unpack { num: 3, axis: -1 }, [x([2, 3])]),
        row(Unpack { num: 2, axis: 1 }, [value([[1, 2], [3, 4]])]).expect([1, 3]).expect([2, 4]),
        row(Unpack { num: 3, axis: 0 }, [x([2, 3])]).fails(InvalidArgument),
        row(Split { num_split: 3 }, [value(1), x([2, 6])]),
        row(Split { num_split: 2 }, [value(-2), x([2, 3])]),
        row(Split { num_split: 3 }, [value(1), x([0, 6])]),
        row(Split { num_split: 2 }, [value(0), value([1, 2, 3, 4])]).expect([1, 2]).expect([3, 4]),
        row(Split { num_split: 4 }, [value(1), x([2, 6])]).fails(InvalidArgument),
        row(SplitV { num_split: 3 }, [x([2, 6]), value([1, 3, 2]), value(1)]),
        row(SplitV { num_split: 3 }, [x([4, 2]), value([1i64, -1, 0]), value(0)]),
        row(SplitV { num_split: 2 }, [value([1, 2, 3]), value([1, -1]), value(0)]).expect([1]).expect([2, 3]),
        row(SplitV { num_split: 2 }, [x([2, 6]), value([1, 3]), value(1)]).fails(InvalidArgument),
    ]
}
