use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::Tensor;
use tidemill_core::ops::{
    self, BiasAdd, BiasAddGrad, L2Loss, LogSoftmax, Select, Softmax, SoftmaxCrossEntropyWithLogits,
    SparseSoftmaxCrossEntropyWithLogits,
};

use super::slopes;
use crate::row::{Row, row, row_of, value, x};

pub(super) fn rows() -> Vec<Row> {
    let add = |format: &str| BiasAdd { data_format: format.to_owned() };
    let sum = |format: &str| BiasAddGrad { data_format: format.to_owned() };
    let labels = || value([[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]);
    let cubed_labels = || value([[[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]], [[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]]);
    let large = || value([[1000.0, 0.0], [-1000.0, 0.0]]);
    vec![
        row(Softmax, [x([2, 3])]),
        row(Softmax, [x([2, 2, 19])]),
        row(Softmax, [x([0, 3])]),
        row(Softmax, [large()]).expect([[1.0, 0.0], [0.0, 1.0]]),
        row(Softmax, [x([])]).fails(InvalidArgument),
        row(LogSoftmax, [x([2, 3])]),
        row(LogSoftmax, [x([2, 2, 19])]),
        row(LogSoftmax, [large()]).expect([[0.0, -1000.0], [-1000.0, 0.0]]),
        row(SoftmaxCrossEntropyWithLogits, [x([2, 3]), labels()]),
        row(SoftmaxCrossEntropyWithLogits, [x([2, 3]), labels()]).of([0]),
        row(SoftmaxCrossEntropyWithLogits, [x([2, 3]), value([[0.25, 0.25, 0.5]])]),
        row(SoftmaxCrossEntropyWithLogits, [x([2, 3]), value([0.25, 0.25, 0.5])]).of([0]),
        row(SoftmaxCrossEntropyWithLogits, [x([1, 3]), labels()]),
        row(SoftmaxCrossEntropyWithLogits, [x([3]), x([3])]).fails(InvalidArgument),
        row(SoftmaxCrossEntropyWithLogits, [x([2, 3]), x([2, 4])]).fails(InvalidArgument),
        row(SparseSoftmaxCrossEntropyWithLogits, [x([2, 3]), value([2, 0])]),
        row(SparseSoftmaxCrossEntropyWithLogits, [x([2, 3]), value([1i64, 1])]).of([0]),
        row(SparseSoftmaxCrossEntropyWithLogits, [x([2, 3]), value([2, 0, 1])]).fails(InvalidArgument),
        row(add("NHWC"), [x([2, 3]), x([3])]),
        row(add("NHWC"), [x([2, 2, 2, 3]), x([3])]),
        row(add("NCHW"), [x([2, 3, 2, 2]), x([3])]).static_gradient(),
        row(add("NHWC"), [value([[1, 2], [3, 4]]), value([10, 20])]).expect([[11, 22], [13, 24]]),
        row(add("NHWC"), [x([2, 3]), x([2])]).fails(InvalidArgument),
        row(sum("NHWC"), [x([2, 4, 3])]),
        row(sum("NCHW"), [x([2, 3, 4])]).static_gradient(),
        row(sum("NHWC"), [value([[1, 2], [3, 4]])]).expect([4, 6]),
        row_of::<Softmax>(|t| vec![ops::softmax_axis(cube(t[0]), 1)], [x([2, 3, 2])]),
        row_of::<LogSoftmax>(|t| vec![ops::log_softmax_axis(cube(t[0]), -3)], [x([2, 3, 2])]),
        row_of::<SoftmaxCrossEntropyWithLogits>(
            |t| vec![ops::softmax_cross_entropy_with_logits(t[0], t[1])],
            [cubed_labels(), x([2, 2, 3])],
        )
        .no_grad([0]),
        row_of::<SoftmaxCrossEntropyWithLogits>(
            |t| vec![ops::softmax_cross_entropy_with_logits_v2(t[0], t[1])],
            [cubed_labels(), x([2, 2, 3])],
        ),
        row_of::<SparseSoftmaxCrossEntropyWithLogits>(
            |t| vec![ops::sparse_softmax_cross_entropy_with_logits(t[0], t[1])],
            [value([[2, 0], [1, 1]]), x([2, 2, 3])],
        ),
        row_of::<Select>(
            |t| vec![ops::sigmoid_cross_entropy_with_logits(t[0], t[1])],
            [x([2, 3]), x([2, 3])],
        ),
        row_of::<Select>(
            |t| vec![ops::sigmoid_cross_entropy_with_logits(t[0], t[1])],
            [value([1.0, 0.0, 1.0, 0.0]), value([1000.0, 1000.0, -1000.0, -1000.0])],
        )
        .expect([0.0, 1000.0, 1000.0, 0.0]),
        slopes::<Select>(
            |t| ops::sigmoid_cross_entropy_with_logits(ops::stop_gradient(t[1]), t[0]),
            [value([0.0, 0.0, 1000.0, -1000.0]), value([1.0, 0.0, 0.5, 1.0])],
        )
        .expect([-0.5, 0.5, 0.5, -1.0]),
        row(L2Loss, [x([2, 3])]),
        row(L2Loss, [value([3.0, 4.0])]).expect(12.5),
    ]
}

fn cube(t: Tensor) -> Tensor {
    ops::ensure_shape(t, [None, None, None])
}
