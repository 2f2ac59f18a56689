//! Kernels of `ops::training`: each reads gradient and slots once and writes slots and variable once.

use smallvec::SmallVec;
use tidemill_core::ops::{
    ApplyAdagrad, ApplyAdam, ApplyGradientDescent, ApplyMomentum, SparseApplyAdagrad, SparseApplyMomentum,
};
use tidemill_core::{Error, Result, Value};
use tidemill_tensor::dispatch_float;

use super::parallel::{GRAIN, Parts};
use super::real::{Real, Wide};
use super::simd::{Body, Isa, Level, run};
use super::state::{check_len, initialised, row_indices, row_size};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<ApplyGradientDescent>(|_, cx| {
        dispatch_float!(cx.dtype(0), T => update::<T, _, 0>(cx, 2, |args| {
            Ok(Descent { lr: scalar::<T>(args, 1) })
        }), else => unsupported())
    });
    table.compiled::<ApplyMomentum>(|op, cx| {
        let nesterov = op.use_nesterov;
        dispatch_float!(cx.dtype(0), T => update::<T, _, 1>(cx, 3, move |args| {
            Ok(Momentum { lr: scalar::<T>(args, 2), momentum: scalar::<T>(args, 4), nesterov })
        }), else => unsupported())
    });
    table.compiled::<ApplyAdagrad>(|op, cx| {
        let update_slots = op.update_slots;
        dispatch_float!(cx.dtype(0), T => update::<T, _, 1>(cx, 3, move |args| {
            Ok(Adagrad { lr: scalar::<T>(args, 2), update_slots })
        }), else => unsupported())
    });
    table.compiled::<ApplyAdam>(|op, cx| {
        let nesterov = op.use_nesterov;
        dispatch_float!(cx.dtype(0), T => update::<T, _, 2>(cx, 9, move |args| {
            let [beta1_power, beta2_power, lr, beta1, beta2, epsilon] = std::array::from_fn(|i| scalar::<T>(args, 3 + i));
            let one = <T as Real>::Wide::ONE;
            let rate = lr * (one - beta2_power).sqrt() / (one - beta1_power);
            Ok(Adam { rate, beta1, beta2, epsilon, nesterov })
        }), else => unsupported())
    });
    table.compiled::<SparseApplyMomentum>(|op, cx| {
        let nesterov = op.use_nesterov;
        dispatch_float!(cx.dtype(0), T => sparse_update::<T, _, 1>(cx, 3, 4, move |args| {
            Ok(Momentum { lr: scalar::<T>(args, 2), momentum: scalar::<T>(args, 5), nesterov })
        }), else => unsupported())
    });
    table.compiled::<SparseApplyAdagrad>(|op, cx| {
        let update_slots = op.update_slots;
        dispatch_float!(cx.dtype(0), T => sparse_update::<T, _, 1>(cx, 3, 4, move |args| {
            Ok(Adagrad { lr: scalar::<T>(args, 2), update_slots })
        }), else => unsupported())
    });
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("an update of this dtype"))
}

pub(super) fn scalar<T: Real>(args: &Args, i: usize) -> T::Wide {
    args.input::<T>(i)[0].widen()
}

/// How one element of the variable and its `S` slots change with one element of the gradient.
pub(super) trait Rule<W, const S: usize>: Copy + Sync {
    /// The new variable and slots. Implementations mark it `#[inline(always)]`.
    fn step(self, var: W, slots: [W; S], grad: W) -> (W, [W; S]);
}

#[derive(Clone, Copy)]
struct Descent<W> {
    lr: W,
}

impl<W: Wide> Rule<W, 0> for Descent<W> {
    #[inline(always)]
    fn step(self, var: W, _: [W; 0], grad: W) -> (W, [W; 0]) {
        (var - grad * self.lr, [])
    }
}

#[derive(Clone, Copy)]
struct Momentum<W> {
    lr: W,
    momentum: W,
    nesterov: bool,
}

impl<W: Wide> Rule<W, 1> for Momentum<W> {
    #[inline(always)]
    fn step(self, var: W, [accum]: [W; 1], grad: W) -> (W, [W; 1]) {
        let accum = accum * self.momentum + grad;
        let var = if self.nesterov {
            var - (grad * self.lr + accum * self.momentum * self.lr)
        } else {
            var - accum * self.lr
        };
        (var, [accum])
    }
}

#[derive(Clone, Copy)]
struct Adagrad<W> {
    lr: W,
    update_slots: bool,
}

impl<W: Wide> Rule<W, 1> for Adagrad<W> {
    #[inline(always)]
    fn step(self, var: W, [accum]: [W; 1], grad: W) -> (W, [W; 1]) {
        let accum = if self.update_slots { accum + grad * grad } else { accum };
        (var - grad * self.lr / accum.sqrt(), [accum])
    }
}

#[derive(Clone, Copy)]
struct Adam<W> {
    /// The learning rate, corrected for the slots' bias towards zero.
    rate: W,
    beta1: W,
    beta2: W,
    epsilon: W,
    nesterov: bool,
}

impl<W: Wide> Rule<W, 2> for Adam<W> {
    #[inline(always)]
    fn step(self, var: W, [m, v]: [W; 2], grad: W) -> (W, [W; 2]) {
        let m = m + (grad - m) * (W::ONE - self.beta1);
        let v = v + (grad * grad - v) * (W::ONE - self.beta2);
        let direction = if self.nesterov { grad * (W::ONE - self.beta1) + self.beta1 * m } else { m };
        (var - direction * self.rate / (v.sqrt() + self.epsilon), [m, v])
    }
}

/// A dense update with `S` slots by operand `grad`; `rule` reads the scalars.
pub(super) fn update<T: Real, R: Rule<T::Wide, S>, const S: usize>(
    cx: &CompileCx,
    grad: usize,
    rule: impl Fn(&Args) -> Result<R> + Send + Sync + 'static,
) -> Result<Compiled> {
    let level = cx.level();
    Ok(Compiled::Variable(Box::new(move |variables: &mut [&mut Option<Value>], args: &mut Args| {
        let [var, slots @ ..] = variables else { return Err(wrong_variables()) };
        let var = initialised::<T>(var)?;
        let slots = slots_of::<T, S>(slots)?;
        let grad = args.input::<T>(grad);
        check_len(var.len(), grad.len())?;
        slots.iter().try_for_each(|slot| check_len(var.len(), slot.len()))?;
        let rule = rule(args)?;
        let (len, var, slots) = (var.len(), Parts::new(var), slots.map(|slot| Parts::new(slot)));
        args.each_stretch(len, GRAIN, &|at| {
            // SAFETY: stretches do not overlap.
            let (var, slots) =
                unsafe { (var.part(at.clone()), slots.each_ref().map(|slot| slot.part(at.clone()))) };
            run(level, Dense { var, slots, grad: &grad[at], rule });
            Ok(())
        })
    })))
}

fn wrong_variables() -> Error {
    Error::internal("an update got another number of variables than it has references")
}

fn slots_of<'v, T: Real, const S: usize>(slots: &'v mut [&mut Option<Value>]) -> Result<[&'v mut [T]; S]> {
    let slots: Result<SmallVec<[&mut [T]; S]>> =
        slots.iter_mut().map(|slot| initialised::<T>(slot)).collect();
    slots?.into_inner().map_err(|_| wrong_variables())
}

struct Dense<'v, 'a, T, R, const S: usize> {
    var: &'v mut [T],
    slots: [&'v mut [T]; S],
    grad: &'a [T],
    rule: R,
}

impl<T: Real, R: Rule<T::Wide, S>, const S: usize> Body for Dense<'_, '_, T, R, S> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Dense { var, mut slots, grad, rule } = self;
        let n = var.len().min(grad.len());
        let whole = n / LANES * LANES;
        for i in (0..whole).step_by(LANES) {
            lanes::<T, R, S, LANES>(i, var, &mut slots, grad, rule);
        }
        for i in whole..n {
            lanes::<T, R, S, 1>(i, var, &mut slots, grad, rule);
        }
    }
}

/// Elements updated at a time.
const LANES: usize = 16;

/// Updates `N` elements from `i` on. They are read before any is written, so the compiler need not know that slices are apart, and vectorises.
#[inline(always)]
fn lanes<T: Real, R: Rule<T::Wide, S>, const S: usize, const N: usize>(
    i: usize,
    var: &mut [T],
    slots: &mut [&mut [T]; S],
    grad: &[T],
    rule: R,
) {
    let wide = |x: &[T]| -> [T::Wide; N] {
        let x = &x[i..i + N];
        std::array::from_fn(|lane| x[lane].widen())
    };
    let (mut new, grad) = (wide(var), wide(grad));
    let mut after: [[T::Wide; N]; S] = std::array::from_fn(|s| wide(slots[s]));
    for lane in 0..N {
        let before = std::array::from_fn(|s| after[s][lane]);
        let (var, slots) = rule.step(new[lane], before, grad[lane]);
        new[lane] = var;
        for s in 0..S {
            after[s][lane] = slots[s];
        }
    }
    let narrow = |out: &mut [T], wide: &[T::Wide; N]| {
        let out = &mut out[i..i + N];
        out.iter_mut().zip(wide).for_each(|(out, wide)| *out = T::narrow(*wide));
    };
    narrow(var, &new);
    for s in 0..S {
        narrow(slots[s], &after[s]);
    }
}

/// An update with `S` slots of the rows that operand `indices` names, by the rows of operand `grad`.
pub(super) fn sparse_update<T: Real, R: Rule<T::Wide, S>, const S: usize>(
    cx: &CompileCx,
    grad: usize,
    indices: usize,
    rule: impl Fn(&Args) -> Result<R> + Send + Sync + 'static,
) -> Result<Compiled> {
    let level: Level = cx.level();
    let (index_dtype, count) = (cx.dtype(indices), cx.shape(indices).num_elements());
    Ok(Compiled::Variable(Box::new(move |variables: &mut [&mut Option<Value>], args: &mut Args| {
        let [var, slots @ ..] = variables else { return Err(wrong_variables()) };
        let row = row_size(var, count, args.input::<T>(grad).len())?;
        let var = initialised::<T>(var)?;
        let mut slots = slots_of::<T, S>(slots)?;
        slots.iter().try_for_each(|slot| check_len(var.len(), slot.len()))?;
        let indices = row_indices(args, indices, index_dtype, var.len().checked_div(row).unwrap_or(0))?;
        let rule = rule(args)?;
        for (i, grad) in indices.zip(args.input::<T>(grad).chunks_exact(row.max(1))) {
            let rows = i * row..(i + 1) * row;
            let slots = slots.each_mut().map(|slot| &mut slot[rows.clone()]);
            run(level, Dense { var: &mut var[rows], slots, grad, rule });
        }
        Ok(())
    })))
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use tidemill_core::{DType, Op};

    /// Recorded from TensorFlow 2.21: variable and slots after one step from `var`, slots 0.5 and gradient `grad`.
    #[track_caller]
    fn check(op: impl Op, slots: usize, inputs: &[Value], expected: &[&[f32]]) {
        for (dtype, tolerance) in
            [(DType::F32, 1e-6), (DType::F64, 1e-7), (DType::BF16, 1e-2), (DType::F16, 2e-3)]
        {
            let cast = |v: &Value| Some(v.cast(dtype));
            let mut variables = vec![cast(&Value::from([1f32, -2.0, 3.0]))];
            variables.resize(1 + slots, cast(&Value::from([0.5f32, 0.25, 2.0])));
            let inputs: Vec<Value> =
                inputs.iter().map(|v| if v.dtype().is_float() { v.cast(dtype) } else { v.clone() }).collect();
            testing::update(op.clone(), &mut variables, &inputs).unwrap();
            for (got, want) in variables.iter().zip(expected) {
                let (got, want) = (got.as_ref().unwrap(), Value::from(want.to_vec()).cast(dtype));
                assert!(got.allclose(&want, tolerance, tolerance), "{got} instead of {want}");
            }
        }
    }

    fn grad() -> Value {
        Value::from([0.1f32, -0.2, 4.0])
    }

    fn number(x: f32) -> Value {
        Value::scalar(x)
    }

    #[test]
    fn gradient_descent() {
        let op = ApplyGradientDescent { use_locking: false };
        check(op, 0, &[number(0.1), grad()], &[&[0.99, -1.98, 2.6]]);
    }

    #[test]
    fn momentum() {
        let accum = [0.55, 0.025, 5.8];
        for (use_nesterov, var) in [(false, [0.945, -2.0025, 2.42]), (true, [0.9405, -1.98225, 2.078])] {
            let op = ApplyMomentum { use_locking: false, use_nesterov };
            check(op, 1, &[number(0.1), grad(), number(0.9)], &[&var, &accum]);
        }
    }

    #[test]
    fn adagrad() {
        let updated: [&[f32]; 2] = [&[0.985_997_2, -1.962_861, 2.905_719], &[0.51, 0.29, 18.0]];
        let kept: [&[f32]; 2] = [&[0.985_857_84, -1.96, 2.717_157_4], &[0.5, 0.25, 2.0]];
        for (update_slots, expected) in [(true, updated), (false, kept)] {
            let op = ApplyAdagrad { use_locking: false, update_slots };
            check(op, 1, &[number(0.1), grad()], &expected);
        }
    }

    #[test]
    fn adam() {
        let (m, v) = ([0.46, 0.205, 2.2], [0.4951, 0.2479, 2.14]);
        let plain = [0.934_717_9, -2.041_090_7, 2.849_714];
        let nesterov = [0.939_826_9, -2.032_972_8, 2.837_417_8];
        for (use_nesterov, var) in [(false, plain), (true, nesterov)] {
            let op = ApplyAdam { use_locking: false, use_nesterov };
            let scalars = [0.9, 0.99, 0.1, 0.9, 0.99, 1e-3].map(number);
            check(op, 2, &[&scalars[..], &[grad()]].concat(), &[&var, &m, &v]);
        }
    }

    #[test]
    fn sparse_updates_take_each_occurrence_as_a_step() {
        let (grad, indices) = (Value::from([4f32, 0.1, 0.2]), Value::from([2i32, 0, 0]));
        for indices in [indices.clone(), indices.cast(DType::I64)] {
            let op = SparseApplyMomentum { use_locking: false, use_nesterov: true };
            let inputs = [number(0.1), grad.clone(), indices.clone(), number(0.9)];
            check(op, 1, &inputs, &[&[0.857_95, -2.0, 2.078], &[0.695, 0.25, 5.8]]);
            let op = SparseApplyAdagrad { use_locking: false, update_slots: true };
            let inputs = [number(0.1), grad.clone(), indices];
            check(op, 1, &inputs, &[&[0.959_029_2, -2.0, 2.905_719], &[0.55, 0.25, 18.0]]);
        }
    }

    #[test]
    fn rows_out_of_range_change_nothing() {
        let op = SparseApplyAdagrad { use_locking: false, update_slots: true };
        let mut variables = [Some(Value::from([[1f32], [2.0]])), Some(Value::from([[1f32], [1.0]]))];
        let before = variables.clone();
        let inputs = [number(0.1), Value::from([[1f32], [1.0]]), Value::from([0, 2])];
        let error = testing::update(op, &mut variables, &inputs).unwrap_err();
        assert_eq!(error.message(), "index 2 is not in [0, 2)");
        assert_eq!(variables, before);
    }
}
