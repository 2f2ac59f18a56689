use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::Tensor;
use tidemill_core::ops::{self, ArrayAdd, ArrayResize, ArrayWrite, TensorArray};

use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let write = |dynamic_size| ArrayWrite { dynamic_size };
    let filled = |t: &[Tensor], array: TensorArray| {
        let g = t[0].graph();
        let (_, _, array) = ops::while_loop(
            |(i, _, _)| i.lt(4),
            |(i, y, array): (_, _, TensorArray)| (i + 1, ops::sin(y) * t[1], array.write(i, y)),
            (g.constant(0i32), t[0], array),
        );
        array
    };
    vec![
        row(write(false), [x([3, 2]), value(1), x([2])]),
        row(write(false), [x([3, 2]), value([2i64, 0]), x([2, 2])]),
        row(write(true), [x([3, 2]), value(1), x([2])]),
        row(write(true), [x([1, 2]), value(3), x([2])]),
        row(write(false), [value([1, 2]), value(1), value(5)]).expect([1, 5]),
        row(write(false), [x([3]), value(3), x([])]).fails(InvalidArgument),
        row(write(false), [x([3]), value(-1), x([])]).fails(InvalidArgument),
        row(write(false), [x([3]), value([1, 1]), x([2])]).fails(InvalidArgument),
        row(write(false), [x([3, 2]), value(0), x([3])]).fails(InvalidArgument),
        row(ArrayAdd, [x([3, 2]), value(1), x([2])]),
        row(ArrayAdd, [x([3]), value([2, 2]), x([2])]),
        row(ArrayAdd, [x([3]), value(3), x([])]).fails(InvalidArgument),
        row(ArrayResize, [x([3, 2]), value(2)]),
        row(ArrayResize, [x([2]), value(4)]),
        row(ArrayResize, [x([2]), value(-4)]).fails(InvalidArgument),
        row_of::<ArrayWrite>(move |t| vec![filled(t, TensorArray::like(t[0], 4)).stack()], [x([2]), x([2])]),
        row_of::<ArrayWrite>(
            move |t| {
                let array = filled(t, TensorArray::like(t[0], 0).dynamic_size());
                vec![array.stack(), array.read(2)]
            },
            [x([2]), x([2])],
        ),
    ]
}
