//! Parts of tensors.

use smallvec::SmallVec;
use tidemill_tensor::{Dim, PartialShape};

use super::resolved;
use crate::attrs;
use crate::error::{Error, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<StridedSlice>().with::<UnsortedSegmentSum>()
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
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let elements = cx.known(0)?;
        let (begin, end, strides) = (cx.known(1)?, cx.known(2)?, cx.known(3)?);
        let slices = self.resolve(&[Some(elements.len())], &begin, &end, &strides).ok()?;
        let AxisSlice { begin, stride, size, .. } = slices.axes[0];
        if slices.output.len() > 1 || cx.shape(0).rank() != Some(1) {
            return None;
        }
        let (begin, stride, size) = (begin?, stride?, size? as i64);
        (0..size).map(|i| elements.get((begin + i * stride) as usize).copied()).collect()
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
                return Err(Error::invalid(format!("index {at} is out of range for axis {axis} of size {dim}")));
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

/// Row `i` of the result is the sum of the rows of `data` whose segment id is `i`; rows with a negative id are dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct UnsortedSegmentSum;
attrs!(UnsortedSegmentSum {});

impl Op for UnsortedSegmentSum {
    const SCHEMA: Schema = Schema::new(
        "UnsortedSegmentSum",
        "(data: T, segment_ids: I, num_segments: N) -> (output: T) where T: Num, I: i32|i64, N: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(2, 0)?;
        let segments = match cx.known_all(2) {
            Some(n) => Some(usize::try_from(n[0]).map_err(|_| Error::invalid("num_segments must not be negative"))?),
            None => None,
        };
        let (Some(data), Some(ids)) = (cx.shape(0).dims(), cx.shape(1).dims()) else {
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        if data.len() < ids.len() || !PartialShape::from(&data[..ids.len()]).is_compatible_with(cx.shape(1)) {
            return Err(Error::invalid(format!(
                "data of shape {} must begin with the shape of segment_ids, {}",
                cx.shape(0),
                cx.shape(1)
            )));
        }
        cx.output(cx.dtype(0), PartialShape::from([segments]).concatenate(&PartialShape::from(&data[ids.len()..])))
    }
}

/// `x[i]`: index `i` of the first axis.
#[track_caller]
pub(crate) fn strided_index(x: Tensor, i: i32) -> Tensor {
    let op = StridedSlice { shrink_axis_mask: 1, ..StridedSlice::default() };
    let builder = x.graph().op(op).name("strided_slice").input(x);
    builder.constant("stack", [i]).constant("stack_1", [i + 1]).constant("stack_2", [1]).tensor()
}

/// The sums of the rows of `data` that share a segment id, `num_segments` of them. `segment_ids` has the first sizes of
/// `data`. Rows of a negative id are dropped. TensorFlow: `tf.unsorted_segment_sum`.
#[track_caller]
pub fn unsorted_segment_sum(
    data: impl Into<Tensor>,
    segment_ids: impl Into<Tensor>,
    num_segments: impl Operand,
) -> Tensor {
    let (data, ids) = (data.into(), segment_ids.into());
    let builder = data.graph().op(UnsortedSegmentSum).input(data).input(ids);
    resolved(builder, "num_segments", or_panic(num_segments.resolve(tidemill_tensor::DType::I32))).tensor()
}
