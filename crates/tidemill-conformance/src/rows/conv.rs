use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    Conv2D, Conv2DBackpropFilter, Conv2DBackpropInput, Conv3D, Conv3DBackpropFilterV2, Conv3DBackpropInputV2,
    DepthwiseConv2dNative, DepthwiseConv2dNativeBackpropFilter, DepthwiseConv2dNativeBackpropInput,
};

use crate::row::{Row, row, value, x};

/// One op with the given attributes, for whichever of the three a convolution has.
macro_rules! conv2d {
    ($op:ident, $stride:expr, $dilation:expr, $padding:expr) => {
        $op {
            strides: vec![1, $stride, $stride, 1],
            use_cudnn_on_gpu: true,
            padding: $padding.into(),
            explicit_paddings: vec![],
            data_format: "NHWC".into(),
            dilations: vec![1, $dilation, $dilation, 1],
        }
    };
}
macro_rules! depthwise {
    ($op:ident, $stride:expr, $padding:expr) => {
        $op {
            strides: vec![1, $stride, $stride, 1],
            padding: $padding.into(),
            explicit_paddings: vec![],
            data_format: "NHWC".into(),
            dilations: vec![1, 1, 1, 1],
        }
    };
}
macro_rules! conv3d {
    ($op:ident) => {
        $op {
            strides: vec![1, 1, 2, 1, 1],
            padding: "SAME".into(),
            data_format: "NDHWC".into(),
            dilations: vec![1; 5],
        }
    };
}

pub(super) fn rows() -> Vec<Row> {
    let image = || x([2, 4, 5, 4]);
    let first = Conv2D {
        strides: vec![1, 1, 2, 1],
        padding: "EXPLICIT".into(),
        explicit_paddings: vec![0, 0, 0, 0, 1, 0, 2, 1],
        data_format: "NCHW".into(),
        ..conv2d!(Conv2D, 1, 1, "VALID")
    };
    vec![
        row(conv2d!(Conv2D, 1, 1, "VALID"), [image(), x([3, 2, 4, 3])]),
        row(conv2d!(Conv2D, 2, 1, "SAME"), [image(), x([3, 2, 4, 3])]),
        row(conv2d!(Conv2D, 1, 2, "SAME"), [image(), x([2, 2, 2, 4])]),
        row(first, [x([1, 2, 3, 4]), x([2, 2, 2, 3])]),
        row(conv2d!(Conv2D, 1, 1, "VALID"), [x([0, 4, 5, 4]), x([3, 2, 4, 3])]),
        row(
            conv2d!(Conv2D, 1, 1, "VALID"),
            [value([[[[1, 2], [3, 4]]]]), value([[[[1, 0], [0, 1]], [[2, 0], [0, 2]]]])],
        )
        .expect([[[[7, 10]]]]),
        row(conv2d!(Conv2D, 1, 1, "VALID"), [image(), x([3, 2, 3, 3])]).fails(InvalidArgument),
        row(conv2d!(Conv2D, 1, 1, "VALID"), [image(), x([9, 2, 4, 3])]).fails(InvalidArgument),
        row(conv2d!(Conv2D, 0, 1, "VALID"), [image(), x([3, 2, 4, 3])]).fails(InvalidArgument),
        row(
            conv2d!(Conv2DBackpropInput, 2, 1, "SAME"),
            [value([2, 4, 5, 4]), x([3, 2, 4, 3]), x([2, 2, 3, 3])],
        ),
        row(
            conv2d!(Conv2DBackpropInput, 1, 1, "VALID"),
            [value([2, 4, 5, 4]), x([3, 2, 4, 3]), x([2, 2, 3, 3])],
        )
        .fails(InvalidArgument),
        row(conv2d!(Conv2DBackpropFilter, 2, 1, "SAME"), [image(), value([3, 2, 4, 3]), x([2, 2, 3, 3])]),
        row(depthwise!(DepthwiseConv2dNative, 2, "SAME"), [image(), x([3, 2, 4, 2])]),
        row(depthwise!(DepthwiseConv2dNative, 1, "VALID"), [image(), x([3, 2, 4, 1])]),
        row(depthwise!(DepthwiseConv2dNative, 1, "VALID"), [image(), x([3, 2, 2, 1])]).fails(InvalidArgument),
        row(
            depthwise!(DepthwiseConv2dNativeBackpropInput, 2, "SAME"),
            [value([2, 4, 5, 4]), x([3, 2, 4, 2]), x([2, 2, 3, 8])],
        ),
        row(
            depthwise!(DepthwiseConv2dNativeBackpropFilter, 2, "SAME"),
            [image(), value([3, 2, 4, 2]), x([2, 2, 3, 8])],
        ),
        row(conv3d!(Conv3D), [x([2, 2, 3, 3, 2]), x([2, 2, 2, 2, 3])]),
        row(conv3d!(Conv3DBackpropInputV2), [value([2, 2, 3, 3, 2]), x([2, 2, 2, 2, 3]), x([2, 2, 2, 3, 3])]),
        row(
            conv3d!(Conv3DBackpropFilterV2),
            [x([2, 2, 3, 3, 2]), value([2, 2, 2, 2, 3]), x([2, 2, 2, 3, 3])],
        ),
    ]
}
