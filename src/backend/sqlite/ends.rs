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
use crate::backend::decide::{Aftermath, End, Ended, EndedRow, Ending};
use crate::codec;
use crate::model::{Id, Payload, Result};

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
    let parents: Vec<Id> = ends.iter().filter_map(|end| end.parent).collect();
    book.load(tx, &parents).await?;
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
            .int(end.cache_hit.then_some(1))
            .int(i64::from(end.said.ops))
            .int(i64::from(end.said.effects));
    }
    let now = tx.now.micros();
    let found = tx.fetch_batch("end tasks", include_str!("sql/tasks_end.sql"), batch, |query| query.bind(now)).await?;

    let rows = found.iter().map(|row| ended_row(&Columns(row))).collect::<Result<Vec<EndedRow>>>()?;
    for row in &found {
        if tx.catalog.is_limited(Columns(row).get("step_name")?) {
            // A place under the function's limit is free.
            tx.hint_work();
        }
    }
    let after = Aftermath::of(&ends, rows, book);
    after.parents.iter().for_each(|parent| tx.hint_arrived(*parent));
    bury(tx, &after.letters).await?;
    keep(tx, &after.results).await?;
    trees::cancel_below(tx, after.with_operations, trees::Cause::Ended).await?;
    end_executions(tx, &after.executions).await?;
    ended.extend(after.ended);
    idempotency::hand_on(tx, &after.with_key).await
}

fn ended_row(row: &Columns<'_>) -> Result<EndedRow> {
    Ok(EndedRow {
        id: row.id("id")?,
        execution: row.id("execution_id")?,
        op: row.optional_count("op")?,
        kind: row.word("kind")?,
        retries: row.get("retries")?,
        arrival: row.optional_count("arrival")?,
        has_operations: row.get::<i64>("ops")? > 0,
        has_key: row.get::<Option<&str>>("idempotency_key")?.is_some(),
    })
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
    let now = tx.now.micros();
    tx.run_batch("write dead letters", include_str!("sql/dead_letters_put.sql"), batch, |query| query.bind(now))
        .await?;
    Ok(())
}

/// Keeps results for later calls.
async fn keep(tx: &mut Tx, results: &[(&CacheSlot, &Payload)]) -> Result<()> {
    let mut batch = Batch::new();
    for (slot, result) in results {
        let expires_at = slot.ttl.map(|ttl| tx.now.after(ttl).micros());
        batch.row().text(slot.key.as_str()).bytes(result.as_bytes()).int(expires_at);
    }
    tx.run_batch("keep results", include_str!("sql/cache_put_many.sql"), batch, nothing_more).await?;
    Ok(())
}

/// An execution ends as its root did. One that is being cancelled ends by [`trees::close`], when nobody holds a lease.
async fn end_executions(tx: &mut Tx, roots: &[(Id, &Ending, i64)]) -> Result<()> {
    let mut batch = Batch::new();
    for (execution, ending, retries) in roots {
        let error = ending.failure().map(codec::failure_to_column);
        batch
            .row()
            .id(*execution)
            .text(ending.execution_state().as_str())
            .bytes(ending.result().map(Payload::as_bytes))
            .bytes(error.as_deref())
            .int(*retries);
        tx.hint_ended(*execution);
    }
    let now = tx.now.micros();
    tx.run_batch("end executions", include_str!("sql/executions_end.sql"), batch, |query| query.bind(now)).await?;
    Ok(())
}
