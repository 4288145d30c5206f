//! Schedules that the workers of an executor put when they start.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::backend::PutSchedules;

/// What is declared, by owner.
#[derive(Default)]
pub(super) struct DeclaredSchedules(Mutex<BTreeMap<String, PutSchedules>>);

impl DeclaredSchedules {
    pub(super) fn set(&self, owner: String, put: PutSchedules) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(owner, put);
    }

    pub(super) fn all(&self) -> Vec<PutSchedules> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
