use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{Assert, Identity, IdentityN, NoOp, Print, StopGradient};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let assert = || Assert { summarize: 3, message: "must hold".to_owned() };
    let print = Print { message: String::new(), first_n: 0, summarize: 3 };
    vec![
        row(NoOp, []),
        row(Identity {}, [x([2, 3])]),
        row(Identity {}, [value([true, false])]).expect([true, false]),
        row(IdentityN { gradient: None }, [x([2, 3]), value([1, 2]), x([])]),
        row(StopGradient, [x([2, 3])]).no_grad([0]),
        row(assert(), [value(true), x([2])]),
        row(assert(), [value(false), x([2])]).fails(InvalidArgument),
        row(print, [x([2, 3]), value([1, 2])]),
    ]
}
