//! Probabilities of keeping an element, as cells with dropout take them.

use tidemill_core::{Error, Operand, Origin, Resolved, Tensor, ops};

use crate::dropout::{Dropout, dropout_with, number_in};
use crate::or_panic;

/// A number in `[0, 1]`, or a scalar tensor.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeepProb {
    Number(f64),
    Tensor(Tensor),
}

impl KeepProb {
    /// Nothing is dropped.
    pub(super) const ALL: KeepProb = KeepProb::Number(1.0);

    #[track_caller]
    pub(super) fn new(name: &str, prob: impl Operand) -> KeepProb {
        let origin = Origin::here();
        let checked = prob.natural().and_then(|prob| match prob {
            Resolved::Tensor(prob) => Ok(KeepProb::Tensor(prob)),
            Resolved::Value(value) => match number_in(&value) {
                Some(prob) if (0.0..=1.0).contains(&prob) => Ok(KeepProb::Number(prob)),
                _ => Err(Error::invalid(format!("{name} must be a number between 0 and 1, but is {value}"))),
            },
        });
        or_panic(checked.map_err(|e| e.with_origin(origin)))
    }

    /// Whether anything may be dropped.
    pub(super) fn drops(self) -> bool {
        !matches!(self, KeepProb::Number(1.0))
    }

    /// `x` after dropout.
    #[track_caller]
    pub(super) fn dropout(self, x: Tensor, seed: Option<i64>) -> Tensor {
        let of = match self {
            KeepProb::Number(1.0) => return x,
            KeepProb::Number(prob) => Dropout::new(1.0 - prob),
            KeepProb::Tensor(prob) => Dropout::new(1.0 - prob),
        };
        dropout_with(x, of.seed(seed))
    }

    /// `x` after dropout where `noise`, uniform in `[0, 1)`, says so.
    #[track_caller]
    pub(super) fn dropout_by(self, x: Tensor, noise: Tensor) -> Tensor {
        let (shifted, scaled) = match self {
            KeepProb::Number(prob) => (prob + noise, x / prob),
            KeepProb::Tensor(prob) => (prob + noise, x / prob),
        };
        scaled * ops::floor(shifted)
    }
}
