//! Bodies that have begun, until the store is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::executor::sync::lock;
use crate::executor::task::TaskCore;

/// Bodies of which the store does not know yet that they have begun, and since when; in that order. A task has its worker,
/// so those that are over are not kept by this.
#[derive(Default)]
pub(super) struct Begun(Mutex<VecDeque<(Instant, Weak<TaskCore>)>>);

impl Begun {
    /// True: it is the first, and the loop is to look when it has run for a while.
    pub(super) fn put(&self, task: &Arc<TaskCore>) -> bool {
        let mut begun = lock(&self.0);
        begun.push_back((Instant::now(), Arc::downgrade(task)));
        begun.len() == 1
    }

    /// Those that have run for `least`, if the first of them has for `first`.
    pub(super) fn take(&self, now: Instant, first: Duration, least: Duration) -> Vec<Arc<TaskCore>> {
        let mut begun = lock(&self.0);
        let age = |since: &Instant| now.saturating_duration_since(*since);
        if begun.front().is_none_or(|(since, _)| age(since) < first) {
            return Vec::new();
        }
        let count = begun.partition_point(|(since, _)| age(since) >= least);
        begun.drain(..count).filter_map(|(_, task)| task.upgrade()).collect()
    }

    pub(super) fn first(&self) -> Option<Instant> {
        lock(&self.0).front().map(|(since, _)| *since)
    }
}
