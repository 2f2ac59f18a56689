//! Element types, as files number them.

use tidemill_core::{DType, Error, Result};

use crate::proto::DataType;

/// References are numbered so much higher than values.
const REFERENCE: i32 = 100;

const TABLE: [(DataType, DType); 17] = [
    (DataType::DtFloat, DType::F32),
    (DataType::DtDouble, DType::F64),
    (DataType::DtInt32, DType::I32),
    (DataType::DtUint8, DType::U8),
    (DataType::DtInt16, DType::I16),
    (DataType::DtInt8, DType::I8),
    (DataType::DtInt64, DType::I64),
    (DataType::DtBool, DType::Bool),
    (DataType::DtBfloat16, DType::BF16),
    (DataType::DtUint16, DType::U16),
    (DataType::DtHalf, DType::F16),
    (DataType::DtUint32, DType::U32),
    (DataType::DtUint64, DType::U64),
    (DataType::DtComplex64, DType::C64),
    (DataType::DtComplex128, DType::C128),
    (DataType::DtVariant, DType::Variant),
    (DataType::DtResource, DType::Resource),
];

/// The dtype of this number; that of the value, for a reference.
pub(crate) fn from_proto(number: i32) -> Result<DType> {
    let value = if number > REFERENCE { number - REFERENCE } else { number };
    let Ok(known) = DataType::try_from(value) else {
        return Err(Error::invalid(format!("{number} is not the number of a dtype")));
    };
    match TABLE.iter().find(|(proto, _)| *proto == known) {
        Some((_, dtype)) => Ok(*dtype),
        None if known == DataType::DtInvalid => Err(Error::invalid("the dtype is not set")),
        None => Err(Error::unimplemented(format!("dtype {} is not supported", name(number)))),
    }
}

/// The number of a dtype.
pub(crate) fn to_proto(dtype: DType) -> Result<i32> {
    match TABLE.iter().find(|(_, known)| *known == dtype) {
        Some((proto, _)) => Ok(*proto as i32),
        None => Err(Error::unimplemented(format!("dtype {dtype} has no number in graph files"))),
    }
}

/// How messages name the dtype of this number.
pub(crate) fn name(number: i32) -> String {
    let value = if number > REFERENCE { number - REFERENCE } else { number };
    match DataType::try_from(value) {
        Ok(known) => known.as_str_name().trim_start_matches("DT_").to_lowercase(),
        Err(_) => format!("number {number}"),
    }
}
