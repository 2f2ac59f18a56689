//! Kernels of `ops::activation`.

use tidemill_core::ops::{
    Elu, EluGrad, LeakyRelu, LeakyReluGrad, Relu, Relu6, Relu6Grad, ReluGrad, Selu, SeluGrad, Sigmoid,
    SigmoidGrad, Softplus, SoftplusGrad, Softsign, SoftsignGrad, Tanh, TanhGrad,
};
use tidemill_core::{Error, Result};
use tidemill_tensor::{Element, dispatch_float, dispatch_numeric};

use super::elementwise::{map1, map2};
use super::real::{Real, Wide, real_functions};
use super::{Args, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    register_functions(table);
    table.compiled::<Relu>(
        |_, cx| dispatch_numeric!(cx.dtype(0), T => map1(cx, relu::<T>), else => unsupported()),
    );
    table.compiled::<ReluGrad>(
        |_, cx| dispatch_numeric!(cx.dtype(0), T => map2(cx, relu_grad::<T>), else => unsupported()),
    );
    table.compiled::<Relu6>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => {
            let six = T::from_f64(6.0);
            map1(cx, move |x: T| if x > six { six } else { relu(x) })
        }, else => unsupported())
    });
    table.compiled::<Relu6Grad>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => {
            let six = T::from_f64(6.0);
            Compiled::step(move |args: &mut Args| {
                let (dy, x, dx) = (args.input::<T>(0), args.input::<T>(1), args.output::<T>(0));
                for ((dx, dy), x) in dx.iter_mut().zip(dy).zip(x) {
                    *dx = if *x < six { relu_grad(*dy, *x) } else { T::default() };
                }
                Ok(())
            })
        }, else => unsupported())
    });
    table.compiled::<LeakyRelu>(|op, cx| {
        dispatch_float!(cx.dtype(0), T => {
            let alpha = <T as Real>::Wide::from_f64(f64::from(op.alpha));
            map1(cx, move |x: T| if x > T::default() { x } else { T::narrow(x.widen() * alpha) })
        }, else => unsupported())
    });
    table.compiled::<LeakyReluGrad>(|op, cx| {
        dispatch_float!(cx.dtype(0), T => {
            let alpha = <T as Real>::Wide::from_f64(f64::from(op.alpha));
            map2(cx, move |dy: T, x: T| if x > T::default() { dy } else { T::narrow(dy.widen() * alpha) })
        }, else => unsupported())
    });
}

real_functions! { register_functions:
    Tanh(x) => x.tanh::<I>();
    Sigmoid(x) => x.sigmoid::<I>();
    Softplus(x) => x.softplus::<I>();
    TanhGrad(y, dy) => dy * (W::ONE - y * y);
    SigmoidGrad(y, dy) => dy * y * (W::ONE - y);
    SoftplusGrad(dy, x) => dy * x.sigmoid::<I>();
    Elu(x) => if x < W::ZERO { x.exp_m1::<I>() } else { x };
    EluGrad(dy, y) => if y < W::ZERO { dy * (y + W::ONE) } else { dy };
    Selu(x) => if x < W::ZERO { x.exp_m1::<I>() * number(SELU_SCALE * SELU_ALPHA) } else { x * number(SELU_SCALE) };
    SeluGrad(dy, y) => dy * if y < W::ZERO { y + number(SELU_SCALE * SELU_ALPHA) } else { number(SELU_SCALE) };
    Softsign(x) => x / (W::ONE + magnitude(x));
    SoftsignGrad(dy, x) => {
        let scale = W::ONE + magnitude(x);
        dy / (scale * scale)
    };
}

/// Where activations of mean 0 and variance 1 keep these (Klambauer et al., 2017).
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

#[inline(always)]
fn number<W: Wide>(x: f64) -> W {
    W::from_f64(x)
}

#[inline(always)]
fn magnitude<W: Wide>(x: W) -> W {
    if x < W::ZERO { -x } else { x }
}

/// NaN stays NaN.
#[inline(always)]
fn relu<T: Element + PartialOrd>(x: T) -> T {
    if x <= T::default() { T::default() } else { x }
}

#[inline(always)]
fn relu_grad<T: Element + PartialOrd>(dy: T, x: T) -> T {
    if x > T::default() { dy } else { T::default() }
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("this op for this dtype"))
}

#[cfg(test)]
mod tests {
    use tidemill_core::Value;

    use super::super::testing::{check_floats, eval};
    use super::*;

    const X: &[f64] = &[-2.5, -0.75, 0.5, 1.5, 2.25];
    const SIGMOID: [f64; 5] = [
        0.075_858_180_021_243_56,
        0.320_821_300_824_606_97,
        0.622_459_331_201_854_6,
        0.817_574_476_193_643_7,
        0.904_650_535_100_890_6,
    ];

    #[test]
    fn functions() {
        check_floats(Relu, &[X], &[0.0, 0.0, 0.5, 1.5, 2.25]);
        check_floats(Sigmoid, &[X], &SIGMOID);
        check_floats(
            Tanh,
            &[X],
            &[
                -0.986_614_298_151_430_2,
                -0.635_148_952_387_287_3,
                0.462_117_157_260_009_8,
                0.905_148_253_644_866_3,
                0.978_026_114_738_813_6,
            ],
        );
        check_floats(
            Softplus,
            &[X],
            &[
                0.078_889_734_292_549_63,
                0.386_871_006_114_899_9,
                0.974_076_984_180_106_7,
                1.701_413_277_982_752_4,
                2.350_206_558_916_747,
            ],
        );
    }

    #[test]
    fn piecewise() {
        check_floats(Relu6, &[&[-1.0, 3.0, 7.0, f64::NAN]], &[0.0, 3.0, 6.0, f64::NAN]);
        check_floats(Relu6Grad, &[&[2.0; 4], &[-1.0, 3.0, 7.0, 0.0]], &[0.0, 2.0, 0.0, 0.0]);
        check_floats(LeakyRelu { alpha: 0.25 }, &[&[-2.0, 3.0]], &[-0.5, 3.0]);
        check_floats(LeakyReluGrad { alpha: 0.25 }, &[&[2.0, 2.0], &[-2.0, 3.0]], &[0.5, 2.0]);
        check_floats(Elu, &[&[-2.0, 3.0]], &[-0.864_664_716_763_387_3, 3.0]);
        check_floats(EluGrad, &[&[2.0, 2.0], &[-0.5, 3.0]], &[1.0, 2.0]);
        check_floats(Selu, &[&[-2.0, 3.0]], &[-1.520_166_468_595_695_4, 3.152_102_962_066_441]);
        check_floats(SeluGrad, &[&[2.0, 2.0], &[-0.5, 3.0]], &[2.516_198_681_694_753, 2.101_401_974_710_961]);
        check_floats(Softsign, &[&[-3.0, 1.0]], &[-0.75, 0.5]);
        check_floats(SoftsignGrad, &[&[2.0, 2.0], &[-3.0, 1.0]], &[0.125, 0.5]);
    }

    #[test]
    fn gradients() {
        let dy = [0.5, -1.25, 2.0, -0.25, 3.0];
        check_floats(TanhGrad, &[X, &dy], &[-2.625, -0.546875, 1.5, 0.3125, -12.1875]);
        check_floats(SigmoidGrad, &[X, &dy], &[-4.375, 1.640625, 0.5, 0.1875, -8.4375]);
        check_floats(ReluGrad, &[&dy, X], &[0.0, 0.0, 2.0, -0.25, 3.0]);
        let softplus: [f64; 5] = std::array::from_fn(|i| dy[i] * SIGMOID[i]);
        check_floats(SoftplusGrad, &[&dy, X], &softplus);
    }

    #[test]
    fn special_numbers() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let x: &[f64] = &[-0.0, inf, -inf, nan];
        check_floats(Relu, &[x], &[0.0, inf, 0.0, nan]);
        check_floats(Tanh, &[x], &[0.0, 1.0, -1.0, nan]);
        check_floats(Sigmoid, &[x], &[0.5, 1.0, 0.0, nan]);
        check_floats(Softplus, &[x], &[std::f64::consts::LN_2, inf, 0.0, nan]);
        check_floats(ReluGrad, &[&[3.0; 4], x], &[0.0, 3.0, 0.0, 0.0]);
        check_floats(ReluGrad, &[&[inf, nan], &[-1.0, 0.0]], &[0.0, 0.0]);
    }

    #[test]
    fn integers() {
        let (dy, x) = (Value::from([1i8, 2, 3, 4]), Value::from([-128i8, 127, 0, -3]));
        assert_eq!(eval(ReluGrad, &[dy, x.clone()]), [Value::from([0i8, 2, 0, 0])]);
        assert_eq!(eval(Relu, &[x]), [Value::from([0i8, 127, 0, 0])]);
        assert_eq!(eval(Relu, &[Value::from([0u8, 255])]), [Value::from([0u8, 255])]);
    }
}
