use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::*;
use tidemill_core::{DType, Op, PartialShape, Tensor};

use crate::row::{Row, row_of, value, x};

const F: DType = DType::F64;

fn op(op: impl Op, inputs: &[Tensor]) -> Vec<Tensor> {
    inputs[0].graph().op(op).inputs(inputs).build().outputs()
}

fn int(like: Tensor, value: i32) -> Tensor {
    like.graph().constant(value)
}

/// An array of `size` elements `[2]`: its handle, and a flow.
fn array(like: Tensor, size: i32, dynamic_size: bool) -> (Tensor, Tensor) {
    let array = TensorArrayV3 {
        dtype: F,
        element_shape: PartialShape::from([2]),
        dynamic_size,
        clear_after_read: false,
        identical_element_shapes: true,
        tensor_array_name: "kept".to_owned(),
    };
    let made = op(array, &[int(like, size)]);
    (made[0], made[1])
}

fn write(handle: Tensor, index: i32, item: Tensor, flow: Tensor) -> Tensor {
    op(TensorArrayWriteV3 {}, &[handle, int(item, index), item, flow])[0]
}

fn gather(handle: Tensor, indices: &[i32], flow: Tensor) -> Vec<Tensor> {
    let indices = flow.graph().constant(indices.to_vec());
    let gather = TensorArrayGatherV3 { dtype: F, element_shape: PartialShape::from([2]) };
    op(gather, &[handle, indices, flow])
}

fn read(handle: Tensor, index: i32, flow: Tensor) -> Vec<Tensor> {
    op(TensorArrayReadV3 { dtype: F }, &[handle, int(flow, index), flow])
}

pub(super) fn rows() -> Vec<Row> {
    let rows = vec![
        row_of::<TensorArrayV3>(
            |t| {
                let (handle, flow) = array(t[0], 2, false);
                gather(handle, &[1, 0], write(handle, 1, t[0], flow))
            },
            [x([2])],
        )
        .values_only(),
        row_of::<TensorArrayWriteV3>(
            |t| {
                let (handle, flow) = array(t[0], 2, false);
                vec![write(handle, 1, t[0], write(handle, 1, t[0], flow))]
            },
            [x([2])],
        )
        .fails(InvalidArgument),
        row_of::<TensorArrayWriteV3>(
            |t| {
                let (handle, flow) = array(t[0], 0, true);
                read(handle, 3, write(handle, 3, t[0], flow))
            },
            [x([2])],
        )
        .values_only(),
        row_of::<TensorArrayReadV3>(
            |t| {
                let (handle, flow) = array(t[0], 2, false);
                read(handle, 2, flow)
            },
            [x([2])],
        )
        .fails(InvalidArgument),
        row_of::<TensorArrayScatterV3>(
            |t| {
                let (handle, flow) = array(t[0], 3, false);
                gather(handle, &[0, 1, 2], op(TensorArrayScatterV3 {}, &[handle, t[1], t[0], flow])[0])
            },
            [x([2, 2]), value([2, 0])],
        )
        .values_only(),
        row_of::<TensorArrayGatherV3>(
            |t| {
                let (handle, flow) = array(t[0], 2, false);
                gather(handle, &[], flow)
            },
            [x([2])],
        )
        .values_only(),
        row_of::<TensorArrayGradV3>(
            |t| {
                let (handle, flow) = array(t[0], 2, false);
                let made = op(TensorArrayGradV3 { source: "g".to_owned() }, &[handle, flow]);
                let twice = write(made[0], 1, t[0], write(made[0], 1, t[0], made[1]));
                gather(made[0], &[0, 1], twice)
            },
            [value([1.5, 2.0])],
        )
        .expect([[0.0, 0.0], [3.0, 4.0]]),
        row_of::<TensorArrayGradWithShape>(
            |t| {
                let (handle, flow) = array(t[0], 1, false);
                let front = t[0].graph().constant(vec![3i32]);
                let made = op(TensorArrayGradWithShape { source: "g".to_owned() }, &[handle, flow, front]);
                read(made[0], 0, made[1])
            },
            [x([2])],
        )
        .expect([[0.0; 2]; 3]),
        row_of::<TensorArrayConcatV3>(
            |t| {
                let (handle, flow) = array(t[0], 2, false);
                let flow = write(handle, 1, t[0], write(handle, 0, t[0], flow));
                let rest = PartialShape::from(());
                op(TensorArrayConcatV3 { dtype: F, element_shape_except0: rest }, &[handle, flow])
            },
            [value([1.5, 2.0])],
        )
        .expect([1.5, 2.0, 1.5, 2.0])
        .expect([2i64, 2]),
        row_of::<TensorArraySplitV3>(
            |t| {
                let (handle, flow) = array(t[0], 2, false);
                let lengths = t[0].graph().constant(vec![2i64, 2]);
                read(handle, 1, op(TensorArraySplitV3 {}, &[handle, t[0], lengths, flow])[0])
            },
            [value([1.0, 2.0, 3.0, 4.0])],
        )
        .expect([3.0, 4.0]),
        row_of::<TensorArraySizeV3>(
            |t| {
                let (handle, flow) = array(t[0], 2, true);
                op(TensorArraySizeV3 {}, &[handle, write(handle, 4, t[0], flow)])
            },
            [x([2])],
        )
        .expect(5i32),
        row_of::<TensorArrayCloseV3>(
            |t| {
                let (handle, flow) = array(t[0], 2, false);
                let g = t[0].graph();
                let close = g.op(TensorArrayCloseV3 {}).input(handle).build();
                g.control_dependencies([close]).enter(|| read(handle, 0, flow))
            },
            [x([2])],
        )
        .fails(InvalidArgument),
    ];
    rows.into_iter().map(|row| row.values_only().fixed_dtypes()).collect()
}
