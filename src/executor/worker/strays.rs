//! Handlers that go on after their lease was over. Each has a slot until it returns, which it may never do.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::executor::sync::lock;
use crate::executor::task::{TaskCore, flag};

/// std Mutex: those of tasks are taken while it is held, and it is never taken under one of them.
#[derive(Default)]
pub(super) struct Strays(Mutex<Vec<(Instant, Weak<TaskCore>)>>);

impl Strays {
    /// The lease of this task is over.
    pub(super) fn add(&self, task: &Arc<TaskCore>) {
        if task.is(flag::GONE) && task.is_running() {
            lock(&self.0).push((Instant::now(), Arc::downgrade(task)));
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let mut strays = lock(&self.0);
        strays.retain(|(_, task)| task.upgrade().is_some_and(|task| task.is_running()));
        strays.len()
    }

    /// Those that have gone on for so long, the oldest first.
    pub(super) fn older_than(&self, least: Duration) -> Vec<Arc<TaskCore>> {
        let strays = lock(&self.0);
        let old = strays.iter().filter(|(since, _)| since.elapsed() >= least);
        old.filter_map(|(_, task)| task.upgrade()).filter(|task| task.is_running()).collect()
    }
}
