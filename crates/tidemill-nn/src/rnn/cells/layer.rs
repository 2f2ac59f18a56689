//! What cells share: a variable scope of their own, an activation, and the options about both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::{DType, Error, Graph, GraphId, Origin, Tensor, VariableScope, ops};

use crate::or_panic;

/// The variable scope of a cell or another layer: opened at the first call, inside of the scope that is open then, and entered again by later calls
/// and those of clones, which share its variables. TensorFlow: `tf.layers.Layer`.
///
/// Two layers of one name in one scope do not share: the second is `name_1`, unless it is told to [`reuse`](Layer::reuse).
///
/// ```
/// use tidemill_core::{DType, Graph, Tensor, ops};
/// use tidemill_nn::rnn::{Layer, RnnCell, dynamic_rnn};
///
/// /// `h' = h + rate · (tanh([inputs, h] · kernel) - h)`
/// struct LeakyCell {
///     units: usize,
///     rate: f64,
///     layer: Layer,
/// }
///
/// impl RnnCell for LeakyCell {
///     type State = Tensor;
///     fn state_size(&self) -> usize {
///         self.units
///     }
///     fn output_size(&self) -> usize {
///         self.units
///     }
///     #[track_caller]
///     fn call(&self, inputs: Tensor, h: Tensor) -> (Tensor, Tensor) {
///         self.layer.call(inputs, |vs, depth| {
///             let kernel = vs.get_variable("kernel", [depth + self.units, self.units]);
///             let goal = ops::tanh(ops::matmul(ops::concat([inputs, h], 1), kernel));
///             let h = h + self.rate * (goal - h);
///             (h, h)
///         })
///     }
/// }
///
/// let g = Graph::new();
/// let cell = LeakyCell { units: 4, rate: 0.1, layer: Layer::new("leaky_cell") };
/// let x = g.placeholder(DType::F32, [8, 20, 2]);
/// let (outputs, _) = dynamic_rnn(&cell, x, cell.zero_state(&g, 8, DType::F32));
/// assert_eq!(outputs.ty().to_string(), "f32[8,20,4]");
/// assert_eq!(g.trainable_variables()[0].name(), "rnn/leaky_cell/kernel:0");
/// ```
#[derive(Clone)]
pub struct Layer {
    name: String,
    reuse: bool,
    opened: Arc<Mutex<Option<Opened>>>,
}

#[derive(Clone)]
struct Opened {
    graph: GraphId,
    scope: Arc<VariableScope>,
    name_scope: String,
}

impl Layer {
    /// With this name for its variable scope.
    pub fn new(name: &str) -> Layer {
        Layer { name: name.to_owned(), reuse: false, opened: Arc::default() }
    }

    /// With another name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Shares the variables that another layer of the same name has made in the same variable scope.
    pub fn reuse(mut self) -> Self {
        self.reuse = true;
        self
    }

    /// Runs `f` in the scope, with the depth of the inputs `[batch, depth]`. Variables there have the inputs' dtype; those that an earlier call has made
    /// are shared.
    ///
    /// # Panics
    /// Unless the inputs are floats `[batch, depth]` with a known depth.
    #[track_caller]
    pub fn call<R>(&self, inputs: Tensor, f: impl FnOnce(&VariableScope, usize) -> R) -> R {
        let ty = inputs.ty();
        match (ty.dtype.is_float(), ty.shape.rank(), ty.shape.dim(1)) {
            (true, Some(2), Some(depth)) => self.enter(inputs, |vs| f(vs, depth)),
            _ => or_panic(Err(Error::invalid(format!(
                "the inputs of {} must be floats [batch, depth] with a known depth, but are {ty}",
                self.name
            ))
            .with_origin(inputs.graph().origin()))),
        }
    }

    /// [`call`](Layer::call) for any inputs. Those that are no floats say nothing about the dtype of variables.
    #[track_caller]
    pub fn enter<R>(&self, inputs: Tensor, f: impl FnOnce(&VariableScope) -> R) -> R {
        let graph = inputs.graph();
        graph.with_origin(Origin::here(), || {
            let (opened, first) = self.opened(&graph, inputs.dtype());
            let scope = graph.reenter_variable_scope(&opened.scope).without_name_scope();
            let scope = if first { scope } else { scope.auto_reuse() };
            let exact = format!("{}/", opened.name_scope);
            scope.enter(|vs| graph.name_scope(&exact).enter(|| f(vs)))
        })
    }

    /// The scope in `graph`, and whether this call has opened it.
    fn opened(&self, graph: &Graph, dtype: DType) -> (Opened, bool) {
        let mut slot = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = slot.as_ref().filter(|opened| opened.graph == graph.id()) {
            return (opened.clone(), false);
        }
        let scope = match self.reuse {
            true => graph.variable_scope(&self.name).reuse(),
            false => graph.unique_variable_scope(&self.name),
        };
        let scope = if dtype.is_float() { scope.dtype(dtype) } else { scope };
        let opened = scope.enter(|_| Opened {
            graph: graph.id(),
            scope: Arc::new(graph.current_variable_scope()),
            name_scope: graph.current_name_scope(),
        });
        (slot.insert(opened).clone(), true)
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layer({:?})", self.name)
    }
}

/// A function of one tensor.
#[derive(Clone)]
pub(super) struct Activation(Arc<dyn Fn(Tensor) -> Tensor + Send + Sync>);

impl Activation {
    pub(super) fn new(f: impl Fn(Tensor) -> Tensor + Send + Sync + 'static) -> Self {
        Activation(Arc::new(f))
    }

    #[track_caller]
    pub(super) fn apply(&self, x: Tensor) -> Tensor {
        (self.0)(x)
    }
}

impl Default for Activation {
    fn default() -> Self {
        Activation::new(|x| ops::tanh(x))
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// The options of a cell with a `layer` and an `activation`.
macro_rules! cell_options {
    ($cell:ident) => {
        impl $cell {
            /// With another function than `tanh`.
            pub fn activation(
                mut self,
                f: impl Fn(tidemill_core::Tensor) -> tidemill_core::Tensor + Send + Sync + 'static,
            ) -> Self {
                self.activation = $crate::rnn::cells::layer::Activation::new(f);
                self
            }

            /// With another name for its variable scope.
            pub fn named(mut self, name: &str) -> Self {
                self.layer = self.layer.named(name);
                self
            }

            /// Shares the variables that another cell of the same name has made in the same variable scope.
            pub fn reuse(mut self) -> Self {
                self.layer = self.layer.reuse();
                self
            }
        }
    };
}
pub(super) use cell_options;
