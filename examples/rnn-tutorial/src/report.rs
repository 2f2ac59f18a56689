//! The files a training session leaves behind: `loss.csv`, `loss.svg`, `loss.png` and `summary.json`.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::plot;
use crate::run::Run;

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The plot could not be drawn.
    #[error("cannot draw {}: {message}", path.display())]
    Plot {
        /// The picture's file.
        path: PathBuf,
        /// What the plotting library said.
        message: String,
    },
    /// There is nothing to report.
    #[error("there is nothing to report: {0}")]
    Empty(&'static str),
}

/// The contents of `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The runs, in the order they were made.
    pub runs: Vec<RunSummary>,
}

/// One run in `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSummary {
    /// The network: `manual` or `static`.
    pub model: String,
    /// Steps the network was unrolled for.
    pub num_steps: usize,
    /// Width of the network's state.
    pub state_size: usize,
    /// Seed of the data and of the initial weights.
    pub seed: u64,
    /// Mean loss over the last tenth of the training steps, in nats per label.
    pub cross_entropy: f64,
    /// The cross-entropy such a network can reach.
    pub ideal: f64,
    /// Mean time of a training step, in microseconds.
    pub us_per_step: f64,
}

impl Summary {
    /// The summary of some runs.
    pub fn new(runs: &[Run]) -> Summary {
        let summary = |run: &Run| RunSummary {
            model: run.model.clone(),
            num_steps: run.num_steps,
            state_size: run.state_size,
            seed: run.seed,
            cross_entropy: run.cross_entropy(),
            ideal: run.ideal(),
            us_per_step: run.us_per_step,
        };
        Summary { runs: runs.iter().map(summary).collect() }
    }
}

/// Every loss of every run as CSV with a header line, one training step a line. Steps count from 1.
pub fn csv(runs: &[Run]) -> String {
    let mut text = String::from("model,num_steps,state_size,seed,step,loss\n");
    for run in runs {
        let Run { model, num_steps, state_size, seed, .. } = run;
        for (step, loss) in (1..).zip(&run.losses) {
            writeln!(text, "{model},{num_steps},{state_size},{seed},{step},{loss}")
                .expect("a String can be written to");
        }
    }
    text
}

/// Writes `loss.csv`, `loss.svg`, `loss.png` and `summary.json` into the folder `out`, which is made where it is missing.
pub fn write(runs: &[Run], out: &Path) -> Result<(), ReportError> {
    if runs.is_empty() {
        return Err(ReportError::Empty("no run was made"));
    }
    if runs.iter().any(|run| run.losses.is_empty()) {
        return Err(ReportError::Empty("a run has no training steps"));
    }
    fs::create_dir_all(out).map_err(|source| ReportError::Io { path: out.into(), source })?;
    let save = |name: &str, contents: &str| {
        let path = out.join(name);
        fs::write(&path, contents).map_err(|source| ReportError::Io { path, source })
    };
    let undrawn = |name: &str, message| ReportError::Plot { path: out.join(name), message };
    save("loss.csv", &csv(runs))?;
    let json = serde_json::to_string_pretty(&Summary::new(runs)).expect("a summary is plain data");
    save("summary.json", &(json + "\n"))?;
    save("loss.svg", &plot::svg(runs).map_err(|message| undrawn("loss.svg", message))?)?;
    plot::png(runs, &out.join("loss.png")).map_err(|message| undrawn("loss.png", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs() -> Vec<Run> {
        let run = |model: &str, num_steps, losses| Run {
            model: model.into(),
            num_steps,
            state_size: 4,
            seed: 7,
            losses,
            us_per_step: 62.5,
        };
        vec![run("manual", 5, vec![0.75, 0.5]), run("static", 10, vec![0.625])]
    }

    #[test]
    fn csv_has_one_line_a_step() {
        let expected = "\
model,num_steps,state_size,seed,step,loss
manual,5,4,7,1,0.75
manual,5,4,7,2,0.5
static,10,4,7,1,0.625
";
        assert_eq!(csv(&runs()), expected);
    }

    #[test]
    fn summary_has_exactly_the_documented_fields() {
        let json = serde_json::to_string(&Summary::new(&runs()[..1])).unwrap();
        let ideal = crate::data::ideal::first_dependency();
        let expected = format!(
            r#"{{"runs":[{{"model":"manual","num_steps":5,"state_size":4,"seed":7,"cross_entropy":0.5,"ideal":{ideal},"us_per_step":62.5}}]}}"#
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn all_four_files_are_written() {
        let out =
            std::env::temp_dir().join(format!("rnn-tutorial-report-{}", std::process::id())).join("nested");
        write(&runs(), &out).unwrap();
        let read = |name: &str| fs::read(out.join(name)).unwrap();
        assert_eq!(read("loss.csv"), csv(&runs()).into_bytes());
        let summary: serde_json::Value = serde_json::from_slice(&read("summary.json")).unwrap();
        assert_eq!(summary["runs"][1]["cross_entropy"], 0.625);
        assert!(String::from_utf8(read("loss.svg")).unwrap().starts_with("<svg "));
        assert!(read("loss.png").starts_with(b"\x89PNG\r\n"));
        fs::remove_dir_all(out.parent().unwrap()).unwrap();
    }

    #[test]
    fn nothing_to_report_is_an_error() {
        let error = |runs: &[Run]| write(runs, Path::new("never-made")).unwrap_err().to_string();
        assert_eq!(error(&[]), "there is nothing to report: no run was made");
        let empty = Run { losses: vec![], ..runs().remove(0) };
        assert_eq!(error(&[empty]), "there is nothing to report: a run has no training steps");
        assert!(!Path::new("never-made").exists());
    }
}
