//! Parameter updates: one op per optimizer, so that a step touches each variable once.
//!
//! `var` and the slots (`accum`, `m`, `v`) are references and change in place; the result is `var` after the step. All of
//! them, and a dense `grad`, have one shape; rates and decay factors are scalars of the same dtype. A sparse `grad` holds the
//! rows of `var` that `indices` names. None of these ops has a gradient.

use crate::attrs;
use crate::error::{Error, Result};
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::{Effect, Schema};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<ApplyGradientDescent>()
        .with::<ApplyMomentum>()
        .with::<ApplyAdagrad>()
        .with::<ApplyAdam>()
        .with::<SparseApplyMomentum>()
        .with::<SparseApplyAdagrad>()
}

/// `var -= alpha * delta`.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyGradientDescent {
    /// TensorFlow's lock; runs here are always whole.
    pub use_locking: bool,
}
attrs!(ApplyGradientDescent { use_locking });

impl Op for ApplyGradientDescent {
    const SCHEMA: Schema =
        Schema::new("ApplyGradientDescent", "(var: &T, alpha: T, delta: T) -> (out: &T) where T: Float")
            .effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        dense(cx, &[(2, "delta")], &[1])
    }
}

/// `accum = accum * momentum + grad; var -= lr * accum`. With Nesterov's momentum (Sutskever et al., 2013, as TensorFlow
/// writes it) `var -= lr * (grad + momentum * accum)` with the new `accum`.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyMomentum {
    /// TensorFlow's lock; runs here are always whole.
    pub use_locking: bool,
    /// Whether to look ahead.
    pub use_nesterov: bool,
}
attrs!(ApplyMomentum { use_locking, use_nesterov });

impl Op for ApplyMomentum {
    const SCHEMA: Schema = Schema::new(
        "ApplyMomentum",
        "(var: &T, accum: &T, lr: T, grad: T, momentum: T) -> (out: &T) where T: Float",
    )
    .effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        dense(cx, &[(1, "accum"), (3, "grad")], &[2, 4])
    }
}

/// `accum += grad²; var -= lr * grad / √accum` (Duchi et al., 2011).
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyAdagrad {
    /// TensorFlow's lock; runs here are always whole.
    pub use_locking: bool,
    /// Whether `accum` changes.
    pub update_slots: bool,
}
attrs!(ApplyAdagrad { use_locking, update_slots });

impl Op for ApplyAdagrad {
    const SCHEMA: Schema =
        Schema::new("ApplyAdagrad", "(var: &T, accum: &T, lr: T, grad: T) -> (out: &T) where T: Float")
            .effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        dense(cx, &[(1, "accum"), (3, "grad")], &[2])
    }
}

/// `m += (grad - m) * (1 - beta1); v += (grad² - v) * (1 - beta2);
/// var -= lr * √(1 - beta2_power) / (1 - beta1_power) * m / (√v + epsilon)` (Kingma and Ba, 2015). With Nesterov's momentum
/// `m * beta1 + (1 - beta1) * grad` stands for `m` in the last formula.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyAdam {
    /// TensorFlow's lock; runs here are always whole.
    pub use_locking: bool,
    /// Whether to look ahead.
    pub use_nesterov: bool,
}
attrs!(ApplyAdam { use_locking, use_nesterov });

impl Op for ApplyAdam {
    const SCHEMA: Schema = Schema::new(
        "ApplyAdam",
        "(var: &T, m: &T, v: &T, beta1_power: T, beta2_power: T, lr: T, beta1: T, beta2: T, epsilon: T, grad: T) \
         -> (out: &T) where T: Float",
    )
    .effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        dense(cx, &[(1, "m"), (2, "v"), (9, "grad")], &[3, 4, 5, 6, 7, 8])
    }
}

/// [`ApplyMomentum`] on the rows `indices` of `var` and `accum`; the others stay as they are. Of a row named twice, each
/// occurrence is a step of its own: add such rows up first.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseApplyMomentum {
    /// TensorFlow's lock; runs here are always whole.
    pub use_locking: bool,
    /// Whether to look ahead.
    pub use_nesterov: bool,
}
attrs!(SparseApplyMomentum { use_locking, use_nesterov });

impl Op for SparseApplyMomentum {
    const SCHEMA: Schema = Schema::new(
        "SparseApplyMomentum",
        "(var: &T, accum: &T, lr: T, grad: T, indices: Tindices, momentum: T) -> (out: &T) \
         where T: Float, Tindices: i32|i64",
    )
    .effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        sparse(cx, &[2, 5])
    }
}

/// [`ApplyAdagrad`] on the rows `indices` of `var` and `accum`; the others stay as they are. Of a row named twice, each
/// occurrence is a step of its own: add such rows up first.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseApplyAdagrad {
    /// TensorFlow's lock; runs here are always whole.
    pub use_locking: bool,
    /// Whether `accum` changes.
    pub update_slots: bool,
}
attrs!(SparseApplyAdagrad { use_locking, update_slots });

impl Op for SparseApplyAdagrad {
    const SCHEMA: Schema = Schema::new(
        "SparseApplyAdagrad",
        "(var: &T, accum: &T, lr: T, grad: T, indices: Tindices) -> (out: &T) where T: Float, Tindices: i32|i64",
    )
    .effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        sparse(cx, &[2])
    }
}

/// The variable's type, after checking that the operands `alike` have its shape, and that `scalars` are scalars.
pub(super) fn dense(cx: &InferCx, alike: &[(usize, &str)], scalars: &[usize]) -> Result<Vec<TensorType>> {
    let mut shape = cx.shape(0).clone();
    for &(i, name) in alike {
        shape = shape.merge(cx.shape(i)).ok_or_else(|| {
            Error::invalid(format!(
                "the variable's shape is {}, that of `{name}` {}",
                cx.shape(0),
                cx.shape(i)
            ))
        })?;
    }
    scalars.iter().try_for_each(|&i| cx.expect_rank(i, 0))?;
    Ok(vec![TensorType::reference(cx.dtype(0), shape)])
}

/// [`dense`] for an update whose operands 1, 3 and 4 are a slot, rows and their indices.
fn sparse(cx: &InferCx, scalars: &[usize]) -> Result<Vec<TensorType>> {
    cx.expect_rank(4, 1)?;
    super::state::check_scatter(cx, 0, 4, 3)?;
    dense(cx, &[(1, "accum")], scalars)
}

#[cfg(test)]
mod tests {
    use tidemill_tensor::{DType, PartialShape};

    use super::*;
    use crate::Graph;
    use crate::infer::NothingKnown;
    use crate::op::AnyOp;

    /// Operands in order: `&` marks a reference; `?` an unknown dimension, `*` an unknown shape.
    #[track_caller]
    fn check(op: &dyn AnyOp, operands: &[&str], expected: &str) {
        let types: Vec<TensorType> = operands
            .iter()
            .map(|text| {
                let (is_ref, shape) = text.strip_prefix('&').map_or((false, *text), |rest| (true, rest));
                let (dtype, shape) = match shape.strip_prefix("i32 ") {
                    Some(rest) => (DType::I32, rest),
                    None => (DType::F32, shape),
                };
                let shape = match shape {
                    "*" => PartialShape::unknown(),
                    dims => {
                        dims.split_whitespace().map(|d| d.parse().ok()).collect::<Vec<Option<usize>>>().into()
                    }
                };
                TensorType { dtype, shape, is_ref }
            })
            .collect();
        let got = match op.checked_infer(&InferCx::new(&types, &NothingKnown)) {
            Ok(outputs) => outputs[0].to_string(),
            Err(e) => e.message().to_owned(),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn dense_updates_check_shapes() {
        let descent = ApplyGradientDescent { use_locking: false };
        check(&descent, &["&2 3", "", "2 3"], "&f32[2,3]");
        check(&descent, &["&? 3", "", "2 ?"], "&f32[2,3]");
        check(&descent, &["&*", "*", "*"], "&f32?");
        check(&descent, &["&2 3", "", "3"], "the variable's shape is [2,3], that of `delta` [3]");
        check(&descent, &["&2 3", "1", "2 3"], "operand 1 must have rank 0, but its shape is [1]");
        check(&descent, &["2 3", "", "2 3"], "`var` must be a variable");
        let momentum = ApplyMomentum { use_locking: false, use_nesterov: true };
        check(&momentum, &["&4", "&4", "", "4", ""], "&f32[4]");
        check(&momentum, &["&4", "&5", "", "4", ""], "the variable's shape is [4], that of `accum` [5]");
        let adagrad = ApplyAdagrad { use_locking: false, update_slots: true };
        check(&adagrad, &["&4", "&4", "", "4"], "&f32[4]");
        let adam = ApplyAdam { use_locking: false, use_nesterov: false };
        check(&adam, &["&4", "&4", "&4", "", "", "", "", "", "", "4"], "&f32[4]");
        check(
            &adam,
            &["&4", "&4", "&3", "", "", "", "", "", "", "4"],
            "the variable's shape is [4], that of `v` [3]",
        );
    }

    #[test]
    fn sparse_updates_check_rows() {
        let adagrad = SparseApplyAdagrad { use_locking: false, update_slots: true };
        check(&adagrad, &["&9 2", "&9 2", "", "3 2", "i32 3"], "&f32[9,2]");
        check(&adagrad, &["&9 2", "&9 2", "", "? 2", "i32 ?"], "&f32[9,2]");
        check(&adagrad, &["&9 2", "&9 2", "", "3 4", "i32 3"], "updates must have shape [3,2], not [3,4]");
        check(
            &adagrad,
            &["&9 2", "&9 2", "", "3 2", "i32 3 1"],
            "operand 4 must have rank 1, but its shape is [3,1]",
        );
        let momentum = SparseApplyMomentum { use_locking: false, use_nesterov: false };
        check(&momentum, &["&9 2", "&9 2", "", "3 2", "i32 3", ""], "&f32[9,2]");
    }

    #[test]
    fn updates_stay_in_the_graph() {
        let g = Graph::new();
        let v = g.get_variable("v", [3]);
        let dv = g.placeholder(DType::F32, [3]);
        let step =
            g.op(ApplyGradientDescent { use_locking: false }).input(v.reference()).constant("alpha", 0.1f32);
        assert_eq!(step.input(dv).build().id().index(), g.len() - 1);
        assert_eq!(ApplyGradientDescent::SCHEMA.effect, Effect::Stateful);
    }
}
