//! The order of operations: the n-th that a run issues is the n-th that is recorded, and what is recorded is asked for
//! again before the handler waits or ends.
//!
//! Bound to their places are the operations whose keys are made of name and number; those with a key of the caller's own
//! come from threads maybe, so they are free in order. A place may be empty: a step that was begun there and not ended,
//! or what a dead letter's replay or a retry left out. What is asked for at an empty place is made anew, in that place.
//!
//! Where a journal was opened again, at a failed child that runs once more, the handler may go another way after it. What
//! was issued later is found again by its key, and need not be.

use crate::model::{Error, Op, Result, Status};

use super::entry::{Entry, Request, Stage};
use super::{Machine, mismatch};
use crate::backend::Commands;

impl Machine {
    /// Is the operation of a part of the journal that the handler goes through in every run?
    fn is_certain(&self, op: Op) -> bool {
        self.opened.is_none_or(|opened| op <= opened)
    }

    /// A recorded operation that this pass has not asked for yet.
    pub(super) fn expect(&mut self, op: Op) {
        let numbered = self.entries.get(&op).is_some_and(Entry::is_numbered);
        if numbered && self.is_certain(op) {
            self.pass.expected.insert(op);
        }
    }

    pub(super) fn expect_all(&mut self) {
        let ops: Vec<Op> = self.entries.keys().copied().collect();
        ops.into_iter().for_each(|op| self.expect(op));
    }

    pub(super) fn asked_for(&mut self, op: Op) {
        if self.pass.expected.remove(&op) {
            self.pass.place = op + 1;
        }
    }

    /// May a recorded operation be asked for now, or is another one due?
    pub(super) fn check_due(&self, op: Op, request: &Request) -> Result<()> {
        let Some(due) = self.pass.expected.first().filter(|due| **due != op) else { return Ok(()) };
        let key = self.entries.get(&op).map_or("", |entry| &*entry.key);
        Err(self.out_of_place(*due, key, request))
    }

    /// The place of a numbered operation that is not recorded: an empty one before what is due, or after all (`None`).
    pub(super) fn place_for(&mut self, key: &str, request: &Request) -> Result<Option<Op>> {
        let Some(due) = self.pass.expected.first().copied() else { return Ok(None) };
        let empty = (self.pass.place..due).find(|place| !self.entries.contains_key(place));
        self.pass.place = empty.map_or(due, |place| place + 1);
        match empty {
            Some(place) => Ok(Some(place)),
            None => Err(self.out_of_place(due, key, request)),
        }
    }

    fn out_of_place(&self, due: Op, key: &str, request: &Request) -> Error {
        match self.entries.get(&due) {
            Some(entry) => mismatch::out_of_place(&entry.key, &entry.request, key, request),
            None => Error::new(Status::Nondeterminism, format!("operation {due} is recorded and was not asked for")),
        }
    }

    /// The handler has to wait. What earlier runs issued before they did, this one has issued too. What has a key of its
    /// own may be another thread's, which does not wait yet.
    pub(super) fn check_wait(&mut self, ops: &[Op]) -> Result<()> {
        let Some(due) = self.pass.expected.first().and_then(|due| self.entries.get(due)) else { return Ok(()) };
        let mut awaited = ops.iter().filter_map(|op| self.entries.get(op)).filter(|entry| entry.is_numbered());
        let instead = match awaited.next() {
            Some(first) => format!("a wait for operation {}", first.key),
            None if ops.is_empty() => "a wait for what arrives".to_owned(),
            None => return Ok(()),
        };
        let error = mismatch::left_out(&due.key, &due.request, &instead);
        Err(self.stop(error))
    }

    /// The handler completes or continues: has it asked for all that is recorded? A handler that fails has not come to
    /// its end, so nothing is missing.
    pub fn end(&mut self) -> Result<()> {
        self.sound()?;
        if self.pass.unrequested == 0 {
            return Ok(());
        }
        let left = self.left_over().first().and_then(|key| self.entries.get(self.by_key.get(*key)?));
        match left.map(|entry| mismatch::left_out(&entry.key, &entry.request, "the end of the handler")) {
            Some(error) => Err(self.stop(error)),
            None => Ok(()),
        }
    }

    /// Keys of what is recorded, was not asked for in this pass and should have been, in order of issue.
    pub fn left_over(&self) -> Vec<&str> {
        let left_over =
            |(op, entry): &(&Op, &Entry)| entry.stage == Stage::Recorded && !entry.requested && self.is_certain(**op);
        let mut left: Vec<(&Op, &Entry)> = self.entries.iter().filter(left_over).collect();
        left.sort_unstable_by_key(|(op, _)| **op);
        left.into_iter().map(|(_, entry)| &*entry.key).collect()
    }

    /// Nothing goes on after a mismatch.
    pub(super) fn stop(&mut self, error: Error) -> Error {
        // What a pass that has gone astray wants is not to be recorded.
        self.pass.staged = Commands::default();
        self.pass.mismatch = Some(error.clone());
        error
    }
}
