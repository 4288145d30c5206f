//! Steps that run in a transaction of the handler's own, on the store's database, which records them: what it changes and the
//! record are there together or not at all. Whether they are there is asked of the store and never believed.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::Task;
use super::core::{State, TaskCore};
use crate::backend::JournalEntry;
use crate::model::{Error, Failure, Op, Result, Status, Timestamp};

/// A step that was begun. `token`: its transaction is to record it by this; none: it ran before, and its outcome is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionBegun {
    pub op: Op,
    pub token: Option<String>,
}

impl Task {
    /// Begins a step that a transaction of the handler's own records, on the store's database. Without a token it ran before:
    /// take its outcome by [`Task::result`]. Else run the transaction, and call [`Task::transaction_end`] whatever became of it.
    ///
    /// # Errors
    /// `UNSUPPORTED`: on a store that the user writes.
    pub fn transaction_begin(&self, name: &str, key: Option<&str>) -> Result<TransactionBegun> {
        let core = self.core();
        let begun = core.transaction_begin(name, key);
        core.noted(begun)
    }

    /// The step's transaction is over. Where the store has its record the step has completed with it; else it ends with this
    /// failure, and a commit of the transaction that is on its way yet fails. [`Task::result`] tells which it is.
    ///
    /// # Errors
    /// `LEASE_LOST`: nothing is recorded but what the transaction has.
    pub fn transaction_end(&self, op: Op, failure: Failure) -> Result<()> {
        let core = self.core();
        let ended = core.transaction_end(op, failure);
        core.noted(ended)
    }
}

impl TaskCore {
    fn transaction_begin(&self, name: &str, key: Option<&str>) -> Result<TransactionBegun> {
        let backend = &self.holder.core().backend;
        if !backend.records_in_transactions() {
            return Err(Error::new(
                Status::Unsupported,
                format!(
                    "a step's own transaction needs a store on SQLite or PostgreSQL, and this one is of kind {}",
                    backend.name()
                ),
            ));
        }
        let (begun, mut state) = self.begin_step(self.open()?, name, key)?;
        let op = begun.op;
        let Some(started_at) = state.steps.get(&op).copied() else { return Ok(TransactionBegun { op, token: None }) };
        let token = state.machine(&self.claimed).step_token(op, self.held.execution, started_at)?.to_string();
        state.transactions.insert(op);
        Ok(TransactionBegun { op, token: Some(token) })
    }

    fn transaction_end(self: &Arc<Self>, op: Op, failure: Failure) -> Result<()> {
        let mut state = self.going()?;
        if !state.transactions.contains(&op) {
            return Err(Error::invalid(format!(
                "operation {op} is no step with a transaction that was begun and has not ended yet"
            ))
            .with("op", i64::from(op)));
        }
        if state.polled.is_some() {
            state.transactions.remove(&op);
            self.look_for(&mut state, op, failure);
            return Ok(());
        }
        let mut state = self.load_news(state)?;
        if let Some(begun) = self.still_open(&mut state, op) {
            state.machine(&self.claimed).step_end(op, begun, Err(failure))?;
            state.steps.remove(&op);
            // The transaction may have been committed just before: then its record is the one that there is.
            state = self.load_news(self.commit(state)?)?;
        }
        self.hear_of_step(state, op)
    }

    /// When the step has begun, if the store has no record of its end.
    fn still_open(&self, state: &mut State, op: Op) -> Option<Timestamp> {
        state.transactions.remove(&op);
        state.around.retain(|around| *around != op);
        if state.machine(&self.claimed).is_recorded(op) {
            state.steps.remove(&op);
            return None;
        }
        state.steps.get(&op).copied()
    }

    /// As [`TaskCore::transaction_end`], for a poller's task: its host is told by the step's event.
    fn look_for(self: &Arc<Self>, state: &mut State, op: Op, failure: Failure) {
        let after = state.machine(&self.claimed).high_water();
        let core = Arc::clone(self);
        self.holder.core().runtime.spawn(
            async move {
                let news = core.journal_after(after).await;
                core.looked_for(op, failure, news);
            }
            .boxed(),
        );
    }

    fn looked_for(self: &Arc<Self>, op: Op, failure: Failure, news: Result<Vec<JournalEntry>>) {
        let mut state = self.state();
        if self.check(&state).is_err() {
            return;
        }
        let error = match news {
            Err(error) => error,
            Ok(news) => {
                state.machine(&self.claimed).absorb(news);
                let Some(begun) = self.still_open(&mut state, op) else { return self.next_turn(state) };
                match state.machine(&self.claimed).step_end(op, begun, Err(failure)) {
                    Ok(()) => return self.send_step(state, op),
                    Err(error) => error,
                }
            }
        };
        let status = error.status();
        state.last_error = Some(error);
        self.end_deferred(state, status, false);
    }
}
