//! Counts the commits of other processes that the writer's connection has noticed.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Changes {
    looks: AtomicU64,
    changes: AtomicU64,
}

impl Changes {
    /// The writer has read `data_version`, at the beginning of a transaction or because it was asked to.
    pub fn looked(&self, changed: bool) {
        self.changes.fetch_add(u64::from(changed), Ordering::Release);
        self.looks.fetch_add(1, Ordering::Release);
    }

    /// How often it has been read.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Acquire)
    }

    /// How often it had changed.
    pub fn seen(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}
