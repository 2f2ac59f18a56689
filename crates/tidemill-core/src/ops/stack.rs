//! Stacks, on which TensorFlow's loops keep what their gradients need.
//!
//! A handle is a scalar of dtype `resource`; what it stands for lives as long as a handle of it does, at most as long as the run.

use tidemill_tensor::{DType, PartialShape};

use super::table::op_table;

op_table! {
    /// A new, empty stack, on which `max_size` tensors may lie (any number, if that is negative).
    StackV2 {
        /// The dtype of what lies on it.
        elem_type: DType,
        /// What messages call it.
        stack_name: String,
    }
    "(max_size: i32) -> (handle: resource)" Stateful,
    |op, cx| cx.output(DType::Resource, ());

    /// Puts a tensor on a stack, and gives it.
    StackPushV2 {
        /// A hint without meaning here.
        swap_memory: bool,
    }
    "(handle: resource, elem: T) -> (output: T) where T: All" Stateful,
    |op, cx| cx.output(cx.dtype(1), cx.shape(1).clone());

    /// Takes the tensor off a stack that was put there last.
    StackPopV2 {
        /// The dtype of what lies on it.
        elem_type: DType,
    }
    "(handle: resource) -> (elem: elem_type) where elem_type: All" Stateful,
    |op, cx| {
        let shape = if op.elem_type.is_object() { PartialShape::from(()) } else { PartialShape::unknown() };
        cx.output(op.elem_type, shape)
    };

    /// Drops what lies on a stack.
    StackCloseV2 {}
    "(handle: resource) -> ()" Stateful,
    |op, cx| Ok(vec![]);
}
