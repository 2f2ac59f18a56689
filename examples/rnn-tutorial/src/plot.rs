//! The picture of the losses: one curve a run, over dashed lines at what can be reached.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};
use std::path::Path;
use std::sync::Once;

use crate::data::ideal;
use crate::run::{Run, mean};

/// The font's name in the pictures: an SVG is shown in whatever the viewer calls so.
const FONT: &str = "sans-serif";

/// A loss is drawn as the mean over this many steps up to it, as the tutorial prints it.
const SMOOTHING: usize = 100;

/// A curve has at most about this many points: more cannot be seen.
const MAX_POINTS: usize = 500;

const SIZE: (u32, u32) = (900, 560);

const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const GREY: RGBColor = RGBColor(0x6e, 0x77, 0x81);
const FAINT: RGBColor = RGBColor(0xe4, 0xe8, 0xec);

/// Colours that stay apart for the colour-blind (after Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// The plot as SVG.
pub(crate) fn svg(runs: &[Run]) -> Result<String, String> {
    let mut text = String::new();
    draw(runs, SVGBackend::with_string(&mut text, SIZE).into_drawing_area(), 1)
        .map_err(|error| error.to_string())?;
    Ok(text)
}

/// Writes the plot as PNG, at twice the size in pixels.
pub(crate) fn png(runs: &[Run], path: &Path) -> Result<(), String> {
    let scale = 2;
    let area = BitMapBackend::new(path, (SIZE.0 * scale, SIZE.1 * scale)).into_drawing_area();
    draw(runs, area, scale as i32).map_err(|error| error.to_string())
}

/// The points of a run's curve: training steps done, and the mean loss over the last [`SMOOTHING`] of them.
fn curve(run: &Run) -> Vec<(f64, f64)> {
    let every = run.losses.len().div_ceil(MAX_POINTS).max(1);
    let ends = (1..=run.losses.len()).filter(|end| end % every == 0 || *end == run.losses.len());
    ends.map(|end| (end as f64, mean(&run.losses[end.saturating_sub(SMOOTHING)..end]))).collect()
}

/// How the legend names a run.
fn legend(run: &Run) -> String {
    format!(
        "{}, num_steps {}, state_size {}: reached {:.4}",
        run.model,
        run.num_steps,
        run.state_size,
        run.cross_entropy()
    )
}

fn draw<DB: DrawingBackend>(
    runs: &[Run],
    area: DrawingArea<DB, Shift>,
    scale: i32,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        let font = include_bytes!("../assets/DejaVuSans-ASCII.ttf");
        assert!(register_font(FONT, FontStyle::Normal, font).is_ok(), "the embedded font is whole");
    });
    let text = |size: i32, colour: &'static RGBColor| (FONT, size * scale).into_font().color(colour);
    let line = |colour: RGBColor, width: i32| colour.stroke_width((width * scale) as u32);
    let left = text(17, &INK).pos(Pos::new(HPos::Left, VPos::Center));

    area.fill(&WHITE)?;
    let at = |x: i32, y: i32| (x * scale, y * scale);
    area.draw(&Text::new("Cross-entropy while training", at(24, 18), text(23, &INK)))?;
    let note = format!("nats per label, mean over the last {SMOOTHING} steps");
    area.draw(&Text::new(note, at(24, 48), text(15, &GREY)))?;
    let mut legend_y = 88;
    for (run, colour) in runs.iter().zip(COLOURS.into_iter().cycle()) {
        area.draw(&PathElement::new([at(24, legend_y), at(54, legend_y)], line(colour, 3)))?;
        area.draw(&Text::new(legend(run), at(64, legend_y + 2), left.clone()))?;
        legend_y += 24;
    }

    let ideals = [
        (ideal::nothing(), "nothing learned"),
        (ideal::first_dependency(), "X[t-3] learned"),
        (ideal::both(), "X[t-3] and X[t-8]"),
    ];
    let curves: Vec<Vec<(f64, f64)>> = runs.iter().map(curve).collect();
    let points = || curves.iter().flatten();
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let losses = || points().map(|point| point.1).filter(|loss| loss.is_finite());
    let highest = losses().fold(0.70, f64::max).min(1.5) + 0.005;
    let lowest = losses().fold(0.44, f64::min) - 0.005;

    let (_, below) = area.split_vertically((legend_y - 6) * scale);
    let mut chart = ChartBuilder::on(&below)
        .margin_top(8 * scale)
        .margin_left(14 * scale)
        .margin_right(176 * scale)
        .margin_bottom(12 * scale)
        .x_label_area_size(42 * scale)
        .y_label_area_size(48 * scale)
        .build_cartesian_2d(0.0..last, lowest..highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(line(FAINT, 1))
        .axis_style(line(GREY, 1))
        .x_desc("training step")
        .axis_desc_style(text(15, &GREY))
        .label_style(text(14, &GREY))
        .x_labels(8)
        .y_labels(9)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.2}"))
        .draw()?;
    for (value, _) in ideals {
        let dashes =
            DashedLineSeries::new([(0.0, value), (last, value)], 6 * scale, 4 * scale, line(GREY, 1));
        chart.draw_series(dashes)?;
    }
    for (points, colour) in curves.iter().zip(COLOURS.into_iter().cycle()) {
        chart.draw_series(LineSeries::new(points.iter().copied(), line(colour, 2)))?;
    }
    for (value, name) in ideals {
        let (x, y) = chart.backend_coord(&(last, value));
        let label = Text::new(
            format!("{value:.4}  {name}"),
            (x + 8 * scale, y + 2 * scale),
            text(14, &INK).pos(left.pos),
        );
        area.draw(&label)?;
    }
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_smoothed_and_bounded() {
        let run = |steps| Run {
            model: "manual".into(),
            num_steps: 5,
            state_size: 4,
            seed: 1,
            losses: (0..steps).map(|step| step as f32).collect(),
            us_per_step: 1.0,
        };
        assert_eq!(curve(&run(3)), [(1.0, 0.0), (2.0, 0.5), (3.0, 1.0)]);
        assert_eq!(curve(&run(300))[299], (300.0, 249.5));
        let long = curve(&run(5001));
        assert!(long.len() <= MAX_POINTS + 1, "{}", long.len());
        assert_eq!(long.last(), Some(&(5001.0, 4950.5)));
    }

    #[test]
    fn the_svg_names_what_it_shows() {
        let run = Run {
            model: "static".into(),
            num_steps: 10,
            state_size: 16,
            seed: 1,
            losses: vec![0.5; 200],
            us_per_step: 1.0,
        };
        let svg = svg(&[run]).unwrap();
        for text in [
            "static, num_steps 10, state_size 16: reached 0.5000",
            "0.6616",
            "0.5192",
            "0.4545",
            "training step",
        ] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }
}
