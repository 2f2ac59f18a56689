//! Random programs, optimised against unoptimised: values and gradients.
#![allow(missing_docs)]

use proptest::prelude::*;
use tf::{Tensor, feed};
use tidemill as tf;

/// What is done to a pool of matrices `[rows, 4]`, which it may add to. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Piece {
    Unary(u8, u8),
    Binary(u8, u8, u8),
    Bias(u8, u8),
    /// With one of two weights `[4, 4]`.
    Product(u8, u8),
    /// Of two side by side, with weights `[8, 4]`.
    Joined(u8, u8),
    /// Columns of a product with the transpose of the weights `[8, 4]`.
    Columns(u8, bool),
    Sum(u8, u8, u8),
    /// A recurrence of some steps over a matrix, all of whose outputs are used.
    Unrolled(u8, u8),
    /// The same in a loop.
    Scanned(u8, u8),
}

struct Pool {
    all: Vec<Tensor>,
    weights: [Tensor; 2],
    wide: Tensor,
    bias: [Tensor; 2],
}

impl Pool {
    fn get(&self, i: u8) -> Tensor {
        self.all[i as usize % self.all.len()]
    }

    fn cell(&self, x: Tensor, state: Tensor) -> Tensor {
        tf::tanh(tf::matmul(tf::concat([x, state], 1), self.wide) + self.bias[0])
    }

    fn add(&mut self, piece: &Piece) {
        let y = match *piece {
            Piece::Unary(f, x) => {
                let x = self.get(x);
                match f % 6 {
                    0 => tf::tanh(x),
                    1 => tf::sigmoid(x),
                    2 => -x,
                    3 => x * 1.0,
                    4 => tf::identity(x) * 0.5,
                    _ => tf::nn::softmax(x),
                }
            }
            Piece::Binary(f, x, y) => {
                let (x, y) = (self.get(x), self.get(y));
                match f % 3 {
                    0 => x + y,
                    1 => x - y,
                    _ => x * y,
                }
            }
            Piece::Bias(x, b) => self.get(x) + self.bias[b as usize % 2],
            Piece::Product(x, w) => tf::matmul(self.get(x), self.weights[w as usize % 2]),
            Piece::Joined(x, y) => tf::matmul(tf::concat([self.get(x), self.get(y)], 1), self.wide),
            Piece::Columns(x, last) => {
                let both = tf::matmul(self.get(x), tf::transpose(self.wide));
                let parts = tf::split(both, 2, 1);
                parts[usize::from(last)]
            }
            Piece::Sum(x, y, z) => tf::add_n([self.get(x), self.get(y), self.get(z)]),
            Piece::Unrolled(x, steps) => {
                let x = self.get(x);
                let mut state = tf::zeros_like(x);
                let mut outputs = vec![];
                for _ in 0..steps % 4 + 2 {
                    state = self.cell(x, state);
                    outputs.push(tf::matmul(state, self.weights[0]) + self.bias[1]);
                }
                tf::reduce_mean_with(tf::stack(outputs, 0), 0)
            }
            Piece::Scanned(x, steps) => {
                let x = self.get(x);
                let xs = tf::stack(vec![x; steps as usize % 4 + 2], 0);
                let step = |state, x| {
                    let next = self.cell(x, state);
                    (next, tf::matmul(next, self.weights[0]) + self.bias[1])
                };
                let (_, outputs) = tf::scan(step, tf::zeros_like(x), xs, Default::default());
                tf::reduce_mean_with(outputs, 0)
            }
        };
        self.all.push(y);
    }
}

fn piece() -> impl Strategy<Value = Piece> {
    use Piece::*;
    prop_oneof![
        3 => any::<(u8, u8)>().prop_map(|(f, x)| Unary(f, x)),
        3 => any::<(u8, u8, u8)>().prop_map(|(f, x, y)| Binary(f, x, y)),
        2 => any::<(u8, u8)>().prop_map(|(x, b)| Bias(x, b)),
        3 => any::<(u8, u8)>().prop_map(|(x, w)| Product(x, w)),
        1 => any::<(u8, u8)>().prop_map(|(x, y)| Joined(x, y)),
        1 => any::<(u8, bool)>().prop_map(|(x, last)| Columns(x, last)),
        1 => any::<(u8, u8, u8)>().prop_map(|(x, y, z)| Sum(x, y, z)),
        1 => any::<(u8, u8)>().prop_map(|(x, steps)| Unrolled(x, steps)),
        1 => any::<(u8, u8)>().prop_map(|(x, steps)| Scanned(x, steps)),
    ]
}

/// Numbers between -1 and 1.
fn numbers(shape: [usize; 2], seed: usize) -> tf::Value {
    let n = shape[0] * shape[1];
    let all: Vec<f64> = (0..n).map(|i| ((i * 71 + seed * 37) % 199) as f64 / 100.0 - 0.995).collect();
    tf::Value::from(all).reshape(shape).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn random_programs_are_the_same_optimised(rows in 1usize..20, pieces in prop::collection::vec(piece(), 1..14)) {
        let g = tf::Graph::new();
        let x = g.placeholder(tf::f64, [rows, 4]);
        let params = [
            g.placeholder(tf::f64, [4, 4]),
            g.placeholder(tf::f64, [4, 4]),
            g.placeholder(tf::f64, [8, 4]),
            g.placeholder(tf::f64, [4]),
            g.placeholder(tf::f64, [4]),
        ];
        let [w, v, wide, b, c] = params;
        let mut pool = Pool { all: vec![x], weights: [w, v], wide, bias: [b, c] };
        pieces.iter().for_each(|p| pool.add(p));
        let last = *pool.all.last().unwrap();
        let loss = tf::reduce_mean(tf::square(last)) + tf::reduce_sum(pool.get(pieces.len() as u8 / 2)) * 0.1;
        let grads: Vec<Tensor> = tf::gradients([loss], params.iter().chain([&x]).copied().collect::<Vec<_>>())
            .into_iter()
            .flatten()
            .collect();
        // Something in the middle is fetched too.
        let middle = pool.get(pieces.len() as u8 / 3);
        let run = |optimise| {
            let sess = tf::Session::builder(&g).optimise(optimise).build();
            sess.run((loss, middle, &grads), feed! {
                x => numbers([rows, 4], 1),
                w => numbers([4, 4], 2),
                v => numbers([4, 4], 3),
                wide => numbers([8, 4], 4),
                b => numbers([1, 4], 5).reshape([4]).unwrap(),
                c => numbers([1, 4], 6).reshape([4]).unwrap(),
            })
        };
        let (a, b) = (run(true).unwrap(), run(false).unwrap());
        let all = |(loss, middle, grads): (tf::Value, tf::Value, Vec<tf::Value>)| {
            [vec![loss, middle], grads].concat()
        };
        for (a, b) in all(a).iter().zip(&all(b)) {
            prop_assert!(a.allclose(b, 1e-9, 1e-9), "{a}\ninstead of\n{b}");
        }
    }
}
