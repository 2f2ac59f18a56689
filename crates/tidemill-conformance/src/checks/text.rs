//! A graph with the node and its gradients survives the way through its text form, and computes the same.

use tidemill_core::{Gradients, Graph};

use super::{Bench, gradient, values};
use crate::setup::{Mode, Setup};

pub(super) fn check(bench: &Bench) -> Result<(), String> {
    if bench.row.op().is_none() {
        return Ok(());
    }
    let reference = bench.reference()?;
    for mode in Mode::ALL {
        let setup = Setup::new(bench.row, &bench.values, mode).map_err(|e| e.to_string())?;
        let ys = gradient::differentiated(bench, &setup);
        if bench.row.order > 0 && !ys.is_empty() {
            // For their nodes; whether they are right is looked at elsewhere.
            let _ = Gradients::of(&ys).with_respect_to(gradient::operands(bench, &setup, false));
        }
        let text = setup.graph.to_text();
        let round_trip = || {
            let back = Graph::from_text(&text, bench.battery.ops())?;
            let sess = bench.battery.session(&back, true);
            let outcome = setup.in_graph(&back).run(&sess)?;
            Ok((back.to_text(), outcome))
        };
        let (again, outcome) =
            round_trip().map_err(|e: tidemill_core::Error| format!("{mode:?}: {e}\nread from\n{text}"))?;
        if let Some((line, other)) = text.lines().zip(again.lines()).find(|(line, other)| line != other) {
            return Err(format!("{mode:?}: {line}\nis, read back, {other}"));
        }
        values::same(bench, &outcome, &reference).map_err(|e| format!("{mode:?}: read back, {e}"))?;
    }
    Ok(())
}
