use tidemill_core::ErrorKind::Unimplemented;
use tidemill_core::ops::{self, FakeParam, If, Loop, Param, ScanOptions};
use tidemill_core::{DType, PartialShape, Tensor, TensorType};

use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let times = |n: i32| {
        move |t: &[Tensor]| {
            let i = t[0].graph().constant(0i32);
            let (_, y) =
                ops::while_loop(move |(i, _)| i.lt(n), |(i, y)| (i + 1, ops::sin(y) * t[1]), (i, t[0]));
            vec![y]
        }
    };
    let while_small = |t: &[Tensor]| {
        let turns = t[0].graph().constant(0i32);
        let small = |(y, _): (Tensor, Tensor)| ops::reduce_max(ops::abs(y)).lt(20.0);
        let (y, turns) = ops::while_loop(small, |(y, n)| (y * 1.7 + ops::sin(y), n + 1), (t[0], turns));
        vec![y, turns]
    };
    let recurrence = |reverse| {
        move |t: &[Tensor]| {
            let (state, outputs) = ops::scan(
                |h, x| {
                    let h = ops::tanh(h * t[2] + x);
                    (h, h * h)
                },
                t[0],
                t[1],
                ScanOptions { reverse },
            );
            vec![state, outputs]
        }
    };
    let nested = |t: &[Tensor]| {
        let rows = ops::map_fn(|row: Tensor| ops::foldl(|sum, x| sum * 0.5 + x * x, row, t[1]), t[0]);
        vec![rows]
    };
    let choose = |t: &[Tensor]| {
        let (pred, a, b) = (t[0], t[1], t[2]);
        vec![ops::cond(pred, || ops::sin(a) * b, || ops::exp(a))]
    };
    let ty = TensorType::new(DType::F32, [2]);
    vec![
        row_of::<Loop>(times(3), [x([3]), x([3])]),
        row_of::<Loop>(times(0), [x([3]), x([3])]),
        row_of::<Loop>(while_small, [x([3])]),
        row_of::<Loop>(recurrence(false), [x([2]), x([4, 2]), x([])]),
        row_of::<Loop>(recurrence(true), [x([2]), x([4, 2]), x([2])]),
        row_of::<Loop>(nested, [x([2, 3]), x([])]),
        row_of::<If>(choose, [value(true), x([3]), x([3])]),
        row_of::<If>(choose, [value(false), x([3]), x([3])]),
        row(Param { ty }, []).fails(Unimplemented),
        row(FakeParam { dtype: DType::F64, shape: PartialShape::from([2]) }, []).expect([0.0, 0.0]),
    ]
}
