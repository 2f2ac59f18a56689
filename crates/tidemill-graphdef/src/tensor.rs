//! Tensors and shapes, as files encode them.

use half::{bf16, f16};
use tidemill_core::{DType, Error, ErrorKind, PartialShape, Result, Shape, Value};
use tidemill_tensor::{Complex, Element};

use crate::dtype;
use crate::proto::{TensorProto, TensorShapeProto, tensor_shape_proto};

/// TensorFlow's own limit on ranks.
const MAX_RANK: usize = 254;

/// A few written elements may stand for a large tensor; this many bytes is the most that is believed of a file.
const MAX_EXPANDED: usize = 1 << 28;

/// A shape; a dimension of -1 is unknown.
pub(crate) fn shape_from_proto(proto: &TensorShapeProto) -> Result<PartialShape> {
    if proto.unknown_rank {
        return match proto.dim.is_empty() {
            true => Ok(PartialShape::unknown()),
            false => Err(Error::invalid("a shape of unknown rank has dimensions")),
        };
    }
    if proto.dim.len() > MAX_RANK {
        return Err(Error::invalid(format!("a shape has {} dimensions, over {MAX_RANK}", proto.dim.len())));
    }
    let mut elements: i64 = 1;
    proto
        .dim
        .iter()
        .map(|dim| match dim.size {
            -1 => Ok(None),
            size => {
                elements = elements.checked_mul(size.max(1)).ok_or_else(|| {
                    Error::invalid("the number of elements of a shape does not fit into 63 bits")
                })?;
                usize::try_from(size)
                    .map(Some)
                    .map_err(|_| Error::invalid(format!("{size} is not the size of a dimension")))
            }
        })
        .collect()
}

/// A shape as a file holds it.
pub(crate) fn shape_to_proto(shape: &PartialShape) -> TensorShapeProto {
    match shape.dims() {
        None => TensorShapeProto { dim: vec![], unknown_rank: true },
        Some(dims) => {
            let size = |dim: &Option<usize>| dim.map_or(-1, |size| size as i64);
            let dim = |dim| tensor_shape_proto::Dim { size: size(dim), name: String::new() };
            TensorShapeProto { dim: dims.iter().map(dim).collect(), unknown_rank: false }
        }
    }
}

/// A tensor as a file holds it: as bytes.
///
/// # Errors
/// `Unimplemented` for dtypes that files do not know.
pub(crate) fn value_to_proto(value: &Value) -> Result<TensorProto> {
    Ok(TensorProto {
        dtype: dtype::to_proto(value.dtype())?,
        tensor_shape: Some(shape_to_proto(&value.shape().into())),
        tensor_content: value.bytes().to_vec(),
        ..TensorProto::default()
    })
}

/// The tensor that a file holds: as bytes, or as a list of elements of which the last is repeated to the end.
pub(crate) fn value_from_proto(proto: &TensorProto) -> Result<Value> {
    let dtype = dtype::from_proto(proto.dtype)?;
    let shape = match &proto.tensor_shape {
        Some(shape) => shape_from_proto(shape)?,
        None => PartialShape::scalar(),
    };
    let Some(shape) = shape.as_known() else {
        return Err(Error::invalid(format!("the shape {shape} of a constant is not fully known")));
    };
    let too_large =
        |what: &str| Error::new(ErrorKind::ResourceExhausted, format!("a tensor {dtype}{shape} {what}"));
    let bytes = shape.num_bytes(dtype).ok_or_else(|| too_large("cannot be addressed"))?;
    if !proto.tensor_content.is_empty() {
        if proto.tensor_content.len() != bytes {
            return Err(Error::invalid(format!(
                "a tensor {dtype}{shape} has {bytes} bytes, but {} are given",
                proto.tensor_content.len()
            )));
        }
        return Ok(Value::from_bytes(dtype, shape, &proto.tensor_content)?);
    }
    if bytes > MAX_EXPANDED && proto.encoded_elements() < shape.num_elements() {
        return Err(too_large("is spelled by a few elements; files may hold such of up to 256 MiB"));
    }
    let p = proto;
    match dtype {
        DType::F16 => expand(&p.half_val, shape, |v| f16::from_bits(*v as u16)),
        DType::BF16 => expand(&p.half_val, shape, |v| bf16::from_bits(*v as u16)),
        DType::F32 => expand(&p.float_val, shape, |v| *v),
        DType::F64 => expand(&p.double_val, shape, |v| *v),
        DType::I8 => expand(&p.int_val, shape, |v| *v as i8),
        DType::I16 => expand(&p.int_val, shape, |v| *v as i16),
        DType::I32 => expand(&p.int_val, shape, |v| *v),
        DType::I64 => expand(&p.int64_val, shape, |v| *v),
        DType::U8 => expand(&p.int_val, shape, |v| *v as u8),
        DType::U16 => expand(&p.int_val, shape, |v| *v as u16),
        DType::U32 => expand(&p.uint32_val, shape, |v| *v),
        DType::U64 => expand(&p.uint64_val, shape, |v| *v),
        DType::C64 => expand(&pairs(&p.scomplex_val)?, shape, |[re, im]| Complex::new(*re, *im)),
        DType::C128 => expand(&pairs(&p.dcomplex_val)?, shape, |[re, im]| Complex::new(*re, *im)),
        DType::Bool => expand(&p.bool_val, shape, |v| *v),
        _ => Err(Error::unimplemented(format!("constants of dtype {dtype}"))),
    }
}

impl TensorProto {
    /// The length of the longest list of elements.
    fn encoded_elements(&self) -> usize {
        [
            self.half_val.len(),
            self.float_val.len(),
            self.double_val.len(),
            self.int_val.len(),
            self.int64_val.len(),
            self.bool_val.len(),
            self.uint32_val.len(),
            self.uint64_val.len(),
            self.scomplex_val.len() / 2,
            self.dcomplex_val.len() / 2,
        ]
        .into_iter()
        .max()
        .unwrap_or(0)
    }
}

/// Real and imaginary parts, which take turns.
fn pairs<R: Copy>(parts: &[R]) -> Result<Vec<[R; 2]>> {
    let (pairs, rest) = parts.as_chunks();
    match rest {
        [] => Ok(pairs.to_vec()),
        _ => Err(Error::invalid(format!("{} parts do not make complex numbers", parts.len()))),
    }
}

fn expand<W, T: Element>(written: &[W], shape: Shape, read: impl Fn(&W) -> T) -> Result<Value> {
    let count = shape.num_elements();
    if written.len() > count {
        return Err(Error::invalid(format!(
            "a tensor of shape {shape} has {count} elements, but {} are given",
            written.len()
        )));
    }
    let mut elements: Vec<T> = Vec::with_capacity(count);
    elements.extend(written.iter().map(read));
    let last = elements.last().copied().unwrap_or_default();
    elements.resize(count, last);
    Ok(Value::from_vec(shape, elements)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::DataType;

    fn proto(dtype: DataType, dims: &[i64]) -> TensorProto {
        let dim = dims.iter().map(|&size| tensor_shape_proto::Dim { size, name: String::new() }).collect();
        TensorProto {
            dtype: dtype as i32,
            tensor_shape: Some(TensorShapeProto { dim, unknown_rank: false }),
            ..TensorProto::default()
        }
    }

    #[test]
    fn the_last_element_is_repeated() {
        let p = TensorProto { float_val: vec![1.0, 2.0], ..proto(DataType::DtFloat, &[2, 2]) };
        assert_eq!(value_from_proto(&p).unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0, 2.0, 2.0]);
        let none = proto(DataType::DtInt64, &[3]);
        assert_eq!(value_from_proto(&none).unwrap().to_vec::<i64>().unwrap(), [0, 0, 0]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let value = Value::from_vec([2, 1], vec![1.5f64, f64::NAN]).unwrap();
        assert!(value_from_proto(&value_to_proto(&value).unwrap()).unwrap().bitwise_eq(&value));
        for shape in [PartialShape::unknown(), PartialShape::from([None, Some(3)]), PartialShape::scalar()] {
            assert_eq!(shape_from_proto(&shape_to_proto(&shape)).unwrap(), shape);
        }
    }

    #[test]
    fn every_list_is_read() {
        let half = TensorProto { half_val: vec![0x3c00], ..proto(DataType::DtHalf, &[]) };
        assert_eq!(value_from_proto(&half).unwrap().get_f64(0), Some(1.0));
        let brain = TensorProto { half_val: vec![0x3f80], ..proto(DataType::DtBfloat16, &[]) };
        assert_eq!(value_from_proto(&brain).unwrap().get_f64(0), Some(1.0));
        for (dtype, want) in
            [(DataType::DtInt8, -1.0), (DataType::DtUint8, 255.0), (DataType::DtUint16, 65535.0)]
        {
            let p = TensorProto { int_val: vec![-1], ..proto(dtype, &[1]) };
            assert_eq!(value_from_proto(&p).unwrap().get_f64(0), Some(want));
        }
        let big = TensorProto { uint64_val: vec![u64::MAX], ..proto(DataType::DtUint64, &[]) };
        assert_eq!(value_from_proto(&big).unwrap().to_scalar::<u64>().unwrap(), u64::MAX);
    }

    #[test]
    fn complex_numbers_are_read_in_parts() {
        let p = TensorProto { scomplex_val: vec![1.0, 2.0], ..proto(DataType::DtComplex64, &[2]) };
        assert_eq!(
            value_from_proto(&p).unwrap().to_vec::<Complex<f32>>().unwrap(),
            [Complex::new(1.0, 2.0); 2]
        );
        let odd = TensorProto { dcomplex_val: vec![1.0], ..proto(DataType::DtComplex128, &[1]) };
        refused(&odd, "1 parts");
    }

    #[track_caller]
    fn refused(p: &TensorProto, want: &str) {
        let error = value_from_proto(p).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused_before_memory_is_taken() {
        refused(&proto(DataType::DtFloat, &[1 << 40, 1 << 40]), "63 bits");
        refused(&proto(DataType::DtFloat, &[1 << 40]), "spelled by a few elements");
        refused(&proto(DataType::DtFloat, &[-2]), "-2 is not the size");
        refused(&proto(DataType::DtFloat, &[-1]), "not fully known");
        refused(&proto(DataType::DtString, &[1]), "dtype string");
        refused(&TensorProto { dtype: 9999, ..TensorProto::default() }, "9999");
        refused(
            &TensorProto { tensor_content: vec![0; 3], ..proto(DataType::DtFloat, &[1]) },
            "4 bytes, but 3",
        );
        refused(&TensorProto { int_val: vec![0; 3], ..proto(DataType::DtInt32, &[2]) }, "2 elements, but 3");
    }
}
