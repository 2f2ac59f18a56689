//! [`Battery`]: ops, their rows, and the run over all of them.

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::{Graph, Op, OpSet, Result};
use tidemill_session::kernels::{CompileCx, Compiled};
use tidemill_session::{CpuKernel, Session, SessionBuilder};

use crate::checks::{self, Bench};
use crate::row::Row;

/// A set of ops with rows of examples, each of which goes through every check there is.
///
/// | check | says |
/// |---|---|
/// | types | the shape rule on partial shapes and values never contradicts what the kernel gives, nor knows more than on full ones; [`constant_value`](Op::constant_value) gives the kernel's elements |
/// | attributes | the op read back from its attributes is the same op |
/// | values | outputs are of the inferred types, and the same with and without optimisation, whether operands are fed or constants, their shapes known or not; they are what the row expects; [`lower`](Op::lower) gives the same |
/// | gradient | first and second order agree with central differences ([`check_gradients`](crate::check_gradients)), in each of those ways |
/// | text | the graph with the node and its gradients, read back from its [text form](Graph::to_text), gives the same |
/// | graphdef | the graph with the node and its gradients, written as a GraphDef and imported, gives the same; written and imported once more, it is the same |
/// | dtypes | every dtype that the signature allows runs; `f32`, `f16` and `bf16` give the values and gradients of `f64` within their precision |
///
/// What an op does beside computing decides how a row is run: an op that draws random numbers must give the same ones in every
/// session, and other ones in the next run; variables are set afresh before each run, and compared after it.
///
/// ```
/// use tidemill_conformance::{Battery, row, x};
/// use tidemill_core::*;
/// use tidemill_session::{CpuKernel, KernelCx};
///
/// #[derive(Debug, Clone, PartialEq)]
/// struct Scale { factor: f32 }
/// attrs!(Scale { factor });
/// impl Op for Scale {
///     const SCHEMA: Schema = Schema::new("Scale", "(x: T) -> (y: T) where T: Float");
///     fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> { cx.same_as_input(0) }
///     fn grad(&self, cx: &GradCx) -> Result<Grads> { Ok(grads![cx.dy(0) * self.factor]) }
/// }
/// impl CpuKernel for Scale {
///     fn run(&self, cx: &mut KernelCx) -> Result<()> { cx.map(|x| x * f64::from(self.factor)) }
/// }
///
/// Battery::new().op::<Scale>([row(Scale { factor: 1.5 }, [x([2, 3])]), row(Scale { factor: -1.0 }, [x([])])]).check();
/// ```
#[derive(Clone)]
pub struct Battery {
    /// The ops that rows may be of.
    ops: OpSet,
    /// Those that must have rows.
    examined: Vec<&'static str>,
    rows: Vec<Row>,
    kernels: Vec<Kernel>,
}

type Kernel = Arc<dyn Fn(SessionBuilder) -> SessionBuilder + Send + Sync>;

/// Something that a check found.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The op.
    pub op: String,
    /// The line of the row; `None` when the op has no rows.
    pub at: Option<&'static Location<'static>>,
    /// The check.
    pub check: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Battery {
    /// No rows. Rows of standard ops and of functions may be added as they are; other ops come with their kernel.
    pub fn new() -> Battery {
        Battery { ops: OpSet::standard(), examined: vec![], rows: vec![], kernels: vec![] }
    }

    /// Every op of [`OpSet::standard`], with the rows of this crate.
    pub fn standard() -> Battery {
        Battery {
            examined: OpSet::standard().names().collect(),
            rows: crate::rows::standard(),
            ..Battery::new()
        }
    }

    /// Adds an op with its kernel and rows.
    pub fn op<O: CpuKernel>(self, rows: impl IntoIterator<Item = Row>) -> Battery {
        self.with::<O>(Arc::new(|session| session.kernel::<O>()), rows)
    }

    /// Adds an op with a kernel given as its compile function, and rows.
    pub fn compiled_op<O: Op>(
        self,
        compile: fn(&O, &CompileCx) -> Result<Compiled>,
        rows: impl IntoIterator<Item = Row>,
    ) -> Battery {
        self.with::<O>(Arc::new(move |session| session.compiled_kernel::<O>(compile)), rows)
    }

    fn with<O: Op>(mut self, kernel: Kernel, rows: impl IntoIterator<Item = Row>) -> Battery {
        self.ops = self.ops.with::<O>();
        self.examined.push(O::SCHEMA.name);
        self.kernels.push(kernel);
        self.rows.extend(rows);
        self
    }

    /// Adds rows.
    pub fn rows(mut self, rows: impl IntoIterator<Item = Row>) -> Battery {
        self.rows.extend(rows);
        self
    }

    /// Runs all rows, on all processors, and returns what is wrong, in the order of the rows. An op without rows is wrong.
    pub fn failures(&self) -> Vec<Failure> {
        let mut failures: Vec<Failure> = self
            .examined
            .iter()
            .filter(|name| !self.rows.iter().any(|row| row.schema().name == **name))
            .map(|name| Failure {
                op: (*name).to_owned(),
                at: None,
                check: "rows",
                message: "the op has no rows: add an example of it to the battery".to_owned(),
            })
            .collect();
        let next = AtomicUsize::new(0);
        let found = Mutex::new(vec![]);
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some((i, row)) = {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        self.rows.get(i).map(|row| (i, row))
                    } {
                        let failures = self.run(row);
                        found.lock().unwrap_or_else(PoisonError::into_inner).push((i, failures));
                    }
                });
            }
        });
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|(i, _)| *i);
        failures.extend(found.into_iter().flat_map(|(_, failures)| failures));
        failures
    }

    /// Runs all rows.
    ///
    /// # Panics
    /// When anything is wrong, with all of it.
    #[track_caller]
    pub fn check(&self) {
        let failures = self.failures();
        let list: Vec<String> = failures.iter().map(Failure::to_string).collect();
        assert!(list.is_empty(), "{} checks failed\n\n{}", list.len(), list.join("\n\n"));
    }

    fn run(&self, row: &Row) -> Vec<Failure> {
        let fail =
            |(check, message)| Failure { op: row.schema().name.to_owned(), at: Some(row.at), check, message };
        let bench = match Bench::new(self, row) {
            Ok(bench) => bench,
            Err(e) => return vec![fail(("row", e.to_string()))],
        };
        let checks = if row.fails.is_some() { checks::OF_WRONG_ROWS } else { checks::OF_ROWS };
        let run = |(name, check): &checks::Named| {
            // Building sugar inside gradient rules panics with the error.
            let outcome = catch_unwind(AssertUnwindSafe(|| check(&bench)));
            let message = match outcome {
                Ok(outcome) => outcome.err()?,
                Err(panic) => format!("panicked: {}", said(&*panic)),
            };
            Some(fail((*name, message)))
        };
        let failed: Vec<Failure> = checks.iter().filter_map(run).collect();
        // Whether files hold an op can be seen only of one that is right.
        match failed.is_empty() && row.fails.is_none() {
            true => run(&checks::OF_RIGHT_ROWS).into_iter().collect(),
            false => failed,
        }
    }

    pub(crate) fn ops(&self) -> &OpSet {
        &self.ops
    }

    pub(crate) fn session(&self, graph: &Graph, optimise: bool) -> Session {
        let session = Session::builder(graph).optimise(optimise);
        self.kernels.iter().fold(session, |session, kernel| kernel(session)).build()
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "something that is no message".to_owned())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.op, self.check)?;
        if let Some(at) = self.at {
            write!(f, " at {at}")?;
        }
        write!(f, "\n  {}", self.message.replace('\n', "\n  "))
    }
}

impl Default for Battery {
    fn default() -> Self {
        Battery::new()
    }
}

impl fmt::Debug for Battery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Battery({} rows)", self.rows.len())
    }
}
