//! Tensors made larger: repeated, or with a border.

use smallvec::SmallVec;
use tidemill_tensor::{Dim, PartialShape, Value};

use super::join::{Extent, stack_sizes};
use super::{resolved, shape_operand};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::{Operand, Resolved, ShapeArg};
use crate::schema::Schema;
use crate::{attrs, grads, ops};

#[cfg(test)]
mod tests;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Tile>().with::<Pad>().with::<PadV2>().with::<MirrorPad>().with::<MirrorPadGrad>()
}

/// The operand repeated `multiples[i]` times along each axis `i`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile;
attrs!(Tile {});

impl Op for Tile {
    const SCHEMA: Schema =
        Schema::new("Tile", "(input: T, multiples: Tmultiples) -> (output: T) where Tmultiples: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        let Some(multiples) = cx.known(1) else {
            let shape = cx.shape(0).rank().map_or(PartialShape::unknown(), PartialShape::with_rank);
            return cx.output(cx.dtype(0), shape);
        };
        if let Some(negative) = multiples.iter().flatten().find(|multiple| **multiple < 0) {
            return Err(Error::invalid(format!("multiple {negative} is negative")));
        }
        if let Some(rank) = cx.shape(0).rank().filter(|rank| *rank != multiples.len()) {
            let n = multiples.len();
            return Err(Error::invalid(format!("{n} multiples for the {rank} axes of {}", cx.shape(0))));
        }
        let dims =
            multiples.iter().enumerate().map(|(axis, multiple)| match (cx.shape(0).dim(axis), multiple) {
                (Some(dim), Some(multiple)) => dim.checked_mul(*multiple as usize),
                (Some(0), None) | (None, Some(0)) => Some(0),
                _ => None,
            });
        cx.output(cx.dtype(0), dims.collect::<PartialShape>())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        // Each axis becomes two, the copies and the elements; the copies are added up.
        let (x, multiples) = (cx.x(0), cx.x(1));
        let sizes = ops::shape_typed(x, multiples.dtype());
        let split = ops::transpose(ops::stack([multiples, sizes], 0));
        let split = ops::reshape(split, [-1]);
        let dy = ops::reshape(cx.dy(0), split);
        let copies = cx.graph().range(0, ops::size(split), 2);
        Ok(grads![ops::reduce_sum_with(dy, copies), NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let (elements, times) = (cx.known(0)?, cx.known_all(1)?);
        let [times] = times[..] else { return None };
        let times = usize::try_from(times)
            .ok()
            .filter(|times| times.checked_mul(elements.len()).is_some_and(|n| n <= 64))?;
        Some((0..times).flat_map(|_| elements.iter().copied()).collect())
    }
}

/// For each axis, how much is put before and after it, as far as that is known.
type PaddingPairs = SmallVec<[[Option<i64>; 2]; 4]>;

/// How many elements are added before and after each axis, as far as it is known; `None` when not even the rank is.
fn paddings(cx: &InferCx) -> Result<Option<PaddingPairs>> {
    cx.expect_rank(1, 2)?;
    if let Some(n) = cx.shape(1).dim(1).filter(|n| *n != 2) {
        return Err(Error::invalid(format!("paddings must have 2 columns (before and after), not {n}")));
    }
    let rank = match (cx.shape(0).rank(), cx.shape(1).dim(0)) {
        (Some(rank), Some(n)) if rank != n => {
            let shape = cx.shape(0);
            return Err(Error::invalid(format!("paddings has {n} rows, but {shape} has {rank} axes")));
        }
        (Some(rank), _) | (None, Some(rank)) => rank,
        (None, None) => return Ok(None),
    };
    let entries = cx.known_elements(1).unwrap_or_else(|| PartialValue::from_elem(None, 2 * rank));
    if let Some(negative) = entries.iter().flatten().find(|entry| **entry < 0) {
        return Err(Error::invalid(format!("padding {negative} is negative")));
    }
    Ok(Some(entries.chunks_exact(2).map(|row| [row[0], row[1]]).collect()))
}

fn padded(cx: &InferCx) -> Result<Vec<TensorType>> {
    let Some(paddings) = paddings(cx)? else { return cx.output(cx.dtype(0), PartialShape::unknown()) };
    let size = |(axis, [before, after]): (usize, &[Option<i64>; 2])| -> Result<Dim> {
        let (Some(dim), Some(before), Some(after)) = (cx.shape(0).dim(axis), before, after) else {
            return Ok(None);
        };
        let size = before.checked_add(*after).and_then(|added| dim.checked_add(usize::try_from(added).ok()?));
        size.map(Some).ok_or_else(|| {
            Error::invalid(format!("axis {axis} becomes too large: {dim} + {before} + {after}"))
        })
    };
    let shape: PartialShape = paddings.iter().enumerate().map(size).collect::<Result<_>>()?;
    if shape.as_known().is_some_and(|shape| shape.num_bytes(cx.dtype(0)).is_none()) {
        return Err(Error::invalid(format!("shape {shape} has too many elements")));
    }
    cx.output(cx.dtype(0), shape)
}

/// The part of `dy` that stands where the padded tensor stood.
fn unpadded(cx: &GradCx) -> Tensor {
    let (x, paddings) = (cx.x(0), cx.x(1));
    let column = stack_sizes("stack", [Extent::Tensor(ops::rank(x)), Extent::Known(1)]);
    let before = ops::slice(paddings, [0, 0], column);
    let before = ops::reshape(before, [-1]);
    ops::slice(cx.dy(0), before, ops::shape_typed(x, paddings.dtype()))
}

/// The operand with `paddings[i][0]` zeros before and `paddings[i][1]` after each axis `i`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad;
attrs!(Pad {});

impl Op for Pad {
    const SCHEMA: Schema =
        Schema::new("Pad", "(input: T, paddings: Tpaddings) -> (output: T) where Tpaddings: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        padded(cx)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![unpadded(cx), NoGrad])
    }
}

/// The operand with `paddings[i][0]` times `constant_values` before and `paddings[i][1]` times after each axis `i`.
#[derive(Debug, Clone, PartialEq)]
pub struct PadV2;
attrs!(PadV2 {});

impl Op for PadV2 {
    const SCHEMA: Schema = Schema::new(
        "PadV2",
        "(input: T, paddings: Tpaddings, constant_values: T) -> (output: T) where Tpaddings: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(2, 0)?;
        padded(cx)
    }
    /// As in TensorFlow, no gradient flows into the border's value.
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![unpadded(cx), NoGrad, NoGrad])
    }
}

/// The operand with its own elements mirrored beyond each end of each axis. In mode `REFLECT` the outermost element is the
/// mirror; in mode `SYMMETRIC` the mirror stands beside it, and it is repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorPad {
    /// `REFLECT` or `SYMMETRIC`.
    pub mode: String,
}
attrs!(MirrorPad { mode });

impl Op for MirrorPad {
    const SCHEMA: Schema =
        Schema::new("MirrorPad", "(input: T, paddings: Tpaddings) -> (output: T) where Tpaddings: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let spared = spared(&self.mode)?;
        for (axis, sides) in paddings(cx)?.unwrap_or_default().iter().enumerate() {
            let Some(dim) = cx.shape(0).dim(axis) else { continue };
            if let Some(long) = sides.iter().flatten().find(|padding| **padding > dim as i64 - spared) {
                return Err(Error::invalid(format!(
                    "padding {long} is too long to mirror axis {axis} of size {dim} in mode {}",
                    self.mode
                )));
            }
        }
        padded(cx)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let op = MirrorPadGrad { mode: self.mode.clone() };
        Ok(grads![cx.graph().add(op, &[cx.dy(0), cx.x(1)]), NoGrad])
    }
}

/// How many elements of an axis are not mirrored.
fn spared(mode: &str) -> Result<i64> {
    match mode {
        "REFLECT" => Ok(1),
        "SYMMETRIC" => Ok(0),
        _ => Err(Error::invalid(format!("mode must be REFLECT or SYMMETRIC, not {mode:?}"))),
    }
}

/// The gradient of [`MirrorPad`]: the operand without its border, the border's elements added to those they mirror.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorPadGrad {
    /// `REFLECT` or `SYMMETRIC`.
    pub mode: String,
}
attrs!(MirrorPadGrad { mode });

impl Op for MirrorPadGrad {
    const SCHEMA: Schema = Schema::new(
        "MirrorPadGrad",
        "(input: T, paddings: Tpaddings) -> (output: T) where T: Num|Complex, Tpaddings: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let spared = spared(&self.mode)?;
        let Some(paddings) = paddings(cx)? else { return cx.output(cx.dtype(0), PartialShape::unknown()) };
        let inner = |(axis, [before, after]): (usize, &[Option<i64>; 2])| -> Result<Dim> {
            let (Some(dim), Some(before), Some(after)) = (cx.shape(0).dim(axis), before, after) else {
                return Ok(None);
            };
            let inner = dim as i64 - before - after;
            if inner < 0 || *before > inner - spared || *after > inner - spared {
                return Err(Error::invalid(format!(
                    "paddings {before} and {after} do not fit axis {axis} of size {dim} in mode {}",
                    self.mode
                )));
            }
            Ok(Some(inner as usize))
        };
        cx.output(cx.dtype(0), paddings.iter().enumerate().map(inner).collect::<Result<PartialShape>>()?)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let op = MirrorPad { mode: self.mode.clone() };
        Ok(grads![cx.graph().add(op, &[cx.dy(0), cx.x(1)]), NoGrad])
    }
}

/// `x` repeated `multiples[i]` times along each axis `i`. TensorFlow: `tf.tile`.
///
/// # Panics
/// When there are not as many multiples as axes, or one is negative.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2, 3]);
/// assert_eq!(ops::tile(x, [2, 1]).ty().to_string(), "f32[4,3]");
/// ```
#[track_caller]
pub fn tile(x: impl Into<Tensor>, multiples: impl Into<ShapeArg>) -> Tensor {
    let x = x.into();
    shape_operand(x.graph().op(Tile).input(x), "multiples", multiples).tensor()
}

/// How many elements to add before and after each axis: known numbers, or an integer tensor of shape `[rank, 2]`.
#[derive(Debug, Clone)]
pub struct Paddings(pub(super) Resolved);

impl<const N: usize> From<[[i32; 2]; N]> for Paddings {
    fn from(paddings: [[i32; 2]; N]) -> Self {
        Paddings(Resolved::Value(Value::from(paddings)))
    }
}

impl From<Tensor> for Paddings {
    fn from(paddings: Tensor) -> Self {
        Paddings(Resolved::Tensor(paddings))
    }
}

/// `x` with a border of zeros: `paddings[i]` are the numbers of elements before and after axis `i`. TensorFlow: `tf.pad`.
///
/// # Panics
/// When there are not as many rows of paddings as axes, or one is negative.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2, 3]);
/// assert_eq!(ops::pad(x, [[1, 1], [0, 2]]).ty().to_string(), "f32[4,5]");
/// ```
#[track_caller]
pub fn pad(x: impl Into<Tensor>, paddings: impl Into<Paddings>) -> Tensor {
    let x = x.into();
    resolved(x.graph().op(Pad).input(x), "paddings", paddings.into().0).tensor()
}

/// [`pad`] with a border of `value`, a number or scalar. TensorFlow: `tf.pad(x, paddings, constant_values=value)`.
#[track_caller]
pub fn pad_value(x: impl Into<Tensor>, paddings: impl Into<Paddings>, value: impl Operand) -> Tensor {
    let x = x.into();
    let value = or_panic(value.resolve(x.dtype()));
    let builder = resolved(x.graph().op(PadV2).input(x), "paddings", paddings.into().0);
    resolved(builder, "constant_values", value).tensor()
}

/// How [`mirror_pad`] mirrors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mirror {
    /// The outermost element is the mirror: `[1, 2, 3]` goes on with `2, 1`.
    Reflect,
    /// The mirror stands beside the outermost element: `[1, 2, 3]` goes on with `3, 2, 1`.
    Symmetric,
}

/// `x` with its own elements mirrored beyond its ends. TensorFlow: `tf.pad(x, paddings, mode)`.
///
/// # Panics
/// When a padding is larger than what there is to mirror.
#[track_caller]
pub fn mirror_pad(x: impl Into<Tensor>, paddings: impl Into<Paddings>, mirror: Mirror) -> Tensor {
    let x = x.into();
    let mode = match mirror {
        Mirror::Reflect => "REFLECT",
        Mirror::Symmetric => "SYMMETRIC",
    };
    let builder = x.graph().op(MirrorPad { mode: mode.to_owned() }).input(x);
    resolved(builder, "paddings", paddings.into().0).tensor()
}
