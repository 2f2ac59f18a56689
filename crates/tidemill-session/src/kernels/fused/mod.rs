//! [`Fused`]: several elementwise ops in one step.
//!
//! The elements go through a [small program](code) a tile at a time, so that what is between its instructions stays in the first-level cache. An
//! instruction works on whole tiles, so that what it costs to tell what to do is spread over many elements.

mod code;

pub(crate) use code::{Arg, Code, Function};

use std::mem::MaybeUninit;

use smallvec::SmallVec;
use tidemill_core::{DType, Error, InferCx, Op, Result, Schema, Shape, TensorType, attrs};

use super::real::Wide;
use super::simd::{Body, Isa, Level, run};
use super::{Args, CompileCx, Compiled, KernelTable, Step};
use code::LANES;

/// Elementwise ops that became one. Operands are as large as the results, or repeat along them as [`Spread`] says; all are of one dtype, `f32` or `f64`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fused {
    /// What is computed of each element.
    pub(crate) code: Code,
    /// The shape of all results.
    pub(crate) shape: Shape,
}
attrs!(Fused { code, shape });

impl Op for Fused {
    const SCHEMA: Schema = Schema::new("Fused", "(xs: N*T) -> (ys: N*T) where T: Float");

    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::new(cx.dtype(0), &self.shape); self.code.outputs.len()])
    }
}

/// How an operand is spread over the results.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Spread {
    /// An element for each.
    Each,
    /// One element for all.
    Scalar,
    /// So many elements, over and over again.
    Row(usize),
    /// Each element so many times.
    Column(usize),
}

impl Spread {
    /// How an operand is spread over results of shape `to`, if it is in one of these ways.
    pub(crate) fn of(operand: &Shape, to: &Shape) -> Option<Spread> {
        let (count, all) = (operand.num_elements(), to.num_elements());
        let lead = to.rank().checked_sub(operand.rank())?;
        let fits = operand.iter().zip(&to[lead..]).all(|(x, y)| x == y || *x == 1);
        if !fits || all == 0 {
            return None;
        }
        if count == all {
            return Some(Spread::Each);
        }
        if count == 1 {
            return Some(Spread::Scalar);
        }
        let ones = operand.iter().take_while(|n| **n == 1).count();
        if operand[ones..] == to[lead + ones..] {
            return Some(Spread::Row(count));
        }
        let full = operand.iter().zip(&to[lead..]).take_while(|(x, y)| x == y).count();
        let whole = to[..lead].iter().all(|n| *n == 1);
        (whole && operand[full..].iter().all(|n| *n == 1)).then(|| Spread::Column(all / count))
    }

    /// The length of the rows into which it divides the results.
    pub(crate) fn columns(self) -> Option<usize> {
        match self {
            Spread::Row(n) | Spread::Column(n) => Some(n),
            Spread::Each | Spread::Scalar => None,
        }
    }
}

/// The most results and operands of a step.
pub(crate) const MAX_BUFFERS: usize = 48;
/// Elements of a tile, if what is needed at a time fits the memory for it.
const TILE: usize = 512;
/// Bytes for tiles: about as large as the first-level cache.
const SCRATCH: usize = 32 << 10;
/// The most tiles that may be needed at a time.
const MAX_TILES: usize = SCRATCH / (LANES * size_of::<f64>());

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Fused>(|op, cx| match cx.dtype(0) {
        DType::F32 => compile::<f32>(op, cx),
        DType::F64 => compile::<f64>(op, cx),
        other => Err(Error::internal(format!("fused {other}"))),
    });
}

/// An instruction whose operands and result are numbers of buffers: operands of the step, then its results, then tiles.
#[derive(Clone, Copy)]
struct Flat {
    function: Function,
    args: [u16; 2],
    to: u16,
}

/// A fused step, ready to run.
struct Machine {
    flat: Vec<Flat>,
    spreads: SmallVec<[Spread; 8]>,
    /// For each operand that is spread, the tile it is spread in.
    spread_in: SmallVec<[u16; 8]>,
    outputs: usize,
    elements: usize,
    /// The rows that operands divide the results into; all in one row where none does.
    columns: usize,
    tiles: usize,
    tile: usize,
}

fn compile<T: Wide>(op: &Fused, cx: &CompileCx) -> Result<Compiled> {
    let shapes = (0..cx.num_inputs()).map(|i| Spread::of(&cx.shape(i), &op.shape));
    let spreads: SmallVec<[Spread; 8]> = shapes
        .collect::<Option<_>>()
        .ok_or_else(|| Error::internal("an operand of a fused step does not fit its results"))?;
    let machine = Machine::new::<T>(&op.code, spreads, op.shape.num_elements())
        .ok_or_else(|| Error::internal("a fused step is too large"))?;
    let in_place = machine.in_place(&op.code);
    let level = cx.level();
    let step = Step::new(move |args: &mut Args| {
        machine.step::<T>(level, args);
        Ok(())
    });
    Ok(step.in_place(&in_place).into())
}

impl Code {
    /// How many tiles are needed at a time, with one for each operand that is spread; `to` are those of each instruction.
    fn tiles(&self, spread: usize) -> (usize, Vec<Option<u16>>) {
        let mut last_use = vec![0; self.instrs.len()];
        for (i, instr) in self.instrs.iter().enumerate() {
            for arg in instr.args {
                if let Arg::Temp(t) = arg {
                    last_use[t as usize] = i;
                }
            }
        }
        let (mut free, mut tiles): (Vec<u16>, usize) = (vec![], spread);
        let mut to = vec![None; self.instrs.len()];
        for (i, instr) in self.instrs.iter().enumerate() {
            // An operand that is not needed afterwards may be overwritten: element by element, it has been read.
            for arg in &instr.args[..instr.function.arity()] {
                if let Arg::Temp(t) = *arg
                    && last_use[t as usize] == i
                    && let Some(tile) = to[t as usize]
                    && !free.contains(&tile)
                {
                    free.push(tile);
                }
            }
            if self.outputs.contains(&(i as u32)) {
                continue;
            }
            to[i] = Some(free.pop().unwrap_or_else(|| {
                tiles += 1;
                (tiles - 1) as u16
            }));
        }
        (tiles, to)
    }

    /// Whether a step can be made of it, with so many operands.
    pub(crate) fn fits(&self, inputs: usize) -> bool {
        inputs + self.outputs.len() <= MAX_BUFFERS && self.tiles(inputs).0 <= MAX_TILES
    }
}

impl Machine {
    fn new<T: Wide>(code: &Code, spreads: SmallVec<[Spread; 8]>, elements: usize) -> Option<Machine> {
        let inputs = spreads.len();
        if !code.fits(inputs) {
            return None;
        }
        let columns = spreads.iter().find_map(|s| s.columns()).unwrap_or(elements);
        if spreads.iter().any(|s| s.columns().is_some_and(|c| c != columns)) {
            return None;
        }
        let spread: SmallVec<[usize; 8]> = (0..inputs).filter(|i| spreads[*i] != Spread::Each).collect();
        let (tiles, to) = code.tiles(spread.len());
        let tile_at = |tile: u16| (inputs + code.outputs.len()) as u16 + tile;
        let mut spread_in = SmallVec::from_elem(0, inputs);
        spread.iter().enumerate().for_each(|(tile, i)| spread_in[*i] = tile as u16);
        let to: Vec<u16> = to
            .into_iter()
            .enumerate()
            .map(|(i, tile)| match tile {
                Some(tile) => tile_at(tile),
                None => (inputs + code.outputs.iter().position(|t| *t as usize == i).unwrap_or(0)) as u16,
            })
            .collect();
        let buffer = |arg: Arg| match arg {
            Arg::Input(x) if spreads[x as usize] == Spread::Each => x as u16,
            Arg::Input(x) => tile_at(spread_in[x as usize]),
            Arg::Temp(t) => to[t as usize],
        };
        let flat = code
            .instrs
            .iter()
            .zip(&to)
            .map(|(instr, to)| Flat { function: instr.function, args: instr.args.map(buffer), to: *to })
            .collect();
        let room = SCRATCH / size_of::<T>() / tiles.max(1);
        let room = room.min(TILE) / LANES * LANES;
        // Whole rows, and if possible whole vectors of them.
        let tile = match columns {
            c if c > room => room,
            c => {
                let rows = room / c;
                let whole = (1..=LANES).find(|n| n * c % LANES == 0).unwrap_or(1);
                c * if rows >= whole { rows / whole * whole } else { rows }
            }
        };
        let outputs = code.outputs.len();
        Some(Machine { flat, spreads, spread_in, outputs, elements, columns, tiles, tile })
    }

    /// Operands whose buffer the first result may take over: those read for the last time before, or when, it is written.
    fn in_place(&self, code: &Code) -> Vec<usize> {
        let Some(written) = code.outputs.first() else { return vec![] };
        let used_later = |i: usize| {
            code.instrs[*written as usize + 1..]
                .iter()
                .any(|instr| instr.args.contains(&Arg::Input(i as u32)))
        };
        (0..self.spreads.len()).filter(|i| self.spreads[*i] == Spread::Each && !used_later(*i)).collect()
    }

    fn step<T: Wide>(&self, level: Level, args: &mut Args) {
        let mut buffers = [std::ptr::null_mut::<T>(); MAX_BUFFERS];
        let inputs = self.spreads.len();
        for (i, buffer) in buffers[..inputs].iter_mut().enumerate() {
            *buffer = args.input_ptr::<T>(i).0.cast_mut();
        }
        for (o, buffer) in buffers[inputs..inputs + self.outputs].iter_mut().enumerate() {
            *buffer = args.output_ptr::<T>(o).0;
        }
        run(level, Run { machine: self, buffers: &buffers[..inputs + self.outputs] });
    }
}

struct Run<'a, T> {
    machine: &'a Machine,
    /// Where operands and results start.
    buffers: &'a [*mut T],
}

/// Memory for tiles.
#[repr(align(64))]
struct Scratch([MaybeUninit<u8>; SCRATCH]);

impl<T: Wide> Body for Run<'_, T> {
    type Out = ();
    // Most functions of `f64` are not vectorised anyway.
    const WIDE: bool = matches!(T::DTYPE, DType::F32);
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Run { machine, buffers } = self;
        let Machine { spreads, elements, columns, tile, .. } = machine;
        let (elements, columns, tile) = (*elements, *columns, *tile);
        let mut scratch = Scratch([const { MaybeUninit::uninit() }; SCRATCH]);
        let scratch = scratch.0.as_mut_ptr().cast::<T>();
        let mut table = [std::ptr::null_mut::<T>(); MAX_BUFFERS + MAX_TILES];
        for t in 0..machine.tiles {
            // A tile is whole vectors long, so that the last of them need no care.
            table[buffers.len() + t] = scratch.wrapping_add(t * tile.next_multiple_of(LANES));
        }
        let whole_rows = columns <= tile;
        let first = tile.min(elements);
        for (i, spread) in spreads.iter().enumerate() {
            let to = table[buffers.len() + machine.spread_in[i] as usize];
            // SAFETY: a scalar has one element; a row has `columns`, which are repeated in a tile of whole rows.
            unsafe {
                match spread {
                    Spread::Scalar => {
                        let x = *buffers[i];
                        (0..first.next_multiple_of(LANES)).for_each(|e| to.add(e).write(x));
                    }
                    Spread::Row(_) if whole_rows => repeat(buffers[i], columns, to, first),
                    _ => {}
                }
            }
        }
        let mut at = 0;
        while at < elements {
            let left = if whole_rows { elements - at } else { columns - at % columns };
            let count = tile.min(left);
            for (i, spread) in spreads.iter().enumerate() {
                let to = table[buffers.len() + machine.spread_in[i] as usize];
                // SAFETY: the operand has an element for each of the results, or for each row of them.
                unsafe {
                    match spread {
                        Spread::Column(_) => stretch(buffers[i], at / columns, columns, to, count),
                        Spread::Row(_) if !whole_rows => {
                            to.copy_from_nonoverlapping(buffers[i].add(at % columns), count)
                        }
                        _ => {}
                    }
                }
            }
            let whole = count / LANES * LANES;
            for (to, from) in table.iter_mut().zip(buffers) {
                *to = from.wrapping_add(at);
            }
            // SAFETY: operands and results are valid for `count` elements from `at` on, tiles for as many and up to a whole vector.
            unsafe {
                machine.execute::<I, T>(&table, whole / LANES);
                if count > whole {
                    machine.rest::<I, T>(&table, buffers.len(), whole, count - whole);
                }
            }
            at += count;
        }
    }
}

impl Machine {
    /// # Safety
    /// The buffers that instructions name are valid for so many blocks.
    #[inline(always)]
    unsafe fn execute<I: Isa, T: Wide>(&self, table: &[*mut T], blocks: usize) {
        for Flat { function, args, to } in &self.flat {
            let args = args.map(|a| table[a as usize].cast_const());
            // SAFETY: as promised by the caller; buffers are equal or apart.
            unsafe { function.apply::<I, T>(args, table[*to as usize], blocks) };
        }
    }

    /// The last elements of a tile, fewer than a vector: in vectors of their own.
    ///
    /// # Safety
    /// The first `outer` buffers of `table` are valid for `count` elements from `from` on, the others for a whole vector.
    #[inline(always)]
    unsafe fn rest<I: Isa, T: Wide>(&self, table: &[*mut T], outer: usize, from: usize, count: usize) {
        let mut vectors = [[T::ZERO; LANES]; MAX_BUFFERS];
        let mut own = [std::ptr::null_mut::<T>(); MAX_BUFFERS + MAX_TILES];
        for (b, to) in own.iter_mut().enumerate().take(outer + self.tiles) {
            if b < outer {
                *to = vectors[b].as_mut_ptr();
                if b < self.spreads.len() && self.spreads[b] == Spread::Each {
                    // SAFETY: as promised by the caller.
                    unsafe { to.copy_from_nonoverlapping(table[b].add(from), count) };
                }
            } else {
                *to = table[b].wrapping_add(from);
            }
        }
        // SAFETY: each is valid for a vector.
        unsafe { self.execute::<I, T>(&own, 1) };
        for b in self.spreads.len()..outer {
            // SAFETY: as promised by the caller.
            unsafe { table[b].add(from).copy_from_nonoverlapping(own[b], count) };
        }
    }
}

/// Repeats `columns` elements until there are `count`, and on to a whole vector.
///
/// # Safety
/// `from` is valid for `columns`, `to` for `count` up to a whole vector.
#[inline(always)]
unsafe fn repeat<T: Wide>(from: *const T, columns: usize, to: *mut T, count: usize) {
    let all = count.next_multiple_of(LANES);
    // SAFETY: as promised by the caller.
    unsafe {
        (0..columns.min(all)).for_each(|e| to.add(e).write(*from.add(e)));
        let mut filled = columns.min(all);
        while filled < all {
            let more = filled.min(all - filled);
            to.add(filled).copy_from_nonoverlapping(to, more);
            filled += more;
        }
    }
}

/// Repeats each element from `row` on `columns` times, until there are `count`, and on to a whole vector.
///
/// # Safety
/// `from` is valid for the rows that `count` elements begin in, `to` for `count` up to a whole vector.
#[inline(always)]
unsafe fn stretch<T: Wide>(from: *const T, row: usize, columns: usize, to: *mut T, count: usize) {
    let mut filled = 0;
    let mut row = row;
    while filled < count {
        let n = columns.min(count - filled);
        // SAFETY: as promised by the caller.
        unsafe {
            let x = *from.add(row);
            match n {
                2 => to.add(filled).cast::<[T; 2]>().write_unaligned([x; 2]),
                4 => to.add(filled).cast::<[T; 4]>().write_unaligned([x; 4]),
                _ => (0..n).for_each(|e| to.add(filled + e).write(x)),
            }
        }
        filled += n;
        row += 1;
    }
    for e in count..count.next_multiple_of(LANES) {
        // SAFETY: as promised by the caller.
        unsafe { to.add(e).write(T::ZERO) };
    }
}

#[cfg(test)]
mod tests;
