//! Discrete Fourier transforms over the last one, two or three axes.

use tidemill_tensor::{DType, Dim, PartialShape};

use super::{
    Ix, Pad, cast, complex, concat, div, greater, index, less, logical_and, maximum, mul, real, reduce_prod,
    shape, slice, stack, sub, unary, zeros_like,
};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    register_real(register_complex(set))
}

/// A row: documentation, op, number of axes, function and its name in TensorFlow, and the op that undoes it; then whether this one
/// divides by the number of elements.
macro_rules! complex_transforms {
    ($($(#[$doc:meta])* $op:ident over $axes:literal, $function:ident $tf:literal, inverse $inverse:ident, divides $divides:literal;)*) => {
        fn register_complex(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema =
                    Schema::new(stringify!($op), "(input: Tcomplex) -> (output: Tcomplex) where Tcomplex: Complex");
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    at_least(cx.shape(0), $axes)?;
                    cx.same_as_input(0)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let dy = cx.dy(0);
                    let n = count(dy, $axes);
                    let d = cx.graph().add($inverse, &[dy]);
                    Ok(grads![if $divides { div(d, n) } else { mul(d, n) }])
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!("Of the shape and dtype of `input` (`c64` or `c128`). TensorFlow: `", $tf, "`.")]
            ///
            /// # Panics
            /// When `input` has too few axes.
            #[track_caller]
            pub fn $function(input: impl Into<Tensor>) -> Tensor {
                unary($op, stringify!($op), input)
            }
        )*
    };
}

complex_transforms! {
    /// The transform over the last axis: `y[k] = Σ x[j] e^(-2πi jk / n)`.
    FFT over 1, fft "tf.fft", inverse IFFT, divides false;
    /// The inverse of [`FFT`]: `y[k] = 1/n Σ x[j] e^(2πi jk / n)`.
    IFFT over 1, ifft "tf.ifft", inverse FFT, divides true;
    /// [`FFT`] over the last two axes.
    FFT2D over 2, fft2d "tf.fft2d", inverse IFFT2D, divides false;
    /// The inverse of [`FFT2D`].
    IFFT2D over 2, ifft2d "tf.ifft2d", inverse FFT2D, divides true;
    /// [`FFT`] over the last three axes.
    FFT3D over 3, fft3d "tf.fft3d", inverse IFFT3D, divides false;
    /// The inverse of [`FFT3D`].
    IFFT3D over 3, ifft3d "tf.ifft3d", inverse FFT3D, divides true;
}

fn at_least(shape: &PartialShape, axes: usize) -> Result<()> {
    match shape.rank() {
        Some(rank) if rank < axes => {
            Err(Error::invalid(format!("needs at least rank {axes}, but the shape is {shape}")))
        }
        _ => Ok(()),
    }
}

/// The number of elements over the last axes, as a scalar of the dtype of `x`.
fn count(x: Tensor, axes: i64) -> Tensor {
    cast(reduce_prod(last_sizes(x, axes)), x.dtype())
}

/// The sizes of the last axes.
fn last_sizes(x: Tensor, axes: i64) -> Tensor {
    index(shape(x), Ix::Range(Some(-axes), None, 1))
}

/// `x` with the last axes cut or filled up with zeros to these sizes, an `i32` vector.
///
/// # Errors
/// `Unimplemented` when the rank of `x` is not known.
fn fitted(x: Tensor, sizes: Tensor, axes: i64) -> Result<Tensor> {
    let Some(rank) = x.shape().rank() else {
        return Err(Error::unimplemented("this gradient needs to know the rank of its operand"));
    };
    let batch = rank as i64 - axes;
    let missing = maximum(sub(sizes, last_sizes(x, axes)), 0);
    let graph = x.graph();
    let behind = concat([graph.zeros(DType::I32, [batch]), missing], 0);
    let x = graph.op(Pad).input(x).input(stack([zeros_like(behind), behind], 1)).tensor();
    let sizes = concat([index(shape(x), Ix::Range(None, Some(batch), 1)), sizes], 0);
    Ok(slice(x, vec![0i32; rank], sizes))
}

/// The type of a transform between real and complex numbers: `of_last` gives the size of the last axis from its length.
fn real_type(
    cx: &InferCx,
    axes: usize,
    dtype: DType,
    of_last: fn(usize) -> usize,
) -> Result<Vec<TensorType>> {
    at_least(cx.shape(0), axes)?;
    cx.expect_rank(1, 1)?;
    if cx.shape(1).dim(0).is_some_and(|n| n != axes) {
        return Err(Error::invalid(format!(
            "`fft_length` must have {axes} elements, not the shape {}",
            cx.shape(1)
        )));
    }
    let Some(dims) = cx.shape(0).dims() else { return cx.output(dtype, PartialShape::unknown()) };
    let mut dims: Vec<Dim> = dims.to_vec();
    let start = dims.len() - axes;
    for i in 0..axes {
        let length = cx.known(1).and_then(|lengths| lengths.get(i).copied().flatten());
        let length = match length {
            Some(n) => Some(usize::try_from(n).map_err(|_| Error::invalid(format!("a length of {n}")))?),
            None => None,
        };
        dims[start + i] = if i + 1 == axes { length.map(of_last) } else { length };
    }
    cx.output(dtype, PartialShape::from(dims))
}

/// A row: documentation, op, number of axes, the op that is its inverse; once for those of real numbers, once for their inverses.
macro_rules! real_transforms {
    ($(
        $(#[$doc:meta])* $op:ident over $axes:literal, $function:ident $tf:literal,
        $(#[$inverse_doc:meta])* $inverse:ident $inverse_function:ident $inverse_tf:literal, complex $complex:ident;
    )*) => {
        fn register_real(set: OpSet) -> OpSet {
            set$(.with::<$op>().with::<$inverse>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(
                    stringify!($op),
                    "(input: Treal, fft_length: i32) -> (output: Tcomplex) where Treal: f32|f64, Tcomplex: Complex",
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    let dtype = cx.dtype(0).complex().unwrap_or(DType::C64);
                    real_type(cx, $axes, dtype, |n| if n == 0 { 0 } else { n / 2 + 1 })
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    // The transform's transpose: of what flows in, filled up with zeros to the full length, and of that the real part.
                    let (x, length, dy) = (cx.x(0), cx.x(1), cx.dy(0));
                    let d = cx.graph().add($complex, &[fitted(dy, length, $axes)?]);
                    let d = real(mul(d, count(d, $axes)));
                    Ok(grads![fitted(d, last_sizes(x, $axes), $axes)?, NoGrad])
                }
            }

            $(#[$inverse_doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $inverse;
            attrs!($inverse {});

            impl Op for $inverse {
                const SCHEMA: Schema = Schema::new(
                    stringify!($inverse),
                    "(input: Tcomplex, fft_length: i32) -> (output: Treal) where Treal: f32|f64, Tcomplex: Complex",
                );
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    real_type(cx, $axes, cx.dtype(0).real(), |n| n)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let (x, length, dy) = (cx.x(0), cx.x(1), cx.dy(0));
                    let d = cx.graph().add($op, &[dy, length]);
                    // All frequencies but the first, and the middle one of even lengths, stand for themselves and their conjugates.
                    let at = cx.graph().range(0, index(shape(d), Ix::At(-1)), 1);
                    let twice = logical_and(greater(at, 0), less(at * 2, index(length, Ix::At(-1))));
                    let weight = cast(twice, dy.dtype()) + 1.0;
                    let d = mul(d, complex(weight, zeros_like(weight)));
                    let d = div(d, cast(reduce_prod(length), d.dtype()));
                    // Where the transform cut or filled the operand, so does its gradient.
                    Ok(grads![fitted(d, last_sizes(x, $axes), $axes)?, NoGrad])
                }
            }

            $(#[$doc])*
            ///
            #[doc = concat!(
                "`fft_length` are the sizes of the axes, to which `input` is cut; shorter axes fail the run. TensorFlow: `", $tf, "`."
            )]
            ///
            /// # Panics
            /// When `input` has too few axes, or `fft_length` another number of elements.
            #[track_caller]
            pub fn $function(input: impl Into<Tensor>, fft_length: [i32; $axes]) -> Tensor {
                let input = input.into();
                input.graph().op($op).input(input).constant("fft_length", fft_length.to_vec()).tensor()
            }

            $(#[$inverse_doc])*
            ///
            #[doc = concat!("`fft_length` are the sizes of the result's axes. TensorFlow: `", $inverse_tf, "`.")]
            ///
            /// # Panics
            /// When `input` has too few axes, or `fft_length` another number of elements.
            #[track_caller]
            pub fn $inverse_function(input: impl Into<Tensor>, fft_length: [i32; $axes]) -> Tensor {
                let input = input.into();
                input.graph().op($inverse).input(input).constant("fft_length", fft_length.to_vec()).tensor()
            }
        )*
    };
}

real_transforms! {
    /// [`FFT`] of real numbers: the first `n / 2 + 1` frequencies, of which the others are the conjugates.
    RFFT over 1, rfft "tf.signal.rfft",
    /// The inverse of [`RFFT`]: real numbers, from `n / 2 + 1` frequencies.
    IRFFT irfft "tf.signal.irfft", complex IFFT;
    /// [`RFFT`] over the last axis and [`FFT`] over the one before.
    RFFT2D over 2, rfft2d "tf.signal.rfft2d",
    /// The inverse of [`RFFT2D`].
    IRFFT2D irfft2d "tf.signal.irfft2d", complex IFFT2D;
    /// [`RFFT`] over the last axis and [`FFT`] over the two before.
    RFFT3D over 3, rfft3d "tf.signal.rfft3d",
    /// The inverse of [`RFFT3D`].
    IRFFT3D irfft3d "tf.signal.irfft3d", complex IFFT3D;
}
