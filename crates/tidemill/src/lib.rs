//! Tidemill: define a graph, differentiate it, run it.
//!
//! ```
//! use tidemill as tf;
//! use tf::feed;
//!
//! let g = tf::Graph::new();
//! let x = g.placeholder(tf::f32, [None, Some(2)]).named("x");
//! let w = g.get_variable_with("w", [2, 1], tf::init::zeros());
//! let loss = tf::reduce_mean(tf::square(tf::matmul(x, w) - 1.0));
//! let train_step = tf::train::GradientDescentOptimizer::new(0.1).minimize(loss);
//!
//! let sess = tf::Session::new(&g);
//! sess.run(g.global_variables_initializer(), feed! {})?;
//! let xs = [[1f32, 0.0], [0.0, 1.0]];
//! for _ in 0..50 {
//!     sess.run(train_step, feed! { x => xs })?;
//! }
//! let loss: f32 = sess.run(loss, feed! { x => xs })?.to_scalar()?;
//! assert!(loss < 0.02);
//! # Ok::<(), tf::Error>(())
//! ```
//!
//! Names are TensorFlow's: the functions of `tf` are at the top of this crate, those of `tf.nn` in [`nn`], optimizers in [`train`],
//! initialisers in [`init`]. The structs behind the ops are in [`ops`]; who writes ops of their own starts at [`Op`] and
//! [`CpuKernel`].
#![forbid(unsafe_code)]

pub use tidemill_core::ops::{
    self, Norm, Side, TensorArray, abs, acos, acosh, add, add_n, angle, argmax, argmax_with, argmin,
    argmin_with, asin, asinh, assert_that, assign, assign_add, assign_sub, atan, atan2, atanh,
    batch_to_space_nd, bincount, bitcast, boolean_mask, broadcast_dynamic_shape, broadcast_to, bucketize,
    case, cast, ceil, check_numerics, complex, complex_abs, concat, cond, conj, cos, cosh, cumprod,
    cumprod_with, cumsum, cumsum_with, cumulative_logsumexp, cumulative_logsumexp_with, depth_to_space,
    diag_part, div, dynamic_partition, dynamic_stitch, einsum, ensure_shape, equal, exp, expand_dims, expm1,
    floor, floordiv, floormod, foldl, foldr, gather, gather_axis, gather_batch, gather_nd, greater,
    greater_equal, group, histogram_fixed_width, identity, imag, index, invert_permutation, is_finite,
    is_inf, is_nan, is_variable_initialized, less, less_equal, linspace, log, log1p, logical_and,
    logical_not, logical_or, logical_xor, map_fn, matmul, matmul_with, matrix_transpose, maximum, minimum,
    mirror_pad, mul, multiply, neg, norm, not_equal, nth_element, one_hot, one_hot_with, ones_like, pad,
    pad_value, pow, print, qr, random_shuffle, rank, real, reciprocal, reduce_all, reduce_all_with,
    reduce_any, reduce_any_with, reduce_euclidean_norm, reduce_euclidean_norm_with, reduce_max,
    reduce_max_with, reduce_mean, reduce_mean_with, reduce_min, reduce_min_with, reduce_prod,
    reduce_prod_with, reduce_sum, reduce_sum_with, reshape, reverse, reverse_sequence, rint, roll, round,
    rsqrt, scan, scatter_add, scatter_nd, scatter_sub, scatter_update, searchsorted, segment_max,
    segment_mean, segment_min, segment_prod, segment_sum, select, setdiff1d, shape, shape_typed, sigmoid,
    sign, sin, sinh, size, slice, space_to_batch_nd, space_to_depth, sparse_segment_mean,
    sparse_segment_sqrt_n, sparse_segment_sum, sparse_to_dense, split, split_sizes, sqrt, square,
    squared_difference, squeeze, squeeze_axes, stack, stop_gradient, strided_slice, strided_slice_with, sub,
    subtract, tan, tanh, tensor_scatter_nd_add, tensor_scatter_nd_max, tensor_scatter_nd_min,
    tensor_scatter_nd_sub, tensor_scatter_nd_update, tensordot, tile, top_k, trace, transpose,
    transpose_perm, truediv, truncatediv, truncatemod, tuple, unique, unique_with_counts, unravel_index,
    unsorted_segment_max, unsorted_segment_min, unsorted_segment_prod, unsorted_segment_sum, unstack,
    unstack_num, where_, where_indices, while_loop, zeros_like,
};
#[doc(no_inline)]
pub use tidemill_core::{
    Attr, AttrMap, AttrValue, Attributes, Body, CollectionItem, DType, Dim, Effect, Error, ErrorKind, GradCx,
    Gradient, Gradients, Grads, Graph, IndexedSlices, InferCx, IntoGrad, NoGrad, Node, NodeId, Op, OpSet,
    Operation, Origin, Output, PartialShape, Result, Reuse, Schema, Shape, Tensor, TensorType, Value,
    Variable, VariableOptions, VariableScope, attrs, custom_gradient, gradients, grads, keys, recompute_grad,
    try_gradients,
};
pub use tidemill_nn::clip::{clip_by_global_norm, clip_by_norm, clip_by_value, global_norm};
pub use tidemill_nn::sequence::{SequenceLoss, sequence_mask};
#[doc(inline)]
pub use tidemill_nn::{init, train};
#[doc(no_inline)]
pub use tidemill_session::{
    Callable, CpuKernel, FeedDict, FeedKey, Fetch, KernelCx, MemoryReport, RunOptions, Session,
    SessionBuilder, Trace, feed,
};
pub use tidemill_session::{kernels, passes, plan, program};
pub use tidemill_tensor::{self as tensor, Complex, dtypes::*, npz};

/// Linear algebra: TensorFlow's `tf.linalg`.
pub mod linalg {
    pub use tidemill_core::ops::{Norm, einsum, matmul, matrix_transpose, norm, tensordot, trace};
    #[doc(inline)]
    pub use tidemill_core::ops::{
        cholesky, cross, diag, diag_part, eig, logm, lu, matrix_band_part, matrix_determinant, matrix_diag,
        matrix_diag_part, matrix_inverse, matrix_set_diag, matrix_solve, matrix_triangular_solve, qr,
        self_adjoint_eig, slogdet, sqrtm, svd,
    };
}

/// Fourier transforms: of TensorFlow's `tf.signal`.
pub mod signal {
    #[doc(inline)]
    pub use tidemill_core::ops::{
        fft, fft2d, fft3d, ifft, ifft2d, ifft3d, irfft, irfft2d, irfft3d, rfft, rfft2d, rfft3d,
    };
}

/// Special functions, and products and quotients in which zeros win: TensorFlow's `tf.math`, `tf.math.special` and `tf.bitwise`.
pub mod math {
    #[doc(inline)]
    pub use tidemill_core::ops::{
        approximate_equal, bessel_i0, bessel_i0e, bessel_i1, bessel_i1e, bessel_j0, bessel_j1, bessel_k0,
        bessel_k0e, bessel_k1, bessel_k1e, bessel_y0, bessel_y1, betainc, bitwise_and, bitwise_or,
        bitwise_xor, dawsn, digamma, div_no_nan, erf, erfc, erfinv, expint, fresnel_cos, fresnel_sin, igamma,
        igammac, invert, left_shift, lgamma, multiply_no_nan, ndtri, nextafter, polygamma, right_shift,
        spence, xdivy, xlog1py, xlogy, zeta,
    };
}

/// What neural networks are made of: TensorFlow's `tf.nn`.
pub mod nn {
    #[doc(inline)]
    pub use tidemill_core::ops::{
        Sliding, avg_pool, avg_pool3d, bias_add, bias_add_with, conv2d, conv3d, depthwise_conv2d, elu,
        embedding_lookup, fused_batch_norm, in_top_k, l2_loss, leaky_relu, log_softmax, log_softmax_axis,
        relu, relu6, selu, sigmoid_cross_entropy_with_logits, softmax, softmax_axis,
        softmax_cross_entropy_with_logits, softmax_cross_entropy_with_logits_v2, softplus, softsign,
        sparse_softmax_cross_entropy_with_logits,
    };
    pub use tidemill_core::ops::{depth_to_space, sigmoid, space_to_depth, tanh, top_k};
    #[doc(inline)]
    pub use tidemill_nn::dropout::{Dropout, dropout, dropout_with};
    #[doc(inline)]
    pub use tidemill_nn::normalization::{batch_normalization, moments};
    #[doc(inline)]
    pub use tidemill_nn::rnn as rnn_cell;
    #[doc(inline)]
    pub use tidemill_nn::rnn::{BidirectionalRnn, DynamicRnn, StaticRnn, dynamic_rnn, raw_rnn, static_rnn};
}

/// Images: TensorFlow's `tf.image`.
pub mod image {
    #[doc(inline)]
    pub use tidemill_core::ops::{hsv_to_rgb, resize_bilinear, resize_nearest_neighbor, rgb_to_hsv};
}

/// The code in the project's guides, compiled and run as documentation tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/loops.md")]
    struct Loops;
    #[doc = include_str!("../../../docs/static_and_dynamic.md")]
    struct StaticAndDynamic;
    #[doc = include_str!("../../../docs/performance.md")]
    struct Performance;
}
