//! Kernels of `ops::image`.
//!
//! A resize is a small set of weighted elements along each axis, for each element of the result; its gradient goes the same way back.

use std::sync::{Mutex, PoisonError};

use tidemill_core::ops::{
    HSVToRGB, RGBToHSV, ResizeBicubic, ResizeBicubicGrad, ResizeBilinear, ResizeBilinearGrad,
    ResizeNearestNeighbor, ResizeNearestNeighborGrad,
};
use tidemill_core::{Error, Result, Shape};
use tidemill_tensor::{Element, dispatch_float, dispatch_numeric};

use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    /// A row: op, its gradient, the filter, and the dtypes of images and result: `T` is what varies.
    macro_rules! rows {
        ($($op:ident $grad:ident $filter:ident, $t:ident: $images:ty => $resized:ty;)*) => {$(
            table.compiled::<$op>(|op, cx| {
                let centres = Centres::new(op.align_corners, op.half_pixel_centers);
                let resize = Resize::new(&cx.shape(0), &cx.output_shape(0), Filter::$filter, centres);
                dispatch_numeric!(cx.dtype(0), $t => resize.forward::<$images, $resized>(), else => unsupported())
            });
            table.compiled::<$grad>(|op, cx| {
                let centres = Centres::new(op.align_corners, op.half_pixel_centers);
                let resize = Resize::new(&cx.output_shape(0), &cx.shape(0), Filter::$filter, centres);
                dispatch_numeric!(cx.output_dtype(0), $t => resize.gradient::<$resized, $images>(), else => unsupported())
            });
        )*};
    }
    rows! {
        ResizeNearestNeighbor ResizeNearestNeighborGrad Nearest, T: T => T;
        ResizeBilinear ResizeBilinearGrad Linear, T: T => f32;
        ResizeBicubic ResizeBicubicGrad Cubic, T: T => f32;
    }
    table.compiled::<RGBToHSV>(|_, cx| colours(cx, hsv_of));
    table.compiled::<HSVToRGB>(|_, cx| colours(cx, rgb_of));
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("images of this dtype"))
}

#[derive(Clone, Copy, PartialEq)]
enum Filter {
    Nearest,
    Linear,
    Cubic,
}

/// Where elements stand.
#[derive(Clone, Copy, PartialEq)]
enum Centres {
    Corners,
    Aligned,
    Half,
}

impl Centres {
    fn new(align_corners: bool, half_pixel_centers: bool) -> Centres {
        match (align_corners, half_pixel_centers) {
            (true, _) => Centres::Aligned,
            (_, true) => Centres::Half,
            _ => Centres::Corners,
        }
    }
}

/// Which elements one of the result is made of, with their weights; 0 for those not used.
type Taps = [(usize, f32); 4];

/// How an axis is resized.
#[derive(Clone, Copy)]
struct Axis {
    from: usize,
    to: usize,
    filter: Filter,
    centres: Centres,
}

impl Axis {
    /// TensorFlow computes these in `f32`, and so must we to choose the same elements.
    fn taps(&self, i: usize) -> Taps {
        let Axis { from, to, filter, centres } = *self;
        let scale = match centres {
            Centres::Aligned if to > 1 => (from as f32 - 1.0) / (to as f32 - 1.0),
            _ => from as f32 / to as f32,
        };
        let last = from.saturating_sub(1);
        let clamped = |i: i64| i.clamp(0, last as i64) as usize;
        let at = match centres {
            Centres::Half => (i as f32 + 0.5) * scale - 0.5,
            _ => i as f32 * scale,
        };
        let below = at.floor();
        let mut taps = [(0usize, 0f32); 4];
        match filter {
            Filter::Nearest => {
                let nearest = match centres {
                    Centres::Aligned => at.round(),
                    Centres::Half => ((i as f32 + 0.5) * scale).floor(),
                    Centres::Corners => below,
                };
                taps[0] = (clamped(nearest as i64), 1.0);
            }
            Filter::Linear => {
                let part = at - below;
                taps[0] = (clamped(below as i64), 1.0 - part);
                taps[1] = (clamped(at.ceil() as i64), part);
            }
            Filter::Cubic => {
                cubic(&mut taps, at - below, below as i64, centres == Centres::Half, last, clamped);
            }
        }
        taps
    }
}

/// Keys' cubic with the parameter -1/2 where elements stand at half pixels, and then weights of elements outside are left out; with -3/4 otherwise.
/// TensorFlow rounds the place between elements to 1024 steps.
fn cubic(
    taps: &mut [(usize, f32); 4],
    part: f32,
    below: i64,
    keys: bool,
    last: usize,
    clamped: impl Fn(i64) -> usize,
) {
    const STEPS: f32 = 1024.0;
    let a = if keys { -0.5 } else { -0.75 };
    let near = |x: f32| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
    let x = (part * STEPS).round() / STEPS;
    let weights = [far(x + 1.0), near(x), near(1.0 - x), far(2.0 - x)];
    for (k, weight) in weights.into_iter().enumerate() {
        let at = below - 1 + k as i64;
        let inside = (0..=last as i64).contains(&at);
        taps[k] = (clamped(at), if keys && !inside { 0.0 } else { weight });
    }
    if keys {
        let sum: f32 = taps.iter().map(|(_, w)| w).sum();
        if sum.abs() >= 1000.0 * f32::MIN_POSITIVE {
            taps.iter_mut().for_each(|(_, w)| *w /= sum);
        }
    }
}

struct Resize {
    batch: usize,
    channels: usize,
    rows: Axis,
    columns: Axis,
}

impl Resize {
    fn new(images: &Shape, resized: &Shape, filter: Filter, centres: Centres) -> Resize {
        let axis = |axis: usize| Axis { from: images[axis], to: resized[axis], filter, centres };
        Resize { batch: images[0], channels: images[3], rows: axis(1), columns: axis(2) }
    }

    /// Calls `f` with the first channel of each element of the result and of an element that it is made of, and the weight.
    fn each(&self, mut f: impl FnMut(usize, usize, f32)) {
        if self.resized_size() == 0 {
            return;
        }
        let (height, width) = (self.rows.from, self.columns.from);
        let mut out = 0;
        for image in 0..self.batch {
            for row in 0..self.rows.to {
                let rows = self.rows.taps(row);
                for column in 0..self.columns.to {
                    let columns = self.columns.taps(column);
                    for (row, by) in rows.iter().filter(|(_, w)| *w != 0.0) {
                        for (column, bx) in columns.iter().filter(|(_, w)| *w != 0.0) {
                            let at = ((image * height + row) * width + column) * self.channels;
                            f(out, at, by * bx);
                        }
                    }
                    out += self.channels;
                }
            }
        }
    }

    fn size(&self) -> usize {
        self.batch * self.rows.from * self.columns.from * self.channels
    }

    fn resized_size(&self) -> usize {
        self.batch * self.rows.to * self.columns.to * self.channels
    }

    fn forward<T: Element, O: Element>(self) -> Result<Compiled> {
        let sums = Mutex::new(vec![0f64; self.resized_size()]);
        Compiled::step(move |args: &mut Args| {
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            let (x, out) = (args.input::<T>(0), args.output::<O>(0));
            sums.fill(0.0);
            self.each(|to, from, weight| {
                for c in 0..self.channels {
                    sums[to + c] += x[from + c].to_f64() * f64::from(weight);
                }
            });
            out.iter_mut().zip(&*sums).for_each(|(out, sum)| *out = O::from_f64(*sum));
            Ok(())
        })
    }

    fn gradient<T: Element, O: Element>(self) -> Result<Compiled> {
        let sums = Mutex::new(vec![0f64; self.size()]);
        Compiled::step(move |args: &mut Args| {
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            let (dy, dx) = (args.input::<T>(0), args.output::<O>(0));
            sums.fill(0.0);
            self.each(|to, from, weight| {
                for c in 0..self.channels {
                    sums[from + c] += dy[to + c].to_f64() * f64::from(weight);
                }
            });
            dx.iter_mut().zip(&*sums).for_each(|(dx, sum)| *dx = O::from_f64(*sum));
            Ok(())
        })
    }
}

fn colours(cx: &CompileCx, f: fn([f64; 3]) -> [f64; 3]) -> Result<Compiled> {
    dispatch_float!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        let (x, out) = (args.input::<T>(0), args.output::<T>(0));
        for (x, out) in x.chunks_exact(3).zip(out.chunks_exact_mut(3)) {
            let colour = f(std::array::from_fn(|i| x[i].to_f64()));
            out.iter_mut().zip(colour).for_each(|(out, c)| *out = T::from_f64(c));
        }
        Ok(())
    }), else => unsupported())
}

fn hsv_of([r, g, b]: [f64; 3]) -> [f64; 3] {
    let (value, least) = (r.max(g).max(b), r.min(g).min(b));
    let range = value - least;
    let saturation = if value > 0.0 { range / value } else { 0.0 };
    let hue = match () {
        () if range <= 0.0 => 0.0,
        () if r == value => (g - b) / (6.0 * range),
        () if g == value => (b - r) / (6.0 * range) + 2.0 / 6.0,
        () => (r - g) / (6.0 * range) + 4.0 / 6.0,
    };
    [if hue < 0.0 { hue + 1.0 } else { hue }, saturation, value]
}

fn rgb_of([h, s, v]: [f64; 3]) -> [f64; 3] {
    let turned = h * 6.0;
    let part = |x: f64| x.clamp(0.0, 1.0);
    let full = [
        part((turned - 3.0).abs() - 1.0),
        part(2.0 - (turned - 2.0).abs()),
        part(2.0 - (turned - 4.0).abs()),
    ];
    full.map(|c| (1.0 - s + s * c) * v)
}

#[cfg(test)]
mod tests {
    use tidemill_core::Value;

    use super::super::testing::eval;
    use super::*;

    #[track_caller]
    fn check(got: &Value, want: &[f32]) {
        let want = Value::from_vec(got.shape(), want.to_vec()).unwrap();
        assert!(got.allclose(&want, 1e-5, 1e-6), "{got} instead of {want}");
    }

    fn image() -> Value {
        Value::from_vec([1, 3, 4, 1], (0..12).map(|i| (i * i % 7) as f32).collect()).unwrap()
    }

    /// Values of TensorFlow 2.21.
    #[test]
    fn sizes_change() {
        let op = ResizeNearestNeighbor { align_corners: false, half_pixel_centers: false };
        check(&eval(op, &[image(), Value::from([2, 3])])[0], &[0.0, 1.0, 4.0, 2.0, 4.0, 1.0]);
        let op = ResizeNearestNeighbor { align_corners: false, half_pixel_centers: false };
        check(
            &eval(op, &[image(), Value::from([4, 5])])[0],
            &[
                0.0, 0.0, 1.0, 4.0, 2.0, 0.0, 0.0, 1.0, 4.0, 2.0, 2.0, 2.0, 4.0, 1.0, 0.0, 1.0, 1.0, 4.0,
                2.0, 2.0,
            ],
        );
        let op = ResizeNearestNeighbor { align_corners: true, half_pixel_centers: false };
        check(&eval(op, &[image(), Value::from([2, 3])])[0], &[0.0, 4.0, 2.0, 1.0, 2.0, 2.0]);
        let op = ResizeNearestNeighbor { align_corners: true, half_pixel_centers: false };
        check(
            &eval(op, &[image(), Value::from([4, 5])])[0],
            &[
                0.0, 1.0, 4.0, 4.0, 2.0, 2.0, 4.0, 1.0, 1.0, 0.0, 2.0, 4.0, 1.0, 1.0, 0.0, 1.0, 4.0, 2.0,
                2.0, 2.0,
            ],
        );
        let op = ResizeNearestNeighbor { align_corners: false, half_pixel_centers: true };
        check(&eval(op, &[image(), Value::from([2, 3])])[0], &[0.0, 4.0, 2.0, 1.0, 2.0, 2.0]);
        let op = ResizeNearestNeighbor { align_corners: false, half_pixel_centers: true };
        check(
            &eval(op, &[image(), Value::from([4, 5])])[0],
            &[
                0.0, 1.0, 4.0, 4.0, 2.0, 2.0, 4.0, 1.0, 1.0, 0.0, 2.0, 4.0, 1.0, 1.0, 0.0, 1.0, 4.0, 2.0,
                2.0, 2.0,
            ],
        );
        let op = ResizeBilinear { align_corners: false, half_pixel_centers: false };
        check(
            &eval(op, &[image(), Value::from([2, 3])])[0],
            &[0.0, 2.0, 2.666_666_5, 1.5, 3.166_666_5, 1.166_666_6],
        );
        let op = ResizeBilinear { align_corners: false, half_pixel_centers: false };
        check(
            &eval(op, &[image(), Value::from([4, 5])])[0],
            &[
                0.0,
                0.8,
                2.800_000_2,
                3.199_999_8,
                2.0,
                1.5,
                2.899_999_9,
                2.35,
                1.249_999_9,
                0.5,
                1.5,
                3.5,
                2.5,
                1.3,
                1.0,
                1.0,
                3.4,
                2.8,
                2.0,
                2.0,
            ],
        );
        let op = ResizeBilinear { align_corners: true, half_pixel_centers: false };
        check(&eval(op, &[image(), Value::from([2, 3])])[0], &[0.0, 2.5, 2.0, 1.0, 3.0, 2.0]);
        let op = ResizeBilinear { align_corners: true, half_pixel_centers: false };
        check(
            &eval(op, &[image(), Value::from([4, 5])])[0],
            &[
                0.0,
                0.75,
                2.5,
                3.5,
                2.0,
                1.333_333_4,
                2.583_333_5,
                2.5,
                1.666_666_6,
                0.666_666_6,
                1.666_666_6,
                3.416_666_7,
                2.666_666_7,
                1.166_666_7,
                0.666_666_75,
                1.0,
                3.25,
                3.0,
                2.0,
                2.0,
            ],
        );
        let op = ResizeBilinear { align_corners: false, half_pixel_centers: true };
        check(
            &eval(op, &[image(), Value::from([2, 3])])[0],
            &[0.708_333_4, 2.5, 1.791_666_4, 1.708_333_4, 2.875, 1.541_666_6],
        );
        let op = ResizeBilinear { align_corners: false, half_pixel_centers: true };
        check(
            &eval(op, &[image(), Value::from([4, 5])])[0],
            &[
                0.0,
                0.700_000_05,
                2.5,
                3.4,
                2.0,
                1.25,
                2.387_5,
                2.5,
                1.712_500_1,
                0.75,
                1.625,
                3.287_500_1,
                2.6875,
                1.1875,
                0.75,
                1.0,
                3.100_000_1,
                3.0,
                2.0,
                2.0,
            ],
        );
        let op = ResizeBicubic { align_corners: false, half_pixel_centers: false };
        check(
            &eval(op, &[image(), Value::from([2, 3])])[0],
            &[0.0, 2.165_446, 2.795_347, 1.6875, 3.628_940_3, 0.770_360_6],
        );
        let op = ResizeBicubic { align_corners: false, half_pixel_centers: false };
        check(
            &eval(op, &[image(), Value::from([4, 5])])[0],
            &[
                0.0,
                0.535_666_1,
                3.122_722_4,
                3.547_026_9,
                1.807_906_4,
                1.652_343_8,
                3.194_134_2,
                2.516_523,
                0.868_296_3,
                0.114_250_11,
                1.6875,
                4.118_392,
                2.639_181_6,
                0.730_306_8,
                0.773_480_95,
                0.894_531_25,
                3.634_800_7,
                3.053_866_4,
                1.941_893_6,
                2.221_067_2,
            ],
        );
        let op = ResizeBicubic { align_corners: true, half_pixel_centers: false };
        check(&eval(op, &[image(), Value::from([2, 3])])[0], &[0.0, 2.78125, 2.0, 1.0, 3.28125, 2.0]);
        let op = ResizeBicubic { align_corners: true, half_pixel_centers: false };
        check(
            &eval(op, &[image(), Value::from([4, 5])])[0],
            &[
                0.0,
                0.457_031_25,
                2.78125,
                3.863_281_2,
                2.0,
                1.482_186_7,
                2.829_036_7,
                2.725_694_7,
                1.380_164_9,
                0.406_702_3,
                1.907_759_9,
                4.137_342_5,
                2.938_481_3,
                0.497_432_77,
                0.406_702_37,
                1.0,
                3.53125,
                3.28125,
                1.789_062_5,
                2.0,
            ],
        );
        let op = ResizeBicubic { align_corners: false, half_pixel_centers: true };
        check(
            &eval(op, &[image(), Value::from([2, 3])])[0],
            &[0.514_474_63, 2.676_551, 1.805_808_8, 1.582_092_4, 3.092_609_4, 1.570_307_7],
        );
        let op = ResizeBicubic { align_corners: false, half_pixel_centers: true };
        check(
            &eval(op, &[image(), Value::from([4, 5])])[0],
            &[
                -0.145_348_67,
                0.341_424_2,
                2.6875,
                3.817_307,
                2.015_977_4,
                1.256_540_8,
                2.502_944,
                2.652_420_3,
                1.585_628_2,
                0.543_929,
                1.661_703_2,
                3.742_442_4,
                2.874_122_9,
                0.789_534_6,
                0.582_171_56,
                0.816_137_14,
                3.282_862_4,
                3.213_619_5,
                1.928_107_7,
                2.106_730_5,
            ],
        );
    }

    #[test]
    fn colours_go_there_and_back() {
        let rgb = Value::from([[0.2f32, 0.4, 0.6], [1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.9, 0.1, 0.4]]);
        let hsv = eval(RGBToHSV, std::slice::from_ref(&rgb));
        assert!(eval(HSVToRGB, &hsv)[0].allclose(&rgb, 1e-6, 1e-6));
        check(
            &hsv[0],
            &[0.583_333_3, 0.666_666_7, 0.6, 0.0, 1.0, 1.0, 0.0, 0.0, 0.5, 0.9375, 0.888_888_9, 0.9],
        );
    }
}
