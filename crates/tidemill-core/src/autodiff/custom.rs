//! Gradients that the user writes.

use std::fmt;
use std::sync::Arc;

use super::{GradCx, Grads, IntoGrad, NoGrad};
use crate::error::{Error, Result};
use crate::handle::Tensor;
use crate::ops::IdentityN;

type Rule = dyn Fn(&GradCx) -> Result<Grads> + Send + Sync;

/// A gradient rule given as a closure; lives on an [`IdentityN`] node.
#[derive(Clone)]
pub struct CustomGradient {
    rule: Arc<Rule>,
}

impl CustomGradient {
    pub(super) fn new(rule: impl Fn(&GradCx) -> Result<Grads> + Send + Sync + 'static) -> CustomGradient {
        CustomGradient { rule: Arc::new(rule) }
    }

    pub(crate) fn grad(&self, cx: &GradCx) -> Result<Grads> {
        (self.rule)(cx)
    }
}

impl PartialEq for CustomGradient {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rule, &other.rule)
    }
}

impl fmt::Debug for CustomGradient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomGradient")
    }
}

/// A function with a gradient of its own, as `tf.custom_gradient`.
///
/// `f` gets the inputs and returns the outputs, and a rule from the gradients of the outputs to those of the inputs.
///
/// ```
/// use tidemill_core::{DType, Graph, custom_gradient, gradients, ops};
/// let g = Graph::new();
/// let x = g.placeholder(DType::F32, [3]);
/// // log(1 + e^x) with a gradient that does not overflow
/// let y = custom_gradient(&[x], |x| {
///     let x = x[0];
///     let e = ops::exp(x);
///     (vec![ops::log(e + 1.0)], move |dy: &[_]| vec![dy[0] * (1.0 - 1.0 / (e + 1.0))])
/// })[0];
/// assert!(gradients([y], [x])[0].is_some());
/// ```
#[track_caller]
pub fn custom_gradient<R>(inputs: &[Tensor], f: impl FnOnce(&[Tensor]) -> (Vec<Tensor>, R)) -> Vec<Tensor>
where
    R: Fn(&[Tensor]) -> Vec<Tensor> + Send + Sync + 'static,
{
    let graph = crate::graph::graph_of(inputs);
    let (outputs, rule) = f(inputs);
    let count = outputs.len();
    let gradient = CustomGradient::new(move |cx| {
        let dys: Vec<Tensor> = (0..count).map(|i| cx.dy(i)).collect();
        let dxs = rule(&dys);
        let inputs = cx.num_inputs() - count;
        if dxs.len() != inputs {
            return Err(Error::internal(format!(
                "the custom gradient gives {} gradients for {inputs} inputs",
                dxs.len()
            )));
        }
        let mut grads: Grads = (0..count).map(|_| NoGrad.into_grad()).collect();
        grads.extend(dxs.into_iter().map(IntoGrad::into_grad));
        Ok(grads)
    });
    let all = graph.op(IdentityN { gradient: Some(gradient) }).inputs(&outputs).inputs(inputs).tensors();
    all[..count].to_vec()
}
