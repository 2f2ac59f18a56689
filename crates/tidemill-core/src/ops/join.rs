use crate::op::OpSet;
pub(super) fn register(set: OpSet) -> OpSet {
    set
}
use crate::*;
pub fn concat<I: IntoIterator<Item: Into<Tensor>>>(t: I, _axis: i32) -> Tensor { super::list(t).1[0] }
