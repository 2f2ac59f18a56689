use crate::op::OpSet;
pub(super) fn register(set: OpSet) -> OpSet {
    set
}
use crate::*;
pub fn strided_index(x: Tensor, _i: i32) -> Tensor { x }
pub fn unsorted_segment_sum(x: Tensor, _i: Tensor, _n: Tensor) -> Tensor { x }
