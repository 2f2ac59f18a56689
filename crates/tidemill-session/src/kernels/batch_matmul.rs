//! Kernels of products of batches of matrices, and of sums of products over named axes, which are made of such.

use std::sync::{Mutex, PoisonError};

use tidemill_core::ops::{BatchMatMul, BatchMatMulV2, BatchMatMulV3, Einsum, Equation, Label};
use tidemill_core::{Error, Result, Shape};
use tidemill_tensor::half::{bf16, f16};
use tidemill_tensor::{Complex, Element, dispatch_arith};

use super::arith::Arith;
use super::elementwise::Walk;
use super::matmul::Sizes;
use super::simd::{Level, run};
use super::skinny::{self, Product};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<BatchMatMul>(|op, cx| products(cx, [op.adj_x, op.adj_y]));
    table.compiled::<BatchMatMulV2>(|op, cx| products(cx, [op.adj_x, op.adj_y]));
    table.compiled::<BatchMatMulV3>(|op, cx| {
        match cx.dtype(0) == cx.dtype(1) && cx.dtype(0) == cx.output_dtype(0) {
            true => products(cx, [op.adj_x, op.adj_y]),
            false => converted(cx, [op.adj_x, op.adj_y]),
        }
    });
    table.compiled::<Einsum>(einsum);
}

/// Numbers whose matrices are multiplied.
trait Factor: Element {
    /// `out = x · y`, either conjugated first if told. The slices are at least as long as sizes and strides span.
    fn product(level: Level, sizes: Sizes, conj: [bool; 2], x: &[Self], y: &[Self], out: &mut [Self]);
}

macro_rules! plain {
    ($($ty:ident)*) => {$(
        impl Factor for $ty {
            fn product(_: Level, sizes: Sizes, _: [bool; 2], x: &[$ty], y: &[$ty], out: &mut [$ty]) {
                let Sizes { m, k, n, a, b } = sizes;
                for i in 0..m {
                    for j in 0..n {
                        out[i * n + j] = (0..k).fold(0, |sum: $ty, l| {
                            sum.add(x[i * a[0] + l * a[1]].mul(y[l * b[0] + j * b[1]]))
                        });
                    }
                }
            }
        }
    )*};
    (@half $($ty:ident)*) => {$(
        impl Factor for $ty {
            fn product(_: Level, sizes: Sizes, _: [bool; 2], x: &[$ty], y: &[$ty], out: &mut [$ty]) {
                let Sizes { m, k, n, a, b } = sizes;
                for i in 0..m {
                    for j in 0..n {
                        let sum: f32 = (0..k)
                            .map(|l| x[i * a[0] + l * a[1]].to_f32() * y[l * b[0] + j * b[1]].to_f32())
                            .sum();
                        out[i * n + j] = $ty::from_f32(sum);
                    }
                }
            }
        }
    )*};
    (@gemm $($ty:ty: $zero:expr, $one:expr, |$level:ident, $sizes:ident, $x:ident, $y:ident, $out:ident| $small:expr;)*) => {$(
        impl Factor for $ty {
            fn product($level: Level, $sizes: Sizes, conj: [bool; 2], $x: &[$ty], $y: &[$ty], $out: &mut [$ty]) {
                let Sizes { m, k, n, a, b } = $sizes;
                if m == 0 || n == 0 {
                    return;
                }
                if k == 0 {
                    $out.fill($zero);
                    return;
                }
                if $small {
                    return;
                }
                assert!(
                    $x.len() > (m - 1) * a[0] + (k - 1) * a[1]
                        && $y.len() > (k - 1) * b[0] + (n - 1) * b[1]
                        && $out.len() >= m * n,
                    "an operand is short"
                );
                // SAFETY: the slices hold what sizes and strides span (checked above); `out` overlaps neither operand.
                unsafe {
                    gemm::gemm(
                        m,
                        n,
                        k,
                        $out.as_mut_ptr(),
                        1,
                        n as isize,
                        false,
                        $x.as_ptr(),
                        a[1] as isize,
                        a[0] as isize,
                        $y.as_ptr(),
                        b[1] as isize,
                        b[0] as isize,
                        $zero,
                        $one,
                        false,
                        conj[0],
                        conj[1],
                        gemm::Parallelism::None,
                    );
                }
            }
        }
    )*};
}
plain!(i8 i16 i32 i64 u8 u16 u32 u64);
plain!(@half f16 bf16);
plain! { @gemm
    f32: 0.0, 1.0, |level, sizes, x, y, out| skinny_product(level, sizes, x, y, out);
    f64: 0.0, 1.0, |level, sizes, x, y, out| skinny_product(level, sizes, x, y, out);
    Complex<f32>: Complex::ZERO, Complex::ONE, |_level, sizes, x, y, out| false;
    Complex<f64>: Complex::ZERO, Complex::ONE, |_level, sizes, x, y, out| false;
}

/// Whether the product was one for [`skinny`], and has been done.
fn skinny_product<T: super::vector::Lanes>(
    level: Level,
    sizes: Sizes,
    x: &[T],
    y: &[T],
    out: &mut [T],
) -> bool {
    let way = skinny::way(&sizes);
    way.is_some_and(|way| {
        run(level, Product { sizes, way, x, y, out });
        true
    })
}

/// Two batches of matrices and how they are multiplied.
struct Batches {
    walk: Walk<2>,
    sizes: Sizes,
    adjoint: [bool; 2],
    /// The elements of a matrix of each operand.
    lens: [usize; 2],
}

impl Batches {
    fn new(cx: &CompileCx, adjoint: [bool; 2]) -> Result<Batches> {
        let (x, y) = (cx.shape(0), cx.shape(1));
        let ([x_batch @ .., x0, x1], [y_batch @ .., y0, y1]) = (x.dims(), y.dims()) else {
            return Err(Error::invalid(format!("operands must be matrices, not of shapes {x} and {y}")));
        };
        let strides = |columns: usize, turned: bool| if turned { [1, columns] } else { [columns, 1] };
        let (m, k) = if adjoint[0] { (*x1, *x0) } else { (*x0, *x1) };
        let (inner, n) = if adjoint[1] { (*y1, *y0) } else { (*y0, *y1) };
        let (x_batch, y_batch) = (Shape::from(x_batch), Shape::from(y_batch));
        let Some(batch) = x_batch.broadcast(&y_batch).filter(|_| inner == k) else {
            return Err(Error::invalid(format!("shapes {x} and {y} do not multiply")));
        };
        let sizes = Sizes { m, k, n, a: strides(*x1, adjoint[0]), b: strides(*y1, adjoint[1]) };
        Ok(Batches {
            walk: Walk::new(&batch, [&x_batch, &y_batch]),
            sizes,
            adjoint,
            lens: [x0 * x1, y0 * y1],
        })
    }

    fn multiply<T: Factor>(&self, level: Level, x: &[T], y: &[T], mut out: &mut [T]) {
        let ([x_len, y_len], moves) = (self.lens, self.walk.moves.map(usize::from));
        for [i, j] in self.walk.outer.offsets() {
            for turn in 0..self.walk.inner {
                let (here, rest) = std::mem::take(&mut out).split_at_mut(self.sizes.m * self.sizes.n);
                out = rest;
                let (i, j) = (i + turn * moves[0], j + turn * moves[1]);
                let (x, y) = (&x[i * x_len..(i + 1) * x_len], &y[j * y_len..(j + 1) * y_len]);
                T::product(level, self.sizes, self.adjoint, x, y, here);
            }
        }
    }
}

fn products(cx: &CompileCx, adjoint: [bool; 2]) -> Result<Compiled> {
    let (batches, level) = (Batches::new(cx, adjoint)?, cx.level());
    dispatch_arith!(cx.dtype(0), T => Compiled::step(move |args: &mut Args| {
        batches.multiply::<T>(level, args.input(0), args.input(1), args.output(0));
        Ok(())
    }), else => Err(Error::unimplemented(format!("a product of {}", cx.dtype(0)))))
}

/// [`products`] in the dtype of the result, to which the operands are converted first.
fn converted(cx: &CompileCx, adjoint: [bool; 2]) -> Result<Compiled> {
    let (batches, level) = (Batches::new(cx, adjoint)?, cx.level());
    let dtypes = [cx.dtype(0), cx.dtype(1)];
    let lens = [0, 1].map(|i| cx.shape(i).num_elements());
    dispatch_arith!(cx.output_dtype(0), T => {
        let scratch = Mutex::new(lens.map(|len| vec![T::default(); len]));
        Compiled::step(move |args: &mut Args| {
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            for (i, to) in scratch.iter_mut().enumerate() {
                dispatch_arith!(dtypes[i], A => {
                    let exact = A::DTYPE.is_integer() && T::DTYPE.is_integer();
                    for (to, from) in to.iter_mut().zip(args.input::<A>(i)) {
                        *to = if exact { T::from_i64(from.to_i64()) } else { T::from_c128(from.to_c128()) };
                    }
                }, else => ());
            }
            let [x, y] = &*scratch;
            batches.multiply::<T>(level, x, y, args.output(0));
            Ok(())
        })
    }, else => Err(Error::unimplemented(format!("a product as {}", cx.output_dtype(0)))))
}

/// A strided view: sizes, and the step in the buffer along each.
#[derive(Debug, Clone, Default)]
struct View {
    sizes: Vec<usize>,
    steps: Vec<usize>,
}

impl View {
    /// Calls `f` with the offset of each element, in row-major order.
    fn each(&self, mut f: impl FnMut(usize)) {
        let count: usize = self.sizes.iter().product();
        let mut index = vec![0usize; self.sizes.len()];
        let mut at = 0;
        for _ in 0..count {
            f(at);
            for d in (0..index.len()).rev() {
                index[d] += 1;
                at += self.steps[d];
                if index[d] < self.sizes[d] {
                    break;
                }
                at -= self.sizes[d] * self.steps[d];
                index[d] = 0;
            }
        }
    }

    fn len(&self) -> usize {
        self.sizes.iter().product()
    }
}

/// The sizes of labels.
struct Labels(Vec<(Label, usize)>);

impl Labels {
    fn size(&self, label: Label) -> usize {
        self.0.iter().find(|(l, _)| *l == label).map_or(1, |(_, n)| *n)
    }

    fn meet(&mut self, label: Label, n: usize) -> Result<()> {
        match self.0.iter_mut().find(|(l, _)| *l == label) {
            None => self.0.push((label, n)),
            Some((_, size)) if *size == n => {}
            Some((Label::Broadcast(_), size)) if *size == 1 => *size = n,
            Some((Label::Broadcast(_), _)) if n == 1 => {}
            Some((_, size)) => {
                return Err(Error::invalid(format!("axes of sizes {size} and {n} have one label")));
            }
        }
        Ok(())
    }

    /// A tensor with these labels, seen along the labels `order`: along a diagonal where it has a label twice, standing still where it
    /// has none, or only one element.
    fn view(&self, own: &[Label], shape: &Shape, order: impl Iterator<Item = Label>) -> View {
        let strides = shape.strides();
        order
            .map(|label| {
                let axes = own.iter().enumerate().filter(|(_, l)| **l == label);
                let step = axes.filter(|(axis, _)| shape[*axis] != 1).map(|(axis, _)| strides[axis]).sum();
                (self.size(label), step)
            })
            .fold(View::default(), |mut view, (size, step): (usize, usize)| {
                view.sizes.push(size);
                view.steps.push(step);
                view
            })
    }
}

/// Operands are packed to `[batch][rows][inner]` and `[batch][inner][columns]`, with what each has by itself summed up; then come products, which
/// are put to their places in the result.
fn einsum(op: &Einsum, cx: &CompileCx) -> Result<Compiled> {
    let equation = Equation::parse(&op.equation)?;
    if equation.num_inputs() != cx.num_inputs() {
        return Err(Error::invalid(format!("`{}` is not of {} operands", op.equation, cx.num_inputs())));
    }
    let shapes: Vec<Shape> = (0..cx.num_inputs()).map(|i| cx.shape(i)).collect();
    let ranks: Vec<usize> = shapes.iter().map(Shape::rank).collect();
    let mut labels = Labels(vec![]);
    let mut own: Vec<Vec<Label>> = vec![];
    for (i, shape) in shapes.iter().enumerate() {
        let of_input = equation.input(i, shape.rank())?;
        for (label, n) in of_input.iter().zip(shape.iter()) {
            labels.meet(*label, *n)?;
        }
        own.push(of_input);
    }
    let output = equation.output(&ranks)?;
    let none = vec![];
    let (of_x, of_y) = (&own[0], own.get(1).unwrap_or(&none));
    let distinct = |all: &[Label], keep: &dyn Fn(&Label) -> bool| {
        let mut kept: Vec<Label> = vec![];
        all.iter().filter(|l| keep(l)).for_each(|l| {
            if !kept.contains(l) {
                kept.push(*l);
            }
        });
        kept
    };
    let batch = distinct(&output, &|l| of_x.contains(l) && of_y.contains(l));
    let rows = distinct(&output, &|l| of_x.contains(l) && !of_y.contains(l));
    let columns = distinct(&output, &|l| !of_x.contains(l) && of_y.contains(l));
    let inner = distinct(of_x, &|l| of_y.contains(l) && !output.contains(l));
    let (lone_x, lone_y) = (
        distinct(of_x, &|l| !of_y.contains(l) && !output.contains(l)),
        distinct(of_y, &|l| !of_x.contains(l) && !output.contains(l)),
    );
    let count = |all: &[Label]| all.iter().map(|l| labels.size(*l)).product::<usize>();
    let sizes = [count(&batch), count(&rows), count(&inner), count(&columns)];
    let order = |parts: [&[Label]; 3]| parts.concat().into_iter();
    let x_view = labels.view(of_x, &shapes[0], order([&batch, &rows, &inner]));
    let x_lone = labels.view(of_x, &shapes[0], lone_x.iter().copied());
    let y_shape = shapes.get(1).cloned().unwrap_or_default();
    let y_view = labels.view(of_y, &y_shape, order([&batch, &inner, &columns]));
    let y_lone = labels.view(of_y, &y_shape, lone_y.iter().copied());
    let out_view = labels.view(&output, &cx.output_shape(0), order([&batch, &rows, &columns]));
    // A label that the result has twice leaves what is off its diagonal 0.
    let sparse = out_view.len() != cx.output_shape(0).num_elements();
    let binary = own.len() == 2;
    let level = cx.level();
    dispatch_arith!(cx.dtype(0), T => {
        let scratch = Mutex::new([
            vec![T::default(); x_view.len()],
            vec![T::default(); if binary { y_view.len() } else { 0 }],
            vec![T::default(); if binary { out_view.len() } else { 0 }],
        ]);
        Compiled::step(move |args: &mut Args| {
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let [x, y, product] = &mut *scratch;
            pack(args.input::<T>(0), &x_view, &x_lone, x);
            let result: &[T] = if binary {
                pack(args.input::<T>(1), &y_view, &y_lone, y);
                let [batch, m, k, n] = sizes;
                let matrices = Sizes { m, k, n, a: [k, 1], b: [n, 1] };
                for b in 0..batch {
                    let out = &mut product[b * m * n..(b + 1) * m * n];
                    T::product(level, matrices, [false; 2], &x[b * m * k..(b + 1) * m * k], &y[b * k * n..(b + 1) * k * n], out);
                }
                product
            } else {
                x
            };
            let out = args.output::<T>(0);
            if sparse {
                out.fill(T::default());
            }
            let mut results = result.iter();
            out_view.each(|at| {
                if let Some(z) = results.next() {
                    out[at] = *z;
                }
            });
            Ok(())
        })
    }, else => Err(Error::unimplemented(format!("Einsum of {}", cx.dtype(0)))))
}

/// Sums the elements at `lone` from each element of the view.
fn pack<T: Arith>(from: &[T], view: &View, lone: &View, to: &mut [T]) {
    let mut to = to.iter_mut();
    let summed = !lone.sizes.is_empty();
    view.each(|at| {
        let Some(to) = to.next() else { return };
        if summed {
            let mut sum = T::default();
            lone.each(|more| sum = sum.add(from[at + more]));
            *to = sum;
        } else {
            *to = from[at];
        }
    });
}

#[cfg(test)]
mod tests {
    use tidemill_core::{Op, Value};

    use super::super::testing::eval;
    use super::*;

    #[track_caller]
    fn check(op: impl Op, inputs: &[Value], want: impl Into<Value>) {
        assert_eq!(eval(op, inputs), [want.into()]);
    }

    #[test]
    fn batches() {
        let x = Value::from([[[1, 2], [3, 4]], [[0, 1], [1, 0]]]);
        let y = Value::from([[5], [6]]);
        for dtype in [tidemill_core::DType::I32, tidemill_core::DType::F32, tidemill_core::DType::C64] {
            let inputs = [x.cast(dtype), y.cast(dtype)];
            let op = BatchMatMulV2 { adj_x: false, adj_y: false };
            check(op, &inputs, Value::from([[[17], [39]], [[6], [5]]]).cast(dtype));
            let op = BatchMatMulV2 { adj_x: true, adj_y: false };
            check(op, &inputs, Value::from([[[23], [34]], [[6], [5]]]).cast(dtype));
        }
        let i = Complex::new(0.0, 1.0);
        let op = BatchMatMul { adj_x: true, adj_y: false };
        check(op, &[[[[i]]].into(), [[[i]]].into()], [[[Complex::new(1.0, 0.0)]]]);
    }

    #[test]
    fn equations() {
        let x = || Value::from([[1, 2], [3, 4]]);
        let op = |equation: &str| Einsum { equation: equation.to_owned() };
        check(op("ij,jk->ik"), &[x(), x()], [[7, 10], [15, 22]]);
        check(op("ij,jk->ki"), &[x(), x()], [[7, 15], [10, 22]]);
        check(op("ij,ij->"), &[x(), x()], 30);
        check(op("ii->i"), &[x()], [1, 4]);
        check(op("ii->"), &[x()], 5);
        check(op("ij->j"), &[x()], [4, 6]);
        check(op("i->ii"), &[[1, 2].into()], [[1, 0], [0, 2]]);
        check(op("i,j->ij"), &[[1, 2].into(), [3, 4].into()], [[3, 4], [6, 8]]);
        let one = x().reshape([1, 2, 2]).unwrap();
        check(op("...ij,...j->...i"), &[one, [[1, 1], [0, 1]].into()], [[3, 7], [2, 4]]);
        check(op("ab,cd->ad"), &[x(), x()], [[12, 18], [28, 42]]);
    }
}
