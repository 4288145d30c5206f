//! The protocol's operations, one by one. The rules of the engine hold here too: whatever ends a task wakes those that
//! wait for it.
//!
//! A store's function checks the request and opens a transaction or session; the work is done by functions of these,
//! which are the same for both databases.

mod claim_next;
mod cleanup;
mod counters;
mod dead_letters;
mod executions;
mod results;
mod signals;
mod tasks;

pub(super) use cleanup::these as forget;

use std::time::Duration;

use super::database::Database;
use super::store::Sql;
use crate::backend::{Request, Response};
use crate::model::{Error, Result, duration_from_seconds};

/// One operation of the protocol.
pub(super) async fn call<D: Database>(store: &Sql<D>, request: Request) -> Result<Response> {
    request.check()?;
    match request {
        Request::InitDb {} => store.check_schema().await.map(|()| Response::Nothing),
        Request::Close {} => store.close().await.map(|()| Response::Nothing),

        Request::CreateExecution { execution } => executions::create(store, execution).await,
        Request::CreateExecutionWithRootTask { execution, task } => {
            executions::create_with_root(store, execution, task).await
        }
        Request::GetExecution { execution_id } => executions::get(store, execution_id).await,
        Request::UpdateExecution { execution } => executions::update(store, execution).await,
        Request::ListExecutions { limit, offset, state } => executions::list(store, limit, offset, state).await,
        Request::CountExecutions { state } => executions::count(store, state).await,
        Request::AppendProgress { execution_id, progress } => {
            executions::append_progress(store, execution_id, progress).await
        }

        Request::CreateTask { task } => tasks::create(store, vec![task]).await,
        Request::CreateTasks { tasks } => tasks::create(store, tasks).await,
        Request::GetTask { task_id } => tasks::get(store, task_id).await,
        Request::ListTasks { limit, offset, state } => tasks::list(store, limit, offset, state).await,
        Request::ListTasksForExecution { execution_id } => tasks::list_of_execution(store, execution_id).await,
        Request::UpdateTask { task } => tasks::update(store, task).await,
        Request::CountTasks { queue, state } => tasks::count(store, queue, state).await,
        Request::RenewTaskLease { task_id, worker_id, lease_duration } => {
            tasks::renew(store, task_id, worker_id, seconds("lease_duration", lease_duration)?).await
        }
        Request::ClaimNextTask { worker_id, queues, tags, now, lease_duration, concurrency_limits } => {
            let lease = seconds("lease_duration", lease_duration)?;
            let wanted = claim_next::Wanted { worker_id, queues, tags, now, lease, concurrency_limits };
            claim_next::claim(store, wanted).await
        }

        Request::GetCachedResult { key } => results::get_cached(store, key).await,
        Request::SetCachedResult { key, value, ttl } => {
            results::set_cached(store, key, value, optional_seconds("ttl", ttl)?).await
        }
        Request::GetIdempotencyResult { key } => results::get_idempotent(store, key).await,
        Request::SetIdempotencyResult { key, value, ttl } => {
            results::set_idempotent(store, key, value, optional_seconds("ttl", ttl)?).await
        }

        Request::MoveTaskToDeadLetter { task, reason } => dead_letters::put(store, task, reason).await,
        Request::ListDeadTasks { limit } => dead_letters::list(store, limit).await,
        Request::CountDeadTasks {} => dead_letters::count(store).await,
        Request::GetDeadTask { task_id } => dead_letters::get(store, task_id).await,
        Request::DeleteDeadTask { task_id } => dead_letters::delete(store, task_id).await,
        Request::CleanupExecutions { older_than } => cleanup::executions(store, older_than).await,
        Request::CleanupDeadLetters { older_than } => cleanup::dead_letters(store, older_than).await,

        Request::CreateSignal { signal } => signals::create(store, signal).await,
        Request::GetSignal { execution_id, name } => signals::get(store, execution_id, name).await,

        Request::EnsureExecutionCounters { execution_id, counters } => {
            counters::ensure(store, execution_id, counters).await
        }
        Request::IncrementExecutionCounter { execution_id, name, amount } => {
            counters::increment(store, execution_id, name, amount).await
        }
        Request::GetExecutionCounters { execution_id } => counters::get(store, execution_id).await,
        Request::EnsureExecutionStateValues { execution_id, values } => {
            counters::ensure_values(store, execution_id, values).await
        }
        Request::SetExecutionStateValue { execution_id, key, value } => {
            counters::set_value(store, execution_id, key, value).await
        }
        Request::GetExecutionStateValues { execution_id } => counters::get_values(store, execution_id).await,
    }
}

fn seconds(what: &'static str, given: f64) -> Result<Duration> {
    duration_from_seconds(given).ok_or_else(|| {
        Error::invalid(format!("{what} is {given}; it must be a number of seconds, 0 or more and below 1000 years"))
            .with("key", what)
    })
}

fn optional_seconds(what: &'static str, given: Option<f64>) -> Result<Option<Duration>> {
    given.map(|given| seconds(what, given)).transpose()
}
