//! Kernels of `ops::state`: assignments to variables.

use tidemill_core::ops::{
    Assign, AssignAdd, AssignSub, CountUpTo, IsVariableInitialized, RefIdentity, ScatterAdd, ScatterDiv,
    ScatterMax, ScatterMin, ScatterMul, ScatterSub, ScatterUpdate,
};
use tidemill_core::{DType, Error, Result, Value};
use tidemill_tensor::{Element, dispatch_any, dispatch_arith, dispatch_int, dispatch_numeric};

use super::arith::Arith;
use super::parallel::{GRAIN, Parts};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Assign>(assign);
    table.compiled::<AssignAdd>(|_, cx| accumulate(cx, false));
    table.compiled::<AssignSub>(|_, cx| accumulate(cx, true));
    table.compiled::<IsVariableInitialized>(|_, _| {
        Ok(Compiled::Variable(Box::new(|variables, args| {
            args.output::<bool>(0)[0] = variables[0].is_some();
            Ok(())
        })))
    });
    table.compiled::<RefIdentity>(|_, _| Ok(Compiled::Variable(Box::new(|_, _| Ok(())))));
    table.compiled::<CountUpTo>(|op, cx| {
        let limit = op.limit;
        dispatch_int!(cx.dtype(0), T => count_up_to::<T>(limit), else => unsupported())
    });
    table.compiled::<ScatterUpdate>(
        |_, cx| dispatch_any!(cx.dtype(0), T => scatter::<T>(cx, |_, new| new), else => unsupported()),
    );
    table.compiled::<ScatterAdd>(
        |_, cx| dispatch_arith!(cx.dtype(0), T => scatter::<T>(cx, <T as Arith>::add), else => unsupported()),
    );
    table.compiled::<ScatterSub>(
        |_, cx| dispatch_arith!(cx.dtype(0), T => scatter::<T>(cx, <T as Arith>::sub), else => unsupported()),
    );
    table.compiled::<ScatterMul>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => scatter::<T>(cx, <T as Arith>::mul), else => unsupported())
    });
    table.compiled::<ScatterDiv>(
        |_, cx| dispatch_numeric!(cx.dtype(0), T => scatter::<T>(cx, quotient), else => unsupported()),
    );
    table.compiled::<ScatterMax>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => scatter::<T>(cx, |a, b| if b > a { b } else { a }), else => unsupported())
    });
    table.compiled::<ScatterMin>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => scatter::<T>(cx, |a, b| if b < a { b } else { a }), else => unsupported())
    });
}

fn count_up_to<T: Element>(limit: i64) -> Result<Compiled> {
    Ok(Compiled::Variable(Box::new(move |variables, args| {
        let [count] = initialised::<T>(variables[0])? else {
            return Err(Error::invalid("the variable to count with is no scalar"));
        };
        let now = count.to_i64();
        if now >= limit {
            let message = format!("the variable has reached the limit {limit}");
            return Err(Error::new(tidemill_core::ErrorKind::OutOfRange, message));
        }
        args.output::<T>(0)[0] = *count;
        *count = T::from_i64(now + 1);
        Ok(())
    })))
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("an assignment of this dtype"))
}

/// The variable's elements, which an update needs to be there already.
pub(super) fn initialised<T: Element>(variable: &mut Option<Value>) -> Result<&mut [T]> {
    match variable {
        Some(value) => Ok(value.as_mut_slice()?),
        None => Err(uninitialised()),
    }
}

/// The message of [`uninitialised`].
pub(crate) const UNINITIALISED: &str = "the variable is not initialised";

/// What using a variable before its initializer has run gives; the executor, which knows the name, adds it.
pub(crate) fn uninitialised() -> Error {
    Error::precondition(UNINITIALISED)
}

/// [`uninitialised`] with the variable's name and what to do.
pub(crate) fn uninitialised_named(name: &str) -> Error {
    Error::precondition(format!("the variable \"{name}\" is not initialised"))
        .with_help("run its initializer first: sess.run(graph.global_variables_initializer(), feed! {})")
}

fn assign(op: &Assign, cx: &CompileCx) -> Result<Compiled> {
    let (dtype, shape, validate_shape) = (cx.dtype(1), cx.shape(1), op.validate_shape);
    Ok(Compiled::Variable(Box::new(move |variables, args| {
        let bytes = args.input_bytes(1);
        match &mut *variables[0] {
            Some(value) if *value.shape() == shape => value.bytes_mut().copy_from_slice(bytes),
            // Of a variable whose shape the graph does not say, the shape rule could not tell.
            Some(value) if validate_shape => {
                let have = value.shape();
                return Err(Error::invalid(format!("the variable's shape is {have}, the value's {shape}")));
            }
            variable => *variable = Some(Value::from_bytes(dtype, shape.clone(), bytes)?),
        }
        Ok(())
    })))
}

fn accumulate(cx: &CompileCx, negate: bool) -> Result<Compiled> {
    dispatch_arith!(cx.dtype(0), T => {
        Ok(Compiled::Variable(Box::new(move |variables: &mut [&mut Option<Value>], args: &mut Args| {
            let value = initialised::<T>(variables[0])?;
            let delta = args.input::<T>(1);
            check_len(value.len(), delta.len())?;
            let (len, value) = (value.len(), Parts::new(value));
            args.each_stretch(len, GRAIN, &|at| {
                // SAFETY: stretches do not overlap.
                let pairs = unsafe { value.part(at.clone()) }.iter_mut().zip(&delta[at]);
                match negate {
                    true => pairs.for_each(|(v, d)| *v = v.sub(*d)),
                    false => pairs.for_each(|(v, d)| *v = v.add(*d)),
                }
                Ok(())
            })
        })))
    }, else => unsupported())
}

/// The quotient; of integers rounded towards zero, and 0 by 0.
fn quotient<T: Element>(a: T, b: T) -> T {
    if T::DTYPE.is_float() {
        return T::from_f64(a.to_f64() / b.to_f64());
    }
    match (a.to_i64(), b.to_i64()) {
        (_, 0) => T::from_i64(0),
        (a, b) if T::DTYPE == DType::U64 => T::from_i64((a as u64 / b as u64) as i64),
        (a, b) => T::from_i64(a.wrapping_div(b)),
    }
}

fn scatter<T: Element>(cx: &CompileCx, f: impl Fn(T, T) -> T + Send + Sync + 'static) -> Result<Compiled> {
    let (index_dtype, count) = (cx.dtype(1), cx.shape(1).num_elements());
    // A single number is for all rows.
    let one = cx.shape(2).rank() == 0;
    Ok(Compiled::Variable(Box::new(move |variables, args| {
        let updates = args.input::<T>(2);
        let row =
            if one { row_size(variables[0], 0, 0)? } else { row_size(variables[0], count, updates.len())? };
        let value = initialised::<T>(variables[0])?;
        let rows = value.len().checked_div(row).unwrap_or(0);
        for (k, i) in row_indices(args, 1, index_dtype, rows)?.enumerate() {
            let target = &mut value[i * row..(i + 1) * row];
            match one {
                true => target.iter_mut().for_each(|v| *v = f(*v, updates[0])),
                false => target.iter_mut().zip(&updates[k * row..]).for_each(|(v, u)| *v = f(*v, *u)),
            }
        }
        Ok(())
    })))
}

/// How many elements a row of the variable has; `count` rows must take `updates` elements. The variable's shape may be unknown
/// to the graph, so that only its value tells.
pub(super) fn row_size(variable: &Option<Value>, count: usize, updates: usize) -> Result<usize> {
    let shape = variable.as_ref().ok_or_else(uninitialised)?.shape();
    let row = shape.iter().skip(1).product();
    if updates == count * row {
        Ok(row)
    } else {
        Err(Error::invalid(format!(
            "{count} rows of the variable's shape {shape} take {} elements, not {updates}",
            count * row
        )))
    }
}

/// The indices in input `i`, all checked to be below `rows` before the first is used.
pub(super) fn row_indices<'a>(
    args: &Args<'a>,
    i: usize,
    dtype: tidemill_core::DType,
    rows: usize,
) -> Result<Box<dyn Iterator<Item = usize> + 'a>> {
    fn checked<'a, T: Element>(
        indices: &'a [T],
        rows: usize,
    ) -> Result<Box<dyn Iterator<Item = usize> + 'a>> {
        match indices.iter().find(|v| !(0..rows as i64).contains(&v.to_i64())) {
            Some(bad) => Err(Error::invalid(format!("index {bad:?} is not in [0, {rows})"))),
            None => Ok(Box::new(indices.iter().map(|v| v.to_i64() as usize))),
        }
    }
    match dtype {
        tidemill_core::DType::I32 => checked(args.input::<i32>(i), rows),
        _ => checked(args.input::<i64>(i), rows),
    }
}

pub(super) fn check_len(have: usize, want: usize) -> Result<()> {
    if have == want {
        Ok(())
    } else {
        Err(Error::invalid(format!("the variable holds {have} elements, the update {want}")))
    }
}
