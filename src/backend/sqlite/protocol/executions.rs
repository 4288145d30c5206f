//! Executions and what they tell of themselves.

use std::sync::Arc;

use sqlx::{Row as _, SqliteConnection};

use super::super::batch::Batch;
use super::super::ends;
use super::super::rows::{self, args_column, kwargs_column};
use super::super::tx::{Tx, nothing_more};
use super::super::waits::WaitBook;
use super::super::{Sqlite, error, list};
use super::tasks;
use crate::backend::decide::{self, End, Ending};
use crate::backend::{ExecutionFilter, Response};
use crate::codec;
use crate::model::{Error, Execution, ExecutionState, Id, Payload, ProgressEntry, Result, Status, Task, Timestamp};

pub(super) async fn create(store: &Sqlite, execution: Execution) -> Result<Response> {
    decide::check_execution(&execution)?;
    store.write(execution, |tx, execution| Box::pin(async move { insert(tx, &execution, None).await })).await?;
    Ok(Response::Nothing)
}

pub(super) async fn create_with_root(store: &Sqlite, execution: Execution, task: Task) -> Result<Response> {
    decide::check_execution(&execution)?;
    decide::check_task(&task)?;
    decide::check_root(&execution, &task)?;
    store
        .write((execution, task), |tx, both| {
            Box::pin(async move {
                let (execution, root) = &*both;
                insert(tx, execution, Some(root.id)).await?;
                tasks::insert(tx, std::slice::from_ref(root)).await
            })
        })
        .await?;
    Ok(Response::Nothing)
}

async fn insert(tx: &mut Tx, execution: &Execution, root: Option<Id>) -> Result<()> {
    let error = execution.error.as_ref().map(codec::failure_to_column);
    let inserted = sqlx::query(include_str!("../sql/execution_insert.sql"))
        .bind(execution.id.as_bytes().as_slice())
        .bind(&execution.root_function)
        .bind(root.as_ref().map(|root| root.as_bytes().as_slice()))
        .bind(execution.state.as_str())
        .bind(args_column(&execution.args))
        .bind(kwargs_column(&execution.kwargs))
        .bind(i64::from(execution.retries))
        .bind(execution.created_at.micros())
        .bind(execution.started_at.map(Timestamp::micros))
        .bind(execution.completed_at.map(Timestamp::micros))
        .bind(execution.expiry_at.map(Timestamp::micros))
        .bind(codec::tags_to_column(&execution.tags))
        .bind(execution.priority)
        .bind(&execution.queue)
        .bind(execution.result.as_ref().map(Payload::as_bytes))
        .bind(error)
        .execute(&mut tx.conn)
        .await;
    if let Err(why) = inserted {
        let why = error::map("create the execution")(why);
        return Err(match why.status() {
            Status::Conflict => Error::conflict(format!(
                "create the execution: one with the id {} exists already; give it an id of its own",
                execution.id
            ))
            .with("execution_id", execution.id.to_string()),
            _ => why,
        });
    }
    if let (Some(expiry_at), false) = (execution.expiry_at, execution.state.is_terminal()) {
        tx.hint_due(expiry_at);
    }
    append(tx, execution.id, &execution.progress).await
}

async fn append(tx: &mut Tx, execution: Id, progress: &[ProgressEntry]) -> Result<()> {
    let mut batch = Batch::new();
    for entry in progress {
        batch
            .row()
            .id(execution)
            .text(entry.step.as_str())
            .text(entry.status.as_str())
            .int(entry.started_at.map(Timestamp::micros))
            .int(entry.completed_at.map(Timestamp::micros))
            .bytes(entry.detail.as_ref().map(Payload::as_bytes));
    }
    let sql = include_str!("../sql/execution_progress_append.sql");
    tx.run_batch("append progress", sql, batch, nothing_more).await?;
    Ok(())
}

pub(super) async fn append_progress(store: &Sqlite, execution: Id, progress: ProgressEntry) -> Result<Response> {
    store
        .write((execution, progress), |tx, request| {
            Box::pin(async move {
                require(tx, request.0).await?;
                append(tx, request.0, std::slice::from_ref(&request.1)).await
            })
        })
        .await?;
    Ok(Response::Nothing)
}

/// What belongs to an execution can't be written for one that is not there: it would never be cleaned up.
pub(super) async fn require(tx: &mut Tx, execution: Id) -> Result<()> {
    let row = sqlx::query(include_str!("../sql/execution_exists.sql"))
        .bind(execution.as_bytes().as_slice())
        .fetch_one(&mut tx.conn)
        .await
        .map_err(error::map("look for the execution"))?;
    if row.get("found") { Ok(()) } else { Err(decide::unknown_execution(execution)) }
}

pub(super) async fn get(store: &Sqlite, id: Id) -> Result<Response> {
    let found = store.read_together(id, |conn, id| Box::pin(async move { find(conn, *id).await })).await?;
    Ok(Response::Execution(found.map(Box::new)))
}

async fn find(conn: &mut SqliteConnection, id: Id) -> Result<Option<Execution>> {
    let Some(mut execution) = find_bare(conn, id).await? else { return Ok(None) };
    execution.progress = list::stored_progress(conn, id).await?;
    Ok(Some(execution))
}

/// Without progress.
async fn find_bare(conn: &mut SqliteConnection, id: Id) -> Result<Option<Execution>> {
    let row = sqlx::query(include_str!("../sql/execution_get.sql"))
        .bind(id.as_bytes().as_slice())
        .fetch_optional(conn)
        .await
        .map_err(error::map("read an execution"))?;
    row.as_ref().map(rows::execution).transpose()
}

pub(super) async fn update(store: &Sqlite, execution: Execution) -> Result<Response> {
    decide::check_execution(&execution)?;
    store.write(execution, |tx, execution| Box::pin(replace(tx, execution))).await?;
    Ok(Response::Nothing)
}

async fn replace(tx: &mut Tx, new: Arc<Execution>) -> Result<()> {
    let stored = find_bare(&mut tx.conn, new.id).await?.ok_or_else(|| decide::unknown_execution(new.id))?;
    if stored.state.is_terminal() {
        let ends = [&stored, &*new].map(|e| (e.state, &e.result, &e.error));
        return decide::same_end("execution", new.id, ends[0], ends[1]);
    }
    decide::execution_may_become(new.id, stored.state, new.state)?;
    sqlx::query(include_str!("../sql/execution_update.sql"))
        .bind(new.id.as_bytes().as_slice())
        .bind(new.state.as_str())
        .bind(args_column(&new.args))
        .bind(kwargs_column(&new.kwargs))
        .bind(i64::from(new.retries))
        .bind(new.started_at.map(Timestamp::micros))
        .bind(new.completed_at.map(Timestamp::micros))
        .bind(new.expiry_at.map(Timestamp::micros))
        .bind(codec::tags_to_column(&new.tags))
        .bind(new.priority)
        .bind(&new.queue)
        .bind(new.result.as_ref().map(Payload::as_bytes))
        .bind(new.error.as_ref().map(codec::failure_to_column))
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("update the execution"))?;
    if let (Some(expiry_at), false) = (new.expiry_at, new.state.is_terminal()) {
        tx.hint_due(expiry_at);
    }
    if new.state == ExecutionState::Cancelling && stored.state != ExecutionState::Cancelling {
        // The record is what was written, until the next sweep takes the tree.
        tx.hint_cancelling(new.id);
        let now = tx.now;
        tx.hint_due(now);
    }
    if new.state.is_terminal() {
        tx.hint_ended(new.id);
        end_root(tx, new.id).await?;
    }
    Ok(())
}

/// An execution that was ended from outside takes its tree with it.
async fn end_root(tx: &mut Tx, execution: Id) -> Result<()> {
    let row = sqlx::query(include_str!("../sql/execution_root.sql"))
        .bind(execution.as_bytes().as_slice())
        .fetch_one(&mut tx.conn)
        .await
        .map_err(error::map("find an execution's root"))?;
    let Some(root) = rows::Columns(&row).optional_id("root_task_id")? else { return Ok(()) };
    let mut book = WaitBook::default();
    ends::finish(tx, &mut book, vec![End::now(root, None, Ending::Cancelled)]).await?;
    book.save(tx).await
}

pub(super) async fn list(store: &Sqlite, limit: u32, offset: u32, state: Option<ExecutionState>) -> Result<Response> {
    let filter = ExecutionFilter { state, limit, offset, ..ExecutionFilter::default() };
    list::executions(store, filter).await.map(Response::Executions)
}

pub(super) async fn count(store: &Sqlite, state: Option<ExecutionState>) -> Result<Response> {
    let count = store
        .read(state, |conn, state| {
            Box::pin(async move {
                let row = sqlx::query(include_str!("../sql/executions_count.sql"))
                    .bind(state.map(ExecutionState::as_str))
                    .fetch_one(conn)
                    .await
                    .map_err(error::map("count executions"))?;
                rows::Columns(&row).count("count")
            })
        })
        .await?;
    Ok(Response::Count(count))
}
