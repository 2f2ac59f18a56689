//! Conversion of elements between dtypes.

use crate::storage;
use crate::{DType, Element, Value, dispatch};

/// `value` cast to `dtype`, as [`Value::cast`] says.
pub(crate) fn cast(value: &Value, dtype: DType) -> Value {
    if value.dtype() == dtype {
        return value.clone();
    }
    if value.dtype().is_object() || dtype.is_object() {
        // An object is no number: zeros, or nothing, stand for it.
        return Value::zeros(dtype, value.shape()).unwrap_or_else(|_| value.clone());
    }
    dispatch!(dtype, D => Value::from_aligned(dtype, value.shape().clone(), cast_bytes::<D>(value)),
        else => value.clone())
}

fn cast_bytes<D: Element>(value: &Value) -> storage::AlignedBytes {
    let mut out =
        storage::AlignedBytes::with_capacity(storage::ALIGNMENT, value.num_elements() * size_of::<D>());
    dispatch!(value.dtype(), S => match value.as_slice::<S>() {
        Ok(elements) => append(&mut out, elements, convert::<S, D>),
        // Only bytes that are no `bool`s get here; they count as `true`, as they do in `Value::get_f64`.
        Err(_) => append(&mut out, value.bytes(), |byte| convert::<bool, D>(byte != 0)),
    }, else => ());
    out
}

/// Appends the bytes of `convert` of each element, a block at a time so that the block stays in cache.
fn append<S: Copy, D: Element>(out: &mut storage::AlignedBytes, elements: &[S], convert: impl Fn(S) -> D) {
    let mut block = [D::default(); 256];
    for chunk in elements.chunks(block.len()) {
        for (to, from) in block.iter_mut().zip(chunk) {
            *to = convert(*from);
        }
        out.extend_from_slice(bytemuck::cast_slice(&block[..chunk.len()]));
    }
}

/// One element converted, as [`Value::cast`] says.
#[inline]
pub(crate) fn convert<S: Element, D: Element>(value: S) -> D {
    if S::DTYPE.is_complex() {
        return D::from_c128(value.to_c128());
    }
    if S::DTYPE == DType::F32 {
        return D::from_f32(value.to_f64() as f32);
    }
    if S::DTYPE.is_float() {
        return D::from_f64(value.to_f64());
    }
    let integer = value.to_i64();
    if S::DTYPE == DType::U64 && integer < 0 && D::DTYPE.is_float() {
        // A u64 of 2^63 or more: halve it, with the bit that falls off kept where it can only break a tie.
        return D::from_f64(D::from_i64((integer as u64 >> 1) as i64 | (integer & 1)).to_f64() * 2.0);
    }
    D::from_i64(integer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};
    use num_complex::Complex;

    #[track_caller]
    fn check(from: impl Into<Value>, to: impl Into<Value>) {
        let (from, to) = (from.into(), to.into());
        let cast = from.cast(to.dtype());
        assert!(cast.bitwise_eq(&to), "{from} became {cast}, want {to}");
    }

    #[test]
    fn floats_to_integers() {
        check([1.9_f32, -1.9, 300.0, -300.0, f32::NAN], [1_i8, -1, 127, -128, 0]);
        check([-1.0_f64, 1e30, f64::NEG_INFINITY], [0_u64, u64::MAX, 0]);
        check([f16::INFINITY, f16::from_f32(2.5)], [i32::MAX, 2]);
    }

    #[test]
    fn integers_to_integers() {
        check([300_i32, -1], [44_u8, 255]);
        check([u64::MAX, 1], [-1_i64, 1]);
        check([-1_i8], [u64::MAX]);
    }

    #[test]
    fn integers_to_floats() {
        check([16_777_217_i64], [16_777_216_f32]);
        check([u64::MAX, 1 << 63], [18_446_744_073_709_551_616_f64, 9_223_372_036_854_775_808.0]);
        check([(1_u64 << 63) + (1 << 39) + 1], [9_223_373_136_366_403_584_f32]);
        check([(1_u64 << 63) + (1 << 39)], [9_223_372_036_854_775_808_f32]);
        check([70_000_i32], [f16::INFINITY]);
        check([257_u16, 259], [bf16::from_f32(256.0), bf16::from_f32(260.0)]);
    }

    #[test]
    fn bools() {
        check([0.0_f32, -0.0, 0.1, f32::NAN], [false, false, true, true]);
        check([true, false], [1.0_f32, 0.0]);
        check([256_i32, 0], [true, false]);
    }

    #[test]
    fn floats_to_floats() {
        check([1.0 + (-11_f32).exp2() + (-23_f32).exp2()], [f16::from_bits(0x3c01)]);
        check([1e300_f64, 0.1], [f32::INFINITY, 0.1]);
        check([1.0 + (-11_f64).exp2() + (-30_f64).exp2()], [f16::from_bits(0x3c01)]);
    }

    #[test]
    fn every_pair_agrees_on_small_numbers() {
        for &from in DType::ALL {
            for &to in DType::ALL {
                let value = Value::from(vec![1_u8; 600]).cast(from).cast(to);
                assert_eq!(value.dtype(), to);
                assert!(value.iter_f64().eq([1.0; 600]), "{from} to {to}");
            }
        }
    }

    #[test]
    fn complex_numbers_keep_their_real_part() {
        let z = Complex::new(1.5_f32, -2.0);
        check([z], [Complex::new(1.5_f64, -2.0)]);
        check([z], [1.5_f64]);
        check([z], [1_u8]);
        check([-3_i8], [Complex::new(-3.0_f32, 0.0)]);
        check([Complex::new(0.0_f64, 1.0)], [false]);
    }

    #[test]
    fn the_same_dtype_shares_the_buffer() {
        let value = Value::from([1, 2]);
        assert!(value.cast(DType::I32).ptr_eq(&value));
    }
}
