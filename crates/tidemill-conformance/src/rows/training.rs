use tidemill_core::ErrorKind::{FailedPrecondition, InvalidArgument};
use tidemill_core::ops::{
    ApplyAdagrad, ApplyAdam, ApplyGradientDescent, ApplyMomentum, SparseApplyAdagrad, SparseApplyMomentum,
};

use crate::row::{Input, Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let use_locking = false;
    let momentum = |use_nesterov| ApplyMomentum { use_locking, use_nesterov };
    let adagrad = |update_slots| ApplyAdagrad { use_locking, update_slots };
    let adam = |use_nesterov| ApplyAdam { use_locking, use_nesterov };
    let (v, slot) = (|| x([2, 3]).variable(), || x([2, 3]).range(0.5, 2.0).variable());
    let (grad, number) = (|| x([2, 3]), |v: f64| value(v));
    let sparse = || [v(), slot(), number(0.1), x([3, 3]), value([1, 0, 1])];
    let rates = || [0.9, 0.999, 0.01, 0.9, 0.999, 1e-8].map(value);
    let adam_inputs =
        || -> Vec<Input> { [v(), slot(), slot()].into_iter().chain(rates()).chain([grad()]).collect() };
    let all = vec![
        row(ApplyGradientDescent { use_locking }, [v(), number(0.1), grad()]),
        row(
            ApplyGradientDescent { use_locking },
            [value([1.0, -2.0]).variable(), number(0.1), value([0.5, 4.0])],
        )
        .expect([0.95, -2.4])
        .leaves([0.95, -2.4]),
        row(ApplyGradientDescent { use_locking }, [v(), number(0.1), x([3])]).fails(InvalidArgument),
        row(ApplyGradientDescent { use_locking }, [x([2]).uninitialised(), number(0.1), x([2])])
            .fails(FailedPrecondition),
        row(momentum(false), [v(), slot(), number(0.1), grad(), number(0.9)]),
        row(momentum(true), [v(), slot(), number(0.1), grad(), number(0.9)]),
        row(adagrad(true), [v(), slot(), number(0.1), grad()]),
        row(adagrad(false), [v(), slot(), number(0.1), grad()]),
        row(adam(false), adam_inputs()),
        row(adam(true), adam_inputs()),
        row(
            SparseApplyMomentum { use_locking, use_nesterov: false },
            sparse().into_iter().chain([number(0.9)]),
        ),
        row(
            SparseApplyMomentum { use_locking, use_nesterov: true },
            sparse().into_iter().chain([number(0.9)]),
        ),
        row(SparseApplyAdagrad { use_locking, update_slots: true }, sparse()),
        row(SparseApplyAdagrad { use_locking, update_slots: false }, sparse()),
        row(
            SparseApplyAdagrad { use_locking, update_slots: true },
            [v(), slot(), number(0.1), x([1, 3]), value([2])],
        )
        .fails(InvalidArgument),
    ];
    all.into_iter().map(Row::no_gradient).collect()
}
