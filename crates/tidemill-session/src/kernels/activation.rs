//! Kernels of `ops::activation`.

use tidemill_core::ops::{Relu, ReluGrad, Sigmoid, SigmoidGrad, Softplus, SoftplusGrad, Tanh, TanhGrad};
use tidemill_core::{Error, Result};
use tidemill_tensor::{Element, dispatch_numeric};

use super::elementwise::{map1, map2};
use super::real::real_functions;
use super::{Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    register_functions(table);
    table.compiled::<Relu>(
        |_, cx| dispatch_numeric!(cx.dtype(0), T => map1(cx, relu::<T>), else => unsupported()),
    );
    table.compiled::<ReluGrad>(
        |_, cx| dispatch_numeric!(cx.dtype(0), T => map2(cx, relu_grad::<T>), else => unsupported()),
    );
}

real_functions! { register_functions:
    Tanh(x) => x.tanh::<I>();
    Sigmoid(x) => x.sigmoid::<I>();
    Softplus(x) => x.softplus::<I>();
    TanhGrad(y, dy) => dy * (W::ONE - y * y);
    SigmoidGrad(y, dy) => dy * y * (W::ONE - y);
    SoftplusGrad(dy, x) => dy * x.sigmoid::<I>();
}

/// NaN stays NaN.
#[inline(always)]
fn relu<T: Element>(x: T) -> T {
    if x <= T::default() { T::default() } else { x }
}

#[inline(always)]
fn relu_grad<T: Element>(dy: T, x: T) -> T {
    if x > T::default() { dy } else { T::default() }
}

fn unsupported() -> Result<Compiled> {
    Err(Error::unimplemented("this op for this dtype"))
}
