//! A process for each case.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{Corpus, Outcome, Verdict};

/// Address space that a process gets beside what its case may use, in KiB.
const ADDRESS_SPACE: u64 = 6 << 20;

/// What a process may use in all whose case has no limit of its own, in MiB.
const MEMORY: u64 = 16 << 10;

/// How much of what a dying process said is kept.
const LAST_WORDS: usize = 2000;

/// What a case may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) time: Duration,
    /// MiB by which its process may grow.
    pub(super) memory: Option<u64>,
}

fn tail(mut from: impl Read) -> String {
    let (mut kept, mut buffer) = (vec![], [0; 4096]);
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..n]);
        let extra = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..extra);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Plays `cases`, `jobs` at a time, each in a process of its own; `report` gets each outcome.
pub(super) fn play(
    corpus: Corpus,
    dir: &Path,
    cases: &[String],
    jobs: usize,
    limits: impl Fn(&str) -> Limits + Sync,
    mut report: impl FnMut(Outcome) -> Result<(), String>,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let (send, outcomes) = mpsc::channel::<Result<Outcome, String>>();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (send, next, limits) = (send.clone(), &next, &limits);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = one(corpus, dir, case, limits(case));
                    let stop = outcome.is_err();
                    if send.send(outcome).is_err() || stop {
                        break;
                    }
                }
            });
        }
        drop(send);
        outcomes.into_iter().try_for_each(|outcome| report(outcome?))
    })
}

fn one(corpus: Corpus, dir: &Path, case: &str, limits: Limits) -> Result<Outcome, String> {
    let exe = std::env::current_exe().map_err(|e| format!("this program's own file: {e}"))?;
    let space = ADDRESS_SPACE + (limits.memory.unwrap_or(MEMORY) << 10);
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {space}; ulimit -c 0; exec \"$@\""))
        .arg("sh")
        .arg(exe)
        .args(["worker", corpus.name()])
        .arg(dir)
        .arg(case)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start a process: {e}"))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("a process has no pipes".to_owned());
    };
    let (send, answer) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        if matches!(BufReader::new(stdout).read_line(&mut line), Ok(1..)) {
            // Nobody listens any more after the time limit.
            let _ = send.send(line);
        }
    });
    let last_words = thread::spawn(move || tail(stderr));
    let answered = answer.recv_timeout(limits.time);
    if matches!(answered, Err(RecvTimeoutError::Timeout)) {
        let _ = child.kill();
    }
    let status = child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
    match answered {
        Ok(line) => serde_json::from_str(&line).map_err(|e| format!("a process said {line:?}: {e}")),
        Err(RecvTimeoutError::Timeout) => {
            let seconds = limits.time.as_secs_f64();
            Ok(Outcome::new(case, Verdict::Hang, format!("no answer in {seconds} s")))
        }
        Err(RecvTimeoutError::Disconnected) => {
            let words = last_words.join().unwrap_or_default();
            let verdict =
                if words.contains("memory allocation of") { Verdict::OverBudget } else { Verdict::Crash };
            Ok(Outcome::new(case, verdict, format!("{status}: {}", words.trim())))
        }
    }
}
