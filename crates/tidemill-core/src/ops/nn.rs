//! Softmax and its cross entropies, biases, norms and piecewise activations.

use tidemill_tensor::{DType, PartialShape, Value};

use super::broadcast::unbroadcast_from;
use super::unary;
use crate::autodiff::{GradCx, Gradient, Grads, NoGrad};
use crate::error::{Error, Origin, Result, or_panic};
use crate::graph::Graph;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::ops::{self, Const, Reduce};
use crate::schema::Schema;
use crate::{attrs, grads, normalise_axis};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Softmax>()
        .with::<LogSoftmax>()
        .with::<SoftmaxCrossEntropyWithLogits>()
        .with::<SparseSoftmaxCrossEntropyWithLogits>()
        .with::<BiasAdd>()
        .with::<BiasAddGrad>()
        .with::<L2Loss>()
}

/// `exp(x) / Σ exp(x)` along the last axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Softmax;
attrs!(Softmax {});

impl Op for Softmax {
    const SCHEMA: Schema = Schema::new("Softmax", "(logits: T) -> (softmax: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        at_least_rank(cx, 1)?;
        cx.same_as_input(0)
    }
    /// `(dy - Σ dy·y) · y`
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (y, dy) = (cx.y(0), cx.dy(0));
        Ok(grads![(dy - sum_last(dy * y)) * y])
    }
}

/// `x - log Σ exp(x)` along the last axis.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSoftmax;
attrs!(LogSoftmax {});

impl Op for LogSoftmax {
    const SCHEMA: Schema = Schema::new("LogSoftmax", "(logits: T) -> (logsoftmax: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        at_least_rank(cx, 1)?;
        cx.same_as_input(0)
    }
    /// `dy - (Σ dy) · exp(y)`
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (dy, softmax) = (cx.dy(0), ops::exp(cx.y(0)));
        Ok(grads![dy - sum_last(dy) * softmax])
    }
}

fn at_least_rank(cx: &InferCx, rank: usize) -> Result<()> {
    match cx.shape(0).rank() {
        Some(r) if r < rank => {
            Err(Error::invalid(format!("needs at least rank {rank}, but the shape is {}", cx.shape(0))))
        }
        _ => Ok(()),
    }
}

/// The sum along the last axis, which stays with size 1.
fn sum_last(x: Tensor) -> Tensor {
    ops::reduce_sum_with(x, Reduce::over(-1).keep_dims())
}

/// The cross entropy between `labels` and `softmax(features)`, row by row: output 0 is `-Σ labels · log softmax(features)`,
/// output 1 its gradient with respect to `features`, `softmax(features) - labels`. Each row of `labels` sums to 1. The operands are matrices, or
/// broadcast to one.
#[derive(Debug, Clone, PartialEq)]
pub struct SoftmaxCrossEntropyWithLogits;
attrs!(SoftmaxCrossEntropyWithLogits {});

impl Op for SoftmaxCrossEntropyWithLogits {
    const SCHEMA: Schema = Schema::new(
        "SoftmaxCrossEntropyWithLogits",
        "(features: T, labels: T) -> (loss: T, backprop: T) where T: Float",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let shape = cx.broadcast()?;
        if shape.rank().is_some_and(|rank| rank != 2) {
            return Err(Error::invalid(format!(
                "logits {} and labels {} must broadcast to a matrix, not to {shape}",
                cx.shape(0),
                cx.shape(1)
            )));
        }
        let (batch, classes) = (shape.dim(0), shape.dim(1));
        let dtype = cx.dtype(0);
        Ok(vec![
            TensorType::new(dtype, [batch]),
            TensorType::new(dtype, PartialShape::from([batch, classes])),
        ])
    }
    /// With respect to `labels`, TensorFlow leaves out what flows into `backprop`; here it is `-dy`, as it must be.
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let labels = cx.wanted(1, || {
            let loss = cx.dy_as_is(0).map(|dy| {
                let surprise = -log_softmax(cx.x(0));
                times_rows(dy.to_tensor(), surprise)
            });
            added(loss, cx.dy_as_is(1).map(|dy| -dy.to_tensor()))
        });
        // Back to the shapes that the operands had before they broadcast.
        let of = |i: usize, gradient: Option<Tensor>| {
            let (x, matrix) = (cx.x(i), cx.y(1));
            let (shape, whole) = (x.shape(), matrix.shape());
            let same = shape.is_fully_known() && shape == whole;
            gradient.map(|d| if same { d } else { unbroadcast_from(d, x, matrix) })
        };
        let labels = labels.map(Gradient::to_tensor);
        Ok(grads![of(0, logits_gradient(cx)), of(1, labels)])
    }
}

/// [`SoftmaxCrossEntropyWithLogits`] with the index of each row's class for labels.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseSoftmaxCrossEntropyWithLogits;
attrs!(SparseSoftmaxCrossEntropyWithLogits {});

impl Op for SparseSoftmaxCrossEntropyWithLogits {
    const SCHEMA: Schema = Schema::new(
        "SparseSoftmaxCrossEntropyWithLogits",
        "(features: T, labels: Tlabels) -> (loss: T, backprop: T) where T: Float, Tlabels: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 2)?;
        cx.expect_rank(1, 1)?;
        let (features, labels) = (cx.shape(0), cx.shape(1));
        let Some(batch) = PartialShape::from([features.dim(0)]).merge(&PartialShape::from([labels.dim(0)]))
        else {
            return Err(Error::invalid(format!(
                "there must be a label for each row, but logits are {features}, labels {labels}"
            )));
        };
        let dtype = cx.dtype(0);
        let backprop = PartialShape::from([batch.dim(0), features.dim(1)]);
        Ok(vec![TensorType::new(dtype, batch), TensorType::new(dtype, backprop)])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![logits_gradient(cx), NoGrad])
    }
}

/// The gradient of a cross entropy's outputs, loss and backprop, with respect to the logits.
fn logits_gradient(cx: &GradCx) -> Option<Tensor> {
    let loss = cx.dy_as_is(0).map(|dy| times_rows(dy.to_tensor(), cx.y(1)));
    let backprop = cx.dy_as_is(1).map(|dy| {
        let (dy, softmax) = (dy.to_tensor(), softmax(cx.x(0)));
        (dy - sum_last(dy * softmax)) * softmax
    });
    added(loss, backprop)
}

fn added(a: Option<Tensor>, b: Option<Tensor>) -> Option<Tensor> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

/// Each row of a matrix times the number that `factors` has for it.
fn times_rows(factors: Tensor, matrix: Tensor) -> Tensor {
    ops::expand_dims(factors, -1) * matrix
}

/// `value + bias`, the bias along the channel axis of `value`: the last one, or axis 1 for the data format `NCHW`.
#[derive(Debug, Clone, PartialEq)]
pub struct BiasAdd {
    /// `NHWC` or `NCHW`.
    pub data_format: String,
}
attrs!(BiasAdd { data_format });

impl Default for BiasAdd {
    fn default() -> Self {
        BiasAdd { data_format: "NHWC".to_owned() }
    }
}

impl Op for BiasAdd {
    const SCHEMA: Schema = Schema::new("BiasAdd", "(value: T, bias: T) -> (output: T) where T: Num|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 1)?;
        at_least_rank(cx, 2)?;
        let Some(axis) = channel_axis(&self.data_format, cx.shape(0).rank())? else {
            return cx.same_as_input(0);
        };
        let mut shape = cx.shape(0).clone();
        if let (Some(channels), Some(biases)) = (shape.dim(axis), cx.shape(1).dim(0))
            && channels != biases
        {
            return Err(Error::invalid(format!(
                "{biases} biases for {channels} channels (axis {axis} of {shape})"
            )));
        }
        if let Some(dims) = shape.dims() {
            let mut dims = dims.to_vec();
            dims[axis] = dims[axis].or(cx.shape(1).dim(0));
            shape = PartialShape::from(dims);
        }
        cx.output(cx.dtype(0), shape)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let op = BiasAddGrad { data_format: self.data_format.clone() };
        Ok(grads![cx.dy_as_is(0), cx.wanted(1, || cx.graph().add(op, &[cx.dy(0)]))])
    }
}

/// The sum of `out_backprop` over all axes but the channels': the gradient of [`BiasAdd`] with respect to its bias.
#[derive(Debug, Clone, PartialEq)]
pub struct BiasAddGrad {
    /// `NHWC` or `NCHW`.
    pub data_format: String,
}
attrs!(BiasAddGrad { data_format });

impl Op for BiasAddGrad {
    const SCHEMA: Schema =
        Schema::new("BiasAddGrad", "(out_backprop: T) -> (output: T) where T: Num|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        at_least_rank(cx, 2)?;
        let axis = channel_axis(&self.data_format, cx.shape(0).rank())?;
        cx.output(cx.dtype(0), [axis.and_then(|axis| cx.shape(0).dim(axis))])
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (x, mut dy) = (cx.x(0), cx.dy(0));
        let rank = x.shape().rank();
        match (channel_axis(&self.data_format, rank)?, rank) {
            // Axes after the channels' do not line up by themselves.
            (Some(axis), Some(rank)) => {
                for _ in axis + 1..rank {
                    dy = ops::expand_dims(dy, -1);
                }
            }
            _ if self.data_format == "NHWC" => {}
            _ => return Err(Error::unimplemented("the second gradient of an NCHW bias of unknown rank")),
        }
        Ok(grads![ops::broadcast_to(dy, ops::shape(x))])
    }
}

/// The channels' axis; `None` while the rank is unknown.
fn channel_axis(data_format: &str, rank: Option<usize>) -> Result<Option<usize>> {
    match data_format {
        "NHWC" => Ok(rank.map(|r| r - 1)),
        "NCHW" => Ok(rank.map(|_| 1)),
        other => Err(Error::invalid(format!("data_format must be NHWC or NCHW, not {other:?}"))),
    }
}

/// `Σ x² / 2`
#[derive(Debug, Clone, PartialEq)]
pub struct L2Loss;
attrs!(L2Loss {});

impl Op for L2Loss {
    const SCHEMA: Schema = Schema::new("L2Loss", "(t: T) -> (output: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(cx.dtype(0), ())
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.x(0) * cx.dy(0)])
    }
}

/// `exp(x) / Σ exp(x)` along the last axis. TensorFlow: `tf.nn.softmax`.
#[track_caller]
pub fn softmax(logits: impl Into<Tensor>) -> Tensor {
    unary(Softmax, "Softmax", logits)
}

/// [`softmax`] along another axis (negative: from the end).
///
/// # Panics
/// When the axis is out of range, or the rank is not known and the axis not -1.
#[track_caller]
pub fn softmax_axis(logits: impl Into<Tensor>, axis: i32) -> Tensor {
    along(logits.into(), axis, softmax)
}

/// `x - log Σ exp(x)` along the last axis. TensorFlow: `tf.nn.log_softmax`.
#[track_caller]
pub fn log_softmax(logits: impl Into<Tensor>) -> Tensor {
    unary(LogSoftmax, "LogSoftmax", logits)
}

/// [`log_softmax`] along another axis (negative: from the end).
///
/// # Panics
/// When the axis is out of range, or the rank is not known and the axis not -1.
#[track_caller]
pub fn log_softmax_axis(logits: impl Into<Tensor>, axis: i32) -> Tensor {
    along(logits.into(), axis, log_softmax)
}

/// `f`, which works on the last axis, applied along `axis`.
#[track_caller]
fn along(x: Tensor, axis: i32, f: fn(Tensor) -> Tensor) -> Tensor {
    let Some((axis, rank)) = other_axis(x, axis) else { return f(x) };
    let mut perm: Vec<i32> = (0..rank as i32).collect();
    perm.swap(axis, rank - 1);
    x.graph()
        .with_origin(Origin::here(), || ops::transpose_perm(f(ops::transpose_perm(x, perm.clone())), perm))
}

/// `axis`, counted from the front, and the rank, unless it is the last axis.
#[track_caller]
fn other_axis(x: Tensor, axis: i32) -> Option<(usize, usize)> {
    if axis == -1 {
        return None;
    }
    let Some(rank) = x.shape().rank() else {
        or_panic(Err(Error::invalid(format!("axis {axis} of a tensor of unknown rank"))
            .with_help("use axis -1, or tf::ensure_shape the tensor first")))
    };
    let axis = or_panic(normalise_axis(i64::from(axis), rank));
    (axis != rank - 1).then_some((axis, rank))
}

/// The cross entropy between the distributions `labels` and `softmax(logits)` along the last axis: `-Σ labels · log
/// softmax(logits)`. Both operands have the same shape and floating dtype, and the result has it less the last axis. No gradient
/// flows into `labels`. TensorFlow: `tf.nn.softmax_cross_entropy_with_logits`.
///
/// # Panics
/// When shapes or dtypes differ.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let logits = g.placeholder(DType::F32, [200, 2]);
/// let labels = g.placeholder(DType::F32, [200, 2]);
/// let loss = ops::softmax_cross_entropy_with_logits(labels, logits);
/// assert_eq!(loss.ty().to_string(), "f32[200]");
/// ```
#[track_caller]
pub fn softmax_cross_entropy_with_logits(labels: impl Into<Tensor>, logits: impl Into<Tensor>) -> Tensor {
    cross_entropy("softmax_cross_entropy_with_logits_sg", labels.into(), logits.into(), true)
}

/// [`softmax_cross_entropy_with_logits`] whose gradient flows into `labels` too. TensorFlow:
/// `tf.nn.softmax_cross_entropy_with_logits_v2`.
///
/// # Panics
/// When shapes or dtypes differ.
#[track_caller]
pub fn softmax_cross_entropy_with_logits_v2(labels: impl Into<Tensor>, logits: impl Into<Tensor>) -> Tensor {
    cross_entropy("softmax_cross_entropy_with_logits", labels.into(), logits.into(), false)
}

#[track_caller]
fn cross_entropy(scope: &str, labels: Tensor, logits: Tensor, stop_gradient: bool) -> Tensor {
    let graph = logits.graph();
    let build = || {
        let exact = exact(&graph);
        let labels = match stop_gradient {
            true => {
                graph.op(ops::StopGradient).name("labels_stop_gradient").input(labels).try_build()?.output(0)
            }
            false => labels,
        };
        let half = matches!(logits.dtype(), DType::F16 | DType::BF16);
        let precise = if half { ops::cast(logits, DType::F32) } else { logits };
        let labels =
            if labels.dtype() == precise.dtype() { labels } else { ops::cast(labels, precise.dtype()) };
        let (rank, shape) = (ops::rank(precise), ops::shape(precise));
        let (matrix, distributions) = (flatten_outer(precise)?, flatten_outer(labels)?);
        let loss = graph.op(SoftmaxCrossEntropyWithLogits).name(exact).input(matrix).input(distributions);
        let loss = loss.try_build()?.output(0);
        let outer = part_of_shape(shape, Known(0), End(less_one(rank)?))?;
        let loss = ops::reshape(loss, outer);
        Ok(if half { ops::cast(loss, logits.dtype()) } else { loss })
    };
    let origin = Origin::here();
    let checked = agree("logits and labels", logits.shape(), labels.shape())
        .and_then(|()| graph.with_origin(origin.clone(), || graph.name_scope(scope).enter(build)));
    or_panic(checked.map_err(|e| e.with_origin(origin)))
}

/// The name of the scope that is open, for the node that is its result.
fn exact(graph: &Graph) -> String {
    format!("{}/", graph.current_name_scope())
}

fn agree(what: &str, a: PartialShape, b: PartialShape) -> Result<()> {
    match a.merge(&b) {
        Some(_) => Ok(()),
        None => Err(Error::invalid(format!("{what} must have the same shape, not {a} and {b}"))),
    }
}

/// `rank - 1`
fn less_one(rank: Tensor) -> Result<Tensor> {
    Ok(rank.graph().op(ops::Sub).input(rank).constant("y", 1).try_build()?.output(0))
}

enum Entry {
    Known(i32),
    End(Tensor),
}
use Entry::{End, Known};

/// The `size` entries of a shape from `begin` on.
fn part_of_shape(shape: Tensor, begin: Entry, size: Entry) -> Result<Tensor> {
    let graph = shape.graph();
    graph.name_scope("Slice").enter(|| {
        let vector = |name: &str, entry| match entry {
            Known(n) => graph.op(Const { value: Value::from([n]) }).name(name).try_build(),
            End(n) => graph.op(ops::Pack { axis: 0 }).name(name).input(n).try_build(),
        };
        let (begin, size) = (vector("begin", begin)?.output(0), vector("size", size)?.output(0));
        let slice = graph.op(ops::Slice).name(exact(&graph)).input(shape).input(begin).input(size);
        Ok(slice.try_build()?.output(0))
    })
}

/// The matrix of all rows of `x` along its last axis.
fn flatten_outer(x: Tensor) -> Result<Tensor> {
    let graph = x.graph();
    let (rank, shape) = (ops::rank(x), ops::shape(x));
    let last = part_of_shape(shape, End(less_one(rank)?), Known(1))?;
    let shape =
        graph.op(ops::ConcatV2).name("concat").constant("values_0", [-1]).input(last).constant("axis", 0);
    Ok(ops::reshape(x, shape.try_build()?.output(0)))
}

/// The cross entropy between the classes that `labels` names and `softmax(logits)` along the last axis:
/// `-log softmax(logits)[label]`. `logits` has the shape of `labels` (`i32` or `i64`) and then one axis with an entry for each
/// class; the result has the shape of `labels`. A label outside of `0..classes` is an error of the run.
/// TensorFlow: `tf.nn.sparse_softmax_cross_entropy_with_logits`.
///
/// # Panics
/// When the shapes do not fit, or `logits` is no float.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let logits = g.placeholder(DType::F32, [200, 2]);
/// let labels = g.placeholder(DType::I32, [200]);
/// let losses = ops::sparse_softmax_cross_entropy_with_logits(labels, logits);
/// assert_eq!(losses.ty().to_string(), "f32[200]");
/// ```
#[track_caller]
pub fn sparse_softmax_cross_entropy_with_logits(
    labels: impl Into<Tensor>,
    logits: impl Into<Tensor>,
) -> Tensor {
    let (labels, logits) = (labels.into(), logits.into());
    let graph = logits.graph();
    let losses = |logits: Tensor, labels: Tensor| -> Result<Tensor> {
        let losses = graph.op(SparseSoftmaxCrossEntropyWithLogits).input(logits).input(labels);
        Ok(losses.try_build()?.output(0))
    };
    let build = || {
        let half = logits.dtype() == DType::F16;
        let precise = if half { ops::cast(logits, DType::F32) } else { logits };
        let shape = ops::shape(labels);
        let loss = if logits.shape().rank() == Some(2) {
            losses(precise, labels)?
        } else {
            let sizes = ops::shape(logits);
            let classes = ops::index(sizes, ops::rank(logits) - 1);
            let rows = graph.name_scope("Reshape").enter(|| -> Result<Tensor> {
                let exact = exact(&graph);
                let rows = graph
                    .op(ops::Pack { axis: 0 })
                    .name("shape")
                    .constant("0", -1)
                    .input(classes)
                    .try_build()?;
                let reshape = graph.op(ops::Reshape).name(exact).input(precise).input(rows.output(0));
                Ok(reshape.try_build()?.output(0))
            })?;
            ops::reshape(losses(rows, ops::reshape(labels, [-1]))?, shape)
        };
        Ok(if half { ops::cast(loss, DType::F16) } else { loss })
    };
    let origin = Origin::here();
    let checked = labels_fit(labels.shape(), logits.shape()).and_then(|()| {
        let scope = graph.name_scope("SparseSoftmaxCrossEntropyWithLogits");
        graph.with_origin(origin.clone(), || scope.enter(build))
    });
    or_panic(checked.map_err(|e| e.with_origin(origin)))
}

/// `logits` must have the shape of `labels`, and one axis more.
fn labels_fit(labels: PartialShape, logits: PartialShape) -> Result<()> {
    let Some(dims) = logits.dims() else { return Ok(()) };
    let Some((_, outer)) = dims.split_last() else {
        return Err(Error::invalid("logits must not be a scalar"));
    };
    if labels.is_compatible_with(&PartialShape::from(outer)) {
        return Ok(());
    }
    let message = format!(
        "labels must have the shape of logits without its last axis, but they are {labels} and {logits}"
    );
    Err(Error::invalid(message)
        .with_help("labels are class indices; for distributions use softmax_cross_entropy_with_logits"))
}

/// The cross entropy of independent yes-no decisions: `-labels · log σ(logits) - (1 - labels) · log (1 - σ(logits))`, computed
/// as `max(x, 0) - x·labels + log(1 + exp(-|x|))`, which neither overflows nor cancels. Both operands and the result have the
/// same shape and floating dtype. TensorFlow: `tf.nn.sigmoid_cross_entropy_with_logits`.
///
/// # Panics
/// When shapes or dtypes differ.
#[track_caller]
pub fn sigmoid_cross_entropy_with_logits(labels: impl Into<Tensor>, logits: impl Into<Tensor>) -> Tensor {
    let (labels, logits) = (labels.into(), logits.into());
    let graph = logits.graph();
    let build = || {
        let zeros = ops::zeros_like(logits);
        let positive = graph.op(ops::GreaterEqual).input(logits).input(zeros).try_build()?.output(0);
        let choose =
            |yes: Tensor, no: Tensor| graph.op(ops::Select).input(positive).input(yes).input(no).try_build();
        let rectified = choose(logits, zeros)?.output(0);
        let minus_magnitude = choose(-logits, logits)?.output(0);
        let linear = rectified - logits * labels;
        let curved = ops::log1p(ops::exp(minus_magnitude));
        Ok(graph.op(ops::AddV2).name(exact(&graph)).input(linear).input(curved).try_build()?.output(0))
    };
    let origin = Origin::here();
    let checked = agree("logits and labels", logits.shape(), labels.shape())
        .and_then(|()| graph.with_origin(origin.clone(), || graph.name_scope("logistic_loss").enter(build)));
    or_panic(checked.map_err(|e| e.with_origin(origin)))
}

/// `value + bias`, one bias for each index of the last axis of `value`. TensorFlow: `tf.nn.bias_add`.
///
/// # Panics
/// When `bias` is no vector with an entry for each channel.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [None, Some(4)]);
/// let b = g.get_variable("b", [4]);
/// assert_eq!(ops::bias_add(x, b).ty().to_string(), "f32[?,4]");
/// ```
#[track_caller]
pub fn bias_add(value: impl Into<Tensor>, bias: impl Into<Tensor>) -> Tensor {
    bias_add_with(value, bias, BiasAdd::default())
}

/// [`bias_add`] for another data format.
#[track_caller]
pub fn bias_add_with(value: impl Into<Tensor>, bias: impl Into<Tensor>, op: BiasAdd) -> Tensor {
    let value = value.into();
    value.graph().op(op).input(value).input(bias).tensor()
}

/// `Σ x² / 2`, a scalar. TensorFlow: `tf.nn.l2_loss`.
#[track_caller]
pub fn l2_loss(x: impl Into<Tensor>) -> Tensor {
    unary(L2Loss, "L2Loss", x)
}
