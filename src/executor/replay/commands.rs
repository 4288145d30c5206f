//! Commands: taken to be committed, and confirmed when the store has recorded them.

use crate::backend::Commands;
use crate::model::Op;

use super::entry::{Cancelling, End, Stage};
use super::{Batch, Machine, OpOutcome};

impl Machine {
    pub fn has_commands(&self) -> bool {
        !self.pass.staged.is_empty()
    }

    pub fn has_cancels(&self) -> bool {
        !self.pass.staged.cancels.is_empty()
    }

    /// The number of new operations that are staged. A long fan-out is committed in chunks.
    pub fn staged_spawns(&self) -> usize {
        self.pass.staged.spawns.len()
    }

    /// Takes all staged commands. If their commit fails, the caller repeats it. Each take must be followed by one
    /// [`Machine::committed`], in the same order, unless the machine is dropped.
    pub fn take_commands(&mut self) -> Commands {
        self.take_chunk(usize::MAX)
    }

    /// As [`Machine::take_commands`], with at most `spawns` new operations (at least one). Cancellations come with the
    /// last chunk, because they may be of operations that it starts.
    pub fn take_chunk(&mut self, spawns: usize) -> Commands {
        let staged = &mut self.pass.staged;
        let rest = staged.spawns.split_off(spawns.max(1).min(staged.spawns.len()));
        let mut taken = std::mem::take(staged);
        if !rest.is_empty() {
            staged.cancels = std::mem::take(&mut taken.cancels);
            staged.spawns = rest;
        }
        taken.from = Some(self.pass.taken);
        self.pass.taken = taken.to().unwrap_or(self.pass.taken);
        self.pass.in_flight.push_back(Batch {
            spawned: taken.spawns.iter().map(|spawn| spawn.op).collect(),
            cancelled: taken.cancels.iter().map(|cancel| cancel.op).collect(),
        });
        taken
    }

    /// The store has recorded the oldest commands in flight; the arguments are from its verdict. True: more has arrived
    /// than the machine has. It need not be loaded before a poll asks for it.
    pub fn committed(&mut self, arrivals: &[(Op, u64)], latest: u64) -> bool {
        let batch = self.pass.in_flight.pop_front().unwrap_or_default();
        let mut own: Vec<u64> = arrivals
            .iter()
            .filter(|(op, arrival)| self.end_in_commit(*op, *arrival))
            .map(|(_, arrival)| *arrival)
            .collect();
        for op in batch.cancelled {
            if let Some(entry) = self.entries.get_mut(&op) {
                entry.cancel = Cancelling::Settled;
            }
            self.make_ready(op);
        }
        for op in batch.spawned {
            if let Some(entry) = self.entries.get_mut(&op) {
                entry.stage = Stage::Recorded;
            }
            self.make_ready(op);
        }
        // While our own arrival numbers follow directly on what is known, no other arrival is between them.
        own.sort_unstable();
        for arrival in own {
            if arrival == self.known + 1 {
                self.known = arrival;
            }
        }
        self.latest = self.latest.max(latest);
        self.behind()
    }

    /// Enters the end of an operation that ended in a commit, where its outcome is certain: a step, or the cancellation
    /// of a recorded operation. A signal wait that was started in the commit may have taken a signal, which only the
    /// journal knows.
    fn end_in_commit(&mut self, op: Op, arrival: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&op) else { return false };
        if entry.end.as_ref().is_some_and(|end| end.arrival == arrival) {
            return true;
        }
        let outcome = match (&entry.stage, entry.cancel) {
            (Stage::Ended(outcome), _) => outcome.clone(),
            (Stage::Recorded, Cancelling::Pending) => OpOutcome::Cancelled,
            (Stage::Begun | Stage::Spawned | Stage::Recorded, _) => return false,
        };
        entry.end = Some(End { arrival, at: None, outcome });
        true
    }
}
