//! Loops over elements: one operand, or two that broadcast.
//!
//! Kernels of elementwise ops name a function of one element; the loops here are compiled for each instruction set, work in place
//! where the planner allows it, and walk broadcast operands without copying them.

use std::mem::MaybeUninit;

use tidemill_core::{Result, Shape};
use tidemill_tensor::Element;

use super::parallel::{Common, GRAIN};
use super::simd::{Body, Isa, Level, run, wide};
use super::{Args, CompileCx, Compiled, Step};

/// A function of one element. Closures are; functions that want fused multiply-adds implement it for a struct.
pub trait Map1<T, U>: Copy + Send + Sync + 'static {
    /// Its value. Implementations mark it `#[inline(always)]`.
    fn eval<I: Isa>(self, x: T) -> U;
}

impl<T, U, F: Fn(T) -> U + Copy + Send + Sync + 'static> Map1<T, U> for F {
    #[inline(always)]
    fn eval<I: Isa>(self, x: T) -> U {
        self(x)
    }
}

/// A function of two elements.
pub trait Map2<T, U>: Copy + Send + Sync + 'static {
    /// Its value. Implementations mark it `#[inline(always)]`.
    fn eval<I: Isa>(self, x: T, y: T) -> U;
}

impl<T, U, F: Fn(T, T) -> U + Copy + Send + Sync + 'static> Map2<T, U> for F {
    #[inline(always)]
    fn eval<I: Isa>(self, x: T, y: T) -> U {
        self(x, y)
    }
}

/// A step that maps each element of input 0 to the element of output 0 at the same place.
pub fn map1<T: Element, U: Element>(cx: &CompileCx, f: impl Map1<T, U>) -> Result<Compiled> {
    let level = cx.level();
    let step = Step::new(move |args: &mut Args| {
        let (x, n) = args.input_ptr::<T>(0);
        let (y, m) = args.output_ptr::<U>(0);
        let (x, y) = (Common(x), Common(y));
        args.each_stretch(n.min(m), GRAIN, &|at| {
            // SAFETY: both are live for the step, of `n` and `m` elements; they are the same buffer or do not overlap; and stretches do not.
            run(level, unsafe { Loop1::new(x.get().add(at.start), y.get().add(at.start), at.len(), f) });
            Ok(())
        })
    });
    Ok(if T::DTYPE == U::DTYPE { step.in_place(&[0]) } else { step }.into())
}

struct Loop1<T, U, F> {
    x: *const T,
    y: *mut U,
    n: usize,
    f: F,
}

impl<T, U, F> Loop1<T, U, F> {
    /// # Safety
    /// `x` and `y` are valid for `n` elements, and are equal or do not overlap; equal only if `T` and `U` are one type.
    unsafe fn new(x: *const T, y: *mut U, n: usize, f: F) -> Self {
        Loop1 { x, y, n, f }
    }
}

impl<T: Element, U: Element, F: Map1<T, U>> Body for Loop1<T, U, F> {
    type Out = ();
    const WIDE: bool = wide(T::DTYPE);
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Loop1 { x, y, n, f } = self;
        // Two loops, because the compiler vectorises neither a slice that aliases nor two pointers that may.
        if x.cast::<u8>() == y.cast::<u8>().cast_const() {
            // SAFETY: as promised to `new`: one buffer, of one type.
            let y = unsafe { std::slice::from_raw_parts_mut(y.cast::<Pun<T, U>>(), n) };
            for e in y {
                e.put(f.eval::<I>(e.get()));
            }
        } else {
            // SAFETY: as promised to `new`: they do not overlap.
            let (x, y) = unsafe { (std::slice::from_raw_parts(x, n), std::slice::from_raw_parts_mut(y, n)) };
            for (y, x) in y.iter_mut().zip(x) {
                *y = f.eval::<I>(*x);
            }
        }
    }
}

/// An element read as `T` and written as `U`, which are of one size: in place they are one type.
union Pun<T: Copy, U: Copy> {
    read: T,
    written: U,
}

impl<T: Copy, U: Copy> Pun<T, U> {
    #[inline(always)]
    fn get(&self) -> T {
        // SAFETY: the buffer holds a valid T, or a U of the same type.
        unsafe { self.read }
    }
    #[inline(always)]
    fn put(&mut self, value: U) {
        self.written = value;
    }
}

/// A step that maps the elements of two broadcast inputs to output 0.
pub fn map2<T: Element, U: Element>(cx: &CompileCx, f: impl Map2<T, U>) -> Result<Compiled> {
    map2_of::<T, U>(cx, [0, 1], f)
}

/// [`map2`] of the two inputs named.
pub fn map2_of<T: Element, U: Element>(
    cx: &CompileCx,
    inputs: [usize; 2],
    f: impl Map2<T, U>,
) -> Result<Compiled> {
    let level = cx.level();
    let [a, b] = inputs;
    let out = cx.output_shape(0);
    let parts = Walk::new(&out, [&cx.shape(a), &cx.shape(b)]).cut(GRAIN);
    let in_place: Vec<usize> = inputs.into_iter().filter(|i| cx.shape(*i) == out).collect();
    let step = Step::new(move |args: &mut Args| {
        let x = Common([args.input_ptr::<T>(a).0, args.input_ptr::<T>(b).0]);
        let y = Common(args.output_ptr::<U>(0).0);
        args.each_task(parts.len(), &|i| {
            let Part { walk, from: [a, b], to } = &parts[i];
            let [x, z] = x.get();
            // SAFETY: the walk stays inside the shapes it was made from, which are those of the buffers; and parts do not overlap.
            run(level, unsafe { Loop2::new(walk, [x.add(*a), z.add(*b)], y.get().add(*to), f) });
            Ok(())
        })
    });
    Ok(if T::DTYPE == U::DTYPE { step.in_place(&in_place) } else { step }.into())
}

/// How to walk `K` broadcast operands along an output: an inner loop whose operand strides are 0 or 1, inside outer loops.
#[derive(Debug, Clone)]
pub struct Walk<const K: usize> {
    /// Elements of the inner loop.
    pub inner: usize,
    /// Whether each operand moves in the inner loop.
    pub moves: [bool; K],
    /// Offsets of each operand at each turn of the outer loops; the output moves on by `inner`.
    pub outer: Outer<K>,
}

/// The outer loops of a [`Walk`]: sizes and operand strides, outermost first.
#[derive(Debug, Clone)]
pub struct Outer<const K: usize> {
    dims: Vec<(usize, [usize; K])>,
}

impl<const K: usize> Outer<K> {
    /// How many turns there are.
    pub fn turns(&self) -> usize {
        self.dims.iter().map(|(n, _)| *n).product()
    }

    /// The operand offsets of each turn, in order.
    #[inline(always)]
    pub fn offsets(&self) -> Offsets<'_, K> {
        Offsets { dims: &self.dims, turns: self.turns(), index: [0; 16], next: [0; K] }
    }

    /// Calls `f` with the operand offsets of each turn, in order.
    #[inline(always)]
    pub fn each(&self, mut f: impl FnMut([usize; K])) {
        for offsets in self.offsets() {
            f(offsets);
        }
    }
}

/// See [`Outer::offsets`].
#[derive(Debug, Clone)]
pub struct Offsets<'w, const K: usize> {
    dims: &'w [(usize, [usize; K])],
    turns: usize,
    index: [usize; 16],
    next: [usize; K],
}

impl<const K: usize> Iterator for Offsets<'_, K> {
    type Item = [usize; K];
    #[inline(always)]
    fn next(&mut self) -> Option<[usize; K]> {
        self.turns = self.turns.checked_sub(1)?;
        let here = self.next;
        if let [(_, strides)] = self.dims {
            self.next.iter_mut().zip(strides).for_each(|(next, stride)| *next += stride);
            return Some(here);
        }
        for (d, (n, strides)) in self.dims.iter().enumerate().rev() {
            self.index[d] += 1;
            self.next.iter_mut().zip(strides).for_each(|(next, stride)| *next += stride);
            if self.index[d] < *n {
                break;
            }
            self.next.iter_mut().zip(strides).for_each(|(next, stride)| *next -= n * stride);
            self.index[d] = 0;
        }
        Some(here)
    }
}

impl<const K: usize> Walk<K> {
    /// Plans the walk; operands must broadcast to `out`. Dimensions that behave alike are merged.
    pub fn new(out: &Shape, operands: [&Shape; K]) -> Walk<K> {
        let rank = out.rank();
        let strides = operands.map(|shape| {
            let own = shape.strides();
            let lead = rank - shape.rank();
            let stride = |d: usize| match d.checked_sub(lead) {
                Some(d) if shape[d] != 1 => own[d],
                _ => 0,
            };
            (0..rank).map(stride).collect::<Vec<usize>>()
        });
        let mut dims: Vec<(usize, [usize; K])> = vec![];
        for d in 0..rank {
            if out[d] == 1 {
                continue;
            }
            let here: [usize; K] = std::array::from_fn(|k| strides[k][d]);
            match dims.last_mut() {
                // The outer dimension steps over the whole inner one: they are one loop.
                Some((n, outer)) if (0..K).all(|k| outer[k] == here[k] * out[d]) => {
                    *n *= out[d];
                    *outer = here;
                }
                _ => dims.push((out[d], here)),
            }
        }
        let (inner, last) = dims.pop().unwrap_or((1, [0; K]));
        assert!(dims.len() <= 16, "more than 16 dimensions that broadcast differently");
        Walk { inner, moves: last.map(|s| s != 0), outer: Outer { dims } }
    }

    /// Cuts the outermost loop so that each part has about `grain` elements, or more if that loop is short.
    pub(crate) fn cut(self, grain: usize) -> Vec<Part<K>> {
        let elements = self.inner * self.outer.turns();
        let whole = |walk| vec![Part { walk, from: [0; K], to: 0 }];
        if elements < 2 * grain {
            return whole(self);
        }
        let (turns, strides) = match self.outer.dims.first() {
            Some((turns, strides)) => (*turns, *strides),
            None => (self.inner, self.moves.map(usize::from)),
        };
        let each = elements / turns;
        let count = (elements / grain).min(turns);
        let part = |i: usize| {
            let (first, end) = (turns * i / count, turns * (i + 1) / count);
            let mut walk = self.clone();
            match walk.outer.dims.first_mut() {
                Some((turns, _)) => *turns = end - first,
                None => walk.inner = end - first,
            }
            Part { walk, from: strides.map(|stride| first * stride), to: first * each }
        };
        (0..count).map(part).collect()
    }
}

/// A part of a [`Walk`]: a walk that begins so many elements into the operands and the output.
#[derive(Debug, Clone)]
pub(crate) struct Part<const K: usize> {
    pub(crate) walk: Walk<K>,
    pub(crate) from: [usize; K],
    pub(crate) to: usize,
}

struct Loop2<'w, T, U, F> {
    walk: &'w Walk<2>,
    x: [*const T; 2],
    y: *mut U,
    f: F,
}

impl<'w, T, U, F> Loop2<'w, T, U, F> {
    /// # Safety
    /// `x` and `y` are valid for all elements that `walk` visits. `y` overlaps neither operand, or is equal to one whose
    /// shape is the output's, and then `T` and `U` are one type.
    unsafe fn new(walk: &'w Walk<2>, x: [*const T; 2], y: *mut U, f: F) -> Self {
        Loop2 { walk, x, y, f }
    }
}

/// Inner loops up to this long are joined to tiles.
const SHORT: usize = 48;
/// Elements of a tile.
const TILE: usize = 512;

impl<T: Element, U: Element, F: Map2<T, U>> Loop2<'_, T, U, F> {
    /// Many turns of a short inner loop: the operands are copied to tiles as if they did not broadcast, and the function is applied to whole tiles.
    #[inline(always)]
    fn run_tiles<I: Isa>(self) {
        let Loop2 { walk, x, mut y, f } = self;
        let n = walk.inner;
        let rows = (TILE / n.max(1)).max(1);
        let mut tiles = [[const { MaybeUninit::<T>::uninit() }; TILE]; 2];
        // An operand that stays in all outer loops fills its tile once.
        let stays: [bool; 2] =
            std::array::from_fn(|k| walk.outer.dims.iter().all(|(_, strides)| strides[k] == 0));
        // One that moves on by what the inner loop has gone through is copied in one piece.
        let flat: [bool; 2] = std::array::from_fn(|k| {
            walk.moves[k] && matches!(walk.outer.dims[..], [(_, strides)] if strides[k] == n)
        });
        // SAFETY of all below: offsets and lengths come from the walk, see `new`; a tile has room for `rows * n` elements.
        for k in (0..2).filter(|k| stays[*k]) {
            let tile = tiles[k].as_mut_ptr().cast::<T>();
            // SAFETY: see above.
            unsafe {
                fill(tile, x[k], n, walk.moves[k]);
                let (mut filled, all) = (1, rows.min(walk.outer.turns()));
                while filled < all {
                    let more = filled.min(all - filled);
                    std::ptr::copy_nonoverlapping(tile, tile.add(filled * n), more * n);
                    filled += more;
                }
            }
        }
        let row_by_row = (0..2).any(|k| !flat[k] && !stays[k]);
        let mut offsets = walk.outer.offsets();
        let turns = walk.outer.turns();
        let mut done = 0;
        while done < turns {
            let turns = rows.min(turns - done);
            if row_by_row {
                for row in 0..turns {
                    let Some(at) = offsets.next() else { break };
                    for k in 0..2 {
                        if !flat[k] && !stays[k] {
                            // SAFETY: see above.
                            unsafe {
                                let to = tiles[k].as_mut_ptr().cast::<T>().add(row * n);
                                fill(to, x[k].add(at[k]), n, walk.moves[k]);
                            }
                        }
                    }
                }
            }
            for k in 0..2 {
                if flat[k] {
                    // SAFETY: as above; a flat operand has `n` elements for each turn, in a row.
                    unsafe {
                        let from = x[k].add(done * n);
                        std::ptr::copy_nonoverlapping(from, tiles[k].as_mut_ptr().cast(), turns * n);
                    }
                }
            }
            // SAFETY: the output has `n` elements for each turn; the operands have been read to the tiles, whose first `turns * n`
            // elements have been written.
            unsafe {
                let out = std::slice::from_raw_parts_mut(y, turns * n);
                let a = std::slice::from_raw_parts(tiles[0].as_ptr().cast::<T>(), turns * n);
                let b = std::slice::from_raw_parts(tiles[1].as_ptr().cast::<T>(), turns * n);
                for ((y, a), b) in out.iter_mut().zip(a).zip(b) {
                    *y = f.eval::<I>(*a, *b);
                }
            }
            // SAFETY: at most one past the end.
            y = unsafe { y.add(turns * n) };
            done += turns;
        }
    }
}

/// Copies `n` elements, or one element `n` times. Few at a time: a call for each would cost more than the copy.
///
/// # Safety
/// `to` is valid for `n` elements, `from` for `n` or one; they do not overlap.
#[inline(always)]
unsafe fn fill<T: Element>(to: *mut T, from: *const T, n: usize, moves: bool) {
    // SAFETY: as promised by the caller.
    unsafe {
        match (n, moves) {
            (2, false) => to.cast::<[T; 2]>().write([*from; 2]),
            (4, false) => to.cast::<[T; 4]>().write([*from; 4]),
            (8, false) => to.cast::<[T; 8]>().write([*from; 8]),
            (16, false) => to.cast::<[T; 16]>().write([*from; 16]),
            (_, false) => (0..n).for_each(|j| *to.add(j) = *from),
            (2, true) => to.cast::<[T; 2]>().write(from.cast::<[T; 2]>().read()),
            (4, true) => to.cast::<[T; 4]>().write(from.cast::<[T; 4]>().read()),
            (8, true) => to.cast::<[T; 8]>().write(from.cast::<[T; 8]>().read()),
            (16, true) => to.cast::<[T; 16]>().write(from.cast::<[T; 16]>().read()),
            (_, true) => (0..n).for_each(|j| *to.add(j) = *from.add(j)),
        }
    }
}

impl<T: Element, U: Element, F: Map2<T, U>> Body for Loop2<'_, T, U, F> {
    type Out = ();
    const WIDE: bool = wide(T::DTYPE);
    #[inline(always)]
    fn run<I: Isa>(self) {
        if self.walk.inner <= SHORT && self.walk.outer.turns() > 1 {
            return self.run_tiles::<I>();
        }
        let Loop2 { walk, x: [a, b], mut y, f } = self;
        let n = walk.inner;
        for [i, j] in walk.outer.offsets() {
            // SAFETY: offsets and length come from the walk, see `new`. One loop for each way of moving and aliasing: the
            // compiler vectorises each of them, and none of what they have in common.
            unsafe {
                let (a, b) = (a.add(i), b.add(j));
                let same = |p: *const T| p.cast::<u8>() == y.cast::<u8>().cast_const();
                match walk.moves {
                    [true, true] if same(a) => {
                        let b = std::slice::from_raw_parts(b, n);
                        for (y, b) in
                            std::slice::from_raw_parts_mut(y.cast::<Pun<T, U>>(), n).iter_mut().zip(b)
                        {
                            y.put(f.eval::<I>(y.get(), *b));
                        }
                    }
                    [true, true] if same(b) => {
                        let a = std::slice::from_raw_parts(a, n);
                        for (y, a) in
                            std::slice::from_raw_parts_mut(y.cast::<Pun<T, U>>(), n).iter_mut().zip(a)
                        {
                            y.put(f.eval::<I>(*a, y.get()));
                        }
                    }
                    [true, true] => {
                        let (a, b) = (std::slice::from_raw_parts(a, n), std::slice::from_raw_parts(b, n));
                        for ((y, a), b) in std::slice::from_raw_parts_mut(y, n).iter_mut().zip(a).zip(b) {
                            *y = f.eval::<I>(*a, *b);
                        }
                    }
                    [true, false] => {
                        let b = *b;
                        if same(a) {
                            for y in std::slice::from_raw_parts_mut(y.cast::<Pun<T, U>>(), n) {
                                y.put(f.eval::<I>(y.get(), b));
                            }
                        } else {
                            let a = std::slice::from_raw_parts(a, n);
                            for (y, a) in std::slice::from_raw_parts_mut(y, n).iter_mut().zip(a) {
                                *y = f.eval::<I>(*a, b);
                            }
                        }
                    }
                    [false, true] => {
                        let a = *a;
                        if same(b) {
                            for y in std::slice::from_raw_parts_mut(y.cast::<Pun<T, U>>(), n) {
                                y.put(f.eval::<I>(a, y.get()));
                            }
                        } else {
                            let b = std::slice::from_raw_parts(b, n);
                            for (y, b) in std::slice::from_raw_parts_mut(y, n).iter_mut().zip(b) {
                                *y = f.eval::<I>(a, *b);
                            }
                        }
                    }
                    [false, false] => {
                        let value = f.eval::<I>(*a, *b);
                        std::slice::from_raw_parts_mut(y, n).fill(value);
                    }
                }
                y = y.add(n);
            }
        }
    }
}

/// The level that loops in this module run at, for kernels that write their own.
pub fn level() -> Level {
    Level::detect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(out: &[usize], a: &[usize], b: &[usize], inner: usize, turns: usize) {
        let walk = Walk::new(&Shape::from(out), [&Shape::from(a), &Shape::from(b)]);
        assert_eq!((walk.inner, walk.outer.turns()), (inner, turns), "{walk:?}");
        // The walk visits what indexing by hand visits.
        let offset = |shape: &[usize], mut flat: usize| {
            let (mut at, mut stride) = (0, 1);
            for d in (0..out.len()).rev() {
                let i = flat % out[d];
                flat /= out[d];
                if let Some(k) = d.checked_sub(out.len() - shape.len()) {
                    at += if shape[k] == 1 { 0 } else { i * stride };
                    stride *= shape[k];
                }
            }
            at
        };
        let mut flat = 0;
        walk.outer.each(|[i, j]| {
            for k in 0..walk.inner {
                let step = |moves: bool| if moves { k } else { 0 };
                assert_eq!(i + step(walk.moves[0]), offset(a, flat));
                assert_eq!(j + step(walk.moves[1]), offset(b, flat));
                flat += 1;
            }
        });
        assert_eq!(flat, out.iter().product::<usize>());
    }

    /// The parts of a walk visit, in their order, what the whole visits.
    #[test]
    fn walks_are_cut() {
        for (out, a, b) in [
            (&[100][..], &[100][..], &[][..]),
            (&[7, 30], &[7, 30], &[30]),
            (&[7, 30], &[7, 1], &[1, 30]),
            (&[5, 4, 6], &[5, 1, 6], &[4, 1]),
            (&[2, 50], &[2, 50], &[2, 50]),
            (&[0, 50], &[0, 50], &[50]),
        ] {
            let visited = |part: &Part<2>| {
                let Part { walk, from, to } = part.clone();
                let at =
                    |k: usize, offset: usize, i: usize| from[k] + offset + if walk.moves[k] { i } else { 0 };
                let turns = walk.outer.offsets();
                let places = turns.flat_map(|[a, b]| (0..walk.inner).map(move |i| (a, b, i)));
                let each = |(n, (a, b, i))| (to + n, at(0, a, i), at(1, b, i));
                places.enumerate().map(each).collect::<Vec<_>>()
            };
            let walk = Walk::new(&Shape::from(out), [&Shape::from(a), &Shape::from(b)]);
            let whole = visited(&walk.clone().cut(usize::MAX / 2)[0]);
            for grain in [1, 7, 30, 40] {
                let parts = walk.clone().cut(grain);
                assert_eq!(parts.iter().flat_map(visited).collect::<Vec<_>>(), whole, "{out:?} by {grain}");
            }
        }
    }

    #[test]
    fn walks() {
        check(&[2, 3], &[2, 3], &[2, 3], 6, 1);
        check(&[2, 3], &[2, 3], &[3], 3, 2);
        check(&[2, 3], &[2, 3], &[2, 1], 3, 2);
        check(&[2, 3], &[2, 3], &[], 6, 1);
        check(&[2, 3], &[2, 1], &[1, 3], 3, 2);
        check(&[4, 2, 3], &[2, 3], &[4, 1, 1], 6, 4);
        check(&[4, 2, 3], &[4, 1, 3], &[1, 2, 1], 3, 8);
        check(&[0, 3], &[0, 3], &[3], 3, 0);
        check(&[], &[], &[], 1, 1);
    }
}
