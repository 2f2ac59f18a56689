//! What a run hands back: any nest of tensors and operations, mirrored by the results.

use std::vec::IntoIter;

use tidemill_core::{Graph, NodeId, Operation, Output, Result, Tensor, Value, Variable};

use crate::feed::same_graph;

/// What the parts of a fetch ask for.
#[derive(Debug)]
pub struct Requests<'g> {
    graph: &'g Graph,
    pub(crate) tensors: Vec<Output>,
    pub(crate) targets: Vec<NodeId>,
}

impl<'g> Requests<'g> {
    pub(crate) fn new(graph: &'g Graph) -> Requests<'g> {
        Requests { graph, tensors: vec![], targets: vec![] }
    }

    /// Asks for a tensor's value.
    ///
    /// # Errors
    /// `InvalidArgument` when it belongs to another graph.
    pub fn tensor(&mut self, tensor: Tensor) -> Result<()> {
        same_graph(tensor.graph_id(), self.graph, "a fetched tensor")?;
        self.tensors.push(tensor.output());
        Ok(())
    }

    /// Asks for an operation to be run.
    ///
    /// # Errors
    /// `InvalidArgument` when it belongs to another graph.
    pub fn operation(&mut self, operation: Operation) -> Result<()> {
        same_graph(operation.graph_id(), self.graph, "a fetched operation")?;
        self.targets.push(operation.id());
        Ok(())
    }
}

/// The values of the tensors asked for, in that order.
#[derive(Debug)]
pub struct Results(pub(crate) IntoIter<Value>);

impl Results {
    /// The next one.
    pub fn take(&mut self) -> Value {
        match self.0.next() {
            Some(value) => value,
            None => unreachable!("a fetch takes as many values as it asked for"),
        }
    }
}

/// Something that a run can fetch.
///
/// | fetch | result |
/// |---|---|
/// | [`Tensor`], [`Variable`] | its [`Value`] |
/// | `&str`, `String` | the value of the tensor of that name |
/// | [`Operation`] | `()`: it is run for its effect |
/// | `Option`, tuples, arrays, slices, `Vec`s of fetches | the same of results (`Vec` for a slice) |
pub trait Fetch {
    /// What comes back.
    type Output;
    /// Asks for its parts.
    ///
    /// # Errors
    /// `NotFound` for a name that does not exist, `InvalidArgument` for another graph's tensors.
    fn request(&self, requests: &mut Requests) -> Result<()>;
    /// Takes as many values as it asked for.
    fn assemble(&self, results: &mut Results) -> Self::Output;
}

impl Fetch for Tensor {
    type Output = Value;
    fn request(&self, requests: &mut Requests) -> Result<()> {
        requests.tensor(*self)
    }
    fn assemble(&self, results: &mut Results) -> Value {
        results.take()
    }
}

impl Fetch for Variable {
    type Output = Value;
    fn request(&self, requests: &mut Requests) -> Result<()> {
        requests.tensor(self.value())
    }
    fn assemble(&self, results: &mut Results) -> Value {
        results.take()
    }
}

impl Fetch for str {
    type Output = Value;
    fn request(&self, requests: &mut Requests) -> Result<()> {
        requests.tensor(requests.graph.tensor(self)?)
    }
    fn assemble(&self, results: &mut Results) -> Value {
        results.take()
    }
}

impl Fetch for String {
    type Output = Value;
    fn request(&self, requests: &mut Requests) -> Result<()> {
        self.as_str().request(requests)
    }
    fn assemble(&self, results: &mut Results) -> Value {
        results.take()
    }
}

impl Fetch for Operation {
    type Output = ();
    fn request(&self, requests: &mut Requests) -> Result<()> {
        requests.operation(*self)
    }
    fn assemble(&self, _: &mut Results) {}
}

impl<F: Fetch + ?Sized> Fetch for &F {
    type Output = F::Output;
    fn request(&self, requests: &mut Requests) -> Result<()> {
        (**self).request(requests)
    }
    fn assemble(&self, results: &mut Results) -> F::Output {
        (**self).assemble(results)
    }
}

impl<F: Fetch> Fetch for [F] {
    type Output = Vec<F::Output>;
    fn request(&self, requests: &mut Requests) -> Result<()> {
        self.iter().try_for_each(|f| f.request(requests))
    }
    fn assemble(&self, results: &mut Results) -> Vec<F::Output> {
        self.iter().map(|f| f.assemble(results)).collect()
    }
}

impl<F: Fetch> Fetch for Vec<F> {
    type Output = Vec<F::Output>;
    fn request(&self, requests: &mut Requests) -> Result<()> {
        self.as_slice().request(requests)
    }
    fn assemble(&self, results: &mut Results) -> Vec<F::Output> {
        self.as_slice().assemble(results)
    }
}

impl<F: Fetch, const N: usize> Fetch for [F; N] {
    type Output = [F::Output; N];
    fn request(&self, requests: &mut Requests) -> Result<()> {
        self.as_slice().request(requests)
    }
    fn assemble(&self, results: &mut Results) -> [F::Output; N] {
        self.each_ref().map(|f| f.assemble(results))
    }
}

impl<F: Fetch> Fetch for Option<F> {
    type Output = Option<F::Output>;
    fn request(&self, requests: &mut Requests) -> Result<()> {
        self.iter().try_for_each(|f| f.request(requests))
    }
    fn assemble(&self, results: &mut Results) -> Option<F::Output> {
        self.as_ref().map(|f| f.assemble(results))
    }
}

macro_rules! tuple_fetch {
    ($($name:ident)*) => {
        impl<$($name: Fetch),*> Fetch for ($($name,)*) {
            type Output = ($($name::Output,)*);
            #[allow(non_snake_case, unused_variables)]
            fn request(&self, requests: &mut Requests) -> Result<()> {
                let ($($name,)*) = self;
                $($name.request(requests)?;)*
                Ok(())
            }
            #[allow(non_snake_case, unused_variables, clippy::unused_unit)]
            fn assemble(&self, results: &mut Results) -> Self::Output {
                let ($($name,)*) = self;
                ($($name.assemble(results),)*)
            }
        }
    };
}
tuple_fetch!();
tuple_fetch!(A);
tuple_fetch!(A B);
tuple_fetch!(A B C);
tuple_fetch!(A B C D);
tuple_fetch!(A B C D E);
tuple_fetch!(A B C D E F);
tuple_fetch!(A B C D E F G);
tuple_fetch!(A B C D E F G H);
tuple_fetch!(A B C D E F G H I);
tuple_fetch!(A B C D E F G H I J);
tuple_fetch!(A B C D E F G H I J K);
tuple_fetch!(A B C D E F G H I J K L);
