use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{StackCloseV2, StackPopV2, StackPushV2, StackV2};
use tidemill_core::{DType, Tensor};

use crate::row::{Row, row_of, x};

pub(super) fn rows() -> Vec<Row> {
    let stack = |like: Tensor, max: i32| {
        let op = StackV2 { elem_type: DType::F64, stack_name: "kept".to_owned() };
        like.graph().op(op).input(like.graph().constant(max)).tensor()
    };
    let push = |stack: Tensor, item: Tensor| {
        stack.graph().op(StackPushV2 { swap_memory: false }).input(stack).input(item).tensor()
    };
    let pop = |stack: Tensor, after: Tensor| {
        let op = StackPopV2 { elem_type: DType::F64 };
        stack.graph().control_dependencies([after.op()]).enter(|| stack.graph().op(op).input(stack).tensor())
    };
    let rows = vec![
        row_of::<StackPushV2>(
            move |t| {
                let stack = stack(t[0], 2);
                let first = push(stack, t[0]);
                let second = stack.graph().control_dependencies([first.op()]).enter(|| push(stack, t[1]));
                let top = pop(stack, second);
                vec![top, pop(stack, top)]
            },
            [x([2]), x([])],
        )
        .values_only(),
        row_of::<StackPopV2>(move |t| vec![pop(stack(t[0], -1), t[0])], [x([2])]).fails(InvalidArgument),
        row_of::<StackV2>(move |t| vec![push(stack(t[0], 0), t[0])], [x([2])]).fails(InvalidArgument),
        row_of::<StackCloseV2>(
            move |t| {
                let stack = stack(t[0], -1);
                let first = push(stack, t[0]);
                let g = stack.graph();
                let close =
                    g.control_dependencies([first.op()]).enter(|| g.op(StackCloseV2 {}).input(stack).build());
                vec![g.control_dependencies([close]).enter(|| pop(stack, first))]
            },
            [x([2])],
        )
        .fails(InvalidArgument),
    ];
    rows.into_iter().map(|row| row.values_only().fixed_dtypes()).collect()
}
