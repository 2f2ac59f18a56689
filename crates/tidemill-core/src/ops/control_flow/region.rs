//! Bodies built one by one: the fallible way to loops and conditionals, for importers and bindings.

use tidemill_tensor::DType;

use super::{Body, If, Loop};
use crate::error::{Error, Origin, Result};
use crate::graph::{Built, Graph, OpBuilder};
use crate::handle::Tensor;
use crate::ids::{NodeId, Output};
use crate::infer::TensorType;

/// A body that is built, and not yet part of a loop or conditional.
pub struct Region(pub(super) Built);

impl Graph {
    /// Builds a body inside the current one. `f` gets its parameters and returns its results; what it uses from outside is captured.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, Origin, Result, ops};
    /// fn double_if(g: &Graph, x: tidemill_core::Tensor) -> Result<tidemill_core::Tensor> {
    ///     let double = g.region(&[], Origin::here(), |_| Ok(vec![x * 2.0]))?;
    ///     let same = g.region(&[], Origin::here(), |_| Ok(vec![x]))?;
    ///     let made = ops::If::of(g, x.gt(0.0), &double, &same)?.name("double_if").try_build()?;
    ///     Ok(made.output(0))
    /// }
    /// let g = Graph::new();
    /// let x = g.placeholder(DType::F32, ());
    /// assert_eq!(double_if(&g, x)?.name(), "double_if:0");
    /// # Ok::<(), tidemill_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `f`, and `InvalidArgument` when a result belongs to another graph or to a body that does not enclose this one.
    pub fn region(
        &self,
        params: &[TensorType],
        origin: Origin,
        f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    ) -> Result<Region> {
        Ok(Region(self.build_region(params, None, &origin, f)?))
    }
}

impl Region {
    /// Adds to the body, and gives it the results that `f` returns instead of those it had.
    ///
    /// # Errors
    /// As [`Graph::region`].
    pub fn extend(&mut self, graph: &Graph, f: impl FnOnce() -> Result<Vec<Tensor>>) -> Result<()> {
        graph.extend_region(&mut self.0, f)
    }

    /// The types of its results.
    pub fn result_types(&self, graph: &Graph) -> Vec<TensorType> {
        self.0.results.iter().map(|o| graph.handle(*o).ty()).collect()
    }

    /// The body, whose parameters are the declared ones and then the captures; and what is captured.
    fn close(&self, graph: &Graph) -> (Body, Vec<Output>) {
        close(graph, &self.0)
    }
}

/// See [`Region::close`].
pub(super) fn close(graph: &Graph, built: &Built) -> (Body, Vec<Output>) {
    let params: Vec<NodeId> =
        built.params.iter().copied().chain(built.captures.iter().map(|c| c.param)).collect();
    let body = graph.body(built, params, built.results.clone());
    (body, built.captures.iter().map(|c| c.outer).collect())
}

fn waiting<'a>(
    graph: &Graph,
    builder: OpBuilder,
    regions: impl IntoIterator<Item = &'a Region>,
) -> OpBuilder {
    let controls = regions.into_iter().flat_map(|r| &r.0.controls);
    controls.fold(builder, |builder, control| builder.control(graph.operation_of(*control)))
}

impl If {
    /// The conditional that takes one of two bodies without parameters.
    ///
    /// # Errors
    /// `InvalidArgument` when `pred` is no bool, or the bodies differ in the number of their results.
    #[track_caller]
    pub fn of(graph: &Graph, pred: Tensor, then: &Region, orelse: &Region) -> Result<OpBuilder> {
        if pred.dtype() != DType::Bool {
            return Err(Error::invalid(format!(
                "the predicate of a conditional must be a bool, not {}",
                pred.ty()
            )));
        }
        let counts = [then, orelse].map(|r| r.0.results.len());
        if counts[0] != counts[1] {
            return Err(Error::invalid(format!(
                "one branch gives {} tensors, the other {}",
                counts[0], counts[1]
            )));
        }
        let ((first, a), (second, b)) = (then.close(graph), orelse.close(graph));
        let captures: Vec<Tensor> = a.iter().chain(&b).map(|o| graph.handle(*o)).collect();
        let builder = graph.op(If { then: first, orelse: second }).input(pred).inputs(&captures);
        Ok(waiting(graph, builder, [then, orelse]))
    }
}

/// What a [`Loop`] is made of.
pub struct LoopParts {
    /// The number of turns, if it is given.
    pub trip: Option<Tensor>,
    /// Whether the turns go from the last slice to the first.
    pub reverse: bool,
    /// What the carries start with.
    pub carries: Vec<Tensor>,
    /// What is taken apart along axis 0.
    pub xs: Vec<Tensor>,
    /// From the carries to whether there is another turn.
    pub cond: Option<Region>,
    /// From the carries and slices to the carries and ys.
    pub body: Region,
}

impl LoopParts {
    /// The loop in the current body.
    ///
    /// # Errors
    /// `InvalidArgument` when the body does not give as many results as there are carries, or more.
    #[track_caller]
    pub fn builder(self, graph: &Graph) -> Result<OpBuilder> {
        let (params, results) = (self.body.0.params.len(), self.body.0.results.len());
        if params != self.carries.len() + self.xs.len() || results < self.carries.len() {
            return Err(Error::invalid(format!(
                "the body of a loop with {} carries and {} xs takes {params} tensors and gives {results}",
                self.carries.len(),
                self.xs.len()
            )));
        }
        let (cond, cond_captures) = match &self.cond {
            Some(region) => {
                let (body, captures) = region.close(graph);
                (Some(body), captures)
            }
            None => (None, vec![]),
        };
        let (body, body_captures) = self.body.close(graph);
        let op = Loop {
            trip: self.trip.is_some(),
            reverse: self.reverse,
            carries: self.carries.len(),
            xs: self.xs.len(),
            cond,
            body,
        };
        let mut operands: Vec<Tensor> = self.trip.into_iter().collect();
        operands.extend(self.carries);
        operands.extend(self.xs);
        operands.extend(cond_captures.iter().chain(&body_captures).map(|o| graph.handle(*o)));
        Ok(waiting(graph, graph.op(op).inputs(&operands), self.cond.iter().chain([&self.body])))
    }
}
