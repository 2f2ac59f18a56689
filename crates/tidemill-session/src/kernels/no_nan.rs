//! Kernels of `ops::no_nan`, computed in `f64`.

use tidemill_core::ops::{DivNoNan, MulNoNan, Xdivy, Xlog1py, Xlogy};

use super::KernelTable;
use super::special::function_of_two;

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<DivNoNan>(|_, cx| function_of_two(cx, |x, y| if y == 0.0 { 0.0 } else { x / y }));
    table.compiled::<MulNoNan>(|_, cx| function_of_two(cx, |x, y| if y == 0.0 { 0.0 } else { x * y }));
    table.compiled::<Xdivy>(|_, cx| function_of_two(cx, |x, y| if x == 0.0 { 0.0 } else { x / y }));
    table.compiled::<Xlogy>(|_, cx| function_of_two(cx, |x, y| if x == 0.0 { 0.0 } else { x * y.ln() }));
    table.compiled::<Xlog1py>(|_, cx| function_of_two(cx, |x, y| if x == 0.0 { 0.0 } else { x * y.ln_1p() }));
}

#[cfg(test)]
mod tests {
    use super::super::testing::check_floats;
    use super::*;

    #[test]
    fn zeros_win() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        check_floats(DivNoNan, &[&[6.0, 1.0, nan, 0.0], &[-2.0, 0.0, 0.0, nan]], &[-3.0, 0.0, 0.0, nan]);
        check_floats(MulNoNan, &[&[6.0, inf, nan, 0.0], &[-2.0, 0.0, 0.0, nan]], &[-12.0, 0.0, 0.0, nan]);
        check_floats(Xdivy, &[&[6.0, 0.0, 0.0, 1.0], &[-2.0, 0.0, nan, 0.0]], &[-3.0, 0.0, 0.0, inf]);
        let two_ln_2 = 2.0 * std::f64::consts::LN_2;
        check_floats(Xlogy, &[&[2.0, 0.0, 0.0, 1.0], &[2.0, 0.0, nan, 0.0]], &[two_ln_2, 0.0, 0.0, -inf]);
        check_floats(Xlog1py, &[&[2.0, 0.0, 0.0, 1.0], &[1.0, -1.0, nan, -1.0]], &[two_ln_2, 0.0, 0.0, -inf]);
    }
}
