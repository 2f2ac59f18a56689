//! How optimizers whose step is one op for each variable are declared.

use tidemill_core::{Graph, Op, Operation, Result, Tensor};

/// A row: documentation, the optimizer and its name; its hyperparameters after the learning rate, with their names in the graph and their defaults;
/// its slots with what they start from; its dense and sparse op; and their operands: the variable, the slots in this order, and the tensors of the two
/// lists with the gradient between them (and its indices after it, in the sparse op).
///
/// What slots, ops and operands see of the optimizer is `this`, `of` gives a hyperparameter by number, and `fields` are what an optimizer has beside
/// hyperparameters.
macro_rules! optimizers {
    ($(
        $(#[$doc:meta])*
        $optimizer:ident $name:literal,
        hyperparameters { $($(#[$hyper_doc:meta])* $hyper:ident = $default:expr;)* }
        $(new($new:ident: $new_ty:ty),)?
        $(fields { $($(#[$field_doc:meta])* $field:ident: $field_ty:ty = $field_default:expr;)* })?
        slots |$this:ident| $slots:expr,
        steps |$dense:ident, $graph:ident, $operands:ident| $dense_op:expr, $sparse_op:expr,
        operands |$of:ident| $order:expr, $before:expr, gradient, $after:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $optimizer {
            learning_rate: Hyper,
            $($hyper: Hyper,)*
            $($new: $new_ty,)?
            $($($field: $field_ty,)*)?
            name: String,
            slots: Slots,
        }

        impl $optimizer {
            /// With this learning rate: a number or a scalar tensor. What else there is has TensorFlow's defaults.
            pub fn new(learning_rate: impl Into<Hyper> $(, $new: $new_ty)?) -> Self {
                Self {
                    learning_rate: learning_rate.into(),
                    $($hyper: Hyper::Number($default),)*
                    $($new,)?
                    $($($field: $field_default,)*)?
                    name: $name.to_owned(),
                    slots: Slots::new(),
                }
            }

            $(
                $(#[$hyper_doc])*
                pub fn $hyper(mut self, $hyper: impl Into<Hyper>) -> Self {
                    self.$hyper = $hyper.into();
                    self
                }
            )*

            $($(
                $(#[$field_doc])*
                pub fn $field(mut self, $field: $field_ty) -> Self {
                    self.$field = $field;
                    self
                }
            )*)?

            /// Under another name.
            pub fn named(mut self, name: &str) -> Self {
                self.name = name.to_owned();
                self
            }

            /// The operands of an update, the gradient being these.
            fn operands(&self, update: &Update, variable: Variable, gradient: &[Tensor]) -> Result<Vec<Tensor>> {
                let $this = self;
                let _ = $this;
                let mut operands = vec![variable.reference()];
                for slot in $order {
                    operands.push(update.slot(variable, slot)?.reference());
                }
                let $of = |i: usize| update.hyper(i, variable.dtype());
                operands.extend::<Vec<Tensor>>($before);
                operands.extend_from_slice(gradient);
                operands.extend::<Vec<Tensor>>($after);
                Ok(operands)
            }
        }

        impl Optimizer for $optimizer {
            fn name(&self) -> &str {
                &self.name
            }

            fn slots(&self) -> &Slots {
                &self.slots
            }

            fn hyperparameters(&self) -> Vec<(&'static str, Hyper)> {
                vec![("learning_rate", self.learning_rate), $((stringify!($hyper), self.$hyper)),*]
            }

            fn create_slots(&self, variables: &[Variable]) -> Result<()> {
                let $this = self;
                let _ = $this;
                for variable in variables {
                    for (slot, initial) in $slots {
                        self.slots.make(*variable, slot, &self.name, init::constant(initial))?;
                    }
                }
                Ok(())
            }

            fn apply_dense(&self, update: &Update, variable: Variable, gradient: Tensor) -> Result<Operation> {
                let $dense = self;
                let _ = $dense;
                let ($graph, $operands) = (update.graph(), self.operands(update, variable, &[gradient])?);
                $dense_op
            }

            fn apply_sparse(&self, update: &Update, variable: Variable, gradient: IndexedSlices) -> Result<Operation> {
                let $dense = self;
                let gradient = [gradient.values, gradient.indices];
                let ($graph, $operands) = (update.graph(), self.operands(update, variable, &gradient)?);
                $sparse_op
            }
        }
    )*};
}
pub(super) use optimizers;

/// A node of `op`.
pub(super) fn apply(graph: &Graph, op: impl Op, operands: Vec<Tensor>) -> Result<Operation> {
    graph.op(op).inputs(&operands).try_build()
}
