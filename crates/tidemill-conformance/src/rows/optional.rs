use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{OptionalFromValue, OptionalGetValue, OptionalHasValue, OptionalNone};
use tidemill_core::{DType, PartialShape, Tensor};

use crate::row::{Row, row_of, x};

pub(super) fn rows() -> Vec<Row> {
    let some = |t: &[Tensor]| t[0].graph().op(OptionalFromValue {}).inputs(t).tensor();
    let none = |t: &[Tensor]| t[0].graph().op(OptionalNone {}).tensor();
    let has = |optional: Tensor| optional.graph().op(OptionalHasValue {}).input(optional).tensor();
    let get = |optional: Tensor, dims: [usize; 2]| {
        let output_shapes = dims.map(|d| PartialShape::from([d])).to_vec();
        let op = OptionalGetValue { output_types: vec![DType::F64; 2], output_shapes };
        optional.graph().op(op).input(optional).tensors()
    };
    let rows = vec![
        row_of::<OptionalFromValue>(move |t| get(some(t), [2, 3]), [x([2]), x([3])]).values_only(),
        row_of::<OptionalGetValue>(move |t| get(some(t), [2, 2]), [x([2]), x([3])]).fails(InvalidArgument),
        row_of::<OptionalGetValue>(move |t| get(none(t), [2, 3]), [x([2])]).fails(InvalidArgument),
        row_of::<OptionalHasValue>(move |t| vec![has(some(t))], [x([2])]).expect(true),
        row_of::<OptionalNone>(move |t| vec![has(none(t))], [x([2])]).expect(false),
    ];
    rows.into_iter().map(Row::fixed_dtypes).collect()
}
