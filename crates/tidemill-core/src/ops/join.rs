//! Putting tensors together and taking them apart.

use tidemill_tensor::{Dim, PartialShape};

use crate::attrs;
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType, normalise_axis};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<ConcatV2>()
}

/// Tensors one after the other along an axis that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct ConcatV2;
attrs!(ConcatV2 {});

impl Op for ConcatV2 {
    const SCHEMA: Schema = Schema::new("ConcatV2", "(values: N*T, axis: Tidx) -> (output: T) where Tidx: i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let n = cx.len() - 1;
        if n == 0 {
            return Err(Error::invalid("needs at least one tensor"));
        }
        let rank = (0..n).find_map(|i| cx.shape(i).rank());
        let Some(rank) = rank else {
            cx.expect_rank(n, 0)?;
            return cx.output(cx.dtype(0), PartialShape::unknown());
        };
        let Some(axis) = cx.axis_argument(n, Some(rank))? else {
            return cx.output(cx.dtype(0), PartialShape::with_rank(rank));
        };
        let mut along: Dim = Some(0);
        let mut across = PartialShape::with_rank(rank);
        for i in 0..n {
            along = along.zip(cx.shape(i).dim(axis)).map(|(a, b)| a + b);
            let Some(dims) = cx.shape(i).dims() else { continue };
            let open: PartialShape = dims.iter().enumerate().map(|(d, dim)| dim.filter(|_| d != axis)).collect();
            across = across.merge(&open).ok_or_else(|| {
                Error::invalid(format!(
                    "values[{i}] has shape {}, but the values before it {across}; they may differ along axis {axis} only",
                    cx.shape(i)
                ))
            })?;
        }
        let dims = across.dims().into_iter().flatten().enumerate();
        cx.output(cx.dtype(0), dims.map(|(d, dim)| if d == axis { along } else { *dim }).collect::<PartialShape>())
    }
    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let n = cx.len() - 1;
        normalise_axis(cx.known_all(n)?[0], 1).ok()?;
        (0..n).map(|i| cx.known(i)).collect::<Option<Vec<_>>>().map(|parts| parts.into_iter().flatten().collect())
    }
}

/// Tensors one after the other along `axis` (negative: from the end). All other sizes must agree. TensorFlow: `tf.concat`.
///
/// # Panics
/// When the shapes do not fit, or the list is empty.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let a = g.placeholder(DType::F32, [200, 10]);
/// let b = g.placeholder(DType::F32, [200, 4]);
/// assert_eq!(ops::concat([a, b], 1).ty().to_string(), "f32[200,14]");
/// ```
#[track_caller]
pub fn concat<I: IntoIterator<Item: Into<Tensor>>>(values: I, axis: i32) -> Tensor {
    let (graph, values) = super::list(values);
    graph.op(ConcatV2).name("concat").inputs(&values).constant("axis", axis).tensor()
}
