//! Normalisation over batches, and over neighbouring channels.

use tidemill_tensor::PartialShape;

use super::window::Layout;
use super::{cast, identity, reciprocal, rsqrt, square, stop_gradient, transpose_perm};
use crate::autodiff::{GradCx, Gradients, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::ops::{self, Reduce};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    register_fused(set)
        .with::<BatchNormWithGlobalNormalization>()
        .with::<BatchNormWithGlobalNormalizationGrad>()
        .with::<LRN>()
        .with::<LRNGrad>()
}

/// The channels' axis of a batch of images or volumes.
///
/// # Errors
/// `InvalidArgument` for an unknown data format.
pub fn channels_of(data_format: &str) -> Result<(usize, usize)> {
    let dims = if data_format.len() == 5 { 3 } else { 2 };
    let layout = Layout::parse(data_format, dims)?;
    Ok((layout.channels, layout.rank()))
}

/// The shape of `x`, and its number of channels, of which the vectors must have as many; with `may_be_empty`, or none.
fn channels(
    cx: &InferCx,
    x: usize,
    data_format: &str,
    vectors: &[usize],
    may_be_empty: &[usize],
) -> Result<(PartialShape, PartialShape)> {
    let (axis, rank) = channels_of(data_format)?;
    cx.expect_rank(x, rank)?;
    let mut count = PartialShape::from([cx.shape(x).dim(axis)]);
    for &i in vectors {
        count = count.merge(cx.shape(i)).ok_or_else(|| {
            Error::invalid(format!("operand {i} has shape {}, but there are {count} channels", cx.shape(i)))
        })?;
    }
    for &i in may_be_empty {
        let empty = cx.shape(i).num_elements() == Some(0);
        if !empty && !count.is_compatible_with(cx.shape(i)) {
            return Err(Error::invalid(format!(
                "operand {i} has shape {}, but there are {count} channels",
                cx.shape(i)
            )));
        }
    }
    let mut dims = match cx.shape(x).dims() {
        Some(dims) => dims.to_vec(),
        None => vec![None; rank],
    };
    dims[axis] = count.dim(0);
    Ok((PartialShape::from(dims), count))
}

/// `to` with the attributes of `from`.
macro_rules! gradient_of {
    ($from:expr => $to:ident) => {
        $to { epsilon: $from.epsilon, data_format: $from.data_format.clone(), is_training: $from.is_training }
    };
}

/// One version of batch normalisation and its gradient: the op, its gradient, their signatures, and how many outputs each has.
macro_rules! fused_batch_norms {
    ($($(#[$doc:meta])* $op:ident $signature:literal, $outputs:literal; $grad:ident $grad_signature:literal;)*) => {
        fn register_fused(set: OpSet) -> OpSet {
            set$(.with::<$op>().with::<$grad>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op {
                /// What is added to the variance.
                pub epsilon: f32,
                /// How far the running mean and variance move to those of the batch: 1 for the batch's own.
                pub exponential_avg_factor: f32,
                /// Where the channels stand.
                pub data_format: String,
                /// Whether to normalise by the batch's mean and variance rather than those given.
                pub is_training: bool,
            }
            attrs!($op { epsilon, exponential_avg_factor, data_format, is_training });

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    infer_forward(cx, &self.data_format, self.is_training, $outputs)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let saved = if self.is_training { [cx.y(3), cx.y(4)] } else { [cx.x(3), cx.x(4)] };
                    let mut operands = vec![cx.dy(0), cx.x(0), cx.x(1), saved[0], saved[1]];
                    if $outputs == 6 {
                        operands.push(cx.y(5));
                    }
                    let gradients = cx.graph().op(gradient_of!(self => $grad)).inputs(&operands).build();
                    let [x, scale, offset] = [0, 1, 2].map(|i| gradients.output(i));
                    Ok(grads![x, scale, offset, NoGrad, NoGrad])
                }
            }

            #[doc = concat!("The gradient of [`", stringify!($op), "`]; `reserve_space_1` and `reserve_space_2` are the mean and the")]
            /// variance by which it has normalised. With `is_training` they are seen as functions of `x`.
            #[derive(Debug, Clone, PartialEq)]
            pub struct $grad {
                /// What is added to the variance.
                pub epsilon: f32,
                /// Where the channels stand.
                pub data_format: String,
                /// Whether mean and variance are the batch's own.
                pub is_training: bool,
            }
            attrs!($grad { epsilon, data_format, is_training });

            impl Op for $grad {
                const SCHEMA: Schema = Schema::new(stringify!($grad), $grad_signature);
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    infer_gradient(cx, &self.data_format)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    second_gradient(cx, self.epsilon, &self.data_format, self.is_training)
                }
            }
        )*
    };
}

fn infer_forward(
    cx: &InferCx,
    data_format: &str,
    is_training: bool,
    outputs: usize,
) -> Result<Vec<TensorType>> {
    let given: &[usize] = if is_training { &[1, 2] } else { &[1, 2, 3, 4] };
    let may_be_empty: &[usize] = if is_training { &[3, 4] } else { &[] };
    (1..5).try_for_each(|i| cx.expect_rank(i, 1))?;
    let (x, count) = channels(cx, 0, data_format, given, may_be_empty)?;
    let mut types = vec![TensorType::new(cx.dtype(0), x)];
    types.extend((1..5).map(|_| TensorType::new(cx.dtype(1), count.clone())));
    types.extend((5..outputs).map(|_| TensorType::new(cx.dtype(1), [0])));
    Ok(types)
}

fn infer_gradient(cx: &InferCx, data_format: &str) -> Result<Vec<TensorType>> {
    (2..5).try_for_each(|i| cx.expect_rank(i, 1))?;
    let (x, count) = channels(cx, 1, data_format, &[2, 3, 4], &[])?;
    let Some(x) = x.merge(cx.shape(0)) else {
        return Err(Error::invalid(format!("`y_backprop` has shape {}, but `x` has {x}", cx.shape(0))));
    };
    let dtype = cx.dtype(2);
    let nothing = || TensorType::new(dtype, ());
    let vector = || TensorType::new(dtype, count.clone());
    Ok(vec![TensorType::new(cx.dtype(0), x), vector(), vector(), nothing(), nothing()])
}

/// The gradient's own gradient, by differentiating its formula.
fn second_gradient(cx: &GradCx, epsilon: f32, data_format: &str, is_training: bool) -> Result<Grads> {
    let (axis, rank) = channels_of(data_format)?;
    // Copies, so that what `y_backprop` depends on does not count.
    let [dy, x, scale] = [0, 1, 2].map(|i| identity(cx.x(i)));
    let wide = scale.dtype();
    // Channels last, where vectors of them broadcast.
    let (to_last, back): (Vec<i32>, Vec<i32>) = match rank {
        4 => (vec![0, 2, 3, 1], vec![0, 3, 1, 2]),
        _ => (vec![0, 2, 3, 4, 1], vec![0, 4, 1, 2, 3]),
    };
    let first = axis == 1;
    let last = |t: Tensor| if first { transpose_perm(t, to_last.clone()) } else { t };
    let (dy_wide, x_wide) = (last(cast(dy, wide)), last(cast(x, wide)));
    let axes: Vec<i32> = (0..rank as i32 - 1).collect();
    let mean = |t: Tensor| ops::reduce_mean_with(t, Reduce::over(axes.clone()));
    let sum = |t: Tensor| ops::reduce_sum_with(t, Reduce::over(axes.clone()));
    let epsilon = f64::from(epsilon);
    let (grad_x, grad_scale) = if is_training {
        let mean_x = mean(x_wide);
        let variance = mean(square(x_wide - stop_gradient(mean_x))) + epsilon;
        let (dy_offset, x_offset) = (dy_wide - mean(dy_wide), x_wide - mean_x);
        let covariance = mean(dy_wide * x_offset);
        let grad_x = scale * rsqrt(variance) * (dy_offset - reciprocal(variance) * covariance * x_offset);
        (grad_x, rsqrt(variance) * sum(dy_wide * x_offset))
    } else {
        let (mean_x, root) = (cx.x(3), rsqrt(cx.x(4) + epsilon));
        (scale * root * dy_wide, root * sum(dy_wide * (x_wide - mean_x)))
    };
    let grad_x = if first { transpose_perm(grad_x, back) } else { grad_x };
    let (ys, inflow): (Vec<Tensor>, Vec<Option<Tensor>>) =
        [cast(grad_x, x.dtype()), grad_scale, sum(dy_wide)]
            .into_iter()
            .enumerate()
            .map(|(i, y)| (y, Some(cx.dy(i))))
            .unzip();
    let gradients = Gradients::of(ys).grad_ys(inflow).with_respect_to([dy, x, scale])?;
    let mut all: Grads = gradients.into_iter().collect();
    all.resize(cx.num_inputs(), None);
    Ok(all)
}

fused_batch_norms! {
    /// `(x - mean) / √(variance + epsilon) · scale + offset` for each channel. In training mean and variance are those of the batch over all other
    /// axes; `batch_mean` and `batch_variance` are then the mean and the unbiased variance, moved from those given by
    /// `exponential_avg_factor`, and `reserve_space_1` and `reserve_space_2` the batch's own mean and biased variance, for the gradient. Otherwise
    /// these are `mean` and `variance` again (Ioffe and Szegedy, 2015).
    FusedBatchNorm
    "(x: T, scale: T, offset: T, mean: T, variance: T) \
     -> (y: T, batch_mean: T, batch_variance: T, reserve_space_1: T, reserve_space_2: T) where T: f32|f64", 5;
    FusedBatchNormGrad
    "(y_backprop: T, x: T, scale: T, reserve_space_1: T, reserve_space_2: T) \
     -> (x_backprop: T, scale_backprop: T, offset_backprop: T, reserve_space_3: T, reserve_space_4: T) where T: f32|f64";

    /// [`FusedBatchNorm`], whose statistics may be of another dtype.
    FusedBatchNormV2
    "(x: T, scale: U, offset: U, mean: U, variance: U) \
     -> (y: T, batch_mean: U, batch_variance: U, reserve_space_1: U, reserve_space_2: U) where T: Float, U: f32|f64", 5;
    FusedBatchNormGradV2
    "(y_backprop: T, x: T, scale: U, reserve_space_1: U, reserve_space_2: U) \
     -> (x_backprop: T, scale_backprop: U, offset_backprop: U, reserve_space_3: U, reserve_space_4: U) where T: Float, U: f32|f64";

    /// [`FusedBatchNormV2`] of images or volumes, with an output more, for other devices; it is empty.
    FusedBatchNormV3
    "(x: T, scale: U, offset: U, mean: U, variance: U) \
     -> (y: T, batch_mean: U, batch_variance: U, reserve_space_1: U, reserve_space_2: U, reserve_space_3: U) where T: Float, U: f32|f64", 6;
    FusedBatchNormGradV3
    "(y_backprop: T, x: T, scale: U, reserve_space_1: U, reserve_space_2: U, reserve_space_3: U) \
     -> (x_backprop: T, scale_backprop: U, offset_backprop: U, reserve_space_4: U, reserve_space_5: U) where T: Float, U: f32|f64";
}

/// `(t - m) / √(v + variance_epsilon) · gamma + beta` along the last axis of images, without `gamma` unless `scale_after_normalization`.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNormWithGlobalNormalization {
    /// What is added to the variance.
    pub variance_epsilon: f32,
    /// Whether `gamma` counts.
    pub scale_after_normalization: bool,
}
attrs!(BatchNormWithGlobalNormalization { variance_epsilon, scale_after_normalization });

impl Op for BatchNormWithGlobalNormalization {
    const SCHEMA: Schema = Schema::new(
        "BatchNormWithGlobalNormalization",
        "(t: T, m: T, v: T, beta: T, gamma: T) -> (result: T) where T: Float",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        (1..5).try_for_each(|i| cx.expect_rank(i, 1))?;
        let (t, _) = channels(cx, 0, "NHWC", &[1, 2, 3, 4], &[])?;
        cx.output(cx.dtype(0), t)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let op = BatchNormWithGlobalNormalizationGrad {
            variance_epsilon: self.variance_epsilon,
            scale_after_normalization: self.scale_after_normalization,
        };
        let gradients = cx.graph().op(op).inputs(&[cx.x(0), cx.x(1), cx.x(2), cx.x(4), cx.dy(0)]).build();
        Ok((0..5).map(|i| Some(gradients.output(i).into())).collect())
    }
}

/// The gradients of [`BatchNormWithGlobalNormalization`] with respect to its operands, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNormWithGlobalNormalizationGrad {
    /// What is added to the variance.
    pub variance_epsilon: f32,
    /// Whether `gamma` counts.
    pub scale_after_normalization: bool,
}
attrs!(BatchNormWithGlobalNormalizationGrad { variance_epsilon, scale_after_normalization });

impl Op for BatchNormWithGlobalNormalizationGrad {
    const SCHEMA: Schema = Schema::new(
        "BatchNormWithGlobalNormalizationGrad",
        "(t: T, m: T, v: T, gamma: T, backprop: T) -> (dx: T, dm: T, dv: T, db: T, dg: T) where T: Float",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        (1..4).try_for_each(|i| cx.expect_rank(i, 1))?;
        let (t, count) = channels(cx, 0, "NHWC", &[1, 2, 3], &[])?;
        let Some(t) = t.merge(cx.shape(4)) else {
            return Err(Error::invalid(format!("`backprop` has shape {}, but `t` has {t}", cx.shape(4))));
        };
        let dtype = cx.dtype(0);
        let mut types = vec![TensorType::new(dtype, t)];
        types.extend((0..4).map(|_| TensorType::new(dtype, count.clone())));
        Ok(types)
    }
}

/// `x / (bias + alpha · Σ x²)^beta`, the sum over the channels at most `depth_radius` away, along the last axis of images (Krizhevsky et al., 2012).
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::upper_case_acronyms, reason = "TensorFlow's name")]
pub struct LRN {
    /// How many channels on each side count.
    pub depth_radius: i64,
    /// What is added to the sum.
    pub bias: f32,
    /// The sum's weight.
    pub alpha: f32,
    /// The power.
    pub beta: f32,
}
attrs!(LRN { depth_radius, bias, alpha, beta });

impl Op for LRN {
    const SCHEMA: Schema = Schema::new("LRN", "(input: T) -> (output: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 4)?;
        radius(self.depth_radius)?;
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let LRN { depth_radius, bias, alpha, beta } = *self;
        let op = LRNGrad { depth_radius, bias, alpha, beta };
        Ok(grads![cx.graph().add(op, &[cx.dy(0), cx.x(0), cx.y(0)])])
    }
}

fn radius(depth_radius: i64) -> Result<()> {
    if (0..=i64::from(i32::MAX)).contains(&depth_radius) {
        return Ok(());
    }
    Err(Error::invalid(format!("`depth_radius` must be at least 0 and have 31 bits, not {depth_radius}")))
}

/// The gradient of [`LRN`] from its operand and result.
#[derive(Debug, Clone, PartialEq)]
pub struct LRNGrad {
    /// How many channels on each side count.
    pub depth_radius: i64,
    /// What is added to the sum.
    pub bias: f32,
    /// The sum's weight.
    pub alpha: f32,
    /// The power.
    pub beta: f32,
}
attrs!(LRNGrad { depth_radius, bias, alpha, beta });

impl Op for LRNGrad {
    const SCHEMA: Schema = Schema::new(
        "LRNGrad",
        "(input_grads: T, input_image: T, output_image: T) -> (output: T) where T: Float",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 4)?;
        radius(self.depth_radius)?;
        cx.output(cx.dtype(0), cx.merged()?)
    }
}

/// The normalised images, and the mean and variance of each channel. See [`fused_batch_norm`].
#[derive(Debug, Clone, Copy)]
pub struct BatchNormalised {
    /// The normalised images.
    pub y: Tensor,
    /// The mean of each channel: the batch's, or what was given.
    pub mean: Tensor,
    /// The variance of each channel: the batch's, unbiased, or what was given.
    pub variance: Tensor,
}

/// `(x - mean) / √(variance + epsilon) · scale + offset` for each channel of images `[batch, height, width, channels]`, of floats of 16 or 32 bits
/// (`f64` too), with vectors of `f32` (`f64`). Without `statistics`, as in training, mean and variance are those of the batch; with them, as when a
/// trained network is used, those are. TensorFlow: `tf.nn.fused_batch_norm` (Ioffe and Szegedy, 2015).
///
/// # Panics
/// When the rank is not 4, or a vector has not an element for each channel.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let images = g.placeholder(DType::F32, [None, Some(8), Some(8), Some(3)]);
/// let (scale, offset) = (g.get_variable("scale", [3]), g.get_variable("offset", [3]));
/// let normal = ops::fused_batch_norm(images, scale, offset, None, 1e-3);
/// assert_eq!(normal.y.ty().to_string(), "f32[?,8,8,3]");
/// assert_eq!(normal.mean.ty().to_string(), "f32[3]");
/// ```
#[track_caller]
pub fn fused_batch_norm(
    x: impl Into<Tensor>,
    scale: impl Into<Tensor>,
    offset: impl Into<Tensor>,
    statistics: Option<(Tensor, Tensor)>,
    epsilon: f32,
) -> BatchNormalised {
    let (x, scale) = (x.into(), scale.into());
    let op = FusedBatchNormV3 {
        epsilon,
        exponential_avg_factor: 1.0,
        data_format: "NHWC".to_owned(),
        is_training: statistics.is_none(),
    };
    let node = x.graph().op(op).input(x).input(scale).input(offset);
    let none = || tidemill_tensor::Value::from(Vec::<f32>::new()).cast(scale.dtype());
    let made = match statistics {
        Some((mean, variance)) => node.input(mean).input(variance),
        None => node.constant("mean", none()).constant("variance", none()),
    }
    .build();
    BatchNormalised { y: made.output(0), mean: made.output(1), variance: made.output(2) }
}
