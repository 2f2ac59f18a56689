//! Less memory for more time: what a gradient needs is computed again.
//!
//! The function's operations are an ordinary part of the graph; only its results go through an [`IdentityN`], whose gradient rule makes
//! *copies* of those operations, on the values that the function took from outside, and differentiates the copies. So nothing that the
//! function computes in between has to be kept for the gradient. The copies read those values through identities that wait for
//! the gradients which flow in: nothing is computed again before it is needed, and no pass can find that it was computed
//! before.
//!
//! What draws random numbers, has effects, or reads variables is not copied: its results are kept, as values from outside are.

use rustc_hash::FxHashMap;

use super::{CustomGradient, GradCx, Gradients, Grads, differentiable};
use crate::error::{Error, Origin, Result, or_panic};
use crate::graph::{Graph, OpBuilder};
use crate::handle::Tensor;
use crate::ids::{NodeId, Output};
use crate::ops::{self, IdentityN, Nest};

/// `f(inputs)`, of whose gradient only `inputs`, and what else `f` uses from outside, are kept: what `f` computes in between is
/// computed again when the gradient is. It trades time, about one more forward computation, for memory (Chen et al., 2016, "Training deep nets with sublinear
/// memory cost"). TensorFlow: `tf.recompute_grad`.
///
/// Values and gradients, of all orders, are those of `f`; so is what is drawn at random, which is drawn once and kept. `f` may use outer tensors and make
/// variables. In the body of a loop, the loop keeps only what `f` takes of each turn.
///
/// ```
/// use tidemill_core::{DType, Graph, gradients, ops, recompute_grad};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [1000, 100]);
/// let layer = |x| recompute_grad(|x| ops::tanh(ops::exp(ops::sin(x))), x);
/// let y = (0..50).fold(x, |x, _| layer(x));
/// // Keeps what lies between the layers, and not the sines and exponentials inside of them.
/// let dx = gradients([y], [x])[0].unwrap();
/// ```
///
/// # Panics
/// When there are no inputs, or `f` returns tensors of another graph.
#[doc(alias = "checkpoint")]
#[track_caller]
pub fn recompute_grad<X: Nest, Y: Nest>(f: impl FnOnce(X) -> Y, inputs: X) -> Y {
    let origin = Origin::here();
    let given = inputs.flatten();
    let Some(graph) = given.first().map(|t| t.graph()) else {
        or_panic(Err(Error::invalid("recompute_grad needs at least one input").with_origin(origin)))
    };
    let start = graph.len();
    let nest = f(inputs);
    let results = nest.flatten();
    let recorded = Recorded::of(&graph, start, &results);
    let outside: Vec<Tensor> = recorded.outside.iter().map(|o| graph.handle(*o)).collect();
    let gradient = CustomGradient::new(move |cx| recorded.gradient(cx));
    let builder = graph.op(IdentityN { gradient: Some(gradient) }).name("recompute_grad").origin(origin);
    let made = or_panic(builder.inputs(&results).inputs(&outside).try_build());
    nest.rebuild(&mut made.outputs().into_iter())
}

/// What a function did, so that it can be done again.
struct Recorded {
    /// The operations to copy, in order.
    steps: Vec<NodeId>,
    /// What they use that none of them gives.
    outside: Vec<Output>,
    /// What the function returned.
    results: Vec<Output>,
}

impl Recorded {
    /// Of the operations made since the graph had `start` nodes, those that the results need.
    fn of(graph: &Graph, start: usize, results: &[Tensor]) -> Recorded {
        let results: Vec<Output> =
            results.iter().filter(|t| t.graph_id() == graph.id()).map(|t| t.output()).collect();
        let state = graph.read();
        let (nodes, region) = (&state.nodes, state.context.region);
        let is_ref = |o: &Output| nodes[o.node.index()].outputs[o.index as usize].is_ref;
        let copied = |id: NodeId| {
            let node = &nodes[id.index()];
            id.index() >= start
                && node.region == region
                && ops::is_pure(&*node.op)
                && !node.inputs.iter().any(is_ref)
        };
        let mut needed = vec![false; nodes.len().saturating_sub(start)];
        let mut outside: Vec<Output> = vec![];
        let mut visit = |output: &Output, needed: &mut [bool]| match copied(output.node) {
            true => needed[output.node.index() - start] = true,
            false if !outside.contains(output) => outside.push(*output),
            false => {}
        };
        results.iter().for_each(|o| visit(o, &mut needed));
        for i in (start..nodes.len()).rev() {
            if needed[i - start] {
                nodes[i].inputs.iter().for_each(|o| visit(o, &mut needed));
            }
        }
        let steps = (start..nodes.len()).filter(|i| needed[i - start]).map(|i| NodeId(i as u32)).collect();
        Recorded { steps, outside, results }
    }

    /// The gradients of the operands of the [`IdentityN`]: the results, and then what is outside.
    fn gradient(&self, cx: &GradCx) -> Result<Grads> {
        let graph = cx.graph();
        let count = self.results.len();
        let dys: Vec<(usize, Tensor)> =
            (0..count).filter_map(|i| Some((i, cx.dy_as_is(i)?.to_tensor()))).collect();
        let wait = graph.control_dependencies(dys.iter().map(|(_, dy)| dy.op()));
        let kept: Vec<Tensor> =
            wait.enter(|| (count..cx.num_inputs()).map(|i| ops::identity(cx.x(i)).named("kept")).collect());
        let mut value_of: FxHashMap<Output, Tensor> =
            self.outside.iter().copied().zip(kept.iter().copied()).collect();
        for &step in &self.steps {
            let node = graph.node(step);
            let inputs: Vec<Tensor> = node.inputs.iter().map(|o| value_of[o]).collect();
            let again = OpBuilder::again(graph, &node).inputs(&inputs).try_build()?.outputs();
            for (i, tensor) in again.into_iter().enumerate() {
                value_of.insert(Output::new(step, i as u32), tensor);
            }
        }
        let wanted: Vec<usize> =
            (0..kept.len()).filter(|i| cx.needs(count + i) && differentiable(kept[*i].dtype())).collect();
        let mut grads: Grads = (0..cx.num_inputs()).map(|_| None).collect();
        if wanted.is_empty() || dys.is_empty() {
            return Ok(grads);
        }
        let ys = dys.iter().map(|(i, _)| value_of[&self.results[*i]]);
        let found = Gradients::of(ys)
            .grad_ys(dys.iter().map(|(_, dy)| Some(*dy)))
            .with_respect_to(wanted.iter().map(|i| kept[*i]))?;
        for (i, gradient) in wanted.into_iter().zip(found) {
            grads[count + i] = gradient;
        }
        Ok(grads)
    }
}
