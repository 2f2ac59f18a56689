//! Gradients of loops and conditionals.
//!
//! The gradient of a loop is a loop: it runs through the turns backwards, carries the gradients of the carries, adds up those of the
//! captures, and stacks those of the xs. Its body is the ordinary gradient of the forward body, built in a region whose *forward*
//! region is that body; what it uses of the forward turn is thereby captured. A captured slice of the xs is scanned again, a capture
//! of the forward body is captured again, and whatever else is needed is a *residual*: a copy of the forward loop stacks it, turn by
//! turn. The session finds that the two forward loops do the same and runs one (`passes::merge_loops`), so the graph is never changed.
//! As everything is an ordinary [`Loop`], gradients of gradients come by themselves.
//!
//! The gradient of a conditional is a conditional on the same predicate, whose branches run the forward branch again and then its
//! gradient: what a branch has computed cannot be handed out of a conditional whose other branch has not computed it.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{If, Loop};
use crate::autodiff::{GradCx, Gradient, Gradients, Grads};
use crate::error::{Error, Origin, Result};
use crate::graph::{Body, Graph};
use crate::handle::Tensor;
use crate::ids::{NodeId, Output};
use crate::infer::TensorType;
use crate::ops;

pub(super) fn of_loop(op: &Loop, cx: &GradCx) -> Result<Grads> {
    let graph = cx.graph();
    let layout = op.layout();
    let body = &op.body;
    let is_float = |ty: &TensorType| ty.dtype.is_float();
    // What gradients are kept of: every floating carry, and the captures and xs that someone wants one of.
    let carries: Vec<usize> = (0..op.carries).filter(|c| is_float(body.param_type(*c))).collect();
    let ys: Vec<usize> = (0..layout.ys)
        .filter(|y| is_float(body.result_type(op.carries + y)) && cx.dy_as_is(op.carries + y).is_some())
        .collect();
    let wanted = |operand: usize, param: usize| cx.needs(operand) && is_float(body.param_type(param));
    let xs: Vec<usize> = (0..op.xs).filter(|x| wanted(layout.xs + x, op.carries + x)).collect();
    let first_capture = op.carries + op.xs;
    let captures: Vec<usize> = (first_capture..body.params().len())
        .filter(|p| wanted(layout.body_captures + p - first_capture, *p))
        .collect();

    let value = |o: Output| graph.handle(o);
    let param = |p: usize| value(Output::new(body.params()[p], 0));
    let own = |ty: &TensorType| TensorType::new(ty.dtype, ty.shape.clone());
    let mut types: Vec<TensorType> = carries.iter().map(|c| own(body.param_type(*c))).collect();
    types.extend(captures.iter().map(|p| own(body.param_type(*p))));
    types.extend(ys.iter().map(|y| own(body.result_type(op.carries + y))));
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
                Some(gradient) => *sum + gradient.to_tensor(),
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
    for capture in &turn.captures {
        let from_forward = graph.region_of(capture.outer.node) == body.region();
        let place = body.params().iter().position(|p| *p == capture.outer.node);
        match place {
            _ if !from_forward => outer.push((capture.param, value(capture.outer))),
            Some(p) if p >= first_capture => {
                outer.push((capture.param, cx.x(layout.body_captures + p - first_capture)));
            }
            Some(p) if p >= op.carries => scanned.push((capture.param, cx.x(layout.xs + p - op.carries))),
            _ => residuals.push((capture.param, capture.outer)),
        }
    }
    let forward = if residuals.is_empty() {
        (0..cx.num_outputs()).map(|i| cx.y(i)).collect()
    } else {
        let stacked: Vec<Output> = residuals.iter().map(|(_, o)| *o).collect();
        let op = Loop { body: body.with_results(&stacked), ..op.clone() };
        graph.op(op).name("forward").inputs(&cx.xs()).tensors()
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
    let results: Vec<usize> = (0..cx.num_outputs()).filter(|i| cx.y_type(*i).dtype.is_float()).collect();
    let d_results: Vec<Tensor> = results.iter().map(|i| cx.dy(*i)).collect();
    let captures: Vec<usize> =
        (1..cx.num_inputs()).filter(|i| cx.needs(*i) && cx.x_type(*i).dtype.is_float()).collect();
    let first_else = 1 + op.then.params().len();
    // A branch gives the gradients of all captures; of the other branch's, zeros.
    let branch = |body: &Body, first: usize| {
        graph.build_region(&[], None, &Origin::here(), |_| {
            let operands: Vec<Tensor> =
                (0..body.params().len()).map(|p| ops::identity(cx.x(first + p))).collect();
            let again = inline(graph, body, &operands)?;
            let own = |i: &usize| (first..first + operands.len()).contains(i);
            let of: Vec<Tensor> = captures.iter().filter(|i| own(i)).map(|i| operands[i - first]).collect();
            let outputs: Vec<Tensor> = results.iter().map(|r| again[*r]).collect();
            let mut found = if outputs.is_empty() || of.is_empty() {
                vec![None; of.len()].into_iter()
            } else {
                let seeds = d_results.iter().map(|t| Some(*t));
                Gradients::of(outputs).grad_ys(seeds).with_respect_to(of)?.into_iter()
            };
            Ok(captures
                .iter()
                .map(|i| match if own(i) { found.next().flatten() } else { None } {
                    Some(gradient) => gradient.to_tensor(),
                    None => ops::zeros_like(cx.x(*i)),
                })
                .collect())
        })
    };
    let (then, orelse) = (branch(&op.then, 1)?, branch(&op.orelse, first_else)?);
    let ((then, a), (orelse, b)) = (super::loops::close(graph, &then), super::loops::close(graph, &orelse));
    let operands: Vec<Tensor> = a.iter().chain(&b).map(|o| graph.handle(*o)).collect();
    let made = graph.op(If { then, orelse }).name("cond").input(cx.x(0)).inputs(&operands).tensors();
    let mut grads: Grads = SmallVec::from_elem(None, cx.num_inputs());
    for (i, t) in captures.iter().zip(made) {
        grads[*i] = Some(Gradient::Dense(t));
    }
    Ok(grads)
}

/// Adds the nodes of a body to the current region, with `operands` in place of its parameters, and returns its results.
fn inline(graph: &Graph, body: &Body, operands: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut made: FxHashMap<NodeId, Vec<Tensor>> = FxHashMap::default();
    for (param, operand) in body.params().iter().zip(operands) {
        made.insert(*param, vec![*operand]);
    }
    let find = |made: &FxHashMap<NodeId, Vec<Tensor>>, o: &Output| {
        made.get(&o.node)
            .and_then(|outputs| outputs.get(o.index as usize).copied())
            .ok_or_else(|| Error::internal("a body uses a value that it does not have"))
    };
    for (id, node) in body.nodes() {
        if made.contains_key(id) {
            continue;
        }
        let operands: Vec<Tensor> = node.inputs.iter().map(|o| find(&made, o)).collect::<Result<_>>()?;
        let name = node.name.rsplit('/').next().unwrap_or(&node.name).to_owned();
        let origin: Origin = node.origin.clone();
        let builder =
            crate::graph::OpBuilder::new(graph, node.op.clone()).name(name).inputs(&operands).origin(origin);
        let controls = node.controls.iter().filter_map(|c| made.get(c)?.first().copied());
        let copy = controls.fold(builder, |b, c| b.control(c)).try_build()?;
        made.insert(*id, copy.outputs());
    }
    body.results().iter().map(|o| find(&made, o)).collect()
}
