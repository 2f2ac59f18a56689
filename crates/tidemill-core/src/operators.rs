//! `+ - * /`, negation and comparisons on tensors, variables and numbers.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use crate::handle::Tensor;
use crate::operand::Operand;
use crate::ops;
use crate::variable::Variable;

macro_rules! operator {
    ($($trait:ident $method:ident $function:ident;)*) => {$(
        impl<R: Operand> $trait<R> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: R) -> Tensor {
                ops::$function(self, rhs)
            }
        }
        impl<R: Operand> $trait<R> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: R) -> Tensor {
                ops::$function(*self, rhs)
            }
        }
        impl<R: Operand> $trait<R> for Variable {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: R) -> Tensor {
                ops::$function(self.value(), rhs)
            }
        }
        operator!(@numbers $trait $method $function f32 f64 i32 i64);
    )*};
    (@numbers $trait:ident $method:ident $function:ident $($number:ty)*) => {$(
        impl $trait<Tensor> for $number {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: Tensor) -> Tensor {
                ops::$function(self, rhs)
            }
        }
        impl $trait<Variable> for $number {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, rhs: Variable) -> Tensor {
                ops::$function(self, rhs)
            }
        }
    )*};
}

operator! {
    Add add add;
    Sub sub sub;
    Mul mul mul;
    Div div div;
    Rem rem modulo;
}

impl Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        ops::neg(self)
    }
}

impl Neg for Variable {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        ops::neg(self)
    }
}

impl Tensor {
    /// Elementwise `self > other`.
    #[track_caller]
    pub fn gt(self, other: impl Operand) -> Tensor {
        ops::greater(self, other)
    }

    /// Elementwise `self >= other`.
    #[track_caller]
    pub fn ge(self, other: impl Operand) -> Tensor {
        ops::greater_equal(self, other)
    }

    /// Elementwise `self < other`.
    #[track_caller]
    pub fn lt(self, other: impl Operand) -> Tensor {
        ops::less(self, other)
    }

    /// Elementwise `self <= other`.
    #[track_caller]
    pub fn le(self, other: impl Operand) -> Tensor {
        ops::less_equal(self, other)
    }
}
