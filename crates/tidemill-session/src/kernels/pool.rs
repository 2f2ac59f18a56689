//! Kernels of `ops::pool`.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use smallvec::SmallVec;
use tidemill_core::ops::{
    AvgPool, AvgPool3D, AvgPool3DGrad, AvgPoolGrad, MaxPool, MaxPool3D, MaxPool3DGrad, MaxPool3DGradGrad,
    MaxPoolGrad, MaxPoolGradGrad, MaxPoolGradGradV2, MaxPoolGradV2, MaxPoolV2, MaxPoolWithArgmax, Pooling,
};
use tidemill_core::{DType, Error, Result, Shape};
use tidemill_tensor::half::{bf16, f16};
use tidemill_tensor::{Element, dispatch_float, dispatch_numeric};

use super::arith::Arith;
use super::math::is_nan;
use super::real::{Real, Wide};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    macro_rules! rows {
        ($($op:ident $kernel:ident;)*) => {$(
            table.compiled::<$op>(|op, cx| $kernel(&op.pooling()?, cx));
        )*};
    }
    rows! {
        MaxPool maximum;
        MaxPoolGrad routed;
        MaxPoolGradGrad picked;
        MaxPool3D maximum;
        MaxPool3DGrad routed;
        MaxPool3DGradGrad picked;
        AvgPool mean;
        AvgPoolGrad spread;
        AvgPool3D mean;
        AvgPool3DGrad spread;
    }
    macro_rules! rows_by_operands {
        ($($op:ident $kernel:ident;)*) => {$(
            table.compiled::<$op>(|op, cx| {
                let n = cx.num_inputs();
                match (cx.ints(n - 2), cx.ints(n - 1)) {
                    (Some(ksize), Some(strides)) => $kernel(&op.pooling(&ksize, &strides)?, cx),
                    _ => Ok(Compiled::Deferred),
                }
            });
        )*};
    }
    rows_by_operands! {
        MaxPoolV2 maximum_number;
        MaxPoolGradV2 routed;
        MaxPoolGradGradV2 picked;
    }
    table.compiled::<MaxPoolWithArgmax>(with_argmax);
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("pooling of this dtype"))
}

/// The windows over a tensor.
#[derive(Debug)]
struct Windows {
    axes: SmallVec<[Axis; 5]>,
    strides: SmallVec<[usize; 5]>,
}

/// The windows along one axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    size: usize,
    count: usize,
    window: usize,
    stride: usize,
    before: usize,
}

impl Axis {
    /// What window `i` covers of the axis.
    fn part(&self, i: usize) -> Range<usize> {
        let start = i * self.stride;
        let clipped = |at: usize| at.saturating_sub(self.before).min(self.size);
        clipped(start)..clipped(start + self.window)
    }
}

impl Windows {
    fn new(pooling: &Pooling, input: &Shape) -> Result<Windows> {
        pooling.output(&input.into())?;
        let mut axes = SmallVec::new();
        for (axis, (motion, &window)) in pooling.motions.iter().zip(&pooling.window).enumerate() {
            let size = input[axis];
            let (count, before) = motion.place(size, window)?;
            axes.push(Axis { size, count, window, stride: motion.stride, before });
        }
        Ok(Windows { axes, strides: input.strides().iter().copied().collect() })
    }

    fn count(&self) -> usize {
        self.axes.iter().map(|axis| axis.count).product()
    }

    /// Calls `f` with the number of each window and what it covers.
    fn each(&self, mut f: impl FnMut(usize, Window)) {
        let mut index: SmallVec<[usize; 5]> = SmallVec::from_elem(0, self.axes.len());
        for number in 0..self.count() {
            let parts = index.iter().zip(&self.axes).map(|(i, axis)| axis.part(*i)).collect();
            f(number, Window { parts, strides: &self.strides });
            for (i, axis) in index.iter_mut().zip(&self.axes).rev() {
                *i += 1;
                if *i < axis.count {
                    break;
                }
                *i = 0;
            }
        }
    }
}

/// One window.
struct Window<'w> {
    parts: SmallVec<[Range<usize>; 5]>,
    strides: &'w [usize],
}

impl Window<'_> {
    fn len(&self) -> usize {
        self.parts.iter().map(ExactSizeIterator::len).product()
    }

    /// Calls `f` with the offset of each element, in row-major order.
    fn each(&self, mut f: impl FnMut(usize)) {
        if self.len() == 0 {
            return;
        }
        let last = self.parts.len() - 1;
        let mut index: SmallVec<[usize; 5]> = self.parts.iter().map(|part| part.start).collect();
        loop {
            let row: usize = index[..last].iter().zip(self.strides).map(|(i, stride)| i * stride).sum();
            self.parts[last].clone().for_each(|i| f(row + i * self.strides[last]));
            let mut axis = last;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                if index[axis] < self.parts[axis].end {
                    break;
                }
                index[axis] = self.parts[axis].start;
            }
        }
    }

    /// Where the largest element stands, the first of several; a NaN counts as larger. `None` for an empty window.
    fn largest<T: Element + PartialOrd>(&self, x: &[T]) -> Option<usize> {
        let mut best: Option<usize> = None;
        self.each(|i| {
            if best.is_none_or(|b| x[i] > x[b] || is_nan(x[i]) && !is_nan(x[b])) {
                best = Some(i);
            }
        });
        best
    }
}

fn maximum(pooling: &Pooling, cx: &CompileCx) -> Result<Compiled> {
    let windows = Windows::new(pooling, &cx.shape(0))?;
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input::<T>(0), args.output::<T>(0));
        windows.each(|o, window| y[o] = window.largest(x).map_or(T::default(), |i| x[i]));
        Ok(())
    }), else => unsupported())
}

/// [`maximum`] without NaN: as in TensorFlow the result of this op is at least the lowest finite number.
fn maximum_number(pooling: &Pooling, cx: &CompileCx) -> Result<Compiled> {
    let windows = Windows::new(pooling, &cx.shape(0))?;
    let lowest = match cx.dtype(0) {
        DType::F16 => f16::MIN.to_f64(),
        DType::BF16 => bf16::MIN.to_f64(),
        DType::F32 => f64::from(f32::MIN),
        _ => f64::MIN,
    };
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input::<T>(0), args.output::<T>(0));
        windows.each(|o, window| {
            let mut largest = T::from_f64(lowest);
            window.each(|i| largest = if x[i] > largest { x[i] } else { largest });
            y[o] = largest;
        });
        Ok(())
    }), else => unsupported())
}

fn with_argmax(op: &MaxPoolWithArgmax, cx: &CompileCx) -> Result<Compiled> {
    let shape = cx.shape(0);
    let windows = Windows::new(&op.pooling()?, &shape)?;
    let image = if op.include_batch_in_index {
        usize::MAX
    } else {
        shape.dims()[1..].iter().product::<usize>().max(1)
    };
    let wide = op.argmax_dtype == DType::I64;
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input::<T>(0), args.output::<T>(0));
        let place = |i: Option<usize>| i.map_or(0, |i| i % image);
        // The places have one of two dtypes.
        let mut places64 = wide.then(|| args.output::<i64>(1));
        let mut places32 = (!wide).then(|| args.output::<i32>(1));
        windows.each(|o, window| {
            let largest = window.largest(x);
            y[o] = largest.map_or(T::default(), |i| x[i]);
            if let Some(places) = &mut places64 {
                places[o] = place(largest) as i64;
            }
            if let Some(places) = &mut places32 {
                places[o] = place(largest) as i32;
            }
        });
        Ok(())
    }), else => unsupported())
}

/// Operands: input, output, gradient of the output.
fn routed(pooling: &Pooling, cx: &CompileCx) -> Result<Compiled> {
    let windows = Windows::new(pooling, &cx.shape(0))?;
    expect_len(windows.count(), &cx.shape(2))?;
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, dy, dx) = (args.input::<T>(0), args.input::<T>(2), args.output::<T>(0));
        dx.fill(T::default());
        windows.each(|o, window| {
            if let Some(i) = window.largest(x) {
                dx[i] = Arith::add(dx[i], dy[o]);
            }
        });
        Ok(())
    }), else => unsupported())
}

/// Operands: input, output, a tensor like the input.
fn picked(pooling: &Pooling, cx: &CompileCx) -> Result<Compiled> {
    let windows = Windows::new(pooling, &cx.shape(0))?;
    expect_len(cx.shape(0).num_elements(), &cx.shape(2))?;
    dispatch_numeric!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, dz, out) = (args.input::<T>(0), args.input::<T>(2), args.output::<T>(0));
        windows.each(|o, window| out[o] = window.largest(x).map_or(T::default(), |i| dz[i]));
        Ok(())
    }), else => unsupported())
}

fn expect_len(count: usize, shape: &Shape) -> Result<()> {
    if shape.num_elements() == count {
        return Ok(());
    }
    Err(Error::invalid(format!("the gradient has shape {shape}, but there are {count} elements to go with")))
}

fn mean(pooling: &Pooling, cx: &CompileCx) -> Result<Compiled> {
    let windows = Windows::new(pooling, &cx.shape(0))?;
    dispatch_float!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input::<T>(0), args.output::<T>(0));
        windows.each(|o, window| {
            let mut sum = <T as Real>::Wide::ZERO;
            window.each(|i| sum += x[i].widen());
            y[o] = T::narrow(sum / <T as Real>::Wide::from_f64(window.len() as f64));
        });
        Ok(())
    }), else => unsupported())
}

/// Operands: sizes of the input, gradient of the output.
fn spread(pooling: &Pooling, cx: &CompileCx) -> Result<Compiled> {
    let windows = Windows::new(pooling, &cx.output_shape(0))?;
    expect_len(windows.count(), &cx.shape(1))?;
    let size = cx.output_shape(0).num_elements();
    dispatch_float!(cx.dtype(1), T => {
        let sums = Mutex::new(vec![<T as Real>::Wide::ZERO; size]);
        Compiled::step(move |args: &mut Args| {
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            let (dy, dx) = (args.input::<T>(1), args.output::<T>(0));
            sums.fill(<T as Real>::Wide::ZERO);
            windows.each(|o, window| {
                let share = dy[o].widen() / <T as Real>::Wide::from_f64(window.len() as f64);
                window.each(|i| sums[i] += share);
            });
            dx.iter_mut().zip(&*sums).for_each(|(dx, sum)| *dx = T::narrow(*sum));
            Ok(())
        })
    }, else => unsupported())
}

#[cfg(test)]
mod tests {
    use tidemill_core::Value;

    use super::super::testing::eval;
    use super::*;

    fn max_pool(window: i64, stride: i64, padding: &str) -> MaxPool {
        MaxPool {
            ksize: vec![1, window, window, 1],
            strides: vec![1, stride, stride, 1],
            padding: padding.into(),
            explicit_paddings: vec![],
            data_format: "NHWC".into(),
        }
    }

    fn avg_pool(window: i64, stride: i64, padding: &str) -> AvgPool {
        let MaxPool { ksize, strides, padding, data_format, .. } = max_pool(window, stride, padding);
        AvgPool { ksize, strides, padding, data_format }
    }

    fn image() -> Value {
        Value::from_vec([1, 3, 3, 1], vec![1f32, 5.0, 2.0, 8.0, 3.0, 9.0, 4.0, 7.0, 6.0]).unwrap()
    }

    #[track_caller]
    fn check(got: &Value, shape: [usize; 4], want: &[f32]) {
        assert_eq!(*got, Value::from_vec(shape, want.to_vec()).unwrap());
    }

    #[test]
    fn windows() {
        check(&eval(max_pool(2, 1, "VALID"), &[image()])[0], [1, 2, 2, 1], &[8.0, 9.0, 8.0, 9.0]);
        check(&eval(max_pool(2, 2, "SAME"), &[image()])[0], [1, 2, 2, 1], &[8.0, 9.0, 7.0, 6.0]);
        check(&eval(avg_pool(2, 1, "VALID"), &[image()])[0], [1, 2, 2, 1], &[4.25, 4.75, 5.5, 6.25]);
        // Padding does not count.
        check(&eval(avg_pool(2, 2, "SAME"), &[image()])[0], [1, 2, 2, 1], &[4.25, 5.5, 5.5, 6.0]);
        let across =
            MaxPool { ksize: vec![1, 1, 1, 3], strides: vec![1, 1, 1, 3], ..max_pool(1, 1, "VALID") };
        let row = Value::from_vec([1, 1, 2, 3], vec![1f32, 5.0, 2.0, 8.0, 3.0, 9.0]).unwrap();
        check(&eval(across, &[row])[0], [1, 1, 2, 1], &[5.0, 9.0]);
    }

    #[test]
    fn gradients_go_to_the_first_of_the_largest() {
        let MaxPool { ksize, strides, padding, explicit_paddings, data_format } = max_pool(2, 1, "VALID");
        let op = MaxPoolGrad { ksize, strides, padding, explicit_paddings, data_format };
        let x = Value::from_vec([1, 2, 3, 1], vec![1f32, 7.0, 2.0, 7.0, 3.0, 4.0]).unwrap();
        let dy = Value::from_vec([1, 1, 2, 1], vec![10f32, 100.0]).unwrap();
        let y = Value::from_vec([1, 1, 2, 1], vec![7f32, 7.0]).unwrap();
        check(&eval(op, &[x, y, dy])[0], [1, 2, 3, 1], &[0.0, 110.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn nan_counts_unless_the_windows_are_operands() {
        let x = Value::from_vec([1, 1, 2, 1], vec![f32::NAN, f32::NAN]).unwrap();
        let op = MaxPoolV2 { padding: "VALID".into(), data_format: "NHWC".into() };
        let size = Value::from([1, 1, 2, 1]);
        check(&eval(op, &[x.clone(), size.clone(), size])[0], [1, 1, 1, 1], &[f32::MIN]);
        assert!(eval(max_pool(1, 1, "VALID"), &[x])[0].iter_f64().all(f64::is_nan));
    }

    #[test]
    fn places() {
        let op = MaxPoolWithArgmax {
            ksize: vec![1, 2, 2, 1],
            strides: vec![1, 1, 1, 1],
            argmax_dtype: DType::I32,
            padding: "VALID".into(),
            include_batch_in_index: false,
        };
        let got = eval(op, &[image()]);
        check(&got[0], [1, 2, 2, 1], &[8.0, 9.0, 8.0, 9.0]);
        assert_eq!(got[1], Value::from_vec([1, 2, 2, 1], vec![3, 5, 3, 5]).unwrap());
    }
}
