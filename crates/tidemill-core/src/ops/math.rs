//! Elementwise arithmetic of two operands, which broadcast: sizes are equal, or one of them is 1, counted from the last axis.

use tidemill_tensor::DType;

use super::broadcast::unbroadcast;
use super::{
    Log, Select, binary, cast, conj, greater, greater_equal, less_equal, list, neg, not_equal, ones_like,
    select, square, zeros_like,
};
use crate::attrs;
use crate::autodiff::{GradCx, Gradient, Grads};
use crate::error::{Error, Origin, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::{Operand, Resolved};
use crate::ops::Const;
use crate::schema::Schema;

/// What the gradient rule of a binary op sees.
pub(super) struct Sides<'a, 'g> {
    pub(super) cx: &'a GradCx<'g>,
    pub(super) x: Tensor,
    pub(super) y: Tensor,
    pub(super) dz: Tensor,
}

impl<'a, 'g> Sides<'a, 'g> {
    pub(super) fn new(cx: &'a GradCx<'g>) -> Sides<'a, 'g> {
        Sides { cx, x: cx.x(0), y: cx.x(1), dz: cx.dy(0) }
    }

    /// The gradients, from rules that give them at the shape of the result.
    pub(super) fn both(&self, dx: impl FnOnce() -> Tensor, dy: impl FnOnce() -> Tensor) -> Grads {
        let dx = self.cx.needs(0).then(dx);
        let dy = self.cx.needs(1).then(dy);
        unbroadcast(self.cx, dx, dy)
    }

    /// The gradient of `y` alone, from a rule that gives it at the shape of the result: `x` is an order, not a number to tune.
    pub(super) fn second(&self, dy: impl FnOnce() -> Tensor) -> Grads {
        unbroadcast(self.cx, None, self.cx.needs(1).then(dy))
    }

    /// A node named after its op, as the functions inside TensorFlow name theirs.
    pub(super) fn node(&self, op: impl Op, x: Tensor, y: Tensor) -> Tensor {
        self.cx.graph().add(op, &[x, y])
    }
}

/// The elements of an integer result, from what is known of those of the operands; those that overflow `i64` or the dtype
/// count as unknown.
pub(super) fn fold(cx: &InferCx, f: fn(i64, i64) -> Option<i64>) -> Option<PartialValue> {
    let dtype = cx.dtype(0);
    if !dtype.is_integer() {
        return None;
    }
    let (x, y) = (cx.known(0)?, cx.known(1)?);
    let len = match (x.len(), y.len()) {
        (a, b) if a == b => a,
        (1, n) | (n, 1) => n,
        _ => return None,
    };
    let at = |v: &PartialValue, i: usize| v[if v.len() == 1 { 0 } else { i }];
    let element = |i| f(at(&x, i)?, at(&y, i)?).filter(|v| holds(dtype, *v));
    Some((0..len).map(element).collect())
}

/// Whether `value` can be an element of this integer dtype.
pub(super) fn holds(dtype: DType, value: i64) -> bool {
    let bits = 8 * dtype.size() as u32;
    match dtype.is_signed() {
        true => bits == 64 || (-(1i64 << (bits - 1))..1i64 << (bits - 1)).contains(&value),
        false => value >= 0 && (bits == 64 || value < 1i64 << bits),
    }
}

fn floor_div_i64(x: i64, y: i64) -> Option<i64> {
    let (quotient, remainder) = (x.checked_div(y)?, x.checked_rem(y)?);
    Some(if remainder != 0 && (remainder < 0) != (y < 0) { quotient - 1 } else { quotient })
}

fn floor_mod_i64(x: i64, y: i64) -> Option<i64> {
    let remainder = x.checked_rem(y)?;
    Some(if remainder != 0 && (remainder < 0) != (y < 0) { remainder + y } else { remainder })
}

pub(super) fn register(set: OpSet) -> OpSet {
    register_operators(set).with::<AddN>()
}

/// A row: documentation, op (and its operands, unless they are `x` and `y`) and its dtypes, gradient (left out where no number
/// flows), and folding of known integers, where any are.
macro_rules! binary_ops {
    (@signature $types:literal) => { concat!("(x: T, y: T) -> (z: T) where T: ", $types) };
    (@signature $types:literal $a:ident $b:ident) => {
        concat!("(", stringify!($a), ": T, ", stringify!($b), ": T) -> (z: T) where T: ", $types)
    };
    (@grad $sides:ident) => {{
        let _ = $sides;
        $crate::grads![$crate::autodiff::NoGrad, $crate::autodiff::NoGrad]
    }};
    (@grad $sides:ident $grad:expr) => {{
        let rule: fn(&$crate::ops::math::Sides) -> Grads = $grad;
        rule(&$sides)
    }};
    (@known $cx:ident) => {{
        let _ = $cx;
        None
    }};
    (@known $cx:ident $known:expr) => { $crate::ops::math::fold($cx, $known) };
    ($register:ident: $(
        $(#[$doc:meta])*
        $op:ident $(($a:ident, $b:ident))?: $types:literal
        $(, grad $grad:expr)?
        $(, known $known:expr)?;
    )*) => {
        pub(super) fn $register(set: OpSet) -> OpSet {
            set$(.with::<$op>())*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $op;
            attrs!($op {});

            impl Op for $op {
                const SCHEMA: Schema =
                    Schema::new(stringify!($op), $crate::ops::math::binary_ops!(@signature $types $($a $b)?));
                fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                    cx.output(cx.dtype(0), cx.broadcast()?)
                }
                fn grad(&self, cx: &GradCx) -> Result<Grads> {
                    let sides = $crate::ops::math::Sides::new(cx);
                    Ok($crate::ops::math::binary_ops!(@grad sides $($grad)?))
                }
                fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
                    $crate::ops::math::binary_ops!(@known cx $($known)?)
                }
            }
        )*
    };
}
pub(super) use binary_ops;

binary_ops! { register_operators:
    /// `x + y`. Integers wrap.
    AddV2: "Num|Complex",
    grad |g| g.both(|| g.dz, || g.dz),
    known i64::checked_add;

    /// `x + y`: the older name of [`AddV2`] in graph files.
    Add: "bf16|f16|f32|f64|i8|i16|i32|i64|u8|Complex",
    grad |g| g.both(|| g.dz, || g.dz),
    known i64::checked_add;

    /// `x - y`. Integers wrap.
    Sub: "Num|Complex",
    grad |g| g.both(|| g.dz, || neg(g.dz)),
    known i64::checked_sub;

    /// `x * y`. Integers wrap.
    Mul: "Num|Complex",
    grad |g| g.both(|| g.node(Mul, g.dz, conj(g.y)), || g.node(Mul, g.dz, conj(g.x))),
    known i64::checked_mul;

    /// `x / y`, of floats when run.
    RealDiv: "Num|Complex",
    grad |g| {
        let (x, y) = (conj(g.x), conj(g.y));
        g.both(
            || g.node(RealDiv, g.dz, y),
            || g.dz * g.node(RealDiv, g.node(RealDiv, neg(x), y), y),
        )
    },
    known |_, _| None;

    /// `x / y` of floats; of integers, the quotient rounded towards zero. Dividing an integer by zero fails the run.
    Div: "Num|Complex",
    grad |g| {
        let (x, y) = (conj(g.x), conj(g.y));
        g.both(|| g.dz / y, || g.dz * (neg(x) / y / y))
    },
    known i64::checked_div;

    /// `floor(x / y)`. Dividing an integer by zero fails the run.
    FloorDiv: "Num",
    known floor_div_i64;

    /// `x - floor(x / y) * y`: the remainder that has the sign of `y`. An integer modulo zero fails the run.
    FloorMod: "Num",
    grad |g| g.both(|| g.dz, || g.dz * neg(g.node(FloorDiv, g.x, g.y))),
    known floor_mod_i64;

    /// The larger of `x` and `y`; NaN if either is. Where they are equal the gradient goes to `x`.
    Maximum: "Num",
    grad |g| {
        let (zeros, first) = (zeros_like(g.dz), greater_equal(g.x, g.y));
        g.both(|| select(first, g.dz, zeros), || select(first, zeros, g.dz))
    },
    known |x, y| Some(x.max(y));

    /// The smaller of `x` and `y`; NaN if either is. Where they are equal the gradient goes to `x`.
    Minimum: "Num",
    grad |g| {
        let (zeros, first) = (zeros_like(g.dz), less_equal(g.x, g.y));
        g.both(|| select(first, g.dz, zeros), || select(first, zeros, g.dz))
    },
    known |x, y| Some(x.min(y));

    /// `x` to the power of `y`. A negative power of an integer fails the run. The gradient to `y` is 0 where a real `x <= 0`.
    Pow: "Signed|Complex",
    grad |g| {
        let (x, y) = (conj(g.x), conj(g.y));
        g.both(
            || g.dz * y * pow(x, y - 1),
            || {
                // log(x), without its singularity; of negative numbers only the complex logarithm makes sense.
                let sensible = if x.dtype().is_complex() { not_equal(x, 0) } else { greater(x, 0) };
                let select = |x, other| g.cx.graph().add(Select, &[sensible, x, other]);
                let log = g.cx.graph().add(Log, &[select(x, ones_like(x))]);
                let log = select(log, zeros_like(x));
                g.dz * conj(g.cx.y(0)) * log
            },
        )
    },
    known |x, y| x.checked_pow(u32::try_from(y).ok()?);

    /// `|x - y|²`.
    SquaredDifference: "bf16|f16|f32|f64|i32|i64|Complex",
    grad |g| {
        let two = scalar_like(g.dz, "scalar", 2.0);
        let dx = g.node(Mul, two, g.dz) * (g.x - g.y);
        g.both(|| dx, || neg(dx))
    },
    known |x, y| x.checked_sub(y).and_then(|d| d.checked_mul(d));

    /// `x / y` of integers, rounded towards zero. Dividing by zero fails the run.
    TruncateDiv: "Num",
    known i64::checked_div;

    /// The remainder of dividing rounded towards zero, which has the sign of `x`. An integer modulo zero fails the run.
    TruncateMod: "i32|i64|bf16|f16|f32|f64",
    known i64::checked_rem;

    /// [`TruncateMod`] by its older name in graph files.
    Mod: "i32|i64|bf16|f16|f32|f64",
    known i64::checked_rem;

    /// The angle in radians, between -π and π, of the point with the coordinates `(x, y)`: the arc tangent of `y / x` in the
    /// right quadrant.
    Atan2(y, x): "Float",
    grad |g| {
        // The operands are named the other way round.
        let (ordinate, abscissa) = (g.x, g.y);
        let scaled = g.dz / (square(abscissa) + square(ordinate));
        g.both(|| abscissa * scaled, || neg(ordinate) * scaled)
    };

    /// The float next to `x1` in the direction of `x2`; `x2` where they are equal, NaN where either is.
    NextAfter(x1, x2): "f32|f64",
    grad |g| g.both(|| g.dz, || zeros_like(g.dz));
}

/// The sum of tensors of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct AddN;
attrs!(AddN {});

impl Op for AddN {
    const SCHEMA: Schema = Schema::new("AddN", "(inputs: N*T) -> (sum: T) where T: Num|Complex|variant");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        match cx.inputs() {
            [] => Err(Error::invalid("needs at least one tensor")),
            [first, ..] => cx.output(first.dtype, cx.merged()?),
        }
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let dz: Option<Gradient> = cx.dy_as_is(0);
        Ok((0..cx.num_inputs()).map(|_| dz).collect())
    }
}

/// A constant of the dtype of `x`, in a node of this name.
pub(super) fn scalar_like(x: Tensor, name: &str, value: f64) -> Tensor {
    let value = tidemill_tensor::Value::scalar(value).cast(x.dtype());
    x.graph().op(Const { value }).name(name).tensor()
}

/// The functions: all take tensors, variables, numbers or arrays, of which at least one is a tensor; a number takes the
/// dtype of the other operand.
macro_rules! binary_functions {
    ($($(#[$doc:meta])* $function:ident $op:ident $name:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// When the shapes do not broadcast, the dtypes differ, or neither operand is a tensor.
        #[track_caller]
        pub fn $function(x: impl Operand, y: impl Operand) -> Tensor {
            $crate::ops::binary($op, $name, x, y)
        }
    )*};
}

pub(super) use binary_functions;

binary_functions! {
    /// `x + y`, also written so; shapes broadcast, integers wrap. TensorFlow: `tf.add`.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops};
    /// let g = Graph::new();
    /// let x = g.placeholder(DType::F32, [Some(200), None]);
    /// let b = g.placeholder(DType::F32, [4]);
    /// assert_eq!(ops::add(x, b).ty().to_string(), "f32[200,4]");
    /// assert_eq!((x + 1.0).ty().to_string(), "f32[200,?]");
    /// ```
    add AddV2 "add";
    /// `x - y`, also written so; shapes broadcast, integers wrap. TensorFlow: `x - y`.
    sub Sub "sub";
    /// `x - y` in a node named as `tf.subtract` names it; otherwise as [`sub`].
    subtract Sub "Sub";
    /// `x * y` element by element, also written so; shapes broadcast, integers wrap. TensorFlow: `x * y`.
    mul Mul "mul";
    /// `x * y` in a node named as `tf.multiply` names it; otherwise as [`mul`].
    multiply Mul "Mul";
    /// `floor(x / y)`, of the operands' dtype; shapes broadcast. Dividing an integer by zero fails the run.
    /// TensorFlow: `tf.floordiv`, `x // y`.
    floordiv FloorDiv "floordiv";
    /// The remainder of [`floordiv`], which has the sign of `y`; shapes broadcast. TensorFlow: `tf.floormod`, `tf.mod`.
    floormod FloorMod "FloorMod";
    /// The larger of `x` and `y`, NaN if either is; shapes broadcast. TensorFlow: `tf.maximum`.
    maximum Maximum "Maximum";
    /// The smaller of `x` and `y`, NaN if either is; shapes broadcast. TensorFlow: `tf.minimum`.
    minimum Minimum "Minimum";
    /// `x` to the power of `y`, of floats or signed integers; shapes broadcast. TensorFlow: `tf.pow`.
    pow Pow "Pow";
    /// `(x - y)²`; shapes broadcast. TensorFlow: `tf.squared_difference`.
    squared_difference SquaredDifference "SquaredDifference";
    /// `x / y` of integers, rounded towards zero; shapes broadcast. Dividing by zero fails the run. TensorFlow: `tf.truncatediv`.
    truncatediv TruncateDiv "TruncateDiv";
    /// The remainder of [`truncatediv`], which has the sign of `x`; shapes broadcast. TensorFlow: `tf.truncatemod`.
    truncatemod TruncateMod "TruncateMod";
    /// The angle of the point `(x, y)` in radians, from -π to π (operands in the order `y`, `x`); shapes broadcast. TensorFlow: `tf.atan2`.
    atan2 Atan2 "Atan2";
    /// The float next to `x1` in the direction of `x2`; shapes broadcast. TensorFlow: `tf.math.nextafter`.
    nextafter NextAfter "NextAfter";
}

/// `x % y`: [`floormod`], in a node named as the operator names it.
#[track_caller]
pub(crate) fn modulo(x: impl Operand, y: impl Operand) -> Tensor {
    binary(FloorMod, "mod", x, y)
}

/// `x / y`, also written so; shapes broadcast. Integers are cast first: those of 8 and 16 bits to `f32`, wider ones to `f64`.
/// TensorFlow: `tf.truediv`, `tf.divide`, `x / y`. For the quotient of integers see [`floordiv`].
///
/// # Panics
/// When the shapes do not broadcast, the dtypes differ, either is `bool`, or neither operand is a tensor.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// let g = Graph::new();
/// let hits = g.placeholder(DType::I32, [None]);
/// assert_eq!((hits / 200).ty().to_string(), "f64[?]");
/// ```
#[track_caller]
pub fn truediv(x: impl Operand, y: impl Operand) -> Tensor {
    let known = x.as_tensor().or(y.as_tensor());
    let quotient = match known.map(|t| (t, t.dtype())) {
        Some((t, dtype)) if dtype.is_integer() => {
            let to = if dtype.size() <= 2 { DType::F32 } else { DType::F64 };
            (t, dtype, to)
        }
        _ => return binary(RealDiv, "truediv", x, y),
    };
    let (t, dtype, to) = quotient;
    let graph = t.graph();
    let (x, y) = (or_panic(x.resolve(dtype)), or_panic(y.resolve(dtype)));
    or_panic(graph.with_origin(Origin::here(), || {
        graph.name_scope("truediv").enter(|| {
            let operand = |name: &str, operand| match operand {
                Resolved::Tensor(t) => Ok(t),
                Resolved::Value(value) => {
                    graph.op(Const { value }).name(name).try_build().map(|op| op.output(0))
                }
            };
            let (x, y) = (operand("x", x)?, operand("y", y)?);
            if x.dtype() != y.dtype() {
                let message = format!("`y` is {}, but `x` is {}", y.dtype(), x.dtype());
                return Err(
                    Error::invalid(message).with_help(format!("cast one of them: tf::cast(x, tf::{to})"))
                );
            }
            let (x, y) = (cast(x, to), cast(y, to));
            let name = format!("{}/", graph.current_name_scope());
            graph.op(RealDiv).name(name).input(x).input(y).try_build().map(|op| op.output(0))
        })
    }))
}

/// [`truediv`], which the operator `/` stands for.
///
/// # Panics
/// As [`truediv`].
#[track_caller]
pub fn div(x: impl Operand, y: impl Operand) -> Tensor {
    truediv(x, y)
}

/// The sum of tensors of one shape and dtype; the tensor itself if there is but one. TensorFlow: `tf.add_n`.
///
/// # Panics
/// When the list is empty, or shapes or dtypes differ.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [Some(2), None]);
/// let y = g.placeholder(DType::F32, [None, Some(3)]);
/// assert_eq!(ops::add_n([x, y, x]).ty().to_string(), "f32[2,3]");
/// ```
#[track_caller]
pub fn add_n<I: IntoIterator<Item: Into<Tensor>>>(tensors: I) -> Tensor {
    let (graph, tensors) = list(tensors);
    match tensors[..] {
        [one] => one,
        _ => graph.op(AddN).inputs(&tensors).tensor(),
    }
}
