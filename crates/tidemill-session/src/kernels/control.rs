//! Kernels of `ops::control`.

use std::sync::atomic::{AtomicI64, Ordering};

use tidemill_core::ops::{
    Assert, FakeParam, Identity, IdentityN, NoOp, PreventGradient, Print, StopGradient,
};
use tidemill_core::{DType, Error, Result, Shape, Value};

use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<NoOp>(|_, _| Ok(Compiled::Nothing));
    table.compiled::<Identity>(|_, _| Ok(Compiled::Alias(0)));
    table.compiled::<StopGradient>(|_, _| Ok(Compiled::Alias(0)));
    table.compiled::<IdentityN>(|_, _| Ok(Compiled::Aliases));
    table.compiled::<PreventGradient>(|_, _| Ok(Compiled::Alias(0)));
    table.compiled::<FakeParam>(fake_param);
    table.compiled::<Assert>(assert);
    table.compiled::<Print>(print);
}

/// Copies the bytes of input `from` to output `to`, of the same type.
pub(super) fn copy(args: &mut Args, from: usize, to: usize) {
    let source = args.input_bytes(from);
    let (target, bytes) = args.output_raw(to);
    // SAFETY: both are live and as long as their equal types say, and do not overlap in a step that is not in place.
    unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), target, bytes.min(source.len())) }
}

/// Zeros; none along dimensions that nobody knows.
fn fake_param(op: &FakeParam, _: &CompileCx) -> Result<Compiled> {
    if op.shape.is_fully_known() {
        return Compiled::step(|args| {
            args.output_bytes(0).fill(0);
            Ok(())
        });
    }
    let shape: Shape = op.shape.dims().unwrap_or(&[]).iter().map(|d| d.unwrap_or(0)).collect();
    let zeros = Value::zeros(op.dtype, shape)?;
    Ok(Compiled::Values(Box::new(move |_| Ok(vec![zeros.clone()]))))
}

fn operands(cx: &CompileCx, from: usize) -> Vec<(usize, DType, Shape)> {
    (from..cx.num_inputs()).map(|i| (i, cx.dtype(i), cx.shape(i))).collect()
}

/// The first few elements of each operand, as messages show them.
fn summary(args: &Args, operands: &[(usize, DType, Shape)], limit: i64) -> Result<String> {
    let mut text = String::new();
    for (i, dtype, shape) in operands {
        let value = Value::from_bytes(*dtype, shape.clone(), args.input_bytes(*i))?;
        let limit = if limit < 0 { value.num_elements() } else { limit as usize };
        let shown: Vec<String> = value.iter_f64().take(limit).map(|e| e.to_string()).collect();
        let more = if shown.len() < value.num_elements() { "..." } else { "" };
        text.push_str(&format!("[{}{more}]", shown.join(" ")));
    }
    Ok(text)
}

fn assert(op: &Assert, cx: &CompileCx) -> Result<Compiled> {
    let (op, operands) = (op.clone(), operands(cx, 1));
    Compiled::step(move |args| {
        if args.input::<bool>(0)[0] {
            return Ok(());
        }
        let message = if op.message.is_empty() { "assertion failed" } else { &op.message };
        Err(Error::invalid(
            format!("{message} {}", summary(args, &operands, op.summarize)?).trim_end().to_owned(),
        ))
    })
}

fn print(op: &Print, cx: &CompileCx) -> Result<Compiled> {
    let (op, operands) = (op.clone(), operands(cx, 1));
    let printed = cx.state(|| AtomicI64::new(0));
    Compiled::step(move |args| {
        if op.first_n < 0 || printed.fetch_add(1, Ordering::Relaxed) < op.first_n {
            eprintln!("{}{}", op.message, summary(args, &operands, op.summarize)?);
        }
        copy(args, 0, 0);
        Ok(())
    })
}
