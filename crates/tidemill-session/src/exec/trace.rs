//! A record of what a run did, step by step.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::plan::StepSource;

/// Takes down each step of the runs it is given to ([`RunOptions::trace`](crate::RunOptions::trace)): which node, when, and how long.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// use tidemill_session::{RunOptions, Session, Trace, feed};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2]);
/// let sess = Session::new(&g);
/// let trace = Trace::new();
/// sess.run_with(ops::tanh(x), feed! { x => [0f32, 1.0] }, RunOptions::new().trace(&trace))?;
/// assert!(trace.summary().contains("Tanh"));
/// assert!(trace.to_chrome_json().contains("\"traceEvents\""));
/// # Ok::<(), tidemill_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Trace {
    start: Instant,
    events: Mutex<Vec<Event>>,
}

#[derive(Debug)]
struct Event {
    source: Arc<StepSource>,
    at: Duration,
    took: Duration,
}

impl Default for Trace {
    fn default() -> Self {
        Trace::new()
    }
}

impl Trace {
    /// An empty record whose clock starts now.
    pub fn new() -> Trace {
        Trace { start: Instant::now(), events: Mutex::default() }
    }

    pub(crate) fn record(&self, source: &Arc<StepSource>, began: Instant) {
        let event = Event {
            source: source.clone(),
            at: began.saturating_duration_since(self.start),
            took: began.elapsed(),
        };
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// The record as Chrome's trace event format: open it in `chrome://tracing` or <https://ui.perfetto.dev>. Steps inside a loop lie under the loop.
    pub fn to_chrome_json(&self) -> String {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut json = String::from("{\"traceEvents\":[");
        for (i, event) in events.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let micros = |d: Duration| d.as_nanos() as f64 / 1e3;
            let _ = write!(
                json,
                "{comma}\n{{\"name\":{},\"cat\":{},\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":{},\"dur\":{}}}",
                quoted(&event.source.name),
                quoted(event.source.op),
                micros(event.at),
                micros(event.took)
            );
        }
        json.push_str("\n]}\n");
        json
    }

    /// For each op: how many steps, and the time in them, the longest first. The time of a loop includes its steps.
    pub fn summary(&self) -> String {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_op: Vec<(&str, usize, Duration)> = vec![];
        for event in events.iter() {
            match by_op.iter_mut().find(|(op, ..)| *op == event.source.op) {
                Some((_, count, took)) => {
                    *count += 1;
                    *took += event.took;
                }
                None => by_op.push((event.source.op, 1, event.took)),
            }
        }
        by_op.sort_by_key(|(_, _, took)| std::cmp::Reverse(*took));
        let mut text = String::new();
        for (op, count, took) in by_op {
            let _ = writeln!(text, "{:>12.1} us {count:>7} x {op}", took.as_nanos() as f64 / 1e3);
        }
        text
    }
}

/// A JSON string.
fn quoted(s: &str) -> String {
    let mut quoted = String::from("\"");
    for c in s.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_are_json_strings() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }
}
