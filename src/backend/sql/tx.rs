//! A transaction that writes: a session, the store's clock, the catalog, and the hints to send after the commit.
//!
//! **Locks** are taken in one order, each kind by id: advisory locks (an execution's signals), executions that end, `waits`
//! rows of those to whom something is delivered, tasks, idempotency keys, limits of functions, the catalog. Claims,
//! sweeps and renewals lock out of this order, and so take only what nobody has. A deadlock that is possible all the same ends by the
//! database giving one transaction up, which is tried again. Who delivers to a task has its `waits` row locked, so no
//! number of arrival is given twice, and no wake-up falls between. On a store with one writer a lock is nothing.

use std::sync::Arc;

use super::call::Call;
use super::catalog::{Catalog, SharedCatalog};
use super::hints::Hints;
use super::lock::Lock;
use super::row::Row;
use super::session::Session;
use super::statements::{EXECUTIONS_LOCK, WAITS_LOCK};
use crate::backend::Notice;
use crate::model::{Id, Result, Route, Timestamp};

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
    hints: Hints,
}

impl<'c> Tx<'c> {
    pub fn new(session: &'c mut dyn Session, now: Timestamp, catalog: Arc<Catalog>, shared: &'c SharedCatalog) -> Self {
        Self { session, now, catalog, shared, missing: None, cleaned: Vec::new(), hints: Hints::default() }
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
        self.change(&EXECUTIONS_LOCK.call().ids(executions)).await.map(drop)
    }

    /// Locks the `waits` rows of these tasks, where they exist. Whoever holds them may deliver to the tasks and wake
    /// them.
    pub async fn lock_waits(&mut self, tasks: impl IntoIterator<Item = Id>) -> Result<()> {
        self.fetch(&WAITS_LOCK.call().ids(tasks)).await.map(drop)
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

    /// There may be something to claim.
    pub fn hint_work(&mut self) {
        self.hints.work = true;
        self.hints.served = None;
    }

    /// This worker has claimed all that it can take, so it needs no hint.
    pub fn hint_served(&mut self, worker_id: &str) {
        self.hints.served = Some(worker_id.to_owned());
    }

    /// A sweep is due at this time.
    pub fn hint_due(&mut self, at: Timestamp) {
        let wait = at.since(self.now);
        self.hints.due = Some(self.hints.due.map_or(wait, |due| due.min(wait)));
    }

    pub fn hint_ended(&mut self, execution: Id) {
        self.hints.ended.push(execution);
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
