//! Liveness, and a place in the arena for every slot that needs one.
//!
//! A slot is live from the step that fills it to the last step that uses it. Two slots share bytes only when they are never live
//! together, except that a step which may work in place takes over the buffer of an operand that dies with it, and that what is only put
//! together or taken apart lies inside of the whole: a whole and its parts are placed as one, live as long as any of them.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::Draft;
use super::{Place, PlanFetch, Slot, SlotId};
use crate::program::InstId;

/// Every slot starts on a cache line.
pub(super) const ALIGN: usize = 64;

/// Places slots; `remap` maps a slot to the one whose buffer it takes over. The buffers of the first `owned` feeds may be taken over too. Returns
/// the arena's size.
pub(super) fn place(
    slots: &mut [Slot],
    remap: &mut [u32],
    drafts: &[Option<Draft>],
    order: &[InstId],
    fetches: &[PlanFetch],
    owned: usize,
) -> usize {
    const NEVER: usize = usize::MAX;
    let wholes = Wholes::find(slots, drafts, order);
    let mut last_use = vec![NEVER; slots.len()];
    for (at, id) in order.iter().enumerate() {
        if let Some(draft) = &drafts[id.index()] {
            draft.inputs.iter().chain(&draft.outputs).for_each(|s| last_use[wholes.root(*s).index()] = at);
        }
    }
    for fetch in fetches {
        last_use[wholes.root(fetch.slot).index()] = order.len();
    }
    let mut arena = Arena::default();
    let mut placed = vec![false; slots.len()];
    for (at, id) in order.iter().enumerate() {
        let Some(draft) = &drafts[id.index()] else { continue };
        for (i, out) in draft.outputs.iter().enumerate() {
            // A part takes its whole's place, and the first part that is filled finds one for all.
            let out = &wholes.root(*out);
            if placed[out.index()] || !matches!(slots[out.index()].place, Place::Arena(_)) {
                continue;
            }
            placed[out.index()] = true;
            let taken = (i == 0 && *out == draft.outputs[0])
                .then(|| takes_over(slots, remap, &wholes, draft, *out, &last_use, at, owned))
                .flatten();
            match taken {
                Some(input) => {
                    // The two are one buffer from here on, live as long as the longer of them.
                    let root = remap[input.index()];
                    remap[out.index()] = root;
                    last_use[root as usize] = last_use[out.index()];
                }
                None => {
                    let bytes = slots[out.index()].bytes().unwrap_or(0);
                    slots[out.index()].place = Place::Arena(arena.take(bytes));
                }
            }
        }
        let mut dying: Vec<SlotId> = draft
            .inputs
            .iter()
            .chain(&draft.outputs)
            .map(|s| SlotId(remap[wholes.root(*s).index()]))
            .collect();
        dying.sort_unstable();
        dying.dedup();
        for slot in dying {
            if last_use[slot.index()] == at
                && let Place::Arena(offset) = slots[slot.index()].place
            {
                arena.free(offset, slots[slot.index()].bytes().unwrap_or(0));
            }
        }
    }
    for s in (0..slots.len()).map(|s| SlotId(s as u32)) {
        let (whole, offset) = wholes.place(s);
        if whole != s {
            let whole = SlotId(remap[whole.index()]);
            if let Place::Arena(start) = slots[whole.index()].place {
                slots[s.index()].place = Place::Arena(start + offset);
                slots[s.index()].inside = Some(whole);
            }
        }
    }
    arena.end
}

/// Which slots are parts of others: operands of a step that only puts them together, and outputs of one that only takes its operand apart.
struct Wholes {
    /// For each slot the one it is inside of, and at which byte.
    inside: Vec<Option<(SlotId, usize)>>,
}

impl Wholes {
    fn find(slots: &[Slot], drafts: &[Option<Draft>], order: &[InstId]) -> Wholes {
        let mut wholes = Wholes { inside: vec![None; slots.len()] };
        let in_arena = |s: SlotId| matches!(slots[s.index()].place, Place::Arena(_));
        for draft in order.iter().filter_map(|id| drafts[id.index()].as_ref()) {
            if let Some(whole) = draft.outputs.first().filter(|s| in_arena(**s)) {
                for (i, offset) in &draft.joins {
                    wholes.put(draft.inputs[*i], *whole, *offset, &in_arena);
                }
            }
            if let Some((i, offsets)) = &draft.parts
                && in_arena(draft.inputs[*i])
            {
                for (part, offset) in draft.outputs.iter().zip(offsets) {
                    wholes.put(*part, draft.inputs[*i], *offset, &in_arena);
                }
            }
        }
        wholes
    }

    fn put(&mut self, part: SlotId, whole: SlotId, offset: usize, in_arena: &dyn Fn(SlotId) -> bool) {
        if in_arena(part) && self.inside[part.index()].is_none() && self.root(whole) != part {
            self.inside[part.index()] = Some((whole, offset));
        }
    }

    /// The slot that is inside of none, around this one; and where this one is in it.
    fn place(&self, mut slot: SlotId) -> (SlotId, usize) {
        let mut at = 0;
        while let Some((whole, offset)) = self.inside[slot.index()] {
            slot = whole;
            at += offset;
        }
        (slot, at)
    }

    fn root(&self, slot: SlotId) -> SlotId {
        self.place(slot).0
    }
}

/// The operand whose buffer output `out` may take over: it dies here, is in the arena or an owned feed, and has as many bytes.
#[allow(clippy::too_many_arguments)]
fn takes_over(
    slots: &[Slot],
    remap: &[u32],
    wholes: &Wholes,
    draft: &Draft,
    out: SlotId,
    last_use: &[usize],
    at: usize,
    owned: usize,
) -> Option<SlotId> {
    let root = |s: SlotId| SlotId(remap[wholes.root(s).index()]);
    draft.in_place.iter().map(|i| draft.inputs[*i]).find(|s| {
        let slot = &slots[root(*s).index()];
        let ours = match slot.place {
            Place::Arena(_) => true,
            Place::Feed(i) => i < owned,
            _ => false,
        };
        ours && wholes.root(*s) == *s
            && last_use[root(*s).index()] == at
            && slot.bytes() == slots[out.index()].bytes()
            && slot.ty.dtype == slots[out.index()].ty.dtype
            && draft.inputs.iter().filter(|o| root(**o) == root(*s)).count() == 1
    })
}

/// Free stretches below `end`, by offset and by size.
#[derive(Default)]
struct Arena {
    by_offset: BTreeMap<usize, usize>,
    by_size: BTreeSet<(usize, usize)>,
    end: usize,
}

impl Arena {
    /// The smallest free stretch that fits, or new bytes at the end.
    fn take(&mut self, bytes: usize) -> usize {
        let size = rounded(bytes);
        if size == 0 {
            return 0;
        }
        if let Some(&(free, offset)) = self.by_size.range((size, 0)..).next() {
            self.remove(offset, free);
            if free > size {
                self.insert(offset + size, free - size);
            }
            return offset;
        }
        // A free stretch at the very end grows.
        if let Some((&offset, &free)) = self.by_offset.last_key_value()
            && offset + free == self.end
        {
            self.remove(offset, free);
            self.end = offset + size;
            return offset;
        }
        self.end += size;
        self.end - size
    }

    fn free(&mut self, offset: usize, bytes: usize) {
        let (mut offset, mut size) = (offset, rounded(bytes));
        if size == 0 {
            return;
        }
        if let Some((&before, &free)) = self.by_offset.range(..offset).next_back()
            && before + free == offset
        {
            self.remove(before, free);
            offset = before;
            size += free;
        }
        if let Some(&free) = self.by_offset.get(&(offset + size)) {
            self.remove(offset + size, free);
            size += free;
        }
        self.insert(offset, size);
    }

    fn insert(&mut self, offset: usize, size: usize) {
        self.by_offset.insert(offset, size);
        self.by_size.insert((size, offset));
    }

    fn remove(&mut self, offset: usize, size: usize) {
        self.by_offset.remove(&offset);
        self.by_size.remove(&(size, offset));
    }
}

fn rounded(bytes: usize) -> usize {
    bytes.div_ceil(ALIGN) * ALIGN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_stretch_that_fits_is_taken_and_neighbours_merge() {
        let mut arena = Arena::default();
        let [a, b, c] = [64, 128, 64].map(|n| arena.take(n));
        assert_eq!((a, b, c, arena.end), (0, 64, 192, 256));
        arena.free(a, 64);
        arena.free(c, 64);
        assert_eq!(arena.take(1), a, "two fit alike: the first");
        arena.free(a, 64);
        arena.free(b, 128);
        assert_eq!(arena.take(256), 0, "three merged");
        assert_eq!(arena.end, 256);
    }

    #[test]
    fn the_last_stretch_grows_instead_of_being_left_behind() {
        let mut arena = Arena::default();
        let a = arena.take(64);
        arena.free(a, 64);
        assert_eq!(arena.take(128), 0);
        assert_eq!(arena.end, 128);
    }
}
