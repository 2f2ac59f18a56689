//! Functions beyond arithmetic, as vectorised loops need them.

macro_rules! std_functions {
    ($($module:ident $ty:ident;)*) => {$(
        pub(super) mod $module {
            use crate::kernels::simd::Isa;

            #[inline(always)]
            pub(in crate::kernels) fn exp<I: Isa>(x: $ty) -> $ty { x.exp() }
            #[inline(always)]
            pub(in crate::kernels) fn exp_m1<I: Isa>(x: $ty) -> $ty { x.exp_m1() }
            #[inline(always)]
            pub(in crate::kernels) fn ln<I: Isa>(x: $ty) -> $ty { x.ln() }
            #[inline(always)]
            pub(in crate::kernels) fn ln_1p<I: Isa>(x: $ty) -> $ty { x.ln_1p() }
            #[inline(always)]
            pub(in crate::kernels) fn tanh<I: Isa>(x: $ty) -> $ty { x.tanh() }
            #[inline(always)]
            pub(in crate::kernels) fn sin<I: Isa>(x: $ty) -> $ty { x.sin() }
            #[inline(always)]
            pub(in crate::kernels) fn cos<I: Isa>(x: $ty) -> $ty { x.cos() }
            #[inline(always)]
            pub(in crate::kernels) fn sigmoid<I: Isa>(x: $ty) -> $ty {
                // Of -|x|, so that nothing overflows.
                let e = (-x.abs()).exp();
                let above = if x < 0.0 { e } else { 1.0 };
                above / (1.0 + e)
            }
            #[inline(always)]
            pub(in crate::kernels) fn softplus<I: Isa>(x: $ty) -> $ty {
                let positive = if x > 0.0 { x } else { 0.0 };
                positive + (-x.abs()).exp().ln_1p()
            }
        }
    )*};
}
std_functions! { single f32; double f64; }
