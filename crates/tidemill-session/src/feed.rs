//! What a run is fed.

use tidemill_core::{Error, Graph, GraphId, Output, Result, Tensor, Value, Variable};
use tidemill_tensor::IntoValue;

/// What a feed replaces: a tensor (any tensor, not only a placeholder), or a tensor by name.
#[derive(Debug, Clone)]
pub enum FeedKey {
    /// A tensor.
    Tensor(Tensor),
    /// `node:index`, or `node` for its output 0.
    Name(String),
}

impl From<Tensor> for FeedKey {
    fn from(t: Tensor) -> Self {
        FeedKey::Tensor(t)
    }
}

impl From<&Tensor> for FeedKey {
    fn from(t: &Tensor) -> Self {
        FeedKey::Tensor(*t)
    }
}

impl From<Variable> for FeedKey {
    /// The variable's value, as the run's formulas read it; the variable itself is left alone.
    fn from(v: Variable) -> Self {
        FeedKey::Tensor(v.value())
    }
}

impl From<&str> for FeedKey {
    fn from(name: &str) -> Self {
        FeedKey::Name(name.to_owned())
    }
}

impl From<String> for FeedKey {
    fn from(name: String) -> Self {
        FeedKey::Name(name)
    }
}

impl FeedKey {
    pub(crate) fn resolve(&self, graph: &Graph) -> Result<Output> {
        match self {
            FeedKey::Tensor(t) => {
                same_graph(t.graph_id(), graph, "a fed tensor")?;
                Ok(t.output())
            }
            FeedKey::Name(name) => Ok(graph.tensor(name)?.output()),
        }
    }
}

pub(crate) fn same_graph(id: GraphId, graph: &Graph, what: &str) -> Result<()> {
    if id == graph.id() {
        Ok(())
    } else {
        Err(Error::invalid(format!("{what} belongs to another graph than the session")))
    }
}

/// Tensors and the values that stand in for them during one run; see [`feed!`](crate::feed).
#[derive(Debug, Clone, Default)]
pub struct FeedDict {
    pub(crate) entries: Vec<(FeedKey, Result<Value>)>,
}

impl FeedDict {
    /// No feeds.
    pub fn new() -> FeedDict {
        FeedDict::default()
    }

    /// Adds a feed. A value that is no array is reported by the run.
    pub fn with(mut self, key: impl Into<FeedKey>, value: impl IntoValue) -> FeedDict {
        self.insert(key, value);
        self
    }

    /// Adds a feed.
    pub fn insert(&mut self, key: impl Into<FeedKey>, value: impl IntoValue) {
        self.entries.push((key.into(), value.into_value().map_err(Error::from)));
    }

    /// The feeds but for that of `tensor`, whether by handle or by name.
    pub fn without(mut self, tensor: Tensor) -> FeedDict {
        let graph = tensor.graph();
        self.entries.retain(|(key, _)| !key.resolve(&graph).is_ok_and(|fed| fed == tensor.output()));
        self
    }

    /// How many feeds there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl From<&FeedDict> for FeedDict {
    fn from(feeds: &FeedDict) -> FeedDict {
        feeds.clone()
    }
}

impl<K: Into<FeedKey>, V: IntoValue> FromIterator<(K, V)> for FeedDict {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(feeds: I) -> FeedDict {
        feeds.into_iter().fold(FeedDict::new(), |dict, (key, value)| dict.with(key, value))
    }
}

/// Feeds for a run: `feed! { x => xs, y => ys }`.
///
/// A key is a tensor, a variable or a name; a value anything that converts to a [`Value`]: a `Value` or a reference to one, numbers,
/// (nested) vectors and arrays, `ndarray` arrays.
///
/// ```
/// use tidemill_core::{DType, Graph};
/// use tidemill_session::feed;
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [2]);
/// let feeds = feed! { x => [1f32, 2.0], "Placeholder:0" => vec![1f32, 2.0] };
/// assert_eq!(feeds.len(), 2);
/// ```
#[macro_export]
macro_rules! feed {
    ($($key:expr => $value:expr),* $(,)?) => {
        $crate::FeedDict::new()$(.with($key, $value))*
    };
}
