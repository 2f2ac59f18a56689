//! Kernels of `ops::trigonometry`: the standard library's functions, computed in `f64`.

use tidemill_core::ops::{Acos, Acosh, Asin, Asinh, Atan, Atanh, Cosh, Sinh, Tan};

use super::KernelTable;
use super::special::function;

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Tan>(|_, cx| function(cx, f64::tan));
    table.compiled::<Asin>(|_, cx| function(cx, f64::asin));
    table.compiled::<Acos>(|_, cx| function(cx, f64::acos));
    table.compiled::<Atan>(|_, cx| function(cx, f64::atan));
    table.compiled::<Sinh>(|_, cx| function(cx, f64::sinh));
    table.compiled::<Cosh>(|_, cx| function(cx, f64::cosh));
    table.compiled::<Asinh>(|_, cx| function(cx, f64::asinh));
    table.compiled::<Acosh>(|_, cx| function(cx, acosh));
    table.compiled::<Atanh>(|_, cx| function(cx, f64::atanh));
}

/// Accurate near 1 too: `log(1 + t + √(2t + t²))` for `t = x - 1`.
fn acosh(x: f64) -> f64 {
    if x > 1e150 {
        return x.ln() + std::f64::consts::LN_2;
    }
    let t = x - 1.0;
    (t + (t * (t + 2.0)).sqrt()).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::super::testing::check_floats;
    use super::*;

    #[test]
    fn functions() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        check_floats(Tan, &[&[0.5, -1.0]], &[0.546_302_489_843_790_5, -1.557_407_724_654_902_3]);
        check_floats(Asin, &[&[0.6, 2.0]], &[0.643_501_108_793_284_4, nan]);
        check_floats(Acos, &[&[0.6, 2.0]], &[0.927_295_218_001_612_3, nan]);
        check_floats(Atan, &[&[0.5, -inf]], &[0.463_647_609_000_806_1, -std::f64::consts::FRAC_PI_2]);
        check_floats(Sinh, &[&[0.5, -2.0]], &[0.521_095_305_493_747_4, -3.626_860_407_847_018_6]);
        check_floats(Cosh, &[&[0.5, -2.0]], &[1.127_625_965_206_380_7, 3.762_195_691_083_631_4]);
        check_floats(Asinh, &[&[0.5, -2.0]], &[0.481_211_825_059_603_47, -1.443_635_475_178_810_3]);
        check_floats(Acosh, &[&[1.0, 2.0, 0.5, inf]], &[0.0, 1.316_957_896_924_816_6, nan, inf]);
        check_floats(Atanh, &[&[0.5, 1.0, 2.0]], &[0.549_306_144_334_054_9, inf, nan]);
    }
}
