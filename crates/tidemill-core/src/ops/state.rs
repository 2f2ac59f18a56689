//! Variables and assignments.
//!
//! A variable is a reference (`&T`). An op that takes a reference where its signature says `T` reads the variable; an op whose
//! signature says `&T` writes it. Which value a read sees is the session's promise: the one from before the run, unless a
//! control or data dependency orders it after a write.

use tidemill_tensor::{DType, PartialShape};

use crate::attrs;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result, or_panic};
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::ops::resolved;
use crate::schema::{Effect, Schema};
use crate::variable::Variable;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<VariableV2>()
        .with::<Assign>()
        .with::<AssignAdd>()
        .with::<AssignSub>()
        .with::<CountUpTo>()
        .with::<IsVariableInitialized>()
        .with::<RefIdentity>()
        .with::<ScatterUpdate>()
        .with::<ScatterAdd>()
        .with::<ScatterSub>()
        .with::<ScatterMul>()
        .with::<ScatterDiv>()
        .with::<ScatterMax>()
        .with::<ScatterMin>()
}

/// Holds a tensor between runs.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableV2 {
    /// The shapes it may hold.
    pub shape: PartialShape,
    /// Element type.
    pub dtype: DType,
    /// Unused; kept for graph files.
    pub container: String,
    /// Variables of the same non-empty name share their value.
    pub shared_name: String,
}
attrs!(VariableV2 { shape, dtype, container, shared_name });

impl Op for VariableV2 {
    const SCHEMA: Schema = Schema::new("VariableV2", "() -> (ref: &dtype)").effect(Effect::Stateful);
    fn infer(&self, _: &InferCx) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::reference(self.dtype, self.shape.clone())])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![])
    }
}

/// Whether a variable holds a value yet.
#[derive(Debug, Clone, PartialEq)]
pub struct IsVariableInitialized;
attrs!(IsVariableInitialized {});

impl Op for IsVariableInitialized {
    const SCHEMA: Schema =
        Schema::new("IsVariableInitialized", "(ref: &T) -> (is_initialized: bool)").effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(DType::Bool, ())
    }
}

/// Sets a variable to `value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Assign {
    /// Whether the value's shape must be the variable's.
    pub validate_shape: bool,
    /// TensorFlow's lock; runs here are always whole.
    pub use_locking: bool,
}
attrs!(Assign { validate_shape, use_locking });

impl Op for Assign {
    const SCHEMA: Schema =
        Schema::new("Assign", "(ref: &T, value: T) -> (output_ref: &T)").effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        if !self.validate_shape {
            return Ok(vec![TensorType::reference(cx.dtype(0), cx.shape(1).clone())]);
        }
        updated_variable(cx, 1)
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad])
    }
}

/// A reference to the same variable; what uses it waits for what this waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct RefIdentity;
attrs!(RefIdentity {});

impl Op for RefIdentity {
    const SCHEMA: Schema = Schema::new("RefIdentity", "(input: &T) -> (output: &T)").effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Ok(vec![cx.inputs()[0].clone()])
    }
}

/// The value of an integer scalar variable, to which 1 is added; `OutOfRange` when it has reached `limit`.
#[derive(Debug, Clone, PartialEq)]
pub struct CountUpTo {
    /// Where counting ends.
    pub limit: i64,
}
attrs!(CountUpTo { limit });

impl Op for CountUpTo {
    const SCHEMA: Schema =
        Schema::new("CountUpTo", "(ref: &T) -> (output: T) where T: i32|i64").effect(Effect::Stateful);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 0)?;
        cx.output(cx.dtype(0), ())
    }
}

macro_rules! assign_op {
    ($($(#[$doc:meta])* $op:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// TensorFlow's lock; runs here are always whole.
            pub use_locking: bool,
        }
        attrs!($op { use_locking });

        impl Op for $op {
            const SCHEMA: Schema =
                Schema::new(stringify!($op), "(ref: &T, value: T) -> (output_ref: &T) where T: Num|Complex")
                    .effect(Effect::Stateful);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                updated_variable(cx, 1)
            }
            fn grad(&self, _: &GradCx) -> Result<Grads> {
                Ok(grads![NoGrad, NoGrad])
            }
        }
    )*};
}
assign_op! {
    /// Adds `value` to a variable.
    AssignAdd;
    /// Subtracts `value` from a variable.
    AssignSub;
}

/// The variable's type, after checking that operand `value` has its shape.
pub(super) fn updated_variable(cx: &InferCx, value: usize) -> Result<Vec<TensorType>> {
    let shape = cx.shape(0).merge(cx.shape(value)).ok_or_else(|| {
        Error::invalid(format!("the variable's shape is {}, the value's {}", cx.shape(0), cx.shape(value)))
    })?;
    Ok(vec![TensorType::reference(cx.dtype(0), shape)])
}

macro_rules! scatter_op {
    ($($(#[$doc:meta])* $op:ident $class:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// TensorFlow's lock; runs here are always whole.
            pub use_locking: bool,
        }
        attrs!($op { use_locking });

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(
                stringify!($op),
                concat!("(ref: &T, indices: I, updates: T) -> (output_ref: &T) where T: ", $class, ", I: i32|i64"),
            )
            .effect(Effect::Stateful);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                // A single number is for all rows.
                if cx.shape(2).rank() == Some(0) && cx.shape(0).rank() != Some(0) {
                    return Ok(vec![cx.inputs()[0].clone()]);
                }
                check_scatter(cx, 0, 1, 2)?;
                Ok(vec![cx.inputs()[0].clone()])
            }
        }
    )*};
}
scatter_op! {
    /// Sets rows `indices` of a variable to `updates`; of a row named twice, the last one stays.
    ScatterUpdate "Any";
    /// Adds `updates` to rows `indices` of a variable; rows named twice add up.
    ScatterAdd "Num|Complex";
    /// Subtracts `updates` from rows `indices` of a variable; rows named twice add up.
    ScatterSub "Num|Complex";
    /// Multiplies rows `indices` of a variable by `updates`; rows named twice by both.
    ScatterMul "Num";
    /// Divides rows `indices` of a variable by `updates`; integers are rounded towards zero.
    ScatterDiv "Num";
    /// Sets rows `indices` of a variable to the larger of themselves and `updates`.
    ScatterMax "Num";
    /// Sets rows `indices` of a variable to the smaller of themselves and `updates`.
    ScatterMin "Num";
}

/// `updates` must have the shape of `indices` followed by that of one row of operand `rows`.
pub(super) fn check_scatter(cx: &InferCx, rows: usize, indices: usize, updates: usize) -> Result<()> {
    let Some(dims) = cx.shape(rows).dims() else { return Ok(()) };
    if dims.is_empty() {
        return Err(Error::invalid("a scalar has no rows to update"));
    }
    let want = cx.shape(indices).concatenate(&PartialShape::from(&dims[1..]));
    if cx.shape(updates).is_compatible_with(&want) {
        Ok(())
    } else {
        Err(Error::invalid(format!("updates must have shape {want}, not {}", cx.shape(updates))))
    }
}

/// Sets `variable` to `value` and returns its reference after that. TensorFlow: `tf.assign`.
#[track_caller]
pub fn assign(variable: Variable, value: impl Operand) -> Tensor {
    update(variable, Assign { validate_shape: true, use_locking: true }, "Assign", value)
}

/// Adds `value` to `variable`. TensorFlow: `tf.assign_add`.
#[track_caller]
pub fn assign_add(variable: Variable, value: impl Operand) -> Tensor {
    update(variable, AssignAdd { use_locking: false }, "AssignAdd", value)
}

/// Subtracts `value` from `variable`. TensorFlow: `tf.assign_sub`.
#[track_caller]
pub fn assign_sub(variable: Variable, value: impl Operand) -> Tensor {
    update(variable, AssignSub { use_locking: false }, "AssignSub", value)
}

#[track_caller]
fn update(variable: Variable, op: impl Op, name: &str, value: impl Operand) -> Tensor {
    let value = or_panic(value.resolve(variable.dtype()));
    resolved(variable.graph().op(op).name(name).input(variable.reference()), "value", value).tensor()
}

/// Whether `variable` holds a value yet. TensorFlow: `tf.is_variable_initialized`.
#[track_caller]
pub fn is_variable_initialized(variable: Variable) -> Tensor {
    variable.graph().op(IsVariableInitialized).input(variable.reference()).tensor()
}

macro_rules! scatter_function {
    ($($(#[$doc:meta])* $name:ident $op:ident;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $name(variable: Variable, indices: impl Into<Tensor>, updates: impl Into<Tensor>) -> Tensor {
            let (indices, updates) = (indices.into(), updates.into());
            variable.graph().add($op { use_locking: false }, &[variable.reference(), indices, updates])
        }
    )*};
}
scatter_function! {
    /// Sets rows `indices` of `variable` to `updates`. TensorFlow: `tf.scatter_update`.
    scatter_update ScatterUpdate;
    /// Adds `updates` to rows `indices` of `variable`. TensorFlow: `tf.scatter_add`.
    scatter_add ScatterAdd;
    /// Subtracts `updates` from rows `indices` of `variable`. TensorFlow: `tf.scatter_sub`.
    scatter_sub ScatterSub;
}
