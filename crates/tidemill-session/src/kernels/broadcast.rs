//! Kernels of `ops::broadcast`.

use tidemill_core::ops::BroadcastGradientArgs;
use tidemill_core::{DType, Error, Result, Value};

use super::{Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<BroadcastGradientArgs>(|_, _| {
        Ok(Compiled::Values(Box::new(|inputs| reduced_axes(&inputs))))
    });
}

/// For each of two shapes, the axes along which it was repeated to the shape of both.
fn reduced_axes(shapes: &[Value]) -> Result<Vec<Value>> {
    let dims = |i: usize| shapes[i].cast(DType::I64).to_vec::<i64>();
    let (a, b) = (dims(0)?, dims(1)?);
    let rank = a.len().max(b.len());
    let padded = |dims: &[i64]| [vec![1; rank - dims.len()], dims.to_vec()].concat();
    let (a_full, b_full) = (padded(&a), padded(&b));
    let (mut of_a, mut of_b) = (vec![], vec![]);
    for (axis, (x, y)) in a_full.iter().zip(&b_full).enumerate() {
        if x != y && *x != 1 && *y != 1 {
            return Err(Error::invalid(format!("shapes {a:?} and {b:?} do not broadcast")));
        }
        // Of two sizes 1 either may be summed; TensorFlow sums both.
        if *x == 1 {
            of_a.push(axis as i64);
        }
        if *y == 1 {
            of_b.push(axis as i64);
        }
    }
    let typed = |axes: Vec<i64>| Value::from(axes).cast(shapes[0].dtype());
    Ok(vec![typed(of_a), typed(of_b)])
}
