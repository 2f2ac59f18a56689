//! A network whose inputs, outputs and end depend on what it has done.

use tidemill_core::ops::{self, Nest, While};
use tidemill_core::{Error, Graph, Origin, Tensor};

use super::RnnCell;
use super::lengths::copy_through;
use crate::or_panic;

/// What the loop function of [`raw_rnn`] decides before a step.
#[derive(Debug, Clone)]
pub struct RawStep<S, E, L> {
    /// Which sequences are over, `bool[batch]`. One that is over stays over.
    pub finished: Tensor,
    /// The cell's input, `[batch, depth]`.
    pub input: Tensor,
    /// The cell's state.
    pub state: S,
    /// What is given out for the step before: `[batch, ..]`, one or several. At time 0, zeros of its shapes and dtypes.
    pub emit: E,
    /// Whatever the loop function carries along.
    pub loop_state: L,
}

/// What the loop function of [`raw_rnn`] learns of the step before; there is none at time 0.
#[derive(Debug, Clone)]
pub struct RawOutput<S, L> {
    /// The cell's output.
    pub output: Tensor,
    /// The cell's state.
    pub state: S,
    /// What the loop function carries along.
    pub loop_state: L,
}

/// Runs `cell` until all sequences are finished, as `loop_fn` says: before each step it is given the time (`i32`, from 0) and what the step before
/// gave, and decides the next input and state, what is given out, and which sequences are over. Returns what was given out, `[time, batch, ..]`, the last
/// state and the last loop state. What sequences that are over give out is zero, and their state stays. TensorFlow: `tf.nn.raw_rnn`.
///
/// `loop_fn` is called twice while the graph is built: for time 0, and for all later steps.
///
/// ```
/// use tidemill_core::{DType, Graph, ops};
/// use tidemill_nn::rnn::{BasicRNNCell, RawStep, RnnCell, raw_rnn};
/// let g = Graph::new();
/// let cell = BasicRNNCell::new(4);
/// let start = g.placeholder(DType::F32, [3, 4]);
/// // Feeds its own output back, five times.
/// let (outputs, _, _) = raw_rnn(&cell, &g, |time, before| match before {
///     None => RawStep {
///         finished: g.constant([false; 3]),
///         input: start,
///         state: cell.zero_state(&g, 3, DType::F32),
///         emit: g.zeros(DType::F32, [3, 4]),
///         loop_state: (),
///     },
///     Some(last) => RawStep {
///         finished: ops::greater_equal(ops::tile(ops::expand_dims(time, 0), [3]), 5),
///         input: last.output,
///         state: last.state,
///         emit: last.output,
///         loop_state: (),
///     },
/// });
/// assert_eq!(outputs.ty().to_string(), "f32[?,3,4]");
/// ```
///
/// # Panics
/// When states, inputs, loop states or what is given out change number, shape or dtype from step to step.
#[track_caller]
pub fn raw_rnn<C: RnnCell, E: Nest, L: Nest>(
    cell: &C,
    graph: &Graph,
    loop_fn: impl Fn(Tensor, Option<RawOutput<C::State, L>>) -> RawStep<C::State, E, L>,
) -> (E, C::State, L) {
    let origin = Origin::here();
    graph.with_origin(origin.clone(), || {
        graph.variable_scope("rnn").enter(|_| {
            let start = graph.constant(0i32);
            let first = loop_fn(start, None);
            let zeros = first.emit.flatten().into_iter().map(|emit| ops::zeros_like(emit));
            let zeros: E = first.emit.rebuild(&mut zeros.collect::<Vec<_>>().into_iter());
            let vars = (start, (first.finished, first.input), first.state, first.loop_state);
            let step = |(time, (finished, input), state, loop_state): (_, (_, _), C::State, L)| {
                let (output, next) = cell.call(input, state.clone());
                let time: Tensor = time + 1;
                let given = loop_fn(time, Some(RawOutput { output, state: next, loop_state }));
                let (emits, before) = (given.emit.flatten().len(), zeros.flatten().len());
                if emits != before {
                    let what = format!("loop_fn gives out {before} tensors at time 0, but {emits} later");
                    or_panic(Err(Error::invalid(what).with_origin(origin.clone())))
                }
                let goes_on = ops::logical_not(finished);
                let emit = copy_through(goes_on, &given.emit, &zeros);
                let state = copy_through(goes_on, &given.state, &state);
                let finished = ops::logical_or(finished, given.finished);
                ((time, (finished, given.input), state, given.loop_state), emit)
            };
            let some_go_on = |(_, (finished, _), _, _): (_, (Tensor, _), C::State, L)| -> Tensor {
                ops::logical_not(ops::reduce_all(finished))
            };
            let ((_, _, state, loop_state), emitted) = While::new(vars).scan(some_go_on, step);
            (emitted, state, loop_state)
        })
    })
}
