//! Every way of running gives the same values, and the right ones.

use tidemill_core::{Effect, Value};

use super::Bench;
use crate::setup::{Mode, Outcome, Setup};

pub(super) fn check(bench: &Bench) -> Result<(), String> {
    let reference = bench.reference()?;
    expectations(bench, &reference)?;
    for mode in Mode::ALL {
        for optimise in [false, true] {
            let run = || format!("{mode:?}, {}optimised", if optimise { "" } else { "not " });
            let outcome =
                bench.outcome(&bench.values, mode, optimise).map_err(|e| format!("{}: {e}", run()))?;
            same(bench, &outcome, &reference).map_err(|e| format!("{}: {e}", run()))?;
            if matches!(mode, Mode::Constant | Mode::Fed) {
                again(bench, mode, optimise).map_err(|e| format!("{}: {e}", run()))?;
            }
        }
    }
    lowered(bench, &reference)
}

fn expectations(bench: &Bench, reference: &Outcome) -> Result<(), String> {
    let row = bench.row;
    for (what, expected, have) in
        [("output", &row.expected, &reference.outputs), ("variable", &row.left, &reference.left)]
    {
        for (i, want) in expected.iter().enumerate() {
            let Some(got) = have.get(i) else { return Err(format!("there is no {what} {i}")) };
            // Recorded values are printed with fewer digits than they have.
            if !bench.close(got, want, want.dtype(), 10.0) {
                return Err(format!("{what} {i} is {got}, but should be {want}"));
            }
        }
    }
    if let Some([low, high]) = row.within {
        for (i, output) in reference.outputs.iter().enumerate() {
            if let Some(outside) = output.iter_f64().find(|v| !(low..=high).contains(v)) {
                return Err(format!(
                    "output {i} has the element {outside}, outside {low}..={high}: {output}"
                ));
            }
        }
    }
    Ok(())
}

/// The next run of the same session: other numbers if the op draws them, the same bits otherwise.
fn again(bench: &Bench, mode: Mode, optimise: bool) -> Result<(), String> {
    let runs = || {
        let setup = Setup::new(bench.row, &bench.values, mode)?;
        let sess = bench.battery.session(&setup.graph, optimise);
        Ok((setup.run(&sess)?, setup.run(&sess)?))
    };
    let (first, second) = runs().map_err(|e: tidemill_core::Error| e.to_string())?;
    let pairs = first.outputs.iter().zip(&second.outputs);
    match bench.row.schema().effect {
        Effect::Random if first == second => {
            Err(format!("two runs draw the same numbers: {:?}", first.outputs))
        }
        Effect::Random => Ok(()),
        Effect::Pure | Effect::Stateful => match pairs.into_iter().find(|(a, b)| !a.bitwise_eq(b)) {
            Some((a, b)) => Err(format!("two runs differ: {a} and {b}")),
            None => Ok(()),
        },
    }
}

pub(super) fn same(bench: &Bench, got: &Outcome, want: &Outcome) -> Result<(), String> {
    let compare = |what: &str, got: &[Value], want: &[Value]| {
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            if !bench.close(got, want, want.dtype(), 1.0) {
                return Err(format!(
                    "{what} {i} is {got}, but without optimisation and with known shapes {want}"
                ));
            }
        }
        Ok(())
    };
    compare("output", &got.outputs, &want.outputs)?;
    compare("variable", &got.left, &want.left)
}

/// What the op is lowered to, if it is, gives the same.
fn lowered(bench: &Bench, reference: &Outcome) -> Result<(), String> {
    let Some(op) = bench.row.op() else { return Ok(()) };
    for mode in Mode::ALL {
        let run = || -> tidemill_core::Result<Option<Vec<Value>>> {
            let setup = Setup::new(bench.row, &bench.values, mode)?;
            let Some(outputs) = op.lower(&setup.inputs) else { return Ok(None) };
            bench.battery.session(&setup.graph, true).run(outputs, &setup.feeds).map(Some)
        };
        if let Some(outputs) = run().map_err(|e| format!("{mode:?}, lowered: {e}"))? {
            let outcome = Outcome { outputs, left: reference.left.clone() };
            same(bench, &outcome, reference).map_err(|e| format!("{mode:?}, lowered: {e}"))?;
        }
    }
    Ok(())
}
