//! Recorded graphs, played again.
//!
//! A case is a graph, what to feed and fetch, and what TensorFlow answered. Each is played by a process of its own, so nothing a case does can
//! hide the others.

mod badinputs;
mod compare;
mod conformance;
mod play;
mod pool;
mod summary;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The recorded graphs that can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corpus {
    /// What TensorFlow computed while its own tests ran: zip archives of cases.
    Conformance,
    /// Graphs made to do harm: a folder a case.
    BadInputs,
}

impl Corpus {
    /// The corpus of this name.
    pub fn named(name: &str) -> Corpus {
        if name == "badinputs" { Corpus::BadInputs } else { Corpus::Conformance }
    }

    fn name(self) -> &'static str {
        match self {
            Corpus::Conformance => "conformance",
            Corpus::BadInputs => "badinputs",
        }
    }

    /// Where the cases are: `dir`, or its folder `cases`.
    fn folder(dir: &Path) -> PathBuf {
        if dir.join("cases").is_dir() { dir.join("cases") } else { dir.to_owned() }
    }

    /// The names of all cases, sorted.
    fn cases(self, dir: &Path) -> Result<Vec<String>, String> {
        match self {
            Corpus::Conformance => conformance::cases(dir),
            Corpus::BadInputs => badinputs::cases(dir),
        }
    }

    fn play(self, dir: &Path, case: &str) -> Outcome {
        match self {
            Corpus::Conformance => conformance::play(dir, case),
            Corpus::BadInputs => badinputs::play(dir, case),
        }
    }
}

/// How to play.
#[derive(Clone, Debug)]
pub struct Options {
    /// A file that lists the cases, or beginnings of their names; all of them without one.
    pub list: Option<PathBuf>,
    /// How many processes.
    pub jobs: usize,
    /// Where to write one line of JSON a case.
    pub json: Option<PathBuf>,
    /// Seconds for a case that sets no limit of its own.
    pub timeout: u64,
}

/// How a case went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As recorded.
    Pass,
    /// An op or feature that is not there, said so cleanly.
    Unsupported,
    /// Another value, or another error, than recorded.
    Wrong,
    /// An error where a value was recorded.
    Error,
    /// A value where an error was wanted.
    Accepted,
    /// The process died.
    Crash,
    /// No answer within the time limit.
    Hang,
    /// More memory than allowed.
    OverBudget,
}

impl fmt::Display for Verdict {
    /// As the JSON lines write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// How a case went, and what there is to say about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The case's name.
    pub case: String,
    /// How it went.
    pub verdict: Verdict,
    /// Why.
    pub detail: String,
    /// The ops at fault, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<String>,
}

impl Outcome {
    fn new(case: &str, verdict: Verdict, detail: impl Into<String>) -> Outcome {
        Outcome { case: case.to_owned(), verdict, detail: detail.into(), ops: vec![] }
    }

    fn ops(mut self, ops: Vec<String>) -> Outcome {
        self.ops = ops;
        self
    }
}

/// Plays the cases of a folder, prints a line of JSON for each that does not pass (or writes one for each to the file asked for), what failed how
/// often, and last `N passed, N failed, N skipped`, where those that are not supported count as skipped; returns how many failed.
///
/// # Errors
/// When the folder or the list cannot be read, or no worker can be started.
pub fn all(corpus: Corpus, dir: &Path, options: &Options) -> Result<usize, String> {
    let mut cases = corpus.cases(dir)?;
    if let Some(list) = &options.list {
        let text = std::fs::read_to_string(list).map_err(|e| format!("{}: {e}", list.display()))?;
        let wanted: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        cases.retain(|case| wanted.iter().any(|w| case.starts_with(w)));
    }
    if cases.is_empty() {
        return Err(format!("there are no cases in {}", dir.display()));
    }
    let mut json = match &options.json {
        Some(path) => Some(std::fs::File::create(path).map_err(|e| format!("{}: {e}", path.display()))?),
        None => None,
    };
    let mut summary = summary::Summary::default();
    let limits = |case: &str| {
        let limits = pool::Limits { time: Duration::from_secs(options.timeout), memory: None };
        match corpus {
            Corpus::Conformance => limits,
            Corpus::BadInputs => badinputs::limits(dir, case).unwrap_or(limits),
        }
    };
    pool::play(corpus, dir, &cases, options.jobs, limits, |outcome| {
        let line = serde_json::to_string(&outcome).map_err(|e| e.to_string())?;
        match &mut json {
            Some(file) => writeln!(file, "{line}").map_err(|e| e.to_string())?,
            None if outcome.verdict != Verdict::Pass => println!("{line}"),
            None => {}
        }
        summary.add(outcome);
        Ok(())
    })?;
    println!("{summary}");
    Ok(summary.failed())
}

/// The process of one case: plays it, and prints the outcome as one line of JSON.
pub fn worker(corpus: Corpus, dir: &Path, case: &str) -> ExitCode {
    match serde_json::to_string(&corpus.play(dir, case)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}
