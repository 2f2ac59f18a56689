use tidemill_core::ops::{
    self, Relu, ReluGrad, Sigmoid, SigmoidGrad, Softplus, SoftplusGrad, Tanh, TanhGrad,
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
    ]
}
