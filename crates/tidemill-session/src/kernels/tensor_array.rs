//! Kernels of `ops::tensor_array`.

use tidemill_core::ops::{ArrayAdd, ArrayResize, ArrayWrite};
use tidemill_core::{DType, Error, Result, Value};
use tidemill_tensor::dispatch_arith;

use super::arith::Arith;
use super::objects::{ints, scalar};
use super::{Args, CompileCx, Compiled, KernelTable, Step};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<ArrayWrite>(|op, cx| {
        let dynamic_size = op.dynamic_size;
        if cx.on_values() {
            return Ok(Compiled::Values(Box::new(move |inputs| write_values(inputs, dynamic_size))));
        }
        let rows = Rows::of(cx);
        let (index, grows) = (cx.dtype(1), cx.shape(0) != cx.output_shape(0));
        let step = Step::new(move |args: &mut Args| {
            let places = rows.places(args, index)?;
            distinct(&places)?;
            rows.start(args);
            for (i, at) in places.into_iter().enumerate() {
                let (from, (to, _)) = (args.input_raw(2), args.output_raw(0));
                // SAFETY: `places` are below the number of rows; operand 2 has one row of as many bytes for each of them, apart from the output.
                unsafe {
                    std::ptr::copy_nonoverlapping(
                        from.add(i * rows.bytes),
                        to.add(at * rows.bytes),
                        rows.bytes,
                    )
                };
            }
            Ok(())
        });
        Ok(if grows { step.into() } else { step.in_place(&[0]).into() })
    });
    table.compiled::<ArrayAdd>(|_, cx| {
        let rows = Rows::of(cx);
        let index = cx.dtype(1);
        dispatch_arith!(cx.dtype(0), T => {
            if cx.on_values() {
                return Ok(Compiled::Values(Box::new(add_values::<T>)));
            }
            let each = rows.bytes / size_of::<T>();
            let step = Step::new(move |args: &mut Args| {
                let places = rows.places(args, index)?;
                rows.start(args);
                let values = args.input::<T>(2);
                let (to, len) = args.output_ptr::<T>(0);
                for (i, at) in places.into_iter().enumerate() {
                    if (at + 1) * each > len {
                        return Err(Error::internal("a row lies outside of its array"));
                    }
                    // SAFETY: checked to lie inside of the output, which is apart from operand 2.
                    let row = unsafe { std::slice::from_raw_parts_mut(to.add(at * each), each) };
                    row.iter_mut().zip(&values[i * each..]).for_each(|(a, b)| *a = Arith::add(*a, *b));
                }
                Ok(())
            });
            Ok(step.in_place(&[0]).into())
        }, else => Err(Error::unimplemented(format!("ArrayAdd of {}", cx.dtype(0)))))
    });
    table.values::<ArrayResize>(|_, inputs| {
        let [array, size] = super::list::operands(inputs)?;
        let size = scalar(&size)?;
        let len =
            usize::try_from(size).map_err(|_| Error::invalid(format!("the size {size} is negative")))?;
        Ok(vec![array.with_slices(len)?])
    });
}

/// The rows of an array.
#[derive(Clone, Copy)]
struct Rows {
    count: usize,
    bytes: usize,
}

impl Rows {
    fn of(cx: &CompileCx) -> Rows {
        let shape = cx.output_shape(0);
        let count = shape.first().copied().unwrap_or(0);
        let bytes = shape.num_bytes(cx.dtype(0)).unwrap_or(0);
        Rows { count, bytes: bytes.checked_div(count).unwrap_or(0) }
    }

    /// Which rows the indices name.
    fn places(self, args: &Args, dtype: DType) -> Result<smallvec::SmallVec<[usize; 4]>> {
        let place = |index: i64| place(index, self.count);
        match dtype {
            DType::I64 => args.input::<i64>(1).iter().map(|i| place(*i)).collect(),
            _ => args.input::<i32>(1).iter().map(|i| place(i64::from(*i))).collect(),
        }
    }

    /// Makes the output what operand 0 is, with zeros behind it, unless it is that already.
    fn start(self, args: &mut Args) {
        let (from, (to, bytes)) = (args.input_raw(0), args.output_raw(0));
        if !std::ptr::eq(from, to) {
            let own = args.input_bytes(0).len().min(bytes);
            // SAFETY: both are valid for these bytes; operand and output overlap only when they are the same.
            unsafe {
                std::ptr::copy_nonoverlapping(from, to, own);
                std::ptr::write_bytes(to.add(own), 0, bytes - own);
            }
        }
    }
}

fn place(index: i64, count: usize) -> Result<usize> {
    usize::try_from(index).ok().filter(|at| *at < count).ok_or_else(|| {
        Error::invalid(format!("index {index} is out of range for an array of {count} elements"))
    })
}

/// # Errors
/// When a place comes twice: what is there would depend on the order.
fn distinct(places: &[usize]) -> Result<()> {
    if places.len() < 2 {
        return Ok(());
    }
    let mut seen = rustc_hash::FxHashSet::default();
    match places.iter().find(|at| !seen.insert(**at)) {
        Some(twice) => Err(Error::invalid(format!("element {twice} is written twice at once"))),
        None => Ok(()),
    }
}

/// In place, where the array has no other owner.
fn add_values<T: Arith>(inputs: Vec<Value>) -> Result<Vec<Value>> {
    let [mut array, index, value] = super::list::operands(inputs)?;
    let count = array.shape().first().copied().unwrap_or(0);
    let places: Vec<usize> = ints(&index)?.into_iter().map(|i| place(i, count)).collect::<Result<_>>()?;
    let to = array.as_mut_slice::<T>()?;
    let each = to.len().checked_div(count).unwrap_or(0);
    let values = value.as_slice::<T>()?;
    if values.len() != each * places.len() {
        return Err(Error::invalid(format!(
            "{} numbers are added to {} rows of {each}",
            values.len(),
            places.len()
        )));
    }
    for (i, at) in places.into_iter().enumerate() {
        let row = &mut to[at * each..(at + 1) * each];
        row.iter_mut().zip(&values[i * each..]).for_each(|(a, b)| *a = Arith::add(*a, *b));
    }
    Ok(vec![array])
}

/// In place, where the array has no other owner.
fn write_values(inputs: Vec<Value>, dynamic_size: bool) -> Result<Vec<Value>> {
    let [mut array, index, value] = super::list::operands(inputs)?;
    let count = array.shape().first().copied().unwrap_or(0);
    let indices = ints(&index)?;
    let largest = indices.iter().copied().max().unwrap_or(-1);
    let len = usize::try_from(largest).map_or(0, |i| i.saturating_add(1));
    if dynamic_size && len > count {
        array = array.with_slices(len)?;
    }
    let count = array.shape().first().copied().unwrap_or(0);
    let places: Vec<usize> = indices.into_iter().map(|i| place(i, count)).collect::<Result<_>>()?;
    distinct(&places)?;
    let each = array.num_bytes().checked_div(count).unwrap_or(0);
    if value.num_bytes() != each * places.len() || value.dtype() != array.dtype() {
        return Err(Error::invalid(format!("{value} is written to elements of {}", array.shape())));
    }
    let to = array.bytes_mut();
    for (i, at) in places.into_iter().enumerate() {
        to[at * each..(at + 1) * each].copy_from_slice(&value.bytes()[i * each..(i + 1) * each]);
    }
    Ok(vec![array])
}
