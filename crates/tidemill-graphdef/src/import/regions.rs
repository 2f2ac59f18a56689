//! Bodies of loops and conditionals, and variables that they write.
//!
//! The core assigns to variables outside of bodies only. A variable that a body writes is therefore one more value that the body gives: a loop carries it,
//! a conditional gives it from both branches, and it is assigned once, behind the outermost one.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tidemill_core::{Error, OpBuilder, Operation, PartialShape, Result, Tensor, TensorType, ops};

use super::build::{Importer, Name};
use super::value::Val;

/// A body that is being built.
pub(super) struct Region {
    /// Variables whose value it has for itself.
    pub(super) values: FxHashMap<Tensor, Tensor>,
    /// Those that it has written, in the order of the first writes.
    pub(super) written: Vec<Tensor>,
    /// Whether it is the body of a loop, which can only write what it carries.
    pub(super) carries: bool,
}

/// Why a loop has to be built again.
pub(super) enum Again {
    /// It writes this variable.
    Writes(Tensor),
    /// What it carries has these types.
    Wider(Vec<TensorType>),
}

/// Which part of a loop is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Cond,
    Body,
}

/// The node that becomes a loop or conditional.
pub(super) struct Site<'n> {
    pub(super) name: Name,
    pub(super) controls: SmallVec<[Operation; 2]>,
    /// What errors call it.
    pub(super) node: &'n str,
}

/// How often a loop is built again before nothing is taken to be known of the shapes that it carries.
const ATTEMPTS: usize = 8;

impl Importer<'_> {
    /// A tensor as a value: in a body, the value of a variable for its reference.
    pub(super) fn read(&mut self, tensor: Tensor) -> Result<Tensor> {
        match self.regions.is_empty() || !tensor.ty().is_ref {
            true => Ok(tensor),
            false => self.value_of(tensor),
        }
    }

    /// The value of a variable.
    fn value_of(&mut self, variable: Tensor) -> Result<Tensor> {
        let inner = self.regions.iter().rev().find_map(|region| region.values.get(&variable));
        if let Some(value) = inner.or_else(|| self.outer_reads.get(&variable)) {
            return Ok(*value);
        }
        let graph = self.graph;
        let name = variable.op().name();
        let value = graph.outside_of_bodies(|| {
            let builder = graph.op(ops::Identity {}).name(format!("{name}/value")).input(variable);
            let builder = builder.origin(self.origin(&name));
            self.outer_controls.iter().fold(builder, |b, control| b.control(*control)).try_build()
        })?;
        self.outer_reads.insert(variable, value.output(0));
        Ok(value.output(0))
    }

    /// Gives a variable another value, in the body that is being built.
    ///
    /// # Errors
    /// When a loop does not carry the variable; then it is built again, with it.
    pub(super) fn write(&mut self, variable: Tensor, value: Tensor) -> Result<()> {
        let Some(region) = self.regions.last_mut() else {
            return Err(Error::internal("a variable is written by value outside of bodies"));
        };
        if region.carries && !region.values.contains_key(&variable) {
            self.again = Some(Again::Writes(variable));
            return Err(Error::unimplemented("the loop writes a variable"));
        }
        region.values.insert(variable, value);
        if !region.written.contains(&variable) {
            region.written.push(variable);
        }
        Ok(())
    }

    /// Builds a body; `f` gets its parameters.
    pub(super) fn region(
        &mut self,
        region: Region,
        types: &[TensorType],
        node: &str,
        f: impl FnOnce(&mut Self, &[Tensor]) -> Result<Vec<Tensor>>,
    ) -> Result<(ops::Region, Region)> {
        let (graph, origin) = (self.graph, self.origin(node));
        self.regions.push(region);
        let built = graph.region(types, origin, |params| self.deeper(|this| f(this, params)));
        let done = self.regions.pop();
        match done {
            Some(done) => Ok((built?, done)),
            None => Err(Error::internal("a body has gone")),
        }
    }

    /// Runs `f`, which builds a loop or conditional; if that is not inside of another, it reads variables anew.
    pub(super) fn outermost<T>(
        &mut self,
        site: &Site,
        pred: Option<Tensor>,
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        if self.regions.is_empty() {
            self.outer_reads.clear();
            self.outer_controls = site.controls.to_vec();
            self.outer_controls.extend(pred.map(|pred| pred.op()));
        }
        f(self)
    }

    /// What a loop or conditional gives, like `vals`; what it has written is assigned before that.
    fn results<'v>(
        &mut self,
        site: &Site,
        made: Operation,
        vals: impl Iterator<Item = &'v Val>,
        written: &[Tensor],
    ) -> Result<(Operation, Vec<Val>)> {
        let mut outputs = made.outputs().into_iter();
        let vals: Vec<Val> = vals.map(|val| val.with_parts(&mut outputs)).collect();
        if !self.regions.is_empty() || written.is_empty() {
            for (variable, value) in written.iter().zip(outputs) {
                self.write(*variable, value)?;
            }
            return Ok((made, vals));
        }
        let mut assigned = vec![];
        for (variable, value) in written.iter().zip(outputs) {
            let op = ops::Assign { validate_shape: false, use_locking: true };
            let builder = self.graph.op(op).input(*variable).input(value);
            let name = Name::Like(format!("{}/assign", site.name.text()));
            assigned.push(self.finish(builder, &name, &[], site.node)?);
        }
        let parts: Vec<Tensor> = vals.iter().flat_map(Val::parts).collect();
        let name = Name::Like(format!("{}/assigned", site.name.text()));
        let builder = match parts.is_empty() {
            true => self.graph.op(ops::NoOp),
            false => self.graph.op(ops::IdentityN { gradient: None }).inputs(&parts),
        };
        let after = self.finish(builder, &name, &assigned, site.node)?;
        let mut outputs = after.outputs().into_iter();
        Ok((after, vals.iter().map(|val| val.with_parts(&mut outputs)).collect()))
    }

    /// A conditional. `branch` gives the values of one branch; those that are `None` only the other branch has.
    pub(super) fn conditional<C>(
        &mut self,
        site: &Site,
        state: &mut C,
        pred: Tensor,
        mut branch: impl FnMut(&mut Self, &mut C, bool) -> Result<Vec<Option<Val>>>,
    ) -> Result<(Operation, Vec<Val>)> {
        self.outermost(site, Some(pred), |this| {
            let mut build = |this: &mut Self, value: bool| {
                let mut vals = vec![];
                let region = Region { values: FxHashMap::default(), written: vec![], carries: false };
                let built = this.region(region, &[], site.node, |this, _| {
                    vals = branch(this, state, value)?;
                    for val in vals.iter_mut().flatten() {
                        if let Val::Tensor(t) = val {
                            *t = this.read(*t)?;
                        }
                    }
                    Ok(vec![])
                })?;
                Ok::<_, Error>((vals, built))
            };
            let (a, (mut then, then_state)) = build(this, true)?;
            let (b, (mut orelse, else_state)) = build(this, false)?;
            if a.len() != b.len() {
                return Err(Error::invalid(format!(
                    "one branch gives {} values, the other {}",
                    a.len(),
                    b.len()
                )));
            }
            for (a, b) in a.iter().zip(&b) {
                if let (Some(a), Some(b)) = (a, b)
                    && !a.is_like(b)
                {
                    return Err(Error::invalid(format!(
                        "one branch gives {}, the other {}",
                        a.describe(),
                        b.describe()
                    )));
                }
            }
            let mut written = then_state.written.clone();
            written.extend(else_state.written.iter().filter(|v| !then_state.written.contains(v)));
            let mut outer = vec![];
            for variable in &written {
                outer.push(this.value_of(*variable)?);
            }
            let graph = this.graph;
            for (region, state, mine, other) in
                [(&mut then, &then_state, &a, &b), (&mut orelse, &else_state, &b, &a)]
            {
                region.extend(graph, || {
                    let mut results = vec![];
                    for (mine, other) in mine.iter().zip(other) {
                        match (mine, other) {
                            (Some(mine), _) => results.extend(mine.parts()),
                            (None, Some(other)) => {
                                for part in other.parts() {
                                    let ty = part.ty();
                                    let fake = ops::FakeParam { dtype: ty.dtype, shape: ty.shape };
                                    results
                                        .push(OpBuilder::new(graph, Arc::new(fake)).try_build()?.output(0));
                                }
                            }
                            (None, None) => {}
                        }
                    }
                    let values = written.iter().zip(&outer);
                    results
                        .extend(values.map(|(variable, outer)| state.values.get(variable).unwrap_or(outer)));
                    Ok(results)
                })?;
            }
            let builder = ops::If::of(graph, pred, &then, &orelse)?;
            let made = this.finish(builder, &site.name, &site.controls, site.node)?;
            let vals = a.iter().zip(&b).filter_map(|(a, b)| a.as_ref().or(b.as_ref()));
            this.results(site, made, vals, &written)
        })
    }

    /// A loop that carries `start`. `turn` gives the condition's one value, or what is carried on, of what is carried. `shapes` may say more general
    /// shapes than those of `start`.
    pub(super) fn looping<C>(
        &mut self,
        site: &Site,
        state: &mut C,
        start: &[Val],
        shapes: Option<&[PartialShape]>,
        mut turn: impl FnMut(&mut Self, &mut C, Part, &[Val]) -> Result<Vec<Val>>,
    ) -> Result<(Operation, Vec<Val>)> {
        self.outermost(site, None, |this| {
            let mut start = start.to_vec();
            for val in &mut start {
                if let Val::Tensor(t) = val {
                    *t = if t.ty().is_ref { this.value_of(*t)? } else { *t };
                }
            }
            let mut types: Vec<TensorType> = start.iter().flat_map(Val::parts).map(|t| t.ty()).collect();
            if let Some(shapes) = shapes.filter(|s| s.len() == start.len() && s.len() == types.len()) {
                for (ty, shape) in types.iter_mut().zip(shapes) {
                    ty.shape = common(&ty.shape, shape);
                }
            }
            let mut written: Vec<Tensor> = vec![];
            for attempt in 0.. {
                let (graph, len) = (this.graph, this.graph.len());
                let made = graph.attempt(|| this.attempt(site, state, &start, &types, &written, &mut turn));
                let error = match made {
                    Ok(made) => return this.results(site, made, start.iter(), &written),
                    Err(error) => error,
                };
                this.outer_reads.retain(|_, value| value.op().id().index() < len);
                match this.again.take() {
                    Some(Again::Writes(variable)) if !written.contains(&variable) => {
                        let value = this.value_of(variable)?;
                        types.push(TensorType::new(value.dtype(), value.shape()));
                        written.push(variable);
                    }
                    Some(Again::Wider(wider)) if attempt < ATTEMPTS => types = wider,
                    Some(Again::Wider(wider)) => {
                        types = wider;
                        types.iter_mut().for_each(|ty| ty.shape = PartialShape::unknown());
                    }
                    _ => return Err(error),
                }
            }
            Err(Error::internal("a loop is never built"))
        })
    }

    /// Builds a loop whose carries have these types.
    fn attempt<C>(
        &mut self,
        site: &Site,
        state: &mut C,
        start: &[Val],
        types: &[TensorType],
        written: &[Tensor],
        turn: &mut impl FnMut(&mut Self, &mut C, Part, &[Val]) -> Result<Vec<Val>>,
    ) -> Result<Operation> {
        let graph = self.graph;
        let mut carries: Vec<Tensor> = start.iter().flat_map(Val::parts).collect();
        for variable in written {
            carries.push(self.value_of(*variable)?);
        }
        let own = carries.len() - written.len();
        let mut part = |this: &mut Self, part: Part| {
            let region = Region { values: FxHashMap::default(), written: vec![], carries: true };
            this.region(region, types, site.node, |this, params| {
                let mut given = params.iter().copied();
                let vals: Vec<Val> = start.iter().map(|val| val.with_parts(&mut given)).collect();
                if let Some(region) = this.regions.last_mut() {
                    region.values = written.iter().copied().zip(given).collect();
                }
                let next = turn(this, state, part, &vals)?;
                let mut results = vec![];
                for val in &next {
                    for part in val.parts() {
                        results.push(this.read(part)?);
                    }
                }
                if part == Part::Cond {
                    return Ok(results);
                }
                if next.len() != vals.len() {
                    return Err(Error::invalid(format!(
                        "the body of the loop gives {} values, but takes {}",
                        next.len(),
                        vals.len()
                    )));
                }
                if let Some(i) = (0..next.len()).find(|i| !next[*i].is_like(&vals[*i])) {
                    return Err(Error::invalid(format!(
                        "loop variable {i} goes into a turn as {}, and comes out as {}",
                        vals[i].describe(),
                        next[i].describe()
                    )));
                }
                for variable in written {
                    results.push(this.value_of(*variable)?);
                }
                Ok(results)
            })
        };
        let (cond, cond_state) = part(self, Part::Cond)?;
        if !cond_state.written.is_empty() {
            return Err(Error::unimplemented("the condition of the loop writes a variable"));
        }
        let (body, _) = part(self, Part::Body)?;
        let results = body.result_types(graph);
        let wider: Vec<TensorType> = types
            .iter()
            .zip(&results)
            .map(|(ty, result)| TensorType::new(ty.dtype, common(&ty.shape, &result.shape)))
            .collect();
        if results.len() != types.len() {
            return Err(Error::internal(format!("{} results of a loop for {own} carries", results.len())));
        }
        if wider.iter().zip(types).any(|(wider, ty)| wider.shape != ty.shape) {
            self.again = Some(Again::Wider(wider));
            return Err(Error::invalid("the shapes of loop variables change from turn to turn"));
        }
        let parts =
            ops::LoopParts { trip: None, reverse: false, carries, xs: vec![], cond: Some(cond), body };
        self.finish(parts.builder(graph)?, &site.name, &site.controls, site.node)
    }
}

/// What is true of both shapes.
fn common(a: &PartialShape, b: &PartialShape) -> PartialShape {
    match (a.dims(), b.dims()) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            a.iter().zip(b).map(|(a, b)| if a == b { *a } else { None }).collect()
        }
        _ => PartialShape::unknown(),
    }
}
