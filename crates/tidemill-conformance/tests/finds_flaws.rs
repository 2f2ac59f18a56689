//! The battery finds what it is there to find: one op, right but for one flaw at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use tidemill_conformance::{Battery, Row, check_gradients, row, value, x};
use tidemill_core::ops::{self, Tanh};
use tidemill_core::*;
use tidemill_session::{CpuKernel, KernelCx, Session, feed};

/// `x³`, but for the flaw.
#[derive(Debug, Clone, PartialEq)]
struct Cube {
    flaw: String,
    forgotten: bool,
}

impl Attributes for Cube {
    fn to_attrs(&self) -> AttrMap {
        let mut attrs = AttrMap::new();
        attrs.set("flaw", &self.flaw);
        attrs
    }
    fn from_attrs(attrs: &AttrMap) -> Result<Self> {
        let flaw: String = attrs.get("flaw")?;
        let flaw = if flaw == "reads as another" { "one too many".to_owned() } else { flaw };
        Ok(Cube { flaw, forgotten: false })
    }
    fn signature() -> &'static Signature {
        static PARSED: std::sync::OnceLock<Signature> = std::sync::OnceLock::new();
        PARSED.get_or_init(|| Signature::parse(&Self::SCHEMA))
    }
}

impl Cube {
    fn has(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }
}

impl Op for Cube {
    const SCHEMA: Schema = Schema::new("Cube", "(x: T) -> (y: T) where T: Float");
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        let rank = cx.shape(0).rank();
        if self.has("needs the rank") && rank.is_none() {
            return Err(Error::invalid("what rank?"));
        }
        if self.has("guesses") && rank == Some(1) {
            return cx.output(cx.dtype(0), [cx.shape(0).dim(0).unwrap_or(1)]);
        }
        cx.same_as_input(0)
    }
    fn grad(&self, cx: &GradCx) -> Result<Grads> {
        let (x, dy) = (cx.x(0), cx.dy(0));
        Ok(match &*self.flaw {
            "no gradient" => grads![NoGrad],
            "wrong gradient" => grads![dy * x * x * 2.0],
            "gradient of unknown rank" if x.shape().rank().is_none() => grads![dy * x * x],
            "wrong second order" => grads![dy * x * ops::stop_gradient(x) * 3.0],
            "gradient in f32" => grads![dy * x * x * x.graph().constant(Value::from(3f32))],
            _ => grads![dy * x * x * 3.0],
        })
    }
    fn lower(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        self.has("lowers to a square").then(|| vec![inputs[0] * inputs[0]])
    }
}

impl CpuKernel for Cube {
    fn run(&self, cx: &mut KernelCx) -> Result<()> {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        if self.has("no f16") && cx.dtype(0) == DType::F16 {
            return Err(Error::unimplemented("f16"));
        }
        if self.has("rough in f32") && cx.dtype(0) == DType::F32 {
            return cx.map(|x| x * x * x + 1e-4);
        }
        if self.has("drifts") && RUNS.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            return cx.map(|x| x * x * x * (1.0 + f64::EPSILON));
        }
        if self.has("one too many") {
            return cx.map(|x| x * x * x + 1.0);
        }
        assert!(!self.has("panics"), "out of order");
        cx.map(|x| x * x * x)
    }
}

#[track_caller]
fn cube(flaw: &str) -> Row {
    row(Cube { flaw: flaw.to_owned(), forgotten: false }, [x([5])])
}

/// Exactly these checks fail, and the first message holds `words`.
#[track_caller]
fn finds(row: Row, checks: &[&str], words: &str) {
    let failures = Battery::new().op::<Cube>([row]).failures();
    let failed: Vec<&str> = failures.iter().map(|f| f.check).collect();
    let list: Vec<String> = failures.iter().map(|f| f.to_string()).collect();
    assert_eq!(failed, checks, "{}", list.join("\n"));
    assert!(list.first().is_none_or(|first| first.contains(words)), "{}", list[0]);
}

#[test]
fn in_shape_rules() {
    finds(cube(""), &[], "");
    finds(
        cube("needs the rank"),
        &["types", "values", "gradient", "text"],
        "the shape rule fails on (f64?): what rank?",
    );
    finds(
        cube("guesses"),
        &["types", "values", "gradient"],
        "on (f64[?]) it infers f64[1] for output 0, but the run gives f64[5]",
    );
}

#[test]
fn in_gradients() {
    finds(cube("no gradient"), &["gradient"], "it is 0e0 (there is none), but central differences give");
    finds(
        cube("wrong gradient"),
        &["gradient"],
        "gradient of order 1: with respect to n0 \"Placeholder:0\" f64[5] at",
    );
    finds(cube("wrong second order"), &["gradient"], "gradient of order 2: ");
    finds(cube("gradient of unknown rank"), &["gradient"], "Unknown, not optimised: gradient of order 1: ");
    finds(cube("gradient in f32"), &["gradient", "text", "dtypes"], "panicked");
    finds(cube("").no_gradient(), &["gradient"], "there is a gradient where the row says there is none");
    finds(cube("").no_grad([0]), &["gradient"], "there is a gradient where the row says there is none");
    finds(
        cube("").first_order(),
        &["gradient"],
        "the gradient has a gradient, although the row says it has none",
    );
}

#[test]
fn in_kernels() {
    finds(cube("drifts"), &["values"], "two runs differ");
    finds(cube("no f16"), &["dtypes"], "f16: ");
    finds(cube("rough in f32"), &["dtypes"], "f32: output 0 is f32[5]");
    finds(
        cube("panics"),
        &["types", "values", "gradient", "text", "dtypes"],
        "the kernel panicked: out of order",
    );
    finds(cube("lowers to a square"), &["values"], "lowered: output 0 is f64[5]");
}

#[test]
fn in_attributes() {
    let forgotten = Cube { flaw: String::new(), forgotten: true };
    finds(row(forgotten, [x([5])]), &["attributes"], "forgotten: true");
    finds(
        cube("reads as another"),
        &["attributes", "text"],
        "which read back are Cube { flaw: \"one too many\"",
    );
}

#[test]
fn in_rows() {
    let eight = || row(Cube { flaw: String::new(), forgotten: false }, [value(2.0)]);
    finds(eight().expect(8.0), &[], "");
    finds(eight().expect(9.0), &["values"], "output 0 is f64[] 8, but should be f64[] 9");
    finds(eight().expect(8.0).expect(8.0), &["values"], "there is no output 1");
    finds(eight().within(0.0, 7.0), &["values"], "the element 8, outside 0..=7");
    finds(
        eight().fails(ErrorKind::InvalidArgument),
        &["failure"],
        "it should fail with InvalidArgument, but gives [f64[] 8]",
    );
    finds(row(Tanh, [x([2])]), &["rows"], "the op has no rows");
}

#[test]
fn gradients_of_models() {
    let g = Graph::new();
    let w = g.get_variable_with("w", [2, 2], VariableOptions::new().dtype(DType::F64));
    let x = g.placeholder(DType::F64, [None, Some(2)]);
    let h = ops::tanh(ops::matmul(x, w));
    let loss = ops::reduce_sum(h * ops::stop_gradient(h));
    let sess = Session::new(&g);
    sess.load(w, [[0.5, -0.25], [1.0, 0.75]]).unwrap();
    let feeds = feed! { x => [[1.0, -1.0], [0.5, 2.0]] };
    check_gradients(&sess, &[h], &[w.value(), x], &feeds, 2).unwrap();
    let wrong = check_gradients(&sess, &[loss], &[x, w.value()], &feeds, 1).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Internal);
    assert!(
        wrong.message().contains("\"Placeholder:0\" f64[?,2] at f64[2,2] [[1, -1], [0.5, 2]] along"),
        "{wrong}"
    );
    let narrow = g.placeholder(DType::F32, [2]);
    let refused = check_gradients(&sess, &[narrow], &[narrow], feed! {}, 1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}
