//! Copies of tensors with some elements, rows or slices replaced or added to.

use tidemill_tensor::PartialShape;

use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::{Effect, Schema};
use crate::{attrs, grads, ops};

pub(super) fn register(set: OpSet) -> OpSet {
    let set = set.with::<TensorStridedSliceUpdate>().with::<StridedSliceAssign>();
    inplace(variables(tensors(set)))
}

/// `InvalidArgument` unless `updates` have the shape of `indices` without its last axis, followed by that of what the positions in
/// that axis name in operand `into`.
pub(super) fn check_scatter_nd(
    shape: &PartialShape,
    indices: &PartialShape,
    updates: &PartialShape,
) -> Result<()> {
    let (Some(dims), Some(index_dims)) = (shape.dims(), indices.dims()) else { return Ok(()) };
    let Some((depth, outer)) = index_dims.split_last() else {
        return Err(Error::invalid("indices must not be a scalar"));
    };
    let row = match depth {
        None => PartialShape::unknown(),
        Some(depth) => PartialShape::from(dims.get(*depth..).ok_or_else(|| {
            Error::invalid(format!("indices {indices} hold positions in more axes than {shape} has"))
        })?),
    };
    let want = PartialShape::from(outer).concatenate(&row);
    match updates.is_compatible_with(&want) {
        true => Ok(()),
        false => Err(Error::invalid(format!("updates must have shape {want}, not {updates}"))),
    }
}

/// A row: documentation, op, the name of its first operand and the dtypes, function and its name in TensorFlow, gradient.
macro_rules! tensor_scatters {
    ($($(#[$doc:meta])* $op:ident $x:literal $types:literal, $function:ident $tf:literal, grad $grad:expr;)*) => {
        fn tensors(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(
                    stringify!($op),
                    concat!(
                        "(", $x, ": T, indices: Tindices, updates: T) -> (output: T) where T: ", $types,
                        ", Tindices: i16|u16|i32|i64"
                    ),
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    check_scatter_nd(cx.shape(0), cx.shape(1), cx.shape(2))?;
                    cx.same_as_input(0)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let rule: fn(&GradCx) -> (Tensor, Tensor) = $grad;
                    let (dx, dupdates) = rule(cx);
                    Ok(grads![dx, NoGrad, dupdates])
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!("TensorFlow: `", $tf, "`.")]
            ///
            /// # Panics
            /// When the shapes do not fit each other. (A position that is out of range fails the run.)
            #[track_caller]
            pub fn $function(
                x: impl Into<Tensor>,
                indices: impl Into<Tensor>,
                updates: impl Into<Tensor>,
            ) -> Tensor {
                let x = x.into();
                x.graph().op($op).input(x).input(indices.into()).input(updates.into()).tensor()
            }
        )*
    };
}

tensor_scatters! {
    /// A copy of the first operand with `updates[i...]` at the position `indices[i..., :]`; of a position that stands twice, the last stays.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops};
    /// let g = Graph::new();
    /// let x = g.placeholder(DType::F32, [8, 3]);
    /// let rows = g.placeholder(DType::F32, [2, 3]);
    /// assert_eq!(ops::tensor_scatter_nd_update(x, g.constant([[4], [1]]), rows).ty(), x.ty());
    /// ```
    TensorScatterUpdate "tensor" "Any", tensor_scatter_nd_update "tf.tensor_scatter_nd_update",
    grad |cx| {
        let (dy, indices) = (cx.dy(0), cx.x(1));
        let taken = ops::gather_nd(dy, indices);
        (tensor_scatter_nd_update(dy, indices, ops::zeros_like(cx.x(2))), taken)
    };

    /// A copy of the first operand with `updates[i...]` added at the position `indices[i..., :]`.
    TensorScatterAdd "tensor" "Num|Complex", tensor_scatter_nd_add "tf.tensor_scatter_nd_add",
    grad |cx| (cx.dy(0), ops::gather_nd(cx.dy(0), cx.x(1)));

    /// A copy of the first operand with `updates[i...]` subtracted at the position `indices[i..., :]`.
    TensorScatterSub "tensor" "Num|Complex", tensor_scatter_nd_sub "tf.tensor_scatter_nd_sub",
    grad |cx| (cx.dy(0), ops::neg(ops::gather_nd(cx.dy(0), cx.x(1))));

    /// A copy of the first operand whose element at the position `indices[i..., :]` is at least `updates[i...]`.
    TensorScatterMax "tensor" "Num", tensor_scatter_nd_max "tf.tensor_scatter_nd_max",
    grad extreme_grad;

    /// A copy of the first operand whose element at the position `indices[i..., :]` is at most `updates[i...]`.
    TensorScatterMin "tensor" "Num", tensor_scatter_nd_min "tf.tensor_scatter_nd_min",
    grad extreme_grad;

    /// As [`TensorScatterAdd`].
    ScatterNdNonAliasingAdd "input" "Num|Complex", scatter_nd_add_non_aliasing "tf.raw_ops.ScatterNdNonAliasingAdd",
    grad |cx| (cx.dy(0), ops::gather_nd(cx.dy(0), cx.x(1)));
}

/// `dy` where the element stayed, and where it came from the updates; halved where they are equal.
fn extreme_grad(cx: &GradCx) -> (Tensor, Tensor) {
    let (x, indices, updates, y, dy) = (cx.x(0), cx.x(1), cx.x(2), cx.y(0), cx.dy(0));
    let number = |t: Tensor| ops::cast(t, dy.dtype());
    let (kept, taken) = (number(ops::equal(x, y)), number(ops::equal(updates, ops::gather_nd(y, indices))));
    let changed = tensor_scatter_nd_add(ops::zeros_like(x), indices, taken);
    let share = dy / ops::maximum(kept + changed, 1);
    (share * kept, ops::gather_nd(share, indices) * taken)
}

/// A row: documentation, op and the dtypes.
macro_rules! variable_scatters {
    ($($(#[$doc:meta])* $op:ident $types:literal;)*) => {
        fn variables(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
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
                    concat!("(ref: &T, indices: Tindices, updates: T) -> (output_ref: &T) where T: ", $types, ", Tindices: i32|i64"),
                )
                .effect(Effect::Stateful);
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    check_scatter_nd(cx.shape(0), cx.shape(1), cx.shape(2))?;
                    Ok(vec![cx.inputs()[0].clone()])
                }
            }
        )*
    };
}
variable_scatters! {
    /// Sets the elements of a variable at the positions `indices[i..., :]` to `updates[i...]`.
    ScatterNdUpdate "Any";
    /// Adds `updates[i...]` to the elements of a variable at the positions `indices[i..., :]`.
    ScatterNdAdd "Num|Complex";
    /// Subtracts `updates[i...]` from the elements of a variable at the positions `indices[i..., :]`.
    ScatterNdSub "Num|Complex";
    /// Sets the elements of a variable at the positions `indices[i..., :]` to the larger of themselves and `updates[i...]`.
    ScatterNdMax "Num";
    /// Sets the elements of a variable at the positions `indices[i..., :]` to the smaller of themselves and `updates[i...]`.
    ScatterNdMin "Num";
}

/// A row: documentation, op and its dtypes.
macro_rules! inplace_ops {
    ($($(#[$doc:meta])* $op:ident $types:literal;)*) => {
        fn inplace(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(
                    stringify!($op),
                    concat!("(x: T, i: i32, v: T) -> (y: T) where T: ", $types),
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    rows_fit(cx)?;
                    cx.same_as_input(0)
                }
            }
        )*
    };
}
inplace_ops! {
    /// `x` with its rows `i` set to `v`. In TensorFlow `x` itself changes; here it stays as it is.
    InplaceUpdate "Any";
    /// `x` with `v` added to its rows `i`. In TensorFlow `x` itself changes; here it stays as it is.
    InplaceAdd "Num|Complex";
    /// `x` with `v` subtracted from its rows `i`. In TensorFlow `x` itself changes; here it stays as it is.
    InplaceSub "Num|Complex";
}

fn rows_fit(cx: &InferCx) -> Result<()> {
    cx.expect_rank_at_least(0, 1)?;
    let (Some(x), Some(v)) = (cx.shape(0).dims(), cx.shape(2).dims()) else { return Ok(()) };
    let want = match cx.shape(1).rank() {
        None => return Ok(()),
        Some(0) => PartialShape::from(&x[1..]),
        Some(1) => cx.shape(1).concatenate(&PartialShape::from(&x[1..])),
        Some(_) => {
            return Err(Error::invalid(format!("i is a scalar or vector, not of shape {}", cx.shape(1))));
        }
    };
    // A row may come with its axis.
    let with_axis = PartialShape::from([Some(1)]).concatenate(&want);
    match PartialShape::from(v) {
        v if v.is_compatible_with(&want)
            || cx.shape(1).rank() == Some(0) && v.is_compatible_with(&with_axis) =>
        {
            Ok(())
        }
        v => Err(Error::invalid(format!("v must have shape {want}, not {v}"))),
    }
}

/// A row: documentation, op, the first operand and result.
macro_rules! slice_updates {
    ($($(#[$doc:meta])* $op:ident $signature:literal, $effect:expr, $result:expr, $grad:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $op {
            /// As in [`StridedSlice`](ops::StridedSlice).
            pub begin_mask: i64,
            /// As in [`StridedSlice`](ops::StridedSlice).
            pub end_mask: i64,
            /// As in [`StridedSlice`](ops::StridedSlice).
            pub ellipsis_mask: i64,
            /// As in [`StridedSlice`](ops::StridedSlice).
            pub new_axis_mask: i64,
            /// As in [`StridedSlice`](ops::StridedSlice).
            pub shrink_axis_mask: i64,
        }
        attrs!($op { begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask });

        impl $op {
            /// The op that reads what this one writes.
            pub fn slice(&self) -> ops::StridedSlice {
                ops::StridedSlice {
                    begin_mask: self.begin_mask,
                    end_mask: self.end_mask,
                    ellipsis_mask: self.ellipsis_mask,
                    new_axis_mask: self.new_axis_mask,
                    shrink_axis_mask: self.shrink_axis_mask,
                }
            }
        }

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), $signature).effect($effect);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                slice_fits(&self.slice(), cx)?;
                let result: fn(&InferCx) -> Result<Vec<TensorType>> = $result;
                result(cx)
            }
            fn grad(&self, cx: &GradCx) -> Result<Grads> {
                let grad: fn(&Self, &GradCx) -> Result<Grads> = $grad;
                grad(self, cx)
            }
        }
    )*};
}
slice_updates! {
    /// `input` with the slice `[begin:end:strides]` set to `value`, which broadcasts to it.
    TensorStridedSliceUpdate
        "(input: T, begin: Index, end: Index, strides: Index, value: T) -> (output: T) where Index: i32|i64",
    Effect::Pure,
    |cx| cx.same_as_input(0),
    |op, cx| {
        let (dy, value) = (cx.dy(0), cx.x(4));
        let entries = [cx.x(1), cx.x(2), cx.x(3)];
        let zeros = ops::zeros_like(value);
        let graph = cx.graph();
        let dx = graph.op(op.clone()).input(dy).inputs(&entries).input(zeros).tensor();
        let taken = graph.op(op.slice()).input(dy).inputs(&entries).tensor();
        Ok(grads![dx, NoGrad, NoGrad, NoGrad, super::broadcast::unbroadcast_from(taken, value, taken)])
    };
    /// Sets the slice `[begin:end:strides]` of a variable to `value`, which broadcasts to it.
    StridedSliceAssign
        "(ref: &T, begin: Index, end: Index, strides: Index, value: T) -> (output_ref: &T) where Index: i32|i64",
    Effect::Stateful,
    |cx| Ok(vec![cx.inputs()[0].clone()]),
    |_, _| Err(Error::unimplemented("op StridedSliceAssign has no gradient"));
}

fn slice_fits(slice: &ops::StridedSlice, cx: &InferCx) -> Result<()> {
    for i in 1..4 {
        cx.expect_rank(i, 1)?;
    }
    if let (Some(dims), Some(begin), Some(end), Some(strides)) =
        (cx.shape(0).dims(), cx.known(1), cx.known(2), cx.known(3))
    {
        let taken = slice.resolve(dims, &begin, &end, &strides)?.shape();
        let value = cx.shape(4);
        let fits = taken.broadcast(value).is_some_and(|whole| whole.is_compatible_with(&taken))
            && value.rank().zip(taken.rank()).is_none_or(|(a, b)| a <= b);
        if !fits {
            return Err(Error::invalid(format!("value has shape {value}, but the slice {taken}")));
        }
    }
    Ok(())
}
