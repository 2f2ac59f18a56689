//! Parts of tensors by position: slices.

use std::ops::{Bound as Limit, RangeBounds};

use smallvec::SmallVec;
use tidemill_tensor::{DType, Dim, PartialShape, Shape, Value};

use super::join::{Extent, stack_sizes};
use super::resolved;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Origin, Result, or_panic};
use crate::graph::Graph;
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::{Resolved, ShapeArg};
use crate::schema::Schema;
use crate::{attrs, grads, ops};

#[cfg(test)]
mod tests;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Slice>().with::<StridedSlice>().with::<StridedSliceGrad>()
}

/// `size[i]` indices of each axis `i`, from `begin[i]` on; all that remain where the size is -1.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice;
attrs!(Slice {});

impl Op for Slice {
    const SCHEMA: Schema =
        Schema::new("Slice", "(input: T, begin: Index, size: Index) -> (output: T) where Index: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        cx.expect_rank(2, 1)?;
        let lengths = [cx.shape(0).rank(), cx.shape(1).dim(0), cx.shape(2).dim(0)];
        let Some(rank) = lengths.into_iter().flatten().next() else {
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        if lengths.into_iter().flatten().any(|n| n != rank) {
            return Err(Error::invalid(format!(
                "begin and size must have one entry for each axis of {}, but their shapes are {} and {}",
                cx.shape(0),
                cx.shape(1),
                cx.shape(2)
            )));
        }
        let entries = |i| cx.known(i).unwrap_or_else(|| PartialValue::from_elem(None, rank));
        let (begin, size) = (entries(1), entries(2));
        let dims: Result<PartialShape> =
            (0..rank).map(|axis| extent(axis, cx.shape(0).dim(axis), begin[axis], size[axis])).collect();
        cx.output(cx.dtype(0), dims?)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (x, begin) = (cx.x(0), cx.x(1));
        let graph = cx.graph();
        let rank = ops::rank(x);
        let size = ops::shape_typed(cx.y(0), begin.dtype());
        let column = stack_sizes("stack", [Extent::Tensor(rank), Extent::Known(1)]);
        let before = ops::reshape(begin, column);
        let after = ops::shape_typed(x, begin.dtype()) - size - begin;
        let after = ops::reshape(after, column);
        let paddings = ops::concat([before, after], 1);
        Ok(grads![graph.add(ops::Pad, &[cx.dy(0), paddings]), NoGrad, NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let shape = cx.shape(0).as_known()?;
        let axes = cx.known_all(1)?.into_iter().zip(cx.known_all(2)?).zip(shape.dims()).map(
            |((begin, size), dim)| {
                let size =
                    if size < 0 { dim.checked_sub(usize::try_from(begin).ok()?)? } else { size as usize };
                Some((begin, 1, size))
            },
        );
        picked(&cx.known_elements(0)?, &shape, &axes.collect::<Option<Vec<_>>>()?)
    }
}

/// The size of one axis of a slice.
fn extent(axis: usize, dim: Dim, begin: Option<i64>, size: Option<i64>) -> Result<Dim> {
    if let Some(begin) = begin.filter(|begin| *begin < 0) {
        return Err(Error::invalid(format!("begin[{axis}] is {begin}, but must not be negative")));
    }
    if let Some(size) = size.filter(|size| *size < -1) {
        return Err(Error::invalid(format!("size[{axis}] is {size}, but must be -1 or not negative")));
    }
    if let (Some(dim), Some(begin)) = (dim, begin) {
        let end = size.map_or(begin, |size| begin.saturating_add(size.max(0)));
        if end > dim as i64 {
            return Err(Error::invalid(format!(
                "{begin}..{end} is out of range for axis {axis} of size {dim}"
            )));
        }
    }
    Ok(match size {
        Some(-1) => dim.zip(begin).map(|(dim, begin)| dim - begin as usize),
        size => size.map(|size| size as usize),
    })
}

/// The elements at `begin, begin + stride, ...` of each axis, row by row; `None` when one is out of range.
fn picked(elements: &[Option<i64>], shape: &Shape, axes: &[(i64, i64, usize)]) -> Option<PartialValue> {
    let mut places: SmallVec<[i64; 8]> = SmallVec::from_elem(0, 1);
    for (axis, stride) in axes.iter().zip(shape.strides()) {
        let (begin, step, size) = *axis;
        if size > 64 {
            return None;
        }
        let steps = |place: i64| (0..size as i64).map(move |i| place + (begin + i * step) * stride as i64);
        places = places.iter().flat_map(|place| steps(*place)).collect();
    }
    places.into_iter().map(|place| elements.get(usize::try_from(place).ok()?).copied()).collect()
}

/// `x[begin[i]:end[i]:strides[i], ...]` of numpy. In each mask, bit `i` speaks of entry `i`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StridedSlice {
    /// Entries that begin where the axis does.
    pub begin_mask: i64,
    /// Entries that end where the axis does.
    pub end_mask: i64,
    /// The one entry that stands for all axes not spoken of.
    pub ellipsis_mask: i64,
    /// Entries that insert an axis of size 1.
    pub new_axis_mask: i64,
    /// Entries that pick one index and drop the axis.
    pub shrink_axis_mask: i64,
}
attrs!(StridedSlice { begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask });

impl Op for StridedSlice {
    const SCHEMA: Schema = Schema::new(
        "StridedSlice",
        "(input: T, begin: Index, end: Index, strides: Index) -> (output: T) where Index: i16|i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        for i in 1..4 {
            cx.expect_rank(i, 1)?;
        }
        let (Some(dims), Some(begin), Some(end), Some(strides)) =
            (cx.shape(0).dims(), cx.known(1), cx.known(2), cx.known(3))
        else {
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        cx.output(cx.dtype(0), self.resolve(dims, &begin, &end, &strides)?.shape())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let x = ops::shape_typed(cx.x(0), cx.x(1).dtype());
        // Operands that are known become constants of the gradient's own.
        let mut builder = cx.graph().op(StridedSliceGrad {
            begin_mask: self.begin_mask,
            end_mask: self.end_mask,
            ellipsis_mask: self.ellipsis_mask,
            new_axis_mask: self.new_axis_mask,
            shrink_axis_mask: self.shrink_axis_mask,
        });
        for (arg, t) in [("shape", x), ("begin", cx.x(1)), ("end", cx.x(2)), ("strides", cx.x(3))] {
            builder = match cx
                .graph()
                .known_value(t.output())
                .and_then(|v| v.into_iter().collect::<Option<Vec<_>>>())
            {
                Some(known) => builder.constant(arg, Value::from(known).cast(t.dtype())),
                None => builder.input(t),
            };
        }
        Ok(grads![builder.input(cx.dy(0)).tensor(), NoGrad, NoGrad, NoGrad])
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let shape = cx.shape(0).as_known()?;
        let slices = self.resolve(cx.shape(0).dims()?, &cx.known(1)?, &cx.known(2)?, &cx.known(3)?).ok()?;
        let axes = slices.axes.iter().map(|axis| Some((axis.begin?, axis.stride?, axis.size?)));
        picked(&cx.known_elements(0)?, &shape, &axes.collect::<Option<Vec<_>>>()?)
    }
}

/// What a [`StridedSlice`] takes of one axis of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisSlice {
    /// The first index, counted from 0.
    pub begin: Option<i64>,
    /// From one index to the next.
    pub stride: Option<i64>,
    /// How many indices.
    pub size: Dim,
}

/// A [`StridedSlice`] applied to one shape, as far as its operands are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slices {
    /// For each axis of the input, what is taken of it.
    pub axes: SmallVec<[AxisSlice; 4]>,
    /// For each axis of the output, the axis of the input it comes from; `None` for a new one.
    pub output: SmallVec<[Option<usize>; 4]>,
}

impl Slices {
    /// The shape of the output.
    pub fn shape(&self) -> PartialShape {
        self.output.iter().map(|axis| axis.map_or(Some(1), |axis| self.axes[axis].size)).collect()
    }
}

impl StridedSlice {
    /// The slices of an input of sizes `dims`. Entries that are not known yet are `None`.
    ///
    /// # Errors
    /// `InvalidArgument` when there are more entries than axes, two ellipses, a stride of 0, or an index out of range.
    pub fn resolve(
        &self,
        dims: &[Dim],
        begin: &[Option<i64>],
        end: &[Option<i64>],
        strides: &[Option<i64>],
    ) -> Result<Slices> {
        let n = begin.len();
        if end.len() != n || strides.len() != n || n > 32 {
            return Err(Error::invalid(format!(
                "begin, end and strides must have one length of at most 32, not {n}, {} and {}",
                end.len(),
                strides.len()
            )));
        }
        let bit = |mask: i64, i: usize| mask >> i & 1 == 1;
        let ellipses = (0..n).filter(|i| bit(self.ellipsis_mask, *i)).count();
        if ellipses > 1 {
            return Err(Error::invalid("only one ellipsis is allowed"));
        }
        let new_axis = |i: usize| bit(self.new_axis_mask, i) && !bit(self.ellipsis_mask, i);
        let spoken_of = (0..n).filter(|i| !bit(self.ellipsis_mask, *i) && !new_axis(*i)).count();
        let Some(rest) = dims.len().checked_sub(spoken_of) else {
            return Err(Error::invalid(format!(
                "{spoken_of} axes are indexed, but the input has only {}",
                dims.len()
            )));
        };
        let mut slices = Slices { axes: SmallVec::new(), output: SmallVec::new() };
        let whole = |slices: &mut Slices, count: usize| {
            for _ in 0..count {
                let size = dims[slices.axes.len()];
                slices.output.push(Some(slices.axes.len()));
                slices.axes.push(AxisSlice { begin: Some(0), stride: Some(1), size });
            }
        };
        for i in 0..n {
            if bit(self.ellipsis_mask, i) {
                whole(&mut slices, rest);
                continue;
            }
            if new_axis(i) {
                slices.output.push(None);
                continue;
            }
            let axis = slices.axes.len();
            if strides[i] == Some(0) {
                return Err(Error::invalid(format!("strides[{i}] must not be 0")));
            }
            if bit(self.shrink_axis_mask, i) {
                slices.axes.push(single(dims[axis], begin[i], strides[i], axis)?);
            } else {
                let begin = if bit(self.begin_mask, i) { Bound::Axis } else { Bound::At(begin[i]) };
                let end = if bit(self.end_mask, i) { Bound::Axis } else { Bound::At(end[i]) };
                slices.axes.push(range(dims[axis], begin, end, strides[i]));
                slices.output.push(Some(axis));
            }
        }
        if ellipses == 0 {
            whole(&mut slices, rest);
        }
        Ok(slices)
    }
}

/// One index of an axis.
fn single(dim: Dim, at: Option<i64>, stride: Option<i64>, axis: usize) -> Result<AxisSlice> {
    if stride.is_some_and(|s| s < 0) {
        return Err(Error::invalid("only stride 1 is allowed where a single index is picked"));
    }
    let begin = match (at, dim) {
        (Some(at), Some(dim)) => {
            let from_start = if at < 0 { at + dim as i64 } else { at };
            if !(0..dim as i64).contains(&from_start) {
                return Err(Error::invalid(format!(
                    "index {at} is out of range for axis {axis} of size {dim}"
                )));
            }
            Some(from_start)
        }
        (Some(at), None) if at >= 0 => Some(at),
        _ => None,
    };
    Ok(AxisSlice { begin, stride: Some(1), size: Some(1) })
}

#[derive(Clone, Copy)]
enum Bound {
    /// Where the axis begins or ends.
    Axis,
    At(Option<i64>),
}

/// `begin:end:stride` of an axis.
fn range(dim: Dim, begin: Bound, end: Bound, stride: Option<i64>) -> AxisSlice {
    let Some(stride) = stride else { return AxisSlice { begin: None, stride: None, size: None } };
    let Some(dim) = dim else {
        let begin = match begin {
            Bound::Axis if stride > 0 => Some(0),
            Bound::At(Some(at)) if at == 0 && stride > 0 => Some(0),
            _ => None,
        };
        return AxisSlice { begin, stride: Some(stride), size: None };
    };
    let dim = dim as i64;
    let (low, high) = if stride > 0 { (0, dim) } else { (-1, dim - 1) };
    let clamp = |at: i64| if at < 0 { at + dim } else { at }.clamp(low, high);
    let begin = match begin {
        Bound::Axis => Some(if stride > 0 { low } else { high }),
        Bound::At(at) => at.map(clamp),
    };
    let end = match end {
        Bound::Axis => Some(if stride > 0 { high } else { low }),
        Bound::At(at) => at.map(clamp),
    };
    let size = begin.zip(end).map(|(begin, end)| {
        let length = if stride > 0 { end - begin } else { begin - end };
        (length.max(0) as u64).div_ceil(stride.unsigned_abs()) as usize
    });
    AxisSlice { begin, stride: Some(stride), size }
}

/// Zeros of a given shape, into a [`StridedSlice`] of which `dy` is put: that op's gradient.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StridedSliceGrad {
    /// As in [`StridedSlice`].
    pub begin_mask: i64,
    /// As in [`StridedSlice`].
    pub end_mask: i64,
    /// As in [`StridedSlice`].
    pub ellipsis_mask: i64,
    /// As in [`StridedSlice`].
    pub new_axis_mask: i64,
    /// As in [`StridedSlice`].
    pub shrink_axis_mask: i64,
}
attrs!(StridedSliceGrad { begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask });

impl StridedSliceGrad {
    /// The op whose gradient this is.
    pub fn forward(&self) -> StridedSlice {
        StridedSlice {
            begin_mask: self.begin_mask,
            end_mask: self.end_mask,
            ellipsis_mask: self.ellipsis_mask,
            new_axis_mask: self.new_axis_mask,
            shrink_axis_mask: self.shrink_axis_mask,
        }
    }
}

impl Op for StridedSliceGrad {
    const SCHEMA: Schema = Schema::new(
        "StridedSliceGrad",
        "(shape: Index, begin: Index, end: Index, strides: Index, dy: T) -> (output: T) where Index: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = cx.shape_argument(0)?;
        for i in 1..4 {
            cx.expect_rank(i, 1)?;
        }
        if let (Some(dims), Some(begin), Some(end), Some(strides)) =
            (shape.dims(), cx.known(1), cx.known(2), cx.known(3))
        {
            let slice = self.forward().resolve(dims, &begin, &end, &strides)?.shape();
            if !slice.is_compatible_with(cx.shape(4)) {
                return Err(Error::invalid(format!("dy has shape {}, but the slice {slice}", cx.shape(4))));
            }
        }
        cx.output(cx.dtype(4), shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let slice = cx.graph().op(self.forward()).inputs(&[cx.dy(0), cx.x(1), cx.x(2), cx.x(3)]);
        Ok(grads![NoGrad, NoGrad, NoGrad, NoGrad, slice.tensor()])
    }
}

/// `size[i]` indices of each axis `i` of `x`, from `begin[i]` on; where the size is -1, all that remain.
/// TensorFlow: `tf.slice`.
///
/// # Panics
/// When the slice is out of range, or the lengths are not the rank of `x`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [4, 5]);
/// assert_eq!(ops::slice(x, [1, 0], [2, -1]).ty().to_string(), "f32[2,5]");
/// ```
#[track_caller]
pub fn slice(x: impl Into<Tensor>, begin: impl Into<ShapeArg>, size: impl Into<ShapeArg>) -> Tensor {
    let x = x.into();
    let [begin, size] = of_one_dtype([begin.into(), size.into()]);
    let builder = resolved(x.graph().op(Slice).input(x), "begin", begin);
    resolved(builder, "size", size).tensor()
}

/// Index vectors, those that are known having the dtype of those that are tensors; `i32` if all are known and fit.
pub(super) fn of_one_dtype<const N: usize>(vectors: [ShapeArg; N]) -> [Resolved; N] {
    let tensor = vectors.iter().find_map(|v| v.value().err());
    let wide = vectors.iter().any(|v| v.value().is_ok_and(|v| v.dtype() == DType::I64));
    let dtype = tensor.map_or(if wide { DType::I64 } else { DType::I32 }, Tensor::dtype);
    vectors.map(|v| match v.value() {
        Ok(known) => Resolved::Value(known.cast(dtype)),
        Err(tensor) => Resolved::Tensor(tensor),
    })
}

/// The indices `begin[i], begin[i] + strides[i], ...` before `end[i]` of each of the first axes of `x`; negative ones count
/// from the end of the axis. For numpy's notation with omissions, see [`index`]; for all masks, [`strided_slice_with`].
/// TensorFlow: `tf.strided_slice`.
///
/// # Panics
/// When there are more entries than axes, or a stride is 0.
#[track_caller]
pub fn strided_slice(
    x: impl Into<Tensor>,
    begin: impl Into<ShapeArg>,
    end: impl Into<ShapeArg>,
    strides: impl Into<ShapeArg>,
) -> Tensor {
    strided_slice_with(x, begin, end, strides, StridedSlice::default())
}

/// [`strided_slice`] with masks.
#[track_caller]
pub fn strided_slice_with(
    x: impl Into<Tensor>,
    begin: impl Into<ShapeArg>,
    end: impl Into<ShapeArg>,
    strides: impl Into<ShapeArg>,
    masks: StridedSlice,
) -> Tensor {
    let x = x.into();
    let [begin, end, strides] = of_one_dtype([begin.into(), end.into(), strides.into()]);
    let builder = x.graph().op(masks).input(x);
    let builder = resolved(builder, "begin", begin);
    resolved(resolved(builder, "end", end), "strides", strides).tensor()
}

/// One entry of an index as numpy and TensorFlow write it: `x[i]`, `x[a:b:s]`, `x[:]`, `x[tf.newaxis]`, `x[...]`.
///
/// Numbers, ranges and scalar tensors convert; negative numbers count from the end of the axis. See [`index`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Ix {
    /// `x[i]`: one index; the axis is dropped.
    At(i64),
    /// `x[i]` for a scalar integer tensor.
    AtTensor(Tensor),
    /// `x[start:end:step]`; where a bound is left out, the axis begins or ends there.
    Range(Option<i64>, Option<i64>, i64),
    /// `x[:]`: the whole axis.
    All,
    /// A new axis of size 1.
    NewAxis,
    /// All axes that no other entry speaks of.
    Ellipsis,
}

impl Ix {
    /// Every `step`th index of a range: numpy's `x[1:5:2]` is `Ix::by(1..5, 2)`, and `x[::-1]` is `Ix::by(.., -1)`.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops::{self, Ix}};
    /// let g = Graph::new();
    /// let x = g.placeholder(DType::F32, [10]);
    /// assert_eq!(ops::index(x, Ix::by(1.., 2)).ty().to_string(), "f32[5]");
    /// assert_eq!(ops::index(x, Ix::by(.., -1)).ty().to_string(), "f32[10]");
    /// ```
    pub fn by(range: impl RangeBounds<i32>, step: i32) -> Ix {
        let start = match range.start_bound() {
            Limit::Included(start) => Some(i64::from(*start)),
            Limit::Excluded(start) => Some(i64::from(*start) + 1),
            Limit::Unbounded => None,
        };
        let end = match range.end_bound() {
            // In `..=-1` the index after the last one is the axis's end, which only a missing bound can say.
            Limit::Included(-1) => None,
            Limit::Included(end) => Some(i64::from(*end) + 1),
            Limit::Excluded(end) => Some(i64::from(*end)),
            Limit::Unbounded => None,
        };
        Ix::Range(start, end, step.into())
    }
}

macro_rules! index_entry {
    ($($ty:ty, $entry:ident => $ix:expr;)*) => {$(
        impl From<$ty> for Ix {
            fn from($entry: $ty) -> Ix {
                $ix
            }
        }
        impl Index for $ty {
            fn entries(self) -> Vec<Ix> {
                vec![self.into()]
            }
        }
    )*};
}
index_entry! {
    i32, i => Ix::At(i.into());
    usize, i => Ix::At(i as i64);
    Tensor, i => Ix::AtTensor(i);
    std::ops::Range<i32>, range => Ix::by(range, 1);
    std::ops::RangeInclusive<i32>, range => Ix::by(range, 1);
    std::ops::RangeFrom<i32>, range => Ix::by(range, 1);
    std::ops::RangeTo<i32>, range => Ix::by(range, 1);
    std::ops::RangeToInclusive<i32>, range => Ix::by(range, 1);
    std::ops::RangeFull, _range => Ix::All;
}

/// What [`index`] takes: one entry, or a tuple, array or vector of them.
pub trait Index {
    /// The entries, outermost axis first.
    fn entries(self) -> Vec<Ix>;
}

impl Index for Ix {
    fn entries(self) -> Vec<Ix> {
        vec![self]
    }
}

impl Index for Vec<Ix> {
    fn entries(self) -> Vec<Ix> {
        self
    }
}

impl<const N: usize> Index for [Ix; N] {
    fn entries(self) -> Vec<Ix> {
        self.to_vec()
    }
}

macro_rules! index_tuple {
    ($($($name:ident)+;)*) => {$(
        impl<$($name: Into<Ix>),+> Index for ($($name,)+) {
            fn entries(self) -> Vec<Ix> {
                #[allow(non_snake_case)]
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    )*};
}
index_tuple! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}

/// `x[at]` as in numpy and TensorFlow. Axes that `at` does not speak of are taken whole. TensorFlow: `x[...]`.
///
/// | TensorFlow | here |
/// |---|---|
/// | `x[0]`, `x[-1]` | `index(x, 0)`, `index(x, -1)` |
/// | `x[:, 1:]` | `index(x, (.., 1..))` |
/// | `x[..., -1]` | `index(x, (Ix::Ellipsis, -1))` |
/// | `x[:, tf.newaxis]` | `index(x, (.., Ix::NewAxis))` |
/// | `x[::2, 3]` | `index(x, (Ix::by(.., 2), 3))` |
/// | `x[n]`, a tensor `n` | `index(x, n)` |
///
/// # Panics
/// When an index is out of range, there are more entries than axes, or two ellipses. (Ranges are cut to the axis.)
///
/// ```
/// use tidemill_core::{DType, Graph, ops::{self, Ix}};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2, 3, 4]);
/// assert_eq!(ops::index(x, 0).ty().to_string(), "f32[3,4]");
/// assert_eq!(ops::index(x, (.., 1..)).ty().to_string(), "f32[2,2,4]");
/// assert_eq!(ops::index(x, (Ix::Ellipsis, -1)).ty().to_string(), "f32[2,3]");
/// ```
#[track_caller]
pub fn index(x: impl Into<Tensor>, at: impl Index) -> Tensor {
    let (x, entries) = (x.into(), at.entries());
    let graph = x.graph();
    let op = masks(&entries);
    let [begin, end, strides] =
        [0, 1, 2].map(|i| entries.iter().map(move |entry| limits(entry)[i]).collect::<Vec<_>>());
    let tensor = entries.iter().find_map(|entry| if let Ix::AtTensor(t) = entry { Some(*t) } else { None });
    let Some(tensor) = tensor else {
        let [begin, end, strides] = of_one_dtype([begin, end, strides].map(ShapeArg::Known));
        let builder = graph.op(op).name("strided_slice").input(x);
        let builder = resolved(resolved(builder, "stack", begin), "stack_1", end);
        return resolved(builder, "stack_2", strides).tensor();
    };
    // The index after the one asked for is computed outside of the scope, as TensorFlow does.
    let ends: Vec<Option<Tensor>> = entries
        .iter()
        .map(|entry| if let Ix::AtTensor(t) = entry { Some(ops::add(*t, 1)) } else { None })
        .collect();
    let dtype = tensor.dtype();
    or_panic(graph.with_origin(Origin::here(), || {
        graph.name_scope("strided_slice").enter(|| {
            let starts =
                entries.iter().map(|entry| if let Ix::AtTensor(t) = entry { Some(*t) } else { None });
            let begin = stacked(&graph, dtype, &begin, &starts.collect::<Vec<_>>())?;
            let end = stacked(&graph, dtype, &end, &ends)?;
            let strides = stacked(&graph, dtype, &strides, &vec![None; entries.len()])?;
            let name = format!("{}/", graph.current_name_scope());
            Ok(graph.op(op).name(name).inputs(&[x, begin, end, strides]).try_build()?.output(0))
        })
    }))
}

/// `known`, with the scalars of `tensors` where there are some.
fn stacked(graph: &Graph, dtype: DType, known: &[i64], tensors: &[Option<Tensor>]) -> Result<Tensor> {
    if tensors.iter().all(Option::is_none) {
        let value = Value::from(known.to_vec()).cast(dtype);
        return Ok(graph.op(ops::Const { value }).name("stack").try_build()?.output(0));
    }
    let mut builder = graph.op(ops::Pack { axis: 0 }).name("stack");
    for (known, tensor) in known.iter().zip(tensors) {
        builder = match tensor {
            Some(tensor) => builder.input(*tensor),
            None => builder.constant("Const", Value::scalar(*known).cast(dtype)),
        };
    }
    Ok(builder.try_build()?.output(0))
}

/// Begin, end and stride of an entry; 0 where a mask says otherwise.
fn limits(entry: &Ix) -> [i64; 3] {
    match *entry {
        Ix::At(i) => [i, i.saturating_add(1), 1],
        Ix::Range(start, end, step) => [start.unwrap_or(0), end.unwrap_or(0), step],
        Ix::AtTensor(_) | Ix::All | Ix::NewAxis | Ix::Ellipsis => [0, 0, 1],
    }
}

/// The masks that say of what kind each entry is.
fn masks(entries: &[Ix]) -> StridedSlice {
    let mut masks = StridedSlice::default();
    for (i, entry) in entries.iter().enumerate() {
        let bit = 1i64 << i.min(62);
        match entry {
            Ix::At(_) | Ix::AtTensor(_) => masks.shrink_axis_mask |= bit,
            Ix::NewAxis => masks.new_axis_mask |= bit,
            Ix::Ellipsis => masks.ellipsis_mask |= bit,
            Ix::All => {
                masks.begin_mask |= bit;
                masks.end_mask |= bit;
            }
            Ix::Range(start, end, _) => {
                masks.begin_mask |= if start.is_none() { bit } else { 0 };
                masks.end_mask |= if end.is_none() { bit } else { 0 };
            }
        }
    }
    masks
}

/// `x[i]`: index `i` of the first axis.
#[track_caller]
pub(crate) fn strided_index(x: Tensor, i: i32) -> Tensor {
    index(x, i)
}
