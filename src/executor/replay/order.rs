//! The order of operations: the n-th that a run issues must be the n-th that is recorded, and all recorded ones must be
//! asked for before the handler waits or ends.
//!
//! This holds for operations whose keys are made of name and number. Those with keys of the caller's own may come from
//! several threads, so they may come in any order. A number may be unused in the journal: by a step that was begun and
//! not ended, or by operations that a dead letter's replay or a retry left out. What is asked for there is issued anew,
//! under that number.
//!
//! If a failed child was set to run again, the handler may take another path after it. Operations recorded after it are
//! found by their keys, but need not be asked for.

use crate::model::{Error, Op, Result, Status};

use super::entry::{Entry, Request, Stage};
use super::{Machine, mismatch};
use crate::backend::Commands;

impl Machine {
    /// Is the operation in the part of the journal that every run must repeat?
    fn is_certain(&self, op: Op) -> bool {
        self.opened.is_none_or(|opened| op <= opened) && !self.is_optional(op)
    }

    /// Enters a recorded operation that this pass has yet to ask for.
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

    /// Fails if another recorded operation must be asked for first.
    pub(super) fn check_due(&self, op: Op, request: &Request) -> Result<()> {
        let Some(due) = self.pass.expected.first().filter(|due| **due != op) else { return Ok(()) };
        let key = self.entries.get(&op).map_or("", |entry| &*entry.key);
        Err(self.out_of_place(*due, key, request))
    }

    /// The number for an operation that is not recorded: an unused one before the next recorded operation, or after all
    /// (`None`).
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

    /// The handler has to wait, and must have issued what earlier runs issued before that. Operations with keys of
    /// their own may belong to another thread that is not waiting yet.
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

    /// The handler completes or continues: it must have asked for all that is recorded. A handler that fails may have
    /// missed some.
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

    /// The keys of recorded operations that this pass should have asked for and has not, in order of issue.
    pub fn left_over(&self) -> Vec<&str> {
        let left_over =
            |(op, entry): &(&Op, &Entry)| entry.stage == Stage::Recorded && !entry.requested && self.is_certain(**op);
        let mut left: Vec<(&Op, &Entry)> = self.entries.iter().filter(left_over).collect();
        left.sort_unstable_by_key(|(op, _)| **op);
        left.into_iter().map(|(_, entry)| &*entry.key).collect()
    }

    /// Stops the pass with a mismatch.
    pub(super) fn stop(&mut self, error: Error) -> Error {
        // Commands of a run that contradicts its journal are not recorded.
        self.pass.staged = Commands::default();
        self.pass.mismatch = Some(error.clone());
        error
    }
}
