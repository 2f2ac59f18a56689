use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    ApplyAdaMax, ApplyAdadelta, ApplyAdagradDA, ApplyAdagradV2, ApplyAddSign, ApplyCenteredRMSProp,
    ApplyFtrl, ApplyFtrlV2, ApplyPowerSign, ApplyProximalAdagrad, ApplyProximalGradientDescent, ApplyRMSProp,
    SparseApplyAdadelta, SparseApplyAdagradDA, SparseApplyAdagradV2, SparseApplyCenteredRMSProp,
    SparseApplyFtrl, SparseApplyFtrlV2, SparseApplyProximalAdagrad, SparseApplyProximalGradientDescent,
    SparseApplyRMSProp,
};

use crate::row::{Input, Row, row, value, x};

/// A variable with `slots` slots, and then what is given.
fn after(slots: usize, rest: impl IntoIterator<Item = Input>) -> Vec<Input> {
    let slot = || x([2, 3]).range(0.5, 1.0).variable();
    std::iter::once(x([2, 3]).variable()).chain((0..slots).map(|_| slot())).chain(rest).collect()
}

/// A variable with `slots` slots, numbers, and a dense gradient.
fn dense(slots: usize, numbers: &[f64]) -> Vec<Input> {
    after(slots, numbers.iter().map(|n| value(*n)).chain([x([2, 3])]))
}

/// A variable with `slots` slots, numbers, and rows of a gradient with their indices.
fn sparse(slots: usize, numbers: &[f64]) -> Vec<Input> {
    after(slots, numbers.iter().map(|n| value(*n)).chain(rows_of_gradient()))
}

fn rows_of_gradient() -> [Input; 2] {
    [x([3, 3]), value([1, 0, 1])]
}

/// The gradient before the numbers.
fn dense_first(slots: usize, rest: impl IntoIterator<Item = Input>) -> Vec<Input> {
    after(slots, [x([2, 3])].into_iter().chain(rest))
}

fn sparse_first(slots: usize, rest: impl IntoIterator<Item = Input>) -> Vec<Input> {
    after(slots, rows_of_gradient().into_iter().chain(rest))
}

pub(super) fn rows() -> Vec<Row> {
    let use_locking = false;
    let ftrl = || [0.1, 0.2, 0.3, -0.5].map(value);
    let ftrl_v2 = || [0.1, 0.2, 0.3, 0.1, -0.25].map(value);
    let averaging = || [0.1, 0.2, 0.3].map(value).into_iter().chain([value(3i64)]);
    let multiply_linear_by_lr = false;
    let update_slots = true;
    let all = vec![
        row(ApplyAdaMax { use_locking }, dense(2, &[0.9, 0.01, 0.9, 0.99, 1e-8])),
        row(ApplyAdadelta { use_locking }, dense(2, &[0.1, 0.9, 1e-3])),
        row(ApplyAdadelta { use_locking }, after(2, [0.1, 0.9, 1e-3].map(value).into_iter().chain([x([3])])))
            .fails(InvalidArgument),
        row(ApplyAdagradDA { use_locking }, dense_first(2, averaging())),
        row(ApplyAdagradV2 { use_locking, update_slots }, dense(1, &[0.1, 1e-3])),
        row(ApplyAddSign { use_locking }, dense(1, &[0.1, 1.0, 0.9, 0.8])),
        row(ApplyPowerSign { use_locking }, dense(1, &[0.1, 1.0, 0.9, 0.8])),
        row(ApplyCenteredRMSProp { use_locking }, dense(3, &[0.1, 0.2, 0.3, 1.0])),
        row(ApplyRMSProp { use_locking }, dense(2, &[0.1, 0.9, 0.3, 1e-3])),
        row(ApplyFtrl { use_locking, multiply_linear_by_lr }, dense_first(2, ftrl())),
        row(
            ApplyFtrl { use_locking, multiply_linear_by_lr },
            dense_first(2, [0.1, -0.2, 0.3, -0.5].map(value)),
        )
        .fails(InvalidArgument),
        row(ApplyFtrlV2 { use_locking, multiply_linear_by_lr: true }, dense_first(2, ftrl_v2())),
        row(ApplyProximalAdagrad { use_locking }, dense(1, &[0.1, 0.2, 0.3])),
        row(ApplyProximalGradientDescent { use_locking }, dense(0, &[0.1, 0.2, 0.3])),
        row(SparseApplyAdadelta { use_locking }, sparse(2, &[0.1, 0.9, 1e-3])),
        row(SparseApplyAdagradDA { use_locking }, sparse_first(2, averaging())),
        row(SparseApplyAdagradV2 { use_locking, update_slots }, sparse(1, &[0.1, 1e-3])),
        row(SparseApplyCenteredRMSProp { use_locking }, sparse(3, &[0.1, 0.2, 0.3, 1.0])),
        row(SparseApplyFtrl { use_locking, multiply_linear_by_lr }, sparse_first(2, ftrl())),
        row(SparseApplyFtrlV2 { use_locking, multiply_linear_by_lr }, sparse_first(2, ftrl_v2())),
        row(SparseApplyProximalAdagrad { use_locking }, sparse(1, &[0.1, 0.2, 0.3])),
        row(SparseApplyProximalGradientDescent { use_locking }, sparse(0, &[0.1, 0.2, 0.3])),
        row(SparseApplyRMSProp { use_locking }, sparse(2, &[0.1, 0.9, 0.3, 1e-3])),
        row(
            SparseApplyRMSProp { use_locking },
            after(2, [0.1, 0.9, 0.3, 1e-3].map(value).into_iter().chain([x([1, 3]), value([2])])),
        )
        .fails(InvalidArgument),
    ];
    all.into_iter().map(Row::no_gradient).collect()
}
