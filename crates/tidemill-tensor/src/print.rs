//! How values print: as NumPy's arrays do, on one line, after dtype and shape.

use std::fmt;

use crate::{Element, Value, dispatch};

/// Values of more elements than this print abbreviated.
const MAX_WHOLE: usize = 1000;
/// How many items an abbreviated axis shows at each end.
const EDGE: usize = 3;
/// Values of more axes than this, which is NumPy's bound, print as a flat list; nesting is by recursion.
const MAX_NESTED: usize = 64;

/// `f32[2,3] [[1, 2, 3], [4, 5, 6]]`. Beyond 1000 elements, each axis longer than six shows its first and last
/// three items around `...`. Precision applies to each element, as in `{value:.3}`.
///
/// ```
/// use tidemill_tensor::Value;
/// assert_eq!(format!("{:.2}", Value::from([1.0_f32, 2.5])), "f32[2] [1.00, 2.50]");
/// assert_eq!(Value::from(vec![0_u8; 2000]).to_string(), "u8[2000] [0, 0, 0, ..., 0, 0, 0]");
/// ```
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} ", self.dtype(), self.shape())?;
        dispatch!(self.dtype(), T => match self.as_slice::<T>() {
            Ok(elements) => {
                let edge = if elements.len() > MAX_WHOLE { EDGE } else { usize::MAX };
                let flat = [elements.len()];
                let dims = if self.rank() > MAX_NESTED { &flat } else { self.shape().dims() };
                write_axis(f, dims, elements, edge)
            }
            Err(error) => write!(f, "<{error}>"),
        }, else => Ok(()))
    }
}

/// As [`Display`](fmt::Display).
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_axis<T: Element>(
    f: &mut fmt::Formatter<'_>,
    dims: &[usize],
    elements: &[T],
    edge: usize,
) -> fmt::Result {
    let Some((&len, inner)) = dims.split_first() else {
        return match elements {
            [element] => fmt::Display::fmt(element, f),
            _ => Ok(()),
        };
    };
    f.write_str("[")?;
    // An array without elements prints no further than its first axis, or a hostile shape would print for ever.
    if !elements.is_empty() {
        let size = elements.len() / len;
        let abbreviated = len / 2 > edge || len == edge.saturating_mul(2).saturating_add(1);
        for (index, item) in elements.chunks_exact(size).enumerate() {
            if abbreviated && (edge..len - edge).contains(&index) {
                if index == edge {
                    f.write_str(", ...")?;
                }
                continue;
            }
            f.write_str(if index == 0 { "" } else { ", " })?;
            write_axis(f, inner, item, edge)?;
        }
    }
    f.write_str("]")
}
