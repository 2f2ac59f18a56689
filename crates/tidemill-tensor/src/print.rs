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
        let abbreviated = len > edge.saturating_mul(2);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[track_caller]
    fn check(value: impl Into<Value>, want: &str) {
        assert_eq!(value.into().to_string(), want);
    }

    #[test]
    fn prints_like_numpy() {
        check(2.5_f32, "f32[] 2.5");
        check([true, false], "bool[2] [true, false]");
        check([[1.0_f32, 2.5], [f32::NAN, f32::INFINITY]], "f32[2,2] [[1, 2.5], [NaN, inf]]");
        check([half::bf16::from_f32(0.5)], "bf16[1] [0.5]");
        check(Value::zeros(DType::F32, [2, 0]).unwrap(), "f32[2,0] []");
    }

    #[test]
    fn abbreviates_beyond_a_thousand_elements() {
        let count = |n: i32| Value::from((0..n).collect::<Vec<_>>());
        assert!(!count(1000).to_string().contains("..."));
        check(count(1001), "i32[1001] [0, 1, 2, ..., 998, 999, 1000]");
        check(
            count(2002).reshape([1001, 2]).unwrap(),
            "i32[1001,2] [[0, 1], [2, 3], [4, 5], ..., [1996, 1997], [1998, 1999], [2000, 2001]]",
        );
        check(
            count(1400).reshape([200, 7]).unwrap().reshape([2, 700]).unwrap(),
            "i32[2,700] [[0, 1, 2, ..., 697, 698, 699], [700, 701, 702, ..., 1397, 1398, 1399]]",
        );
        let seven = count(1001).reshape([7, 143]).unwrap().to_string();
        assert_eq!(seven.matches("..., [").count(), 1, "{seven}");
        let six = count(1002).reshape([6, 167]).unwrap().to_string();
        assert_eq!(six.matches("..., [").count(), 0, "{six}");
    }

    #[test]
    fn any_number_of_axes_prints() {
        check(Value::from([7]).reshape(vec![1; 3]).unwrap(), "i32[1,1,1] [[[7]]]");
        let deep = Value::from([7]).reshape(vec![1; 100_000]).unwrap().to_string();
        assert!(deep.ends_with("] [7]"));
    }
}
