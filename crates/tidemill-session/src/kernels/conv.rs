//! Kernels of `ops::conv`: windows are laid out as the rows of a matrix, a tile at a time, and multiplied.
//!
//! All of them go through tiles of `patches: [places, window · channels]`. Forward, `patches · filter` is a tile of the output; the filter's
//! gradient is the sum of `patchesᵀ · dy`; and `dy · filterᵀ` is added to where the patches came from, for the input's gradient. Tiles are of
//! bounded size, so memory does not grow with the images. Images count as volumes one deep.

use std::num::Wrapping;
use std::sync::{Mutex, PoisonError};

use tidemill_core::ops::{
    Conv2D, Conv2DBackpropFilter, Conv2DBackpropInput, Conv3D, Conv3DBackpropFilterV2, Conv3DBackpropInputV2,
    Convolution, DepthwiseConv2dNative, DepthwiseConv2dNativeBackpropFilter,
    DepthwiseConv2dNativeBackpropInput,
};
use tidemill_core::{DType, Error, Result, Shape};
use tidemill_tensor::dispatch_float;

use super::real::{Real, Wide};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    macro_rules! rows {
        ($($op:ident $kernel:ident;)*) => {$(
            table.compiled::<$op>(|op, cx| $kernel(&op.convolution()?, cx));
        )*};
    }
    rows! {
        Conv2D forward;
        Conv2DBackpropInput input_gradient;
        Conv2DBackpropFilter filter_gradient;
        DepthwiseConv2dNative forward;
        DepthwiseConv2dNativeBackpropInput input_gradient;
        DepthwiseConv2dNativeBackpropFilter filter_gradient;
        Conv3D forward;
        Conv3DBackpropInputV2 input_gradient;
        Conv3DBackpropFilterV2 filter_gradient;
    }
}

/// Elements of a tile of patches or of outputs, at most, unless a single window has more.
const TILE: usize = 1 << 15;

/// Sizes and strides of one convolution, of volumes.
#[derive(Debug, Clone)]
struct Geometry {
    batch: usize,
    groups: usize,
    /// Channels and outputs of one group.
    channels: usize,
    outputs: usize,
    input: Volume,
    output: Volume,
    window: [usize; 3],
    stride: [usize; 3],
    dilation: [usize; 3],
    before: [usize; 3],
}

/// Where the elements of a tensor of volumes stand.
#[derive(Debug, Clone, Default)]
struct Volume {
    sizes: [usize; 3],
    strides: [usize; 3],
    channel: usize,
    image: usize,
}

impl Volume {
    fn new(conv: &Convolution, shape: &Shape) -> Volume {
        let strides = shape.strides();
        let mut volume = Volume {
            sizes: [1; 3],
            strides: [0; 3],
            channel: strides[conv.layout.channels],
            image: strides[0],
        };
        for d in 0..conv.layout.dims {
            let (at, axis) = (3 - conv.layout.dims + d, conv.layout.spatial + d);
            (volume.sizes[at], volume.strides[at]) = (shape[axis], strides[axis]);
        }
        volume
    }
}

impl Geometry {
    fn new(conv: &Convolution, input: &Shape, filter: &Shape, output: &Shape) -> Result<Geometry> {
        let expected = conv.output(&input.into(), &filter.into())?;
        if !expected.is_compatible_with(&output.into()) {
            return Err(Error::invalid(format!("the output's shape is {output}, but must be {expected}")));
        }
        let layout = conv.layout;
        let (all, own, last) = (input[layout.channels], filter[layout.dims], filter[layout.dims + 1]);
        let (groups, channels) =
            if conv.depthwise { (own, 1) } else { (all.checked_div(own).unwrap_or(1).max(1), own) };
        let outputs = if conv.depthwise { last } else { last / groups };
        let mut geometry = Geometry {
            batch: input[0],
            groups,
            channels,
            outputs,
            input: Volume::new(conv, input),
            output: Volume::new(conv, output),
            window: [1; 3],
            stride: [1; 3],
            dilation: [1; 3],
            before: [0; 3],
        };
        for (d, motion) in conv.motions.iter().enumerate() {
            let at = 3 - layout.dims + d;
            geometry.window[at] = filter[d];
            geometry.stride[at] = motion.stride;
            geometry.dilation[at] = motion.dilation;
            geometry.before[at] = motion.place(input[layout.spatial + d], filter[d])?.1;
        }
        Ok(geometry)
    }

    /// Elements of one window in one group of channels.
    fn depth(&self) -> usize {
        self.window.iter().product::<usize>() * self.channels
    }

    /// Outputs of all groups: how far apart the rows of the filter's matrix stand.
    fn all_outputs(&self) -> usize {
        self.groups * self.outputs
    }

    fn places(&self) -> usize {
        self.output.sizes.iter().product()
    }

    /// How many places a tile has.
    fn tile(&self) -> usize {
        (TILE / self.depth().max(self.outputs).max(1)).clamp(1, self.places().max(1))
    }

    /// Elements of the input of one image.
    fn image(&self) -> usize {
        self.input.sizes.iter().product::<usize>() * self.channels * self.groups
    }

    /// Calls `f` with each tile: image, group, first place and number of places.
    fn tiles(&self, mut f: impl FnMut(usize, usize, usize, usize)) {
        let (places, tile) = (self.places(), self.tile());
        for image in 0..self.batch {
            for group in 0..self.groups {
                for first in (0..places).step_by(tile) {
                    f(image, group, first, tile.min(places - first));
                }
            }
        }
    }

    fn coordinates(&self, place: usize) -> [usize; 3] {
        let [_, h, w] = self.output.sizes;
        [place / (h * w), place / w % h, place % w]
    }

    /// Calls `f` with each element of the windows of a tile that lies inside of the image: its offset in the tile of patches, and that of its first
    /// channel in the image. The channels that follow are one apart in the tile, and [`Volume::channel`] in the image.
    fn taps(&self, group: usize, first: usize, count: usize, mut f: impl FnMut(usize, usize)) {
        let depth = self.depth();
        for row in 0..count {
            let place = self.coordinates(first + row);
            // The element at `k` of an axis stands at `place · stride + k · dilation - before`, if that is inside.
            let at = |axis: usize, k: usize| {
                let at = (place[axis] * self.stride[axis] + k * self.dilation[axis])
                    .checked_sub(self.before[axis])?;
                (at < self.input.sizes[axis]).then_some(at * self.input.strides[axis])
            };
            let mut tap = row * depth;
            for d in 0..self.window[0] {
                let d = at(0, d);
                for h in 0..self.window[1] {
                    let h = at(1, h);
                    for w in 0..self.window[2] {
                        if let (Some(d), Some(h), Some(w)) = (d, h, at(2, w)) {
                            f(tap, d + h + w + group * self.channels * self.input.channel);
                        }
                        tap += self.channels;
                    }
                }
            }
        }
    }

    /// Calls `f` with the offset in a tile of outputs and that in the image's output of each element.
    fn results(&self, group: usize, first: usize, count: usize, mut f: impl FnMut(usize, usize)) {
        let base = group * self.outputs * self.output.channel;
        for row in 0..count {
            let place = self.coordinates(first + row);
            let at: usize = (0..3).map(|axis| place[axis] * self.output.strides[axis]).sum();
            for o in 0..self.outputs {
                f(row * self.outputs + o, base + at + o * self.output.channel);
            }
        }
    }
}

/// Numbers that are convolved, and the type in which their products are added up.
trait Number: tidemill_tensor::Element {
    type Sum: Copy + Default + std::ops::AddAssign + Send + 'static;
    fn wide(self) -> Self::Sum;
    fn rounded(sum: Self::Sum) -> Self;
    /// `c = a · b`, or `c += a · b`, of matrices `[m, k] · [k, n]` whose rows and columns stand so far apart; `c` has rows of `n` or more.
    fn multiply(
        sizes: [usize; 3],
        a: Matrix<Self::Sum>,
        b: Matrix<Self::Sum>,
        c: &mut [Self::Sum],
        c_row: usize,
        add: bool,
    );
}

/// A matrix inside of a slice: the distance of its rows and that of its columns.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    data: &'a [T],
    row: usize,
    column: usize,
}

impl<T> Matrix<'_, T> {
    /// Panics unless the slice holds all elements of a matrix of this size.
    fn check(&self, rows: usize, columns: usize) {
        let last = rows.saturating_sub(1) * self.row + columns.saturating_sub(1) * self.column;
        assert!(rows == 0 || columns == 0 || last < self.data.len(), "a matrix leaves its buffer");
    }
}

impl<T: Real> Number for T {
    type Sum = T::Wide;
    #[inline(always)]
    fn wide(self) -> T::Wide {
        self.widen()
    }
    #[inline(always)]
    fn rounded(sum: T::Wide) -> T {
        T::narrow(sum)
    }
    fn multiply(
        [m, k, n]: [usize; 3],
        a: Matrix<T::Wide>,
        b: Matrix<T::Wide>,
        c: &mut [T::Wide],
        c_row: usize,
        add: bool,
    ) {
        a.check(m, k);
        b.check(k, n);
        Matrix { data: &*c, row: c_row, column: 1 }.check(m, n);
        if m * n * k == 0 {
            return clear_rows(m, n, c, c_row, add);
        }
        // SAFETY: the matrices lie inside of their slices, as was checked; `c` is borrowed alone.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                1,
                c_row as isize,
                add,
                a.data.as_ptr(),
                a.column as isize,
                a.row as isize,
                b.data.as_ptr(),
                b.column as isize,
                b.row as isize,
                T::Wide::ONE,
                T::Wide::ONE,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}

impl Number for i32 {
    type Sum = Wrapping<i32>;
    #[inline(always)]
    fn wide(self) -> Wrapping<i32> {
        Wrapping(self)
    }
    #[inline(always)]
    fn rounded(sum: Wrapping<i32>) -> i32 {
        sum.0
    }
    fn multiply(
        [m, k, n]: [usize; 3],
        a: Matrix<Wrapping<i32>>,
        b: Matrix<Wrapping<i32>>,
        c: &mut [Wrapping<i32>],
        c_row: usize,
        add: bool,
    ) {
        clear_rows(m, n, c, c_row, add);
        for i in 0..m {
            for l in 0..k {
                let factor = a.data[i * a.row + l * a.column];
                for j in 0..n {
                    c[i * c_row + j] += factor * b.data[l * b.row + j * b.column];
                }
            }
        }
    }
}

/// Zeros in the result of a product, unless it is to be added to.
fn clear_rows<S: Copy + Default>(m: usize, n: usize, c: &mut [S], c_row: usize, add: bool) {
    if !add && n > 0 {
        (0..m).for_each(|i| c[i * c_row..i * c_row + n].fill(S::default()));
    }
}

/// What a kernel works with beside its operands.
struct Scratch<S> {
    patches: Vec<S>,
    results: Vec<S>,
    filter: Vec<S>,
    image: Vec<S>,
}

impl<S: Copy + Default> Scratch<S> {
    fn new(geometry: &Geometry, image: bool) -> Mutex<Scratch<S>> {
        let (tile, depth) = (geometry.tile(), geometry.depth());
        let of = |n: usize| vec![S::default(); n];
        Mutex::new(Scratch {
            patches: of(tile * depth),
            results: of(tile * geometry.outputs),
            filter: of(depth * geometry.all_outputs()),
            image: of(if image { geometry.image() } else { 0 }),
        })
    }
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("a convolution of this dtype"))
}

/// One copy of `$body` for each dtype that is convolved.
macro_rules! dispatch_convolved {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            DType::I32 => {
                type $t = i32;
                $body
            }
            dtype => dispatch_float!(dtype, $t => $body, else => unsupported()),
        }
    };
}

/// Fills a tile of patches.
fn gather<T: Number>(
    geometry: &Geometry,
    [group, first, count]: [usize; 3],
    image: &[T],
    patches: &mut [T::Sum],
) {
    let (channels, step) = (geometry.channels, geometry.input.channel);
    patches[..count * geometry.depth()].fill(T::Sum::default());
    geometry.taps(group, first, count, |tap, at| {
        for (c, patch) in patches[tap..tap + channels].iter_mut().enumerate() {
            *patch = image[at + c * step].wide();
        }
    });
}

fn forward(conv: &Convolution, cx: &CompileCx) -> Result<Compiled> {
    let geometry = Geometry::new(conv, &cx.shape(0), &cx.shape(1), &cx.output_shape(0))?;
    dispatch_convolved!(cx.dtype(0), T => {
        let scratch = Scratch::<<T as Number>::Sum>::new(&geometry, false);
        Compiled::step(move |args: &mut Args| {
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let Scratch { patches, results, filter, .. } = &mut *scratch;
            let (input, weights, out) = (args.input::<T>(0), args.input::<T>(1), args.output::<T>(0));
            filter.iter_mut().zip(weights).for_each(|(f, w)| *f = w.wide());
            let (depth, n, row) = (geometry.depth(), geometry.outputs, geometry.all_outputs());
            geometry.tiles(|image, group, first, count| {
                gather(&geometry, [group, first, count], &input[image * geometry.input.image..], patches);
                let a = Matrix { data: &patches[..], row: depth, column: 1 };
                let b = Matrix { data: filter.get(group * n..).unwrap_or_default(), row, column: 1 };
                T::multiply([count, depth, n], a, b, results, n, false);
                let out = &mut out[image * geometry.output.image..];
                geometry.results(group, first, count, |from, to| out[to] = T::rounded(results[from]));
            });
            Ok(())
        })
    })
}

fn filter_gradient(conv: &Convolution, cx: &CompileCx) -> Result<Compiled> {
    let geometry = Geometry::new(conv, &cx.shape(0), &cx.output_shape(0), &cx.shape(2))?;
    dispatch_convolved!(cx.dtype(0), T => {
        let scratch = Scratch::<<T as Number>::Sum>::new(&geometry, false);
        Compiled::step(move |args: &mut Args| {
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let Scratch { patches, results, filter, .. } = &mut *scratch;
            let (input, dy, out) = (args.input::<T>(0), args.input::<T>(2), args.output::<T>(0));
            filter.fill(Default::default());
            let (depth, n, row) = (geometry.depth(), geometry.outputs, geometry.all_outputs());
            geometry.tiles(|image, group, first, count| {
                gather(&geometry, [group, first, count], &input[image * geometry.input.image..], patches);
                let dy = &dy[image * geometry.output.image..];
                geometry.results(group, first, count, |to, from| results[to] = dy[from].wide());
                let a = Matrix { data: &patches[..], row: 1, column: depth };
                let b = Matrix { data: &results[..], row: n, column: 1 };
                if let Some(filter) = filter.get_mut(group * n..) {
                    T::multiply([depth, count, n], a, b, filter, row, true);
                }
            });
            out.iter_mut().zip(&*filter).for_each(|(out, f)| *out = T::rounded(*f));
            Ok(())
        })
    })
}

fn input_gradient(conv: &Convolution, cx: &CompileCx) -> Result<Compiled> {
    let geometry = Geometry::new(conv, &cx.output_shape(0), &cx.shape(1), &cx.shape(2))?;
    dispatch_convolved!(cx.dtype(1), T => {
        let scratch = Scratch::<<T as Number>::Sum>::new(&geometry, true);
        Compiled::step(move |args: &mut Args| {
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let Scratch { patches, results, filter, image: sums } = &mut *scratch;
            let (weights, dy, out) = (args.input::<T>(1), args.input::<T>(2), args.output::<T>(0));
            filter.iter_mut().zip(weights).for_each(|(f, w)| *f = w.wide());
            let (depth, n, row) = (geometry.depth(), geometry.outputs, geometry.all_outputs());
            let (channels, step) = (geometry.channels, geometry.input.channel);
            // Each image is added up by itself, and rounded when its last tile is done.
            let finish = |image: usize, sums: &mut [<T as Number>::Sum], out: &mut [T]| {
                let out = out[image * geometry.input.image..].iter_mut();
                out.zip(sums.iter()).for_each(|(out, sum)| *out = T::rounded(*sum));
                sums.fill(Default::default());
            };
            sums.fill(Default::default());
            let mut at = 0;
            geometry.tiles(|image, group, first, count| {
                if image != at {
                    finish(at, sums, out);
                    at = image;
                }
                let dy = &dy[image * geometry.output.image..];
                geometry.results(group, first, count, |to, from| results[to] = dy[from].wide());
                let a = Matrix { data: &results[..], row: n, column: 1 };
                let b = Matrix { data: filter.get(group * n..).unwrap_or_default(), row: 1, column: row };
                T::multiply([count, n, depth], a, b, patches, depth, false);
                geometry.taps(group, first, count, |tap, at| {
                    for (c, patch) in patches[tap..tap + channels].iter().enumerate() {
                        sums[at + c * step] += *patch;
                    }
                });
            });
            for image in at..geometry.batch {
                finish(image, sums, out);
            }
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use tidemill_core::{Op, Value};

    use super::super::testing::eval;
    use super::*;

    fn numbers(shape: &[usize], step: usize) -> Value {
        let count: usize = shape.iter().product();
        let numbers = (0..count).map(|i| ((i * step) % 11) as f64 - 5.0).collect();
        Value::from_vec(shape, numbers).unwrap()
    }

    fn conv2d(stride: i64, dilation: i64, padding: &str) -> Conv2D {
        Conv2D {
            strides: vec![1, stride, stride, 1],
            use_cudnn_on_gpu: true,
            padding: padding.into(),
            explicit_paddings: vec![],
            data_format: "NHWC".into(),
            dilations: vec![1, dilation, dilation, 1],
        }
    }

    /// The definition, element by element.
    fn naive(
        x: &Value,
        w: &Value,
        out: &Value,
        stride: usize,
        dilation: usize,
        before: [usize; 2],
    ) -> Vec<f64> {
        let (xs, ws, os) = (x.shape(), w.shape(), out.shape());
        let mut all = vec![];
        for b in 0..os[0] {
            for (i, j) in (0..os[1]).flat_map(|i| (0..os[2]).map(move |j| (i, j))) {
                for o in 0..os[3] {
                    let group = o / (os[3] / (xs[3] / ws[2]));
                    let mut sum = 0.0;
                    for (di, dj) in (0..ws[0]).flat_map(|i| (0..ws[1]).map(move |j| (i, j))) {
                        let (Some(r), Some(c)) = (
                            (i * stride + di * dilation).checked_sub(before[0]).filter(|r| *r < xs[1]),
                            (j * stride + dj * dilation).checked_sub(before[1]).filter(|c| *c < xs[2]),
                        ) else {
                            continue;
                        };
                        for c_in in 0..ws[2] {
                            let at = ((b * xs[1] + r) * xs[2] + c) * xs[3] + group * ws[2] + c_in;
                            let filter = ((di * ws[1] + dj) * ws[2] + c_in) * ws[3] + o;
                            sum += x.get_f64(at).unwrap() * w.get_f64(filter).unwrap();
                        }
                    }
                    all.push(sum);
                }
            }
        }
        all
    }

    #[test]
    fn sums_over_windows() {
        let x = numbers(&[2, 5, 6, 4], 7);
        for (channels, stride, dilation, padding, before) in [
            (4, 1, 1, "VALID", [0, 0]),
            (4, 2, 1, "SAME", [1, 0]),
            (2, 1, 2, "SAME", [2, 2]),
            (1, 2, 1, "VALID", [0, 0]),
        ] {
            let w = numbers(&[3, 3, channels, 8], 5);
            for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16, DType::I32] {
                let y = &eval(conv2d(stride, dilation, padding), &[x.cast(dtype), w.cast(dtype)])[0];
                let want = naive(&x, &w, y, stride as usize, dilation as usize, before);
                let want = Value::from_vec(y.shape(), want).unwrap().cast(dtype);
                assert!(y.allclose(&want, 1e-2, 1e-3), "{padding} {stride} {dilation} {dtype}");
            }
        }
    }

    /// `Σ dy · y` has the same value whichever operand `y` is seen as a function of, since it is linear in both.
    #[test]
    fn gradients_are_adjoint() {
        let (x, w) = (numbers(&[2, 5, 6, 4], 7), numbers(&[3, 2, 2, 6], 5));
        let op = conv2d(2, 1, "SAME");
        let y = &eval(op.clone(), &[x.clone(), w.clone()])[0];
        let dy = numbers(y.shape().dims(), 3);
        let dot = |a: &Value, b: &Value| -> f64 { a.iter_f64().zip(b.iter_f64()).map(|(a, b)| a * b).sum() };
        let sizes = |v: &Value| Value::from(v.shape().dims().iter().map(|d| *d as i32).collect::<Vec<i32>>());
        let Conv2D { strides, padding, explicit_paddings, data_format, dilations, .. } = op;
        let to_input = Conv2DBackpropInput {
            strides: strides.clone(),
            use_cudnn_on_gpu: true,
            padding: padding.clone(),
            explicit_paddings: explicit_paddings.clone(),
            data_format: data_format.clone(),
            dilations: dilations.clone(),
        };
        let to_filter = Conv2DBackpropFilter {
            strides,
            use_cudnn_on_gpu: true,
            padding,
            explicit_paddings,
            data_format,
            dilations,
        };
        let dx = &eval(to_input, &[sizes(&x), w.clone(), dy.clone()])[0];
        let dw = &eval(to_filter, &[x.clone(), sizes(&w), dy.clone()])[0];
        assert_eq!(dot(dx, &x), dot(&dy, y));
        assert_eq!(dot(dw, &w), dot(&dy, y));
    }

    #[test]
    fn channels_may_come_first() {
        let x = numbers(&[2, 4, 5, 6], 7);
        let w = numbers(&[3, 3, 4, 8], 5);
        let op = Conv2D { data_format: "NCHW".into(), ..conv2d(1, 1, "SAME") };
        let last = tidemill_core::ops::Transpose;
        let perm = |p: [i32; 4]| Value::from(p);
        let moved = eval(last.clone(), &[x.clone(), perm([0, 2, 3, 1])]);
        let want = eval(conv2d(1, 1, "SAME"), &[moved[0].clone(), w.clone()]);
        let want = eval(last, &[want[0].clone(), perm([0, 3, 1, 2])]);
        assert_eq!(eval(op, &[x, w]), want);
    }

    #[track_caller]
    fn refused(op: impl Op, x: &[usize], w: &[usize]) {
        assert!(super::super::testing::try_eval(op, &[numbers(x, 1), numbers(w, 1)]).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        refused(conv2d(1, 1, "VALID"), &[1, 2, 2, 1], &[4, 4, 1, 1]);
        refused(conv2d(1, 1, "VALID"), &[1, 5, 5, 3], &[2, 2, 2, 1]);
        refused(conv2d(0, 1, "VALID"), &[1, 5, 5, 3], &[2, 2, 3, 1]);
        refused(conv2d(1, 1, "ODD"), &[1, 5, 5, 3], &[2, 2, 3, 1]);
        let moving = Conv2D { strides: vec![1, 1, 1, 2], ..conv2d(1, 1, "VALID") };
        refused(moving, &[1, 5, 5, 3], &[2, 2, 3, 1]);
    }
}
