//! Windows that slide along the axes of a tensor: what convolutions and pooling have in common.

use tidemill_tensor::{Dim, PartialShape};

use crate::error::{Error, Result};

/// What lies around a tensor's axis when a window slides along it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisPadding {
    /// Nothing: the window stays inside.
    Valid,
    /// As much as makes `ceil(size / stride)` windows, the odd element behind.
    Same,
    /// So much before and behind.
    Explicit(usize, usize),
}

/// How a window moves along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Motion {
    /// From one window to the next.
    pub stride: usize,
    /// From one element of a window to the next.
    pub dilation: usize,
    /// What lies around.
    pub padding: AxisPadding,
}

impl Motion {
    /// How many windows of `window` elements an axis of `size` has, and how many elements of padding stand before the first.
    ///
    /// # Errors
    /// `InvalidArgument` when the window does not fit, or sizes overflow.
    pub fn place(&self, size: usize, window: usize) -> Result<(usize, usize)> {
        let overflow = || Error::invalid("the sizes of windows are too large");
        let span = match window.checked_sub(1) {
            Some(gaps) => {
                gaps.checked_mul(self.dilation).and_then(|g| g.checked_add(1)).ok_or_else(overflow)?
            }
            None => return Err(Error::invalid("a window has no elements")),
        };
        let fit = |before: usize, behind: usize| -> Result<(usize, usize)> {
            let padded = size.checked_add(before).and_then(|s| s.checked_add(behind)).ok_or_else(overflow)?;
            match (padded + self.stride).checked_sub(span) {
                Some(room) => Ok((room / self.stride, before)),
                None => Err(Error::invalid(format!(
                    "a window that spans {span} elements does not fit an axis of {padded}"
                ))),
            }
        };
        match self.padding {
            AxisPadding::Valid => fit(0, 0),
            AxisPadding::Explicit(before, behind) => fit(before, behind),
            AxisPadding::Same => {
                let count = size.div_ceil(self.stride);
                let covered =
                    count.saturating_sub(1).checked_mul(self.stride).and_then(|c| c.checked_add(span));
                let padding = covered.ok_or_else(overflow)?.saturating_sub(size);
                Ok((count, padding / 2))
            }
        }
    }

    /// The number of windows, if it can be told.
    pub(super) fn count(&self, size: Dim, window: Dim) -> Result<Dim> {
        match (size, window) {
            (Some(size), Some(window)) => self.place(size, window).map(|(count, _)| Some(count)),
            (Some(size), None) if self.padding == AxisPadding::Same => Ok(Some(size.div_ceil(self.stride))),
            _ => Ok(None),
        }
    }
}

/// The axes of a tensor of images or volumes: batch first, channels second or last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The channels' axis.
    pub channels: usize,
    /// The first of the spatial axes, which stand together.
    pub spatial: usize,
    /// How many spatial axes there are.
    pub dims: usize,
}

impl Layout {
    /// What a data format with `dims` spatial axes says.
    ///
    /// # Errors
    /// `InvalidArgument` for another text.
    pub fn parse(data_format: &str, dims: usize) -> Result<Layout> {
        let (last, first) = if dims == 3 { ("NDHWC", "NCDHW") } else { ("NHWC", "NCHW") };
        if data_format == last {
            Ok(Layout { channels: dims + 1, spatial: 1, dims })
        } else if data_format == first {
            Ok(Layout { channels: 1, spatial: 2, dims })
        } else {
            Err(Error::invalid(format!("data_format must be {last} or {first}, not {data_format:?}")))
        }
    }

    /// How many axes there are.
    pub fn rank(&self) -> usize {
        self.dims + 2
    }

    /// The shape that has these sizes.
    pub(super) fn shape(&self, batch: Dim, spatial: &[Dim], channels: Dim) -> PartialShape {
        let mut dims = vec![batch; self.rank()];
        dims[self.channels] = channels;
        dims[self.spatial..self.spatial + self.dims].copy_from_slice(spatial);
        PartialShape::from(dims)
    }
}

/// How windows move along all axes of a tensor, from TensorFlow's attributes; `dilations` may be empty.
///
/// # Errors
/// `InvalidArgument` for lists of another length than the rank, strides and dilations below 1, an unknown padding, and explicit
/// paddings that are negative or not asked for.
pub(super) fn motions(
    rank: usize,
    strides: &[i64],
    dilations: &[i64],
    padding: &str,
    explicit_paddings: &[i64],
) -> Result<Vec<Motion>> {
    let positive = |name: &str, list: &[i64]| -> Result<Vec<usize>> {
        if list.len() != rank {
            return Err(Error::invalid(format!("`{name}` must have {rank} entries, not {}", list.len())));
        }
        let sizes =
            list.iter().map(|v| usize::try_from(*v).ok().filter(|v| *v > 0 && *v <= u32::MAX as usize));
        sizes.collect::<Option<_>>().ok_or_else(|| {
            Error::invalid(format!("`{name}` must be positive numbers of 32 bits, not {list:?}"))
        })
    };
    let strides = positive("strides", strides)?;
    let dilations = if dilations.is_empty() { vec![1; rank] } else { positive("dilations", dilations)? };
    if padding != "EXPLICIT" && !explicit_paddings.is_empty() {
        return Err(Error::invalid(format!("`explicit_paddings` are given, but `padding` is {padding}")));
    }
    let paddings = match padding {
        "VALID" => vec![AxisPadding::Valid; rank],
        "SAME" => vec![AxisPadding::Same; rank],
        "EXPLICIT" => {
            let sizes = explicit_paddings
                .iter()
                .map(|v| usize::try_from(*v).ok().filter(|v| *v <= u32::MAX as usize));
            let sizes: Option<Vec<usize>> = sizes.collect();
            match sizes {
                Some(sizes) if sizes.len() == 2 * rank => {
                    sizes.chunks_exact(2).map(|pair| AxisPadding::Explicit(pair[0], pair[1])).collect()
                }
                _ => {
                    return Err(Error::invalid(format!(
                        "`explicit_paddings` must be {} numbers of at least 0, not {explicit_paddings:?}",
                        2 * rank
                    )));
                }
            }
        }
        other => {
            return Err(Error::invalid(format!("`padding` must be SAME, VALID or EXPLICIT, not {other:?}")));
        }
    };
    let motion = |((stride, dilation), padding)| Motion { stride, dilation, padding };
    Ok(strides.into_iter().zip(dilations).zip(paddings).map(motion).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_placed_as_tensorflow_places_them() {
        let motion = |stride, dilation, padding| Motion { stride, dilation, padding };
        assert_eq!(motion(1, 1, AxisPadding::Valid).place(5, 3).unwrap(), (3, 0));
        assert_eq!(motion(2, 1, AxisPadding::Valid).place(6, 3).unwrap(), (2, 0));
        assert_eq!(motion(2, 2, AxisPadding::Valid).place(5, 3).unwrap(), (1, 0));
        assert_eq!(motion(1, 1, AxisPadding::Same).place(5, 3).unwrap(), (5, 1));
        assert_eq!(motion(2, 1, AxisPadding::Same).place(6, 3).unwrap(), (3, 0));
        assert_eq!(motion(3, 1, AxisPadding::Same).place(5, 2).unwrap(), (2, 0));
        assert_eq!(motion(1, 1, AxisPadding::Explicit(2, 1)).place(3, 4).unwrap(), (3, 2));
        assert_eq!(motion(1, 1, AxisPadding::Valid).place(2, 3).unwrap(), (0, 0));
        assert!(motion(1, 1, AxisPadding::Valid).place(2, 4).is_err());
    }
}
