//! Analytic gradients against central differences.

use std::cell::RefCell;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill_core::{DType, Error, Gradient, Gradients, Result, Tensor, Value};
use tidemill_session::{FeedDict, Session};
use tidemill_tensor::Complex;

/// Half the distance between the two points of a difference; the second one taken is half as wide.
const STEP: f64 = 1e-3;
/// How far the two may be apart, relative to themselves.
const RELATIVE: f64 = 1e-6;
/// How far they may be apart, relative to what is differentiated: differences lose as much to rounding.
const ABSOLUTE: f64 = 1e-8;

/// Compares the gradients of `ys` with respect to `xs` with central differences, up to the given order.
///
/// A random weight flows into every element of `ys`. Each `x` in turn is moved along one random direction `u`; the sum over `x` of
/// gradient times `u` must be what the differences give (taken at two distances and extrapolated, so that they are good to about
/// nine digits). For order 2 the gradients themselves are differentiated the same way, also with respect to what flowed into `ys`,
/// and so on. The nodes this needs are added to the session's graph, under the name scope `check_gradients`.
///
/// Anything that can be fed can be an `x`: a placeholder (which `feeds` then holds), a variable's value, a constant, a tensor in
/// the middle. Everything on the way must be `f64` or `c128`, or differences would drown in rounding; complex numbers
/// are moved in both of their parts. Results must be the same from
/// run to run: fix what is random by feeding it.
///
/// ```
/// use tidemill_conformance::check_gradients;
/// use tidemill_core::{DType, Graph, ops};
/// use tidemill_session::{Session, feed};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F64, [3]);
/// let y = ops::tanh(x) * x;
/// let sess = Session::new(&g);
/// check_gradients(&sess, &[y], &[x], feed! { x => [0.5, -1.0, 2.0] }, 2)?;
/// # Ok::<(), tidemill_core::Error>(())
/// ```
///
/// # Errors
/// `Internal` when a gradient is wrong, naming the `x`, the direction and both numbers; `InvalidArgument` when a `y` or `x` is neither
/// `f64` nor `c128`; and whatever building the gradients or running them gives, such as `Unimplemented` from an op without a gradient.
pub fn check_gradients(
    sess: &Session,
    ys: &[Tensor],
    xs: &[Tensor],
    feeds: impl Into<FeedDict>,
    order: usize,
) -> Result<()> {
    if let Some(t) = ys.iter().chain(xs).find(|t| t.dtype().real() != DType::F64) {
        return Err(Error::invalid(format!("gradients are checked in f64, but {t:?} is {}", t.dtype()))
            .with_help("build the model in f64 to check it"));
    }
    let graph = sess.graph();
    let check = Check { sess, rng: RefCell::new(StdRng::seed_from_u64(7)) };
    let mut feeds = feeds.into();
    let (mut ys, mut xs) = (ys.to_vec(), xs.to_vec());
    for order in 1..=order {
        let values = sess.run(&ys, &feeds)?;
        let weights: Vec<Value> = values.iter().map(|y| check.draw(y)).collect::<Result<_>>()?;
        let (seeds, gradients) = graph.name_scope("check_gradients").enter(|| -> Result<_> {
            let seeds: Vec<Tensor> = ys.iter().map(|y| graph.placeholder(y.dtype(), y.shape())).collect();
            let gradients =
                Gradients::of(&ys).grad_ys(seeds.iter().copied().map(Some)).with_respect_to(&xs)?;
            Ok((seeds, gradients.into_iter().map(|g| g.map(Gradient::to_tensor)).collect::<Vec<_>>()))
        })?;
        seeds.iter().zip(&weights).for_each(|(seed, weight)| feeds.insert(*seed, weight));
        for (x, gradient) in xs.iter().zip(&gradients) {
            check.one(&ys, &weights, *x, *gradient, &feeds).map_err(|e| match e {
                Wrong::Gradient(what) => Error::internal(format!("gradient of order {order}: {what}")),
                Wrong::Run(e) => e,
            })?;
        }
        ys = gradients.into_iter().flatten().collect();
        xs.extend(seeds);
        if ys.is_empty() {
            break;
        }
    }
    Ok(())
}

enum Wrong {
    Gradient(String),
    Run(Error),
}

impl From<Error> for Wrong {
    fn from(e: Error) -> Self {
        Wrong::Run(e)
    }
}

impl From<tidemill_tensor::TensorError> for Wrong {
    fn from(e: tidemill_tensor::TensorError) -> Self {
        Wrong::Run(e.into())
    }
}

struct Check<'s> {
    sess: &'s Session,
    rng: RefCell<StdRng>,
}

impl Check<'_> {
    /// Random numbers of the shape of `like`, none of them near zero.
    fn draw(&self, like: &Value) -> Result<Value> {
        let mut rng = self.rng.borrow_mut();
        let mut one = || rng.random_range(0.25..1.0) * if rng.random() { 1.0 } else { -1.0 };
        from_parts(like, parts(like).map(|_| one()).collect())
    }

    fn one(
        &self,
        ys: &[Tensor],
        weights: &[Value],
        x: Tensor,
        gradient: Option<Tensor>,
        feeds: &FeedDict,
    ) -> Result<(), Wrong> {
        let (at, gradient) = self.sess.run((x, gradient), feeds)?;
        let direction = self.draw(&at)?;
        let analytic = match &gradient {
            Some(gradient) if gradient.shape() != at.shape() => {
                let (have, want) = (gradient.shape(), at.shape());
                return Err(Wrong::Gradient(format!(
                    "with respect to {x:?} it has shape {have}, not {want}"
                )));
            }
            Some(gradient) => dot(gradient, &direction),
            None => 0.0,
        };
        let feeds = feeds.clone().without(x);
        let moved = |t: f64| -> Result<f64, Wrong> {
            let along = parts(&at).zip(parts(&direction)).map(|(x, u)| x + t * u);
            let point = from_parts(&at, along.collect())?;
            let ys = self.sess.run(ys, feeds.clone().with(x, point))?;
            Ok(ys.iter().zip(weights).map(|(y, w)| dot(y, w)).sum())
        };
        let (far, near) = ([moved(STEP)?, moved(-STEP)?], [moved(STEP / 2.0)?, moved(-STEP / 2.0)?]);
        let slope = |[ahead, behind]: [f64; 2], step: f64| (ahead - behind) / (2.0 * step);
        // The error of a central difference goes with the square of the step.
        let numeric = (4.0 * slope(near, STEP / 2.0) - slope(far, STEP)) / 3.0;
        let allowed = RELATIVE * (analytic.abs() + numeric.abs()) + ABSOLUTE * (1.0 + far[0].abs());
        if (analytic - numeric).abs() <= allowed {
            return Ok(());
        }
        let none = if gradient.is_none() { " (there is none)" } else { "" };
        Err(Wrong::Gradient(format!(
            "with respect to {x:?} at {at} along {direction} it is {analytic:e}{none}, but central differences give {numeric:e}"
        )))
    }
}

fn dot(a: &Value, b: &Value) -> f64 {
    parts(a).zip(parts(b)).map(|(a, b)| a * b).sum()
}

/// The elements of an `f64`; of a `c128` real and imaginary parts in turn.
fn parts(value: &Value) -> impl Iterator<Item = f64> {
    let all: Vec<f64> = match value.as_slice::<Complex<f64>>() {
        Ok(all) => all.iter().flat_map(|z| [z.re, z.im]).collect(),
        Err(_) => value.iter_f64().collect(),
    };
    all.into_iter()
}

/// The value of the dtype and shape of `like` with these [`parts`].
fn from_parts(like: &Value, parts: Vec<f64>) -> Result<Value> {
    Ok(match like.dtype() {
        DType::C128 => {
            let all = parts.chunks_exact(2).map(|z| Complex::new(z[0], z[1]));
            Value::from_vec(like.shape(), all.collect())?
        }
        _ => Value::from_vec(like.shape(), parts)?,
    })
}
