//! Ops as rows of a table, for families whose members differ in little but their signatures.

/// Declares ops: documentation, attributes (`field = "TensorFlow's name": type`), signature, effect, the shape rule, and the gradient if there is one.
macro_rules! op_table {
    ($(
        $(#[$doc:meta])*
        $op:ident { $($(#[$field_doc:meta])* $field:ident $(= $name:literal)? : $ty:ty),* $(,)? }
        $signature:literal $effect:ident,
        |$this:ident, $cx:ident| $rule:expr
        $(, grad |$op_of_grad:ident, $grad_cx:ident| $grad:expr)?;
    )*) => {
        pub(super) fn register(set: $crate::OpSet) -> $crate::OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op { $($(#[$field_doc])* pub $field: $ty),* }
            $crate::attrs!($op { $($field $(: $name)?),* });

            impl $crate::Op for $op {
                const SCHEMA: $crate::Schema =
                    $crate::Schema::new(stringify!($op), $signature).effect($crate::Effect::$effect);
                fn infer(&self, cx: &$crate::InferCx) -> $crate::Result<Vec<$crate::TensorType>> {
                    let ($this, $cx) = (self, cx);
                    let _ = ($this, $cx);
                    $rule
                }
                $(fn grad(&self, cx: &$crate::GradCx) -> $crate::Result<$crate::Grads> {
                    let ($op_of_grad, $grad_cx) = (self, cx);
                    let _ = ($op_of_grad, $grad_cx);
                    $grad
                })?
            }
        )*
    };
}
pub(super) use op_table;
