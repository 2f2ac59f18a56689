//! TensorFlow's LSTM cell as one op, and the same over time: `LSTMBlockCell`, `BlockLSTM`.
//!
//! `x`, `h` and `w` give four gates of the units each: `[x, h_prev] · w + b`, cut along axis 1 in the order i, ci, f, o (of `BlockLSTMV2` and its gradient: i, f, ci, o).
//!
//! ```text
//! i  = sigmoid(i + cs_prev * wci)           f  = sigmoid(f + forget_bias + cs_prev * wcf)
//! ci = tanh(ci)                             cs = ci * i + cs_prev * f, clipped to ±cell_clip if that is positive
//! o  = sigmoid(o + cs * wco)                co = tanh(cs)                     h = co * o
//! ```
//!
//! Without `use_peephole` the terms with `wci`, `wcf` and `wco` are left out. Over time, `x` is `[time, batch, input]`, and steps from
//! `seq_len_max` on are zero.

use tidemill_tensor::PartialShape;

use super::table::op_table;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Result};
use crate::grads;
use crate::handle::Tensor;
use crate::infer::{InferCx, TensorType};
use crate::op::Op;

/// `count` outputs of the shape of the cell's state, over time if operand `x` is.
fn states(cx: &InferCx, x: usize, count: usize) -> Result<Vec<TensorType>> {
    let time = x == 1;
    cx.expect_rank(x, 2 + x)?;
    cx.expect_rank(x + 1, 2)?;
    let Some(state) = cx.shape(x + 1).merge(cx.shape(x + 2)) else {
        let (cs, h) = (cx.shape(x + 1), cx.shape(x + 2));
        return Err(Error::invalid(format!("cs_prev is {cs}, but h_prev {h}")));
    };
    let shape = match time {
        true => PartialShape::from([cx.shape(x).dim(0)]).concatenate(&state),
        false => state,
    };
    Ok(vec![TensorType::new(cx.dtype(x), shape); count])
}

/// Outputs that are like these operands.
fn like<const N: usize>(cx: &InferCx, operands: [usize; N]) -> Result<Vec<TensorType>> {
    Ok(operands.iter().map(|i| TensorType::new(cx.dtype(*i), cx.shape(*i).clone())).collect())
}

/// The gradient of a network over time, by the op for it.
fn over_time(cx: &GradCx, op: impl Op) -> Result<Grads> {
    let mut inputs: Vec<Tensor> = cx.xs();
    inputs.extend((0..7).map(|i| cx.y(i)));
    inputs.extend([cx.dy(1), cx.dy(6)]);
    let made = cx.graph().op(op).inputs(&inputs).tensors();
    let [x, cs, h, w, wci, wcf, wco, b] = made[..] else {
        return Err(Error::internal("the gradient of a BlockLSTM has eight results"));
    };
    let only_states = [0, 2, 3, 4, 5].iter().all(|i| cx.dy_as_is(*i).is_none());
    if !only_states {
        return Err(Error::unimplemented(
            "gradients flow into gates of a BlockLSTM; only those of cs and h are known",
        ));
    }
    Ok(grads![NoGrad, x, cs, h, w, wci, wcf, wco, b])
}

op_table! {
    /// One step; see the module.
    LSTMBlockCell {
        /// What is added to the forget gate.
        forget_bias: f32,
        /// Where the cell is clipped; not at all, if that is not positive.
        cell_clip: f32,
        /// Whether gates see the cell.
        use_peephole: bool,
    }
    "(x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T) -> (i: T, cs: T, f: T, o: T, ci: T, co: T, h: T) where T: Float" Pure,
    |op, cx| states(cx, 0, 7);

    /// The gradients of one step: of the cell's state before it, of the gates, and of the peepholes.
    LSTMBlockCellGrad {
        /// Whether gates see the cell.
        use_peephole: bool,
    }
    "(x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T, i: T, cs: T, f: T, o: T, ci: T, co: T, cs_grad: T, h_grad: T) -> (cs_prev_grad: T, dicfo: T, wci_grad: T, wcf_grad: T, wco_grad: T) where T: Float" Pure,
    |op, cx| {
        let mut types = like(cx, [1, 1, 4, 5, 6])?;
        let gates = cx.shape(1).dim(1).map(|units| units.saturating_mul(4));
        types[1].shape = PartialShape::from([cx.shape(1).dim(0), gates]);
        Ok(types)
    };

    /// All steps; see the module.
    BlockLSTM {
        /// What is added to the forget gate.
        forget_bias: f32,
        /// Where the cell is clipped; not at all, if that is not positive.
        cell_clip: f32,
        /// Whether gates see the cell.
        use_peephole: bool,
    }
    "(seq_len_max: i64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T) -> (i: T, cs: T, f: T, o: T, ci: T, co: T, h: T) where T: Float" Pure,
    |op, cx| states(cx, 1, 7),
    grad |op, cx| over_time(cx, BlockLSTMGrad { use_peephole: op.use_peephole });

    /// [`BlockLSTM`] with the gates in the order i, f, ci, o, and without a forget bias.
    BlockLSTMV2 {
        /// Where the cell is clipped; not at all, if that is not positive.
        cell_clip: f32,
        /// Whether gates see the cell.
        use_peephole: bool,
    }
    "(seq_len_max: i64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T) -> (i: T, cs: T, f: T, o: T, ci: T, co: T, h: T) where T: Float" Pure,
    |op, cx| states(cx, 1, 7),
    grad |op, cx| over_time(cx, BlockLSTMGradV2 { use_peephole: op.use_peephole });

    /// The gradients of [`BlockLSTM`].
    BlockLSTMGrad {
        /// Whether gates see the cell.
        use_peephole: bool,
    }
    "(seq_len_max: i64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T, i: T, cs: T, f: T, o: T, ci: T, co: T, h: T, cs_grad: T, h_grad: T) -> (x_grad: T, cs_prev_grad: T, h_prev_grad: T, w_grad: T, wci_grad: T, wcf_grad: T, wco_grad: T, b_grad: T) where T: Float" Pure,
    |op, cx| like(cx, [1, 2, 3, 4, 5, 6, 7, 8]);

    /// The gradients of [`BlockLSTMV2`].
    BlockLSTMGradV2 {
        /// Whether gates see the cell.
        use_peephole: bool,
    }
    "(seq_len_max: i64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T, i: T, cs: T, f: T, o: T, ci: T, co: T, h: T, cs_grad: T, h_grad: T) -> (x_grad: T, cs_prev_grad: T, h_prev_grad: T, w_grad: T, wci_grad: T, wcf_grad: T, wco_grad: T, b_grad: T) where T: Float" Pure,
    |op, cx| like(cx, [1, 2, 3, 4, 5, 6, 7, 8]);
}
