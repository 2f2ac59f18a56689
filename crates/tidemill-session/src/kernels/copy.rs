//! Moving elements without looking at them: rows of bytes, and strided walks.

use smallvec::SmallVec;
use tidemill_core::{Result, Shape};

use super::{Args, CompileCx, Compiled};

/// Copies `rows` stretches of `bytes` bytes, `from_step` bytes apart in the source and `to_step` in the target.
///
/// # Safety
/// Every stretch of `from` is valid to read and every stretch of `to` to write; they do not overlap.
pub(super) unsafe fn copy_rows(
    from: *const u8,
    from_step: usize,
    to: *mut u8,
    to_step: usize,
    bytes: usize,
    rows: usize,
) {
    // SAFETY (all blocks): the stretches are as the caller promises; a row of N bytes is read and written whole. Rows of a few elements
    // are the common case, and a call to copy each would cost more than the copy.
    unsafe fn fixed<const N: usize>(
        from: *const u8,
        from_step: usize,
        to: *mut u8,
        to_step: usize,
        rows: usize,
    ) {
        for row in 0..rows {
            // SAFETY: see above.
            unsafe {
                let value = from.add(row * from_step).cast::<[u8; N]>().read_unaligned();
                to.add(row * to_step).cast::<[u8; N]>().write_unaligned(value);
            }
        }
    }
    // SAFETY: see above.
    unsafe {
        match bytes {
            0 => {}
            n if n == from_step && n == to_step => std::ptr::copy_nonoverlapping(from, to, n * rows),
            1 => fixed::<1>(from, from_step, to, to_step, rows),
            2 => fixed::<2>(from, from_step, to, to_step, rows),
            4 => fixed::<4>(from, from_step, to, to_step, rows),
            8 => fixed::<8>(from, from_step, to, to_step, rows),
            16 => fixed::<16>(from, from_step, to, to_step, rows),
            32 => fixed::<32>(from, from_step, to, to_step, rows),
            64 => fixed::<64>(from, from_step, to, to_step, rows),
            n => {
                for row in 0..rows {
                    std::ptr::copy_nonoverlapping(from.add(row * from_step), to.add(row * to_step), n);
                }
            }
        }
    }
}

/// Fills an output, in order, from elements that stand at regular distances in an input: transposing, reversing, broadcasting.
#[derive(Debug, Clone)]
pub(super) struct StridedCopy {
    /// Size and source stride (in elements) of each dimension, outermost first; merged where they are one walk.
    dims: Vec<(usize, isize)>,
    /// The element of the input that the first element of the output is.
    start: usize,
    element_bytes: usize,
}

impl StridedCopy {
    /// A walk over an output of shape `out`, moving `strides[d]` elements in the input for each step along dimension `d`.
    pub(super) fn new(out: &Shape, strides: &[isize], start: usize, element_bytes: usize) -> StridedCopy {
        let mut dims: Vec<(usize, isize)> = vec![];
        for (&n, &stride) in out.iter().zip(strides) {
            if n == 1 {
                continue;
            }
            match dims.last_mut() {
                Some((outer, outer_stride)) if *outer_stride == stride * n as isize => {
                    *outer *= n;
                    *outer_stride = stride;
                }
                _ => dims.push((n, stride)),
            }
        }
        StridedCopy { dims, start, element_bytes }
    }

    /// Copies.
    ///
    /// # Safety
    /// All elements that the walk visits lie in the input, `to` holds as many, and they do not overlap.
    pub(super) unsafe fn run(&self, from: *const u8, to: *mut u8) {
        // SAFETY: as promised by the caller, in elements of each size.
        unsafe {
            match self.element_bytes {
                1 => self.walk::<1>(from, to),
                2 => self.walk::<2>(from, to),
                4 => self.walk::<4>(from, to),
                8 => self.walk::<8>(from, to),
                _ => self.walk::<16>(from, to),
            }
        }
    }

    unsafe fn walk<const N: usize>(&self, from: *const u8, to: *mut u8) {
        let (outer, (inner, stride)) = match self.dims.split_last() {
            Some((last, outer)) => (outer, *last),
            None => (&self.dims[..], (1, 1)),
        };
        let turns: usize = outer.iter().map(|(n, _)| *n).product();
        let mut index: SmallVec<[usize; 8]> = SmallVec::from_elem(0, outer.len());
        let mut at = self.start as isize;
        let mut to = to.cast::<[u8; N]>();
        let from = from.cast::<[u8; N]>();
        for _ in 0..turns {
            // SAFETY: the walk stays inside, see `run`; arrays of bytes need no alignment.
            unsafe {
                let source = from.offset(at);
                match stride {
                    1 => std::ptr::copy_nonoverlapping(source, to, inner),
                    0 => std::slice::from_raw_parts_mut(to, inner).fill(*source),
                    _ => {
                        for i in 0..inner {
                            *to.add(i) = *source.offset(i as isize * stride);
                        }
                    }
                }
                to = to.add(inner);
            }
            for (d, (n, stride)) in outer.iter().enumerate().rev() {
                index[d] += 1;
                at += stride;
                if index[d] < *n {
                    break;
                }
                at -= *n as isize * stride;
                index[d] = 0;
            }
        }
    }
}

/// Calls `f` with the places of each element of `N` walks over `shape`, in order; walk `i` begins at `starts[i]` and moves `strides[i][d]`
/// places for each step along axis `d`.
pub(super) fn each_place<const N: usize>(
    shape: &[usize],
    strides: [&[isize]; N],
    starts: [usize; N],
    mut f: impl FnMut([usize; N]),
) {
    let mut index = vec![0usize; shape.len()];
    let mut at = starts;
    for _ in 0..shape.iter().product() {
        f(at);
        for (d, n) in shape.iter().enumerate().rev() {
            index[d] += 1;
            at.iter_mut().zip(strides).for_each(|(at, strides)| *at = at.wrapping_add_signed(strides[d]));
            if index[d] < *n {
                break;
            }
            let back = |stride: isize| (*n as isize).wrapping_mul(stride).wrapping_neg();
            at.iter_mut()
                .zip(strides)
                .for_each(|(at, strides)| *at = at.wrapping_add_signed(back(strides[d])));
            index[d] = 0;
        }
    }
}

/// A step that fills output 0 from input 0 row by row, a row being what stands at one index of the first `axes` axes, of the same size in
/// both. For each such index of the output, `source` writes the index in the input that the row is taken from; if it returns false, the
/// row is zeros. The rule of a wrong source is a panic, not a wrong read.
pub(super) fn rows_from(
    cx: &CompileCx,
    axes: usize,
    source: impl Fn(&[usize], &mut [usize]) -> bool + Send + Sync + 'static,
) -> Result<Compiled> {
    let (from, to) = (cx.shape(0), cx.output_shape(0));
    let row = to.iter().skip(axes).product::<usize>() * cx.dtype(0).size();
    let outer: Vec<usize> = to.iter().take(axes).copied().collect();
    let sizes: Vec<usize> = from.iter().take(axes).copied().collect();
    Compiled::step(move |args: &mut Args| {
        let (x, y) = (args.input_bytes(0), args.output_bytes(0));
        if y.is_empty() {
            return Ok(());
        }
        let (mut index, mut at) = (vec![0usize; axes], vec![0usize; axes]);
        for row_of_y in y.chunks_exact_mut(row) {
            if source(&index, &mut at) {
                let place = at.iter().zip(&sizes).fold(0, |place, (i, n)| place * n + i) * row;
                row_of_y.copy_from_slice(&x[place..place + row]);
            } else {
                row_of_y.fill(0);
            }
            for (i, n) in index.iter_mut().zip(&outer).rev() {
                *i += 1;
                if *i < *n {
                    break;
                }
                *i = 0;
            }
        }
        Ok(())
    })
}
