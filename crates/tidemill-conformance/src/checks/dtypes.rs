//! Every dtype that the signature allows: floats against `f64`, complex numbers by their gradients, the others that they run.

use tidemill_core::{DType, ErrorKind, Gradient, Gradients, Result, Value};
use tidemill_tensor::Complex;

use super::{Bench, gradient};
use crate::setup::{Mode, Setup};

pub(super) fn check(bench: &Bench) -> Result<(), String> {
    for &dtype in DType::ALL {
        let Some(values) = bench.as_floats(dtype) else { continue };
        let outcome = match dtype {
            dtype if dtype.is_float() => floats(bench, dtype, &values),
            DType::C128 => complex(bench, values),
            _ => others(bench, &values),
        };
        outcome.map_err(|e| format!("{dtype}: {e}"))?;
    }
    Ok(())
}

/// Values and gradients in `dtype` are those in `f64` on the same (rounded) operands.
fn floats(bench: &Bench, dtype: DType, values: &[Value]) -> Result<(), String> {
    let widened: Vec<Value> =
        values.iter().map(|v| if v.dtype().real() == dtype { widen(v) } else { v.clone() }).collect();
    if bench.as_floats(DType::F64).is_none() {
        return Ok(());
    }
    let run = |values: &[Value]| Ok((bench.outcome(values, Mode::Fed, true)?, gradients(bench, values)?));
    let (narrow, narrow_gradients) = run(values).map_err(|e: tidemill_core::Error| e.to_string())?;
    let (wide, wide_gradients) = run(&widened).map_err(|e: tidemill_core::Error| format!("widened: {e}"))?;
    let close = |got: &Value, want: &Value, roundings| {
        let got = if got.dtype().real() == dtype { got.cast(want.dtype()) } else { got.clone() };
        bench.close(&got, want, dtype, roundings)
    };
    for (i, (got, want)) in narrow.outputs.iter().zip(&wide.outputs).enumerate() {
        if !close(got, want, 1.0) {
            return Err(format!("output {i} is {got}, but in f64 {want}"));
        }
    }
    for (i, (got, want)) in narrow.left.iter().zip(&wide.left).enumerate() {
        if !close(got, want, 1.0) {
            return Err(format!("variable {i} is {got}, but in f64 {want}"));
        }
    }
    // A gradient rounds after each of its ops.
    for (i, (got, want)) in narrow_gradients.iter().zip(&wide_gradients).enumerate() {
        if !close(got, want, 8.0) {
            return Err(format!("gradient {i} is {got}, but in f64 {want}"));
        }
    }
    Ok(())
}

fn widen(value: &Value) -> Value {
    value.cast(if value.dtype().is_complex() { DType::C128 } else { DType::F64 })
}

/// Off the real axis, gradients agree with differences, too.
fn complex(bench: &Bench, mut values: Vec<Value>) -> Result<(), String> {
    for value in values.iter_mut().filter(|v| v.dtype() == DType::C128) {
        let elements = value.as_mut_slice::<Complex<f64>>().map_err(|e| e.to_string())?;
        elements.iter_mut().enumerate().for_each(|(i, z)| z.im = 0.25 - (i * 7 % 5) as f64 / 8.0);
    }
    others(bench, &values)?;
    if !bench.row.smooth || !bench.row.holomorphic {
        return Ok(());
    }
    match gradient::numeric(bench, &values, Mode::Literal, true, bench.row.order) {
        Err(e) if bench.row.needs_statics && e.kind() == ErrorKind::Unimplemented => Ok(()),
        outcome => outcome.map_err(|e| e.to_string()),
    }
}

/// The gradients that there are.
fn gradients(bench: &Bench, values: &[Value]) -> Result<Vec<Value>> {
    let setup = Setup::new(bench.row, values, Mode::Literal)?;
    let ys = gradient::differentiated(bench, &setup);
    if bench.row.order == 0 || !bench.row.smooth || ys.is_empty() {
        return Ok(vec![]);
    }
    let xs = gradient::operands(bench, &setup, false);
    // What flows in differs from element to element, and is exact in every dtype.
    let sess = bench.battery.session(&setup.graph, true);
    let weights = sess.run(&ys, &setup.feeds)?.into_iter().map(|y| {
        let weight = (0..y.num_elements()).map(|i| 0.5 + (i % 5) as f64 / 4.0).collect();
        let weight = Value::from_vec(y.shape(), weight)?.cast(y.dtype());
        Ok(Some(setup.graph.constant(weight)))
    });
    let weights = weights.collect::<Result<Vec<_>>>()?;
    let gradients = Gradients::of(&ys).grad_ys(weights).with_respect_to(&xs)?;
    let gradients: Vec<_> = gradients.into_iter().flatten().map(Gradient::to_tensor).collect();
    sess.run(gradients, &setup.feeds)
}

/// A kernel may refuse values (an integer divided by zero), but not the dtype.
fn others(bench: &Bench, values: &[Value]) -> Result<(), String> {
    match bench.outcome(values, Mode::Fed, true) {
        Err(e) if e.kind() != ErrorKind::InvalidArgument => Err(e.to_string()),
        _ => Ok(()),
    }
}
