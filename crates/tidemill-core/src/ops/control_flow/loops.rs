//! Functions that loop.

use tidemill_tensor::{DType, PartialShape};

use super::{LoopParts, Nest, Region};
use crate::error::{Error, Origin, Result, or_panic};
use crate::handle::Tensor;
use crate::infer::TensorType;

/// Repeats `body` on the loop variables as long as `cond` holds, and returns their last values. TensorFlow: `tf.while_loop`.
///
/// Both closures may use tensors from outside. A loop variable keeps its dtype and shape; [`While`] has shape invariants and a limit
/// on the number of turns.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let (i, x) = (g.constant(0i32), g.placeholder(DType::F32, [3]));
/// let (_, doubled) = ops::while_loop(|(i, _)| i.lt(4), |(i, x)| (i + 1, x * 2.0), (i, x));
/// assert_eq!(doubled.shape().to_string(), "[3]");
/// ```
///
/// # Panics
/// When a loop variable changes its dtype or shape, the condition is no scalar bool, or there are no loop variables.
#[track_caller]
pub fn while_loop<N: Nest>(cond: impl FnOnce(N) -> Tensor, body: impl FnOnce(N) -> N, loop_vars: N) -> N {
    While::new(loop_vars).run(cond, body)
}

/// [`while_loop`] with options.
#[derive(Debug, Clone)]
#[must_use = "call .run(cond, body)"]
pub struct While<N> {
    vars: N,
    invariants: Vec<Option<PartialShape>>,
    maximum: Option<Tensor>,
}

impl<N: Nest> While<N> {
    /// A loop over these variables.
    pub fn new(loop_vars: N) -> While<N> {
        While { vars: loop_vars, invariants: vec![], maximum: None }
    }

    /// For each tensor of the loop variables, from left to right, a shape that it keeps in every turn; `None` for its first shape.
    pub fn shape_invariants(mut self, invariants: impl IntoIterator<Item = Option<PartialShape>>) -> Self {
        self.invariants = invariants.into_iter().collect();
        self
    }

    /// The loop ends after so many turns, even if the condition holds.
    pub fn maximum_iterations(mut self, limit: impl Into<Tensor>) -> Self {
        self.maximum = Some(limit.into());
        self
    }

    /// Builds the loop.
    ///
    /// # Panics
    /// As [`while_loop`].
    #[track_caller]
    pub fn run(self, cond: impl FnOnce(N) -> Tensor, body: impl FnOnce(N) -> N) -> N {
        self.scan(cond, |vars| (body(vars), ())).0
    }

    /// Builds a loop that also gives a result in every turn: the last values of the loop variables, and the results stacked along a new axis 0.
    ///
    /// ```
    /// use tidemill_core::{Graph, ops};
    /// let g = Graph::new();
    /// let (_, squares) = ops::While::new(g.constant(0i32)).scan(|i| i.lt(4), |i| (i + 1, i * i));
    /// assert_eq!(squares.ty().to_string(), "i32[?]");
    /// ```
    ///
    /// # Panics
    /// As [`while_loop`].
    #[track_caller]
    pub fn scan<Y: Nest>(self, cond: impl FnOnce(N) -> Tensor, body: impl FnOnce(N) -> (N, Y)) -> (N, Y) {
        let origin = Origin::here();
        let starts = self.vars.flatten();
        let graph = crate::graph::graph_of(&starts);
        let build = || -> Result<(N, Y)> {
            let types: Vec<TensorType> = starts
                .iter()
                .enumerate()
                .map(|(i, t)| {
                    let ty = t.ty();
                    let shape = self.invariants.get(i).cloned().flatten().unwrap_or(ty.shape);
                    TensorType::new(ty.dtype, shape)
                })
                .collect();
            let nest = |tensors: &[Tensor]| self.vars.rebuild(&mut tensors.iter().copied());
            let condition = graph.build_region(&types, None, &origin, |vars| {
                let go_on = cond(nest(vars));
                let ty = go_on.ty();
                if ty.dtype != DType::Bool || !ty.shape.is_compatible_with(&PartialShape::scalar()) {
                    return Err(Error::invalid(format!(
                        "the condition of a loop must be a scalar bool, not {ty}"
                    )));
                }
                Ok(vec![go_on])
            })?;
            let mut shape_of_y = None;
            let step = graph.build_region(&types, None, &origin, |vars| {
                let (next, y) = body(nest(vars));
                let mut results = next.flatten();
                check_carries(&results, &types)?;
                results.extend(y.flatten());
                shape_of_y = Some(y);
                Ok(results)
            })?;
            let parts = LoopParts {
                trip: self.maximum,
                reverse: false,
                carries: starts.clone(),
                xs: vec![],
                cond: Some(Region(condition)),
                body: Region(step),
            };
            let made = parts.builder(&graph)?.name("while").origin(origin.clone()).try_build()?;
            let mut outputs = made.outputs().into_iter();
            let last = self.vars.rebuild(&mut outputs);
            match shape_of_y {
                Some(y) => Ok((last, y.rebuild(&mut outputs))),
                None => Err(Error::internal("the body of a loop was not built")),
            }
        };
        or_panic(build().map_err(|e| e.with_origin(origin.clone())))
    }
}

/// A loop variable must come out of a turn as it went in.
fn check_carries(next: &[Tensor], types: &[TensorType]) -> Result<()> {
    if next.len() != types.len() {
        return Err(Error::invalid(format!(
            "the body gives {} loop variables, but takes {}",
            next.len(),
            types.len()
        )));
    }
    for (i, (next, ty)) in next.iter().zip(types).enumerate() {
        let have = next.ty();
        if have.dtype != ty.dtype || !covers(&ty.shape, &have.shape) {
            return Err(Error::invalid(format!(
                "loop variable {i} goes into a turn as {ty}, and comes out as {have}"
            ))
            .with_help("keep dtype and shape, or give the loop a shape invariant that covers both"));
        }
    }
    Ok(())
}

/// Whether everything that `wide` promises holds for `narrow` too.
fn covers(wide: &PartialShape, narrow: &PartialShape) -> bool {
    match (wide.dims(), narrow.dims()) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => {
            wide.len() == narrow.len() && wide.iter().zip(narrow).all(|(w, n)| w.is_none() || w == n)
        }
    }
}

/// How a [`scan`] goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScanOptions {
    /// From the last slice to the first; results stand at the place of their slice.
    pub reverse: bool,
}

/// Walks along axis 0 of `xs`: each turn `f` gets the carry and one slice of `xs`, and gives the next carry and a result. Returns the last
/// carry, and the results stacked along axis 0. With the slices known to be so many, unrolling is never needed: one `Loop`.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// let g = Graph::new();
/// let xs = g.placeholder(DType::F32, [10, 3]);
/// let zero = g.zeros(DType::F32, [3]);
/// let (total, sums) = ops::scan(|sum, x| (sum + x, sum + x), zero, xs, Default::default());
/// assert_eq!(sums.shape().to_string(), "[10,3]");
/// assert_eq!(total.shape().to_string(), "[3]");
/// ```
///
/// # Panics
/// When the carry changes its dtype or shape, or the xs differ in length.
#[track_caller]
pub fn scan<C: Nest, X: Nest, Y: Nest>(
    f: impl FnOnce(C, X) -> (C, Y),
    init: C,
    xs: X,
    options: ScanOptions,
) -> (C, Y) {
    let origin = Origin::here();
    let (carries, slices) = (init.flatten(), xs.flatten());
    let all: Vec<Tensor> = slices.iter().chain(&carries).copied().collect();
    let graph = crate::graph::graph_of(&all);
    let build = || -> Result<(C, Y)> {
        let carry_types: Vec<TensorType> =
            carries.iter().map(|t| t.ty()).map(|t| TensorType::new(t.dtype, t.shape)).collect();
        let mut types = carry_types.clone();
        for x in &slices {
            let ty = x.ty();
            let rest = match ty.shape.dims() {
                Some([]) => return Err(Error::invalid("a scalar cannot be taken apart along axis 0")),
                Some([_, rest @ ..]) => PartialShape::from(rest),
                None => PartialShape::unknown(),
            };
            types.push(TensorType::new(ty.dtype, rest));
        }
        let mut shape_of_y = None;
        let body = graph.build_region(&types, None, &origin, |params| {
            let mut tensors = params.iter().copied();
            let (carry, x) = (init.rebuild(&mut tensors), xs.rebuild(&mut tensors));
            let (next, y) = f(carry, x);
            let mut results = next.flatten();
            check_carries(&results, &carry_types)?;
            results.extend(y.flatten());
            shape_of_y = Some(y);
            Ok(results)
        })?;
        let parts = LoopParts {
            trip: None,
            reverse: options.reverse,
            carries: carries.clone(),
            xs: slices.clone(),
            cond: None,
            body: Region(body),
        };
        let made = parts.builder(&graph)?.name("scan").origin(origin.clone()).try_build()?;
        let mut outputs = made.outputs().into_iter();
        let last = init.rebuild(&mut outputs);
        match shape_of_y {
            Some(y) => Ok((last, y.rebuild(&mut outputs))),
            None => Err(Error::internal("the body of a scan was not built")),
        }
    };
    or_panic(build().map_err(|e| e.with_origin(origin.clone())))
}

/// `f` of each slice of `elems` along axis 0, stacked. TensorFlow: `tf.map_fn`.
#[track_caller]
pub fn map_fn<X: Nest, Y: Nest>(f: impl FnOnce(X) -> Y, elems: X) -> Y {
    scan(|(), x| ((), f(x)), (), elems, ScanOptions::default()).1
}

/// `f(.. f(f(init, elems[0]), elems[1]) ..)`. TensorFlow: `tf.foldl`.
#[track_caller]
pub fn foldl<C: Nest, X: Nest>(f: impl FnOnce(C, X) -> C, elems: X, init: C) -> C {
    scan(|carry, x| (f(carry, x), ()), init, elems, ScanOptions::default()).0
}

/// [`foldl`] from the last slice to the first. TensorFlow: `tf.foldr`.
#[track_caller]
pub fn foldr<C: Nest, X: Nest>(f: impl FnOnce(C, X) -> C, elems: X, init: C) -> C {
    scan(|carry, x| (f(carry, x), ()), init, elems, ScanOptions { reverse: true }).0
}
