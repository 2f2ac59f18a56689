//! Random numbers: uniform, normal and truncated normal.
//!
//! Equal seeds give equal numbers, in every session anew; TensorFlow gives the same ones. Each run goes on where the last
//! one of its session ended.

use tidemill_tensor::{DType, Shape, Value};

use crate::attrs;
use crate::autodiff::{GradCx, Grads, NoGrad};
use crate::error::{Error, Origin, Result, or_panic};
use crate::grads;
use crate::graph::Graph;
use crate::handle::{Operation, Tensor};
use crate::infer::{InferCx, TensorType};
use crate::op::{Op, OpSet};
use crate::operand::{Operand, Resolved, ShapeArg};
use crate::ops::{AddV2, Const};
use crate::schema::{Effect, Schema};

pub(super) fn register(set: OpSet) -> OpSet {
    set.with::<RandomUniform>()
        .with::<RandomUniformInt>()
        .with::<RandomStandardNormal>()
        .with::<TruncatedNormal>()
        .with::<RandomShuffle>()
}

macro_rules! random_op {
    ($($(#[$doc:meta])* $op:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $op {
            /// The graph's seed. Both seeds 0 mean fresh numbers in every session.
            pub seed: i64,
            /// The op's seed.
            pub seed2: i64,
            /// Element type of the result.
            pub dtype: DType,
        }
        attrs!($op { seed, seed2, dtype });

        impl Op for $op {
            const SCHEMA: Schema = Schema::new(
                stringify!($op),
                "(shape: I) -> (output: dtype) where I: i32|i64, dtype: f16|bf16|f32|f64",
            )
            .effect(Effect::Random);
            fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
                random_shape(cx, self.dtype)
            }
            fn grad(&self, _: &GradCx) -> Result<Grads> {
                Ok(grads![NoGrad])
            }
        }
    )*};
}
random_op! {
    /// Numbers uniform in `[0, 1)`.
    RandomUniform;
    /// Numbers of the standard normal distribution.
    RandomStandardNormal;
    /// Numbers of the standard normal distribution, those of magnitude 2 and above drawn again.
    TruncatedNormal;
}

/// Integers uniform in `minval..maxval`.
///
/// The numbers are slightly biased unless `maxval - minval` is a power of two, by less than one part in
/// `2³² / (maxval - minval)` (`2⁶⁴` for `i64`), as TensorFlow's are.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomUniformInt {
    /// The graph's seed. Both seeds 0 mean fresh numbers in every session.
    pub seed: i64,
    /// The op's seed.
    pub seed2: i64,
}
attrs!(RandomUniformInt { seed, seed2 });

impl Op for RandomUniformInt {
    const SCHEMA: Schema = Schema::new(
        "RandomUniformInt",
        "(shape: I, minval: Tout, maxval: Tout) -> (output: Tout) where I: i32|i64, Tout: i32|i64",
    )
    .effect(Effect::Random);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.expect_rank(1, 0)?;
        cx.expect_rank(2, 0)?;
        let bound = |i| cx.known_all(i).and_then(|v| v.first().copied());
        if let (Some(min), Some(max)) = (bound(1), bound(2))
            && min >= max
        {
            return Err(Error::invalid(format!("minval must be below maxval, but {min} >= {max}")));
        }
        random_shape(cx, cx.dtype(1))
    }
    fn grad(&self, _: &GradCx) -> Result<Grads> {
        Ok(grads![NoGrad, NoGrad, NoGrad])
    }
}

/// Its operand with the rows (the entries along axis 0) in random order.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomShuffle {
    /// The graph's seed. Both seeds 0 mean a fresh order in every session.
    pub seed: i64,
    /// The op's seed.
    pub seed2: i64,
}
attrs!(RandomShuffle { seed, seed2 });

impl Op for RandomShuffle {
    const SCHEMA: Schema = Schema::new("RandomShuffle", "(value: T) -> (output: T)").effect(Effect::Random);
    fn infer(&self, cx: &InferCx) -> Result<Vec<TensorType>> {
        cx.same_as_input(0)
    }
}

/// One output of the shape that operand 0 carries.
fn random_shape(cx: &InferCx, dtype: DType) -> Result<Vec<TensorType>> {
    cx.expect_rank(0, 1)?;
    if let Some(negative) = cx.known(0).into_iter().flatten().flatten().find(|d| *d < 0) {
        return Err(Error::invalid(format!("dimension {negative} of the shape is negative")));
    }
    cx.output(dtype, cx.shape_argument(0)?)
}

/// The bounds and the seed of [`Graph::random_uniform_with`]; a Rust range is one.
#[derive(Debug, Clone)]
pub struct Uniform {
    min: Resolved,
    max: Resolved,
    seed: Option<i64>,
}

impl Uniform {
    /// From `min` up to but without `max`: numbers, or tensors that broadcast with the shape.
    #[track_caller]
    pub fn new(min: impl Operand, max: impl Operand) -> Uniform {
        Uniform { min: or_panic(min.natural()), max: or_panic(max.natural()), seed: None }
    }

    /// The op-level seed; see [`Graph::seeds`].
    pub fn seed(mut self, seed: impl Into<Option<i64>>) -> Self {
        self.seed = seed.into();
        self
    }
}

macro_rules! uniform_range {
    ($($number:ty)*) => {$(
        impl From<std::ops::Range<$number>> for Uniform {
            fn from(range: std::ops::Range<$number>) -> Self {
                Uniform::new(range.start, range.end)
            }
        }
    )*};
}
uniform_range!(f32 f64 i32 i64);

/// The parameters and the seed of [`Graph::random_normal_with`] and [`Graph::truncated_normal_with`].
#[derive(Debug, Clone)]
pub struct Normal {
    mean: Resolved,
    stddev: Resolved,
    seed: Option<i64>,
}

impl Normal {
    /// The normal distribution of this mean and standard deviation: numbers, or tensors that broadcast with the shape.
    #[track_caller]
    pub fn new(mean: impl Operand, stddev: impl Operand) -> Normal {
        Normal { mean: or_panic(mean.natural()), stddev: or_panic(stddev.natural()), seed: None }
    }

    /// The op-level seed; see [`Graph::seeds`].
    pub fn seed(mut self, seed: impl Into<Option<i64>>) -> Self {
        self.seed = seed.into();
        self
    }
}

impl Graph {
    /// Numbers uniform in `[0, 1)`, anew in each run. TensorFlow: `tf.random_uniform` without bounds.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph};
    /// let g = Graph::new();
    /// let noise = g.random_uniform(DType::F32, [2, 3]);
    /// assert_eq!(noise.ty().to_string(), "f32[2,3]");
    /// ```
    ///
    /// # Panics
    /// When `dtype` is not a float: integers need [bounds](Graph::random_uniform_with).
    #[track_caller]
    pub fn random_uniform(&self, dtype: DType, shape: impl Into<ShapeArg>) -> Tensor {
        self.unit_uniform(dtype, shape.into(), None)
    }

    #[track_caller]
    fn unit_uniform(&self, dtype: DType, shape: ShapeArg, seed: Option<i64>) -> Tensor {
        let (seed, seed2) = self.seeds(seed);
        or_panic(self.drawn("random_uniform", dtype, shape, [], Origin::here(), |_, shape, []| {
            self.op(RandomUniform { seed, seed2, dtype }).input(shape).try_build()
        }))
    }

    /// Numbers uniform between two bounds, anew in each run: floats, or integers `i32` or `i64`. Between the Rust integers 0 and 1, floats are what
    /// [`random_uniform`](Graph::random_uniform) draws. TensorFlow: `tf.random_uniform`.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops::Uniform};
    /// let g = Graph::new();
    /// let weights = g.random_uniform_with(DType::F32, [2, 3], -0.1..0.1);
    /// let classes = g.random_uniform_with(DType::I32, [8], Uniform::new(0, 10).seed(7));
    /// assert_eq!(classes.ty().to_string(), "i32[8]");
    /// ```
    ///
    /// # Panics
    /// When a bound does not fit `dtype`, or the bounds of integers leave nothing between them.
    #[track_caller]
    pub fn random_uniform_with(
        &self,
        dtype: DType,
        shape: impl Into<ShapeArg>,
        bounds: impl Into<Uniform>,
    ) -> Tensor {
        let Uniform { min, max, seed } = bounds.into();
        let is =
            |bound: &Resolved, number| matches!(bound, Resolved::Value(v) if *v == Value::scalar(number));
        if dtype.is_float() && is(&min, 0i32) && is(&max, 1i32) {
            return self.unit_uniform(dtype, shape.into(), seed);
        }
        let (seed, seed2) = self.seeds(seed);
        let bounds = [("min", min), ("max", max)];
        or_panic(self.drawn(
            "random_uniform",
            dtype,
            shape.into(),
            bounds,
            Origin::here(),
            |name, shape, [min, max]| {
                if dtype.is_integer() {
                    let op = RandomUniformInt { seed, seed2 };
                    return self.op(op).name(name).input(shape).input(min).input(max).try_build();
                }
                let unit = self.op(RandomUniform { seed, seed2, dtype }).input(shape).try_build()?;
                let scaled = unit.output(0) * (max - min);
                self.op(AddV2).name(name).input(scaled).input(min).try_build()
            },
        ))
    }

    /// Numbers of the standard normal distribution, anew in each run. TensorFlow: `tf.random_normal`.
    #[track_caller]
    pub fn random_normal(&self, dtype: DType, shape: impl Into<ShapeArg>) -> Tensor {
        self.random_normal_with(dtype, shape, Normal::new(0.0, 1.0))
    }

    /// Numbers of a normal distribution, anew in each run. TensorFlow: `tf.random_normal`.
    ///
    /// ```
    /// use tidemill_core::{DType, Graph, ops::Normal};
    /// let g = Graph::new();
    /// let x = g.random_normal_with(DType::F64, [100], Normal::new(20.0, 0.5).seed(1));
    /// assert_eq!(x.ty().to_string(), "f64[100]");
    /// ```
    #[track_caller]
    pub fn random_normal_with(&self, dtype: DType, shape: impl Into<ShapeArg>, of: Normal) -> Tensor {
        let (seed, seed2) = self.seeds(of.seed);
        self.normal("random_normal", dtype, shape.into(), of, RandomStandardNormal { seed, seed2, dtype })
    }

    /// Numbers of the standard normal distribution cut off at two standard deviations, anew in each run. TensorFlow:
    /// `tf.truncated_normal`.
    #[track_caller]
    pub fn truncated_normal(&self, dtype: DType, shape: impl Into<ShapeArg>) -> Tensor {
        self.truncated_normal_with(dtype, shape, Normal::new(0.0, 1.0))
    }

    /// Numbers of a normal distribution cut off at two standard deviations from the mean, anew in each run. The standard
    /// deviation of what is left is about 0.88 of the one given. TensorFlow: `tf.truncated_normal`.
    #[track_caller]
    pub fn truncated_normal_with(&self, dtype: DType, shape: impl Into<ShapeArg>, of: Normal) -> Tensor {
        let (seed, seed2) = self.seeds(of.seed);
        self.normal("truncated_normal", dtype, shape.into(), of, TruncatedNormal { seed, seed2, dtype })
    }

    /// `standard * stddev + mean`.
    #[track_caller]
    fn normal(&self, name: &str, dtype: DType, shape: ShapeArg, of: Normal, standard: impl Op) -> Tensor {
        let parameters = [("mean", of.mean), ("stddev", of.stddev)];
        or_panic(self.drawn(name, dtype, shape, parameters, Origin::here(), |name, shape, [mean, stddev]| {
            let scaled = self.op(standard).input(shape).try_build()?.output(0) * stddev;
            self.op(AddV2).name(name).input(scaled).input(mean).try_build()
        }))
    }

    /// Runs `f` in the name scope `name`, with that scope's name for the last node, and with tensors for the shape and for
    /// each parameter.
    fn drawn<const N: usize>(
        &self,
        name: &str,
        dtype: DType,
        shape: ShapeArg,
        parameters: [(&str, Resolved); N],
        origin: Origin,
        f: impl FnOnce(String, Tensor, [Tensor; N]) -> Result<Operation>,
    ) -> Result<Tensor> {
        let build = || {
            let constant =
                |name: &str, value| self.op(Const { value }).name(name).try_build().map(|op| op.output(0));
            let shape = shape.value().map_or_else(Ok, |dims| constant("shape", dims))?;
            let mut tensors = [shape; N];
            for (tensor, (name, parameter)) in tensors.iter_mut().zip(parameters) {
                *tensor = match parameter {
                    Resolved::Tensor(t) => t,
                    Resolved::Value(v) => constant(name, converted(v, dtype)?)?,
                };
            }
            f(format!("{}/", self.current_name_scope()), shape, tensors).map(|op| op.output(0))
        };
        self.with_origin(origin, || self.name_scope(name).enter(build))
    }
}

/// A number or array written in Rust as `dtype`, which must hold it (floats only nearly).
fn converted(value: Value, dtype: DType) -> Result<Value> {
    let cast = value.cast(dtype);
    let exact = || value.iter_f64().zip(cast.iter_f64()).all(|(before, after)| before == after);
    if value.dtype() == dtype || (dtype.is_float() && value.dtype() != DType::Bool) || exact() {
        Ok(cast)
    } else {
        Err(Error::invalid(format!("{value} cannot be of dtype {dtype}")))
    }
}

/// `x` with its rows (the entries along axis 0) in random order, another in each run. It has no gradient, as in TensorFlow.
/// TensorFlow: `tf.random_shuffle`.
#[track_caller]
pub fn random_shuffle(x: impl Into<Tensor>, seed: impl Into<Option<i64>>) -> Tensor {
    let x = x.into();
    let (seed, seed2) = x.graph().seeds(seed.into());
    x.graph().add(RandomShuffle { seed, seed2 }, &[x])
}

/// Uniform between two numbers, for initializers.
#[track_caller]
pub(crate) fn random_uniform_between(
    graph: &Graph,
    shape: &Shape,
    dtype: DType,
    min: f64,
    max: f64,
    seed: Option<i64>,
) -> Tensor {
    graph.random_uniform_with(dtype, shape, Uniform::new(min, max).seed(seed))
}
