//! What an optimizer remembers of each variable.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tidemill_core::{DType, Error, Graph, Initializer, Result, Variable, VariableOptions};

/// The extra variables of an optimizer: slots, one for each trained variable, and accumulators of its own.
///
/// They are made when the optimizer is first applied to a variable, and shared from then on.
#[derive(Debug, Default)]
pub struct Slots {
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    slots: BTreeMap<String, Vec<(Variable, Variable)>>,
    accumulators: Vec<(&'static str, Variable)>,
}

impl Slots {
    /// No slots yet.
    pub fn new() -> Slots {
        Slots::default()
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot `slot` of `variable`, if it has been made.
    pub fn get(&self, variable: Variable, slot: &str) -> Option<Variable> {
        self.made().slots.get(slot)?.iter().find(|(of, _)| *of == variable).map(|(_, slot)| *slot)
    }

    /// [`get`](Slots::get) of a slot that must be there.
    ///
    /// # Errors
    /// `Internal` when it is not: the optimizer forgot to make it.
    pub fn expect(&self, variable: Variable, slot: &str) -> Result<Variable> {
        self.get(variable, slot).ok_or_else(|| {
            Error::internal(format!("the optimizer has made no slot \"{slot}\" for {}", variable.name()))
        })
    }

    /// The names of all slots, sorted.
    pub fn names(&self) -> Vec<String> {
        self.made().slots.keys().cloned().collect()
    }

    /// All variables made.
    pub fn variables(&self) -> Vec<Variable> {
        let made = self.made();
        let slots = made.slots.values().flatten().map(|(_, slot)| *slot);
        made.accumulators.iter().map(|(_, v)| *v).chain(slots).collect()
    }

    /// The slot `slot` of `variable`: of its shape and dtype, named `<variable>/<optimizer>`, with a suffix if that is taken.
    #[track_caller]
    pub fn make(
        &self,
        variable: Variable,
        slot: &str,
        optimizer: &str,
        initializer: impl Initializer,
    ) -> Result<()> {
        if self.get(variable, slot).is_some() {
            return Ok(());
        }
        let Some(shape) = variable.shape().as_known() else {
            return Err(Error::invalid(format!(
                "the shape of {} is not fully known, so that it can have no slot \"{slot}\"",
                variable.name()
            )));
        };
        let scope = format!("{}/{optimizer}", variable.op().name());
        let options = VariableOptions::from(initializer).dtype(variable.dtype()).trainable(false);
        let made = variable
            .graph()
            .unique_variable_scope(&scope)
            .enter(|vs| vs.get_variable_with("", shape, options));
        self.made().slots.entry(slot.to_owned()).or_default().push((variable, made));
        Ok(())
    }

    /// A scalar of the optimizer itself, at first `initial`; made once for each graph.
    #[track_caller]
    pub fn make_accumulator(&self, graph: &Graph, name: &'static str, initial: f32) {
        if self.accumulator(graph, name).is_none() {
            let made = graph.untrained_variable(initial).named(name);
            debug_assert_eq!(made.dtype(), DType::F32);
            self.made().accumulators.push((name, made));
        }
    }

    /// The accumulator `name` in `graph`, if it has been made.
    pub fn accumulator(&self, graph: &Graph, name: &str) -> Option<Variable> {
        let in_graph = |v: &Variable| v.op().graph_id() == graph.id();
        self.made().accumulators.iter().find(|(n, v)| *n == name && in_graph(v)).map(|(_, v)| *v)
    }
}
