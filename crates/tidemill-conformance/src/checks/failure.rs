//! What is wrong is refused: when it is built, or when it is run, however its operands come in.

use super::Bench;
use crate::setup::{Mode, Setup};

pub(super) fn check(bench: &Bench) -> Result<(), String> {
    let want = bench.row.fails.unwrap_or_else(|| unreachable!("only rows that fail come here"));
    for mode in Mode::ALL {
        for optimise in [false, true] {
            let outcome = Setup::new(bench.row, &bench.values, mode)
                .and_then(|setup| setup.run(&bench.battery.session(&setup.graph, optimise)));
            match outcome {
                Ok(outcome) => {
                    return Err(format!(
                        "{mode:?}: it should fail with {want}, but gives {:?}",
                        outcome.outputs
                    ));
                }
                Err(e) if e.kind() != want => {
                    return Err(format!("{mode:?}: it should fail with {want}, but says {e:?}"));
                }
                Err(e) if e.node().is_none() || e.origin().is_none() => {
                    return Err(format!("{mode:?}: the error does not say where: {e:?}"));
                }
                Err(_) => {}
            }
        }
    }
    Ok(())
}
