//! Taking away what is old, in batches that others need not wait for.

use std::sync::Arc;

use super::super::batch::Batch;
use super::super::rows::Columns;
use super::super::tx::{Tx, nothing_more};
use super::super::{Postgres, error};
use crate::backend::Response;
use crate::model::{Id, Result, Timestamp};

/// Executions in one transaction.
const EXECUTIONS_MAX: i64 = 200;

/// Rows of one table deleted in one transaction: a single execution may have a million tasks.
const ROWS_MAX: i64 = 2_000;

struct Batched {
    done: u64,
    more: bool,
}

/// Ended executions with all that belongs to them; and, on the way, cached results and keys whose time is over.
pub(super) async fn executions(store: &Postgres, older_than: Timestamp) -> Result<Response> {
    let mut total = 0;
    loop {
        let batch =
            store.write_exactly(older_than, |tx, older_than| Box::pin(delete_executions(tx, older_than))).await?;
        total += batch.done;
        if !batch.more {
            break;
        }
    }
    for sql in [include_str!("../sql/cache_expire.sql"), include_str!("../sql/idempotency_expire.sql")] {
        while store.write_exactly((), move |tx, _| Box::pin(expire(tx, sql, None))).await?.more {}
    }
    Ok(Response::Count(total))
}

pub(super) async fn dead_letters(store: &Postgres, older_than: Timestamp) -> Result<Response> {
    let sql = include_str!("../sql/dead_letters_expire.sql");
    let mut total = 0;
    loop {
        let batch = store.write_exactly((), move |tx, _| Box::pin(expire(tx, sql, Some(older_than)))).await?;
        total += batch.done;
        if !batch.more {
            return Ok(Response::Count(total));
        }
    }
}

/// Rows whose time is over by `time`, or by the store's clock.
async fn expire(tx: &mut Tx, sql: &'static str, time: Option<Timestamp>) -> Result<Batched> {
    let done = sqlx::query(sql)
        .bind(time.unwrap_or(tx.now))
        .bind(ROWS_MAX)
        .execute(&mut tx.conn)
        .await
        .map_err(error::map("delete what has expired"))?;
    Ok(Batched { done: done.rows_affected(), more: done.rows_affected() == ROWS_MAX as u64 })
}

/// An execution goes when nothing of it is left: a crash between two batches leaves nothing without its execution.
async fn delete_executions(tx: &mut Tx, older_than: Arc<Timestamp>) -> Result<Batched> {
    let found = sqlx::query(include_str!("../sql/executions_list_old.sql"))
        .bind(*older_than)
        .bind(EXECUTIONS_MAX)
        .fetch_all(&mut tx.conn)
        .await
        .map_err(error::map("find old executions"))?;
    let ids: Vec<Id> = found.iter().map(|row| Columns(row).id("id")).collect::<Result<_>>()?;
    let set = || Batch::of_ids(ids.iter().copied());

    let sql = include_str!("../sql/executions_delete_tasks.sql");
    let tasks = tx.fetch_batch("delete old tasks", sql, set(), |query| query.bind(ROWS_MAX)).await?;
    let task_ids: Vec<Id> = tasks.iter().map(|row| Columns(row).id("id")).collect::<Result<_>>()?;
    for sql in [include_str!("../sql/tasks_forget_waits.sql"), include_str!("../sql/tasks_forget_trees.sql")] {
        tx.run_batch("delete old waits", sql, Batch::of_ids(task_ids.iter().copied()), nothing_more).await?;
    }
    let mut rows_left = task_ids.len() == ROWS_MAX as usize;
    for sql in
        [include_str!("../sql/executions_delete_progress.sql"), include_str!("../sql/executions_delete_signals.sql")]
    {
        let deleted = tx.run_batch("delete old progress and signals", sql, set(), |query| query.bind(ROWS_MAX)).await?;
        rows_left |= deleted == ROWS_MAX as u64;
    }
    if rows_left {
        return Ok(Batched { done: 0, more: true });
    }
    for sql in [
        include_str!("../sql/executions_delete_counters.sql"),
        include_str!("../sql/executions_delete_state.sql"),
        include_str!("../sql/executions_delete.sql"),
    ] {
        tx.run_batch("delete old executions", sql, set(), nothing_more).await?;
    }
    Ok(Batched { done: ids.len() as u64, more: ids.len() == EXECUTIONS_MAX as usize })
}
