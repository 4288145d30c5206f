//! The replay machine: what a handler asks for goes in; out come recorded results, commands to commit, what is
//! waited for, or a mismatch. Pure: no I/O, no clock, no threads, so that every way of hosting a handler shares it
//! and it is tested with tables and random histories.
//!
//! Four rules make a replay see what the first run saw, and say what the first run said.
//! * An operation is found again by its key: the name and how often it was used, or the caller's own.
//! * It is asked for in its turn, and what is recorded is asked for before the handler waits or ends (`order`).
//! * What has arrived is shown only when it is handed over by [`Machine::poll`] or [`Machine::next_delivery`]; there
//!   is no way to look whether something happens to be there.
//! * A choice between arrivals is made only among those before which nothing is unknown.
//!
//! A handler that fails may do so anywhere: what it did not come to is no contradiction. Its next attempt goes the same
//! way, from the top.

mod answers;
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

pub use answers::{Delivery, OpOutcome, Poll, StepBegun};
use entry::{Cancelling, Entry, Stage};
pub use request::Known;

/// The journal of one task and what one pass of its handler does with it.
#[derive(Debug)]
pub struct Machine {
    task: Id,
    run: u32,
    fence: u64,
    retries: u32,
    entries: HashMap<Op, Entry>,
    by_key: HashMap<Arc<str>, Op>,
    last_op: Op,
    /// Where its journal was opened again.
    opened: Option<Op>,
    /// Every arrival up to here is known.
    known: u64,
    /// The largest arrival that the store has spoken of.
    latest: u64,
    /// The journal was loaded when `latest` was this: numbers up to here that are still unknown do not exist (a child
    /// that was opened again leaves such a hole).
    loaded: u64,
    pass: Pass,
}

/// What belongs to one run of the handler from the top.
#[derive(Debug)]
struct Pass {
    /// How often each name has been used.
    uses: HashMap<String, u32>,
    /// Recorded operations that were not asked for yet.
    unrequested: usize,
    /// Those of them that are bound to their places.
    expected: BTreeSet<Op>,
    /// Places before this one are taken.
    place: Op,
    /// Arrived, asked for, not handed over: by arrival.
    ready: BTreeMap<u64, Op>,
    /// Operations whose failure was handed over.
    failures: Vec<Op>,
    clock: Timestamp,
    seen: u64,
    /// How far in the arrivals the handler has come, and how far the passes before this one may have.
    position: u64,
    horizon: u64,
    /// It did what no pass before it did.
    fresh: bool,
    effects: u32,
    recorded_effects: u32,
    randoms: u64,
    uuids: u64,
    staged: Commands,
    /// How far the task's record goes with all that was taken to be committed.
    taken: Extent,
    in_flight: VecDeque<Batch>,
    mismatch: Option<Error>,
}

/// Commands on their way to the store.
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
            // An attempt without a journal replays nothing, so all that it says is new.
            recorded_effects: if claimed.ops == 0 { 0 } else { claimed.effects },
            randoms: 0,
            uuids: 0,
            staged: Commands::default(),
            taken: Extent { ops: claimed.ops, effects: claimed.effects },
            in_flight: VecDeque::new(),
            mismatch: None,
        }
    }
}

impl Machine {
    /// `journal`: all of the task's, as it was at or after the claim.
    pub fn new(claimed: &Claimed, journal: Vec<JournalEntry>) -> Self {
        let mut machine = Self {
            task: claimed.task.id,
            run: claimed.run,
            fence: claimed.task.fence,
            retries: claimed.task.retries,
            entries: HashMap::with_capacity(journal.len()),
            by_key: HashMap::with_capacity(journal.len()),
            last_op: 0,
            opened: claimed.opened,
            known: 0,
            latest: 0,
            loaded: 0,
            pass: Pass::new(claimed, 0, 0),
        };
        machine.absorb(journal);
        machine.pass.horizon = machine.known;
        machine
    }

    /// May this machine, kept since the task was suspended, serve the new claim? Not if another worker has held the task
    /// since, or its journal was opened again: a journal's news, being arrivals, would not tell. Either raises the fence.
    pub fn fits(&self, claimed: &Claimed) -> bool {
        let recorded = self.entries.values().filter(|entry| entry.stage == Stage::Recorded).count();
        self.task == claimed.task.id
            && self.run == claimed.run
            && claimed.task.fence == self.fence + 1
            && self.retries == claimed.task.retries
            && usize::try_from(claimed.ops).is_ok_and(|ops| ops == recorded)
            // Without holes: count and largest number agree, whichever of them the store keeps.
            && self.entries.iter().all(|(op, entry)| *op <= claimed.ops || entry.stage != Stage::Recorded)
    }

    /// From the top again: keeps the journal, forgets what the last pass did. `news`: what arrived after
    /// [`Machine::high_water`]. Every commit of the last pass must have been confirmed.
    pub fn restart(&mut self, claimed: &Claimed, news: Vec<JournalEntry>) {
        self.fence = claimed.task.fence;
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

    /// For a coroutine that is still there, where it stopped: the same pass, under a new claim. `news` as for
    /// [`Machine::restart`].
    pub fn go_on(&mut self, claimed: &Claimed, news: Vec<JournalEntry>) {
        self.fence = claimed.task.fence;
        self.absorb(news);
    }

    /// Takes journal entries in; again and again the same is no harm.
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
                // What was handed over stays as it was.
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
            // The number or the key is in use for something else that this pass began: another holder of the task
            // wrote this, and the fence will refuse what we commit.
            Some(_) | None => {}
        }
    }

    /// How many operations it holds: what it weighs in memory.
    pub fn operations(&self) -> usize {
        self.entries.len()
    }

    /// How an operation is called in messages.
    pub fn name_of(&self, op: Op) -> String {
        self.entries.get(&op).map_or_else(|| format!("operation {op}"), |entry| format!("operation {}", entry.key))
    }

    /// Every arrival up to here is known: ask the journal for what came after.
    pub fn high_water(&self) -> u64 {
        self.known
    }

    /// There are arrivals that the machine has not loaded.
    fn behind(&self) -> bool {
        self.latest > self.known.max(self.loaded)
    }

    /// The largest arrival that was handed over, steps and cancellations apart.
    pub fn seen(&self) -> u64 {
        self.pass.seen
    }

    /// Still on the way that an earlier pass has gone: something recorded was not asked for, or not handed over, yet.
    /// Over for good when the handler does something new, so that what it never asks for again can't keep it here.
    pub fn is_replaying(&self) -> bool {
        let pass = &self.pass;
        !pass.fresh && (pass.unrequested > 0 || pass.effects < pass.recorded_effects || pass.position < pass.horizon)
    }

    /// The mismatch that stopped this pass, if there was one.
    pub fn mismatch(&self) -> Option<&Error> {
        self.pass.mismatch.as_ref()
    }

    /// Nothing goes on after a mismatch.
    fn sound(&self) -> Result<()> {
        self.pass.mismatch.clone().map_or(Ok(()), Err)
    }

    /// An operation that this pass asked for. Numbers in the journal that were not handed out yet are unknown too.
    fn requested(&self, op: Op) -> Result<&Entry> {
        self.entries.get(&op).filter(|entry| entry.requested).ok_or_else(|| {
            Error::invalid(format!(
                "operation {op} is unknown to this run; give a number that a spawn or a step returned"
            ))
            .with("op", i64::from(op))
        })
    }
}
