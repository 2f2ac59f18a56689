//! How elementwise ops of one operand, and the ops that are their gradients, are declared: one row each.

use crate::autodiff::GradCx;
use crate::handle::Tensor;
use crate::op::Op;

/// What the gradient rule of an op of one operand sees.
pub(super) struct Through {
    pub(super) x: Tensor,
    pub(super) y: Tensor,
    pub(super) dy: Tensor,
}

impl Through {
    pub(super) fn new(cx: &GradCx) -> Through {
        Through { x: cx.x(0), y: cx.y(0), dy: cx.dy(0) }
    }

    /// `op(y, dy)`: the gradient, where an op of its own computes it from the result.
    pub(super) fn by_result(&self, op: impl Op) -> Tensor {
        self.y.graph().add(op, &[self.y, self.dy])
    }
}

/// What the gradient rule of a gradient op, `z = op(a, b)`, sees.
pub(super) struct Twice {
    pub(super) a: Tensor,
    pub(super) b: Tensor,
    pub(super) z: Tensor,
    pub(super) dz: Tensor,
}

impl Twice {
    pub(super) fn new(cx: &GradCx) -> Twice {
        Twice { a: cx.x(0), b: cx.x(1), z: cx.y(0), dz: cx.dy(0) }
    }

    /// `op(a, b)` of other operands.
    pub(super) fn op(&self, op: impl Op, a: Tensor, b: Tensor) -> Tensor {
        self.z.graph().add(op, &[a, b])
    }
}

/// First the names of operand and result. Then a row for each op: documentation, op and its dtypes, function and its name in
/// TensorFlow, gradient (left out where there is none, the function being constant between its steps).
macro_rules! unary_ops {
    (@grad $cx:ident) => {{
        let _ = $cx;
        Ok($crate::grads![$crate::autodiff::NoGrad])
    }};
    (@grad $cx:ident $grad:expr) => {{
        let rule: fn(&$crate::ops::elementwise::Through) -> Tensor = $grad;
        Ok($crate::grads![rule(&$crate::ops::elementwise::Through::new($cx))])
    }};
    ($register:ident, $x:ident -> $y:ident: $(
        $(#[$doc:meta])*
        $op:ident: $types:literal, $function:ident $tf:literal $(, grad $grad:expr)?;
    )*) => {
        pub(super) fn $register(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            $crate::attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(
                    stringify!($op),
                    concat!("(", stringify!($x), ": T) -> (", stringify!($y), ": T) where T: ", $types),
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    cx.same_as_input(0)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    unary_ops!(@grad cx $($grad)?)
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!(
                "Element by element, of the shape and dtype of `", stringify!($x), "` (", $types, "). TensorFlow: `", $tf, "`."
            )]
            #[track_caller]
            pub fn $function($x: impl Into<Tensor>) -> Tensor {
                $crate::ops::unary($op, stringify!($op), $x)
            }
        )*
    };
}
pub(super) use unary_ops;

/// A row: documentation, op, names of the operands, dtypes, and the gradients of both operands.
macro_rules! gradient_ops {
    ($register:ident: $(
        $(#[$doc:meta])*
        $op:ident $signature:literal, da $da:expr, db $db:expr;
    )*) => {
        fn $register(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            $crate::attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    cx.output(cx.dtype(0), cx.merged()?)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let g = $crate::ops::elementwise::Twice::new(cx);
                    let da: fn(&$crate::ops::elementwise::Twice) -> Tensor = $da;
                    let db: fn(&$crate::ops::elementwise::Twice) -> Tensor = $db;
                    Ok($crate::grads![cx.wanted(0, || da(&g)), cx.wanted(1, || db(&g))])
                }
            }
        )*
    };
}
pub(super) use gradient_ops;
