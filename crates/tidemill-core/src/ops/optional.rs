//! Values that may be missing, as TensorFlow's conditionals hand them to their gradients.

use tidemill_tensor::{DType, PartialShape};

use super::table::op_table;
use crate::error::Error;
use crate::infer::TensorType;

op_table! {
    /// An optional that holds tensors: a scalar of dtype `variant`.
    OptionalFromValue {}
    "(components: *) -> (optional: variant)" Pure,
    |op, cx| cx.output(DType::Variant, ());

    /// An optional that holds nothing.
    OptionalNone {}
    "() -> (optional: variant)" Pure,
    |op, cx| cx.output(DType::Variant, ());

    /// Whether an optional holds something.
    OptionalHasValue {}
    "(optional: variant) -> (has_value: bool)" Pure,
    |op, cx| {
        cx.expect_rank(0, 0)?;
        cx.output(DType::Bool, ())
    };

    /// What an optional holds; `InvalidArgument` during the run if it holds nothing, or something else.
    OptionalGetValue {
        /// The dtypes of what it holds.
        output_types: Vec<DType>,
        /// What is known of the shapes.
        output_shapes: Vec<PartialShape>,
    }
    "(optional: variant) -> (components: *)" Pure,
    |op, cx| {
        cx.expect_rank(0, 0)?;
        if op.output_types.len() != op.output_shapes.len() {
            return Err(Error::invalid(format!(
                "{} dtypes and {} shapes are given",
                op.output_types.len(),
                op.output_shapes.len()
            )));
        }
        let types = op.output_types.iter().zip(&op.output_shapes);
        Ok(types.map(|(dtype, shape)| TensorType::new(*dtype, shape.clone())).collect())
    };
}
