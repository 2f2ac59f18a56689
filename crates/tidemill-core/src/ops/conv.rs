//! Convolutions of images and volumes, and their gradients.
//!
//! `y[b, p, o] = Σ x[b, stride · p + dilation · k - before, i] · filter[k, i, o]` over the places `k` of a window and the channels `i`; what
//! lies outside of `x` counts as 0. A filter with fewer channels than `x` is applied to groups of channels, each with its share of the outputs.

use tidemill_tensor::PartialShape;

use super::window::{Layout, Motion, motions};
use super::{resolved, shape};
use crate::attrs;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Resolved;
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Conv2D>()
        .with::<Conv2DBackpropInput>()
        .with::<Conv2DBackpropFilter>()
        .with::<DepthwiseConv2dNative>()
        .with::<DepthwiseConv2dNativeBackpropInput>()
        .with::<DepthwiseConv2dNativeBackpropFilter>()
        .with::<Conv3D>()
        .with::<Conv3DBackpropInputV2>()
        .with::<Conv3DBackpropFilterV2>()
}

/// What the attributes of a convolution say.
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution {
    /// The axes of input and output.
    pub layout: Layout,
    /// How the window moves along each spatial axis.
    pub motions: Vec<Motion>,
    /// Whether each channel has filters of its own: `filter: [window.., channels, multiplier]`.
    pub depthwise: bool,
}

impl Convolution {
    fn read(
        dims: usize,
        depthwise: bool,
        data_format: &str,
        strides: &[i64],
        dilations: &[i64],
        padding: &str,
        explicit_paddings: &[i64],
    ) -> Result<Convolution> {
        let layout = Layout::parse(data_format, dims)?;
        let motions = motions(dims + 2, strides, dilations, padding, explicit_paddings)?;
        let still = |motion: &Motion| {
            let (count, before) = motion.place(7, 1).unwrap_or((0, 0));
            (count, before, motion.stride, motion.dilation) == (7, 0, 1, 1)
        };
        if ![0, layout.channels].iter().all(|axis| still(&motions[*axis])) {
            return Err(Error::unimplemented(
                "a convolution that moves along batch or channels: strides, dilations and paddings there must be 1, 1 and 0",
            ));
        }
        let motions = motions[layout.spatial..layout.spatial + dims].to_vec();
        Ok(Convolution { layout, motions, depthwise })
    }

    /// The shape of the output.
    ///
    /// # Errors
    /// `InvalidArgument` when channels do not fit, or windows do not.
    pub fn output(&self, input: &PartialShape, filter: &PartialShape) -> Result<PartialShape> {
        let dims = self.layout.dims;
        for (name, shape) in [("input", input), ("filter", filter)] {
            if shape.rank().is_some_and(|rank| rank != self.layout.rank()) {
                let rank = self.layout.rank();
                return Err(Error::invalid(format!(
                    "`{name}` must have rank {rank}, but its shape is {shape}"
                )));
            }
        }
        let (channels, own, last) = (input.dim(self.layout.channels), filter.dim(dims), filter.dim(dims + 1));
        let outputs = match (channels, own, last) {
            (_, Some(own), Some(last)) if self.depthwise => own.checked_mul(last),
            _ if self.depthwise => None,
            _ => last,
        };
        if let (Some(channels), Some(own)) = (channels, own) {
            let divides = own > 0 && channels % own == 0;
            let fits = if self.depthwise { channels == own } else { divides || channels == 0 && own == 0 };
            if !fits {
                return Err(Error::invalid(format!(
                    "input {input} has {channels} channels, but filter {filter} is made for {own}"
                )));
            }
            if let (false, true, Some(last)) = (self.depthwise, divides, last)
                && channels > 0
                && last % (channels / own) != 0
            {
                return Err(Error::invalid(format!(
                    "{last} outputs cannot be shared among {} groups of channels",
                    channels / own
                )));
            }
        }
        let spatial = self
            .motions
            .iter()
            .enumerate()
            .map(|(i, motion)| motion.count(input.dim(self.layout.spatial + i), filter.dim(i)));
        let spatial = spatial.collect::<Result<Vec<_>>>()?;
        Ok(self.layout.shape(input.dim(0), &spatial, outputs))
    }

    fn infer_output(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(cx.dtype(0), self.output(cx.shape(0), cx.shape(1))?)
    }

    /// Operands: sizes of the input, filter, gradient of the output.
    fn infer_input(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let mut input = cx.shape_argument(0)?;
        // Two sizes are those of an image alone.
        if let (Some(2), 2, Some(&[h, w])) = (input.rank(), self.layout.dims, input.dims()) {
            input = self.layout.shape(cx.shape(2).dim(0), &[h, w], cx.shape(1).dim(2));
        }
        let rank = PartialShape::from(vec![None; self.layout.rank()]);
        let Some(input) = input.merge(&rank) else {
            return Err(Error::invalid(format!("`input_sizes` must have {} entries", self.layout.rank())));
        };
        self.check(&input, cx.shape(1), cx.shape(2))?;
        cx.output(cx.dtype(1), input)
    }

    /// Operands: input, sizes of the filter, gradient of the output.
    fn infer_filter(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let rank = PartialShape::from(vec![None; self.layout.rank()]);
        let Some(filter) = cx.shape_argument(1)?.merge(&rank) else {
            return Err(Error::invalid(format!("`filter_sizes` must have {} entries", self.layout.rank())));
        };
        self.check(cx.shape(0), &filter, cx.shape(2))?;
        cx.output(cx.dtype(0), filter)
    }

    /// The gradient must have the shape of the output.
    fn check(&self, input: &PartialShape, filter: &PartialShape, out_backprop: &PartialShape) -> Result<()> {
        let output = self.output(input, filter)?;
        match output.merge(out_backprop) {
            Some(_) => Ok(()),
            None => Err(Error::invalid(format!(
                "the gradient has shape {out_backprop}, but input {input} and filter {filter} give {output}"
            ))),
        }
    }
}

/// An op that is a convolution or a gradient of one. A row: documentation, op, whether it is depthwise, number of spatial axes, signature, the
/// rule for its type, and its gradient; then the fields that not all of these ops have.
macro_rules! convolutions {
    (@paddings $op:ident) => { &[] };
    (@paddings $op:ident explicit_paddings) => { &$op.explicit_paddings };
    ($(
        $(#[$doc:meta])*
        $op:ident, depthwise $depthwise:literal, dims $dims:literal, $signature:literal,
        infer $infer:ident, grad |$self:ident, $cx:ident| $grad:expr
        $(, use_cudnn_on_gpu $cudnn:ident)?
        $(, explicit_paddings $explicit:ident)?;
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// The window's step along each axis of the input.
            pub strides: Vec<i64>,
            $(/// For TensorFlow's other devices.
            pub $cudnn: bool,)?
            /// `SAME`, `VALID`, or `EXPLICIT` where that is known.
            pub padding: String,
            $(/// Padding before and behind each axis, if it is `EXPLICIT`.
            pub $explicit: Vec<i64>,)?
            /// Where the channels stand.
            pub data_format: String,
            /// The step between elements of the window along each axis.
            pub dilations: Vec<i64>,
        }
        attrs!($op { strides, $($cudnn,)? padding, $($explicit,)? data_format, dilations });

        impl $op {
            /// What the attributes say.
            ///
            /// # Errors
            /// `InvalidArgument` when they contradict each other.
            pub fn convolution(&self) -> Result<Convolution> {
                Convolution::read(
                    $dims,
                    $depthwise,
                    &self.data_format,
                    &self.strides,
                    &self.dilations,
                    &self.padding,
                    convolutions!(@paddings self $($explicit)?),
                )
            }
        }

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                self.convolution()?.$infer(cx)
            }
            fn grad(&self, $cx: &GradCx) -> Result<Grads> {
                let $self = self;
                Ok($grad)
            }
        }
    )*};
}

/// `to` with the attributes of `from`.
macro_rules! same_attributes {
    ($from:expr => $to:ident { $($field:ident),* }) => {
        $to { $($field: $from.$field.clone()),* }
    };
}
macro_rules! conv2d_like {
    ($from:expr => $to:ident) => {
        same_attributes!($from => $to { strides, use_cudnn_on_gpu, padding, explicit_paddings, data_format, dilations })
    };
}
macro_rules! depthwise_like {
    ($from:expr => $to:ident) => {
        same_attributes!($from => $to { strides, padding, explicit_paddings, data_format, dilations })
    };
}
macro_rules! conv3d_like {
    ($from:expr => $to:ident) => {
        same_attributes!($from => $to { strides, padding, data_format, dilations })
    };
}

/// The gradients of a convolution, by the ops that compute them.
fn forward_gradient(cx: &GradCx, input: impl Op, filter: impl Op) -> Grads {
    let (x, w, dy) = (cx.x(0), cx.x(1), cx.dy(0));
    grads![
        cx.wanted(0, || cx.graph().add(input, &[shape(x), w, dy])),
        cx.wanted(1, || cx.graph().add(filter, &[x, shape(w), dy])),
    ]
}

/// The gradients of what is linear in filter and gradient of the output.
fn input_gradient(cx: &GradCx, filter: impl Op, forward: impl Op) -> Grads {
    let (w, dy, dz) = (cx.x(1), cx.x(2), cx.dy(0));
    grads![
        NoGrad,
        cx.wanted(1, || cx.graph().add(filter, &[dz, shape(w), dy])),
        cx.wanted(2, || cx.graph().add(forward, &[dz, w])),
    ]
}

/// The gradients of what is linear in input and gradient of the output.
fn filter_gradient(cx: &GradCx, input: impl Op, forward: impl Op) -> Grads {
    let (x, dy, dz) = (cx.x(0), cx.x(2), cx.dy(0));
    grads![
        cx.wanted(0, || cx.graph().add(input, &[shape(x), dz, dy])),
        NoGrad,
        cx.wanted(2, || cx.graph().add(forward, &[x, dz])),
    ]
}

convolutions! {
    /// The convolution of images `[batch, height, width, channels]` with a filter `[height, width, channels, outputs]`.
    Conv2D, depthwise false, dims 2,
    "(input: T, filter: T) -> (output: T) where T: bf16|f16|f32|f64|i32",
    infer infer_output,
    grad |op, cx| forward_gradient(cx, conv2d_like!(op => Conv2DBackpropInput), conv2d_like!(op => Conv2DBackpropFilter)),
    use_cudnn_on_gpu use_cudnn_on_gpu, explicit_paddings explicit_paddings;

    /// The gradient of [`Conv2D`] with respect to its input, whose sizes are `input_sizes`.
    Conv2DBackpropInput, depthwise false, dims 2,
    "(input_sizes: i32, filter: T, out_backprop: T) -> (output: T) where T: bf16|f16|f32|f64|i32",
    infer infer_input,
    grad |op, cx| input_gradient(cx, conv2d_like!(op => Conv2DBackpropFilter), conv2d_like!(op => Conv2D)),
    use_cudnn_on_gpu use_cudnn_on_gpu, explicit_paddings explicit_paddings;

    /// The gradient of [`Conv2D`] with respect to its filter, whose sizes are `filter_sizes`.
    Conv2DBackpropFilter, depthwise false, dims 2,
    "(input: T, filter_sizes: i32, out_backprop: T) -> (output: T) where T: Float",
    infer infer_filter,
    grad |op, cx| filter_gradient(cx, conv2d_like!(op => Conv2DBackpropInput), conv2d_like!(op => Conv2D)),
    use_cudnn_on_gpu use_cudnn_on_gpu, explicit_paddings explicit_paddings;

    /// The convolution of each channel of images with filters of its own, `[height, width, channels, multiplier]`; output `c · multiplier + m` is
    /// that of channel `c` with its filter `m`.
    DepthwiseConv2dNative, depthwise true, dims 2,
    "(input: T, filter: T) -> (output: T) where T: Float",
    infer infer_output,
    grad |op, cx| forward_gradient(
        cx,
        depthwise_like!(op => DepthwiseConv2dNativeBackpropInput),
        depthwise_like!(op => DepthwiseConv2dNativeBackpropFilter),
    ),
    explicit_paddings explicit_paddings;

    /// The gradient of [`DepthwiseConv2dNative`] with respect to its input, whose sizes are `input_sizes`.
    DepthwiseConv2dNativeBackpropInput, depthwise true, dims 2,
    "(input_sizes: i32, filter: T, out_backprop: T) -> (output: T) where T: Float",
    infer infer_input,
    grad |op, cx| input_gradient(
        cx,
        depthwise_like!(op => DepthwiseConv2dNativeBackpropFilter),
        depthwise_like!(op => DepthwiseConv2dNative),
    ),
    explicit_paddings explicit_paddings;

    /// The gradient of [`DepthwiseConv2dNative`] with respect to its filter, whose sizes are `filter_sizes`.
    DepthwiseConv2dNativeBackpropFilter, depthwise true, dims 2,
    "(input: T, filter_sizes: i32, out_backprop: T) -> (output: T) where T: Float",
    infer infer_filter,
    grad |op, cx| filter_gradient(
        cx,
        depthwise_like!(op => DepthwiseConv2dNativeBackpropInput),
        depthwise_like!(op => DepthwiseConv2dNative),
    ),
    explicit_paddings explicit_paddings;

    /// The convolution of volumes `[batch, depth, height, width, channels]` with a filter `[depth, height, width, channels, outputs]`.
    Conv3D, depthwise false, dims 3,
    "(input: T, filter: T) -> (output: T) where T: Float",
    infer infer_output,
    grad |op, cx| forward_gradient(
        cx,
        conv3d_like!(op => Conv3DBackpropInputV2),
        conv3d_like!(op => Conv3DBackpropFilterV2),
    );

    /// The gradient of [`Conv3D`] with respect to its input, whose sizes are `input_sizes`.
    Conv3DBackpropInputV2, depthwise false, dims 3,
    "(input_sizes: Tshape, filter: T, out_backprop: T) -> (output: T) where T: Float, Tshape: i32|i64",
    infer infer_input,
    grad |op, cx| input_gradient(cx, conv3d_like!(op => Conv3DBackpropFilterV2), conv3d_like!(op => Conv3D));

    /// The gradient of [`Conv3D`] with respect to its filter, whose sizes are `filter_sizes`.
    Conv3DBackpropFilterV2, depthwise false, dims 3,
    "(input: T, filter_sizes: i32, out_backprop: T) -> (output: T) where T: Float",
    infer infer_filter,
    grad |op, cx| filter_gradient(cx, conv3d_like!(op => Conv3DBackpropInputV2), conv3d_like!(op => Conv3D));
}

/// How a window slides over images or volumes, for [`conv2d`], [`conv3d`], [`depthwise_conv2d`] and pooling.
///
/// ```
/// use tidemill_core::ops::Sliding;
/// let halved = Sliding::same().strides([2, 2]);
/// let wide = Sliding::valid().dilations([2, 2]);
/// # let _ = (halved, wide);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sliding {
    pub(super) padding: &'static str,
    pub(super) explicit: Vec<[i64; 2]>,
    pub(super) strides: Vec<i64>,
    pub(super) dilations: Vec<i64>,
    pub(super) channels_first: bool,
}

impl Sliding {
    fn new(padding: &'static str) -> Sliding {
        Sliding { padding, explicit: vec![], strides: vec![], dilations: vec![], channels_first: false }
    }

    /// Zeros around, so that a stride of 1 keeps the size. TensorFlow: `padding="SAME"`.
    pub fn same() -> Sliding {
        Sliding::new("SAME")
    }

    /// Windows stay inside. TensorFlow: `padding="VALID"`.
    pub fn valid() -> Sliding {
        Sliding::new("VALID")
    }

    /// So many zeros before and behind each spatial axis. TensorFlow: `padding=[[0, 0], [top, bottom], [left, right], [0, 0]]`.
    pub fn explicit(paddings: impl IntoIterator<Item = [i64; 2]>) -> Sliding {
        Sliding { explicit: paddings.into_iter().collect(), ..Sliding::new("EXPLICIT") }
    }

    /// The window's step along each spatial axis; at first 1.
    pub fn strides(mut self, strides: impl IntoIterator<Item = i64>) -> Sliding {
        self.strides = strides.into_iter().collect();
        self
    }

    /// The step between elements of the window along each spatial axis; at first 1.
    pub fn dilations(mut self, dilations: impl IntoIterator<Item = i64>) -> Sliding {
        self.dilations = dilations.into_iter().collect();
        self
    }

    /// Channels come before the spatial axes. TensorFlow: `data_format="NCHW"`, `"NCDHW"`.
    pub fn channels_first(mut self) -> Sliding {
        self.channels_first = true;
        self
    }

    pub(super) fn data_format(&self, dims: usize) -> String {
        let name = match (dims, self.channels_first) {
            (3, false) => "NDHWC",
            (3, true) => "NCDHW",
            (_, false) => "NHWC",
            (_, true) => "NCHW",
        };
        name.to_owned()
    }

    /// Numbers for the spatial axes, as numbers for all axes, the others being 1.
    pub(super) fn all_axes(&self, spatial: &[i64], dims: usize) -> Vec<i64> {
        let given = if spatial.is_empty() { vec![1; dims] } else { spatial.to_vec() };
        let lead = if self.channels_first { 2 } else { 1 };
        let mut all = vec![1; lead];
        all.extend(given);
        all.extend(vec![1; 2 - lead]);
        all
    }

    pub(super) fn explicit_paddings(&self) -> Vec<i64> {
        if self.padding != "EXPLICIT" {
            return vec![];
        }
        let lead = if self.channels_first { 2 } else { 1 };
        let mut all = vec![0; 2 * lead];
        all.extend(self.explicit.iter().flatten());
        all.extend(vec![0; 2 * (2 - lead)]);
        all
    }
}

#[track_caller]
fn convolve(op: impl Op, name: &str, input: Tensor, filter: Tensor) -> Tensor {
    resolved(input.graph().op(op).name(name).input(input), "filter", Resolved::Tensor(filter)).tensor()
}

/// The convolution of images `[batch, height, width, channels]` with a filter `[height, width, channels, outputs]`, of floats: at each place of
/// the window the sum of products over window and channels. What lies outside of the image counts as 0. TensorFlow: `tf.nn.conv2d`.
///
/// # Panics
/// When ranks are not 4, channels do not fit, or the window does not.
///
/// ```
/// use tidemill_core::{DType, Graph, ops::{self, Sliding}};
/// let g = Graph::new();
/// let images = g.placeholder(DType::F32, [None, Some(28), Some(28), Some(1)]);
/// let filter = g.get_variable("filter", [5, 5, 1, 32]);
/// let features = ops::conv2d(images, filter, Sliding::same().strides([2, 2]));
/// assert_eq!(features.ty().to_string(), "f32[?,14,14,32]");
/// ```
#[track_caller]
pub fn conv2d(input: impl Into<Tensor>, filter: impl Into<Tensor>, sliding: Sliding) -> Tensor {
    let op = Conv2D {
        strides: sliding.all_axes(&sliding.strides, 2),
        use_cudnn_on_gpu: true,
        padding: sliding.padding.to_owned(),
        explicit_paddings: sliding.explicit_paddings(),
        data_format: sliding.data_format(2),
        dilations: sliding.all_axes(&sliding.dilations, 2),
    };
    convolve(op, "Conv2D", input.into(), filter.into())
}

/// The convolution of each channel of images with filters of its own, `[height, width, channels, multiplier]`, of floats; the output has
/// `channels · multiplier` channels. TensorFlow: `tf.nn.depthwise_conv2d_native`.
///
/// # Panics
/// When ranks are not 4, channels do not fit, or the window does not.
///
/// ```
/// use tidemill_core::{DType, Graph, ops::{self, Sliding}};
/// let g = Graph::new();
/// let images = g.placeholder(DType::F32, [8, 9, 9, 3]);
/// let filter = g.get_variable("filter", [3, 3, 3, 2]);
/// assert_eq!(ops::depthwise_conv2d(images, filter, Sliding::valid()).ty().to_string(), "f32[8,7,7,6]");
/// ```
#[track_caller]
pub fn depthwise_conv2d(input: impl Into<Tensor>, filter: impl Into<Tensor>, sliding: Sliding) -> Tensor {
    let op = DepthwiseConv2dNative {
        strides: sliding.all_axes(&sliding.strides, 2),
        padding: sliding.padding.to_owned(),
        explicit_paddings: sliding.explicit_paddings(),
        data_format: sliding.data_format(2),
        dilations: sliding.all_axes(&sliding.dilations, 2),
    };
    convolve(op, "DepthwiseConv2dNative", input.into(), filter.into())
}

/// The convolution of volumes `[batch, depth, height, width, channels]` with a filter `[depth, height, width, channels, outputs]`, of floats.
/// Padding is `same` or `valid`. TensorFlow: `tf.nn.conv3d`.
///
/// # Panics
/// When ranks are not 5, channels do not fit, the window does not, or padding is explicit.
#[track_caller]
pub fn conv3d(input: impl Into<Tensor>, filter: impl Into<Tensor>, sliding: Sliding) -> Tensor {
    let op = Conv3D {
        strides: sliding.all_axes(&sliding.strides, 3),
        padding: sliding.padding.to_owned(),
        data_format: sliding.data_format(3),
        dilations: sliding.all_axes(&sliding.dilations, 3),
    };
    convolve(op, "Conv3D", input.into(), filter.into())
}
