//! The loss curves as a picture inside the page, in the page's colours.

use std::fmt::Write;

use crate::data::ideal;
use crate::run::{Run, mean};

const WIDTH: f64 = 980.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 200.0;
const LOSS: Axis = Axis { top: 16.0, bottom: 250.0 };
const DIFFERENCE: Axis = Axis { top: 290.0, bottom: 400.0 };

/// A point of a curve is the mean over this many training steps.
const SMOOTHING: usize = 20;

/// Where a chart stands, from top to bottom.
struct Axis {
    top: f64,
    bottom: f64,
}

impl Axis {
    /// Where `value` stands when `low` is at the bottom and `high` at the top.
    fn at(&self, value: f64, low: f64, high: f64) -> f64 {
        self.bottom - (value - low) / (high - low) * (self.bottom - self.top)
    }
}

/// The losses, and below them the differences from the first run's on a logarithmic scale.
pub(super) fn svg(runs: &[Run]) -> String {
    let steps = runs[0].losses.len();
    let x = |step: usize| LEFT + (WIDTH - LEFT - RIGHT) * step as f64 / steps as f64;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} 440\" role=\"img\" aria-label=\"losses of the three networks\">"
    );
    let label = |svg: &mut String, x: f64, y: f64, anchor: &str, text: &str| {
        let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    };
    let across = |svg: &mut String, y: f64, class: &str| {
        let right = WIDTH - RIGHT;
        let _ = write!(svg, "<path class=\"{class}\" d=\"M{LEFT} {y:.1}H{right}\"/>");
    };
    let curve = |svg: &mut String, class: &str, points: &[(usize, f64)]| {
        let points: Vec<String> = points.iter().map(|(step, y)| format!("{:.1} {y:.1}", x(*step))).collect();
        let _ = write!(svg, "<path class=\"{class}\" d=\"M{}\"/>", points.join("L"));
    };
    let means = |losses: &[f32]| -> Vec<(usize, f64)> {
        let chunks = losses.chunks(SMOOTHING).enumerate();
        chunks.map(|(i, chunk)| (i * SMOOTHING + chunk.len(), mean(chunk))).collect()
    };

    let curves: Vec<Vec<(usize, f64)>> = runs.iter().map(|run| means(&run.losses)).collect();
    let values = curves.iter().flatten().map(|(_, loss)| *loss);
    let low = (values.clone().fold(f64::INFINITY, f64::min).min(ideal::both()) * 20.0).floor() / 20.0;
    let high = (values.fold(0.0, f64::max).max(ideal::nothing()) * 20.0).ceil() / 20.0;
    for tick in 0.. {
        let value = low + 0.05 * f64::from(tick);
        if value > high + 1e-9 {
            break;
        }
        across(&mut svg, LOSS.at(value, low, high), "axis");
        label(&mut svg, LEFT - 8.0, LOSS.at(value, low, high) + 4.0, "end", &format!("{value:.2}"));
    }
    for (value, name) in [
        (ideal::nothing(), "nothing learned"),
        (ideal::first_dependency(), "first dependency"),
        (ideal::both(), "both dependencies"),
    ] {
        across(&mut svg, LOSS.at(value, low, high), "ideal");
        let text = format!("{value:.4} {name}");
        label(&mut svg, WIDTH - RIGHT + 8.0, LOSS.at(value, low, high) + 4.0, "start", &text);
    }
    for (run, points) in runs.iter().zip(&curves) {
        let points: Vec<(usize, f64)> =
            points.iter().map(|(step, loss)| (*step, LOSS.at(*loss, low, high))).collect();
        curve(&mut svg, &run.model, &points);
    }

    // Nothing is nearer to an f32 of this size than about this.
    let (lowest, highest) = (-9.0, -1.0);
    for power in [-9, -7, -5, -3, -1] {
        let y = DIFFERENCE.at(f64::from(power), lowest, highest);
        across(&mut svg, y, "axis");
        let text = format!("10<tspan baseline-shift=\"super\" font-size=\"9\">{power}</tspan>");
        label(&mut svg, LEFT - 8.0, y + 4.0, "end", &text);
    }
    for run in &runs[1..] {
        let apart: Vec<f32> = run.losses.iter().zip(&runs[0].losses).map(|(a, b)| (a - b).abs()).collect();
        let height = |apart: f64| DIFFERENCE.at(apart.log10().clamp(lowest, highest), lowest, highest);
        let points: Vec<(usize, f64)> =
            means(&apart).into_iter().map(|(step, apart)| (step, height(apart))).collect();
        curve(&mut svg, &format!("{} difference", run.model), &points);
    }
    for (i, run) in runs.iter().enumerate() {
        let y = 410.0 - 18.0 * (runs.len() - i) as f64;
        let x = WIDTH - RIGHT + 10.0;
        let _ = write!(svg, "<path class=\"{}\" d=\"M{x} {}h28\"/>", run.model, y - 4.0);
        label(&mut svg, x + 36.0, y, "start", &run.model);
    }
    label(&mut svg, WIDTH - RIGHT + 8.0, DIFFERENCE.top + 4.0, "start", "difference from manual");
    for step in [0, steps / 2, steps] {
        label(&mut svg, x(step), DIFFERENCE.bottom + 22.0, "middle", &step.to_string());
    }
    label(&mut svg, LEFT, 10.0, "start", "nats per label");
    label(&mut svg, x(steps / 4), DIFFERENCE.bottom + 22.0, "middle", "training steps");
    svg + "</svg>"
}
