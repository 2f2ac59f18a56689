//! Structures of tensors, as loop variables and branches use them.

use crate::handle::Tensor;

/// A tensor, or a tuple, array or vector of nests. Loops take and give them as ordinary Rust values.
///
/// ```
/// use tidemill_core::{DType, Graph, ops::Nest};
/// let g = Graph::new();
/// let x = g.zeros(DType::F32, [2]);
/// let nest = (x, vec![x, x]);
/// assert_eq!(nest.flatten().len(), 3);
/// assert_eq!(nest.rebuild(&mut nest.flatten().into_iter()), nest);
/// ```
pub trait Nest: Clone {
    /// Its tensors, from left to right.
    fn flatten(&self) -> Vec<Tensor>;
    /// The same structure around other tensors, taken from left to right.
    fn rebuild(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self;
}

impl Nest for Tensor {
    fn flatten(&self) -> Vec<Tensor> {
        vec![*self]
    }
    fn rebuild(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
        tensors.next().unwrap_or(*self)
    }
}

impl<N: Nest> Nest for Vec<N> {
    fn flatten(&self) -> Vec<Tensor> {
        self.iter().flat_map(Nest::flatten).collect()
    }
    fn rebuild(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
        self.iter().map(|n| n.rebuild(tensors)).collect()
    }
}

impl<N: Nest, const K: usize> Nest for [N; K] {
    fn flatten(&self) -> Vec<Tensor> {
        self.iter().flat_map(Nest::flatten).collect()
    }
    fn rebuild(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
        self.each_ref().map(|n| n.rebuild(tensors))
    }
}

macro_rules! tuple_nest {
    ($($name:ident)*) => {
        impl<$($name: Nest),*> Nest for ($($name,)*) {
            #[allow(non_snake_case)]
            fn flatten(&self) -> Vec<Tensor> {
                let ($($name,)*) = self;
                #[allow(unused_mut)]
                let mut all = vec![];
                $(all.extend($name.flatten());)*
                all
            }
            #[allow(non_snake_case, unused_variables, clippy::unused_unit)]
            fn rebuild(&self, tensors: &mut dyn Iterator<Item = Tensor>) -> Self {
                let ($($name,)*) = self;
                ($($name.rebuild(tensors),)*)
            }
        }
    };
}
tuple_nest!();
tuple_nest!(A);
tuple_nest!(A B);
tuple_nest!(A B C);
tuple_nest!(A B C D);
tuple_nest!(A B C D E);
tuple_nest!(A B C D E F);
tuple_nest!(A B C D E F G);
tuple_nest!(A B C D E F G H);
