//! A transaction that writes: a session, the store's clock, the catalog, and the hints to send after the commit.
//!
//! **Locks** are waited for in one order, each kind by id and in one statement, so that no transactions ever wait for each
//! other in a circle:
//!
//! 0. unique keys, of a dispatch;
//! 1. schedules, then signals of executions (advisory);
//! 2. executions that end or leave, then the note of an execution's move (`moves`);
//! 3. `waits` rows of those to whom something is delivered, and of those that are ended from outside;
//! 4. tasks;
//! 5. idempotency keys, then joins (advisory);
//! 6. what handlers say: state, then counters;
//!    Then holds of keys and functions;
//! 7. slots of keys, by function, then by key (advisory), before a claim;
//! 8. limits of functions and rates of queues (advisory), then their buckets: functions' first;
//! 9. functions, workers, the catalog;
//! 10. slots of keys, of those that the transaction has touched since, at its end.
//!
//! A caller's transaction on PostgreSQL, with the functions for SQL, has what it inserts; the rest it waits for at its end, in
//! this order (`sql_at_the_end`).
//!
//! What turns out later to be needed, out of this order, is not waited for. If others have it, the transaction begins
//! again: with the `waits` rows that it learned of among its first ones ([`Tx::lock_waits`]), or after a pause. Or it is
//! left: claims, renewals and what is due skip what others hold, and what can't be cancelled now is left to a sweep. Each
//! part of a sweep that found something is a transaction of its own.
//!
//! Who delivers to a task has its `waits` row locked, so no number of arrival is given twice, and no wake-up falls between.
//! On a store with one writer a lock is nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::catalog::{Catalog, Lane, SharedCatalog};
use super::hints::Hints;
use super::lock::Lock;
use super::places::{Look, Notes};
use super::row::Row;
use super::session::Session;
use super::statement::Statement;
use super::statements::{
    EXECUTIONS_LOCK, EXECUTIONS_LOCK_NOW, SLOTS_SETTLE, TASKS_LOCK, TASKS_LOCK_NOW, WAITS_GET, WAITS_GET_NOW,
    WAITS_LOCK, WAITS_LOCK_NOW,
};
use crate::backend::Notice;
use crate::model::{Detail, Error, Id, Result, Route, Timestamp, may_be_tick};

/// What is due later than this is said to be due then: somebody looks again long before. A schedule's date may be thousands of
/// years away, which is no duration.
pub(super) const FAR: Duration = Duration::from_secs(365 * 86_400);

pub(in crate::backend) struct Tx<'c> {
    session: &'c mut dyn Session,
    /// The store's clock at the beginning of the transaction.
    pub now: Timestamp,
    /// Functions, routes and workers as this transaction sees them.
    pub catalog: Arc<Catalog>,
    /// What this process knows of its own workers.
    pub shared: &'c SharedCatalog,
    /// A route that does not exist yet: the database creates it in another transaction, and this one begins again.
    pub missing: Option<Route>,
    /// Executions whose cleanup has ended in this transaction.
    cleaned: Vec<Id>,
    /// `waits` rows that earlier tries have come upon too late.
    learned: BTreeSet<Id>,
    /// Executions that are locked.
    ending: BTreeSet<Id>,
    /// `waits` rows are locked, or what comes after them.
    late: bool,
    /// This try can't go on without waiting out of order.
    again: bool,
    hints: Hints,
    /// Something that it has written was due before it began.
    pub early: bool,
    /// It is a step's own: what it records of a task is not the worker's.
    pub aside: bool,
    /// It may have freed slots of keys.
    slots: bool,
    /// What its claims have learned of lanes.
    notes: Notes,
}

impl<'c> Tx<'c> {
    pub fn new(session: &'c mut dyn Session, now: Timestamp, catalog: Arc<Catalog>, shared: &'c SharedCatalog) -> Self {
        let (learned, ending) = (BTreeSet::new(), BTreeSet::new());
        Self {
            session,
            now,
            catalog,
            shared,
            missing: None,
            cleaned: Vec::new(),
            learned,
            ending,
            late: false,
            again: false,
            hints: Hints::default(),
            early: false,
            aside: false,
            slots: false,
            notes: Notes::default(),
        }
    }

    /// With the `waits` rows that earlier tries of the same have come upon too late.
    pub fn knowing(self, learned: BTreeSet<Id>) -> Self {
        Self { learned, ..self }
    }

    /// `waits` rows that the next try needs from its beginning, if this one is to begin again.
    pub fn take_learned(&mut self) -> Option<BTreeSet<Id>> {
        self.again.then(|| std::mem::take(&mut self.learned))
    }

    /// The session, for functions that only read.
    pub fn session(&mut self) -> &mut (dyn Session + 'c) {
        self.session
    }

    /// No other transaction writes while this one is open.
    pub fn is_alone(&self) -> bool {
        self.session.is_alone()
    }

    /// All rows of the answer.
    pub async fn fetch(&mut self, call: &Call<'_>) -> Result<Vec<Row>> {
        self.session.fetch(call).await
    }

    /// The first row, if there is one.
    pub async fn find(&mut self, call: &Call<'_>) -> Result<Option<Row>> {
        self.session.find(call).await
    }

    /// For a statement that always answers.
    pub async fn one(&mut self, call: &Call<'_>) -> Result<Row> {
        self.session.one(call).await
    }

    /// How many rows it changed.
    pub async fn change(&mut self, call: &Call<'_>) -> Result<u64> {
        self.session.change(call).await
    }

    /// Waits for these locks, which are held until the transaction ends.
    pub async fn lock(&mut self, locks: &[Lock<'_>]) -> Result<()> {
        if locks.is_empty() { Ok(()) } else { self.session.lock(locks, true).await.map(drop) }
    }

    /// False: somebody else has it.
    pub async fn try_lock(&mut self, lock: Lock<'_>) -> Result<bool> {
        self.session.lock(&[lock], false).await
    }

    /// Locks executions that this transaction is going to end.
    pub async fn lock_executions(&mut self, executions: impl IntoIterator<Item = Id>) -> Result<()> {
        let executions: Vec<Id> = executions.into_iter().filter(|id| self.ending.insert(*id)).collect();
        let ids = executions.iter().copied();
        if self.late {
            return self.now_or_again(&EXECUTIONS_LOCK_NOW.call().ids(ids)).await.map(drop);
        }
        self.change(&EXECUTIONS_LOCK.call().ids(ids)).await.map(drop)
    }

    /// Locks the `waits` rows of these tasks, where they exist. Whoever holds them may deliver to the tasks and wake
    /// them.
    pub async fn lock_waits(&mut self, tasks: impl IntoIterator<Item = Id>) -> Result<()> {
        self.waits(tasks.into_iter().collect(), [&WAITS_LOCK, &WAITS_LOCK_NOW]).await.map(drop)
    }

    /// As [`Tx::lock_waits`], and reads them.
    pub async fn get_waits(&mut self, tasks: Vec<Id>) -> Result<Vec<Row>> {
        if self.is_alone() {
            return self.fetch(&WAITS_GET.call().ids(tasks)).await;
        }
        if !self.late && !self.learned.is_empty() {
            self.lock_waits(tasks.iter().copied()).await?;
        }
        self.waits(tasks, [&WAITS_GET, &WAITS_GET_NOW]).await
    }

    /// The first of these statements waits for its rows.
    async fn waits(&mut self, mut tasks: Vec<Id>, how: [&'static Statement; 2]) -> Result<Vec<Row>> {
        if self.is_alone() {
            return Ok(Vec::new());
        }
        if !self.late {
            tasks.extend(&self.learned);
            self.late = !tasks.is_empty();
            return self.fetch(&how[0].call().ids(tasks)).await;
        }
        let answer = self.now_or_again(&how[1].call().ids(tasks.iter().copied())).await;
        if self.again {
            self.learned.extend(tasks);
        }
        answer
    }

    /// Locks tasks that the transaction's own worker holds, before it changes them in more than one statement.
    pub async fn lock_tasks(&mut self, tasks: impl IntoIterator<Item = Id>) -> Result<()> {
        self.late = true;
        self.change(&TASKS_LOCK.call().ids(tasks)).await.map(drop)
    }

    /// Locks tasks that are to be ended from outside.
    pub async fn lock_others(&mut self, tasks: impl IntoIterator<Item = Id>) -> Result<()> {
        self.late = true;
        self.now_or_again(&TASKS_LOCK_NOW.call().ids(tasks)).await.map(drop)
    }

    /// From here on tasks are locked: nothing that comes before them is waited for.
    pub fn past_waits(&mut self) {
        self.late = true;
    }

    /// Others hold what this transaction can't do without: it begins again.
    pub fn again_later(&mut self) -> Error {
        self.again = true;
        Error::backend("other transactions are in the way").retryable(true).with("sqlstate", BUSY)
    }

    /// For what comes out of the order of locks: a statement that fails where it would have to wait.
    pub async fn now_or_again(&mut self, call: &Call<'_>) -> Result<Vec<Row>> {
        let answer = self.fetch(call).await;
        self.again |= answer.as_ref().is_err_and(is_busy);
        answer
    }

    /// Reads the catalog again, after this transaction has changed it.
    pub async fn reload_catalog(&mut self) -> Result<()> {
        self.catalog = Arc::new(Catalog::load(self.session, Catalog::OWN).await?);
        Ok(())
    }

    /// A time for a new row, later than any given before: rows that are inserted together keep their order.
    pub fn next_time(&mut self) -> Timestamp {
        self.now = Timestamp::from_micros(self.now.micros() + 1);
        self.now
    }

    /// Where in these lanes something may be ready.
    pub fn look(&self, lanes: &[Lane]) -> Look {
        self.shared.places.look(lanes, &self.notes)
    }

    /// What a look has found of the places.
    pub fn note(&mut self, look: Look, row: &Row) -> Result<()> {
        match look.learn(row)? {
            Some(notes) => self.notes.extend(notes),
            None => self.shared.places.forget(),
        }
        Ok(())
    }

    /// To be shared when this transaction is committed.
    pub fn take_notes(&mut self) -> Notes {
        std::mem::take(&mut self.notes)
    }

    /// There may be something to claim.
    pub fn hint_work(&mut self) {
        self.hints.work = true;
        self.hints.served = None;
    }

    /// Tasks of this function have started, or wait to: the tables know when the next may, if it has keys with a rate.
    pub fn hint_rate(&mut self, function: &str) {
        if self.catalog.function(function).is_some_and(|options| options.rate_per_key.is_some()) {
            self.hint_due(self.now);
        }
    }

    /// A task of this function has ended or gives way: there may be room for another.
    pub fn gives_way(&mut self, function: &str) {
        if self.catalog.is_limited(function) {
            // A place under the function's limit is free.
            self.hint_work();
        }
        if self.catalog.has_slots(function) {
            self.free_slots();
            self.hint_rate(function);
        }
    }

    /// Tasks have ended or give way, of whatever functions.
    pub fn some_give_way(&mut self) {
        if self.catalog.any_has_slots() {
            self.free_slots();
        }
    }

    /// It may have touched keys, which are locked before what a claim locks.
    pub fn touch_keys(&mut self) {
        self.slots |= self.catalog.any_has_slots();
    }

    fn free_slots(&mut self) {
        self.slots = true;
        self.hint_work();
    }

    /// Who waits for the slots that were freed so far becomes ready now, so that a claim of this transaction finds him; at the
    /// latest he does so at its end. What locks come later than those of keys may be waited for from here on, and no others.
    pub async fn settle_slots(&mut self) -> Result<()> {
        if std::mem::take(&mut self.slots) {
            self.fetch(&SLOTS_SETTLE.call()).await?;
        }
        Ok(())
    }

    /// As [`Tx::settle_slots`], of keys that this transaction has noted itself, whatever their functions have.
    pub async fn settle_keys(&mut self) -> Result<()> {
        self.slots = true;
        self.settle_slots().await
    }

    /// Nobody of these functions starts: this transaction claims by that, others when the catalog's version is raised.
    pub fn hold_functions(&mut self, functions: Vec<String>) {
        Arc::make_mut(&mut self.catalog).hold(functions);
    }

    /// This worker has claimed all that it can take, so it needs no hint.
    pub fn hint_served(&mut self, worker_id: &str) {
        self.hints.served = Some(worker_id.to_owned());
    }

    /// A sweep is due at this time.
    pub fn hint_due(&mut self, at: Timestamp) {
        self.early |= at < self.now;
        let wait = at.since(self.now).min(FAR);
        self.hints.due = Some(self.hints.due.map_or(wait, |due| due.min(wait)));
    }

    pub fn hint_ended(&mut self, execution: Id) {
        self.hints.ended.push(execution);
        // Its schedule may have ticks that wait.
        if may_be_tick(execution) {
            self.hint_due(self.now);
        }
    }

    pub fn hint_cancelling(&mut self, execution: Id) {
        self.hints.cancelling.push(execution);
    }

    /// This task has ended while a worker may be running it.
    pub fn hint_lost(&mut self, task: Id) {
        self.hints.lost.push(task);
    }

    /// The root of an execution that cleans up has ended. Whoever does not close it leaves that to the next sweep.
    pub fn cleaned_up(&mut self, execution: Id) {
        self.cleaned.push(execution);
        self.hint_due(self.now);
    }

    pub fn take_cleaned(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.cleaned)
    }

    pub fn hint_arrived(&mut self, parent: Id) {
        self.hints.arrived.insert(parent);
    }

    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.hints).into_notices()
    }
}

/// What the database says where it would have to wait.
const BUSY: &str = "55P03";

/// Another transaction holds what it asked for.
fn is_busy(why: &Error) -> bool {
    why.details().get("sqlstate").is_some_and(|state| matches!(state, Detail::Text(code) if code == BUSY))
}
