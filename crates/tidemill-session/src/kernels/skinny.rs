//! Products of matrices with few columns, as small recurrent networks have: blocks of the result stay in registers.
//!
//! Two ways. By *rows*: the second operand is packed (a few KB), and some rows of the result are summed up at a time. By *outer products*,
//! for `xᵀ · y` with long columns and a small result: each pair of rows adds its outer product to a block.

use std::mem::MaybeUninit;

use super::matmul::Sizes;
use super::simd::{Body, Isa};
use super::vector::{Lanes, Vector};

/// The most columns of a result.
const COLUMNS: usize = 64;
/// The most elements that are packed.
const PACKED: usize = 4096;
/// The most lanes of a vector.
const MOST_LANES: usize = 16;

/// How a product is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Way {
    Rows,
    OuterProducts,
}

/// The way that suits a product; `None` for one that is too large.
pub(super) fn way(sizes: &Sizes) -> Option<Way> {
    let Sizes { m, k, n, a, b } = *sizes;
    if n > COLUMNS || k == 0 {
        return None;
    }
    if m <= COLUMNS && a[0] == 1 && b[1] == 1 && k >= m {
        return Some(Way::OuterProducts);
    }
    (k * n.next_multiple_of(MOST_LANES) <= PACKED).then_some(Way::Rows)
}

/// A product that is to be written to `out`.
pub(super) struct Product<'a, T> {
    pub(super) sizes: Sizes,
    pub(super) way: Way,
    pub(super) x: &'a [T],
    pub(super) y: &'a [T],
    pub(super) out: &'a mut [T],
}

impl<T: Lanes> Body for Product<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Sizes { m, k, n, a, b } = self.sizes;
        assert!(
            m == 0 || n == 0 || self.x.len() > (m - 1) * a[0] + (k - 1) * a[1],
            "the first operand is short"
        );
        assert!(
            m == 0 || n == 0 || self.y.len() > (k - 1) * b[0] + (n - 1) * b[1],
            "the second operand is short"
        );
        assert!(self.out.len() >= m * n, "the result is short");
        match self.way {
            Way::Rows => self.by_rows::<I>(),
            Way::OuterProducts => self.by_outer_products::<I>(),
        }
    }
}

impl<T: Lanes> Product<'_, T> {
    #[inline(always)]
    fn by_rows<I: Isa>(self) {
        let lanes = T::Vector::<I>::LANES;
        let n = self.sizes.n;
        let mut packed = [const { MaybeUninit::<T>::uninit() }; PACKED];
        let mut first = 0;
        while first < n {
            let width = n - first;
            first += match width.div_ceil(lanes) {
                4.. => self.panel::<I, 4, 2, 4>(first, width.min(4 * lanes), &mut packed),
                3 => self.panel::<I, 3, 3, 6>(first, width, &mut packed),
                2 => self.panel::<I, 2, 4, 8>(first, width, &mut packed),
                _ => self.panel::<I, 1, 8, 8>(first, width, &mut packed),
            };
        }
    }

    /// `width` columns from `first` on, in `V` vectors; `R` rows at a time, or `WIDE` where vectors and registers are many. Returns `width`.
    #[inline(always)]
    fn panel<I: Isa, const V: usize, const R: usize, const WIDE: usize>(
        &self,
        first: usize,
        width: usize,
        packed: &mut [MaybeUninit<T>; PACKED],
    ) -> usize {
        let Sizes { m, k, b, .. } = self.sizes;
        let columns = V * T::Vector::<I>::LANES;
        for (l, row) in packed.chunks_exact_mut(columns).take(k).enumerate() {
            let (row, rest) = row.split_at_mut(width);
            if b[1] == 1 {
                let from = &self.y[l * b[0] + first..][..width];
                row.iter_mut().zip(from).for_each(|(to, from)| {
                    to.write(*from);
                });
            } else {
                row.iter_mut().enumerate().for_each(|(j, to)| {
                    to.write(self.y[l * b[0] + (first + j) * b[1]]);
                });
            }
            rest.iter_mut().for_each(|to| {
                to.write(T::default());
            });
        }
        let packed = packed.as_ptr().cast();
        let mut i = 0;
        if I::WIDE {
            while i + WIDE <= m {
                // SAFETY: `k` rows of `V` vectors have just been packed; `way` saw to it that so many fit; the rows are below `m`.
                unsafe { self.rows::<I, V, WIDE>(i, first, width, packed) };
                i += WIDE;
            }
        }
        while i + R <= m {
            // SAFETY: see above.
            unsafe { self.rows::<I, V, R>(i, first, width, packed) };
            i += R;
        }
        while i < m {
            // SAFETY: see above.
            unsafe { self.rows::<I, V, 1>(i, first, width, packed) };
            i += 1;
        }
        width
    }

    /// # Safety
    /// `packed` holds `k` rows of `V` vectors; `i + R <= m`, and `first + width <= n`.
    #[inline(always)]
    unsafe fn rows<I: Isa, const V: usize, const R: usize>(
        &self,
        i: usize,
        first: usize,
        width: usize,
        packed: *const T,
    ) {
        let Sizes { n, k, a, .. } = self.sizes;
        let lanes = T::Vector::<I>::LANES;
        let zero = T::Vector::<I>::splat(T::default());
        let mut sums = [[zero; V]; R];
        // SAFETY: as promised by the caller, and `run` checked the operands' and the result's lengths.
        unsafe {
            let x: [*const T; R] = std::array::from_fn(|r| self.x.as_ptr().add((i + r) * a[0]));
            for l in 0..k {
                let y: [T::Vector<I>; V] =
                    std::array::from_fn(|v| T::Vector::<I>::load(packed.add((l * V + v) * lanes), lanes));
                for r in 0..R {
                    let x = T::Vector::<I>::splat(*x[r].add(l * a[1]));
                    for v in 0..V {
                        sums[r][v] = x.fma(y[v], sums[r][v]);
                    }
                }
            }
            let out = self.out.as_ptr().cast_mut();
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    let here = (width - (v * lanes).min(width)).min(lanes);
                    sum.store(out.add((i + r) * n + first + v * lanes), here);
                }
            }
        }
    }

    #[inline(always)]
    fn by_outer_products<I: Isa>(self) {
        let lanes = T::Vector::<I>::LANES;
        let Sizes { m, n, .. } = self.sizes;
        let mut j = 0;
        while j < n {
            let width = (n - j).min(lanes);
            let mut i = 0;
            while i < m {
                // SAFETY: `i + R <= m` and `j + width <= n`, whichever arm.
                i += unsafe {
                    match m - i {
                        8.. if I::WIDE => self.outer::<I, 8>(i, j, width),
                        6.. if I::WIDE => self.outer::<I, 6>(i, j, width),
                        4.. => self.outer::<I, 4>(i, j, width),
                        2.. => self.outer::<I, 2>(i, j, width),
                        _ => self.outer::<I, 1>(i, j, width),
                    }
                };
            }
            j += width;
        }
    }

    /// The block of `R` rows from `i` on and `width` columns from `j` on. Even and odd terms are summed apart, so that additions need not
    /// wait for each other. Returns `R`.
    ///
    /// # Safety
    /// `i + R <= m` and `j + width <= n`, and `width` is at most the lanes of a vector.
    #[inline(always)]
    unsafe fn outer<I: Isa, const R: usize>(&self, i: usize, j: usize, width: usize) -> usize {
        let Sizes { k, n, a, b, .. } = self.sizes;
        let zero = T::Vector::<I>::splat(T::default());
        let (mut even, mut odd) = ([zero; R], [zero; R]);
        // SAFETY: as promised by the caller, and `run` checked the operands' and the result's lengths.
        unsafe {
            let (mut x, mut y) = (self.x.as_ptr().add(i), self.y.as_ptr().add(j));
            for _ in 0..k / 2 {
                let v = T::Vector::<I>::load(y, width);
                for (r, sum) in even.iter_mut().enumerate() {
                    *sum = T::Vector::<I>::splat(*x.add(r)).fma(v, *sum);
                }
                let v = T::Vector::<I>::load(y.add(b[0]), width);
                for (r, sum) in odd.iter_mut().enumerate() {
                    *sum = T::Vector::<I>::splat(*x.add(a[1] + r)).fma(v, *sum);
                }
                (x, y) = (x.wrapping_add(2 * a[1]), y.wrapping_add(2 * b[0]));
            }
            if k % 2 == 1 {
                let v = T::Vector::<I>::load(y, width);
                for (r, sum) in even.iter_mut().enumerate() {
                    *sum = T::Vector::<I>::splat(*x.add(r)).fma(v, *sum);
                }
            }
            let out = self.out.as_ptr().cast_mut();
            for r in 0..R {
                even[r].plus(odd[r]).store(out.add((i + r) * n + j), width);
            }
        }
        R
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Level, run};
    use super::*;

    /// The product by the textbook.
    fn expected(sizes: &Sizes, x: &[f64], y: &[f64]) -> Vec<f64> {
        let Sizes { m, k, n, a, b } = *sizes;
        let at =
            |i: usize, j: usize| (0..k).map(|l| x[i * a[0] + l * a[1]] * y[l * b[0] + j * b[1]]).sum::<f64>();
        (0..m * n).map(|e| at(e / n, e % n)).collect()
    }

    #[test]
    fn products_of_all_sizes() {
        for m in [1, 2, 3, 7, 8, 9, 31, 64] {
            for n in [1, 2, 3, 4, 5, 8, 15, 18, 33, 64] {
                for k in [1, 2, 5, 18, 61] {
                    for transpose in [(false, false), (true, false), (false, true)] {
                        let a = if transpose.0 { [1, m] } else { [k, 1] };
                        let b = if transpose.1 { [1, k] } else { [n, 1] };
                        let sizes = Sizes { m, k, n, a, b };
                        let Some(way) = way(&sizes) else { continue };
                        let x: Vec<f64> = (0..m * k).map(|i| ((i * 7) % 11) as f64 - 5.0).collect();
                        let y: Vec<f64> = (0..k * n).map(|i| ((i * 5) % 13) as f64 - 6.0).collect();
                        let mut out = vec![f64::NAN; m * n];
                        run(Level::detect(), Product { sizes, way, x: &x, y: &y, out: &mut out });
                        assert_eq!(out, expected(&sizes, &x, &y), "{sizes:?} {way:?}");
                    }
                }
            }
        }
    }
}
