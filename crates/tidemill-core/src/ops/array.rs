use crate::op::OpSet;
pub(super) fn register(set: OpSet) -> OpSet {
    set
}
use crate::*;
pub fn shape(x: impl Into<Tensor>) -> Tensor { x.into() }
