//! NumPy's `.npy` files: one array each.
//!
//! A file is `\x93NUMPY`, a version, the length of a header, the header (a Python dict literal that names the
//! dtype, the order and the shape), and the elements. Versions 1.0, 2.0 and 3.0 are read, in either order and
//! either byte order; 1.0 is written, row-major. `bfloat16`, which NumPy does not know, is `V2` (two raw bytes),
//! as the `ml_dtypes` package writes it.
//!
//! No length that a file states is believed: what is allocated grows with the bytes that are there.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use crate::storage::{self, AlignedBytes};
use crate::{DType, Result, Shape, TensorError, Value, dispatch};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// A longer header could only be of a structured dtype, which is not read anyway.
const MAX_HEADER: usize = u16::MAX as usize;
/// NumPy's own bound on the number of axes.
const MAX_RANK: usize = 64;

/// # NumPy files
impl Value {
    /// Reads a `.npy` file, as NumPy's `np.load` does.
    ///
    /// Reads versions 1.0 to 3.0, either byte order, row-major and column-major; what follows the array is
    /// ignored. The dtypes are those of [`DType`]; `V2` is read as `bf16`.
    ///
    /// Fails with [`Io`](TensorError::Io) where the file cannot be read, and with
    /// [`InFile`](TensorError::InFile) where it is no array that a value can hold, or is cut short.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// let path = std::env::temp_dir().join(format!("tidemill-{}.npy", std::process::id()));
    /// let value = Value::from([[1.0_f32, 2.0], [3.0, 4.0]]);
    /// value.save_npy(&path)?;
    /// assert_eq!(Value::load_npy(&path)?, value);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn load_npy(path: impl AsRef<Path>) -> Result<Value> {
        let path = path.as_ref();
        let load = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            // A pipe or a device has no length to go by.
            let present = metadata.is_file().then_some(metadata.len());
            read(&mut BufReader::new(file), present)
        };
        load().map_err(|error: TensorError| error.in_file(path))
    }

    /// Writes a `.npy` file, version 1.0 and row-major, as NumPy's `np.save` does. `bf16` is written as `V2`.
    ///
    /// Fails with [`Io`](TensorError::Io) where the file cannot be written, and with
    /// [`InFile`](TensorError::InFile) where the value has more axes than NumPy's 64. See
    /// [`load_npy`](Self::load_npy) for an example.
    pub fn save_npy(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let save = || {
            let mut writer = BufWriter::new(File::create(path)?);
            self.write_npy(&mut writer)?;
            Ok(writer.flush()?)
        };
        save().map_err(|error: TensorError| error.in_file(path))
    }

    /// Reads an array in the format of `.npy` files, and leaves the reader behind its last byte. See
    /// [`load_npy`](Self::load_npy).
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// let mut bytes = Vec::new();
    /// Value::from(7_i64).write_npy(&mut bytes)?;
    /// assert_eq!(Value::read_npy(bytes.as_slice())?, Value::from(7_i64));
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn read_npy(mut reader: impl Read) -> Result<Value> {
        read(&mut reader, None)
    }

    /// Writes an array in the format of `.npy` files. See [`save_npy`](Self::save_npy), and
    /// [`read_npy`](Self::read_npy) for an example.
    pub fn write_npy(&self, mut writer: impl Write) -> Result<()> {
        if self.dtype().is_object() {
            return Err(crate::TensorError::NotBytes { dtype: self.dtype() });
        }
        if self.rank() > MAX_RANK {
            return Err(npy(format!("cannot write {} axes; NumPy has at most {MAX_RANK}", self.rank())));
        }
        // Python's tuple of one needs its comma.
        let shape: String = self.shape().iter().map(|dim| format!("{dim}, ")).collect();
        let shape = if self.rank() == 1 { shape.trim_end() } else { shape.trim_end_matches(", ") };
        let descr = descr(self.dtype());
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
        // The elements begin on a boundary of 64 bytes, for those who map the file into memory.
        let preamble = MAGIC.len() + 4;
        let len = (preamble + header.len() + 1).next_multiple_of(64) - preamble;
        header.extend(std::iter::repeat_n(' ', len - 1 - header.len()));
        header.push('\n');
        let stated = u16::try_from(len).map_err(|_| npy("the header is too long"))?;

        writer.write_all(MAGIC)?;
        writer.write_all(&[1, 0])?;
        writer.write_all(&stated.to_le_bytes())?;
        writer.write_all(header.as_bytes())?;
        Ok(writer.write_all(self.bytes())?)
    }
}

fn npy(reason: impl Into<String>) -> TensorError {
    TensorError::Npy { reason: reason.into() }
}

/// How a dtype of this machine's byte order is named in a header.
fn descr(dtype: DType) -> String {
    let order = match (dtype.size(), cfg!(target_endian = "little")) {
        (1, _) => '|',
        (_, true) => '<',
        (_, false) => '>',
    };
    let kind = match dtype {
        DType::Bool => 'b',
        DType::BF16 => 'V',
        dtype if dtype.is_complex() => 'c',
        dtype if dtype.is_float() => 'f',
        dtype if dtype.is_signed() => 'i',
        _ => 'u',
    };
    format!("{order}{kind}{}", dtype.size())
}

/// The dtype that `descr` names, and whether its bytes are in the other order than this machine's.
fn parse_descr(descr: &str) -> Result<(DType, bool)> {
    let unknown = || {
        npy(format!(
            "dtype '{descr}' is not supported; want a float of 2, 4 or 8 bytes, an integer of 1 to 8 bytes, \
             a complex number of 8 or 16, bool, or V2 for bfloat16"
        ))
    };
    let (order, name) = match descr.chars().next() {
        Some(order @ ('<' | '>' | '|' | '=')) => (order, &descr[1..]),
        _ => ('=', descr),
    };
    let dtype = DType::ALL
        .iter()
        .copied()
        .find(|dtype| self::descr(*dtype)[1..] == *name)
        .filter(|dtype| *dtype != DType::BF16 || order != '>')
        .ok_or_else(unknown)?;
    let little = match order {
        '<' => true,
        '>' => false,
        _ => cfg!(target_endian = "little"),
    };
    Ok((dtype, dtype.size() > 1 && little != cfg!(target_endian = "little")))
}

/// Reads an array; `present` is how many bytes the reader holds, where that is known.
fn read(reader: &mut impl Read, present: Option<u64>) -> Result<Value> {
    let mut preamble = [0; 8];
    read_all(reader, &mut preamble, "the magic and version")?;
    if preamble[..6] != *MAGIC {
        return Err(npy("not an array file: it does not begin with \\x93NUMPY"));
    }
    let header_len = match preamble[6..] {
        [1, 0] => {
            let mut len = [0; 2];
            read_all(reader, &mut len, "the header's length")?;
            usize::from(u16::from_le_bytes(len))
        }
        [2 | 3, 0] => {
            let mut len = [0; 4];
            read_all(reader, &mut len, "the header's length")?;
            usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX)
        }
        _ => return Err(npy(format!("version {}.{} is not supported", preamble[6], preamble[7]))),
    };
    if header_len > MAX_HEADER {
        return Err(npy(format!("a header of {header_len} bytes; want at most {MAX_HEADER}")));
    }
    let mut header = vec![0; header_len];
    read_all(reader, &mut header, "the header")?;
    let header = std::str::from_utf8(&header).map_err(|_| npy("the header is not text"))?;
    let Header { descr, fortran_order, shape } = Header::parse(header)?;
    let (dtype, swapped) = parse_descr(&descr)?;

    let size = shape.num_bytes(dtype).ok_or_else(|| TensorError::TooLarge { dtype, shape: shape.clone() })?;
    let mut bytes = match present {
        Some(present) if present < size as u64 => {
            return Err(npy(format!("an array {dtype}{shape} takes {size} bytes; the file has {present}")));
        }
        Some(_) => storage::allocate(dtype, &shape)?,
        None => AlignedBytes::new(storage::ALIGNMENT),
    };
    read_elements(reader, &mut bytes, size)?;
    if swapped {
        bytes.chunks_exact_mut(dtype.real().size()).for_each(<[u8]>::reverse);
    }
    if dtype == DType::Bool && bytes.iter().any(|&byte| byte > 1) {
        return Err(storage::invalid_bool(&bytes));
    }
    if fortran_order && shape.rank() > 1 {
        return from_column_major(dtype, &shape, bytes);
    }
    Ok(Value::from_aligned(dtype, shape, bytes))
}

/// Appends `size` bytes of the reader. Memory is asked for as bytes arrive, so that a header cannot ask for it.
fn read_elements(reader: &mut impl Read, bytes: &mut AlignedBytes, size: usize) -> Result<()> {
    let mut block = vec![0; size.min(1 << 16)];
    while bytes.len() < size {
        let want = block.len().min(size - bytes.len());
        match reader.read(&mut block[..want]) {
            Ok(0) => return Err(npy(format!("the array ends after {} of {size} bytes", bytes.len()))),
            Ok(count) => bytes.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn read_all(reader: &mut impl Read, bytes: &mut [u8], what: &str) -> Result<()> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => npy(format!("the file ends within {what}")),
        _ => error.into(),
    })
}

fn from_column_major(dtype: DType, shape: &Shape, bytes: AlignedBytes) -> Result<Value> {
    let transposed = Value::from_aligned(dtype, shape.iter().rev().copied().collect(), bytes);
    dispatch!(dtype, T => Ok(Value::from_view(transposed.view::<T>()?.reversed_axes())), else => Ok(transposed))
}

/// What a header says.
#[derive(Debug)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Shape,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, keys in any order.
    fn parse(text: &str) -> Result<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        let mut cursor = Cursor { text, rest: text };
        cursor.expect("{")?;
        while !cursor.eat("}") {
            let key = cursor.string()?;
            cursor.expect(":")?;
            let again = match key {
                "descr" => descr.replace(cursor.string()?).is_some(),
                "fortran_order" => fortran_order.replace(cursor.bool()?).is_some(),
                "shape" => shape.replace(cursor.tuple()?).is_some(),
                _ => return Err(cursor.error(&format!("the key '{key}' is unknown"))),
            };
            if again {
                return Err(cursor.error(&format!("the key '{key}' stands twice")));
            }
            if !cursor.eat(",") {
                cursor.expect("}")?;
                break;
            }
        }
        if !cursor.rest.trim().is_empty() {
            return Err(cursor.error("there is text behind the dict"));
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => {
                Ok(Header { descr: descr.to_owned(), fortran_order, shape })
            }
            _ => Err(cursor.error("want the keys 'descr', 'fortran_order' and 'shape'")),
        }
    }
}

/// A place in a header. Every method skips spaces first.
struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn error(&self, reason: &str) -> TensorError {
        let shown: String = self.text.trim_end().chars().take(200).collect();
        npy(format!("cannot read the header {shown:?}: {reason}"))
    }

    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if self.eat(token) {
            return Ok(());
        }
        let at = self.text.len() - self.rest.len();
        Err(self.error(&format!("want `{token}` at position {at}")))
    }

    fn string(&mut self) -> Result<&'a str> {
        if self.eat("[") {
            return Err(self.error("structured dtypes are not supported"));
        }
        let quote = if self.eat("\"") {
            '"'
        } else {
            self.expect("'")?;
            '\''
        };
        let (string, rest) =
            self.rest.split_once(quote).ok_or_else(|| self.error("a string is not closed"))?;
        self.rest = rest;
        Ok(string)
    }

    fn bool(&mut self) -> Result<bool> {
        if self.eat("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    fn tuple(&mut self) -> Result<Shape> {
        let mut dims = Vec::new();
        self.expect("(")?;
        while !self.eat(")") {
            if dims.len() == MAX_RANK {
                return Err(self.error(&format!("more than {MAX_RANK} axes")));
            }
            dims.push(self.size()?);
            if !self.eat(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(dims.into())
    }

    fn size(&mut self) -> Result<usize> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let size = digits.parse().map_err(|_| self.error("a size is not a number of this machine"))?;
        // Python 2 wrote sizes as `3L`.
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        Ok(size)
    }
}

#[cfg(test)]
mod tests;
