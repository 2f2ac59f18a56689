//! The global step: a variable that counts training steps.

use tidemill_core::{DType, Error, ErrorKind, Graph, Origin, Variable, VariableOptions, keys};

use crate::init;

/// The global step of `graph`: the variable in the collection `global_step`. TensorFlow: `tf.train.get_global_step`.
pub fn get_global_step(graph: &Graph) -> Option<Variable> {
    graph.variables_in(keys::GLOBAL_STEP).first().copied()
}

/// Makes the global step of `graph`: an `i64` scalar, at first 0, that optimizers do not train.
/// TensorFlow: `tf.train.create_global_step`.
///
/// # Panics
/// When there is one already.
#[track_caller]
pub fn create_global_step(graph: &Graph) -> Variable {
    if let Some(step) = get_global_step(graph) {
        let error = Error::new(
            ErrorKind::AlreadyExists,
            format!("the graph has a global step already, {}", step.name()),
        );
        panic!("{}", error.with_origin(Origin::here()).with_help("use train::get_or_create_global_step"));
    }
    let options = VariableOptions::from(init::zeros()).dtype(DType::I64).trainable(false);
    let step = graph.get_variable_with("global_step", (), options);
    graph.add_to_collection(keys::GLOBAL_STEP, step);
    step
}

/// The global step of `graph`, made if there is none yet. TensorFlow: `tf.train.get_or_create_global_step`.
#[track_caller]
pub fn get_or_create_global_step(graph: &Graph) -> Variable {
    match get_global_step(graph) {
        Some(step) => step,
        None => create_global_step(graph),
    }
}
