//! The page: one file with everything in it.

use std::fmt::Write;

use serde_json::{Map, json};
use tidemill as tf;

use super::measure::{HEADINGS, Row};
use super::picture::Picture;
use super::{CURVE_SIZES, Comparison, chart};
use crate::model::Config;
use crate::run::Model;

/// The numbers of steps that the page can show.
const LENGTHS: [usize; 3] = [3, 5, 10];

/// The number of steps that it shows at first.
const FIRST: usize = 5;

pub(super) fn html(comparison: &Comparison) -> String {
    let (num_steps, state_size) = CURVE_SIZES;
    let args = &comparison.args;
    let difference = format!(
        "over {} training steps (T = {num_steps}, state of {state_size}, batches of {}) they differ by at most \
         <b>{:.1e}</b>, which is rounding: the same sums, in another order.",
        args.training_steps,
        args.batch_size,
        comparison.difference()
    );
    let conditions = format!(
        "Batches of {}, a state of {}, Adagrad. Times are medians, the three networks measured by turns in one process, on one thread; memory by \
         plan is what a training step needs beside feeds, results and variables; the peak is that of a process that builds the network and \
         trains it for three steps, with all of the program's code in it. “New graph” was found by feeding one step more.",
        args.batch_size, args.state_size
    );
    let lengths = LENGTHS.map(|length| {
        format!(
            "<label><input type=\"radio\" name=\"T\" value=\"{length}\" data-setting=\"T\"><span>{length}</span></label>"
        )
    });
    fill(
        include_str!("../page/compare.html"),
        &[
            ("style", include_str!("../page/compare.css").trim_end()),
            ("lengths", &lengths.concat()),
            ("table", &table(&comparison.rows)),
            ("conditions", &conditions),
            ("difference", &difference),
            ("curves", &chart::svg(&comparison.runs)),
            ("data", &data(args.batch_size, args.state_size)),
            ("layout", include_str!("../page/layout.js").trim_end()),
            ("view", include_str!("../page/view.js").trim_end()),
        ],
    )
}

/// The template with its `{{names}}` filled in, once, from the front: what is filled in is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut parts = template.split("{{");
    let mut page = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").expect("the template's braces match");
        let value =
            values.iter().find(|(known, _)| *known == name).expect("the template's names are known").1;
        page.push_str(value);
        page.push_str(rest);
    }
    page
}

/// The graphs, as JSON that may stand in a script element.
fn data(batch_size: usize, state_size: usize) -> String {
    let picture = |model: Model, num_steps| {
        let g = tf::Graph::new();
        let net = model.build(&g, Config { batch_size, num_steps, state_size, learning_rate: 0.1 });
        let Picture { boxes, edges } = Picture::of(&g, &net);
        json!({ "nodes": g.len(), "boxes": boxes, "edges": edges })
    };
    let mut pictures = Map::new();
    for model in [Model::Manual, Model::Static] {
        let each = LENGTHS.map(|length| (length.to_string(), picture(model, length)));
        pictures.insert(model.to_string(), Map::from_iter(each).into());
    }
    pictures.insert(Model::Dynamic.to_string(), json!({ "any": picture(Model::Dynamic, FIRST) }));
    json!({ "first": FIRST, "pictures": pictures }).to_string().replace("</", "<\\/")
}

fn table(rows: &[Row]) -> String {
    let mut table = "<table><thead><tr><th>T</th><th>network</th>".to_owned();
    for [first, second] in HEADINGS {
        let heading = match first.strip_suffix('-') {
            Some(syllable) => format!("{syllable}{second}"),
            None => format!("{first} {second}"),
        };
        let _ = write!(table, "<th>{heading}</th>");
    }
    table.push_str("</tr></thead>");
    for rows in rows.chunk_by(|a, b| a.num_steps == b.num_steps) {
        table.push_str("<tbody>");
        for (i, row) in rows.iter().enumerate() {
            let length = if i == 0 { row.num_steps.to_string() } else { String::new() };
            let cells = row.cells().map(|cell| format!("<td>{}</td>", cell.replace(" us", " µs"))).concat();
            let _ = write!(table, "<tr><td>{length}</td><td>{}</td>{cells}</tr>", row.model);
        }
        table.push_str("</tbody>");
    }
    table + "</table>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_looked_at_again() {
        assert_eq!(fill("a {{x}} b {{y}}", &[("x", "{{y}}"), ("y", "1")]), "a {{y}} b 1");
    }

    #[test]
    fn the_graphs_are_those_of_the_networks() {
        let json: serde_json::Value = serde_json::from_str(&data(8, 4).replace("<\\/", "</")).unwrap();
        let nodes = |model: &str, length: &str| json["pictures"][model][length]["nodes"].as_u64().unwrap();
        assert!(nodes("manual", "10") > nodes("manual", "5"));
        assert!(nodes("dynamic", "any") < nodes("static", "5"));
    }
}
