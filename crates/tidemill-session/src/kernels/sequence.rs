//! Kernel of `ops::sequence`.

use tidemill_core::ops::ReverseSequence;
use tidemill_core::{DType, Error, Result};
use tidemill_tensor::Element;

use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<ReverseSequence>(|op, cx| match cx.dtype(1) {
        DType::I32 => reverse_sequence::<i32>(op, cx),
        _ => reverse_sequence::<i64>(op, cx),
    });
}

fn reverse_sequence<L: Element>(op: &ReverseSequence, cx: &CompileCx) -> Result<Compiled> {
    let shape = cx.shape(0);
    let (seq, batch) = (op.seq_dim as usize, op.batch_dim as usize);
    let steps = shape[seq];
    // The tensor as `[outer, first axis, middle, second axis, inner]`, of which one axis is time and the other the batch.
    let (first, second) = (seq.min(batch), seq.max(batch));
    let product = |from: usize, to: usize| shape.iter().take(to).skip(from).product::<usize>();
    let (outer, middle) = (product(0, first), product(first + 1, second));
    let inner = product(second + 1, shape.rank()) * cx.dtype(0).size();
    let sizes = (shape[first], shape[second]);
    Compiled::step(move |args: &mut Args| {
        let (x, lengths) = (args.input_bytes(0), args.input::<L>(1));
        let y = args.output_bytes(0);
        if let Some(length) = lengths.iter().find(|l| !(0..=steps as i64).contains(&l.to_i64())) {
            return Err(Error::invalid(format!("a length is {length}, but there are {steps} steps")));
        }
        let at =
            |o: usize, a: usize, m: usize, b: usize| (((o * sizes.0 + a) * middle + m) * sizes.1 + b) * inner;
        for o in 0..outer {
            for a in 0..sizes.0 {
                for m in 0..middle {
                    for b in 0..sizes.1 {
                        let (time, row) = if seq < batch { (a, b) } else { (b, a) };
                        let length = lengths[row].to_i64() as usize;
                        let from = if time < length { length - 1 - time } else { time };
                        let from = if seq < batch { at(o, from, m, b) } else { at(o, a, m, from) };
                        let to = at(o, a, m, b);
                        y[to..to + inner].copy_from_slice(&x[from..from + inner]);
                    }
                }
            }
        }
        Ok(())
    })
}
