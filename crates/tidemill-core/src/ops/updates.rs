//! More parameter updates, as those of `training`: adaptive rates, proximal steps, and steps by the sign of the gradient.
//!
//! Each has a sparse form that updates the rows that `indices` names, and leaves the others as they are; of a row named twice, each occurrence is a
//! step of its own: add such rows up first. None of these ops has a gradient.

use super::state::check_scatter;
use super::training::dense;
use crate::attr::Attributes;
use crate::attrs;
use crate::error::Result;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::{Effect, Schema, Signature};

/// A row: documentation, op, signature, and attributes beside `use_locking`. Operands are told by their names: `grad` or `delta` is the gradient,
/// `indices` its rows, references are slots, and all others scalars.
macro_rules! updates {
    ($($(#[$doc:meta])* $op:ident $signature:literal $($(#[$attr_doc:meta])* $attr:ident)?;)*) => {
        pub(super) fn register(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op {
                /// TensorFlow's lock; runs here are always whole.
                pub use_locking: bool,
                $($(#[$attr_doc])* pub $attr: bool,)?
            }
            attrs!($op { use_locking $(, $attr)? });

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(stringify!($op), $signature).effect(Effect::Stateful);
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    updated(cx, <$op as Attributes>::signature())
                }
            }
        )*
    };
}

fn updated(cx: &InferCx, signature: &'static Signature) -> Result<Vec<TensorType>> {
    let place = |names: &[&str]| signature.inputs.iter().position(|arg| names.contains(&arg.name));
    let (gradient, indices) = (place(&["grad", "delta"]), place(&["indices"]));
    let (mut alike, mut scalars) = (vec![], vec![]);
    for (i, arg) in signature.inputs.iter().enumerate().skip(1) {
        match () {
            () if arg.reference => alike.push((i, arg.name)),
            () if Some(i) == indices => cx.expect_rank(i, 1)?,
            () if Some(i) == gradient => {
                if indices.is_none() {
                    alike.push((i, arg.name));
                }
            }
            () => scalars.push(i),
        }
    }
    if let (Some(gradient), Some(indices)) = (gradient, indices) {
        check_scatter(cx, 0, indices, gradient)?;
    }
    dense(cx, &alike, &scalars)
}

updates! {
    /// `m += (grad - m) * (1 - beta1); v = max(beta2 * v, |grad|); var -= lr / (1 - beta1_power) * m / (v + epsilon)` (Kingma and
    /// Ba, 2015, section 7).
    ApplyAdaMax "(var: &T, m: &T, v: &T, beta1_power: T, lr: T, beta1: T, beta2: T, epsilon: T, grad: T) -> (out: &T) where T: Float";

    /// `accum = rho * accum + (1 - rho) * grad²; u = √(accum_update + epsilon) / √(accum + epsilon) * grad;
    /// accum_update = rho * accum_update + (1 - rho) * u²; var -= lr * u` (Zeiler, 2012).
    ApplyAdadelta "(var: &T, accum: &T, accum_update: &T, lr: T, rho: T, epsilon: T, grad: T) -> (out: &T) where T: Float";

    /// `gradient_accumulator += grad; gradient_squared_accumulator += grad²`, and `var` becomes what minimises the sum of all linear losses so far with
    /// their regularisation: `-lr * sign(g) * max(|g| - l1 * step, 0) / (l2 * step * lr + √(gradient_squared_accumulator))`, where `g` is
    /// `gradient_accumulator` and `step` is `global_step` (Duchi et al., 2011).
    ApplyAdagradDA "(var: &T, gradient_accumulator: &T, gradient_squared_accumulator: &T, grad: T, lr: T, l1: T, l2: T, global_step: i64) -> (out: &T) where T: Float";

    /// `accum += grad²; var -= lr * grad / (√accum + epsilon)`.
    ApplyAdagradV2 "(var: &T, accum: &T, lr: T, epsilon: T, grad: T) -> (out: &T) where T: Float"
    /// Whether `accum` changes.
    update_slots;

    /// `m = beta * m + (1 - beta) * grad; var -= lr * (alpha + sign_decay * sign(grad) * sign(m)) * grad` (Bello et al., 2017).
    ApplyAddSign "(var: &T, m: &T, lr: T, alpha: T, sign_decay: T, beta: T, grad: T) -> (out: &T) where T: Float";

    /// [`ApplyRMSProp`] with the variance of the gradient for its mean square: `mg = rho * mg + (1 - rho) * grad`, and `ms - mg²` stands for `ms` under
    /// the root.
    ApplyCenteredRMSProp "(var: &T, mg: &T, ms: &T, mom: &T, lr: T, rho: T, momentum: T, epsilon: T, grad: T) -> (out: &T) where T: Float";

    /// `n = accum + grad²; linear += grad - (n^-lr_power - accum^-lr_power) / lr * var; accum = n`, and `var` becomes
    /// `(sign(linear) * l1 - linear) / (n^-lr_power / lr + 2 * l2)` where `|linear| > l1`, 0 elsewhere (McMahan et al., 2013). With
    /// `multiply_linear_by_lr` the slot `linear` holds `lr` times as much.
    ApplyFtrl "(var: &T, accum: &T, linear: &T, grad: T, lr: T, l1: T, l2: T, lr_power: T) -> (out: &T) where T: Float"
    /// Whether `linear` holds `lr` times as much.
    multiply_linear_by_lr;

    /// [`ApplyFtrl`] with `grad + 2 * l2_shrinkage * var` for `grad` in what is added to `linear`.
    ApplyFtrlV2 "(var: &T, accum: &T, linear: &T, grad: T, lr: T, l1: T, l2: T, l2_shrinkage: T, lr_power: T) -> (out: &T) where T: Float"
    /// Whether `linear` holds `lr` times as much.
    multiply_linear_by_lr;

    /// `m = beta * m + (1 - beta) * grad; var -= lr * exp(logbase * sign_decay * sign(grad) * sign(m)) * grad` (Bello et al., 2017).
    ApplyPowerSign "(var: &T, m: &T, lr: T, logbase: T, sign_decay: T, beta: T, grad: T) -> (out: &T) where T: Float";

    /// `accum += grad²`, and [`ApplyProximalGradientDescent`] with the rate `lr / √accum` of each element.
    ApplyProximalAdagrad "(var: &T, accum: &T, lr: T, l1: T, l2: T, grad: T) -> (out: &T) where T: Float";

    /// `p = var - alpha * delta; var = sign(p) * max(|p| - alpha * l1, 0) / (1 + alpha * l2)` (Duchi and Singer, 2009).
    ApplyProximalGradientDescent "(var: &T, alpha: T, l1: T, l2: T, delta: T) -> (out: &T) where T: Float";

    /// `ms = rho * ms + (1 - rho) * grad²; mom = momentum * mom + lr * grad / √(ms + epsilon); var -= mom` (Tieleman and Hinton, 2012).
    ApplyRMSProp "(var: &T, ms: &T, mom: &T, lr: T, rho: T, momentum: T, epsilon: T, grad: T) -> (out: &T) where T: Float";

    /// [`ApplyAdadelta`] on the rows `indices` of `var` and its slots.
    SparseApplyAdadelta "(var: &T, accum: &T, accum_update: &T, lr: T, rho: T, epsilon: T, grad: T, indices: Tindices) -> (out: &T) where T: Float, Tindices: i32|i64";

    /// [`ApplyAdagradDA`] on the rows `indices` of `var` and its slots.
    SparseApplyAdagradDA "(var: &T, gradient_accumulator: &T, gradient_squared_accumulator: &T, grad: T, indices: Tindices, lr: T, l1: T, l2: T, global_step: i64) -> (out: &T) where T: Float, Tindices: i32|i64";

    /// [`ApplyAdagradV2`] on the rows `indices` of `var` and its slots.
    SparseApplyAdagradV2 "(var: &T, accum: &T, lr: T, epsilon: T, grad: T, indices: Tindices) -> (out: &T) where T: Float, Tindices: i32|i64"
    /// Whether `accum` changes.
    update_slots;

    /// [`ApplyCenteredRMSProp`] on the rows `indices` of `var` and its slots.
    SparseApplyCenteredRMSProp "(var: &T, mg: &T, ms: &T, mom: &T, lr: T, rho: T, momentum: T, epsilon: T, grad: T, indices: Tindices) -> (out: &T) where T: Float, Tindices: i32|i64";

    /// [`ApplyFtrl`] on the rows `indices` of `var` and its slots.
    SparseApplyFtrl "(var: &T, accum: &T, linear: &T, grad: T, indices: Tindices, lr: T, l1: T, l2: T, lr_power: T) -> (out: &T) where T: Float, Tindices: i32|i64"
    /// Whether `linear` holds `lr` times as much.
    multiply_linear_by_lr;

    /// [`ApplyFtrlV2`] on the rows `indices` of `var` and its slots.
    SparseApplyFtrlV2 "(var: &T, accum: &T, linear: &T, grad: T, indices: Tindices, lr: T, l1: T, l2: T, l2_shrinkage: T, lr_power: T) -> (out: &T) where T: Float, Tindices: i32|i64"
    /// Whether `linear` holds `lr` times as much.
    multiply_linear_by_lr;

    /// [`ApplyProximalAdagrad`] on the rows `indices` of `var` and its slots.
    SparseApplyProximalAdagrad "(var: &T, accum: &T, lr: T, l1: T, l2: T, grad: T, indices: Tindices) -> (out: &T) where T: Float, Tindices: i32|i64";

    /// [`ApplyProximalGradientDescent`] on the rows `indices` of `var` and its slots.
    SparseApplyProximalGradientDescent "(var: &T, alpha: T, l1: T, l2: T, grad: T, indices: Tindices) -> (out: &T) where T: Float, Tindices: i32|i64";

    /// [`ApplyRMSProp`] on the rows `indices` of `var` and its slots.
    SparseApplyRMSProp "(var: &T, ms: &T, mom: &T, lr: T, rho: T, momentum: T, epsilon: T, grad: T, indices: Tindices) -> (out: &T) where T: Float, Tindices: i32|i64";
}
