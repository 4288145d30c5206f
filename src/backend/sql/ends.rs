//! The one way in which tasks end. Complete, fail, cancel, expire and dead-letter all pass here. In the caller's
//! transaction it writes the task's end, its dead letter, its cached result and its execution's end, cancels its
//! unfinished descendants, and delivers the end to its parent and to the tasks that joined it by an idempotency key.

use std::collections::HashMap;

use super::row::Row;
use super::statements::{CACHE_PUT_MANY, DEAD_LETTERS_PUT, EXECUTIONS_END, TASKS_END, TASKS_GET};
use super::tx::Tx;
use super::waits::WaitBook;
use super::{below, idempotency, rows};
use crate::backend::CacheSlot;
use crate::backend::decide::{Aftermath, End, Ended, EndedRow, Ending};
use crate::codec;
use crate::model::{ExecutionState, Id, Payload, Result};

/// Ends tasks and returns those that it has ended: not the ones that had ended before or whose fence is wrong. The
/// caller must save the book afterwards.
pub(super) async fn finish(tx: &mut Tx<'_>, book: &mut WaitBook, ends: Vec<End>) -> Result<Vec<Ended>> {
    let mut ended = Vec::new();
    let mut next = ends;
    while !next.is_empty() {
        next = round(tx, book, next, &mut ended).await?;
    }
    Ok(ended)
}

/// Ends one batch of tasks. Returns the ends that follow from it, which are the next batch.
async fn round(tx: &mut Tx<'_>, book: &mut WaitBook, ends: Vec<End>, ended: &mut Vec<Ended>) -> Result<Vec<End>> {
    book.load(tx, ends.iter().filter_map(|end| end.parent)).await?;
    // A task that is ended by somebody else than its holder may be about to be woken, which needs its `waits` row: lock
    // it.
    let outside: Vec<Id> = ends.iter().filter(|end| end.fence.is_none()).map(|end| end.id).collect();
    let unknown: Vec<Id> = outside.iter().copied().filter(|id| !book.knows(*id)).collect();
    tx.lock_waits(unknown).await?;
    tx.lock_others(outside).await?;
    let mut call = TASKS_END.call();
    for end in &ends {
        call.row()
            .id(end.id)
            .int(end.fence.map(|fence| fence as i64))
            .text(end.ending.task_state().as_str())
            .payload(end.ending.result())
            .made_bytes(end.ending.failure().map(codec::failure_to_column))
            .int(end.parent.map(|parent| book.next_arrival(parent) as i64))
            .flag(end.cache_hit.then_some(true))
            .int(i64::from(end.said.ops))
            .int(i64::from(end.said.effects));
    }
    let mut call = call.by_id();
    let found = tx.fetch(call.time(tx.now)).await?;

    let rows = found.iter().map(ended_row).collect::<Result<Vec<EndedRow>>>()?;
    for row in &found {
        tx.gives_way(row.text("step_name")?);
    }
    let after = Aftermath::of(&ends, rows, book);
    after.parents.iter().for_each(|parent| tx.hint_arrived(*parent));
    write_dead_letters(tx, &after.letters).await?;
    write_cached(tx, &after.results).await?;
    below::cancel_below(tx, after.with_operations).await?;
    end_executions(tx, &after.executions).await?;
    ended.extend(after.ended);
    idempotency::resolve_joins(tx, &after.with_key).await
}

fn ended_row(row: &Row) -> Result<EndedRow> {
    Ok(EndedRow {
        id: row.id("id")?,
        execution: row.id("execution_id")?,
        op: row.optional_count("op")?,
        kind: row.word("kind")?,
        retries: row.int("retries")?,
        arrival: row.optional_count("arrival")?,
        has_operations: row.int("ops")? > 0,
        has_key: row.optional_text("idempotency_key")?.is_some(),
        state: row.word("state")?,
    })
}

/// Writes the dead letters of failed tasks.
async fn write_dead_letters(tx: &mut Tx<'_>, letters: &[(Id, &str)]) -> Result<()> {
    let reasons: HashMap<Id, &str> = letters.iter().copied().collect();
    let found = tx.fetch(&TASKS_GET.call().ids(reasons.keys().copied())).await?;
    let tasks = found.iter().map(rows::task).collect::<Result<Vec<_>>>()?;
    let mut call = DEAD_LETTERS_PUT.call();
    for task in &tasks {
        call.row()
            .id(task.id)
            .id(task.execution_id)
            .text(task.step_name.as_str())
            .made_bytes(codec::task_to_column(task))
            .text(reasons.get(&task.id).copied());
    }
    tx.change(call.time(tx.now)).await.map(drop)
}

/// Writes results to the cache.
async fn write_cached(tx: &mut Tx<'_>, results: &[(&CacheSlot, &Payload)]) -> Result<()> {
    let mut call = CACHE_PUT_MANY.call();
    for (slot, result) in results {
        call.row().text(slot.key.as_str()).payload(*result).time(slot.ttl.map(|ttl| tx.now.after(ttl)));
    }
    tx.change(&call).await.map(drop)
}

/// Ends executions as their roots have ended. One that is being cancelled, or has cleaned up, ends in
/// [`super::cancel::close`] instead, when nobody holds a lease in it.
async fn end_executions(tx: &mut Tx<'_>, roots: &[(Id, &Ending, i64)]) -> Result<()> {
    let ending: Vec<Id> = roots.iter().map(|(execution, ..)| *execution).collect();
    tx.lock_executions(ending).await?;
    let mut call = EXECUTIONS_END.call();
    for (execution, ending, retries) in roots {
        call.row()
            .id(*execution)
            .text(ending.execution_state().as_str())
            .payload(ending.result())
            .made_bytes(ending.failure().map(codec::failure_to_column))
            .int(*retries);
        tx.hint_ended(*execution);
    }
    for row in tx.fetch(call.time(tx.now)).await? {
        if row.word::<ExecutionState>("state")? == ExecutionState::Cancelling {
            tx.cleaned_up(row.id("id")?);
        }
    }
    Ok(())
}
