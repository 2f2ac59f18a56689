//! Any bytes as an array of NumPy's, or as an archive of them.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use tidemill_tensor::{Value, npz};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = Value::read_npy(bytes) {
        let mut written = vec![];
        value.write_npy(&mut written).expect("what was read can be written");
        let again = Value::read_npy(&written[..]).expect("what was written can be read");
        assert!(again.bitwise_eq(&value));
    }
    let _ = npz::read(Cursor::new(bytes));
});
