//! Rows: one op with one set of operands, and what is known of the outcome.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tidemill_core::{DType, ErrorKind, Op, OpRef, Result, Schema, Shape, Tensor, Value};
use tidemill_tensor::IntoValue;

/// One operand of a [`Row`]; made by [`x`] or [`value`].
#[derive(Debug, Clone)]
pub struct Input {
    content: Content,
    dtype: Option<DType>,
    pub(crate) variable: bool,
    pub(crate) initialised: bool,
}

#[derive(Debug, Clone)]
enum Content {
    Random { shape: Shape, low: f64, high: f64 },
    Given(Result<Value>),
}

/// A tensor of random numbers, evenly drawn from -1.5 to 1.5 unless [`range`](Input::range) says otherwise; `f64`, so that
/// gradients can be checked, unless [`dtype`](Input::dtype) says otherwise.
///
/// Keep away from poles and kinks: `x([2, 3]).range(0.5, 2.0)` for a logarithm.
pub fn x(shape: impl Into<Shape>) -> Input {
    Input::new(Content::Random { shape: shape.into(), low: -1.5, high: 1.5 })
}

/// A tensor with this value: an array, a number, a [`Value`]. Operands that are axes, sizes and the like are written so.
pub fn value(value: impl IntoValue) -> Input {
    Input::new(Content::Given(value.into_value().map_err(Into::into)))
}

impl Input {
    fn new(content: Content) -> Input {
        Input { content, dtype: None, variable: false, initialised: true }
    }

    /// Random numbers between `low` and `high`.
    pub fn range(mut self, from: f64, to: f64) -> Input {
        if let Content::Random { low, high, .. } = &mut self.content {
            (*low, *high) = (from, to);
        }
        self
    }

    /// The same numbers as another dtype, converted as [`Value::cast`] does.
    pub fn dtype(mut self, dtype: DType) -> Input {
        self.dtype = Some(dtype);
        self
    }

    /// A variable that holds this; for an operand that is `&T` in the op's signature.
    pub fn variable(mut self) -> Input {
        self.variable = true;
        self
    }

    /// A variable of this dtype and shape that holds nothing yet.
    pub fn uninitialised(mut self) -> Input {
        self.initialised = false;
        self.variable()
    }

    fn draw(&self, rng: &mut StdRng) -> Result<Value> {
        let value = match &self.content {
            Content::Given(value) => value.clone()?,
            Content::Random { shape, low, high } => {
                let one = |_| rng.random_range(*low..*high);
                Value::from_vec(shape, (0..shape.num_elements()).map(one).collect())?
            }
        };
        Ok(self.dtype.map_or_else(|| value.clone(), |dtype| value.cast(dtype)))
    }
}

/// One op, its operands, and what is to be checked beside what is always checked (see [`Battery`](crate::Battery)).
#[derive(Debug, Clone)]
pub struct Row {
    pub(crate) made: Made,
    pub(crate) inputs: Vec<Input>,
    pub(crate) at: &'static Location<'static>,
    pub(crate) expected: Vec<Value>,
    pub(crate) left: Vec<Value>,
    pub(crate) fed: Option<Value>,
    pub(crate) fails: Option<ErrorKind>,
    pub(crate) order: usize,
    pub(crate) needs_statics: bool,
    pub(crate) smooth: bool,
    /// Whether the gradient of complex operands is that of a function of both of their parts.
    pub(crate) holomorphic: bool,
    pub(crate) cut: Vec<usize>,
    pub(crate) of: Option<Vec<usize>>,
    pub(crate) fixed_dtypes: bool,
    pub(crate) tolerance: f64,
    pub(crate) within: Option<[f64; 2]>,
}

/// What a row makes of its operands.
#[derive(Clone)]
pub(crate) enum Made {
    /// A node of this op.
    Node(OpRef),
    /// What a function adds, among it nodes of the op of this schema.
    Function(Schema, Arc<Function>),
}

pub(crate) type Function = dyn Fn(&[Tensor]) -> Vec<Tensor> + Send + Sync;

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Made::Node(op) => op.fmt(f),
            Made::Function(schema, _) => write!(f, "a function of {}", schema.name),
        }
    }
}

/// A row: `row(Tanh, [x([2, 3])])`. Failures name the line it stands on.
#[track_caller]
pub fn row(op: impl Op, inputs: impl IntoIterator<Item = Input>) -> Row {
    Row::new(Made::Node(Arc::new(op)), inputs)
}

/// A row of a function that adds nodes of op `O`: for ops that only functions make, such as loops, and for functions composed of ops.
/// Its results are compared and differentiated as an op's outputs are; types and attributes are not looked at, nor dtypes other than
/// `f32` and `f64`.
///
/// ```
/// use tidemill_conformance::{Battery, row_of, x};
/// use tidemill_core::ops::{self, SelectV2};
/// let leaky = row_of::<SelectV2>(|t| vec![ops::select(t[0].gt(0.0), t[0], t[0] * 0.1)], [x([5])]);
/// Battery::new().rows([leaky]).check();
/// ```
#[track_caller]
pub fn row_of<O: Op>(
    function: impl Fn(&[Tensor]) -> Vec<Tensor> + Send + Sync + 'static,
    inputs: impl IntoIterator<Item = Input>,
) -> Row {
    Row::new(Made::Function(O::SCHEMA, Arc::new(function)), inputs)
}

impl Row {
    #[track_caller]
    fn new(made: Made, inputs: impl IntoIterator<Item = Input>) -> Row {
        Row {
            made,
            inputs: inputs.into_iter().collect(),
            at: Location::caller(),
            expected: vec![],
            left: vec![],
            fed: None,
            fails: None,
            order: 2,
            needs_statics: false,
            smooth: true,
            holomorphic: true,
            cut: vec![],
            of: None,
            fixed_dtypes: false,
            tolerance: 1.0,
            within: None,
        }
    }

    pub(crate) fn schema(&self) -> Schema {
        match &self.made {
            Made::Node(op) => op.schema(),
            Made::Function(schema, _) => *schema,
        }
    }

    /// The op, if the row is a node of it.
    pub(crate) fn op(&self) -> Option<&OpRef> {
        match &self.made {
            Made::Node(op) => Some(op),
            Made::Function(..) => None,
        }
    }

    /// The value of the next output, as recorded from a source to be trusted. Floats may differ in rounding.
    ///
    /// # Panics
    /// When `value` is a ragged list.
    #[track_caller]
    pub fn expect(mut self, value: impl IntoValue) -> Row {
        self.expected.push(array(value));
        self
    }

    /// What the next variable among the operands holds after the run.
    ///
    /// # Panics
    /// When `value` is a ragged list.
    #[track_caller]
    pub fn leaves(mut self, value: impl IntoValue) -> Row {
        self.left.push(array(value));
        self
    }

    /// Feeds output 0 in every run.
    ///
    /// # Panics
    /// When `value` is a ragged list.
    #[track_caller]
    pub fn fed(mut self, value: impl IntoValue) -> Row {
        self.fed = Some(array(value));
        self
    }

    /// The row is wrong: building or running it gives an error of this kind, which names the node. Nothing else is checked.
    pub fn fails(mut self, kind: ErrorKind) -> Row {
        self.fails = Some(kind);
        self
    }

    /// There is no gradient: asking for one gives `Unimplemented` or none, never a number.
    pub fn no_gradient(mut self) -> Row {
        self.order = 0;
        self
    }

    /// The gradient has no gradient: asking for one gives `Unimplemented`.
    pub fn first_order(mut self) -> Row {
        self.order = 1;
        self
    }

    /// Gradients are not looked at: the operands sit on poles or kinks.
    pub fn values_only(mut self) -> Row {
        self.smooth = false;
        self
    }

    /// Of complex operands, TensorFlow's gradient is not what differences give; it is checked of real ones only.
    pub fn real_gradient(mut self) -> Row {
        self.holomorphic = false;
        self
    }

    /// The gradient may be `Unimplemented` where values of integer operands, ranks or sizes are not known before the run.
    pub fn static_gradient(mut self) -> Row {
        self.needs_statics = true;
        self
    }

    /// No gradient flows into these operands, although they matter.
    pub fn no_grad(mut self, inputs: impl IntoIterator<Item = usize>) -> Row {
        self.cut.extend(inputs);
        self
    }

    /// Gradients are checked of these outputs only.
    pub fn of(mut self, outputs: impl IntoIterator<Item = usize>) -> Row {
        self.of = Some(outputs.into_iter().collect());
        self
    }

    /// The row's function is for operands of the dtypes that they have, and no others.
    pub fn fixed_dtypes(mut self) -> Row {
        self.fixed_dtypes = true;
        self
    }

    /// Floats may differ this many times as much as usual, where an algorithm loses digits.
    pub fn tolerance(mut self, factor: f64) -> Row {
        self.tolerance = factor;
        self
    }

    /// Every element of every output lies between these, bounds included.
    pub fn within(mut self, low: f64, high: f64) -> Row {
        self.within = Some([low, high]);
        self
    }

    /// The operands' values, the same every time.
    pub(crate) fn draw(&self) -> Result<Vec<Value>> {
        let mut rng = StdRng::seed_from_u64(1);
        self.inputs.iter().map(|input| input.draw(&mut rng)).collect()
    }
}

#[track_caller]
fn array(value: impl IntoValue) -> Value {
    value.into_value().unwrap_or_else(|e| panic!("{e}"))
}
