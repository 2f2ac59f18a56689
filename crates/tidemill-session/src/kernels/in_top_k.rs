//! Kernels of `ops::in_top_k`.

use tidemill_core::ops::{InTopK, InTopKV2};
use tidemill_core::{DType, Result};
use tidemill_tensor::Element;

use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<InTopK>(|op, cx| by_dtype(cx, Some(op.k)));
    table.compiled::<InTopKV2>(|_, cx| by_dtype(cx, None));
}

fn by_dtype(cx: &CompileCx, k: Option<i64>) -> Result<Compiled> {
    match cx.dtype(1) {
        DType::I32 => in_top_k::<i32>(cx, k),
        _ => in_top_k::<i64>(cx, k),
    }
}

fn in_top_k<T: Element>(cx: &CompileCx, k: Option<i64>) -> Result<Compiled> {
    let classes = cx.shape(0)[1];
    Compiled::step(move |args: &mut Args| {
        let (predictions, targets) = (args.input::<f32>(0), args.input::<T>(1));
        let k = k.unwrap_or_else(|| args.input::<T>(2)[0].to_i64());
        for (i, (out, target)) in args.output::<bool>(0).iter_mut().zip(targets).enumerate() {
            let row = &predictions[i * classes..][..classes];
            let own =
                usize::try_from(target.to_i64()).ok().and_then(|t| row.get(t)).filter(|p| p.is_finite());
            *out = own.is_some_and(|own| {
                let larger = row.iter().filter(|p| *p > own).count() as i64;
                larger < k && row.iter().all(|p| p.is_finite())
            });
        }
        Ok(())
    })
}
