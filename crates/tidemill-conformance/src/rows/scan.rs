use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::Tensor;
use tidemill_core::ops::{self, Cumprod, Cumsum, CumulativeLogsumexp};

use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        row(Cumsum::default(), [value([[1, 2, 3], [4, 5, 6]]), value(0i64)]).expect([[1, 2, 3], [5, 7, 9]]),
        row(Cumprod::default(), [value([2, 3, 4]), value(-1)]).expect([2, 6, 24]),
        row(CumulativeLogsumexp::default(), [value([1000.0, 1000.0]), value(0)])
            .expect([1000.0, 1_000.693_147_180_559_9])
            .values_only(),
        row(Cumsum::default(), [x([2, 3]), value(2)]).fails(InvalidArgument),
        row(Cumprod::default(), [x([]), value(0)]).fails(InvalidArgument),
        row(Cumsum::default(), [x([2, 0]), value(1)]),
    ];
    for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
        rows.extend([
            row(Cumsum { exclusive, reverse }, [x([2, 3, 2]), value(1)]),
            row(Cumprod { exclusive, reverse }, [x([3, 2]).range(0.5, 1.5), value(0)]),
        ]);
    }
    for reverse in [false, true] {
        let (all, before) = (
            CumulativeLogsumexp { exclusive: false, reverse },
            CumulativeLogsumexp { exclusive: true, reverse },
        );
        rows.push(row(all, [x([2, 4]), value(-1)]).tolerance(4.0));
        // Where there is nothing before, it is -∞.
        let some = move |t: &[Tensor]| {
            let sums = ops::cumulative_logsumexp_with(t[0], 1, before.clone());
            vec![if reverse { ops::index(sums, (.., ..-1)) } else { ops::index(sums, (.., 1..)) }]
        };
        rows.push(row_of::<CumulativeLogsumexp>(some, [x([2, 4])]).tolerance(4.0));
    }
    rows
}
