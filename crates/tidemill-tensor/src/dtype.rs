//! The element types a tensor may have.

use std::fmt;
use std::str::FromStr;

use crate::TensorError;

/// The type of a tensor's elements.
///
/// The enum is `#[non_exhaustive]`: other types may join it, so a `match` outside this
/// crate needs a wildcard arm, and so do the [`dispatch!`](crate::dispatch) macros.
///
/// Users usually write the lower-case constants of [`dtypes`], as in `tf::f32`.
///
/// ```
/// use tidemill_tensor::DType;
///
/// assert_eq!(DType::BF16.size(), 2);
/// assert_eq!(DType::F32.to_string(), "f32");
/// assert_eq!("float32".parse::<DType>().unwrap(), DType::F32);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DType {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32: 8 bits of exponent, 7 of fraction.
    BF16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// 8-bit signed integer.
    I8,
    /// 16-bit signed integer.
    I16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit unsigned integer.
    U8,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit unsigned integer.
    U64,
    /// Truth value in one byte, which is 0 or 1.
    Bool,
    /// A complex number of two binary32, the real part first.
    C64,
    /// A complex number of two binary64, the real part first.
    C128,
    /// An [`Object`](crate::Object) that is a value: a list of tensors, say.
    Variant,
    /// A handle of an [`Object`](crate::Object) that changes.
    Resource,
}

/// What is known of one dtype: a row of [`DType::facts`].
struct Facts {
    size: usize,
    name: &'static str,
    tf_name: &'static str,
    kind: Kind,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Float,
    Signed,
    Unsigned,
    Bool,
    Complex,
    Object,
}

impl DType {
    /// Every dtype whose elements are bytes, in declaration order: all but those of [objects](Self::is_object).
    ///
    /// ```
    /// use tidemill_tensor::DType;
    /// assert!(DType::ALL.iter().all(|dtype| dtype.size() <= 16));
    /// ```
    pub const ALL: &'static [DType] = &[
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::Bool,
        DType::C64,
        DType::C128,
    ];

    const fn facts(self) -> Facts {
        const fn row(size: usize, name: &'static str, tf_name: &'static str, kind: Kind) -> Facts {
            Facts { size, name, tf_name, kind }
        }
        match self {
            DType::F16 => row(2, "f16", "half", Kind::Float),
            DType::BF16 => row(2, "bf16", "bfloat16", Kind::Float),
            DType::F32 => row(4, "f32", "float32", Kind::Float),
            DType::F64 => row(8, "f64", "float64", Kind::Float),
            DType::I8 => row(1, "i8", "int8", Kind::Signed),
            DType::I16 => row(2, "i16", "int16", Kind::Signed),
            DType::I32 => row(4, "i32", "int32", Kind::Signed),
            DType::I64 => row(8, "i64", "int64", Kind::Signed),
            DType::U8 => row(1, "u8", "uint8", Kind::Unsigned),
            DType::U16 => row(2, "u16", "uint16", Kind::Unsigned),
            DType::U32 => row(4, "u32", "uint32", Kind::Unsigned),
            DType::U64 => row(8, "u64", "uint64", Kind::Unsigned),
            DType::Bool => row(1, "bool", "bool", Kind::Bool),
            DType::C64 => row(8, "c64", "complex64", Kind::Complex),
            DType::C128 => row(16, "c128", "complex128", Kind::Complex),
            DType::Variant => row(0, "variant", "variant", Kind::Object),
            DType::Resource => row(0, "resource", "resource", Kind::Object),
        }
    }

    /// Bytes per element; 0 where elements are [objects](Self::is_object).
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::DType::I64.size(), 8);
    /// ```
    pub const fn size(self) -> usize {
        self.facts().size
    }

    /// The Rust-like name, `"f32"`, `"bf16"`, `"bool"`: what [`Display`](fmt::Display) prints.
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::DType::U8.name(), "u8");
    /// ```
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// TensorFlow's name, `"float32"`, `"half"`, `"bfloat16"`, `"int32"`.
    ///
    /// ```
    /// assert_eq!(tidemill_tensor::DType::F16.tf_name(), "half");
    /// ```
    pub const fn tf_name(self) -> &'static str {
        self.facts().tf_name
    }

    /// Whether this is a floating-point dtype.
    ///
    /// ```
    /// assert!(tidemill_tensor::DType::BF16.is_float());
    /// ```
    pub const fn is_float(self) -> bool {
        matches!(self.facts().kind, Kind::Float)
    }

    /// Whether this is a signed or unsigned integer dtype. `Bool` is not an integer.
    ///
    /// ```
    /// use tidemill_tensor::DType;
    /// assert!(DType::U8.is_integer() && !DType::Bool.is_integer());
    /// ```
    pub const fn is_integer(self) -> bool {
        matches!(self.facts().kind, Kind::Signed | Kind::Unsigned)
    }

    /// Whether elements may be negative: floats and signed integers.
    ///
    /// ```
    /// use tidemill_tensor::DType;
    /// assert!(DType::F32.is_signed() && DType::I8.is_signed() && !DType::U8.is_signed());
    /// ```
    pub const fn is_signed(self) -> bool {
        matches!(self.facts().kind, Kind::Float | Kind::Signed)
    }

    /// Whether elements are real numbers: floats and integers.
    ///
    /// ```
    /// use tidemill_tensor::DType;
    /// assert!(DType::F16.is_numeric() && !DType::Bool.is_numeric() && !DType::C64.is_numeric());
    /// ```
    pub const fn is_numeric(self) -> bool {
        matches!(self.facts().kind, Kind::Float | Kind::Signed | Kind::Unsigned)
    }

    /// Whether elements are [`Object`](crate::Object)s.
    ///
    /// ```
    /// use tidemill_tensor::DType;
    /// assert!(DType::Variant.is_object() && !DType::F32.is_object());
    /// ```
    pub const fn is_object(self) -> bool {
        matches!(self.facts().kind, Kind::Object)
    }

    /// Whether elements are complex numbers.
    ///
    /// ```
    /// assert!(tidemill_tensor::DType::C128.is_complex());
    /// ```
    pub const fn is_complex(self) -> bool {
        matches!(self.facts().kind, Kind::Complex)
    }

    /// Whether gradients flow through it: floats and complex numbers.
    ///
    /// ```
    /// use tidemill_tensor::DType;
    /// assert!(DType::F16.is_inexact() && DType::C64.is_inexact() && !DType::I64.is_inexact());
    /// ```
    pub const fn is_inexact(self) -> bool {
        matches!(self.facts().kind, Kind::Float | Kind::Complex)
    }

    /// The dtype of real and imaginary parts, for a complex dtype; for any other, itself.
    ///
    /// ```
    /// use tidemill_tensor::DType;
    /// assert_eq!((DType::C64.real(), DType::I8.real()), (DType::F32, DType::I8));
    /// ```
    pub const fn real(self) -> DType {
        match self {
            DType::C64 => DType::F32,
            DType::C128 => DType::F64,
            other => other,
        }
    }

    /// The complex dtype whose parts are of this one: of `F32` and `F64` only.
    ///
    /// ```
    /// use tidemill_tensor::DType;
    /// assert_eq!((DType::F64.complex(), DType::I8.complex()), (Some(DType::C128), None));
    /// ```
    pub const fn complex(self) -> Option<DType> {
        match self {
            DType::F32 => Some(DType::C64),
            DType::F64 => Some(DType::C128),
            _ => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Accepts [`DType::name`], [`DType::tf_name`] and `"float16"`.
impl FromStr for DType {
    type Err = TensorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DType::ALL
            .iter()
            .chain(&[DType::Variant, DType::Resource])
            .copied()
            .find(|dtype| text == dtype.name() || text == dtype.tf_name())
            .or((text == "float16").then_some(DType::F16))
            .ok_or_else(|| TensorError::UnknownDType { name: text.to_owned() })
    }
}

/// Each [`DType`] under its lower-case name, so that `use tidemill_tensor::dtypes as tf` gives `tf::f32`.
///
/// The constants live in the value namespace and do not shadow the primitive types.
///
/// ```
/// use tidemill_tensor::dtypes as tf;
/// assert_eq!(tf::bf16.tf_name(), "bfloat16");
/// ```
#[allow(non_upper_case_globals)]
pub mod dtypes {
    use super::DType;

    /// [`DType::F16`].
    pub const f16: DType = DType::F16;
    /// [`DType::BF16`].
    pub const bf16: DType = DType::BF16;
    /// [`DType::F32`].
    pub const f32: DType = DType::F32;
    /// [`DType::F64`].
    pub const f64: DType = DType::F64;
    /// [`DType::I8`].
    pub const i8: DType = DType::I8;
    /// [`DType::I16`].
    pub const i16: DType = DType::I16;
    /// [`DType::I32`].
    pub const i32: DType = DType::I32;
    /// [`DType::I64`].
    pub const i64: DType = DType::I64;
    /// [`DType::U8`].
    pub const u8: DType = DType::U8;
    /// [`DType::U16`].
    pub const u16: DType = DType::U16;
    /// [`DType::U32`].
    pub const u32: DType = DType::U32;
    /// [`DType::U64`].
    pub const u64: DType = DType::U64;
    /// [`DType::Bool`].
    pub const bool: DType = DType::Bool;
    /// [`DType::C64`].
    pub const c64: DType = DType::C64;
    /// [`DType::C128`].
    pub const c128: DType = DType::C128;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_are_distinct() {
        let mut seen = std::collections::HashSet::new();
        for &dtype in DType::ALL {
            assert_eq!(dtype.name().parse::<DType>().unwrap(), dtype);
            assert_eq!(dtype.tf_name().parse::<DType>().unwrap(), dtype);
            assert!(seen.insert(dtype.name()));
            assert!(DType::ALL.is_sorted());
        }
        assert_eq!("float16".parse::<DType>().unwrap(), DType::F16);
        assert!("float".parse::<DType>().unwrap_err().to_string().contains("`float`"));
    }

    #[test]
    fn kinds_partition_the_dtypes() {
        for &dtype in DType::ALL {
            assert_eq!(dtype.is_numeric(), dtype.is_float() || dtype.is_integer(), "{dtype}");
            assert_eq!(dtype.is_numeric(), dtype != DType::Bool && !dtype.is_complex(), "{dtype}");
            assert_eq!(dtype.is_complex(), dtype.real() != dtype, "{dtype}");
            assert!(!(dtype.is_float() && dtype.is_integer()), "{dtype}");
        }
    }
}
