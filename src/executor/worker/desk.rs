//! Slots without threads. A job that gets a slot starts at once, on the thread that brought it, and keeps the slot
//! until it has ended.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::pool::{Job, Slot};
use crate::executor::sync::lock;

pub(super) struct Desk<J: Job> {
    slots: usize,
    /// std Mutex: never held while a job runs.
    state: Mutex<State<J>>,
}

struct State<J> {
    queue: VecDeque<J>,
    /// Slots that may be used just now.
    allowed: usize,
    busy: usize,
    /// A thread is starting jobs and will also start those that are added meanwhile. So a job that ends at once does
    /// not start the next one recursively.
    starting: bool,
}

impl<J: Job> Desk<J> {
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, state: Mutex::new(State { queue: VecDeque::new(), allowed: slots, busy: 0, starting: false }) }
    }

    /// Queues jobs that start as slots become free: `first` before those that are queued already, `then` after them.
    pub(super) fn push(&self, first: Vec<J>, then: Vec<J>) {
        let mut state = lock(&self.state);
        for job in first.into_iter().rev() {
            state.queue.push_front(job);
        }
        state.queue.extend(then);
        drop(state);
        self.start();
    }

    pub(super) fn slot_freed(&self) {
        let mut state = lock(&self.state);
        state.busy = state.busy.saturating_sub(1);
        drop(state);
        self.start();
    }

    /// So many slots may be used from now on, of those that there are; what uses one goes on.
    pub(super) fn allow(&self, slots: usize) {
        lock(&self.state).allowed = slots.min(self.slots);
        self.start();
    }

    pub(super) fn take_queued(&self) -> Vec<J> {
        lock(&self.state).queue.drain(..).collect()
    }

    /// The number of slots in use, and of jobs that wait for one.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.busy, state.queue.len())
    }

    fn start(&self) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.starting, true) {
            return;
        }
        while state.busy < state.allowed {
            let Some(job) = state.queue.pop_front() else { break };
            state.busy += 1;
            drop(state);
            let slot = job.run();
            state = lock(&self.state);
            if slot == Slot::Free {
                state.busy = state.busy.saturating_sub(1);
            }
        }
        state.starting = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    struct Counting(Arc<AtomicUsize>, Slot);

    impl Job for Counting {
        fn run(self) -> Slot {
            self.0.fetch_add(1, SeqCst);
            self.1
        }
    }

    #[test]
    fn a_job_keeps_its_slot_until_it_is_over() {
        let (desk, ran) = (Desk::new(2), Arc::new(AtomicUsize::new(0)));
        let jobs = |count| (0..count).map(|_| Counting(Arc::clone(&ran), Slot::Kept)).collect::<Vec<_>>();
        desk.push(Vec::new(), jobs(3));
        assert_eq!((ran.load(SeqCst), desk.counts()), (2, (2, 1)));
        desk.slot_freed();
        assert_eq!((ran.load(SeqCst), desk.counts()), (3, (2, 0)));
        desk.allow(1);
        desk.slot_freed();
        desk.push(Vec::new(), jobs(1));
        assert_eq!((ran.load(SeqCst), desk.counts()), (3, (1, 1)));
        desk.allow(2);
        assert_eq!((ran.load(SeqCst), desk.counts()), (4, (2, 0)));
        desk.push(jobs(1), Vec::new());
        assert_eq!(desk.take_queued().len(), 1);
    }

    #[test]
    fn jobs_that_are_over_at_once_need_no_depth() {
        let (desk, ran) = (Desk::new(1), Arc::new(AtomicUsize::new(0)));
        desk.push(Vec::new(), (0..100_000).map(|_| Counting(Arc::clone(&ran), Slot::Free)).collect());
        assert_eq!((ran.load(SeqCst), desk.counts()), (100_000, (0, 0)));
    }
}
