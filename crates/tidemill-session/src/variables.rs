//! The values that a session keeps between runs.
//!
//! A run locks every variable it uses for as long as it lasts, in the order of their names: for writing those it may change, for
//! reading the others. So concurrent runs act on variables as if one came after the other, and none can wait for another in a
//! circle.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustc_hash::FxHashMap;
use tidemill_core::{Error, Result, Value};

/// One variable of one session.
#[derive(Default)]
pub(crate) struct Cell {
    value: RwLock<Option<Value>>,
}

impl Cell {
    pub(crate) fn lock(&self, write: bool) -> Guard<'_> {
        if write {
            Guard::Write(self.value.write().unwrap_or_else(PoisonError::into_inner))
        } else {
            Guard::Read(self.value.read().unwrap_or_else(PoisonError::into_inner))
        }
    }
}

/// A variable while a run uses it.
pub(crate) enum Guard<'a> {
    Read(RwLockReadGuard<'a, Option<Value>>),
    Write(RwLockWriteGuard<'a, Option<Value>>),
}

impl Guard<'_> {
    pub(crate) fn content(&self) -> Option<&Value> {
        match self {
            Guard::Read(g) => g.as_ref(),
            Guard::Write(g) => g.as_ref(),
        }
    }

    pub(crate) fn content_mut(&mut self) -> Result<&mut Option<Value>> {
        match self {
            Guard::Write(g) => Ok(&mut **g),
            Guard::Read(_) => Err(Error::internal("a run writes a variable that it locked for reading")),
        }
    }
}

/// The variables of a session by name.
#[derive(Default)]
pub(crate) struct Variables {
    cells: Mutex<FxHashMap<String, Arc<Cell>>>,
}

impl Variables {
    pub(crate) fn cell(&self, name: &str) -> Arc<Cell> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        match cells.get(name) {
            Some(cell) => cell.clone(),
            None => cells.entry(name.to_owned()).or_default().clone(),
        }
    }

    /// Forgets every value.
    pub(crate) fn clear(&self) {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
