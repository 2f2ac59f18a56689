use tidemill_core::ErrorKind::{FailedPrecondition, InvalidArgument, OutOfRange};
use tidemill_core::ops::{
    Assign, AssignAdd, AssignSub, CountUpTo, IsVariableInitialized, RefIdentity, ScatterAdd, ScatterDiv,
    ScatterMax, ScatterMin, ScatterMul, ScatterSub, ScatterUpdate, VariableV2,
};
use tidemill_core::{DType, PartialShape};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let variable = VariableV2 {
        shape: PartialShape::from([2]),
        dtype: DType::F32,
        container: String::new(),
        shared_name: String::new(),
    };
    let assign = |validate_shape| Assign { validate_shape, use_locking: true };
    let use_locking = false;
    let v = || value([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).variable();
    let (rows, updates) = (|| value([2, 0, 2]), || value([[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]]));
    let all = vec![
        row(variable, []).fails(FailedPrecondition),
        row(IsVariableInitialized, [v()]).expect(true),
        row(IsVariableInitialized, [x([2]).uninitialised()]).expect(false),
        row(RefIdentity, [value([1.0, 2.0]).variable()]).expect([1.0, 2.0]).leaves([1.0, 2.0]),
        row(CountUpTo { limit: 3 }, [value(2).variable()]).expect(2).leaves(3),
        row(CountUpTo { limit: 3 }, [value(3i64).variable()]).fails(OutOfRange),
        row(assign(true), [value([1.0, 2.0]).variable(), value([3.0, 4.0])])
            .expect([3.0, 4.0])
            .leaves([3.0, 4.0]),
        row(assign(true), [x([2]).uninitialised(), value([3.0, 4.0])]).expect([3.0, 4.0]).leaves([3.0, 4.0]),
        row(assign(true), [x([2]).variable(), x([3])]).fails(InvalidArgument),
        row(AssignAdd { use_locking }, [value([1, 2]).variable(), value([3, 4])])
            .expect([4, 6])
            .leaves([4, 6]),
        row(AssignAdd { use_locking }, [x([2, 3]).variable(), x([2, 3])]),
        row(AssignAdd { use_locking }, [x([2]).uninitialised(), x([2])]).fails(FailedPrecondition),
        row(AssignSub { use_locking }, [value([1, 2]).variable(), value([3, 4])]).leaves([-2, -2]),
        row(AssignSub { use_locking }, [x([2, 3]).variable(), x([3])]).fails(InvalidArgument),
        row(ScatterUpdate { use_locking }, [v(), rows(), updates()]).leaves([
            [30.0, 40.0],
            [3.0, 4.0],
            [50.0, 60.0],
        ]),
        row(ScatterUpdate { use_locking }, [value([true, true]).variable(), value([1i64]), value([false])])
            .leaves([true, false]),
        row(ScatterUpdate { use_locking }, [v(), value([3]), x([1, 2])]).fails(InvalidArgument),
        row(ScatterAdd { use_locking }, [v(), rows(), updates()]).leaves([
            [31.0, 42.0],
            [3.0, 4.0],
            [65.0, 86.0],
        ]),
        row(ScatterSub { use_locking }, [v(), rows(), updates()]).leaves([
            [-29.0, -38.0],
            [3.0, 4.0],
            [-55.0, -74.0],
        ]),
        row(ScatterMul { use_locking }, [value([2.0, 3.0]).variable(), value([1, 1]), value([4.0, 5.0])])
            .leaves([2.0, 60.0]),
        row(ScatterMul { use_locking }, [value([2, 3, 4]).variable(), value([1, 2]), value(-1)])
            .leaves([2, -3, -4]),
        row(ScatterDiv { use_locking }, [value([2, 7]).variable(), value([1]), value([-2])]).leaves([2, -3]),
        row(ScatterMax { use_locking }, [value([2, 7]).variable(), value([1i64, 0]), value([9, 1])])
            .leaves([2, 9]),
        row(ScatterMin { use_locking }, [value([2, 7]).variable(), value([1, 0]), value([9, 1])])
            .leaves([1, 7]),
        row(ScatterSub { use_locking }, [v(), rows(), x([3])]).fails(InvalidArgument),
    ];
    all.into_iter().map(Row::no_gradient).collect()
}
