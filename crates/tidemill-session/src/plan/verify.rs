//! The specification of the plan form. A plan is well formed when
//!
//! 1. steps and fetches name slots that exist, feeds and variables that the plan has;
//! 2. a slot is filled before it is used: by a feed, a constant, a read, or an earlier step;
//! 3. an arena slot's size is known, it is aligned, and lies inside the arena, and inside of the slot that it is a part of;
//! 4. while a slot will still be used, no step writes bytes that overlap it, except a step that takes the slot itself over; a part is used
//!    as long as its whole is, and overlaps no other part that is not the same value;
//! 5. steps write no feeds but those that the plan says it overwrites;
//! 6. a fetch whose shape is known has as many bytes as its slot.
//!
//! Whatever kernels assume of their buffers rests on 2 to 5.

use tidemill_core::{Error, Result};

use super::{Place, Plan, SlotId, memory};

impl Plan {
    /// Checks the specification above.
    ///
    /// # Errors
    /// `Internal`, with what is wrong: it is a bug of the planner.
    pub fn verify(&self) -> Result<()> {
        self.check().map_err(|what| Error::internal(format!("malformed plan: {what}")))
    }

    fn check(&self) -> Result<(), String> {
        let mut filled = vec![false; self.slots.len()];
        let mut last_use = vec![0; self.slots.len()];
        for (i, slot) in self.slots.iter().enumerate() {
            match &slot.place {
                Place::Feed(feed) if *feed >= self.num_feeds => return Err(format!("s{i}: no feed {feed}")),
                Place::Variable(v) if *v >= self.variables.len() => {
                    return Err(format!("s{i}: no variable {v}"));
                }
                Place::Constant(value) if value.dtype() != slot.ty.dtype => {
                    return Err(format!("s{i}: a {} for a constant {}", slot.ty, value.dtype()));
                }
                Place::Feed(_) | Place::Constant(_) => filled[i] = true,
                Place::Variable(_) => filled[i] = slot.ty.is_ref,
                Place::Arena(_) | Place::Dynamic => {}
            }
        }
        let whole = |s: usize| self.slots[s].inside.map_or(s, |whole| whole.index());
        for (at, step) in self.steps.iter().enumerate() {
            for s in &step.slots {
                if *s as usize >= self.slots.len() {
                    return Err(format!("step {at} uses s{s}, which does not exist"));
                }
                last_use[whole(*s as usize)] = at;
            }
        }
        for fetch in &self.fetches {
            let slot = self.slots.get(fetch.slot.index()).ok_or_else(|| format!("no slot {}", fetch.slot))?;
            last_use[whole(fetch.slot.index())] = self.steps.len();
            let wanted = fetch.shape.as_ref().and_then(|s| s.num_bytes(slot.ty.dtype));
            if wanted.is_some() && slot.bytes().is_some() && wanted != slot.bytes() {
                return Err(format!(
                    "{} is fetched with {wanted:?} bytes, but has {:?}",
                    fetch.slot,
                    slot.bytes()
                ));
            }
        }
        let mut live: Vec<(usize, usize, usize)> = vec![];
        for (at, step) in self.steps.iter().enumerate() {
            if let Some(s) = step.inputs().iter().find(|s| !filled[**s as usize]) {
                return Err(format!("step {at} \"{}\" uses s{s} before it is filled", step.source.name));
            }
            for s in step.outputs() {
                let slot = &self.slots[*s as usize];
                filled[*s as usize] = true;
                if let Place::Feed(i) = slot.place
                    && !self.overwritten.contains(&i)
                {
                    return Err(format!("step {at} \"{}\" writes feed {i}", step.source.name));
                }
                let Place::Arena(offset) = slot.place else { continue };
                let bytes =
                    slot.bytes().ok_or_else(|| format!("s{s} is in the arena, but its size is not known"))?;
                let (align, around) = match slot.inside {
                    None => (memory::ALIGN, 0..self.arena_bytes),
                    Some(whole) => (slot.ty.dtype.size(), self.range(whole)?),
                };
                if offset % align != 0 || offset < around.start || offset + bytes > around.end {
                    return Err(format!("s{s} at {offset} is misaligned or outside of what it is a part of"));
                }
                let overlapping = live.iter().find(|(other, start, end)| {
                    whole(*other) != whole(*s as usize)
                        && *start < offset + bytes
                        && offset < *end
                        && last_use[whole(*other)] >= at
                });
                if let Some((other, ..)) = overlapping {
                    return Err(format!("step {at} \"{}\" fills s{s} over s{other}", step.source.name));
                }
                live.retain(|(other, ..)| *other != *s as usize && last_use[whole(*other)] >= at);
                if bytes > 0 {
                    live.push((*s as usize, offset, offset + bytes));
                }
            }
        }
        if let Some(fetch) = self.fetches.iter().find(|f| !filled[f.slot.index()]) {
            return Err(format!("{} is fetched, but never filled", fetch.slot));
        }
        Ok(())
    }

    /// The bytes of a slot in the arena.
    fn range(&self, slot: SlotId) -> Result<std::ops::Range<usize>, String> {
        let whole = &self.slots[slot.index()];
        match (&whole.place, whole.bytes()) {
            (Place::Arena(offset), Some(bytes)) if whole.inside.is_none() => Ok(*offset..offset + bytes),
            _ => Err(format!("{slot} has parts, but no place of its own in the arena")),
        }
    }
}
