//! Optimizers and the global step.
//!
//! ```
//! use tidemill_core::{Graph, ops};
//! use tidemill_nn::train::{self, AdagradOptimizer, MinimizeOptions, Optimizer};
//! let g = Graph::new();
//! let w = g.get_variable("w", [3]);
//! let loss = ops::reduce_sum(w * w);
//! let optimizer = AdagradOptimizer::new(0.1);
//! let train_step = optimizer.minimize(loss);
//! assert_eq!(train_step.name(), "Adagrad");
//! assert_eq!(optimizer.get_slot(w, "accumulator").unwrap().name(), "w/Adagrad:0");
//!
//! let step = train::get_or_create_global_step(&g);
//! let counted = optimizer.minimize_with(loss, MinimizeOptions::new().global_step(step));
//! ```

mod adagrad;
mod adam;
mod adaptive;
mod averages;
mod decay;
mod family;
mod gradient_descent;
mod momentum;
mod optimizer;
mod proximal;
mod slots;
mod step;

pub use adagrad::AdagradOptimizer;
pub use adam::AdamOptimizer;
pub use adaptive::{AdadeltaOptimizer, RMSPropOptimizer};
pub use averages::ExponentialMovingAverage;
pub use decay::{
    LearningRateDecay, NoisyLinearCosine, cosine_decay, cosine_decay_restarts, exponential_decay,
    inverse_time_decay, linear_cosine_decay, natural_exp_decay, noisy_linear_cosine_decay,
    piecewise_constant, polynomial_decay,
};
pub use gradient_descent::GradientDescentOptimizer;
pub use momentum::MomentumOptimizer;
pub use optimizer::{GradientsAndVariables, Hyper, MinimizeOptions, Optimizer, Update};
pub use proximal::{
    AdagradDAOptimizer, FtrlOptimizer, ProximalAdagradOptimizer, ProximalGradientDescentOptimizer,
};
pub use slots::Slots;
pub use step::{create_global_step, get_global_step, get_or_create_global_step};

use tidemill_core::{Operation, Tensor};

/// The two calls that every program makes, without a `use` of the trait.
macro_rules! inherent {
    ($($optimizer:ident)*) => {$(
        impl $optimizer {
            /// [`Optimizer::minimize`].
            #[track_caller]
            pub fn minimize(&self, loss: Tensor) -> Operation {
                Optimizer::minimize(self, loss)
            }

            /// [`Optimizer::minimize_with`].
            #[track_caller]
            pub fn minimize_with(&self, loss: Tensor, options: MinimizeOptions) -> Operation {
                Optimizer::minimize_with(self, loss, options)
            }

            /// [`Optimizer::compute_gradients`].
            #[track_caller]
            pub fn compute_gradients(&self, loss: Tensor) -> GradientsAndVariables {
                Optimizer::compute_gradients(self, loss)
            }

            /// [`Optimizer::apply_gradients`].
            #[track_caller]
            pub fn apply_gradients(&self, pairs: &[(Option<tidemill_core::Gradient>, tidemill_core::Variable)]) -> Operation {
                Optimizer::apply_gradients(self, pairs)
            }
        }
    )*};
}
inherent!(
    AdadeltaOptimizer AdagradDAOptimizer AdagradOptimizer AdamOptimizer FtrlOptimizer GradientDescentOptimizer
    MomentumOptimizer ProximalAdagradOptimizer ProximalGradientDescentOptimizer RMSPropOptimizer
);
