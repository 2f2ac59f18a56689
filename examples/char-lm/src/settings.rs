//! The sizes of a model, and how it is trained.

use crate::{Error, Result};

/// The sizes of a model, and how it is trained. A checkpoint keeps them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Units of each layer.
    pub units: usize,
    /// Layers of LSTM cells, one above the other.
    pub layers: usize,
    /// Rows of a batch: places at which the text is read at once.
    pub batch_size: usize,
    /// Steps of a window: characters that a training step reads of each row, and that gradients flow back through.
    pub num_steps: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Seed of the initial weights.
    pub seed: u64,
}

impl Default for Settings {
    /// Small enough to learn visibly in a short run on one core.
    fn default() -> Settings {
        Settings { units: 96, layers: 1, batch_size: 16, num_steps: 32, learning_rate: 0.004, seed: 1 }
    }
}

/// No size may be larger: what is multiplied with it still fits.
const LARGEST: usize = 1 << 16;

impl Settings {
    /// The settings, if a model can be made with them.
    ///
    /// # Errors
    /// When a size is zero or absurd, or nothing can be learned at the rate.
    pub fn checked(self) -> Result<Settings> {
        let sizes = [
            ("the number of units", self.units),
            ("the number of layers", self.layers),
            ("the batch size", self.batch_size),
            ("the number of steps", self.num_steps),
        ];
        for (what, size) in sizes {
            if !(1..=LARGEST).contains(&size) {
                let want = format!("from 1 to {LARGEST}");
                return Err(Error::Setting { what, want, value: size.to_string() });
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            let (what, value) = ("the learning rate", self.learning_rate.to_string());
            return Err(Error::Setting { what, want: "a positive number".to_owned(), value });
        }
        Ok(self)
    }
}
