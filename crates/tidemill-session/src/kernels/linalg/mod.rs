//! Kernels of `ops::linalg`.

mod decompose;
mod diagonal;
mod factors;
mod matrix;
mod solve;

use super::KernelTable;

pub(super) fn register(table: &mut KernelTable) {
    diagonal::register(table);
    factors::register(table);
    solve::register(table);
}
