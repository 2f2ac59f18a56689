//! Graphs made to do harm: `FORMAT.md` beside them says how a case is written.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;
use serde::Deserialize;
use tidemill_core::{Error, ErrorKind, Graph};
use tidemill_session::Session;
use tidemill_tensor::{DType, Value, npz};

use super::compare::compare;
use super::play::{Player, failed};
use super::{Corpus, Outcome, Verdict, pool};

#[derive(Deserialize)]
struct Case {
    graph: String,
    feeds_file: Option<String>,
    expected_file: Option<String>,
    #[serde(default)]
    runs: Vec<Run>,
    expect: String,
    #[serde(default = "yes")]
    compare: bool,
    limits: Limits,
    run_options: Option<RunLimits>,
    #[serde(default)]
    op: String,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    feeds: Vec<Feed>,
    #[serde(default)]
    fetches: Vec<String>,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    expect: String,
}

#[derive(Deserialize)]
struct Feed {
    tensor: String,
    dtype: String,
    key: Option<String>,
}

#[derive(Deserialize)]
struct Limits {
    timeout_s: f64,
    memory_mb: u64,
}

#[derive(Deserialize)]
struct RunLimits {
    timeout_ms: Option<u64>,
}

/// The folders with a case.
pub(super) fn cases(dir: &Path) -> Result<Vec<String>, String> {
    let dir = Corpus::folder(dir);
    let entries = fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut all: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("case.json").is_file())
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    all.sort();
    Ok(all)
}

fn read(dir: &Path, case: &str) -> Result<Case, String> {
    let path = Corpus::folder(dir).join(case).join("case.json");
    let text = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// What the case may use.
pub(super) fn limits(dir: &Path, case: &str) -> Option<pool::Limits> {
    let Limits { timeout_s, memory_mb } = read(dir, case).ok()?.limits;
    Some(pool::Limits { time: Duration::try_from_secs_f64(timeout_s).ok()?, memory: Some(memory_mb) })
}

/// Plays one case, twice.
pub(super) fn play(dir: &Path, case: &str) -> Outcome {
    let recorded = match read(dir, case) {
        Ok(recorded) => recorded,
        Err(what) => return Outcome::new(case, Verdict::Error, format!("the case itself: {what}")),
    };
    let op = vec![recorded.op.clone()];
    let before = Memory::reset();
    let mut outcome = match judge(&Corpus::folder(dir).join(case), case, &recorded) {
        Ok(outcome) => outcome,
        Err(what) => Outcome::new(case, Verdict::Error, format!("the case itself: {what}")),
    };
    if let Some(grown) = before.and_then(Memory::grown)
        && grown > recorded.limits.memory_mb
    {
        outcome = Outcome::new(case, Verdict::OverBudget, format!("{grown} MiB"));
    }
    if let Err(e) = good_graph() {
        outcome = Outcome::new(case, Verdict::Wrong, format!("afterwards a good graph fails: {e}"));
    }
    if outcome.ops.is_empty() { outcome.ops(op) } else { outcome }
}

fn judge(folder: &Path, case: &str, recorded: &Case) -> Result<Outcome, String> {
    let bytes = graph(&folder.join(&recorded.graph))?;
    let arrays = |name: &Option<String>| -> Result<BTreeMap<String, Value>, String> {
        match name {
            Some(name) => {
                npz::load(folder.join(name)).map(|all| all.into_iter().collect()).map_err(|e| e.to_string())
            }
            None => Ok(BTreeMap::new()),
        }
    };
    let (feeds, expected) = (arrays(&recorded.feeds_file), arrays(&recorded.expected_file));
    let (first, second) = match &feeds {
        Ok(feeds) => (steps(&bytes, recorded, feeds), steps(&bytes, recorded, feeds)),
        Err(_) => return Ok(Outcome::new(case, Verdict::Unsupported, "dtype of a feed")),
    };
    let outcome = |verdict, what: String| Ok(Outcome::new(case, verdict, what));
    let values = match (first, second) {
        (Err(Stop::Unsupported(what)), _) => return outcome(Verdict::Unsupported, what),
        (Err(Stop::Error(e)), _) if e.kind() == ErrorKind::Internal => {
            return outcome(Verdict::Wrong, format!("Internal: {e}"));
        }
        (Err(Stop::Error(e)), Err(Stop::Error(_))) => {
            return Ok(match recorded.expect.as_str() {
                "value" => failed(case, "play", &e),
                _ => Outcome::new(case, Verdict::Pass, e.to_string()),
            });
        }
        (Ok(a), Ok(b)) => {
            let alike = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.bitwise_eq(b));
            if recorded.compare && !alike {
                return outcome(Verdict::Wrong, "the second time gives other values".to_owned());
            }
            a
        }
        _ => return outcome(Verdict::Wrong, "an error in one of two times".to_owned()),
    };
    if recorded.expect == "error" {
        return outcome(Verdict::Accepted, format!("gives {} values", values.len()));
    }
    let expected = match expected {
        Ok(expected) if recorded.compare => expected,
        _ => return outcome(Verdict::Pass, String::new()),
    };
    for (i, got) in values.iter().enumerate() {
        let Some(want) = expected.get(&format!("v{i}")) else { continue };
        let want = match want.dtype() == DType::U16 && got.dtype() == DType::BF16 {
            true => Value::from_bytes(DType::BF16, want.shape().clone(), want.bytes())
                .map_err(|e| e.to_string())?,
            false => want.clone(),
        };
        let rtol = match want.dtype() {
            DType::F16 => 1e-2,
            DType::BF16 => 5e-2,
            _ => 1e-5,
        };
        if let Err(what) = compare(&want, got, (rtol, 1e-6)) {
            return outcome(Verdict::Wrong, format!("value {i}: {what}"));
        }
    }
    outcome(Verdict::Pass, String::new())
}

enum Stop {
    Error(Error),
    Unsupported(String),
}

/// Imports and runs; the values of the last run, or the first error that no run expects.
fn steps(bytes: &[u8], recorded: &Case, feeds: &BTreeMap<String, Value>) -> Result<Vec<Value>, Stop> {
    // Several things at once are to fit into the limit.
    let limit = (recorded.limits.memory_mb as usize) << 18;
    let player = Player::new(bytes, &[], Some(limit)).map_err(|refused| Stop::Error(refused.error))?;
    let timeout = recorded.run_options.as_ref().and_then(|o| o.timeout_ms);
    let timeout = Duration::from_millis(timeout.unwrap_or((recorded.limits.timeout_s * 400.0) as u64));
    let mut values = vec![];
    for (i, run) in recorded.runs.iter().enumerate() {
        let mut fed = vec![];
        for feed in &run.feeds {
            let value = feed.key.as_ref().and_then(|key| feeds.get(key));
            let (Some(value), Ok(dtype)) = (value, feed.dtype.parse::<DType>()) else {
                return Err(Stop::Unsupported(format!("a feed of dtype {}", feed.dtype)));
            };
            let value = match dtype == DType::BF16 {
                true => Value::from_bytes(dtype, value.shape().clone(), value.bytes())
                    .map_err(|e| Stop::Error(e.into()))?,
                false => value.clone(),
            };
            fed.push((feed.tensor.clone(), value));
        }
        let last = i + 1 == recorded.runs.len();
        match player.run(&fed, &run.fetches, &run.targets, Some(timeout)) {
            Ok(got) => values = got,
            // A session must live on after a run that fails on purpose.
            Err(_) if !last && run.expect == "error" => {}
            Err(e) => return Err(Stop::Error(e)),
        }
    }
    Ok(values)
}

fn graph(path: &Path) -> Result<Vec<u8>, String> {
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    let bytes = fs::read(path).map_err(fail)?;
    if path.extension().is_none_or(|e| e != "gz") {
        return Ok(bytes);
    }
    let mut unpacked = vec![];
    GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).map_err(fail)?;
    Ok(unpacked)
}

/// A run that must work whatever was played before.
fn good_graph() -> Result<(), String> {
    let graph = Graph::new();
    let y = graph.constant([1f32, 2.0]) * 3.0;
    let value = Session::new(&graph).run(y, tidemill_session::FeedDict::new()).map_err(|e| e.to_string())?;
    match value.to_vec::<f32>() {
        Ok(v) if v == [3.0, 6.0] => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// How much memory this process has in use.
struct Memory {
    before: u64,
}

impl Memory {
    /// Forgets the highest use so far. Only Linux tells.
    fn reset() -> Option<Memory> {
        fs::write("/proc/self/clear_refs", "5").ok()?;
        Some(Memory { before: status("VmRSS:")? })
    }

    /// By how many MiB the highest use since exceeds that at the beginning.
    fn grown(self) -> Option<u64> {
        Some(status("VmHWM:")?.saturating_sub(self.before) >> 10)
    }
}

fn status(field: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
