//! W8: a long chain of operations on sixteen numbers: what an operation costs when there is nearly nothing to compute.

use tf::{Tensor, feed};
use tidemill as tf;

use super::{Built, Workload};
use crate::Error;

/// The chain.
pub struct Chain {
    session: tf::Session,
    parts: Parts,
}

/// The graph, with what it will be fed.
pub(super) struct Parts {
    x: Tensor,
    y: Tensor,
    value: tf::Value,
}

impl Chain {
    /// How many operations there are.
    pub const OPS: usize = 2001;

    /// The chain: multiply, add, tanh, multiply, ...
    pub(super) fn build(g: &tf::Graph) -> Parts {
        let x = g.placeholder(tf::f32, [16]).named("x");
        let mut y = x;
        for _ in 0..Chain::OPS / 3 {
            y = tf::tanh(y * 1.0001 + 0.1);
        }
        let value: [f32; 16] = std::array::from_fn(|i| i as f32 / 7.5 - 1.0);
        Parts { x, y, value: value.into() }
    }
}

impl Built for Parts {
    fn start(self, session: tf::Session) -> Result<Box<dyn Workload>, Error> {
        Ok(Box::new(Chain { session, parts: self }))
    }
}

impl Workload for Chain {
    /// Not a loss but the first of the sixteen results.
    fn step_with(&mut self, options: tf::RunOptions) -> tf::Result<f32> {
        let Parts { x, y, value } = &self.parts;
        let y = self.session.run_with(*y, feed! { *x => value }, options)?;
        Ok(y.as_slice::<f32>()?[0])
    }
}
