//! The client's operations: dispatch, wait, signal, cancel, queries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use super::cleanup::Cleaned;
use super::stats::Stats;
use super::sync::wall_clock;
use super::waiters::Waiter;
use super::{Executor, Worker};
use crate::backend::{
    DeadLetterFilter, ExecutionFilter, NewExecution, NewPause, NewSignal, Pausable, Pause, Replayed, Request, Response,
    Snapshot,
};
use crate::model::{
    BATCH_MAX, Canonical, CleanupOptions, DeadLetter, DispatchOptions, DispatchRequest, Error, Execution,
    ExecutionState, Id, Payload, Result, Status, check_name, check_size, error_text, execution_id,
};

/// The least time that a query of the store is given, even if the time-out of the wait is shorter (0: just look).
const LOOK: Duration = Duration::from_secs(1);

/// What a look may spend on what is due.
const SWEEP: Duration = Duration::from_millis(500);

/// Who waits for an execution that may run out of its time looks again after this, if nothing else is known.
const AGAIN: Duration = Duration::from_secs(1);

/// And not later than this: the host's clock may have been set since.
const LONGEST: Duration = Duration::from_secs(30);

/// Who waits for so long begins to doubt that somebody has the code of what he waits for; and again after this.
const DOUBT: Duration = Duration::from_secs(5);
const DOUBT_AGAIN: Duration = Duration::from_secs(60);

/// The name under which a client takes what is due; no worker has it.
const CLIENT: &str = "stent.client";

impl Executor {
    /// Starts an execution and returns its id. If another execution has the idempotency key, returns that one's id.
    ///
    /// # Errors
    /// `INVALID` for bad names, options or sizes; `CONFLICT` for an id that exists, or an idempotency key that was used
    /// with other arguments; `BACKEND` when the store fails.
    pub async fn dispatch(&self, function: &str, args: Payload, options: DispatchOptions) -> Result<Id> {
        let execution = self.new_execution(function.to_owned(), args, options)?;
        let ids = self.0.core.backend.dispatch(vec![execution]).await.map_err(|e| e.doing("dispatch"))?;
        ids.first().copied().ok_or_else(|| Error::backend("dispatch: the store answered without an id"))
    }

    /// Starts many, in order, in transactions of at most [`BATCH_MAX`]. All requests are checked before the first
    /// one starts. If a later transaction fails, the earlier ones stand, and the error says how many do; give the
    /// requests ids or idempotency keys to be able to repeat the call.
    pub async fn dispatch_many(&self, requests: Vec<DispatchRequest>) -> Result<Vec<Id>> {
        let mut executions = Vec::with_capacity(requests.len());
        for (index, request) in requests.into_iter().enumerate() {
            let execution = self
                .new_execution(request.function, request.args, request.options)
                .map_err(|error| error.doing(&format!("dispatch of request {index}")))?;
            executions.push(execution);
        }
        let mut ids = Vec::with_capacity(executions.len());
        let mut rest = executions.into_iter();
        loop {
            let chunk: Vec<NewExecution> = rest.by_ref().take(BATCH_MAX).collect();
            if chunk.is_empty() {
                return Ok(ids);
            }
            let started = self.0.core.backend.dispatch(chunk).await.map_err(|error| {
                let done = ids.len();
                let doing = match (done, error.is_in_doubt()) {
                    (0, false) => "dispatch".to_owned(),
                    (_, true) => format!(
                        "dispatch: the first {done} requests are started; whether the next ones are is not known"
                    ),
                    (_, false) => format!("dispatch: the first {done} requests are started, the next ones are not"),
                };
                error.doing(&doing).with("dispatched", i64::try_from(done).unwrap_or(i64::MAX))
            })?;
            ids.extend(started);
        }
    }

    fn new_execution(&self, function: String, args: Payload, options: DispatchOptions) -> Result<NewExecution> {
        let core = &self.0.core;
        let new = new_execution(function, args, options, core.canonical.as_ref())?;
        let registered = core.declared.get(&new.function);
        Ok(NewExecution { registered, ..new })
    }

    /// Waits until the execution has ended, and returns it. `None`: without a time-out.
    ///
    /// # Errors
    /// `TIMEOUT` if it has not ended by then (it goes on), or the store did not answer (a query is given at least a
    /// second, whatever the time-out); `NOT_FOUND`; `BACKEND`.
    pub async fn wait(&self, id: Id, timeout: Option<Duration>) -> Result<Snapshot> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waiter = self.0.waiters.enter(id);
        let mut doubt_at = Instant::now() + DOUBT;
        loop {
            let snapshot = self.look(id, deadline).await.map_err(|error| error.doing("wait"))?;
            let state = snapshot.execution.state;
            if state.is_terminal() {
                return Ok(snapshot);
            }
            // The deadline is checked after a query, since the notice of the end may have been lost.
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let error = Error::new(Status::Timeout, format!("wait: the execution {id} is still {state}"))
                    .retryable(true)
                    .with("state", state.as_str());
                return Err(self.0.core.explained(&snapshot.execution, error).await);
            }
            let next = next_look(&snapshot.execution).and_then(|left| Instant::now().checked_add(left));
            // Notified or timed out: the next query decides.
            self.rung(&waiter, deadline.into_iter().chain(next).min(), &mut doubt_at).await;
        }
    }

    /// Waits for the waiter's bell, until then. Who waits long looks now and then for what nobody can run.
    async fn rung(&self, waiter: &Waiter, until: Option<Instant>, doubt_at: &mut Instant) {
        let core = &self.0.core;
        loop {
            let at = until.map_or(*doubt_at, |until| until.min(*doubt_at));
            // The timer of our runtime: the caller may not be on a runtime.
            let bounded = {
                let _entered = core.runtime.enter();
                tokio::time::timeout_at(at.into(), waiter.rung())
            };
            if bounded.await.is_ok() || at < *doubt_at {
                return;
            }
            *doubt_at = Instant::now() + DOUBT_AGAIN;
            let core_too = Arc::clone(core);
            core.runtime.spawn(async move { core_too.doubt().await }.boxed());
        }
    }

    /// The state. Deadlines hold also where no worker is: what is due is taken by who looks.
    async fn look(&self, id: Id, deadline: Option<Instant>) -> Result<Snapshot> {
        let snapshot = self.look_once(id, deadline).await?;
        if next_look(&snapshot.execution).is_none() {
            return Ok(snapshot);
        }
        self.take_what_is_due().await;
        self.look_once(id, deadline).await.or(Ok(snapshot))
    }

    /// A trouble of the store's is not told here: the look itself has it, or a worker.
    async fn take_what_is_due(&self) {
        let core = &self.0.core;
        let backend = Arc::clone(&core.backend);
        let sweeping = core.runtime.spawn(
            async move {
                let begun = Instant::now();
                while backend.sweep(CLIENT).await.is_ok_and(|swept| swept.more) && begun.elapsed() < SWEEP {}
            }
            .boxed(),
        );
        let bounded = {
            let _entered = core.runtime.enter();
            tokio::time::timeout(SWEEP, sweeping)
        };
        // If it takes longer, it goes on, and a later look tells.
        let _either = bounded.await;
    }

    /// The state, in the caller's time: a store may have more patience. What was asked goes on without him, so that no
    /// connection is lost for it.
    async fn look_once(&self, id: Id, deadline: Option<Instant>) -> Result<Snapshot> {
        let Some(deadline) = deadline else { return found(id, self.0.core.backend.snapshot(id).await?) };
        let core = &self.0.core;
        let until = deadline.max(Instant::now() + LOOK);
        let backend = Arc::clone(&core.backend);
        let asked = core.runtime.spawn(async move { backend.snapshot(id).await }.boxed());
        let bounded = {
            let _entered = core.runtime.enter();
            tokio::time::timeout_at(until.into(), asked)
        };
        match bounded.await {
            Ok(Ok(answer)) => found(id, answer?),
            Ok(Err(why)) => Err(Error::backend(format!("the look at the store broke off: {why}"))),
            Err(_) => {
                let what = format!("the store did not say in time how the execution {id} stands");
                Err(Error::new(Status::Timeout, what).retryable(true))
            }
        }
    }

    /// Waits as [`Executor::wait`] does and returns the result.
    ///
    /// # Errors
    /// Besides those of `wait`: `FAILED` with the failure; `CANCELLED`; `TIMEOUT` also for an execution that has timed
    /// out itself (its detail `state` is `timed_out`).
    pub async fn result(&self, id: Id, timeout: Option<Duration>) -> Result<Payload> {
        let snapshot = self.wait(id, timeout).await?;
        let Execution { root_function, state, result, error, .. } = snapshot.execution;
        let unfinished = |status, what: String| Err(Error::new(status, what).with("state", state.as_str()));
        match state {
            ExecutionState::Completed => Ok(result.unwrap_or_else(Payload::null)),
            ExecutionState::Failed => {
                let message = format!("the execution {id} of '{root_function}' failed");
                Err(match error {
                    Some(failure) => {
                        Error::failed(format!("{message} with {}: {}", failure.kind, failure.message), failure)
                    }
                    None => Error::new(Status::Failed, message),
                }
                // The execution has ended, so asking again gives the same.
                .retryable(false)
                .with("state", state.as_str()))
            }
            ExecutionState::TimedOut => {
                unfinished(Status::Timeout, format!("the execution {id} of '{root_function}' ran out of its time"))
            }
            ExecutionState::Cancelled => {
                let why = snapshot.cancel_reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                unfinished(Status::Cancelled, format!("the execution {id} of '{root_function}' was cancelled{why}"))
            }
            ExecutionState::Pending | ExecutionState::Running | ExecutionState::Cancelling => {
                Err(Error::backend(format!("result: the execution {id} is {state} after its end was told")))
            }
        }
    }

    /// The execution with its progress, counters and state values. `NOT_FOUND` if there is none.
    pub async fn state(&self, id: Id) -> Result<Snapshot> {
        self.look(id, None).await
    }

    /// Newest first, ties by id; without progress.
    pub async fn list(&self, filter: ExecutionFilter) -> Result<Vec<Execution>> {
        self.take_what_is_due().await;
        self.0.core.backend.list(filter).await
    }

    /// The store's counts in one snapshot, and this process's own.
    pub async fn stats(&self) -> Result<Stats> {
        self.take_what_is_due().await;
        let store = self.0.core.backend.stats().await?;
        let workers = self.workers().iter().map(Worker::status).collect();
        let write_ahead_log = self.0.core.backend.log_size();
        Ok(Stats { store, metrics: self.0.core.metrics.values(), workers, write_ahead_log })
    }

    /// Sends a signal. `NOT_FOUND`: no such execution; `CONFLICT`: it has ended.
    pub async fn signal(&self, signal: NewSignal) -> Result<()> {
        check_signal(&signal)?;
        self.0.core.backend.signal(signal).await
    }

    /// Cancels the whole tree. `NOT_FOUND`: no such execution; `CONFLICT`: it has ended.
    pub async fn cancel(&self, id: Id, reason: Option<String>) -> Result<()> {
        self.0.core.backend.cancel(id, reason.map(error_text)).await?;
        // Before the answer, so that nothing that its own workers hold begins after it.
        self.workers().iter().for_each(|worker| worker.cancelled(id));
        Ok(())
    }

    /// Newest first.
    pub async fn dead_letters(&self, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        self.0.core.backend.dead_letters(filter).await
    }

    /// Starts a new execution from the dead letter's, in which the failed path runs again; deletes the letter.
    pub async fn replay_dead_letter(&self, task: Id) -> Result<Replayed> {
        self.0.core.backend.replay_dead_letter(task, fresh_id()).await
    }

    /// Deletes a dead letter; its execution stays as it ended. `NOT_FOUND` if there is none.
    pub async fn discard_dead_letter(&self, task: Id) -> Result<()> {
        match self.0.core.backend.call(Request::DeleteDeadTask { task_id: task }).await? {
            Response::Flag(true) => Ok(()),
            _ => Err(Error::not_found(format!("there is no dead letter of the task {task}"))),
        }
    }

    /// Lets a parked task go on. `CONFLICT` if it is not parked.
    pub async fn resume(&self, task: Id) -> Result<()> {
        self.0.core.backend.resume(task).await
    }

    /// When it has returned, no worker claims a task of this queue or function any more. `UNSUPPORTED`: the store can't.
    pub async fn pause(&self, pause: NewPause) -> Result<()> {
        let what = pause.what.checked()?;
        self.0.core.backend.pause(NewPause { what, ..pause }).await?;
        self.0.core.doubts.forget().await;
        Ok(())
    }

    /// Its tasks are claimed again. `NOT_FOUND` if it is not paused.
    pub async fn unpause(&self, what: Pausable) -> Result<()> {
        self.0.core.backend.unpause(what.checked()?).await?;
        self.0.core.doubts.forget().await;
        Ok(())
    }

    /// What is paused: queues first, by name, then functions.
    pub async fn pauses(&self) -> Result<Vec<Pause>> {
        self.0.core.backend.pauses().await
    }

    /// Removes what ended long ago, in bounded batches.
    pub async fn cleanup(&self, options: CleanupOptions) -> Result<Cleaned> {
        self.0.core.cleanup(options).await
    }
}

/// An execution to be started, by whomever: names, options and sizes are checked, and it has an id.
///
/// # Errors
/// `INVALID` for what is wrong with them.
pub fn new_execution(
    function: String,
    args: Payload,
    options: DispatchOptions,
    canonical: &dyn Canonical,
) -> Result<NewExecution> {
    check_name("function", &function)?;
    options.check()?;
    check_size("args", &args)?;
    let kwargs = options.kwargs.clone().unwrap_or_else(Payload::empty_object);
    check_size("kwargs", &kwargs)?;
    let id = options.id.unwrap_or_else(fresh_id);
    let args_hash = canonical.hash(&args, &kwargs);
    Ok(NewExecution { id, function, args, options, args_hash, registered: None })
}

/// # Errors
/// `INVALID` for what is wrong with its name or its size.
pub fn check_signal(signal: &NewSignal) -> Result<()> {
    check_name("signal", &signal.name)?;
    check_size("payload", &signal.payload)
}

/// When an execution that is not over may be it without a word, as far as this host's clock can tell. `None`: its end will
/// be told.
fn next_look(execution: &Execution) -> Option<Duration> {
    match execution.state {
        state if state.is_terminal() => None,
        // Its workers may be dead; their leases end.
        ExecutionState::Cancelling => Some(AGAIN),
        _ => {
            let left = execution.expiry_at?.since(wall_clock());
            Some(if left.is_zero() { AGAIN } else { left.min(LONGEST) })
        }
    }
}

fn found(id: Id, snapshot: Option<Snapshot>) -> Result<Snapshot> {
    snapshot.ok_or_else(|| Error::not_found(format!("there is no execution {id}")))
}

fn fresh_id() -> Id {
    execution_id(wall_clock(), rand::random())
}
