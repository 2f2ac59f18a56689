//! Kernels of `ops::linalg`.

use std::sync::{Mutex, PoisonError};

use tidemill_core::ops::{DiagPart, Qr};
use tidemill_core::{DType, Error, Result};
use tidemill_tensor::{Element, dispatch_numeric};

use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Qr>(|op, cx| match cx.dtype(0) {
        DType::F32 => qr::<f32>(op, cx),
        DType::F64 => qr::<f64>(op, cx),
        dtype => Err(Error::unimplemented(format!("Qr of {dtype}"))),
    });
    table.compiled::<DiagPart>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => diag_part::<T>(cx), else => {
            Err(Error::unimplemented("DiagPart of this dtype"))
        })
    });
}

/// Householder's method, in `f64` throughout. The diagonal of `r` has the signs that LAPACK and Eigen give it.
fn qr<T: Element>(op: &Qr, cx: &CompileCx) -> Result<Compiled> {
    let shape = cx.shape(0);
    let [.., m, n] = shape.dims() else { return Err(Error::internal("Qr of a vector")) };
    let (m, n) = (*m, *n);
    let p = if op.full_matrices { m } else { m.min(n) };
    // The matrix becomes R above the diagonal and the reflections' vectors below; `q` is worked on apart.
    let scratch = Mutex::new([vec![0f64; m * n], vec![0f64; m * p], vec![0f64; m.min(n)]]);
    Compiled::step(move |args: &mut Args| {
        let (x, q_out, r_out) = (args.input::<T>(0), args.output::<T>(0), args.output::<T>(1));
        if m * n == 0 {
            // No reflection: `q` is the identity, and `r` empty.
            for (i, q) in q_out.iter_mut().enumerate() {
                *q = T::from_f64(if i / p % m == i % p { 1.0 } else { 0.0 });
            }
            return Ok(());
        }
        let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let [a, q, scales] = &mut *scratch;
        let outputs = q_out.chunks_exact_mut(m * p).zip(r_out.chunks_exact_mut(p * n));
        for (x, (q_out, r_out)) in x.chunks_exact(m * n).zip(outputs) {
            a.iter_mut().zip(x).for_each(|(a, x)| *a = x.to_f64());
            factorise(a, q, scales, [m, n, p]);
            q_out.iter_mut().zip(&*q).for_each(|(out, q)| *out = T::from_f64(*q));
            for (i, row) in r_out.chunks_exact_mut(n).enumerate() {
                for (j, out) in row.iter_mut().enumerate() {
                    *out = T::from_f64(if i <= j { a[i * n + j] } else { 0.0 });
                }
            }
        }
        Ok(())
    })
}

/// `a: [m, n]` becomes R on and above the diagonal; `q: [m, p]` becomes Q.
fn factorise(a: &mut [f64], q: &mut [f64], scales: &mut [f64], [m, n, p]: [usize; 3]) {
    let steps = m.min(n);
    for k in 0..steps {
        let tail: f64 = (k + 1..m).map(|i| a[i * n + k] * a[i * n + k]).sum();
        let head = a[k * n + k];
        if tail <= f64::MIN_POSITIVE {
            scales[k] = 0.0;
            continue;
        }
        // The reflection I - scale · v vᵀ, with v[k] = 1, takes the column to (beta, 0, ..., 0).
        let norm = (head * head + tail).sqrt();
        let beta = if head >= 0.0 { -norm } else { norm };
        scales[k] = (beta - head) / beta;
        for i in k + 1..m {
            a[i * n + k] /= head - beta;
        }
        a[k * n + k] = beta;
        for j in k + 1..n {
            let dot = a[k * n + j] + (k + 1..m).map(|i| a[i * n + k] * a[i * n + j]).sum::<f64>();
            let step = scales[k] * dot;
            a[k * n + j] -= step;
            for i in k + 1..m {
                a[i * n + j] -= a[i * n + k] * step;
            }
        }
    }
    q.fill(0.0);
    (0..p.min(m)).for_each(|i| q[i * p + i] = 1.0);
    for k in (0..steps).rev() {
        for j in 0..p {
            let dot = q[k * p + j] + (k + 1..m).map(|i| a[i * n + k] * q[i * p + j]).sum::<f64>();
            let step = scales[k] * dot;
            q[k * p + j] -= step;
            for i in k + 1..m {
                q[i * p + j] -= a[i * n + k] * step;
            }
        }
    }
}

fn diag_part<T: Element>(_: &CompileCx) -> Result<Compiled> {
    Compiled::step(|args: &mut Args| {
        let (x, out) = (args.input::<T>(0), args.output::<T>(0));
        // Seen as a square matrix, whatever the rank.
        let stride = out.len() + 1;
        out.iter_mut().enumerate().for_each(|(i, out)| *out = x[i * stride]);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use tidemill_core::Value;

    use super::super::testing::eval;
    use super::*;

    #[track_caller]
    fn check(full_matrices: bool, batch: usize, m: usize, n: usize) {
        let x: Vec<f64> =
            (0..batch * m * n).map(|i| ((i * i * 37 + i * 11) % 101) as f64 / 10.0 - 5.0).collect();
        let value = Value::from_vec([batch, m, n], x.clone()).unwrap();
        let factors = eval(Qr { full_matrices }, &[value]);
        let p = if full_matrices { m } else { m.min(n) };
        let (q, r) = (factors[0].to_vec::<f64>().unwrap(), factors[1].to_vec::<f64>().unwrap());
        for b in 0..batch {
            let q = |i: usize, j: usize| q[(b * m + i) * p + j];
            let r = |i: usize, j: usize| r[(b * p + i) * n + j];
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
            for i in 0..p {
                for j in 0..p {
                    near((0..m).map(|k| q(k, i) * q(k, j)).sum(), f64::from(u8::from(i == j)));
                }
                (0..n.min(i)).for_each(|j| near(r(i, j), 0.0));
            }
            for i in 0..m {
                for j in 0..n {
                    near((0..p).map(|k| q(i, k) * r(k, j)).sum(), x[(b * m + i) * n + j]);
                }
            }
        }
    }

    #[test]
    fn factors() {
        for (m, n) in [(1, 1), (3, 2), (2, 3), (5, 5), (70, 66)] {
            check(false, 1, m, n);
        }
        check(true, 3, 4, 2);
        check(true, 1, 2, 4);
    }

    /// As TensorFlow 2.21 gives them, signs included.
    #[test]
    fn signs() {
        let x = Value::from([[1f32, 2.0], [3.0, 4.0], [0.0, 1.0]]);
        let factors = eval(Qr { full_matrices: false }, &[x]);
        let q =
            Value::from([[-0.316_227_77f32, 0.507_092_5], [-0.948_683_3, -0.169_030_85], [0.0, 0.845_154_2]]);
        let r = Value::from([[-3.162_277_7f32, -4.427_189], [0.0, 1.183_216]]);
        assert!(factors[0].allclose(&q, 1e-6, 1e-7) && factors[1].allclose(&r, 1e-6, 1e-7), "{factors:?}");
        let negative = eval(Qr { full_matrices: false }, &[Value::from([[-1f32, 2.0], [3.0, 4.0]])]);
        assert!(negative[1].allclose(
            &Value::from([[3.162_277_7f32, 3.162_277_7], [0.0, 3.162_277_7]]),
            1e-6,
            0.0
        ));
        let zero = eval(Qr { full_matrices: false }, &[Value::from([[0f32, 0.0], [0.0, 0.0]])]);
        assert_eq!(zero[0], Value::from([[1f32, 0.0], [0.0, 1.0]]));
    }

    #[test]
    fn diagonals() {
        assert_eq!(eval(DiagPart, &[Value::from([[1, 2], [3, 4]])]), [Value::from([1, 4])]);
        let x = Value::from_vec([2, 2, 2, 2], (0..16).collect::<Vec<i32>>()).unwrap();
        assert_eq!(eval(DiagPart, &[x]), [Value::from([[0, 5], [10, 15]])]);
    }
}
