//! Kernels of `ops::reduce`.
//!
//! The input is read once, in order. Its dimensions are merged into runs that are reduced or kept; along the innermost run either a stretch is
//! folded into one result (in several lanes, so that rounding stays small and loops vectorise), or a stretch is folded into as many results
//! side by side. What is large is cut into parts, by its shape alone: the order is the same every time.

use tidemill_core::ops::{All, Any, ArgMax, ArgMin, EuclideanNorm, Max, Mean, Min, Prod, Sum};
use tidemill_core::{DType, Error, Result, Shape, normalise_axis};
use tidemill_tensor::half::{bf16, f16};
use tidemill_tensor::{Element, dispatch_arith, dispatch_int, dispatch_numeric};

use super::arith::{Arith, Ordered};
use super::parallel::{GRAIN, Parts};
use super::simd::{Body, Isa, Level, run, wide};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Sum>(|_, cx| numbers(cx, Reduction::Sum));
    table.compiled::<Mean>(|_, cx| numbers(cx, Reduction::Mean));
    table.compiled::<Prod>(|_, cx| numbers(cx, Reduction::Prod));
    table.compiled::<EuclideanNorm>(|_, cx| numbers(cx, Reduction::Norm));
    table.compiled::<Max>(|_, cx| numbers(cx, Reduction::Max));
    table.compiled::<Min>(|_, cx| numbers(cx, Reduction::Min));
    table.compiled::<All>(|_, cx| bools(cx, true));
    table.compiled::<Any>(|_, cx| bools(cx, false));
    table.compiled::<ArgMax>(|_, cx| arg_extreme(cx, true));
    table.compiled::<ArgMin>(|_, cx| arg_extreme(cx, false));
}

/// How to walk the input.
#[derive(Debug, Clone)]
struct Folds {
    /// Sizes of the outer runs, and how far the result moves along each (0 for a reduced one).
    outer: Vec<(usize, usize)>,
    /// Size of the innermost run, and whether it is reduced.
    inner: (usize, bool),
    /// How many elements make one result.
    count: usize,
}

impl Folds {
    fn new(shape: &Shape, axes: &[i64]) -> Result<Folds> {
        let mut reduced = vec![false; shape.rank()];
        for axis in axes {
            let axis = normalise_axis(*axis, shape.rank())?;
            if std::mem::replace(&mut reduced[axis], true) {
                return Err(Error::invalid(format!("axis {axis} is reduced twice")));
            }
        }
        let mut runs: Vec<(usize, bool)> = vec![];
        for (&n, &reduced) in shape.iter().zip(&reduced).filter(|(n, _)| **n != 1) {
            match runs.last_mut() {
                Some((size, same)) if *same == reduced => *size *= n,
                _ => runs.push((n, reduced)),
            }
        }
        let inner = runs.pop().unwrap_or((1, false));
        let mut step = if inner.1 { 1 } else { inner.0 };
        let mut outer: Vec<(usize, usize)> = vec![];
        for &(n, reduced) in runs.iter().rev() {
            outer.push((n, if reduced { 0 } else { step }));
            step *= if reduced { 1 } else { n };
        }
        outer.reverse();
        let count = shape.iter().zip(&reduced).filter(|(_, r)| **r).map(|(n, _)| *n).product();
        Ok(Folds { outer, inner, count })
    }

    /// Calls `f` with the place of the result for each innermost run, in the order of the input.
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize)) {
        let turns: usize = self.outer.iter().map(|(n, _)| *n).product();
        let mut index = [0usize; 32];
        let mut at = 0;
        for _ in 0..turns {
            f(at);
            for (d, (n, step)) in self.outer.iter().enumerate().rev() {
                index[d] += 1;
                at += step;
                if index[d] < *n {
                    break;
                }
                at -= n * step;
                index[d] = 0;
            }
        }
    }
}

/// Folding elements `T` into results `A`.
trait Fold<T, A>: Copy + Send + Sync + 'static {
    /// The result of nothing.
    fn identity(self) -> A;
    /// One more element.
    fn with(self, sum: A, x: T) -> A;
    /// Two results of parts.
    fn join(self, a: A, b: A) -> A;
}

struct Walk<'a, T, A, F> {
    folds: &'a Folds,
    x: &'a [T],
    out: &'a mut [A],
    fold: F,
}

impl<T: Element, A: Copy, F: Fold<T, A>> Body for Walk<'_, T, A, F> {
    type Out = ();
    const WIDE: bool = wide(T::DTYPE);
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Walk { folds, x, out, fold } = self;
        out.fill(fold.identity());
        let (n, reduced) = folds.inner;
        if n == 0 || x.is_empty() {
            return;
        }
        let mut rest = x;
        folds.each(|at| {
            let (run, after) = rest.split_at(n);
            rest = after;
            if !reduced {
                for (out, x) in out[at..at + n].iter_mut().zip(run) {
                    *out = fold.with(*out, *x);
                }
                return;
            }
            out[at] = fold.join(out[at], fold_run(run, fold));
        });
    }
}

/// What a stretch comes to.
#[inline(always)]
fn fold_run<T: Copy, A: Copy, F: Fold<T, A>>(run: &[T], fold: F) -> A {
    const LANES: usize = 16;
    let mut lanes = [fold.identity(); LANES];
    let mut chunks = run.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = fold.with(*lane, *x);
        }
    }
    let tail = chunks.remainder().iter().fold(fold.identity(), |sum, x| fold.with(sum, *x));
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] = fold.join(lanes[i], lanes[i + width]);
        }
    }
    fold.join(lanes[0], tail)
}

/// Folds each row of a matrix, or a single one.
struct Rows<'a, T, A, F> {
    x: &'a [T],
    out: &'a mut [A],
    fold: F,
}

impl<T: Element, A: Copy, F: Fold<T, A>> Body for Rows<'_, T, A, F> {
    type Out = ();
    const WIDE: bool = wide(T::DTYPE);
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Rows { x, out, fold } = self;
        let columns = x.len() / out.len().max(1);
        for (out, row) in out.iter_mut().zip(x.chunks_exact(columns.max(1))) {
            *out = fold.join(fold.identity(), fold_run(row, fold));
        }
    }
}

/// Folds some columns, from `first` on, of rows of `width` elements.
struct Columns<'a, T, A, F> {
    x: &'a [T],
    width: usize,
    first: usize,
    out: &'a mut [A],
    fold: F,
}

impl<T: Element, A: Copy, F: Fold<T, A>> Body for Columns<'_, T, A, F> {
    type Out = ();
    const WIDE: bool = wide(T::DTYPE);
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Columns { x, width, first, out, fold } = self;
        out.fill(fold.identity());
        for row in x.chunks_exact(width) {
            for (out, x) in out.iter_mut().zip(&row[first..]) {
                *out = fold.with(*out, *x);
            }
        }
    }
}

/// Folds what is large in tasks, and what is small as [`Walk`] does. Where tasks begin is settled by the shape.
fn share<T: Element, A: Copy + Send + Sync, F: Fold<T, A>>(
    args: &Args,
    level: Level,
    folds: &Folds,
    x: &[T],
    out: &mut [A],
    fold: F,
) -> Result<()> {
    /// Parts of a sum over everything, at most.
    const PARTS: usize = 64;
    if x.len() < 2 * GRAIN {
        run(level, Walk { folds, x, out, fold });
        return Ok(());
    }
    match (&folds.outer[..], folds.inner) {
        ([], (n, true)) => {
            let mut sums = [fold.identity(); PARTS];
            let length = n.div_ceil(PARTS).max(GRAIN);
            let parts = Parts::new(&mut sums);
            args.each_task(n.div_ceil(length), &|i| {
                // SAFETY: each task has a sum of its own.
                let out = unsafe { parts.part(i..i + 1) };
                run(level, Rows { x: &x[i * length..((i + 1) * length).min(n)], out, fold });
                Ok(())
            })?;
            out[0] = sums.into_iter().fold(fold.identity(), |a, b| fold.join(a, b));
            Ok(())
        }
        ([(rows, 1..)], (n, true)) => {
            let out = Parts::new(out);
            args.each_stretch(*rows, (GRAIN / n).max(1), &|rows| {
                // SAFETY: stretches of rows do not overlap.
                let out = unsafe { out.part(rows.clone()) };
                run(level, Rows { x: &x[rows.start * n..rows.end * n], out, fold });
                Ok(())
            })
        }
        ([(rows, 0)], (width, false)) => {
            let out = Parts::new(out);
            // Not so few columns that little is read of each row.
            args.each_stretch(width, (GRAIN / rows).max(256), &|columns| {
                // SAFETY: stretches of columns do not overlap.
                let out = unsafe { out.part(columns.clone()) };
                run(level, Columns { x, width, first: columns.start, out, fold });
                Ok(())
            })
        }
        _ => {
            run(level, Walk { folds, x, out, fold });
            Ok(())
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Reduction {
    Sum,
    Mean,
    Prod,
    Norm,
    Max,
    Min,
}

macro_rules! folds {
    ($($name:ident: $bound:ident, $identity:expr, $with:expr;)*) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        impl<T: $bound> Fold<T, T> for $name {
            #[inline(always)]
            fn identity(self) -> T {
                $identity
            }
            #[inline(always)]
            fn with(self, sum: T, x: T) -> T {
                let f: fn(T, T) -> T = $with;
                f(sum, x)
            }
            #[inline(always)]
            fn join(self, a: T, b: T) -> T {
                self.with(a, b)
            }
        }
    )*};
}
folds! {
    Add: Arith, T::from_i64(0), |a, b| a.add(b);
    Multiply: Arith, T::from_i64(1), |a, b| a.mul(b);
    // A NaN stays: it compares unequal to itself.
    Largest: Ordered, T::from_f64(f64::NEG_INFINITY), |a, b| if b > a || !is(b) { b } else { a };
    Smallest: Ordered, T::from_f64(f64::INFINITY), |a, b| if b < a || !is(b) { b } else { a };
}

#[derive(Clone, Copy)]
struct Squares;

impl<T: Arith> Fold<T, T> for Squares {
    #[inline(always)]
    fn identity(self) -> T {
        T::from_i64(0)
    }
    #[inline(always)]
    fn with(self, sum: T, x: T) -> T {
        sum.add(x.mul(x))
    }
    #[inline(always)]
    fn join(self, a: T, b: T) -> T {
        a.add(b)
    }
}

/// Whether `x` is a number.
#[inline(always)]
#[allow(clippy::eq_op)]
fn is<T: Element>(x: T) -> bool {
    x == x
}

/// Halves are summed and multiplied as `f32`.
#[derive(Clone, Copy)]
struct AsF32<F>(F);

macro_rules! half_folds {
    ($($half:ty)*) => {$(
        impl<F: Fold<f32, f32>> Fold<$half, f32> for AsF32<F> {
            #[inline(always)]
            fn identity(self) -> f32 {
                self.0.identity()
            }
            #[inline(always)]
            fn with(self, sum: f32, x: $half) -> f32 {
                self.0.with(sum, x.to_f32())
            }
            #[inline(always)]
            fn join(self, a: f32, b: f32) -> f32 {
                self.0.join(a, b)
            }
        }
    )*};
}
half_folds!(f16 bf16);

fn numbers(cx: &CompileCx, reduction: Reduction) -> Result<Compiled> {
    let Some(axes) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let folds = Folds::new(&cx.shape(0), &axes)?;
    let level = cx.level();
    let wide = matches!(reduction, Reduction::Sum | Reduction::Mean | Reduction::Prod | Reduction::Norm);
    match cx.dtype(0) {
        DType::F16 if wide => halves::<f16>(folds, level, reduction, |x: f32| f16::from_f32(x)),
        DType::BF16 if wide => halves::<bf16>(folds, level, reduction, |x: f32| bf16::from_f32(x)),
        dtype if wide => dispatch_arith!(dtype, T => match reduction {
            Reduction::Sum => plain::<T, _>(folds, level, Add, |_| ()),
            Reduction::Mean => {
                let count = folds.count;
                plain::<T, _>(folds, level, Add, move |out: &mut [T]| divide(out, count))
            }
            Reduction::Norm => plain::<T, _>(folds, level, Squares, roots),
            _ => plain::<T, _>(folds, level, Multiply, |_| ()),
        }, else => Err(Error::unimplemented("a reduction of this dtype"))),
        dtype => dispatch_numeric!(dtype, T => match reduction {
            Reduction::Max => plain::<T, _>(folds, level, Largest, |_| ()),
            _ => plain::<T, _>(folds, level, Smallest, |_| ()),
        }, else => Err(Error::unimplemented("a reduction of this dtype"))),
    }
}

/// Sums become means. The mean of nothing is NaN; of integers, 0.
fn divide<T: Element>(out: &mut [T], count: usize) {
    if T::DTYPE.is_complex() {
        out.iter_mut().for_each(|v| *v = T::from_c128(v.to_c128() / count as f64));
    } else if T::DTYPE.is_float() {
        let count = count as f64;
        out.iter_mut().for_each(|v| *v = T::from_f64(v.to_f64() / count));
    } else {
        out.iter_mut().for_each(|v| *v = T::from_i64(v.to_i64().checked_div(count as i64).unwrap_or(0)));
    }
}

fn roots<T: Element>(out: &mut [T]) {
    out.iter_mut().for_each(|v| *v = T::from_f64(v.to_f64().sqrt()));
}

fn plain<T: Element, F: Fold<T, T>>(
    folds: Folds,
    level: Level,
    fold: F,
    finish: impl Fn(&mut [T]) + Send + Sync + 'static,
) -> Result<Compiled> {
    Compiled::step(move |args: &mut Args| {
        let out = args.output::<T>(0);
        share(args, level, &folds, args.input::<T>(0), out, fold)?;
        finish(out);
        Ok(())
    })
}

fn halves<T: Element>(
    folds: Folds,
    level: Level,
    reduction: Reduction,
    narrow: fn(f32) -> T,
) -> Result<Compiled>
where
    AsF32<Add>: Fold<T, f32>,
    AsF32<Multiply>: Fold<T, f32>,
    AsF32<Squares>: Fold<T, f32>,
{
    Compiled::step(move |args: &mut Args| {
        let (x, out) = (args.input::<T>(0), args.output::<T>(0));
        let mut wide = vec![0f32; out.len()];
        match reduction {
            Reduction::Prod => run(level, Walk { folds: &folds, x, out: &mut wide, fold: AsF32(Multiply) }),
            Reduction::Norm => run(level, Walk { folds: &folds, x, out: &mut wide, fold: AsF32(Squares) }),
            _ => run(level, Walk { folds: &folds, x, out: &mut wide, fold: AsF32(Add) }),
        }
        if reduction == Reduction::Norm {
            roots(&mut wide);
        }
        if reduction == Reduction::Mean {
            divide(&mut wide, folds.count);
        }
        out.iter_mut().zip(wide).for_each(|(out, x)| *out = narrow(x));
        Ok(())
    })
}

/// All of them, or any of them.
#[derive(Clone, Copy)]
struct Bools {
    all: bool,
}

impl Fold<bool, bool> for Bools {
    #[inline(always)]
    fn identity(self) -> bool {
        self.all
    }
    #[inline(always)]
    fn with(self, sum: bool, x: bool) -> bool {
        if self.all { sum & x } else { sum | x }
    }
    #[inline(always)]
    fn join(self, a: bool, b: bool) -> bool {
        self.with(a, b)
    }
}

fn bools(cx: &CompileCx, all: bool) -> Result<Compiled> {
    let Some(axes) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    plain::<bool, _>(Folds::new(&cx.shape(0), &axes)?, cx.level(), Bools { all }, |_| ())
}

fn arg_extreme(cx: &CompileCx, largest: bool) -> Result<Compiled> {
    let Some(axis) = cx.ints(1) else { return Ok(Compiled::Deferred) };
    let shape = cx.shape(0);
    let axis = normalise_axis(axis[0], shape.rank())?;
    let n = shape[axis];
    if n == 0 {
        return Err(Error::invalid(format!("axis {axis} of {shape} is empty: it has no extreme element")));
    }
    let inner: usize = shape.iter().skip(axis + 1).product();
    match cx.dtype(0) {
        DType::Bool => arg_extreme_of::<bool>(cx, [n, inner], largest),
        dtype => dispatch_numeric!(dtype, T => arg_extreme_of::<T>(cx, [n, inner], largest), else => {
            Err(Error::unimplemented("an extreme of this dtype"))
        }),
    }
}

fn arg_extreme_of<T: Element + PartialOrd>(
    cx: &CompileCx,
    [n, inner]: [usize; 2],
    largest: bool,
) -> Result<Compiled> {
    dispatch_int!(cx.output_dtype(0), O => Compiled::step(move |args: &mut Args| {
        let (x, out) = (args.input::<T>(0), args.output::<O>(0));
        for (block, out) in x.chunks_exact(n * inner.max(1)).zip(out.chunks_exact_mut(inner.max(1))) {
            for (i, out) in out.iter_mut().enumerate() {
                let mut best = (0, block[i]);
                for at in 1..n {
                    let v = block[at * inner + i];
                    // The first of equals stays, and so does a NaN before any number.
                    if if largest { v > best.1 } else { v < best.1 } {
                        best = (at, v);
                    }
                }
                *out = O::from_i64(best.0 as i64);
            }
        }
        Ok(())
    }), else => Err(Error::unimplemented("indices of this dtype")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, try_eval};
    use super::*;
    use tidemill_core::{Op, Value};

    #[track_caller]
    fn check(op: impl Op, x: impl Into<Value>, axes: impl Into<Value>, want: impl Into<Value>) {
        assert_eq!(eval(op, &[x.into(), axes.into()]), [want.into()]);
    }

    fn sum() -> Sum {
        Sum { keep_dims: false }
    }

    #[test]
    fn sums_along_any_axes() {
        let x = Value::from([[1f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        check(sum(), x.clone(), [0], [5f32, 7.0, 9.0]);
        check(sum(), x.clone(), [1], [6f32, 15.0]);
        check(sum(), x.clone(), [0, 1], 21f32);
        check(sum(), x.clone(), [-1], [6f32, 15.0]);
        check(sum(), x.clone(), Value::zeros(DType::I32, [0]).unwrap(), x.clone());
        check(Sum { keep_dims: true }, x.clone(), [1], [[6f32], [15.0]]);
        let cube = Value::from_vec([2, 3, 2], (1..=12).collect::<Vec<i32>>()).unwrap();
        check(sum(), cube.clone(), [0, 2], [18, 26, 34]);
        check(sum(), cube, [1], [[9, 12], [27, 30]]);
        assert!(try_eval(sum(), &[x.clone(), [0, 0].into()]).is_err());
        assert!(try_eval(sum(), &[x, [2].into()]).is_err());
    }

    #[test]
    fn long_stretches_use_every_lane() {
        let x: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        check(sum(), x.clone(), [0], 499_500f32);
        check(Max { keep_dims: false }, x.clone(), [0], 999f32);
        check(Min { keep_dims: false }, x, [0], 0f32);
    }

    #[test]
    fn what_is_large_is_cut() {
        for (rows, columns) in [(3, 40_000), (300, 500), (40_000, 3), (1, 70_001)] {
            let x: Vec<i64> = (0..rows * columns).map(|i| (i * 7919 % 1009) as i64 - 500).collect();
            let of_rows: Vec<i64> = x.chunks(columns).map(|row| row.iter().sum()).collect();
            let of_columns: Vec<i64> =
                (0..columns).map(|c| x.iter().skip(c).step_by(columns).sum()).collect();
            let largest: Vec<i64> = x.chunks(columns).map(|row| *row.iter().max().unwrap()).collect();
            let value = Value::from_vec([rows, columns], x.clone()).unwrap();
            check(sum(), value.clone(), [1], of_rows);
            check(sum(), value.clone(), [0], of_columns);
            check(sum(), value.clone(), [0, 1], x.iter().sum::<i64>());
            check(Max { keep_dims: false }, value, [1], largest);
        }
    }

    #[test]
    fn of_nothing() {
        let nothing = Value::zeros(DType::F32, [0, 2]).unwrap();
        check(sum(), nothing.clone(), [0], [0f32, 0.0]);
        check(Prod { keep_dims: false }, nothing.clone(), [0], [1f32, 1.0]);
        check(Max { keep_dims: false }, nothing.clone(), [0], [f32::NEG_INFINITY; 2]);
        let mean = eval(Mean { keep_dims: false }, &[nothing, [0].into()]);
        assert!(mean[0].iter_f64().all(f64::is_nan));
        check(Min { keep_dims: false }, Value::zeros(DType::I32, [0]).unwrap(), [0], i32::MAX);
    }

    #[test]
    fn means_and_products() {
        check(Mean { keep_dims: false }, [[1f64, 2.0], [3.0, 5.0]], [0], [2f64, 3.5]);
        check(Mean { keep_dims: false }, [7i32, -2], [0], 2i32);
        check(Prod { keep_dims: false }, [200u8, 2], [0], 144u8);
    }

    #[test]
    fn a_nan_is_kept() {
        for x in [[1.0f32, f32::NAN, 2.0], [f32::NAN, 1.0, 2.0], [1.0, 2.0, f32::NAN]] {
            for got in [
                eval(Max { keep_dims: false }, &[x.into(), [0].into()]),
                eval(Min { keep_dims: false }, &[x.into(), [0].into()]),
            ] {
                assert!(got[0].to_scalar::<f32>().unwrap().is_nan());
            }
        }
    }

    #[test]
    fn halves_are_summed_as_floats() {
        let x = Value::full(DType::F16, [4096], 1.0f32).unwrap();
        assert_eq!(eval(sum(), &[x, [0].into()])[0].get_f64(0), Some(4096.0));
    }

    #[test]
    fn logic() {
        let x = [[true, false], [true, true]];
        check(All { keep_dims: false }, x, [1], [false, true]);
        check(Any { keep_dims: false }, x, [0], [true, true]);
    }

    #[test]
    fn extremes() {
        let x = [[1f32, 5.0, 5.0], [7.0, 2.0, 2.0]];
        check(ArgMax { output_type: DType::I64 }, x, 1, [1i64, 0]);
        check(ArgMin { output_type: DType::I32 }, x, -1, [0i32, 1]);
        check(ArgMax { output_type: DType::I64 }, x, 0, [1i64, 0, 0]);
    }
}
