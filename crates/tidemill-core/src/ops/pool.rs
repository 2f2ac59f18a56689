//! Pooling: the largest element, or the mean, of each window; and their gradients.
//!
//! Windows have a size and a stride along every axis, so the data format matters only for which axes those are.

use tidemill_tensor::{DType, PartialShape};

use super::conv::Sliding;
use super::window::{Layout, Motion, motions};
use super::{shape, zeros_like};
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    register_fixed(set)
        .with::<MaxPoolV2>()
        .with::<MaxPoolGradV2>()
        .with::<MaxPoolGradGradV2>()
        .with::<MaxPoolWithArgmax>()
}

/// Windows over all axes of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Pooling {
    /// The window's size along each axis.
    pub window: Vec<usize>,
    /// How it moves along each axis.
    pub motions: Vec<Motion>,
}

impl Pooling {
    /// Reads TensorFlow's attributes.
    ///
    /// # Errors
    /// `InvalidArgument` when they contradict each other.
    pub fn read(
        dims: usize,
        data_format: &str,
        ksize: &[i64],
        strides: &[i64],
        padding: &str,
        explicit_paddings: &[i64],
    ) -> Result<Pooling> {
        let rank = Layout::parse(data_format, dims)?.rank();
        let motions = motions(rank, strides, &[], padding, explicit_paddings)?;
        let window =
            ksize.iter().map(|k| usize::try_from(*k).ok().filter(|k| *k > 0 && *k <= u32::MAX as usize));
        let Some(window) = window.collect::<Option<Vec<usize>>>().filter(|window| window.len() == rank)
        else {
            return Err(Error::invalid(format!(
                "`ksize` must be {rank} positive numbers of 32 bits, not {ksize:?}"
            )));
        };
        if window[0] != 1 || motions[0].stride != 1 {
            return Err(Error::unimplemented("pooling over the batch: ksize and strides there must be 1"));
        }
        Ok(Pooling { window, motions })
    }

    /// The shape of the pooled tensor.
    ///
    /// # Errors
    /// `InvalidArgument` for another rank, and when windows do not fit.
    pub fn output(&self, input: &PartialShape) -> Result<PartialShape> {
        let rank = self.window.len();
        if input.rank().is_some_and(|r| r != rank) {
            return Err(Error::invalid(format!("needs rank {rank}, but the shape is {input}")));
        }
        let axes = self.motions.iter().zip(&self.window).enumerate();
        let dims = axes.map(|(axis, (motion, window))| motion.count(input.dim(axis), Some(*window)));
        Ok(PartialShape::from(dims.collect::<Result<Vec<_>>>()?))
    }

    fn infer_pooled(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(cx.dtype(0), self.output(cx.shape(0))?)
    }

    /// The gradient of the mean: operands are the sizes of the input, and the gradient of the output.
    fn infer_spread(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let rank = PartialShape::from(vec![None; self.window.len()]);
        let Some(input) = cx.shape_argument(0)?.merge(&rank) else {
            return Err(Error::invalid(format!(
                "`orig_input_shape` must have {} entries",
                self.window.len()
            )));
        };
        self.check(&self.output(&input)?, cx.shape(1), "grad")?;
        cx.output(cx.dtype(1), input)
    }

    /// The gradient of the maximum: operands are input, output and its gradient.
    fn infer_routed(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let output = self.output(cx.shape(0))?;
        self.check(&output, cx.shape(1), "orig_output")?;
        self.check(&output, cx.shape(2), "grad")?;
        cx.output(cx.dtype(0), cx.shape(0).clone())
    }

    /// The gradient's gradient: operands are input, output and a tensor like the input.
    fn infer_picked(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let output = self.output(cx.shape(0))?;
        self.check(&output, cx.shape(1), "orig_output")?;
        self.check(cx.shape(0), cx.shape(2), "grad")?;
        cx.output(cx.dtype(0), output)
    }

    fn check(&self, expected: &PartialShape, shape: &PartialShape, name: &str) -> Result<()> {
        match expected.merge(shape) {
            Some(_) => Ok(()),
            None => Err(Error::invalid(format!("`{name}` has shape {shape}, but must have {expected}"))),
        }
    }
}

/// An op whose windows are attributes. A row: documentation, op, number of spatial axes, signature, the rule for its type, and its gradient; then
/// the field that not all have.
macro_rules! pooling {
    (@paddings $op:ident) => { &[] };
    (@paddings $op:ident explicit_paddings) => { &$op.explicit_paddings };
    ($register:ident: $(
        $(#[$doc:meta])*
        $op:ident, dims $dims:literal, $signature:literal, infer $infer:ident, grad |$self:ident, $cx:ident| $grad:expr
        $(, explicit_paddings $explicit:ident)?;
    )*) => {
        fn $register(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op {
                /// The window's size along each axis.
                pub ksize: Vec<i64>,
                /// Its step along each axis.
                pub strides: Vec<i64>,
                /// `SAME`, `VALID`, or `EXPLICIT` where that is known.
                pub padding: String,
                $(/// Padding before and behind each axis, if it is `EXPLICIT`.
                pub $explicit: Vec<i64>,)?
                /// Where the channels stand.
                pub data_format: String,
            }
            attrs!($op { ksize, strides, padding, $($explicit,)? data_format });

            impl $op {
                /// What the attributes say.
                ///
                /// # Errors
                /// `InvalidArgument` when they contradict each other.
                pub fn pooling(&self) -> Result<Pooling> {
                    let explicit: &[i64] = pooling!(@paddings self $($explicit)?);
                    Pooling::read($dims, &self.data_format, &self.ksize, &self.strides, &self.padding, explicit)
                }
            }

            impl Op for $op {
                const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    self.pooling()?.$infer(cx)
                }
                fn grad(&self, $cx: &GradCx) -> Result<Grads> {
                    let $self = self;
                    Ok($grad)
                }
            }
        )*
    };
}

/// `to` with the attributes of `from`.
macro_rules! pool_like {
    ($from:expr => $to:ident) => {
        $to {
            ksize: $from.ksize.clone(),
            strides: $from.strides.clone(),
            padding: $from.padding.clone(),
            data_format: $from.data_format.clone(),
        }
    };
    ($from:expr => $to:ident, $explicit:expr) => {
        $to {
            ksize: $from.ksize.clone(),
            strides: $from.strides.clone(),
            padding: $from.padding.clone(),
            explicit_paddings: $explicit,
            data_format: $from.data_format.clone(),
        }
    };
}

fn maximum_gradient(cx: &GradCx, routed: impl Op) -> Grads {
    grads![cx.graph().add(routed, &[cx.x(0), cx.y(0), cx.dy(0)])]
}

fn mean_gradient(cx: &GradCx, spread: impl Op) -> Grads {
    grads![cx.graph().add(spread, &[shape(cx.x(0)), cx.dy(0)])]
}

/// Where maxima stand does not change; `op` is linear in what it moves.
fn routed_gradient(cx: &GradCx, op: impl Op) -> Grads {
    let (x, y) = (cx.x(0), cx.x(1));
    grads![
        cx.wanted(0, || zeros_like(x)),
        cx.wanted(1, || zeros_like(y)),
        cx.wanted(2, || cx.graph().add(op, &[x, y, cx.dy(0)])),
    ]
}

pooling! { register_fixed:
    /// The largest element of each window of images. What lies outside does not count.
    MaxPool, dims 2, "(input: T) -> (output: T) where T: Num", infer infer_pooled,
    grad |op, cx| maximum_gradient(cx, pool_like!(op => MaxPoolGrad, op.explicit_paddings.clone())),
    explicit_paddings explicit_paddings;

    /// The gradient of [`MaxPool`]: `grad` of each window goes to its largest element, the first of several.
    MaxPoolGrad, dims 2, "(orig_input: T, orig_output: T, grad: T) -> (output: T) where T: Num", infer infer_routed,
    grad |op, cx| {
        if op.padding == "EXPLICIT" {
            return Err(Error::unimplemented("the second gradient of MaxPool with explicit padding"));
        }
        routed_gradient(cx, pool_like!(op => MaxPoolGradGrad))
    },
    explicit_paddings explicit_paddings;

    /// The gradient of [`MaxPoolGrad`] with respect to `grad`: the element of each window of `grad` that stands where the input's largest is.
    MaxPoolGradGrad, dims 2, "(orig_input: T, orig_output: T, grad: T) -> (output: T) where T: Num", infer infer_picked,
    grad |op, cx| routed_gradient(cx, pool_like!(op => MaxPoolGrad, vec![]));

    /// The largest element of each window of volumes. What lies outside does not count.
    MaxPool3D, dims 3, "(input: T) -> (output: T) where T: bf16|f16|f32|f64", infer infer_pooled,
    grad |op, cx| maximum_gradient(cx, pool_like!(op => MaxPool3DGrad));

    /// The gradient of [`MaxPool3D`]: `grad` of each window goes to its largest element, the first of several.
    MaxPool3DGrad, dims 3, "(orig_input: T, orig_output: T, grad: T) -> (output: T) where T: bf16|f16|f32|f64",
    infer infer_routed,
    grad |op, cx| routed_gradient(cx, pool_like!(op => MaxPool3DGradGrad));

    /// The gradient of [`MaxPool3DGrad`] with respect to `grad`.
    MaxPool3DGradGrad, dims 3, "(orig_input: T, orig_output: T, grad: T) -> (output: T) where T: Num", infer infer_picked,
    grad |op, cx| routed_gradient(cx, pool_like!(op => MaxPool3DGrad));

    /// The mean of each window of images. What lies outside does not count.
    AvgPool, dims 2, "(value: T) -> (output: T) where T: Float", infer infer_pooled,
    grad |op, cx| mean_gradient(cx, pool_like!(op => AvgPoolGrad));

    /// The gradient of [`AvgPool`]: `grad` of each window is shared evenly among its elements.
    AvgPoolGrad, dims 2, "(orig_input_shape: i32, grad: T) -> (output: T) where T: Float", infer infer_spread,
    grad |op, cx| grads![NoGrad, cx.graph().add(pool_like!(op => AvgPool), &[cx.dy(0)])];

    /// The mean of each window of volumes. What lies outside does not count.
    AvgPool3D, dims 3, "(input: T) -> (output: T) where T: Float", infer infer_pooled,
    grad |op, cx| mean_gradient(cx, pool_like!(op => AvgPool3DGrad));

    /// The gradient of [`AvgPool3D`]: `grad` of each window is shared evenly among its elements.
    AvgPool3DGrad, dims 3, "(orig_input_shape: i32, grad: T) -> (output: T) where T: Float", infer infer_spread,
    grad |op, cx| grads![NoGrad, cx.graph().add(pool_like!(op => AvgPool3D), &[cx.dy(0)])];
}

/// An op on images whose windows are its last two operands. A row: documentation, op, signature, the rule for its type, the shape while windows
/// are not known, and its gradient.
macro_rules! pooling_by_operands {
    ($(
        $(#[$doc:meta])*
        $op:ident, $signature:literal, infer $infer:ident, else $unknown:expr, grad |$self:ident, $cx:ident| $grad:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// `SAME` or `VALID`.
            pub padding: String,
            /// Where the channels stand.
            pub data_format: String,
        }
        attrs!($op { padding, data_format });

        impl $op {
            /// What the attributes and the operands `ksize` and `strides` say.
            ///
            /// # Errors
            /// `InvalidArgument` when they contradict each other.
            pub fn pooling(&self, ksize: &[i64], strides: &[i64]) -> Result<Pooling> {
                Pooling::read(2, &self.data_format, ksize, strides, &self.padding, &[])
            }
        }

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                let (ksize, strides) = (cx.len() - 2, cx.len() - 1);
                match (cx.known_all(ksize), cx.known_all(strides)) {
                    (Some(ksize), Some(strides)) => self.pooling(&ksize, &strides)?.$infer(cx),
                    _ => {
                        cx.expect_rank(0, 4)?;
                        cx.output(cx.dtype(0), $unknown(cx.shape(0)))
                    }
                }
            }
            fn grad(&self, $cx: &GradCx) -> Result<Grads> {
                let $self = self;
                Ok($grad)
            }
        }
    )*};
}

macro_rules! pool_v2_like {
    ($from:expr => $to:ident) => {
        $to { padding: $from.padding.clone(), data_format: $from.data_format.clone() }
    };
}

fn routed_gradient_v2(cx: &GradCx, op: impl Op) -> Grads {
    let (x, y, ksize, strides) = (cx.x(0), cx.x(1), cx.x(3), cx.x(4));
    grads![
        cx.wanted(0, || zeros_like(x)),
        cx.wanted(1, || zeros_like(y)),
        cx.wanted(2, || cx.graph().add(op, &[x, y, cx.dy(0), ksize, strides])),
        NoGrad,
        NoGrad,
    ]
}

fn batch_of(input: &PartialShape) -> PartialShape {
    PartialShape::from([input.dim(0), None, None, None])
}

pooling_by_operands! {
    /// [`MaxPool`] with windows that are operands.
    MaxPoolV2, "(input: T, ksize: i32, strides: i32) -> (output: T) where T: Num", infer infer_pooled, else batch_of,
    grad |op, cx| grads![
        cx.graph().add(pool_v2_like!(op => MaxPoolGradV2), &[cx.x(0), cx.y(0), cx.dy(0), cx.x(1), cx.x(2)]),
        NoGrad,
        NoGrad,
    ];

    /// [`MaxPoolGrad`] with windows that are operands.
    MaxPoolGradV2,
    "(orig_input: T, orig_output: T, grad: T, ksize: i32, strides: i32) -> (output: T) where T: Num",
    infer infer_routed, else PartialShape::clone,
    grad |op, cx| routed_gradient_v2(cx, pool_v2_like!(op => MaxPoolGradGradV2));

    /// [`MaxPoolGradGrad`] with windows that are operands.
    MaxPoolGradGradV2,
    "(orig_input: T, orig_output: T, grad: T, ksize: i32, strides: i32) -> (output: T) where T: Num",
    infer infer_picked, else batch_of,
    grad |op, cx| routed_gradient_v2(cx, pool_v2_like!(op => MaxPoolGradV2));
}

/// [`MaxPool`], and where each maximum stands: `(y · width + x) · channels + c`, and `batch · height` rows before it with
/// `include_batch_in_index`.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxPoolWithArgmax {
    /// The window's size along each axis.
    pub ksize: Vec<i64>,
    /// Its step along each axis.
    pub strides: Vec<i64>,
    /// The dtype of the places.
    pub argmax_dtype: DType,
    /// `SAME` or `VALID`.
    pub padding: String,
    /// Whether places count through the whole batch.
    pub include_batch_in_index: bool,
}
attrs!(MaxPoolWithArgmax { ksize, strides, argmax_dtype: "Targmax", padding, include_batch_in_index });

impl MaxPoolWithArgmax {
    /// What the attributes say.
    ///
    /// # Errors
    /// `InvalidArgument` when they contradict each other.
    pub fn pooling(&self) -> Result<Pooling> {
        Pooling::read(2, "NHWC", &self.ksize, &self.strides, &self.padding, &[])
    }
}

impl Op for MaxPoolWithArgmax {
    const SCHEMA: Schema = Schema::new(
        "MaxPoolWithArgmax",
        "(input: T) -> (output: T, argmax: Targmax) where T: Num, Targmax: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = self.pooling()?.output(cx.shape(0))?;
        Ok(vec![TensorType::new(cx.dtype(0), shape.clone()), TensorType::new(self.argmax_dtype, shape)])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let op = MaxPoolGrad {
            ksize: self.ksize.clone(),
            strides: self.strides.clone(),
            padding: self.padding.clone(),
            explicit_paddings: vec![],
            data_format: "NHWC".to_owned(),
        };
        Ok(maximum_gradient(cx, op))
    }
}

/// The largest element of each window of images `[batch, height, width, channels]`; `window` is its height and width. TensorFlow:
/// `tf.nn.max_pool`.
///
/// # Panics
/// When the rank is not 4, or the window does not fit.
///
/// ```
/// use tidemill_core::{DType, Graph, ops::{self, Sliding}};
/// let g = Graph::new();
/// let images = g.placeholder(DType::F32, [None, Some(28), Some(28), Some(32)]);
/// let pooled = ops::max_pool(images, [2, 2], Sliding::valid().strides([2, 2]));
/// assert_eq!(pooled.ty().to_string(), "f32[?,14,14,32]");
/// ```
#[track_caller]
pub fn max_pool(input: impl Into<Tensor>, window: [i64; 2], sliding: Sliding) -> Tensor {
    let op = MaxPool {
        ksize: sliding.all_axes(&window, 2),
        strides: sliding.all_axes(&sliding.strides, 2),
        padding: sliding.padding.to_owned(),
        explicit_paddings: sliding.explicit_paddings(),
        data_format: sliding.data_format(2),
    };
    super::unary(op, "MaxPool", input)
}

/// The mean of each window of images `[batch, height, width, channels]`, of floats; `window` is its height and width. Padding, `same` or
/// `valid`, does not count. TensorFlow: `tf.nn.avg_pool`.
///
/// # Panics
/// When the rank is not 4, the window does not fit, or padding is explicit.
#[track_caller]
pub fn avg_pool(value: impl Into<Tensor>, window: [i64; 2], sliding: Sliding) -> Tensor {
    let op = AvgPool {
        ksize: sliding.all_axes(&window, 2),
        strides: sliding.all_axes(&sliding.strides, 2),
        padding: sliding.padding.to_owned(),
        data_format: sliding.data_format(2),
    };
    super::unary(op, "AvgPool", value)
}

/// [`max_pool`] of volumes `[batch, depth, height, width, channels]`. TensorFlow: `tf.nn.max_pool3d`.
///
/// # Panics
/// When the rank is not 5, the window does not fit, or padding is explicit.
#[track_caller]
pub fn max_pool3d(input: impl Into<Tensor>, window: [i64; 3], sliding: Sliding) -> Tensor {
    let op = MaxPool3D {
        ksize: sliding.all_axes(&window, 3),
        strides: sliding.all_axes(&sliding.strides, 3),
        padding: sliding.padding.to_owned(),
        data_format: sliding.data_format(3),
    };
    super::unary(op, "MaxPool3D", input)
}

/// [`avg_pool`] of volumes `[batch, depth, height, width, channels]`. TensorFlow: `tf.nn.avg_pool3d`.
///
/// # Panics
/// When the rank is not 5, the window does not fit, or padding is explicit.
#[track_caller]
pub fn avg_pool3d(input: impl Into<Tensor>, window: [i64; 3], sliding: Sliding) -> Tensor {
    let op = AvgPool3D {
        ksize: sliding.all_axes(&window, 3),
        strides: sliding.all_axes(&sliding.strides, 3),
        padding: sliding.padding.to_owned(),
        data_format: sliding.data_format(3),
    };
    super::unary(op, "AvgPool3D", input)
}
