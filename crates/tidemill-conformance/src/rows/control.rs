use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{self, Assert, Identity, IdentityN, NoOp, PreventGradient, Print, StopGradient};
use tidemill_core::{Tensor, custom_gradient};

use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let log1pexp = |t: &[Tensor]| {
        custom_gradient(t, |t| {
            let e = ops::exp(t[0]);
            (vec![ops::log(e + 1.0)], move |dy: &[Tensor]| vec![dy[0] * (1.0 - 1.0 / (e + 1.0))])
        })
    };
    let assert = || Assert { summarize: 3, message: "must hold".to_owned() };
    let print = Print { message: String::new(), first_n: 0, summarize: 3 };
    vec![
        row(NoOp, []),
        row(Identity {}, [x([2, 3])]),
        row(Identity {}, [value([true, false])]).expect([true, false]),
        row(IdentityN { gradient: None }, [x([2, 3]), value([1, 2]), x([])]),
        row_of::<IdentityN>(log1pexp, [x([2, 3])]),
        row(StopGradient, [x([2, 3])]).no_grad([0]),
        row(PreventGradient { message: "a constant".to_owned() }, [x([2, 3])]).no_gradient(),
        row(assert(), [value(true), x([2])]),
        row(assert(), [value(false), x([2])]).fails(InvalidArgument),
        row(print, [x([2, 3]), value([1, 2])]),
    ]
}
