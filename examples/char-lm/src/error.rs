//! What can go wrong.

use std::io;
use std::path::PathBuf;

use tidemill as tf;

/// Why the program stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A number that nothing can be done with.
    #[error("{what} must be {want}: {value} is not")]
    Setting {
        /// What the number is.
        what: &'static str,
        /// What it may be.
        want: String,
        /// What it is.
        value: String,
    },
    /// A text that could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A text too short for the batches asked for.
    #[error(
        "{part} has {have} characters, but {rows} rows of {steps} steps take {need}: give more text, or ask for smaller batches"
    )]
    TooShort {
        /// What part of the text.
        part: &'static str,
        /// How many characters there are.
        have: usize,
        /// How many it takes.
        need: usize,
        /// Rows of a batch.
        rows: usize,
        /// Steps of a window.
        steps: usize,
    },
    /// A character that is not in the text that the model was trained on.
    #[error("the model has never seen {0:?}: it was not in the text it was trained on")]
    UnknownCharacter(char),
    /// Training was to go on with another text.
    #[error(
        "the checkpoint was trained on another text: go on with the same --text, or start anew without --resume"
    )]
    OtherText,
    /// A checkpoint that could not be read.
    #[error("cannot read the checkpoint {}: {message}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A checkpoint that could not be written.
    #[error("cannot write the checkpoint {}: {message}", path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// The loss is no number any more.
    #[error("the loss is {loss} after {steps} steps: try a smaller --learning-rate")]
    Diverged {
        /// The loss.
        loss: f32,
        /// The training steps taken.
        steps: u64,
    },
    /// The session refused a run.
    #[error(transparent)]
    Session(#[from] tf::Error),
    /// Standard output could not be written to.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

impl From<tf::tensor::TensorError> for Error {
    fn from(error: tf::tensor::TensorError) -> Error {
        Error::Session(error.into())
    }
}
