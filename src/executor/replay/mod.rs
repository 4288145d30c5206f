//! The replay machine. It is given what a handler asks for, and answers with recorded results, or with commands to
//! commit, operations to wait for, or a mismatch. Pure: no I/O, clock or threads, so all ways to host a handler share
//! it, and tests run it on tables and random histories.
//!
//! Four rules make a replay see what the first run saw.
//! * An operation is recognised by its key: the name and how often it was used, or a key of the caller's own.
//! * Operations must be asked for in the recorded order, and all of them before the handler waits or ends (`order`).
//! * An arrival is visible only when [`Machine::poll`] or [`Machine::next_delivery`] delivers it. A handler can't look
//!   whether something happens to have arrived.
//! * The first of several arrivals is chosen only if no unknown arrival may have come before it.
//!
//! A handler that fails may do so before it has asked for everything that is recorded. Its next attempt starts from the
//! top.

mod answers;
mod cleanup;
mod commands;
mod delivery;
mod effects;
mod entry;
mod mismatch;
mod order;
mod request;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::backend::{Claimed, Commands, Extent, JournalEntry};
use crate::model::{Error, Id, Op, Result, Timestamp};

pub use answers::{Delivery, OpOutcome, Poll, StepBegun, Waited};
use entry::{Cancelling, Entry, Stage};
pub use request::Known;

/// The journal of one task, and the state of one pass (run of the handler) over it.
#[derive(Debug)]
pub struct Machine {
    task: Id,
    run: u32,
    fence: u64,
    claimed_at: Timestamp,
    retries: u32,
    entries: HashMap<Op, Entry>,
    by_key: HashMap<Arc<str>, Op>,
    last_op: Op,
    /// The first operation that a retry or a dead letter's replay set to run again.
    opened: Option<Op>,
    /// As [`Claimed::cleanup`].
    cleanup: Option<Op>,
    /// The machine has every arrival up to this number.
    known: u64,
    /// The largest arrival number that the store has reported.
    latest: u64,
    /// The value of `latest` when the journal was last loaded. Numbers up to here that are unknown don't exist (a child
    /// that was set to run again leaves such a gap).
    loaded: u64,
    pass: Pass,
}

/// What belongs to one run of the handler from the top.
#[derive(Debug)]
struct Pass {
    /// How often each name has been used.
    uses: HashMap<String, u32>,
    /// How many recorded operations were not asked for yet.
    unrequested: usize,
    /// Those of them that must be asked for in order.
    expected: BTreeSet<Op>,
    /// Numbers below this one have been passed.
    place: Op,
    /// Operations that have arrived and were asked for but not delivered, by arrival number.
    ready: BTreeMap<u64, Op>,
    /// Operations whose failure was delivered.
    failures: Vec<Op>,
    clock: Timestamp,
    seen: u64,
    /// The largest arrival number delivered in this pass, and the largest that may have been delivered in earlier ones.
    position: u64,
    horizon: u64,
    /// The handler has done something that no earlier pass did.
    fresh: bool,
    effects: u32,
    recorded_effects: u32,
    randoms: u64,
    uuids: u64,
    staged: Commands,
    /// The extent of the task's record, including commands that were taken.
    taken: Extent,
    in_flight: VecDeque<Batch>,
    mismatch: Option<Error>,
    /// The handler of an execution that cleans up knows that it is cancelled.
    told: bool,
}

/// Commands in flight to the store.
#[derive(Debug, Default)]
struct Batch {
    spawned: Vec<Op>,
    cancelled: Vec<Op>,
}

impl Pass {
    fn new(claimed: &Claimed, unrequested: usize, horizon: u64) -> Self {
        Self {
            uses: HashMap::new(),
            unrequested,
            expected: BTreeSet::new(),
            place: 1,
            ready: BTreeMap::new(),
            failures: Vec::new(),
            clock: claimed.task.created_at,
            seen: 0,
            position: 0,
            horizon,
            fresh: false,
            effects: 0,
            // An attempt without a journal replays nothing, so all its effects are new.
            recorded_effects: if claimed.ops == 0 { 0 } else { claimed.effects },
            randoms: 0,
            uuids: 0,
            staged: Commands::default(),
            taken: Extent { ops: claimed.ops, effects: claimed.effects },
            in_flight: VecDeque::new(),
            mismatch: None,
            told: false,
        }
    }
}

impl Machine {
    /// `journal`: the task's whole journal, as of the claim or later.
    pub fn new(claimed: &Claimed, journal: Vec<JournalEntry>) -> Self {
        let mut machine = Self {
            task: claimed.task.id,
            run: claimed.run,
            fence: claimed.task.fence,
            claimed_at: claimed.claimed_at,
            retries: claimed.task.retries,
            entries: HashMap::with_capacity(journal.len()),
            by_key: HashMap::with_capacity(journal.len()),
            last_op: 0,
            opened: claimed.opened,
            cleanup: claimed.cleanup,
            known: 0,
            latest: 0,
            loaded: 0,
            pass: Pass::new(claimed, 0, 0),
        };
        machine.absorb(journal);
        machine.pass.horizon = machine.known;
        machine
    }

    /// Can this machine, which was kept when the task was suspended, be used for the new claim? Not if another worker
    /// has held the task since, or operations were set to run again: loading only new arrivals would not show that.
    /// Both raise the fence.
    pub fn fits(&self, claimed: &Claimed) -> bool {
        let recorded = self.entries.values().filter(|entry| entry.stage == Stage::Recorded).count();
        self.task == claimed.task.id
            && self.run == claimed.run
            && claimed.task.fence == self.fence + 1
            && self.retries == claimed.task.retries
            && self.cleanup == claimed.cleanup
            && usize::try_from(claimed.ops).is_ok_and(|ops| ops == recorded)
            // Numbers have no gaps, so the count and the largest number agree; `ops` may be either of them, depending
            // on the store.
            && self.entries.iter().all(|(op, entry)| *op <= claimed.ops || entry.stage != Stage::Recorded)
    }

    /// Starts a new pass: keeps the journal, and forgets what the last pass did. `news`: what arrived after
    /// [`Machine::high_water`]. Every commit of the last pass must have been confirmed.
    pub fn restart(&mut self, claimed: &Claimed, news: Vec<JournalEntry>) {
        self.fence = claimed.task.fence;
        self.claimed_at = claimed.claimed_at;
        self.entries.retain(|_, entry| entry.stage == Stage::Recorded);
        let entries = &self.entries;
        self.by_key.retain(|_, op| entries.contains_key(op));
        self.last_op = entries.keys().copied().max().unwrap_or(0);
        for entry in self.entries.values_mut() {
            entry.requested = false;
            entry.delivered = false;
            entry.cancel = Cancelling::No;
        }
        self.opened = claimed.opened;
        self.pass = Pass::new(claimed, self.entries.len(), self.known);
        self.expect_all();
        self.absorb(news);
    }

    /// Continues the same pass under a new claim, for a coroutine that is still in memory. `news` as for
    /// [`Machine::restart`].
    pub fn go_on(&mut self, claimed: &Claimed, news: Vec<JournalEntry>) {
        self.fence = claimed.task.fence;
        self.claimed_at = claimed.claimed_at;
        // What was recorded aside under the last claim counts from this one on.
        self.pass.taken.ops = claimed.ops;
        self.absorb(news);
    }

    /// Adds journal entries. Adding the same ones again does no harm.
    pub fn absorb(&mut self, news: Vec<JournalEntry>) {
        self.loaded = self.latest;
        for recorded in news {
            self.known = self.known.max(recorded.arrival.unwrap_or(0));
            self.absorb_one(recorded);
        }
    }

    fn absorb_one(&mut self, recorded: JournalEntry) {
        let op = recorded.op;
        let owner = self.by_key.get(recorded.key.as_str()).copied();
        match self.entries.get_mut(&op) {
            Some(entry) if owner == Some(op) => {
                entry.stage = Stage::Recorded;
                // What was delivered stays as it was.
                if !entry.delivered
                    && let Some(end) = entry::end_of(recorded)
                {
                    if let Some(before) = entry.end.replace(end) {
                        self.pass.ready.remove(&before.arrival);
                    }
                    self.make_ready(op);
                }
            }
            None if owner.is_none() => {
                let key: Arc<str> = recorded.key.as_str().into();
                self.by_key.insert(Arc::clone(&key), op);
                self.entries.insert(op, Entry::recorded(key, recorded));
                self.last_op = self.last_op.max(op);
                self.pass.unrequested += 1;
                self.expect(op);
            }
            // The number or key belongs to something else that this pass has begun. So another worker has the task and
            // wrote this entry, and our commits will be refused by the fence.
            Some(_) | None => {}
        }
    }

    /// The number of operations: its weight in memory.
    pub fn operations(&self) -> usize {
        self.entries.len()
    }

    /// The name of an operation, for messages.
    pub fn name_of(&self, op: Op) -> String {
        self.entries.get(&op).map_or_else(|| format!("operation {op}"), |entry| format!("operation {}", entry.key))
    }

    /// The machine has every arrival up to this number; load later ones.
    pub fn high_water(&self) -> u64 {
        self.known
    }

    /// Are there arrivals that the machine has not loaded?
    fn behind(&self) -> bool {
        self.latest > self.known.max(self.loaded)
    }

    /// The largest arrival number that was delivered, apart from steps and cancellations.
    pub fn seen(&self) -> u64 {
        self.pass.seen
    }

    /// Is the handler still repeating what an earlier pass did? True while something recorded was not asked for or not
    /// delivered; false for good once it does something new, even if it never asks for some recorded operations again.
    pub fn is_replaying(&self) -> bool {
        let pass = &self.pass;
        !pass.fresh && (pass.unrequested > 0 || pass.effects < pass.recorded_effects || pass.position < pass.horizon)
    }

    /// The mismatch that stopped this pass, if there was one.
    pub fn mismatch(&self) -> Option<&Error> {
        self.pass.mismatch.as_ref()
    }

    /// Fails after a mismatch: nothing may go on.
    fn sound(&self) -> Result<()> {
        self.pass.mismatch.clone().map_or(Ok(()), Err)
    }

    /// Finds an operation that this pass has asked for. Recorded ones that it has not asked for yet count as unknown.
    fn requested(&self, op: Op) -> Result<&Entry> {
        self.entries.get(&op).filter(|entry| entry.requested).ok_or_else(|| {
            Error::invalid(format!(
                "operation {op} is unknown to this run; give a number that a spawn or a step returned"
            ))
            .with("op", i64::from(op))
        })
    }
}
