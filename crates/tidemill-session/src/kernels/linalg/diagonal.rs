//! Kernels of `ops::linalg::diagonal`, and the cross product. Elements are moved as bytes.

use tidemill_core::ops::{
    Cross, Diag, DiagPart, Diagonals, MatrixBandPart, MatrixDiag, MatrixDiagPart, MatrixDiagPartV2,
    MatrixDiagPartV3, MatrixDiagV2, MatrixDiagV3, MatrixSetDiag, MatrixSetDiagV2, MatrixSetDiagV3,
};
use tidemill_core::{Error, Result, Shape};
use tidemill_tensor::{Element, dispatch_int, dispatch_numeric};

use super::super::arith::Arith;
use super::super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    const LEFT: &str = "LEFT_LEFT";
    table.compiled::<MatrixDiag>(|_, cx| diag(cx, Some(Diagonals::MAIN), false));
    table.compiled::<MatrixDiagV2>(|_, cx| diag(cx, named(cx, 1, LEFT)?, true));
    table.compiled::<MatrixDiagV3>(|op, cx| diag(cx, named(cx, 1, &op.align)?, true));
    table.compiled::<MatrixDiagPart>(|_, cx| part(cx, Some(Diagonals::MAIN), false));
    table.compiled::<MatrixDiagPartV2>(|_, cx| part(cx, named(cx, 1, LEFT)?, true));
    table.compiled::<MatrixDiagPartV3>(|op, cx| part(cx, named(cx, 1, &op.align)?, true));
    table.compiled::<MatrixSetDiag>(|_, cx| set(cx, Some(Diagonals::MAIN)));
    table.compiled::<MatrixSetDiagV2>(|_, cx| set(cx, named(cx, 2, LEFT)?));
    table.compiled::<MatrixSetDiagV3>(|op, cx| set(cx, named(cx, 2, &op.align)?));
    table.compiled::<MatrixBandPart>(|_, cx| band(cx));
    table.compiled::<Diag>(|_, cx| {
        let n = cx.shape(0).num_elements();
        filled(cx, 0, None, [n, n * n], (0..n).map(|i| (i, i * (n + 1))).collect())
    });
    table.compiled::<DiagPart>(|_, cx| {
        let n = cx.output_shape(0).num_elements();
        if n.checked_mul(n) != Some(cx.shape(0).num_elements()) {
            return Err(Error::invalid(format!("a tensor of shape {} has no diagonal", cx.shape(0))));
        }
        filled(cx, 0, None, [n * n, n], (0..n).map(|i| (i * (n + 1), i)).collect())
    });
    table.compiled::<Cross>(|_, cx| cross(cx));
}

fn named(cx: &CompileCx, k: usize, align: &str) -> Result<Option<Diagonals>> {
    cx.ints(k).map(|k| Diagonals::new(&k, align)).transpose()
}

/// The sizes of the matrices of a batch.
fn sizes(shape: &Shape) -> Result<[usize; 2]> {
    match shape.dims() {
        [.., m, n] => Ok([*m, *n]),
        _ => Err(Error::invalid(format!("a tensor of shape {shape} holds no matrices"))),
    }
}

/// For each element of the diagonals, its places in a matrix and in the rows of diagonals, which have `len` elements.
fn places(diagonals: &Diagonals, [m, n]: [usize; 2]) -> Result<(Vec<(usize, usize)>, usize)> {
    let (longest, count) = (diagonals.longest(m, n)?, diagonals.count()?);
    let mut places = vec![];
    for row in 0..count {
        let d = diagonals.high - row as i64;
        let (length, start) = diagonals.place(d, longest, m, n);
        for i in 0..length {
            let (down, right) = (i + d.min(0).unsigned_abs() as usize, i + d.max(0) as usize);
            places.push((down * n + right, row * longest + start + i));
        }
    }
    Ok((places, count * longest))
}

/// A body for elements of each size, as arrays of bytes.
macro_rules! by_size {
    ($size:expr, $n:ident => $body:expr) => {
        match $size {
            1 => {
                const $n: usize = 1;
                $body
            }
            2 => {
                const $n: usize = 2;
                $body
            }
            4 => {
                const $n: usize = 4;
                $body
            }
            8 => {
                const $n: usize = 8;
                $body
            }
            16 => {
                const $n: usize = 16;
                $body
            }
            size => Err(Error::internal(format!("elements of {size} bytes"))),
        }
    };
}

/// What an output holds before elements are put to their places: copies of these operands, or zeros.
#[derive(Clone, Copy)]
enum Ground {
    Zeros,
    Scalar(usize),
    Copy(usize),
}

/// A step that fills each block of the output with its ground, and moves elements of blocks of operand `from` to their places in it.
fn moved(
    cx: &CompileCx,
    from: usize,
    ground: Ground,
    [from_len, to_len]: [usize; 2],
    places: Vec<(usize, usize)>,
) -> Result<Compiled> {
    by_size!(cx.dtype(from).size(), N => Compiled::step(move |args: &mut Args| {
        let source = args.input_bytes(from).as_chunks::<N>().0;
        let out = args.output_bytes(0).as_chunks_mut::<N>().0;
        match ground {
            Ground::Zeros => out.fill([0; N]),
            Ground::Scalar(i) => {
                let value = args.input_bytes(i).as_chunks::<N>().0.first().copied();
                out.fill(value.ok_or_else(|| Error::invalid("`padding_value` is empty"))?);
            }
            Ground::Copy(i) => out.copy_from_slice(args.input_bytes(i).as_chunks::<N>().0),
        }
        if from_len > 0 && to_len > 0 {
            for (source, out) in source.chunks_exact(from_len).zip(out.chunks_exact_mut(to_len)) {
                places.iter().for_each(|(at, to)| out[*to] = source[*at]);
            }
        }
        Ok(())
    }))
}

fn filled(
    cx: &CompileCx,
    from: usize,
    padding: Option<usize>,
    lens: [usize; 2],
    places: Vec<(usize, usize)>,
) -> Result<Compiled> {
    moved(cx, from, padding.map_or(Ground::Zeros, Ground::Scalar), lens, places)
}

fn diag(cx: &CompileCx, diagonals: Option<Diagonals>, sized: bool) -> Result<Compiled> {
    let Some(diagonals) = diagonals else { return Ok(Compiled::Deferred) };
    let [m, n] = sizes(&cx.output_shape(0))?;
    let (places, len) = places(&diagonals, [m, n])?;
    let last = cx.shape(0).last().copied().unwrap_or(0);
    if last != diagonals.longest(m, n)? {
        return Err(Error::invalid(format!("diagonals of length {last} do not fit a matrix [{m},{n}]")));
    }
    let places = places.into_iter().map(|(matrix, row)| (row, matrix)).collect();
    filled(cx, 0, sized.then_some(4), [len, m * n], places)
}

fn part(cx: &CompileCx, diagonals: Option<Diagonals>, padded: bool) -> Result<Compiled> {
    let Some(diagonals) = diagonals else { return Ok(Compiled::Deferred) };
    let [m, n] = sizes(&cx.shape(0))?;
    let (places, len) = places(&diagonals, [m, n])?;
    filled(cx, 0, padded.then_some(2), [m * n, len], places)
}

fn set(cx: &CompileCx, diagonals: Option<Diagonals>) -> Result<Compiled> {
    let Some(diagonals) = diagonals else { return Ok(Compiled::Deferred) };
    let [m, n] = sizes(&cx.shape(0))?;
    let (places, len) = places(&diagonals, [m, n])?;
    let batches = cx.shape(0).num_elements().checked_div(m * n).unwrap_or(0);
    if cx.shape(1).num_elements() != batches * len {
        return Err(Error::invalid(format!(
            "`diagonal` of shape {} does not fit `input` of shape {}",
            cx.shape(1),
            cx.shape(0)
        )));
    }
    let places = places.into_iter().map(|(matrix, row)| (row, matrix)).collect();
    moved(cx, 1, Ground::Copy(0), [len, m * n], places)
}

fn band(cx: &CompileCx) -> Result<Compiled> {
    let [m, n] = sizes(&cx.shape(0))?;
    dispatch_int!(cx.dtype(1), I => by_size!(cx.dtype(0).size(), N => Compiled::step(move |args: &mut Args| {
        let bound = |i: usize, most: usize, name: &str| {
            let bound = args.input::<I>(i)[0].to_i64();
            match usize::try_from(bound) {
                // A negative number keeps everything.
                Err(_) => Ok(usize::MAX),
                Ok(bound) if bound <= most => Ok(bound),
                Ok(_) => Err(Error::invalid(format!("`{name}` is {bound}, but must be negative or at most {most}"))),
            }
        };
        let (lower, upper) = (bound(1, m, "num_lower")?, bound(2, n, "num_upper")?);
        let (x, out) = (args.input_bytes(0).as_chunks::<N>().0, args.output_bytes(0).as_chunks_mut::<N>().0);
        if n > 0 {
            for (row, (x, out)) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)).enumerate() {
                let i = row % m;
                let (from, to) = (i.saturating_sub(lower).min(n), i.saturating_add(upper).saturating_add(1).min(n));
                out.fill([0; N]);
                if from < to {
                    out[from..to].copy_from_slice(&x[from..to]);
                }
            }
        }
        Ok(())
    })), else => Err(Error::unimplemented("a band of this dtype")))
}

fn cross(cx: &CompileCx) -> Result<Compiled> {
    if cx.shape(0).last() != Some(&3) || cx.shape(0) != cx.shape(1) {
        return Err(Error::invalid(format!(
            "vectors of 3 elements are wanted, not the shapes {} and {}",
            cx.shape(0),
            cx.shape(1)
        )));
    }
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (a, b, out) = (args.input::<T>(0), args.input::<T>(1), args.output::<T>(0));
        for ((a, b), out) in a.chunks_exact(3).zip(b.chunks_exact(3)).zip(out.chunks_exact_mut(3)) {
            for (i, out) in out.iter_mut().enumerate() {
                let (j, k) = ((i + 1) % 3, (i + 2) % 3);
                *out = Arith::sub(Arith::mul(a[j], b[k]), Arith::mul(a[k], b[j]));
            }
        }
        Ok(())
    }), else => Err(Error::unimplemented("a cross product of this dtype")))
}

#[cfg(test)]
mod tests {
    use tidemill_core::{Op, Value};

    use super::super::super::testing::eval;
    use super::*;

    #[track_caller]
    fn check(op: impl Op, inputs: &[Value], want: impl Into<Value>) {
        assert_eq!(eval(op, inputs), [want.into()]);
    }

    #[test]
    fn diagonals_by_alignment() {
        let x = Value::from([[1, 2, 3, 4], [5, 6, 7, 8], [9, 8, 7, 6]]);
        let part = |align: &str| MatrixDiagPartV3 { align: align.to_owned() };
        let inputs = |k: [i32; 2]| [x.clone(), k.into(), 0.into()];
        check(part("RIGHT_LEFT"), &inputs([-1, 2]), [[0, 3, 8], [2, 7, 6], [1, 6, 7], [5, 8, 0]]);
        check(part("LEFT_RIGHT"), &inputs([-1, 2]), [[3, 8, 0], [2, 7, 6], [1, 6, 7], [0, 5, 8]]);
        check(part("LEFT_LEFT"), &inputs([1, 2]), [[3, 8, 0], [2, 7, 6]]);
        let diag = MatrixDiagV3 { align: "RIGHT_LEFT".to_owned() };
        let (minus, nine) = (Value::from(-1), Value::from(9));
        check(
            diag,
            &[[1, 2].into(), 1.into(), minus.clone(), minus, nine],
            [[9, 1, 9], [9, 9, 2], [9, 9, 9]],
        );
        let set = MatrixSetDiagV3 { align: "RIGHT_LEFT".to_owned() };
        check(set, &[[[1, 2], [3, 4]].into(), [7].into(), (-1).into()], [[1, 2], [7, 4]]);
    }

    #[test]
    fn bands_and_main_diagonals() {
        let x = Value::from([[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
        check(MatrixBandPart, &[x.clone(), 0i64.into(), (-1i64).into()], [[1, 2, 3], [0, 5, 6], [0, 0, 9]]);
        check(MatrixBandPart, &[x.clone(), 1i64.into(), 0i64.into()], [[1, 0, 0], [4, 5, 0], [0, 8, 9]]);
        check(MatrixDiagPart, std::slice::from_ref(&x), [1, 5, 9]);
        check(DiagPart, &[x], [1, 5, 9]);
        check(Diag, &[[1, 2].into()], [[1, 0], [0, 2]]);
        check(MatrixDiag, &[[[1, 2]].into()], [[[1, 0], [0, 2]]]);
        check(Cross, &[[1, 0, 0].into(), [0, 1, 0].into()], [0, 0, 1]);
    }
}
