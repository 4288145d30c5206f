//! What the handler of an execution that cleans up is shown. It runs from the top, and what it had issued is over: ended as
//! recorded, or cancelled with the execution. It is told of the cancel once, at the place where it stood: by the first
//! operation that was cancelled with the execution, or, if it had waited for none, by the first one that it had not
//! issued before, which is refused and leaves no trace. Whatever it issues after that is its cleanup, and recorded. All
//! this follows from the journal and from the number of the last operation before the cleanup, so every run of it is told
//! at the same place. Once told it may take another path, and need not ask for all that it had issued.

use super::Machine;
use super::answers::OpOutcome;
use super::entry::{Cancelling, Entry};
use crate::model::{Error, Op, Result, Status};

impl Machine {
    /// The handler is about to issue this operation; `None`: one that is not recorded. What it had issued comes first.
    pub(super) fn tell_first(&mut self, op: Option<Op>) -> Result<()> {
        let Some(last) = self.untold() else { return Ok(()) };
        if op.iter().chain(self.pass.expected.first()).any(|op| *op <= last) {
            return Ok(());
        }
        self.tell_of_new()
    }

    /// The handler is about to issue an operation that is not recorded, and all that had to come before has.
    pub(super) fn tell_of_new(&mut self) -> Result<()> {
        let Some(last) = self.untold() else { return Ok(()) };
        self.told(last);
        Err(Error::new(
            Status::Cancelled,
            "the execution is cancelled, and nothing new of it begins; what is asked for after this is its cleanup",
        ))
    }

    /// The last operation before the cleanup, while the handler has not been told.
    fn untold(&self) -> Option<Op> {
        self.cleanup.filter(|_| !self.pass.told)
    }

    /// An operation is delivered.
    pub(super) fn hear(&mut self, op: Op) {
        let Some(last) = self.untold().filter(|last| op <= *last) else { return };
        // What the handler itself has cancelled tells it nothing.
        let from_above = |entry: &Entry| {
            entry.cancel == Cancelling::No && entry.end.as_ref().is_some_and(|end| end.outcome == OpOutcome::Cancelled)
        };
        if self.entries.get(&op).is_some_and(from_above) {
            self.told(last);
        }
    }

    fn told(&mut self, last: Op) {
        self.pass.told = true;
        self.pass.expected.retain(|op| *op > last);
        self.pass.place = self.pass.place.max(last + 1);
    }

    /// Once told, the handler need not ask for this.
    pub(super) fn is_optional(&self, op: Op) -> bool {
        self.pass.told && self.cleanup.is_some_and(|last| op <= last)
    }
}
