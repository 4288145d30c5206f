//! The coroutines, in a host's memory, of tasks that wait. A worker with a poller has them where other workers have the
//! cache of journals: a coroutine goes on where it stopped when its task is claimed here again. Bounded; the host is
//! asked to drop the one that has waited longest first.

use std::collections::HashSet;
use std::sync::Mutex;

use super::cache::Cache;
use crate::executor::events::Reason;
use crate::executor::sync::lock;
use crate::executor::task::Warm;
use crate::model::Id;

/// Journal entries at most, over all coroutines: each holds payloads.
const ENTRIES_MAX: usize = 2_000_000;

/// std Mutex: not held while events are posted.
pub(super) struct Coroutines(Mutex<Cache<Warm>>);

impl Coroutines {
    pub(super) fn new(most: usize) -> Self {
        Self(Mutex::new(Cache::new(most, ENTRIES_MAX)))
    }

    pub(super) fn put(&self, warm: Warm) {
        let (id, weight) = (warm.last.held.task, warm.machine.operations());
        let pushed_out = lock(&self.0).put(id, weight, warm);
        pushed_out.into_iter().for_each(|warm| warm.evict(Reason::Full));
    }

    pub(super) fn take(&self, task: Id) -> Option<Warm> {
        lock(&self.0).take(task)
    }

    /// The host has dropped it.
    pub(super) fn forget(&self, task: Id, tag: u64) {
        let mut kept = lock(&self.0);
        let forgotten = match kept.get(task) {
            Some(warm) if warm.polled.tag() == tag => kept.take(task),
            _ => None,
        };
        drop(kept);
        drop(forgotten);
    }

    pub(super) fn evict_all(&self, reason: Reason) {
        let all = lock(&self.0).take_all();
        all.into_iter().for_each(|warm| warm.evict(reason));
    }

    /// These executions have ended or are being cancelled.
    pub(super) fn evict_of(&self, executions: &HashSet<Id>) {
        let over = lock(&self.0).take_those(|warm| executions.contains(&warm.last.held.execution));
        over.into_iter().for_each(Warm::cancel);
    }

    /// These executions were cancelled, maybe a while ago: those that clean up since then stay.
    pub(super) fn evict_cancelled(&self, executions: &HashSet<Id>) {
        let are = |warm: &Warm| executions.contains(&warm.last.held.execution) && !warm.last.cleans_up();
        let cancelled = lock(&self.0).take_those(are);
        cancelled.into_iter().for_each(Warm::cancel);
    }

    pub(super) fn executions(&self) -> HashSet<Id> {
        lock(&self.0).values().map(|warm| warm.last.held.execution).collect()
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.0).values().count()
    }
}
