//! Types of tensors, and the context in which an op infers its own.

use std::fmt;

use smallvec::{SmallVec, smallvec};
use tidemill_tensor::{DType, Dim, PartialShape};

use crate::error::{Error, Result};

/// What is known of a tensor before it has a value: its dtype, and as much of its shape as can be told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Known, partly known or unknown shape.
    pub shape: PartialShape,
    /// Whether it is a variable's reference rather than a value. A reference used as a value reads the variable.
    pub is_ref: bool,
}

impl TensorType {
    /// A value's type.
    pub fn new(dtype: DType, shape: impl Into<PartialShape>) -> TensorType {
        TensorType { dtype, shape: shape.into(), is_ref: false }
    }

    /// A variable reference's type.
    pub fn reference(dtype: DType, shape: impl Into<PartialShape>) -> TensorType {
        TensorType { dtype, shape: shape.into(), is_ref: true }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", if self.is_ref { "&" } else { "" }, self.dtype, self.shape)
    }
}

/// The elements of a small integer or bool tensor, row by row, as far as they are known before a run.
pub type PartialValue = SmallVec<[Option<i64>; 8]>;

/// Tells what is known of an operand's value; each form of the program has its own.
pub trait KnownValues {
    /// The elements of operand `i`, row by row, or `None` when nothing is known (or it is no small tensor of integers).
    fn known(&self, i: usize) -> Option<PartialValue>;
}

/// Knows nothing.
pub struct NothingKnown;

impl KnownValues for NothingKnown {
    fn known(&self, _: usize) -> Option<PartialValue> {
        None
    }
}

/// What a shape rule sees: the types of the operands, and the values of those that carry shapes.
pub struct InferCx<'a> {
    inputs: &'a [TensorType],
    known: &'a dyn KnownValues,
    asked: usize,
}

impl<'a> InferCx<'a> {
    /// A context over these operands.
    pub fn new(inputs: &'a [TensorType], known: &'a dyn KnownValues) -> InferCx<'a> {
        InferCx { inputs, known, asked: 0 }
    }

    /// The same, asking for what is known of output `i` rather than output 0.
    pub fn asking(self, i: usize) -> InferCx<'a> {
        InferCx { asked: i, ..self }
    }

    /// The output whose value [`Op::constant_value`](crate::Op::constant_value) is asked for.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// The types of all operands.
    pub fn inputs(&self) -> &'a [TensorType] {
        self.inputs
    }

    /// How many operands there are.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there are no operands.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The dtype of operand `i`.
    pub fn dtype(&self, i: usize) -> DType {
        self.inputs[i].dtype
    }

    /// The shape of operand `i`.
    pub fn shape(&self, i: usize) -> &'a PartialShape {
        &self.inputs[i].shape
    }

    /// The elements of the integer operand `i`, a vector or scalar (which counts as one element), each known or not;
    /// `None` when not even their number is known, and for operands of higher rank.
    pub fn known(&self, i: usize) -> Option<PartialValue> {
        if self.shape(i).rank().is_some_and(|rank| rank > 1) { None } else { self.known_elements(i) }
    }

    /// The elements of the integer operand `i` of any rank, row by row, each known or not; `None` when not even their number
    /// is known, or there are many.
    pub fn known_elements(&self, i: usize) -> Option<PartialValue> {
        self.known.known(i).or_else(|| {
            // A vector of unknown contents but known length still tells a rank.
            let n = self.shape(i).num_elements().filter(|n| *n <= 64)?;
            Some(smallvec![None; n])
        })
    }

    /// The elements of operand `i` when all of them are known.
    pub fn known_all(&self, i: usize) -> Option<SmallVec<[i64; 8]>> {
        self.known(i)?.into_iter().collect()
    }

    /// Operand `i` read as a shape: `-1` and unknown elements become unknown dimensions.
    ///
    /// # Errors
    /// `InvalidArgument` when it is not a vector, or a dimension is below -1.
    pub fn shape_argument(&self, i: usize) -> Result<PartialShape> {
        self.expect_rank(i, 1)?;
        let Some(dims) = self.known(i) else { return Ok(PartialShape::unknown()) };
        let dims: Result<Vec<Dim>> = dims
            .iter()
            .map(|d| match d {
                Some(d) if *d < -1 => Err(Error::invalid(format!("dimension {d} of a shape is negative"))),
                Some(d) => Ok(usize::try_from(*d).ok()),
                None => Ok(None),
            })
            .collect();
        Ok(PartialShape::from(dims?))
    }

    /// The scalar operand `i` as an axis of a tensor of the given rank, negative values counted from the end;
    /// `None` while value or rank are unknown.
    ///
    /// # Errors
    /// `InvalidArgument` when it is out of range.
    pub fn axis_argument(&self, i: usize, rank: Option<usize>) -> Result<Option<usize>> {
        self.expect_rank(i, 0)?;
        match (self.known_all(i), rank) {
            (Some(axis), Some(rank)) => normalise_axis(axis[0], rank).map(Some),
            _ => Ok(None),
        }
    }

    /// `InvalidArgument` unless operand `i` has (or may have) the given rank.
    pub fn expect_rank(&self, i: usize, rank: usize) -> Result<()> {
        match self.shape(i).rank() {
            Some(r) if r != rank => Err(Error::invalid(format!(
                "operand {i} must have rank {rank}, but its shape is {}",
                self.shape(i)
            ))),
            _ => Ok(()),
        }
    }

    /// `InvalidArgument` when operand `i` has fewer axes than this.
    pub fn expect_rank_at_least(&self, i: usize, rank: usize) -> Result<()> {
        match self.shape(i).rank() {
            Some(r) if r < rank => Err(Error::invalid(format!(
                "operand {i} must have a rank of at least {rank}, but its shape is {}",
                self.shape(i)
            ))),
            _ => Ok(()),
        }
    }

    /// One output of the dtype and shape of operand `i`.
    pub fn same_as_input(&self, i: usize) -> Result<Vec<TensorType>> {
        self.output(self.dtype(i), self.shape(i).clone())
    }

    /// One output.
    pub fn output(&self, dtype: DType, shape: impl Into<PartialShape>) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(dtype, shape)])
    }

    /// The common shape of all operands under broadcasting.
    ///
    /// # Errors
    /// `InvalidArgument` when two of them do not broadcast.
    pub fn broadcast(&self) -> Result<PartialShape> {
        let mut shape = PartialShape::from(());
        for input in self.inputs {
            shape = shape.broadcast(&input.shape).ok_or_else(|| {
                Error::invalid(format!("shapes {shape} and {} do not broadcast", input.shape))
                    .with_help("dimensions must be equal, or one of them 1, counted from the last")
            })?;
        }
        Ok(shape)
    }

    /// The common shape of all operands, which must be equal.
    ///
    /// # Errors
    /// `InvalidArgument` when two of them cannot be equal.
    pub fn merged(&self) -> Result<PartialShape> {
        let mut shape = PartialShape::unknown();
        for input in self.inputs {
            shape = shape
                .merge(&input.shape)
                .ok_or_else(|| Error::invalid(format!("shapes {shape} and {} differ", input.shape)))?;
        }
        Ok(shape)
    }
}

/// An axis counted from either end, as an index below `rank`.
///
/// # Errors
/// `InvalidArgument` when it is outside `-rank..rank`.
pub fn normalise_axis(axis: i64, rank: usize) -> Result<usize> {
    let r = rank as i64;
    let at = if axis < 0 { axis + r } else { axis };
    if (0..r).contains(&at) {
        Ok(at as usize)
    } else {
        Err(Error::invalid(format!("axis {axis} is out of range for rank {rank}")))
    }
}
