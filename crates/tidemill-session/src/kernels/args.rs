//! How a running kernel reaches its data.

use std::marker::PhantomData;
use std::ops::Range;

use tidemill_core::{DType, Error, Result, Shape};
use tidemill_tensor::{Element, dispatch_float, dispatch_int};

use super::parallel::{Pool, Stop};

/// One buffer of a run: where it is, how long, and what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawBuf {
    pub(crate) ptr: *mut u8,
    pub(crate) bytes: usize,
    pub(crate) dtype: DType,
}

impl RawBuf {
    /// A buffer of no bytes.
    pub(crate) const EMPTY: RawBuf =
        RawBuf { ptr: std::ptr::without_provenance_mut(64), bytes: 0, dtype: DType::Bool };

    fn len<T: Element>(&self) -> usize {
        assert!(self.dtype == T::DTYPE, "kernel reads {} as {}", self.dtype, T::DTYPE);
        self.bytes / size_of::<T>()
    }
}

/// The inputs and outputs of one step.
///
/// The planner upholds: every buffer is live for the step, as long as its type says, aligned for its dtype, and holds valid
/// elements of that dtype; outputs overlap neither each other nor inputs (except as [`Step::in_place`](super::Step::in_place)
/// allows).
pub struct Args<'a> {
    table: &'a [RawBuf],
    slots: &'a [u32],
    num_inputs: usize,
    taken: u64,
    pool: Option<&'a Pool>,
    stop: &'a Stop<'a>,
    _data: PhantomData<&'a mut [u8]>,
}

impl<'a> Args<'a> {
    /// # Safety
    /// The buffers of `table` named by `slots` (inputs first) are as the type's documentation says, for `'a`.
    pub(crate) unsafe fn new(table: &'a [RawBuf], slots: &'a [u32], num_inputs: usize) -> Args<'a> {
        Args { table, slots, num_inputs, taken: 0, pool: None, stop: Stop::NEVER, _data: PhantomData }
    }

    /// With threads to share the work with, and a time to stop.
    pub(crate) fn shared_by(self, pool: &'a Pool, stop: &'a Stop<'a>) -> Args<'a> {
        Args { pool: Some(pool), stop, ..self }
    }

    /// Calls `f(0)`, ..., `f(tasks - 1)`, each once, in any order and on the session's threads; returns when all are done. A run that is cancelled or too late
    /// begins no more of them.
    ///
    /// Handing a task to another thread costs some microseconds, so what is small is one task. For results that do not depend on the number of threads, neither
    /// may the tasks.
    ///
    /// # Errors
    /// An error of `f`, `Cancelled` or `DeadlineExceeded`.
    pub fn each_task(&self, tasks: usize, f: &(dyn Fn(usize) -> Result<()> + Sync)) -> Result<()> {
        match (tasks, self.pool) {
            (1, _) => f(0),
            (_, Some(pool)) => pool.each(tasks, self.stop, f),
            (_, None) => (0..tasks).try_for_each(f),
        }
    }

    /// [`each_task`](Args::each_task) for the stretches of `grain` elements that `n` elements are cut into: `f` gets where each begins and ends. What is not
    /// worth being shared is one stretch.
    ///
    /// # Errors
    /// As [`each_task`](Args::each_task).
    pub fn each_stretch(
        &self,
        n: usize,
        grain: usize,
        f: &(dyn Fn(Range<usize>) -> Result<()> + Sync),
    ) -> Result<()> {
        if n < 2 * grain {
            return f(0..n);
        }
        let tasks = n / grain;
        self.each_task(tasks, &|i| f(i * grain..if i + 1 == tasks { n } else { (i + 1) * grain }))
    }

    fn buffer(&self, i: usize) -> RawBuf {
        self.table[self.slots[i] as usize]
    }

    /// How many inputs there are.
    pub fn num_inputs(&self) -> usize {
        self.num_inputs
    }

    /// How many elements output `i` has.
    pub fn num_elements(&self, i: usize) -> usize {
        let buffer = self.buffer(self.num_inputs + i);
        buffer.bytes / buffer.dtype.size()
    }

    /// The elements of input `i`. In a step that declares `in_place`, only until the first element of output 0 is written.
    ///
    /// # Panics
    /// When the input is of another dtype.
    pub fn input<T: Element>(&self, i: usize) -> &'a [T] {
        assert!(i < self.num_inputs);
        let buffer = self.buffer(i);
        let len = buffer.len::<T>();
        // SAFETY: live for 'a, of `len` valid elements and aligned, not written by this step (type's documentation).
        unsafe { std::slice::from_raw_parts(buffer.ptr.cast(), len) }
    }

    /// The elements of output `i`; each output can be taken once.
    ///
    /// # Panics
    /// When the output is of another dtype, or taken already.
    pub fn output<T: Element>(&mut self, i: usize) -> &'a mut [T] {
        let bit = 1u64 << i.min(63);
        assert!(self.taken & bit == 0 || i > 62, "output {i} is taken twice");
        self.taken |= bit;
        let buffer = self.buffer(self.num_inputs + i);
        let len = buffer.len::<T>();
        // SAFETY: live for 'a, of `len` valid elements and aligned, overlapping nothing else (type's documentation), and this
        // is the only reference handed out (checked above; outputs past 62 are reached through `output_ptr` only by the
        // kernels of this crate, one reference each).
        unsafe { std::slice::from_raw_parts_mut(buffer.ptr.cast(), len) }
    }

    /// The bytes of output `i`, whatever its dtype: what is written must be valid elements. Each output can be taken once.
    pub(crate) fn output_bytes(&mut self, i: usize) -> &'a mut [u8] {
        let bit = 1u64 << i.min(63);
        assert!(self.taken & bit == 0 || i > 62, "output {i} is taken twice");
        self.taken |= bit;
        let (ptr, bytes) = self.output_raw(i);
        // SAFETY: as in `output`.
        unsafe { std::slice::from_raw_parts_mut(ptr, bytes) }
    }

    /// The bytes of input `i`, whatever its dtype.
    pub fn input_bytes(&self, i: usize) -> &'a [u8] {
        assert!(i < self.num_inputs);
        let buffer = self.buffer(i);
        // SAFETY: as in `input`; any initialised byte is a valid u8.
        unsafe { std::slice::from_raw_parts(buffer.ptr, buffer.bytes) }
    }

    /// The elements of the integer input `i`, whatever its dtype.
    ///
    /// # Panics
    /// When the input is not of an integer dtype.
    pub fn ints(&self, i: usize) -> Ints<'a> {
        assert!(i < self.num_inputs);
        match self.buffer(i).dtype {
            DType::I8 => Ints::I8(self.input(i)),
            DType::I16 => Ints::I16(self.input(i)),
            DType::I32 => Ints::I32(self.input(i)),
            DType::I64 => Ints::I64(self.input(i)),
            DType::U8 => Ints::U8(self.input(i)),
            DType::U16 => Ints::U16(self.input(i)),
            DType::U32 => Ints::U32(self.input(i)),
            DType::U64 => Ints::U64(self.input(i)),
            other => panic!("kernel reads {other} as integers"),
        }
    }

    /// Sets element `at` of the integer output `i`, whatever its dtype, which must not be taken.
    pub(crate) fn set_int(&mut self, i: usize, at: usize, value: i64) {
        let buffer = self.buffer(self.num_inputs + i);
        assert!(self.taken & (1 << i.min(63)) == 0, "output {i} is taken");
        dispatch_int!(buffer.dtype, T => {
            assert!(at < buffer.len::<T>());
            // SAFETY: inside of the output, which nobody else holds (checked above).
            unsafe { buffer.ptr.cast::<T>().add(at).write(T::from_i64(value)) }
        }, else => panic!("kernel writes integers as {}", buffer.dtype))
    }

    /// Where input `i` starts, and how many elements it has. Valid to read until the step ends, or, in a step that declares
    /// `in_place`, until the output element of the same index is written.
    pub fn input_ptr<T: Element>(&self, i: usize) -> (*const T, usize) {
        assert!(i < self.num_inputs);
        let buffer = self.buffer(i);
        (buffer.ptr.cast(), buffer.len::<T>())
    }

    /// Where output `i` starts, and how many elements it has. Valid to write until the step ends.
    pub fn output_ptr<T: Element>(&self, i: usize) -> (*mut T, usize) {
        let buffer = self.buffer(self.num_inputs + i);
        (buffer.ptr.cast(), buffer.len::<T>())
    }

    /// Where the bytes of input `i` start.
    pub fn input_raw(&self, i: usize) -> *const u8 {
        assert!(i < self.num_inputs);
        self.buffer(i).ptr
    }

    /// Where the bytes of output `i` start, and how many there are.
    pub fn output_raw(&self, i: usize) -> (*mut u8, usize) {
        let buffer = self.buffer(self.num_inputs + i);
        (buffer.ptr, buffer.bytes)
    }
}

/// Integers of any dtype, read as `i64`: kernels that look at each index once need no copy of their code for each dtype of indices.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Ints<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
}

impl Ints<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Ints::I8(x) => x.len(),
            Ints::I16(x) => x.len(),
            Ints::I32(x) => x.len(),
            Ints::I64(x) => x.len(),
            Ints::U8(x) => x.len(),
            Ints::U16(x) => x.len(),
            Ints::U32(x) => x.len(),
            Ints::U64(x) => x.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number `i`.
    ///
    /// # Panics
    /// When there are not so many.
    #[inline(always)]
    pub fn get(&self, i: usize) -> i64 {
        match self {
            Ints::I8(x) => x[i].into(),
            Ints::I16(x) => x[i].into(),
            Ints::I32(x) => x[i].into(),
            Ints::I64(x) => x[i],
            Ints::U8(x) => x[i].into(),
            Ints::U16(x) => x[i].into(),
            Ints::U32(x) => x[i].into(),
            Ints::U64(x) => x[i] as i64,
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }
}

/// What a [`CpuKernel`](super::CpuKernel) sees: typed inputs and outputs with their shapes.
pub struct KernelCx<'r, 'a> {
    args: &'r mut Args<'a>,
    inputs: &'r [(DType, Shape)],
    outputs: &'r [(DType, Shape)],
}

impl<'r, 'a> KernelCx<'r, 'a> {
    pub(crate) fn new(
        args: &'r mut Args<'a>,
        inputs: &'r [(DType, Shape)],
        outputs: &'r [(DType, Shape)],
    ) -> KernelCx<'r, 'a> {
        KernelCx { args, inputs, outputs }
    }

    /// How many inputs there are.
    pub fn num_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The dtype of input `i`.
    pub fn dtype(&self, i: usize) -> DType {
        self.inputs[i].0
    }

    /// The shape of input `i`.
    pub fn shape(&self, i: usize) -> &'r Shape {
        &self.inputs[i].1
    }

    /// The dtype of output `i`.
    pub fn output_dtype(&self, i: usize) -> DType {
        self.outputs[i].0
    }

    /// The shape of output `i`.
    pub fn output_shape(&self, i: usize) -> &'r Shape {
        &self.outputs[i].1
    }

    /// The elements of input `i`, row-major.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no such input or it is of another dtype.
    pub fn input<T: Element>(&self, i: usize) -> Result<&'a [T]> {
        check("input", self.inputs.get(i), i, T::DTYPE)?;
        Ok(self.args.input(i))
    }

    /// The elements of output `i`, row-major, to be filled; each output can be taken once.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no such output or it is of another dtype.
    pub fn output<T: Element>(&mut self, i: usize) -> Result<&'a mut [T]> {
        check("output", self.outputs.get(i), i, T::DTYPE)?;
        Ok(self.args.output(i))
    }

    /// Fills output 0 with `f` of each element of input 0, for any floating dtype: computed in `f64` and rounded.
    ///
    /// # Errors
    /// `InvalidArgument` when input 0 or output 0 is not of a floating dtype, or they differ in dtype or size.
    pub fn map(&mut self, f: impl Fn(f64) -> f64) -> Result<()> {
        let (dtype, shape) = self.inputs.first().ok_or_else(|| Error::invalid("map needs an input"))?;
        if self.outputs.first() != Some(&(*dtype, shape.clone())) {
            return Err(Error::invalid("map needs an output of the input's dtype and shape"));
        }
        dispatch_float!(*dtype, T => {
            let (x, y) = (self.input::<T>(0)?, self.output::<T>(0)?);
            for (y, x) in y.iter_mut().zip(x) {
                *y = T::from_f64(f(x.to_f64()));
            }
            Ok(())
        }, else => Err(Error::invalid(format!("map computes floating dtypes, not {dtype}"))))
    }
}

fn check(what: &str, have: Option<&(DType, Shape)>, i: usize, want: DType) -> Result<()> {
    match have {
        None => Err(Error::invalid(format!("the kernel has no {what} {i}"))),
        Some((dtype, _)) if *dtype != want => {
            Err(Error::invalid(format!("the kernel takes {what} {i} as {want}, but it is {dtype}")))
        }
        Some(_) => Ok(()),
    }
}
