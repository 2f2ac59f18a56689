use super::*;
use half::{bf16, f16};
use proptest::prelude::*;

/// The bytes of a file with this header, padded as NumPy pads.
fn file(version: u8, header: &str, elements: &[u8]) -> Vec<u8> {
    let preamble = if version == 1 { 10 } else { 12 };
    let len = (preamble + header.len() + 1).next_multiple_of(64) - preamble;
    let mut bytes = [MAGIC, &[version, 0][..]].concat();
    match version {
        1 => bytes.extend((len as u16).to_le_bytes()),
        _ => bytes.extend((len as u32).to_le_bytes()),
    }
    bytes.extend(format!("{header:<0$}\n", len - 1).bytes());
    bytes.extend(elements);
    bytes
}

fn header(descr: &str, fortran_order: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran_order}, 'shape': {shape}, }}")
}

#[track_caller]
fn check(bytes: &[u8], want: impl Into<Value>) {
    let (value, want) = (Value::read_npy(bytes).unwrap(), want.into());
    assert!(value.bitwise_eq(&want), "read {value}, want {want}");
}

#[track_caller]
fn check_writes(value: impl Into<Value>, want: &[u8]) {
    let mut bytes = Vec::new();
    value.into().write_npy(&mut bytes).unwrap();
    assert_eq!(bytes.escape_ascii().to_string(), want.escape_ascii().to_string());
}

#[track_caller]
fn check_fails(bytes: &[u8], message: &str) {
    let error = Value::read_npy(bytes).unwrap_err().to_string();
    assert!(error.contains(message), "`{error}` does not say `{message}`");
}

// The next two are NumPy's own bytes, by `np.save`.
const F32: &[u8] = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\
    \x20                                                         \n\
    \x00\x00\x80?\x00\x00\x00@\x00\x00@@\x00\x00\x80@\x00\x00\xa0@\x00\x00\xc0@";
const BF16: &[u8] = b"\x93NUMPY\x01\x00v\x00{'descr': '<V2', 'fortran_order': False, 'shape': (1,), }\
    \x20                                                           \n\xc0?";

#[test]
fn reads_what_numpy_writes() {
    check(F32, [[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    check(BF16, [bf16::from_f32(1.5)]);
    // np.asfortranarray(np.array([[1, 2, 3], [4, 5, 6]], '>i2')), version=(2, 0)
    check(
        b"\x93NUMPY\x02\x00t\x00\x00\x00{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\
        \x20                                                        \n\
        \x00\x01\x00\x04\x00\x02\x00\x05\x00\x03\x00\x06",
        [[1_i16, 2, 3], [4, 5, 6]],
    );
    // np.array(True), version=(3, 0)
    check(
        b"\x93NUMPY\x03\x00t\x00\x00\x00{'descr': '|b1', 'fortran_order': False, 'shape': (), }\
        \x20                                                           \n\x01",
        true,
    );
    // np.zeros((0, 3), 'u8')
    check(
        b"\x93NUMPY\x01\x00v\x00{'descr': '<u8', 'fortran_order': False, 'shape': (0, 3), }\
        \x20                                                         \n",
        Value::zeros(DType::U64, [0, 3]).unwrap(),
    );
}

#[test]
fn writes_what_numpy_writes() {
    check_writes([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]], F32);
    check_writes([bf16::from_f32(1.5)], BF16);
    check_writes(true, &file(1, &header("|b1", "False", "()"), &[1]));
}

#[test]
fn reads_each_dtype_in_both_byte_orders() {
    let one = f64::to_be_bytes(1.0);
    check(&file(1, &header(">f8", "False", "()"), &one), 1.0_f64);
    check(&file(1, &header(">f2", "False", "(1,)"), &[0x3c, 0]), [f16::ONE]);
    check(&file(1, &header(">u4", "False", "()"), &[0, 0, 1, 2]), 258_u32);
    check(&file(1, &header("<i8", "False", "()"), &[0xff; 8]), -1_i64);
    check(&file(1, &header("|i1", "False", "(2,)"), &[0xff, 1]), [-1_i8, 1]);
    check(&file(1, &header("|V2", "False", "()"), &[0x80, 0x3f]), bf16::ONE);
}

#[test]
fn reads_headers_written_by_others() {
    check(&file(1, "{\"shape\":(2L,),\"descr\":\"u1\",\"fortran_order\":True}", &[1, 2]), [1_u8, 2]);
}

#[test]
fn hostile_headers_are_errors() {
    let good = header("<f4", "False", "(2,)");
    check_fails(b"", "ends within the magic");
    check_fails(b"PK\x03\x04    ", "does not begin with");
    check_fails(b"\x93NUMPY\x04\x00", "version 4.0");
    check_fails(b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "4294967295 bytes");
    check_fails(b"\x93NUMPY\x01\x00\xff\xff{", "ends within the header");
    check_fails(&file(1, &good, &[0; 7]), "after 7 of 8 bytes");
    check_fails(&file(1, "", &[]), "want `{`");
    check_fails(&file(1, "{'descr': '<f4'}", &[]), "want the keys");
    check_fails(&file(1, "{'descr': '<f4', 'descr': '<f4'}", &[]), "twice");
    check_fails(&file(1, "{'desc': '<f4'}", &[]), "'desc' is unknown");
    check_fails(&file(1, "{'descr': '<f4", &[]), "not closed");
    check_fails(&file(1, "{'descr': [('a', '<f4')]}", &[]), "structured");
    check_fails(&file(1, &format!("{good} x"), &[]), "behind the dict");
    check_fails(&file(1, &header("<f4", "False", "(-1,)"), &[]), "not a number");
    check_fails(&file(1, &header("<f4", "False", "(99999999999999999999,)"), &[]), "not a number");
    check_fails(&file(1, &header("<f4", "False", &format!("({})", "1,".repeat(65))), &[0; 4]), "64 axes");
    for descr in ["<c4", "|O", "<U3", "<f16", "f", "", "\u{e9}4", ">V2", "<M8[ns]"] {
        check_fails(&file(1, &header(descr, "False", "()"), &[0; 16]), "is not supported");
    }
}

#[test]
fn sizes_are_not_believed() {
    let far = header("<f4", "False", "(1000000000000,)");
    check_fails(&file(1, &far, &[0; 4]), "after 4 of 4000000000000 bytes");
    let beyond = header("<f4", "True", "(9223372036854775807, 9)");
    check_fails(&file(1, &beyond, &[0; 4]), "too large");
    // No elements, though the other size alone is beyond counting.
    let none = file(1, &header("<f4", "True", "(0, 18446744073709551615)"), &[]);
    check_fails(&none, "too large");
}

#[test]
fn bytes_that_are_no_bools_are_errors() {
    check_fails(&file(1, &header("|b1", "False", "(2,)"), &[1, 2]), "byte 2 at position 1");
}

#[test]
fn a_short_file_is_named() {
    let path = std::env::temp_dir().join(format!("tidemill-short-{}.npy", std::process::id()));
    std::fs::write(&path, file(1, &header("<f8", "False", "(1000000000000,)"), &[0; 8])).unwrap();
    let error = Value::load_npy(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(error.starts_with(path.to_str().unwrap()) && error.contains("the file has 136"), "{error}");
}

#[test]
fn more_axes_than_numpy_has_are_an_error() {
    let value = Value::zeros(DType::F32, vec![1; 65]).unwrap();
    assert!(value.write_npy(&mut Vec::new()).unwrap_err().to_string().contains("65 axes"));
}

fn values() -> impl Strategy<Value = Value> {
    (proptest::sample::select(DType::ALL), proptest::collection::vec(0_usize..5, 0..4)).prop_flat_map(
        |(dtype, dims)| {
            let shape = Shape::from(dims);
            let bound = if dtype == DType::Bool { 1 } else { u8::MAX };
            proptest::collection::vec(0..=bound, shape.num_bytes(dtype).unwrap())
                .prop_map(move |bytes| Value::from_bytes(dtype, shape.clone(), &bytes).unwrap())
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in values()) {
        let mut bytes = Vec::new();
        value.write_npy(&mut bytes).unwrap();
        prop_assert_eq!((bytes.len() - value.num_bytes()) % 64, 0);
        prop_assert!(Value::read_npy(bytes.as_slice()).unwrap().bitwise_eq(&value));
    }

    #[test]
    fn column_major_is_the_transpose(dims in proptest::collection::vec(1_usize..4, 0..5)) {
        let shape = Shape::from(dims);
        let elements: Vec<u8> = (0..shape.num_elements()).map(|i| i as u8).collect();
        let text: String = shape.iter().map(|dim| format!("{dim},")).collect();
        let read = Value::read_npy(&*file(1, &header("|u1", "True", &format!("({text})")), &elements)).unwrap();
        let transposed: Shape = shape.iter().rev().copied().collect();
        let transposed = Value::from_vec(transposed, elements).unwrap();
        prop_assert_eq!(read, Value::from_view(transposed.view::<u8>().unwrap().reversed_axes()));
    }

    #[test]
    fn arbitrary_headers_do_not_panic(text in "[{}()',:a-z0-9<>| ]{0,60}", elements in any::<[u8; 8]>()) {
        let _ = Value::read_npy(&*file(1, &text, &elements));
    }

    #[test]
    fn a_changed_byte_does_not_panic(at in 0..F32.len(), byte: u8) {
        let mut bytes = F32.to_vec();
        bytes[at] = byte;
        let _ = Value::read_npy(&*bytes);
    }
}
