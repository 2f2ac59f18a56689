//! Kernels of `ops::stack`.

use std::sync::{Arc, Mutex, PoisonError};

use tidemill_core::ops::{StackCloseV2, StackPopV2, StackPushV2, StackV2};
use tidemill_core::{DType, Error, Value};

use super::KernelTable;
use super::list::operands;
use super::objects::{held_bytes, look, scalar};

pub(super) struct Stack {
    name: String,
    dtype: DType,
    max: Option<usize>,
    held: Mutex<Held>,
}

/// What lies on a stack, and how many bytes that holds.
#[derive(Default)]
struct Held {
    items: Vec<Value>,
    bytes: usize,
}

const STACK: &str = "the handle of a stack";

impl Stack {
    pub(super) fn bytes(&self) -> usize {
        self.locked().bytes
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn register(table: &mut KernelTable) {
    table.values::<StackV2>(|op, inputs| {
        let [max] = operands(inputs)?;
        let max = usize::try_from(scalar(&max)?).ok();
        let stack = Stack { name: op.stack_name.clone(), dtype: op.elem_type, max, held: Mutex::default() };
        Ok(vec![Value::object(DType::Resource, Arc::new(stack))?])
    });
    table.values::<StackPushV2>(|_, inputs| {
        let [handle, item] = operands(inputs)?;
        let stack = look::<Stack>(&handle, STACK)?;
        if item.dtype() != stack.dtype {
            return Err(Error::invalid(format!("a {} is put on a stack of {}", item.dtype(), stack.dtype)));
        }
        let mut held = stack.locked();
        if stack.max.is_some_and(|max| held.items.len() >= max) {
            return Err(Error::invalid(format!(
                "the stack \"{}\" is full with {} tensors",
                stack.name,
                held.items.len()
            )));
        }
        held.bytes = held.bytes.saturating_add(held_bytes(&item));
        held.items.push(item.clone());
        Ok(vec![item])
    });
    table.values::<StackPopV2>(|op, inputs| {
        let [handle] = operands(inputs)?;
        let stack = look::<Stack>(&handle, STACK)?;
        if op.elem_type != stack.dtype {
            return Err(Error::invalid(format!(
                "a {} is taken off a stack of {}",
                op.elem_type, stack.dtype
            )));
        }
        let mut held = stack.locked();
        match held.items.pop() {
            Some(item) => {
                held.bytes = held.bytes.saturating_sub(held_bytes(&item));
                Ok(vec![item])
            }
            None => Err(Error::invalid(format!("the stack \"{}\" is empty", stack.name))),
        }
    });
    table.values::<StackCloseV2>(|_, inputs| {
        let [handle] = operands(inputs)?;
        *look::<Stack>(&handle, STACK)?.locked() = Held::default();
        Ok(vec![])
    });
}
