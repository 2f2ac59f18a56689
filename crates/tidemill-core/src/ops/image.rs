//! Images `[batch, height, width, channels]`: resizing, and colours.

use tidemill_tensor::{DType, Dim, PartialShape};

use super::shape;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    register_resizes(set).with::<RGBToHSV>().with::<HSVToRGB>()
}

/// A resize or its gradient. A row: documentation, op, signature, the rule for its type, and its gradient.
macro_rules! resizes {
    ($($(#[$doc:meta])* $op:ident, $signature:literal, infer $infer:ident, grad |$self:ident, $cx:ident| $grad:expr;)*) => {
        fn register_resizes(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op {
                /// Whether the centres of the corners stay in their place.
                pub align_corners: bool,
                /// Whether elements stand at the centres of squares rather than at their corners.
                pub half_pixel_centers: bool,
            }
            attrs!($op { align_corners, half_pixel_centers });

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    if self.align_corners && self.half_pixel_centers {
                        return Err(Error::invalid("`align_corners` and `half_pixel_centers` exclude each other"));
                    }
                    $infer(cx)
                }
                fn grad(&self, $cx: &GradCx) -> Result<Grads> {
                    let $self = self;
                    Ok($grad)
                }
            }
        )*
    };
}

/// The height and width that operand 1 says.
fn sizes(cx: &InferCx) -> Result<[Dim; 2]> {
    let size = cx.shape_argument(1)?;
    match size.dims() {
        None => Ok([None, None]),
        Some(&[h, w]) => {
            if h == Some(0) || w == Some(0) {
                return Err(Error::invalid("images cannot be resized to nothing"));
            }
            Ok([h, w])
        }
        Some(_) => Err(Error::invalid("`size` must be a height and a width")),
    }
}

fn resized(cx: &InferCx, dtype: DType) -> Result<Vec<TensorType>> {
    cx.expect_rank(0, 4)?;
    let [h, w] = sizes(cx)?;
    let images = cx.shape(0);
    let empty = [1, 2].iter().any(|axis| images.dim(*axis) == Some(0));
    if empty {
        return Err(Error::invalid(format!("images of shape {images} have nothing to resize")));
    }
    cx.output(dtype, PartialShape::from([images.dim(0), h, w, images.dim(3)]))
}

fn same_dtype(cx: &InferCx) -> Result<Vec<TensorType>> {
    resized(cx, cx.dtype(0))
}

fn to_float(cx: &InferCx) -> Result<Vec<TensorType>> {
    resized(cx, DType::F32)
}

/// The gradient has the type of the images, operand 1.
fn as_images(cx: &InferCx) -> Result<Vec<TensorType>> {
    cx.expect_rank(0, 4)?;
    cx.expect_rank(1, 4)?;
    let (grads, images) = (cx.shape(0), cx.shape(1));
    let of = |s: &PartialShape| PartialShape::from([s.dim(0), s.dim(3)]);
    if of(grads).merge(&of(images)).is_none() {
        return Err(Error::invalid(format!("gradients {grads} do not belong to images {images}")));
    }
    cx.output(cx.dtype(1), images.clone())
}

macro_rules! like {
    ($from:expr => $to:ident) => {
        $to { align_corners: $from.align_corners, half_pixel_centers: $from.half_pixel_centers }
    };
}

/// Height and width of images, as a vector.
fn size_of(images: Tensor) -> Tensor {
    let known = images.shape();
    match (known.dim(1), known.dim(2)) {
        (Some(h), Some(w)) => images.graph().constant([h as i32, w as i32]),
        _ => super::slice(shape(images), [1], [2]),
    }
}

resizes! {
    /// Each element is the nearest of the images'.
    ResizeNearestNeighbor, "(images: T, size: i32) -> (resized_images: T) where T: Num", infer same_dtype,
    grad |op, cx| {
        let size = size_of(cx.x(0));
        grads![cx.graph().add(like!(op => ResizeNearestNeighborGrad), &[cx.dy(0), size]), NoGrad]
    };

    /// The gradient of [`ResizeNearestNeighbor`]; `size` is the height and width of the images.
    ResizeNearestNeighborGrad, "(grads: T, size: i32) -> (output: T) where T: bf16|f16|f32|f64|i8|i32|u8", infer same_dtype,
    grad |op, cx| {
        let size = size_of(cx.x(0));
        grads![cx.graph().add(like!(op => ResizeNearestNeighbor), &[cx.dy(0), size]), NoGrad]
    };

    /// Each element is interpolated linearly, along both axes, between the nearest of the images'. The result is `f32`.
    ResizeBilinear, "(images: T, size: i32) -> (resized_images: f32) where T: Num", infer to_float,
    grad |op, cx| grads![cx.graph().add(like!(op => ResizeBilinearGrad), &[cx.dy(0), cx.x(0)]), NoGrad];

    /// The gradient of [`ResizeBilinear`].
    ResizeBilinearGrad, "(grads: f32, original_image: T) -> (output: T) where T: bf16|f16|f32|f64", infer as_images,
    grad |op, cx| {
        let size = size_of(cx.x(0));
        grads![cx.graph().add(like!(op => ResizeBilinear), &[cx.dy(0), size]), NoGrad]
    };

    /// Each element is interpolated, along both axes, by Keys' cubic through four of the images'. The result is `f32`.
    ResizeBicubic, "(images: T, size: i32) -> (resized_images: f32) where T: Num", infer to_float,
    grad |op, cx| grads![cx.graph().add(like!(op => ResizeBicubicGrad), &[cx.dy(0), cx.x(0)]), NoGrad];

    /// The gradient of [`ResizeBicubic`].
    ResizeBicubicGrad, "(grads: f32, original_image: T) -> (output: T) where T: f32|f64", infer as_images,
    grad |op, cx| {
        let size = size_of(cx.x(0));
        grads![cx.graph().add(like!(op => ResizeBicubic), &[cx.dy(0), size]), NoGrad]
    };
}

macro_rules! colours {
    ($($(#[$doc:meta])* $op:ident $function:ident $tf:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op;
        attrs!($op {});

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), "(images: T) -> (output: T) where T: Float");
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                let three = PartialShape::from([Some(3)]);
                match cx.shape(0).rank() {
                    Some(0) => Err(Error::invalid("a scalar has no colours")),
                    Some(rank) if PartialShape::from([cx.shape(0).dim(rank - 1)]).merge(&three).is_none() => {
                        Err(Error::invalid(format!("the last axis must have 3 entries, but the shape is {}", cx.shape(0))))
                    }
                    _ => cx.same_as_input(0),
                }
            }
        }

        $(#[$doc])*
        ///
        #[doc = concat!("Of floats, in the shape of `images`. TensorFlow: `", $tf, "`.")]
        ///
        /// # Panics
        /// When the last axis has not 3 entries.
        #[track_caller]
        pub fn $function(images: impl Into<Tensor>) -> Tensor {
            super::unary($op, stringify!($op), images)
        }
    )*};
}

colours! {
    /// Colours given by red, green and blue along the last axis, each from 0 to 1, by their hue, saturation and value.
    RGBToHSV rgb_to_hsv "tf.image.rgb_to_hsv";
    /// Colours given by hue, saturation and value along the last axis, each from 0 to 1, by their red, green and blue.
    HSVToRGB hsv_to_rgb "tf.image.hsv_to_rgb";
}

/// Images `[batch, height, width, channels]` resized to another height and width, each element interpolated linearly along both axes, as `f32`.
/// TensorFlow: `tf.image.resize_bilinear` (with `half_pixel_centers`, as `tf.image.resize` of TensorFlow 2).
///
/// # Panics
/// When the rank is not 4, or there is nothing to resize.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let images = g.placeholder(DType::U8, [None, Some(28), Some(28), Some(3)]);
/// assert_eq!(ops::resize_bilinear(images, [14, 20]).ty().to_string(), "f32[?,14,20,3]");
/// ```
#[track_caller]
pub fn resize_bilinear(images: impl Into<Tensor>, size: [i32; 2]) -> Tensor {
    let images = images.into();
    let op = ResizeBilinear { align_corners: false, half_pixel_centers: true };
    images.graph().op(op).input(images).constant("size", size).tensor()
}

/// [`resize_bilinear`], but each element is the nearest of the images', of their dtype. TensorFlow: `tf.image.resize_nearest_neighbor` (with
/// `half_pixel_centers`).
///
/// # Panics
/// When the rank is not 4, or there is nothing to resize.
#[track_caller]
pub fn resize_nearest_neighbor(images: impl Into<Tensor>, size: [i32; 2]) -> Tensor {
    let images = images.into();
    let op = ResizeNearestNeighbor { align_corners: false, half_pixel_centers: true };
    images.graph().op(op).input(images).constant("size", size).tensor()
}
