use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{self, Einsum};

use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let op = |equation: &str| Einsum { equation: equation.to_owned() };
    vec![
        row(op("ij,jk->ik"), [x([2, 3]), x([3, 4])]),
        row(op("ij,jk->ik"), [value([[1, 2], [3, 4]]), value([[5], [6]])]).expect([[17], [39]]),
        row(op("bij,bkj->bki"), [x([2, 3, 4]), x([2, 5, 4])]),
        row(op("ij,ij->"), [x([2, 3]), x([2, 3])]),
        row(op("i,j->ji"), [x([2]), x([3])]),
        row(op("ab,cd->ad"), [x([2, 3]), x([4, 5])]),
        row(op("ij->ji"), [x([2, 3])]),
        row(op("ijk->j"), [x([2, 3, 4])]),
        row(op("ii->i"), [x([3, 3])]),
        row(op("ii->"), [x([3, 3])]),
        row(op("i->ii"), [x([3])]),
        row(op("iij,jkk->ik"), [x([2, 2, 3]), x([3, 4, 4])]),
        row(op("...ij,...jk->...ik"), [x([2, 1, 2, 3]), x([4, 3, 2])]).static_gradient(),
        row(op("i...,j...->ij..."), [x([2, 1, 3]), x([4, 5, 1])]).static_gradient(),
        row(op("...i->..."), [x([2, 3, 4])]),
        row(op("ij,jk->ik"), [x([2, 0]), x([0, 3])]).expect([[0.0; 3]; 2]),
        row_of::<Einsum>(|t| vec![ops::einsum("ij,jk,kl", t)], [x([2, 3]), x([3, 2]), x([2, 4])]),
        row(op("ij,jk->ik"), [x([2, 3]), x([2, 3])]).fails(InvalidArgument),
        row(op("ij"), [x([2, 3])]).fails(InvalidArgument),
    ]
}
