//! What the graph does not say: groups for the reader, and what is unfolded at first.

use std::collections::HashSet;

use tf::NodeId;
use tidemill as tf;

use super::drawing::{Drawing, Shown};
use super::{Kind, Nodes, Picture, PictureBox, between};
use crate::model::Network;

impl Drawing {
    /// Puts boxes around what leads from state to state, and from an output to its loss.
    pub(super) fn groups(&mut self, nodes: &Nodes, net: &Network, shown: &Shown) {
        let ids = |from: tf::Tensor, to: tf::Tensor| between(nodes, from.op().id(), to.op().id());
        let losses: Vec<HashSet<NodeId>> =
            net.rnn_outputs.iter().zip(&net.losses).map(|(output, loss)| ids(*output, *loss)).collect();
        self.group("losses", &losses.iter().flatten().copied().collect(), shown);
        if losses.len() == 1 {
            return;
        }
        let mut state = net.init_state;
        for (i, (output, loss)) in (1..).zip(net.rnn_outputs.iter().zip(&losses)) {
            self.group(&format!("step {i}"), &ids(state, *output), shown);
            self.group(&format!("loss {i}"), loss, shown);
            state = *output;
        }
    }

    /// Puts a box around these nodes, inside of the innermost box that holds them all.
    fn group(&mut self, label: &str, nodes: &HashSet<NodeId>, shown: &Shown) {
        let mut members: Vec<usize> = nodes.iter().filter_map(|id| shown.nodes.get(id)).copied().collect();
        members.sort_unstable();
        let paths: Vec<Vec<usize>> = members
            .into_iter()
            .map(|at| {
                let mut path = self.around(at);
                path.reverse();
                path
            })
            .collect();
        let Some(first) = paths.first() else { return };
        let shared = |depth: &usize| paths.iter().all(|p| p.len() > depth + 1 && p[*depth] == first[*depth]);
        let depth = (0..first.len()).take_while(shared).count();
        let parent = depth.checked_sub(1).map(|outer| first[outer]);
        let group = self.push(parent, Kind::Group, label, "");
        for path in paths {
            self.boxes[path[depth]].parent = Some(group);
        }
    }

    /// A box, the box around it, and so on outwards.
    fn around(&self, at: usize) -> Vec<usize> {
        std::iter::successors(Some(at), |at| self.boxes[*at].parent).collect()
    }

    /// The picture, tidied: constants beside their first users, a scope that holds one thing merged with it, no result that nothing
    /// uses.
    pub(super) fn finish(mut self) -> Picture {
        let mut kept = vec![true; self.boxes.len()];
        for i in (0..kept.len()).filter(|i| self.boxes[*i].kind == Kind::Result) {
            kept[i] = self.edges.iter().any(|edge| edge.from == i || edge.to == i);
        }
        self.merge(&mut kept);
        for &constant in &self.constants {
            let users = self.edges.iter().filter(|edge| edge.from == constant).map(|edge| edge.to);
            let Some(first) = users.min() else { continue };
            // What a loop takes stands outside of it.
            let beside = match (self.boxes[first].kind, self.boxes[first].parent) {
                (Kind::Param, Some(around)) => around,
                _ => first,
            };
            self.boxes[constant].parent = self.boxes[beside].parent;
        }
        self.unfold();
        let places: Vec<usize> =
            (0..kept.len()).map(|i| kept[..i].iter().filter(|kept| **kept).count()).collect();
        let boxes = self.boxes.into_iter().zip(&kept).filter(|(_, kept)| **kept);
        let boxes = boxes.map(|(drawn, _)| PictureBox { parent: drawn.parent.map(|p| places[p]), ..drawn });
        for edge in &mut self.edges {
            (edge.from, edge.to) = (places[edge.from], places[edge.to]);
        }
        Picture { boxes: boxes.collect(), edges: self.edges }
    }

    /// A scope with one thing in it becomes a part of that thing's label.
    fn merge(&mut self, kept: &mut [bool]) {
        // From the innermost outwards: a scope stands before the scopes in it.
        for scope in (0..self.boxes.len()).rev() {
            if self.boxes[scope].kind != Kind::Scope {
                continue;
            }
            let inside = (0..self.boxes.len()).filter(|i| kept[*i] && self.boxes[*i].parent == Some(scope));
            let inside: Vec<usize> = inside.collect();
            kept[scope] = inside.len() > 1;
            if let [only] = inside[..] {
                let PictureBox { parent, label, .. } = self.boxes[scope].clone();
                let inner = &mut self.boxes[only];
                inner.parent = parent;
                if inner.label != label {
                    inner.label = format!("{label}/{}", inner.label);
                }
            }
        }
    }

    /// Unfolds the first step or the loop, and what is around them. A box is backward when all that is in it is.
    fn unfold(&mut self) {
        for i in 0..self.boxes.len() {
            let PictureBox { kind, backward, ref label, .. } = self.boxes[i];
            let open = kind == Kind::Loop && !backward || kind == Kind::Group && label == "step 1";
            for at in self.around(i) {
                self.boxes[at].open |= open;
                self.boxes[at].backward &= backward;
            }
        }
    }
}
