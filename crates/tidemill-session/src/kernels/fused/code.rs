//! Small programs over elements: what a fused step computes of each element of its operands.

use std::fmt;

use smallvec::SmallVec;
use tidemill_core::ops::{
    Add, AddV2, BiasAdd, Div, Exp, Expm1, Identity, Inv, InvGrad, Log, Log1p, Maximum, Minimum, Mul, Neg,
    RealDiv, Reciprocal, ReciprocalGrad, Relu, ReluGrad, Rsqrt, RsqrtGrad, Sigmoid, SigmoidGrad, Softplus,
    SoftplusGrad, Sqrt, SqrtGrad, Square, SquaredDifference, StopGradient, Sub, Tanh, TanhGrad,
};
use tidemill_core::{AnyOp, Attr, AttrValue};

use super::super::real::Wide;
use super::super::simd::Isa;

/// Elements that a function computes at a time.
pub(super) const LANES: usize = 16;

/// An operand of an instruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Arg {
    /// An operand of the step.
    Input(u32),
    /// The result of an earlier instruction.
    Temp(u32),
}

/// One instruction: a function and its operands, the second the first again where it takes but one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Instr {
    pub(crate) function: Function,
    pub(crate) args: [Arg; 2],
}

/// Instructions in order, and which of their results are the step's.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Code {
    pub(crate) instrs: Vec<Instr>,
    pub(crate) outputs: SmallVec<[u32; 2]>,
}

/// A row: names the function, the ops that are it for floats, its operands (one, or two), and its value, by numbers of a type
/// `W: Wide` and an instruction set `I: Isa`. The kernels of these ops compute the same; a test compares them.
macro_rules! functions {
    ($($function:ident: $($op:ident)|+, ($($x:ident),+) => $value:expr;)*) => {
        /// A function of one element, or of two.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub(crate) enum Function {
            $(#[allow(missing_docs)] $function,)*
        }

        impl Function {
            #[cfg(test)]
            pub(super) const ALL: &[Function] = &[$(Function::$function),*];

            /// The function that an op computes of the elements of its operands.
            pub(crate) fn of(op: &dyn AnyOp) -> Option<Function> {
                $(if $(op.is::<$op>())||+ {
                    return Some(Function::$function);
                })*
                None
            }

            /// How many operands it takes.
            pub(crate) fn arity(self) -> usize {
                match self {
                    $(Function::$function => [$(stringify!($x)),+].len(),)*
                }
            }

            fn name(self) -> &'static str {
                match self {
                    $(Function::$function => stringify!($function),)*
                }
            }

            /// Computes `blocks` times [`LANES`] elements.
            ///
            /// # Safety
            /// The operands are valid to read, the result to write, for so many; they are equal or do not overlap.
            #[inline(always)]
            pub(super) unsafe fn apply<I: Isa, W: Wide>(self, args: [*const W; 2], to: *mut W, blocks: usize) {
                match self {
                    $(Function::$function => functions!(@loop args to blocks ($($x)+) $value),)*
                }
            }
        }
    };
    (@loop $args:ident $to:ident $blocks:ident ($x:ident) $value:expr) => {
        for block in 0..$blocks {
            // SAFETY: as promised by the caller.
            unsafe {
                let a = $args[0].add(block * LANES).cast::<[W; LANES]>().read_unaligned();
                let mut out = [W::ZERO; LANES];
                for lane in 0..LANES {
                    let $x = a[lane];
                    out[lane] = $value;
                }
                $to.add(block * LANES).cast::<[W; LANES]>().write_unaligned(out);
            }
        }
    };
    (@loop $args:ident $to:ident $blocks:ident ($x:ident $y:ident) $value:expr) => {
        for block in 0..$blocks {
            // SAFETY: as promised by the caller.
            unsafe {
                let a = $args[0].add(block * LANES).cast::<[W; LANES]>().read_unaligned();
                let b = $args[1].add(block * LANES).cast::<[W; LANES]>().read_unaligned();
                let mut out = [W::ZERO; LANES];
                for lane in 0..LANES {
                    let ($x, $y) = (a[lane], b[lane]);
                    out[lane] = $value;
                }
                $to.add(block * LANES).cast::<[W; LANES]>().write_unaligned(out);
            }
        }
    };
}

functions! {
    Add: AddV2 | Add | BiasAdd, (x, y) => x + y;
    Sub: Sub, (x, y) => x - y;
    Mul: Mul, (x, y) => x * y;
    Div: RealDiv | Div, (x, y) => x / y;
    Maximum: Maximum, (x, y) => if x > y || is_nan(x) { x } else { y };
    Minimum: Minimum, (x, y) => if x < y || is_nan(x) { x } else { y };
    SquaredDifference: SquaredDifference, (x, y) => (x - y) * (x - y);
    Copy: Identity | StopGradient, (x) => x;
    Neg: Neg, (x) => -x;
    Square: Square, (x) => x * x;
    Reciprocal: Reciprocal | Inv, (x) => W::ONE / x;
    Sqrt: Sqrt, (x) => x.sqrt();
    Rsqrt: Rsqrt, (x) => W::ONE / x.sqrt();
    Exp: Exp, (x) => x.exp::<I>();
    Expm1: Expm1, (x) => x.exp_m1::<I>();
    Log: Log, (x) => x.ln::<I>();
    Log1p: Log1p, (x) => x.ln_1p::<I>();
    Tanh: Tanh, (x) => x.tanh::<I>();
    Sigmoid: Sigmoid, (x) => x.sigmoid::<I>();
    Softplus: Softplus, (x) => x.softplus::<I>();
    Relu: Relu, (x) => if x <= W::ZERO { W::ZERO } else { x };
    TanhGrad: TanhGrad, (y, dy) => dy * (W::ONE - y * y);
    SigmoidGrad: SigmoidGrad, (y, dy) => dy * y * (W::ONE - y);
    SoftplusGrad: SoftplusGrad, (dy, x) => dy * x.sigmoid::<I>();
    ReluGrad: ReluGrad, (dy, x) => if x > W::ZERO { dy } else { W::ZERO };
    SqrtGrad: SqrtGrad, (y, dy) => if dy == W::ZERO { W::ZERO } else { W::HALF * dy / y };
    RsqrtGrad: RsqrtGrad, (y, dy) => if dy == W::ZERO { W::ZERO } else { y * (-W::HALF * dy) * (y * y) };
    ReciprocalGrad: ReciprocalGrad | InvGrad, (y, dy) => if dy == W::ZERO { W::ZERO } else { -(y * y * dy) };
}

#[inline(always)]
#[allow(clippy::eq_op)]
fn is_nan<W: Wide>(x: W) -> bool {
    x != x
}

impl Code {
    /// Adds an instruction; its result.
    pub(crate) fn push(&mut self, function: Function, args: &[Arg]) -> Arg {
        let args = [args[0], args.get(1).copied().unwrap_or(args[0])];
        self.instrs.push(Instr { function, args });
        Arg::Temp(self.instrs.len() as u32 - 1)
    }
}

/// `t0 = Add x0 x1; t1 = Tanh t0 -> t1`
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, instr) in self.instrs.iter().enumerate() {
            let semicolon = if i == 0 { "" } else { "; " };
            write!(f, "{semicolon}t{i} = {}", instr.function.name())?;
            for arg in &instr.args[..instr.function.arity()] {
                match arg {
                    Arg::Input(x) => write!(f, " x{x}")?,
                    Arg::Temp(t) => write!(f, " t{t}")?,
                }
            }
        }
        write!(f, " ->")?;
        self.outputs.iter().try_for_each(|t| write!(f, " t{t}"))
    }
}

/// To be shown; there are no files with fused steps to read it from.
impl Attr for Code {
    const KIND: &'static str = "code";
    fn to_attr(&self) -> Option<AttrValue> {
        Some(AttrValue::Str(self.to_string()))
    }
    fn from_attr(_: Option<&AttrValue>) -> Option<Self> {
        None
    }
}
