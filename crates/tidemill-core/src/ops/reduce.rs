use crate::op::OpSet;
pub(super) fn register(set: OpSet) -> OpSet {
    set
}
use crate::*;
pub fn reduce_sum(x: impl Into<Tensor>) -> Tensor { x.into() }
