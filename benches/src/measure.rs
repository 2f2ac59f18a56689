//! Times of training steps, and the memory of the process.

use std::time::{Duration, Instant};

use crate::Error;
use crate::workloads::Workload;

/// How long a window is, at least.
const WINDOW: Duration = Duration::from_millis(500);
/// Windows that count.
const WINDOWS: usize = 7;
/// No new window begins after so long.
const PATIENCE: Duration = Duration::from_secs(15);
/// Losses are averaged over the last steps.
const LAST: usize = 100;

/// The times of a workload's steps, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps {
    /// The median of the windows' means.
    pub median: f64,
    /// The mean of the best window.
    pub best: f64,
    /// The mean loss of the last hundred steps.
    pub loss: f32,
}

/// Steps for a while, first to warm up and then in windows.
///
/// # Errors
/// Whatever a step reports.
pub fn steps(workload: &mut dyn Workload) -> Result<Steps, Error> {
    let (start, mut losses, mut windows) = (Instant::now(), vec![], vec![]);
    for window in 0..=WINDOWS {
        if window > 1 && start.elapsed() > PATIENCE {
            break;
        }
        let (start, mut steps) = (Instant::now(), 0);
        while start.elapsed() < WINDOW {
            losses.push(workload.step()?);
            steps += 1;
        }
        if window > 0 {
            windows.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(steps));
        }
    }
    windows.sort_by(f64::total_cmp);
    let last = &losses[losses.len().saturating_sub(LAST)..];
    let loss = last.iter().sum::<f32>() / last.len() as f32;
    Ok(Steps { median: windows[windows.len() / 2], best: windows[0], loss })
}

/// The most memory that this process has had, in MiB; `None` where the system does not say.
pub fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}
