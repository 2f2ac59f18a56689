//! Loops and conditionals.
//!
//! Both hold *bodies*: closed regions of the graph, from the values of their parameters to their results. There are two ops,
//! [`Loop`] and [`If`]; everything else (`while_loop`, `scan`, `map_fn`, `cond`, `case`, and the recurrent layers) is made of them.

mod conditional;
mod gradient;
mod loops;
mod nest;
mod region;

use tidemill_tensor::{DType, PartialShape};

pub use conditional::{case, cond};
pub use loops::{ScanOptions, While, foldl, foldr, map_fn, scan, while_loop};
pub use nest::Nest;
pub use region::{LoopParts, Region};

use crate::autodiff::{GradCx, Grads};
use crate::error::{Error, Result};
use crate::graph::Body;
use crate::infer::{InferCx, PartialValue, TensorType};
use crate::op::{AnyOp, Op, OpSet};
use crate::schema::{Effect, Schema, Signature};
use crate::{AttrMap, Attributes, attrs, grads};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<Loop>().with::<If>().with::<Param>().with::<FakeParam>()
}

/// Whether an op gives the same again on the same values and does nothing else: whether it is pure, and so is what is in its bodies.
pub(crate) fn is_pure(op: &dyn AnyOp) -> bool {
    let body_is_pure = |body: &Body| body.nodes().iter().all(|(_, n)| n.op.is::<Param>() || is_pure(&*n.op));
    let bodies: Vec<&Body> = if let Some(op) = op.downcast::<Loop>() {
        op.cond.iter().chain([&op.body]).collect()
    } else if let Some(op) = op.downcast::<If>() {
        vec![&op.then, &op.orelse]
    } else {
        vec![]
    };
    op.effect() == Effect::Pure && bodies.into_iter().all(body_is_pure)
}

/// A parameter of a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its type.
    pub ty: TensorType,
}

impl Attributes for Param {
    fn to_attrs(&self) -> AttrMap {
        let mut attrs = AttrMap::new();
        attrs.set("dtype", &self.ty.dtype);
        attrs.set("shape", &self.ty.shape);
        attrs
    }
    fn from_attrs(attrs: &AttrMap) -> Result<Self> {
        Ok(Param { ty: TensorType::new(attrs.get::<DType>("dtype")?, attrs.get::<PartialShape>("shape")?) })
    }
    fn signature() -> &'static Signature {
        static PARSED: std::sync::OnceLock<Signature> = std::sync::OnceLock::new();
        PARSED.get_or_init(|| Signature::parse(&Self::SCHEMA))
    }
}

impl Op for Param {
    const SCHEMA: Schema = Schema::new("Param", "() -> (value: *)").effect(Effect::Stateful);
    fn infer(&self, _: &InferCx) -> Result<Vec<TensorType>> {
        Ok(vec![self.ty.clone()])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![])
    }
}

/// Stands in one branch of a conditional for what only the other one gives; its value is never used.
#[derive(Debug, Clone, PartialEq)]
pub struct FakeParam {
    /// The dtype of what it stands for.
    pub dtype: DType,
    /// The shape of what it stands for.
    pub shape: PartialShape,
}
attrs!(FakeParam { dtype, shape });

impl Op for FakeParam {
    const SCHEMA: Schema = Schema::new("FakeParam", "() -> (output: *)");
    fn infer(&self, _: &InferCx) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(self.dtype, self.shape.clone())])
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![])
    }
}

/// Repeats a body.
///
/// Operands: the trip count (if `trip`), then *carries*, then *xs*, then the captures of the condition and of the body. Each turn the
/// body gets the carries, one slice of each of the xs along axis 0, and its captures; it gives the next carries, and *ys*, which are
/// stacked along axis 0. Results: the last carries, the stacked ys, and the number of turns (`i32`).
///
/// The loop ends after the trip count, or the length of the xs, or when the condition on the carries turns false, whichever is
/// first; a loop with a condition has no xs. `reverse` takes slices from the last to the first and puts ys there.
#[derive(Debug, Clone, PartialEq)]
pub struct Loop {
    /// Whether operand 0 is a trip count.
    pub trip: bool,
    /// Whether the turns go from the last slice to the first.
    pub reverse: bool,
    /// How many carries there are.
    pub carries: usize,
    /// How many xs there are.
    pub xs: usize,
    /// From the carries and its captures to whether there is another turn.
    pub cond: Option<Body>,
    /// From carries, slices and captures to carries and ys.
    pub body: Body,
}

/// Where the operands of a [`Loop`] stand.
#[derive(Debug, Clone, Copy)]
pub struct LoopLayout {
    /// The first carry.
    pub carries: usize,
    /// The first of the xs.
    pub xs: usize,
    /// The first capture of the condition.
    pub cond_captures: usize,
    /// The first capture of the body.
    pub body_captures: usize,
    /// One past the last operand.
    pub end: usize,
    /// How many ys there are.
    pub ys: usize,
}

impl Loop {
    /// Where the operands stand.
    pub fn layout(&self) -> LoopLayout {
        let carries = usize::from(self.trip);
        let xs = carries + self.carries;
        let cond_captures = xs + self.xs;
        let body_captures = cond_captures + self.cond.as_ref().map_or(0, |c| c.params().len() - self.carries);
        let end = body_captures + self.body.params().len() - self.carries - self.xs;
        LoopLayout {
            carries,
            xs,
            cond_captures,
            body_captures,
            end,
            ys: self.body.results().len() - self.carries,
        }
    }

    /// The number of turns, as far as the operands' types and values tell.
    pub fn turns(&self, cx: &InferCx) -> Option<usize> {
        if self.cond.is_some() {
            return None;
        }
        let layout = self.layout();
        let from_xs = (layout.xs..layout.cond_captures).find_map(|i| cx.shape(i).dim(0));
        let from_trip = || cx.known_all(0).and_then(|v| v.first().map(|n| usize::try_from(*n).unwrap_or(0)));
        if self.trip { from_trip() } else { from_xs }
    }
}

impl Attributes for Loop {
    /// The counts; bodies have no encoding as attributes.
    fn to_attrs(&self) -> AttrMap {
        let mut attrs = AttrMap::new();
        attrs.set("trip", &self.trip);
        attrs.set("reverse", &self.reverse);
        attrs.set("carries", &self.carries);
        attrs.set("xs", &self.xs);
        attrs
    }
    fn from_attrs(_: &AttrMap) -> Result<Self> {
        Err(Error::unimplemented(
            "a loop cannot be read from its attributes: its bodies have no text form yet",
        ))
    }
    fn signature() -> &'static Signature {
        static PARSED: std::sync::OnceLock<Signature> = std::sync::OnceLock::new();
        PARSED.get_or_init(|| Signature::parse(&Self::SCHEMA))
    }
}

impl Op for Loop {
    const SCHEMA: Schema = Schema::new("Loop", "(operands: *) -> (results: *)");

    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let layout = self.layout();
        if cx.len() != layout.end {
            return Err(Error::invalid(format!("takes {} operands, not {}", layout.end, cx.len())));
        }
        if self.trip {
            cx.expect_rank(0, 0)?;
        }
        let mut length = None;
        for i in layout.xs..layout.cond_captures {
            if cx.shape(i).rank() == Some(0) {
                return Err(Error::invalid("a scalar cannot be taken apart along axis 0"));
            }
            match (length, cx.shape(i).dim(0)) {
                (Some(a), Some(b)) if a != b => {
                    return Err(Error::invalid(format!("the inputs to scan have {a} and {b} slices")));
                }
                (None, dim) => length = dim,
                _ => {}
            }
        }
        let turns = self.turns(cx);
        let mut types = vec![];
        for c in 0..self.carries {
            let (start, body) = (&cx.inputs()[layout.carries + c], self.body.param_type(c));
            check_carry(c, start, body)?;
            types.push(body.clone());
        }
        for y in 0..layout.ys {
            let ty = self.body.result_type(self.carries + y);
            types.push(TensorType::new(ty.dtype, stacked(turns, &ty.shape)));
        }
        types.push(TensorType::new(DType::I32, ()));
        Ok(types)
    }

    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        gradient::of_loop(self, cx)
    }

    fn constant_value(&self, cx: &InferCx) -> Option<PartialValue> {
        let is_count = cx.asked() == self.carries + self.layout().ys;
        let turns = self.turns(cx).filter(|_| is_count)?;
        Some(PartialValue::from_slice(&[Some(turns as i64)]))
    }
}

/// `[turns, shape...]`
fn stacked(turns: Option<usize>, shape: &PartialShape) -> PartialShape {
    PartialShape::from([turns]).concatenate(shape)
}

fn check_carry(i: usize, start: &TensorType, body: &TensorType) -> Result<()> {
    if start.dtype == body.dtype && body.shape.is_compatible_with(&start.shape) {
        return Ok(());
    }
    Err(Error::invalid(format!("loop variable {i} starts as {start}, but goes on as {body}"))
        .with_help("keep dtype and shape from turn to turn, or give a shape invariant that covers both"))
}

/// One of two bodies.
///
/// Operands: the predicate, then the captures of `then`, then those of `orelse`. Results: those of the body taken.
#[derive(Debug, Clone, PartialEq)]
pub struct If {
    /// Taken when the predicate is true.
    pub then: Body,
    /// Taken when it is false.
    pub orelse: Body,
}

impl Attributes for If {
    /// None; bodies have no encoding as attributes.
    fn to_attrs(&self) -> AttrMap {
        AttrMap::new()
    }
    fn from_attrs(_: &AttrMap) -> Result<Self> {
        Err(Error::unimplemented(
            "a conditional cannot be read from its attributes: its bodies have no text form yet",
        ))
    }
    fn signature() -> &'static Signature {
        static PARSED: std::sync::OnceLock<Signature> = std::sync::OnceLock::new();
        PARSED.get_or_init(|| Signature::parse(&Self::SCHEMA))
    }
}

impl Op for If {
    const SCHEMA: Schema = Schema::new("If", "(cond: bool, input: *) -> (output: *)");

    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(0, 0)?;
        let operands = 1 + self.then.params().len() + self.orelse.params().len();
        if cx.len() != operands {
            return Err(Error::invalid(format!("takes {operands} operands, not {}", cx.len())));
        }
        (0..self.then.results().len())
            .map(|i| {
                let (a, b) = (self.then.result_type(i), self.orelse.result_type(i));
                if a.dtype != b.dtype {
                    return Err(Error::invalid(format!(
                        "result {i} is {a} in one branch and {b} in the other"
                    ))
                    .with_help("cast one of them"));
                }
                Ok(TensorType::new(a.dtype, common(&a.shape, &b.shape)))
            })
            .collect()
    }

    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        gradient::of_if(self, cx)
    }
}

/// What is true of both shapes.
fn common(a: &PartialShape, b: &PartialShape) -> PartialShape {
    match (a.dims(), b.dims()) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            a.iter().zip(b).map(|(a, b)| if a == b { *a } else { None }).collect::<Vec<_>>().into()
        }
        _ => PartialShape::unknown(),
    }
}
