//! The one way to end. Complete, fail, cancel, expire and dead-letter all pass here: the task's end, its dead letter,
//! its cached result, its execution's end, the end of its unfinished descendants, and the delivery to its parent and
//! to those who joined it by an idempotency key, in the caller's transaction.

use std::collections::HashMap;

use super::batch::Batch;
use super::rows::{self, Columns};
use super::tx::{Tx, nothing_more};
use super::waits::WaitBook;
use super::{idempotency, trees};
use crate::backend::CacheSlot;
use crate::codec;
use crate::model::{ExecutionState, Failure, Id, Op, Payload, Result, TaskKind, TaskState};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ending {
    Completed(Payload),
    Failed(Failure),
    Cancelled,
}

impl Ending {
    pub const fn task_state(&self) -> TaskState {
        match self {
            Self::Completed(_) => TaskState::Completed,
            Self::Failed(_) => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
        }
    }

    pub const fn result(&self) -> Option<&Payload> {
        match self {
            Self::Completed(result) => Some(result),
            Self::Failed(_) | Self::Cancelled => None,
        }
    }

    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Completed(_) | Self::Cancelled => None,
        }
    }
}

/// A task that is to end.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub id: Id,
    pub parent: Option<Id>,
    /// Only if it runs under this fence, in an execution that may go on. None: whatever it does, if it is not over.
    pub fence: Option<u64>,
    pub ending: Ending,
    pub dead_letter: Option<String>,
    pub cache: Option<CacheSlot>,
    pub cache_hit: bool,
}

impl End {
    /// Ends the task whatever it does.
    pub fn now(id: Id, parent: Option<Id>, ending: Ending) -> Self {
        Self { id, parent, fence: None, ending, dead_letter: None, cache: None, cache_hit: false }
    }
}

/// A task that did end, as its row tells.
pub(super) struct Ended {
    pub id: Id,
    pub arrival: Option<u64>,
    pub op: Option<Op>,
}

/// Ends tasks; those that were over already, or whose fence does not hold, are left alone and not in the answer.
/// The caller saves the book afterwards.
pub(super) async fn finish(tx: &mut Tx, book: &mut WaitBook, ends: Vec<End>) -> Result<Vec<Ended>> {
    let mut ended = Vec::new();
    let mut next = ends;
    while !next.is_empty() {
        next = round(tx, book, next, &mut ended).await?;
    }
    Ok(ended)
}

/// One set of ends; what follows from them is the next set.
async fn round(tx: &mut Tx, book: &mut WaitBook, ends: Vec<End>, ended: &mut Vec<Ended>) -> Result<Vec<End>> {
    book.load(tx, ends.iter().filter_map(|end| end.parent)).await?;
    // A task that is not held by who ends it may be woken just now, by whom has its wait.
    book.lock(tx, ends.iter().filter(|end| end.fence.is_none()).map(|end| end.id)).await?;
    let mut batch = Batch::new();
    for end in &ends {
        let error = end.ending.failure().map(codec::failure_to_column);
        let mut row = batch.row();
        row.id(end.id)
            .int(end.fence.map(|fence| fence as i64))
            .text(end.ending.task_state().as_str())
            .bytes(end.ending.result().map(Payload::as_bytes))
            .bytes(error.as_deref())
            .int(end.parent.map(|parent| book.next_arrival(parent) as i64))
            .flag(end.cache_hit.then_some(true));
    }
    let now = tx.now;
    let found =
        tx.fetch_batch("end tasks", include_str!("sql/tasks_end.sql"), batch.by_id(), |query| query.bind(now)).await?;

    let by_id: HashMap<Id, End> = ends.into_iter().map(|end| (end.id, end)).collect();
    let mut roots = Vec::new();
    let mut with_ops = Vec::new();
    let mut with_key = Vec::new();
    let mut buried = Vec::new();
    let mut cached = Vec::new();
    for row in &found {
        let row = Columns(row);
        let id = row.id("id")?;
        let Some(end) = by_id.get(&id) else { continue };
        let execution = row.id("execution_id")?;
        let op = row.optional_count::<Op>("op")?;
        let kind: TaskKind = row.word("kind")?;
        let arrival = row.optional_count("arrival")?;
        if let (Some(parent), Some(arrival)) = (end.parent, arrival) {
            book.delivered(parent, arrival);
        }
        match (end.parent, op) {
            (Some(parent), Some(op)) => {
                book.arrived(parent, op);
                tx.hint_arrived(parent);
            }
            (None, _) if kind == TaskKind::Orchestrator => {
                roots.push(RootEnd { execution, ending: &end.ending, retries: row.get("retries")? });
            }
            _ => {}
        }
        if tx.catalog.is_limited(row.get("step_name")?) {
            // A place under the function's limit is free.
            tx.hint_work();
        }
        if row.get::<i64>("ops")? > 0 {
            book.forget(id);
            with_ops.push(id);
        }
        if row.get::<Option<&str>>("idempotency_key")?.is_some() {
            with_key.push((id, &end.ending));
        }
        if let Some(reason) = &end.dead_letter {
            buried.push((id, reason.as_str()));
        }
        if let (Some(slot), Some(result)) = (&end.cache, end.ending.result()) {
            cached.push((slot, result));
        }
        ended.push(Ended { id, arrival, op });
    }
    bury(tx, &buried).await?;
    keep(tx, &cached).await?;
    trees::cancel_below(tx, with_ops).await?;
    end_executions(tx, &roots).await?;
    idempotency::hand_on(tx, &with_key).await
}

/// Writes the dead letters of tasks that are failed by now.
async fn bury(tx: &mut Tx, letters: &[(Id, &str)]) -> Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let reasons: HashMap<Id, &str> = letters.iter().copied().collect();
    let found = tx
        .fetch_batch(
            "read dead tasks",
            include_str!("sql/tasks_get.sql"),
            Batch::of_ids(reasons.keys().copied()),
            nothing_more,
        )
        .await?;
    let mut batch = Batch::new();
    for row in &found {
        let task = rows::task(row)?;
        let record = codec::task_to_column(&task);
        batch
            .row()
            .id(task.id)
            .id(task.execution_id)
            .text(task.step_name.as_str())
            .bytes(record.as_slice())
            .text(reasons.get(&task.id).copied());
    }
    let now = tx.now;
    tx.run_batch("write dead letters", include_str!("sql/dead_letters_put.sql"), batch, |query| query.bind(now))
        .await?;
    Ok(())
}

/// Keeps results for later calls.
async fn keep(tx: &mut Tx, results: &[(&CacheSlot, &Payload)]) -> Result<()> {
    let mut batch = Batch::new();
    for (slot, result) in results {
        let expires_at = slot.ttl.map(|ttl| tx.now.after(ttl));
        batch.row().text(slot.key.as_str()).bytes(result.as_bytes()).time(expires_at);
    }
    tx.run_batch("keep results", include_str!("sql/cache_put_many.sql"), batch, nothing_more).await?;
    Ok(())
}

struct RootEnd<'a> {
    execution: Id,
    ending: &'a Ending,
    retries: i64,
}

/// An execution ends as its root did. One that is being cancelled ends by [`trees::close`], when nobody holds a lease.
async fn end_executions(tx: &mut Tx, roots: &[RootEnd<'_>]) -> Result<()> {
    let mut batch = Batch::new();
    for root in roots {
        let state = match root.ending {
            Ending::Completed(_) => ExecutionState::Completed,
            Ending::Failed(_) => ExecutionState::Failed,
            Ending::Cancelled => ExecutionState::Cancelled,
        };
        let error = root.ending.failure().map(codec::failure_to_column);
        batch
            .row()
            .id(root.execution)
            .text(state.as_str())
            .bytes(root.ending.result().map(Payload::as_bytes))
            .bytes(error.as_deref())
            .int(root.retries);
        tx.hint_ended(root.execution);
    }
    let now = tx.now;
    tx.run_batch("end executions", include_str!("sql/executions_end.sql"), batch, |query| query.bind(now)).await?;
    Ok(())
}
