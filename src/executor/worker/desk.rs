//! Slots without threads. A job that gets a slot starts at once, on the thread that brought it, and keeps the slot
//! until it has ended.

use std::sync::Mutex;

use super::turns::{Job, Slot, Turns};
use crate::executor::sync::lock;

pub(super) struct Desk<J: Job> {
    /// std Mutex: never held while a job runs.
    state: Mutex<State<J>>,
}

struct State<J> {
    turns: Turns<J>,
    /// A thread is starting jobs and will also start those that are added meanwhile. So a job that ends at once does
    /// not start the next one recursively.
    starting: bool,
}

impl<J: Job> Desk<J> {
    pub(super) fn new(slots: usize) -> Self {
        Self { state: Mutex::new(State { turns: Turns::new(slots), starting: false }) }
    }

    /// Queues jobs that start as slots become free: `first` before those that are queued already, `then` after them.
    pub(super) fn push(&self, first: Vec<J>, then: Vec<J>) {
        lock(&self.state).turns.push(first, then);
        self.start();
    }

    pub(super) fn slot_freed(&self, apart: bool) {
        lock(&self.state).turns.freed(apart);
        self.start();
    }

    pub(super) fn allow(&self, others: usize) {
        lock(&self.state).turns.allow(others);
        self.start();
    }

    pub(super) fn look<R>(&self, look: impl FnOnce(&mut Turns<J>) -> R) -> R {
        look(&mut lock(&self.state).turns)
    }

    fn start(&self) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.starting, true) {
            return;
        }
        while let Some(job) = state.turns.next() {
            drop(state);
            let apart = job.is_apart();
            let slot = job.run();
            state = lock(&self.state);
            if slot == Slot::Free {
                state.turns.freed(apart);
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

        fn is_apart(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_job_keeps_its_slot_until_it_is_over() {
        let (desk, ran) = (Desk::new(2), Arc::new(AtomicUsize::new(0)));
        let jobs = |count| (0..count).map(|_| Counting(Arc::clone(&ran), Slot::Kept)).collect::<Vec<_>>();
        desk.push(Vec::new(), jobs(3));
        assert_eq!((ran.load(SeqCst), desk.look(|turns| turns.counts())), (2, (2, 1)));
        desk.slot_freed(false);
        assert_eq!((ran.load(SeqCst), desk.look(|turns| turns.counts())), (3, (2, 0)));
        desk.allow(1);
        desk.slot_freed(false);
        desk.push(Vec::new(), jobs(1));
        assert_eq!((ran.load(SeqCst), desk.look(|turns| turns.counts())), (3, (1, 1)));
        desk.allow(2);
        assert_eq!((ran.load(SeqCst), desk.look(|turns| turns.counts())), (4, (2, 0)));
        desk.push(jobs(1), Vec::new());
        assert_eq!(desk.look(Turns::take_queued).len(), 1);
    }

    #[test]
    fn jobs_that_are_over_at_once_need_no_depth() {
        let (desk, ran) = (Desk::new(1), Arc::new(AtomicUsize::new(0)));
        desk.push(Vec::new(), (0..100_000).map(|_| Counting(Arc::clone(&ran), Slot::Free)).collect());
        assert_eq!((ran.load(SeqCst), desk.look(|turns| turns.counts())), (100_000, (0, 0)));
    }
}
