use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::Tensor;
use tidemill_core::ops::*;

use crate::row::{Input, Row, row, value, x};

/// `x`, `cs_prev`, `h_prev`, and the weights of two units of three inputs.
fn cell(first: Input) -> Vec<Input> {
    vec![first, x([2, 2]), x([2, 2]), x([5, 8]), x([2]), x([2]), x([2]), x([8])]
}

fn over_time(len: i64) -> Vec<Input> {
    [vec![value(len)], cell(x([3, 2, 3]))].concat()
}

/// The gradients by the op for them, of what the forward op gives.
fn back(op: fn(&[Tensor]) -> Vec<Tensor>) -> impl Fn(&[Tensor]) -> Vec<Tensor> {
    op
}

pub(super) fn rows() -> Vec<Row> {
    let cell_op = |use_peephole| LSTMBlockCell { forget_bias: 1.0, cell_clip: 0.5, use_peephole };
    let block = |use_peephole| BlockLSTM { forget_bias: 1.0, cell_clip: -1.0, use_peephole };
    let of_cell = |t: &[Tensor]| {
        let g = t[0].graph();
        let forward =
            g.op(LSTMBlockCell { forget_bias: 1.0, cell_clip: -1.0, use_peephole: true }).inputs(t).tensors();
        let inputs = [t, &forward[..6], &[forward[1], forward[6]]].concat();
        g.op(LSTMBlockCellGrad { use_peephole: true }).inputs(&inputs).tensors()
    };
    let of_block = |t: &[Tensor]| {
        let g = t[0].graph();
        let forward =
            g.op(BlockLSTM { forget_bias: 1.0, cell_clip: -1.0, use_peephole: true }).inputs(t).tensors();
        let inputs = [t, &forward[..], &[forward[1], forward[6]]].concat();
        g.op(BlockLSTMGrad { use_peephole: true }).inputs(&inputs).tensors()
    };
    let of_block_v2 = |t: &[Tensor]| {
        let g = t[0].graph();
        let forward = g.op(BlockLSTMV2 { cell_clip: -1.0, use_peephole: false }).inputs(t).tensors();
        let inputs = [t, &forward[..], &[forward[1], forward[6]]].concat();
        g.op(BlockLSTMGradV2 { use_peephole: false }).inputs(&inputs).tensors()
    };
    vec![
        row(cell_op(true), cell(x([2, 3]))).no_gradient(),
        row(cell_op(false), cell(x([2, 3]))).no_gradient(),
        row(cell_op(false), cell(x([2, 4]))).fails(InvalidArgument),
        crate::row_of::<LSTMBlockCellGrad>(back(of_cell), cell(x([2, 3]))).values_only(),
        row(block(true), over_time(3)).first_order().of([1, 6]),
        row(block(false), over_time(2)).first_order().of([1, 6]),
        row(block(false), over_time(4)).fails(InvalidArgument),
        row(BlockLSTMV2 { cell_clip: -1.0, use_peephole: true }, over_time(3)).first_order().of([1, 6]),
        crate::row_of::<BlockLSTMGrad>(back(of_block), over_time(3)).values_only(),
        crate::row_of::<BlockLSTMGradV2>(back(of_block_v2), over_time(3)).values_only(),
    ]
}
