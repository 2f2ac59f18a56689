//! Loops that export wrote as calls of functions.
//!
//! TensorFlow runs the function that is called; here the call's further attributes say which loop it is.

use rustc_hash::FxHashMap;
use tidemill_core::{Error, PartialShape, Result, Tensor, TensorType, ops};

use super::build::{Importer, NodeCx};
use super::functions::Callee;
use super::regions::Region;
use super::value::{Made, Val};
use crate::tensor;

/// The attributes of a call that make it a loop.
pub(crate) mod loop_attrs {
    /// The function of one turn.
    pub(crate) const BODY: &str = "_tidemill_loop_body";
    /// How many carries there are.
    pub(crate) const CARRIES: &str = "_tidemill_loop_carries";
    /// The function that says whether there is another turn, if there is a condition.
    pub(crate) const COND: &str = "_tidemill_loop_cond";
    /// Whether slices are taken from the last to the first.
    pub(crate) const REVERSE: &str = "_tidemill_loop_reverse";
    /// The shapes that the body takes: of carries and slices.
    pub(crate) const SHAPES: &str = "_tidemill_loop_shapes";
    /// Whether operand 0 is a trip count.
    pub(crate) const TRIP: &str = "_tidemill_loop_trip";
    /// How many xs there are.
    pub(crate) const XS: &str = "_tidemill_loop_xs";
}

/// Whether a call is a loop.
pub(super) fn is_loop(cx: &NodeCx) -> bool {
    cx.attrs.get(loop_attrs::BODY).is_some()
}

pub(super) fn counted_loop(importer: &mut Importer, cx: &NodeCx) -> Result<Made> {
    let body = cx.function(loop_attrs::BODY)?;
    let cond = cx.attrs.get(loop_attrs::COND).map(|_| cx.function(loop_attrs::COND)).transpose()?;
    let count = |name: &str| {
        let count = cx.attrs.int(name)?;
        usize::try_from(count).map_err(|_| Error::invalid(format!("attribute `{name}` is {count}")))
    };
    let (carries, xs) = (count(loop_attrs::CARRIES)?, count(loop_attrs::XS)?);
    let (trip, reverse) = (cx.attrs.bool(loop_attrs::TRIP)?, cx.attrs.bool(loop_attrs::REVERSE)?);
    let shapes: Vec<PartialShape> = cx
        .attrs
        .list(loop_attrs::SHAPES)?
        .shape
        .iter()
        .map(tensor::shape_from_proto)
        .collect::<Result<_>>()?;
    let mut operands: Vec<Tensor> = vec![];
    for i in 0..cx.inputs.len() {
        operands.push(importer.read(cx.tensor(i)?)?);
    }

    let first = usize::from(trip);
    let declared = carries.saturating_add(xs);
    let cond_captures = match &cond {
        Some(cond) => importer.arguments(cond)?.checked_sub(carries),
        None => Some(0),
    };
    let body_captures = importer.arguments(&body)?.checked_sub(declared);
    let fits =
        cond_captures.zip(body_captures).is_some_and(|(a, b)| first + declared + a + b == operands.len());
    if !fits || shapes.len() != declared {
        return Err(Error::invalid("its operands are not those of the loop that its attributes say it is"));
    }
    let (given, captured) = operands.split_at(first + declared);
    let (of_cond, of_body) = captured.split_at(cond_captures.unwrap_or(0));
    let types: Vec<TensorType> =
        given[first..].iter().zip(shapes).map(|(t, shape)| TensorType::new(t.dtype(), shape)).collect();

    let site = cx.site();
    importer.outermost(&site, None, |this| {
        let part = |this: &mut Importer, callee: &Callee, types: &[TensorType], captured: &[Tensor]| {
            let region = Region { values: FxHashMap::default(), written: vec![], carries: true };
            let built = this.region(region, types, site.node, |this, params| {
                let args: Vec<Val> = params.iter().chain(captured).map(|t| Val::Tensor(*t)).collect();
                let mut results = vec![];
                for val in this.call(callee, &args, cx.name.text().to_owned())? {
                    match val {
                        Val::Tensor(t) => results.push(this.read(t)?),
                        other => {
                            return Err(Error::unimplemented(format!("a turn gives {}", other.describe())));
                        }
                    }
                }
                Ok(results)
            });
            Ok::<_, Error>(built?.0)
        };
        let cond = cond.as_ref().map(|cond| part(this, cond, &types[..carries], of_cond)).transpose()?;
        let body = part(this, &body, &types, of_body)?;
        let parts = ops::LoopParts {
            trip: trip.then(|| given[0]),
            reverse,
            carries: given[first..first + carries].to_vec(),
            xs: given[first + carries..].to_vec(),
            cond,
            body,
        };
        let graph = this.graph;
        Ok(this.finish(parts.builder(graph)?, &site.name, &site.controls, site.node)?.into())
    })
}
