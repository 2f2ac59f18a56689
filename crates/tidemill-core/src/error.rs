//! What went wrong, at which node, on whose line, and what would cure it.

use std::fmt;
use std::panic::Location;

use crate::infer::TensorType;

/// The result of building or running a graph.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// TensorFlow's canonical status codes, as far as a graph can produce them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument, feed, shape or dtype does not fit.
    InvalidArgument,
    /// The state does not allow it: an uninitialised variable, a closed session, a finalised graph.
    FailedPrecondition,
    /// A name that does not exist.
    NotFound,
    /// A name that exists already.
    AlreadyExists,
    /// An index past the end.
    OutOfRange,
    /// Valid, but not supported here.
    Unimplemented,
    /// A memory budget would be exceeded.
    ResourceExhausted,
    /// The run was cancelled.
    Cancelled,
    /// The run's deadline passed.
    DeadlineExceeded,
    /// A file is damaged.
    DataLoss,
    /// A bug: of an op or kernel, or of this library.
    Internal,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Where a node comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A line of Rust.
    Rust(&'static Location<'static>),
    /// A node of a graph file.
    Imported {
        /// The file's name as the caller gave it.
        file: String,
        /// The node's name in that file.
        node: String,
    },
    /// Made while differentiating the named forward node; the box holds where that one comes from.
    GradientOf(String, Box<Origin>),
}

impl Origin {
    /// The calling line.
    #[track_caller]
    pub fn here() -> Origin {
        Origin::Rust(Location::caller())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Rust(at) => write!(f, "{at}"),
            Origin::Imported { file, node } => write!(f, "{file}: node \"{node}\""),
            Origin::GradientOf(node, forward) => write!(f, "gradient of \"{node}\" at {forward}"),
        }
    }
}

/// One operand as an error shows it.
#[derive(Clone, PartialEq, Debug)]
pub struct OperandNote {
    /// The argument's name in the op's signature.
    pub name: String,
    /// Its type.
    pub ty: TensorType,
    /// The node that computes it.
    pub node: String,
    /// Where that node comes from.
    pub origin: Origin,
}

/// An error with everything that is known about where it happened.
///
/// ```
/// use tidemill_core::{Error, ErrorKind};
/// let e = Error::invalid("inner dimensions differ, 14 and 12").with_help("transpose b");
/// assert_eq!(e.kind(), ErrorKind::InvalidArgument);
/// assert_eq!(e.to_string(), "inner dimensions differ, 14 and 12\n   help: transpose b");
/// ```
#[derive(Clone, PartialEq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq)]
struct Inner {
    kind: ErrorKind,
    message: String,
    node: Option<(String, String)>,
    operands: Vec<OperandNote>,
    origin: Option<Origin>,
    help: Option<String>,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            node: None,
            operands: vec![],
            origin: None,
            help: None,
        }))
    }

    /// [`ErrorKind::InvalidArgument`].
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::InvalidArgument, message)
    }

    /// [`ErrorKind::FailedPrecondition`].
    pub fn precondition(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::FailedPrecondition, message)
    }

    /// [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::NotFound, message)
    }

    /// [`ErrorKind::Unimplemented`].
    pub fn unimplemented(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unimplemented, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, message)
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without node, operands and origin.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The name of the node at fault, where one is known.
    pub fn node(&self) -> Option<&str> {
        self.0.node.as_ref().map(|(_, name)| name.as_str())
    }

    /// The type of the op at fault, where one is known.
    pub fn op(&self) -> Option<&str> {
        self.0.node.as_ref().map(|(op, _)| op.as_str())
    }

    /// Where the node at fault comes from, where that is known.
    pub fn origin(&self) -> Option<&Origin> {
        self.0.origin.as_ref()
    }

    /// Adds what the user can do about it.
    pub fn with_help(mut self, help: impl Into<String>) -> Error {
        self.0.help = Some(help.into());
        self
    }

    /// Says which node failed, unless that is already said.
    pub fn with_node(mut self, op: &str, name: &str) -> Error {
        self.0.node.get_or_insert_with(|| (op.to_owned(), name.to_owned()));
        self
    }

    /// Says where it happened, unless that is already said.
    pub fn with_origin(mut self, origin: Origin) -> Error {
        self.0.origin.get_or_insert(origin);
        self
    }

    /// Shows the operands of the node at fault, unless they are already shown.
    pub fn with_operands(mut self, operands: Vec<OperandNote>) -> Error {
        if self.0.operands.is_empty() {
            self.0.operands = operands;
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { message, node, operands, origin, help, .. } = &*self.0;
        if let Some((op, name)) = node {
            write!(f, "{op} \"{name}\": ")?;
        }
        write!(f, "{message}")?;
        if let Some(origin) = origin {
            write!(f, "\n  --> {origin}")?;
        }
        let columns: Vec<[String; 3]> = operands
            .iter()
            .map(|o| [format!("{}:", o.name), o.ty.to_string(), format!("\"{}\"", o.node)])
            .collect();
        let width = |i: usize| columns.iter().map(|c| c[i].len()).max().unwrap_or(0);
        let (w0, w1, w2) = (width(0), width(1), width(2));
        for ([name, ty, node], operand) in columns.iter().zip(operands) {
            write!(f, "\n   {name:w0$} {ty:w1$} {node:w2$}   {}", operand.origin)?;
        }
        if let Some(help) = help {
            write!(f, "\n   help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

impl From<tidemill_tensor::TensorError> for Error {
    fn from(e: tidemill_tensor::TensorError) -> Error {
        Error::invalid(e.to_string())
    }
}

/// The sugar's way out: the value, or a panic with the rendered error at the user's line.
#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
