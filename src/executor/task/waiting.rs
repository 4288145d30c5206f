//! Waiting for operations: deliver what has arrived, else block for the time of the hold, else suspend.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use super::Task;
use super::core::{State, TaskCore, flag};
use crate::backend::{JournalEntry, JournalRequest};
use crate::executor::replay::{OpOutcome, Poll};
use crate::executor::sync::jittered;
use crate::model::{Error, Op, Payload, Result, Status, Wait, WaitMode};

/// How often a blocked handler looks for arrivals: notices are hints.
const LOOK: Duration = Duration::from_secs(1);

/// Longer holds are cut to this.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// How often loading the journal is repeated while the store is busy, before the handler gets the error, or a poller's task is
/// released.
const LOADS: u32 = 5;
const LOAD_PAUSE: Duration = Duration::from_millis(50);

impl Task {
    /// Waits for operations: all of them, or the first. Blocks up to `hold` (`None`: the worker's setting) if they have
    /// not arrived. Then the task is suspended: the handler returns, and runs again when they have.
    ///
    /// Returns the operation that arrived first; 0 if none was awaited.
    ///
    /// # Errors
    /// `SUSPEND`; `INVALID` for operations that are not this task's; `NONDETERMINISM`; `BACKEND`.
    pub fn await_ops(&self, ops: &[Op], mode: WaitMode, hold: Option<Duration>) -> Result<Op> {
        let core = self.core();
        let hold = hold.unwrap_or(core.holder.hold_time());
        let first = core.may_wait().and_then(|()| core.await_ops(ops, mode, hold));
        core.noted(first)
    }

    /// How an awaited operation ended: its result (`null` for a timer).
    ///
    /// # Errors
    /// `FAILED` with the failure; `CANCELLED` for an operation that was cancelled; `PENDING` for one that was not
    /// awaited; `INVALID` for one that is not this task's.
    pub fn result(&self, op: Op) -> Result<Payload> {
        let core = self.core();
        let result = core.result(op, &format!("operation {op}"));
        core.noted(result)
    }
}

impl TaskCore {
    pub(super) fn result(&self, op: Op, what: &str) -> Result<Payload> {
        let mut state = self.state();
        self.check(&state)?;
        self.result_in(&mut state, op, what)
    }

    pub(super) fn result_in(&self, state: &mut State, op: Op, what: &str) -> Result<Payload> {
        match state.machine(&self.claimed).outcome(op)? {
            Some(OpOutcome::Completed(result)) => Ok(result),
            Some(OpOutcome::Failed(failure)) => {
                let message = format!("{what} failed with {}: {}", failure.kind, failure.message);
                Err(Error::failed(message, failure).with("op", i64::from(op)))
            }
            Some(OpOutcome::Cancelled) => {
                Err(Error::new(Status::Cancelled, format!("{what} was cancelled")).with("op", i64::from(op)))
            }
            None => Err(Error::new(Status::Pending, format!("{what} has not been awaited; await it first"))
                .with("op", i64::from(op))),
        }
    }

    pub(super) fn await_ops(self: &Arc<Self>, ops: &[Op], mode: WaitMode, hold: Duration) -> Result<Op> {
        let deadline = Some(hold).filter(|hold| !hold.is_zero()).map(|hold| Instant::now() + hold.min(LONGEST));
        let first = self.await_until(ops, mode, deadline);
        if deadline.is_some() {
            self.unset(flag::AWAITING);
        }
        first
    }

    fn await_until(self: &Arc<Self>, ops: &[Op], mode: WaitMode, deadline: Option<Instant>) -> Result<Op> {
        let mut state = self.open()?;
        loop {
            let (mode, missing) = match state.machine(&self.claimed).poll(ops, mode)? {
                Poll::Ready { first } => return Ok(first),
                Poll::Waiting { mode, ops } => (mode, ops),
                Poll::NeedNews => {
                    state = self.load_news(state)?;
                    continue;
                }
            };
            if self.holder.draining() {
                state.gave_way = true;
                self.check(&state)?;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match left.filter(|left| !left.is_zero()) {
                Some(left) => state = self.hold(state, left)?,
                None => {
                    state.suspended = Some(Wait::new(mode, missing));
                    self.check(&state)?;
                }
            }
        }
    }

    /// Blocks until something may have arrived, and loads it. The first time it only turns notices on, and commits or
    /// loads: what arrived before they were on is found by that.
    fn hold<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        left: Duration,
    ) -> Result<MutexGuard<'a, State>> {
        if !self.is(flag::AWAITING) {
            self.set(flag::AWAITING);
            state.arrived = false;
            // The commit's verdict tells the next poll whether more has arrived.
            return if state.has_commands() { self.commit(state) } else { self.load_news(state) };
        }
        let until = Instant::now() + left.min(LOOK);
        while !state.arrived && !self.in_vain() && !self.holder.draining() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let (next, _timeout) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
        self.check(&state)?;
        state.arrived = false;
        self.load_news(state)
    }

    /// Loads what has arrived since the machine last did. The lock is not held meanwhile.
    pub(super) fn load_news<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>> {
        let after = state.machine(&self.claimed).high_water();
        drop(state);
        let news = self.holder.core().runtime.block_on(self.journal_after(after).boxed())?;
        let mut state = self.state();
        self.check(&state)?;
        state.machine(&self.claimed).absorb(news);
        Ok(state)
    }

    pub(super) async fn journal_after(&self, after: u64) -> Result<Vec<JournalEntry>> {
        let request = JournalRequest { task: self.held.task, after };
        let mut loads = 0;
        loop {
            let answer = tokio::select! {
                answer = self.holder.core().backend.journals(vec![request]) => answer,
                () = self.holder.patience(self) => Err(self.lease_lost()),
            };
            match answer {
                Ok(mut journals) => return Ok(journals.pop().unwrap_or_default()),
                Err(error) if error.is_retryable() && loads < LOADS && !self.in_vain() => {
                    tokio::time::sleep(jittered(LOAD_PAUSE * (1 << loads))).await;
                    loads += 1;
                }
                Err(error) => return Err(error.doing("load what has arrived for the task")),
            }
        }
    }

    /// To be called at the start of a durable operation. While the worker drains the task suspends instead; a task of a
    /// poller does so at the end of its turn.
    pub(super) fn open(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        self.check(&state)?;
        if state.polled.is_some() {
            self.check_turn(&state)?;
        } else if let Some(op) = state.transactions.iter().next() {
            return Err(Error::invalid(format!(
                "the transaction of operation {op} is open: end it before the next durable operation, which would wait for a \
                 commit of the store's, while the transaction may hold its lock"
            ))
            .with("op", i64::from(*op)));
        } else if let Some(op) = state.around.last().filter(|_| state.is_handlers_thread()) {
            return Err(Error::invalid(format!(
                "a durable operation within a step: operation {op} has not ended, and once it is recorded its body does not run \
                 again, so that what it asks for is missed; let the handler do one after the other"
            ))
            .with("op", i64::from(*op)));
        } else if self.holder.draining() {
            state.gave_way = true;
            self.check(&state)?;
        }
        Ok(state)
    }

    pub(super) fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && error.status() != Status::Suspend
        {
            self.note(error);
        }
        result
    }

    // Called for notices.

    /// Operations of this task have arrived.
    pub(in crate::executor) fn arrived(self: &Arc<Self>) {
        if self.is(flag::AWAITING) {
            let mut state = self.state();
            state.arrived = true;
            if state.polled.is_some() {
                return self.next_turn(state);
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// The worker's state has changed.
    pub(in crate::executor) fn wake(self: &Arc<Self>) {
        let state = self.state();
        if state.polled.is_some() {
            return self.next_turn(state);
        }
        drop(state);
        self.changed.notify_all();
    }
}
