use tidemill_core::DType;
use tidemill_core::ErrorKind::InvalidArgument;
use tidemill_core::ops::{
    HSVToRGB, RGBToHSV, ResizeBicubic, ResizeBicubicGrad, ResizeBilinear, ResizeBilinearGrad,
    ResizeNearestNeighbor, ResizeNearestNeighborGrad,
};

use crate::row::{Row, row, value, x};

pub(super) fn rows() -> Vec<Row> {
    let (align_corners, half_pixel_centers) = (false, true);
    let images = || x([2, 3, 4, 2]);
    let single = |shape: [usize; 4]| x(shape).dtype(DType::F32);
    vec![
        row(ResizeNearestNeighbor { align_corners, half_pixel_centers }, [images(), value([2, 5])]),
        row(
            ResizeNearestNeighbor { align_corners: true, half_pixel_centers: false },
            [images(), value([5, 3])],
        ),
        row(
            ResizeNearestNeighbor { align_corners: true, half_pixel_centers: true },
            [images(), value([5, 3])],
        )
        .fails(InvalidArgument),
        row(ResizeNearestNeighborGrad { align_corners, half_pixel_centers }, [images(), value([2, 5])]),
        row(ResizeBilinear { align_corners, half_pixel_centers }, [images(), value([2, 5])]).values_only(),
        row(ResizeBilinear { align_corners, half_pixel_centers }, [images(), value([0, 5])])
            .fails(InvalidArgument),
        row(ResizeBilinear { align_corners, half_pixel_centers }, [images(), value([1, 2, 3])])
            .fails(InvalidArgument),
        row(
            ResizeBilinear { align_corners, half_pixel_centers: false },
            [value([[[[1u8], [3]]]]), value([1, 4])],
        )
        .expect([[[[1f32], [2.0], [3.0], [3.0]]]]),
        row(ResizeBilinearGrad { align_corners, half_pixel_centers }, [single([2, 2, 5, 2]), images()])
            .values_only(),
        row(ResizeBicubic { align_corners, half_pixel_centers }, [images(), value([2, 5])]).values_only(),
        row(ResizeBicubicGrad { align_corners, half_pixel_centers }, [single([2, 2, 5, 2]), images()])
            .values_only(),
        row(RGBToHSV, [x([5, 3]).range(0.0, 1.0)]).no_gradient(),
        row(HSVToRGB, [x([2, 5, 3]).range(0.0, 1.0)]).no_gradient(),
        row(HSVToRGB, [x([2, 5, 4])]).fails(InvalidArgument),
    ]
}
