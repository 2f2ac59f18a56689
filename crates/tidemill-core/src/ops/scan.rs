//! Running sums and products along an axis.

use tidemill_tensor::DType;

use super::{conj, equal, exp, log, neg, select};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::Result;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

/// A row: documentation, op and its dtypes, function and its name in TensorFlow, gradient.
macro_rules! scans {
    ($($(#[$doc:meta])* $op:ident $types:literal, $function:ident $function_with:ident $tf:literal, grad $grad:expr;)*) => {
        pub(super) fn register(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Default)]
            pub struct $op {
                /// Whether the element itself is left out.
                pub exclusive: bool,
                /// Whether it runs from the last element to the first.
                pub reverse: bool,
            }
            attrs!($op { exclusive, reverse });

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(
                    stringify!($op),
                    concat!("(x: T, axis: Tidx) -> (out: T) where T: ", $types, ", Tidx: i32|i64"),
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    cx.axis_argument(1, cx.shape(0).rank())?;
                    cx.same_as_input(0)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let rule: fn(&Scanned) -> Tensor = $grad;
                    let scanned = Scanned { exclusive: self.exclusive, reverse: self.reverse, cx };
                    Ok(grads![rule(&scanned), NoGrad])
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!("Negative axes count from the end. TensorFlow: `", $tf, "`.")]
            ///
            /// # Panics
            /// When the axis is out of range.
            #[track_caller]
            pub fn $function(x: impl Into<Tensor>, axis: i32) -> Tensor {
                $function_with(x, axis, $op::default())
            }

            #[doc = concat!("[`", stringify!($function), "`] from the end, or without the element itself.")]
            ///
            /// # Panics
            /// When the axis is out of range.
            #[track_caller]
            pub fn $function_with(x: impl Into<Tensor>, axis: i32, how: $op) -> Tensor {
                let x = x.into();
                x.graph().op(how).input(x).constant("axis", axis).tensor()
            }
        )*
    };
}

scans! {
    /// The running sum along an axis: `out[i] = x[0] + ... + x[i]`.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops::{self, Cumsum}};
    /// let g = Graph::new();
    /// let lengths = g.placeholder(DType::I32, [None]);
    /// let ends = ops::cumsum(lengths, 0);
    /// let starts = ops::cumsum_with(lengths, 0, Cumsum { exclusive: true, reverse: false });
    /// assert_eq!((ends.ty().to_string(), starts.ty().to_string()), ("i32[?]".into(), "i32[?]".into()));
    /// ```
    Cumsum "Num|Complex", cumsum cumsum_with "tf.cumsum",
    grad |g| g.sums_back(g.cx.dy(0));

    /// The running product along an axis: `out[i] = x[0] * ... * x[i]`.
    Cumprod "Num|Complex", cumprod cumprod_with "tf.cumprod",
    grad |g| {
        // As in TensorFlow, nothing flows into zeros.
        let (x, sums) = (conj(g.cx.x(0)), g.sums_back(conj(g.cx.y(0)) * g.cx.dy(0)));
        let zero = equal(x, 0);
        select(zero, 0, sums / select(zero, 1, x))
    };

    /// The logarithm of the running sum of the exponentials along an axis: `out[i] = log(exp(x[0]) + ... + exp(x[i]))`, computed so that
    /// nothing overflows. The sum of nothing counts as -∞.
    CumulativeLogsumexp "Float", cumulative_logsumexp cumulative_logsumexp_with "tf.math.cumulative_logsumexp",
    grad |g| {
        let dy = g.cx.dy(0);
        g.log_sums_back(dy) - g.log_sums_back(neg(dy))
    };
}

/// What the gradient rule of a running sum sees.
struct Scanned<'a, 'g> {
    exclusive: bool,
    reverse: bool,
    cx: &'a GradCx<'g>,
}

impl Scanned<'_, '_> {
    /// The running sum of `t` the other way round.
    fn sums_back(&self, t: Tensor) -> Tensor {
        let op = Cumsum { exclusive: self.exclusive, reverse: !self.reverse };
        self.cx.graph().add(op, &[t, self.cx.x(1)])
    }

    /// `exp(x)` times the running sum the other way round of `dy / exp(y)`, where `dy` is positive: computed in logarithms.
    fn log_sums_back(&self, dy: Tensor) -> Tensor {
        let (x, y) = (self.cx.x(0), self.cx.y(0));
        let lowest = match dy.dtype() {
            DType::F16 => -65504.0,
            DType::F64 => f64::MIN,
            _ => f64::from(f32::MIN) * 0.99,
        };
        let lowest = dy.graph().constant(tidemill_tensor::Value::scalar(lowest).cast(dy.dtype()));
        let positive = dy.gt(0.0);
        let logs = select(positive, log(select(positive, dy, 1)), lowest);
        let op = CumulativeLogsumexp { exclusive: self.exclusive, reverse: !self.reverse };
        exp(self.cx.graph().add(op, &[logs - y, self.cx.x(1)]) + x)
    }
}
