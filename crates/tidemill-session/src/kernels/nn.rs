//! Kernels of `ops::nn`.
//!
//! The softmax family works on the rows of a matrix. Short rows are computed 16 at a time, one in each lane; long ones lane by
//! lane along the row. Elements are shifted by the maximum of their row first, so that nothing overflows.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use tidemill_core::ops::{
    BiasAdd, BiasAddGrad, L2Loss, LogSoftmax, Softmax, SoftmaxCrossEntropyWithLogits,
    SparseSoftmaxCrossEntropyWithLogits,
};
use tidemill_core::{DType, Error, Result, Shape};
use tidemill_tensor::half::{bf16, f16};
use tidemill_tensor::{Complex, Element, dispatch_arith, dispatch_float};

use super::arith::Arith;
use super::elementwise::Walk;
use super::parallel::{GRAIN, Parts};
use super::real::{Real, Wide};
use super::simd::{Body, Isa, run};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Softmax>(
        |_, cx| dispatch_float!(cx.dtype(0), T => softmax::<T>(cx), else => unsupported()),
    );
    table.compiled::<LogSoftmax>(
        |_, cx| dispatch_float!(cx.dtype(0), T => log_softmax::<T>(cx), else => unsupported()),
    );
    table.compiled::<SoftmaxCrossEntropyWithLogits>(
        |_, cx| dispatch_float!(cx.dtype(0), T => cross_entropy::<T>(cx), else => unsupported()),
    );
    table.compiled::<SparseSoftmaxCrossEntropyWithLogits>(|_, cx| match cx.dtype(1) {
        DType::I32 => {
            dispatch_float!(cx.dtype(0), T => sparse_cross_entropy::<T, i32>(cx), else => unsupported())
        }
        _ => dispatch_float!(cx.dtype(0), T => sparse_cross_entropy::<T, i64>(cx), else => unsupported()),
    });
    table.compiled::<BiasAdd>(
        |op, cx| dispatch_arith!(cx.dtype(0), T => bias_add::<T>(cx, &op.data_format), else => unsupported()),
    );
    table.compiled::<BiasAddGrad>(|op, cx| {
        dispatch_arith!(cx.dtype(0), T => bias_add_grad::<T>(cx, &op.data_format), else => unsupported())
    });
    table.compiled::<L2Loss>(
        |_, cx| dispatch_float!(cx.dtype(0), T => l2_loss::<T>(cx), else => unsupported()),
    );
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("this op for this dtype"))
}

/// Rows worked on at a time, and lanes along a long row.
const LANES: usize = 16;
/// The longest row that is short.
const SHORT: usize = 16;

type Lanes<T> = [<T as Real>::Wide; LANES];

/// What is computed of each row.
trait RowOp<T: Real> {
    /// Of a block of rows from `first` on, the first `valid` of which are wanted, one in each lane: from the shifted elements
    /// `x - max`, their exponentials and the sum of these.
    fn block<I: Isa>(
        &mut self,
        first: usize,
        valid: usize,
        shifted: &[Lanes<T>],
        exp: &[Lanes<T>],
        sum: Lanes<T>,
    );
    /// Of one long row `x`: from its maximum, and the sum of the exponentials of `x - max`.
    fn row<I: Isa>(&mut self, row: usize, x: &[T], max: T::Wide, sum: T::Wide);
}

struct EachRow<'a, T, R> {
    x: &'a [T],
    columns: usize,
    op: R,
}

impl<T: Real, R: RowOp<T>> Body for EachRow<'_, T, R> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let EachRow { x, columns, mut op } = self;
        match columns {
            0 => {}
            // Sizes known to the compiler make the loops over columns vanish.
            1 => blocks::<I, T, R>(x, 1, &mut op),
            2 => blocks::<I, T, R>(x, 2, &mut op),
            3 => blocks::<I, T, R>(x, 3, &mut op),
            4 => blocks::<I, T, R>(x, 4, &mut op),
            5..=SHORT => blocks::<I, T, R>(x, columns, &mut op),
            _ => {
                x.chunks_exact(columns).enumerate().for_each(|(i, row)| long_row::<I, T, R>(i, row, &mut op))
            }
        }
    }
}

#[inline(always)]
fn blocks<I: Isa, T: Real, R: RowOp<T>>(x: &[T], columns: usize, op: &mut R) {
    let rows = x.len() / columns;
    let zero = T::Wide::ZERO;
    let (mut shifted, mut exp) = ([[zero; LANES]; SHORT], [[zero; LANES]; SHORT]);
    let (shifted, exp) = (&mut shifted[..columns], &mut exp[..columns]);
    for (block, x) in x.chunks(LANES * columns).enumerate() {
        let first = block * LANES;
        let valid = LANES.min(rows - first);
        if valid == LANES {
            for (lane, row) in x.chunks_exact(columns).enumerate() {
                for c in 0..columns {
                    shifted[c][lane] = row[c].widen();
                }
            }
        } else {
            #[allow(clippy::needless_range_loop)] // the lane also says which row
            for lane in 0..LANES {
                let row = lane.min(valid - 1) * columns;
                for c in 0..columns {
                    shifted[c][lane] = x[row + c].widen();
                }
            }
        }
        let mut max = shifted[0];
        for column in &shifted[1..] {
            for lane in 0..LANES {
                max[lane] = max[lane].max(column[lane]);
            }
        }
        let mut sum = [zero; LANES];
        for (column, exp) in shifted.iter_mut().zip(exp.iter_mut()) {
            for lane in 0..LANES {
                column[lane] -= max[lane];
                exp[lane] = column[lane].exp::<I>();
                sum[lane] += exp[lane];
            }
        }
        op.block::<I>(first, valid, shifted, exp, sum);
    }
}

#[inline(always)]
fn long_row<I: Isa, T: Real, R: RowOp<T>>(i: usize, row: &[T], op: &mut R) {
    let max = along::<T>(row, T::Wide::LOWEST, |max, x| max.max(x), |a, b| a.max(b));
    let sum = along::<T>(row, T::Wide::ZERO, |sum, x| sum + (x - max).exp::<I>(), |a, b| a + b);
    op.row::<I>(i, row, max, sum);
}

/// Folds a long row in lanes, and the lanes in the end.
#[inline(always)]
fn along<T: Real>(
    row: &[T],
    start: T::Wide,
    fold: impl Fn(T::Wide, T::Wide) -> T::Wide,
    join: impl Fn(T::Wide, T::Wide) -> T::Wide,
) -> T::Wide {
    let mut lanes = [start; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for lane in 0..LANES {
            lanes[lane] = fold(lanes[lane], chunk[lane].widen());
        }
    }
    for (lane, x) in chunks.remainder().iter().enumerate() {
        lanes[lane] = fold(lanes[lane], x.widen());
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
    }
    lanes[0]
}

/// Calls `f` for stretches of the rows of `x`: with their elements, which rows they are, and which elements.
fn each_row<T: Real>(
    args: &Args,
    x: &[T],
    columns: usize,
    f: impl Fn(&[T], Range<usize>, Range<usize>) + Sync,
) -> Result<()> {
    let rows = x.len().checked_div(columns).unwrap_or(0);
    // Whole blocks of short rows, for the sake of speed.
    let grain = (GRAIN / 2 / columns.max(1)).max(1);
    let grain = if columns <= SHORT { grain.next_multiple_of(LANES) } else { grain };
    args.each_stretch(rows, grain, &|rows| {
        let at = rows.start * columns..rows.end * columns;
        f(&x[at.clone()], rows, at);
        Ok(())
    })
}

/// Writes the lanes of each column to the rows of a block.
#[inline(always)]
fn scatter<T: Real>(
    out: &mut [T],
    first: usize,
    valid: usize,
    columns: usize,
    lanes: impl Fn(usize) -> Lanes<T>,
) {
    let out = &mut out[first * columns..(first + valid) * columns];
    for c in 0..columns {
        let lanes = lanes(c);
        for (lane, row) in out.chunks_exact_mut(columns).enumerate() {
            row[c] = T::narrow(lanes[lane & (LANES - 1)]);
        }
    }
}

/// One value for each lane.
#[inline(always)]
fn each<T: Real>(f: impl Fn(usize) -> T::Wide) -> Lanes<T> {
    std::array::from_fn(f)
}

fn columns_of(shape: &Shape) -> usize {
    shape.last().copied().unwrap_or(1)
}

struct Probabilities<'a, T> {
    out: &'a mut [T],
}

impl<T: Real> RowOp<T> for Probabilities<'_, T> {
    #[inline(always)]
    fn block<I: Isa>(&mut self, first: usize, valid: usize, _: &[Lanes<T>], exp: &[Lanes<T>], sum: Lanes<T>) {
        let scale = each::<T>(|l| T::Wide::ONE / sum[l]);
        scatter(self.out, first, valid, exp.len(), |c| each::<T>(|l| exp[c][l] * scale[l]));
    }
    #[inline(always)]
    fn row<I: Isa>(&mut self, row: usize, x: &[T], max: T::Wide, sum: T::Wide) {
        let scale = T::Wide::ONE / sum;
        let out = &mut self.out[row * x.len()..][..x.len()];
        for (out, x) in out.iter_mut().zip(x) {
            *out = T::narrow((x.widen() - max).exp::<I>() * scale);
        }
    }
}

fn softmax<T: Real>(cx: &CompileCx) -> Result<Compiled> {
    let (level, columns) = (cx.level(), columns_of(&cx.shape(0)));
    Compiled::step(move |args: &mut Args| {
        let out = Parts::new(args.output::<T>(0));
        each_row(args, args.input::<T>(0), columns, |x, _, at| {
            // SAFETY: the elements of these rows.
            run(level, EachRow { x, columns, op: Probabilities { out: unsafe { out.part(at) } } });
        })
    })
}

struct LogProbabilities<'a, T> {
    out: &'a mut [T],
}

impl<T: Real> RowOp<T> for LogProbabilities<'_, T> {
    #[inline(always)]
    fn block<I: Isa>(
        &mut self,
        first: usize,
        valid: usize,
        shifted: &[Lanes<T>],
        _: &[Lanes<T>],
        sum: Lanes<T>,
    ) {
        let log = each::<T>(|l| sum[l].ln::<I>());
        scatter(self.out, first, valid, shifted.len(), |c| each::<T>(|l| shifted[c][l] - log[l]));
    }
    #[inline(always)]
    fn row<I: Isa>(&mut self, row: usize, x: &[T], max: T::Wide, sum: T::Wide) {
        let log = sum.ln::<I>();
        let out = &mut self.out[row * x.len()..][..x.len()];
        for (out, x) in out.iter_mut().zip(x) {
            *out = T::narrow(x.widen() - max - log);
        }
    }
}

fn log_softmax<T: Real>(cx: &CompileCx) -> Result<Compiled> {
    let (level, columns) = (cx.level(), columns_of(&cx.shape(0)));
    Compiled::step(move |args: &mut Args| {
        let out = Parts::new(args.output::<T>(0));
        each_row(args, args.input::<T>(0), columns, |x, _, at| {
            // SAFETY: the elements of these rows.
            run(level, EachRow { x, columns, op: LogProbabilities { out: unsafe { out.part(at) } } });
        })
    })
}

struct CrossEntropy<'a, T> {
    labels: &'a [T],
    loss: &'a mut [T],
    backprop: &'a mut [T],
}

impl<T: Real> RowOp<T> for CrossEntropy<'_, T> {
    #[inline(always)]
    fn block<I: Isa>(
        &mut self,
        first: usize,
        valid: usize,
        shifted: &[Lanes<T>],
        exp: &[Lanes<T>],
        sum: Lanes<T>,
    ) {
        let columns = shifted.len();
        let labels = &self.labels[first * columns..];
        let label = |c: usize, l: usize| labels[l.min(valid - 1) * columns + c].widen();
        let log = each::<T>(|l| sum[l].ln::<I>());
        let mut loss = [T::Wide::ZERO; LANES];
        for (c, shifted) in shifted.iter().enumerate() {
            for l in 0..LANES {
                loss[l] += label(c, l) * (log[l] - shifted[l]);
            }
        }
        self.loss[first..first + valid].iter_mut().zip(loss).for_each(|(out, loss)| *out = T::narrow(loss));
        let scale = each::<T>(|l| T::Wide::ONE / sum[l]);
        scatter(self.backprop, first, valid, columns, |c| each::<T>(|l| exp[c][l] * scale[l] - label(c, l)));
    }
    #[inline(always)]
    fn row<I: Isa>(&mut self, row: usize, x: &[T], max: T::Wide, sum: T::Wide) {
        let (log, scale) = (sum.ln::<I>(), T::Wide::ONE / sum);
        let labels = &self.labels[row * x.len()..][..x.len()];
        let backprop = &mut self.backprop[row * x.len()..][..x.len()];
        let mut loss = [T::Wide::ZERO; LANES];
        for (c, ((out, x), label)) in backprop.iter_mut().zip(x).zip(labels).enumerate() {
            let (shifted, label) = (x.widen() - max, label.widen());
            loss[c % LANES] += label * (log - shifted);
            *out = T::narrow(shifted.exp::<I>() * scale - label);
        }
        self.loss[row] = T::narrow(loss.into_iter().fold(T::Wide::ZERO, |a, b| a + b));
    }
}

fn cross_entropy<T: Real>(cx: &CompileCx) -> Result<Compiled> {
    let matrix = cx.output_shape(1);
    let (level, columns) = (cx.level(), columns_of(&matrix));
    // An operand that broadcasts is written out as the matrix that it stands for.
    let spread = [0, 1].map(|i| (cx.shape(i) != matrix).then(|| Walk::new(&matrix, [&cx.shape(i)])));
    let scratch = spread.each_ref().map(|walk| {
        let size = if walk.is_some() { matrix.num_elements() } else { 0 };
        Mutex::new(vec![T::default(); size])
    });
    Compiled::step(move |args: &mut Args| {
        let mut scratch =
            scratch.each_ref().map(|scratch| scratch.lock().unwrap_or_else(PoisonError::into_inner));
        let [x, labels] = scratch.each_mut();
        let x = whole(args.input::<T>(0), spread[0].as_ref(), x);
        let labels = whole(args.input::<T>(1), spread[1].as_ref(), labels);
        let (loss, backprop) = (args.output::<T>(0), args.output::<T>(1));
        if columns == 0 {
            loss.fill(T::narrow(T::Wide::ZERO));
            return Ok(());
        }
        let (loss, backprop) = (Parts::new(loss), Parts::new(backprop));
        each_row(args, x, columns, |x, rows, at| {
            let labels = &labels[at.clone()];
            // SAFETY: these rows, and their elements.
            let (loss, backprop) = unsafe { (loss.part(rows), backprop.part(at)) };
            run(level, EachRow { x, columns, op: CrossEntropy { labels, loss, backprop } });
        })
    })
}

/// `x`, or what it broadcasts to.
fn whole<'a, T: Element>(x: &'a [T], walk: Option<&Walk<1>>, scratch: &'a mut [T]) -> &'a [T] {
    let Some(walk) = walk else { return x };
    for (row, [at]) in scratch.chunks_exact_mut(walk.inner.max(1)).zip(walk.outer.offsets()) {
        match walk.moves {
            [true] => row.copy_from_slice(&x[at..at + row.len()]),
            [false] => row.fill(x[at]),
        }
    }
    scratch
}

struct SparseCrossEntropy<'a, T, L> {
    /// All below the number of columns.
    labels: &'a [L],
    loss: &'a mut [T],
    backprop: &'a mut [T],
}

impl<T: Real, L: Element> RowOp<T> for SparseCrossEntropy<'_, T, L> {
    #[inline(always)]
    fn block<I: Isa>(
        &mut self,
        first: usize,
        valid: usize,
        shifted: &[Lanes<T>],
        exp: &[Lanes<T>],
        sum: Lanes<T>,
    ) {
        let columns = shifted.len();
        let labels = &self.labels[first..first + valid];
        let mut label = [0i32; LANES];
        label.iter_mut().zip(labels).for_each(|(lane, label)| *lane = label.to_i64() as i32);
        let (zero, one) = (T::Wide::ZERO, T::Wide::ONE);
        let mut own = [zero; LANES];
        for (c, shifted) in shifted.iter().enumerate() {
            for l in 0..LANES {
                own[l] = if label[l] == c as i32 { shifted[l] } else { own[l] };
            }
        }
        let loss = each::<T>(|l| sum[l].ln::<I>() - own[l]);
        self.loss[first..first + valid].iter_mut().zip(loss).for_each(|(out, loss)| *out = T::narrow(loss));
        let scale = each::<T>(|l| one / sum[l]);
        scatter(self.backprop, first, valid, columns, |c| {
            each::<T>(|l| exp[c][l] * scale[l] - if label[l] == c as i32 { one } else { zero })
        });
    }
    #[inline(always)]
    fn row<I: Isa>(&mut self, row: usize, x: &[T], max: T::Wide, sum: T::Wide) {
        let scale = T::Wide::ONE / sum;
        let backprop = &mut self.backprop[row * x.len()..][..x.len()];
        for (out, x) in backprop.iter_mut().zip(x) {
            *out = T::narrow((x.widen() - max).exp::<I>() * scale);
        }
        let label = self.labels[row].to_i64() as usize;
        let own = x[label].widen() - max;
        backprop[label] = T::narrow(own.exp::<I>() * scale - T::Wide::ONE);
        self.loss[row] = T::narrow(sum.ln::<I>() - own);
    }
}

fn sparse_cross_entropy<T: Real, L: Element>(cx: &CompileCx) -> Result<Compiled> {
    let (level, columns) = (cx.level(), columns_of(&cx.shape(0)));
    Compiled::step(move |args: &mut Args| {
        let labels = args.input::<L>(1);
        let (loss, backprop) = (args.output::<T>(0), args.output::<T>(1));
        if columns == 0 && !labels.is_empty() {
            return Err(Error::invalid("there must be at least one class"));
        }
        let valid = |label: &L| (0..columns as i64).contains(&label.to_i64());
        // One pass without an early end, which the compiler vectorises.
        if !labels.iter().fold(true, |all, label| all & valid(label)) {
            let label = labels.iter().find(|label| !valid(label));
            let label = label.map_or(0, |label| label.to_i64());
            return Err(Error::invalid(format!("label {label} is outside of the classes [0, {columns})")));
        }
        let (loss, backprop) = (Parts::new(loss), Parts::new(backprop));
        each_row(args, args.input::<T>(0), columns, |x, rows, at| {
            let labels = &labels[rows.clone()];
            // SAFETY: these rows, and their elements.
            let (loss, backprop) = unsafe { (loss.part(rows), backprop.part(at)) };
            run(level, EachRow { x, columns, op: SparseCrossEntropy { labels, loss, backprop } });
        })
    })
}

/// A tensor seen as `[outer, channels, inner]`.
#[derive(Clone, Copy, Debug)]
struct Channels {
    channels: usize,
    inner: usize,
}

fn channels(shape: &Shape, data_format: &str) -> Channels {
    let axis = if data_format == "NCHW" { 1 } else { shape.rank().saturating_sub(1) };
    let channels = shape.get(axis).copied().unwrap_or(1);
    Channels { channels, inner: shape.iter().skip(axis + 1).product() }
}

fn bias_add<T: Arith>(cx: &CompileCx, data_format: &str) -> Result<Compiled> {
    let (level, Channels { channels, inner }) = (cx.level(), channels(&cx.shape(0), data_format));
    Compiled::step(move |args: &mut Args| {
        let (x, bias, out) = (args.input::<T>(0), args.input::<T>(1), args.output::<T>(0));
        if x.is_empty() {
            return Ok(());
        }
        if inner == 1 {
            let (rows, out) = (x.len() / channels, Parts::new(out));
            return args.each_stretch(rows, (GRAIN / channels).max(1), &|rows| {
                let at = rows.start * channels..rows.end * channels;
                // SAFETY: stretches of rows do not overlap.
                let out = unsafe { out.part(at.clone()) };
                run(level, AddRows { x: &x[at], bias, out });
                Ok(())
            });
        } else {
            for (plane, (out, x)) in out.chunks_exact_mut(inner).zip(x.chunks_exact(inner)).enumerate() {
                let bias = bias[plane % channels];
                out.iter_mut().zip(x).for_each(|(out, x)| *out = x.add(bias));
            }
        }
        Ok(())
    })
}

struct AddRows<'a, T> {
    x: &'a [T],
    bias: &'a [T],
    out: &'a mut [T],
}

impl<T: Arith> Body for AddRows<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let AddRows { x, bias, out } = self;
        // A few rows at once when they are short: the bias, repeated, is one longer row.
        let mut repeated = [T::default(); 64];
        let n = bias.len();
        let bias = if n <= 32 {
            let times = 64 / n;
            repeated.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(bias));
            &repeated[..times * n]
        } else {
            bias
        };
        let mut rows = out.chunks_exact_mut(bias.len());
        let mut xs = x.chunks_exact(bias.len());
        for (out, x) in (&mut rows).zip(&mut xs) {
            for ((out, x), b) in out.iter_mut().zip(x).zip(bias) {
                *out = x.add(*b);
            }
        }
        for ((out, x), b) in rows.into_remainder().iter_mut().zip(xs.remainder()).zip(bias) {
            *out = x.add(*b);
        }
    }
}

/// Numbers that are added up in something wider where that matters.
trait Summand: Arith {
    type Sum: Copy + Default;
    fn plus(sum: Self::Sum, x: Self) -> Self::Sum;
    fn join(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    fn done(sum: Self::Sum) -> Self;
}

macro_rules! summand {
    ($($ty:ty)*) => {$(
        impl Summand for $ty {
            type Sum = $ty;
            #[inline(always)]
            fn plus(sum: $ty, x: $ty) -> $ty { Arith::add(sum, x) }
            #[inline(always)]
            fn join(a: $ty, b: $ty) -> $ty { Arith::add(a, b) }
            #[inline(always)]
            fn done(sum: $ty) -> $ty { sum }
        }
    )*};
    (@half $($ty:ty)*) => {$(
        impl Summand for $ty {
            type Sum = f32;
            #[inline(always)]
            fn plus(sum: f32, x: $ty) -> f32 { sum + x.to_f32() }
            #[inline(always)]
            fn join(a: f32, b: f32) -> f32 { a + b }
            #[inline(always)]
            fn done(sum: f32) -> $ty { <$ty>::from_f32(sum) }
        }
    )*};
}
summand!(f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 Complex<f32> Complex<f64>);
summand!(@half f16 bf16);

fn bias_add_grad<T: Summand>(cx: &CompileCx, data_format: &str) -> Result<Compiled> {
    let (level, Channels { channels, inner }) = (cx.level(), channels(&cx.shape(0), data_format));
    Compiled::step(move |args: &mut Args| {
        let (dy, out) = (args.input::<T>(0), args.output::<T>(0));
        if dy.is_empty() {
            out.fill(T::default());
        } else if inner == 1 {
            let (rows, len, out) = (dy.len() / channels, channels, Parts::new(out));
            let grain = (GRAIN / rows).max(1).next_multiple_of(TILE);
            return args.each_stretch(len, grain, &|columns| {
                // SAFETY: stretches of columns do not overlap.
                let out = unsafe { out.part(columns.clone()) };
                run(level, SumRows { dy, width: channels, first: columns.start, out });
                Ok(())
            });
        } else {
            for (c, out) in out.iter_mut().enumerate() {
                let planes = dy.chunks_exact(inner).skip(c).step_by(channels);
                let sum = planes.map(|plane| run(level, SumPlane { plane }));
                *out = T::done(sum.fold(T::Sum::default(), T::join));
            }
        }
        Ok(())
    })
}

struct SumPlane<'a, T> {
    plane: &'a [T],
}

impl<T: Summand> Body for SumPlane<'_, T> {
    type Out = T::Sum;
    #[inline(always)]
    fn run<I: Isa>(self) -> T::Sum {
        let mut lanes = [T::Sum::default(); LANES];
        for chunk in self.plane.chunks(LANES) {
            lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane = T::plus(*lane, *x));
        }
        lanes.into_iter().reduce(T::join).unwrap_or_default()
    }
}

/// Columns summed at a time, and rows summed before their sum is added to the total.
const TILE: usize = 64;

/// Sums of so many columns from `first` on, of rows of `width` elements.
struct SumRows<'a, T> {
    dy: &'a [T],
    width: usize,
    first: usize,
    out: &'a mut [T],
}

impl<T: Summand> Body for SumRows<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let SumRows { dy, width: n, first, out } = self;
        // Short rows are taken several at once, as one longer row that is folded in the end.
        let width = if n <= TILE / 2 { TILE / n * n } else { n };
        for (tile, out) in out.chunks_mut(TILE).enumerate() {
            let from = first + tile * TILE;
            let columns = if width == n { out.len() } else { width };
            let mut total = [T::Sum::default(); TILE];
            for block in dy.chunks(TILE * width) {
                let mut part = [T::Sum::default(); TILE];
                for row in block.chunks(width) {
                    // Only the last row, when it stands for several, may be short.
                    let row = &row[from..row.len().min(from + columns)];
                    part.iter_mut().zip(row).for_each(|(sum, x)| *sum = T::plus(*sum, *x));
                }
                total.iter_mut().zip(part).for_each(|(total, part)| *total = T::join(*total, part));
            }
            for (c, out) in out.iter_mut().enumerate() {
                let folded = total[..columns].iter().skip(c).step_by(n.min(columns)).copied().reduce(T::join);
                *out = T::done(folded.unwrap_or_default());
            }
        }
    }
}

fn l2_loss<T: Real>(cx: &CompileCx) -> Result<Compiled> {
    const BLOCK: usize = 1024;
    let level = cx.level();
    Compiled::step(move |args: &mut Args| {
        let x = args.input::<T>(0);
        let sum = |x: &[T]| x.chunks(BLOCK).map(|x| run(level, SumOfSquares { x }).to_f64()).sum::<f64>();
        let sum: f64 = if x.len() < 2 * GRAIN {
            sum(x)
        } else {
            // Stretches as long as make few enough sums of them.
            let mut sums = [0.0; 64];
            let length = x.len().div_ceil(sums.len()).next_multiple_of(BLOCK);
            let parts = Parts::new(&mut sums);
            args.each_task(x.len().div_ceil(length), &|i| {
                // SAFETY: each task has a sum of its own.
                let own = unsafe { parts.part(i..i + 1) };
                own[0] = sum(&x[i * length..((i + 1) * length).min(x.len())]);
                Ok(())
            })?;
            sums.iter().sum()
        };
        args.output::<T>(0)[0] = T::from_f64(sum / 2.0);
        Ok(())
    })
}

struct SumOfSquares<'a, T> {
    x: &'a [T],
}

impl<T: Real> Body for SumOfSquares<'_, T> {
    type Out = T::Wide;
    #[inline(always)]
    fn run<I: Isa>(self) -> T::Wide {
        along::<T>(self.x, T::Wide::ZERO, |sum, x| sum + x * x, |a, b| a + b)
    }
}

#[cfg(test)]
mod tests;
