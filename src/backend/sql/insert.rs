//! Inserts tasks. Options that the call leaves out are the function's, and each task gets its route.

use super::catalog::stored;
use super::routes::route_of;
use super::rows::{args_column, kwargs_column};
use super::statements::TASKS_INSERT_MANY;
use super::tx::Tx;
use super::{fairness, idempotency};
use crate::backend::decide::{self, Asked, Reservation, Resolved};
use crate::codec;
use crate::model::{Failure, Id, Op, Payload, Result, TaskKind, TaskState, Timestamp};

/// A row of `tasks` to be inserted.
pub(super) struct NewTask<'a> {
    pub id: Id,
    pub execution: Id,
    pub parent: Option<Id>,
    pub op: Option<Op>,
    pub name: &'a str,
    pub key: Option<&'a str>,
    pub kind: TaskKind,
    pub state: TaskState,
    /// Its route and options; `None` for operations that no worker runs (timers, signal waits, steps).
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

/// The options of a call, with the number of its route.
pub(super) async fn resolve(tx: &mut Tx<'_>, asked: &Asked<'_>) -> Result<Resolved> {
    let (mut run, route) = decide::resolve(asked, tx.catalog.function(asked.function));
    fairness::settle_key(tx, &mut run).await?;
    Ok(Resolved { route: route_of(tx, route).await?, ..run })
}

/// Reserves the key of an idempotent call for `task`, or finds its owner.
pub(super) async fn reserve(tx: &mut Tx<'_>, asked: &Asked<'_>, key: &str, task: Id) -> Result<Reservation> {
    let args_hash = asked.args_hash.unwrap_or(&idempotency::NO_ARGUMENTS);
    idempotency::reserve(tx, asked.function, key, args_hash, asked.reuse, task).await
}

/// Inserts tasks in order. One that exists was inserted by the same command before, and is left as it is.
pub(super) async fn insert(tx: &mut Tx<'_>, tasks: &[NewTask<'_>]) -> Result<()> {
    let mut call = TASKS_INSERT_MANY.call();
    let mut work = false;
    let nothing = Resolved::default();
    for task in tasks {
        let created_at = tx.next_time();
        let run = task.run.as_ref().unwrap_or(&nothing);
        let claimable = task.state == TaskState::Pending && task.run.is_some();
        let lane = (claimable && task.due_at.is_none()).then_some(run.route);
        work |= lane.is_some();
        if let Some(due_at) = task.due_at {
            tx.hint_due(due_at);
        }
        if run.concurrency_key.is_some() {
            tx.hint_rate(task.name);
        }
        call.row()
            .id(task.id)
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
            .due(task.due_at)
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
            .made(codec::tags_to_column(&run.tags))
            .made(run.retry_policy.as_ref().map(codec::policy_to_column))
            .bytes(args_column(task.args))
            .bytes(kwargs_column(task.kwargs))
            .payload(task.result)
            .made_bytes(task.error.map(codec::failure_to_column))
            .text(run.concurrency_key.as_deref())
            .int(run.head_start)
            .text(run.fairness_key.as_deref())
            .real(run.fairness_weight);
    }
    tx.change(&call).await?;
    if work {
        tx.hint_work();
    }
    Ok(())
}
