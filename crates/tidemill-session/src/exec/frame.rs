//! What one run has for itself: the arena, and the table that says where each slot is.

use std::sync::{Arc, Mutex, PoisonError};

use aligned_vec::{AVec, ConstAlign};
use smallvec::SmallVec;
use tidemill_core::{DType, Error, ErrorKind, Result, Shape, Value};

use super::Item;
use crate::kernels::args::RawBuf;
use crate::plan::{Place, Plan, PlanFetch};

/// See the module documentation. A frame belongs to one plan, and to one run at a time.
pub(crate) struct Frame {
    /// Kept for its memory; reached through `table`.
    _arena: AVec<u8, ConstAlign<64>>,
    pub(crate) table: Vec<RawBuf>,
    /// What is in dynamic slots.
    items: Vec<Option<Item>>,
    /// What is fed, where that is not given as buffers.
    feeds: SmallVec<[Item; 4]>,
}

// SAFETY: the pointers in `table` lead into the frame's own arena and values, into the plan's constants, and, while a run lasts,
// into feeds and variables that the run keeps alive and locked. None of these belongs to a thread.
unsafe impl Send for Frame {}

impl Frame {
    pub(crate) fn new(plan: &Plan) -> Result<Frame> {
        let mut arena: AVec<u8, ConstAlign<64>> = AVec::new(64);
        arena.try_reserve(plan.arena_bytes).map_err(|_| {
            Error::new(
                ErrorKind::ResourceExhausted,
                format!("a run needs {} bytes of memory, which cannot be had", plan.arena_bytes),
            )
        })?;
        // A block at a time: `resize` counts every byte.
        while arena.len() < plan.arena_bytes {
            const BLOCK: [u8; 4096] = [0; 4096];
            arena.extend_from_slice(&BLOCK[..BLOCK.len().min(plan.arena_bytes - arena.len())]);
        }
        let base = arena.as_mut_ptr();
        let table = plan
            .slots
            .iter()
            .map(|slot| {
                let bytes = slot.bytes().unwrap_or(0);
                let ptr = match &slot.place {
                    Place::Constant(value) => value.bytes().as_ptr().cast_mut(),
                    // SAFETY: the verifier checks that the slot lies inside the arena.
                    Place::Arena(offset) if bytes > 0 => unsafe { base.add(*offset) },
                    _ => return RawBuf { dtype: slot.ty.dtype, ..RawBuf::EMPTY },
                };
                RawBuf { ptr, bytes, dtype: slot.ty.dtype }
            })
            .collect();
        Ok(Frame { _arena: arena, table, items: vec![None; plan.slots.len()], feeds: SmallVec::new() })
    }

    /// Points the feeds' slots at the feeds. Those that the plan overwrites are copied if they have other owners.
    pub(crate) fn bind_feeds(&mut self, plan: &Plan, mut feeds: SmallVec<[Item; 4]>) {
        for (slot, feed) in &plan.feed_slots {
            let (slot, i) = (*slot as usize, *feed as usize);
            self.table[slot] = match &mut feeds[i] {
                Item::Value(value) if plan.overwritten.contains(&i) => {
                    let dtype = value.dtype();
                    let bytes = value.bytes_mut();
                    RawBuf { ptr: bytes.as_mut_ptr(), bytes: bytes.len(), dtype }
                }
                item => buffer_of(item, plan.slots[slot].ty.dtype),
            };
        }
        self.feeds = feeds;
    }

    /// Points the feeds' slots at buffers.
    ///
    /// # Safety
    /// The buffers are as the plan declares the feeds, and stay so until the frame is released or bound again.
    pub(crate) unsafe fn bind_buffers(&mut self, plan: &Plan, feeds: &[RawBuf]) {
        for (slot, feed) in &plan.feed_slots {
            self.table[*slot as usize] = feeds[*feed as usize];
        }
    }

    /// What a feed or a dynamic slot holds.
    pub(crate) fn held(&self, plan: &Plan, slot: usize) -> Option<&Item> {
        match plan.slots[slot].place {
            Place::Feed(i) => self.feeds.get(i),
            Place::Dynamic => self.items[slot].as_ref(),
            _ => None,
        }
    }

    /// Lets go of what a feed's or a dynamic slot holds, which nobody uses any more.
    pub(crate) fn drop_item(&mut self, plan: &Plan, slot: usize) {
        match plan.slots[slot].place {
            Place::Feed(i) => {
                if let Some(feed) = self.feeds.get_mut(i) {
                    *feed = Item::Turns(Arc::new([]));
                }
            }
            Place::Dynamic => self.items[slot] = None,
            _ => return,
        }
        self.table[slot] = RawBuf { dtype: self.table[slot].dtype, ..RawBuf::EMPTY };
    }

    pub(crate) fn hold(&mut self, slot: usize, item: Item) {
        self.table[slot] = buffer_of(&item, self.table[slot].dtype);
        self.items[slot] = Some(item);
    }

    /// The value in a slot, shared where it is one already and copied out of the arena or a variable where not.
    pub(crate) fn value(&self, plan: &Plan, slot: usize, shape: &Shape) -> Result<Value> {
        let shared = match &plan.slots[slot].place {
            Place::Constant(value) => Some(value),
            _ => self.held(plan, slot).map(Item::value).transpose()?,
        };
        match shared {
            Some(value) if value.shape() == shape => Ok(value.clone()),
            Some(value) => Ok(value.reshape(shape.clone())?),
            None => {
                let buffer = self.table[slot];
                // SAFETY: a bound slot is valid for its bytes until the run ends, and nothing writes while this copies.
                let bytes = unsafe { std::slice::from_raw_parts(buffer.ptr, buffer.bytes) };
                Ok(Value::from_bytes(buffer.dtype, shape.clone(), bytes)?)
            }
        }
    }

    /// What is in a slot, as a value of this shape if that is known.
    pub(crate) fn item(&self, plan: &Plan, slot: usize, shape: Option<Shape>) -> Result<Item> {
        match (shape, self.held(plan, slot)) {
            (Some(shape), _) => self.value(plan, slot, &shape).map(Item::Value),
            (None, Some(item)) => Ok(item.clone()),
            (None, None) => Err(Error::internal("a value is asked for that was never computed")),
        }
    }

    pub(crate) fn fetch(&self, plan: &Plan, fetch: &PlanFetch) -> Result<Item> {
        self.item(plan, fetch.slot.index(), fetch.shape.clone())
    }

    /// Lets go of what a run made outside the arena.
    pub(crate) fn release(&mut self, plan: &Plan) {
        self.feeds.clear();
        for slot in &plan.transient_slots {
            let slot = *slot as usize;
            self.items[slot] = None;
            self.table[slot] = RawBuf { dtype: plan.slots[slot].ty.dtype, ..RawBuf::EMPTY };
        }
    }
}

/// Where an item's bytes are: nowhere, if it is no one value.
fn buffer_of(item: &Item, dtype: DType) -> RawBuf {
    match item {
        Item::Value(v) => {
            RawBuf { ptr: v.bytes().as_ptr().cast_mut(), bytes: v.num_bytes(), dtype: v.dtype() }
        }
        Item::Turns(_) => RawBuf { dtype, ..RawBuf::EMPTY },
    }
}

/// Frames of one plan that wait for their next run.
#[derive(Default)]
pub(crate) struct FramePool {
    free: Mutex<Vec<Frame>>,
}

impl FramePool {
    pub(crate) fn take(&self, plan: &Plan) -> Result<Frame> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match free {
            Some(frame) => Ok(frame),
            None => Frame::new(plan),
        }
    }

    pub(crate) fn give_back(&self, plan: &Plan, mut frame: Frame) {
        frame.release(plan);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(frame);
    }
}
