//! Gradients: right, or cleanly absent.

use tidemill_core::{DType, ErrorKind, Gradients, Result, Tensor, Value, ops};

use super::Bench;
use crate::gradients::check_gradients;
use crate::setup::{Mode, Setup};

pub(super) fn check(bench: &Bench) -> Result<(), String> {
    let row = bench.row;
    let Some(values) = bench.as_floats(DType::F64).filter(|_| row.smooth) else { return Ok(()) };
    for mode in Mode::ALL {
        for optimise in [false, true] {
            let excused = row.needs_statics
                && matches!(mode, Mode::Fed | Mode::Computed(_) | Mode::Open | Mode::Unknown);
            match numeric(bench, &values, mode, optimise, row.order) {
                Err(e) if excused && e.kind() == ErrorKind::Unimplemented => {}
                Err(e) => {
                    return Err(format!("{mode:?}, {}optimised: {e}", if optimise { "" } else { "not " }));
                }
                Ok(()) => {}
            }
            absent(bench, &values, mode).map_err(|e| format!("{mode:?}: {e}"))?;
        }
    }
    if row.order == 1 {
        return match numeric(bench, &values, Mode::Literal, false, 2) {
            Ok(()) => Err("the gradient has a gradient, although the row says it has none".to_owned()),
            Err(e) if e.kind() == ErrorKind::Unimplemented => Ok(()),
            Err(e) => Err(e.to_string()),
        };
    }
    Ok(())
}

/// The outputs whose gradients are checked.
pub(super) fn differentiated(bench: &Bench, setup: &Setup) -> Vec<Tensor> {
    let of = |i: &usize| bench.row.of.as_ref().is_none_or(|of| of.contains(i));
    let outputs = setup.outputs.iter().copied().enumerate().filter(|(i, y)| of(i) && y.dtype().is_inexact());
    outputs.map(|(_, y)| y).collect()
}

/// The operands that have a gradient, or those whose gradient is none.
pub(super) fn operands(bench: &Bench, setup: &Setup, cut: bool) -> Vec<Tensor> {
    let is_cut = |i: usize| bench.row.order == 0 || bench.row.cut.contains(&i);
    let inputs = setup.inputs.iter().copied().enumerate();
    inputs.filter(|(i, x)| x.dtype().is_inexact() && is_cut(*i) == cut).map(|(_, x)| x).collect()
}

/// Those that there are agree with central differences.
pub(super) fn numeric(
    bench: &Bench,
    values: &[Value],
    mode: Mode,
    optimise: bool,
    order: usize,
) -> Result<()> {
    let setup = Setup::new(bench.row, values, mode)?;
    let mut ys = differentiated(bench, &setup);
    ys.retain(|y| y.dtype().real() == DType::F64);
    let xs = operands(bench, &setup, false);
    let sess = bench.battery.session(&setup.graph, optimise);
    let check = |ys: &[Tensor], xs: &[Tensor]| {
        check_gradients(&sess, ys, xs, &setup.feeds, if ys.is_empty() { 0 } else { order })
    };
    check(&ys, &xs)?;
    // Rules look at which operands matter and which outputs have gradients: each alone, too.
    let several = |tensors: &[Tensor]| if tensors.len() > 1 { tensors.to_vec() } else { vec![] };
    several(&xs).into_iter().try_for_each(|x| check(&ys, &[x]))?;
    several(&ys).into_iter().try_for_each(|y| check(&[y], &xs))
}

/// Those that the row says there are not are none, or an error that says so.
fn absent(bench: &Bench, values: &[Value], mode: Mode) -> Result<(), String> {
    let setup = Setup::new(bench.row, values, mode).map_err(|e| e.to_string())?;
    let (ys, xs) = (differentiated(bench, &setup), operands(bench, &setup, true));
    if ys.is_empty() || xs.is_empty() {
        return Ok(());
    }
    let given = ys.iter().map(|y| y.dtype().is_complex().then(|| ops::ones_like(*y)));
    match Gradients::of(&ys).grad_ys(given).with_respect_to(&xs) {
        Ok(gradients) if gradients.iter().all(Option::is_none) => Ok(()),
        Ok(_) => Err("there is a gradient where the row says there is none".to_owned()),
        Err(e) if e.kind() == ErrorKind::Unimplemented => Ok(()),
        Err(e) => Err(e.to_string()),
    }
}
