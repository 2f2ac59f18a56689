//! Kernels of `ops::random`: TensorFlow's numbers, bit for bit where they are uniform.
//!
//! Each node has a generator that lives as long as the session. A run draws from where it stands, and moves it on by 256
//! counters for each element, as TensorFlow does whatever is used of them.

use std::f64::consts::TAU;
use std::sync::{Mutex, PoisonError};

use tidemill_core::ops::{
    RandomShuffle, RandomStandardNormal, RandomUniform, RandomUniformInt, TruncatedNormal,
};
use tidemill_core::{DType, Error, Result};
use tidemill_tensor::Element;
use tidemill_tensor::half::{bf16, f16};

use super::philox::{BATCH, PER_COUNTER, Philox, Singles};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<RandomUniform>(|op, cx| match op.dtype {
        DType::F32 => draw(cx, op.seed, op.seed2, |[x]: [u32; 1]| [unit_f32(x)]),
        DType::F64 => draw(cx, op.seed, op.seed2, |x: [u32; 2]| [unit_f64(x)]),
        DType::F16 => draw(cx, op.seed, op.seed2, |[x]: [u32; 1]| [unit_f16(x)]),
        DType::BF16 => draw(cx, op.seed, op.seed2, |[x]: [u32; 1]| [unit_bf16(x)]),
        dtype => unsupported(dtype),
    });
    table.compiled::<RandomStandardNormal>(|op, cx| match op.dtype {
        DType::F32 => draw(cx, op.seed, op.seed2, normal_f32),
        DType::F64 => draw(cx, op.seed, op.seed2, normal_f64),
        DType::F16 => draw(cx, op.seed, op.seed2, |x| normal_f32(x).map(f16::from_f32)),
        DType::BF16 => draw(cx, op.seed, op.seed2, |x| normal_f32(x).map(bf16::from_f32)),
        dtype => unsupported(dtype),
    });
    table.compiled::<TruncatedNormal>(|op, cx| match op.dtype {
        DType::F32 => truncated(cx, op, normal_f32, |x| x),
        DType::F64 => truncated(cx, op, normal_f64, |x| x),
        DType::F16 => truncated(cx, op, normal_f32, f16::from_f32),
        DType::BF16 => truncated(cx, op, normal_f32, bf16::from_f32),
        dtype => unsupported(dtype),
    });
    table.compiled::<RandomUniformInt>(|op, cx| match cx.output_dtype(0) {
        DType::I32 => integers::<i32, 1>(cx, op, |[x]| u64::from(x)),
        DType::I64 => integers::<i64, 2>(cx, op, |[low, high]| u64::from(high) << 32 | u64::from(low)),
        dtype => unsupported(dtype),
    });
    table.compiled::<RandomShuffle>(shuffle);
}

fn unsupported(dtype: DType) -> Result<Compiled> {
    Err(Error::unimplemented(format!("random numbers of {dtype}")))
}

/// Counters that a run reserves for each element.
const COUNTERS_PER_ELEMENT: u64 = 256;

/// A node's generator.
struct Stream(Mutex<Philox>);

impl Stream {
    fn of(cx: &CompileCx, seed: i64, seed2: i64) -> std::sync::Arc<Stream> {
        cx.state(|| Stream(Mutex::new(Philox::new(seed, seed2))))
    }

    fn reserve(&self, counters: u64) -> Philox {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reserve(counters)
    }

    fn reserve_elements(&self, elements: usize) -> Philox {
        self.reserve((elements as u64).wrapping_mul(COUNTERS_PER_ELEMENT))
    }
}

/// A step in which every `N` random numbers give `M` elements.
fn draw<T: Element, const N: usize, const M: usize>(
    cx: &CompileCx,
    seed: i64,
    seed2: i64,
    f: impl Fn([u32; N]) -> [T; M] + Send + Sync + 'static,
) -> Result<Compiled> {
    let stream = Stream::of(cx, seed, seed2);
    let level = cx.level();
    Compiled::step(move |args: &mut Args| {
        let out = args.output::<T>(0);
        let mut generator = stream.reserve_elements(out.len());
        let mut numbers = [0; BATCH];
        for out in out.chunks_mut(BATCH / N * M) {
            let numbers = &mut numbers[..out.len().div_ceil(M) * N];
            generator.fill(level, numbers);
            for (out, numbers) in out.chunks_mut(M).zip(numbers.chunks_exact(N)) {
                let values = f(std::array::from_fn(|i| numbers[i]));
                out.copy_from_slice(&values[..out.len()]);
            }
        }
        Ok(())
    })
}

/// The low bits as the mantissa of a number in `[1, 2)`, less 1.
fn unit_f32(x: u32) -> f32 {
    f32::from_bits(127 << 23 | (x & 0x7f_ffff)) - 1.0
}

fn unit_f64([high, low]: [u32; 2]) -> f64 {
    f64::from_bits(1023 << 52 | u64::from(high & 0xf_ffff) << 32 | u64::from(low)) - 1.0
}

fn unit_f16(x: u32) -> f16 {
    f16::from_bits(15 << 10 | (x & 0x3ff) as u16) - f16::ONE
}

fn unit_bf16(x: u32) -> bf16 {
    bf16::from_bits(127 << 7 | (x & 0x7f) as u16) - bf16::ONE
}

/// The smallest number that the logarithm in Box and Muller's transform is taken of.
const SMALLEST: f64 = 1e-7;

/// Two independent normal numbers from two uniform ones (Box and Muller, 1958).
fn normal_f32([x, y]: [u32; 2]) -> [f32; 2] {
    let radius = (-2.0 * unit_f32(x).max(SMALLEST as f32).ln()).sqrt();
    let angle = (TAU * f64::from(unit_f32(y))) as f32;
    let (sin, cos) = angle.sin_cos();
    [sin * radius, cos * radius]
}

fn normal_f64([a, b, c, d]: [u32; 4]) -> [f64; 2] {
    let radius = (-2.0 * unit_f64([a, b]).max(SMALLEST).ln()).sqrt();
    let angle = TAU * unit_f64([c, d]);
    let (sin, cos) = angle.sin_cos();
    [sin * radius, cos * radius]
}

/// Normal numbers of magnitude below 2: from each group's own part of the stream, pairs are drawn until the group is full.
fn truncated<W, T, const N: usize>(
    cx: &CompileCx,
    op: &TruncatedNormal,
    pair: fn([u32; N]) -> [W; 2],
    narrow: fn(W) -> T,
) -> Result<Compiled>
where
    W: Element,
    T: Element,
{
    let stream = Stream::of(cx, op.seed, op.seed2);
    // A counter's four numbers make a group of four elements, or of two that take two numbers each.
    let group = 2 * PER_COUNTER / N;
    let counters_per_group = group as u64 * COUNTERS_PER_ELEMENT / PER_COUNTER as u64;
    Compiled::step(move |args: &mut Args| {
        let out = args.output::<T>(0);
        let mut generator = stream.reserve_elements(out.len());
        for out in out.chunks_mut(group) {
            let mut numbers = Singles::new(generator.reserve(counters_per_group));
            let mut filled = 0;
            while filled < out.len() {
                for value in pair(std::array::from_fn(|_| numbers.next())) {
                    if value.to_f64().abs() < 2.0 && filled < out.len() {
                        out[filled] = narrow(value);
                        filled += 1;
                    }
                }
            }
        }
        Ok(())
    })
}

fn integers<T: Element, const N: usize>(
    cx: &CompileCx,
    op: &RandomUniformInt,
    number: fn([u32; N]) -> u64,
) -> Result<Compiled> {
    let stream = Stream::of(cx, op.seed, op.seed2);
    let level = cx.level();
    Compiled::step(move |args: &mut Args| {
        let (min, max) = (args.input::<T>(1)[0].to_i64(), args.input::<T>(2)[0].to_i64());
        let out = args.output::<T>(0);
        if out.is_empty() {
            return Ok(());
        }
        if min >= max {
            return Err(Error::invalid(format!("minval must be below maxval, but {min} >= {max}")));
        }
        let range = max.wrapping_sub(min) as u64;
        let mut generator = stream.reserve_elements(out.len());
        let mut numbers = [0; BATCH];
        for out in out.chunks_mut(BATCH / N) {
            let numbers = &mut numbers[..out.len() * N];
            generator.fill(level, numbers);
            for (out, numbers) in out.iter_mut().zip(numbers.chunks_exact(N)) {
                let offset = number(std::array::from_fn(|i| numbers[i])) % range;
                *out = T::from_i64(min.wrapping_add(offset as i64));
            }
        }
        Ok(())
    })
}

fn shuffle(op: &RandomShuffle, cx: &CompileCx) -> Result<Compiled> {
    let stream = Stream::of(cx, op.seed, op.seed2);
    let shape = cx.shape(0);
    let rows = shape.first().copied().unwrap_or(1);
    let order = Mutex::new(Vec::with_capacity(rows));
    Compiled::step(move |args: &mut Args| {
        let bytes = args.input_bytes(0);
        let (out, len) = args.output_raw(0);
        debug_assert_eq!(bytes.len(), len);
        if rows < 2 || bytes.is_empty() {
            // SAFETY: input and output are of one type and do not overlap.
            unsafe { out.copy_from_nonoverlapping(bytes.as_ptr(), len.min(bytes.len())) };
            return Ok(());
        }
        let row = bytes.len() / rows;
        let mut numbers = Singles::new(stream.reserve((rows as u64 - 1).div_ceil(PER_COUNTER as u64)));
        let mut order = order.lock().unwrap_or_else(PoisonError::into_inner);
        order.clear();
        order.extend(0..rows);
        for i in 0..rows - 1 {
            let left = (rows - i) as u32;
            order.swap(i, i + (numbers.next() % left) as usize);
        }
        for (i, from) in order.iter().enumerate() {
            let from = &bytes[from * row..(from + 1) * row];
            // SAFETY: the output has as many rows as the input, and does not overlap it.
            unsafe { out.add(i * row).copy_from_nonoverlapping(from.as_ptr(), row) };
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use tidemill_core::{Op, Value};

    use super::super::testing::{Node, try_eval};
    use super::*;

    /// The first two runs of a session, as TensorFlow 2.21 gives them.
    #[track_caller]
    fn check(op: impl Op, inputs: &[Value], tolerance: f64, expected: [Value; 2]) {
        let node = Node::new(op);
        for want in expected {
            let got = node.run(inputs).unwrap().remove(0);
            let close = if tolerance == 0.0 {
                got.bitwise_eq(&want)
            } else {
                got.allclose(&want, tolerance, tolerance)
            };
            assert!(close, "{got} instead of {want}");
        }
    }

    #[test]
    fn uniform() {
        let op = RandomUniform { seed: 7, seed2: 1 << 40 | 9, dtype: DType::F32 };
        check(
            op,
            &[Value::from([5])],
            0.0,
            [
                Value::from([0.29726517f32, 0.091332674, 0.5524403, 0.51940346, 0.4070307]),
                Value::from([0.526772f32, 0.32817674, 0.44999957, 0.9265373, 0.6191939]),
            ],
        );
        let op = RandomUniform { seed: 7, seed2: 1 << 40 | 9, dtype: DType::F64 };
        check(
            op,
            &[Value::from([5])],
            0.0,
            [
                Value::from([
                    0.37812176736319936f64,
                    0.41952232181914795,
                    0.25624616969822767,
                    0.04514052483469544,
                    0.8899329981543127,
                ]),
                Value::from([
                    0.2141763778928234f64,
                    0.5999969224008495,
                    0.9535521447198128,
                    0.3433571039369383,
                    0.041240259066520846,
                ]),
            ],
        );
        let op = RandomUniform { seed: 7, seed2: 1 << 40 | 9, dtype: DType::F16 };
        check(
            op,
            &[Value::from([5])],
            0.0,
            [
                Value::from([0.1962890625f64, 0.197265625, 0.5908203125, 0.953125, 0.3955078125])
                    .cast(DType::F16),
                Value::from([0.31640625f64, 0.423828125, 0.396484375, 0.193359375, 0.4365234375])
                    .cast(DType::F16),
            ],
        );
        let op = RandomUniform { seed: 7, seed2: 1 << 40 | 9, dtype: DType::BF16 };
        check(
            op,
            &[Value::from([5])],
            0.0,
            [
                Value::from([0.5703125f64, 0.578125, 0.7265625, 0.625, 0.1640625]).cast(DType::BF16),
                Value::from([0.53125f64, 0.390625, 0.171875, 0.546875, 0.4921875]).cast(DType::BF16),
            ],
        );
    }

    #[test]
    fn normal() {
        let op = RandomStandardNormal { seed: 7, seed2: 1 << 40 | 9, dtype: DType::F32 };
        check(
            op,
            &[Value::from([5])],
            3e-7,
            [
                Value::from([0.8456116f32, 1.3081294, -0.13248745, -1.0813265, -1.2044632]),
                Value::from([0.9983759f32, -0.53406036, -0.5628198, 1.1314819, -0.44605497]),
            ],
        );
        let op = RandomStandardNormal { seed: 7, seed2: 1 << 40 | 9, dtype: DType::F64 };
        check(
            op,
            &[Value::from([5])],
            1e-15,
            [
                Value::from([
                    0.6755478929431991f64,
                    -1.220128289587365,
                    0.4617963430627805,
                    1.5842908602445873,
                    -0.47913974495842476,
                ]),
                Value::from([
                    -1.0318514045060851f64,
                    -1.4202793719347293,
                    0.25686331736949775,
                    -0.17071488414424052,
                    1.5623284179749741,
                ]),
            ],
        );
        let op = RandomStandardNormal { seed: 7, seed2: 1 << 40 | 9, dtype: DType::F16 };
        check(
            op,
            &[Value::from([5])],
            1e-3,
            [
                Value::from([0.845703125f64, 1.30859375, -0.1324462890625, -1.0810546875, -1.2041015625])
                    .cast(DType::F16),
                Value::from([0.99853515625f64, -0.5341796875, -0.56298828125, 1.1318359375, -0.446044921875])
                    .cast(DType::F16),
            ],
        );
        let op = RandomStandardNormal { seed: 7, seed2: 1 << 40 | 9, dtype: DType::BF16 };
        check(
            op,
            &[Value::from([5])],
            8e-3,
            [
                Value::from([0.84375f64, 1.3046875, -0.1328125, -1.078125, -1.203125]).cast(DType::BF16),
                Value::from([1.0f64, -0.53515625, -0.5625, 1.1328125, -0.4453125]).cast(DType::BF16),
            ],
        );
    }

    #[test]
    fn truncated_normal() {
        let op = TruncatedNormal { seed: 7, seed2: 1 << 40 | 9, dtype: DType::F32 };
        check(
            op,
            &[Value::from([5])],
            3e-7,
            [
                Value::from([0.8456116f32, 1.3081294, -0.13248745, -1.0813265, -0.15095362]),
                Value::from([0.9983759f32, -0.53406036, -0.5628198, 1.1314819, 1.3026127]),
            ],
        );
        let op = TruncatedNormal { seed: 7, seed2: 1 << 40 | 9, dtype: DType::F64 };
        check(
            op,
            &[Value::from([5])],
            1e-15,
            [
                Value::from([
                    0.6755478929431991f64,
                    -1.220128289587365,
                    -0.016645813307163023,
                    -1.253884005683775,
                    0.41829932338957687,
                ]),
                Value::from([
                    -1.0318514045060851f64,
                    -1.4202793719347293,
                    0.4423615272272866,
                    -1.033580610616487,
                    1.564329037252644,
                ]),
            ],
        );
        let op = TruncatedNormal { seed: 7, seed2: 1 << 40 | 9, dtype: DType::F16 };
        check(
            op,
            &[Value::from([5])],
            1e-3,
            [
                Value::from([0.845703125f64, 1.30859375, -0.1324462890625, -1.0810546875, -0.1510009765625])
                    .cast(DType::F16),
                Value::from([0.99853515625f64, -0.5341796875, -0.56298828125, 1.1318359375, 1.302734375])
                    .cast(DType::F16),
            ],
        );
        let op = TruncatedNormal { seed: 7, seed2: 1 << 40 | 9, dtype: DType::BF16 };
        check(
            op,
            &[Value::from([5])],
            8e-3,
            [
                Value::from([0.84375f64, 1.3046875, -0.1328125, -1.078125, -0.1513671875]).cast(DType::BF16),
                Value::from([1.0f64, -0.53515625, -0.5625, 1.1328125, 1.3046875]).cast(DType::BF16),
            ],
        );
    }

    #[test]
    fn integers() {
        let op = RandomUniformInt { seed: 7, seed2: 9 };
        let inputs = [Value::from([5]), Value::scalar(-10i32), Value::scalar(1000i32)];
        check(
            op,
            &inputs,
            0.0,
            [Value::from([511i32, 70, 418, 883, 105]), Value::from([242i32, 976, 239, 761, 293])],
        );
        let op = RandomUniformInt { seed: 7, seed2: 9 };
        let inputs = [Value::from([5]), Value::scalar(-10i64), Value::scalar(1000i64)];
        check(
            op,
            &inputs,
            0.0,
            [Value::from([901i64, 946, 777, 434, 525]), Value::from([428i64, 955, 767, 720, 736])],
        );
    }

    #[test]
    fn shuffles() {
        let op = || RandomShuffle { seed: 7, seed2: 9 };
        check(
            op(),
            &[Value::from([0, 1, 2, 3, 4, 5, 6, 7, 8])],
            0.0,
            [Value::from([4, 5, 7, 0, 3, 2, 1, 8, 6]), Value::from([7, 1, 6, 3, 2, 0, 4, 8, 5])],
        );
        check(
            op(),
            &[Value::from([[0, 1], [2, 3], [4, 5], [6, 7]])],
            0.0,
            [Value::from([[6, 7], [0, 1], [4, 5], [2, 3]]), Value::from([[2, 3], [0, 1], [4, 5], [6, 7]])],
        );
    }

    #[test]
    fn a_group_that_is_not_full_and_many_batches() {
        let all = |n: i32| {
            let op = RandomUniform { seed: 3, seed2: 4, dtype: DType::F32 };
            Node::new(op).run(&[Value::from([n])]).unwrap().remove(0).to_vec::<f32>().unwrap()
        };
        let longest = all(1000);
        for n in [0, 1, 3, 63, 64, 65, 130] {
            assert_eq!(all(n), longest[..n as usize]);
        }
        assert!(longest.iter().all(|x| (0.0..1.0).contains(x)));
    }

    #[test]
    fn truncated_normals_stay_within_two() {
        let op = TruncatedNormal { seed: 3, seed2: 4, dtype: DType::F64 };
        let x = Node::new(op).run(&[Value::from([1999])]).unwrap().remove(0).to_vec::<f64>().unwrap();
        assert!(x.iter().all(|x| x.abs() < 2.0));
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        assert!(mean.abs() < 0.06 && (variance - 0.774).abs() < 0.06, "mean {mean}, variance {variance}");
    }

    #[test]
    fn integers_need_room() {
        let op = || RandomUniformInt { seed: 1, seed2: 2 };
        assert!(try_eval(op(), &[Value::from([2]), Value::scalar(5), Value::scalar(5)]).is_err());
        let none = try_eval(op(), &[Value::from([0]), Value::scalar(0), Value::scalar(1)]).unwrap();
        assert_eq!(none[0].num_elements(), 0);
        let (min, max) = (Value::scalar(i64::MIN), Value::scalar(i64::MAX));
        assert!(try_eval(op(), &[Value::from([9]), min, max]).is_ok());
    }

    #[test]
    fn shuffling_keeps_rows() {
        let op = RandomShuffle { seed: 0, seed2: 0 };
        let x = Value::from((0..40).map(|i| [i, -i]).collect::<Vec<_>>());
        let y = Node::new(op).run(&[x]).unwrap().remove(0).to_vec::<i32>().unwrap();
        let mut rows: Vec<i32> = y.chunks(2).inspect(|r| assert_eq!(r[0], -r[1])).map(|r| r[0]).collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..40).collect::<Vec<_>>());
    }
}
