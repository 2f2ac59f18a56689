//! Regions: the bodies of loops and conditionals.
//!
//! A region's nodes live in the graph's one arena, marked with the region they belong to, so a closure that builds a body uses outer
//! tensors freely. The first use of an outer tensor makes a *parameter* inside and remembers the pair as a capture; when the region
//! closes, captures become operands of the loop or conditional, and the [`Body`] has no free values.
//!
//! A region may have a *forward* region: the body of a gradient uses the values of the body it differentiates, and those uses are
//! captures like any other.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Graph, Node, State};
use crate::error::{Error, Origin, Result};
use crate::handle::Tensor;
use crate::ids::{NodeId, Output};
use crate::infer::TensorType;
use crate::ops::Param;

/// Names one region of one graph; the root region is that of nodes outside of all bodies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct RegionId(pub u32);

impl RegionId {
    /// Outside of all bodies.
    pub const ROOT: RegionId = RegionId(0);
}

/// What the graph knows of a region.
#[derive(Debug)]
pub(crate) struct RegionState {
    /// The region that the loop or conditional stands in.
    parent: RegionId,
    /// The region whose gradient this one computes.
    forward: Option<RegionId>,
    open: bool,
    /// How many nodes the graph had when the region was opened: its own come after those.
    first: usize,
    /// Outer values used inside, and the parameters that stand for them.
    captures: Vec<Capture>,
    /// Operations outside that the body must wait for.
    controls: Vec<NodeId>,
}

impl RegionState {
    /// Forgets what is no longer there.
    pub(super) fn keep(&mut self, kept: impl Fn(NodeId) -> bool) {
        self.captures.retain(|c| kept(c.param));
        self.controls.retain(|c| kept(*c));
    }
}

/// An outer value used in a region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capture {
    /// The value outside.
    pub outer: Output,
    /// The parameter inside.
    pub param: NodeId,
}

/// A closed region: from the values of its parameters to its results, using nothing else.
#[derive(Clone)]
pub struct Body(Arc<BodyData>);

#[derive(Debug)]
struct BodyData {
    region: RegionId,
    nodes: Vec<(NodeId, Arc<Node>)>,
    params: Vec<NodeId>,
    results: Vec<Output>,
}

impl Body {
    /// The region it closes.
    pub fn region(&self) -> RegionId {
        self.0.region
    }

    /// Its nodes in order; operands stand before their users.
    pub fn nodes(&self) -> &[(NodeId, Arc<Node>)] {
        &self.0.nodes
    }

    /// Its parameters, in the order of the values it is called with.
    pub fn params(&self) -> &[NodeId] {
        &self.0.params
    }

    /// What it gives.
    pub fn results(&self) -> &[Output] {
        &self.0.results
    }

    /// A node of the body.
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.0.nodes.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| &self.0.nodes[at].1)
    }

    /// The type of a value inside.
    pub fn ty(&self, output: Output) -> Option<&TensorType> {
        self.node(output.node)?.outputs.get(output.index as usize)
    }

    /// The type of parameter `i`.
    pub fn param_type(&self, i: usize) -> &TensorType {
        match self.ty(Output::new(self.0.params[i], 0)) {
            Some(ty) => ty,
            None => unreachable!("a body holds its parameters"),
        }
    }

    /// The type of result `i`.
    pub fn result_type(&self, i: usize) -> &TensorType {
        match self.ty(self.0.results[i]) {
            Some(ty) => ty,
            None => unreachable!("a body holds its results"),
        }
    }

    /// The same body with further results.
    pub fn with_results(&self, more: &[Output]) -> Body {
        let results = self.0.results.iter().chain(more).copied().collect();
        Body(Arc::new(BodyData {
            region: self.0.region,
            nodes: self.0.nodes.clone(),
            params: self.0.params.clone(),
            results,
        }))
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Body) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.region == other.0.region
                && self.0.params == other.0.params
                && self.0.results == other.0.results)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({:?} -> {:?}, {} nodes)", self.0.params, self.0.results, self.0.nodes.len())
    }
}

/// A region that has been built.
pub(crate) struct Built {
    pub(crate) region: RegionId,
    pub(crate) params: Vec<NodeId>,
    pub(crate) captures: Vec<Capture>,
    pub(crate) results: Vec<Output>,
    /// Operations outside that the body must wait for.
    pub(crate) controls: Vec<NodeId>,
}

impl Graph {
    /// Builds a region inside the current one. `f` gets its declared parameters, which `origin` made, and returns its
    /// results.
    pub(crate) fn build_region(
        &self,
        params: &[TensorType],
        forward: Option<RegionId>,
        origin: &Origin,
        f: impl FnOnce(&[Tensor]) -> Result<Vec<Tensor>>,
    ) -> Result<Built> {
        let (region, outer) = {
            let mut state = self.write();
            let parent = state.context.region;
            let region = RegionId(state.regions.len() as u32 + 1);
            let first = state.nodes.len();
            state.regions.push(RegionState {
                parent,
                forward,
                open: true,
                first,
                captures: vec![],
                controls: vec![],
            });
            state.context.region = region;
            (region, parent)
        };
        let _guard =
            super::Restore { graph: self, restore: |cx, outer| cx.region = outer, saved: Some(outer) };
        let made: Vec<Tensor> = params
            .iter()
            .map(|ty| {
                self.op(Param { ty: ty.clone() }).origin(origin.clone()).try_build().map(|op| op.output(0))
            })
            .collect::<Result<_>>()?;
        let params = made.iter().map(|t| t.node).collect();
        let mut built = Built { region, params, captures: vec![], results: vec![], controls: vec![] };
        self.finish_region(&mut built, f(&made)?)?;
        Ok(built)
    }

    /// Adds to a region that is built, and gives it the results that `f` returns.
    pub(crate) fn extend_region(
        &self,
        built: &mut Built,
        f: impl FnOnce() -> Result<Vec<Tensor>>,
    ) -> Result<()> {
        self.in_region(built.region, || self.finish_region(built, f()?))
    }

    fn finish_region(&self, built: &mut Built, results: Vec<Tensor>) -> Result<()> {
        let mut state = self.write();
        // A result made outside is captured like any other use.
        built.results = results
            .iter()
            .map(|t| match t.graph_id() == self.id() {
                true => state.localise(t.output()),
                false => Err(Error::invalid("a result of the body belongs to another graph")),
            })
            .collect::<Result<Vec<_>>>()?;
        let closed = state.region_mut(built.region);
        closed.open = false;
        built.captures = closed.captures.clone();
        built.controls.append(&mut closed.controls);
        Ok(())
    }

    /// Runs `f`; what it makes belongs to no body of a loop or conditional and has no control dependencies: variables are made there, wherever they are
    /// asked for. What it uses must be outside of bodies too. TensorFlow: `tf.init_scope`.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops};
    /// let g = Graph::new();
    /// let x = g.placeholder(DType::F32, [3]);
    /// // The same noise in all rounds of the loop.
    /// let y = ops::while_loop(
    ///     |(i, _)| i.lt(10),
    ///     |(i, y)| (i + 1, y + g.outside_of_bodies(|| g.random_uniform(DType::F32, [3]))),
    ///     (g.constant(0i32), x),
    /// );
    /// ```
    pub fn outside_of_bodies<R>(&self, f: impl FnOnce() -> R) -> R {
        self.in_region(RegionId::ROOT, f)
    }

    /// Runs `f`; what it makes belongs to `region`, which may be closed, and waits for nothing: what a gradient needs of a body is added
    /// to it.
    pub(crate) fn in_region<R>(&self, region: RegionId, f: impl FnOnce() -> R) -> R {
        let saved = std::mem::replace(&mut self.write().context.region, region);
        let _guard =
            super::Restore { graph: self, restore: |cx, saved| cx.region = saved, saved: Some(saved) };
        self.clear_control_dependencies().enter(f)
    }

    /// The closed body of a built region, with its parameters in the order given.
    pub(crate) fn body(&self, built: &Built, params: Vec<NodeId>, results: Vec<Output>) -> Body {
        self.close_region(built.region, params, results)
    }

    /// The same body with further results, which may have been added to its region since it was closed.
    pub(crate) fn body_with_results(&self, body: &Body, more: &[Output]) -> Body {
        let results = body.results().iter().chain(more).copied().collect();
        self.close_region(body.region(), body.params().to_vec(), results)
    }

    fn close_region(&self, region: RegionId, params: Vec<NodeId>, results: Vec<Output>) -> Body {
        let state = self.read();
        let first = state.region(region).map_or(0, |r| r.first);
        let nodes = state.nodes[first..]
            .iter()
            .enumerate()
            .filter(|(_, node)| node.region == region)
            .map(|(i, node)| (NodeId((first + i) as u32), node.clone()))
            .collect();
        Body(Arc::new(BodyData { region, nodes, params, results }))
    }

    /// The region of a node.
    pub(crate) fn region_of(&self, node: NodeId) -> RegionId {
        self.read().nodes[node.index()].region
    }
}

impl State {
    fn region_mut(&mut self, region: RegionId) -> &mut RegionState {
        &mut self.regions[region.0 as usize - 1]
    }

    fn region(&self, region: RegionId) -> Option<&RegionState> {
        self.regions.get((region.0 as usize).wrapping_sub(1))
    }

    /// A value for use in the current region: itself, or the parameter that stands for it there.
    ///
    /// # Errors
    /// `InvalidArgument` when it belongs to a body that is closed, or that does not enclose this one.
    pub(super) fn localise(&mut self, output: Output) -> Result<Output> {
        let current = self.context.region;
        if self.nodes[output.node.index()].region == current {
            return Ok(output);
        }
        if !self.reaches(current, self.nodes[output.node.index()].region) {
            let node = &self.nodes[output.node.index()];
            return Err(Error::invalid(format!(
                "\"{}\", made at {}, is a tensor of the body of a loop or conditional and cannot be used outside of it",
                node.name, node.origin
            ))
            .with_help("return it from the body, and use the result"));
        }
        Ok(self.capture(current, output))
    }

    /// Whether nodes of `region` may use values of `from`.
    fn reaches(&self, region: RegionId, from: RegionId) -> bool {
        let mut at = region;
        loop {
            if at == from {
                return true;
            }
            match self.region(at) {
                Some(r) if r.forward == Some(from) => return true,
                Some(r) => at = r.parent,
                None => return false,
            }
        }
    }

    fn capture(&mut self, region: RegionId, output: Output) -> Output {
        let node = self.nodes[output.node.index()].clone();
        if node.region == region {
            return output;
        }
        let Some(here) = self.region(region) else { return output };
        let (parent, forward) = (here.parent, here.forward);
        let outer = if forward == Some(node.region) { output } else { self.capture(parent, output) };
        if let Some(known) = self.region(region).and_then(|r| r.captures.iter().find(|c| c.outer == outer)) {
            return Output::new(known.param, 0);
        }
        let source = self.nodes[outer.node.index()].clone();
        let ty = source.outputs[outer.index as usize].clone();
        // What a gradient uses of the turn that it goes back through is the value; a body that assigns a variable refers to it.
        let of_forward = forward == Some(source.region);
        let ty = if of_forward { TensorType::new(ty.dtype, ty.shape) } else { ty };
        let base = source.name.rsplit('/').next().unwrap_or("capture");
        let (name, _) = self.names.claim(super::join(&self.context.name_scope, base));
        let param = self.push(Node {
            op: Arc::new(Param { ty: ty.clone() }),
            name: name.into(),
            inputs: SmallVec::new(),
            controls: SmallVec::new(),
            outputs: SmallVec::from_iter([ty]),
            origin: source.origin.clone(),
            region,
        });
        self.region_mut(region).captures.push(Capture { outer, param });
        Output::new(param, 0)
    }

    /// The outer value that a parameter stands for, if it is a capture.
    pub(super) fn captured(&self, param: NodeId) -> Option<Output> {
        let region = self.region(self.nodes[param.index()].region)?;
        region.captures.iter().find(|c| c.param == param).map(|c| c.outer)
    }

    /// Of the operations that a node of the current region must wait for, those that are in this region; the others are for the
    /// loop or conditional to wait for.
    pub(super) fn local_controls(&mut self, controls: SmallVec<[NodeId; 2]>) -> SmallVec<[NodeId; 2]> {
        let current = self.context.region;
        let (local, outer): (SmallVec<[NodeId; 2]>, SmallVec<[NodeId; 2]>) =
            controls.into_iter().partition(|c| self.nodes[c.index()].region == current);
        if current != RegionId::ROOT {
            let here = self.region_mut(current);
            let new: Vec<NodeId> = outer.into_iter().filter(|c| !here.controls.contains(c)).collect();
            here.controls.extend(new);
        }
        local
    }
}
