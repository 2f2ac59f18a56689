//! Worker processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{Corpus, Outcome, Verdict};

/// The most address space that a worker gets, in KiB: what a case may use is far below it.
const ADDRESS_SPACE: u64 = 24 << 20;

/// How much of what a dying worker said is kept.
const LAST_WORDS: usize = 2000;

/// A worker, and what it says.
struct Worker {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
    last_words: thread::JoinHandle<String>,
}

impl Worker {
    fn start(corpus: Corpus, dir: &Path) -> Result<Worker, String> {
        let exe = std::env::current_exe().map_err(|e| format!("this program's own file: {e}"))?;
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -v {ADDRESS_SPACE}; ulimit -c 0; exec \"$@\""))
            .arg("sh")
            .arg(exe)
            .args(["worker", corpus.name()])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot start a worker: {e}"))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("a worker has no pipes".to_owned());
        };
        let (send, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let last_words = thread::spawn(move || tail(stderr));
        Ok(Worker { child, stdin, answers, last_words })
    }

    /// Ends the worker and returns how it ended.
    fn end(mut self) -> String {
        let _ = self.child.kill();
        let status = self.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
        let words = self.last_words.join().unwrap_or_default();
        format!("{status}: {}", words.trim())
    }
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

/// Plays `cases` on `jobs` workers; `report` gets each outcome.
pub(super) fn play(
    corpus: Corpus,
    dir: &Path,
    cases: &[String],
    jobs: usize,
    limit: impl Fn(&str) -> Duration + Sync,
    mut report: impl FnMut(Outcome) -> Result<(), String>,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let (send, outcomes) = mpsc::channel::<Result<Outcome, String>>();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (send, next, limit) = (send.clone(), &next, &limit);
            scope.spawn(move || {
                let mut worker = None;
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = one(corpus, dir, case, &mut worker, limit(case));
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

fn one(
    corpus: Corpus,
    dir: &Path,
    case: &str,
    worker: &mut Option<Worker>,
    limit: Duration,
) -> Result<Outcome, String> {
    let mut running = match worker.take() {
        Some(running) => running,
        None => Worker::start(corpus, dir)?,
    };
    let asked = writeln!(running.stdin, "{case}").and_then(|()| running.stdin.flush());
    if asked.is_err() {
        return Ok(Outcome::new(case, Verdict::Crash, running.end()));
    }
    match running.answers.recv_timeout(limit) {
        Ok(line) => {
            *worker = Some(running);
            serde_json::from_str(&line).map_err(|e| format!("a worker said {line:?}: {e}"))
        }
        Err(RecvTimeoutError::Timeout) => {
            running.end();
            Ok(Outcome::new(case, Verdict::Hang, format!("no answer in {} s", limit.as_secs())))
        }
        Err(RecvTimeoutError::Disconnected) => {
            // The process is gone already; waiting tells how.
            Ok(Outcome::new(case, Verdict::Crash, running.end()))
        }
    }
}
