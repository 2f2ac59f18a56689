//! NumPy's `.npz` files: zip archives of named [`.npy`](crate::Value::load_npy) arrays.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::{Result, TensorError, Value};

/// Reads the arrays of an `.npz` file in their order there, as NumPy's `np.load` does. Entries may be stored or
/// deflated.
///
/// Fails with [`Io`](TensorError::Io) where the file cannot be read, and with [`InFile`](TensorError::InFile)
/// where it is no zip archive, an entry is damaged, or an entry is no array that [`Value::read_npy`] reads. An
/// entry takes the memory that its bytes inflate to: load archives of unknown origin with that in mind.
///
/// ```
/// use tidemill_tensor::{Value, npz};
/// let path = std::env::temp_dir().join(format!("tidemill-{}.npz", std::process::id()));
/// let (weights, step) = (Value::from([1.0_f32, 2.0]), Value::from(7_i64));
/// npz::save(&path, [("weights", &weights), ("step", &step)])?;
/// let loaded = npz::load(&path)?;
/// assert_eq!(loaded, [("weights".to_owned(), weights), ("step".to_owned(), step)]);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), tidemill_tensor::TensorError>(())
/// ```
pub fn load(path: impl AsRef<Path>) -> Result<Vec<(String, Value)>> {
    let path = path.as_ref();
    let load = || read(BufReader::new(File::open(path)?));
    load().map_err(|error: TensorError| error.in_file(path))
}

/// Writes an `.npz` file, not compressed, as NumPy's `np.savez` does. The same values give the same bytes.
///
/// Fails with [`Io`](TensorError::Io) where the file cannot be written, and with [`InFile`](TensorError::InFile)
/// where two values have one name or one has more axes than NumPy's 64. See [`load`] for an example.
pub fn save<'a>(
    path: impl AsRef<Path>,
    values: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> Result<()> {
    let path = path.as_ref();
    let save = || write(BufWriter::new(File::create(path)?), values);
    save().map_err(|error: TensorError| error.in_file(path))
}

/// As [`load`], from any reader.
///
/// ```
/// use std::io::Cursor;
/// use tidemill_tensor::{Value, npz};
/// let mut bytes = Vec::new();
/// npz::write(Cursor::new(&mut bytes), [("x", &Value::from([1, 2]))])?;
/// assert_eq!(npz::read(Cursor::new(&bytes))?, [("x".to_owned(), Value::from([1, 2]))]);
/// # Ok::<(), tidemill_tensor::TensorError>(())
/// ```
pub fn read(reader: impl Read + Seek) -> Result<Vec<(String, Value)>> {
    let mut archive = ZipArchive::new(reader).map_err(from_zip)?;
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).map_err(from_zip)?;
            let name = entry.name().map_err(from_zip)?.into_owned();
            let value = read_entry(&mut entry).map_err(|error| in_entry(&name, &error))?;
            let name = name.strip_suffix(".npy").map(str::to_owned).unwrap_or(name);
            Ok((name, value))
        })
        .collect()
}

/// As [`save`], to any writer. See [`read`] for an example.
pub fn write<'a>(
    writer: impl Write + Seek,
    values: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> Result<()> {
    let mut archive = ZipWriter::new(writer);
    for (name, value) in values {
        let name = format!("{name}.npy");
        // The header of an array is far below the margin left here.
        let large = value.num_bytes() as u64 > u64::from(u32::MAX) - (1 << 20);
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(large);
        archive.start_file(&name, options).map_err(|error| in_entry(&name, &error))?;
        value.write_npy(&mut archive).map_err(|error| in_entry(&name, &error))?;
    }
    Ok(archive.finish().map_err(from_zip)?.flush()?)
}

fn read_entry(entry: &mut impl Read) -> Result<Value> {
    let value = Value::read_npy(&mut *entry)?;
    // Reading to the end is what makes the archive compare the entry's checksum.
    match entry.read(&mut [0])? {
        0 => Ok(value),
        _ => Err(TensorError::Npy { reason: "there are bytes behind the array".to_owned() }),
    }
}

fn in_entry(name: &str, error: &dyn std::error::Error) -> TensorError {
    TensorError::Npz { reason: format!("entry `{name}`: {error}") }
}

fn from_zip(error: ZipError) -> TensorError {
    match error {
        ZipError::Io(source) => source.into(),
        error => TensorError::Npz { reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// `np.savez(file, w=np.array([1.5, -2], '<f2'), step=np.int64(7))` of NumPy.
    const STORED: &[u8] = include_bytes!("../testdata/stored.npz");
    /// `np.savez_compressed(file, w=np.arange(3, dtype='u1'))` of NumPy.
    const DEFLATED: &[u8] = include_bytes!("../testdata/deflated.npz");

    #[track_caller]
    fn check_fails(bytes: &[u8], message: &str) {
        let error = read(Cursor::new(bytes)).unwrap_err().to_string();
        assert!(error.contains(message), "`{error}` does not say `{message}`");
    }

    #[test]
    fn reads_what_numpy_writes() {
        let w = Value::from([half::f16::from_f32(1.5), half::f16::from_f32(-2.0)]);
        let want = [("w".to_owned(), w), ("step".to_owned(), Value::from(7_i64))];
        assert_eq!(read(Cursor::new(STORED)).unwrap(), want);
        assert_eq!(read(Cursor::new(DEFLATED)).unwrap(), [("w".to_owned(), Value::from([0_u8, 1, 2]))]);
    }

    #[test]
    fn damage_is_an_error() {
        check_fails(b"", "npz");
        check_fails(&STORED[..STORED.len() - 30], "npz");
        // The last byte of the first array: only the checksum tells.
        let mut flipped = STORED.to_vec();
        let last = flipped.windows(4).position(|window| window == b"\x00\x3e\x00\xc0").unwrap() + 3;
        flipped[last] ^= 1;
        check_fails(&flipped, "entry `w.npy`");
    }

    #[test]
    fn one_name_twice_is_an_error() {
        let value = Value::from(1);
        let error = write(Cursor::new(Vec::new()), [("a", &value), ("a", &value)]).unwrap_err();
        assert!(error.to_string().contains("a.npy"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load("/no/such/file.npz").unwrap_err().to_string();
        assert!(error.starts_with("/no/such/file.npz: "), "{error}");
    }
}
