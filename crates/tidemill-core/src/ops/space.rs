//! Blocks of images moved between space, depth and batch; and names of axes in data formats.

use smallvec::SmallVec;
use tidemill_tensor::{Dim, PartialShape};

use super::pad::Paddings;
use super::{resolved, shape_operand};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::ShapeArg;
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<SpaceToBatchND>()
        .with::<SpaceToBatch>()
        .with::<BatchToSpaceND>()
        .with::<BatchToSpace>()
        .with::<SpaceToDepth>()
        .with::<DepthToSpace>()
        .with::<DataFormatDimMap>()
        .with::<DataFormatVecPermute>()
}

/// Sizes of blocks, and what is added or cut before and after each axis of space, as far as they are known.
struct Blocks {
    block: PartialValue,
    margins: PartialValue,
}

impl Blocks {
    /// From operands `block_shape` and `margins`; `None` when not even the number of axes is known.
    fn operands(cx: &InferCx, block: usize, margins: usize) -> Result<Option<Blocks>> {
        cx.expect_rank(block, 1)?;
        cx.expect_rank(margins, 2)?;
        if cx.shape(margins).dim(1).is_some_and(|n| n != 2) {
            return Err(Error::invalid(format!(
                "two numbers for each axis, not of shape {}",
                cx.shape(margins)
            )));
        }
        let Some(axes) = cx.shape(block).dim(0).or(cx.shape(margins).dim(0)) else { return Ok(None) };
        if cx.shape(margins).dim(0).is_some_and(|n| n != axes) {
            return Err(Error::invalid(format!("blocks of {axes} axes, but {}", cx.shape(margins))));
        }
        let entries = |i, n| cx.known_elements(i).unwrap_or_else(|| PartialValue::from_elem(None, n));
        Blocks { block: entries(block, axes), margins: entries(margins, 2 * axes) }.checked().map(Some)
    }

    fn checked(self) -> Result<Blocks> {
        if let Some(size) = self.block.iter().flatten().find(|size| **size < 1) {
            return Err(Error::invalid(format!("a block has size {size}, but must have at least 1")));
        }
        if let Some(margin) = self.margins.iter().flatten().find(|margin| **margin < 0) {
            return Err(Error::invalid(format!("{margin} is negative")));
        }
        Ok(self)
    }

    /// The shape of `input` with space moved to the batch, or back.
    fn shape(&self, input: &PartialShape, to_batch: bool) -> Result<PartialShape> {
        let Some(dims) = input.dims() else { return Ok(PartialShape::unknown()) };
        let axes = self.block.len();
        if dims.len() < axes + 1 {
            return Err(Error::invalid(format!("{input} has no batch and {axes} axes of space")));
        }
        let blocks: Option<i64> =
            self.block.iter().copied().try_fold(1i64, |product, b| product.checked_mul(b?));
        let overflow = || Error::invalid("a size overflows");
        let mut out: SmallVec<[Dim; 4]> = SmallVec::from_slice(dims);
        out[0] = match (dims[0], blocks) {
            (Some(batch), Some(blocks)) if to_batch => {
                Some(batch.checked_mul(blocks as usize).ok_or_else(overflow)?)
            }
            (Some(batch), Some(blocks)) if batch as i64 % blocks != 0 => {
                return Err(Error::invalid(format!("a batch of {batch} is no multiple of {blocks} blocks")));
            }
            (Some(batch), Some(blocks)) => Some(batch / blocks as usize),
            _ => None,
        };
        for axis in 0..axes {
            let (Some(size), Some(block), Some(before), Some(after)) =
                (dims[axis + 1], self.block[axis], self.margins[2 * axis], self.margins[2 * axis + 1])
            else {
                out[axis + 1] = None;
                continue;
            };
            let margins = before.checked_add(after).ok_or_else(overflow)?;
            let size = i64::try_from(size).map_err(|_| overflow())?;
            let size = if to_batch {
                let padded = size.checked_add(margins).ok_or_else(overflow)?;
                if padded % block != 0 {
                    return Err(Error::invalid(format!(
                        "size {padded} of axis {} is no multiple of {block}",
                        axis + 1
                    )));
                }
                padded / block
            } else {
                let whole = size.checked_mul(block).ok_or_else(overflow)?;
                if margins > whole {
                    return Err(Error::invalid(format!(
                        "cannot cut {margins} off size {whole} of axis {}",
                        axis + 1
                    )));
                }
                whole - margins
            };
            out[axis + 1] = Some(size as usize);
        }
        Ok(out.into_iter().collect())
    }
}

/// The operand with blocks of space moved to the batch: the axes after the batch are padded with zeros, cut into blocks, and each place
/// in the block becomes a batch of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct SpaceToBatchND;
attrs!(SpaceToBatchND {});

impl Op for SpaceToBatchND {
    const SCHEMA: Schema = Schema::new(
        "SpaceToBatchND",
        "(input: T, block_shape: Tblock_shape, paddings: Tpaddings) -> (output: T) \
         where Tblock_shape: i32|i64, Tpaddings: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = match Blocks::operands(cx, 1, 2)? {
            Some(blocks) => blocks.shape(cx.shape(0), true)?,
            None => PartialShape::unknown(),
        };
        cx.output(cx.dtype(0), shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(BatchToSpaceND, &[cx.dy(0), cx.x(1), cx.x(2)]), NoGrad, NoGrad])
    }
}

/// Undoes [`SpaceToBatchND`]: batches become blocks of space, whose margins are cut off.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchToSpaceND;
attrs!(BatchToSpaceND {});

impl Op for BatchToSpaceND {
    const SCHEMA: Schema = Schema::new(
        "BatchToSpaceND",
        "(input: T, block_shape: Tblock_shape, crops: Tcrops) -> (output: T) \
         where Tblock_shape: i32|i64, Tcrops: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = match Blocks::operands(cx, 1, 2)? {
            Some(blocks) => blocks.shape(cx.shape(0), false)?,
            None => PartialShape::unknown(),
        };
        cx.output(cx.dtype(0), shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(SpaceToBatchND, &[cx.dy(0), cx.x(1), cx.x(2)]), NoGrad, NoGrad])
    }
}

/// A row: documentation, op, its second operand, whether it moves to the batch, and the op that undoes it.
macro_rules! square_blocks {
    ($($(#[$doc:meta])* $op:ident $signature:literal, $to_batch:literal, $back:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// Height and width of a block.
            pub block_size: i64,
        }
        attrs!($op { block_size });

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                cx.expect_rank(0, 4)?;
                cx.expect_rank(1, 2)?;
                if self.block_size < 2 {
                    return Err(Error::invalid(format!("block_size is {}, but must be at least 2", self.block_size)));
                }
                let wrong = [(0, 2), (1, 2)].iter().any(|(i, n)| cx.shape(1).dim(*i).is_some_and(|d| d != *n));
                if wrong {
                    return Err(Error::invalid(format!("two numbers for height and for width, not of shape {}", cx.shape(1))));
                }
                let block = PartialValue::from_elem(Some(self.block_size), 2);
                let margins = cx.known_elements(1).unwrap_or_else(|| PartialValue::from_elem(None, 4));
                let input = cx.shape(0).merge(&PartialShape::with_rank(4)).unwrap_or_default();
                let shape = Blocks { block, margins }.checked()?.shape(&input, $to_batch)?;
                cx.output(cx.dtype(0), shape)
            }
            fn grad(&self, cx: &GradCx) -> Result<Grads> {
                let op = $back { block_size: self.block_size };
                Ok(grads![cx.graph().add(op, &[cx.dy(0), cx.x(1)]), NoGrad])
            }
        }
    )*};
}
square_blocks! {
    /// [`SpaceToBatchND`] of images, with square blocks.
    SpaceToBatch "(input: T, paddings: Tpaddings) -> (output: T) where Tpaddings: i32|i64", true, BatchToSpace;
    /// [`BatchToSpaceND`] of images, with square blocks.
    BatchToSpace "(input: T, crops: Tidx) -> (output: T) where Tidx: i32|i64", false, SpaceToBatch;
}

/// A row: documentation, op, whether it moves to the depth, and the op that undoes it.
macro_rules! depth_blocks {
    ($($(#[$doc:meta])* $op:ident, $to_depth:literal, $back:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// Height and width of a block.
            pub block_size: i64,
            /// `NHWC` or `NCHW`.
            pub data_format: String,
        }
        attrs!($op { block_size, data_format });

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), "(input: T) -> (output: T)");
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                cx.output(cx.dtype(0), depth_shape(cx, self.block_size, &self.data_format, $to_depth)?)
            }
            fn grad(&self, cx: &GradCx) -> Result<Grads> {
                let op = $back { block_size: self.block_size, data_format: self.data_format.clone() };
                Ok(grads![cx.graph().add(op, &[cx.dy(0)])])
            }
        }
    )*};
}
depth_blocks! {
    /// Images whose blocks have become single pixels, with the block's elements one after the other in the depth.
    SpaceToDepth, true, DepthToSpace;
    /// Undoes [`SpaceToDepth`]: the depth of each pixel becomes a block.
    DepthToSpace, false, SpaceToDepth;
}

fn depth_shape(cx: &InferCx, block: i64, format: &str, to_depth: bool) -> Result<PartialShape> {
    cx.expect_rank(0, 4)?;
    if block < 2 {
        return Err(Error::invalid(format!("block_size is {block}, but must be at least 2")));
    }
    let block = block as usize;
    let (height, width, depth) = match format {
        "NHWC" => (1, 2, 3),
        "NCHW" => (2, 3, 1),
        other => return Err(Error::unimplemented(format!("data_format {other:?}"))),
    };
    let shape = cx.shape(0);
    let Some(dims) = shape.dims() else { return Ok(PartialShape::with_rank(4)) };
    let times = |axis: usize, n: usize| {
        dims[axis]
            .map(|dim| dim.checked_mul(n))
            .map_or(Ok(None), |dim| dim.map(Some).ok_or_else(|| Error::invalid("a size overflows")))
    };
    let parts = |axis: usize, n: usize| match dims[axis] {
        Some(dim) if dim % n != 0 => {
            Err(Error::invalid(format!("{n} does not divide axis {axis} of {shape}")))
        }
        dim => Ok(dim.map(|dim| dim / n)),
    };
    let pixels = block.checked_mul(block).ok_or_else(|| Error::invalid("block_size overflows"))?;
    let mut out: SmallVec<[Dim; 4]> = SmallVec::from_slice(dims);
    for axis in [height, width] {
        out[axis] = if to_depth { parts(axis, block)? } else { times(axis, block)? };
    }
    out[depth] = if to_depth { times(depth, pixels)? } else { parts(depth, pixels)? };
    Ok(out.into_iter().collect())
}

/// A row: documentation, op, and its shape rule.
macro_rules! formats {
    ($($(#[$doc:meta])* $op:ident, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// One letter for each axis.
            pub src_format: String,
            /// The same letters in another order.
            pub dst_format: String,
        }
        attrs!($op { src_format, dst_format });

        impl $op {
            /// For each axis of the source format, where the target format has it.
            ///
            /// # Errors
            /// `InvalidArgument` when one format is not the other in another order.
            pub fn places(&self) -> Result<Vec<usize>> {
                let (from, to) = (&self.src_format, &self.dst_format);
                let places: Option<Vec<usize>> = from.bytes().map(|c| to.bytes().position(|d| c == d)).collect();
                places.filter(|places| places.len() == to.len() && (0..to.len()).all(|i| places.contains(&i))).ok_or_else(
                    || Error::invalid(format!("format {to:?} is not {from:?} in another order")),
                )
            }
        }

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), "(x: T) -> (y: T) where T: i32|i64");
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                let axes = self.places()?.len();
                let check: fn(&InferCx, usize) -> Result<()> = $check;
                check(cx, axes)?;
                cx.same_as_input(0)
            }
            fn grad(&self, _: &GradCx) -> Result<Grads> {
                Ok(grads![NoGrad])
            }
        }
    )*};
}
formats! {
    /// The numbers of axes in one data format as those of another: negative ones count from the end.
    DataFormatDimMap, |_, _| Ok(());
    /// A vector with an entry for each axis of one data format (or for each axis of space, or a matrix with two columns of them), in the
    /// order of another.
    DataFormatVecPermute, |cx, axes| {
        let shape = cx.shape(0);
        let rows = |n: usize| n == axes || n + 2 == axes;
        match shape.rank() {
            Some(1) if shape.dim(0).is_none_or(rows) => Ok(()),
            Some(2) if shape.dim(0).is_none_or(rows) && shape.dim(1).is_none_or(|n| n == 2) => Ok(()),
            None => Ok(()),
            _ => Err(Error::invalid(format!("shape {shape} has no entry for each of {axes} axes, or those of space"))),
        }
    };
}

/// `x` with blocks of space moved to the batch: the axes after the first are padded, cut into blocks of `block_shape`, and each place in
/// the block becomes a batch of its own. What a dilated convolution needs. TensorFlow: `tf.space_to_batch_nd`.
///
/// # Panics
/// When a block does not divide its padded axis, or the operands do not fit each other.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let images = g.placeholder(DType::F32, [8, 5, 6, 3]);
/// let batches = ops::space_to_batch_nd(images, [2, 2], [[1, 0], [0, 0]]);
/// assert_eq!(batches.ty().to_string(), "f32[32,3,3,3]");
/// assert_eq!(ops::batch_to_space_nd(batches, [2, 2], [[1, 0], [0, 0]]).ty(), images.ty());
/// ```
#[track_caller]
pub fn space_to_batch_nd(
    x: impl Into<Tensor>,
    block_shape: impl Into<ShapeArg>,
    paddings: impl Into<Paddings>,
) -> Tensor {
    let x = x.into();
    let builder = shape_operand(x.graph().op(SpaceToBatchND).input(x), "block_shape", block_shape);
    resolved(builder, "paddings", paddings.into().0).tensor()
}

/// Undoes [`space_to_batch_nd`]: batches become blocks of space, and `crops` elements are cut off before and after each axis.
/// TensorFlow: `tf.batch_to_space`.
///
/// # Panics
/// When the blocks do not divide the batch, or the operands do not fit each other.
#[track_caller]
pub fn batch_to_space_nd(
    x: impl Into<Tensor>,
    block_shape: impl Into<ShapeArg>,
    crops: impl Into<Paddings>,
) -> Tensor {
    let x = x.into();
    let builder = shape_operand(x.graph().op(BatchToSpaceND).input(x), "block_shape", block_shape);
    resolved(builder, "crops", crops.into().0).tensor()
}

/// Images (`[batch, height, width, depth]`) whose blocks of `block_size` by `block_size` pixels have become single pixels, with the
/// block's elements in the depth. TensorFlow: `tf.nn.space_to_depth`.
///
/// # Panics
/// When the block does not divide height and width.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let images = g.placeholder(DType::F32, [8, 4, 6, 3]);
/// let deep = ops::space_to_depth(images, 2);
/// assert_eq!(deep.ty().to_string(), "f32[8,2,3,12]");
/// assert_eq!(ops::depth_to_space(deep, 2).ty(), images.ty());
/// ```
#[track_caller]
pub fn space_to_depth(x: impl Into<Tensor>, block_size: i64) -> Tensor {
    super::unary(SpaceToDepth { block_size, data_format: "NHWC".to_owned() }, "SpaceToDepth", x)
}

/// Undoes [`space_to_depth`]: the depth of each pixel becomes a block. TensorFlow: `tf.nn.depth_to_space`.
///
/// # Panics
/// When the number of pixels in a block does not divide the depth.
#[track_caller]
pub fn depth_to_space(x: impl Into<Tensor>, block_size: i64) -> Tensor {
    super::unary(DepthToSpace { block_size, data_format: "NHWC".to_owned() }, "DepthToSpace", x)
}
