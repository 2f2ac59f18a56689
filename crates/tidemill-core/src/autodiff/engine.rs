//! The sweep from the `ys` back to the `xs`.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use tidemill_tensor::DType;

use super::{GradCx, Gradient, IndexedSlices};
use crate::error::{Error, Result, or_panic};
use crate::graph::{Graph, Node};
use crate::handle::Tensor;
use crate::ids::{NodeId, Output};
use crate::ops;

/// The gradient of the sum of `ys` with respect to each of `xs`; `None` where no path leads from one to the other.
///
/// `d(sum ys)/dx`, one tensor of the shape of `x` for each `x`. Sparse gradients (of [`gather`](crate::ops::gather)) are made
/// dense; [`Gradients`] keeps them, and takes `grad_ys` and `stop_gradients` too.
///
/// # Panics
/// With the rendered error at the caller's line: when an op on the way has no gradient, or tensors belong to several graphs.
///
/// ```
/// use tidemill_core::{DType, Graph, gradients};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [3]);
/// let dx = gradients([x * x], [x])[0].unwrap();
/// assert_eq!(dx.shape().to_string(), "[3]");
/// ```
#[track_caller]
pub fn gradients<Y, X>(ys: Y, xs: X) -> Vec<Option<Tensor>>
where
    Y: IntoIterator<Item: Into<Tensor>>,
    X: IntoIterator<Item: Into<Tensor>>,
{
    let all = or_panic(try_gradients(ys, xs));
    all.into_iter().map(|g| g.map(Gradient::to_tensor)).collect()
}

/// [`gradients`] as a `Result`, with sparse gradients kept sparse.
///
/// # Errors
/// As [`gradients`] panics.
#[track_caller]
pub fn try_gradients<Y, X>(ys: Y, xs: X) -> Result<Vec<Option<Gradient>>>
where
    Y: IntoIterator<Item: Into<Tensor>>,
    X: IntoIterator<Item: Into<Tensor>>,
{
    Gradients::of(ys).with_respect_to(xs)
}

/// [`gradients`] with all options.
///
/// ```
/// use tidemill_core::{DType, Graph, Gradients};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [3]);
/// let y = x * x;
/// let seed = g.placeholder(DType::F32, [3]);
/// let dx = Gradients::of([y]).grad_ys([Some(seed)]).with_respect_to([x]).unwrap()[0];
/// assert!(dx.is_some());
/// ```
#[derive(Debug, Clone)]
pub struct Gradients {
    ys: Vec<Tensor>,
    grad_ys: Vec<Option<Tensor>>,
    stops: Vec<Tensor>,
    name: String,
}

impl Gradients {
    /// The gradients of the sum of `ys`.
    pub fn of<Y: IntoIterator<Item: Into<Tensor>>>(ys: Y) -> Gradients {
        let ys = ys.into_iter().map(Into::into).collect();
        Gradients { ys, grad_ys: vec![], stops: vec![], name: "gradients".to_owned() }
    }

    /// What flows into each `y`, of its shape and dtype; ones where `None`.
    pub fn grad_ys<G: IntoIterator<Item = Option<Tensor>>>(mut self, grad_ys: G) -> Self {
        self.grad_ys = grad_ys.into_iter().collect();
        self
    }

    /// Tensors that count as constants.
    pub fn stop_gradients<S: IntoIterator<Item: Into<Tensor>>>(mut self, stops: S) -> Self {
        self.stops = stops.into_iter().map(Into::into).collect();
        self
    }

    /// The name scope of the new nodes; `gradients` if not given.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Builds the gradients with respect to `xs`.
    ///
    /// # Errors
    /// `InvalidArgument` when tensors belong to several graphs, a `y` is not of a floating type, or a `grad_y` does not fit
    /// its `y`; `Unimplemented` when an op on the way has no gradient; `Internal` when a gradient rule gives the wrong number
    /// of gradients, or one of another dtype or shape.
    #[track_caller]
    pub fn with_respect_to<X: IntoIterator<Item: Into<Tensor>>>(
        self,
        xs: X,
    ) -> Result<Vec<Option<Gradient>>> {
        let xs: Vec<Tensor> = xs.into_iter().map(Into::into).collect();
        let Some(first) = self.ys.first() else {
            return Err(Error::invalid("gradients need at least one y"));
        };
        let graph = first.graph();
        if self.ys.iter().chain(&xs).chain(&self.stops).any(|t| t.graph_id() != graph.id()) {
            return Err(Error::invalid("ys and xs of gradients belong to different graphs"));
        }
        graph.name_scope(&self.name).enter(|| Sweep::new(&graph, &self, &xs)?.run(&self, &xs))
    }
}

/// Whether tensors of this dtype have gradients: lists of tensors may have, as what is in them has.
pub(crate) fn differentiable(dtype: DType) -> bool {
    dtype.is_inexact() || dtype == DType::Variant
}

struct Sweep<'g> {
    graph: &'g Graph,
    nodes: Vec<Arc<Node>>,
    /// How many uses of each node's outputs on the way from xs to ys have not been differentiated yet.
    pending: FxHashMap<NodeId, usize>,
    /// Where the sweep ends: xs that depend on no other x, and stops.
    stops: FxHashSet<NodeId>,
    collected: FxHashMap<Output, SmallVec<[Gradient; 2]>>,
}

impl<'g> Sweep<'g> {
    fn new(graph: &'g Graph, request: &Gradients, xs: &[Tensor]) -> Result<Sweep<'g>> {
        let nodes = graph.nodes();
        // Forward: what depends on an x. Operands stand before their users, so one pass in order does.
        let mut reached = vec![false; nodes.len()];
        xs.iter().for_each(|x| reached[x.node.index()] = true);
        let stopped: FxHashSet<NodeId> = request.stops.iter().map(|s| s.node).collect();
        for (i, node) in nodes.iter().enumerate() {
            let differentiable = |o: &Output| {
                let source = &nodes[o.node.index()];
                reached[o.node.index()] && differentiable(source.outputs[o.index as usize].dtype)
            };
            if !reached[i] && node.inputs.iter().any(differentiable) {
                reached[i] = true;
            }
        }
        // Backward: what of that a y depends on.
        let mut between = vec![false; nodes.len()];
        request.ys.iter().for_each(|y| between[y.node.index()] = reached[y.node.index()]);
        for i in (0..nodes.len()).rev() {
            if between[i] && !stopped.contains(&NodeId(i as u32)) {
                nodes[i].inputs.iter().for_each(|o| between[o.node.index()] |= reached[o.node.index()]);
            }
        }
        let mut pending = FxHashMap::default();
        for (i, node) in nodes.iter().enumerate().filter(|(i, _)| between[*i]) {
            pending.entry(NodeId(i as u32)).or_insert(0);
            if !stopped.contains(&NodeId(i as u32)) {
                for o in node.inputs.iter().filter(|o| between[o.node.index()]) {
                    *pending.entry(o.node).or_insert(0) += 1;
                }
            }
        }
        let no_way_on = |x: &&Tensor| {
            let inputs = &nodes[x.node.index()].inputs;
            !inputs.iter().any(|o| pending.get(&o.node).is_some_and(|n| *n > 0))
        };
        let mut stops: FxHashSet<NodeId> = xs.iter().filter(no_way_on).map(|x| x.node).collect();
        stops.extend(stopped);
        Ok(Sweep { graph, nodes, pending, stops, collected: FxHashMap::default() })
    }

    fn run(mut self, request: &Gradients, xs: &[Tensor]) -> Result<Vec<Option<Gradient>>> {
        for (i, &y) in request.ys.iter().enumerate() {
            let gradient = self.initial(y, request.grad_ys.get(i).copied().flatten(), i)?;
            self.collected.entry(y.output()).or_default().push(gradient.into());
        }
        let mut queue = VecDeque::new();
        for y in &request.ys {
            if self.pending.get(&y.node) == Some(&0) && !queue.contains(&y.node) {
                queue.push_back(y.node);
            }
        }
        while let Some(id) = queue.pop_front() {
            let node = self.nodes[id.index()].clone();
            let dys = self.aggregate(id, &node);
            if !self.stops.contains(&id) && dys.iter().any(Option::is_some) {
                self.step(id, &node, &dys)?;
            }
            if !self.stops.contains(&id) {
                for input in &node.inputs {
                    if let Some(pending) = self.pending.get_mut(&input.node) {
                        *pending -= 1;
                        if *pending == 0 {
                            queue.push_back(input.node);
                        }
                    }
                }
            }
        }
        Ok(xs.iter().map(|x| self.collected.get(&x.output()).and_then(|c| c.first().copied())).collect())
    }

    /// What flows into `y` from outside.
    fn initial(&self, y: Tensor, given: Option<Tensor>, i: usize) -> Result<Tensor> {
        let ty = y.ty();
        if !ty.dtype.is_inexact() {
            return Err(Error::invalid(format!(
                "gradients of {y:?}: only floating and complex tensors have gradients"
            ))
            .with_help("cast it to f32 before the part to differentiate"));
        }
        let Some(given) = given else {
            if ty.dtype.is_complex() {
                return Err(Error::invalid(format!(
                    "gradients of {y:?}: what flows into a complex tensor must be given"
                ))
                .with_help("pass grad_ys, or differentiate a real number, such as ops::complex_abs(y)"));
            }
            return Ok(ops::ones_shaped(self.graph, ops::shape(y), ty.dtype).named(&format!("grad_ys_{i}")));
        };
        let have = given.ty();
        if have.dtype != ty.dtype || !have.shape.is_compatible_with(&ty.shape) {
            return Err(Error::invalid(format!("grad_ys[{i}] is {have}, but ys[{i}] is {ty}")));
        }
        Ok(given)
    }

    /// Adds up what has flowed into each output of a node, and remembers the sum.
    fn aggregate(&mut self, id: NodeId, node: &Node) -> SmallVec<[Option<Gradient>; 2]> {
        (0..node.outputs.len() as u32)
            .map(|index| {
                let parts = self.collected.get_mut(&Output::new(id, index))?;
                let sum = match &parts[..] {
                    [one] => *one,
                    all => add_up(all),
                };
                *parts = SmallVec::from_slice(&[sum]);
                Some(sum)
            })
            .collect()
    }

    /// Differentiates one node.
    fn step(&mut self, id: NodeId, node: &Arc<Node>, dys: &[Option<Gradient>]) -> Result<()> {
        let needed: SmallVec<[bool; 4]> =
            node.inputs.iter().map(|i| self.pending.contains_key(&i.node)).collect();
        let cx = GradCx { graph: self.graph, id, node: node.clone(), dys, needed: &needed };
        let fail = |e: Error| e.with_node(node.op.name(), &node.name).with_origin(node.origin.clone());
        let scope = format!("{}_grad", node.name);
        let grads = self
            .graph
            .as_gradient_of(&node.name, &node.origin, || {
                self.graph.name_scope(&scope).enter(|| node.op.grad(&cx))
            })
            .map_err(fail)?;
        if grads.len() != node.inputs.len() {
            return Err(fail(Error::internal(format!(
                "the gradient rule gives {} gradients for {} inputs",
                grads.len(),
                node.inputs.len()
            ))));
        }
        for (i, (input, gradient)) in node.inputs.iter().zip(grads).enumerate() {
            let Some(gradient) = gradient else { continue };
            let want = &self.nodes[input.node.index()].outputs[input.index as usize];
            let have = gradient.values().ty();
            let fits = match gradient {
                Gradient::Dense(_) => have.shape.is_compatible_with(&want.shape),
                Gradient::Sparse(_) => true,
            };
            if have.dtype != want.dtype || !fits {
                return Err(fail(Error::internal(format!(
                    "the gradient rule gives {have} for input {i}, which is {want}"
                ))));
            }
            if needed[i] {
                self.collected.entry(*input).or_default().push(gradient);
            }
        }
        Ok(())
    }
}

fn add_up(parts: &[Gradient]) -> Gradient {
    let sparse: Option<Vec<IndexedSlices>> = parts
        .iter()
        .map(|g| match g {
            Gradient::Sparse(s) => Some(*s),
            Gradient::Dense(_) => None,
        })
        .collect();
    match sparse {
        Some(all) => IndexedSlices::sum(&all).into(),
        None => {
            let of = |g: &Gradient| match g {
                Gradient::Dense(t) => Some(*t),
                Gradient::Sparse(_) => None,
            };
            let dense = ops::add_n(parts.iter().filter_map(of).collect::<Vec<Tensor>>());
            let sparse = parts.iter().filter(|g| of(g).is_none());
            sparse.fold(dense, |sum, slices| slices.add_to(sum)).into()
        }
    }
}
