//! `dynamic_rnn` against `static_rnn`, and what only a loop can do.

use tf::nn::rnn_cell::{BasicRNNCell, BatchSize, RnnCell};
use tf::nn::{DynamicRnn, StaticRnn, dynamic_rnn};
use tf::{Tensor, feed};
use tidemill as tf;
use tidemill_conformance::check_gradients;

use crate::{gradients, same, session, variables, waves};

/// A cell of two states that loops inside: `v' = tanh(...tanh(tanh(v W) W)... + x)`, three times or as often as is fed, and `n' = n + v'`.
struct Inner {
    units: usize,
    turns: Tensor,
}

impl RnnCell for Inner {
    type State = (Tensor, Tensor);
    fn state_size(&self) -> (usize, usize) {
        (self.units, self.units)
    }
    fn output_size(&self) -> usize {
        self.units
    }
    fn call(&self, inputs: Tensor, (v, n): (Tensor, Tensor)) -> (Tensor, (Tensor, Tensor)) {
        let w = inputs
            .graph()
            .variable_scope("inner")
            .auto_reuse()
            .dtype(inputs.dtype())
            .enter(|vs| vs.get_variable("W", [self.units, self.units]));
        let step = |(i, v): (Tensor, Tensor)| (i + 1, tf::tanh(tf::matmul(v, w) + inputs));
        let zero = inputs.graph().constant(0i32);
        let (_, v) = tf::while_loop(|(i, _)| i.lt(self.turns), step, (zero, v));
        (v * inputs, (v, n + v))
    }
}

/// One network built both ways, from `x` `[batch, time, 2]`: outputs `[batch, time, 4]`, the last state, gradients.
fn check(time_major: bool, lengths: Option<[i32; 3]>, known: bool) {
    let g = tf::Graph::new();
    let shape = if known { [Some(3), Some(5), Some(2)] } else { [None, None, Some(2)] };
    let x = g.placeholder(tf::f64, shape);
    let init = g.placeholder(tf::f64, [shape[0], Some(4)]);
    let seq = g.placeholder(tf::i32, [shape[0]]);
    let mut feeds = feed! { x => waves(&[3, 5, 2]), init => waves(&[3, 4]) };

    let cell = BasicRNNCell::new(4);
    let mut dynamic = DynamicRnn::new(&cell).initial_state(init).time_major(time_major);
    let mut fixed = StaticRnn::new(&cell).initial_state(init);
    if let Some(lengths) = lengths {
        dynamic = dynamic.sequence_length(seq);
        fixed = fixed.sequence_length(seq);
        feeds.insert(seq, lengths);
    }
    let swap = |x: Tensor| tf::transpose_perm(x, [1, 0, 2]);
    let (outputs, state) = match time_major {
        true => {
            let (outputs, state) = dynamic.build(swap(x));
            (swap(outputs), state)
        }
        false => dynamic.build(x),
    };
    let (steps, last) = fixed.build(tf::unstack_num(x, 5, 1));
    let unrolled = tf::stack(&steps, 1);

    assert_eq!(g.trainable_variables().len(), 2, "both share the cell's");
    let mut xs = variables(&g);
    xs.extend([x, init]);
    let mut pairs = vec![(outputs, unrolled), (state, last)];
    pairs.extend(gradients(&[outputs, state], &xs).into_iter().zip(gradients(&[unrolled, last], &xs)));
    same(&g, &pairs, &feeds);
    check_gradients(&session(&g, true), &[outputs, state], &xs, feeds, 2).unwrap();
}

#[test]
fn a_loop_computes_what_the_unrolled_network_does() {
    for known in [true, false] {
        for time_major in [true, false] {
            check(time_major, None, known);
            check(time_major, Some([5, 0, 3]), known);
            check(time_major, Some([1, 2, 9]), known);
        }
    }
}

#[test]
fn past_its_length_a_sequence_gives_zeros_and_keeps_its_state() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, None, Some(2)]);
    let seq = g.placeholder(tf::i64, [None]);
    let cell = BasicRNNCell::new(4);
    let (outputs, state) = DynamicRnn::new(&cell).sequence_length(seq).build(x);
    let dx = gradients(&[outputs, state], &[x])[0];
    let lengths = [2i64, 0, 4];
    let feeds = feed! { x => waves(&[3, 4, 2]), seq => lengths };
    let (outputs, state, dx) = session(&g, true).run((outputs, state, dx), feeds).unwrap();
    let (outputs, state, dx) =
        (outputs.view::<f64>().unwrap(), state.view::<f64>().unwrap(), dx.view::<f64>().unwrap());
    for (row, length) in lengths.into_iter().enumerate() {
        for t in 0..4 {
            let over = t as i64 >= length;
            assert_eq!((0..4).all(|i| outputs[[row, t, i]] == 0.0), over, "row {row}, time {t}");
            assert_eq!((0..2).all(|i| dx[[row, t, i]] == 0.0), over, "row {row}, time {t}");
        }
        for i in 0..4 {
            let last = if length == 0 { 0.0 } else { outputs[[row, length as usize - 1, i]] };
            assert_eq!(state[[row, i]], last, "row {row}");
        }
    }
}

/// `h' = tanh(x w + h u + b)` of one unit over one sequence: the last state, and its square's gradients with respect to w, u and b.
fn by_hand(xs: &[f64], w: f64, u: f64, b: f64) -> (f64, [f64; 3]) {
    let mut hs = vec![0.0f64];
    xs.iter().for_each(|x| hs.push((x * w + hs[hs.len() - 1] * u + b).tanh()));
    let (last, mut dh, mut sums) = (hs[xs.len()], 2.0 * hs[xs.len()], [0.0; 3]);
    for (t, x) in xs.iter().enumerate().rev() {
        let dz = dh * (1.0 - hs[t + 1] * hs[t + 1]);
        sums = [sums[0] + dz * x, sums[1] + dz * hs[t], sums[2] + dz];
        dh = dz * u;
    }
    (last, sums)
}

#[test]
fn one_graph_takes_any_length_and_any_batch() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, None, Some(1)]);
    let cell = BasicRNNCell::new(1);
    let (outputs, state) = DynamicRnn::new(&cell).build(x);
    let grads = gradients(&[state], &variables(&g));
    let sess = session(&g, true);
    let (kernel, bias) = (waves(&[2, 1]).to_vec::<f64>().unwrap(), waves(&[1]).to_vec::<f64>().unwrap());
    g.finalize();
    for (batch, time) in [(1, 1), (2, 2), (3, 1), (3, 7), (1, 100), (2, 2000), (4, 0), (0, 3), (1, 1999)] {
        let xs = waves(&[batch, time, 1]);
        let (outputs, state, got) = sess.run((outputs, state, &grads), feed! { x => &xs }).unwrap();
        assert_eq!(outputs.shape(), &tf::Shape::from([batch, time, 1]));
        let (xs, state) = (xs.to_vec::<f64>().unwrap(), state.to_vec::<f64>().unwrap());
        let mut want = [0.0; 3];
        for row in 0..batch {
            let (last, sums) = by_hand(&xs[row * time..(row + 1) * time], kernel[0], kernel[1], bias[0]);
            assert!((last - state[row]).abs() < 1e-12, "{batch} x {time}: {}, not {last}", state[row]);
            want = [0, 1, 2].map(|i| want[i] + sums[i]);
        }
        let got: Vec<f64> = got.iter().flat_map(|v| v.iter_f64()).collect();
        assert_eq!(got.len(), 3);
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= 1e-10 * want.abs().max(1.0), "{batch} x {time}: {got}, not {want}");
        }
    }
}

#[test]
fn a_cell_may_loop_itself() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, None, Some(3)]);
    let turns = g.placeholder(tf::i32, ());
    let seq = g.placeholder(tf::i32, [None]);
    let cell = Inner { units: 3, turns };
    let lengths = [4, 2];
    for feeds in [
        feed! { x => waves(&[2, 4, 3]), seq => lengths, turns => 3 },
        feed! { x => waves(&[2, 4, 3]), seq => lengths, turns => 0 },
    ] {
        let start = cell.zero_state(&g, BatchSize::of(x), tf::f64);
        let (outputs, (v, n)) = DynamicRnn::new(&cell).initial_state(start).sequence_length(seq).build(x);
        let start = cell.zero_state(&g, BatchSize::of(x), tf::f64);
        let unrolled = StaticRnn::new(&cell).initial_state(start).sequence_length(seq);
        let (steps, last) = unrolled.build(tf::unstack_num(x, 4, 1));
        let steps = tf::stack(&steps, 1);
        let w = variables(&g);
        assert_eq!(w.len(), 1);
        let ways = [gradients(&[outputs, v, n], &[x, w[0]]), gradients(&[steps, last.0, last.1], &[x, w[0]])];
        let mut pairs = vec![(outputs, steps), (v, last.0), (n, last.1)];
        pairs.extend(ways[0].iter().copied().zip(ways[1].iter().copied()));
        same(&g, &pairs, &feeds);
        check_gradients(&session(&g, true), &[outputs, v, n], &[x, w[0]], feeds, 1).unwrap();
    }
}

#[test]
fn networks_stand_on_each_other() {
    let g = tf::Graph::new();
    let x = g.placeholder(tf::f64, [None, None, Some(2)]);
    let (below, above) = (BasicRNNCell::new(3), BasicRNNCell::new(4));
    let (hidden, _) = DynamicRnn::new(&below).scope("below").build(x);
    let start = above.zero_state(&g, BatchSize::of(x), tf::f64);
    let (outputs, _) = g.variable_scope("above").enter(|_| dynamic_rnn(&above, hidden, start));
    let names: Vec<String> = g.trainable_variables().iter().map(|v| v.op().name()).collect();
    assert_eq!(
        names,
        [
            "below/basic_rnn_cell/kernel",
            "below/basic_rnn_cell/bias",
            "above/rnn/basic_rnn_cell/kernel",
            "above/rnn/basic_rnn_cell/bias",
        ]
    );
    let mut xs = variables(&g);
    xs.push(x);
    check_gradients(&session(&g, true), &[outputs], &xs, feed! { x => waves(&[2, 3, 2]) }, 2).unwrap();
}
