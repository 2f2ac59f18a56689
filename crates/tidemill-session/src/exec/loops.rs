//! Loops and conditionals at run time.
//!
//! A loop whose types are all known passes *buffers*: a carry has two, so that a turn reads one while its results go to the other, unless
//! the turn leaves its result where it found the carry, as it does when it works in place; then that stays. Slices of the xs are read where they lie, and ys are written where they belong. A loop whose shapes change from turn to turn passes
//! items.

use aligned_vec::{AVec, ConstAlign};
use smallvec::SmallVec;
use tidemill_core::{Error, ErrorKind, Result, Shape, Value};

use super::dynamic::{self, store};
use super::{Frame, Item, RunCx, run_steps};
use crate::kernels::args::RawBuf;
use crate::plan::{LoopStep, Place, Plan, PlanStep, SubPlan};
use crate::variables::Guard;

/// A buffer of its own.
type Buffer = AVec<u8, ConstAlign<64>>;

pub(super) fn run_if(
    plan: &Plan,
    step: &PlanStep,
    branches: &[SubPlan; 2],
    frame: &mut Frame,
    variables: &mut [Guard<'_>],
    cx: &RunCx,
) -> Result<()> {
    let taken = operand(plan, step, frame, 0)?.value()?.to_scalar::<bool>()?;
    let (then, orelse) = (&branches[0], &branches[1]);
    let (branch, first) = if taken { (then, 1) } else { (orelse, 1 + then.plan.num_feeds) };
    let feeds = (first..first + branch.plan.num_feeds)
        .map(|i| dynamic::take(plan, step, frame, i))
        .collect::<Result<_>>()?;
    let results = branch.run_items(feeds, variables, cx)?;
    let declared = &step.types[step.num_inputs..];
    for ((slot, item), ty) in step.outputs().iter().zip(results).zip(declared) {
        store(plan, *slot as usize, item, ty, frame)?;
    }
    Ok(())
}

pub(super) fn run_loop(
    plan: &Plan,
    step: &PlanStep,
    inner: &LoopStep,
    frame: &mut Frame,
    variables: &mut [Guard<'_>],
    cx: &RunCx,
) -> Result<()> {
    let limit = turns(plan, step, inner, frame)?;
    if inner.is_static {
        with_buffers(plan, step, inner, limit, frame, variables, cx)
    } else {
        with_items(plan, step, inner, limit, frame, variables, cx)
    }
}

/// What operand `i` is now.
fn operand(plan: &Plan, step: &PlanStep, frame: &Frame, i: usize) -> Result<Item> {
    dynamic::operand(plan, frame, step.inputs()[i] as usize, &step.types[i])
}

/// How many turns there may be: the trip count, or the number of slices; `None` when only the condition ends the loop.
fn turns(plan: &Plan, step: &PlanStep, inner: &LoopStep, frame: &Frame) -> Result<Option<usize>> {
    let trip = match inner.trip {
        true => {
            let count = operand(plan, step, frame, 0)?;
            let count = count.value()?.cast(tidemill_core::DType::I64).to_scalar::<i64>()?;
            Some(usize::try_from(count).unwrap_or(0))
        }
        false => None,
    };
    let mut limit = trip;
    for i in inner.layout.xs..inner.layout.cond_captures {
        let known = step.types[i].shape.as_known().map(|shape| shape.first().copied());
        let held = || frame.held(plan, step.inputs()[i] as usize).and_then(Item::len);
        let slices = known.unwrap_or_else(held);
        let slices = slices.ok_or_else(|| Error::invalid("a scalar cannot be taken apart along axis 0"))?;
        match limit {
            Some(n) if n != slices => {
                return Err(Error::invalid(format!(
                    "the loop has {n} turns, but an input has {slices} slices"
                )));
            }
            _ => limit = Some(slices),
        }
    }
    Ok(limit)
}

impl SubPlan {
    /// Runs the plan on values.
    fn run_items(
        &self,
        feeds: SmallVec<[Item; 4]>,
        variables: &mut [Guard<'_>],
        cx: &RunCx,
    ) -> Result<SmallVec<[Item; 4]>> {
        cx.check_memory(self.plan.arena_bytes)?;
        let mut frame = self.frames.take(&self.plan)?;
        frame.bind_feeds(&self.plan, feeds);
        let outcome = run_steps(&self.plan, &mut 0, &mut frame, variables, cx);
        let results =
            outcome.and_then(|()| self.plan.fetches.iter().map(|f| frame.fetch(&self.plan, f)).collect());
        self.frames.give_back(&self.plan, frame);
        results
    }

    /// Runs the plan on buffers; the results are then where [`result`] says.
    ///
    /// # Safety
    /// The buffers are of the types that the plan declares for its feeds, and live until the next run of this frame.
    unsafe fn run_buffers(
        &self,
        frame: &mut Frame,
        feeds: &[RawBuf],
        variables: &mut [Guard<'_>],
        cx: &RunCx,
    ) -> Result<()> {
        // SAFETY: as promised by the caller.
        unsafe { frame.bind_buffers(&self.plan, feeds) };
        run_steps(&self.plan, &mut 0, frame, variables, cx)
    }
}

/// Where result `i` of a plan that has just run is.
fn result(plan: &Plan, frame: &Frame, i: usize) -> RawBuf {
    frame.table[plan.fetches[i].slot.index()]
}

/// Copies a buffer.
///
/// # Safety
/// `to` is valid for the bytes of `from`, and they do not overlap.
unsafe fn copy(from: RawBuf, to: *mut u8) {
    // SAFETY: as promised by the caller.
    unsafe { std::ptr::copy_nonoverlapping(from.ptr, to, from.bytes) }
}

/// Frames that go back to their pools however the loop ends.
struct Frames<'a> {
    inner: &'a LoopStep,
    body: Option<Frame>,
    cond: Option<Frame>,
}

impl<'a> Frames<'a> {
    fn take(inner: &'a LoopStep, cx: &RunCx) -> Result<Frames<'a>> {
        cx.check_memory(inner.body.plan.arena_bytes)?;
        let body = Some(inner.body.frames.take(&inner.body.plan)?);
        let cond = inner.cond.as_ref().map(|c| c.frames.take(&c.plan)).transpose()?;
        Ok(Frames { inner, body, cond })
    }
}

impl Drop for Frames<'_> {
    fn drop(&mut self) {
        if let Some(frame) = self.body.take() {
            self.inner.body.frames.give_back(&self.inner.body.plan, frame);
        }
        if let (Some(frame), Some(cond)) = (self.cond.take(), &self.inner.cond) {
            cond.frames.give_back(&cond.plan, frame);
        }
    }
}

/// The buffers of a carry: one that turns read and may write, and one for what they give.
struct Carry {
    buffers: [Buffer; 2],
    /// Which of them is not read by the turn.
    free: usize,
    bytes: usize,
    /// Whether a turn gives the carry where it found it.
    stays: bool,
}

impl Carry {
    fn new(body: &Plan, c: usize, bytes: usize) -> Carry {
        let slot = body.fetches[c].slot.index();
        let stays = matches!(body.slots[slot].place, Place::Feed(i) if i == c);
        Carry { buffers: [Buffer::new(64), Buffer::new(64)], free: 0, bytes, stays }
    }

    /// Copies the carry to where no turn has read it, for the next turn.
    fn put(&mut self, from: RawBuf) -> Result<RawBuf> {
        let to = &mut self.buffers[self.free];
        self.free = 1 - self.free;
        if to.len() < self.bytes {
            to.try_reserve(self.bytes).map_err(|_| {
                let message = format!("a loop carries {} bytes, and no room for them is left", self.bytes);
                Error::new(ErrorKind::ResourceExhausted, message)
            })?;
            to.resize(self.bytes, 0);
        }
        let to = RawBuf { ptr: to.as_mut_ptr(), bytes: self.bytes, dtype: from.dtype };
        // SAFETY: the buffer has the carry's size. What the turn gives lies in its own frame, or in a buffer that it read (of this or another
        // carry), or in an operand of the loop; this buffer it did not read.
        unsafe { copy(RawBuf { bytes: self.bytes.min(from.bytes), ..from }, to.ptr) };
        Ok(to)
    }
}

/// Where the ys of a loop are collected: as many slices as there will be turns, or as there have been.
enum Stack {
    /// In the output's own place.
    Placed(RawBuf),
    /// In a buffer that grows.
    Growing(Vec<u8>),
}

fn with_buffers(
    plan: &Plan,
    step: &PlanStep,
    inner: &LoopStep,
    limit: Option<usize>,
    outer: &mut Frame,
    variables: &mut [Guard<'_>],
    cx: &RunCx,
) -> Result<()> {
    let layout = inner.layout;
    let carries = layout.xs - layout.carries;
    let sizes: Vec<usize> = inner
        .results
        .iter()
        .chain(&inner.slices)
        .map(|ty| {
            let bytes = ty.shape.as_known().and_then(|s| s.num_bytes(ty.dtype));
            bytes.ok_or_else(|| Error::invalid(format!("a {ty} is too large")))
        })
        .collect::<Result<_>>()?;
    let (result_sizes, slice_sizes) = sizes.split_at(inner.results.len());
    cx.check_memory(result_sizes.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes)))?;
    // A loop with a condition may end early, so only without one the ys can go straight to their place.
    let known = limit.filter(|_| inner.cond.is_none());
    let mut stacks: Vec<Stack> = vec![];
    for (y, bytes) in result_sizes[carries..].iter().enumerate() {
        let slot = step.outputs()[carries + y] as usize;
        stacks.push(match (known, &plan.slots[slot].place) {
            (Some(n), Place::Arena(_)) if outer.table[slot].bytes == n.saturating_mul(*bytes) => {
                Stack::Placed(outer.table[slot])
            }
            _ => Stack::Growing(Vec::new()),
        });
    }
    let mut buffers: Vec<Carry> = vec![];
    for (c, bytes) in result_sizes[..carries].iter().enumerate() {
        buffers.push(Carry::new(&inner.body.plan, c, *bytes));
    }

    let mut frames = Frames::take(inner, cx)?;
    let input = |frame: &Frame, i: usize| frame.table[step.inputs()[i] as usize];
    let mut feeds: SmallVec<[RawBuf; 16]> = (layout.carries..layout.cond_captures)
        .chain(layout.body_captures..layout.end)
        .map(|i| input(outer, i))
        .collect();
    let mut cond_feeds: SmallVec<[RawBuf; 8]> = (layout.carries..layout.xs)
        .chain(layout.cond_captures..layout.body_captures)
        .map(|i| input(outer, i))
        .collect();
    check_feeds(&inner.body.plan, &feeds, carries..carries + slice_sizes.len())?;
    if let Some(cond) = &inner.cond {
        check_feeds(&cond.plan, &cond_feeds, 0..0)?;
    }
    let slices: SmallVec<[RawBuf; 8]> = (layout.xs..layout.cond_captures).map(|i| input(outer, i)).collect();
    let whole = |(slice, bytes): (&RawBuf, &usize)| slice.bytes == limit.unwrap_or(0).saturating_mul(*bytes);
    if !slices.iter().zip(slice_sizes).all(whole) {
        return Err(Error::invalid(
            "an input to the loop is not made of slices of the size that its body takes",
        ));
    }
    for c in &inner.body.plan.overwritten {
        // The operand is not the loop's to write.
        feeds[*c] = buffers[*c].put(feeds[*c])?;
    }
    let mut turn = 0;
    while limit.is_none_or(|n| turn < n) {
        cx.stop.check()?;
        if let (Some(cond), Some(frame)) = (&inner.cond, &mut frames.cond) {
            cond_feeds[..carries].copy_from_slice(&feeds[..carries]);
            // SAFETY: carries and captures have the types that specialising gave the parameters, and live as long as this run.
            unsafe { cond.run_buffers(frame, &cond_feeds, variables, cx)? };
            let go_on = result(&cond.plan, frame, 0);
            // SAFETY: the condition's result is one valid bool.
            if !unsafe { go_on.ptr.cast::<bool>().read() } {
                break;
            }
        }
        let at = match limit {
            Some(n) if inner.reverse => n - 1 - turn,
            _ => turn,
        };
        for (x, (slice, bytes)) in slices.iter().zip(slice_sizes).enumerate() {
            // SAFETY: checked above to have as many slices as there may be turns.
            let ptr = unsafe { slice.ptr.add(at * bytes) };
            feeds[carries + x] = RawBuf { ptr, bytes: *bytes, ..*slice };
        }
        let Some(frame) = &mut frames.body else { break };
        // SAFETY: as for the condition; slices are of the parameters' types.
        unsafe { inner.body.run_buffers(frame, &feeds, variables, cx)? };
        for (c, carry) in buffers.iter_mut().enumerate().filter(|(_, carry)| !carry.stays) {
            feeds[c] = carry.put(result(&inner.body.plan, frame, c))?;
        }
        for (y, stack) in stacks.iter_mut().enumerate() {
            let from = result(&inner.body.plan, frame, carries + y);
            match stack {
                // SAFETY: the place holds one slice for each turn, and is nobody else's while the loop runs.
                Stack::Placed(place) => unsafe { copy(from, place.ptr.add(at * from.bytes)) },
                Stack::Growing(bytes) => {
                    cx.check_memory(bytes.len().saturating_add(from.bytes))?;
                    bytes.try_reserve(from.bytes).map_err(|_| {
                        let have = bytes.len();
                        Error::new(
                            ErrorKind::ResourceExhausted,
                            format!("a loop has stacked {have} bytes, and more cannot be had"),
                        )
                    })?;
                    // SAFETY: a result is valid for its bytes until the frame runs again.
                    bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(from.ptr, from.bytes) });
                }
            }
        }
        turn += 1;
    }

    let declared = &step.types[step.num_inputs..];
    for c in 0..carries {
        let shape = inner.results[c].shape.as_known().unwrap_or_default();
        let last = feeds[c];
        // SAFETY: the operand, or the buffer of the last turn; both live here.
        let bytes = unsafe { std::slice::from_raw_parts(last.ptr, last.bytes) };
        give(plan, step, c, bytes, shape, outer)?;
    }
    for (y, stack) in stacks.into_iter().enumerate() {
        let Stack::Growing(mut bytes) = stack else { continue };
        let ty = &inner.results[carries + y];
        let element = ty.shape.as_known().unwrap_or_default();
        let shape: Shape = [turn].into_iter().chain(element.iter().copied()).collect();
        if inner.reverse {
            reverse_slices(&mut bytes, result_sizes[carries + y]);
        }
        let value = Item::Value(Value::from_bytes(ty.dtype, shape, &bytes)?);
        store(plan, step.outputs()[carries + y] as usize, value, &declared[carries + y], outer)?;
    }
    count(plan, step, turn, outer)
}

/// What is passed in must be of the types that the plan was compiled for; `except` those that each turn sets.
fn check_feeds(plan: &Plan, feeds: &[RawBuf], except: std::ops::Range<usize>) -> Result<()> {
    for (slot, i) in &plan.feed_slots {
        let (slot, i) = (&plan.slots[*slot as usize], *i as usize);
        if !except.contains(&i) && slot.bytes() != Some(feeds[i].bytes) {
            return Err(Error::invalid(format!(
                "the body of the loop takes a {}, but is given {} bytes",
                slot.ty, feeds[i].bytes
            )));
        }
    }
    Ok(())
}

/// Puts bytes into output `i`.
fn give(plan: &Plan, step: &PlanStep, i: usize, bytes: &[u8], shape: Shape, frame: &mut Frame) -> Result<()> {
    let slot = step.outputs()[i] as usize;
    let ty = &step.types[step.num_inputs + i];
    match plan.slots[slot].place {
        Place::Arena(_) if frame.table[slot].bytes == bytes.len() => {
            // SAFETY: the slot is as long as `bytes`, which lie in an operand or a loop's own buffer.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), frame.table[slot].ptr, bytes.len()) };
            Ok(())
        }
        _ => store(plan, slot, Item::Value(Value::from_bytes(ty.dtype, shape, bytes)?), ty, frame),
    }
}

/// The last output: how many turns there were.
fn count(plan: &Plan, step: &PlanStep, turns: usize, frame: &mut Frame) -> Result<()> {
    let i = step.outputs().len() - 1;
    let turns = i32::try_from(turns).unwrap_or(i32::MAX);
    give(plan, step, i, &turns.to_ne_bytes(), Shape::scalar(), frame)
}

fn reverse_slices(bytes: &mut Vec<u8>, size: usize) {
    if size > 0 {
        let reversed = bytes.chunks_exact(size).rev().flatten().copied().collect();
        *bytes = reversed;
    }
}

fn with_items(
    plan: &Plan,
    step: &PlanStep,
    inner: &LoopStep,
    limit: Option<usize>,
    outer: &mut Frame,
    variables: &mut [Guard<'_>],
    cx: &RunCx,
) -> Result<()> {
    let layout = inner.layout;
    let count_carries = layout.xs - layout.carries;
    let mut all = |range: std::ops::Range<usize>| -> Result<SmallVec<[Item; 4]>> {
        range.map(|i| dynamic::take(plan, step, outer, i)).collect()
    };
    let mut carries = all(layout.carries..layout.xs)?;
    let xs = all(layout.xs..layout.cond_captures)?;
    let cond_captures = all(layout.cond_captures..layout.body_captures)?;
    let captures = all(layout.body_captures..layout.end)?;
    let mut ys: Vec<Vec<Item>> = vec![vec![]; layout.ys];
    let (mut turn, mut kept) = (0, 0usize);
    while limit.is_none_or(|n| turn < n) {
        cx.stop.check()?;
        if let Some(cond) = &inner.cond {
            let feeds = carries.iter().chain(&cond_captures).cloned().collect();
            if !cond.run_items(feeds, variables, cx)?[0].value()?.to_scalar::<bool>()? {
                break;
            }
        }
        let at = match limit {
            Some(n) if inner.reverse => n - 1 - turn,
            _ => turn,
        };
        // Moved, so that a turn owns what it carries and may work on it in place.
        let mut feeds = std::mem::take(&mut carries);
        for x in &xs {
            feeds.push(x.slice(at)?);
        }
        feeds.extend(captures.iter().cloned());
        let mut results = inner.body.run_items(feeds, variables, cx)?.into_iter();
        carries = results.by_ref().take(count_carries).collect();
        for (stack, y) in ys.iter_mut().zip(results) {
            kept = kept.saturating_add(y.bytes());
            stack.push(y);
        }
        cx.check_memory(kept)?;
        turn += 1;
    }
    let declared = &step.types[step.num_inputs..];
    for (i, item) in carries.into_iter().enumerate() {
        store(plan, step.outputs()[i] as usize, item, &declared[i], outer)?;
    }
    for (y, mut turns) in ys.into_iter().enumerate() {
        if inner.reverse {
            turns.reverse();
        }
        let i = count_carries + y;
        let ty = &inner.results[i];
        let stacked = Item::stack(turns, ty.dtype, &ty.shape)?;
        store(plan, step.outputs()[i] as usize, stacked, &declared[i], outer)?;
    }
    count(plan, step, turn, outer)
}
