use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    FFT, FFT2D, FFT3D, IFFT, IFFT2D, IFFT3D, IRFFT, IRFFT2D, IRFFT3D, RFFT, RFFT2D, RFFT3D,
};
use tidemill_tensor::{Complex, Value};

use crate::row::{Input, Row, row, value, x};

/// Complex numbers without symmetries.
fn z(shape: &[usize]) -> Input {
    let count: usize = shape.iter().product();
    let elements = (0..count).map(|k| Complex::new((k as f64 * 1.7).sin(), (k as f64 * 0.9).cos()));
    let elements = Value::from(elements.collect::<Vec<_>>());
    value(elements.reshape(shape))
}

pub(super) fn rows() -> Vec<Row> {
    let c = |re: f64, im: f64| Complex::new(re, im);
    vec![
        row(FFT, [z(&[2, 6])]),
        row(FFT, [value([c(1.0, 0.0), c(2.0, 0.0), c(4.0, 0.0), c(0.0, 1.0)])]).expect([
            c(7.0, 1.0),
            c(-4.0, -2.0),
            c(3.0, -1.0),
            c(-2.0, 2.0),
        ]),
        row(IFFT, [z(&[5])]),
        row(FFT2D, [z(&[2, 3, 4])]),
        row(IFFT2D, [z(&[3, 2])]),
        row(FFT3D, [z(&[2, 3, 2])]),
        row(IFFT3D, [z(&[2, 2, 3, 2])]),
        row(FFT2D, [z(&[4])]).fails(InvalidArgument),
        row(RFFT, [x([2, 6]), value([6])]).static_gradient(),
        row(RFFT, [x([7]), value([5])]).static_gradient(),
        row(RFFT, [x([4]), value([5])]).fails(InvalidArgument),
        row(IRFFT, [z(&[2, 4]), value([6])]).static_gradient(),
        row(IRFFT, [z(&[4]), value([5])]).static_gradient(),
        row(RFFT2D, [x([3, 4]), value([3, 4])]).static_gradient(),
        row(IRFFT2D, [z(&[2, 3, 3]), value([3, 5])]).static_gradient(),
        row(RFFT3D, [x([2, 3, 4]), value([2, 3, 4])]).static_gradient(),
        row(IRFFT3D, [z(&[2, 2, 3]), value([2, 2, 4])]).static_gradient(),
    ]
}
