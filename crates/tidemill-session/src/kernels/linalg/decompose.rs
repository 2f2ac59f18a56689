//! Factorisations of one matrix. The algorithms, and so the signs and phases that they leave open, are those of the Eigen library,
//! which TensorFlow uses: <https://eigen.tuxfamily.org>.

use super::matrix::{C, Matrix};

/// `a[p] = l u`, with `l` below and `u` on and above the diagonal of what `a` becomes; and the sign of the permutation.
pub(super) fn lu(a: &mut Matrix) -> (Vec<usize>, f64) {
    let n = a.rows;
    let (mut p, mut sign) = ((0..n).collect::<Vec<usize>>(), 1.0);
    for k in 0..n {
        let mut pivot = k;
        for i in k + 1..n {
            if a[[i, k]].norm() > a[[pivot, k]].norm() {
                pivot = i;
            }
        }
        if pivot != k {
            a.exchange_rows(pivot, k);
            p.swap(pivot, k);
            sign = -sign;
        }
        let head = a[[k, k]];
        if head == C::ZERO {
            continue;
        }
        for i in k + 1..n {
            let factor = a[[i, k]] / head;
            a[[i, k]] = factor;
            if factor != C::ZERO {
                for j in k + 1..n {
                    let step = factor * a[[k, j]];
                    a[[i, j]] -= step;
                }
            }
        }
    }
    (p, sign)
}

/// Whether all pivots are numbers other than 0.
pub(super) fn invertible(lu: &Matrix) -> bool {
    (0..lu.rows).all(|i| lu[[i, i]].norm() > 0.0)
}

/// The lower triangular `l` with `l lᴴ = a`, of which the lower triangle is read; `None` where there is none.
pub(super) fn cholesky(a: &Matrix) -> Option<Matrix> {
    let n = a.rows;
    let mut l = Matrix::zeros(n, n);
    for j in 0..n {
        let square = a[[j, j]].re - (0..j).map(|k| l[[j, k]].norm_sqr()).sum::<f64>();
        if !(square > 0.0 && square.is_finite()) {
            return None;
        }
        let head = square.sqrt();
        l[[j, j]] = head.into();
        for i in j + 1..n {
            let dot: C = (0..j).map(|k| l[[i, k]] * l[[j, k]].conj()).sum();
            l[[i, j]] = (a[[i, j]] - dot) / head;
        }
    }
    Some(l)
}

/// `x` with `a x = b` for a triangular `a`; a diagonal of 1 is not read.
pub(super) fn triangular_solve(a: &Matrix, b: &Matrix, lower: bool, unit: bool) -> Matrix {
    let (n, mut x) = (a.rows, b.clone());
    for step in 0..n {
        let i = if lower { step } else { n - 1 - step };
        let done = if lower { 0..i } else { i + 1..n };
        for c in 0..x.columns {
            let dot: C = done.clone().map(|k| a[[i, k]] * x[[k, c]]).sum();
            let rest = x[[i, c]] - dot;
            x[[i, c]] = if unit { rest } else { rest / a[[i, i]] };
        }
    }
    x
}

/// `x` with `a x = b`, from the factors of [`lu`].
pub(super) fn lu_solve(lu: &Matrix, p: &[usize], b: &Matrix) -> Matrix {
    let permuted = Matrix::from_fn(b.rows, b.columns, |i, j| b[[p[i], j]]);
    triangular_solve(lu, &triangular_solve(lu, &permuted, true, true), false, false)
}

/// A reflection `I - tau v vᴴ` that takes a vector to `beta` times the first unit vector; `v` begins with 1.
struct Reflection {
    tau: C,
    beta: f64,
    v: Vec<C>,
}

impl Reflection {
    fn new(x: impl Iterator<Item = C>) -> Reflection {
        let mut v: Vec<C> = x.collect();
        let head = v.first().copied().unwrap_or_default();
        let tail: f64 = v.iter().skip(1).map(|z| z.norm_sqr()).sum();
        if tail <= f64::MIN_POSITIVE && head.im * head.im <= f64::MIN_POSITIVE {
            v.iter_mut().skip(1).for_each(|z| *z = C::ZERO);
            if let Some(first) = v.first_mut() {
                *first = C::ONE;
            }
            return Reflection { tau: C::ZERO, beta: head.re, v };
        }
        let norm = (head.norm_sqr() + tail).sqrt();
        let beta = if head.re >= 0.0 { -norm } else { norm };
        v.iter_mut().skip(1).for_each(|z| *z /= head - beta);
        v[0] = C::ONE;
        Reflection { tau: ((C::from(beta) - head) / beta).conj(), beta, v }
    }

    /// Applies it, or its adjoint, to the rows of `a` from `row` on, in the columns from `column` on.
    fn to_rows(&self, a: &mut Matrix, row: usize, column: usize, adjoint: bool) {
        let tau = if adjoint { self.tau.conj() } else { self.tau };
        for j in column..a.columns {
            let dot: C = self.v.iter().enumerate().map(|(i, v)| v.conj() * a[[row + i, j]]).sum();
            for (i, v) in self.v.iter().enumerate() {
                a[[row + i, j]] -= tau * v * dot;
            }
        }
    }

    /// Multiplies the columns of `a` from `column` on by it, or its adjoint, from the right.
    fn to_columns(&self, a: &mut Matrix, column: usize, adjoint: bool) {
        let tau = if adjoint { self.tau.conj() } else { self.tau };
        for i in 0..a.rows {
            let dot: C = self.v.iter().enumerate().map(|(j, v)| a[[i, column + j]] * v).sum();
            for (j, v) in self.v.iter().enumerate() {
                a[[i, column + j]] -= tau * dot * v.conj();
            }
        }
    }
}

/// `q`, square, and `r` with `q r = a`.
pub(super) fn qr(a: &Matrix) -> (Matrix, Matrix) {
    let (mut q, mut r) = (Matrix::identity(a.rows), a.clone());
    for k in 0..a.rows.min(a.columns) {
        let reflection = Reflection::new((k..a.rows).map(|i| r[[i, k]]));
        reflection.to_rows(&mut r, k, k + 1, false);
        r[[k, k]] = reflection.beta.into();
        (k + 1..a.rows).for_each(|i| r[[i, k]] = C::ZERO);
        reflection.to_columns(&mut q, k, true);
    }
    (q, r)
}

/// A rotation of two rows or columns.
#[derive(Debug, Clone, Copy)]
struct Rotation {
    c: C,
    s: C,
}

impl Rotation {
    fn real(c: f64, s: f64) -> Rotation {
        Rotation { c: c.into(), s: s.into() }
    }

    /// The rotation whose adjoint takes `(p, q)` to `(r, 0)`, and `r`.
    fn zeroing_real(p: f64, q: f64) -> (Rotation, f64) {
        if q == 0.0 {
            return (Rotation::real(if p < 0.0 { -1.0 } else { 1.0 }, 0.0), p.abs());
        }
        if p == 0.0 {
            return (Rotation::real(0.0, if q < 0.0 { 1.0 } else { -1.0 }), q.abs());
        }
        if p.abs() > q.abs() {
            let t = q / p;
            let u = (1.0 + t * t).sqrt().copysign(p);
            (Rotation::real(1.0 / u, -t / u), p * u)
        } else {
            let t = p / q;
            let u = (1.0 + t * t).sqrt().copysign(q);
            (Rotation::real(t / u, -1.0 / u), q * u)
        }
    }

    /// The same of complex numbers.
    fn zeroing(p: C, q: C) -> (Rotation, C) {
        if q == C::ZERO {
            let c = if p.re < 0.0 { -1.0 } else { 1.0 };
            return (Rotation::real(c, 0.0), p * c);
        }
        if p == C::ZERO {
            return (Rotation { c: C::ZERO, s: -q / q.norm() }, q.norm().into());
        }
        let one_norm = |z: C| z.re.abs() + z.im.abs();
        let (p1, q1) = (one_norm(p), one_norm(q));
        if p1 >= q1 {
            let (ps, qs) = (p / p1, q / p1);
            let mut u = (1.0 + qs.norm_sqr() / ps.norm_sqr()).sqrt();
            if p.re < 0.0 {
                u = -u;
            }
            let c = 1.0 / u;
            (Rotation { c: c.into(), s: -qs * ps.conj() * (c / ps.norm_sqr()) }, p * u)
        } else {
            let (ps, qs) = (p / q1, q / q1);
            let (p2, q2) = (ps.norm_sqr(), qs.norm_sqr());
            let mut u = q1 * (p2 + q2).sqrt();
            if p.re < 0.0 {
                u = -u;
            }
            let p1 = p.norm();
            let ps = p / p1;
            (Rotation { c: (p1 / u).into(), s: -ps.conj() * (q / u) }, ps * u)
        }
    }

    fn adjoint(self) -> Rotation {
        Rotation { c: self.c.conj(), s: -self.s }
    }

    fn transpose(self) -> Rotation {
        Rotation { c: self.c, s: -self.s.conj() }
    }

    fn then(self, other: Rotation) -> Rotation {
        Rotation {
            c: self.c * other.c - self.s.conj() * other.s,
            s: (self.c * other.s.conj() + self.s.conj() * other.c.conj()).conj(),
        }
    }

    fn of_pair(self, x: C, y: C) -> (C, C) {
        (self.c * x + self.s.conj() * y, -self.s * x + self.c.conj() * y)
    }

    /// Rotates two rows, in the columns from `from` on.
    fn on_the_left(self, a: &mut Matrix, p: usize, q: usize, from: usize) {
        for j in from..a.columns {
            let (x, y) = self.of_pair(a[[p, j]], a[[q, j]]);
            a[[p, j]] = x;
            a[[q, j]] = y;
        }
    }

    /// Rotates two columns, in the first `rows` rows.
    fn on_the_right(self, a: &mut Matrix, p: usize, q: usize, rows: usize) {
        let rotation = self.transpose();
        for i in 0..rows {
            let (x, y) = rotation.of_pair(a[[i, p]], a[[i, q]]);
            a[[i, p]] = x;
            a[[i, q]] = y;
        }
    }
}

/// Eigenvalues, smallest first, and eigenvectors of a Hermitian matrix, of which the lower triangle is read; `None` where they are not found.
/// Off-diagonal elements count as 0 from the precision `eps` on.
pub(super) fn hermitian_eigen(a: &Matrix, eps: f64) -> Option<(Vec<f64>, Matrix)> {
    let n = a.rows;
    let lower = |i: usize, j: usize| if i == j { C::from(a[[i, i]].re) } else { a[[i, j]] };
    let mut t = Matrix::from_fn(n, n, |i, j| if i >= j { lower(i, j) } else { lower(j, i).conj() });
    let scale = Some(t.largest()).filter(|s| *s != 0.0).unwrap_or(1.0);
    if !scale.is_finite() {
        return None;
    }
    t.data.iter_mut().for_each(|z| *z /= scale);
    let mut q = Matrix::identity(n);
    for k in 0..n.saturating_sub(1) {
        let reflection = Reflection::new((k + 1..n).map(|i| t[[i, k]]));
        reflection.to_rows(&mut t, k + 1, 0, false);
        reflection.to_columns(&mut t, k + 1, true);
        reflection.to_columns(&mut q, k + 1, true);
        t[[k + 1, k]] = reflection.beta.into();
    }
    let mut d: Vec<f64> = (0..n).map(|i| t[[i, i]].re).collect();
    let mut e: Vec<f64> = (1..n).map(|i| t[[i, i - 1]].re).collect();
    let mut end = n.saturating_sub(1);
    let mut turns = 0;
    while end > 0 {
        for i in 0..end {
            let scaled = e[i] / eps;
            if e[i].abs() < f64::MIN_POSITIVE || scaled * scaled <= d[i].abs() + d[i + 1].abs() {
                e[i] = 0.0;
            }
        }
        while end > 0 && e[end - 1] == 0.0 {
            end -= 1;
        }
        if end == 0 {
            break;
        }
        turns += 1;
        if turns > 30 * n {
            return None;
        }
        let mut start = end - 1;
        while start > 0 && e[start - 1] != 0.0 {
            start -= 1;
        }
        tridiagonal_step(&mut d, &mut e, start, end, &mut q);
    }
    for i in 0..n {
        let least = (i..n).min_by(|x, y| d[*x].total_cmp(&d[*y])).unwrap_or(i);
        d.swap(i, least);
        q.exchange_columns(i, least);
    }
    Some((d.into_iter().map(|x| x * scale).collect(), q))
}

/// One implicit step of the QR algorithm with Wilkinson's shift.
fn tridiagonal_step(d: &mut [f64], e: &mut [f64], start: usize, end: usize, q: &mut Matrix) {
    let half = (d[end - 1] - d[end]) * 0.5;
    let last = e[end - 1];
    let mut shift = d[end];
    if half == 0.0 {
        shift -= last.abs();
    } else if last != 0.0 {
        let h = half + half.hypot(last).copysign(half);
        shift -= if last * last == 0.0 { last / (h / last) } else { last * last / h };
    }
    let (mut x, mut z) = (d[start] - shift, e[start]);
    for k in start..end {
        if z == 0.0 {
            break;
        }
        let (rotation, _) = Rotation::zeroing_real(x, z);
        let (c, s) = (rotation.c.re, rotation.s.re);
        let sdk = s * d[k] + c * e[k];
        let dkp1 = s * e[k] + c * d[k + 1];
        d[k] = c * (c * d[k] - s * e[k]) - s * (c * e[k] - s * d[k + 1]);
        d[k + 1] = s * sdk + c * dkp1;
        e[k] = c * sdk - s * dkp1;
        if k > start {
            e[k - 1] = c * e[k - 1] - s * z;
        }
        x = e[k];
        if k + 1 < end {
            z = -s * e[k + 1];
            e[k + 1] *= c;
        }
        let rows = q.rows;
        rotation.on_the_right(q, k, k + 1, rows);
    }
}

/// `a = u t uᴴ` with `t` upper triangular; `None` where it is not found.
pub(super) fn schur(a: &Matrix, eps: f64) -> Option<(Matrix, Matrix)> {
    let n = a.rows;
    if a.data.iter().any(|z| !z.is_finite()) {
        return None;
    }
    let (mut t, mut u) = (a.clone(), Matrix::identity(n));
    for k in 0..n.saturating_sub(2) {
        let reflection = Reflection::new((k + 1..n).map(|i| t[[i, k]]));
        reflection.to_rows(&mut t, k + 1, k + 1, false);
        reflection.to_columns(&mut t, k + 1, true);
        reflection.to_columns(&mut u, k + 1, true);
        t[[k + 1, k]] = reflection.beta.into();
        (k + 2..n).for_each(|i| t[[i, k]] = C::ZERO);
    }
    let one_norm = |z: C| z.re.abs() + z.im.abs();
    let (mut end, mut turns, mut all) = (n.saturating_sub(1), 0, 0);
    // Whether the element below the diagonal in this column counts as 0; then it is.
    let negligible = |t: &mut Matrix, i: usize| {
        let (around, here) = (one_norm(t[[i, i]]) + one_norm(t[[i + 1, i + 1]]), one_norm(t[[i + 1, i]]));
        let zero = here <= eps * around;
        if zero {
            t[[i + 1, i]] = C::ZERO;
        }
        zero
    };
    loop {
        while end > 0 && negligible(&mut t, end - 1) {
            turns = 0;
            end -= 1;
        }
        if end == 0 {
            return Some((t, u));
        }
        turns += 1;
        all += 1;
        if all > 30 * n {
            return None;
        }
        let mut start = end - 1;
        while start > 0 && !negligible(&mut t, start - 1) {
            start -= 1;
        }
        let shift = schur_shift(&t, end, turns);
        let (rotation, _) = Rotation::zeroing(t[[start, start]] - shift, t[[start + 1, start]]);
        rotation.adjoint().on_the_left(&mut t, start, start + 1, 0);
        rotation.on_the_right(&mut t, start, start + 1, (start + 2).min(end) + 1);
        rotation.on_the_right(&mut u, start, start + 1, n);
        for i in start + 1..end {
            let (rotation, r) = Rotation::zeroing(t[[i, i - 1]], t[[i + 1, i - 1]]);
            t[[i, i - 1]] = r;
            t[[i + 1, i - 1]] = C::ZERO;
            rotation.adjoint().on_the_left(&mut t, i, i + 1, i);
            rotation.on_the_right(&mut t, i, i + 1, (i + 2).min(end) + 1);
            rotation.on_the_right(&mut u, i, i + 1, n);
        }
    }
}

/// The eigenvalue of the last two rows that is next to the last element; now and then something else, against going in circles.
fn schur_shift(t: &Matrix, end: usize, turns: usize) -> C {
    if (turns == 10 || turns == 20) && end > 1 {
        return (t[[end, end - 1]].re.abs() + t[[end - 1, end - 2]].re.abs()).into();
    }
    let one_norm = |z: C| z.re.abs() + z.im.abs();
    let block = [[end - 1, end - 1], [end - 1, end], [end, end - 1], [end, end]].map(|at| t[at]);
    let scale: f64 = block.iter().map(|z| z.norm()).sum();
    let [a, b, c, d] = block.map(|z| z / scale);
    let (product, difference) = (b * c, a - d);
    let root = (difference * difference + product * 4.0).sqrt();
    let (determinant, sum) = (a * d - product, a + d);
    let (mut first, mut second) = ((sum + root) / 2.0, (sum - root) / 2.0);
    if one_norm(first) > one_norm(second) {
        second = determinant / first;
    } else if one_norm(second) != 0.0 {
        first = determinant / second;
    }
    let nearer = if one_norm(first - d) < one_norm(second - d) { first } else { second };
    nearer * scale
}

/// Eigenvalues, by modulus, and eigenvectors of length 1.
pub(super) fn eigen(a: &Matrix, eps: f64) -> Option<(Vec<C>, Matrix)> {
    let n = a.rows;
    let (t, u) = schur(a, eps)?;
    let norm = t.data.iter().map(|z| z.norm_sqr()).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    let mut x = Matrix::zeros(n, n);
    for k in (0..n).rev() {
        x[[k, k]] = C::ONE;
        for i in (0..k).rev() {
            let dot: C = (i + 1..=k).map(|j| t[[i, j]] * x[[j, k]]).sum();
            let mut z = t[[i, i]] - t[[k, k]];
            if z == C::ZERO {
                z.re = eps * norm;
            }
            x[[i, k]] = -dot / z;
        }
    }
    let mut v = u.times(&x);
    for k in 0..n {
        let length = (0..n).map(|i| v[[i, k]].norm_sqr()).sum::<f64>().sqrt();
        (0..n).for_each(|i| v[[i, k]] /= length);
    }
    let mut e: Vec<C> = (0..n).map(|i| t[[i, i]]).collect();
    for i in 0..n {
        let mut least = i;
        for k in i + 1..n {
            if e[k].norm() < e[least].norm() {
                least = k;
            }
        }
        e.swap(i, least);
        v.exchange_columns(i, least);
    }
    Some((e, v))
}

/// Singular values, largest first, and singular vectors `u: [m, m]` and `v: [n, n]`; `None` where they are not found. `complex` says whether the
/// matrix may have imaginary parts.
pub(super) fn svd(a: &Matrix, eps: f64, complex: bool) -> Option<(Vec<f64>, Matrix, Matrix)> {
    let (m, n) = (a.rows, a.columns);
    if m < n {
        let (s, u, v) = svd(&a.adjoint(), eps, complex)?;
        return Some((s, v, u));
    }
    let scale = Some(a.largest()).filter(|s| *s != 0.0).unwrap_or(1.0);
    if !scale.is_finite() || a.data.iter().any(|z| !z.is_finite()) {
        return None;
    }
    let scaled = a.map(|z| z / scale);
    let (mut w, mut u, mut v) = match m == n {
        true => (scaled, Matrix::identity(m), Matrix::identity(n)),
        false => {
            let (q, r, p) = pivoted_qr(&scaled);
            let square = Matrix::from_fn(n, n, |i, j| if i <= j { r[[i, j]] } else { C::ZERO });
            (square, q, Matrix::from_fn(n, n, |i, j| if p[j] == i { C::ONE } else { C::ZERO }))
        }
    };
    let mut largest = (0..n).map(|i| w[[i, i]].norm()).fold(0.0, f64::max);
    let mut settled = false;
    for _ in 0..200 {
        settled = true;
        for p in 1..n {
            for q in 0..p {
                let threshold = |largest: f64| (2.0 * eps * largest).max(f64::MIN_POSITIVE);
                let off = |w: &Matrix, least: f64| w[[p, q]].norm() > least || w[[q, p]].norm() > least;
                if !off(&w, threshold(largest)) {
                    continue;
                }
                settled = false;
                if complex {
                    make_block_real(&mut w, &mut u, &mut v, p, q);
                    largest = largest.max(w[[p, p]].norm()).max(w[[q, q]].norm());
                    if !off(&w, threshold(largest)) {
                        continue;
                    }
                }
                let (left, right) = jacobi_block(&w, p, q);
                left.on_the_left(&mut w, p, q, 0);
                left.transpose().on_the_right(&mut u, p, q, m);
                right.on_the_right(&mut w, p, q, n);
                right.on_the_right(&mut v, p, q, n);
                largest = largest.max(w[[p, p]].norm()).max(w[[q, q]].norm());
            }
        }
        if settled {
            break;
        }
    }
    if !settled {
        return None;
    }
    let mut s = vec![0.0; n];
    for i in 0..n {
        let head = w[[i, i]];
        s[i] = head.norm();
        let phase = match complex && head.im.abs() > f64::MIN_POSITIVE {
            true => head / s[i],
            false => C::from(if head.re < 0.0 { -1.0 } else { 1.0 }),
        };
        (0..m).for_each(|k| u[[k, i]] *= phase);
    }
    for i in 0..n {
        let mut most = i;
        for k in i + 1..n {
            if s[k] > s[most] {
                most = k;
            }
        }
        s.swap(i, most);
        u.exchange_columns(i, most);
        v.exchange_columns(i, most);
    }
    Some((s.into_iter().map(|x| x * scale).collect(), u, v))
}

/// `q`, square, `r` and the order `p` of the columns with `q r = a[:, p]`, the largest column that is left first.
fn pivoted_qr(a: &Matrix) -> (Matrix, Matrix, Vec<usize>) {
    let (mut q, mut r) = (Matrix::identity(a.rows), a.clone());
    let mut p: Vec<usize> = (0..a.columns).collect();
    for k in 0..a.rows.min(a.columns) {
        let norm = |j: usize| (k..a.rows).map(|i| r[[i, j]].norm_sqr()).sum::<f64>();
        let mut most = (k, norm(k));
        for j in k + 1..a.columns {
            let other = norm(j);
            // Equal norms differ by rounding only.
            if other > most.1 * (1.0 + 1e-14) {
                most = (j, other);
            }
        }
        r.exchange_columns(k, most.0);
        p.swap(k, most.0);
        let reflection = Reflection::new((k..a.rows).map(|i| r[[i, k]]));
        reflection.to_rows(&mut r, k, k + 1, false);
        r[[k, k]] = reflection.beta.into();
        (k + 1..a.rows).for_each(|i| r[[i, k]] = C::ZERO);
        reflection.to_columns(&mut q, k, true);
    }
    (q, r, p)
}

/// Takes the imaginary parts out of rows and columns `p` and `q`, where they meet.
fn make_block_real(w: &mut Matrix, u: &mut Matrix, v: &mut Matrix, p: usize, q: usize) {
    let scale_row = |w: &mut Matrix, u: &mut Matrix, row: usize, z: C| {
        (0..w.columns).for_each(|j| w[[row, j]] *= z);
        (0..u.rows).for_each(|i| u[[i, row]] *= z.conj());
    };
    let phase = |z: C| C::from(z.norm()) / z;
    let n = (w[[p, p]].norm_sqr() + w[[q, p]].norm_sqr()).sqrt();
    if n == 0.0 {
        w[[p, p]] = C::ZERO;
        w[[q, p]] = C::ZERO;
        if w[[p, q]].im.abs() > f64::MIN_POSITIVE {
            let z = phase(w[[p, q]]);
            scale_row(w, u, p, z);
        }
    } else {
        let rotation = Rotation { c: w[[p, p]].conj() / n, s: w[[q, p]] / n };
        rotation.on_the_left(w, p, q, 0);
        let rows = u.rows;
        rotation.adjoint().on_the_right(u, p, q, rows);
        if w[[p, q]].im.abs() > f64::MIN_POSITIVE {
            let z = phase(w[[p, q]]);
            (0..w.rows).for_each(|i| w[[i, q]] *= z);
            (0..v.rows).for_each(|i| v[[i, q]] *= z);
        }
    }
    if w[[q, q]].im.abs() > f64::MIN_POSITIVE {
        let z = phase(w[[q, q]]);
        scale_row(w, u, q, z);
    }
}

/// The rotations from the left and the right that make the real block of rows and columns `p` and `q` diagonal.
fn jacobi_block(w: &Matrix, p: usize, q: usize) -> (Rotation, Rotation) {
    let m = [[w[[p, p]].re, w[[p, q]].re], [w[[q, p]].re, w[[q, q]].re]];
    let (t, d) = (m[0][0] + m[1][1], m[1][0] - m[0][1]);
    let symmetric = if d.abs() < f64::MIN_POSITIVE {
        Rotation::real(1.0, 0.0)
    } else {
        let u = t / d;
        let root = (1.0 + u * u).sqrt();
        Rotation::real(u / root, 1.0 / root)
    };
    let (c, s) = (symmetric.c.re, symmetric.s.re);
    let rows = [
        [c * m[0][0] + s * m[1][0], c * m[0][1] + s * m[1][1]],
        [-s * m[0][0] + c * m[1][0], -s * m[0][1] + c * m[1][1]],
    ];
    let (x, y, z) = (rows[0][0], rows[0][1], rows[1][1]);
    let right = if 2.0 * y.abs() < f64::MIN_POSITIVE {
        Rotation::real(1.0, 0.0)
    } else {
        let tau = (x - z) / (2.0 * y.abs());
        let root = (tau * tau + 1.0).sqrt();
        let t = if tau > 0.0 { 1.0 / (tau + root) } else { 1.0 / (tau - root) };
        let n = 1.0 / (t * t + 1.0).sqrt();
        Rotation::real(n, -t.signum() * y.signum() * t.abs() * n)
    };
    (symmetric.then(right.transpose()), right)
}

/// The square root of an upper triangular matrix: the one whose diagonal has real parts that are not negative.
pub(super) fn triangular_root(t: &Matrix) -> Matrix {
    let n = t.rows;
    let mut r = Matrix::zeros(n, n);
    for j in 0..n {
        r[[j, j]] = t[[j, j]].sqrt();
        for i in (0..j).rev() {
            let dot: C = (i + 1..j).map(|k| r[[i, k]] * r[[k, j]]).sum();
            let (rest, sum) = (t[[i, j]] - dot, r[[i, i]] + r[[j, j]]);
            r[[i, j]] = if rest == C::ZERO { rest } else { rest / sum };
        }
    }
    r
}

/// The principal logarithm of an upper triangular matrix: square roots until it is near the identity, and there a quadrature of
/// `log(I + x) = ∫ x (I + s x)⁻¹ ds`.
pub(super) fn triangular_logarithm(t: &Matrix) -> Matrix {
    // Gauss and Legendre's nodes on [-1, 1] and their weights.
    const NODES: [(f64, f64); 4] = [
        (0.183_434_642_495_649_8, 0.362_683_783_378_362),
        (0.525_532_409_916_329, 0.313_706_645_877_887_3),
        (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
        (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
    ];
    let n = t.rows;
    let (mut root, mut doublings) = (t.clone(), 0);
    let away =
        |root: &Matrix| Matrix::from_fn(n, n, |i, j| root[[i, j]] - if i == j { C::ONE } else { C::ZERO });
    let mut x = away(&root);
    while doublings < 60 && x.largest() * n as f64 > 0.25 {
        root = triangular_root(&root);
        x = away(&root);
        doublings += 1;
    }
    let mut log = Matrix::zeros(n, n);
    for (node, weight) in NODES.into_iter().flat_map(|(node, weight)| [(node, weight), (-node, weight)]) {
        let s = (node + 1.0) / 2.0;
        let shifted = Matrix::from_fn(n, n, |i, j| x[[i, j]] * s + if i == j { C::ONE } else { C::ZERO });
        let part = triangular_solve(&shifted, &x, false, false);
        log.data.iter_mut().zip(&part.data).for_each(|(sum, z)| *sum += z * (weight / 2.0));
    }
    log.map(|z| z * f64::exp2(f64::from(doublings)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some matrix without symmetries.
    fn sample(rows: usize, columns: usize, complex: bool) -> Matrix {
        Matrix::from_fn(rows, columns, |i, j| {
            let k = (i * columns + j) as f64;
            C::new(
                (k * 1.7).sin() + if i == j { 1.5 } else { 0.0 },
                if complex { (k * 0.9).cos() } else { 0.0 },
            )
        })
    }

    #[track_caller]
    fn close(a: &Matrix, b: &Matrix) {
        assert_eq!((a.rows, a.columns), (b.rows, b.columns));
        let far = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
        assert!(far < 1e-11, "they differ by {far}");
    }

    fn diagonal(d: &[f64], rows: usize, columns: usize) -> Matrix {
        Matrix::from_fn(rows, columns, |i, j| if i == j { d[i].into() } else { C::ZERO })
    }

    #[test]
    fn factors_multiply_to_the_matrix() {
        for complex in [false, true] {
            for (m, n) in [(1, 1), (4, 4), (6, 3), (3, 6), (17, 17)] {
                let a = sample(m, n, complex);
                let (q, r) = qr(&a);
                close(&q.times(&r), &a);
                close(&q.adjoint().times(&q), &Matrix::identity(m));
                let (s, u, v) = svd(&a, f64::EPSILON, complex).unwrap();
                close(&u.times(&diagonal(&s, m, n)).times(&v.adjoint()), &a);
                close(&u.adjoint().times(&u), &Matrix::identity(m));
                close(&v.adjoint().times(&v), &Matrix::identity(n));
                assert!(s.is_sorted_by(|a, b| a >= b) && s.iter().all(|s| *s >= 0.0));
            }
            for n in [1, 2, 5, 16] {
                let a = sample(n, n, complex);
                let mut factors = a.clone();
                let (p, _) = lu(&mut factors);
                close(&a.times(&lu_solve(&factors, &p, &Matrix::identity(n))), &Matrix::identity(n));
                let hermitian = a.times(&a.adjoint());
                let l = cholesky(&hermitian).unwrap();
                close(&l.times(&l.adjoint()), &hermitian);
                let (e, v) = hermitian_eigen(&hermitian, f64::EPSILON).unwrap();
                close(&hermitian.times(&v), &v.times(&diagonal(&e, n, n)));
                let (t, u) = schur(&a, f64::EPSILON).unwrap();
                close(&u.times(&t).times(&u.adjoint()), &a);
                let (e, v) = eigen(&a, f64::EPSILON).unwrap();
                let scaled = Matrix::from_fn(n, n, |i, j| v[[i, j]] * e[j]);
                close(&a.times(&v), &scaled);
            }
        }
    }

    #[test]
    fn functions_of_triangles() {
        let t = Matrix::from_fn(
            4,
            4,
            |i, j| {
                if i <= j { C::new(1.0 + i as f64, 0.3 * j as f64) } else { C::ZERO }
            },
        );
        let root = triangular_root(&t);
        close(&root.times(&root), &t);
        let half = triangular_logarithm(&root).map(|z| z * 2.0);
        close(&half, &triangular_logarithm(&t));
        let e = diagonal(&[std::f64::consts::E], 1, 1);
        close(&triangular_logarithm(&e), &Matrix::identity(1));
    }

    #[test]
    fn what_has_no_factors_has_none() {
        assert!(cholesky(&diagonal(&[1.0, -1.0], 2, 2)).is_none());
        let nan = diagonal(&[f64::NAN], 1, 1);
        assert!(schur(&nan, f64::EPSILON).is_none() && svd(&nan, f64::EPSILON, false).is_none());
        let mut singular = Matrix::from_fn(2, 2, |_, _| C::ONE);
        lu(&mut singular);
        assert!(!invertible(&singular));
    }
}
