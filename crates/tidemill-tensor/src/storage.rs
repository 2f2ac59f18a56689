//! Where the bytes of a value lie.
//!
//! There are three kinds of storage. An *aligned* one is bytes that begin on a boundary of 64; what this crate
//! allocates is of that kind, and kernels may load whole vector registers from it. An *adopted* one is a
//! `Vec<T>` of the caller's, taken without a copy and given back without one; it is aligned for `T` only. The third
//! kind holds [`Object`]s, and has no bytes.
//!
//! An adopted vector holds elements by its type. An aligned storage holds bytes that anyone with a `&mut` to
//! them may set, so bytes of a `bool` value are checked whenever they are viewed as `bool`.

use std::any::Any;

use aligned_vec::{AVec, ConstAlign};

use crate::{DType, Element, Object, Result, Shape, TensorError};

/// The boundary on which aligned storage begins: a cache line, and the widest vector register.
pub(crate) const ALIGNMENT: usize = 64;

/// Bytes that begin on a boundary of [`ALIGNMENT`].
pub(crate) type AlignedBytes = AVec<u8, ConstAlign<ALIGNMENT>>;

/// The buffer of a value.
pub(crate) enum Storage {
    Aligned(AlignedBytes),
    Adopted(Box<dyn AdoptedVec>),
    Objects(DType, Vec<Object>),
}

/// A `Vec<T>` whose `T` is forgotten.
pub(crate) trait AdoptedVec: Send + Sync {
    fn dtype(&self) -> DType;
    fn bytes(&self) -> &[u8];
    /// `None` where some bit patterns are no elements.
    fn bytes_mut(&mut self) -> Option<&mut [u8]>;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<T: Element> AdoptedVec for Vec<T> {
    fn dtype(&self) -> DType {
        T::DTYPE
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self)
    }

    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        T::bytes_mut_of(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl Storage {
    pub(crate) fn adopt<T: Element>(elements: Vec<T>) -> Self {
        Storage::Adopted(Box::new(elements))
    }

    /// The adopted vector, or `None` where this is aligned storage or another type's.
    pub(crate) fn into_adopted<T: Element>(self) -> Option<Vec<T>> {
        match self {
            Storage::Aligned(_) | Storage::Objects(..) => None,
            Storage::Adopted(elements) => elements.into_any().downcast().ok().map(|elements| *elements),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Storage::Aligned(bytes) => bytes,
            Storage::Adopted(elements) => elements.bytes(),
            Storage::Objects(..) => &[],
        }
    }

    /// The bytes for writing; an adopted `Vec<bool>` becomes aligned storage first, since not every byte is a
    /// `bool`.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        if let Storage::Adopted(elements) = self
            && elements.bytes_mut().is_none()
        {
            *self = self.clone();
        }
        match self {
            Storage::Aligned(bytes) => bytes,
            Storage::Adopted(elements) => elements.bytes_mut().unwrap_or_default(),
            Storage::Objects(..) => &mut [],
        }
    }

    /// The elements. Fails where this adopted a vector of another type, or bytes are not `bool`s.
    pub(crate) fn elements<T: Element>(&self) -> Result<&[T]> {
        match self {
            Storage::Aligned(bytes) => cast_bytes(bytes),
            Storage::Adopted(elements) => elements
                .as_any()
                .downcast_ref::<Vec<T>>()
                .map(Vec::as_slice)
                .ok_or(TensorError::DTypeMismatch { want: T::DTYPE, got: elements.dtype() }),
            Storage::Objects(got, _) => Err(TensorError::DTypeMismatch { want: T::DTYPE, got: *got }),
        }
    }

    /// As [`elements`](Self::elements), for writing.
    pub(crate) fn elements_mut<T: Element>(&mut self) -> Result<&mut [T]> {
        match self {
            Storage::Aligned(bytes) => {
                cast_bytes::<T>(bytes)?;
                bytemuck::checked::try_cast_slice_mut(bytes)
                    .map_err(|_| TensorError::InvalidBool { index: 0, byte: 0 })
            }
            Storage::Adopted(elements) => {
                let got = elements.dtype();
                elements
                    .as_any_mut()
                    .downcast_mut::<Vec<T>>()
                    .map(Vec::as_mut_slice)
                    .ok_or(TensorError::DTypeMismatch { want: T::DTYPE, got })
            }
            Storage::Objects(got, _) => Err(TensorError::DTypeMismatch { want: T::DTYPE, got: *got }),
        }
    }
}

/// A copy, of bytes in aligned storage.
impl Clone for Storage {
    fn clone(&self) -> Self {
        match self {
            Storage::Objects(dtype, objects) => Storage::Objects(*dtype, objects.clone()),
            _ => Storage::Aligned(AVec::from_slice(ALIGNMENT, self.bytes())),
        }
    }
}

/// Views aligned bytes as elements: the one check that can fail is that of `bool`s.
fn cast_bytes<T: Element>(bytes: &[u8]) -> Result<&[T]> {
    bytemuck::checked::try_cast_slice(bytes).map_err(|_| invalid_bool(bytes))
}

/// The error for the first byte that is neither 0 nor 1.
pub(crate) fn invalid_bool(bytes: &[u8]) -> TensorError {
    let index = bytes.iter().position(|&byte| byte > 1).unwrap_or_default();
    TensorError::InvalidBool { index, byte: bytes.get(index).copied().unwrap_or_default() }
}

/// Empty storage with room for an array, or an error where its bytes cannot be counted or allocated.
pub(crate) fn allocate(dtype: DType, shape: &Shape) -> Result<AlignedBytes> {
    let too_large = || TensorError::TooLarge { dtype, shape: shape.clone() };
    let size = shape.num_bytes(dtype).ok_or_else(too_large)?;
    if size > isize::MAX as usize - ALIGNMENT {
        return Err(too_large());
    }
    let mut bytes = AVec::new(ALIGNMENT);
    bytes.try_reserve_exact(size).map_err(|_| too_large())?;
    Ok(bytes)
}

/// Storage of zeros for an array.
pub(crate) fn allocate_zeroed(dtype: DType, shape: &Shape) -> Result<AlignedBytes> {
    let mut bytes = allocate(dtype, shape)?;
    append_zeros(&mut bytes, shape.num_bytes(dtype).unwrap_or_default());
    Ok(bytes)
}

/// Appends `count` zeros, a block at a time: `AVec::resize` counts every byte.
pub(crate) fn append_zeros(bytes: &mut AlignedBytes, count: usize) {
    const BLOCK: [u8; 4096] = [0; 4096];
    bytes.reserve(count);
    for _ in 0..count / BLOCK.len() {
        bytes.extend_from_slice(&BLOCK);
    }
    bytes.extend_from_slice(&BLOCK[..count % BLOCK.len()]);
}
