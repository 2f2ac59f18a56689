use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{self, *};
use tidemill_core::{DType, Op, PartialShape, Tensor};

use crate::row::{Row, row_of, value, x};

const F: DType = DType::F64;

/// One op on these operands.
fn op(op: impl Op, inputs: &[Tensor]) -> Vec<Tensor> {
    inputs[0].graph().op(op).inputs(inputs).build().outputs()
}

fn int(like: Tensor, value: i32) -> Tensor {
    like.graph().constant(value)
}

fn shape(like: Tensor, dims: &[i32]) -> Tensor {
    like.graph().constant(dims.to_vec())
}

fn from_tensor(t: Tensor) -> Tensor {
    op(TensorListFromTensor {}, &[t, int(t, -1)])[0]
}

fn stack(list: Tensor, element: &[i32]) -> Vec<Tensor> {
    op(TensorListStack { element_dtype: F, num_elements: -1 }, &[list, shape(list, element)])
}

fn empty(like: Tensor, max: i32) -> Tensor {
    op(EmptyTensorList { element_dtype: F }, &[int(like, -1), int(like, max)])[0]
}

fn push(list: Tensor, item: Tensor) -> Tensor {
    op(TensorListPushBack {}, &[list, item])[0]
}

pub(super) fn rows() -> Vec<Row> {
    let set = |resize| TensorListSetItem { resize_if_index_out_of_bounds: resize };
    let get = |list, index, element: &[i32]| {
        let element = shape(list, element);
        op(TensorListGetItem { element_dtype: F }, &[list, int(list, index), element])
    };
    let reserve = |like: Tensor, len| {
        op(TensorListReserve { element_dtype: F }, &[shape(like, &[2]), int(like, len)])[0]
    };
    let rows = vec![
        row_of::<EmptyTensorList>(
            |t| stack(push(push(empty(t[0], -1), ops::sin(t[0])), t[0] * t[1]), &[2]),
            [x([2]), x([2])],
        ),
        row_of::<TensorListPushBack>(|t| stack(push(push(empty(t[0], 1), t[0]), t[0]), &[2]), [x([2])])
            .fails(InvalidArgument),
        row_of::<TensorListReserve>(move |t| stack(reserve(t[0], 3), &[2]), [x([2])]).expect([[0.0; 2]; 3]),
        row_of::<TensorListPopBack>(
            |t| {
                let list = push(from_tensor(ops::exp(t[0])), t[1]);
                let pop = |list| op(TensorListPopBack { element_dtype: F }, &[list, shape(list, &[2])]);
                let (one, two) = (pop(list), pop(pop(list)[0]));
                [stack(two[0], &[2]), vec![one[1] * two[1]]].concat()
            },
            [x([3, 2]), x([2])],
        ),
        row_of::<TensorListPopBack>(
            |t| op(TensorListPopBack { element_dtype: F }, &[empty(t[0], -1), int(t[0], -1)])[1..].to_vec(),
            [x([2])],
        )
        .fails(InvalidArgument),
        row_of::<TensorListLength>(|t| op(TensorListLength {}, &[from_tensor(t[0])]), [x([3, 2])])
            .expect(3i32),
        row_of::<TensorListElementShape>(
            |t| {
                let list = op(TensorListFromTensor {}, &[t[0], shape(t[0], &[-1, 2])])[0];
                op(TensorListElementShape { shape_type: DType::I64 }, &[list])
            },
            [x([3, 1, 2])],
        )
        .expect([-1i64, 2]),
        row_of::<TensorListFromTensor>(|t| stack(from_tensor(t[0] * t[0]), &[2]), [x([3, 2])]),
        row_of::<TensorListStack>(|t| stack(push(from_tensor(t[0]), t[1]), &[-1]), [x([3, 2]), x([2])]),
        row_of::<TensorListStack>(|t| stack(push(from_tensor(t[0]), t[1]), &[-1]), [x([3, 2]), x([3])])
            .fails(InvalidArgument),
        row_of::<TensorListGetItem>(
            move |t| {
                let list = from_tensor(ops::sin(t[0]));
                vec![get(list, 2, &[2])[0] * get(list, 0, &[2])[0]]
            },
            [x([3, 2])],
        ),
        row_of::<TensorListGetItem>(move |t| get(reserve(t[0], 2), 1, &[2]), [x([2])]).expect([0.0, 0.0]),
        row_of::<TensorListGetItem>(move |t| get(from_tensor(t[0]), 3, &[2]), [x([3, 2])])
            .fails(InvalidArgument),
        row_of::<TensorListSetItem>(
            move |t| {
                let list = op(set(false), &[from_tensor(t[0]), int(t[0], 1), t[1] * t[1]])[0];
                let longer = op(set(true), &[list, int(t[0], 4), ops::exp(t[1])])[0];
                [stack(list, &[2]), stack(longer, &[2])].concat()
            },
            [x([3, 2]), x([2])],
        ),
        row_of::<TensorListSetItem>(
            move |t| stack(op(set(false), &[from_tensor(t[0]), int(t[0], 3), t[1]])[0], &[2]),
            [x([3, 2]), x([2])],
        )
        .fails(InvalidArgument),
        row_of::<TensorListGather>(
            |t| {
                let list = from_tensor(t[0] * t[0]);
                op(TensorListGather { element_dtype: F }, &[list, t[1], shape(t[0], &[2])])
            },
            [x([3, 2]), value([2, 0])],
        ),
        row_of::<TensorListScatter>(
            |t| stack(op(TensorListScatter {}, &[ops::sin(t[0]), t[1], shape(t[0], &[2])])[0], &[2]),
            [x([2, 2]), value([3, 1])],
        ),
        row_of::<TensorListScatterV2>(
            |t| {
                let list =
                    op(TensorListScatterV2 {}, &[ops::sin(t[0]), t[1], shape(t[0], &[2]), int(t[0], 5)]);
                stack(list[0], &[2])
            },
            [x([2, 2]), value([3, 1])],
        ),
        row_of::<TensorListScatterIntoExistingList>(
            |t| {
                let list = from_tensor(ops::sin(t[0]));
                stack(op(TensorListScatterIntoExistingList {}, &[list, t[1] * t[1], t[2]])[0], &[2])
            },
            [x([3, 2]), x([2, 2]), value([2, 0])],
        ),
        row_of::<TensorListConcat>(
            |t| {
                let list = push(push(empty(t[0], -1), t[0]), ops::exp(t[1]));
                let element_shape = PartialShape::from([None, Some(2)]);
                op(TensorListConcat { element_dtype: F, element_shape }, &[list])[..1].to_vec()
            },
            [x([3, 2]), x([1, 2])],
        ),
        row_of::<TensorListConcatV2>(
            |t| {
                let list = push(push(empty(t[0], -1), t[0]), ops::exp(t[1]));
                let none = t[0].graph().constant(Vec::<i64>::new());
                op(TensorListConcatV2 { element_dtype: F }, &[list, shape(t[0], &[-1, 2]), none])
            },
            [x([3, 2]), x([1, 2])],
        ),
        row_of::<TensorListSplit>(
            |t| {
                let lengths = t[0].graph().constant(vec![1i64, 3]);
                let list = op(TensorListSplit {}, &[t[0] * t[0], shape(t[0], &[-1, 2]), lengths])[0];
                op(TensorListGetItem { element_dtype: F }, &[list, int(t[0], 1), shape(t[0], &[3, 2])])
            },
            [x([4, 2])],
        ),
        row_of::<TensorListSplit>(
            |t| {
                let lengths = t[0].graph().constant(vec![1i64, 2]);
                let list = op(TensorListSplit {}, &[t[0], shape(t[0], &[-1, 2]), lengths])[0];
                op(TensorListLength {}, &[list])
            },
            [x([4, 2])],
        )
        .fails(InvalidArgument),
        row_of::<TensorListResize>(
            |t| {
                let list = from_tensor(ops::sin(t[0]));
                let of = |len| stack(op(TensorListResize {}, &[list, int(t[0], len)])[0], &[2]);
                [of(2), of(4)].concat()
            },
            [x([3, 2])],
        ),
        row_of::<TensorListConcatLists>(
            |t| {
                let lists = [from_tensor(t[0]), from_tensor(t[1])];
                let joined = op(TensorListConcatLists { element_dtype: F }, &lists)[0];
                stack(joined, &[2])
            },
            [x([1, 2]), x([2, 2])],
        )
        .values_only(),
        row_of::<TensorListPushBackBatch>(
            |t| {
                let lists = op(Pack { axis: 0 }, &[from_tensor(t[0]), empty(t[0], -1)])[0];
                let pushed = op(TensorListPushBackBatch {}, &[lists, t[1]])[0];
                let lists = op(Unpack { num: 2, axis: 0 }, &[pushed]);
                [stack(lists[0], &[2]), stack(lists[1], &[2])].concat()
            },
            [x([3, 2]), x([2, 2])],
        )
        .values_only(),
    ];
    rows.into_iter().map(Row::fixed_dtypes).collect()
}
