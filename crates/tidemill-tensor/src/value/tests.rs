use super::*;
use half::{bf16, f16};
use ndarray::{Axis, Slice};

fn is_aligned(value: &Value) -> bool {
    value.bytes().as_ptr().align_offset(storage::ALIGNMENT) == 0
}

#[test]
fn what_is_allocated_here_is_aligned() {
    for &dtype in DType::ALL {
        for dims in [vec![], vec![0], vec![3], vec![7, 1000]] {
            let zeros = Value::zeros(dtype, dims).unwrap();
            assert!(is_aligned(&zeros), "{dtype}{}", zeros.shape());
            assert!(zeros.iter_f64().all(|element| element == 0.0));
            assert_eq!(zeros.num_bytes(), zeros.num_elements() * dtype.size());
            let copy = Value::from_bytes(dtype, zeros.shape(), zeros.bytes()).unwrap();
            assert!(is_aligned(&copy) && copy == zeros);
        }
    }
    assert!(is_aligned(&Value::from_slice([2], &[1.0_f32, 2.0]).unwrap()));
    assert!(is_aligned(&Value::from([1, 2]).cast(DType::F64)));
}

#[test]
fn what_cannot_be_allocated_is_an_error() {
    for dims in [[usize::MAX, 1], [usize::MAX, 2], [1 << 62, 1], [isize::MAX as usize, 1]] {
        let error = Value::zeros(DType::U8, dims).unwrap_err();
        assert!(matches!(error, TensorError::TooLarge { .. }), "{error}");
    }
    assert!(Value::from_bytes(DType::F32, [usize::MAX, 2], &[]).is_err());
    assert!(Value::from_vec([usize::MAX, 2], vec![1_u8]).is_err());
}

#[test]
fn sizes_that_no_view_can_count_are_an_error() {
    let value = Value::zeros(DType::F32, [0, usize::MAX]).unwrap();
    assert!(matches!(value.view::<f32>(), Err(TensorError::TooLarge { .. })));
    assert!(matches!(value.clone().into_array::<f32>(), Err(TensorError::TooLarge { .. })));
    assert_eq!(value.to_string(), "f32[0,18446744073709551615] []");
}

#[test]
fn full_converts() {
    assert_eq!(Value::full(DType::I32, [2], 1.9).unwrap(), Value::from([1, 1]));
    assert_eq!(Value::full(DType::Bool, (), 2).unwrap(), Value::from(true));
    let large = Value::full(DType::I64, (), i64::MAX).unwrap();
    assert_eq!(large.to_scalar::<i64>().unwrap(), i64::MAX);
}

#[test]
fn the_dtype_is_checked() {
    let mut value = Value::from([1.0_f32]);
    let message = "want dtype i32, got f32";
    assert_eq!(value.as_slice::<i32>().unwrap_err().to_string(), message);
    assert_eq!(value.as_mut_slice::<i32>().unwrap_err().to_string(), message);
    assert_eq!(value.view::<i32>().unwrap_err().to_string(), message);
    assert_eq!(value.to_scalar::<i32>().unwrap_err().to_string(), message);
    assert_eq!(value.clone().into_vec::<i32>().unwrap_err().to_string(), message);
    assert_eq!(value.into_array::<i32>().unwrap_err().to_string(), message);
}

#[test]
fn the_number_of_elements_is_checked() {
    let value = Value::from([1, 2, 3]);
    assert_eq!(
        value.to_scalar::<i32>().unwrap_err().to_string(),
        "want a value of exactly one element, got i32[3] with 3"
    );
    assert_eq!(
        value.reshape([2, 2]).unwrap_err().to_string(),
        "want shape [2,2] (4 elements), got shape [3] (3 elements)"
    );
    assert_eq!(
        Value::from_bytes(DType::F32, [2], &[0; 7]).unwrap_err().to_string(),
        "shape [2] wants 8 bytes, got 7"
    );
    assert!(Value::from_slice([2], &[1]).is_err());
}

#[test]
fn writing_to_a_shared_buffer_copies_it() {
    for value in [Value::from(vec![1_u8, 2]), Value::from_slice([2], &[1_u8, 2]).unwrap()] {
        let (mut clone, reshaped) = (value.clone(), value.reshape([2, 1]).unwrap());
        assert!(clone.ptr_eq(&value) && reshaped.ptr_eq(&value));
        clone.bytes_mut()[0] = 9;
        assert!(!clone.ptr_eq(&value) && is_aligned(&clone));
        assert_eq!(value, Value::from([1_u8, 2]));
        assert_eq!(reshaped, Value::from([[1_u8], [2]]));
        let before = clone.bytes().as_ptr();
        clone.as_mut_slice::<u8>().unwrap()[1] = 8;
        assert_eq!(clone.bytes().as_ptr(), before);
        assert_eq!(clone, Value::from([9_u8, 8]));
    }
}

#[test]
fn an_adopted_vector_comes_back() {
    let elements = vec![1.0_f32, 2.0, 3.0, 4.0];
    let address = elements.as_ptr();
    let value = Value::from_vec([2, 2], elements).unwrap();
    assert_eq!(value.as_slice::<f32>().unwrap().as_ptr(), address);
    let array = value.into_array::<f32>().unwrap();
    assert_eq!((array.as_ptr(), array.shape()), (address, &[2, 2][..]));
    let value = Value::from_array(array);
    let shared = value.clone();
    let copied = shared.into_vec::<f32>().unwrap();
    assert_ne!(copied.as_ptr(), address);
    let given_back = value.into_vec::<f32>().unwrap();
    assert_eq!(given_back.as_ptr(), address);
    let aligned = Value::zeros(DType::F32, [2]).unwrap();
    assert_eq!(aligned.into_vec::<f32>().unwrap(), [0.0, 0.0]);
}

#[test]
fn a_slice_of_an_array_takes_its_elements_only() {
    let mut array = ndarray::arr1(&[1, 2, 3, 4, 5]);
    array.slice_axis_inplace(Axis(0), Slice::new(1, Some(3), 1));
    assert_eq!(Value::from_array(array), Value::from([2, 3]));
    let mut array = ndarray::arr1(&[1, 2, 3]);
    array.slice_axis_inplace(Axis(0), Slice::new(0, None, -1));
    assert_eq!(Value::from_array(array), Value::from([3, 2, 1]));
    let empty = ndarray::Array2::<f32>::zeros((0, 3));
    assert_eq!(Value::from_array(empty).shape().dims(), [0, 3]);
}

#[test]
fn bools_are_checked_when_they_are_read() {
    for mut value in [Value::from(vec![true, false]), Value::from([true, false])] {
        value.as_mut_slice::<bool>().unwrap()[1] = true;
        value.bytes_mut()[0] = 0;
        assert_eq!(value.as_slice::<bool>().unwrap(), [false, true]);
        value.bytes_mut()[1] = 3;
        let message = "byte 3 at position 1 is not a bool; want 0 or 1";
        assert_eq!(value.as_slice::<bool>().unwrap_err().to_string(), message);
        assert_eq!(value.as_mut_slice::<bool>().unwrap_err().to_string(), message);
        assert_eq!(value.to_string(), format!("bool[2] <{message}>"));
        assert!(value.iter_f64().eq([0.0, 1.0]));
        assert_eq!(value.cast(DType::I32), Value::from([0, 1]));
        assert!(value != value.clone() && value.bitwise_eq(&value.clone()));
    }
}

#[test]
fn elements_as_f64() {
    let value = Value::from([bf16::from_f32(1.5), bf16::from_f32(-2.0)]);
    assert_eq!(value.iter_f64().collect::<Vec<_>>(), [1.5, -2.0]);
    assert_eq!(value.iter_f64().len(), 2);
    assert_eq!((value.get_f64(1), value.get_f64(2), value.get_f64(usize::MAX)), (Some(-2.0), None, None));
}

#[test]
fn equality() {
    assert_eq!(Value::from([0.0_f32]), Value::from([-0.0_f32]));
    assert!(!Value::from([0.0_f32]).bitwise_eq(&Value::from([-0.0_f32])));
    assert_ne!(Value::from(f32::NAN), Value::from(f32::NAN));
    assert_ne!(Value::from([1, 2]), Value::from([[1, 2]]));
    assert_ne!(Value::from(1_i32), Value::from(1_i64));
}

#[track_caller]
fn check_close(a: impl Into<Value>, b: impl Into<Value>, rtol: f64, atol: f64, want: bool) {
    let (a, b) = (a.into(), b.into());
    assert_eq!(a.allclose(&b, rtol, atol), want, "{a} and {b}");
}

#[test]
fn allclose() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    check_close([1.0, nan, inf], [1.0, nan, inf], 0.0, 0.0, true);
    check_close(inf, -inf, 1.0, inf, false);
    check_close(inf, 1e308, 1.0, inf, false);
    check_close(nan, 1.0, 1.0, inf, false);
    check_close(1.0, 1.1, 0.0, 0.11, true);
    check_close(1.0, 1.1, 0.0, 0.09, false);
    check_close(100.0_f32, 101.0_f32, 0.01, 0.0, true);
    check_close(f16::ONE, f16::ONE, 0.0, 0.0, true);
    check_close(i64::MAX, i64::MAX - 1, 0.0, 0.5, false);
    check_close(i64::MAX, i64::MAX - 1, 0.0, 1.0, true);
    check_close(true, false, 10.0, 10.0, false);
    check_close([1.0], [1.0, 1.0], 0.0, 0.0, false);
    check_close(1.0_f32, 1.0_f64, 0.0, 0.0, false);
}

#[test]
fn values_cross_threads() {
    fn assert_send_sync<T: Send + Sync + 'static>() {}
    assert_send_sync::<Value>();
    assert_send_sync::<TensorError>();
}
