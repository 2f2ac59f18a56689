use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    BesselI0, BesselI0e, BesselI1, BesselI1e, BesselJ0, BesselJ1, BesselK0, BesselK0e, BesselK1, BesselK1e,
    BesselY0, BesselY1, Betainc, Dawsn, Digamma, Erf, Erfc, Erfinv, Expint, FresnelCos, FresnelSin, Igamma,
    IgammaGradA, Igammac, Lgamma, Ndtri, Polygamma, RandomGammaGrad, Spence, Zeta,
};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let any = || x([2, 3]).range(0.2, 2.0);
    let positive = |shape: &[usize]| x(shape).range(0.5, 2.0);
    vec![
        row(Erf, [x([2, 3])]),
        row(Erfc, [x([2, 3])]),
        row(Erfinv, [x([2, 3]).range(-0.9, 0.9)]),
        row(Ndtri, [x([2, 3]).range(0.1, 0.9)]),
        row(Lgamma, [any()]),
        row(Digamma, [any()]),
        row(Dawsn, [x([2, 3])]),
        row(Expint, [any()]),
        row(FresnelCos, [x([2, 3])]),
        row(FresnelSin, [x([2, 3])]),
        row(Spence, [x([2, 3]).range(0.2, 0.8)]),
        row(BesselI0, [any()]),
        row(BesselI0e, [any()]),
        row(BesselI1, [any()]),
        row(BesselI1e, [any()]),
        row(BesselI1, [value([0.0])]).values_only(),
        row(BesselK0, [any()]),
        row(BesselK0e, [any()]),
        row(BesselK1, [any()]),
        row(BesselK1e, [any()]),
        row(BesselJ0, [any()]),
        row(BesselJ1, [any()]),
        row(BesselY0, [any()]),
        row(BesselY1, [any()]),
        row(Igamma, [positive(&[2, 3]), positive(&[3])]).first_order(),
        row(Igammac, [positive(&[2, 3]), positive(&[2, 1])]).first_order(),
        row(IgammaGradA, [positive(&[2, 3]), positive(&[3])]).no_gradient(),
        row(RandomGammaGrad, [positive(&[2, 3]), positive(&[3])]).no_gradient(),
        row(Zeta, [x([3]).range(1.5, 4.0), positive(&[2, 3])]).no_grad([0]),
        row(Polygamma, [value([1.0, 2.0, 3.0]), positive(&[2, 3])]).no_grad([0]),
        row(Betainc, [positive(&[2, 3]), positive(&[2, 3]), x([2, 3]).range(0.2, 0.8)]).no_grad([0, 1]),
        row(Betainc, [value(2.0), positive(&[2, 3]), value(0.5)]).no_grad([0, 1]),
        row(Betainc, [x([2]), x([3]), value(0.5)]).fails(InvalidArgument),
    ]
}
