//! Kernels of `ops::norm`. Sums are taken in `f64`.

use std::sync::{Mutex, PoisonError};

use tidemill_core::ops::{
    BatchNormWithGlobalNormalization, BatchNormWithGlobalNormalizationGrad, FusedBatchNorm,
    FusedBatchNormGrad, FusedBatchNormGradV2, FusedBatchNormGradV3, FusedBatchNormV2, FusedBatchNormV3, LRN,
    LRNGrad, channels_of,
};
use tidemill_core::{DType, Error, Result, Shape};
use tidemill_tensor::{Element, dispatch_float};

use super::{Args, CompileCx, Compiled, KernelTable};

/// `T` is the dtype of operand 0, `U` that of the statistics, `f32` or `f64`, which operand `$i` has.
macro_rules! statistics {
    ($cx:ident, $i:literal, $t:ident, $u:ident => $body:expr) => {
        match $cx.dtype($i) {
            DType::F32 => {
                type $u = f32;
                dispatch_float!($cx.dtype(0), $t => $body, else => unsupported())
            }
            _ => {
                type $u = f64;
                dispatch_float!($cx.dtype(0), $t => $body, else => unsupported())
            }
        }
    };
}
pub(super) fn register(table: &mut KernelTable) {
    macro_rules! rows {
        ($($op:ident $grad:ident;)*) => {$(
            table.compiled::<$op>(|op, cx| {
                let rule = Forward {
                    epsilon: f64::from(op.epsilon),
                    factor: f64::from(op.exponential_avg_factor),
                    is_training: op.is_training,
                };
                statistics!(cx, 1, T, U => forward::<T, U>(cx, &op.data_format, rule))
            });
            table.compiled::<$grad>(|op, cx| {
                let (epsilon, is_training) = (f64::from(op.epsilon), op.is_training);
                statistics!(cx, 3, T, U => gradient::<T, U>(cx, &op.data_format, epsilon, is_training))
            });
        )*};
    }
    rows! {
        FusedBatchNorm FusedBatchNormGrad;
        FusedBatchNormV2 FusedBatchNormGradV2;
        FusedBatchNormV3 FusedBatchNormGradV3;
    }
    table.compiled::<BatchNormWithGlobalNormalization>(
        |op, cx| dispatch_float!(cx.dtype(0), T => global::<T>(op, cx), else => unsupported()),
    );
    table.compiled::<BatchNormWithGlobalNormalizationGrad>(
        |op, cx| dispatch_float!(cx.dtype(0), T => global_gradient::<T>(op, cx), else => unsupported()),
    );
    table.compiled::<LRN>(|op, cx| {
        let lrn = Neighbours::new(cx, op.depth_radius, [op.bias, op.alpha, op.beta]);
        dispatch_float!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
            let (x, y) = (args.input::<T>(0), args.output::<T>(0));
            lrn.each_row(x, y, |x, y| {
                for (c, y) in y.iter_mut().enumerate() {
                    *y = T::from_f64(x[c].to_f64() * lrn.scale(x, c).powf(-lrn.beta));
                }
            });
            Ok(())
        }), else => unsupported())
    });
    table.compiled::<LRNGrad>(|op, cx| {
        let lrn = Neighbours::new(cx, op.depth_radius, [op.bias, op.alpha, op.beta]);
        dispatch_float!(cx.dtype(0), T => lrn_gradient::<T>(lrn), else => unsupported())
    });
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("normalisation of this dtype"))
}

/// Where the elements of each channel stand: `outer` times `channels` runs of `inner`.
#[derive(Debug, Clone, Copy)]
struct Channels {
    outer: usize,
    count: usize,
    inner: usize,
}

impl Channels {
    fn new(shape: &Shape, data_format: &str) -> Result<Channels> {
        let (axis, _) = channels_of(data_format)?;
        let dims = shape.dims();
        Ok(Channels {
            outer: dims[..axis].iter().product(),
            count: dims[axis],
            inner: dims[axis + 1..].iter().product(),
        })
    }

    /// Elements of one channel.
    fn size(&self) -> usize {
        self.outer * self.inner
    }

    /// Calls `f` with the offset and the channel of each element.
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize, usize)) {
        let mut at = 0;
        for _ in 0..self.outer {
            for c in 0..self.count {
                for _ in 0..self.inner {
                    f(at, c);
                    at += 1;
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Forward {
    epsilon: f64,
    factor: f64,
    is_training: bool,
}

fn numbers<U: Element>(args: &Args, i: usize) -> impl Iterator<Item = f64> {
    args.input::<U>(i).iter().map(|v| v.to_f64())
}

fn forward<T: Element, U: Element>(cx: &CompileCx, data_format: &str, rule: Forward) -> Result<Compiled> {
    let channels = Channels::new(&cx.shape(0), data_format)?;
    // A running mean must be given to be moved; for a factor of 1 it does not matter.
    if rule.is_training
        && rule.factor != 1.0
        && [3, 4].iter().any(|i| cx.shape(*i).num_elements() != channels.count)
    {
        return Err(Error::invalid(
            "`mean` and `variance` must be given unless `exponential_avg_factor` is 1",
        ));
    }
    let scratch = Mutex::new([vec![0f64; channels.count], vec![0f64; channels.count]]);
    Compiled::step(move |args: &mut Args| {
        let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let [mean, variance] = &mut *scratch;
        let (x, y) = (args.input::<T>(0), args.output::<T>(0));
        let size = channels.size() as f64;
        if rule.is_training && channels.size() > 0 {
            mean.fill(0.0);
            channels.each(|at, c| mean[c] += x[at].to_f64());
            mean.iter_mut().for_each(|m| *m /= size);
            variance.fill(0.0);
            channels.each(|at, c| {
                let distance = x[at].to_f64() - mean[c];
                variance[c] += distance * distance;
            });
            variance.iter_mut().for_each(|v| *v /= size);
        } else if !rule.is_training {
            mean.iter_mut().zip(numbers::<U>(args, 3)).for_each(|(m, given)| *m = given);
            variance.iter_mut().zip(numbers::<U>(args, 4)).for_each(|(v, given)| *v = given);
        }
        let (scale, offset) = (args.input::<U>(1), args.input::<U>(2));
        channels.each(|at, c| {
            let factor = scale[c].to_f64() / (variance[c] + rule.epsilon).sqrt();
            y[at] = T::from_f64((x[at].to_f64() - mean[c]) * factor + offset[c].to_f64());
        });
        let unbiased = if rule.is_training { size / (size - 1.0).max(1.0) } else { 1.0 };
        let moved = rule.is_training && rule.factor != 1.0;
        let [batch_mean, batch_variance, saved_mean, saved_variance] =
            [1, 2, 3, 4].map(|i| args.output::<U>(i));
        if rule.is_training && channels.size() == 0 {
            // Of no elements there is no mean.
            [batch_mean, batch_variance].into_iter().for_each(|out| out.fill(U::from_f64(f64::NAN)));
            [saved_mean, saved_variance].into_iter().for_each(|out| out.fill(U::default()));
            return Ok(());
        }
        for c in 0..channels.count {
            let toward = |given: usize, new: f64| match moved {
                true => (1.0 - rule.factor) * args.input::<U>(given)[c].to_f64() + rule.factor * new,
                false => new,
            };
            batch_mean[c] = U::from_f64(toward(3, mean[c]));
            batch_variance[c] = U::from_f64(toward(4, variance[c] * unbiased));
            saved_mean[c] = U::from_f64(mean[c]);
            saved_variance[c] = U::from_f64(variance[c]);
        }
        Ok(())
    })
}

/// Operands: gradient, `x`, scale, mean, variance.
fn gradient<T: Element, U: Element>(
    cx: &CompileCx,
    data_format: &str,
    epsilon: f64,
    is_training: bool,
) -> Result<Compiled> {
    let channels = Channels::new(&cx.shape(1), data_format)?;
    let scratch =
        Mutex::new([vec![0f64; channels.count], vec![0f64; channels.count], vec![0f64; channels.count]]);
    Compiled::step(move |args: &mut Args| {
        let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let [sum, covariance, scale] = &mut *scratch;
        scale.iter_mut().zip(numbers::<U>(args, 2)).for_each(|(s, given)| *s = given);
        let (dy, x, dx) = (args.input::<T>(0), args.input::<T>(1), args.output::<T>(0));
        let (mean, variance) = (args.input::<U>(3), args.input::<U>(4));
        sum.fill(0.0);
        covariance.fill(0.0);
        channels.each(|at, c| {
            let dy = dy[at].to_f64();
            sum[c] += dy;
            covariance[c] += dy * (x[at].to_f64() - mean[c].to_f64());
        });
        let size = channels.size() as f64;
        channels.each(|at, c| {
            let variance = variance[c].to_f64() + epsilon;
            let own = match is_training {
                true => (sum[c] + (x[at].to_f64() - mean[c].to_f64()) * covariance[c] / variance) / size,
                false => 0.0,
            };
            dx[at] = T::from_f64(scale[c] / variance.sqrt() * (dy[at].to_f64() - own));
        });
        let (dscale, doffset) = (args.output::<U>(1), args.output::<U>(2));
        for c in 0..channels.count {
            dscale[c] = U::from_f64(covariance[c] / (variance[c].to_f64() + epsilon).sqrt());
            doffset[c] = U::from_f64(sum[c]);
        }
        args.output::<U>(3).fill(U::default());
        args.output::<U>(4).fill(U::default());
        Ok(())
    })
}

fn global<T: Element>(op: &BatchNormWithGlobalNormalization, cx: &CompileCx) -> Result<Compiled> {
    let channels = Channels::new(&cx.shape(0), "NHWC")?;
    let (epsilon, scaled) = (f64::from(op.variance_epsilon), op.scale_after_normalization);
    Compiled::step(move |args: &mut Args| {
        let (t, y) = (args.input::<T>(0), args.output::<T>(0));
        let [m, v, beta, gamma] = [1, 2, 3, 4].map(|i| args.input::<T>(i));
        channels.each(|at, c| {
            let gamma = if scaled { gamma[c].to_f64() } else { 1.0 };
            let factor = gamma / (v[c].to_f64() + epsilon).sqrt();
            y[at] = T::from_f64((t[at].to_f64() - m[c].to_f64()) * factor + beta[c].to_f64());
        });
        Ok(())
    })
}

fn global_gradient<T: Element>(
    op: &BatchNormWithGlobalNormalizationGrad,
    cx: &CompileCx,
) -> Result<Compiled> {
    let channels = Channels::new(&cx.shape(0), "NHWC")?;
    let (epsilon, scaled) = (f64::from(op.variance_epsilon), op.scale_after_normalization);
    let scratch = Mutex::new([vec![0f64; channels.count], vec![0f64; channels.count]]);
    Compiled::step(move |args: &mut Args| {
        let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let [sum, covariance] = &mut *scratch;
        let [t, m, v, gamma, dy] = [0, 1, 2, 3, 4].map(|i| args.input::<T>(i));
        let [dx, dm, dv, db, dg] = [0, 1, 2, 3, 4].map(|i| args.output::<T>(i));
        sum.fill(0.0);
        covariance.fill(0.0);
        let factor = |c: usize| if scaled { gamma[c].to_f64() } else { 1.0 };
        channels.each(|at, c| {
            let dy = dy[at].to_f64();
            sum[c] += dy;
            covariance[c] += dy * (t[at].to_f64() - m[c].to_f64());
            dx[at] = T::from_f64(dy * factor(c) / (v[c].to_f64() + epsilon).sqrt());
        });
        for c in 0..channels.count {
            let variance = v[c].to_f64() + epsilon;
            let root = variance.sqrt();
            dm[c] = T::from_f64(-sum[c] * factor(c) / root);
            dv[c] = T::from_f64(-0.5 * covariance[c] * factor(c) / (variance * root));
            db[c] = T::from_f64(sum[c]);
            dg[c] = T::from_f64(if scaled { covariance[c] / root } else { 0.0 });
        }
        Ok(())
    })
}

/// Rows of channels, and which of them count for each.
#[derive(Debug, Clone, Copy)]
struct Neighbours {
    channels: usize,
    radius: usize,
    bias: f64,
    alpha: f64,
    beta: f64,
}

impl Neighbours {
    fn new(cx: &CompileCx, radius: i64, [bias, alpha, beta]: [f32; 3]) -> Neighbours {
        let channels = cx.shape(0).dims().last().copied().unwrap_or(1);
        let [bias, alpha, beta] = [bias, alpha, beta].map(f64::from);
        Neighbours { channels, radius: usize::try_from(radius).unwrap_or(0), bias, alpha, beta }
    }

    fn around(&self, c: usize) -> std::ops::Range<usize> {
        c.saturating_sub(self.radius)..(c + self.radius + 1).min(self.channels)
    }

    /// What channel `c` is divided by, before the power.
    fn scale<T: Element>(&self, row: &[T], c: usize) -> f64 {
        let squares: f64 = row[self.around(c)].iter().map(|x| x.to_f64() * x.to_f64()).sum();
        self.bias + self.alpha * squares
    }

    fn each_row<T: Element>(&self, x: &[T], y: &mut [T], mut f: impl FnMut(&[T], &mut [T])) {
        let rows = x.chunks_exact(self.channels.max(1)).zip(y.chunks_exact_mut(self.channels.max(1)));
        rows.for_each(|(x, y)| f(x, y));
    }
}

fn lrn_gradient<T: Element>(lrn: Neighbours) -> Result<Compiled> {
    let scratch = Mutex::new([vec![0f64; lrn.channels], vec![0f64; lrn.channels]]);
    Compiled::step(move |args: &mut Args| {
        let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let [direct, shared] = &mut *scratch;
        let (dy, x, y, dx) =
            (args.input::<T>(0), args.input::<T>(1), args.input::<T>(2), args.output::<T>(0));
        for first in (0..x.len()).step_by(lrn.channels.max(1)) {
            let row = first..first + lrn.channels;
            let (dy, x, y, dx) = (&dy[row.clone()], &x[row.clone()], &y[row.clone()], &mut dx[row]);
            for c in 0..lrn.channels {
                let scale = lrn.scale(x, c);
                direct[c] = dy[c].to_f64() * scale.powf(-lrn.beta);
                shared[c] = dy[c].to_f64() * y[c].to_f64() / scale;
            }
            for (c, dx) in dx.iter_mut().enumerate() {
                let around: f64 = shared[lrn.around(c)].iter().sum();
                *dx = T::from_f64(direct[c] - 2.0 * lrn.alpha * lrn.beta * x[c].to_f64() * around);
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use tidemill_core::Value;

    use super::super::testing::eval;
    use super::*;

    fn images() -> Value {
        Value::from_vec([1, 2, 3, 2], (0..12).map(|i| (i * i) as f32 / 10.0).collect()).unwrap()
    }

    #[track_caller]
    fn check(got: &Value, want: &[f32]) {
        let want = Value::from(want.to_vec());
        let head = Value::from(got.to_vec::<f32>().unwrap()[..want.num_elements()].to_vec());
        assert!(head.allclose(&want, 1e-5, 1e-6), "{head} instead of {want}");
    }

    fn norm(exponential_avg_factor: f32, is_training: bool) -> FusedBatchNormV3 {
        FusedBatchNormV3 { epsilon: 1e-4, exponential_avg_factor, data_format: "NHWC".into(), is_training }
    }

    /// Values of TensorFlow 2.21.
    #[test]
    fn batches() {
        let vector = |v: [f32; 2]| Value::from(v);
        let operands =
            [images(), vector([1.0, 2.0]), vector([0.5, -0.5]), vector([0.1, 0.2]), vector([0.5, 2.0])];
        let trained = eval(norm(1.0, true), &operands);
        check(&trained[0], &[-0.530_421_14, -2.712_482_5, -0.418_011_55, -2.333_199_5]);
        check(&trained[1], &[3.666_666_7, 4.766_667]);
        check(&trained[2], &[15.194_666, 21.354_67]);
        check(&trained[3], &[3.666_666_7, 4.766_667]);
        check(&trained[4], &[12.662_221, 17.795_557]);
        let moved = eval(norm(0.3, true), &operands);
        check(&moved[1], &[1.17, 1.57]);
        check(&moved[2], &[4.908_4, 7.806_401]);
        let used = eval(norm(1.0, false), &operands);
        check(&used[0], &[0.358_592_78, -0.641_417_86, 0.924_221_63, 0.489_924_8]);
        check(&used[4], &[0.5, 2.0]);
    }

    #[test]
    fn gradients_of_batches() {
        let vector = |v: [f32; 2]| Value::from(v);
        let dy = images().to_vec::<f32>().unwrap().iter().map(|x| x * 0.1).collect();
        let dy = Value::from_vec([1, 2, 3, 2], dy).unwrap();
        let nothing = Value::from(Vec::<f32>::new());
        let operands = [dy, images(), vector([1.0, 2.0]), vector([0.1, 0.2]), vector([0.5, 2.0]), nothing];
        let op =
            |is_training| FusedBatchNormGradV3 { epsilon: 1e-4, data_format: "NHWC".into(), is_training };
        let trained = eval(op(true), &operands);
        check(&trained[0], &[0.209_325_58, -0.380_215_76, -2.645_386_7, -2.504_954_3]);
        check(&trained[1], &[21.838_93, 16.784_883]);
        check(&trained[2], &[2.2, 2.86]);
        check(&eval(op(false), &operands)[0], &[0.0, 0.014_141_78, 0.056_562_89, 0.127_276_03]);
    }
}
