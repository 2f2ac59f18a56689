//! Lists of tensors, as values: TensorFlow's `TensorList*`, which its loops and their gradients are made of.
//!
//! A list is a scalar of dtype `variant`. Its elements have one dtype; their shapes may differ as far as the list's element shape leaves
//! dimensions unknown. An element may be *unset*: it reads as zeros of the element shape. An op on a list gives a new one, which takes over
//! the old one's memory where that is needed no more. Element shapes are operands: vectors, in which -1 is an unknown
//! dimension, or the scalar -1 for an unknown rank.
//!
//! | op | |
//! |---|---|
//! | `EmptyTensorList`, `TensorListReserve` | a list of no, or of unset elements |
//! | `TensorListFromTensor`, `TensorListSplit`, `TensorListScatter` | the slices of a tensor along axis 0 as a list |
//! | `TensorListStack`, `TensorListConcat`, `TensorListGather` | the elements of a list as a tensor |
//! | `TensorListPushBack`, `TensorListPopBack`, `TensorListSetItem`, `TensorListGetItem` | one element |
//! | `TensorListLength`, `TensorListElementShape`, `TensorListResize`, `TensorListConcatLists` | the list |

use tidemill_tensor::{DType, PartialShape};

use super::table::op_table;
use crate::autodiff::{GradCx, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::Op;
use crate::{grads, ops};

/// One op on tensors of the graph that is differentiated.
fn make(cx: &GradCx, op: impl Op, inputs: &[Tensor]) -> Tensor {
    cx.graph().op(op).inputs(inputs).build().output(0)
}

/// The shape of a tensor, of `i32`, as an element shape.
fn shape_of(x: Tensor) -> Tensor {
    ops::shape(x)
}

/// The shape of a slice of a tensor.
fn slice_shape(x: Tensor) -> Tensor {
    let rank = x.shape().rank().map_or(-1, |rank| rank as i32 - 1);
    ops::slice(ops::shape(x), [1], [rank])
}

fn length(cx: &GradCx, list: Tensor) -> Tensor {
    make(cx, TensorListLength {}, &[list])
}

/// A list of unset elements, as many as `list` has.
fn unset(cx: &GradCx, list: Tensor, element_dtype: DType) -> Tensor {
    let any = cx.graph().constant(-1i32);
    make(cx, TensorListReserve { element_dtype }, &[any, length(cx, list)])
}

fn list(cx: &InferCx) -> Result<Vec<TensorType>> {
    cx.output(DType::Variant, ())
}

/// The list that operand 0 is.
fn on_list(cx: &InferCx) -> Result<()> {
    cx.expect_rank(0, 0)
}

/// What operand `i` says of the shapes of elements.
fn element_shape(cx: &InferCx, i: usize) -> Result<PartialShape> {
    match cx.shape(i).rank() {
        Some(0) | None => Ok(PartialShape::unknown()),
        Some(_) => cx.shape_argument(i),
    }
}

/// `shape` behind an axis of this size.
pub(super) fn stacked(size: Option<usize>, shape: &PartialShape) -> PartialShape {
    PartialShape::from([size]).concatenate(shape)
}

/// `shape` with another, or unknown, size along axis 0.
fn joined(shape: &PartialShape) -> PartialShape {
    match shape.dims() {
        Some([_, rest @ ..]) => stacked(None, &PartialShape::from(rest)),
        _ => PartialShape::unknown(),
    }
}

fn sliceable(cx: &InferCx, i: usize) -> Result<()> {
    match cx.shape(i).rank() {
        Some(0) => Err(Error::invalid("a scalar cannot be taken apart along axis 0")),
        _ => Ok(()),
    }
}

op_table! {
    /// A list without elements, which may come to have `max_num_elements` (any number, if that is negative).
    EmptyTensorList {
        /// The dtype of the elements.
        element_dtype: DType,
    }
    "(element_shape: shape_type, max_num_elements: i32) -> (handle: variant) where shape_type: i32|i64" Pure,
    |op, cx| list(cx),
    grad |op, cx| Ok(grads![NoGrad, NoGrad]);

    /// A list of `num_elements` unset elements.
    TensorListReserve {
        /// The dtype of the elements.
        element_dtype: DType,
    }
    "(element_shape: shape_type, num_elements: i32) -> (handle: variant) where shape_type: i32|i64" Pure,
    |op, cx| list(cx),
    grad |op, cx| Ok(grads![NoGrad, NoGrad]);

    /// The list with `tensor` behind its last element.
    TensorListPushBack {}
    "(input_handle: variant, tensor: element_dtype) -> (output_handle: variant) where element_dtype: All" Pure,
    |op, cx| on_list(cx).and_then(|()| list(cx)),
    grad |op, cx| {
        let element_dtype = cx.x_type(1).dtype;
        let pop = cx.graph().op(TensorListPopBack { element_dtype }).input(cx.dy(0)).input(shape_of(cx.x(1))).build();
        Ok(grads![pop.output(0), pop.output(1)])
    };

    /// The list without its last element, and that.
    TensorListPopBack {
        /// The dtype of the elements.
        element_dtype: DType,
    }
    "(input_handle: variant, element_shape: i32) -> (output_handle: variant, tensor: element_dtype) where element_dtype: All" Pure,
    |op, cx| {
        on_list(cx)?;
        Ok(vec![TensorType::new(DType::Variant, ()), TensorType::new(op.element_dtype, element_shape(cx, 1)?)])
    },
    grad |op, cx| Ok(grads![make(cx, TensorListPushBack {}, &[cx.dy(0), cx.dy(1)]), NoGrad]);

    /// Lists, each with the slice of `tensor` at its place behind its last element.
    TensorListPushBackBatch {}
    "(input_handles: variant, tensor: element_dtype) -> (output_handles: variant) where element_dtype: All" Pure,
    |op, cx| cx.same_as_input(0);

    /// How many elements there are.
    TensorListLength {}
    "(input_handle: variant) -> (length: i32)" Pure,
    |op, cx| on_list(cx).and_then(|()| cx.output(DType::I32, ())),
    grad |op, cx| Ok(grads![NoGrad]);

    /// What all elements' shapes have in common.
    TensorListElementShape {
        /// `i32` or `i64`.
        shape_type: DType,
    }
    "(input_handle: variant) -> (element_shape: shape_type) where shape_type: i32|i64" Pure,
    |op, cx| on_list(cx).and_then(|()| cx.output(op.shape_type, PartialShape::unknown())),
    grad |op, cx| Ok(grads![NoGrad]);

    /// The list of the slices of `tensor` along axis 0.
    TensorListFromTensor {}
    "(tensor: element_dtype, element_shape: shape_type) -> (output_handle: variant) where element_dtype: All, shape_type: i32|i64" Pure,
    |op, cx| sliceable(cx, 0).and_then(|()| list(cx)),
    grad |op, cx| {
        let element_dtype = cx.x_type(0).dtype;
        let num_elements = cx.x_type(0).shape.dim(0).map_or(-1, |n| n as i64);
        let stack = TensorListStack { element_dtype, num_elements };
        Ok(grads![make(cx, stack, &[cx.dy(0), slice_shape(cx.x(0))]), NoGrad])
    };

    /// The elements, which have one shape, along a new axis 0.
    TensorListStack {
        /// The dtype of the elements.
        element_dtype: DType,
        /// How many there must be; -1 for any number.
        num_elements: i64,
    }
    "(input_handle: variant, element_shape: i32) -> (tensor: element_dtype) where element_dtype: All" Pure,
    |op, cx| {
        on_list(cx)?;
        cx.output(op.element_dtype, stacked(usize::try_from(op.num_elements).ok(), &element_shape(cx, 1)?))
    },
    grad |op, cx| Ok(grads![make(cx, TensorListFromTensor {}, &[cx.dy(0), cx.x(1)]), NoGrad]);

    /// Element `index`.
    TensorListGetItem {
        /// The dtype of the elements.
        element_dtype: DType,
    }
    "(input_handle: variant, index: i32, element_shape: i32) -> (item: element_dtype) where element_dtype: All" Pure,
    |op, cx| {
        on_list(cx)?;
        cx.expect_rank(1, 0)?;
        cx.output(op.element_dtype, element_shape(cx, 2)?)
    },
    grad |op, cx| {
        let set = TensorListSetItem { resize_if_index_out_of_bounds: false };
        let unset = unset(cx, cx.x(0), op.element_dtype);
        Ok(grads![make(cx, set, &[unset, cx.x(1), cx.dy(0)]), NoGrad, NoGrad])
    };

    /// The list with another element `index`.
    TensorListSetItem {
        /// Whether the list grows for an index behind its end.
        resize_if_index_out_of_bounds: bool,
    }
    "(input_handle: variant, index: i32, item: element_dtype) -> (output_handle: variant) where element_dtype: All" Pure,
    |op, cx| {
        on_list(cx)?;
        cx.expect_rank(1, 0)?;
        list(cx)
    },
    grad |op, cx| {
        let element_dtype = cx.x_type(2).dtype;
        let item = make(cx, TensorListGetItem { element_dtype }, &[cx.dy(0), cx.x(1), shape_of(cx.x(2))]);
        let set = TensorListSetItem { resize_if_index_out_of_bounds: false };
        let rest = make(cx, set, &[cx.dy(0), cx.x(1), ops::zeros_like(cx.x(2))]);
        let list = if op.resize_if_index_out_of_bounds {
            make(cx, TensorListResize {}, &[rest, length(cx, cx.x(0))])
        } else {
            rest
        };
        Ok(grads![list, NoGrad, item])
    };

    /// The elements of these numbers, which have one shape, along a new axis 0.
    TensorListGather {
        /// The dtype of the elements.
        element_dtype: DType,
    }
    "(input_handle: variant, indices: i32, element_shape: i32) -> (values: element_dtype) where element_dtype: All" Pure,
    |op, cx| {
        on_list(cx)?;
        cx.expect_rank(1, 1)?;
        cx.output(op.element_dtype, stacked(cx.shape(1).dim(0), &element_shape(cx, 2)?))
    },
    grad |op, cx| {
        let scattered = &[cx.dy(0), cx.x(1), cx.x(2), length(cx, cx.x(0))];
        Ok(grads![make(cx, TensorListScatterV2 {}, scattered), NoGrad, NoGrad])
    };

    /// A list whose elements `indices[i]` are the slices `i` of `tensor` along axis 0; its length is that of the largest index.
    TensorListScatter {}
    "(tensor: element_dtype, indices: i32, element_shape: shape_type) -> (output_handle: variant) where element_dtype: All, shape_type: i32|i64" Pure,
    |op, cx| sliceable(cx, 0).and_then(|()| list(cx)),
    grad |op, cx| {
        let gather = TensorListGather { element_dtype: cx.x_type(0).dtype };
        Ok(grads![make(cx, gather, &[cx.dy(0), cx.x(1), slice_shape(cx.x(0))]), NoGrad, NoGrad])
    };

    /// [`TensorListScatter`] of a list that has `num_elements` elements, unless that is -1.
    TensorListScatterV2 {}
    "(tensor: element_dtype, indices: i32, element_shape: shape_type, num_elements: i32) -> (output_handle: variant) where element_dtype: All, shape_type: i32|i64" Pure,
    |op, cx| sliceable(cx, 0).and_then(|()| list(cx)),
    grad |op, cx| {
        let gather = TensorListGather { element_dtype: cx.x_type(0).dtype };
        Ok(grads![make(cx, gather, &[cx.dy(0), cx.x(1), slice_shape(cx.x(0))]), NoGrad, NoGrad, NoGrad])
    };

    /// The list with other elements `indices[i]`: the slices `i` of `tensor` along axis 0.
    TensorListScatterIntoExistingList {}
    "(input_handle: variant, tensor: element_dtype, indices: i32) -> (output_handle: variant) where element_dtype: All" Pure,
    |op, cx| {
        on_list(cx)?;
        sliceable(cx, 1)?;
        list(cx)
    },
    grad |op, cx| {
        let gather = TensorListGather { element_dtype: cx.x_type(1).dtype };
        let tensor = make(cx, gather, &[cx.dy(0), cx.x(2), slice_shape(cx.x(1))]);
        let zeros = ops::zeros_like(cx.x(1));
        let list = make(cx, TensorListScatterIntoExistingList {}, &[cx.dy(0), zeros, cx.x(2)]);
        Ok(grads![list, tensor, NoGrad])
    };

    /// The elements behind each other along axis 0, and their lengths along it.
    TensorListConcat {
        /// The dtype of the elements.
        element_dtype: DType,
        /// What is known of their shapes.
        element_shape: PartialShape,
    }
    "(input_handle: variant) -> (tensor: element_dtype, lengths: i64)" Pure,
    |op, cx| {
        on_list(cx)?;
        let tensor = TensorType::new(op.element_dtype, joined(&op.element_shape));
        Ok(vec![tensor, TensorType::new(DType::I64, [None])])
    },
    grad |op, cx| {
        let any = cx.graph().constant(-1i32);
        Ok(grads![make(cx, TensorListSplit {}, &[cx.dy(0), any, cx.y(1)])])
    };

    /// The elements behind each other along axis 0, and their lengths along it. What is unset has the length that
    /// `leading_dims` gives it.
    TensorListConcatV2 {
        /// The dtype of the elements.
        element_dtype: DType,
    }
    "(input_handle: variant, element_shape: shape_type, leading_dims: i64) -> (tensor: element_dtype, lengths: i64) where shape_type: i32|i64" Pure,
    |op, cx| {
        on_list(cx)?;
        let tensor = TensorType::new(op.element_dtype, joined(&element_shape(cx, 1)?));
        Ok(vec![tensor, TensorType::new(DType::I64, [None])])
    },
    grad |op, cx| Ok(grads![make(cx, TensorListSplit {}, &[cx.dy(0), cx.x(1), cx.y(1)]), NoGrad, NoGrad]);

    /// The list of pieces of `tensor` of these lengths along axis 0.
    TensorListSplit {}
    "(tensor: element_dtype, element_shape: shape_type, lengths: i64) -> (output_handle: variant) where shape_type: i32|i64" Pure,
    |op, cx| {
        sliceable(cx, 0)?;
        cx.expect_rank(2, 1)?;
        list(cx)
    },
    grad |op, cx| {
        let concat = TensorListConcatV2 { element_dtype: cx.x_type(0).dtype };
        Ok(grads![make(cx, concat, &[cx.dy(0), cx.x(1), cx.x(2)]), NoGrad, NoGrad])
    };

    /// The list with `size` elements: the first of its own, and unset ones.
    TensorListResize {}
    "(input_handle: variant, size: i32) -> (output_handle: variant)" Pure,
    |op, cx| on_list(cx).and_then(|()| list(cx)),
    grad |op, cx| Ok(grads![make(cx, TensorListResize {}, &[cx.dy(0), length(cx, cx.x(0))]), NoGrad]);

    /// The elements of one list, and behind them those of another; of tensors of lists, place by place.
    TensorListConcatLists {
        /// The dtype of the elements.
        element_dtype: DType,
    }
    "(input_a: variant, input_b: variant) -> (output: variant)" Pure,
    |op, cx| cx.output(DType::Variant, cx.merged()?);
}
