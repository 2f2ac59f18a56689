use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{self, Angle, Complex as Join, ComplexAbs, Conj, Imag, Real};
use tidemill_tensor::Complex;

use super::slopes;
use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let c = |re: f64, im: f64| Complex::new(re, im);
    let z =
        || value([[c(0.5, -1.5), c(-0.75, 0.25), c(2.0, 1.0)], [c(-1.0, -1.0), c(0.3, 0.4), c(1.0, -0.5)]]);
    vec![
        row(Join, [x([2, 3]), x([2, 3])]),
        row(Join, [x([2, 1]), x([3])]),
        row(Join, [value([1.0, 2.0]), value(-1.0)]).expect([c(1.0, -1.0), c(2.0, -1.0)]),
        row(Join, [x([2]), x([3])]).fails(InvalidArgument),
        row(Conj, [z()]),
        row(Conj, [value([c(1.0, 2.0)])]).expect([c(1.0, -2.0)]),
        row(Real, [z()]),
        row(Real, [value([c(1.0, 2.0)])]).expect([1.0]),
        row(Imag, [z()]),
        row(Imag, [value([c(1.0, 2.0)])]).expect([2.0]),
        row(ComplexAbs, [z()]),
        row(ComplexAbs, [value([c(3.0, -4.0)])]).expect([5.0]),
        slopes::<ComplexAbs>(|t| ops::complex_abs(t[0]), [value([c(0.0, 0.0), c(3.0, -4.0)])])
            .expect([c(0.0, 0.0), c(0.6, -0.8)]),
        row(Angle, [z()]),
        row(Angle, [value([c(1.0, 0.0), c(0.0, 1.0)])]).expect([0.0, std::f64::consts::FRAC_PI_2]),
    ]
}
