use tidemill_core::ops::{
    self, Elu, EluGrad, LeakyRelu, LeakyReluGrad, Relu, Relu6, Relu6Grad, ReluGrad, Selu, SeluGrad, Sigmoid,
    SigmoidGrad, Softplus, SoftplusGrad, Softsign, SoftsignGrad, Tanh, TanhGrad,
};

use super::slopes;
use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let large = [-1000.0, -30.0, 0.0, 30.0, 1000.0];
    let huge = || [value([-1000.0, 0.0, 1000.0])];
    vec![
        row(Tanh, [x([5, 13])]),
        row(Tanh, [value(large)]).expect([-1.0, -1.0, 0.0, 1.0, 1.0]),
        slopes::<Tanh>(|t| ops::tanh(t[0]), huge()).expect([0.0, 1.0, 0.0]),
        row(Sigmoid, [x([5, 13])]),
        row(Sigmoid, [value(large)]).expect([0.0, 9.357622968839e-14, 0.5, 0.9999999999999064, 1.0]),
        slopes::<Sigmoid>(|t| ops::sigmoid(t[0]), huge()).expect([0.0, 0.25, 0.0]),
        row(Relu, [x([5, 13])]),
        row(Relu, [value([-2i32, 0, 3])]).expect([0, 0, 3]),
        slopes::<Relu>(|t| ops::relu(t[0]), huge()).expect([0.0, 0.0, 1.0]),
        row(Softplus, [x([5, 13])]),
        row(Softplus, [value(large)]).expect([
            0.0,
            9.357622968840e-14,
            std::f64::consts::LN_2,
            30.000000000000092,
            1000.0,
        ]),
        slopes::<Softplus>(|t| ops::softplus(t[0]), huge()).expect([0.0, 0.5, 1.0]),
        row(TanhGrad, [x([5, 13]), x([5, 13])]),
        row(SigmoidGrad, [x([5, 13]), x([5, 13])]),
        row(ReluGrad, [x([5, 13]), x([5, 13])]),
        row(SoftplusGrad, [x([5, 13]), x([5, 13])]),
        row(Relu6, [x([5, 13]).range(0.5, 5.5)]),
        row(Relu6, [value([-2i32, 3, 9])]).expect([0, 3, 6]),
        slopes::<Relu6>(|t| ops::relu6(t[0]), [value([-1.0, 0.0, 3.0, 6.0, 7.0])])
            .expect([0.0, 0.0, 1.0, 0.0, 0.0]),
        row(Elu, [x([5, 13])]),
        row(Selu, [x([5, 13])]),
        slopes::<Selu>(|t| ops::selu(t[0]), huge()).expect([
            0.0,
            1.050_700_987_355_480_5,
            1.050_700_987_355_480_5,
        ]),
        row(Softsign, [x([5, 13])]),
        row(LeakyRelu { alpha: 0.2 }, [x([5, 13])]),
        slopes::<LeakyRelu>(|t| ops::leaky_relu(t[0], 0.5), huge()).expect([0.5, 0.5, 1.0]),
        row(Relu6Grad, [x([5, 13]), x([5, 13]).range(0.5, 5.5)]),
        row(EluGrad, [x([5, 13]), x([5, 13])]),
        row(SeluGrad, [x([5, 13]), x([5, 13])]),
        row(SoftsignGrad, [x([5, 13]), x([5, 13]).range(0.2, 1.5)]),
        row(LeakyReluGrad { alpha: 0.2 }, [x([5, 13]), x([5, 13])]),
    ]
}
