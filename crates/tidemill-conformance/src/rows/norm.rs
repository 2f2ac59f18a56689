use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::Value;
use tidemill_core::ops::{
    BatchNormWithGlobalNormalization, BatchNormWithGlobalNormalizationGrad, FusedBatchNorm,
    FusedBatchNormGrad, FusedBatchNormGradV2, FusedBatchNormGradV3, FusedBatchNormV2, FusedBatchNormV3, LRN,
    LRNGrad,
};

use crate::row::{Input, Row, row, value, x};

macro_rules! norm {
    ($op:ident, $is_training:expr, $data_format:literal) => {
        $op {
            epsilon: 0.1,
            exponential_avg_factor: 1.0,
            data_format: $data_format.into(),
            is_training: $is_training,
        }
    };
}
macro_rules! norm_grad {
    ($op:ident, $is_training:expr, $data_format:literal) => {
        $op { epsilon: 0.1, data_format: $data_format.into(), is_training: $is_training }
    };
}

pub(super) fn rows() -> Vec<Row> {
    let vector = || x([3]);
    let positive = || x([3]).range(0.5, 2.0);
    let last = || x([2, 2, 3, 3]);
    let first = || x([2, 3, 2, 2]);
    let forward = |images: Input| [images, vector(), vector(), vector(), positive()];
    // Mean and variance are the batch's own, as they are in a graph.
    let own = || {
        let numbers = [1.0, -0.5, 0.25, 2.0, 1.0, 3.0, 0.5, 0.0, -1.0, 1.5, 2.5, 0.75];
        let images = Value::from_vec([1, 2, 2, 3], numbers.to_vec()).unwrap_or_else(|e| panic!("{e}"));
        let of = |c: usize| -> [f64; 4] { std::array::from_fn(|i| numbers[3 * i + c]) };
        let mean: [f64; 3] = std::array::from_fn(|c| of(c).iter().sum::<f64>() / 4.0);
        let variance: [f64; 3] =
            std::array::from_fn(|c| of(c).iter().map(|v| (v - mean[c]) * (v - mean[c])).sum::<f64>() / 4.0);
        [x([1, 2, 2, 3]), value(images), vector(), value(mean), value(variance)]
    };
    let lrn = LRN { depth_radius: 1, bias: 1.5, alpha: 0.5, beta: 0.75 };
    let LRN { depth_radius, bias, alpha, beta } = lrn;
    vec![
        row(norm!(FusedBatchNorm, true, "NHWC"), forward(last())).of([0]),
        row(norm!(FusedBatchNorm, false, "NHWC"), forward(last())).of([0]).no_grad([3, 4]),
        row(norm!(FusedBatchNormV2, true, "NCHW"), forward(first())).of([0]),
        row(norm!(FusedBatchNormV3, true, "NDHWC"), forward(x([1, 2, 2, 3, 3]))).of([0]),
        row(norm!(FusedBatchNormV3, false, "NCHW"), forward(first())).of([0]).no_grad([3, 4]),
        row(norm!(FusedBatchNormV3, true, "NHWC"), [last(), x([2]), vector(), vector(), vector()])
            .fails(InvalidArgument),
        row(norm!(FusedBatchNormV3, true, "HWNC"), forward(last())).fails(InvalidArgument),
        row(norm_grad!(FusedBatchNormGrad, false, "NHWC"), own()).values_only(),
        row(norm_grad!(FusedBatchNormGradV2, true, "NHWC"), own()).values_only(),
        row(norm_grad!(FusedBatchNormGradV3, true, "NHWC"), own().into_iter().chain([vector()]))
            .values_only(),
        row(
            BatchNormWithGlobalNormalization { variance_epsilon: 0.1, scale_after_normalization: true },
            [last(), vector(), positive(), vector(), vector()],
        )
        .first_order(),
        row(
            BatchNormWithGlobalNormalization { variance_epsilon: 0.1, scale_after_normalization: false },
            [last(), vector(), positive(), vector(), vector()],
        )
        .first_order(),
        row(
            BatchNormWithGlobalNormalizationGrad { variance_epsilon: 0.1, scale_after_normalization: true },
            [last(), vector(), positive(), vector(), last()],
        )
        .no_gradient(),
        row(lrn, [last()]).first_order(),
        row(LRN { depth_radius: -1, ..lrn_default() }, [last()]).fails(InvalidArgument),
        row(LRNGrad { depth_radius, bias, alpha, beta }, [last(), last(), last()]).no_gradient(),
    ]
}

fn lrn_default() -> LRN {
    LRN { depth_radius: 5, bias: 1.0, alpha: 1.0, beta: 0.5 }
}
