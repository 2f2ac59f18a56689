//! From a runtime [`DType`](crate::DType) to a Rust type: one `match`, written once.
//!
//! Each macro takes a dtype, an expression in which a type name of the caller's choice stands for the
//! element type, and a fallback for every other dtype. [`dispatch!`](crate::dispatch) covers all dtypes; its
//! fallback exists because [`DType`](crate::DType) may grow.

/// Evaluates an expression with a type name bound to the element type of any dtype.
///
/// `dispatch!(dtype, T => body, else => fallback)` expands to a `match` with one copy of `body` per dtype, each
/// after `type T = f32;` and so on. `T` is then an [`Element`](crate::Element). `fallback` is for dtypes that
/// this crate may add later.
///
/// ```
/// use tidemill_tensor::{DType, Element, dispatch};
///
/// let size = dispatch!(DType::F16, T => size_of::<T>(), else => 0);
/// assert_eq!(size, 2);
/// let name = dispatch!(DType::Bool, T => T::DTYPE.name(), else => "?");
/// assert_eq!(name, "bool");
/// ```
#[macro_export]
macro_rules! dispatch {
    ($dtype:expr, $t:ident => $body:expr, else => $fallback:expr $(,)?) => {
        $crate::__dispatch_arms!($dtype, $t, $body, $fallback,
            [F16 => $crate::half::f16] [BF16 => $crate::half::bf16]
            [F32 => ::core::primitive::f32] [F64 => ::core::primitive::f64]
            [I8 => ::core::primitive::i8] [I16 => ::core::primitive::i16]
            [I32 => ::core::primitive::i32] [I64 => ::core::primitive::i64]
            [U8 => ::core::primitive::u8] [U16 => ::core::primitive::u16]
            [U32 => ::core::primitive::u32] [U64 => ::core::primitive::u64]
            [Bool => ::core::primitive::bool]
            [C64 => $crate::Complex<::core::primitive::f32>] [C128 => $crate::Complex<::core::primitive::f64>])
    };
}

/// The same as [`dispatch!`](crate::dispatch), under the name that stands beside
/// [`dispatch_float!`](crate::dispatch_float) and the others.
///
/// ```
/// use tidemill_tensor::{DType, dispatch_any};
/// assert_eq!(dispatch_any!(DType::Bool, T => size_of::<T>(), else => 0), 1);
/// ```
#[macro_export]
macro_rules! dispatch_any {
    ($($tokens:tt)*) => { $crate::dispatch!($($tokens)*) };
}

/// [`dispatch!`](crate::dispatch) over `f16`, `bf16`, `f32` and `f64`; anything else takes the fallback.
///
/// ```
/// use tidemill_tensor::{DType, dispatch_float};
/// assert_eq!(dispatch_float!(DType::F64, T => Some(size_of::<T>()), else => None), Some(8));
/// assert_eq!(dispatch_float!(DType::I64, T => Some(size_of::<T>()), else => None), None);
/// ```
#[macro_export]
macro_rules! dispatch_float {
    ($dtype:expr, $t:ident => $body:expr, else => $fallback:expr $(,)?) => {
        $crate::__dispatch_arms!($dtype, $t, $body, $fallback,
            [F16 => $crate::half::f16] [BF16 => $crate::half::bf16]
            [F32 => ::core::primitive::f32] [F64 => ::core::primitive::f64])
    };
}

/// [`dispatch!`](crate::dispatch) over the signed and unsigned integers; anything else takes the fallback.
///
/// ```
/// use tidemill_tensor::{DType, dispatch_int};
/// assert_eq!(dispatch_int!(DType::U8, T => Some(T::MAX as u64), else => None), Some(255));
/// assert_eq!(dispatch_int!(DType::Bool, T => Some(T::MAX as u64), else => None), None);
/// ```
#[macro_export]
macro_rules! dispatch_int {
    ($dtype:expr, $t:ident => $body:expr, else => $fallback:expr $(,)?) => {
        $crate::__dispatch_arms!($dtype, $t, $body, $fallback,
            [I8 => ::core::primitive::i8] [I16 => ::core::primitive::i16]
            [I32 => ::core::primitive::i32] [I64 => ::core::primitive::i64]
            [U8 => ::core::primitive::u8] [U16 => ::core::primitive::u16]
            [U32 => ::core::primitive::u32] [U64 => ::core::primitive::u64])
    };
}

/// [`dispatch!`](crate::dispatch) over `C64` and `C128`, with the type of their parts; anything else takes the fallback.
///
/// ```
/// use tidemill_tensor::{Complex, DType, dispatch_complex};
/// assert_eq!(dispatch_complex!(DType::C64, R => size_of::<Complex<R>>(), else => 0), 8);
/// ```
#[macro_export]
macro_rules! dispatch_complex {
    ($dtype:expr, $r:ident => $body:expr, else => $fallback:expr $(,)?) => {
        $crate::__dispatch_arms!($dtype, $r, $body, $fallback,
            [C64 => ::core::primitive::f32] [C128 => ::core::primitive::f64])
    };
}

/// [`dispatch!`](crate::dispatch) over all that is added and multiplied: floats, integers and complex numbers.
///
/// ```
/// use tidemill_tensor::{DType, dispatch_arith};
/// assert!(dispatch_arith!(DType::C64, T => size_of::<T>() == 8, else => false));
/// assert!(dispatch_arith!(DType::Bool, T => size_of::<T>() == 9, else => true));
/// ```
#[macro_export]
macro_rules! dispatch_arith {
    ($dtype:expr, $t:ident => $body:expr, else => $fallback:expr $(,)?) => {
        $crate::__dispatch_arms!($dtype, $t, $body, $fallback,
            [F16 => $crate::half::f16] [BF16 => $crate::half::bf16]
            [F32 => ::core::primitive::f32] [F64 => ::core::primitive::f64]
            [I8 => ::core::primitive::i8] [I16 => ::core::primitive::i16]
            [I32 => ::core::primitive::i32] [I64 => ::core::primitive::i64]
            [U8 => ::core::primitive::u8] [U16 => ::core::primitive::u16]
            [U32 => ::core::primitive::u32] [U64 => ::core::primitive::u64]
            [C64 => $crate::Complex<::core::primitive::f32>] [C128 => $crate::Complex<::core::primitive::f64>])
    };
}

/// [`dispatch!`](crate::dispatch) over real numbers: floats and integers.
///
/// ```
/// use tidemill_tensor::{DType, dispatch_numeric};
/// assert!(dispatch_numeric!(DType::BF16, T => size_of::<T>() == 2, else => false));
/// assert!(dispatch_numeric!(DType::Bool, T => size_of::<T>() == 9, else => true));
/// ```
#[macro_export]
macro_rules! dispatch_numeric {
    ($dtype:expr, $t:ident => $body:expr, else => $fallback:expr $(,)?) => {
        $crate::__dispatch_arms!($dtype, $t, $body, $fallback,
            [F16 => $crate::half::f16] [BF16 => $crate::half::bf16]
            [F32 => ::core::primitive::f32] [F64 => ::core::primitive::f64]
            [I8 => ::core::primitive::i8] [I16 => ::core::primitive::i16]
            [I32 => ::core::primitive::i32] [I64 => ::core::primitive::i64]
            [U8 => ::core::primitive::u8] [U16 => ::core::primitive::u16]
            [U32 => ::core::primitive::u32] [U64 => ::core::primitive::u64])
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __dispatch_arms {
    ($dtype:expr, $t:ident, $body:expr, $fallback:expr, $([$variant:ident => $ty:ty])*) => {
        match $dtype {
            $($crate::DType::$variant => {
                #[allow(dead_code, non_camel_case_types)]
                type $t = $ty;
                $body
            })*
            // Inside this crate the list can be exhaustive, and the fallback unreachable.
            #[allow(unreachable_patterns)]
            _ => $fallback,
        }
    };
}
