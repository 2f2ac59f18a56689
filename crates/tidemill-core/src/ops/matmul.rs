//! Matrix products.

use tidemill_tensor::PartialShape;

use crate::attrs;
use crate::autodiff::{GradCx, Grads};
use crate::error::{Error, Result};
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<MatMul>()
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
    const SCHEMA: Schema = Schema::new(
        "MatMul",
        "(a: T, b: T) -> (product: T) where T: bf16|f16|f32|f64|i8|i16|i32|i64|u8|u16|u32|u64",
    );
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
        let (a, b, dy) = (cx.x(0), cx.x(1), cx.dy(0));
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

/// `a · b` for matrices `a: [m, k]` and `b: [k, n]`. TensorFlow: `tf.matmul`.
///
/// # Panics
/// When the inner dimensions differ, or an operand is no matrix.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let a = g.placeholder(DType::F32, [200, 6]);
/// let b = g.placeholder(DType::F32, [6, 4]);
/// assert_eq!(ops::matmul(a, b).ty().to_string(), "f32[200,4]");
/// ```
#[track_caller]
pub fn matmul(a: impl Into<Tensor>, b: impl Into<Tensor>) -> Tensor {
    matmul_with(a, b, MatMul::default())
}

/// [`matmul`] of operands that may be transposed first.
#[track_caller]
pub fn matmul_with(a: impl Into<Tensor>, b: impl Into<Tensor>, op: MatMul) -> Tensor {
    let a = a.into();
    a.graph().op(op).input(a).input(b).tensor()
}
