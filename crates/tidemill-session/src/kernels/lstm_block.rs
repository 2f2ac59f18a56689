//! Kernels of `ops::lstm_block`, in `f64` whatever the dtype.

use tidemill_core::ops::*;
use tidemill_core::{DType, Error, Result, Shape, Value};

use super::KernelTable;
use super::list::operands;

/// The gates of all steps, and what comes of them: `[time, batch, units]` each.
#[derive(Default)]
struct Trace {
    i: Vec<f64>,
    cs: Vec<f64>,
    f: Vec<f64>,
    o: Vec<f64>,
    ci: Vec<f64>,
    co: Vec<f64>,
    h: Vec<f64>,
}

/// The sizes, and the weights.
struct Cell {
    batch: usize,
    input: usize,
    units: usize,
    /// Where i, ci, f and o are among the four gates.
    order: [usize; 4],
    w: Vec<f64>,
    /// `wci`, `wcf`, `wco`.
    peepholes: Option<[Vec<f64>; 3]>,
    b: Vec<f64>,
    forget_bias: f64,
    clip: f64,
}

const ICFO: [usize; 4] = [0, 1, 2, 3];
const IFCO: [usize; 4] = [0, 2, 1, 3];

fn floats(value: &Value) -> Result<Vec<f64>> {
    Ok(value.cast(DType::F64).to_vec()?)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The elements of a row, for a step of a batch.
fn row(all: &[f64], at: usize, len: usize) -> &[f64] {
    &all[at * len..(at + 1) * len]
}

impl Cell {
    /// `args` are `x`, `cs_prev`, `h_prev`, `w`, `wci`, `wcf`, `wco`, `b`; with `time`, `x` has an axis of it.
    fn new(args: &[Value], time: bool, peephole: bool, order: [usize; 4]) -> Result<Cell> {
        let dims = args[0].shape().dims();
        let [batch, input] = dims[usize::from(time).min(dims.len())..] else {
            return Err(Error::invalid(format!("x is {}", args[0].shape())));
        };
        let units = args[1].shape().last().copied().unwrap_or(0);
        let state = Shape::from([batch, units]);
        let gates = units.saturating_mul(4);
        let rows = input.saturating_add(units);
        let mut wanted = vec![(1, "cs_prev", state.clone()), (2, "h_prev", state)];
        wanted.extend([(3, "w", Shape::from([rows, gates])), (7, "b", Shape::from([gates]))]);
        if peephole {
            let each = Shape::from([units]);
            wanted.extend([(4, "wci", each.clone()), (5, "wcf", each.clone()), (6, "wco", each)]);
        }
        for (i, name, shape) in wanted {
            if *args[i].shape() != shape {
                return Err(Error::invalid(format!("{name} is {}, not {shape}", args[i].shape())));
            }
        }
        if let Some(i) = (4..7).find(|i| args[*i].rank() != 1) {
            let (name, shape) = (["wci", "wcf", "wco"][i - 4], args[i].shape());
            return Err(Error::invalid(format!("{name} must be a vector, not {shape}")));
        }
        let peepholes = match peephole {
            true => Some([floats(&args[4])?, floats(&args[5])?, floats(&args[6])?]),
            false => None,
        };
        let (w, b) = (floats(&args[3])?, floats(&args[7])?);
        Ok(Cell { batch, input, units, order, w, peepholes, b, forget_bias: 0.0, clip: 0.0 })
    }

    /// One step, whose results go behind those of the steps before.
    fn step(&self, x: &[f64], cs_prev: &[f64], h_prev: &[f64], trace: &mut Trace) {
        let (units, gates) = (self.units, 4 * self.units);
        for n in 0..self.batch {
            let mut g = self.b.clone();
            let inputs = row(x, n, self.input).iter().chain(row(h_prev, n, units));
            for (k, v) in inputs.enumerate() {
                row(&self.w, k, gates).iter().zip(&mut g).for_each(|(w, g)| *g += v * w);
            }
            for (u, &before) in row(cs_prev, n, units).iter().enumerate() {
                let gate = |which: usize| g[self.order[which] * units + u];
                let hole = |which: usize| self.peepholes.as_ref().map_or(0.0, |p| p[which][u]);
                let i = sigmoid(gate(0) + before * hole(0));
                let f = sigmoid(gate(2) + self.forget_bias + before * hole(1));
                let ci = gate(1).tanh();
                let mut cs = ci * i + before * f;
                if self.clip > 0.0 {
                    cs = cs.clamp(-self.clip, self.clip);
                }
                let o = sigmoid(gate(3) + cs * hole(2));
                let co = cs.tanh();
                trace.i.push(i);
                trace.cs.push(cs);
                trace.f.push(f);
                trace.o.push(o);
                trace.ci.push(ci);
                trace.co.push(co);
                trace.h.push(co * o);
            }
        }
    }

    /// The gradients of one step with respect to the cell's state before it and the gates (in their order); those of the peepholes are added to
    /// `holes`. `t` is the step.
    fn step_back(
        &self,
        trace: &Trace,
        t: usize,
        cs_prev: &[f64],
        d_cs: &[f64],
        d_h: &[f64],
        holes: &mut [Vec<f64>; 3],
    ) -> (Vec<f64>, Vec<f64>) {
        let units = self.units;
        let mut before = vec![0.0; self.batch * units];
        let mut gates = vec![0.0; self.batch * units * 4];
        for n in 0..self.batch {
            for u in 0..units {
                let (at, here) = ((t * self.batch + n) * units + u, n * units + u);
                let of = |all: &[f64]| all[at];
                let (i, f, o, ci, co, cs) =
                    (of(&trace.i), of(&trace.f), of(&trace.o), of(&trace.ci), of(&trace.co), of(&trace.cs));
                let hole = |which: usize| self.peepholes.as_ref().map_or(0.0, |p| p[which][u]);
                let d_o = o * (1.0 - o) * d_h[here] * co;
                let d_cs = (1.0 - co * co) * d_h[here] * o + d_cs[here] + d_o * hole(2);
                let d_ci = (1.0 - ci * ci) * d_cs * i;
                let d_f = f * (1.0 - f) * d_cs * cs_prev[here];
                let d_i = i * (1.0 - i) * d_cs * ci;
                before[here] = d_cs * f + d_i * hole(0) + d_f * hole(1);
                for (which, d) in [d_i, d_ci, d_f, d_o].into_iter().enumerate() {
                    gates[n * 4 * units + self.order[which] * units + u] = d;
                }
                if self.peepholes.is_some() {
                    holes[0][u] += d_i * cs_prev[here];
                    holes[1][u] += d_f * cs_prev[here];
                    holes[2][u] += d_o * cs;
                }
            }
        }
        (before, gates)
    }
}

impl Trace {
    fn values(self, dtype: DType, shape: &Shape) -> Result<Vec<Value>> {
        let all = [self.i, self.cs, self.f, self.o, self.ci, self.co, self.h];
        all.into_iter().map(|v| shaped(v, dtype, shape)).collect()
    }

    /// Zeros for the steps that are left out.
    fn fill(&mut self, len: usize) {
        let Trace { i, cs, f, o, ci, co, h } = self;
        [i, cs, f, o, ci, co, h].into_iter().for_each(|v| v.resize(len, 0.0));
    }
}

fn shaped(values: Vec<f64>, dtype: DType, shape: &Shape) -> Result<Value> {
    Ok(Value::from_vec(shape.clone(), values)?.cast(dtype))
}

/// The first steps of so many, which are computed.
fn steps(seq_len_max: &Value, time: usize) -> Result<usize> {
    let len = super::objects::scalar(seq_len_max)?;
    usize::try_from(len)
        .ok()
        .filter(|len| *len <= time)
        .ok_or_else(|| Error::invalid(format!("seq_len_max is {len}, but there are {time} steps")))
}

fn over_time(inputs: Vec<Value>, cell: impl Fn(&[Value]) -> Result<Cell>) -> Result<Vec<Value>> {
    let (dtype, time) = (inputs[1].dtype(), super::objects::num_slices(&inputs[1])?);
    let cell = cell(&inputs[1..])?;
    let steps = steps(&inputs[0], time)?;
    let (x, mut cs, mut h) = (floats(&inputs[1])?, floats(&inputs[2])?, floats(&inputs[3])?);
    let (each, state) = (cell.batch * cell.input, cell.batch * cell.units);
    let mut trace = Trace::default();
    for t in 0..steps {
        cell.step(row(&x, t, each), &cs, &h, &mut trace);
        cs = row(&trace.cs, t, state).to_vec();
        h = row(&trace.h, t, state).to_vec();
    }
    trace.fill(time * state);
    trace.values(dtype, &Shape::from([time, cell.batch, cell.units]))
}

fn over_time_back(inputs: Vec<Value>, peephole: bool, order: [usize; 4]) -> Result<Vec<Value>> {
    let (dtype, time) = (inputs[1].dtype(), super::objects::num_slices(&inputs[1])?);
    let cell = Cell::new(&inputs[1..9], true, peephole, order)?;
    let steps = steps(&inputs[0], time)?;
    let (batch, input, units) = (cell.batch, cell.input, cell.units);
    let whole = Shape::from([time, batch, units]);
    if let Some(other) = inputs[9..18].iter().find(|v| *v.shape() != whole) {
        return Err(Error::invalid(format!("a gate or gradient is {}, not {whole}", other.shape())));
    }
    let x = floats(&inputs[1])?;
    let (cs_first, h_first) = (floats(&inputs[2])?, floats(&inputs[3])?);
    let of = |i: usize| floats(&inputs[i]);
    let (i, cs, f, o, ci, co, h) = (of(9)?, of(10)?, of(11)?, of(12)?, of(13)?, of(14)?, of(15)?);
    let trace = Trace { i, cs, f, o, ci, co, h };
    let (cs_grad, h_grad) = (of(16)?, of(17)?);
    let (each, state, gates) = (batch * input, batch * units, 4 * units);
    let mut d_x = vec![0.0; x.len()];
    let (mut d_cs, mut d_h) = (vec![0.0; state], vec![0.0; state]);
    let (mut d_w, mut d_b) = (vec![0.0; cell.w.len()], vec![0.0; gates]);
    let mut holes = [(); 3].map(|()| vec![0.0; units]);
    for t in (0..steps).rev() {
        d_cs.iter_mut().zip(row(&cs_grad, t, state)).for_each(|(d, g)| *d += g);
        d_h.iter_mut().zip(row(&h_grad, t, state)).for_each(|(d, g)| *d += g);
        let (cs_prev, h_prev) = match t {
            0 => (&cs_first[..], &h_first[..]),
            _ => (row(&trace.cs, t - 1, state), row(&trace.h, t - 1, state)),
        };
        let (before, d_gates) = cell.step_back(&trace, t, cs_prev, &d_cs, &d_h, &mut holes);
        d_cs = before;
        for n in 0..batch {
            let d = row(&d_gates, n, gates);
            d_b.iter_mut().zip(d).for_each(|(b, d)| *b += d);
            let inputs = row(row(&x, t, each), n, input).iter().chain(row(h_prev, n, units));
            for (k, v) in inputs.enumerate() {
                let slope: f64 = row(&cell.w, k, gates).iter().zip(d).map(|(w, d)| w * d).sum();
                match k.checked_sub(input) {
                    None => d_x[t * each + n * input + k] = slope,
                    Some(u) => d_h[n * units + u] = slope,
                }
                d_w[k * gates..(k + 1) * gates].iter_mut().zip(d).for_each(|(w, d)| *w += v * d);
            }
        }
    }
    let [wci, wcf, wco] = holes;
    let made = [d_x, d_cs, d_h, d_w, wci, wcf, wco, d_b];
    let shapes = inputs[1..9].iter().map(Value::shape);
    let zeros = |shape: &Shape| vec![0.0; shape.num_elements()];
    made.into_iter()
        .zip(shapes)
        // Without peepholes their weights may have any shape.
        .map(|(v, shape)| {
            if v.len() == shape.num_elements() {
                shaped(v, dtype, shape)
            } else {
                shaped(zeros(shape), dtype, shape)
            }
        })
        .collect()
}

pub(super) fn register(table: &mut KernelTable) {
    table.values::<LSTMBlockCell>(|op, inputs| {
        let dtype = inputs[0].dtype();
        let (forget_bias, clip) = (f64::from(op.forget_bias), f64::from(op.cell_clip));
        let cell = Cell { forget_bias, clip, ..Cell::new(&inputs, false, op.use_peephole, ICFO)? };
        let mut trace = Trace::default();
        cell.step(&floats(&inputs[0])?, &floats(&inputs[1])?, &floats(&inputs[2])?, &mut trace);
        trace.values(dtype, inputs[1].shape())
    });
    table.values::<LSTMBlockCellGrad>(|op, inputs| {
        let inputs: [Value; 16] = operands(inputs)?;
        let (dtype, state) = (inputs[0].dtype(), inputs[1].shape());
        let cell = Cell::new(&inputs, false, op.use_peephole, ICFO)?;
        if let Some(other) = inputs[8..].iter().find(|v| v.shape() != state) {
            return Err(Error::invalid(format!("a gate or gradient is {}, not {state}", other.shape())));
        }
        let of = |i: usize| floats(&inputs[i]);
        let trace =
            Trace { i: of(8)?, cs: of(9)?, f: of(10)?, o: of(11)?, ci: of(12)?, co: of(13)?, h: vec![] };
        let mut holes = [(); 3].map(|()| vec![0.0; cell.units]);
        let (before, gates) = cell.step_back(&trace, 0, &of(1)?, &of(14)?, &of(15)?, &mut holes);
        let mut made = vec![
            shaped(before, dtype, state)?,
            shaped(gates, dtype, &Shape::from([cell.batch, 4 * cell.units]))?,
        ];
        for (d, weight) in holes.into_iter().zip(&inputs[4..7]) {
            let fits = d.len() == weight.num_elements();
            let d = if fits { d } else { vec![0.0; weight.num_elements()] };
            made.push(shaped(d, dtype, weight.shape())?);
        }
        Ok(made)
    });
    table.values::<BlockLSTM>(|op, inputs| {
        let (forget_bias, clip) = (f64::from(op.forget_bias), f64::from(op.cell_clip));
        over_time(inputs, |args| {
            Ok(Cell { forget_bias, clip, ..Cell::new(args, true, op.use_peephole, ICFO)? })
        })
    });
    table.values::<BlockLSTMV2>(|op, inputs| {
        let clip = f64::from(op.cell_clip);
        over_time(inputs, |args| Ok(Cell { clip, ..Cell::new(args, true, op.use_peephole, IFCO)? }))
    });
    table.values::<BlockLSTMGrad>(|op, inputs| over_time_back(inputs, op.use_peephole, ICFO));
    table.values::<BlockLSTMGradV2>(|op, inputs| over_time_back(inputs, op.use_peephole, IFCO));
}
