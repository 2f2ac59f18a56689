//! Gradients of loops and conditionals.
//!
//! The gradient of a loop is a loop: it runs through the turns backwards, carries the gradients of the carries, adds up those of the
//! captures, and stacks those of the xs. Its body is the ordinary gradient of the forward body, built in a region whose *forward*
//! region is that body; what it uses of the forward turn is thereby captured. A captured slice of the xs is scanned again, a capture
//! of the forward body is captured again, what is made of those and constants alone is made again outside, and whatever else is
//! needed is a *residual*: a copy of the forward loop stacks it, turn by turn. The gradient of a conditional is a conditional on the same predicate; a copy of the forward conditional hands out the
//! residuals of the branch that it takes, and [`FakeParam`]s for those of the other.
//!
//! The copy stands where the forward operation stands, inside of the same body if that is in one, so that its residuals can be
//! residuals of the loop around it. The session finds that copies do what the operation does and runs one for all
//! (`Merged` in the session's `program`), so the graph is never changed, everything runs once, and what is random or has effects is
//! never computed again. As everything is an ordinary [`Loop`] or [`If`], gradients of gradients come by themselves.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::region::close;
use super::{FakeParam, If, Loop, is_pure};
use crate::autodiff::{GradCx, Gradient, Gradients, Grads, differentiable};
use crate::error::{Origin, Result};
use crate::graph::{Body, Graph, Node, OpBuilder};
use crate::handle::Tensor;
use crate::ids::{NodeId, Output};
use crate::infer::TensorType;
use crate::op::Op;
use crate::ops::{self, Const};

pub(super) fn of_loop(op: &Loop, cx: &GradCx) -> Result<Grads> {
    let graph = cx.graph();
    let layout = op.layout();
    let body = &op.body;
    let flows = |ty: &TensorType| differentiable(ty.dtype) && !ty.is_ref;
    // What gradients are kept of: every carry that has them, and the captures and xs that someone wants one of.
    let carries: Vec<usize> = (0..op.carries).filter(|c| flows(body.param_type(*c))).collect();
    let ys: Vec<usize> = (0..layout.ys)
        .filter(|y| flows(body.result_type(op.carries + y)) && cx.dy_as_is(op.carries + y).is_some())
        .collect();
    let wanted = |operand: usize, param: usize| cx.needs(operand) && flows(body.param_type(param));
    let xs: Vec<usize> = (0..op.xs).filter(|x| wanted(layout.xs + x, op.carries + x)).collect();
    let first_capture = op.carries + op.xs;
    let captures: Vec<usize> = (first_capture..body.params().len())
        .filter(|p| wanted(layout.body_captures + p - first_capture, *p))
        .collect();

    let value = |o: Output| graph.handle(o);
    let param = |p: usize| value(Output::new(body.params()[p], 0));
    let mut types: Vec<TensorType> = carries.iter().map(|c| value_type(body.param_type(*c))).collect();
    types.extend(captures.iter().map(|p| value_type(body.param_type(*p))));
    types.extend(ys.iter().map(|y| value_type(body.result_type(op.carries + y))));
    let turn = graph.build_region(&types, Some(body.region()), &Origin::here(), |params| {
        let (d_carries, rest) = params.split_at(carries.len());
        let (sums, d_ys) = rest.split_at(captures.len());
        let outputs = carries.iter().copied().chain(ys.iter().map(|y| op.carries + y));
        let outputs: Vec<Tensor> = outputs.map(|r| value(body.results()[r])).collect();
        let of: Vec<Tensor> = carries
            .iter()
            .map(|c| param(*c))
            .chain(xs.iter().map(|x| param(op.carries + x)))
            .chain(captures.iter().map(|p| param(*p)))
            .collect();
        let found = if outputs.is_empty() {
            vec![None; of.len()]
        } else {
            let seeds = d_carries.iter().chain(d_ys).map(|t| Some(*t));
            Gradients::of(outputs).grad_ys(seeds).with_respect_to(of.clone())?
        };
        let dense = |i: usize| match found[i] {
            Some(gradient) => gradient.to_tensor(),
            None => ops::zeros_like(of[i]),
        };
        let mut results: Vec<Tensor> = (0..carries.len()).map(dense).collect();
        for (k, sum) in sums.iter().enumerate() {
            results.push(match found[carries.len() + xs.len() + k] {
                Some(gradient) => gradient.add_to(*sum),
                None => *sum,
            });
        }
        results.extend((carries.len()..carries.len() + xs.len()).map(dense));
        Ok(results)
    })?;

    // Where each value captured from the forward turn comes from.
    let mut scanned: Vec<(NodeId, Tensor)> = vec![];
    let mut residuals: Vec<(NodeId, Output)> = vec![];
    let mut outer: Vec<(NodeId, Tensor)> = vec![];
    let operands = cx.xs();
    let mut invariants = Invariants::of(graph, body, first_capture, &operands[layout.body_captures..]);
    for capture in &turn.captures {
        let from_forward = graph.region_of(capture.outer.node) == body.region();
        let place = body.params().iter().position(|p| *p == capture.outer.node);
        match place {
            _ if !from_forward => outer.push((capture.param, value(capture.outer))),
            Some(p) if (op.carries..first_capture).contains(&p) => {
                scanned.push((capture.param, cx.x(layout.xs + p - op.carries)));
            }
            _ => match invariants.outside(capture.outer)? {
                Some(same) => outer.push((capture.param, same)),
                None => residuals.push((capture.param, capture.outer)),
            },
        }
    }
    let forward = if residuals.is_empty() {
        (0..cx.num_outputs()).map(|i| cx.y(i)).collect()
    } else {
        let stacked: Vec<Output> = residuals.iter().map(|(_, o)| *o).collect();
        copy(cx, Loop { body: graph.body_with_results(body, &stacked), ..op.clone() })?
    };
    let own_results = op.carries + layout.ys;
    let turns = forward[forward.len() - 1];
    scanned.extend(residuals.iter().enumerate().map(|(i, (param, _))| (*param, forward[own_results + i])));

    let mut starts: Vec<Tensor> = carries.iter().map(|c| cx.dy(*c)).collect();
    starts.extend(captures.iter().map(|p| ops::zeros_like(cx.x(layout.body_captures + p - first_capture))));
    let mut params: Vec<NodeId> = turn.params.clone();
    params.extend(scanned.iter().map(|(p, _)| *p));
    params.extend(outer.iter().map(|(p, _)| *p));
    let mut operands = vec![turns];
    operands.extend(&starts);
    operands.extend(ys.iter().map(|y| cx.dy(op.carries + y)));
    operands.extend(scanned.iter().map(|(_, t)| *t));
    operands.extend(outer.iter().map(|(_, t)| *t));
    let backward = Loop {
        trip: true,
        reverse: !op.reverse,
        carries: starts.len(),
        xs: ys.len() + scanned.len(),
        cond: None,
        body: graph.body(&turn, params, turn.results.clone()),
    };
    let made = graph.op(backward).name("backward").inputs(&operands).tensors();

    let mut grads: Grads = SmallVec::from_elem(None, cx.num_inputs());
    let mut give = |operand: usize, t: Tensor| grads[operand] = Some(Gradient::Dense(t));
    let mut results = made.into_iter();
    for (c, t) in carries.iter().zip(&mut results) {
        give(layout.carries + c, t);
    }
    for (p, t) in captures.iter().zip(&mut results) {
        give(layout.body_captures + p - first_capture, t);
    }
    for (x, t) in xs.iter().zip(&mut results) {
        give(layout.xs + x, t);
    }
    Ok(grads)
}

pub(super) fn of_if(op: &If, cx: &GradCx) -> Result<Grads> {
    let graph = cx.graph();
    let results: Vec<usize> = (0..cx.num_outputs())
        .filter(|i| differentiable(cx.y_type(*i).dtype) && cx.dy_as_is(*i).is_some())
        .collect();
    let d_results: Vec<Tensor> = results.iter().map(|i| cx.dy(*i)).collect();
    let branches = [(&op.then, 1), (&op.orelse, 1 + op.then.params().len())];
    let flows = |i: usize| {
        let (body, first) = branches[usize::from(i >= branches[1].1)];
        let ty = body.param_type(i - first);
        differentiable(ty.dtype) && !ty.is_ref
    };
    let wanted: Vec<usize> = (1..cx.num_inputs()).filter(|i| cx.needs(*i) && flows(*i)).collect();
    // A branch gives the gradients of all captures; of the other branch's, zeros.
    let backward = |(body, first): (&Body, usize)| {
        let own = |i: &usize| (first..first + body.params().len()).contains(i);
        let param = |i: &usize| graph.handle(Output::new(body.params()[i - first], 0));
        graph.build_region(&[], Some(body.region()), &Origin::here(), |_| {
            let of: Vec<Tensor> = wanted.iter().filter(|i| own(i)).map(param).collect();
            let outputs: Vec<Tensor> = results.iter().map(|r| graph.handle(body.results()[*r])).collect();
            let mut found = if outputs.is_empty() || of.is_empty() {
                vec![None; of.len()].into_iter()
            } else {
                let seeds = d_results.iter().map(|t| Some(*t));
                Gradients::of(outputs).grad_ys(seeds).with_respect_to(of)?.into_iter()
            };
            Ok(wanted
                .iter()
                .map(|i| match if own(i) { found.next().flatten() } else { None } {
                    Some(gradient) => gradient.to_tensor(),
                    None => ops::zeros_like(cx.x(*i)),
                })
                .collect())
        })
    };
    let turns = [backward(branches[0])?, backward(branches[1])?];

    // Where each value captured from a forward branch comes from: an operand, or else it is a residual.
    let inside = |b: usize, o: Output| graph.region_of(o.node) == branches[b].0.region();
    let operand = |b: usize, o: Output| {
        let (body, first) = branches[b];
        match inside(b, o) {
            true => body.params().iter().position(|p| *p == o.node).map(|p| cx.x(first + p)),
            false => Some(graph.handle(o)),
        }
    };
    let residuals: [Vec<Output>; 2] = [0, 1].map(|b| {
        let captured = turns[b].captures.iter().map(|c| c.outer);
        captured.filter(|o| operand(b, *o).is_none()).collect()
    });
    let forward = if residuals.iter().all(Vec::is_empty) {
        vec![]
    } else {
        let fakes = |body: &Body, residuals: &[Output]| -> Result<Vec<Output>> {
            graph.in_region(body.region(), || {
                let fake = |o: &Output| {
                    let ty = graph.handle(*o).ty();
                    let fake = FakeParam { dtype: ty.dtype, shape: ty.shape };
                    Ok(graph.op(fake).try_build()?.output(0).output())
                };
                residuals.iter().map(fake).collect()
            })
        };
        let [a, b] = &residuals;
        let then = [a.clone(), fakes(&op.then, b)?].concat();
        let orelse = [fakes(&op.orelse, a)?, b.clone()].concat();
        let then = graph.body_with_results(&op.then, &then);
        copy(cx, If { then, orelse: graph.body_with_results(&op.orelse, &orelse) })?
    };
    let mut handed_out = forward.iter().skip(cx.num_outputs());
    let mut operands = vec![];
    for (b, turn) in turns.iter().enumerate() {
        for capture in &turn.captures {
            operands.extend(operand(b, capture.outer).or_else(|| handed_out.next().copied()));
        }
    }
    let [then, orelse] = turns.map(|turn| close(graph, &turn).0);
    let backward = If { then, orelse };
    let made = graph.op(backward).name("backward").input(cx.x(0)).inputs(&operands).tensors();
    let mut grads: Grads = SmallVec::from_elem(None, cx.num_inputs());
    for (i, t) in wanted.iter().zip(made) {
        grads[*i] = Some(Gradient::Dense(t));
    }
    Ok(grads)
}

/// The values of a body that are the same in every turn, because they are made of captures and constants alone.
struct Invariants<'a> {
    graph: &'a Graph,
    body: &'a Body,
    /// For each value that was asked for, the like of it outside of the loop, if it is the same in every turn.
    known: FxHashMap<Output, Option<Tensor>>,
}

impl<'a> Invariants<'a> {
    /// Those of a body whose parameters from `first` on are these captures.
    fn of(graph: &'a Graph, body: &'a Body, first: usize, captures: &[Tensor]) -> Invariants<'a> {
        let params = body.params().iter().map(|p| Output::new(*p, 0)).enumerate();
        let known = params.map(|(i, p)| (p, i.checked_sub(first).map(|i| captures[i]))).collect();
        Invariants { graph, body, known }
    }

    /// Makes a value of the body outside of it, if it is the same in every turn.
    fn outside(&mut self, value: Output) -> Result<Option<Tensor>> {
        // What stands on each other may be deep: operands first, by a list of what is still to be made.
        let mut waiting = vec![value];
        while let Some(next) = waiting.last().copied() {
            if self.known.contains_key(&next) {
                waiting.pop();
                continue;
            }
            let node = self.graph.node(next.node);
            let same = self.may_be_the_same(&node);
            if same && let Some(o) = node.inputs.iter().find(|o| !self.known.contains_key(*o)) {
                waiting.push(*o);
                continue;
            }
            let inputs = match same {
                true => node.inputs.iter().map(|o| self.known[o]).collect(),
                false => None::<Vec<Tensor>>,
            };
            let made = match inputs {
                Some(inputs) => OpBuilder::again(self.graph, &node).inputs(&inputs).try_build()?.outputs(),
                None => vec![],
            };
            for index in 0..node.outputs.len() {
                self.known.insert(Output::new(next.node, index as u32), made.get(index).copied());
            }
        }
        Ok(self.known[&value])
    }

    /// Whether an operation of the body gives the same in every turn if its operands do, and cannot fail where there is no turn: as it could on the
    /// integers that it is given, an index out of range for one, unless those are constants.
    fn may_be_the_same(&self, node: &Node) -> bool {
        let harmless = |o: &Output| {
            let source = self.graph.node(o.node);
            let ty = &source.outputs[o.index as usize];
            source.op.is::<Const>() || (ty.dtype.is_float() && !ty.is_ref)
        };
        node.region == self.body.region()
            && node.controls.is_empty()
            && is_pure(&*node.op)
            && node.inputs.iter().all(harmless)
    }
}

/// The type of a value, also of a variable's.
fn value_type(ty: &TensorType) -> TensorType {
    TensorType::new(ty.dtype, ty.shape.clone())
}

/// A copy of the forward operation as `op`, where that stands: on the same operands, waiting for the same operations.
fn copy(cx: &GradCx, op: impl Op) -> Result<Vec<Tensor>> {
    let graph = cx.graph();
    let node = cx.forward();
    graph.in_region(node.region, || {
        let builder = graph.op(op).name("forward").inputs(&cx.xs());
        let waits = node.controls.iter().map(|c| graph.operation_of(*c));
        Ok(waits.fold(builder, |b, c| b.control(c)).try_build()?.outputs())
    })
}
