//! TensorFlow's tensor arrays: handles of arrays of tensors that change.
//!
//! A handle is a scalar of dtype `resource`. A *flow* is a scalar `f32` without meaning, by which an op waits for another. These ops are how files
//! of TensorFlow speak of arrays; whoever builds a graph has [`TensorArray`](super::TensorArray), which is a value.
//!
//! An array has one dtype. An element is written once, and reads as zeros of the element shape before. An array of *gradients* belongs
//! to an array and a source (which call of `gradients` it is for): what is written to one element of it adds up.

use tidemill_tensor::{DType, PartialShape};

use super::list::stacked;
use super::table::op_table;
use crate::error::Result;
use crate::infer::{InferCx, TensorType};

fn handle_and_flow() -> Result<Vec<TensorType>> {
    Ok(vec![TensorType::new(DType::Resource, ()), TensorType::new(DType::F32, ())])
}

fn flow(cx: &InferCx) -> Result<Vec<TensorType>> {
    cx.expect_rank(0, 0)?;
    cx.output(DType::F32, ())
}

op_table! {
    /// A new array of `size` elements that are not written yet.
    TensorArrayV3 {
        /// The dtype of the elements.
        dtype: DType,
        /// What is known of their shapes.
        element_shape: PartialShape,
        /// Whether writing behind the end makes the array longer.
        dynamic_size: bool,
        /// Whether an element can be read only once.
        clear_after_read: bool,
        /// Whether all elements have one shape.
        identical_element_shapes: bool,
        /// What messages call it.
        tensor_array_name: String,
    }
    "(size: i32) -> (handle: resource, flow: f32)" Stateful,
    |op, cx| cx.expect_rank(0, 0).and_then(|()| handle_and_flow());

    /// The array of gradients of an array for a source.
    TensorArrayGradV3 {
        /// The source.
        source: String,
    }
    "(handle: resource, flow_in: f32) -> (grad_handle: resource, flow_out: f32)" Stateful,
    |op, cx| cx.expect_rank(0, 0).and_then(|()| handle_and_flow());

    /// The array of gradients of an array for a source, whose elements have further axes in front.
    TensorArrayGradWithShape {
        /// The source.
        source: String,
    }
    "(handle: resource, flow_in: f32, shape_to_prepend: i32) -> (grad_handle: resource, flow_out: f32)" Stateful,
    |op, cx| cx.expect_rank(0, 0).and_then(|()| handle_and_flow());

    /// Writes an element.
    TensorArrayWriteV3 {}
    "(handle: resource, index: i32, value: T, flow_in: f32) -> (flow_out: f32) where T: All" Stateful,
    |op, cx| cx.expect_rank(1, 0).and_then(|()| flow(cx));

    /// An element.
    TensorArrayReadV3 {
        /// The dtype of the elements.
        dtype: DType,
    }
    "(handle: resource, index: i32, flow_in: f32) -> (value: dtype) where dtype: All" Stateful,
    |op, cx| {
        cx.expect_rank(1, 0)?;
        cx.output(op.dtype, PartialShape::unknown())
    };

    /// The elements of these numbers, which have one shape, along a new axis 0.
    TensorArrayGatherV3 {
        /// The dtype of the elements.
        dtype: DType,
        /// What is known of their shapes.
        element_shape: PartialShape,
    }
    "(handle: resource, indices: i32, flow_in: f32) -> (value: dtype)" Stateful,
    |op, cx| {
        cx.expect_rank(1, 1)?;
        cx.output(op.dtype, stacked(cx.shape(1).dim(0), &op.element_shape))
    };

    /// Writes the slices of `value` along axis 0 to the elements of these numbers.
    TensorArrayScatterV3 {}
    "(handle: resource, indices: i32, value: T, flow_in: f32) -> (flow_out: f32)" Stateful,
    |op, cx| cx.expect_rank(1, 1).and_then(|()| flow(cx));

    /// All elements behind each other along axis 0, and their lengths along it.
    TensorArrayConcatV3 {
        /// The dtype of the elements.
        dtype: DType,
        /// What is known of their shapes beside the first axis.
        element_shape_except0: PartialShape,
    }
    "(handle: resource, flow_in: f32) -> (value: dtype, lengths: i64)" Stateful,
    |op, cx| {
        cx.expect_rank(0, 0)?;
        let value = TensorType::new(op.dtype, stacked(None, &op.element_shape_except0));
        Ok(vec![value, TensorType::new(DType::I64, [None])])
    };

    /// Writes pieces of `value` of these lengths along axis 0 to the elements from the first on.
    TensorArraySplitV3 {}
    "(handle: resource, value: T, lengths: i64, flow_in: f32) -> (flow_out: f32)" Stateful,
    |op, cx| cx.expect_rank(2, 1).and_then(|()| flow(cx));

    /// How many elements there are.
    TensorArraySizeV3 {}
    "(handle: resource, flow_in: f32) -> (size: i32)" Stateful,
    |op, cx| cx.output(DType::I32, ());

    /// Drops the elements; the array can be used no more.
    TensorArrayCloseV3 {}
    "(handle: resource) -> ()" Stateful,
    |op, cx| Ok(vec![]);
}
