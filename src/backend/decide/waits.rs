//! Which operations a suspended task waits for, and the arrival numbers under which ends are delivered to it.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Id, Op, OpSet, Wait, WaitMode};

/// How long the worker that suspended a task has first call on it, where there are others. It has the journal in memory,
/// and a poller's worker a live coroutine. One that lives and has room takes it at once; one that is dead, and is not
/// known to be, makes it late by no more than this.
pub(in crate::backend) const FIRST_CALL: Duration = Duration::from_millis(25);

/// The `waits` rows that one transaction touches: read once, changed in memory, written at the end.
#[derive(Default)]
pub(in crate::backend) struct Book {
    rows: HashMap<Id, Row>,
}

#[derive(Default)]
struct Row {
    /// The largest arrival number that is in use.
    arrivals: u64,
    /// The largest arrival number handed out. A number whose end was refused stays unused; the next transaction hands
    /// it out again.
    given: u64,
    wait: Option<Wait>,
    changed: bool,
}

impl Book {
    pub fn knows(&self, task: Id) -> bool {
        self.rows.contains_key(&task)
    }

    /// Enters the stored row of a task.
    pub fn read(&mut self, task: Id, arrivals: u64, wait: Option<Wait>) {
        self.rows.insert(task, Row { arrivals, given: arrivals, wait, changed: false });
    }

    /// Hands out an arrival number for an end that is about to be written.
    pub fn next_arrival(&mut self, parent: Id) -> u64 {
        let row = self.rows.entry(parent).or_default();
        row.given += 1;
        row.given
    }

    /// The end with this number has been written.
    pub fn delivered(&mut self, parent: Id, arrival: u64) {
        let row = self.rows.entry(parent).or_default();
        row.arrivals = row.arrivals.max(arrival);
        row.changed = true;
    }

    /// The last arrival number handed out.
    pub fn given(&self, task: Id) -> u64 {
        self.rows.get(&task).map_or(0, |row| row.given)
    }

    /// The largest arrival number in use.
    pub fn latest(&self, task: Id) -> u64 {
        self.rows.get(&task).map_or(0, |row| row.arrivals)
    }

    /// The operation has ended: if the parent waits for it, one less is missing.
    pub fn arrived(&mut self, parent: Id, op: Op) {
        if let Some(row) = self.rows.get_mut(&parent)
            && let Some(wait) = &mut row.wait
        {
            wait.arrive([op]);
            row.changed = true;
        }
    }

    /// The task waits from now on. The caller enters earlier arrivals with [`Book::arrived`].
    pub fn suspend(&mut self, task: Id, mode: WaitMode, ops: OpSet) {
        let row = self.rows.entry(task).or_default();
        row.wait = Some(Wait::new(mode, ops));
        row.changed = true;
    }

    /// The task has ended or does not wait any more.
    pub fn forget(&mut self, task: Id) {
        if let Some(row) = self.rows.get_mut(&task) {
            row.changed |= row.wait.take().is_some();
        }
    }

    /// The task has an empty journal again, and arrivals are numbered from the beginning.
    pub fn restart(&mut self, task: Id) {
        self.rows.insert(task, Row { changed: true, ..Row::default() });
    }

    /// Calls `tell` for each row that has changed since the last call: its arrivals, its wait, and whether that wait is
    /// over.
    pub fn settle(&mut self, mut tell: impl FnMut(Id, u64, Option<&Wait>, bool)) {
        for (task, row) in &mut self.rows {
            if std::mem::take(&mut row.changed) {
                let over = row.wait.take_if(|wait| wait.is_over()).is_some();
                tell(*task, row.arrivals, row.wait.as_ref(), over);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(book: &mut Book) -> Vec<(u64, bool, bool)> {
        let mut told = Vec::new();
        book.settle(|_, arrivals, wait, over| told.push((arrivals, wait.is_some(), over)));
        told
    }

    #[test]
    fn a_batch_of_ends_is_told_once_and_wakes_once() {
        let (mut book, parent) = (Book::default(), Id::from_u128(1));
        book.read(parent, 4, Some(Wait::new(WaitMode::All, (1..=2).collect())));
        assert_eq!((book.next_arrival(parent), book.next_arrival(parent)), (5, 6));
        book.delivered(parent, 5);
        book.arrived(parent, 1);
        book.delivered(parent, 6);
        book.arrived(parent, 2);
        assert_eq!(settled(&mut book), [(6, false, true)]);
        assert_eq!(settled(&mut book), [], "nothing has changed since");
    }

    #[test]
    fn a_number_that_came_to_nothing_leaves_a_gap_and_is_no_arrival() {
        let (mut book, parent) = (Book::default(), Id::from_u128(1));
        book.next_arrival(parent);
        let second = book.next_arrival(parent);
        book.delivered(parent, second);
        assert_eq!((book.latest(parent), book.given(parent)), (2, 2));
        book.next_arrival(parent);
        assert_eq!((book.latest(parent), book.given(parent)), (2, 3));
    }

    #[test]
    fn who_ends_or_starts_over_waits_no_more() {
        let (mut book, task) = (Book::default(), Id::from_u128(1));
        book.suspend(task, WaitMode::Any, (1..=2).collect());
        book.forget(task);
        book.arrived(task, 1);
        assert_eq!(settled(&mut book), [(0, false, false)]);
        book.delivered(task, 7);
        book.restart(task);
        assert_eq!((settled(&mut book), book.latest(task)), (vec![(0, false, false)], 0));
    }
}
