use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    self, Abs, Cast, Ceil, Cos, Exp, Expm1, Floor, Inv, InvGrad, IsFinite, IsInf, IsNan, Log, Log1p, Neg,
    Reciprocal, ReciprocalGrad, Rint, Round, Rsqrt, RsqrtGrad, Sign, Sin, Sqrt, SqrtGrad, Square,
};

use super::slopes;
use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let inf = f64::INFINITY;
    // Long enough for vector loops and their tails.
    let wide = || x([5, 13]).range(-4.0, 4.0);
    let positive = || x([5, 13]).range(0.5, 2.0);
    let steps = || value([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.0]);
    let special = || value([f64::NAN, inf, -inf, 1.0]);
    vec![
        row(Abs, [wide()]),
        row(Abs, [x([0, 3])]),
        row(Abs, [value([-3, 0, 3, i32::MIN])]).expect([3, 0, 3, i32::MIN]),
        slopes::<Abs>(|t| ops::abs(t[0]), [value([-2.0, 0.0, 3.0])]).expect([-1.0, 0.0, 1.0]),
        row(Sign, [wide()]).real_gradient(),
        row(Sign, [value([-3, 0, 3])]).expect([-1, 0, 1]),
        row(Square, [wide()]),
        row(Square, [value([-3, 4])]).expect([9, 16]),
        row(Sqrt, [positive()]),
        slopes::<Sqrt>(|t| ops::sqrt(t[0]), [value([0.0, 4.0])]).expect([inf, 0.25]),
        row(Rsqrt, [positive()]),
        row(Reciprocal, [positive()]),
        row(Reciprocal, [value([0])]).fails(InvalidArgument),
        row(Exp, [wide()]),
        row(Expm1, [wide()]),
        row(Expm1, [value(1e-10)]).expect(1.00000000005e-10),
        row(Log, [positive()]),
        row(Log1p, [positive()]),
        row(Log1p, [value(1e-10)]).expect(9.9999999995e-11),
        row(Sin, [wide()]),
        row(Cos, [wide()]),
        row(Floor, [wide()]),
        row(Floor, [steps()]).expect([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 0.0]).values_only(),
        row(Ceil, [wide()]),
        row(Ceil, [steps()]).expect([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 0.0]).values_only(),
        row(Round, [wide()]),
        row(Round, [steps()]).expect([-2.0, -2.0, 0.0, 0.0, 2.0, 2.0, 0.0]).values_only(),
        row(Rint, [wide()]),
        row(Rint, [steps()]).expect([-2.0, -2.0, 0.0, 0.0, 2.0, 2.0, 0.0]).values_only(),
        row(Neg, [wide()]),
        row(Neg, [value([1, -2])]).expect([-1, 2]),
        row(Inv, [positive()]),
        row(Cast { dst: DType::F64 }, [wide()]),
        row(Cast { dst: DType::F32 }, [wide()]),
        row(Cast { dst: DType::F16 }, [wide()]),
        row(Cast { dst: DType::I32 }, [wide()]),
        row(Cast { dst: DType::Bool }, [wide()]),
        row(Cast { dst: DType::I32 }, [value([1.9, -1.9])]).expect([1, -1]),
        row(Cast { dst: DType::Bool }, [value([0, 2])]).expect([false, true]),
        row(Cast { dst: DType::U8 }, [value([257, -1])]).expect([1u8, 255]),
        row(SqrtGrad, [positive(), x([5, 13])]),
        row(RsqrtGrad, [positive(), x([5, 13])]),
        row(ReciprocalGrad, [positive(), x([5, 13])]),
        row(InvGrad, [positive(), x([5, 13])]),
        row(SqrtGrad, [value([0.0, 2.0]), value([0.0, 1.0])]).expect([0.0, 0.25]).values_only(),
        row(RsqrtGrad, [value([inf, 2.0]), value([0.0, 1.0])]).expect([0.0, -4.0]).values_only(),
        row(ReciprocalGrad, [value([inf, 2.0]), value([0.0, 1.0])]).expect([0.0, -4.0]).values_only(),
        row(IsNan, [special()]).expect([true, false, false, false]),
        row(IsInf, [special()]).expect([false, true, true, false]),
        row(IsFinite, [special()]).expect([false, false, false, true]),
    ]
}
