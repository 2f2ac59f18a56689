//! Random nests of loops and conditionals, against what they unroll to.

use proptest::prelude::*;
use tf::Tensor;
use tf::ops::ScanOptions;
use tidemill as tf;

use crate::setup::setup;

/// A piece of a program over one vector, written with control flow or without.
#[derive(Debug, Clone)]
enum Piece {
    Sin,
    TimesC,
    PlusX,
    Gate,
    /// Times what is the same in every turn.
    Invariant,
    /// So many turns, the number fed or known.
    Loop(i32, bool, Vec<Piece>),
    /// As long as the elements sum up to less than this, but four times at most.
    Until(f64, Vec<Piece>),
    /// On whether the elements sum up to more than this.
    Branch(f64, Vec<Piece>, Vec<Piece>),
    /// Each turn adds a row and goes on.
    Scan(bool, Vec<Piece>),
    /// With a gradient that computes it again.
    Again(Vec<Piece>),
}

/// What pieces use from outside.
struct Outside {
    x: Tensor,
    c: Tensor,
    /// `[3, 2]`
    rows: Tensor,
    /// Feeds for numbers of turns: 0 to 3.
    turns: [Tensor; 4],
}

impl Outside {
    fn all(&self, y: Tensor, pieces: &[Piece], unroll: bool) -> Tensor {
        pieces.iter().fold(y, |y, piece| self.one(y, piece, unroll))
    }

    fn one(&self, y: Tensor, piece: &Piece, unroll: bool) -> Tensor {
        let all = |y, pieces: &[Piece]| self.all(y, pieces, unroll);
        match piece {
            Piece::Sin => tf::sin(y),
            Piece::TimesC => y * self.c,
            Piece::PlusX => y + self.x,
            Piece::Gate => tf::tanh(y) * y,
            Piece::Invariant => y * (tf::tanh(self.c) * 0.5 + tf::sin(self.x)),
            Piece::Loop(turns, _, body) if unroll => (0..*turns).fold(y, |y, _| all(y, body)),
            Piece::Loop(turns, fed, body) => {
                let zero = y.graph().constant(0i32);
                let limit = if *fed { self.turns[*turns as usize] } else { y.graph().constant(*turns) };
                tf::while_loop(|(i, _)| i.lt(limit), |(i, y)| (i + 1, all(y, body)), (zero, y)).1
            }
            Piece::Until(limit, body) if unroll => {
                let mut go_on = y.graph().constant(true);
                (0..4).fold(y, |y, _| {
                    go_on = tf::logical_and(go_on, tf::reduce_sum(y).lt(*limit));
                    tf::where_(go_on, all(y, body), y)
                })
            }
            Piece::Until(limit, body) => {
                let zero = y.graph().constant(0i32);
                let go_on = |(i, y): (Tensor, Tensor)| tf::logical_and(i.lt(4), tf::reduce_sum(y).lt(*limit));
                tf::while_loop(go_on, |(i, y)| (i + 1, all(y, body)), (zero, y)).1
            }
            Piece::Again(body) if unroll => all(y, body),
            Piece::Again(body) => tf::recompute_grad(|y| all(y, body), y),
            Piece::Branch(limit, then, orelse) => {
                let above = tf::reduce_sum(y).gt(*limit);
                match unroll {
                    true => tf::where_(above, all(y, then), all(y, orelse)),
                    false => tf::cond(above, || all(y, then), || all(y, orelse)),
                }
            }
            Piece::Scan(reverse, body) if unroll => {
                let mut rows = tf::unstack(self.rows, 0);
                if *reverse {
                    rows.reverse();
                }
                rows.into_iter().fold(y, |y, row| all(tf::sin(y + row), body))
            }
            Piece::Scan(reverse, body) => {
                let step = |y: Tensor, row: Tensor| {
                    let y = all(tf::sin(y + row), body);
                    (y, y)
                };
                tf::scan(step, y, self.rows, ScanOptions { reverse: *reverse }).0
            }
        }
    }
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let leaf = prop_oneof![
        Just(Piece::Sin),
        Just(Piece::TimesC),
        Just(Piece::PlusX),
        Just(Piece::Gate),
        Just(Piece::Invariant)
    ];
    let piece = leaf.prop_recursive(3, 10, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            (0..4i32, any::<bool>(), some()).prop_map(|(n, fed, body)| Piece::Loop(n, fed, body)),
            (-1.0..1.0f64, some(), some()).prop_map(|(t, a, b)| Piece::Branch(t, a, b)),
            (-1.0..1.0f64, some()).prop_map(|(limit, body)| Piece::Until(limit, body)),
            (any::<bool>(), some()).prop_map(|(reverse, body)| Piece::Scan(reverse, body)),
            some().prop_map(Piece::Again),
        ]
    });
    prop::collection::vec(piece, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    /// Random nests of loops, scans and branches: values and gradients to second order are those of the program written out.
    #[test]
    fn nests_equal_what_they_unroll_to(program in pieces()) {
        let s = setup();
        let rows = s.g.constant([[0.3, -0.7], [1.2, 0.1], [-0.4, 0.9]]);
        let turns = [0, 1, 2, 3].map(|n: i32| s.g.placeholder_with_default(s.g.constant(n), ()));
        let outside = Outside { x: s.x, c: s.c, rows, turns };
        let [rolled, unrolled] = [false, true].map(|unroll| {
            let y = outside.all(s.x * s.c, &program, unroll);
            let mut all = vec![y];
            let mut of = tf::reduce_sum(tf::sin(y));
            for _ in 0..2 {
                let found = tf::gradients([of], [s.x, s.c]);
                let found: Vec<Tensor> = found.iter().map(|d| d.unwrap_or_else(|| tf::zeros_like(s.x))).collect();
                of = tf::reduce_sum(tf::square(found[0]) + tf::square(found[1]) * s.x);
                all.extend(found);
            }
            all
        });
        for optimise in [true, false] {
            let sess = tf::Session::builder(&s.g).optimise(optimise).build();
            let got = sess.run(&rolled, &s.feeds).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let want = sess.run(&unrolled, &s.feeds).map_err(|e| TestCaseError::fail(e.to_string()))?;
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                let scale = want.iter_f64().fold(1.0, |m: f64, v| m.max(v.abs()));
                prop_assert!(got.allclose(want, 1e-9, 1e-9 * scale), "result {i}: {got}, not {want}");
            }
        }
    }
}
