//! Diagonals and bands of matrices.
//!
//! Diagonal `d` of a matrix holds the elements `[i, i + d]`: 0 is the main one, those above it are positive. Several diagonals `k = [low, high]`
//! are the rows of one tensor, the highest first, in rows as long as the longest; `align` says to which side the shorter ones are
//! put, those above the main one first: `RIGHT_LEFT`, `LEFT_RIGHT`, `LEFT_LEFT`, `RIGHT_RIGHT`.

use tidemill_tensor::{Dim, PartialShape, Value};

use super::super::{Const, unary, zeros_like};
use super::Matrices;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::schema::Schema;
use crate::{attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Diag>()
        .with::<DiagPart>()
        .with::<MatrixBandPart>()
        .with::<MatrixDiag>()
        .with::<MatrixDiagPart>()
        .with::<MatrixDiagPartV2>()
        .with::<MatrixDiagPartV3>()
        .with::<MatrixDiagV2>()
        .with::<MatrixDiagV3>()
        .with::<MatrixSetDiag>()
        .with::<MatrixSetDiagV2>()
        .with::<MatrixSetDiagV3>()
}

/// Diagonals of matrices of given sizes, and how they are laid out in rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Diagonals {
    /// The lowest.
    pub low: i64,
    /// The highest.
    pub high: i64,
    /// Whether those above the main one begin at the left.
    pub left_above: bool,
    /// Whether those below the main one begin at the left.
    pub left_below: bool,
}

impl Diagonals {
    /// The main one.
    pub const MAIN: Diagonals = Diagonals { low: 0, high: 0, left_above: true, left_below: true };

    /// The diagonals that `k` names, one number or two.
    ///
    /// # Errors
    /// `InvalidArgument` when there are other than one or two numbers, or they are in the wrong order, or `align` is unknown.
    pub fn new(k: &[i64], align: &str) -> Result<Diagonals> {
        let (low, high) = match k {
            [k] => (*k, *k),
            [low, high] if low <= high => (*low, *high),
            [low, high] => {
                return Err(Error::invalid(format!(
                    "the lower diagonal {low} is above the upper one {high}"
                )));
            }
            _ => return Err(Error::invalid(format!("`k` must be one number or two, not {}", k.len()))),
        };
        let (left_above, left_below) = match align {
            "RIGHT_LEFT" => (false, true),
            "LEFT_RIGHT" => (true, false),
            "LEFT_LEFT" => (true, true),
            "RIGHT_RIGHT" => (false, false),
            _ => return Err(Error::invalid(format!("there is no alignment \"{align}\""))),
        };
        Ok(Diagonals { low, high, left_above, left_below })
    }

    /// How many there are.
    ///
    /// # Errors
    /// `InvalidArgument` when they are too many to count.
    pub fn count(&self) -> Result<usize> {
        let count = self.high.checked_sub(self.low).and_then(|n| n.checked_add(1));
        count.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| Error::invalid("too many diagonals"))
    }

    /// How long the longest is in a matrix of these sizes.
    ///
    /// # Errors
    /// `InvalidArgument` when one of them is outside of the matrix.
    pub fn longest(&self, rows: usize, columns: usize) -> Result<usize> {
        let (m, n) = (rows as i64, columns as i64);
        let inside = |d: i64| (d > -m && d < n) || d == 0;
        if !inside(self.low) || !inside(self.high) {
            return Err(Error::invalid(format!(
                "diagonals {} to {} are not all inside of a matrix [{rows},{columns}]",
                self.low, self.high
            )));
        }
        Ok((m + self.high.min(0)).min(n - self.low.max(0)).max(0) as usize)
    }

    /// The length of one in a matrix of these sizes, and where it begins in a row of the length of the longest.
    pub fn place(&self, diagonal: i64, longest: usize, rows: usize, columns: usize) -> (usize, usize) {
        let length = (rows as i64 + diagonal.min(0)).min(columns as i64 - diagonal.max(0)).max(0) as usize;
        let left = (diagonal >= 0 && self.left_above) || (diagonal <= 0 && self.left_below);
        (length, if left { 0 } else { longest - length.min(longest) })
    }

    /// The shape of the rows of diagonals, given that of a batch of matrices.
    fn part(&self, matrices: &Matrices) -> Result<PartialShape> {
        let longest = match (matrices.rows, matrices.columns) {
            (Some(m), Some(n)) => Some(self.longest(m, n)?),
            _ => None,
        };
        Ok(match self.low == self.high {
            true => matrices.with([longest]),
            false => matrices.with([Some(self.count()?), longest]),
        })
    }

    /// The sizes of matrices that have diagonals as long as `longest`, where `rows` and `columns` may be left open.
    ///
    /// # Errors
    /// `InvalidArgument` when there are none.
    pub fn sizes(&self, longest: usize, rows: Option<usize>, columns: Option<usize>) -> Result<[usize; 2]> {
        let longest = longest as i64;
        let (least_rows, least_columns) =
            match (longest.checked_sub(self.high.min(0)), longest.checked_add(self.low.max(0))) {
                (Some(rows), Some(columns)) => (rows as usize, columns as usize),
                _ => return Err(Error::invalid("the diagonals are too far out")),
            };
        let (m, n) = match (rows, columns) {
            (None, None) => (least_rows.max(least_columns), least_rows.max(least_columns)),
            (m, n) => (m.unwrap_or(least_rows), n.unwrap_or(least_columns)),
        };
        if m < least_rows || n < least_columns || (m != least_rows && n != least_columns) {
            return Err(Error::invalid(format!(
                "diagonals {} to {} of length {longest} do not fit a matrix [{m},{n}]",
                self.low, self.high
            )));
        }
        Ok([m, n])
    }
}

/// The diagonals that operand `k` names, if it is known.
fn named(cx: &InferCx, k: usize, align: &str) -> Result<Option<Diagonals>> {
    if cx.shape(k).rank().is_some_and(|rank| rank > 1) {
        return Err(Error::invalid(format!("`k` must be a scalar or a vector, not {}", cx.shape(k))));
    }
    let known = cx.known_all(k).map(|k| Diagonals::new(&k, align)).transpose()?;
    if known.is_none() {
        Diagonals::new(&[0], align)?;
    }
    Ok(known)
}

/// The type of the diagonals of operand 0.
fn part_type(cx: &InferCx, diagonals: Option<Diagonals>) -> Result<Vec<TensorType>> {
    let shape = match (Matrices::of(cx, 0)?, diagonals) {
        (Some(matrices), Some(diagonals)) => diagonals.part(&matrices)?,
        _ => PartialShape::unknown(),
    };
    cx.output(cx.dtype(0), shape)
}

/// The type of the matrices that have the diagonals of operand 0.
fn matrices_type(
    cx: &InferCx,
    diagonals: Option<Diagonals>,
    sizes: Option<[usize; 2]>,
) -> Result<Vec<TensorType>> {
    let (Some(dims), Some(diagonals)) = (cx.shape(0).dims(), diagonals) else {
        return cx.output(cx.dtype(0), PartialShape::unknown());
    };
    let several = diagonals.low != diagonals.high;
    let (batch, count, longest) = match dims {
        [batch @ .., count, longest] if several => (batch, *count, *longest),
        [batch @ .., longest] if !several => (batch, Some(1), *longest),
        _ => return Err(Error::invalid(format!("`diagonal` has too few axes: {}", cx.shape(0)))),
    };
    if count.is_some_and(|count| Ok(count) != diagonals.count()) {
        return Err(Error::invalid(format!(
            "`diagonal` of shape {} does not have the diagonals {} to {}",
            cx.shape(0),
            diagonals.low,
            diagonals.high
        )));
    }
    let open = |n: i64| usize::try_from(n).ok();
    let given: [Option<Option<usize>>; 2] = match sizes {
        Some(_) => [Some(None), Some(None)],
        None => [2, 3].map(|i| cx.known_all(i).map(|n| n.first().copied().and_then(open))),
    };
    let sizes: [Dim; 2] = match (longest, given) {
        (Some(longest), [Some(rows), Some(columns)]) => diagonals.sizes(longest, rows, columns)?.map(Some),
        (_, given) => given.map(Option::flatten),
    };
    cx.output(cx.dtype(0), PartialShape::from(batch).concatenate(&PartialShape::from(sizes)))
}

/// The type of operand 0, whose diagonals are set to those of operand 1.
fn set_type(cx: &InferCx, diagonals: Option<Diagonals>) -> Result<Vec<TensorType>> {
    if let (Some(matrices), Some(diagonals)) = (Matrices::of(cx, 0)?, diagonals) {
        let want = diagonals.part(&matrices)?;
        if want.merge(cx.shape(1)).is_none() {
            return Err(Error::invalid(format!("`diagonal` must have shape {want}, not {}", cx.shape(1))));
        }
    }
    cx.same_as_input(0)
}

/// An op on diagonals, and what rules need of it: its alignment, and whether it names diagonals.
macro_rules! diagonal_op {
    ($(#[$doc:meta])* $op:ident $signature:literal, |$self:ident, $cx:ident| $infer:expr, |$rule:ident, $gcx:ident| $grad:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op;
        attrs!($op {});
        diagonal_op!(@rules $op $signature, |$self, $cx| $infer, |$rule, $gcx| $grad);
    };
    (aligned $(#[$doc:meta])* $op:ident $signature:literal, |$self:ident, $cx:ident| $infer:expr, |$rule:ident, $gcx:ident| $grad:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// To which side short diagonals are put; see the module.
            pub align: String,
        }
        attrs!($op { align });
        diagonal_op!(@rules $op $signature, |$self, $cx| $infer, |$rule, $gcx| $grad);
    };
    (@rules $op:ident $signature:literal, |$self:ident, $cx:ident| $infer:expr, |$rule:ident, $gcx:ident| $grad:expr) => {
        impl Op for $op {
            const SCHEMA: Schema = Schema::new(stringify!($op), $signature);
            fn infer(&self, $cx: &InferCx) -> Result<Vec<TensorType>> {
                let $self = self;
                $infer
            }
            fn grad(&self, $gcx: &GradCx) -> Result<Grads> {
                let $rule = self;
                Ok($grad)
            }
        }
    };
}

const LEFT: &str = "LEFT_LEFT";

diagonal_op! {
    /// A matrix for each vector of `diagonal`, with that on its main diagonal and 0 elsewhere.
    MatrixDiag "(diagonal: T) -> (output: T)",
    |_op, cx| matrices_type(cx, Some(Diagonals::MAIN), Some([0, 0])),
    |_op, cx| grads![cx.graph().add(MatrixDiagPart, &[cx.dy(0)])]
}

diagonal_op! {
    /// [`MatrixDiagV3`] whose short diagonals begin at the left.
    MatrixDiagV2 "(diagonal: T, k: i32, num_rows: i32, num_cols: i32, padding_value: T) -> (output: T)",
    |_op, cx| matrices_type(cx, named(cx, 1, LEFT)?, None),
    |_op, cx| diag_grad(cx, LEFT)
}

diagonal_op! { aligned
    /// Matrices that have the given diagonals `k`, and `padding_value` elsewhere. Sizes of -1 are the least that have them.
    MatrixDiagV3 "(diagonal: T, k: i32, num_rows: i32, num_cols: i32, padding_value: T) -> (output: T)",
    |op, cx| matrices_type(cx, named(cx, 1, &op.align)?, None),
    |op, cx| diag_grad(cx, &op.align)
}

diagonal_op! {
    /// The main diagonal of each matrix.
    MatrixDiagPart "(input: T) -> (diagonal: T)",
    |_op, cx| part_type(cx, Some(Diagonals::MAIN)),
    |_op, cx| {
        let x = cx.x_type(0).shape;
        let square = x.rank().is_some_and(|r| x.dim(r - 2).is_some() && x.dim(r - 2) == x.dim(r - 1));
        grads![match square {
            true => cx.graph().add(MatrixDiag, &[cx.dy(0)]),
            false => cx.graph().add(MatrixSetDiag, &[zeros_like(cx.x(0)), cx.dy(0)]),
        }]
    }
}

diagonal_op! {
    /// [`MatrixDiagPartV3`] whose short diagonals begin at the left.
    MatrixDiagPartV2 "(input: T, k: i32, padding_value: T) -> (diagonal: T)",
    |_op, cx| part_type(cx, named(cx, 1, LEFT)?),
    |_op, cx| part_grad(cx, LEFT)
}

diagonal_op! { aligned
    /// The diagonals `k` of each matrix, one a row, the highest first; short ones are filled up with `padding_value`.
    MatrixDiagPartV3 "(input: T, k: i32, padding_value: T) -> (diagonal: T)",
    |op, cx| part_type(cx, named(cx, 1, &op.align)?),
    |op, cx| part_grad(cx, &op.align)
}

diagonal_op! {
    /// `input` with the main diagonal of each matrix replaced.
    MatrixSetDiag "(input: T, diagonal: T) -> (output: T)",
    |_op, cx| set_type(cx, Some(Diagonals::MAIN)),
    |_op, cx| {
        let dz = cx.dy(0);
        let diagonal = cx.graph().add(MatrixDiagPart, &[dz]);
        grads![cx.wanted(0, || cx.graph().add(MatrixSetDiag, &[dz, zeros_like(diagonal)])), diagonal]
    }
}

diagonal_op! {
    /// [`MatrixSetDiagV3`] whose short diagonals begin at the left.
    MatrixSetDiagV2 "(input: T, diagonal: T, k: i32) -> (output: T)",
    |_op, cx| set_type(cx, named(cx, 2, LEFT)?),
    |_op, cx| set_grad(cx, LEFT)
}

diagonal_op! { aligned
    /// `input` with the diagonals `k` of each matrix replaced.
    MatrixSetDiagV3 "(input: T, diagonal: T, k: i32) -> (output: T)",
    |op, cx| set_type(cx, named(cx, 2, &op.align)?),
    |op, cx| set_grad(cx, &op.align)
}

/// A zero of the dtype of `like`.
fn zero(like: Tensor) -> Tensor {
    like.graph().op(Const { value: Value::scalar(0.0).cast(like.dtype()) }).tensor()
}

fn part_of(x: Tensor, k: Tensor, align: &str) -> Tensor {
    x.graph().add(MatrixDiagPartV3 { align: align.to_owned() }, &[x, k, zero(x)])
}

fn diag_grad(cx: &GradCx, align: &str) -> Grads {
    let (dz, k) = (cx.dy(0), cx.x(1));
    // What flows into the padding is all that does not flow into the diagonals.
    let padding = cx.wanted(4, || {
        let set = MatrixSetDiagV3 { align: align.to_owned() };
        let rest = cx.graph().add(set, &[dz, zeros_like(cx.x(0)), k]);
        super::super::reduce_sum(rest)
    });
    grads![cx.wanted(0, || part_of(dz, k, align)), NoGrad, NoGrad, NoGrad, padding]
}

fn part_grad(cx: &GradCx, align: &str) -> Grads {
    let (x, k, dz) = (cx.x(0), cx.x(1), cx.dy(0));
    let dx = cx.wanted(0, || {
        let set = MatrixSetDiagV3 { align: align.to_owned() };
        cx.graph().add(set, &[zeros_like(x), dz, k])
    });
    // The padding is what is left when the diagonals are put into a matrix and taken out again.
    let padding = cx.wanted(2, || {
        let set = MatrixSetDiagV3 { align: align.to_owned() };
        let there = part_of(cx.graph().add(set, &[zeros_like(x), dz, k]), k, align);
        super::super::reduce_sum(dz - there)
    });
    grads![dx, NoGrad, padding]
}

fn set_grad(cx: &GradCx, align: &str) -> Grads {
    let (diagonal, k, dz) = (cx.x(1), cx.x(2), cx.dy(0));
    let set = MatrixSetDiagV3 { align: align.to_owned() };
    let dx = cx.wanted(0, || cx.graph().add(set, &[dz, zeros_like(diagonal), k]));
    grads![dx, cx.wanted(1, || part_of(dz, k, align)), NoGrad]
}

/// Each matrix with what lies more than `num_lower` below or `num_upper` above the main diagonal set to 0; a negative number
/// keeps everything on that side.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixBandPart;
attrs!(MatrixBandPart {});

impl Op for MatrixBandPart {
    const SCHEMA: Schema = Schema::new(
        "MatrixBandPart",
        "(input: T, num_lower: Tindex, num_upper: Tindex) -> (band: T) where Tindex: i32|i64",
    );
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 0)?;
        cx.expect_rank(2, 0)?;
        Matrices::of(cx, 0)?;
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![cx.graph().add(MatrixBandPart, &[cx.dy(0), cx.x(1), cx.x(2)]), NoGrad, NoGrad])
    }
}

/// The tensor `[d1, ..., dk, d1, ..., dk]` that has `diagonal: [d1, ..., dk]` at `[i, ..., i, ...]`, and 0 elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Diag;
attrs!(Diag {});

impl Op for Diag {
    const SCHEMA: Schema = Schema::new("Diag", "(diagonal: T) -> (output: T) where T: Num|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        match cx.shape(0).rank() {
            Some(0) => Err(Error::invalid("a scalar is not the diagonal of a tensor")),
            _ => cx.output(cx.dtype(0), cx.shape(0).concatenate(cx.shape(0))),
        }
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![diag_part(cx.dy(0))])
    }
}

/// The elements `[i, ..., i, ...]` of a tensor of shape `[d1, ..., dk, d1, ..., dk]`: the diagonal of a square matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct DiagPart;
attrs!(DiagPart {});

impl Op for DiagPart {
    const SCHEMA: Schema = Schema::new("DiagPart", "(input: T) -> (diagonal: T) where T: Num|Complex");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let Some(dims) = cx.shape(0).dims() else { return cx.output(cx.dtype(0), PartialShape::unknown()) };
        let (rows, columns) = dims.split_at(dims.len() / 2);
        let diagonal = match (dims.len() % 2, rows.is_empty()) {
            (0, false) => PartialShape::from(rows).merge(&PartialShape::from(columns)),
            _ => None,
        };
        match diagonal {
            Some(shape) => cx.output(cx.dtype(0), shape),
            None => Err(Error::invalid(format!(
                "the second half of the dimensions must equal the first, but the shape is {}",
                cx.shape(0)
            ))),
        }
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        Ok(grads![diag(cx.dy(0))])
    }
}

/// A tensor `[d1, ..., dk, d1, ..., dk]` with `x: [d1, ..., dk]` on its diagonal: a matrix for a vector. TensorFlow: `tf.diag`.
///
/// # Panics
/// When `x` is a scalar.
#[track_caller]
pub fn diag(x: impl Into<Tensor>) -> Tensor {
    unary(Diag, "Diag", x)
}

/// The diagonal of a square matrix: [`DiagPart`]. TensorFlow: `tf.diag_part`.
///
/// # Panics
/// When `x` is not square.
#[track_caller]
pub fn diag_part(x: impl Into<Tensor>) -> Tensor {
    unary(DiagPart, "DiagPart", x)
}

/// A square matrix for each vector of `diagonal`, with that on its main diagonal and 0 elsewhere. TensorFlow: `tf.matrix_diag`.
///
/// # Panics
/// When `diagonal` is a scalar.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [5, 3]);
/// assert_eq!(ops::matrix_diag(x).ty().to_string(), "f32[5,3,3]");
/// ```
#[track_caller]
pub fn matrix_diag(diagonal: impl Into<Tensor>) -> Tensor {
    unary(MatrixDiag, "MatrixDiag", diagonal)
}

/// The main diagonal of each matrix `[..., m, n]`: `[..., min(m, n)]`. TensorFlow: `tf.matrix_diag_part`.
///
/// # Panics
/// When `input` has less than two axes.
#[track_caller]
pub fn matrix_diag_part(input: impl Into<Tensor>) -> Tensor {
    unary(MatrixDiagPart, "MatrixDiagPart", input)
}

/// `input` with the main diagonal of each matrix replaced by `diagonal`. TensorFlow: `tf.matrix_set_diag`.
///
/// # Panics
/// When the shape of `diagonal` is not that of the diagonals.
#[track_caller]
pub fn matrix_set_diag(input: impl Into<Tensor>, diagonal: impl Into<Tensor>) -> Tensor {
    let input = input.into();
    input.graph().op(MatrixSetDiag).input(input).input(diagonal).tensor()
}

/// Each matrix with what lies more than `num_lower` below or `num_upper` above the main diagonal set to 0; a negative number
/// keeps everything on that side. TensorFlow: `tf.matrix_band_part`.
///
/// # Panics
/// When `input` has less than two axes.
#[track_caller]
pub fn matrix_band_part(input: impl Into<Tensor>, num_lower: i64, num_upper: i64) -> Tensor {
    let input = input.into();
    let builder = input.graph().op(MatrixBandPart).input(input);
    builder.constant("num_lower", num_lower).constant("num_upper", num_upper).tensor()
}
