//! Functions that choose.

use super::{If, Nest, Region};
use crate::error::{Error, Origin, Result, or_panic};
use crate::handle::Tensor;

/// `true_fn()` if the scalar bool `pred` is true, else `false_fn()`; only the branch taken runs. TensorFlow: `tf.cond`.
///
/// Both may use tensors from outside. They give the same structure, with the same dtypes; dimensions that differ become unknown.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, ());
/// let y = ops::cond(x.gt(0.0), || ops::sqrt(x), || -x);
/// assert_eq!(y.ty().to_string(), "f32[]");
/// ```
///
/// # Panics
/// When `pred` is no scalar bool, or the branches differ in structure or dtype.
#[track_caller]
pub fn cond<N: Nest>(
    pred: impl Into<Tensor>,
    true_fn: impl FnOnce() -> N,
    false_fn: impl FnOnce() -> N,
) -> N {
    let origin = Origin::here();
    let pred = pred.into();
    let graph = pred.graph();
    let build = || -> Result<N> {
        let mut structure = None;
        let then = graph.build_region(&[], None, &origin, |_| {
            let nest = true_fn();
            let results = nest.flatten();
            structure = Some(nest);
            Ok(results)
        })?;
        let orelse = graph.build_region(&[], None, &origin, |_| Ok(false_fn().flatten()))?;
        let made = If::of(&graph, pred, &Region(then), &Region(orelse))?.name("cond").origin(origin.clone());
        let made = made.try_build()?;
        match structure {
            Some(nest) => Ok(nest.rebuild(&mut made.outputs().into_iter())),
            None => Err(Error::internal("the branch of a conditional was not built")),
        }
    };
    or_panic(build().map_err(|e| e.with_origin(origin.clone())))
}

/// The first function whose predicate is true, or `default`. TensorFlow: `tf.case`.
#[track_caller]
pub fn case<N: Nest>(
    pairs: Vec<(Tensor, Box<dyn FnOnce() -> N>)>,
    default: impl FnOnce() -> N + 'static,
) -> N {
    let mut rest: Box<dyn FnOnce() -> N> = Box::new(default);
    for (pred, f) in pairs.into_iter().rev() {
        let otherwise = rest;
        rest = Box::new(move || cond(pred, f, otherwise));
    }
    rest()
}
