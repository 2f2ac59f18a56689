//! The nodes of a graph file or of a function in it, with their inputs found and put in order.

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
    pub(super) name: &'a str,
    pub(super) op: &'a str,
    /// How the file describes it; an argument of a function has no such description.
    pub(super) def: Option<&'a NodeDef>,
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
        Self::new([], nodes, |by_name, input| port(by_name, input))
    }

    /// The port of a name, `node:output`.
    pub(super) fn port(&self, name: &str) -> Result<Port> {
        port(&self.by_name, name)
    }

    /// The arguments of a function stand before its nodes. `resolve` finds what an input that is no control input means.
    pub(super) fn new(
        args: impl IntoIterator<Item = &'a str>,
        nodes: &'a [NodeDef],
        resolve: impl Fn(&FxHashMap<&'a str, u32>, &'a str) -> Result<Port>,
    ) -> Result<Source<'a>> {
        if nodes.len() > u32::MAX as usize / 2 {
            return Err(Error::new(ErrorKind::ResourceExhausted, format!("{} nodes", nodes.len())));
        }
        let mut items: Vec<Item> = args
            .into_iter()
            .map(|name| Item {
                name,
                op: "_Arg",
                def: None,
                inputs: SmallVec::new(),
                controls: SmallVec::new(),
            })
            .collect();
        let count = items.len() + nodes.len();
        let mut by_name = FxHashMap::with_capacity_and_hasher(count, Default::default());
        let args = items.iter().map(|item| (item.op, item.name));
        for (i, (op, name)) in args.chain(nodes.iter().map(|n| (n.op.as_str(), n.name.as_str()))).enumerate()
        {
            if op != "_Arg" {
                check_name(name).map_err(|e| e.with_node(op, name))?;
            }
            if by_name.insert(name, i as u32).is_some() {
                let error = Error::new(ErrorKind::AlreadyExists, "there are two nodes of this name");
                return Err(error.with_node(op, name));
            }
        }
        for def in nodes {
            items.push(inputs_of(def, &by_name, &resolve).map_err(|e| e.with_node(&def.op, &def.name))?);
        }
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

    /// The nodes that one waits for.
    pub(super) fn waits_for(&self, node: u32) -> impl Iterator<Item = u32> {
        let item = &self.items[node as usize];
        item.inputs.iter().map(|p| p.node).chain(item.controls.iter().copied())
    }

    /// The error of nodes that wait for each other.
    pub(super) fn cycle(&self, nodes: &[u32]) -> Error {
        let items: Vec<&Item> = nodes.iter().filter_map(|n| self.items.get(*n as usize)).collect();
        let names: Vec<&str> = items.iter().take(5).map(|item| item.name).collect();
        let more = if items.len() > names.len() { " -> ..." } else { "" };
        let error = Error::invalid(format!(
            "the graph has a cycle of {} nodes: {}{more}",
            items.len(),
            names.join(" -> ")
        ));
        match items.first() {
            Some(item) => error.with_node(item.op, item.name),
            None => error,
        }
    }
}

fn port(by_name: &FxHashMap<&str, u32>, name: &str) -> Result<Port> {
    let (node, output) = match name.rsplit_once(':') {
        Some((node, output)) => match output.parse::<u32>() {
            // Only digits: `parse` would take a sign.
            Ok(number) if output.bytes().all(|b| b.is_ascii_digit()) => (node, number),
            _ => return Err(Error::invalid(format!("\"{name}\" is not node:index"))),
        },
        None => (name, 0),
    };
    match by_name.get(node) {
        Some(&node) => Ok(Port { node, output }),
        None => Err(Error::invalid(format!("there is no node of the input \"{name}\""))),
    }
}

fn inputs_of<'a>(
    def: &'a NodeDef,
    by_name: &FxHashMap<&'a str, u32>,
    resolve: &impl Fn(&FxHashMap<&'a str, u32>, &'a str) -> Result<Port>,
) -> Result<Item<'a>> {
    let (name, op) = (def.name.as_str(), def.op.as_str());
    let mut item = Item { name, op, def: Some(def), inputs: SmallVec::new(), controls: SmallVec::new() };
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
