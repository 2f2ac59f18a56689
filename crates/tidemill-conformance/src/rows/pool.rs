use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    AvgPool, AvgPool3D, AvgPool3DGrad, AvgPoolGrad, MaxPool, MaxPool3D, MaxPool3DGrad, MaxPool3DGradGrad,
    MaxPoolGrad, MaxPoolGradGrad, MaxPoolGradGradV2, MaxPoolGradV2, MaxPoolV2, MaxPoolWithArgmax,
};

use crate::row::{Input, Row, row, value, x};

/// Windows of 2 by 2 with steps of 2 and 1.
macro_rules! windows {
    ($op:ident, $padding:expr $(, $explicit:ident: $paddings:expr)?) => {
        $op {
            ksize: vec![1, 2, 2, 1],
            strides: vec![1, 2, 1, 1],
            padding: $padding.into(),
            $($explicit: $paddings,)?
            data_format: "NHWC".into(),
        }
    };
}
macro_rules! volumes {
    ($op:ident) => {
        $op {
            ksize: vec![1, 1, 2, 2, 2],
            strides: vec![1, 1, 1, 2, 1],
            padding: "SAME".into(),
            data_format: "NCDHW".into(),
        }
    };
}

/// The numbers from 0 up, shuffled: no two are equal, and differences for gradients keep their order.
fn distinct(shape: &[usize]) -> Input {
    let count: usize = shape.iter().product();
    let numbers: Vec<f64> = (0..count).map(|i| ((i * 37) % 101) as f64 / 10.0).collect();
    value(tidemill_core::Value::from_vec(shape, numbers).unwrap_or_else(|e| panic!("{e}")))
}

pub(super) fn rows() -> Vec<Row> {
    let image = || distinct(&[2, 4, 3, 2]);
    let (valid, same) = ([2, 2, 2, 2], [2, 2, 3, 2]);
    let by_operands = || [value([1, 2, 2, 1]), value([1, 2, 1, 1])];
    let v2 = |padding: &str| MaxPoolV2 { padding: padding.into(), data_format: "NHWC".into() };
    let argmax = |include_batch_in_index| MaxPoolWithArgmax {
        ksize: vec![1, 2, 2, 1],
        strides: vec![1, 1, 1, 1],
        argmax_dtype: DType::I64,
        padding: "VALID".into(),
        include_batch_in_index,
    };
    let small = || value([[[[1.0], [5.0]], [[8.0], [3.0]]], [[[1.0], [9.0]], [[8.0], [3.0]]]]);
    let volume = || distinct(&[1, 2, 2, 4, 3]);
    vec![
        row(windows!(MaxPool, "VALID", explicit_paddings: vec![]), [image()]),
        row(windows!(MaxPool, "SAME", explicit_paddings: vec![]), [image()]),
        row(windows!(MaxPool, "EXPLICIT", explicit_paddings: vec![0, 0, 1, 0, 0, 1, 0, 0]), [image()])
            .first_order(),
        row(windows!(MaxPool, "VALID", explicit_paddings: vec![]), [value([[[[3], [1]], [[4], [2]]]])])
            .expect([[[[4]]]]),
        row(windows!(MaxPool, "VALID", explicit_paddings: vec![]), [x([2, 4, 3])]).fails(InvalidArgument),
        row(windows!(MaxPoolGrad, "SAME", explicit_paddings: vec![]), [image(), distinct(&same), x(same)]),
        row(windows!(MaxPoolGrad, "VALID", explicit_paddings: vec![]), [image(), distinct(&valid), x(same)])
            .fails(InvalidArgument),
        row(windows!(MaxPoolGradGrad, "VALID"), [image(), distinct(&valid), x([2, 4, 3, 2])]),
        row(v2("SAME"), std::iter::once(image()).chain(by_operands())),
        row(
            MaxPoolGradV2 { padding: "SAME".into(), data_format: "NHWC".into() },
            [image(), distinct(&same), x(same)].into_iter().chain(by_operands()),
        ),
        row(
            MaxPoolGradGradV2 { padding: "SAME".into(), data_format: "NHWC".into() },
            [image(), distinct(&same), x([2, 4, 3, 2])].into_iter().chain(by_operands()),
        ),
        row(argmax(false), [image()]),
        row(argmax(false), [small()]).expect([[[[8.0]]], [[[9.0]]]]).expect([[[[2i64]]], [[[1]]]]),
        row(argmax(true), [small()]).expect([[[[8.0]]], [[[9.0]]]]).expect([[[[2i64]]], [[[5]]]]),
        row(windows!(AvgPool, "VALID"), [x([2, 4, 3, 2])]),
        row(windows!(AvgPool, "SAME"), [x([2, 4, 3, 2])]),
        row(windows!(AvgPool, "EXPLICIT"), [x([2, 4, 3, 2])]).fails(InvalidArgument),
        row(windows!(AvgPoolGrad, "SAME"), [value([2, 4, 3, 2]), x(same)]),
        row(windows!(AvgPoolGrad, "SAME"), [value([2, 4, 3, 2]), x(valid)]).fails(InvalidArgument),
        row(volumes!(MaxPool3D), [volume()]),
        row(volumes!(MaxPool3DGrad), [volume(), distinct(&[1, 2, 2, 2, 3]), x([1, 2, 2, 2, 3])]),
        row(volumes!(MaxPool3DGradGrad), [volume(), distinct(&[1, 2, 2, 2, 3]), x([1, 2, 2, 4, 3])]),
        row(volumes!(AvgPool3D), [x([1, 2, 2, 4, 3])]),
        row(volumes!(AvgPool3DGrad), [value([1, 2, 2, 4, 3]), x([1, 2, 2, 2, 3])]),
    ]
}
