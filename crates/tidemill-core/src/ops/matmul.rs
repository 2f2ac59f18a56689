//! Products of matrices, and of batches of matrices.

use tidemill_tensor::{DType, PartialShape};

use super::broadcast::{Span, unbroadcast_span};
use super::{cast, conj};
use crate::attrs;
use crate::autodiff::{GradCx, Grads};
use crate::error::{Error, Result};
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<MatMul>().with::<BatchMatMul>().with::<BatchMatMulV2>().with::<BatchMatMulV3>()
}

/// The product of two matrices, either of them transposed first if told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MatMul {
    /// Use `aᵀ`.
    pub transpose_a: bool,
    /// Use `bᵀ`.
    pub transpose_b: bool,
}
attrs!(MatMul { transpose_a, transpose_b });

impl Op for MatMul {
    const SCHEMA: Schema = Schema::new("MatMul", "(a: T, b: T) -> (product: T) where T: Num|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 2)?;
        cx.expect_rank(1, 2)?;
        let dim = |i: usize, d: usize, transposed: bool| cx.shape(i).dim(if transposed { 1 - d } else { d });
        let (inner_a, inner_b) = (dim(0, 1, self.transpose_a), dim(1, 0, self.transpose_b));
        if let (Some(a), Some(b)) = (inner_a, inner_b)
            && a != b
        {
            return Err(Error::invalid(format!("inner dimensions differ, {a} and {b}")));
        }
        let product = [dim(0, 0, self.transpose_a), dim(1, 1, self.transpose_b)];
        cx.output(cx.dtype(0), PartialShape::from(product))
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (a, b, dy) = (conj(cx.x(0)), conj(cx.x(1)), cx.dy(0));
        // TensorFlow's names, also where only one of the two is wanted.
        let product = |name: &str, a, b, transpose_a, transpose_b| {
            cx.graph().op(MatMul { transpose_a, transpose_b }).name(name).inputs(&[a, b]).tensor()
        };
        // d/dA of tr(dyᵀ op(A) op(B)), with the transposes moved to where they cost nothing.
        let da = || match (self.transpose_a, self.transpose_b) {
            (false, t) => product("MatMul", dy, b, false, !t),
            (true, t) => product("MatMul", b, dy, t, true),
        };
        let db = || match (self.transpose_a, self.transpose_b) {
            (t, false) => product("MatMul_1", a, dy, !t, false),
            (t, true) => product("MatMul_1", dy, a, true, t),
        };
        Ok(grads![cx.wanted(0, da), cx.wanted(1, db)])
    }
}

/// The operands of a product of batches of matrices, as far as its rules care.
struct Batches {
    adj_x: bool,
    adj_y: bool,
    broadcasts: bool,
}

impl Batches {
    fn infer(&self, cx: &InferCx, dtype: DType) -> Result<Vec<TensorType>> {
        let (Some(x), Some(y)) = (cx.shape(0).dims(), cx.shape(1).dims()) else {
            let matrices = |i: usize| cx.shape(i).rank().is_none_or(|rank| rank >= 2);
            return match matrices(0) && matrices(1) {
                true => cx.output(dtype, PartialShape::unknown()),
                false => Err(not_matrices(cx)),
            };
        };
        let ([x_batch @ .., x0, x1], [y_batch @ .., y0, y1]) = (x, y) else { return Err(not_matrices(cx)) };
        let (m, inner_x) = if self.adj_x { (x1, x0) } else { (x0, x1) };
        let (inner_y, n) = if self.adj_y { (y1, y0) } else { (y0, y1) };
        if let (Some(a), Some(b)) = (inner_x, inner_y)
            && a != b
        {
            return Err(Error::invalid(format!("inner dimensions differ, {a} and {b}")));
        }
        let (x, y) = (PartialShape::from(x_batch), PartialShape::from(y_batch));
        let batch = if self.broadcasts { x.broadcast(&y) } else { x.merge(&y) };
        match batch {
            Some(batch) => cx.output(dtype, batch.concatenate(&PartialShape::from([*m, *n]))),
            None => Err(Error::invalid(format!("the batches {x} and {y} do not fit together"))),
        }
    }

    fn grad(&self, cx: &GradCx) -> Grads {
        let dz = cx.dy(0);
        let (x, y) = (cast(cx.x(0), dz.dtype()), cast(cx.x(1), dz.dtype()));
        let product = |a, b, adj_x, adj_y| batch_matmul(a, b, adj_x, adj_y);
        let dx = cx.needs(0).then(|| match (self.adj_x, self.adj_y) {
            (false, t) => product(dz, y, false, !t),
            (true, t) => product(y, dz, t, true),
        });
        let dy = cx.needs(1).then(|| match (self.adj_x, self.adj_y) {
            (t, false) => product(x, dz, !t, false),
            (t, true) => product(dz, x, true, t),
        });
        // Operands may be of another dtype than the product.
        let fit = |d: Tensor, own: usize, other: usize| {
            let (own, other) = (cx.x(own), cx.x(other));
            cast(unbroadcast_span(d, Span::batch(own), Span::batch(other)), own.dtype())
        };
        grads![dx.map(|d| fit(d, 0, 1)), dy.map(|d| fit(d, 1, 0))]
    }
}

fn not_matrices(cx: &InferCx) -> Error {
    Error::invalid(format!(
        "operands must be matrices or batches of them, not {} and {}",
        cx.shape(0),
        cx.shape(1)
    ))
}

/// `x · y` of batches of matrices in a node of the op of today.
#[track_caller]
pub(super) fn batch_matmul(x: Tensor, y: Tensor, adj_x: bool, adj_y: bool) -> Tensor {
    x.graph().op(BatchMatMulV2 { adj_x, adj_y }).name("MatMul").inputs(&[x, y]).tensor()
}

/// A row: documentation, op, its dtypes, and whether batches broadcast.
macro_rules! batch_products {
    ($($(#[$doc:meta])* $op:ident: $types:literal, broadcasts $broadcasts:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $op {
            /// Use the conjugate transpose of each matrix of `x`.
            pub adj_x: bool,
            /// Use the conjugate transpose of each matrix of `y`.
            pub adj_y: bool,
        }
        attrs!($op { adj_x, adj_y });

        impl $op {
            fn rules(&self) -> Batches {
                Batches { adj_x: self.adj_x, adj_y: self.adj_y, broadcasts: $broadcasts }
            }
        }

        impl Op for $op {
            const SCHEMA: Schema =
                Schema::new(stringify!($op), concat!("(x: T, y: T) -> (output: T) where T: ", $types));
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                self.rules().infer(cx, cx.dtype(0))
            }
            fn grad(&self, cx: &GradCx) -> Result<Grads> {
                Ok(self.rules().grad(cx))
            }
        }
    )*};
}

batch_products! {
    /// The products of the matrices `[..., m, k]` and `[..., k, n]` at equal places of two batches of one shape.
    BatchMatMul: "Num|Complex", broadcasts false;

    /// [`BatchMatMul`] of batches that broadcast.
    BatchMatMulV2: "Num|Complex", broadcasts true;
}

/// [`BatchMatMulV2`] with an output of a dtype of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchMatMulV3 {
    /// The dtype of the products.
    pub tout: DType,
    /// Use the conjugate transpose of each matrix of `x`.
    pub adj_x: bool,
    /// Use the conjugate transpose of each matrix of `y`.
    pub adj_y: bool,
}
attrs!(BatchMatMulV3 { tout: "Tout", adj_x, adj_y });

impl Op for BatchMatMulV3 {
    const SCHEMA: Schema = Schema::new(
        "BatchMatMulV3",
        "(x: Ta, y: Tb) -> (output: Tout) where Ta: Num|Complex, Tb: Num|Complex, Tout: Num|Complex",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let rules = Batches { adj_x: self.adj_x, adj_y: self.adj_y, broadcasts: true };
        rules.infer(cx, self.tout)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(Batches { adj_x: self.adj_x, adj_y: self.adj_y, broadcasts: true }.grad(cx))
    }
}

/// `a · b` for matrices `a: [m, k]` and `b: [k, n]`, or for batches of such, `[..., m, k]` and `[..., k, n]`, whose leading axes
/// broadcast. TensorFlow: `tf.matmul`.
///
/// # Panics
/// When the inner dimensions differ, batches do not broadcast, or an operand is no matrix.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let a = g.placeholder(DType::F32, [200, 6]);
/// let b = g.placeholder(DType::F32, [6, 4]);
/// assert_eq!(ops::matmul(a, b).ty().to_string(), "f32[200,4]");
/// let batch = g.placeholder(DType::F32, [10, 1, 200, 6]);
/// assert_eq!(ops::matmul(batch, b).ty().to_string(), "f32[10,1,200,4]");
/// ```
#[track_caller]
pub fn matmul(a: impl Into<Tensor>, b: impl Into<Tensor>) -> Tensor {
    matmul_with(a, b, MatMul::default())
}

/// [`matmul`] of operands whose matrices may be transposed first.
#[track_caller]
pub fn matmul_with(a: impl Into<Tensor>, b: impl Into<Tensor>, op: MatMul) -> Tensor {
    let (a, b) = (a.into(), b.into());
    let ranks = [a, b].map(|t| t.shape().rank());
    // Of two operands of which nothing is known, either may be a batch.
    if ranks == [None, None] || ranks.iter().flatten().any(|rank| *rank > 2) {
        let of = |t: Tensor, transposed: bool| if transposed { conj(t) } else { t };
        return batch_matmul(of(a, op.transpose_a), of(b, op.transpose_b), op.transpose_a, op.transpose_b);
    }
    a.graph().op(op).input(a).input(b).tensor()
}
