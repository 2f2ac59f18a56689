//! Where TF1's control flow puts each node: in which branches of which conditionals, in which loops.
//!
//! TensorFlow 1 writes conditionals and loops as dataflow: `Switch` sends a value to one of two places, `Merge` takes the one that comes; `Enter`
//! and `Exit` lead in and out of a loop, `NextIteration` leads back. A node runs if its inputs do, so the *context* of a node is the innermost one of its
//! inputs: a branch of the predicate of a `Switch` on its way, or the frame of an `Enter`. A `Merge` leaves the branch, an `Exit` the frame.
//!
//! One predicate may stand for several conditionals, one after the other: the gradient of a conditional goes by the forward predicate. So a node
//! also has a *level* in each context around it: how many merges there are on the way to it. What is in one branch at one level becomes
//! one conditional.

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};
use tidemill_core::{Error, Result};

use super::order::topological;
use super::source::{Item, Port, Source};
use crate::proto::attr_value::Value;

/// How deep conditionals and loops may be nested in each other.
const MAX_DEPTH: usize = 64;

/// What a context is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    /// Outside of all conditionals and loops.
    Root,
    /// Where a predicate has a value.
    Branch { pred: Port, value: bool },
    /// A loop, by its number.
    Frame(u32),
}

#[derive(Debug)]
pub(super) struct Context {
    pub(super) parent: u32,
    pub(super) kind: Kind,
    depth: usize,
}

/// The levels of a node in the contexts around it, outermost first.
pub(super) type Levels = SmallVec<[u32; 2]>;

/// Where something is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) context: u32,
    pub(super) levels: Levels,
}

/// A `Merge` that ends a conditional.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) node: u32,
    pub(super) pred: Port,
    /// Which of its inputs comes when the predicate is true.
    pub(super) when_true: usize,
    /// Where the conditional stands, and its level there.
    pub(super) place: Place,
}

/// A loop.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) context: u32,
    /// Its `LoopCond`, if there is one.
    pub(super) cond: Option<u32>,
    /// The `Merge`s at the beginning of a turn.
    pub(super) merges: Vec<u32>,
    pub(super) enters: Vec<u32>,
}

/// Where the nodes of a source are.
pub(super) struct Contexts {
    pub(super) contexts: Vec<Context>,
    children: FxHashMap<(u32, Kind), u32>,
    /// Of each node, and after those of each frame.
    pub(super) places: Vec<Place>,
    pub(super) joins: Vec<Join>,
    pub(super) frames: Vec<Frame>,
    frame_of_enter: FxHashMap<u32, u32>,
    /// Which node must come before which, but for the ways back to the next turn.
    pub(super) edges: Vec<(u32, u32)>,
    nodes: u32,
}

/// The op of an item; that on values, for one on references.
pub(super) fn flow_op<'a>(item: &Item<'a>) -> &'a str {
    match item.op {
        "RefSwitch" => "Switch",
        "RefMerge" => "Merge",
        "RefEnter" => "Enter",
        "RefExit" => "Exit",
        "RefNextIteration" => "NextIteration",
        op => op,
    }
}

/// Whether an item is a `Switch` that chooses between another turn of a loop and its end.
pub(super) fn is_loop_switch(source: &Source, item: &Item) -> bool {
    let pred = item.inputs.get(1).map(|pred| &source.items[pred.node as usize]);
    flow_op(item) == "Switch" && pred.is_some_and(|pred| pred.op == "LoopCond")
}

/// Where a predicate comes from: `tf.cond` puts copies of it between.
fn original(source: &Source, mut port: Port) -> Port {
    // More copies than there are nodes would be a circle, which is refused elsewhere.
    for _ in 0..source.items.len() {
        let item = &source.items[port.node as usize];
        let copies = item.op == "Identity" || (flow_op(item) == "Switch" && !is_loop_switch(source, item));
        match item.inputs.first() {
            Some(&from) if copies => port = from,
            _ => break,
        }
    }
    port
}

fn is_next(source: &Source, node: u32) -> bool {
    flow_op(&source.items[node as usize]) == "NextIteration"
}

impl Contexts {
    /// # Errors
    /// `InvalidArgument` or `Unimplemented`, naming the node, where the control flow is not that of conditionals and loops.
    pub(super) fn of(source: &Source, keep: &[bool]) -> Result<Contexts> {
        let count = source.items.len() as u32;
        let mut made = Contexts {
            contexts: vec![Context { parent: 0, kind: Kind::Root, depth: 0 }],
            children: FxHashMap::default(),
            places: vec![],
            joins: vec![],
            frames: vec![],
            frame_of_enter: FxHashMap::default(),
            edges: vec![],
            nodes: count,
        };
        let mut names: FxHashMap<&str, u32> = FxHashMap::default();
        let kept = |n: &u32| keep[*n as usize];
        for node in (0..count).filter(kept) {
            let item = &source.items[node as usize];
            let merge = flow_op(item) == "Merge";
            let before = source.waits_for(node).filter(|from| !(merge && is_next(source, *from)));
            made.edges.extend(before.map(|from| (from, node)));
            if flow_op(item) == "Enter" {
                let next = names.len() as u32;
                let frame = *names.entry(frame_name(item)?).or_insert(next);
                if frame == next {
                    made.frames.push(Frame { context: 0, cond: None, merges: vec![], enters: vec![] });
                }
                made.frames[frame as usize].enters.push(node);
                made.frame_of_enter.insert(node, frame);
                // A loop is entered when all is there that enters it: it comes before its Enters, after what those wait for.
                made.edges.extend(source.waits_for(node).map(|from| (from, count + frame)));
                made.edges.push((count + frame, node));
            }
        }
        let total = count as usize + names.len();
        let nowhere = Place { context: 0, levels: smallvec![0] };
        made.places = vec![nowhere; total];
        let order = topological(total, |n| n >= count || keep[n as usize], &made.edges)
            .map_err(|nodes| source.cycle(&nodes))?;
        let flows =
            |n: u32| matches!(flow_op(&source.items[n as usize]), "Switch" | "Merge" | "Exit" | "LoopCond");
        if names.is_empty() && !(0..count).filter(kept).any(flows) {
            return Ok(made);
        }
        for node in order {
            let place = match source.items.get(node as usize) {
                Some(item) => {
                    made.place(source, node, item).map_err(|e: Error| e.with_node(item.op, item.name))?
                }
                None => {
                    let enters = made.frames[(node - count) as usize].enters.clone();
                    let mut place: Option<Place> = None;
                    for enter in enters {
                        let item = &source.items[enter as usize];
                        let inner = made
                            .of_inputs(source, &item.inputs, &item.controls)
                            .map_err(|e| e.with_node(item.op, item.name))?;
                        place = Some(match place {
                            Some(other) => made.innermost(other, &inner)?,
                            None => inner,
                        });
                    }
                    place.unwrap_or(Place { context: 0, levels: smallvec![0] })
                }
            };
            made.places[node as usize] = place;
        }
        Ok(made)
    }

    /// Whether `outer` is `inner` or around it.
    fn encloses(&self, outer: u32, mut inner: u32) -> bool {
        while self.contexts[inner as usize].depth > self.contexts[outer as usize].depth {
            inner = self.contexts[inner as usize].parent;
        }
        inner == outer
    }

    /// The inner one of two places, one of which is around the other.
    fn innermost(&self, a: Place, b: &Place) -> Result<Place> {
        let (outer, mut inner) = match self.encloses(a.context, b.context) {
            true => (&a, b.clone()),
            false => (b, a.clone()),
        };
        if !self.encloses(outer.context, inner.context) {
            return Err(Error::unimplemented(
                "it takes values from two branches that do not enclose each other",
            ));
        }
        for (mine, other) in inner.levels.iter_mut().zip(&outer.levels) {
            *mine = (*mine).max(*other);
        }
        Ok(inner)
    }

    fn child(&mut self, place: &Place, kind: Kind) -> Result<Place> {
        let next = self.contexts.len() as u32;
        let depth = self.contexts[place.context as usize].depth + 1;
        if depth > MAX_DEPTH {
            return Err(Error::unimplemented(format!(
                "conditionals and loops are nested over {MAX_DEPTH} deep"
            )));
        }
        let context = *self.children.entry((place.context, kind)).or_insert(next);
        if context == next {
            self.contexts.push(Context { parent: place.context, kind, depth });
        }
        let mut levels = place.levels.clone();
        levels.push(0);
        Ok(Place { context, levels })
    }

    /// Where a value is.
    pub(super) fn of_port(&mut self, source: &Source, port: Port) -> Result<Place> {
        let place = self.places[port.node as usize].clone();
        let item = &source.items[port.node as usize];
        if flow_op(item) != "Switch" {
            return Ok(place);
        }
        match (is_loop_switch(source, item), item.inputs.get(1)) {
            (true, _) if port.output == 1 => Ok(place),
            (true, _) => Err(Error::unimplemented("only an Exit can take what a loop ends with")),
            (false, Some(&pred)) => {
                let pred = original(source, pred);
                self.child(&place, Kind::Branch { pred, value: port.output == 1 })
            }
            (false, None) => Err(Error::invalid("a Switch has no predicate")),
        }
    }

    /// Where a node with these inputs is.
    fn of_inputs(&mut self, source: &Source, inputs: &[Port], controls: &[u32]) -> Result<Place> {
        let mut place = Place { context: 0, levels: smallvec![0] };
        let mut frame = None;
        for &port in inputs {
            let of_port = self.of_port(source, port)?;
            let of_frame = self.innermost_frame(of_port.context);
            if *frame.get_or_insert(of_frame) != of_frame {
                return Err(Error::invalid(
                    "it takes values from different loops, but not by an Enter or Exit",
                ));
            }
            place = self.innermost(place, &of_port)?;
        }
        for &control in controls {
            let of_control = self.places[control as usize].clone();
            place = self.innermost(place, &of_control)?;
        }
        Ok(place)
    }

    /// The context of the innermost loop around a context.
    fn innermost_frame(&self, mut context: u32) -> u32 {
        while let Kind::Branch { .. } = self.contexts[context as usize].kind {
            context = self.contexts[context as usize].parent;
        }
        context
    }

    /// The frame that a place is directly in.
    pub(super) fn frame(&self, place: &Place) -> Option<u32> {
        match self.contexts[place.context as usize].kind {
            Kind::Frame(frame) => Some(frame),
            _ => None,
        }
    }

    fn place(&mut self, source: &Source, node: u32, item: &Item) -> Result<Place> {
        match flow_op(item) {
            "Enter" => {
                let Some(&frame) = self.frame_of_enter.get(&node) else {
                    return Err(Error::internal("an Enter without a frame"));
                };
                let outside = self.places[(self.nodes + frame) as usize].clone();
                let inside = self.child(&outside, Kind::Frame(frame))?;
                self.frames[frame as usize].context = inside.context;
                Ok(inside)
            }
            "Exit" => {
                let from = item.inputs.first().copied().map(|port| (port, &source.items[port.node as usize]));
                let frame = match from {
                    Some((port, switch)) if port.output == 0 && is_loop_switch(source, switch) => {
                        self.frame(&self.places[port.node as usize])
                    }
                    _ => None,
                };
                match frame {
                    Some(frame) => Ok(self.places[(self.nodes + frame) as usize].clone()),
                    None => Err(Error::invalid("an Exit must take the first output of a Switch of a loop")),
                }
            }
            "Merge" if item.inputs.iter().any(|port| is_next(source, port.node)) => {
                let [start, back] = item.inputs[..] else {
                    return Err(Error::unimplemented("a Merge of a loop has two inputs"));
                };
                if !is_next(source, back.node) || is_next(source, start.node) {
                    return Err(Error::unimplemented(
                        "the second input of a Merge of a loop is the NextIteration",
                    ));
                }
                let place = self.of_inputs(source, &[start], &item.controls)?;
                let enters = flow_op(&source.items[start.node as usize]) == "Enter";
                match self.frame(&place).filter(|_| enters) {
                    Some(frame) => self.frames[frame as usize].merges.push(node),
                    None => {
                        return Err(Error::invalid(
                            "a NextIteration leads to what is not the beginning of a loop",
                        ));
                    }
                }
                Ok(place)
            }
            "Merge" => self.join(source, node, item),
            "ControlTrigger" => self.trigger(item),
            "LoopCond" => {
                let place = self.of_inputs(source, &item.inputs, &item.controls)?;
                let Some(frame) = self.frame(&place) else {
                    return Err(Error::invalid("a LoopCond stands outside of loops"));
                };
                match self.frames[frame as usize].cond.replace(node) {
                    Some(_) => Err(Error::invalid("a loop has two LoopConds")),
                    None => Ok(place),
                }
            }
            _ => self.of_inputs(source, &item.inputs, &item.controls),
        }
    }

    /// A `ControlTrigger` runs whether or not what it waits for does: it is outside of branches.
    fn trigger(&self, item: &Item) -> Result<Place> {
        let mut place = Place { context: 0, levels: smallvec![0] };
        for &control in &item.controls {
            let of = &self.places[control as usize];
            let outside = self.innermost_frame(of.context);
            let depth = self.contexts[outside as usize].depth;
            let mut of = Place { context: outside, levels: of.levels[..=depth].into() };
            of.levels[depth] += 1;
            place = self.innermost(place, &of)?;
        }
        Ok(place)
    }

    /// A `Merge` takes what comes of two branches of one predicate.
    fn join(&mut self, source: &Source, node: u32, item: &Item) -> Result<Place> {
        let [a, b] = item.inputs[..] else {
            return Err(Error::unimplemented(format!("a Merge of {} values", item.inputs.len())));
        };
        let (a, b) = (self.of_port(source, a)?, self.of_port(source, b)?);
        let of = |place: &Place| {
            let context = &self.contexts[place.context as usize];
            (context.parent, context.kind)
        };
        let ((outside, kind), (other, opposite)) = (of(&a), of(&b));
        let (Kind::Branch { pred, value }, Kind::Branch { pred: other_pred, value: other_value }) =
            (kind, opposite)
        else {
            return Err(Error::unimplemented("a Merge of values that do not come from branches"));
        };
        if outside != other || pred != other_pred || value == other_value {
            return Err(Error::unimplemented(
                "a Merge of values that are not the two branches of one predicate",
            ));
        }
        let depth = self.contexts[outside as usize].depth;
        let mut place = Place { context: outside, levels: a.levels[..=depth].into() };
        for (mine, other) in place.levels.iter_mut().zip(&b.levels) {
            *mine = (*mine).max(*other);
        }
        for &control in &item.controls {
            let control = self.places[control as usize].clone();
            let controlled = self.innermost(place.clone(), &control)?;
            if controlled.context != outside {
                return Err(Error::unimplemented("a Merge waits for what is inside of a branch"));
            }
            place.levels[..depth].copy_from_slice(&controlled.levels[..depth]);
        }
        self.joins.push(Join { node, pred, when_true: usize::from(!value), place: place.clone() });
        place.levels[depth] += 1;
        Ok(place)
    }
}

fn frame_name<'a>(item: &Item<'a>) -> Result<&'a str> {
    let value = item.def.and_then(|def| def.attr.get("frame_name")?.value.as_ref());
    match value {
        Some(Value::S(name)) => std::str::from_utf8(name).ok(),
        _ => None,
    }
    .ok_or_else(|| Error::invalid("attribute `frame_name` (string) is missing").with_node(item.op, item.name))
}
