//! Kernels of `ops::compare`: comparisons, logic and selection.

use tidemill_core::ops::{
    Equal, Greater, GreaterEqual, Less, LessEqual, LogicalAnd, LogicalNot, LogicalOr, NotEqual, Select,
    SelectV2,
};
use tidemill_core::{Error, Result, Shape};
use tidemill_tensor::{Element, dispatch_any, dispatch_numeric};

use super::elementwise::{Walk, map1, map2};
use super::{Args, CompileCx, Compiled, KernelTable};

pub(super) fn register(table: &mut KernelTable) {
    table.compiled::<Equal>(|_, cx| {
        dispatch_any!(cx.dtype(0), T => map2::<T, bool>(cx, |x: T, y: T| x == y), else => unsupported(cx))
    });
    table.compiled::<NotEqual>(|_, cx| {
        dispatch_any!(cx.dtype(0), T => map2::<T, bool>(cx, |x: T, y: T| x != y), else => unsupported(cx))
    });
    table.compiled::<Less>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => map2::<T, bool>(cx, |x: T, y: T| x < y), else => unsupported(cx))
    });
    table.compiled::<LessEqual>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => map2::<T, bool>(cx, |x: T, y: T| x <= y), else => unsupported(cx))
    });
    table.compiled::<Greater>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => map2::<T, bool>(cx, |x: T, y: T| x > y), else => unsupported(cx))
    });
    table.compiled::<GreaterEqual>(|_, cx| {
        dispatch_numeric!(cx.dtype(0), T => map2::<T, bool>(cx, |x: T, y: T| x >= y), else => unsupported(cx))
    });
    table.compiled::<LogicalAnd>(|_, cx| map2::<bool, bool>(cx, |x: bool, y: bool| x & y));
    table.compiled::<LogicalOr>(|_, cx| map2::<bool, bool>(cx, |x: bool, y: bool| x | y));
    table.compiled::<LogicalNot>(|_, cx| map1::<bool, bool>(cx, |x: bool| !x));
    table.compiled::<SelectV2>(|_, cx| select(cx, cx.shape(0)));
    table.compiled::<Select>(|_, cx| {
        // A vector chooses rows: it broadcasts along all axes but the first.
        let (condition, shape) = (cx.shape(0), cx.shape(1));
        let rows = condition.rank() == 1 && shape.rank() > 1;
        let seen = if rows {
            condition.iter().copied().chain(vec![1; shape.rank() - 1]).collect()
        } else {
            condition
        };
        select(cx, seen)
    });
}

fn unsupported(cx: &CompileCx) -> Result<Compiled> {
    Err(Error::unimplemented(format!("this comparison of {}", cx.dtype(0))))
}

/// `t` where the condition, taken to have shape `condition`, is true, and `e` elsewhere.
fn select(cx: &CompileCx, condition: Shape) -> Result<Compiled> {
    let walk = Walk::new(&cx.output_shape(0), [&condition, &cx.shape(1), &cx.shape(2)]);
    dispatch_any!(cx.dtype(1), T => Compiled::step(move |args: &mut Args| {
        chosen::<T>(&walk, args.input(0), [args.input(1), args.input(2)], args.output(0));
        Ok(())
    }), else => unsupported(cx))
}

fn chosen<T: Element>(walk: &Walk<3>, condition: &[bool], [t, e]: [&[T]; 2], mut out: &mut [T]) {
    let n = walk.inner;
    let [moves_c, moves_t, moves_e] = walk.moves.map(usize::from);
    walk.outer.each(|[c, i, j]| {
        let (here, rest) = std::mem::take(&mut out).split_at_mut(n);
        out = rest;
        match walk.moves {
            [true, true, true] => {
                let (c, t, e) = (&condition[c..c + n], &t[i..i + n], &e[j..j + n]);
                for (((out, c), t), e) in here.iter_mut().zip(c).zip(t).zip(e) {
                    *out = if *c { *t } else { *e };
                }
            }
            _ => {
                for (k, out) in here.iter_mut().enumerate() {
                    *out = if condition[c + k * moves_c] { t[i + k * moves_t] } else { e[j + k * moves_e] };
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::eval;
    use super::*;
    use tidemill_core::{Op, Value};

    #[track_caller]
    fn check(op: impl Op, inputs: &[Value], want: impl Into<Value>) {
        assert_eq!(eval(op, inputs), [want.into()]);
    }

    #[test]
    fn compares() {
        let (x, y) = (Value::from([1f32, 2.0, f32::NAN]), Value::from([2f32, 2.0, f32::NAN]));
        check(Less, &[x.clone(), y.clone()], [true, false, false]);
        check(LessEqual, &[x.clone(), y.clone()], [true, true, false]);
        check(Greater, &[x.clone(), y.clone()], [false, false, false]);
        check(Equal, &[x.clone(), y.clone()], [false, true, false]);
        check(NotEqual, &[x, y], [true, false, true]);
        check(GreaterEqual, &[[3i64, 1].into(), 2i64.into()], [true, false]);
    }

    #[test]
    fn reasons() {
        let (x, y) = (Value::from([true, true, false, false]), Value::from([true, false, true, false]));
        check(LogicalAnd, &[x.clone(), y.clone()], [true, false, false, false]);
        check(LogicalOr, &[x.clone(), y], [true, true, true, false]);
        check(LogicalNot, &[x], [false, false, true, true]);
    }

    #[test]
    fn selects() {
        let (t, e) = (Value::from([[1, 2], [3, 4]]), Value::from([[5, 6], [7, 8]]));
        check(SelectV2, &[[[true, false], [false, true]].into(), t.clone(), e.clone()], [[1, 6], [7, 4]]);
        check(SelectV2, &[[true, false].into(), t.clone(), 0.into()], [[1, 0], [3, 0]]);
        check(Select, &[[true, false].into(), t.clone(), e.clone()], [[1, 2], [7, 8]]);
        check(Select, &[true.into(), t.clone(), e], t);
    }
}
