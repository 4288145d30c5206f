//! Whose turn it is for a slot, and how many are in use. Jobs that run apart have a turn before all others: whether they
//! may begin was decided before they came, and how many others may run beside them is told by [`Turns::allow`]. So the end
//! of one that runs apart lets no other begin.

use std::collections::VecDeque;

/// What waits for a slot.
pub(super) trait Job: Send + 'static {
    fn run(self) -> Slot;

    /// It is not one of those whose number [`Turns::allow`] limits.
    fn is_apart(&self) -> bool;

    /// Its run only brings it to others, with which it begins later.
    fn is_gathered(&self) -> bool {
        false
    }
}

/// What happens to the slot after a job has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Free,
    /// The job goes on without the thread; [`Turns::freed`] is called when it has ended.
    Kept,
}

pub(super) struct Turns<J> {
    slots: usize,
    apart: VecDeque<J>,
    others: VecDeque<J>,
    /// Slots that others than those apart may use just now.
    allowed: usize,
    /// Slots in use by jobs that run, and by those that go on without a thread: apart, and others.
    used_apart: usize,
    used: usize,
}

impl<J: Job> Turns<J> {
    pub(super) fn new(slots: usize) -> Self {
        let (apart, others) = (VecDeque::new(), VecDeque::new());
        Self { slots, apart, others, allowed: slots, used_apart: 0, used: 0 }
    }

    /// Queues jobs: `first` before those that are queued already, `then` after them.
    pub(super) fn push(&mut self, first: Vec<J>, then: Vec<J>) {
        for job in first.into_iter().rev() {
            self.queue(job.is_apart()).push_front(job);
        }
        for job in then {
            self.queue(job.is_apart()).push_back(job);
        }
    }

    fn queue(&mut self, apart: bool) -> &mut VecDeque<J> {
        if apart { &mut self.apart } else { &mut self.others }
    }

    /// Those that run go on.
    pub(super) fn allow(&mut self, others: usize) {
        self.allowed = others;
    }

    /// No slot is left, or none that may be used.
    pub(super) fn is_full(&self) -> bool {
        self.used_apart + self.used >= self.slots || self.used >= self.allowed
    }

    pub(super) fn can_start(&self) -> bool {
        let other = !self.others.is_empty() && self.used < self.allowed;
        self.used_apart + self.used < self.slots && (other || !self.apart.is_empty())
    }

    /// The next job, whose slot is in use from now on.
    pub(super) fn next(&mut self) -> Option<J> {
        if !self.can_start() {
            return None;
        }
        if let Some(job) = self.apart.pop_front() {
            self.used_apart += 1;
            return Some(job);
        }
        self.used += 1;
        self.others.pop_front()
    }

    pub(super) fn freed(&mut self, apart: bool) {
        let used = if apart { &mut self.used_apart } else { &mut self.used };
        *used = used.saturating_sub(1);
    }

    /// Takes back what has not started.
    pub(super) fn take_queued(&mut self) -> Vec<J> {
        self.apart.drain(..).chain(self.others.drain(..)).collect()
    }

    /// The number of slots in use, and of jobs that wait for one.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.used_apart + self.used, self.apart.len() + self.others.len())
    }

    /// Slots in use by others than those apart.
    pub(super) fn used_by_others(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Which {
        Apart(u8),
        Other(u8),
    }

    use Which::{Apart, Other};

    impl Job for Which {
        fn run(self) -> Slot {
            Slot::Kept
        }

        fn is_apart(&self) -> bool {
            matches!(self, Apart(_))
        }
    }

    fn started(turns: &mut Turns<Which>) -> Vec<Which> {
        std::iter::from_fn(|| turns.next()).collect()
    }

    #[test]
    fn the_end_of_one_that_runs_apart_lets_no_other_begin() {
        let mut turns = Turns::new(4);
        turns.push(vec![], vec![Other(1), Other(2)]);
        turns.allow(0);
        assert_eq!(started(&mut turns), []);
        turns.push(vec![Apart(1)], vec![]);
        assert_eq!(started(&mut turns), [Apart(1)]);
        turns.freed(true);
        assert_eq!(started(&mut turns), []);
        assert_eq!(turns.counts(), (0, 2));
        turns.allow(1);
        assert_eq!(started(&mut turns), [Other(1)]);
        turns.freed(false);
        assert_eq!(started(&mut turns), [Other(2)]);
    }

    #[test]
    fn all_together_use_no_more_than_the_slots() {
        let mut turns = Turns::new(2);
        turns.push(vec![Other(1)], vec![Apart(1), Apart(2), Other(2)]);
        turns.allow(9);
        assert_eq!(started(&mut turns), [Apart(1), Apart(2)]);
        assert_eq!((turns.counts(), turns.used_by_others()), ((2, 2), 0));
        turns.freed(true);
        assert_eq!(started(&mut turns), [Other(1)]);
        assert_eq!((turns.counts(), turns.used_by_others()), ((2, 1), 1));
        assert_eq!(turns.take_queued(), [Other(2)]);
    }
}
