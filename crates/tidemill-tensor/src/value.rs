//! Dense arrays in host memory whose dtype is known at run time.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use num_complex::Complex;

use crate::cast::convert;
use crate::storage::{self, AlignedBytes, Storage};
use crate::{DType, Element, Object, Result, Shape, TensorError, dispatch};

/// A dense row-major array in host memory: a dtype, a [`Shape`] and a shared buffer.
///
/// Cloning and reshaping share the buffer; writing copies it first if it is shared. What this crate allocates
/// begins on a boundary of 64 bytes; a vector adopted by [`from_vec`](Self::from_vec) or
/// [`from_array`](Self::from_array) keeps its own alignment, that of its element type.
///
/// Two values are equal where dtype, shape and every element are; as in IEEE 754, NaN differs from itself and
/// -0 equals 0. See [`bitwise_eq`](Self::bitwise_eq) and [`allclose`](Self::allclose) for other notions.
///
/// ```
/// use tidemill_tensor::{DType, Value};
///
/// let value = Value::from_vec([2, 3], vec![1_i32, 2, 3, 4, 5, 6])?;
/// assert_eq!(value.dtype(), DType::I32);
/// assert_eq!(value.view::<i32>()?[[1, 0]], 4);
/// assert_eq!(value.to_string(), "i32[2,3] [[1, 2, 3], [4, 5, 6]]");
/// # Ok::<(), tidemill_tensor::TensorError>(())
/// ```
#[derive(Clone)]
pub struct Value {
    dtype: DType,
    shape: Shape,
    /// Holds exactly `shape.num_bytes(dtype)` bytes; an adopted vector is of the type of `dtype`.
    storage: Arc<Storage>,
}

/// # Construction
impl Value {
    /// An array of zeros (`false` for `bool`).
    ///
    /// Fails with [`TooLarge`](TensorError::TooLarge) where the bytes cannot be allocated.
    ///
    /// ```
    /// use tidemill_tensor::{DType, Value};
    /// assert_eq!(Value::zeros(DType::F32, [2])?.to_vec::<f32>()?, [0.0, 0.0]);
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn zeros(dtype: DType, shape: impl Into<Shape>) -> Result<Value> {
        let shape = shape.into();
        if dtype.is_object() {
            return Value::nothings(dtype, shape);
        }
        let bytes = storage::allocate_zeroed(dtype, &shape)?;
        Ok(Value::from_aligned(dtype, shape, bytes))
    }

    /// An array of which every element is `value`, converted to `dtype` as by [`cast`](Self::cast).
    ///
    /// Fails with [`TooLarge`](TensorError::TooLarge) where the bytes cannot be allocated.
    ///
    /// ```
    /// use tidemill_tensor::{DType, Value};
    /// assert_eq!(Value::full(DType::F32, [2], 0.5)?.to_vec::<f32>()?, [0.5, 0.5]);
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn full<V: Element>(dtype: DType, shape: impl Into<Shape>, value: V) -> Result<Value> {
        let mut full = Value::zeros(dtype, shape)?;
        dispatch!(dtype, T => full.as_mut_slice::<T>()?.fill(convert(value)), else => ());
        Ok(full)
    }

    /// An array of rank 0.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::scalar(2.5_f32).to_string(), "f32[] 2.5");
    /// ```
    pub fn scalar<T: Element>(value: T) -> Value {
        Value::copied(Shape::scalar(), &[value])
    }

    /// An array of `elements` in row-major order. The vector is adopted without a copy, and the buffer is then
    /// aligned for `T` only.
    ///
    /// Fails with [`LengthMismatch`](TensorError::LengthMismatch) where the shape has another number of
    /// elements.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// let value = Value::from_vec([2, 2], vec![1.0_f32, 2.0, 3.0, 4.0])?;
    /// assert_eq!(value.view::<f32>()?[[0, 1]], 2.0);
    /// let error = Value::from_vec([3], vec![1.0_f32]).unwrap_err();
    /// assert_eq!(error.to_string(), "shape [3] wants 3 elements, got 1");
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn from_vec<T: Element>(shape: impl Into<Shape>, elements: Vec<T>) -> Result<Value> {
        let shape = shape.into();
        check_length(&shape, elements.len())?;
        Ok(Value::from_checked_vec(shape, elements))
    }

    /// As [`from_slice`](Self::from_slice), for a shape that is known to have as many elements.
    pub(crate) fn copied<T: Element>(shape: Shape, elements: &[T]) -> Value {
        let bytes = AlignedBytes::from_slice(storage::ALIGNMENT, bytemuck::cast_slice(elements));
        Value::from_aligned(T::DTYPE, shape, bytes)
    }

    /// As [`from_vec`](Self::from_vec), for a shape that is known to have as many elements.
    pub(crate) fn from_checked_vec<T: Element>(shape: Shape, elements: Vec<T>) -> Value {
        debug_assert_eq!(shape.checked_num_elements(), Some(elements.len()));
        Value { dtype: T::DTYPE, shape, storage: Arc::new(Storage::adopt(elements)) }
    }

    /// An array of `elements` in row-major order, copied into an aligned buffer.
    ///
    /// Fails with [`LengthMismatch`](TensorError::LengthMismatch) where the shape has another number of
    /// elements.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from_slice([2], &[1_u8, 2])?.to_string(), "u8[2] [1, 2]");
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn from_slice<T: Element>(shape: impl Into<Shape>, elements: &[T]) -> Result<Value> {
        let shape = shape.into();
        check_length(&shape, elements.len())?;
        let mut bytes = storage::allocate(T::DTYPE, &shape)?;
        bytes.extend_from_slice(bytemuck::cast_slice(elements));
        Ok(Value::from_aligned(T::DTYPE, shape, bytes))
    }

    /// An array of the elements that `bytes` encodes in native byte order, copied into an aligned buffer.
    ///
    /// Fails with [`LengthMismatch`](TensorError::LengthMismatch) where there are more or fewer bytes than the
    /// array takes, and with [`InvalidBool`](TensorError::InvalidBool) where the dtype is `bool` and a byte is
    /// neither 0 nor 1.
    ///
    /// ```
    /// use tidemill_tensor::{DType, Value};
    /// let value = Value::from_bytes(DType::U16, [1], &7_u16.to_ne_bytes())?;
    /// assert_eq!(value.to_scalar::<u16>()?, 7);
    /// assert!(Value::from_bytes(DType::Bool, [1], &[2]).is_err());
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn from_bytes(dtype: DType, shape: impl Into<Shape>, bytes: &[u8]) -> Result<Value> {
        let shape = shape.into();
        if dtype.is_object() {
            return Err(TensorError::NotBytes { dtype });
        }
        let want = shape.num_bytes(dtype);
        if want != Some(bytes.len()) {
            let want = want.unwrap_or(usize::MAX);
            return Err(TensorError::LengthMismatch { shape, want, got: bytes.len(), unit: "bytes" });
        }
        if dtype == DType::Bool && bytes.iter().any(|&byte| byte > 1) {
            return Err(storage::invalid_bool(bytes));
        }
        let mut aligned = storage::allocate(dtype, &shape)?;
        aligned.extend_from_slice(bytes);
        Ok(Value::from_aligned(dtype, shape, aligned))
    }

    /// The value over `bytes`, which the caller has made of `shape.num_bytes(dtype)` bytes.
    pub(crate) fn from_aligned(dtype: DType, shape: Shape, bytes: AlignedBytes) -> Value {
        debug_assert_eq!(shape.num_bytes(dtype), Some(bytes.len()));
        Value { dtype, shape, storage: Arc::new(Storage::Aligned(bytes)) }
    }

    /// An array of the elements of `array`, without a copy where it is in standard layout and owns no others.
    ///
    /// ```
    /// use tidemill_tensor::{Value, ndarray::array};
    /// assert_eq!(Value::from_array(array![[1, 2], [3, 4]].reversed_axes()).to_string(), "i32[2,2] [[1, 3], [2, 4]]");
    /// ```
    pub fn from_array<T: Element, D: ndarray::Dimension>(array: ndarray::Array<T, D>) -> Value {
        if !array.is_standard_layout() {
            return Value::from_view(array.view());
        }
        let shape = Shape::from(array.shape());
        let len = array.len();
        let (mut elements, offset) = array.into_raw_vec_and_offset();
        elements.truncate(offset.unwrap_or_default() + len);
        elements.drain(..elements.len() - len);
        Value::from_checked_vec(shape, elements)
    }

    /// An array of the elements of `view` in its logical order, copied.
    ///
    /// ```
    /// use tidemill_tensor::{Value, ndarray::array};
    /// assert_eq!(Value::from_view(array![[1, 2], [3, 4]].column(1)).to_string(), "i32[2] [2, 4]");
    /// ```
    pub fn from_view<T: Element, D: ndarray::Dimension>(view: ndarray::ArrayView<'_, T, D>) -> Value {
        let shape = Shape::from(view.shape());
        match view.as_slice() {
            Some(elements) => Value::copied(shape, elements),
            None => Value::from_checked_vec(shape, view.iter().copied().collect()),
        }
    }
}

/// # Facts
impl Value {
    /// The type of the elements.
    ///
    /// ```
    /// use tidemill_tensor::{DType, Value};
    /// assert_eq!(Value::from(1.5_f32).dtype(), DType::F32);
    /// ```
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The sizes.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[1, 2, 3]]).shape().dims(), [1, 3]);
    /// ```
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of axes.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[1, 2, 3]]).rank(), 2);
    /// ```
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The number of elements.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[1, 2, 3]]).num_elements(), 3);
    /// ```
    pub fn num_elements(&self) -> usize {
        self.shape.num_elements()
    }

    /// The number of bytes of the elements.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([1_i64, 2]).num_bytes(), 16);
    /// ```
    pub fn num_bytes(&self) -> usize {
        self.bytes().len()
    }

    /// Whether both values share one buffer, as clones and reshapes do.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// let value = Value::from([1, 2]);
    /// assert!(value.ptr_eq(&value.clone()) && !value.ptr_eq(&Value::from([1, 2])));
    /// ```
    pub fn ptr_eq(&self, other: &Value) -> bool {
        Arc::ptr_eq(&self.storage, &other.storage)
    }
}

/// # Elements
impl Value {
    /// The elements in row-major order, without a copy.
    ///
    /// Fails with [`DTypeMismatch`](TensorError::DTypeMismatch) where `T` is not of this dtype, and with
    /// [`InvalidBool`](TensorError::InvalidBool) where [`bytes_mut`](Self::bytes_mut) left a byte that is no
    /// `bool`.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[1, 2], [3, 4]]).as_slice::<i32>()?, [1, 2, 3, 4]);
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        self.check_dtype::<T>()?;
        self.storage.elements()
    }

    /// The elements for writing. A shared buffer is copied first, so that no other value changes.
    ///
    /// Fails as [`as_slice`](Self::as_slice) does.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// let old = Value::from([1, 2]);
    /// let mut new = old.clone();
    /// new.as_mut_slice::<i32>()?[0] = 7;
    /// assert_eq!((old, new), (Value::from([1, 2]), Value::from([7, 2])));
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T]> {
        self.check_dtype::<T>()?;
        Arc::make_mut(&mut self.storage).elements_mut()
    }

    /// A copy of the elements in row-major order. Fails as [`as_slice`](Self::as_slice) does.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[1, 2]]).to_vec::<i32>()?, [1, 2]);
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.as_slice().map(<[T]>::to_vec)
    }

    /// The element of a value that has exactly one, whatever its rank.
    ///
    /// Fails with [`NotScalar`](TensorError::NotScalar) where there are none or several, and as
    /// [`as_slice`](Self::as_slice) does.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[3.0_f64]]).to_scalar::<f64>()?, 3.0);
    /// assert!(Value::from([1, 2]).to_scalar::<i32>().is_err());
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn to_scalar<T: Element>(&self) -> Result<T> {
        match self.as_slice()? {
            [element] => Ok(*element),
            _ => Err(TensorError::NotScalar { dtype: self.dtype, shape: self.shape.clone() }),
        }
    }

    /// An `ndarray` view of the elements, without a copy.
    ///
    /// Fails as [`as_slice`](Self::as_slice) does, and with [`TooLarge`](TensorError::TooLarge) where the shape
    /// has no elements but sizes whose product `ndarray` cannot count.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[1, 2], [3, 4]]).view::<i32>()?.sum(), 10);
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn view<T: Element>(&self) -> Result<ArrayViewD<'_, T>> {
        ArrayViewD::from_shape(IxDyn(&self.shape), self.as_slice()?).map_err(|_| self.too_large())
    }

    /// A copy of the elements as an `ndarray` array. Fails as [`view`](Self::view) does.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[1, 2]]).to_array::<i32>()?.shape(), [1, 2]);
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn to_array<T: Element>(&self) -> Result<ArrayD<T>> {
        self.view().map(|view| view.to_owned())
    }

    /// The elements as an `ndarray` array: without a copy where this is the only value over a vector that was
    /// adopted, else copied. Fails as [`view`](Self::view) does.
    ///
    /// ```
    /// use tidemill_tensor::{Value, ndarray::arr1};
    /// let elements = vec![1.0_f32, 2.0];
    /// let address = elements.as_ptr();
    /// let array = Value::from(elements).into_array::<f32>()?;
    /// assert_eq!(array.as_ptr(), address);
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn into_array<T: Element>(self) -> Result<ArrayD<T>> {
        self.check_dtype::<T>()?;
        let too_large = self.too_large();
        let shape = IxDyn(&self.shape);
        ArrayD::from_shape_vec(shape, self.into_vec()?).map_err(|_| too_large)
    }

    /// The elements in row-major order, without a copy where [`into_array`](Self::into_array) makes none.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[1, 2], [3, 4]]).into_vec::<i32>()?, [1, 2, 3, 4]);
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn into_vec<T: Element>(self) -> Result<Vec<T>> {
        self.check_dtype::<T>()?;
        match Arc::try_unwrap(self.storage) {
            Ok(storage @ Storage::Adopted(_)) => {
                let got = self.dtype;
                storage.into_adopted().ok_or(TensorError::DTypeMismatch { want: T::DTYPE, got })
            }
            Ok(other) => other.elements().map(<[T]>::to_vec),
            Err(shared) => shared.elements().map(<[T]>::to_vec),
        }
    }

    /// The bytes of the elements, in row-major and native byte order.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([1_u8, 2]).bytes(), [1, 2]);
    /// ```
    pub fn bytes(&self) -> &[u8] {
        self.storage.bytes()
    }

    /// The bytes for writing. A shared buffer is copied first, so that no other value changes.
    ///
    /// Every bit pattern is an element, but for `bool`, whose bytes must be left 0 or 1: after another byte is
    /// written, whatever reads elements as `bool` fails with [`InvalidBool`](TensorError::InvalidBool).
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// let mut value = Value::from([1_u8, 2]);
    /// value.bytes_mut()[1] = 9;
    /// assert_eq!(value, Value::from([1_u8, 9]));
    /// ```
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        Arc::make_mut(&mut self.storage).bytes_mut()
    }

    /// The element at `flat_index` in row-major order as an `f64` (see [`Element::to_f64`]), or `None` beyond
    /// the end. A byte that is no `bool` counts as `true`.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([[1, 2], [3, 4]]).get_f64(2), Some(3.0));
    /// assert_eq!(Value::from(1).get_f64(1), None);
    /// ```
    pub fn get_f64(&self, flat_index: usize) -> Option<f64> {
        let size = self.dtype.size();
        let start = flat_index.checked_mul(size)?;
        let bytes = self.bytes().get(start..start.checked_add(size)?)?;
        Some(read_f64(self.dtype, bytes))
    }

    /// The elements in row-major order as `f64` (see [`Element::to_f64`]). A byte that is no `bool` counts as
    /// `true`.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([true, false]).iter_f64().sum::<f64>(), 1.0);
    /// ```
    pub fn iter_f64(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.bytes().chunks_exact(self.dtype.size().max(1)).map(|bytes| read_f64(self.dtype, bytes))
    }

    fn check_dtype<T: Element>(&self) -> Result<()> {
        if self.dtype == T::DTYPE {
            Ok(())
        } else {
            Err(TensorError::DTypeMismatch { want: T::DTYPE, got: self.dtype })
        }
    }

    fn too_large(&self) -> TensorError {
        TensorError::TooLarge { dtype: self.dtype, shape: self.shape.clone() }
    }
}

/// # Objects
impl Value {
    /// A scalar that is an object, of a dtype [of objects](DType::is_object).
    ///
    /// Fails with [`NotBytes`](TensorError::NotBytes) for other dtypes.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tidemill_tensor::{DType, Value};
    /// let value = Value::object(DType::Variant, Arc::new("anything"))?;
    /// assert_eq!(value.as_object::<&str>(), Some(&"anything"));
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn object(dtype: DType, object: Arc<dyn std::any::Any + Send + Sync>) -> Result<Value> {
        Value::from_objects(dtype, Shape::scalar(), vec![Some(object)])
    }

    /// A tensor of objects.
    ///
    /// Fails with [`LengthMismatch`](TensorError::LengthMismatch) where the shape has another number of elements, and as
    /// [`object`](Self::object) does.
    pub fn from_objects(dtype: DType, shape: impl Into<Shape>, objects: Vec<Object>) -> Result<Value> {
        let shape = shape.into();
        if !dtype.is_object() {
            return Err(TensorError::NotBytes { dtype });
        }
        check_length(&shape, objects.len())?;
        Ok(Value { dtype, shape, storage: Arc::new(Storage::Objects(dtype, objects)) })
    }

    fn nothings(dtype: DType, shape: Shape) -> Result<Value> {
        let too_large = || TensorError::TooLarge { dtype, shape: shape.clone() };
        let len = shape.checked_num_elements().ok_or_else(too_large)?;
        let mut objects: Vec<Object> = vec![];
        objects.try_reserve_exact(len).map_err(|_| too_large())?;
        objects.resize(len, None);
        Value::from_objects(dtype, shape, objects)
    }

    /// The objects, in row-major order; none of a value whose elements are bytes.
    pub fn objects(&self) -> &[Object] {
        match &*self.storage {
            Storage::Objects(_, objects) => objects,
            _ => &[],
        }
    }

    /// The object that this scalar is, if it is a `T`.
    pub fn as_object<T: 'static>(&self) -> Option<&T> {
        match self.objects() {
            [Some(object)] => object.downcast_ref(),
            _ => None,
        }
    }

    /// The objects, without a copy of them where this is the only value over them.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tidemill_tensor::{DType, Value};
    /// let value = Value::object(DType::Variant, Arc::new(1u8))?;
    /// let object = value.into_objects().pop().flatten().unwrap();
    /// assert_eq!(Arc::strong_count(&object), 1);
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn into_objects(self) -> Vec<Object> {
        match Arc::try_unwrap(self.storage) {
            Ok(Storage::Objects(_, objects)) => objects,
            Ok(_) => vec![],
            Err(shared) => match &*shared {
                Storage::Objects(_, objects) => objects.clone(),
                _ => vec![],
            },
        }
    }
}

/// # Growing and shrinking
impl Value {
    /// The value with `len` slices along axis 0: the first of its own, and zeros. Where this is the only value over aligned bytes, they
    /// stay where they are if there is room, and room is made for as many again when there is none, so that growing slice by slice costs what the
    /// slices do.
    ///
    /// Fails with [`NotBytes`](TensorError::NotBytes) for objects, with [`ShapeMismatch`](TensorError::ShapeMismatch) of a scalar, and with
    /// [`TooLarge`](TensorError::TooLarge) where the bytes cannot be allocated.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// let value = Value::from([[1, 2]]);
    /// assert_eq!(value.with_slices(2)?, Value::from([[1, 2], [0, 0]]));
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn with_slices(self, len: usize) -> Result<Value> {
        let Value { dtype, shape, mut storage } = self;
        let Some((_, rest)) = shape.split_first() else {
            return Err(TensorError::ShapeMismatch { want: Shape::from([len]), got: shape });
        };
        if dtype.is_object() {
            return Err(TensorError::NotBytes { dtype });
        }
        let want: Shape = [len].into_iter().chain(rest.iter().copied()).collect();
        let too_large = || TensorError::TooLarge { dtype, shape: want.clone() };
        let size = want.num_bytes(dtype).filter(|s| *s < isize::MAX as usize / 2).ok_or_else(too_large)?;
        let bytes = match Arc::get_mut(&mut storage) {
            Some(Storage::Aligned(bytes)) => bytes,
            _ => {
                let mut copy = storage::allocate(dtype, &want)?;
                let old = storage.bytes();
                copy.extend_from_slice(&old[..old.len().min(size)]);
                storage = Arc::new(Storage::Aligned(copy));
                match Arc::get_mut(&mut storage) {
                    Some(Storage::Aligned(bytes)) => bytes,
                    _ => return Err(too_large()),
                }
            }
        };
        if size > bytes.len() {
            let more = size - bytes.len();
            // Amortised where that can be had, exact where not.
            if bytes.try_reserve(more).is_err() {
                bytes.try_reserve_exact(more).map_err(|_| too_large())?;
            }
            storage::append_zeros(bytes, more);
        } else {
            bytes.truncate(size);
        }
        Ok(Value { dtype, shape: want, storage })
    }
}

/// # Conversion
impl Value {
    /// The same elements under another shape of as many elements; the buffer is shared.
    ///
    /// Fails with [`ShapeMismatch`](TensorError::ShapeMismatch) where the numbers of elements differ.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// assert_eq!(Value::from([1, 2, 3, 4]).reshape([2, 2])?, Value::from([[1, 2], [3, 4]]));
    /// # Ok::<(), tidemill_tensor::TensorError>(())
    /// ```
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Value> {
        let shape = shape.into();
        if shape.checked_num_elements() != Some(self.num_elements()) {
            return Err(TensorError::ShapeMismatch { want: shape, got: self.shape.clone() });
        }
        Ok(Value { dtype: self.dtype, shape, storage: Arc::clone(&self.storage) })
    }

    /// The elements converted to `dtype`; the buffer is shared where they are of it already.
    ///
    /// - float to float and integer to float round to nearest, ties to even;
    /// - float to integer truncates toward zero, saturates at the bounds, and takes NaN as 0;
    /// - integer to integer keeps the low bits, as `as` does;
    /// - to `bool` is `element != 0`, so NaN is `true`; from `bool` is 0 or 1;
    /// - from a complex number to any other is its real part converted.
    ///
    /// ```
    /// use tidemill_tensor::{DType, Value};
    /// let value = Value::from([1.9_f32, -1e9, f32::NAN]);
    /// assert_eq!(value.cast(DType::I8), Value::from([1_i8, -128, 0]));
    /// assert_eq!(value.cast(DType::Bool), Value::from([true, true, true]));
    /// ```
    pub fn cast(&self, dtype: DType) -> Value {
        crate::cast::cast(self, dtype)
    }
}

/// # Comparison
impl Value {
    /// Whether dtype, shape and every byte are equal: NaNs of one bit pattern are, 0 and -0 are not. Objects equal only themselves.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// let nan = Value::from(f32::NAN);
    /// assert!(nan.bitwise_eq(&nan) && nan != nan);
    /// ```
    pub fn bitwise_eq(&self, other: &Value) -> bool {
        self.dtype == other.dtype
            && self.shape == other.shape
            && self.bytes() == other.bytes()
            && (!self.dtype.is_object() || self.ptr_eq(other))
    }

    /// Whether dtype and shape are equal and `|a - b| <= atol + rtol * |b|` for every pair of elements, where
    /// `b` is of `other`.
    ///
    /// NaN is close to NaN only, an infinity to itself only, and a `bool` to itself only. Differences are taken
    /// in `f64`; of complex numbers, `|.|` is the modulus.
    ///
    /// ```
    /// use tidemill_tensor::Value;
    /// let (a, b) = (Value::from([1.0, f64::NAN]), Value::from([1.0 + 1e-9, f64::NAN]));
    /// assert!(a.allclose(&b, 1e-6, 0.0));
    /// assert!(!a.allclose(&b, 0.0, 1e-12));
    /// ```
    pub fn allclose(&self, other: &Value, rtol: f64, atol: f64) -> bool {
        if self.dtype != other.dtype || self.shape != other.shape {
            return false;
        }
        if self.dtype == DType::Bool {
            return self.iter_f64().eq(other.iter_f64());
        }
        let close = |a: Complex<f64>, b: Complex<f64>, least: f64| {
            // Where nothing is imaginary this is exact.
            let modulus = |z: Complex<f64>| if z.im == 0.0 { z.re.abs() } else { z.norm() };
            let difference = modulus(a - b);
            difference.is_finite() && difference.max(least) <= atol + rtol * modulus(b)
        };
        dispatch!(self.dtype, T => match (self.as_slice::<T>(), other.as_slice::<T>()) {
            (Ok(a), Ok(b)) => a.iter().zip(b).all(|(a, b)| {
                // Integers that differ do so by 1 or more, even where their f64s are equal.
                let least = if T::DTYPE.is_integer() { 1.0 } else { 0.0 };
                a == b || both_nan(*a, *b) || close(a.to_c128(), b.to_c128(), least)
            }),
            _ => false,
        }, else => false)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.dtype == other.dtype
            && self.shape == other.shape
            && dispatch!(self.dtype, T => match (self.as_slice::<T>(), other.as_slice::<T>()) {
                (Ok(a), Ok(b)) => a == b,
                _ => false,
            }, else => false)
    }
}

#[allow(clippy::eq_op)]
fn both_nan<T: Element>(a: T, b: T) -> bool {
    a != a && b != b
}

fn check_length(shape: &Shape, got: usize) -> Result<()> {
    let want = shape.checked_num_elements();
    if want == Some(got) {
        return Ok(());
    }
    let want = want.unwrap_or(usize::MAX);
    Err(TensorError::LengthMismatch { shape: shape.clone(), want, got, unit: "elements" })
}

/// The element that `bytes` encodes, as an `f64`. `bytes` has the size of the dtype, and any alignment.
fn read_f64(dtype: DType, bytes: &[u8]) -> f64 {
    if dtype == DType::Bool {
        return f64::from(u8::from(bytes != [0]));
    }
    dispatch!(dtype, T => {
        bytemuck::checked::try_pod_read_unaligned::<T>(bytes).unwrap_or_default().to_f64()
    }, else => 0.0)
}

#[cfg(test)]
mod tests;
