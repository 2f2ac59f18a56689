//! The corpus of what TensorFlow computed: `FORMAT.md` beside it says how a case is written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tidemill_core::{Error, ErrorKind};
use tidemill_tensor::{DType, Value};
use zip::ZipArchive;

use super::compare::{compare, tolerance};
use super::play::{Player, failed, refused};
use super::{Corpus, Outcome, Verdict};

/// No step of a case takes anywhere near as long.
const RUN_LIMIT: Duration = Duration::from_secs(40);

/// How much looser cases are compared that TensorFlow itself, with other kernels, does not repeat within the tolerance.
const SENSITIVE: f64 = 1000.0;

#[derive(Deserialize)]
struct Case {
    tags: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Step {
    Run {
        feeds: BTreeMap<String, Ref>,
        fetches: Vec<String>,
        targets: Vec<String>,
        results: Option<Vec<Ref>>,
        error: Option<Recorded>,
    },
    SetVariables {
        values: BTreeMap<String, Ref>,
    },
    BuildError {
        node: String,
    },
}

#[derive(Deserialize)]
struct Ref {
    npy: String,
    dtype: String,
}

/// An error that TensorFlow gave.
#[derive(Deserialize)]
struct Recorded {
    class: String,
    code: i32,
}

/// `group/suite/file/test/number`
pub(super) fn cases(dir: &Path) -> Result<Vec<String>, String> {
    let dir = Corpus::folder(dir);
    let mut all = vec![];
    find(&dir, String::new(), &mut all)?;
    all.sort();
    Ok(all)
}

fn find(dir: &Path, prefix: String, all: &mut Vec<String>) -> Result<(), String> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", dir.display());
    for entry in fs::read_dir(dir).map_err(|e| fail(&e))? {
        let path = entry.map_err(|e| fail(&e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            find(&path, format!("{prefix}{name}/"), all)?;
        } else if let Some(test) = name.strip_suffix(".zip") {
            let archive = open(&path)?;
            for file in archive.file_names() {
                let file = file.map_err(|e| fail(&e))?;
                all.extend(file.strip_suffix("/case.json").map(|i| format!("{prefix}{test}/{i}")));
            }
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<ZipArchive<File>, String> {
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    ZipArchive::new(file).map_err(|e| format!("{}: {e}", path.display()))
}

/// The files of one case.
struct Files {
    archive: ZipArchive<File>,
    folder: String,
}

impl Files {
    fn bytes(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let path = format!("{}/{name}", self.folder);
        let mut entry = self.archive.by_name(&path).map_err(|e| format!("{path}: {e}"))?;
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).map_err(|e| format!("{path}: {e}"))?;
        Ok(bytes)
    }

    /// An array; `Ok(None)` when its dtype does not exist here.
    fn value(&mut self, array: &Ref) -> Result<Option<Value>, String> {
        let Ok(dtype) = array.dtype.parse::<DType>() else { return Ok(None) };
        let bytes = self.bytes(&array.npy)?;
        let value = Value::read_npy(Cursor::new(bytes)).map_err(|e| format!("{}: {e}", array.npy))?;
        if value.dtype() == dtype {
            return Ok(Some(value));
        }
        // bfloat16 is stored as its bits.
        Value::from_bytes(dtype, value.shape().clone(), value.bytes()).map(Some).map_err(|e| e.to_string())
    }

    fn values<'a>(
        &mut self,
        refs: impl IntoIterator<Item = (&'a String, &'a Ref)>,
    ) -> Result<Option<Vec<(String, Value)>>, String> {
        refs.into_iter().map(|(name, r)| Ok(self.value(r)?.map(|v| (name.clone(), v)))).collect()
    }
}

/// Plays one case.
pub(super) fn play(dir: &Path, case: &str) -> Outcome {
    match try_play(dir, case) {
        Ok(outcome) => outcome,
        Err(what) => Outcome::new(case, Verdict::Error, format!("the case itself: {what}")),
    }
}

fn try_play(dir: &Path, case: &str) -> Result<Outcome, String> {
    let dir = Corpus::folder(dir);
    let (zip, folder) = case.rsplit_once('/').ok_or("its name has no number")?;
    let mut files = Files { archive: open(&dir.join(format!("{zip}.zip")))?, folder: folder.to_owned() };
    let recorded: Case = serde_json::from_slice(&files.bytes("case.json")?).map_err(|e| e.to_string())?;
    let has = |tag: &str| recorded.tags.iter().any(|t| t == tag);
    let unsupported = |what: &str| Outcome::new(case, Verdict::Unsupported, what).ops(vec![what.to_owned()]);

    let mut wanted: Vec<String> = vec![];
    for step in &recorded.steps {
        match step {
            Step::Run { feeds, fetches, targets, .. } => {
                wanted.extend(feeds.keys().chain(fetches).chain(targets).cloned());
            }
            Step::SetVariables { values } => wanted.extend(values.keys().cloned()),
            Step::BuildError { node } => wanted.push(node.clone()),
        }
    }
    let player = Player::new(&files.bytes("graph.pb")?, &wanted, None);
    if let [Step::BuildError { node }] = &recorded.steps[..] {
        let error = match player {
            Err(refused) => refused.error,
            Ok(player) => match player.run(&[], &[], std::slice::from_ref(node), Some(RUN_LIMIT)) {
                Ok(_) => {
                    let what =
                        format!("the graph is built and \"{node}\" runs, which TensorFlow refuses to build");
                    return Ok(Outcome::new(case, Verdict::Accepted, what));
                }
                Err(error) => error,
            },
        };
        return Ok(match error.kind() {
            ErrorKind::Unimplemented => failed(case, "import", &error),
            ErrorKind::Internal => failed(case, "import", &error),
            _ => Outcome::new(case, Verdict::Pass, ""),
        });
    }
    let player = match player {
        Ok(player) => player,
        Err(why) => {
            let early = recorded.steps.iter().any(|s| matches!(s, Step::Run { error: Some(_), .. }));
            let clean = !matches!(why.error.kind(), ErrorKind::Unimplemented | ErrorKind::Internal);
            // What TensorFlow finds out in the run may be found out in the import.
            return Ok(match early && clean && recorded.steps.len() == 1 {
                true => Outcome::new(case, Verdict::Pass, ""),
                false => refused(case, &why),
            });
        }
    };

    for (i, step) in recorded.steps.iter().enumerate() {
        let during = format!("step {i}");
        let (feeds, fetches, targets, results, error) = match step {
            Step::Run { feeds, fetches, targets, results, error } => {
                (feeds, fetches, targets, results, error)
            }
            Step::SetVariables { values } => {
                for (node, array) in values {
                    let Some(value) = files.value(array)? else { return Ok(unsupported(&array.dtype)) };
                    if let Err(e) = player.set_variable(node, value) {
                        return Ok(failed(case, &during, &e));
                    }
                }
                continue;
            }
            Step::BuildError { .. } => return Err("a build error among other steps".to_owned()),
        };
        let Some(feeds) = files.values(feeds)? else { return Ok(unsupported("dtype of a feed")) };
        let got = player.run(&feeds, fetches, targets, Some(RUN_LIMIT));
        match (got, error) {
            (Err(e), Some(want)) if same_class(&e, want) => {}
            (Err(e), Some(want)) => {
                let mut outcome = failed(case, &during, &e);
                outcome.detail = format!("{} (TensorFlow: {})", outcome.detail, want.class);
                if outcome.verdict == Verdict::Error {
                    outcome.verdict = Verdict::Wrong;
                }
                return Ok(outcome);
            }
            (Err(e), None) => return Ok(failed(case, &during, &e)),
            (Ok(_), Some(_)) if has("oracle-limit") => {}
            (Ok(_), Some(want)) => {
                let what = format!("{during}: runs, where TensorFlow gives {}", want.class);
                return Ok(Outcome::new(case, Verdict::Accepted, what));
            }
            (Ok(got), None) => {
                for ((want, got), name) in results.iter().flatten().zip(&got).zip(fetches) {
                    let Some(want) = files.value(want)? else { return Ok(unsupported(&want.dtype)) };
                    let (rtol, atol) = tolerance(want.dtype());
                    let scale = if has("sensitive") { SENSITIVE } else { 1.0 };
                    if let Err(what) = compare(&want, got, (rtol * scale, atol * scale)) {
                        let op = player.op_of(name);
                        let what = format!("{during}: {name}: {what}");
                        return Ok(Outcome::new(case, Verdict::Wrong, what).ops(op));
                    }
                }
            }
        }
    }
    Ok(Outcome::new(case, Verdict::Pass, ""))
}

fn same_class(error: &Error, want: &Recorded) -> bool {
    let code = match error.kind() {
        ErrorKind::Cancelled => 1,
        ErrorKind::InvalidArgument => 3,
        ErrorKind::DeadlineExceeded => 4,
        ErrorKind::NotFound => 5,
        ErrorKind::AlreadyExists => 6,
        ErrorKind::ResourceExhausted => 8,
        ErrorKind::FailedPrecondition => 9,
        ErrorKind::OutOfRange => 11,
        ErrorKind::Unimplemented => 12,
        ErrorKind::Internal => 13,
        ErrorKind::DataLoss => 15,
        _ => return false,
    };
    code == want.code
}
