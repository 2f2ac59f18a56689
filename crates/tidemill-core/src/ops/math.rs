//! Elementwise arithmetic.

use super::{binary, unary};
use crate::attrs;
use crate::autodiff::{GradCx, Grads};
use crate::error::Result;
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::Operand;
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Tanh>()
        .with::<TanhGrad>()
        .with::<AddV2>()
        .with::<Sub>()
        .with::<Mul>()
        .with::<RealDiv>()
        .with::<FloorMod>()
        .with::<Neg>()
        .with::<AddN>()
}

/// Hyperbolic tangent.
#[derive(Debug, Clone, PartialEq)]
pub struct Tanh;
attrs!(Tanh {});

impl Op for Tanh {
    const SCHEMA: Schema = Schema::new("Tanh", "(x: T) -> (y: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(TanhGrad, &[cx.y(0), cx.dy(0)])])
    }
}

/// `dy * (1 - y²)`: the gradient of [`Tanh`] from its output.
#[derive(Debug, Clone, PartialEq)]
pub struct TanhGrad;
attrs!(TanhGrad {});

impl Op for TanhGrad {
    const SCHEMA: Schema = Schema::new("TanhGrad", "(y: T, dy: T) -> (z: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(cx.dtype(0), cx.merged()?)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (y, dy, dz) = (cx.x(0), cx.x(1), cx.dy(0));
        Ok(grads![
            cx.wanted(0, || dz * dy * y * -2.0),
            cx.wanted(1, || cx.graph().add(TanhGrad, &[y, dz]))
        ])
    }
}

/// `tanh(x)`, of `x`'s shape. TensorFlow: `tf.tanh`.
#[track_caller]
pub fn tanh(x: impl Into<Tensor>) -> Tensor {
    unary(Tanh, "Tanh", x)
}

/// The operands, result and incoming gradient of a binary op, for its gradient rules.
struct Sides {
    x: Tensor,
    y: Tensor,
    dz: Tensor,
}

/// The gradient of an elementwise op of two operands that broadcast, from the gradients at the shape of the result.
fn binary_grad(cx: &GradCx, dx: fn(&Sides) -> Tensor, dy: fn(&Sides) -> Tensor) -> Grads {
    let sides = Sides { x: cx.x(0), y: cx.x(1), dz: cx.dy(0) };
    grads![
        cx.wanted(0, || unbroadcast(dx(&sides), sides.x, cx)),
        cx.wanted(1, || unbroadcast(dy(&sides), sides.y, cx))
    ]
}

/// Sums over the axes along which an operand was repeated.
fn unbroadcast(d: Tensor, operand: Tensor, cx: &GradCx) -> Tensor {
    let (have, want) = (cx.y_type(0).shape.clone(), operand.shape());
    if have == want {
        return d;
    }
    let (Some(have), Some(want)) = (have.as_known(), want.as_known()) else { return d };
    let extra = have.rank() - want.rank();
    let leading: Vec<i32> = (0..extra as i32).collect();
    let d = if leading.is_empty() { d } else { super::reduce_sum_axes(d, leading, false) };
    let ones: Vec<i32> =
        (0..want.rank()).filter(|i| want.dims()[*i] != have.dims()[i + extra]).map(|i| i as i32).collect();
    if ones.is_empty() { d } else { super::reduce_sum_axes(d, ones, true) }
}

macro_rules! binary_op {
    ($(
        $(#[$doc:meta])*
        $op:ident where $types:literal;
        dx $dx:expr;
        dy $dy:expr;
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op;
        attrs!($op {});

        impl Op for $op {
            const SCHEMA: Schema =
                Schema::new(stringify!($op), concat!("(x: T, y: T) -> (z: T) where T: ", $types));
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                cx.output(cx.dtype(0), cx.broadcast()?)
            }
            fn grad(&self, cx: &GradCx) -> Result<Grads> {
                Ok(binary_grad(cx, $dx, $dy))
            }
        }
    )*};
}
binary_op! {
    /// `x + y`.
    AddV2 where "Num";
    dx |g| g.dz;
    dy |g| g.dz;

    /// `x - y`.
    Sub where "Num";
    dx |g| g.dz;
    dy |g| -g.dz;

    /// `x * y`.
    Mul where "Num";
    dx |g| g.dz * g.y;
    dy |g| g.x * g.dz;

    /// `x / y`.
    RealDiv where "Num";
    dx |g| g.dz / g.y;
    dy |g| g.dz * (-g.x / g.y / g.y);

    /// `x mod y`, of the sign of `y`.
    FloorMod where "Num";
    dx |g| g.dz;
    dy |g| g.dz;
}

/// `-x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Neg;
attrs!(Neg {});

impl Op for Neg {
    const SCHEMA: Schema = Schema::new("Neg", "(x: T) -> (y: T) where T: f16|bf16|f32|f64|i8|i16|i32|i64");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![-cx.dy(0)])
    }
}

/// The sum of tensors of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct AddN;
attrs!(AddN {});

impl Op for AddN {
    const SCHEMA: Schema = Schema::new("AddN", "(inputs: N*T) -> (sum: T) where T: Num");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.output(cx.dtype(0), cx.merged()?)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok((0..cx.num_inputs()).map(|_| cx.dy_as_is(0)).collect())
    }
}

/// `x + y`. TensorFlow: `tf.add`.
#[track_caller]
pub fn add(x: impl Operand, y: impl Operand) -> Tensor {
    binary(AddV2, "add", x, y)
}

/// `x - y`. TensorFlow: `tf.subtract`.
#[track_caller]
pub fn sub(x: impl Operand, y: impl Operand) -> Tensor {
    binary(Sub, "sub", x, y)
}

/// `x * y`. TensorFlow: `tf.multiply`.
#[track_caller]
pub fn mul(x: impl Operand, y: impl Operand) -> Tensor {
    binary(Mul, "mul", x, y)
}

/// `x / y`. TensorFlow: `tf.truediv`.
#[track_caller]
pub fn div(x: impl Operand, y: impl Operand) -> Tensor {
    binary(RealDiv, "truediv", x, y)
}

/// `x mod y`. TensorFlow: `tf.floormod`.
#[track_caller]
pub fn floormod(x: impl Operand, y: impl Operand) -> Tensor {
    binary(FloorMod, "mod", x, y)
}

/// `-x`. TensorFlow: `tf.negative`.
#[track_caller]
pub fn neg(x: impl Into<Tensor>) -> Tensor {
    unary(Neg, "Neg", x)
}

/// The sum of tensors of one shape. TensorFlow: `tf.add_n`.
#[track_caller]
pub fn add_n<I: IntoIterator<Item: Into<Tensor>>>(tensors: I) -> Tensor {
    let (graph, tensors) = super::list(tensors);
    graph.op(AddN).inputs(&tensors).tensor()
}
