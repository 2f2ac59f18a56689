//! A graph file and a session of it.

use std::time::Duration;

use tidemill_core::{Error, ErrorKind, Graph, OpSet, Operation, Result, ops};
use tidemill_graphdef::{ImportOptions, Imported, import_graph_def, read_graph_def, unsupported_ops};
use tidemill_session::{FeedDict, RunOptions, Session};
use tidemill_tensor::Value;

use super::{Outcome, Verdict};

/// An imported graph, and the session in which the steps of a case are run.
pub(super) struct Player {
    imported: Imported,
    session: Session,
}

/// Why a graph cannot be played.
pub(super) struct Refused {
    pub(super) error: Error,
    /// The ops that are not supported.
    ops: Vec<String>,
}

impl Player {
    /// The graph, as far as `wanted` needs it; all of it when that is empty.
    /// A run may use `memory_limit` bytes for one thing, if that is given.
    pub(super) fn new(
        bytes: &[u8],
        wanted: &[String],
        memory_limit: Option<usize>,
    ) -> Result<Player, Box<Refused>> {
        let refused = |error| Box::new(Refused { error, ops: vec![] });
        let def = read_graph_def(bytes).map_err(refused)?;
        let mut options = ImportOptions::new().ops(OpSet::standard());
        if !wanted.is_empty() {
            options = options.only(wanted);
        }
        let graph = Graph::new();
        match import_graph_def(&graph, &def, &options) {
            Ok(imported) => {
                let session = Session::builder(&graph);
                let session = match memory_limit {
                    Some(bytes) => session.memory_limit(bytes),
                    None => session,
                };
                Ok(Player { imported, session: session.build() })
            }
            Err(error) => {
                let missing = unsupported_ops(&def, &options).unwrap_or_default();
                Err(Box::new(Refused { error, ops: missing.into_iter().map(|m| m.op).collect() }))
            }
        }
    }

    /// Gives a variable a value.
    pub(super) fn set_variable(&self, node: &str, value: Value) -> Result<()> {
        let reference = self.imported.tensor(node)?;
        let graph = self.imported.graph();
        let feed = graph
            .op(ops::Placeholder { dtype: value.dtype(), shape: value.shape().into() })
            .name("replay/value")
            .try_build()?
            .output(0);
        let assign = ops::Assign { validate_shape: false, use_locking: true };
        let assign = graph.op(assign).name("replay/assign").input(reference).input(feed).try_build()?;
        self.session.run(assign, FeedDict::new().with(feed, value))
    }

    /// The op of a tensor, for the breakdown.
    pub(super) fn op_of(&self, tensor: &str) -> Vec<String> {
        self.imported.tensor(tensor).map(|t| t.op().op_type().to_owned()).into_iter().collect()
    }

    /// One run.
    pub(super) fn run(
        &self,
        feeds: &[(String, Value)],
        fetches: &[String],
        targets: &[String],
        timeout: Option<Duration>,
    ) -> Result<Vec<Value>> {
        let mut dict = FeedDict::new();
        for (name, value) in feeds {
            dict.insert(self.imported.tensor(name)?, value.clone());
        }
        let fetches: Vec<_> = fetches.iter().map(|name| self.imported.tensor(name)).collect::<Result<_>>()?;
        let targets: Vec<Operation> =
            targets.iter().map(|name| self.imported.operation(name)).collect::<Result<_>>()?;
        let mut options = RunOptions::new();
        if let Some(timeout) = timeout {
            options = options.timeout(timeout);
        }
        let (values, _) = self.session.run_with((fetches, targets), dict, options)?;
        Ok(values)
    }
}

/// The outcome when a case that should run gives an error.
pub(super) fn failed(case: &str, during: &str, error: &Error) -> Outcome {
    let unsupported = error.kind() == ErrorKind::Unimplemented;
    let verdict = if unsupported { Verdict::Unsupported } else { Verdict::Error };
    let ops = error.op().map(str::to_owned).into_iter().collect();
    Outcome::new(case, verdict, format!("{during}: {}: {error}", error.kind())).ops(ops)
}

/// The outcome when a graph that should be played is refused.
pub(super) fn refused(case: &str, refused: &Refused) -> Outcome {
    let outcome = failed(case, "import", &refused.error);
    if refused.ops.is_empty() { outcome } else { outcome.ops(refused.ops.clone()) }
}
