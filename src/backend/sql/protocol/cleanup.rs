//! Deletes what is old, in batches, so that others don't wait long for locks.

use std::sync::Arc;

use super::super::database::Database;
use super::super::rows;
use super::super::statement::Statement;
use super::super::statements::{
    CACHE_EXPIRE, DEAD_LETTERS_EXPIRE, EXECUTIONS_DELETE, EXECUTIONS_DELETE_COUNTERS, EXECUTIONS_DELETE_PROGRESS,
    EXECUTIONS_DELETE_SIGNALS, EXECUTIONS_DELETE_STATE, EXECUTIONS_LIST_OLD, EXECUTIONS_TASKS, IDEMPOTENCY_EXPIRE,
    MARKS_EXPIRE, TASKS_FORGET, TASKS_FORGET_TREES, TASKS_FORGET_WAITS, UNIQUE_EARLIER_EXPIRE, UNIQUE_EXPIRE,
};
use super::super::store::Sql;
use super::super::tx::Tx;
use super::super::{dead_letters as letters, ended};
use crate::backend::{DeadLetterFilter, Response};
use crate::model::{Id, Result, Timestamp};

/// Executions in one transaction.
const EXECUTIONS_MAX: i64 = 200;

/// Rows of one table deleted in one transaction: a single execution may have a million tasks.
const ROWS_MAX: i64 = 2_000;

#[derive(Clone, Copy)]
struct Batched {
    done: u64,
    more: bool,
}

/// Ended executions without dead letters.
#[derive(Clone, Copy)]
struct Old {
    older_than: Timestamp,
    /// Executions that ended before this time were looked at by earlier batches; those that are kept are not read
    /// again.
    from: Option<Timestamp>,
}

/// Deletes ended executions with everything that belongs to them, except those that a dead letter needs, or that a
/// unique key answers within its window. Also deletes cached results, keys and tokens that have expired.
pub(super) async fn executions<D: Database>(store: &Sql<D>, older_than: Timestamp) -> Result<Response> {
    let mut total = 0;
    let mut old = Old { older_than, from: None };
    loop {
        let (batch, from) = store.write_exactly(old, |tx, old| Box::pin(delete_executions(tx, *old))).await?;
        total += batch.done;
        if !batch.more {
            break;
        }
        old.from = from;
    }
    for what in [&CACHE_EXPIRE, &IDEMPOTENCY_EXPIRE, &UNIQUE_EXPIRE, &UNIQUE_EARLIER_EXPIRE, &MARKS_EXPIRE] {
        expire_all(store, what, None).await?;
    }
    Ok(Response::Count(total))
}

pub(super) async fn dead_letters<D: Database>(store: &Sql<D>, older_than: Timestamp) -> Result<Response> {
    expire_all(store, &DEAD_LETTERS_EXPIRE, Some(older_than)).await.map(Response::Count)
}

/// Deletes rows that have expired by `time`, or by the store's clock. Returns how many.
async fn expire_all<D: Database>(store: &Sql<D>, what: &'static Statement, time: Option<Timestamp>) -> Result<u64> {
    let mut total = 0;
    loop {
        let batch = store.write_exactly((), move |tx, _| Box::pin(expire(tx, what, time))).await?;
        total += batch.done;
        if !batch.more {
            return Ok(total);
        }
    }
}

async fn expire(tx: &mut Tx<'_>, what: &'static Statement, time: Option<Timestamp>) -> Result<Batched> {
    let done = tx.change(what.call().time(time.unwrap_or(tx.now)).int(ROWS_MAX)).await?;
    Ok(Batched { done, more: done == ROWS_MAX as u64 })
}

/// Deletes the execution's row last: after a crash between two batches nothing is left without its execution. Returns
/// where the next batch begins.
async fn delete_executions(tx: &mut Tx<'_>, old: Old) -> Result<(Batched, Option<Timestamp>)> {
    let mut call = EXECUTIONS_LIST_OLD.call();
    let found = tx.fetch(call.time(old.older_than).time(old.from).int(EXECUTIONS_MAX).time(tx.now)).await?;
    let ids = rows::ids(&found)?;
    if delete_rows(tx, &ids).await? {
        return Ok((Batched { done: 0, more: true }, old.from));
    }
    let from = found.last().map(|last| last.time("completed_at")).transpose()?;
    Ok((Batched { done: ids.len() as u64, more: ids.len() == EXECUTIONS_MAX as usize }, from))
}

/// Those of these that have ended, and that no dead letter needs.
pub(in crate::backend::sql) async fn these<D: Database>(store: &Sql<D>, executions: &[Id]) -> Result<u64> {
    let mut total = 0;
    for chunk in executions.chunks(EXECUTIONS_MAX as usize) {
        loop {
            let batch = store.write_exactly(chunk.to_vec(), |tx, ids| Box::pin(delete_these(tx, ids))).await?;
            total += batch.done;
            if !batch.more {
                break;
            }
        }
    }
    Ok(total)
}

async fn delete_these(tx: &mut Tx<'_>, executions: Arc<Vec<Id>>) -> Result<Batched> {
    let mut ids = Vec::with_capacity(executions.len());
    for id in ended::ended_among(tx.session(), &executions).await? {
        let own = DeadLetterFilter { execution: Some(id), limit: 1, ..DeadLetterFilter::default() };
        let is_there = ended::execution_state(tx.session(), id).await?.is_some();
        if is_there && letters::list(tx.session(), &own).await?.is_empty() {
            ids.push(id);
        }
    }
    let more = delete_rows(tx, &ids).await?;
    Ok(Batched { done: if more { 0 } else { ids.len() as u64 }, more })
}

/// True: there are more rows of them. The executions themselves are there until there are none.
async fn delete_rows(tx: &mut Tx<'_>, ids: &[Id]) -> Result<bool> {
    let mut call = EXECUTIONS_TASKS.call().ids(ids.iter().copied());
    let tasks = rows::ids(&tx.fetch(call.int(ROWS_MAX)).await?)?;
    for what in [&TASKS_FORGET_WAITS, &TASKS_FORGET_TREES, &TASKS_FORGET] {
        tx.change(&what.call().ids(tasks.iter().copied())).await?;
    }
    let mut rows_left = tasks.len() == ROWS_MAX as usize;
    for what in [&EXECUTIONS_DELETE_PROGRESS, &EXECUTIONS_DELETE_SIGNALS] {
        let mut call = what.call().ids(ids.iter().copied());
        rows_left |= tx.change(call.int(ROWS_MAX)).await? == ROWS_MAX as u64;
    }
    if rows_left {
        return Ok(true);
    }
    for what in [&EXECUTIONS_DELETE_COUNTERS, &EXECUTIONS_DELETE_STATE, &EXECUTIONS_DELETE] {
        tx.change(&what.call().ids(ids.iter().copied())).await?;
    }
    Ok(false)
}
