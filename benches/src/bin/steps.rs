//! Times training steps.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use rnn_tutorial::run::Model;
use tidemill as tf;
use tidemill_benches::workloads::{Chain, NAMES, Options, ready};
use tidemill_benches::{Error, measure};

/// Times training steps, and prints a line for each workload: the median and the best of several windows of half a second, and the mean loss of the last
/// hundred steps.
///
/// W1 is the tutorial with batch 200, 5 steps, state 4; W2 has 10 steps and state 16; W3 is both as dynamic_rnn. W4 and W5 are language models of two
/// layers of LSTM (200 units and 20 steps; 650 and 35) with 10 000 words. W6 is a perceptron 784-512-512-10 with Adam. W7-T is the tutorial with
/// T steps, batch 32 and state 16: building and the first step count too. W8 is a chain of 2001 operations on 16 numbers.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// What to run: W1, W2, W3, W4, W5, W6, W7-T, W8
    #[arg(required = true)]
    workloads: Vec<String>,
    #[command(flatten)]
    options: Options,
    /// Also print the peak memory of the process so far, and the time that building the graph, initialising and the first step took together
    #[arg(long)]
    memory: bool,
    /// Also trace one step of each workload: print the time in each op, and write what Chrome's chrome://tracing and ui.perfetto.dev show to DIR/WORKLOAD.json
    #[arg(long, value_name = "DIR")]
    trace: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("steps: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    for workload in &cli.workloads {
        let dynamic = [("W1", Model::Dynamic), ("W2", Model::Dynamic)];
        let runs = if workload == "W3" { &dynamic[..] } else { &[(workload.as_str(), cli.options.model)] };
        for (workload, model) in runs {
            line(cli, workload, *model)?;
        }
    }
    Ok(())
}

/// Runs one workload and prints its line.
fn line(cli: &Cli, workload: &str, model: Model) -> Result<(), Error> {
    if workload == "W3" {
        return Err(format!("there are {NAMES}").into());
    }
    let mut ready = ready(workload, &Options { model, ..cli.options })?;
    let name = match model {
        Model::Manual => "tidemill".to_owned(),
        model => format!("tidemill-{model}"),
    };
    let name = match cli.options.threads {
        Some(threads) => format!("{name}-{threads}t"),
        None => name,
    };
    let first = Instant::now();
    ready.workload.step()?;
    let first = first.elapsed();
    let steps = measure::steps(&mut *ready.workload)?;
    let ms = |d: std::time::Duration| d.as_secs_f64() * 1e3;
    let mut text = if workload.starts_with("W7") {
        format!(
            "{workload} {name} build {:.1} ms, init {:.1} ms, first-step {:.1} ms, steady {:.1} us/step, min {:.1}, nodes {}",
            ms(ready.build),
            ms(ready.init),
            ms(first),
            steps.median,
            steps.best,
            ready.nodes
        )
    } else if workload == "W8" {
        let per_op = |us: f64| us * 1e3 / Chain::OPS as f64;
        format!(
            "{workload} {name} {:.1} ns/op min {:.1} ({:.1} us/step)",
            per_op(steps.median),
            per_op(steps.best),
            steps.median
        )
    } else {
        format!(
            "{workload} {name} {:.1} us/step min {:.1} loss {:.4} build {:.1} ms first {:.1} ms",
            steps.median,
            steps.best,
            steps.loss,
            ms(ready.build),
            ms(first)
        )
    };
    if cli.memory {
        let peak =
            measure::peak_memory().map_or_else(|| "not known".to_owned(), |mib| format!("{mib:.1} MiB"));
        text.push_str(&format!(" rss {peak} start {:.1} ms", ms(ready.build + ready.init + first)));
    }
    println!("{text}");
    if let Some(dir) = &cli.trace {
        let trace = tf::Trace::new();
        ready.workload.step_with(tf::RunOptions::new().trace(&trace))?;
        print!("{}", trace.summary());
        fs::create_dir_all(dir)?;
        fs::write(dir.join(format!("{workload}.json")), trace.to_chrome_json())?;
    }
    Ok(())
}
