//! The counter-based generator Philox4x32-10 (Salmon et al., 2011), as TensorFlow seeds and advances it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use super::simd::{Body, Isa, Level, run};

/// How many counters are turned into numbers at a time.
const LANES: usize = 16;
/// Numbers that one counter gives.
pub(super) const PER_COUNTER: usize = 4;
/// Numbers that [`Philox::fill`] works out at a time.
pub(super) const BATCH: usize = LANES * PER_COUNTER;

const ROUNDS: usize = 10;
const KEY_STEP: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];

/// A stream of random 32-bit numbers, four for each value of a 128-bit counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Philox {
    key: [u32; 2],
    counter: u128,
}

impl Philox {
    /// The stream of an op's two seeds; of `(0, 0)`, a stream that nobody has seen.
    pub(super) fn new(seed: i64, seed2: i64) -> Philox {
        let (key, high) = match (seed as u64, seed2 as u64) {
            (0, 0) => (fresh(), fresh()),
            seeds => seeds,
        };
        Philox { key: [key as u32, (key >> 32) as u32], counter: u128::from(high) << 64 }
    }

    /// Moves on by `counters` times four numbers.
    pub(super) fn skip(&mut self, counters: u64) {
        self.counter = self.counter.wrapping_add(u128::from(counters));
    }

    /// This stream, and moves on past `counters` times four numbers.
    pub(super) fn reserve(&mut self, counters: u64) -> Philox {
        let here = *self;
        self.skip(counters);
        here
    }

    /// The next four numbers.
    pub(super) fn next4(&mut self) -> [u32; PER_COUNTER] {
        let [[a], [b], [c], [d]] = numbers::<1>(self.key, self.counter);
        self.skip(1);
        [a, b, c, d]
    }

    /// Fills `out` with the next numbers, up to the end of the last counter used.
    pub(super) fn fill(&mut self, level: Level, out: &mut [u32]) {
        run(level, Fill { generator: *self, out: &mut *out });
        self.skip(out.len().div_ceil(PER_COUNTER) as u64);
    }
}

/// A seed that differs from call to call and from process to process.
fn fresh() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The numbers of counters `counter`, `counter + 1`, ...: the first number of each, the second of each, and so on.
#[inline(always)]
fn numbers<const L: usize>(key: [u32; 2], counter: u128) -> [[u32; L]; PER_COUNTER] {
    let mut state = [[0u32; L]; PER_COUNTER];
    for lane in 0..L {
        let counter = counter.wrapping_add(lane as u128);
        for (word, state) in state.iter_mut().enumerate() {
            state[lane] = (counter >> (32 * word)) as u32;
        }
    }
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let mut next = [[0u32; L]; PER_COUNTER];
        for lane in 0..L {
            let a = u64::from(MULTIPLIERS[0]) * u64::from(state[0][lane]);
            let b = u64::from(MULTIPLIERS[1]) * u64::from(state[2][lane]);
            next[0][lane] = (b >> 32) as u32 ^ state[1][lane] ^ k0;
            next[1][lane] = b as u32;
            next[2][lane] = (a >> 32) as u32 ^ state[3][lane] ^ k1;
            next[3][lane] = a as u32;
        }
        state = next;
        k0 = k0.wrapping_add(KEY_STEP[0]);
        k1 = k1.wrapping_add(KEY_STEP[1]);
    }
    state
}

struct Fill<'a> {
    generator: Philox,
    out: &'a mut [u32],
}

impl Body for Fill<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Fill { generator: Philox { key, mut counter }, out } = self;
        for batch in out.chunks_mut(BATCH) {
            let state = numbers::<LANES>(key, counter);
            counter = counter.wrapping_add(LANES as u128);
            for (lane, four) in batch.chunks_mut(PER_COUNTER).enumerate() {
                for (word, number) in four.iter_mut().enumerate() {
                    *number = state[word][lane];
                }
            }
        }
    }
}

/// The numbers of a stream one at a time.
pub(super) struct Singles {
    generator: Philox,
    four: [u32; PER_COUNTER],
    used: usize,
}

impl Singles {
    /// The numbers of `generator`.
    pub(super) fn new(generator: Philox) -> Singles {
        Singles { generator, four: [0; PER_COUNTER], used: PER_COUNTER }
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u32 {
        if self.used == PER_COUNTER {
            self.four = self.generator.next4();
            self.used = 0;
        }
        self.used += 1;
        self.four[self.used - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the authors' library, Random123.
    #[track_caller]
    fn check(key: [u32; 2], counter: [u32; 4], expected: [u32; 4]) {
        let counter = counter.iter().rev().fold(0u128, |all, word| all << 32 | u128::from(*word));
        assert_eq!(Philox { key, counter }.next4(), expected);
    }

    #[test]
    fn known_answers() {
        check([0; 2], [0; 4], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        check([!0; 2], [!0; 4], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        check(
            [0xa409_3822, 0x299f_31d0],
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        );
    }

    #[test]
    fn filling_goes_on_where_the_stream_is() {
        for len in [0, 1, 4, 7, BATCH, BATCH + 9, 5 * BATCH] {
            let mut one_by_one = Philox::new(7, 9);
            let mut filled = one_by_one;
            let mut out = vec![0; len];
            filled.fill(Level::detect(), &mut out);
            let expected: Vec<u32> = (0..len.div_ceil(4)).flat_map(|_| one_by_one.next4()).collect();
            assert_eq!(out, expected[..len]);
            assert_eq!(filled, one_by_one);
        }
    }

    #[test]
    fn the_counter_carries() {
        let mut generator = Philox { key: [1, 2], counter: u128::from(u64::MAX) };
        generator.skip(1);
        assert_eq!(generator.counter, 1 << 64);
    }

    #[test]
    fn seeds_of_zero_are_fresh() {
        assert_ne!(Philox::new(0, 0), Philox::new(0, 0));
        assert_eq!(Philox::new(0, 1), Philox::new(0, 1));
    }
}
