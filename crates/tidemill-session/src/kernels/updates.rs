//! Kernels of `ops::updates`: each reads gradient and slots once and writes slots and variable once.

use tidemill_core::ops::{
    ApplyAdaMax, ApplyAdadelta, ApplyAdagradDA, ApplyAdagradV2, ApplyAddSign, ApplyCenteredRMSProp,
    ApplyFtrl, ApplyFtrlV2, ApplyPowerSign, ApplyProximalAdagrad, ApplyProximalGradientDescent, ApplyRMSProp,
    SparseApplyAdadelta, SparseApplyAdagradDA, SparseApplyAdagradV2, SparseApplyCenteredRMSProp,
    SparseApplyFtrl, SparseApplyFtrlV2, SparseApplyProximalAdagrad, SparseApplyProximalGradientDescent,
    SparseApplyRMSProp,
};
use tidemill_core::{Error, Result};
use tidemill_tensor::{Element, dispatch_float};

use super::real::{Real, Wide};
use super::training::{Rule, scalar, sparse_update, update};
use super::{Args, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    /// A row: op, number of slots, operand of the gradient (and that of the indices), and how the rule is made: from the op, the type of the numbers
    /// it computes with, and a function that reads scalar operands.
    macro_rules! rows {
        ($($op:ident $slots:literal, grad $grad:literal $(rows $rows:literal)?, |$this:ident, $args:ident, $at:ident| $rule:expr;)*) => {$(
            table.compiled::<$op>(|op, cx| {
                let $this = op.clone();
                dispatch_float!(cx.dtype(0), T => rows!(@call $slots, $grad $($rows)?)(cx, $grad, $($rows,)? move |$args: &Args| {
                    let _ = &$this;
                    let $at = |i: usize| scalar::<T>($args, i);
                    $rule
                }), else => unsupported())
            });
        )*};
        (@call $slots:literal, $grad:literal) => { update::<T, _, $slots> };
        (@call $slots:literal, $grad:literal $rows:literal) => { sparse_update::<T, _, $slots> };
    }
    rows! {
        ApplyAdadelta 2, grad 6, |_op, _args, at| Ok(Adadelta { lr: at(3), rho: at(4), epsilon: at(5) });
        SparseApplyAdadelta 2, grad 6 rows 7, |_op, _args, at| Ok(Adadelta { lr: at(3), rho: at(4), epsilon: at(5) });
        ApplyRMSProp 2, grad 7, |_op, _args, at| Ok(RmsProp { lr: at(3), rho: at(4), momentum: at(5), epsilon: at(6) });
        SparseApplyRMSProp 2, grad 7 rows 8, |_op, _args, at| {
            Ok(RmsProp { lr: at(3), rho: at(4), momentum: at(5), epsilon: at(6) })
        };
        ApplyCenteredRMSProp 3, grad 8, |_op, _args, at| {
            Ok(RmsProp { lr: at(4), rho: at(5), momentum: at(6), epsilon: at(7) })
        };
        SparseApplyCenteredRMSProp 3, grad 8 rows 9, |_op, _args, at| {
            Ok(RmsProp { lr: at(4), rho: at(5), momentum: at(6), epsilon: at(7) })
        };
        ApplyFtrl 2, grad 3, |op, _args, at| Ftrl::new([at(4), at(5), at(6), at(7)], None, op.multiply_linear_by_lr);
        SparseApplyFtrl 2, grad 3 rows 4, |op, _args, at| {
            Ftrl::new([at(5), at(6), at(7), at(8)], None, op.multiply_linear_by_lr)
        };
        ApplyFtrlV2 2, grad 3, |op, _args, at| {
            Ftrl::new([at(4), at(5), at(6), at(8)], Some(at(7)), op.multiply_linear_by_lr)
        };
        SparseApplyFtrlV2 2, grad 3 rows 4, |op, _args, at| {
            Ftrl::new([at(5), at(6), at(7), at(9)], Some(at(8)), op.multiply_linear_by_lr)
        };
        ApplyProximalGradientDescent 0, grad 4, |_op, _args, at| Ok(Proximal { lr: at(1), l1: at(2), l2: at(3) });
        SparseApplyProximalGradientDescent 0, grad 4 rows 5, |_op, _args, at| {
            Ok(Proximal { lr: at(1), l1: at(2), l2: at(3) })
        };
        ApplyProximalAdagrad 1, grad 5, |_op, _args, at| Ok(Proximal { lr: at(2), l1: at(3), l2: at(4) });
        SparseApplyProximalAdagrad 1, grad 5 rows 6, |_op, _args, at| Ok(Proximal { lr: at(2), l1: at(3), l2: at(4) });
        ApplyAdagradDA 2, grad 3, |_op, args, at| Ok(DualAveraging { lr: at(4), l1: at(5), l2: at(6), step: step(args, 7) });
        SparseApplyAdagradDA 2, grad 3 rows 4, |_op, args, at| {
            Ok(DualAveraging { lr: at(5), l1: at(6), l2: at(7), step: step(args, 8) })
        };
        ApplyAdaMax 2, grad 8, |_op, _args, at| {
            let rate = at(4) / (<T as Real>::Wide::ONE - at(3));
            Ok(AdaMax { rate, beta1: at(5), beta2: at(6), epsilon: at(7) })
        };
        ApplyAddSign 1, grad 6, |_op, _args, at| {
            Ok(Sign { lr: at(2), factor: at(3), sign_decay: at(4), beta: at(5), power: false })
        };
        ApplyPowerSign 1, grad 6, |_op, _args, at| {
            Ok(Sign { lr: at(2), factor: at(3), sign_decay: at(4), beta: at(5), power: true })
        };
        ApplyAdagradV2 1, grad 4, |op, _args, at| {
            Ok(Adagrad { lr: at(2), epsilon: at(3), update_slots: op.update_slots })
        };
        SparseApplyAdagradV2 1, grad 4 rows 5, |op, _args, at| {
            Ok(Adagrad { lr: at(2), epsilon: at(3), update_slots: op.update_slots })
        };
    }
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("an update of this dtype"))
}

/// The step's number, an `i64`, to compute with.
fn step<W: Element>(args: &Args, i: usize) -> W {
    W::from_f64(args.input::<i64>(i)[0] as f64)
}

#[inline(always)]
fn magnitude<W: Wide>(x: W) -> W {
    if x < W::ZERO { -x } else { x }
}

#[inline(always)]
fn sign<W: Wide>(x: W) -> W {
    let or_zero = if x < W::ZERO { -W::ONE } else { W::ZERO };
    if x > W::ZERO { W::ONE } else { or_zero }
}

#[derive(Clone, Copy)]
struct Adadelta<W> {
    lr: W,
    rho: W,
    epsilon: W,
}

impl<W: Wide> Rule<W, 2> for Adadelta<W> {
    #[inline(always)]
    fn step(self, var: W, [accum, accum_update]: [W; 2], grad: W) -> (W, [W; 2]) {
        let rest = W::ONE - self.rho;
        let accum = accum * self.rho + grad * grad * rest;
        let update = (accum_update + self.epsilon).sqrt() / (accum + self.epsilon).sqrt() * grad;
        (var - update * self.lr, [accum, accum_update * self.rho + update * update * rest])
    }
}

/// Plain with the slots `ms` and `mom`, centred with `mg` before them.
#[derive(Clone, Copy)]
struct RmsProp<W> {
    lr: W,
    rho: W,
    momentum: W,
    epsilon: W,
}

impl<W: Wide> RmsProp<W> {
    #[inline(always)]
    fn decayed(self, slot: W, new: W) -> W {
        slot + (new - slot) * (W::ONE - self.rho)
    }
    #[inline(always)]
    fn moved(self, mom: W, variance: W, grad: W) -> W {
        mom * self.momentum + grad * self.lr / (variance + self.epsilon).sqrt()
    }
}

impl<W: Wide> Rule<W, 2> for RmsProp<W> {
    #[inline(always)]
    fn step(self, var: W, [ms, mom]: [W; 2], grad: W) -> (W, [W; 2]) {
        let ms = self.decayed(ms, grad * grad);
        let mom = self.moved(mom, ms, grad);
        (var - mom, [ms, mom])
    }
}

impl<W: Wide> Rule<W, 3> for RmsProp<W> {
    #[inline(always)]
    fn step(self, var: W, [mg, ms, mom]: [W; 3], grad: W) -> (W, [W; 3]) {
        let (mg, ms) = (self.decayed(mg, grad), self.decayed(ms, grad * grad));
        let mom = self.moved(mom, ms - mg * mg, grad);
        (var - mom, [mg, ms, mom])
    }
}

#[derive(Clone, Copy)]
struct Ftrl<W> {
    lr: W,
    l1: W,
    l2: W,
    /// The power of the accumulator, `-lr_power`.
    power: f64,
    shrinkage: Option<W>,
    scaled: bool,
}

impl<W: Wide> Ftrl<W> {
    fn new([lr, l1, l2, lr_power]: [W; 4], shrinkage: Option<W>, scaled: bool) -> Result<Ftrl<W>> {
        let check = |ok: bool, name: &str, what: &str, value: W| match ok {
            true => Ok(()),
            false => Err(Error::invalid(format!("`{name}` must be {what}, not {}", value.to_f64()))),
        };
        check(lr > W::ZERO || scaled && lr >= W::ZERO, "lr", "positive", lr)?;
        check(l1 >= W::ZERO, "l1", "at least 0", l1)?;
        check(l2 >= W::ZERO, "l2", "at least 0", l2)?;
        check(lr_power <= W::ZERO, "lr_power", "at most 0", lr_power)?;
        if let Some(shrinkage) = shrinkage {
            check(shrinkage >= W::ZERO, "l2_shrinkage", "at least 0", shrinkage)?;
        }
        Ok(Ftrl { lr, l1, l2, power: -lr_power.to_f64(), shrinkage, scaled })
    }

    #[inline(always)]
    fn powered(self, accum: W) -> W {
        if self.power == 0.5 { accum.sqrt() } else { W::from_f64(accum.to_f64().powf(self.power)) }
    }
}

impl<W: Wide> Rule<W, 2> for Ftrl<W> {
    #[inline(always)]
    fn step(self, var: W, [accum, linear]: [W; 2], grad: W) -> (W, [W; 2]) {
        let new_accum = accum + grad * grad;
        let shrunk = match self.shrinkage {
            Some(shrinkage) => grad + (shrinkage + shrinkage) * var,
            None => grad,
        };
        let (power, growth) = (self.powered(new_accum), self.powered(new_accum) - self.powered(accum));
        let two_l2 = self.l2 + self.l2;
        let (linear, l1, curvature) = match self.scaled {
            true => (linear + shrunk * self.lr - growth * var, self.l1 * self.lr, power + two_l2 * self.lr),
            false => (linear + shrunk - growth / self.lr * var, self.l1, power / self.lr + two_l2),
        };
        let var = if magnitude(linear) > l1 { (l1 * sign(linear) - linear) / curvature } else { W::ZERO };
        (var, [new_accum, linear])
    }
}

/// Without a slot descent, with one Adagrad.
#[derive(Clone, Copy)]
struct Proximal<W> {
    lr: W,
    l1: W,
    l2: W,
}

impl<W: Wide> Proximal<W> {
    #[inline(always)]
    fn moved(self, var: W, rate: W, grad: W) -> W {
        let target = var - grad * rate;
        let scale = W::ONE + self.l2 * rate;
        if self.l1 > W::ZERO {
            let size = magnitude(target) - self.l1 * rate;
            (if size > W::ZERO { sign(target) * size } else { W::ZERO }) / scale
        } else {
            target / scale
        }
    }
}

impl<W: Wide> Rule<W, 0> for Proximal<W> {
    #[inline(always)]
    fn step(self, var: W, _: [W; 0], grad: W) -> (W, [W; 0]) {
        (self.moved(var, self.lr, grad), [])
    }
}

impl<W: Wide> Rule<W, 1> for Proximal<W> {
    #[inline(always)]
    fn step(self, var: W, [accum]: [W; 1], grad: W) -> (W, [W; 1]) {
        let accum = accum + grad * grad;
        (self.moved(var, self.lr / accum.sqrt(), grad), [accum])
    }
}

#[derive(Clone, Copy)]
struct DualAveraging<W> {
    lr: W,
    l1: W,
    l2: W,
    step: W,
}

impl<W: Wide> Rule<W, 2> for DualAveraging<W> {
    #[inline(always)]
    fn step(self, _: W, [sum, squares]: [W; 2], grad: W) -> (W, [W; 2]) {
        let (sum, squares) = (sum + grad, squares + grad * grad);
        let pull = if self.l1 > W::ZERO {
            let size = magnitude(sum) - self.l1 * self.step;
            if size > W::ZERO { sign(sum) * size } else { W::ZERO }
        } else {
            sum
        };
        (-(self.lr * pull) / (self.l2 * self.step * self.lr + squares.sqrt()), [sum, squares])
    }
}

#[derive(Clone, Copy)]
struct AdaMax<W> {
    /// The learning rate, corrected for the slot's bias towards zero.
    rate: W,
    beta1: W,
    beta2: W,
    epsilon: W,
}

impl<W: Wide> Rule<W, 2> for AdaMax<W> {
    #[inline(always)]
    fn step(self, var: W, [m, v]: [W; 2], grad: W) -> (W, [W; 2]) {
        let m = m + (grad - m) * (W::ONE - self.beta1);
        let v = (self.beta2 * v).max(magnitude(grad));
        (var - self.rate * (m / (v + self.epsilon)), [m, v])
    }
}

/// AddSign and, with `power`, PowerSign.
#[derive(Clone, Copy)]
struct Sign<W> {
    lr: W,
    /// `alpha` of the one, `logbase` of the other.
    factor: W,
    sign_decay: W,
    beta: W,
    power: bool,
}

impl<W: Wide> Rule<W, 1> for Sign<W> {
    #[inline(always)]
    fn step(self, var: W, [m]: [W; 1], grad: W) -> (W, [W; 1]) {
        let m = m * self.beta + grad * (W::ONE - self.beta);
        let agreement = self.sign_decay * sign(grad) * sign(m);
        let scale = match self.power {
            true => W::from_f64((self.factor * agreement).to_f64().exp()),
            false => self.factor + agreement,
        };
        (var - self.lr * scale * grad, [m])
    }
}

#[derive(Clone, Copy)]
struct Adagrad<W> {
    lr: W,
    epsilon: W,
    update_slots: bool,
}

impl<W: Wide> Rule<W, 1> for Adagrad<W> {
    #[inline(always)]
    fn step(self, var: W, [accum]: [W; 1], grad: W) -> (W, [W; 1]) {
        let accum = if self.update_slots { accum + grad * grad } else { accum };
        (var - grad * self.lr / (accum.sqrt() + self.epsilon), [accum])
    }
}

#[cfg(test)]
mod tests {
    use tidemill_core::{Op, Value};

    use super::super::testing;
    use super::*;

    /// Recorded from TensorFlow 2.21: variable and slots after one step from `[1, -2, 3]`, slots `[0.5, 0.25, 2]` and the gradient
    /// `[0.1, -0.2, 4]`.
    #[track_caller]
    fn check(op: impl Op, slots: usize, inputs: &[Value], expected: &[&[f32]]) {
        let mut variables = vec![Some(Value::from([1f32, -2.0, 3.0]))];
        variables.resize(1 + slots, Some(Value::from([0.5f32, 0.25, 2.0])));
        testing::update(op, &mut variables, inputs).unwrap();
        for (got, want) in variables.iter().zip(expected) {
            let (got, want) = (got.as_ref().unwrap(), Value::from(want.to_vec()));
            assert!(got.allclose(&want, 1e-6, 1e-6), "{got} instead of {want}");
        }
    }

    fn numbers<const N: usize>(numbers: [f32; N]) -> [Value; N] {
        numbers.map(Value::scalar)
    }

    fn grad() -> Value {
        Value::from([0.1f32, -0.2, 4.0])
    }

    #[test]
    fn adadelta() {
        check(
            ApplyAdadelta { use_locking: false },
            2,
            &[&numbers([0.5, 0.9, 0.001])[..], &[grad()]].concat(),
            &[
                &[0.947_359_56, -1.895_534_5, 1.465_912_2],
                &[0.450_999_98, 0.229, 3.400_000_3],
                &[0.451_108_4, 0.229_365_21, 2.741_370_2],
            ],
        );
    }

    #[test]
    fn rms_prop() {
        check(
            ApplyRMSProp { use_locking: false },
            2,
            &[&numbers([0.5, 0.9, 0.3, 0.001])[..], &[grad()]].concat(),
            &[
                &[0.775_629_46, -1.866_485_6, 1.315_507_2],
                &[0.450_999_98, 0.229, 3.400_000_3],
                &[0.224_370_52, -0.133_514_42, 1.684_492_8],
            ],
        );
        check(
            ApplyCenteredRMSProp { use_locking: false },
            3,
            &[&numbers([0.5, 0.2, 0.3, 1.0])[..], &[grad()]].concat(),
            &[
                &[0.801_789_16, -1.978_321_8, 0.603_947_4],
                &[0.179_999_98, -0.109_999_985, 3.6],
                &[0.107_999_98, 0.082, 13.2],
                &[0.198_210_84, -0.021_678_165, 2.396_052_6],
            ],
        );
    }

    #[test]
    fn ftrl() {
        check(
            ApplyFtrl { use_locking: false, multiply_linear_by_lr: false },
            2,
            &[&[grad()][..], &numbers([0.5, 0.3, 0.2, -0.5])].concat(),
            &[
                &[-0.156_391_22, 0.0, 1.200_925_7],
                &[0.51, 0.29, 18.0],
                &[0.585_927_84, 0.204_065_84, -10.970_562],
            ],
        );
        check(
            ApplyFtrlV2 { use_locking: false, multiply_linear_by_lr: false },
            2,
            &[&[grad()][..], &numbers([0.5, 0.3, 0.2, 0.1, -0.5])].concat(),
            &[
                &[-0.265_783_3, 0.0, 1.133_398_3],
                &[0.51, 0.29, 18.0],
                &[0.785_927_83, -0.195_934_18, -10.370_562],
            ],
        );
        check(
            ApplyFtrl { use_locking: false, multiply_linear_by_lr: true },
            2,
            &[&[grad()][..], &numbers([0.5, 0.3, 0.2, -0.5])].concat(),
            &[
                &[-0.429_871_47, -0.104_307_66, 0.975_834_3],
                &[0.51, 0.29, 18.0],
                &[0.542_963_9, 0.227_032_93, -4.485_281],
            ],
        );
        check(
            ApplyFtrlV2 { use_locking: false, multiply_linear_by_lr: true },
            2,
            &[&[grad()][..], &numbers([0.5, 0.3, 0.2, 0.1, -0.5])].concat(),
            &[
                &[-0.539_263_5, 0.0, 0.908_306_9],
                &[0.51, 0.29, 18.0],
                &[0.642_963_9, 0.027_032_912, -4.185_281],
            ],
        );
        check(
            ApplyFtrl { use_locking: false, multiply_linear_by_lr: false },
            2,
            &[&[grad()][..], &numbers([0.5, 0.3, 0.2, -0.3])].concat(),
            &[
                &[-0.142_720_82, 0.0, 0.114_977_79],
                &[0.51, 0.29, 18.0],
                &[0.590_320_47, 0.170_160_1, -0.893_291_5],
            ],
        );
        check(
            ApplyFtrlV2 { use_locking: false, multiply_linear_by_lr: false },
            2,
            &[&[grad()][..], &numbers([0.5, 0.3, 0.2, 0.1, -0.3])].concat(),
            &[&[-0.241_040_3, 0.0, 0.0], &[0.51, 0.29, 18.0], &[0.790_320_46, -0.229_839_92, -0.293_291_57]],
        );
        check(
            ApplyFtrl { use_locking: false, multiply_linear_by_lr: true },
            2,
            &[&[grad()][..], &numbers([0.5, 0.3, 0.2, -0.3])].concat(),
            &[
                &[-0.388_519_56, -0.067_521_31, -0.156_337_26],
                &[0.51, 0.29, 18.0],
                &[0.545_160_23, 0.210_080_06, 0.553_354_26],
            ],
        );
        check(
            ApplyFtrlV2 { use_locking: false, multiply_linear_by_lr: true },
            2,
            &[&[grad()][..], &numbers([0.5, 0.3, 0.2, 0.1, -0.3])].concat(),
            &[
                &[-0.486_839_03, 0.0, -0.272_615_13],
                &[0.51, 0.29, 18.0],
                &[0.645_160_2, 0.010_080_039_5, 0.853_354_2],
            ],
        );
    }

    #[test]
    fn proximal_steps() {
        check(
            ApplyProximalGradientDescent { use_locking: false },
            0,
            &[&numbers([0.5, 0.3, 0.2])[..], &[grad()]].concat(),
            &[&[0.727_272_7, -1.590_909, 0.772_727_25]],
        );
        check(
            ApplyProximalGradientDescent { use_locking: false },
            0,
            &[&numbers([0.5, 0.0, 0.2])[..], &[grad()]].concat(),
            &[&[0.863_636_3, -1.727_272_6, 0.909_090_9]],
        );
        check(
            ApplyProximalAdagrad { use_locking: false },
            1,
            &[&numbers([0.5, 0.3, 0.2])[..], &[grad()]].concat(),
            &[&[0.631_514_3, -1.295_241_2, 2.435_827_3], &[0.51, 0.29, 18.0]],
        );
        check(
            ApplyProximalAdagrad { use_locking: false },
            1,
            &[&numbers([0.5, 0.0, 0.2])[..], &[grad()]].concat(),
            &[&[0.815_757_16, -1.530_160_8, 2.470_368_4], &[0.51, 0.29, 18.0]],
        );
    }

    #[test]
    fn dual_averaging() {
        check(
            ApplyAdagradDA { use_locking: false },
            2,
            &[&[grad()][..], &numbers([0.5, 0.1, 0.2]), &[Value::scalar(3i64)]].concat(),
            &[&[-0.147_908_17, -0.0, -0.627_388_36], &[0.6, 0.049_999_997, 6.0], &[0.51, 0.29, 18.0]],
        );
        check(
            ApplyAdagradDA { use_locking: false },
            2,
            &[&[grad()][..], &numbers([0.5, 0.0, 0.2]), &[Value::scalar(3i64)]].concat(),
            &[
                &[-0.295_816_33, -0.029_814_558, -0.660_408_85],
                &[0.6, 0.049_999_997, 6.0],
                &[0.51, 0.29, 18.0],
            ],
        );
    }

    #[test]
    fn ada_max() {
        check(
            ApplyAdaMax { use_locking: false },
            2,
            &[&numbers([0.9, 0.5, 0.9, 0.99, 0.001])[..], &[grad()]].concat(),
            &[
                &[-3.637_095_5, -6.124_747_3, 0.250_687_6],
                &[0.459_999_98, 0.204_999_98, 2.2],
                &[0.495, 0.2475, 4.0],
            ],
        );
    }

    #[test]
    fn by_sign() {
        check(
            ApplyAddSign { use_locking: false },
            1,
            &[&numbers([0.5, 1.0, 0.9, 0.8])[..], &[grad()]].concat(),
            &[&[0.905, -1.99, -0.799_999_95], &[0.420_000_02, 0.16, 2.4]],
        );
        check(
            ApplyPowerSign { use_locking: false },
            1,
            &[&numbers([0.5, 1.0, 0.9, 0.8])[..], &[grad()]].concat(),
            &[&[0.877_019_8, -1.959_343_1, -1.919_206_1], &[0.420_000_02, 0.16, 2.4]],
        );
    }

    #[test]
    fn adagrad_with_epsilon() {
        check(
            ApplyAdagradV2 { use_locking: false, update_slots: true },
            1,
            &[&numbers([0.5, 0.1])[..], &[grad()]].concat(),
            &[&[0.938_585_7, -1.843_387, 2.539_450_6], &[0.51, 0.29, 18.0]],
        );
        check(
            ApplyAdagradV2 { use_locking: false, update_slots: false },
            1,
            &[&numbers([0.5, 0.1])[..], &[grad()]].concat(),
            &[&[0.938_050_3, -1.833_333_4, 1.679_182_3], &[0.5, 0.25, 2.0]],
        );
    }

    #[test]
    fn rates_must_make_sense() {
        let op = ApplyFtrl { use_locking: false, multiply_linear_by_lr: false };
        for [lr, l1, l2, power] in
            [[0.0, 0.1, 0.1, -0.5], [0.1, -0.1, 0.1, -0.5], [0.1, 0.1, -0.1, -0.5], [0.1, 0.1, 0.1, 0.5]]
        {
            let mut variables =
                [[1f32, -2.0, 3.0], [0.5, 0.25, 2.0], [0.5, 0.25, 2.0]].map(|v| Some(Value::from(v)));
            let inputs = [&[grad()][..], &numbers([lr, l1, l2, power])].concat();
            assert!(testing::update(op.clone(), &mut variables, &inputs).is_err());
        }
    }
}
