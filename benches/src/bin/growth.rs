//! How the time of a training step grows with the size of the network: measured, and drawn.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use rnn_tutorial::model::Config;
use rnn_tutorial::run::Model;
use tidemill_benches::Error;
use tidemill_benches::workloads::{Options, tutorial};

/// Measures a training step of the tutorial's networks against the number of steps, the batch and the state, and draws the times, both axes logarithmic: where
/// cost grows linearly, curves end with the slope of the grey lines.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where the picture goes, an SVG
    #[arg(default_value = "docs/growth.svg")]
    out: PathBuf,
    /// How long each point is measured, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200)]
    window: u64,
}

const FONT: &str = "sans-serif";
const MODELS: [(Model, RGBColor); 2] =
    [(Model::Manual, RGBColor(0x00, 0x72, 0xb2)), (Model::Dynamic, RGBColor(0xd5, 0x5e, 0x00))];
const GREY: RGBColor = RGBColor(0xb0, 0xb8, 0xc0);

/// What grows, from where it stands in all other panels.
const BASE: Config = Config { batch_size: 32, num_steps: 50, state_size: 16, learning_rate: 0.1 };

struct Panel {
    title: &'static str,
    sizes: &'static [usize],
    config: fn(usize) -> Config,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "time steps (batch 32, state 16)",
        sizes: &[10, 20, 50, 100, 200, 500, 1000, 2000],
        config: |num_steps| Config { num_steps, ..BASE },
    },
    Panel {
        title: "batch (50 steps, state 16)",
        sizes: &[1, 4, 16, 64, 256, 1024],
        config: |batch_size| Config { batch_size, ..BASE },
    },
    Panel {
        title: "state (50 steps, batch 32)",
        sizes: &[2, 4, 8, 16, 32, 64, 128, 256],
        config: |state_size| Config { state_size, ..BASE },
    },
];

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("growth: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    let mut curves = vec![];
    for panel in &PANELS {
        for (model, _) in MODELS {
            let mut curve = vec![];
            for &size in panel.sizes {
                let us = step_time((panel.config)(size), model, Duration::from_millis(cli.window))?;
                println!("{model} {size:>5} of {}: {us:.1} us/step", panel.title);
                curve.push((size as f64, us));
            }
            curves.push(curve);
        }
    }
    draw(&cli.out, &curves)?;
    println!("wrote {}", cli.out.display());
    Ok(())
}

/// The time of a step in microseconds: the best of some windows.
fn step_time(config: Config, model: Model, window: Duration) -> Result<f64, Error> {
    let Config { batch_size, num_steps, .. } = config;
    let options = Options { model, unoptimised: false, threads: None };
    let mut ready = tutorial(&options, config, 4 * batch_size * num_steps.max(10))?;
    ready.workload.step()?;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let (start, mut steps) = (Instant::now(), 0);
        while steps == 0 || start.elapsed() < window / 5 {
            ready.workload.step()?;
            steps += 1;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(steps));
    }
    Ok(best)
}

fn draw(out: &std::path::Path, curves: &[Vec<(f64, f64)>]) -> Result<(), Error> {
    let font = include_bytes!("../../../examples/rnn-tutorial/assets/DejaVuSans-ASCII.ttf");
    register_font(FONT, FontStyle::Normal, font).map_err(|_| "the embedded font is broken")?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (1200, 420)).into_drawing_area();
        area.fill(&WHITE)?;
        for ((area, panel), curves) in area.split_evenly((1, 3)).iter().zip(&PANELS).zip(curves.chunks(2)) {
            let all = || curves.iter().flatten();
            let (low, high) =
                all().fold((f64::INFINITY, 0f64), |(low, high), (_, us)| (low.min(*us), high.max(*us)));
            let (first, last) = (panel.sizes[0] as f64, panel.sizes[panel.sizes.len() - 1] as f64);
            let mut chart = ChartBuilder::on(area)
                .caption(panel.title, (FONT, 16))
                .margin(12)
                .x_label_area_size(30)
                .y_label_area_size(64)
                .build_cartesian_2d((first..last).log_scale(), (low / 1.5..high * 1.5).log_scale())?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .label_style((FONT, 12))
                .y_desc("us a training step")
                .y_label_formatter(&|us| format!("{us:.0}"))
                .x_label_formatter(&|size| format!("{size:.0}"))
                .draw()?;
            for curve in curves {
                // What linear growth to the last point would be.
                if let Some((size, us)) = curve.last() {
                    let line =
                        curve.iter().map(|(x, _)| (*x, us * x / size)).filter(|(_, us)| *us >= low / 1.5);
                    chart.draw_series(LineSeries::new(line, GREY.stroke_width(1)))?;
                }
            }
            for (curve, (model, colour)) in curves.iter().zip(MODELS) {
                chart
                    .draw_series(
                        LineSeries::new(curve.iter().copied(), colour.stroke_width(2)).point_size(3),
                    )?
                    .label(model.to_string())
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
            }
            chart
                .configure_series_labels()
                .label_font((FONT, 13))
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .draw()?;
        }
        area.present()?;
    }
    std::fs::write(out, text)?;
    Ok(())
}
