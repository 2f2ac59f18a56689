//! Times training steps: `steps W1 W2` prints for each workload a line such as `W1 tidemill 31.0 us/step min 30.4 loss 0.5194`: the median and the best
//! of several windows of half a second, and the mean loss of the last hundred steps.
//!
//! W1: the tutorial with batch 200, 5 steps, state 4. W2: 10 steps, state 16.
//! Options: `--model manual|static|dynamic`, `--unoptimised`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rnn_tutorial::model;
use tidemill_benches::Tutorial;

const WINDOWS: usize = 7;
const WINDOW: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("steps: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Result<(), String> {
    let (mut workloads, mut build, mut name, mut optimise) =
        (vec![], model::manual as fn(&_, _) -> _, "tidemill", true);
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--unoptimised" => optimise = false,
            "--model" => match args.next().as_deref() {
                Some("manual") => build = model::manual,
                Some("static") => (build, name) = (model::with_static_rnn, "tidemill-static"),
                Some("dynamic") => (build, name) = (model::with_dynamic_rnn, "tidemill-dynamic"),
                other => {
                    return Err(format!(
                        "--model takes manual, static or dynamic, not {}",
                        other.unwrap_or("nothing")
                    ));
                }
            },
            "W1" => workloads.push(("W1", 5, 4)),
            "W2" => workloads.push(("W2", 10, 16)),
            other => {
                return Err(format!(
                    "there is no workload or option {other}; try W1 W2 --model static --unoptimised"
                ));
            }
        }
    }
    if workloads.is_empty() {
        return Err("name a workload: W1 or W2".into());
    }
    for (workload, num_steps, state_size) in workloads {
        let mut tutorial = Tutorial::with_options(num_steps, state_size, build, optimise)?;
        let mut losses = vec![];
        let mut windows: Vec<f64> = vec![];
        for window in 0..=WINDOWS {
            let (start, mut steps) = (Instant::now(), 0);
            while start.elapsed() < WINDOW {
                losses.push(tutorial.step().map_err(|e| e.to_string())?);
                steps += 1;
            }
            // The first warms up.
            if window > 0 {
                windows.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(steps));
            }
        }
        windows.sort_by(f64::total_cmp);
        let last = &losses[losses.len().saturating_sub(100)..];
        let loss = last.iter().sum::<f32>() / last.len() as f32;
        println!(
            "{workload} {name} {:.1} us/step min {:.1} loss {loss:.4}",
            windows[WINDOWS / 2],
            windows[0]
        );
    }
    Ok(())
}
