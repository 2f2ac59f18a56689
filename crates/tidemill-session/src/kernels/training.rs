//! Kernels of `ops::training`: each reads gradient and slots once and writes slots and variable once.

use tidemill_core::ops::{
    ApplyAdagrad, ApplyAdam, ApplyGradientDescent, ApplyMomentum, SparseApplyAdagrad, SparseApplyMomentum,
};
use tidemill_core::{Error, Result, Value};
use tidemill_tensor::dispatch_float;

use super::real::{Real, Wide};
use super::simd::{Body, Isa, Level, run};
use super::state::{check_len, initialised, row_indices};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<ApplyGradientDescent>(|_, cx| {
        dispatch_float!(cx.dtype(0), T => update::<T, _, 0>(cx, 2, |args| {
            Descent { lr: scalar::<T>(args, 1) }
        }), else => unsupported())
    });
    table.compiled::<ApplyMomentum>(|op, cx| {
        let nesterov = op.use_nesterov;
        dispatch_float!(cx.dtype(0), T => update::<T, _, 1>(cx, 3, move |args| {
            Momentum { lr: scalar::<T>(args, 2), momentum: scalar::<T>(args, 4), nesterov }
        }), else => unsupported())
    });
    table.compiled::<ApplyAdagrad>(|op, cx| {
        let update_slots = op.update_slots;
        dispatch_float!(cx.dtype(0), T => update::<T, _, 1>(cx, 3, move |args| {
            Adagrad { lr: scalar::<T>(args, 2), update_slots }
        }), else => unsupported())
    });
    table.compiled::<ApplyAdam>(|op, cx| {
        let nesterov = op.use_nesterov;
        dispatch_float!(cx.dtype(0), T => update::<T, _, 2>(cx, 9, move |args| {
            let [beta1_power, beta2_power, lr, beta1, beta2, epsilon] = std::array::from_fn(|i| scalar::<T>(args, 3 + i));
            let one = <T as Real>::Wide::ONE;
            let rate = lr * (one - beta2_power).sqrt() / (one - beta1_power);
            Adam { rate, beta1, beta2, epsilon, nesterov }
        }), else => unsupported())
    });
    table.compiled::<SparseApplyMomentum>(|op, cx| {
        let nesterov = op.use_nesterov;
        dispatch_float!(cx.dtype(0), T => sparse_update::<T, _>(cx, move |args| {
            Momentum { lr: scalar::<T>(args, 2), momentum: scalar::<T>(args, 5), nesterov }
        }), else => unsupported())
    });
    table.compiled::<SparseApplyAdagrad>(|op, cx| {
        let update_slots = op.update_slots;
        dispatch_float!(cx.dtype(0), T => sparse_update::<T, _>(cx, move |args| {
            Adagrad { lr: scalar::<T>(args, 2), update_slots }
        }), else => unsupported())
    });
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("an update of this dtype"))
}

fn scalar<T: Real>(args: &Args, i: usize) -> T::Wide {
    args.input::<T>(i)[0].widen()
}

/// How one element of the variable and its `S` slots change with one element of the gradient.
trait Rule<W, const S: usize>: Copy {
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
fn update<T: Real, R: Rule<T::Wide, S>, const S: usize>(
    cx: &CompileCx,
    grad: usize,
    rule: impl Fn(&Args) -> R + Send + Sync + 'static,
) -> Result<Compiled> {
    let level = cx.level();
    Ok(Compiled::Variable(Box::new(move |variables: &mut [&mut Option<Value>], args: &mut Args| {
        let [var, slots @ ..] = variables else { return Err(wrong_variables()) };
        let var = initialised::<T>(var)?;
        let slots = slots_of::<T, S>(slots)?;
        let grad = args.input::<T>(grad);
        check_len(var.len(), grad.len())?;
        slots.iter().try_for_each(|slot| check_len(var.len(), slot.len()))?;
        run(level, Dense { var, slots, grad, rule: rule(args) });
        Ok(())
    })))
}

fn wrong_variables() -> Error {
    Error::internal("an update got another number of variables than it has references")
}

fn slots_of<'v, T: Real, const S: usize>(slots: &'v mut [&mut Option<Value>]) -> Result<[&'v mut [T]; S]> {
    let slots: Result<Vec<&mut [T]>> = slots.iter_mut().map(|slot| initialised::<T>(slot)).collect();
    slots?.try_into().map_err(|_| wrong_variables())
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
        let (var, grad) = (&mut var[..n], &grad[..n]);
        // Slices cut to one length, so that the checks below vanish.
        slots.iter_mut().for_each(|slot| *slot = &mut std::mem::take(slot)[..n]);
        for i in 0..n {
            let before = std::array::from_fn(|s| slots[s][i].widen());
            let (new, after) = rule.step(var[i].widen(), before, grad[i].widen());
            var[i] = T::narrow(new);
            for s in 0..S {
                slots[s][i] = T::narrow(after[s]);
            }
        }
    }
}

/// An update with one slot of the rows that operand 4 names, by the rows of operand 3.
fn sparse_update<T: Real, R: Rule<T::Wide, 1>>(
    cx: &CompileCx,
    rule: impl Fn(&Args) -> R + Send + Sync + 'static,
) -> Result<Compiled> {
    let level: Level = cx.level();
    let row: usize = cx.shape(0).iter().skip(1).product();
    let index_dtype = cx.dtype(4);
    Ok(Compiled::Variable(Box::new(move |variables: &mut [&mut Option<Value>], args: &mut Args| {
        let [var, slot] = variables else { return Err(wrong_variables()) };
        let (var, slot) = (initialised::<T>(var)?, initialised::<T>(slot)?);
        check_len(var.len(), slot.len())?;
        let indices = row_indices(args, 4, index_dtype, var.len().checked_div(row).unwrap_or(0))?;
        let rule = rule(args);
        for (i, grad) in indices.zip(args.input::<T>(3).chunks_exact(row.max(1))) {
            let rows = i * row..(i + 1) * row;
            run(level, Dense { var: &mut var[rows.clone()], slots: [&mut slot[rows]], grad, rule });
        }
        Ok(())
    })))
}
