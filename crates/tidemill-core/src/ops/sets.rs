//! Sets in the last axis of tensors: intersections, unions, differences.

use tidemill_tensor::{DType, Dim, PartialShape};

use crate::attrs;
use crate::error::{Error, Result};
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<DenseToDenseSetOperation>()
        .with::<DenseToSparseSetOperation>()
        .with::<SparseToSparseSetOperation>()
        .with::<SetSize>()
}

/// What set operations do with the elements of two sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperation {
    /// Those of the first that are not in the second.
    AMinusB,
    /// Those of the second that are not in the first.
    BMinusA,
    /// Those in both.
    Intersection,
    /// Those in one of them.
    Union,
}

impl SetOperation {
    fn named(name: &str) -> Result<SetOperation> {
        match name.to_ascii_lowercase().as_str() {
            "a-b" => Ok(SetOperation::AMinusB),
            "b-a" => Ok(SetOperation::BMinusA),
            "intersection" => Ok(SetOperation::Intersection),
            "union" => Ok(SetOperation::Union),
            _ => Err(Error::invalid(format!(
                "set_operation must be a-b, b-a, intersection or union, not {name:?}"
            ))),
        }
    }
}

/// The rank of the operand that begins at `i`.
fn rank(cx: &InferCx, i: usize, sparse: bool) -> Result<Dim> {
    if !sparse {
        return Ok(cx.shape(i).rank());
    }
    cx.expect_rank(i, 2)?;
    cx.expect_rank(i + 1, 1)?;
    cx.expect_rank(i + 2, 1)?;
    Ok(cx.shape(i + 2).dim(0).or(cx.shape(i).dim(1)))
}

/// A row: documentation, op, operands, and which of the sets are sparse.
macro_rules! set_ops {
    ($($(#[$doc:meta])* $op:ident $operands:literal, sparse $first:literal $second:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// `a-b`, `b-a`, `intersection` or `union`.
            pub set_operation: String,
            /// Whether the order of sparse indices is checked.
            pub validate_indices: bool,
        }
        attrs!($op { set_operation, validate_indices });

        impl $op {
            /// What is done.
            ///
            /// # Errors
            /// `InvalidArgument` when there is no such operation.
            pub fn operation(&self) -> Result<SetOperation> {
                SetOperation::named(&self.set_operation)
            }
        }

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(
                stringify!($op),
                concat!(
                    "(", $operands, ") -> (result_indices: i64, result_values: T, result_shape: i64) \
                     where T: i8|i16|i32|i64|u8|u16"
                ),
            );
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                self.operation()?;
                let (first, second) = (rank(cx, 0, $first)?, rank(cx, if $first { 3 } else { 1 }, $second)?);
                let rank = first.or(second);
                if rank.is_some_and(|rank| rank < 2) || first.zip(second).is_some_and(|(a, b)| a != b) {
                    return Err(Error::invalid("both tensors of sets must have the same rank, at least 2"));
                }
                let dtype = cx.dtype(if $first { 1 } else { 0 });
                Ok(vec![
                    TensorType::new(DType::I64, PartialShape::from([None, rank])),
                    TensorType::new(dtype, PartialShape::from([None])),
                    TensorType::new(DType::I64, PartialShape::from([rank])),
                ])
            }
        }
    )*};
}
set_ops! {
    /// For each row of the last axis, the sets of the elements of both operands put together; a sparse tensor, each row in ascending order.
    DenseToDenseSetOperation "set1: T, set2: T", sparse false false;
    /// As [`DenseToDenseSetOperation`], the second operand being sparse.
    DenseToSparseSetOperation "set1: T, set2_indices: i64, set2_values: T, set2_shape: i64", sparse false true;
    /// As [`DenseToDenseSetOperation`], both operands being sparse.
    SparseToSparseSetOperation
        "set1_indices: i64, set1_values: T, set1_shape: i64, set2_indices: i64, set2_values: T, set2_shape: i64",
        sparse true true;
}

/// How many distinct elements each row of the last axis of a sparse tensor has.
#[derive(Debug, Clone, PartialEq)]
pub struct SetSize {
    /// Whether the order of the indices is checked.
    pub validate_indices: bool,
}
attrs!(SetSize { validate_indices });

impl Op for SetSize {
    const SCHEMA: Schema = Schema::new(
        "SetSize",
        "(set_indices: i64, set_values: T, set_shape: i64) -> (size: i32) where T: i8|i16|i32|i64|u8|u16",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        rank(cx, 0, true)?;
        let shape = match cx.shape_argument(2)?.dims() {
            Some([]) => return Err(Error::invalid("a scalar holds no sets")),
            Some([outer @ .., _]) => PartialShape::from(outer),
            None => PartialShape::unknown(),
        };
        cx.output(DType::I32, shape)
    }
}
