//! What a node of a file has become.

use std::rc::Rc;

use smallvec::SmallVec;
use tidemill_core::{Operation, Tensor};

use crate::dtype;
use crate::proto::DataType;

/// The value of one output.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    /// A tensor of the graph; a reference, for variables.
    Tensor(Tensor),
    /// The handle of a resource variable, whose reference this is.
    Variable(Tensor),
    /// Constant strings, which only messages are made of.
    Strings(Rc<Vec<String>>),
}

impl Val {
    /// The tensor that stands for it outside of the importer.
    pub(super) fn tensor(&self) -> Option<Tensor> {
        match self {
            Val::Tensor(t) | Val::Variable(t) => Some(*t),
            Val::Strings(_) => None,
        }
    }

    /// The tensors that it is made of, which loops carry and conditionals give.
    pub(super) fn parts(&self) -> SmallVec<[Tensor; 1]> {
        match self {
            Val::Tensor(t) => SmallVec::from_iter([*t]),
            Val::Variable(_) | Val::Strings(_) => SmallVec::new(),
        }
    }

    /// The same with other parts, as many as it has taken from `parts`.
    pub(super) fn with_parts(&self, parts: &mut dyn Iterator<Item = Tensor>) -> Val {
        match self {
            Val::Tensor(t) => Val::Tensor(parts.next().unwrap_or(*t)),
            Val::Variable(_) | Val::Strings(_) => self.clone(),
        }
    }

    /// Whether one may stand where the other stands, with other parts.
    pub(super) fn is_like(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::Tensor(a), Val::Tensor(b)) => a.dtype() == b.dtype(),
            (a, b) => a == b,
        }
    }

    /// The number of its dtype.
    pub(super) fn dtype(&self) -> i32 {
        match self {
            Val::Tensor(t) => dtype::to_proto(t.dtype()).unwrap_or_default(),
            Val::Variable(_) => DataType::DtResource as i32,
            Val::Strings(_) => DataType::DtString as i32,
        }
    }

    /// What it is, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Val::Tensor(t) => format!("a tensor {}", t.ty()),
            Val::Variable(_) => "the handle of a variable".to_owned(),
            Val::Strings(_) => "a constant string".to_owned(),
        }
    }
}

/// A node's outputs, and the operation that stands for it in control dependencies.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    pub(super) outputs: SmallVec<[Val; 1]>,
    pub(super) operation: Option<Operation>,
}

impl Made {
    /// One output, which is no operation of its own.
    pub(super) fn value(value: Val) -> Made {
        let operation = value.parts().first().map(|t| t.op());
        Made { outputs: SmallVec::from_iter([value]), operation }
    }
}

impl From<Operation> for Made {
    fn from(operation: Operation) -> Made {
        Made {
            outputs: operation.outputs().into_iter().map(Val::Tensor).collect(),
            operation: Some(operation),
        }
    }
}
