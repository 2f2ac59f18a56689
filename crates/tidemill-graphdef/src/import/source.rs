//! The nodes of a graph file or of a function in it, with their inputs found and put in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use tidemill_core::{Error, ErrorKind, Result};

use crate::proto::NodeDef;

/// One output of one node of a [`Source`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Port {
    pub(super) node: u32,
    pub(super) output: u32,
}

/// A node and what it waits for.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) def: &'a NodeDef,
    pub(super) inputs: SmallVec<[Port; 4]>,
    pub(super) controls: SmallVec<[u32; 2]>,
}

/// Nodes that refer to each other.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) by_name: FxHashMap<&'a str, u32>,
}

impl<'a> Source<'a> {
    /// The nodes of a graph.
    pub(super) fn of_graph(nodes: &'a [NodeDef]) -> Result<Source<'a>> {
        Self::new(nodes, |by_name, input| {
            let (name, output) = match input.rsplit_once(':') {
                Some((name, output)) => match output.parse::<u32>() {
                    Ok(output) => (name, output),
                    Err(_) => return Err(Error::invalid(format!("the input \"{input}\" is not node:index"))),
                },
                None => (input, 0),
            };
            match by_name.get(name) {
                Some(&node) => Ok(Port { node, output }),
                None => Err(Error::invalid(format!("there is no node of the input \"{input}\""))),
            }
        })
    }

    /// `resolve` finds what an input that is no control input means.
    pub(super) fn new(
        nodes: &'a [NodeDef],
        resolve: impl Fn(&FxHashMap<&'a str, u32>, &'a str) -> Result<Port>,
    ) -> Result<Source<'a>> {
        if nodes.len() > u32::MAX as usize / 2 {
            return Err(Error::new(ErrorKind::ResourceExhausted, format!("{} nodes", nodes.len())));
        }
        let mut by_name = FxHashMap::with_capacity_and_hasher(nodes.len(), Default::default());
        for (i, node) in nodes.iter().enumerate() {
            check_name(&node.name).map_err(|e| e.with_node(&node.op, &node.name))?;
            if by_name.insert(node.name.as_str(), i as u32).is_some() {
                return Err(Error::new(ErrorKind::AlreadyExists, "there are two nodes of this name")
                    .with_node(&node.op, &node.name));
            }
        }
        let items = nodes
            .iter()
            .map(|def| inputs_of(def, &by_name, &resolve).map_err(|e| e.with_node(&def.op, &def.name)))
            .collect::<Result<_>>()?;
        Ok(Source { items, by_name })
    }

    /// The nodes that `wanted` need.
    pub(super) fn reached(&self, wanted: impl IntoIterator<Item = u32>) -> Vec<bool> {
        let mut reached = vec![false; self.items.len()];
        let mut stack: Vec<u32> = wanted.into_iter().collect();
        while let Some(node) = stack.pop() {
            if !std::mem::replace(&mut reached[node as usize], true) {
                stack.extend(self.waits_for(node));
            }
        }
        reached
    }

    fn waits_for(&self, node: u32) -> impl Iterator<Item = u32> {
        let item = &self.items[node as usize];
        item.inputs.iter().map(|p| p.node).chain(item.controls.iter().copied())
    }

    /// The nodes for which `keep` holds, each after what it waits for; in the order of the file where that is one.
    ///
    /// # Errors
    /// `InvalidArgument` naming the nodes of a cycle.
    pub(super) fn order(&self, keep: &[bool]) -> Result<Vec<u32>> {
        let count = self.items.len() as u32;
        let mut waiting = vec![0u32; count as usize];
        let mut followers: Vec<SmallVec<[u32; 4]>> = vec![SmallVec::new(); count as usize];
        for node in (0..count).filter(|n| keep[*n as usize]) {
            for before in self.waits_for(node) {
                waiting[node as usize] += 1;
                followers[before as usize].push(node);
            }
        }
        let mut ready: BinaryHeap<Reverse<u32>> =
            (0..count).filter(|n| keep[*n as usize] && waiting[*n as usize] == 0).map(Reverse).collect();
        let mut order = vec![];
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for &next in &followers[node as usize] {
                waiting[next as usize] -= 1;
                if waiting[next as usize] == 0 {
                    ready.push(Reverse(next));
                }
            }
        }
        match (0..count).find(|n| keep[*n as usize] && waiting[*n as usize] > 0) {
            Some(stuck) => Err(self.cycle(stuck, &waiting)),
            None => Ok(order),
        }
    }

    /// Walks backwards among nodes that wait for ever until one comes again.
    fn cycle(&self, stuck: u32, waiting: &[u32]) -> Error {
        let mut path = vec![stuck];
        let mut place = FxHashMap::from_iter([(stuck, 0)]);
        let mut at = stuck;
        let start = loop {
            let Some(before) = self.waits_for(at).find(|n| waiting[*n as usize] > 0) else { break 0 };
            if let Some(start) = place.insert(before, path.len()) {
                break start;
            }
            path.push(before);
            at = before;
        };
        let names: Vec<&str> =
            path[start..].iter().rev().take(5).map(|n| self.items[*n as usize].def.name.as_str()).collect();
        let def = self.items[path[start] as usize].def;
        Error::invalid(format!(
            "the graph has a cycle of {} nodes: {}{}",
            path.len() - start,
            names.join(" -> "),
            if path.len() - start > names.len() { " -> ..." } else { "" }
        ))
        .with_node(&def.op, &def.name)
    }
}

fn inputs_of<'a>(
    def: &'a NodeDef,
    by_name: &FxHashMap<&'a str, u32>,
    resolve: &impl Fn(&FxHashMap<&'a str, u32>, &'a str) -> Result<Port>,
) -> Result<Item<'a>> {
    let mut item = Item { def, inputs: SmallVec::new(), controls: SmallVec::new() };
    let mut seen = FxHashSet::default();
    for input in &def.input {
        match input.strip_prefix('^') {
            None if !item.controls.is_empty() => {
                return Err(Error::invalid(format!("the input \"{input}\" stands after a control input")));
            }
            None => item.inputs.push(resolve(by_name, input)?),
            Some(name) => match by_name.get(name) {
                Some(&node) if seen.insert(node) => item.controls.push(node),
                Some(_) => {}
                None => {
                    return Err(Error::invalid(format!("there is no node of the control input \"{input}\"")));
                }
            },
        }
    }
    Ok(item)
}

/// TensorFlow's rule for names of nodes.
pub(super) fn check_name(name: &str) -> Result<()> {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_.\\-/".contains(c))
    };
    match !name.starts_with('_') && name.split('>').all(part) {
        true => Ok(()),
        false => Err(Error::invalid(format!("{name:?} is not a valid name of a node"))),
    }
}
