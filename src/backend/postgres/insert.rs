//! New tasks: what the call leaves out is taken from the function's row, and the task gets its route.

use std::time::Duration;

use super::batch::Batch;
use super::catalog::{Lane, stored};
use super::idempotency::{self, Reservation};
use super::routes::route_of;
use super::rows::{args_column, kwargs_column};
use super::tx::{Tx, nothing_more};
use crate::codec;
use crate::model::{Failure, Id, Op, Payload, Result, RetryPolicy, Route, TaskKind, TaskOptions, TaskState, Timestamp};

/// A row of `tasks` in the making.
pub(super) struct NewTask<'a> {
    pub id: Id,
    pub execution: Id,
    pub parent: Option<Id>,
    pub op: Option<Op>,
    pub name: &'a str,
    pub key: Option<&'a str>,
    pub kind: TaskKind,
    pub state: TaskState,
    /// Where and how it is run; none for what no worker runs.
    pub run: Option<Resolved>,
    /// Not before this time: the delay of a task, the time of a timer, the time-out of a wait.
    pub due_at: Option<Timestamp>,
    pub arrival: Option<u64>,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub args: &'a Payload,
    pub kwargs: &'a Payload,
    pub result: Option<&'a Payload>,
    pub error: Option<&'a Failure>,
}

/// What a function's task runs under: the call's options, else the function's, else the defaults.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolved {
    pub route: Lane,
    pub queue: Option<String>,
    pub tags: Vec<String>,
    pub priority: i64,
    pub retry_policy: Option<RetryPolicy>,
    pub timeout: Option<Duration>,
    pub idempotency_key: Option<String>,
    pub joins: Option<Id>,
    pub cache_key: Option<String>,
    pub cache_ttl: Option<Duration>,
}

/// What a call says that needs the function's word.
pub(super) struct Asked<'a> {
    pub function: &'a str,
    pub options: &'a TaskOptions,
    pub idempotency_key: Option<&'a str>,
    pub cache_key: Option<&'a str>,
    pub args_hash: Option<&'a [u8; 32]>,
}

/// How often a result is kept when the function is cached and says no time: for ever.
pub(super) fn resolve(tx: &mut Tx, asked: &Asked<'_>) -> Result<Resolved> {
    let function = tx.catalog.function(asked.function);
    let options = asked.options.clone().or_function(function);
    let version = function.and_then(|f| f.version.clone()).unwrap_or_default();
    let idempotent = function.is_some_and(|f| f.idempotent);
    let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let cache_key = match (asked.cache_key, asked.args_hash) {
        (Some(key), _) => Some(format!("{}/{key}", asked.function)),
        (None, Some(hash)) if options.cached == Some(true) => {
            Some(format!("{}@{version}/{}", asked.function, hex(hash)))
        }
        (None, _) => None,
    };
    let idempotency_key = match (asked.idempotency_key, asked.args_hash) {
        (Some(key), _) => Some(key.to_owned()),
        (None, Some(hash)) if idempotent => Some(format!("args:{}", hex(hash))),
        (None, _) => None,
    };
    let tags = options.tags.unwrap_or_default();
    let route = Route::new(options.queue.clone(), asked.function.to_owned(), tags.clone());
    Ok(Resolved {
        route: route_of(tx, route)?,
        queue: options.queue,
        tags,
        priority: options.priority.unwrap_or(0),
        retry_policy: options.retry_policy,
        timeout: options.timeout,
        idempotency_key,
        joins: None,
        cache_key,
        cache_ttl: options.cache_ttl,
    })
}

/// Takes the key of an idempotent call for `task`, or finds who has it.
pub(super) async fn reserve(tx: &mut Tx, asked: &Asked<'_>, key: &str, task: Id) -> Result<Reservation> {
    const NO_ARGUMENTS: [u8; 32] = [0; 32];
    idempotency::reserve(tx, asked.function, key, asked.args_hash.unwrap_or(&NO_ARGUMENTS), task).await
}

/// Inserts tasks in order. One that is there already was inserted by the same command before, and stays as it is.
pub(super) async fn insert(tx: &mut Tx, tasks: &[NewTask<'_>]) -> Result<()> {
    let mut batch = Batch::new();
    let mut work = false;
    for task in tasks {
        let created_at = tx.next_time();
        let nothing = Resolved::default();
        let run = task.run.as_ref().unwrap_or(&nothing);
        let claimable = task.state == TaskState::Pending && task.run.is_some();
        let lane = (claimable && task.due_at.is_none()).then_some(run.route);
        work |= lane.is_some();
        if let Some(due_at) = task.due_at {
            tx.hint_due(due_at);
        }
        let tags = codec::tags_to_column(&run.tags);
        let policy = run.retry_policy.as_ref().map(codec::policy_to_column);
        let error = task.error.map(codec::failure_to_column);
        let mut row = batch.row();
        row.id(task.id)
            .id(task.execution)
            .id(task.parent)
            .text(task.name)
            .text(task.key)
            .text(task.kind.as_str())
            .text(task.state.as_str())
            .int(lane)
            .int(task.run.as_ref().map(|run| run.route))
            .int(run.priority)
            .time(created_at)
            .time(task.due_at)
            .time(claimable.then_some(task.due_at).flatten())
            .time(task.started_at)
            .time(task.completed_at)
            .int(task.op.map(i64::from))
            .int(task.arrival.map(|arrival| arrival as i64))
            .int(stored(run.timeout))
            .id(run.joins)
            .text(run.idempotency_key.as_deref())
            .text(run.cache_key.as_deref())
            .int(stored(run.cache_ttl))
            .text(run.queue.as_deref())
            .text(tags.as_deref())
            .text(policy.as_deref())
            .bytes(args_column(task.args))
            .bytes(kwargs_column(task.kwargs))
            .bytes(task.result.map(Payload::as_bytes))
            .bytes(error.as_deref());
    }
    tx.run_batch("insert tasks", include_str!("sql/tasks_insert_many.sql"), batch, nothing_more).await?;
    if work {
        tx.hint_work();
    }
    Ok(())
}
